/* Batch headers: boundaries, truncation at every byte, patches in place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "logstore/batch.h"
#include "logstore/records_builder.h"
#include "tests/unit/logstore/golden_batches.h"

enum { BYTES_MAX = 4096 };

/* A batch of n small records, in bytes. */
static size_t make_batch(uint8_t bytes[BYTES_MAX], int n)
{
    struct base_writer writer;
    struct logstore_records_builder builder;

    base_writer_init(&writer, BYTES_MAX);
    logstore_records_builder_begin(&builder, &writer);
    for (int i = 0; i < n; i++) {
        logstore_records_builder_add(
            &builder, &(struct logstore_record_input){.timestamp_ms = 1000 + i,
                                                      .key = base_slice_text("key"),
                                                      .value = base_slice_text("value")});
    }
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_OK);
    size_t size = writer.length;
    memcpy(bytes, writer.buffer->data, size);
    base_writer_fini(&writer);
    return size;
}

static void header_of_a_real_client(void **state)
{
    (void)state;
    struct logstore_batch batch;
    size_t needed = 1;

    assert_int_equal(logstore_batch_peek(golden_none, sizeof golden_none, &batch, &needed),
                     BASE_ERR_OK);
    assert_int_equal(needed, 0);
    assert_true(batch.base_offset == 0);
    assert_int_equal(batch.size_bytes, sizeof golden_none);
    assert_int_equal(batch.leader_epoch, 0);
    assert_int_equal(batch.last_offset_delta, 3);
    assert_true(batch.base_timestamp == 1700000000000);
    assert_true(batch.max_timestamp == 1700000000030);
    assert_true(batch.producer_id == 0x14ebfcd0);
    assert_int_equal(batch.producer_epoch, 0);
    assert_int_equal(batch.base_sequence, 0);
    assert_int_equal(batch.records_count, 4);
    assert_true(logstore_batch_last_offset(&batch) == 3);
    assert_true(logstore_batch_next_offset(&batch) == 4);
    assert_int_equal(logstore_batch_last_sequence(&batch), 3);
    assert_false(logstore_batch_is_control(&batch));
    assert_false(logstore_batch_is_transactional(&batch));
    assert_false(logstore_batch_is_append_time(&batch));
    assert_true(logstore_batch_has_producer(&batch));
}

static void real_batches_pass_all_checks(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDENS_COUNT; i++) {
        struct logstore_batch batch;
        assert_int_equal(logstore_batch_peek(goldens[i].bytes, goldens[i].size, &batch, NULL),
                         BASE_ERR_OK);
        assert_int_equal(logstore_batch_codec(&batch), goldens[i].codec);
        assert_int_equal(logstore_batch_verify_crc(goldens[i].bytes, goldens[i].size), BASE_ERR_OK);
        assert_int_equal(logstore_batch_check_records(goldens[i].bytes, &batch), BASE_ERR_OK);
    }
}

static void short_prefix_asks_for_more(void **state)
{
    (void)state;
    struct logstore_batch batch;

    for (size_t size = 0; size < sizeof golden_none; size++) {
        size_t needed = 0;
        assert_int_equal(logstore_batch_peek(golden_none, size, &batch, &needed),
                         BASE_ERR_MALFORMED);
        if (size < LOGSTORE_BATCH_HEADER_SIZE) {
            assert_int_equal(needed, LOGSTORE_BATCH_HEADER_SIZE);
            assert_int_equal(batch.size_bytes, 0);
        } else {
            assert_int_equal(needed, sizeof golden_none);
            assert_int_equal(batch.size_bytes, sizeof golden_none); /* the header is known */
            assert_int_equal(batch.records_count, 4);
        }
    }
    assert_int_equal(logstore_batch_peek(NULL, 0, &batch, NULL), BASE_ERR_MALFORMED);
}

static void more_bytes_behind_are_no_matter(void **state)
{
    (void)state;
    uint8_t bytes[2 * BYTES_MAX] = {0};
    struct logstore_batch batch;
    size_t size = make_batch(bytes, 3);

    assert_int_equal(logstore_batch_peek(bytes, sizeof bytes, &batch, NULL), BASE_ERR_OK);
    assert_int_equal(batch.size_bytes, size);
}

