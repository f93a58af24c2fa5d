/* Open segment objects as files. Appends go to the page cache in place, in pieces small
 * enough to stay in the processor's cache; everything that may wait runs on the worker. */
#define _GNU_SOURCE /* preadv2 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/file.h"
#include "core/base/list.h"
#include "core/base/mutex.h"
#include "logstore/io_file_priv.h"

enum {
    PIECE_BYTES_MAX = 256 << 10, /* larger writes cost more per byte; a power of two */
    PIECE_CHUNKS_MAX = 64,
    SPARE_BYTES_MIN = 4 << 10, /* see make_spare */
    SPARE_BYTES_MAX = 256 << 10,
    SPARED_APPEND_MAX = 64 << 10,   /* larger appends cost less than the zeros would */
    RESIDENT_STEP_BYTES = 64 << 10, /* one byte is probed every so many */
    WARM_BYTES = 64 << 10,
};

struct file {
    struct logstore_object object;
    struct base_file *file;      /* counted */
    struct base_mutex sync_lock; /* one sync at a time; held on worker threads only */
    atomic_bool poisoned;        /* a sync failed: what the cache says is not to be believed */
    /* Guarded by the owner of the object: it appends, cuts and closes one after the other. */
    uint64_t size_bytes; /* of the file: what is used, and spare zeros */
    uint64_t used_bytes; /* behind the last append; all before the first one */
    char name[LOGSTORE_NAME_SIZE];
};

static uint8_t zeros[SPARE_BYTES_MAX + SPARED_APPEND_MAX]; /* never written to: no memory */

static struct file *file_of(struct logstore_object *object)
{
    return BASE_CONTAINER_OF(object, struct file, object);
}

/* Takes fd over, also on an error. */
static enum base_err make_object(struct logstore__file_io *io, const char *name, int fd,
                                 uint64_t size_bytes, struct logstore_object **out)
{
    struct file *object = base_alloc_object(struct file);
    if (object != NULL) {
        object->file = base_file_create(fd);
    }
    if (object == NULL || object->file == NULL) {
        (void)close(fd);
        base_free(object);
        return BASE_ERR_NOMEM;
    }
    object->object.io = &io->io;
    base_mutex_init(&object->sync_lock);
    atomic_init(&object->poisoned, false);
    object->size_bytes = size_bytes;
    object->used_bytes = size_bytes;
    (void)snprintf(object->name, sizeof object->name, "%s", name);
    *out = &object->object;
    return BASE_ERR_OK;
}

enum base_err logstore__file_create(struct logstore_io *base, const char *name,
                                    struct logstore_object **out)
{
    struct logstore__file_io *io = logstore__file_io_of(base);
    struct logstore__path path = logstore__file_path(name);
    int directory_fd = -1;

    *out = NULL;
    enum base_err err = logstore__file_enter(io, path.log_name, true, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err;
    }
    int fd = openat(directory_fd, path.object_name,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, LOGSTORE__FILE_MODE);
    if (fd < 0) {
        err = logstore__file_failed("create", name);
    } else if (fsync(directory_fd) != 0) {
        err = logstore__file_failed("fsync", name);
        (void)close(fd);
    } else {
        err = make_object(io, name, fd, 0, out);
    }
    if (err != BASE_ERR_OK && fd >= 0) {
        (void)unlinkat(directory_fd, path.object_name, 0);
    }
    logstore__file_close_fd(&directory_fd);
    return err;
}

enum base_err logstore__file_open(struct logstore_io *base, const char *name,
                                  struct logstore_object **out, uint64_t *size_bytes)
{
    struct logstore__file_io *io = logstore__file_io_of(base);
    struct logstore__path path = logstore__file_path(name);
    struct stat status;
    int directory_fd = -1;

