/* Counted bytes: the last release frees, whoever does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
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

static void large_ones_come_back(void **state)
{
    (void)state;
    enum { SMALLEST = 64 << 10, LARGEST = 2 << 20 };
    static const size_t sizes[] = {SMALLEST - 1, SMALLEST, SMALLEST + 1,
                                   1000000,      LARGEST,  LARGEST + 1};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct base_buffer *one = base_buffer_create(sizes[i]);
        struct base_buffer *other = base_buffer_create(sizes[i]);
        assert_true(one != other);
        memset(one->data, 1, sizes[i]);
        memset(other->data, 2, sizes[i]);
        base_buffer_release(&one);
        assert_int_equal(other->data[0], 2);
        one = base_buffer_create(sizes[i] - 1); /* of the same or a smaller class */
        assert_int_equal(one->capacity, sizes[i] - 1);
        assert_int_equal(base_buffer_total_bytes(), 2 * sizes[i] - 1);
        memset(one->data, 3, one->capacity);
        assert_int_equal(other->data[sizes[i] - 1], 2);
        base_buffer_release(&one);
        base_buffer_release(&other);
        assert_int_equal(base_buffer_total_bytes(), 0);
    }
}

static void more_than_is_kept_is_freed(void **state)
{
    (void)state;
    enum { COUNT = 100, SIZE = 1 << 20 };
    static struct base_buffer *buffers[COUNT];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            buffers[i] = base_buffer_create(SIZE);
            buffers[i]->data[0] = (uint8_t)i;
        }
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(buffers[i]->data[0], i); /* each is another one */
            base_buffer_release(&buffers[i]);
        }
    }
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
        cmocka_unit_test(large_ones_come_back),
        cmocka_unit_test(more_than_is_kept_is_freed),
        cmocka_unit_test(references_from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
