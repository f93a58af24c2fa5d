/* Opening what a crash, a bad disk or a clumsy hand has left. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/log.h"
#include "logstore/footer.h"
#include "tests/unit/logstore/fixture.h"

#define FIRST "00000000000000000000.log"

static off_t size_of(const struct log_harness *harness, const char *object)
{
    char path[256];
    struct stat status;
    log_harness_path(harness, object, path, sizeof path);
    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void cut(const struct log_harness *harness, const char *object, off_t size)
{
    char path[256];
    log_harness_path(harness, object, path, sizeof path);
    assert_int_equal(truncate(path, size), 0);
}

static void flip(const struct log_harness *harness, const char *object, off_t position)
{
    char path[256];
    uint8_t byte = 0;
    log_harness_path(harness, object, path, sizeof path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, position), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, position), 1);
    (void)close(fd);
}

static void drop(const struct log_harness *harness, const char *object)
{
    char path[256];
    log_harness_path(harness, object, path, sizeof path);
    assert_int_equal(unlink(path), 0);
}

static void open_log(struct log_harness *harness)
{
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
}

/* count batches of two records, all durable, then closed like after a kill. */
static void write_and_kill(struct log_harness *harness, int count)
{
    open_log(harness);
    for (int i = 0; i < count; i++) {
        (void)log_harness_put(harness, 2, 100);
    }
    assert_true(log_harness_wait_durable(harness, count * 2));
    log_harness_close(harness, false);
}

static void kill_loses_nothing_that_was_written(void **state)
{
    struct log_harness *harness = *state;
    uint32_t count = 0;

    harness->config.durable = false;
    open_log(harness);
    for (int i = 0; i < 1000; i++) {
        (void)log_harness_put(harness, 1, 300);
        sim_scheduler_run(harness->scheduler);
    }
    assert_true(log_harness_durable(harness) < 1000);
    log_harness_close(harness, false);
    open_log(harness);
    assert_int_equal(log_harness_durable(harness), 1000);
    assert_int_equal(log_harness_verify(harness, 0, 1000, &count), 1000);
    assert_int_equal(count, 1000);
}

/* At most 4096 bytes. */
static void read_file(const struct log_harness *harness, uint8_t *bytes, size_t size)
{
    assert_in_range(size, 1, 4096);
    char path[256];
    log_harness_path(harness, FIRST, path, sizeof path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(pread(fd, bytes, size, 0) == (ssize_t)size);
    (void)close(fd);
}

static void write_file(const struct log_harness *harness, const uint8_t *bytes, size_t size)
{
    char path[256];
    log_harness_path(harness, FIRST, path, sizeof path);
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    (void)close(fd);
}

static void torn_tail_is_cut_at_every_byte_of_the_last_batch(void **state)
{
    struct log_harness *harness = *state;
    uint8_t bytes[4096];

    write_and_kill(harness, 3);
    size_t whole = (size_t)size_of(harness, FIRST);
    size_t good = whole / 3 * 2;
    assert_int_equal(whole % 3, 0);
    assert_in_range(whole, 1, sizeof bytes);
    read_file(harness, bytes, whole);
    for (size_t size = whole - 1; size >= good; size--) {
        drop(harness, "durable"); /* as if the last batch had never been synced */
        write_file(harness, bytes, size);
        open_log(harness);
        assert_int_equal(log_harness_end(harness), 4);
        assert_int_equal(log_harness_verify(harness, 0, 4, NULL), 4);
        log_harness_close(harness, false);
        /* A batch begins with seven zeros, the first bytes of its offset. */
        assert_int_equal(size_of(harness, FIRST), size < good + 8 ? size : good);
    }
    open_log(harness);
    assert_int_equal(log_harness_put(harness, 1, 10), 4);
}

static void zeros_behind_the_last_batch_are_no_torn_tail(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    off_t whole = size_of(harness, FIRST);
    cut(harness, FIRST, whole + 100000); /* which makes it longer */
    open_log(harness);
    assert_int_equal(log_harness_end(harness), 6);
    assert_int_equal(size_of(harness, FIRST), whole + 100000);
    assert_int_equal(log_harness_put(harness, 1, 10), 6);
    assert_int_equal(log_harness_verify(harness, 0, 7, NULL), 7);
    log_harness_close(harness, false);
    open_log(harness);
    assert_int_equal(log_harness_end(harness), 7);
    assert_int_equal(log_harness_verify(harness, 0, 7, NULL), 7);
}

static void any_other_byte_behind_the_last_batch_is_cut_with_the_zeros(void **state)
{
    struct log_harness *harness = *state;
    static const off_t places[] = {0, 1, 63, 70000, 99999};

    write_and_kill(harness, 3);
    off_t whole = size_of(harness, FIRST);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        cut(harness, FIRST, whole + 100000);
        flip(harness, FIRST, whole + places[i]);
        open_log(harness);
        assert_int_equal(log_harness_end(harness), 6);
        assert_int_equal(size_of(harness, FIRST), whole);
        log_harness_close(harness, false);
    }
}

