/* Reads: from files, from the tail, at every offset and limit; lookups by time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "tests/unit/logstore/fixture.h"
#include "tests/unit/logstore/packing.h"

enum { BATCHES_COUNT = 60 };

static int setup_pending(void **state)
{
    struct io_sim_options options = {.pending_one_in = 2, .latency_us_max = 1000};

    log_harness_use_sim(fixture_init(state, 3), &options);
    return 0;
}

/* Batches of 1 to 4 records and very different sizes, over several segments. */
static int64_t fill(struct log_harness *harness)
{
    static const size_t sizes[] = {10, 200, 3000, 50, 9000, 700};
    int64_t end = 0;

    harness->config.segment_bytes = 20000;
    harness->config.index_interval_bytes = 1000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < BATCHES_COUNT; i++) {
        int32_t records_count = 1 + i % 4;
        (void)log_harness_put(harness, records_count, sizes[i % 6]);
        end += records_count;
    }
    assert_true(log_harness_wait_durable(harness, end));
    sim_scheduler_advance(harness->scheduler, 1000000);
    return end;
}

/* All bytes of the log, with what is at each offset. */
struct image {
    uint8_t *bytes;
    size_t length;
    struct logstore_batch batches[BATCHES_COUNT];
    size_t positions[BATCHES_COUNT];
};

static void load(struct log_harness *harness, int64_t end, struct image *image)
{
    int64_t offset = 0;
    uint32_t count = 0;

    *image = (struct image){.bytes = malloc(1 << 20)};
    assert_non_null(image->bytes);
    while (offset < end) {
        struct logstore_read read = {.offset = offset,
                                     .limit_offset = end,
                                     .bytes_max = 1,
                                     .first_whole = true,
                                     .in_memory = true};
        log_harness_read(harness, &read);
        assert_int_equal(read.err, BASE_ERR_OK);
        assert_int_equal(read.chunks_count, 1);
        const uint8_t *data = read.chunks[0].buffer->data + read.chunks[0].position;
        assert_int_equal(logstore_batch_peek(data, read.length, &image->batches[count], NULL),
                         BASE_ERR_OK);
        assert_int_equal(image->batches[count].size_bytes, read.length);
        assert_int_equal(image->batches[count].base_offset, offset);
        memcpy(image->bytes + image->length, data, read.length);
        image->positions[count] = image->length;
        image->length += read.length;
        count++;
        offset = read.next_offset;
        logstore_read_release(&read);
    }
    assert_int_equal(count, BATCHES_COUNT);
}

static uint32_t batch_at(const struct image *image, int64_t offset)
{
    uint32_t index = 0;
    while (logstore_batch_next_offset(&image->batches[index]) <= offset) {
        index++;
    }
    return index;
}

/* Copies what a chunk holds. */
static void copy_chunk(const struct base_chunk *chunk, uint8_t *out)
{
    if (chunk->buffer != NULL) {
        memcpy(out, chunk->buffer->data + chunk->position, chunk->length);
        return;
    }
    ssize_t got = pread(chunk->file->fd, out, chunk->length, (off_t)chunk->position);
    assert_int_equal(got, chunk->length);
}

static void check_read(struct log_harness *harness, const struct image *image, int64_t offset,
                       int64_t limit, bool in_memory)
{
    static uint8_t got[1 << 20];
    size_t length = 0;
    struct logstore_read read = {.offset = offset,
                                 .limit_offset = limit,
                                 .bytes_max = 1 << 20,
                                 .first_whole = true,
                                 .in_memory = in_memory};
    log_harness_read(harness, &read);
    assert_int_equal(read.err, BASE_ERR_OK);
    for (uint32_t i = 0; i < read.chunks_count; i++) {
        assert_true(!in_memory || read.chunks[i].buffer != NULL);
        copy_chunk(&read.chunks[i], got + length);
        length += read.chunks[i].length;
    }
    assert_int_equal(length, read.length);
    if (offset >= limit) {
        assert_int_equal(length, 0);
        assert_int_equal(read.next_offset, offset);
    } else {
        uint32_t first = batch_at(image, offset);
        uint32_t last = batch_at(image, read.next_offset - 1);
        assert_true(image->batches[last].base_offset < limit);
        assert_int_equal(read.next_offset, logstore_batch_next_offset(&image->batches[last]));
        assert_int_equal(length, image->positions[last] + image->batches[last].size_bytes -
                                     image->positions[first]);
        assert_memory_equal(got, image->bytes + image->positions[first], length);
    }
    logstore_read_release(&read);
}

