/* The heap of timers: against a plain search through an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/timer_heap.h"

enum { TIMERS_COUNT = 300 };

struct fixture {
    struct base_timer_heap heap;
    struct base_timer timers[TIMERS_COUNT];
    int64_t fired_us; /* deadline of the last one fired */
    unsigned fired_count;
    bool rearm; /* what fires arms itself again */
};

static struct fixture fixture;

static void on_fire(struct base_timer *timer)
{
    assert_int_equal(timer->heap_index, 0);
    assert_true(timer->deadline_us >= fixture.fired_us);
    fixture.fired_us = timer->deadline_us;
    fixture.fired_count++;
    if (fixture.rearm) {
        timer->deadline_us += 10;
        base_timer_heap_arm(&fixture.heap, timer);
    }
}

static int setup(void **state)
{
    (void)state;
    fixture = (struct fixture){0};
    base_timer_heap_init(&fixture.heap);
    for (int i = 0; i < TIMERS_COUNT; i++) {
        fixture.timers[i].fire = on_fire;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    base_timer_heap_fini(&fixture.heap);
    for (int i = 0; i < TIMERS_COUNT; i++) {
        assert_false(base_timer_is_armed(&fixture.timers[i]));
    }
    return 0;
}

static int64_t model_next_us(uint32_t *armed_count)
{
    int64_t next_us = -1;
    *armed_count = 0;
    for (int i = 0; i < TIMERS_COUNT; i++) {
        const struct base_timer *timer = &fixture.timers[i];
        if (base_timer_is_armed(timer)) {
            (*armed_count)++;
            next_us = next_us < 0 || timer->deadline_us < next_us ? timer->deadline_us : next_us;
        }
    }
    return next_us;
}

static void assert_heap(void)
{
    uint32_t armed_count = 0;
    assert_true(base_timer_heap_next_us(&fixture.heap) == model_next_us(&armed_count));
    assert_int_equal(fixture.heap.count, armed_count);
    for (uint32_t i = 1; i <= fixture.heap.count; i++) {
        assert_int_equal(fixture.heap.timers[i]->heap_index, i);
        assert_true(i == 1 ||
                    fixture.heap.timers[i / 2]->deadline_us <= fixture.heap.timers[i]->deadline_us);
    }
}

static void random_operations(void **state)
{
    (void)state;
    uint64_t random = 99;
    int64_t now_us = 0;

    for (int step = 0; step < 20000; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        struct base_timer *timer = &fixture.timers[(random >> 33) % TIMERS_COUNT];
        switch (random >> 60 & 7) {
        case 0:
        case 1:
            base_timer_heap_stop(&fixture.heap, timer);
            assert_false(base_timer_is_armed(timer));
            break;
        case 2:
            now_us += (int64_t)(random >> 40 & 63);
            fixture.fired_us = 0;
            (void)base_timer_heap_run(&fixture.heap, now_us, UINT32_MAX);
            assert_true(fixture.heap.count == 0 || base_timer_heap_next_us(&fixture.heap) > now_us);
            break;
        default: /* also moves one that is armed, up or down */
            timer->deadline_us = now_us + (int64_t)(random >> 20 & 1023);
            base_timer_heap_arm(&fixture.heap, timer);
            break;
        }
        assert_heap();
    }
    assert_true(fixture.fired_count > 1000);
}

static void run_stops_at_its_maximum(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        fixture.timers[i].deadline_us = 5;
        base_timer_heap_arm(&fixture.heap, &fixture.timers[i]);
    }
    assert_int_equal(base_timer_heap_run(&fixture.heap, 4, 100), 0);
    assert_int_equal(base_timer_heap_run(&fixture.heap, 5, 4), 4);
    assert_int_equal(fixture.heap.count, 6);
}

static void timer_may_arm_itself_while_it_fires(void **state)
{
    (void)state;
    fixture.rearm = true;
    fixture.timers[0].deadline_us = 1;
    base_timer_heap_arm(&fixture.heap, &fixture.timers[0]);
    assert_int_equal(base_timer_heap_run(&fixture.heap, 45, 100), 5); /* 1, 11, 21, 31, 41 */
    assert_true(base_timer_heap_next_us(&fixture.heap) == 51);
}

/* Every second allocation fails: no timer is lost, nothing aborts. */
static void memory_that_is_out_for_a_while_does_not_matter(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TIMERS_COUNT; i++) {
        base_alloc_fail_after(0, i % 2);
        fixture.timers[i].deadline_us = TIMERS_COUNT - i;
        base_timer_heap_arm(&fixture.heap, &fixture.timers[i]);
    }
    base_alloc_fail_after(-1, 0);
    assert_int_equal(base_timer_heap_run(&fixture.heap, TIMERS_COUNT, TIMERS_COUNT + 1),
                     TIMERS_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_operations, setup, teardown),
        cmocka_unit_test_setup_teardown(run_stops_at_its_maximum, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_may_arm_itself_while_it_fires, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_is_out_for_a_while_does_not_matter, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
