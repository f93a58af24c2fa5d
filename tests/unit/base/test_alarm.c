/* The alarm: rings in time, rarely posts, and is gone after close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "core/base/alarm.h"
#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/timer_heap.h"

/* A home in a box: tasks queue up until the test turns the crank. */
struct fake {
    struct base_executor executor;
    struct base_clock clock;
    struct base_timer_heap heap;
    pthread_mutex_t mutex; /* of the queue, for the test with two threads */
    struct base_task *first;
    struct base_task **last;
    unsigned posts_count;
    int64_t now_us;
};

static struct fake *fake_of(struct base_executor *executor)
{
    return BASE_CONTAINER_OF(executor, struct fake, executor);
}

static void fake_post(struct base_executor *executor, struct base_task *task)
{
    struct fake *fake = fake_of(executor);
    pthread_mutex_lock(&fake->mutex);
    task->next = NULL;
    *fake->last = task;
    fake->last = &task->next;
    fake->posts_count++;
    pthread_mutex_unlock(&fake->mutex);
}

static void fake_arm(struct base_executor *executor, struct base_timer *timer)
{
    base_timer_heap_arm(&fake_of(executor)->heap, timer);
}

static void fake_stop(struct base_executor *executor, struct base_timer *timer)
{
    base_timer_heap_stop(&fake_of(executor)->heap, timer);
}

static const struct base_executor_ops fake_ops = {
    .post = fake_post, .timer_arm = fake_arm, .timer_stop = fake_stop};

static void fake_init(struct fake *fake)
{
    *fake = (struct fake){.executor = {.ops = &fake_ops, .clock = &fake->clock}};
    fake->last = &fake->first;
    pthread_mutex_init(&fake->mutex, NULL);
    base_timer_heap_init(&fake->heap);
}

static void fake_fini(struct fake *fake)
{
    assert_null(fake->first);
    assert_int_equal(fake->heap.count, 0);
    base_timer_heap_fini(&fake->heap);
    pthread_mutex_destroy(&fake->mutex);
}

static struct base_task *take_task(struct fake *fake)
{
    pthread_mutex_lock(&fake->mutex);
    struct base_task *task = fake->first;
    if (task != NULL) {
        fake->first = task->next;
        if (fake->first == NULL) {
            fake->last = &fake->first;
        }
    }
    pthread_mutex_unlock(&fake->mutex);
    return task;
}

/* Everything that is due at now_us. */
static void turn(struct fake *fake, int64_t now_us)
{
    struct base_task *task = NULL;
    fake->now_us = now_us;
    do {
        while ((task = take_task(fake)) != NULL) {
            task->run(task);
        }
    } while (base_timer_heap_run(&fake->heap, now_us, 1000) > 0);
}

struct fixture {
    struct fake home;
    struct base_alarm alarm;
    struct base_task closed_task;
    unsigned rings_count;
    int64_t ring_us; /* when it rang last */
    int64_t next_us; /* set again from the ring, when > 0 */
    bool closed;
};

static struct fixture fixture;

static void on_ring(struct base_alarm *alarm)
{
    assert_ptr_equal(alarm, &fixture.alarm);
    assert_false(fixture.closed);
    fixture.rings_count++;
    fixture.ring_us = fixture.home.now_us;
    if (fixture.next_us > 0) {
        base_alarm_set(alarm, fixture.next_us);
        fixture.next_us = 0;
    }
}

static void on_closed(struct base_task *task)
{
    assert_ptr_equal(task, &fixture.closed_task);
    fixture.closed = true;
    fixture.alarm = (struct base_alarm){0}; /* nobody may touch it any more */
}

static int setup(void **state)
{
    (void)state;
    fixture = (struct fixture){.closed_task = {.run = on_closed}};
    fake_init(&fixture.home);
    base_alarm_init(&fixture.alarm, &fixture.home.executor, on_ring);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!fixture.closed) {
        base_alarm_close(&fixture.alarm, &fixture.closed_task);
        turn(&fixture.home, INT64_MAX - 1);
        assert_true(fixture.closed);
    }
    fake_fini(&fixture.home);
    return 0;
}

static void rings_at_its_deadline(void **state)
{
    (void)state;
    base_alarm_set(&fixture.alarm, 100);
    turn(&fixture.home, 99);
    assert_int_equal(fixture.rings_count, 0);
    turn(&fixture.home, 100);
    assert_int_equal(fixture.rings_count, 1);
    turn(&fixture.home, 1000);
    assert_int_equal(fixture.rings_count, 1);
}