static void check_all(struct log_harness *harness)
{
    struct image image;
    int64_t end = fill(harness);

    load(harness, end, &image);
    for (int64_t offset = 0; offset <= end; offset++) {
        for (int64_t limit = offset; limit <= end; limit++) {
            check_read(harness, &image, offset, limit, true);
            check_read(harness, &image, offset, limit, false);
        }
    }
    free(image.bytes);
}

static void limit_is_respected_at_every_offset(void **state)
{
    check_all(*state);
}

static void limit_is_respected_at_every_offset_of_the_tail(void **state)
{
    check_all(*state);
}

static void limit_is_respected_at_every_offset_when_reads_end_later(void **state)
{
    check_all(*state);
}

static void budget_is_respected_but_for_a_first_batch(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = fill(harness);

    for (int64_t offset = 0; offset < end; offset++) {
        for (size_t bytes_max = 0; bytes_max < 20000; bytes_max += 333) {
            struct logstore_read read = {.offset = offset,
                                         .limit_offset = end,
                                         .bytes_max = bytes_max,
                                         .first_whole = bytes_max % 2 == 0,
                                         .in_memory = true};
            log_harness_read(harness, &read);
            assert_int_equal(read.err, BASE_ERR_OK);
            if (read.first_whole) {
                assert_true(read.length > 0);
            }
            if (read.length > bytes_max) {
                struct logstore_batch batch;
                assert_true(read.first_whole);
                assert_int_equal(read.chunks_count, 1);
                assert_int_equal(
                    logstore_batch_peek(read.chunks[0].buffer->data + read.chunks[0].position,
                                        read.length, &batch, NULL),
                    BASE_ERR_OK);
                assert_int_equal(batch.size_bytes, read.length);
            }
            logstore_read_release(&read);
        }
    }
}

static void offsets_outside_the_log_are_out_of_range(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = fill(harness);

    assert_int_equal(log_harness_trim(harness, 10), BASE_ERR_OK);
    struct logstore_read read = {.limit_offset = end, .bytes_max = 1000, .first_whole = true};
    static const struct {
        int64_t offset;
        bool is_inside;
    } rows[] = {{-1, false}, {0, false}, {9, false}, {10, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        read.offset = rows[i].offset;
        log_harness_read(harness, &read);
        assert_int_equal(read.err, rows[i].is_inside ? BASE_ERR_OK : BASE_ERR_OUT_OF_RANGE);
        logstore_read_release(&read);
    }
    read.offset = end;
    log_harness_read(harness, &read);
    assert_int_equal(read.err, BASE_ERR_OK);
    assert_int_equal(read.chunks_count, 0);
    read.offset = end + 1;
    log_harness_read(harness, &read);
    assert_int_equal(read.err, BASE_ERR_OUT_OF_RANGE);
}

static void file_chunks_outlive_their_segment(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = fill(harness);
    static uint8_t before[1 << 16];
    static uint8_t after[1 << 16];
    struct logstore_read read = {.limit_offset = end, .bytes_max = 10000, .first_whole = true};

    log_harness_read(harness, &read);
    assert_int_equal(read.chunks_count, 1);
    assert_non_null(read.chunks[0].file);
    copy_chunk(&read.chunks[0], before);
    uint32_t segments = log_harness_segments(harness);
    assert_int_equal(log_harness_trim(harness, end), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, 1000000);
    assert_true(log_harness_segments(harness) < segments);
    copy_chunk(&read.chunks[0], after);
    assert_memory_equal(before, after, read.length);
    logstore_read_release(&read);
}

static void small_neighbours_in_the_tail_are_one_chunk(void **state)
{
    struct log_harness *harness = *state;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < 30; i++) {
        (void)log_harness_put(harness, 1, 40);
    }
    assert_true(log_harness_wait_written(harness, 30));
    struct logstore_read read = {.limit_offset = 30, .bytes_max = 1 << 20, .in_memory = false};
    assert_int_equal(logstore_log_read(harness->log, &read), LOGSTORE_IO_DONE);
    assert_int_equal(read.next_offset, 30);
    assert_int_equal(read.chunks_count, 1);
    assert_non_null(read.chunks[0].buffer);
    logstore_read_release(&read);
}