/* Each row breaks one field; as soon as the field is there the answer is "no batch". */
static void impossible_headers(void **state)
{
    (void)state;
    static const struct {
        size_t position;
        size_t size;
        int64_t value;
        size_t known_at; /* bytes that are enough to tell */
    } rows[] = {
        {LOGSTORE_BATCH_AT_BASE_OFFSET, 8, -1, 8},
        {LOGSTORE_BATCH_AT_BASE_OFFSET, 8, INT64_MIN, 8},
        {LOGSTORE_BATCH_AT_BASE_OFFSET, 8, INT64_MAX, 61},
        {LOGSTORE_BATCH_AT_BASE_OFFSET, 8, INT64_MAX - 2, 61}, /* last offset has no next */
        {LOGSTORE_BATCH_AT_LENGTH, 4, -1, 12},
        {LOGSTORE_BATCH_AT_LENGTH, 4, INT32_MIN, 12},
        {LOGSTORE_BATCH_AT_LENGTH, 4, 0, 12},
        {LOGSTORE_BATCH_AT_LENGTH, 4, 48, 12},
        {LOGSTORE_BATCH_AT_MAGIC, 1, 0, 17},
        {LOGSTORE_BATCH_AT_MAGIC, 1, 1, 17},
        {LOGSTORE_BATCH_AT_MAGIC, 1, 3, 17},
        {LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA, 4, -1, 61},
        {LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA, 4, 1, 61}, /* fewer offsets than records */
        {LOGSTORE_BATCH_AT_RECORDS_COUNT, 4, -1, 61},
        {LOGSTORE_BATCH_AT_RECORDS_COUNT, 4, 4, 61},
        {LOGSTORE_BATCH_AT_RECORDS_COUNT, 4, INT32_MAX, 61},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[BYTES_MAX];
        struct logstore_batch batch;
        size_t size = make_batch(bytes, 3);
        uint8_t *field = bytes + rows[i].position;
        for (size_t k = 0; k < rows[i].size; k++) {
            field[k] = (uint8_t)((uint64_t)rows[i].value >> (8 * (rows[i].size - 1 - k)));
        }
        size_t needed = 1;
        assert_int_equal(logstore_batch_peek(bytes, size, &batch, &needed), BASE_ERR_MALFORMED);
        assert_int_equal(needed, 0);
        needed = 1;
        assert_int_equal(logstore_batch_peek(bytes, rows[i].known_at, &batch, &needed),
                         BASE_ERR_MALFORMED);
        assert_int_equal(needed, 0);
        assert_int_equal(logstore_batch_peek(bytes, rows[i].known_at - 1, &batch, &needed),
                         BASE_ERR_MALFORMED);
        assert_true(needed > 0);
    }
}

static void largest_offset_that_fits(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct logstore_batch batch;
    size_t size = make_batch(bytes, 3);

    logstore_batch_set_offset_and_epoch(bytes, INT64_MAX - 3, 0);
    assert_int_equal(logstore_batch_peek(bytes, size, &batch, NULL), BASE_ERR_OK);
    assert_true(logstore_batch_next_offset(&batch) == INT64_MAX);
}

static void crc_notices_every_bit_it_covers(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    size_t size = make_batch(bytes, 2);

    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (uint8_t)(bytes[i] ^ (1 << bit));
            bool is_covered = i >= LOGSTORE_BATCH_AT_CRC;
            assert_int_equal(logstore_batch_verify_crc(bytes, size),
                             is_covered ? BASE_ERR_CORRUPT : BASE_ERR_OK);
            bytes[i] = (uint8_t)(bytes[i] ^ (1 << bit));
        }
    }
}

static void offset_and_epoch_keep_the_crc(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct logstore_batch batch;
    size_t size = make_batch(bytes, 2);

    logstore_batch_set_offset_and_epoch(bytes, 0x123456789a, 77);
    assert_int_equal(logstore_batch_verify_crc(bytes, size), BASE_ERR_OK);
    assert_int_equal(logstore_batch_peek(bytes, size, &batch, NULL), BASE_ERR_OK);
    assert_true(batch.base_offset == 0x123456789a);
    assert_int_equal(batch.leader_epoch, 77);
}

static void append_time_makes_a_new_crc(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct logstore_batch batch;
    size_t size = make_batch(bytes, 2);

    logstore_batch_set_append_time(bytes, size, 5000);
    assert_int_equal(logstore_batch_verify_crc(bytes, size), BASE_ERR_OK);
    assert_int_equal(logstore_batch_peek(bytes, size, &batch, NULL), BASE_ERR_OK);
    assert_true(logstore_batch_is_append_time(&batch));
    assert_true(batch.max_timestamp == 5000);
    assert_true(batch.base_timestamp == 1000);
}