static void flipped_byte_of_the_unsynced_tail_is_cut(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    off_t whole = size_of(harness, FIRST);
    drop(harness, "durable");
    flip(harness, FIRST, whole - 1);
    open_log(harness);
    assert_int_equal(log_harness_end(harness), 4);
    assert_int_equal(size_of(harness, FIRST), whole / 3 * 2);
}

/* The log must not open for writing, say where, and leave the file as it is. */
static void check_offline(struct log_harness *harness, off_t position, int64_t readable)
{
    char where[64];
    off_t size = size_of(harness, FIRST);

    assert_int_equal(log_harness_open(harness), BASE_ERR_CORRUPT);
    const char *reason = log_harness_reason(harness);
    assert_non_null(strstr(reason, LOG_HARNESS_NAME "/" FIRST));
    (void)snprintf(where, sizeof where, "position %lld:", (long long)position);
    assert_non_null(strstr(reason, where));
    struct logstore_appended appended;
    struct log_harness_batch spec = {.records_count = 1, .producer_id = -1, .base_sequence = -1};
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OFFLINE);
    assert_int_equal(log_harness_written(harness), readable);
    assert_int_equal(log_harness_verify(harness, 0, readable, NULL), readable);
    log_harness_close(harness, true);
    assert_int_equal(size_of(harness, FIRST), size);
}

static void flipped_byte_of_what_was_durable_stops_the_log(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    off_t third = size_of(harness, FIRST) / 3;
    for (off_t position = 0; position < third * 3; position += 7) {
        flip(harness, FIRST, position);
        check_offline(harness, position / third * third, position / third * 2);
        flip(harness, FIRST, position);
    }
    open_log(harness);
    assert_int_equal(log_harness_end(harness), 6);
}

static void lost_end_of_what_was_durable_stops_the_log(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    off_t third = size_of(harness, FIRST) / 3;
    cut(harness, FIRST, third * 2);
    check_offline(harness, third * 2, 4);
    cut(harness, FIRST, third * 2 - 1);
    check_offline(harness, third, 2);
}

static void torn_tail_in_front_of_the_start_stops_the_log(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    open_log(harness);
    assert_int_equal(log_harness_trim(harness, 6), BASE_ERR_OK);
    log_harness_close(harness, false);
    off_t whole = size_of(harness, FIRST);
    drop(harness, "durable"); /* "head" alone tells that the last batch was on disk */
    flip(harness, FIRST, whole - 1);
    assert_int_equal(log_harness_open(harness), BASE_ERR_CORRUPT);
    assert_non_null(strstr(log_harness_reason(harness), "in front of its start"));
    assert_int_equal(log_harness_written(harness), 4);
    log_harness_close(harness, true);
    assert_int_equal(size_of(harness, FIRST), whole); /* not a byte is cut */
}

static void what_was_durable_and_reads_as_zeros_stops_the_log(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    off_t whole = size_of(harness, FIRST);
    cut(harness, FIRST, whole / 3 * 2);
    cut(harness, FIRST, whole + 5000);
    check_offline(harness, whole / 3 * 2, 4);
}

static void file_shorter_than_its_checkpoint_stops_the_log(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_bytes = 1 << 20;
    open_log(harness);
    for (int i = 0; i < 3; i++) {
        (void)log_harness_put(harness, 2, 30000);
    }
    log_harness_close(harness, true);
    drop(harness, "durable");
    off_t third = size_of(harness, FIRST) / 3;
    cut(harness, FIRST, third * 2);
    check_offline(harness, third * 2, 4);
}

static void repeated_batch_stops_the_log(void **state)
{
    struct log_harness *harness = *state;
    char path[256];
    static uint8_t bytes[1 << 16];

    write_and_kill(harness, 3);
    off_t third = size_of(harness, FIRST) / 3;
    log_harness_path(harness, FIRST, path, sizeof path);
    int fd = open(path, O_RDWR);
    /* The second batch again in the place of the third: a good CRC, a wrong offset. */
    assert_int_equal(pread(fd, bytes, (size_t)third, third), third);
    assert_int_equal(pwrite(fd, bytes, (size_t)third, third * 2), third);
    (void)close(fd);
    check_offline(harness, third * 2, 4);
}