static void later_deadline_costs_no_post(void **state)
{
    (void)state;
    base_alarm_set(&fixture.alarm, 100);
    turn(&fixture.home, 0);
    assert_int_equal(fixture.home.posts_count, 1);
    for (int64_t deadline_us = 100; deadline_us < 200; deadline_us++) {
        base_alarm_set(&fixture.alarm, deadline_us);
    }
    assert_int_equal(fixture.home.posts_count, 1);
    fixture.next_us = 199; /* rung early, it sets what it still wants */
    turn(&fixture.home, 150);
    assert_int_equal(fixture.rings_count, 1);
    turn(&fixture.home, 200);
    assert_int_equal(fixture.rings_count, 2);
}

static void earlier_deadlines_share_one_post(void **state)
{
    (void)state;
    base_alarm_set(&fixture.alarm, 100);
    base_alarm_set(&fixture.alarm, 50);
    base_alarm_set(&fixture.alarm, 20);
    assert_int_equal(fixture.home.posts_count, 1);
    turn(&fixture.home, 20);
    assert_int_equal(fixture.rings_count, 1);
}

static void earlier_deadline_moves_the_armed_timer(void **state)
{
    (void)state;
    base_alarm_set(&fixture.alarm, 100);
    turn(&fixture.home, 0);
    base_alarm_set(&fixture.alarm, 50);
    turn(&fixture.home, 50);
    assert_int_equal(fixture.rings_count, 1);
    turn(&fixture.home, 1000);
    assert_int_equal(fixture.rings_count, 1);
}

static void close_stops_an_armed_alarm(void **state)
{
    (void)state;
    base_alarm_set(&fixture.alarm, 100);
    turn(&fixture.home, 0);
    base_alarm_close(&fixture.alarm, &fixture.closed_task);
    turn(&fixture.home, 100);
    assert_true(fixture.closed);
    assert_int_equal(fixture.rings_count, 0);
}

static void close_waits_for_a_set_under_way(void **state)
{
    (void)state;
    base_alarm_set(&fixture.alarm, 100);
    base_alarm_close(&fixture.alarm, &fixture.closed_task);
    assert_int_equal(fixture.home.posts_count, 1);
    turn(&fixture.home, 100);
    assert_true(fixture.closed);
    assert_int_equal(fixture.home.posts_count, 2); /* the task and `closed` */
}

/* One alarm after the other is set and closed here while its home runs elsewhere and
 * frees it the moment it is told. Sanitizers see who comes too late. */
struct mortal {
    struct base_alarm alarm;
    struct base_task closed;
    atomic_uint *closed_count;
};

static void on_mortal_ring(struct base_alarm *alarm)
{
    (void)alarm;
}

static void on_mortal_closed(struct base_task *task)
{
    struct mortal *mortal = BASE_CONTAINER_OF(task, struct mortal, closed);
    atomic_uint *closed_count = mortal->closed_count;
    base_free(mortal);
    atomic_fetch_add(closed_count, 1);
}

enum { MORTALS_COUNT = 20000 };

struct crank {
    struct fake *home;
    atomic_uint closed_count;
};

static void *run_home(void *argument)
{
    struct crank *crank = argument;
    int64_t now_us = 0;
    while (atomic_load(&crank->closed_count) < MORTALS_COUNT) {
        turn(crank->home, now_us++);
    }
    return NULL;
}

static void home_may_free_as_soon_as_it_is_closed(void **state)
{
    (void)state;
    struct fake home;
    struct crank crank = {.home = &home};
    pthread_t thread;

    fake_init(&home);
    assert_int_equal(pthread_create(&thread, NULL, run_home, &crank), 0);
    for (int i = 0; i < MORTALS_COUNT; i++) {
        struct mortal *mortal = base_alloc_object(struct mortal);
        assert_non_null(mortal);
        mortal->closed.run = on_mortal_closed;
        mortal->closed_count = &crank.closed_count;
        base_alarm_init(&mortal->alarm, &home.executor, on_mortal_ring);
        base_alarm_set(&mortal->alarm, i % 2 == 0 ? INT64_MAX - 1 : i);
        base_alarm_close(&mortal->alarm, &mortal->closed);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    fake_fini(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rings_at_its_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(later_deadline_costs_no_post, setup, teardown),
        cmocka_unit_test_setup_teardown(earlier_deadlines_share_one_post, setup, teardown),
        cmocka_unit_test_setup_teardown(earlier_deadline_moves_the_armed_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(close_stops_an_armed_alarm, setup, teardown),
        cmocka_unit_test_setup_teardown(close_waits_for_a_set_under_way, setup, teardown),
        cmocka_unit_test(home_may_free_as_soon_as_it_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
