/* Iterator and builder: real batches of every codec, round trips, damage, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "logstore/records.h"
#include "logstore/records_builder.h"
#include "tests/unit/logstore/golden_batches.h"
#include "tests/unit/logstore/packing.h"

enum { INFLATED_MAX = 1 << 20 };

static const char thirty_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void assert_slice(struct base_slice slice, const char *text)
{
    if (text == NULL) {
        assert_null(slice.data);
        assert_int_equal(slice.length, 0);
    } else {
        assert_non_null(slice.data);
        assert_true(base_slice_is(slice, text));
    }
}

static void real_batches_of_every_codec(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS_COUNT; i++) {
        struct logstore_records records;
        struct logstore_record record;
        char value[64];
        static const char *const keys[] = {NULL, "k1", "k2", "k3"};

        assert_int_equal(
            logstore_records_open(&records, goldens[i].bytes, goldens[i].size, INFLATED_MAX),
            BASE_ERR_OK);
        for (int n = 0; n < 4; n++) {
            assert_true(logstore_records_next(&records, &record));
            assert_true(record.offset == n);
            assert_true(record.timestamp_ms == 1700000000000 + 10 * n);
            assert_slice(record.key, keys[n]);
            (void)snprintf(value, sizeof value, "value-%d-%s", n, thirty_a);
            assert_slice(record.value, n == 2 ? NULL : value);
            assert_int_equal(record.headers_count, n == 3 ? 2 : 0);
        }
        struct base_slice header;
        assert_true(logstore_record_header(&record, "h", &header));
        assert_slice(header, "x");
        assert_true(logstore_record_header(&record, "n", &header));
        assert_slice(header, NULL);
        assert_false(logstore_record_header(&record, "z", &header));
        assert_false(logstore_records_next(&records, &record));
        assert_int_equal(logstore_records_finish(&records), BASE_ERR_OK);
        logstore_records_close(&records);
    }
}

/* Without its largest timestamp a batch gets the one its maker should have given it. */
static void undated_batches_are_dated_by_their_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS_COUNT; i++) {
        uint8_t bytes[2048];
        struct logstore_batch batch;

        assert_true(goldens[i].size <= sizeof bytes);
        memcpy(bytes, goldens[i].bytes, goldens[i].size);
        logstore_batch_set_max_timestamp(bytes, goldens[i].size, -1);
        assert_int_equal(logstore_batch_peek(bytes, goldens[i].size, &batch, NULL), BASE_ERR_OK);
        assert_true(batch.max_timestamp == -1);
        size_t left = INFLATED_MAX;
        assert_int_equal(logstore_records_date_batch(bytes, &batch, &left), BASE_ERR_OK);
        assert_true(batch.max_timestamp == 1700000000030);
        assert_memory_equal(bytes, goldens[i].bytes, goldens[i].size);

        /* What cannot be read stays as it is. */
        logstore_batch_set_max_timestamp(bytes, goldens[i].size, -1);
        assert_int_equal(logstore_batch_peek(bytes, goldens[i].size, &batch, NULL), BASE_ERR_OK);
        batch.records_count++;
        base_put_i32(bytes + LOGSTORE_BATCH_AT_RECORDS_COUNT, batch.records_count);
        assert_int_equal(logstore_records_date_batch(bytes, &batch, &left), BASE_ERR_MALFORMED);
        assert_true(batch.max_timestamp == -1);
    }
}

static void batch_of_another_client(void **state)
{
    (void)state;
    struct logstore_records records;
    struct logstore_record record;

    assert_int_equal(
        logstore_records_open(&records, golden_python, sizeof golden_python, INFLATED_MAX),
        BASE_ERR_OK);
    assert_int_equal(records.batch.producer_id, 77);
    assert_int_equal(records.batch.producer_epoch, 3);
    assert_int_equal(records.batch.base_sequence, 5);
    assert_true(logstore_records_next(&records, &record));
    assert_slice(record.key, NULL);
    assert_int_equal(record.value.length, 68);
    assert_true(logstore_records_next(&records, &record));
    assert_slice(record.key, "k1");
    assert_slice(record.value, "");
    assert_true(logstore_records_next(&records, &record));
    assert_slice(record.value, NULL);
    assert_int_equal(record.headers_count, 2);
    assert_int_equal(logstore_records_finish(&records), BASE_ERR_OK);
    logstore_records_close(&records);
}