static void damaged_head_stops_the_log(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    open_log(harness);
    assert_int_equal(log_harness_trim(harness, 2), BASE_ERR_OK);
    log_harness_close(harness, true);
    flip(harness, "head", 20);
    assert_int_equal(log_harness_open(harness), BASE_ERR_CORRUPT);
    assert_non_null(strstr(log_harness_reason(harness), "head"));
    log_harness_close(harness, true);
    flip(harness, "head", 20);
    open_log(harness);
    assert_int_equal(log_harness_start(harness), 2);
}

/* Nine segments of three batches and an active one. */
static void write_segments(struct log_harness *harness)
{
    harness->config.segment_bytes = 3000;
    harness->config.index_interval_bytes = 500;
    open_log(harness);
    for (int i = 0; i < 29; i++) {
        (void)log_harness_put(harness, 1, 900);
        sim_scheduler_run(harness->scheduler);
    }
    assert_true(log_harness_wait_durable(harness, 29));
    assert_int_equal(log_harness_segments(harness), 10);
    log_harness_close(harness, true);
}

static void name_of(char name[64], int64_t base_offset, const char *suffix)
{
    (void)snprintf(name, 64, "%020lld%s", (long long)base_offset, suffix);
}

static void missing_and_damaged_indexes_are_made_again(void **state)
{
    struct log_harness *harness = *state;
    char name[64];

    write_segments(harness);
    for (int64_t base = 0; base <= 24; base += 3) {
        name_of(name, base, ".index");
        assert_true(size_of(harness, name) > 0);
        if (base % 2 == 0) {
            drop(harness, name);
        } else {
            flip(harness, name, size_of(harness, name) / 2);
        }
    }
    open_log(harness);
    assert_int_equal(log_harness_end(harness), 29);
    assert_int_equal(log_harness_verify(harness, 0, 29, NULL), 29);
    sim_scheduler_advance(harness->scheduler, 1000000);
    log_harness_close(harness, true);
    for (int64_t base = 0; base <= 24; base += 3) {
        name_of(name, base, ".index");
        assert_true(size_of(harness, name) > 0);
    }
}

static void times_before_time_are_taken_when_an_index_is_made_again(void **state)
{
    struct log_harness *harness = *state;
    const struct log_harness_batch spec = {.records_count = 1,
                                           .value_bytes = 900,
                                           .timestamp_ms = -2,
                                           .producer_id = -1,
                                           .producer_epoch = -1,
                                           .base_sequence = -1};
    struct logstore_appended appended;

    harness->config.segment_bytes = 3000;
    harness->config.index_interval_bytes = 500;
    harness->config.retention_ms = 1000000;
    open_log(harness);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
        assert_true(log_harness_wait_durable(harness, i + 1));
    }
    log_harness_close(harness, false);
    drop(harness, "00000000000000000000.index");
    open_log(harness);
    assert_int_equal(log_harness_verify(harness, 0, 5, NULL), 5);
}

static void damage_in_a_sealed_segment_is_found_when_it_is_read_again(void **state)
{
    struct log_harness *harness = *state;
    char name[64];

    write_segments(harness);
    name_of(name, 6, ".index");
    drop(harness, name);
    name_of(name, 6, ".log");
    flip(harness, name, 1500);
    open_log(harness);
    struct logstore_read read = {
        .offset = 7, .limit_offset = 29, .bytes_max = 1000, .first_whole = true, .in_memory = true};
    log_harness_read(harness, &read);
    assert_int_equal(read.err, BASE_ERR_CORRUPT);
    assert_non_null(strstr(log_harness_reason(harness), name));
    read.offset = 12; /* the others can still be read */
    log_harness_read(harness, &read);
    assert_int_equal(read.err, BASE_ERR_OK);
    logstore_read_release(&read);
}

static void sealed_segment_of_another_size_is_found(void **state)
{
    struct log_harness *harness = *state;
    char name[64];

    write_segments(harness);
    name_of(name, 6, ".log");
    cut(harness, name, 1500);
    open_log(harness);
    struct logstore_read read = {
        .offset = 7, .limit_offset = 29, .bytes_max = 1000, .first_whole = true, .in_memory = true};
    log_harness_read(harness, &read);
    assert_int_equal(read.err, BASE_ERR_CORRUPT);
    assert_non_null(log_harness_reason(harness));
}