    *out = NULL;
    *size_bytes = 0;
    enum base_err err = logstore__file_enter(io, path.log_name, false, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err;
    }
    int fd = openat(directory_fd, path.object_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    logstore__file_close_fd(&directory_fd);
    if (fd < 0) {
        return logstore__file_failed("open", name);
    }
    if (fstat(fd, &status) != 0) {
        err = logstore__file_failed("stat", name);
        (void)close(fd);
        return err;
    }
    *size_bytes = (uint64_t)status.st_size;
    return make_object(io, name, fd, *size_bytes, out);
}

void logstore__file_close(struct logstore_io *base, struct logstore_object **object)
{
    (void)base;
    if (*object == NULL) {
        return;
    }
    struct file *file = file_of(*object);
    if (file->used_bytes < file->size_bytes && !atomic_load(&file->poisoned)) {
        /* Only to be tidy, and not synced: the next open bears spare bytes. */
        int failed = ftruncate(file->file->fd, (off_t)file->used_bytes);
        (void)failed;
    }
    base_file_release(&file->file);
    base_mutex_fini(&file->sync_lock);
    base_free(file);
    *object = NULL;
}

/* Next piece of the chunks, up to bytes_max bytes as vectors. Moves the cursor. */
struct cursor {
    const struct base_chunk *chunks;
    size_t chunks_count;
    size_t index;  /* of the chunk that comes next */
    size_t offset; /* bytes of it that were taken */
};

static size_t next_piece(struct cursor *cursor, size_t bytes_max,
                         struct iovec vectors[PIECE_CHUNKS_MAX], int *count)
{
    size_t bytes = 0;

    *count = 0;
    while (cursor->index < cursor->chunks_count && *count < PIECE_CHUNKS_MAX && bytes < bytes_max) {
        const struct base_chunk *chunk = &cursor->chunks[cursor->index];
        size_t length = chunk->length - cursor->offset;
        if (length > bytes_max - bytes) {
            length = bytes_max - bytes;
        }
        BASE_ASSERT(chunk->buffer != NULL);
        vectors[*count] = (struct iovec){
            .iov_base = chunk->buffer->data + chunk->position + cursor->offset,
            .iov_len = length,
        };
        *count += 1;
        bytes += length;
        cursor->offset += length;
        if (cursor->offset == chunk->length) {
            cursor->index++;
            cursor->offset = 0;
        }
    }
    return bytes;
}

/* A piece that ends where a page cache folio of its size would: the kernel takes as large
 * folios as the position allows, and what it does for each costs more than the bytes. */
static size_t piece_bytes_max(uint64_t position)
{
    return PIECE_BYTES_MAX - (size_t)(position % PIECE_BYTES_MAX);
}

/* Small appends that grow the file let it grow by more, with zeros: the appends that follow
 * overwrite blocks that are there. To sync those takes half the time, since the file system has
 * nothing of its own to write, and half the processor's. The zeros grow with the file, so
 * that ten thousand small ones stay small. Not to get them is no error. */
static void make_spare(struct file *file, uint64_t position, size_t length)
{
    uint64_t step = SPARE_BYTES_MAX;

    if (length > SPARED_APPEND_MAX || position + length <= file->size_bytes) {
        return;
    }
    while (step > SPARE_BYTES_MIN && step > file->size_bytes) {
        step /= 2;
    }
    uint64_t target = (position + length + step - 1) / step * step;
    BASE_ASSERT(target - file->size_bytes <= sizeof zeros);
    ssize_t written =
        pwrite(file->file->fd, zeros, (size_t)(target - file->size_bytes), (off_t)file->size_bytes);
    if (written > 0) {
        file->size_bytes += (uint64_t)written;
    }
}

static size_t chunks_length(const struct base_chunk *chunks, size_t chunks_count)
{
    size_t length = 0;
    for (size_t i = 0; i < chunks_count; i++) {
        length += chunks[i].length;
    }
    return length;
}

/* Takes back an append that failed: half a batch must not stay, the next append starts where
 * this one did. */
static enum base_err take_back(struct file *file, uint64_t start)
{
    if (ftruncate(file->file->fd, (off_t)start) != 0) {
        enum base_err err = logstore__file_failed("truncate", file->name);
        /* Half a batch is there: not something to try again. */
        return err == BASE_ERR_NO_SPACE || err == BASE_ERR_NOMEM ? BASE_ERR_IO : err;
    }
    file->size_bytes = start;
    file->used_bytes = start;
    return BASE_ERR_OK;
}

enum logstore_io_state logstore__file_append(struct logstore_io *base,
                                             struct logstore_object *object, uint64_t position,
                                             const struct base_chunk *chunks, size_t chunks_count,
                                             struct logstore_io_op *op)
{
    struct file *file = file_of(object);
    struct cursor cursor = {.chunks = chunks, .chunks_count = chunks_count};
    struct iovec vectors[PIECE_CHUNKS_MAX];
    uint64_t start = position;
    int count = 0;