static void compressed_batches_respect_the_bound(void **state)
{
    (void)state;
    for (size_t i = 1; i < GOLDENS_COUNT; i++) {
        struct logstore_records records;
        /* The records of the plain batch, which all others hold: 155 bytes. */
        const size_t plain_size = sizeof golden_none - LOGSTORE_BATCH_HEADER_SIZE;
        assert_int_equal(
            logstore_records_open(&records, goldens[i].bytes, goldens[i].size, plain_size - 1),
            BASE_ERR_TOO_LARGE);
        assert_null(records.inflated);
        assert_int_equal(
            logstore_records_open(&records, goldens[i].bytes, goldens[i].size, plain_size),
            BASE_ERR_OK);
        assert_memory_equal(records.inflated->data, golden_none + LOGSTORE_BATCH_HEADER_SIZE,
                            plain_size);
        logstore_records_close(&records);
    }
}

/* Reads everything, in an allocation of just this size so that sanitizers see. */
static enum base_err walk(const uint8_t *data, size_t size)
{
    uint8_t *bytes = base_alloc(size);
    struct logstore_records records;
    struct logstore_record record;
    int64_t previous = -1;

    memcpy(bytes, data, size);
    enum base_err err = logstore_records_open(&records, bytes, size, INFLATED_MAX);
    while (err == BASE_ERR_OK && logstore_records_next(&records, &record)) {
        struct logstore_headers headers;
        struct logstore_header header;
        int32_t count = 0;
        assert_true(record.offset > previous);
        assert_true(record.offset <= logstore_batch_last_offset(&records.batch));
        previous = record.offset;
        logstore_headers_init(&headers, &record);
        while (logstore_headers_next(&headers, &header)) {
            count++;
        }
        assert_int_equal(count, record.headers_count);
    }
    if (err == BASE_ERR_OK) {
        err = logstore_records_finish(&records);
        logstore_records_close(&records);
    }
    base_free(bytes);
    return err;
}

static void truncation_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS_COUNT; i++) {
        uint8_t bytes[512];
        for (size_t size = LOGSTORE_BATCH_HEADER_SIZE; size < goldens[i].size; size++) {
            assert_int_equal(walk(goldens[i].bytes, size), BASE_ERR_MALFORMED);
            /* The same with a header that claims this is all. */
            memcpy(bytes, goldens[i].bytes, size);
            base_put_i32(bytes + LOGSTORE_BATCH_AT_LENGTH, (int32_t)(size - 12));
            assert_int_equal(walk(bytes, size), BASE_ERR_MALFORMED);
        }
    }
}

static void flipped_bits_never_crash(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS_COUNT; i++) {
        uint8_t bytes[512];
        memcpy(bytes, goldens[i].bytes, goldens[i].size);
        for (size_t at = 0; at < goldens[i].size; at++) {
            for (int bit = 0; bit < 8; bit++) {
                bytes[at] = (uint8_t)(bytes[at] ^ 1 << bit);
                (void)walk(bytes, goldens[i].size);
                bytes[at] = (uint8_t)(bytes[at] ^ 1 << bit);
            }
        }
    }
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    for (size_t i = 1; i < GOLDENS_COUNT; i++) {
        bool fired = true;
        for (long n = 0; fired; n++) {
            struct logstore_records records;
            base_alloc_fail_after(n, 1);
            enum base_err err =
                logstore_records_open(&records, goldens[i].bytes, goldens[i].size, INFLATED_MAX);
            fired = base_alloc_fault_fired();
            base_alloc_fail_after(-1, 0);
            assert_int_equal(err, fired ? BASE_ERR_NOMEM : BASE_ERR_OK);
            if (err == BASE_ERR_OK) {
                logstore_records_close(&records);
            }
        }
    }
    assert_int_equal(base_buffer_total_bytes(), 0);
}

