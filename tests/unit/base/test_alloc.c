/* The heap's door: the countdown fault, overflow, copies of texts, slices, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/endian.h"
#include "core/base/err.h"
#include "core/base/mutex.h"
#include "core/base/slice.h"

static void fault_hits_the_nth_allocation(void **state)
{
    (void)state;
    base_alloc_fail_after(2, 2);
    void *first = base_alloc(1);
    void *second = base_alloc_array(1, 1);
    assert_non_null(first);
    assert_non_null(second);
    assert_false(base_alloc_fault_fired());
    assert_null(base_alloc(1));
    assert_true(base_alloc_fault_fired());
    assert_null(base_realloc_array(first, 2, 1)); /* first is untouched */
    void *third = base_strdup("x");
    assert_non_null(third);
    base_alloc_fail_after(-1, 0);
    assert_false(base_alloc_fault_fired());
    base_free(first);
    base_free(second);
    base_free(third);
    base_free(NULL);
}

static void overflowing_products_are_refused(void **state)
{
    (void)state;
    void *memory = base_alloc(0);
    volatile size_t count = SIZE_MAX / 2; /* hidden from the compiler, which would warn */
    assert_non_null(memory);
    assert_null(base_alloc_array(count, 3));
    assert_null(base_realloc_array(memory, count, 3));
    base_free(memory);
}

static void copies_end_in_nul(void **state)
{
    (void)state;
    char *text = base_strndup("hello", 2);
    assert_string_equal(text, "he");
    base_free(text);
    text = base_strndup(NULL, 0);
    assert_string_equal(text, "");
    base_free(text);
}

static void null_and_empty_slices_are_equal_bytes(void **state)
{
    (void)state;
    assert_true(base_slice_equal(base_slice_text(NULL), base_slice_text("")));
    assert_null(base_slice_text(NULL).data);
    assert_true(base_slice_is(base_slice_of("abc", 2), "ab"));
    assert_false(base_slice_is(base_slice_of("abc", 2), "abc"));
}

static void stores_and_loads_agree(void **state)
{
    (void)state;
    uint8_t bytes[9];
    base_put_i64(bytes + 1, INT64_MIN + 2);
    assert_true(base_get_i64(bytes + 1) == INT64_MIN + 2);
    assert_int_equal(bytes[1], 0x80);
    base_put_u32(bytes + 1, 0x01020304);
    assert_int_equal(bytes[4], 4);
    assert_true(base_get_i32(bytes + 1) == 0x01020304);
    base_put_u16(bytes + 1, 0xfffe);
    assert_int_equal(base_get_i16(bytes + 1), -2);
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    for (unsigned err = 0; err < BASE_ERR_COUNT; err++) {
        assert_true(base_err_text((enum base_err)err)[0] != '\0');
    }
}

static void mutex_knows_that_it_is_held(void **state)
{
    (void)state;
    struct base_mutex mutex;
    base_mutex_init(&mutex);
    base_mutex_lock(&mutex);
    base_mutex_assert_held(&mutex);
    base_mutex_unlock(&mutex);
    assert_false(atomic_load(&mutex.held));
    base_mutex_fini(&mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_hits_the_nth_allocation),
        cmocka_unit_test(overflowing_products_are_refused),
        cmocka_unit_test(copies_end_in_nul),
        cmocka_unit_test(null_and_empty_slices_are_equal_bytes),
        cmocka_unit_test(stores_and_loads_agree),
        cmocka_unit_test(every_error_has_a_text),
        cmocka_unit_test(mutex_knows_that_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