    (void)base;
    op->err = BASE_ERR_OK;
    if (atomic_load_explicit(&file->poisoned, memory_order_relaxed)) {
        op->err = BASE_ERR_IO;
        return LOGSTORE_IO_DONE;
    }
    make_spare(file, position, chunks_length(chunks, chunks_count));
    for (size_t bytes = next_piece(&cursor, piece_bytes_max(position), vectors, &count); bytes > 0;
         bytes = next_piece(&cursor, piece_bytes_max(position), vectors, &count)) {
        if (!logstore__file_write(file->file->fd, vectors, count, position)) {
            op->err = logstore__file_failed("write", file->name);
            enum base_err err = take_back(file, start);
            op->err = err == BASE_ERR_OK ? op->err : err;
            return LOGSTORE_IO_DONE;
        }
        position += bytes;
    }
    file->used_bytes = position;
    file->size_bytes = position > file->size_bytes ? position : file->size_bytes;
    return LOGSTORE_IO_DONE;
}

uint64_t logstore__file_room(struct logstore_io *base, struct logstore_object *object)
{
    const struct file *file = file_of(object);

    (void)base;
    return file->size_bytes - file->used_bytes;
}

static enum base_err sync_alone(struct file *file)
{
    if (atomic_load(&file->poisoned)) {
        return BASE_ERR_IO;
    }
    if (fdatasync(file->file->fd) != 0) {
        /* Never again: the kernel marks the pages clean, a second try would succeed. */
        atomic_store(&file->poisoned, true);
        (void)logstore__file_failed("fdatasync", file->name);
        return BASE_ERR_IO;
    }
    return BASE_ERR_OK;
}

/* The kernel tells of bytes that it could not write once for each open file. Of two that sync at
 * the same time, a roll and the group commit, one would take that for success. */
enum base_err logstore__file_sync_wait(struct logstore_io *base, struct logstore_object *object)
{
    struct file *file = file_of(object);

    (void)base;
    base_mutex_lock(&file->sync_lock);
    enum base_err err = sync_alone(file);
    base_mutex_unlock(&file->sync_lock);
    return err;
}

static void end_op(struct logstore_io_op *op)
{
    base_executor_post(op->executor, &op->task);
}

static void sync_on_worker(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, work);

    op->err = logstore__file_sync_wait(op->object->io, op->object);
    if (op->err == BASE_ERR_OK && op->on_synced != NULL) {
        op->on_synced(op);
    }
    end_op(op);
}

enum logstore_io_state logstore__file_sync(struct logstore_io *base, struct logstore_object *object,
                                           struct logstore_io_op *op)
{
    op->object = object;
    op->work.run = sync_on_worker;
    base_executor_post(logstore__file_io_of(base)->worker, &op->work);
    return LOGSTORE_IO_PENDING;
}

enum base_err logstore__file_read_wait(struct logstore_io *base, struct logstore_object *object,
                                       uint64_t position, void *data, size_t length,
                                       size_t *length_read)
{
    struct file *file = file_of(object);

    (void)base;
    *length_read = 0;
    while (*length_read < length) {
        ssize_t got = pread(file->file->fd, (uint8_t *)data + *length_read, length - *length_read,
                            (off_t)(position + *length_read));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return logstore__file_failed("read", file->name);
        }
        if (got == 0) {
            break;
        }
        *length_read += (size_t)got;
    }
    return BASE_ERR_OK;
}