static void sequence_wraps_to_zero(void **state)
{
    (void)state;
    static const struct {
        int32_t base;
        int32_t delta;
        int32_t last;
    } rows[] = {
        {0, 0, 0},
        {5, 4, 9},
        {INT32_MAX, 0, INT32_MAX},
        {INT32_MAX, 1, 0},
        {INT32_MAX - 1, 3, 1},
        {INT32_MAX, INT32_MAX, INT32_MAX - 1},
        {-1, 3, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct logstore_batch batch = {.base_sequence = rows[i].base,
                                       .last_offset_delta = rows[i].delta};
        assert_int_equal(logstore_batch_last_sequence(&batch), rows[i].last);
    }
}

/* Parses a batch whose records are exactly these bytes. */
static enum base_err check(const uint8_t *records, size_t size, int32_t count, int32_t delta)
{
    uint8_t *bytes = base_alloc(LOGSTORE_BATCH_HEADER_SIZE + size); /* exact: sanitizers see */
    struct logstore_batch batch;
    uint8_t plain[BYTES_MAX];

    (void)make_batch(plain, 1);
    memcpy(bytes, plain, LOGSTORE_BATCH_HEADER_SIZE);
    if (size > 0) {
        memcpy(bytes + LOGSTORE_BATCH_HEADER_SIZE, records, size);
    }
    base_put_i32(bytes + LOGSTORE_BATCH_AT_LENGTH, (int32_t)(49 + size));
    base_put_i32(bytes + LOGSTORE_BATCH_AT_RECORDS_COUNT, count);
    base_put_i32(bytes + LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA, delta);
    enum base_err err = logstore_batch_peek(bytes, LOGSTORE_BATCH_HEADER_SIZE + size, &batch, NULL);
    if (err == BASE_ERR_OK) {
        err = logstore_batch_check_records(bytes, &batch);
    }
    base_free(bytes);
    return err;
}

static void records_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[24];
        size_t size;
        int32_t count;
        enum base_err err;
    } rows[] = {
        {"null key and value", {12, 0, 0, 0, 1, 1, 0}, 7, 1, BASE_ERR_OK},
        {"empty key and value", {12, 0, 0, 0, 0, 0, 0}, 7, 1, BASE_ERR_OK},
        {"two records", {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0}, 14, 2, BASE_ERR_OK},
        {"attributes are not defined", {12, 9, 0, 0, 1, 1, 0}, 7, 1, BASE_ERR_OK},
        {"key a, value bc", {18, 0, 0, 0, 2, 'a', 4, 'b', 'c', 0}, 10, 1, BASE_ERR_OK},
        {"a header", {20, 0, 0, 0, 1, 1, 2, 2, 'h', 2, 'x'}, 11, 1, BASE_ERR_OK},
        {"a header with a null value", {18, 0, 0, 0, 1, 1, 2, 2, 'h', 1}, 10, 1, BASE_ERR_OK},
        {"a header with an empty key", {16, 0, 0, 0, 1, 1, 2, 0, 1}, 9, 1, BASE_ERR_OK},
        {"header key is null", {16, 0, 0, 0, 1, 1, 2, 1, 1}, 9, 1, BASE_ERR_MALFORMED},
        {"headers count is negative", {12, 0, 0, 0, 1, 1, 1}, 7, 1, BASE_ERR_MALFORMED},
        {"headers count is too large", {12, 0, 0, 0, 1, 1, 2}, 7, 1, BASE_ERR_MALFORMED},
        {"a byte behind the headers", {14, 0, 0, 0, 1, 1, 0, 0}, 8, 1, BASE_ERR_MALFORMED},
        {"record length is negative", {11, 0, 0, 0, 1, 1, 0}, 7, 1, BASE_ERR_MALFORMED},
        {"record length is zero", {0, 0, 0, 0, 1, 1, 0}, 7, 1, BASE_ERR_MALFORMED},
        {"record length is too large", {14, 0, 0, 0, 1, 1, 0}, 7, 1, BASE_ERR_MALFORMED},
        {"record ends in its key", {10, 0, 0, 0, 6, 1, 0}, 7, 1, BASE_ERR_MALFORMED},
        {"key length is -2", {12, 0, 0, 0, 3, 1, 0}, 7, 1, BASE_ERR_MALFORMED},
        {"value length is -2", {12, 0, 0, 0, 1, 3, 0}, 7, 1, BASE_ERR_MALFORMED},
        {"first offset delta is 1", {12, 0, 0, 2, 1, 1, 0}, 7, 1, BASE_ERR_MALFORMED},
        {"offset delta is repeated",
         {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0},
         14,
         2,
         BASE_ERR_MALFORMED},
        {"fewer records than declared", {12, 0, 0, 0, 1, 1, 0}, 7, 2, BASE_ERR_MALFORMED},
        {"more records than declared",
         {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0},
         14,
         1,
         BASE_ERR_MALFORMED},
        {"a byte behind the records", {12, 0, 0, 0, 1, 1, 0, 0}, 8, 1, BASE_ERR_MALFORMED},
        {"length varint of six bytes",
         {0x8c, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0, 0, 1, 1, 0},
         12,
         1,
         BASE_ERR_MALFORMED},
        {"timestamp delta of ten bytes",
         {30, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 1, 1, 0},
         16,
         1,
         BASE_ERR_OK},
        {"timestamp delta of 65 bits",
         {30, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 1, 1, 0},
         16,
         1,
         BASE_ERR_MALFORMED},
        {"key length of 33 bits",
         {20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f, 1, 0},
         11,
         1,
         BASE_ERR_MALFORMED},
        {"no records", {0}, 0, 0, BASE_ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t delta = rows[i].count > 0 ? rows[i].count - 1 : 0;
        enum base_err err = check(rows[i].bytes, rows[i].size, rows[i].count, delta);
        if (err != rows[i].err) {
            fail_msg("%s: %s", rows[i].what, base_err_text(err));
        }
    }
    /* Gaps at the end are for compaction, not for clients. */
    assert_int_equal(check(rows[0].bytes, rows[0].size, 1, 5), BASE_ERR_MALFORMED);
}

