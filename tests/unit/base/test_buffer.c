/* Counted bytes: the last release frees, whoever does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "core/base/alloc.h"
#include "core/base/buffer.h"

static void last_release_frees(void **state)
{
    (void)state;
    struct base_buffer *first = base_buffer_create(100);
    assert_int_equal(first->capacity, 100);
    assert_int_equal(base_buffer_total_bytes(), 100);
    struct base_buffer *second = base_buffer_hold(first);
    base_buffer_release(&first);
    assert_null(first);
    assert_int_equal(base_buffer_total_bytes(), 100);
    base_buffer_release(&second);
    assert_int_equal(base_buffer_total_bytes(), 0);
    base_buffer_release(&second); /* NULL-safe */
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    assert_null(base_buffer_create(SIZE_MAX));
    base_alloc_fail_after(0, 1);
    assert_null(base_buffer_create(1));
    base_alloc_fail_after(-1, 0);
    assert_int_equal(base_buffer_total_bytes(), 0);
}

static void *hold_and_release(void *argument)
{
    struct base_buffer *shared = argument;
    for (int i = 0; i < 100000; i++) {
        struct base_buffer *mine = base_buffer_hold(shared);
        base_buffer_release(&mine);
    }
    base_buffer_release(&shared);
    return NULL;
}

static void references_from_many_threads(void **state)
{
    (void)state;
    enum { THREADS_COUNT = 4 };
    pthread_t threads[THREADS_COUNT];
    struct base_buffer *buffer = base_buffer_create(10);

    for (int i = 0; i < THREADS_COUNT; i++) {
        struct base_buffer *theirs = base_buffer_hold(buffer);
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_release, theirs), 0);
    }
    base_buffer_release(&buffer);
    for (int i = 0; i < THREADS_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(base_buffer_total_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_release_frees),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(references_from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
