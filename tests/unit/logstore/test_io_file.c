/* Files as objects. */
#define _DEFAULT_SOURCE /* mincore */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/log.h"
#include "logstore/io_file.h"
#include "tests/unit/logstore/fixture.h"

/* A disk whose next sync loses what was written, as Linux tells it: one caller hears of it, and
 * whoever syncs the same open file afterwards, or meanwhile, has no error. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t called;
    bool is_armed;
    int calls_count; /* since then */
} failing = {.lock = PTHREAD_MUTEX_INITIALIZER, .called = PTHREAD_COND_INITIALIZER};

enum { OVERLAP_MS = 200 };

/* Gives another caller the time to come while this one is under way. */
static void wait_for_another(void)
{
    struct timespec until;
    int failed = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += OVERLAP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (failing.calls_count < 2 && failed == 0) {
        failed = pthread_cond_timedwait(&failing.called, &failing.lock, &until);
    }
}

int fdatasync(int fd) /* instead of libc's */
{
    bool fails = false;

    pthread_mutex_lock(&failing.lock);
    if (failing.is_armed) {
        fails = failing.calls_count++ == 0;
        pthread_cond_broadcast(&failing.called);
        if (fails) {
            wait_for_another();
        }
    }
    pthread_mutex_unlock(&failing.lock);
    if (fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static struct base_chunk chunk_of(size_t length, int fill)
{
    struct base_buffer *buffer = base_buffer_create(length);
    assert_non_null(buffer);
    memset(buffer->data, fill, length);
    return (struct base_chunk){.buffer = buffer, .length = length};
}

static enum base_err append(struct logstore_io *io, struct logstore_object *object,
                            uint64_t position, size_t length, int fill)
{
    struct base_chunk chunk = chunk_of(length, fill);
    struct logstore_io_op op = {0};
    assert_int_equal(io->ops->append(io, object, position, &chunk, 1, &op), LOGSTORE_IO_DONE);
    base_chunk_release(&chunk);
    return op.err;
}

static void second_owner_of_a_directory_is_refused(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io_file_options options = {.root = harness->root, .worker = harness->pool};
    struct logstore_io *second = NULL;

    assert_int_equal(logstore_io_file_create(&options, &second), BASE_ERR_BUSY);
    assert_null(second);
}

static void root_without_a_parent_is_an_error(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io_file_options options = {.root = "/nowhere/at/all", .worker = harness->pool};
    struct logstore_io *io = NULL;

    assert_int_equal(logstore_io_file_create(&options, &io), BASE_ERR_IO);
    assert_null(io);
}

static void appended_chunks_are_read_back_across_pieces(void **state)
{
    struct logstore_io *io = ((struct log_harness *)*state)->io;
    struct logstore_object *object = NULL;
    struct base_chunk chunks[200];
    struct logstore_io_op op = {0};
    static uint8_t bytes[1 << 20];
    size_t length = 0;
    size_t expected = 0;

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    for (int i = 0; i < 200; i++) {
        chunks[i] = chunk_of(i == 100 ? 700000 : 100, i);
        expected += chunks[i].length;
    }
    assert_int_equal(io->ops->append(io, object, 0, chunks, 200, &op), LOGSTORE_IO_DONE);
    assert_int_equal(op.err, BASE_ERR_OK);
    assert_int_equal(io->ops->read_wait(io, object, 0, bytes, sizeof bytes, &length), BASE_ERR_OK);
    assert_int_equal(length, expected);
    size_t at = 0;
    for (int i = 0; i < 200; i++) {
        assert_memory_equal(bytes + at, chunks[i].buffer->data, chunks[i].length);
        at += chunks[i].length;
        base_chunk_release(&chunks[i]);
    }
    io->ops->close(io, &object);
}

static void create_does_not_take_an_existing_object(void **state)
{
    struct logstore_io *io = ((struct log_harness *)*state)->io;
    struct logstore_object *object = NULL;
    uint64_t size_bytes = 0;

    assert_int_equal(io->ops->open(io, "a/x.log", &object, &size_bytes), BASE_ERR_NOT_FOUND);
    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 10, 1), BASE_ERR_OK);
    io->ops->close(io, &object);
    assert_null(object);
    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_EXISTS);
    assert_null(object);
    assert_int_equal(io->ops->open(io, "a/x.log", &object, &size_bytes), BASE_ERR_OK);
    assert_int_equal(size_bytes, 10);
    io->ops->close(io, &object);
}

static void full_disk_takes_a_half_written_append_back(void **state)
{
    struct logstore_io *io = ((struct log_harness *)*state)->io;
    struct logstore_object *object = NULL;
    struct rlimit before;
    struct stat status;
    char path[256];

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 1000, 1), BASE_ERR_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit tight = {.rlim_cur = 1500, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    enum base_err err = append(io, object, 1000, 1000, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, BASE_ERR_NO_SPACE);
    (void)snprintf(path, sizeof path, "%s/a/x.log", ((struct log_harness *)*state)->root);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 1000);
    assert_int_equal(append(io, object, 1000, 1000, 2), BASE_ERR_OK);
    io->ops->close(io, &object);
}