static void built_batches_read_back(void **state)
{
    (void)state;
    enum { RECORDS_COUNT = 300 };
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct logstore_records records;
    struct logstore_record record;
    uint8_t value[RECORDS_COUNT * 7];
    const struct logstore_header headers[] = {
        {base_slice_text("dms.tag"), base_slice_text("red")},
        {base_slice_text(""), base_slice_of(NULL, 0)},
        {base_slice_text("dms.tag"), base_slice_text("")},
    };

    memset(value, 'v', sizeof value);
    base_writer_init(&writer, 10 << 20);
    base_writer_bytes(&writer, "before", 6); /* a batch may begin anywhere */
    logstore_records_builder_begin(&builder, &writer);
    for (size_t i = 0; i < RECORDS_COUNT; i++) {
        logstore_records_builder_add(
            &builder,
            &(struct logstore_record_input){
                .timestamp_ms = 5000 + (int64_t)(i * 37 % 100) - 50,
                .key = i % 3 == 0 ? base_slice_of(NULL, 0) : base_slice_of(value, i % 3 - 1),
                .value = base_slice_of(value, i * 7),
                .headers = headers,
                .headers_count = i % 4,
            });
    }
    builder.header.base_offset = 1000;
    builder.header.leader_epoch = 9;
    builder.header.producer_id = 123456789012;
    builder.header.producer_epoch = 4;
    builder.header.base_sequence = INT32_MAX - 5;
    builder.header.attributes = LOGSTORE_BATCH_TRANSACTIONAL;
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_OK);
    assert_int_equal(builder.header.size_bytes, writer.length - 6);

    const uint8_t *bytes = writer.buffer->data + 6;
    struct logstore_batch batch;
    assert_int_equal(logstore_batch_peek(bytes, writer.length - 6, &batch, NULL), BASE_ERR_OK);
    assert_true(batch.base_offset == 1000);
    assert_int_equal(batch.leader_epoch, 9);
    assert_true(batch.crc == builder.header.crc);
    assert_int_equal(batch.attributes, LOGSTORE_BATCH_TRANSACTIONAL);
    assert_int_equal(batch.last_offset_delta, RECORDS_COUNT - 1);
    assert_true(batch.producer_id == 123456789012);
    assert_int_equal(batch.producer_epoch, 4);
    assert_int_equal(logstore_batch_last_sequence(&batch), RECORDS_COUNT - 7);
    assert_int_equal(logstore_batch_verify_crc(bytes, batch.size_bytes), BASE_ERR_OK);
    assert_int_equal(logstore_batch_check_records(bytes, &batch), BASE_ERR_OK);
    assert_true(batch.base_timestamp == 4950);
    assert_true(batch.max_timestamp == 5049);
    assert_int_equal(batch.records_count, RECORDS_COUNT);

    assert_int_equal(logstore_records_open(&records, bytes, batch.size_bytes, 0), BASE_ERR_OK);
    for (size_t i = 0; i < RECORDS_COUNT; i++) {
        struct logstore_headers iterator;
        struct logstore_header header;
        assert_true(logstore_records_next(&records, &record));
        assert_true(record.offset == 1000 + (int64_t)i);
        assert_true(record.timestamp_ms == 5000 + (int64_t)(i * 37 % 100) - 50);
        assert_slice(record.key, i % 3 == 0 ? NULL : i % 3 == 1 ? "" : "v");
        assert_non_null(record.value.data);
        assert_int_equal(record.value.length, i * 7);
        logstore_headers_init(&iterator, &record);
        for (size_t h = 0; h < i % 4; h++) {
            assert_true(logstore_headers_next(&iterator, &header));
            assert_true(base_slice_equal(header.key, headers[h].key));
            assert_true(base_slice_equal(header.value, headers[h].value));
            assert_int_equal(header.value.data == NULL, headers[h].value.data == NULL);
        }
        assert_false(logstore_headers_next(&iterator, &header));
    }
    assert_false(logstore_records_next(&records, &record));
    assert_int_equal(logstore_records_finish(&records), BASE_ERR_OK);
    logstore_records_close(&records);
    base_writer_fini(&writer);
}

