/* The writer: what it writes the reader reads, limits, faults, moving the buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/reader.h"
#include "core/base/writer.h"

static void numbers_come_back(void **state)
{
    (void)state;
    static const int64_t values[] = {0,         1,         -1,        63,        -64,
                                     64,        8191,      -8192,     8192,      INT32_MAX,
                                     INT32_MIN, INT64_MAX, INT64_MIN, 1LL << 55, 1LL << 62};
    struct base_writer writer;
    struct base_reader reader;
    const size_t count = sizeof values / sizeof values[0];

    base_writer_init(&writer, SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        base_writer_int8(&writer, (int8_t)values[i]);
        base_writer_int16(&writer, (int16_t)values[i]);
        base_writer_int32(&writer, (int32_t)values[i]);
        base_writer_uint32(&writer, (uint32_t)values[i]);
        base_writer_int64(&writer, values[i]);
        base_writer_float64(&writer, (double)values[i]);
        base_writer_uvarint(&writer, (uint32_t)values[i]);
        size_t before = writer.length;
        base_writer_varint(&writer, (int32_t)values[i]);
        assert_int_equal(writer.length - before, base_varint_size((int32_t)values[i]));
        before = writer.length;
        base_writer_varlong(&writer, values[i]);
        assert_int_equal(writer.length - before, base_varlong_size(values[i]));
    }
    assert_int_equal(writer.err, BASE_ERR_OK);

    base_reader_init(&reader, writer.buffer->data, writer.length);
    for (size_t i = 0; i < count; i++) {
        assert_true(base_reader_int8(&reader) == (int8_t)values[i]);
        assert_true(base_reader_int16(&reader) == (int16_t)values[i]);
        assert_true(base_reader_int32(&reader) == (int32_t)values[i]);
        assert_true(base_reader_uint32(&reader) == (uint32_t)values[i]);
        assert_true(base_reader_int64(&reader) == values[i]);
        assert_true(base_reader_float64(&reader) == (double)values[i]);
        assert_true(base_reader_uvarint(&reader) == (uint32_t)values[i]);
        assert_true(base_reader_varint(&reader) == (int32_t)values[i]);
        assert_true(base_reader_varlong(&reader) == values[i]);
    }
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_OK);
    base_writer_fini(&writer);
}

static void limit_is_exact_and_sticks(void **state)
{
    (void)state;
    struct base_writer writer;

    base_writer_init(&writer, 1000);
    for (int i = 0; i < 125; i++) {
        base_writer_int64(&writer, i);
    }
    assert_int_equal(writer.err, BASE_ERR_OK);
    assert_int_equal(writer.length, 1000);
    assert_true(writer.buffer->capacity <= 1000);

    base_writer_int8(&writer, 0);
    assert_int_equal(writer.err, BASE_ERR_TOO_LARGE);
    assert_null(base_writer_extend(&writer, 0));
    assert_int_equal(writer.length, 1000);

    size_t length = 1;
    assert_null(base_writer_take(&writer, &length));
    assert_int_equal(length, 0);
    base_writer_reset(&writer);
    base_writer_int8(&writer, 7);
    assert_int_equal(writer.err, BASE_ERR_OK);
    assert_int_equal(writer.length, 1);
    base_writer_fini(&writer);
}

static void huge_extend_does_not_wrap(void **state)
{
    (void)state;
    struct base_writer writer;

    base_writer_init(&writer, 100);
    base_writer_int8(&writer, 1);
    assert_null(base_writer_extend(&writer, SIZE_MAX));
    assert_int_equal(writer.err, BASE_ERR_TOO_LARGE);
    base_writer_fini(&writer);
}

static void failed_allocation_keeps_what_was_written(void **state)
{
    (void)state;
    struct base_writer writer;

    base_writer_init(&writer, SIZE_MAX);
    base_alloc_fail_after(0, 1);
    base_writer_int8(&writer, 1);
    assert_int_equal(writer.err, BASE_ERR_NOMEM);
    base_alloc_fail_after(-1, 0);
    base_writer_reset(&writer);

    base_writer_int8(&writer, 1);
    base_alloc_fail_after(0, 1);
    assert_null(base_writer_extend(&writer, 100000));
    base_alloc_fail_after(-1, 0);
    assert_int_equal(writer.err, BASE_ERR_NOMEM);
    assert_int_equal(writer.length, 1);
    assert_int_equal(writer.buffer->data[0], 1);
    base_writer_fini(&writer);
    assert_int_equal(base_buffer_total_bytes(), 0);
}

static void take_moves_the_buffer(void **state)
{
    (void)state;
    struct base_writer writer;
    size_t length = 0;

    base_writer_init(&writer, 100);
    assert_null(base_writer_take(&writer, &length));
    base_writer_slice(&writer, base_slice_text("abc"));
    base_writer_slice(&writer, base_slice_of(NULL, 0));
    struct base_buffer *buffer = base_writer_take(&writer, &length);
    assert_int_equal(length, 3);
    assert_memory_equal(buffer->data, "abc", 3);
    assert_null(writer.buffer);
    base_writer_int8(&writer, 1);
    assert_int_equal(writer.length, 1);
    assert_memory_equal(buffer->data, "abc", 3);
    base_buffer_release(&buffer);
    base_writer_fini(&writer);
}

static void reset_leaves_a_shared_buffer_alone(void **state)
{
    (void)state;
    struct base_writer writer;

    base_writer_init(&writer, 100);
    base_writer_int8(&writer, 1);
    struct base_buffer *shared = base_buffer_hold(writer.buffer);
    base_writer_reset(&writer);
    base_writer_int8(&writer, 2);
    assert_int_equal(shared->data[0], 1);
    base_buffer_release(&shared);

    struct base_buffer *own = writer.buffer;
    base_writer_reset(&writer);
    base_writer_int8(&writer, 3);
    assert_ptr_equal(writer.buffer, own);
    base_writer_fini(&writer);
}

static void patch_truncate_and_fail(void **state)
{
    (void)state;
    struct base_writer writer;

    base_writer_init(&writer, 100);
    base_writer_int32(&writer, 0);
    base_writer_int8(&writer, 9);
    base_writer_patch_int32(&writer, 0, -2);
    assert_memory_equal(writer.buffer->data, "\xff\xff\xff\xfe\x09", 5);
    base_writer_truncate(&writer, 2);
    base_writer_int8(&writer, 1);
    assert_memory_equal(writer.buffer->data, "\xff\xff\x01", 3);
    assert_int_equal(writer.length, 3);

    base_writer_fail(&writer, BASE_ERR_INVALID);
    base_writer_fail(&writer, BASE_ERR_NOMEM);
    assert_int_equal(writer.err, BASE_ERR_INVALID); /* the first one stays */
    base_writer_fini(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(limit_is_exact_and_sticks),
        cmocka_unit_test(huge_extend_does_not_wrap),
        cmocka_unit_test(failed_allocation_keeps_what_was_written),
        cmocka_unit_test(take_moves_the_buffer),
        cmocka_unit_test(reset_leaves_a_shared_buffer_alone),
        cmocka_unit_test(patch_truncate_and_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