static void large_batch_in_the_tail_is_shared_not_copied(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch spec = {
        .records_count = 1, .value_bytes = 10000, .producer_id = -1, .base_sequence = -1};
    struct logstore_appended appended;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    struct base_chunk chunk = log_harness_make(harness, &spec);
    assert_int_equal(log_harness_append_chunk(harness, &chunk, &appended), BASE_ERR_OK);
    struct logstore_read read = {.limit_offset = 1, .bytes_max = 1 << 20};
    assert_int_equal(logstore_log_read(harness->log, &read), LOGSTORE_IO_DONE);
    assert_ptr_equal(read.chunks[0].buffer, chunk.buffer);
    logstore_read_release(&read);
    base_chunk_release(&chunk);
}

static void idle_tail_gives_its_memory_back(void **state)
{
    struct log_harness *harness = *state;
    size_t before = base_buffer_total_bytes();

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < 20; i++) {
        (void)log_harness_put(harness, 1, 5000);
    }
    assert_true(base_buffer_total_bytes() - before > 100000);
    sim_scheduler_advance(harness->scheduler, 15 * 1000000);
    assert_int_equal(base_buffer_total_bytes(), before);
}

static void few_segments_stay_open(void **state)
{
    struct log_harness *harness = *state;
    uint32_t count = 0;

    harness->open_segments_max = 2;
    int64_t end = fill(harness);
    assert_true(log_harness_segments(harness) > 5);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(log_harness_verify(harness, 0, end, &count), end);
        sim_scheduler_advance(harness->scheduler, 1000000);
        assert_int_equal(count, BATCHES_COUNT);
    }
}

struct slow_read {
    struct logstore_read read;
    bool is_done;
};

static void slow_read_ended(struct base_task *task)
{
    struct logstore_read *read = BASE_CONTAINER_OF(task, struct logstore_read, task);
    BASE_CONTAINER_OF(read, struct slow_read, read)->is_done = true;
}

static void close_answers_reads_under_way_first(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = fill(harness);
    struct slow_read reads[20] = {0};
    int pending = 0;

    for (int i = 0; i < 20; i++) {
        reads[i].read = (struct logstore_read){.offset = end * i / 20,
                                               .limit_offset = end,
                                               .bytes_max = 5000,
                                               .first_whole = true,
                                               .in_memory = true,
                                               .executor = harness->loop,
                                               .task.run = slow_read_ended};
        pending += logstore_log_read(harness->log, &reads[i].read) == LOGSTORE_IO_PENDING;
        reads[i].is_done = pending == 0;
    }
    assert_true(pending > 0);
    log_harness_close(harness, true);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(reads[i].read.err, BASE_ERR_OK);
        assert_true(reads[i].read.length > 0);
        logstore_read_release(&reads[i].read);
    }
}

/* Replaces the records of a plain batch by their gzip form. */
static struct base_chunk compressed(struct base_chunk *plain)
{
    struct base_writer writer;
    const uint8_t *bytes = plain->buffer->data + plain->position;

    base_writer_init(&writer, 8 << 20);
    base_writer_bytes(&writer, bytes, LOGSTORE_BATCH_HEADER_SIZE);
    pack_gzip(base_slice_of(bytes + LOGSTORE_BATCH_HEADER_SIZE,
                            plain->length - LOGSTORE_BATCH_HEADER_SIZE),
              &writer);
    base_chunk_release(plain);
    size_t length = 0;
    struct base_buffer *buffer = base_writer_take(&writer, &length);
    assert_non_null(buffer);
    base_put_i32(buffer->data + LOGSTORE_BATCH_AT_LENGTH,
                 (int32_t)length - LOGSTORE_BATCH_LENGTH_OVERHEAD);
    base_put_u16(buffer->data + LOGSTORE_BATCH_AT_ATTRIBUTES, LOGSTORE_CODEC_GZIP);
    base_put_u32(buffer->data + LOGSTORE_BATCH_AT_CRC,
                 base_crc32c(0, buffer->data + LOGSTORE_BATCH_AT_ATTRIBUTES,
                             length - LOGSTORE_BATCH_AT_ATTRIBUTES));
    return (struct base_chunk){.buffer = buffer, .length = length};
}