static off_t size_on_disk(const struct log_harness *harness)
{
    struct stat status;
    char path[256];

    (void)snprintf(path, sizeof path, "%s/a/x.log", harness->root);
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void assert_bytes(struct logstore_io *io, struct logstore_object *object, uint64_t position,
                         size_t length, uint8_t expected)
{
    static uint8_t bytes[300000];
    size_t got = 0;

    assert_in_range(length, 0, sizeof bytes);
    assert_int_equal(io->ops->read_wait(io, object, position, bytes, length, &got), BASE_ERR_OK);
    assert_int_equal(got, length);
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(bytes[i], expected);
    }
}

static void small_appends_find_zeros_that_grow_with_the_file(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct logstore_object *object = NULL;
    /* 1,000 bytes more each time it has to grow: the next multiple of a power of two. */
    static const off_t sizes[] = {4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 786432};
    uint64_t position = 0;

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        while (position < (i == 0 ? 1 : (uint64_t)sizes[i - 1])) {
            assert_int_equal(append(io, object, position, 1000, 7), BASE_ERR_OK);
            position += 1000;
        }
        assert_int_equal(size_on_disk(harness), sizes[i]);
    }
    assert_bytes(io, object, position - 1000, 1000, 7);
    assert_bytes(io, object, position, 786432 - (size_t)position, 0);
    assert_int_equal(io->ops->truncate(io, object, position), BASE_ERR_OK);
    assert_int_equal(size_on_disk(harness), position);
    io->ops->close(io, &object);
}

static void large_appends_find_no_zeros(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct logstore_object *object = NULL;

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 70000, 7), BASE_ERR_OK);
    assert_int_equal(size_on_disk(harness), 70000);
    assert_int_equal(append(io, object, 70000, 60000, 8), BASE_ERR_OK);
    assert_int_equal(size_on_disk(harness), 131072);
    assert_int_equal(append(io, object, 130000, 140000, 9), BASE_ERR_OK); /* over the zeros */
    assert_int_equal(size_on_disk(harness), 270000);
    assert_bytes(io, object, 0, 70000, 7);
    assert_bytes(io, object, 70000, 60000, 8);
    assert_bytes(io, object, 130000, 140000, 9);
    io->ops->close(io, &object);
}

static void close_leaves_no_zeros_but_a_kill_does(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct logstore_object *object = NULL;
    struct logstore_object *killed = NULL;
    uint64_t size_bytes = 0;

    assert_int_equal(io->ops->create(io, "a/x.log", &killed), BASE_ERR_OK);
    assert_int_equal(append(io, killed, 0, 1000, 7), BASE_ERR_OK);
    assert_int_equal(io->ops->open(io, "a/x.log", &object, &size_bytes), BASE_ERR_OK);
    assert_int_equal(size_bytes, 4096);
    io->ops->close(io, &object); /* nothing was appended: nobody knows what they are */
    assert_int_equal(size_on_disk(harness), 4096);
    io->ops->close(io, &killed);
    assert_int_equal(size_on_disk(harness), 1000);
}

static void put_replaces_and_get_bounds(void **state)
{
    struct logstore_io *io = ((struct log_harness *)*state)->io;
    struct base_buffer *content = NULL;
    size_t length = 0;

    assert_int_equal(io->ops->get(io, "a/head", 100, &content, &length), BASE_ERR_NOT_FOUND);
    assert_int_equal(io->ops->put(io, "a/head", base_slice_text("first, longer")), BASE_ERR_OK);
    assert_int_equal(io->ops->put(io, "a/head", base_slice_text("second")), BASE_ERR_OK);
    assert_int_equal(io->ops->get(io, "a/head", 5, &content, &length), BASE_ERR_TOO_LARGE);
    assert_null(content);
    assert_int_equal(io->ops->get(io, "a/head", 6, &content, &length), BASE_ERR_OK);
    assert_int_equal(length, 6);
    assert_memory_equal(content->data, "second", 6);
    base_buffer_release(&content);
    assert_int_equal(io->ops->put_lazy(io, "a/lazy", base_slice_text("x")), BASE_ERR_OK);
    assert_int_equal(io->ops->get(io, "a/lazy", 6, &content, &length), BASE_ERR_OK);
    assert_int_equal(length, 1);
    base_buffer_release(&content);
}

struct names {
    int count;
    uint64_t size_bytes;
    bool has_temporary;
};