/* What a hostile checkpoint says, with a checksum that is right. */
struct hostile {
    bool has_index;
    int64_t next_offset_less;      /* than that of the last entry */
    int64_t max_timestamp_ms_less; /* than that of the last entry */
};

static void write_hostile(struct log_harness *harness, const struct hostile *hostile)
{
    const char *name = LOG_HARNESS_NAME "/00000000000000000000.index";
    struct logstore_footer footer;
    struct logstore_index index;
    struct base_buffer *content = NULL;
    struct base_slice snapshot;
    struct base_writer writer;
    size_t length = 0;

    logstore_index_init(&index);
    base_writer_init(&writer, 1 << 20);
    assert_int_equal(harness->io->ops->get(harness->io, name, 1 << 20, &content, &length),
                     BASE_ERR_OK);
    assert_int_equal(
        logstore_footer_decode(base_slice_of(content->data, length), &footer, &index, &snapshot),
        BASE_ERR_OK);
    assert_true(index.count > 0);
    if (!hostile->has_index) {
        logstore_index_fini(&index);
    }
    struct logstore_index_entry last = logstore_index_find_position(&index, UINT32_MAX);
    if (hostile->next_offset_less > 0) {
        footer.next_offset = footer.base_offset + last.relative_offset - hostile->next_offset_less;
    }
    if (hostile->max_timestamp_ms_less > 0) {
        footer.max_timestamp_ms = last.max_timestamp_ms - hostile->max_timestamp_ms_less;
    }
    logstore_footer_encode(&footer, &index, snapshot, &writer);
    assert_int_equal(
        harness->io->ops->put(harness->io, name, base_slice_of(writer.buffer->data, writer.length)),
        BASE_ERR_OK);
    base_writer_fini(&writer);
    logstore_index_fini(&index);
    base_buffer_release(&content);
}

static void checkpoint_that_contradicts_its_index_is_not_used(void **state)
{
    static const struct hostile rows[] = {
        {.has_index = true, .max_timestamp_ms_less = 1},
        {.has_index = true, .max_timestamp_ms_less = 1 + (INT64_C(1) << 50)},
        {.has_index = false, .max_timestamp_ms_less = 1},
        {.has_index = true, .next_offset_less = 1},
    };
    struct log_harness *harness = *state;
    int64_t end = 0;

    harness->config.segment_bytes = 1 << 20;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_log(harness);
        for (int k = 0; k < 3; k++) {
            end = log_harness_put(harness, 2, 30000) + 2;
        }
        log_harness_close(harness, true);
        write_hostile(harness, &rows[i]);
        open_log(harness);
        assert_int_equal(log_harness_end(harness), end);
        for (int k = 0; k < 2; k++) {
            end = log_harness_put(harness, 2, 30000) + 2;
        }
        assert_true(log_harness_wait_durable(harness, end));
        assert_int_equal(log_harness_verify(harness, 0, end, NULL), end);
        log_harness_close(harness, true);
    }
}

static void good_close_spares_the_next_open_its_scan(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_bytes = 1 << 20;
    open_log(harness);
    for (int i = 0; i < 300; i++) {
        (void)log_harness_put(harness, 1, 900);
    }
    log_harness_close(harness, true);
    uint64_t before = io_sim_calls_count(harness->sim);
    open_log(harness);
    /* list, head, durable, index: not even the segment is opened. */
    assert_int_equal(io_sim_calls_count(harness->sim) - before, 4);
    assert_int_equal(log_harness_end(harness), 300);
}

static enum base_err count_record(void *context, const struct logstore_record *record)
{
    int *count = context;
    (void)record;
    ++*count;
    return BASE_ERR_OK;
}

/* The checkpoint vouches for these bytes, so opening does not look at them. */
static void damaged_batch_gives_a_replay_no_record(void **state)
{
    enum { BATCHES = 300, DAMAGED = 100 };
    struct log_harness *harness = *state;
    int count = 0;

    harness->config.segment_bytes = 1 << 20;
    open_log(harness);
    for (int i = 0; i < BATCHES; i++) {
        (void)log_harness_put(harness, 1, 900);
    }
    log_harness_close(harness, true);
    flip(harness, FIRST, size_of(harness, FIRST) / BATCHES * DAMAGED + 500); /* in its value */
    open_log(harness);
    assert_int_equal(log_harness_end(harness), BATCHES);
    assert_int_equal(log_harness_replay(harness, 0, BATCHES, count_record, &count),
                     BASE_ERR_CORRUPT);
    assert_int_equal(count, DAMAGED);
}