static void check_lookup(struct log_harness *harness, int64_t timestamp_ms, int64_t limit,
                         int64_t offset, int64_t found_ms)
{
    struct logstore_lookup lookup = {.timestamp_ms = timestamp_ms, .limit_offset = limit};
    log_harness_lookup(harness, &lookup);
    assert_int_equal(lookup.err, BASE_ERR_OK);
    assert_int_equal(lookup.offset, offset);
    assert_int_equal(lookup.found_timestamp_ms, found_ms);
}

static void lookup_finds_the_first_record_also_in_a_compressed_batch(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_appended appended;

    harness->config.segment_bytes = 2000;
    harness->config.index_interval_bytes = 300;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    /* 50 batches of 4 records: timestamps 1000, 1001, 1002, 1003; 1010, ... */
    for (int i = 0; i < 50; i++) {
        struct log_harness_batch spec = {.records_count = 4,
                                         .value_bytes = 40,
                                         .timestamp_ms = 1000 + i * 10,
                                         .producer_id = -1,
                                         .base_sequence = -1};
        struct base_chunk chunk = log_harness_make(harness, &spec);
        if (i % 2 == 1) {
            chunk = compressed(&chunk);
        }
        assert_int_equal(log_harness_append_chunk(harness, &chunk, &appended), BASE_ERR_OK);
        base_chunk_release(&chunk);
        sim_scheduler_run(harness->scheduler);
    }
    assert_true(log_harness_wait_durable(harness, 200));
    assert_true(log_harness_segments(harness) > 3);
    check_lookup(harness, 0, 200, 0, 1000);
    check_lookup(harness, 1002, 200, 2, 1002);
    check_lookup(harness, 1004, 200, 4, 1010);
    check_lookup(harness, 1012, 200, 6, 1012);
    check_lookup(harness, 1331, 200, 133, 1331);
    check_lookup(harness, 1493, 200, 199, 1493);
    check_lookup(harness, 1494, 200, -1, -1);
    check_lookup(harness, 1493, 199, -1, -1); /* behind the limit */
    check_lookup(harness, LOGSTORE_LOOKUP_MAX, 200, 199, 1493);
    check_lookup(harness, LOGSTORE_LOOKUP_MAX, 100, 99, 1243);
    assert_int_equal(log_harness_trim(harness, 6), BASE_ERR_OK);
    check_lookup(harness, 0, 200, 6, 1012);
    assert_int_equal(log_harness_trim(harness, 200), BASE_ERR_OK);
    check_lookup(harness, 0, 200, -1, -1);
    check_lookup(harness, LOGSTORE_LOOKUP_MAX, 200, -1, -1);
}

static void lookup_goes_by_offset_when_time_runs_backwards(void **state)
{
    struct log_harness *harness = *state;
    static const int64_t times[] = {5000, 1000, 9000, 3000, 9000};
    struct logstore_appended appended;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct log_harness_batch spec = {.records_count = 1,
                                         .value_bytes = 10,
                                         .timestamp_ms = times[i],
                                         .producer_id = -1,
                                         .base_sequence = -1};
        assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    }
    check_lookup(harness, 2000, 5, 0, 5000);
    check_lookup(harness, 6000, 5, 2, 9000);
    check_lookup(harness, LOGSTORE_LOOKUP_MAX, 5, 2, 9000);
    check_lookup(harness, LOGSTORE_LOOKUP_MAX, 2, 0, 5000);
}