static void append_time_is_the_time_of_every_record(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_none];
    struct logstore_records records;
    struct logstore_record record;

    memcpy(bytes, golden_none, sizeof bytes);
    logstore_batch_set_append_time(bytes, sizeof bytes, 99);
    assert_int_equal(logstore_records_open(&records, bytes, sizeof bytes, 0), BASE_ERR_OK);
    while (logstore_records_next(&records, &record)) {
        assert_true(record.timestamp_ms == 99);
    }
    assert_int_equal(logstore_records_finish(&records), BASE_ERR_OK);
    logstore_records_close(&records);
}

/* Compaction keeps every second record of a compressed batch, and its range. */
static void copied_records_keep_offset_time_and_headers(void **state)
{
    (void)state;
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct logstore_records records;
    struct logstore_record record;
    struct base_slice header;

    base_writer_init(&writer, 1 << 20);
    assert_int_equal(logstore_records_open(&records, golden_zstd, sizeof golden_zstd, INFLATED_MAX),
                     BASE_ERR_OK);
    logstore_records_builder_begin(&builder, &writer);
    while (logstore_records_next(&records, &record)) {
        if (record.offset % 2 == 1) {
            logstore_records_builder_copy(&builder, &record);
        }
    }
    logstore_records_builder_extend_to(&builder, 7);
    logstore_records_close(&records);
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_OK);
    assert_true(logstore_batch_last_offset(&builder.header) == 7);

    assert_int_equal(logstore_records_open(&records, writer.buffer->data, writer.length, 0),
                     BASE_ERR_OK);
    assert_true(logstore_records_next(&records, &record));
    assert_true(record.offset == 1);
    assert_true(record.timestamp_ms == 1700000000010);
    assert_slice(record.key, "k1");
    assert_true(logstore_records_next(&records, &record));
    assert_true(record.offset == 3);
    assert_true(record.timestamp_ms == 1700000000030);
    assert_true(logstore_record_header(&record, "h", &header));
    assert_slice(header, "x");
    assert_false(logstore_records_next(&records, &record));
    assert_int_equal(logstore_records_finish(&records), BASE_ERR_OK);
    logstore_records_close(&records);
    base_writer_fini(&writer);
}

static void emptied_batch_has_no_records(void **state)
{
    (void)state;
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct logstore_records records;
    struct logstore_record record;

    base_writer_init(&writer, 1 << 20);
    logstore_records_builder_begin(&builder, &writer);
    builder.header.base_offset = 50;
    logstore_records_builder_extend_to(&builder, 59);
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_OK);
    assert_int_equal(writer.length, LOGSTORE_BATCH_HEADER_SIZE);
    /* Also when the header still says that they were compressed. */
    base_put_u16(writer.buffer->data + LOGSTORE_BATCH_AT_ATTRIBUTES, LOGSTORE_CODEC_GZIP);
    assert_int_equal(logstore_records_open(&records, writer.buffer->data, writer.length, 0),
                     BASE_ERR_OK);
    assert_false(logstore_records_next(&records, &record));
    assert_int_equal(logstore_records_finish(&records), BASE_ERR_OK);
    assert_true(logstore_batch_next_offset(&records.batch) == 60);
    logstore_records_close(&records);
    base_writer_fini(&writer);
}

static void extreme_timestamps_wrap_the_same_way_both_times(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN, INT64_MAX, -1, 0, INT64_MIN + 1};
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct logstore_records records;
    struct logstore_record record;

    base_writer_init(&writer, 1 << 20);
    logstore_records_builder_begin(&builder, &writer);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        logstore_records_builder_add(&builder,
                                     &(struct logstore_record_input){.timestamp_ms = times[i]});
    }
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_OK);
    assert_int_equal(logstore_records_open(&records, writer.buffer->data, writer.length, 0),
                     BASE_ERR_OK);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_true(logstore_records_next(&records, &record));
        assert_true(record.timestamp_ms == times[i]);
    }
    logstore_records_close(&records);
    base_writer_fini(&writer);
}