static void failed_sync_stops_the_log_and_is_not_tried_again(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_appended appended;
    struct log_harness_batch spec = {.records_count = 1, .producer_id = -1, .base_sequence = -1};

    open_log(harness);
    (void)log_harness_put(harness, 1, 10);
    assert_true(log_harness_wait_durable(harness, 1));
    io_sim_fail_sync_at(harness->sim, 0);
    (void)log_harness_put(harness, 1, 10);
    assert_false(log_harness_wait_durable(harness, 2));
    const char *reason = log_harness_reason(harness);
    assert_non_null(strstr(reason, FIRST));
    assert_non_null(strstr(reason, "sync"));
    assert_int_equal(log_harness_durable(harness), 1);
    uint64_t syncs = io_sim_syncs_count(harness->sim);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OFFLINE);
    sim_scheduler_advance(harness->scheduler, 10000000);
    assert_int_equal(io_sim_syncs_count(harness->sim), syncs);
    /* What had been written can be read, durable or not. */
    assert_int_equal(log_harness_verify(harness, 0, 2, NULL), 2);
}

static const struct logstore_io_ops *true_ops;

/* As if somebody wrote to the object after it was listed. */
static enum base_err open_larger(struct logstore_io *io, const char *name,
                                 struct logstore_object **out, uint64_t *size_bytes)
{
    enum base_err err = true_ops->open(io, name, out, size_bytes);

    *size_bytes += 1;
    return err;
}

static void segment_that_changes_while_it_is_opened_is_an_error(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    drop(harness, "durable");
    true_ops = harness->io->ops;
    struct logstore_io_ops ops = *true_ops;
    ops.open = open_larger;
    harness->io->ops = &ops;
    assert_int_equal(log_harness_open(harness), BASE_ERR_IO);
    harness->io->ops = true_ops;
    open_log(harness);
    assert_int_equal(log_harness_verify(harness, 0, 6, NULL), 6);
}

static void lost_active_segment_is_noticed(void **state)
{
    struct log_harness *harness = *state;
    char name[64];

    write_segments(harness);
    name_of(name, 27, ".log");
    drop(harness, name);
    assert_int_equal(log_harness_open(harness), BASE_ERR_CORRUPT);
}

static void lost_segments_do_not_make_a_new_log(void **state)
{
    struct log_harness *harness = *state;

    write_and_kill(harness, 3);
    drop(harness, FIRST);
    assert_int_equal(log_harness_open(harness), BASE_ERR_CORRUPT);
    log_harness_close(harness, true);
    assert_int_equal(size_of(harness, FIRST), -1);
}

int main(void)
{
    base_log_configure(BASE_LOG_ERROR + 1, BASE_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kill_loses_nothing_that_was_written, setup_files, teardown),
        cmocka_unit_test_setup_teardown(torn_tail_is_cut_at_every_byte_of_the_last_batch,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(zeros_behind_the_last_batch_are_no_torn_tail, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(any_other_byte_behind_the_last_batch_is_cut_with_the_zeros,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(flipped_byte_of_the_unsynced_tail_is_cut, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(flipped_byte_of_what_was_durable_stops_the_log, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(lost_end_of_what_was_durable_stops_the_log, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(torn_tail_in_front_of_the_start_stops_the_log, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_durable_and_reads_as_zeros_stops_the_log,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(file_shorter_than_its_checkpoint_stops_the_log, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(repeated_batch_stops_the_log, setup_files, teardown),
        cmocka_unit_test_setup_teardown(damaged_head_stops_the_log, setup_files, teardown),
        cmocka_unit_test_setup_teardown(missing_and_damaged_indexes_are_made_again, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(times_before_time_are_taken_when_an_index_is_made_again,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(damage_in_a_sealed_segment_is_found_when_it_is_read_again,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(sealed_segment_of_another_size_is_found, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(checkpoint_that_contradicts_its_index_is_not_used,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(good_close_spares_the_next_open_its_scan, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(damaged_batch_gives_a_replay_no_record, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(failed_sync_stops_the_log_and_is_not_tried_again, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(segment_that_changes_while_it_is_opened_is_an_error,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(lost_active_segment_is_noticed, setup_files, teardown),
        cmocka_unit_test_setup_teardown(lost_segments_do_not_make_a_new_log, setup_files, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