static bool note_name(void *context, const char *name, uint64_t size_bytes)
{
    struct names *names = context;
    names->count++;
    names->size_bytes += size_bytes;
    names->has_temporary = names->has_temporary || strstr(name, ".tmp") != NULL;
    return true;
}

static void list_shows_objects_and_hides_the_rest(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct names names = {0};
    char path[256];

    assert_int_equal(io->ops->list(io, "a", note_name, &names), BASE_ERR_OK);
    assert_int_equal(names.count, 0);
    assert_int_equal(io->ops->put(io, "a/one", base_slice_text("1")), BASE_ERR_OK);
    assert_int_equal(io->ops->put(io, "a/two", base_slice_text("22")), BASE_ERR_OK);
    assert_int_equal(io->ops->put(io, "b/three", base_slice_text("333")), BASE_ERR_OK);
    (void)snprintf(path, sizeof path, "%s/a/head.tmp", harness->root);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(io->ops->list(io, "a", note_name, &names), BASE_ERR_OK);
    assert_int_equal(names.count, 2);
    assert_int_equal(names.size_bytes, 3);
    assert_false(names.has_temporary);
    names = (struct names){0};
    assert_int_equal(io->ops->list_logs(io, note_name, &names), BASE_ERR_OK);
    assert_int_equal(names.count, 2);
    assert_int_equal(io->ops->remove(io, "a/one"), BASE_ERR_OK);
    assert_int_equal(io->ops->remove(io, "a/one"), BASE_ERR_OK);
    assert_int_equal(io->ops->remove(io, "nolog/one"), BASE_ERR_OK);
    assert_int_equal(io->ops->remove_all(io, "a"), BASE_ERR_OK);
    assert_int_equal(io->ops->remove_all(io, "a"), BASE_ERR_OK);
    names = (struct names){0};
    assert_int_equal(io->ops->list_logs(io, note_name, &names), BASE_ERR_OK);
    assert_int_equal(names.count, 1);
}

static void links_are_not_followed(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct logstore_object *object = NULL;
    uint64_t size_bytes = 0;
    char path[256];

    assert_int_equal(io->ops->put(io, "a/one", base_slice_text("1")), BASE_ERR_OK);
    (void)snprintf(path, sizeof path, "%s/a/link.log", harness->root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(io->ops->open(io, "a/link.log", &object, &size_bytes), BASE_ERR_IO);
    assert_null(object);
    (void)snprintf(path, sizeof path, "%s/linked", harness->root);
    assert_int_equal(symlink("a", path), 0);
    assert_int_equal(io->ops->open(io, "linked/one", &object, &size_bytes), BASE_ERR_IO);
    assert_int_equal(unlink(path), 0);
}

static void files_are_not_for_everybody(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct stat status;
    char path[256];

    mode_t before = umask(0);
    assert_int_equal(io->ops->put(io, "a/one", base_slice_text("1")), BASE_ERR_OK);
    (void)umask(before);
    (void)snprintf(path, sizeof path, "%s/a", harness->root);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
    (void)snprintf(path, sizeof path, "%s/a/one", harness->root);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void range_is_a_counted_part_of_the_file(void **state)
{
    struct logstore_io *io = ((struct log_harness *)*state)->io;
    struct logstore_object *object = NULL;
    struct base_chunk range;
    uint8_t bytes[10];

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 300000, 7), BASE_ERR_OK);
    assert_int_equal(io->ops->warm(io, object, 0, 300000), BASE_ERR_OK);
    assert_true(io->ops->file_range(io, object, 100, 299900, &range));
    io->ops->close(io, &object);
    assert_int_equal(io->ops->remove(io, "a/x.log"), BASE_ERR_OK);
    assert_int_equal(pread(range.file->fd, bytes, 10, (off_t)range.position), 10);
    assert_int_equal(bytes[0], 7);
    base_chunk_release(&range);
}

struct waited {
    struct logstore_io_op op;
    bool is_done;
    int synced_count;
};

static void op_ended(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, task);
    BASE_CONTAINER_OF(op, struct waited, op)->is_done = true;
}

static void on_synced(struct logstore_io_op *op)
{
    struct waited *waited = BASE_CONTAINER_OF(op, struct waited, op);
    assert_false(waited->is_done);
    waited->synced_count++;
}

static void sync_and_reads_behind_the_end_are_posted(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct logstore_object *object = NULL;
    uint8_t bytes[100];
    struct waited waited = {
        .op = {.executor = harness->loop, .task.run = op_ended, .on_synced = on_synced}};

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 50, 7), BASE_ERR_OK);
    assert_int_equal(io->ops->sync(io, object, &waited.op), LOGSTORE_IO_PENDING);
    sim_scheduler_run(harness->scheduler);
    assert_true(waited.is_done);
    assert_int_equal(waited.op.err, BASE_ERR_OK);
    assert_int_equal(waited.synced_count, 1);
    waited.is_done = false;
    assert_int_equal(io->ops->truncate(io, object, 50), BASE_ERR_OK);
    assert_int_equal(io->ops->read(io, object, 20, bytes, 100, &waited.op), LOGSTORE_IO_PENDING);
    sim_scheduler_run(harness->scheduler);
    assert_true(waited.is_done);
    assert_int_equal(waited.op.length, 30);
    io->ops->close(io, &object);
}