static void offsets_out_of_order_are_malformed(void **state)
{
    (void)state;
    static const uint8_t deltas[][2] = {{0, 0}, {2, 0}, {0, 6}, {0, 1}}; /* zig-zag */
    for (size_t i = 0; i < sizeof deltas / sizeof deltas[0]; i++) {
        const uint8_t body[] = {12, 0, 0, deltas[i][0], 1, 1, 0, 12, 0, 0, deltas[i][1], 1, 1, 0};
        uint8_t bytes[LOGSTORE_BATCH_HEADER_SIZE + sizeof body];
        memcpy(bytes, golden_none, LOGSTORE_BATCH_HEADER_SIZE);
        memcpy(bytes + LOGSTORE_BATCH_HEADER_SIZE, body, sizeof body);
        base_put_i32(bytes + LOGSTORE_BATCH_AT_LENGTH, 49 + (int32_t)sizeof body);
        base_put_i32(bytes + LOGSTORE_BATCH_AT_RECORDS_COUNT, 2);
        base_put_i32(bytes + LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA, 2);
        assert_int_equal(walk(bytes, sizeof bytes), BASE_ERR_MALFORMED);
    }
}

static void builder_reports_limit_and_faults_at_the_end(void **state)
{
    (void)state;
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct logstore_record_input input = {.value = base_slice_text(thirty_a)};

    base_writer_init(&writer, 100);
    logstore_records_builder_begin(&builder, &writer);
    logstore_records_builder_add(&builder, &input);
    assert_int_equal(logstore_records_builder_size_bytes(&builder), writer.length);
    logstore_records_builder_add(&builder, &input);
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_TOO_LARGE);
    base_writer_reset(&writer);
    base_writer_fini(&writer);

    for (long n = 0; n < 100; n++) {
        base_writer_init(&writer, 1 << 20);
        base_alloc_fail_after(n, 1);
        logstore_records_builder_begin(&builder, &writer);
        for (int i = 0; i < 100; i++) {
            logstore_records_builder_add(&builder, &input);
        }
        enum base_err err = logstore_records_builder_finish(&builder);
        bool fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        assert_int_equal(err, fired ? BASE_ERR_NOMEM : BASE_ERR_OK);
        base_writer_fini(&writer);
    }
    assert_int_equal(base_buffer_total_bytes(), 0);
}

static void marker_is_what_kafka_writes(void **state)
{
    (void)state;
    struct base_writer writer;
    struct logstore_batch batch;
    static const uint8_t record[] = {32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 7, 0};

    base_writer_init(&writer, 1000);
    assert_int_equal(logstore_records_builder_marker(
                         &writer, &(struct logstore_marker_options){.type = LOGSTORE_MARKER_COMMIT,
                                                                    .timestamp_ms = 10,
                                                                    .producer_id = 5,
                                                                    .producer_epoch = 6,
                                                                    .coordinator_epoch = 7}),
                     BASE_ERR_OK);
    assert_int_equal(logstore_batch_peek(writer.buffer->data, writer.length, &batch, NULL),
                     BASE_ERR_OK);
    assert_true(logstore_batch_is_control(&batch));
    assert_true(logstore_batch_is_transactional(&batch));
    assert_int_equal(batch.base_sequence, -1);
    assert_int_equal(writer.length - LOGSTORE_BATCH_HEADER_SIZE, sizeof record);
    assert_memory_equal(writer.buffer->data + LOGSTORE_BATCH_HEADER_SIZE, record, sizeof record);
    base_writer_fini(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_batches_of_every_codec),
        cmocka_unit_test(undated_batches_are_dated_by_their_records),
        cmocka_unit_test(batch_of_another_client),
        cmocka_unit_test(compressed_batches_respect_the_bound),
        cmocka_unit_test(truncation_at_every_byte),
        cmocka_unit_test(flipped_bits_never_crash),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(built_batches_read_back),
        cmocka_unit_test(append_time_is_the_time_of_every_record),
        cmocka_unit_test(copied_records_keep_offset_time_and_headers),
        cmocka_unit_test(emptied_batch_has_no_records),
        cmocka_unit_test(extreme_timestamps_wrap_the_same_way_both_times),
        cmocka_unit_test(offsets_out_of_order_are_malformed),
        cmocka_unit_test(builder_reports_limit_and_faults_at_the_end),
        cmocka_unit_test(marker_is_what_kafka_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
