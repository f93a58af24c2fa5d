/* The map: against an array as model, and with every allocation failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/map.h"

static struct base_slice key_of(const uint32_t *number)
{
    return base_slice_of(number, sizeof *number);
}

static void behaves_like_an_array(void **state)
{
    (void)state;
    enum { KEYS_COUNT = 500, STEPS_COUNT = 50000 };
    static int values[2];
    void *model[KEYS_COUNT] = {NULL};
    size_t count = 0;
    uint64_t random = 1;
    struct base_map *map = NULL;

    assert_int_equal(base_map_create(&map), BASE_ERR_OK);
    for (int step = 0; step < STEPS_COUNT; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        uint32_t key = (uint32_t)(random >> 33) % KEYS_COUNT;
        void *value = &values[random >> 60 & 1];
        assert_ptr_equal(base_map_get(map, key_of(&key)), model[key]);
        if ((random >> 61 & 1) == 0) {
            assert_int_equal(base_map_put(map, key_of(&key), value), BASE_ERR_OK);
            count += model[key] == NULL;
            model[key] = value;
        } else {
            assert_ptr_equal(base_map_remove(map, key_of(&key)), model[key]);
            count -= model[key] != NULL;
            model[key] = NULL;
        }
        assert_int_equal(base_map_count(map), count);
    }
    base_map_close(&map);
    assert_null(map);
    base_map_close(&map);
}

static void keys_are_bytes(void **state)
{
    (void)state;
    static int a, b, c;
    struct base_map *map = NULL;

    assert_int_equal(base_map_create(&map), BASE_ERR_OK);
    assert_null(base_map_get(map, base_slice_of(NULL, 0)));
    assert_int_equal(base_map_put(map, base_slice_of("x\0y", 3), &a), BASE_ERR_OK);
    assert_int_equal(base_map_put(map, base_slice_of("x\0z", 3), &b), BASE_ERR_OK);
    assert_int_equal(base_map_put(map, base_slice_of(NULL, 0), &c), BASE_ERR_OK);
    assert_ptr_equal(base_map_get(map, base_slice_of("x\0y", 3)), &a);
    assert_ptr_equal(base_map_get(map, base_slice_of("x\0z", 3)), &b);
    assert_ptr_equal(base_map_get(map, base_slice_text("")), &c);
    assert_null(base_map_get(map, base_slice_text("x")));
    base_map_close(&map);
}

struct walk {
    struct base_map *map;
    uint32_t next;
    uint32_t stop;
};

static bool visit_and_remove(void *context, struct base_slice key, void *value)
{
    struct walk *walk = context;
    uint32_t number = 0;
    assert_int_equal(key.length, sizeof number);
    memcpy(&number, key.data, sizeof number);
    assert_int_equal(number, walk->next++); /* insertion order */
    if (number % 2 == 0) {
        assert_ptr_equal(base_map_remove(walk->map, key_of(&number)), value);
    }
    return number != walk->stop;
}

static void visit_may_remove_and_stop(void **state)
{
    (void)state;
    static int value;
    struct base_map *map = NULL;

    assert_int_equal(base_map_create(&map), BASE_ERR_OK);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(base_map_put(map, key_of(&i), &value), BASE_ERR_OK);
    }
    struct walk walk = {.map = map, .stop = 59};
    base_map_each(map, visit_and_remove, &walk);
    assert_int_equal(walk.next, 60);
    assert_int_equal(base_map_count(map), 70);
    base_map_close(&map);
}

/* As many puts as make the table grow, with allocation n failing. */
static bool fill(long n)
{
    static int value;
    enum { KEYS_COUNT = 400 };
    struct base_map *map = NULL;
    bool fired = false;

    base_alloc_fail_after(n, 1);
    if (base_map_create(&map) == BASE_ERR_OK) {
        for (uint32_t i = 0; i < KEYS_COUNT; i++) {
            enum base_err err = base_map_put(map, key_of(&i), &value);
            if (err != BASE_ERR_OK) {
                assert_int_equal(err, BASE_ERR_NOMEM);
                assert_int_equal(base_map_count(map), i);
                assert_null(base_map_get(map, key_of(&i)));
                assert_int_equal(base_map_put(map, key_of(&i), &value), BASE_ERR_OK);
            }
        }
        for (uint32_t i = 0; i < KEYS_COUNT; i++) {
            assert_ptr_equal(base_map_get(map, key_of(&i)), &value);
        }
    } else {
        assert_null(map);
    }
    fired = base_alloc_fault_fired();
    base_alloc_fail_after(-1, 0);
    base_map_close(&map);
    return fired;
}

static void every_failed_allocation_leaves_the_map_as_it_was(void **state)
{
    (void)state;
    long n = 0;
    while (fill(n)) {
        n++;
    }
    assert_true(n > 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_an_array),
        cmocka_unit_test(keys_are_bytes),
        cmocka_unit_test(visit_may_remove_and_stop),
        cmocka_unit_test(every_failed_allocation_leaves_the_map_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
