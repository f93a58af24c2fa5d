/* The arena: its limit is a limit, its memory is aligned and its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdalign.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/arena.h"

static void limit_counts_all_allocations(void **state)
{
    (void)state;
    struct base_arena arena;

    base_arena_init(&arena, 1024);
    assert_non_null(base_arena_alloc(&arena, 1000));
    assert_non_null(base_arena_alloc(&arena, 16)); /* 1000 was rounded to 1008 */
    assert_null(base_arena_alloc(&arena, 1));
    assert_non_null(base_arena_alloc(&arena, 0));
    base_arena_fini(&arena);
    assert_non_null(base_arena_alloc(&arena, 1024)); /* usable again */
    base_arena_fini(&arena);
}

static void limit_can_be_raised(void **state)
{
    (void)state;
    struct base_arena arena;

    base_arena_init(&arena, 1024);
    assert_null(base_arena_alloc(&arena, 2048));
    base_arena_raise(&arena, 1024);
    assert_non_null(base_arena_alloc(&arena, 2048));
    assert_null(base_arena_alloc(&arena, 1));
    base_arena_raise(&arena, SIZE_MAX); /* does not wrap */
    assert_non_null(base_arena_alloc(&arena, 2048));
    base_arena_fini(&arena);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct base_arena arena;

    base_arena_init(&arena, SIZE_MAX);
    assert_null(base_arena_alloc(&arena, SIZE_MAX));
    assert_null(base_arena_alloc(&arena, SIZE_MAX - 40)); /* a block's head would wrap it */
    assert_null(base_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(base_arena_strndup(&arena, "x", SIZE_MAX));
    base_arena_fini(&arena);
}

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct base_arena arena;
    unsigned char *pieces[COUNT];

    base_arena_init(&arena, 64 << 20);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t size = i % 97 == 0 ? 10000 + i : i % 61 + 1;
            pieces[i] = base_arena_alloc(&arena, size);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
            memset(pieces[i], (int)(i % 251), size);
        }
        for (size_t i = 0; i < COUNT; i++) {
            size_t size = i % 97 == 0 ? 10000 + i : i % 61 + 1;
            assert_int_equal(pieces[i][0], i % 251);
            assert_int_equal(pieces[i][size - 1], i % 251);
        }
        base_arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
    base_arena_fini(&arena);
}

static void arrays_are_zeroed_also_in_used_memory(void **state)
{
    (void)state;
    struct base_arena arena;

    base_arena_init(&arena, 4096);
    memset(base_arena_alloc(&arena, 512), 0xee, 512);
    base_arena_reset(&arena);
    const unsigned char *zeros = base_arena_array(&arena, 64, 8);
    for (size_t i = 0; i < 512; i++) {
        assert_int_equal(zeros[i], 0);
    }
    base_arena_fini(&arena);
}

static void texts_are_terminated(void **state)
{
    (void)state;
    struct base_arena arena;

    base_arena_init(&arena, 4096);
    assert_string_equal(base_arena_strndup(&arena, "hello", 3), "hel");
    assert_string_equal(base_arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(base_arena_printf(&arena, "%s-%d", "k", 7), "k-7");
    assert_null(base_arena_printf(&arena, "%5000d", 7));
    base_arena_fini(&arena);
}

static void failed_allocation_is_null_and_harmless(void **state)
{
    (void)state;
    struct base_arena arena;

    base_arena_init(&arena, 1 << 20);
    base_alloc_fail_after(0, 1);
    assert_null(base_arena_alloc(&arena, 10));
    base_alloc_fail_after(-1, 0);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(base_arena_alloc(&arena, 10));
    base_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_counts_all_allocations),
        cmocka_unit_test(limit_can_be_raised),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(arrays_are_zeroed_also_in_used_memory),
        cmocka_unit_test(texts_are_terminated),
        cmocka_unit_test(failed_allocation_is_null_and_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