struct syncing {
    struct logstore_object *object;
    enum base_err err;
};

static void *sync_object(void *context)
{
    struct syncing *syncing = context;
    syncing->err = syncing->object->io->ops->sync_wait(syncing->object->io, syncing->object);
    return NULL;
}

static void of_two_syncs_at_once_none_hides_the_failure_of_the_other(void **state)
{
    struct logstore_io *io = ((struct log_harness *)*state)->io;
    struct syncing syncing[2] = {{.err = BASE_ERR_OK}, {.err = BASE_ERR_OK}};
    struct logstore_object *object = NULL;
    pthread_t threads[2];

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 90, 7), BASE_ERR_OK);
    failing.is_armed = true;
    for (int i = 0; i < 2; i++) {
        syncing[i].object = object;
        assert_int_equal(pthread_create(&threads[i], NULL, sync_object, &syncing[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(syncing[i].err, BASE_ERR_IO);
    }
    failing.is_armed = false;
    failing.calls_count = 0;
    io->ops->close(io, &object);
}

static void settle_forgets_pages_that_begin_in_front(void **state)
{
    enum { TMPFS = 0x01021994 }; /* see statfs(2): it has no other place for its pages */
    struct log_harness *harness = *state;
    struct logstore_io *io = harness->io;
    struct logstore_object *object = NULL;
    struct statfs status;
    unsigned char is_resident = 0;
    char path[256];

    assert_int_equal(statfs(harness->root, &status), 0);
    if (status.f_type == TMPFS) {
        skip();
    }
    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 200, 7), BASE_ERR_OK);
    (void)snprintf(path, sizeof path, "%s/a/x.log", harness->root);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    void *page = mmap(NULL, 200, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(page != MAP_FAILED);
    assert_int_equal(mincore(page, 200, &is_resident), 0);
    assert_int_equal(is_resident & 1, 1);
    assert_int_equal(io->ops->settle(io, object, 100), BASE_ERR_OK);
    assert_int_equal(mincore(page, 200, &is_resident), 0);
    assert_int_equal(is_resident & 1, 0);
    (void)munmap(page, 200);
    (void)close(fd);
    io->ops->close(io, &object);
}

static void truncate_and_settle_keep_the_rest(void **state)
{
    struct logstore_io *io = ((struct log_harness *)*state)->io;
    struct logstore_object *object = NULL;
    uint8_t bytes[100];
    size_t length = 0;

    assert_int_equal(io->ops->create(io, "a/x.log", &object), BASE_ERR_OK);
    assert_int_equal(append(io, object, 0, 90, 7), BASE_ERR_OK);
    assert_int_equal(io->ops->truncate(io, object, 40), BASE_ERR_OK);
    assert_int_equal(io->ops->settle(io, object, 0), BASE_ERR_OK);
    assert_int_equal(io->ops->read_wait(io, object, 0, bytes, 100, &length), BASE_ERR_OK);
    assert_int_equal(length, 40);
    assert_int_equal(append(io, object, 40, 10, 8), BASE_ERR_OK);
    io->ops->close(io, &object);
}

int main(void)
{
    base_log_configure(BASE_LOG_ERROR + 1, BASE_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(second_owner_of_a_directory_is_refused, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(root_without_a_parent_is_an_error, setup_files, teardown),
        cmocka_unit_test_setup_teardown(appended_chunks_are_read_back_across_pieces, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(create_does_not_take_an_existing_object, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(full_disk_takes_a_half_written_append_back, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(small_appends_find_zeros_that_grow_with_the_file,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(large_appends_find_no_zeros, setup_files, teardown),
        cmocka_unit_test_setup_teardown(close_leaves_no_zeros_but_a_kill_does, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(put_replaces_and_get_bounds, setup_files, teardown),
        cmocka_unit_test_setup_teardown(list_shows_objects_and_hides_the_rest, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(links_are_not_followed, setup_files, teardown),
        cmocka_unit_test_setup_teardown(files_are_not_for_everybody, setup_files, teardown),
        cmocka_unit_test_setup_teardown(range_is_a_counted_part_of_the_file, setup_files, teardown),
        cmocka_unit_test_setup_teardown(sync_and_reads_behind_the_end_are_posted, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(of_two_syncs_at_once_none_hides_the_failure_of_the_other,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(settle_forgets_pages_that_begin_in_front, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(truncate_and_settle_keep_the_rest, setup_files, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