static void compressed_records_are_taken_on_trust_except_codec_and_counts(void **state)
{
    (void)state;
    for (unsigned codec = 1; codec < 8; codec++) {
        uint8_t bytes[BYTES_MAX];
        struct logstore_batch batch;
        size_t size = make_batch(bytes, 3);
        base_put_u16(bytes + LOGSTORE_BATCH_AT_ATTRIBUTES, (uint16_t)codec);
        assert_int_equal(logstore_batch_peek(bytes, size, &batch, NULL), BASE_ERR_OK);
        assert_int_equal(logstore_batch_check_records(bytes, &batch),
                         codec < LOGSTORE_CODEC_COUNT ? BASE_ERR_OK : BASE_ERR_UNSUPPORTED);
        base_put_i32(bytes + LOGSTORE_BATCH_AT_RECORDS_COUNT, 2);
        assert_int_equal(logstore_batch_peek(bytes, size, &batch, NULL), BASE_ERR_OK);
        assert_int_equal(logstore_batch_check_records(bytes, &batch), BASE_ERR_MALFORMED);
    }
}

/* Any byte changed to anything: never out of bounds, and OK only if it stays a batch. */
static void changed_bytes_never_crash(void **state)
{
    (void)state;
    uint8_t good[BYTES_MAX];
    size_t size = make_batch(good, 3);
    uint8_t *bytes = base_alloc(size);

    for (size_t i = 0; i < size; i++) {
        for (unsigned value = 0; value < 256; value++) {
            struct logstore_batch batch;
            memcpy(bytes, good, size);
            bytes[i] = (uint8_t)value;
            if (logstore_batch_peek(bytes, size, &batch, NULL) == BASE_ERR_OK) {
                assert_true(batch.size_bytes <= size);
                enum base_err err = logstore_batch_check_records(bytes, &batch);
                assert_true(err == BASE_ERR_OK || err == BASE_ERR_MALFORMED ||
                            err == BASE_ERR_UNSUPPORTED);
            }
        }
    }
    base_free(bytes);
}

/* When its value could not be made, a record is not added: the writer knows, and says so. */
static void batch_without_its_record_is_an_error(void **state)
{
    (void)state;
    struct base_writer writer;
    struct logstore_records_builder builder;

    base_writer_init(&writer, BYTES_MAX);
    logstore_records_builder_begin(&builder, &writer);
    base_writer_fail(&writer, BASE_ERR_NOMEM);
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_NOMEM);
    base_writer_fini(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_of_a_real_client),
        cmocka_unit_test(real_batches_pass_all_checks),
        cmocka_unit_test(short_prefix_asks_for_more),
        cmocka_unit_test(more_bytes_behind_are_no_matter),
        cmocka_unit_test(impossible_headers),
        cmocka_unit_test(largest_offset_that_fits),
        cmocka_unit_test(crc_notices_every_bit_it_covers),
        cmocka_unit_test(offset_and_epoch_keep_the_crc),
        cmocka_unit_test(append_time_makes_a_new_crc),
        cmocka_unit_test(sequence_wraps_to_zero),
        cmocka_unit_test(records_by_hand),
        cmocka_unit_test(compressed_records_are_taken_on_trust_except_codec_and_counts),
        cmocka_unit_test(changed_bytes_never_crash),
        cmocka_unit_test(batch_without_its_record_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