/* What lies in front of the time that is asked for is known, and not read again. */
static void lookup_opens_no_segment_that_cannot_have_it(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_appended appended;

    harness->open_segments_max = 2;
    harness->config.segment_bytes = 1000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < BATCHES_COUNT; i++) {
        struct log_harness_batch spec = {.records_count = 1,
                                         .value_bytes = 400,
                                         .timestamp_ms = 1000 + i,
                                         .producer_id = -1,
                                         .base_sequence = -1};
        assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
        sim_scheduler_run(harness->scheduler);
    }
    assert_true(log_harness_wait_durable(harness, BATCHES_COUNT));
    assert_true(log_harness_segments(harness) > 10);
    check_lookup(harness, 1000 + BATCHES_COUNT - 1, BATCHES_COUNT, BATCHES_COUNT - 1,
                 1000 + BATCHES_COUNT - 1);
    sim_scheduler_advance(harness->scheduler, 400 * 1000000LL); /* closes what is idle */
    uint64_t before = io_sim_calls_count(harness->sim);
    check_lookup(harness, 1000 + BATCHES_COUNT - 1, BATCHES_COUNT, BATCHES_COUNT - 1,
                 1000 + BATCHES_COUNT - 1);
    assert_in_range(io_sim_calls_count(harness->sim) - before, 0, 8);
}

/* Headers of compressed batches may promise what their records do not keep: only so many of them
 * are inflated, then one is the answer as it is. */
static void lookup_opens_only_so_many_batches(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_appended appended;
    enum { PROMISES_COUNT = 20 };

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < PROMISES_COUNT; i++) {
        struct log_harness_batch spec = {.records_count = 1,
                                         .value_bytes = 4 << 20,
                                         .timestamp_ms = 1000,
                                         .producer_id = -1,
                                         .base_sequence = -1};
        struct base_chunk plain = log_harness_make(harness, &spec);
        struct base_chunk chunk = compressed(&plain);
        logstore_batch_set_max_timestamp(chunk.buffer->data, chunk.length, 5000);
        assert_int_equal(log_harness_append_chunk(harness, &chunk, &appended), BASE_ERR_OK);
        base_chunk_release(&chunk);
    }
    struct logstore_lookup lookup = {.timestamp_ms = 2000, .limit_offset = PROMISES_COUNT};
    log_harness_lookup(harness, &lookup);
    assert_int_equal(lookup.err, BASE_ERR_OK);
    assert_in_range(lookup.offset, 1, 32 / 4);
    assert_int_equal(lookup.found_timestamp_ms, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(limit_is_respected_at_every_offset, setup_files, teardown),
        cmocka_unit_test_setup_teardown(limit_is_respected_at_every_offset_of_the_tail,
                                        setup_files_tail, teardown),
        cmocka_unit_test_setup_teardown(limit_is_respected_at_every_offset_when_reads_end_later,
                                        setup_pending, teardown),
        cmocka_unit_test_setup_teardown(budget_is_respected_but_for_a_first_batch, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(budget_is_respected_but_for_a_first_batch, setup_files_tail,
                                        teardown),
        cmocka_unit_test_setup_teardown(offsets_outside_the_log_are_out_of_range, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(file_chunks_outlive_their_segment, setup_files, teardown),
        cmocka_unit_test_setup_teardown(small_neighbours_in_the_tail_are_one_chunk,
                                        setup_files_tail, teardown),
        cmocka_unit_test_setup_teardown(large_batch_in_the_tail_is_shared_not_copied,
                                        setup_files_tail, teardown),
        cmocka_unit_test_setup_teardown(idle_tail_gives_its_memory_back, setup_files_tail,
                                        teardown),
        cmocka_unit_test_setup_teardown(few_segments_stay_open, setup_files, teardown),
        cmocka_unit_test_setup_teardown(close_answers_reads_under_way_first, setup_pending,
                                        teardown),
        cmocka_unit_test_setup_teardown(lookup_finds_the_first_record_also_in_a_compressed_batch,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(lookup_goes_by_offset_when_time_runs_backwards, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(lookup_opens_only_so_many_batches, setup_files, teardown),
        cmocka_unit_test_setup_teardown(lookup_opens_no_segment_that_cannot_have_it, setup_sim,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
