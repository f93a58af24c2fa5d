/* The cursor: hostile numbers, sticky failure, slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/reader.h"

/* Each row is one hostile or boundary varint. */
static void uvarint_table(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[6];
        size_t size;
        enum base_err err;
        uint32_t value;
    } rows[] = {
        {{0x00}, 1, BASE_ERR_OK, 0},
        {{0x7f}, 1, BASE_ERR_OK, 127},
        {{0x80, 0x01}, 2, BASE_ERR_OK, 128},
        {{0xff, 0xff, 0xff, 0xff, 0x0f}, 5, BASE_ERR_OK, UINT32_MAX},
        {{0xff, 0xff, 0xff, 0xff, 0x1f}, 5, BASE_ERR_MALFORMED, 0}, /* 33 bits */
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 6, BASE_ERR_MALFORMED, 0},
        {{0x80, 0x00}, 2, BASE_ERR_OK, 0}, /* longer than needed, as Kafka allows */
        {{0x80}, 1, BASE_ERR_MALFORMED, 0},
        {{0}, 0, BASE_ERR_MALFORMED, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_reader reader;
        base_reader_init(&reader, rows[i].bytes, rows[i].size);
        assert_int_equal(base_reader_uvarint(&reader), rows[i].value);
        assert_int_equal(base_reader_finish(&reader), rows[i].err);
    }
}

static void varint_table(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[5];
        size_t size;
        int32_t value;
    } rows[] = {
        {{0x00}, 1, 0},
        {{0x01}, 1, -1},
        {{0x02}, 1, 1},
        {{0x7f}, 1, -64},
        {{0x80, 0x01}, 2, 64},
        {{0xfe, 0xff, 0xff, 0xff, 0x0f}, 5, INT32_MAX},
        {{0xff, 0xff, 0xff, 0xff, 0x0f}, 5, INT32_MIN},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_reader reader;
        base_reader_init(&reader, rows[i].bytes, rows[i].size);
        assert_int_equal(base_reader_varint(&reader), rows[i].value);
        assert_int_equal(base_reader_finish(&reader), BASE_ERR_OK);
    }
}

static void varlong_table(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[11];
        size_t size;
        enum base_err err;
        int64_t value;
    } rows[] = {
        {{0x01}, 1, BASE_ERR_OK, -1},
        {{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 10, BASE_ERR_OK, INT64_MAX},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 10, BASE_ERR_OK, INT64_MIN},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 10, BASE_ERR_MALFORMED, 0},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81}, 10, BASE_ERR_MALFORMED, 0},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0},
         11,
         BASE_ERR_MALFORMED,
         0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_reader reader;
        base_reader_init(&reader, rows[i].bytes, rows[i].size);
        assert_true(base_reader_varlong(&reader) == rows[i].value);
        assert_int_equal(base_reader_finish(&reader), rows[i].err);
    }
}

static void fixed_numbers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xff, 0x80, 0x01, 0xff, 0xfe, 0x80, 0, 0, 0, 0xff,
                                    0xff, 0xff, 0xff, 0x80, 0,    0,    0, 0, 0, 0,
                                    1,    0x40, 9,    0,    0,    0,    0, 0, 0};
    struct base_reader reader;

    base_reader_init(&reader, bytes, sizeof bytes);
    assert_int_equal(base_reader_int8(&reader), -1);
    assert_int_equal(base_reader_int16(&reader), -32767);
    assert_int_equal(base_reader_uint16(&reader), 0xfffe);
    assert_true(base_reader_int32(&reader) == INT32_MIN);
    assert_true(base_reader_uint32(&reader) == UINT32_MAX);
    assert_true(base_reader_int64(&reader) == INT64_MIN + 1);
    assert_true(base_reader_float64(&reader) == 3.125);
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_OK);
}

static void first_failure_sticks(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct base_reader reader;

    base_reader_init(&reader, bytes, sizeof bytes);
    assert_int_equal(base_reader_int32(&reader), 0);
    assert_int_equal(base_reader_int8(&reader), 0); /* though three bytes are there */
    assert_null(base_reader_take(&reader, 0));
    struct base_slice slice = base_reader_bytes(&reader, 1);
    assert_null(slice.data);
    assert_int_equal(slice.length, 0);
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_MALFORMED);
}

static void huge_length_does_not_wrap(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct base_reader reader;

    base_reader_init(&reader, bytes, sizeof bytes);
    (void)base_reader_int8(&reader);
    assert_null(base_reader_take(&reader, SIZE_MAX));
    assert_true(reader.failed);
}

static void trailing_byte_is_malformed(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2};
    struct base_reader reader;

    base_reader_init(&reader, bytes, sizeof bytes);
    (void)base_reader_int8(&reader);
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_MALFORMED);
    (void)base_reader_int8(&reader);
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_OK);
    base_reader_fail(&reader);
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_MALFORMED);
}

static void empty_slice_is_not_null(void **state)
{
    (void)state;
    struct base_reader reader;

    base_reader_init(&reader, NULL, 0);
    struct base_slice slice = base_reader_bytes(&reader, 0);
    assert_non_null(slice.data);
    assert_int_equal(slice.length, 0);
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uvarint_table),
        cmocka_unit_test(varint_table),
        cmocka_unit_test(varlong_table),
        cmocka_unit_test(fixed_numbers_are_big_endian),
        cmocka_unit_test(first_failure_sticks),
        cmocka_unit_test(huge_length_does_not_wrap),
        cmocka_unit_test(trailing_byte_is_malformed),
        cmocka_unit_test(empty_slice_is_not_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