static void read_on_worker(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, work);

    op->err = logstore__file_read_wait(op->object->io, op->object, op->position, op->data,
                                       op->data_length, &op->length);
    end_op(op);
}

enum logstore_io_state logstore__file_read(struct logstore_io *base, struct logstore_object *object,
                                           uint64_t position, void *data, size_t length,
                                           struct logstore_io_op *op)
{
    struct file *file = file_of(object);
    struct iovec vector = {.iov_base = data, .iov_len = length};

    op->err = BASE_ERR_OK;
    op->length = 0;
    ssize_t got = preadv2(file->file->fd, &vector, 1, (off_t)position, RWF_NOWAIT);
    if (got >= 0 && (size_t)got == length) {
        op->length = length;
        return LOGSTORE_IO_DONE;
    }
    /* Not in memory, the end of the file, or a file system without RWF_NOWAIT. */
    op->object = object;
    op->position = position;
    op->data = data;
    op->data_length = length;
    op->work.run = read_on_worker;
    base_executor_post(logstore__file_io_of(base)->worker, &op->work);
    return LOGSTORE_IO_PENDING;
}

static bool is_resident(int fd, uint64_t position, size_t length)
{
    uint8_t byte = 0;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    uint64_t last = position + length - 1;

    for (uint64_t at = position; at < last; at += RESIDENT_STEP_BYTES) {
        if (preadv2(fd, &vector, 1, (off_t)at, RWF_NOWAIT) != 1) {
            return false;
        }
    }
    return preadv2(fd, &vector, 1, (off_t)last, RWF_NOWAIT) == 1;
}

bool logstore__file_range(struct logstore_io *base, struct logstore_object *object,
                          uint64_t position, size_t length, struct base_chunk *out)
{
    struct file *file = file_of(object);

    (void)base;
    BASE_ASSERT(length > 0);
    if (!is_resident(file->file->fd, position, length)) {
        return false;
    }
    *out = (struct base_chunk){
        .file = base_file_hold(file->file), .position = position, .length = length};
    return true;
}

enum base_err logstore__file_warm(struct logstore_io *base, struct logstore_object *object,
                                  uint64_t position, size_t length)
{
    struct file *file = file_of(object);
    uint8_t *scratch = base_alloc(WARM_BYTES);
    enum base_err err = BASE_ERR_OK;

    if (scratch == NULL) {
        return BASE_ERR_NOMEM;
    }
    (void)posix_fadvise(file->file->fd, (off_t)position, (off_t)length, POSIX_FADV_WILLNEED);
    while (err == BASE_ERR_OK && length > 0) {
        size_t step = length < WARM_BYTES ? length : WARM_BYTES;
        size_t got = 0;
        err = logstore__file_read_wait(base, object, position, scratch, step, &got);
        position += step;
        length -= step;
    }
    base_free(scratch);
    return err;
}

enum base_err logstore__file_settle(struct logstore_io *base, struct logstore_object *object,
                                    uint64_t position)
{
    struct file *file = file_of(object);
    enum base_err err = logstore__file_sync_wait(base, object);

    (void)position;
    if (err == BASE_ERR_OK) {
        /* All of it: what lies behind position may share a page with what is in front, and pages
         * that are only in part behind it would stay. */
        (void)posix_fadvise(file->file->fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    return err;
}

enum base_err logstore__file_truncate(struct logstore_io *base, struct logstore_object *object,
                                      uint64_t size_bytes)
{
    struct file *file = file_of(object);

    if (file->size_bytes != size_bytes) {
        if (ftruncate(file->file->fd, (off_t)size_bytes) != 0) {
            (void)logstore__file_failed("truncate", file->name);
            return BASE_ERR_IO;
        }
        file->size_bytes = size_bytes;
        file->used_bytes = size_bytes;
    }
    return logstore__file_sync_wait(base, object);
}
