/* Event loop: mailbox, deferred tasks, timers. */
#include "tests/unit/net/net_fixture.h"

#include "core/base/executor.h"

enum { POSTED_COUNT = 1000, POSTERS_COUNT = 4 };

static int loop_setup(void **state)
{
    struct net_loop *loop = NULL;
    assert_int_equal(net_loop_create(0, base_clock_system(), NULL, &loop), BASE_ERR_OK);
    *state = loop;
    return 0;
}

static int loop_teardown(void **state)
{
    struct net_loop *loop = *state;
    net_loop_close(&loop);
    assert_null(loop);
    return 0;
}

struct numbered {
    struct base_task task;
    unsigned number;
    unsigned *next; /* loop's thread only */
    struct gate *done;
};

static void run_numbered(struct base_task *task)
{
    struct numbered *numbered = BASE_CONTAINER_OF(task, struct numbered, task);
    BASE_ASSERT(*numbered->next == numbered->number);
    (*numbered->next)++;
    gate_raise(numbered->done);
}

struct poster {
    struct base_executor *executor;
    struct numbered tasks[POSTED_COUNT];
    unsigned next;
    struct gate *done;
    pthread_t thread;
};

static void *poster_main(void *argument)
{
    struct poster *poster = argument;
    for (unsigned i = 0; i < POSTED_COUNT; i++) {
        poster->tasks[i] = (struct numbered){
            .task.run = run_numbered, .number = i, .next = &poster->next, .done = poster->done};
        base_executor_post(poster->executor, &poster->tasks[i].task);
    }
    return NULL;
}

static void posted_tasks_run_in_order(void **state)
{
    static struct poster posters[POSTERS_COUNT];
    struct gate done;

    gate_init(&done);
    for (unsigned i = 0; i < POSTERS_COUNT; i++) {
        posters[i].executor = net_loop_executor(*state);
        posters[i].next = 0;
        posters[i].done = &done;
        pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]);
    }
    for (unsigned i = 0; i < POSTERS_COUNT; i++) {
        pthread_join(posters[i].thread, NULL);
    }
    gate_wait(&done, POSTERS_COUNT * POSTED_COUNT);
    gate_fini(&done);
}

struct trail {
    struct base_executor *executor;
    struct base_task posted;
    struct base_task deferred;
    struct base_task deferred_by_deferred;
    char steps[8];
    unsigned steps_count;
    struct gate done;
};

static void trail_posted(struct base_task *task)
{
    struct trail *trail = BASE_CONTAINER_OF(task, struct trail, posted);
    trail->steps[trail->steps_count++] = 'p';
    gate_raise(&trail->done);
}

static void trail_deferred_twice(struct base_task *task)
{
    struct trail *trail = BASE_CONTAINER_OF(task, struct trail, deferred_by_deferred);
    trail->steps[trail->steps_count++] = 'D';
}

static void trail_deferred(struct base_task *task)
{
    struct trail *trail = BASE_CONTAINER_OF(task, struct trail, deferred);
    trail->steps[trail->steps_count++] = 'd';
    base_executor_defer(trail->executor, &trail->deferred_by_deferred);
}

static void trail_start(void *context)
{
    struct trail *trail = context;
    BASE_ASSERT(base_executor_is_current(trail->executor));
    base_executor_post(trail->executor, &trail->posted);
    base_executor_defer(trail->executor, &trail->deferred);
    trail->steps[trail->steps_count++] = 's';
}

/* A post from the loop itself wakes nobody, yet is run without any other event. */
static void deferred_tasks_run_before_the_next_turn(void **state)
{
    struct trail trail = {.executor = net_loop_executor(*state),
                          .posted.run = trail_posted,
                          .deferred.run = trail_deferred,
                          .deferred_by_deferred.run = trail_deferred_twice};
    gate_init(&trail.done);
    assert_false(base_executor_is_current(trail.executor));
    call_on(trail.executor, trail_start, &trail);
    gate_wait(&trail.done, 1);
    assert_string_equal(trail.steps, "sdDp");
    gate_fini(&trail.done);
}

struct endless {
    struct base_executor *executor;
    struct base_task deferred;
    bool stop; /* loop's thread only */
    struct gate ended;
};

static void endless_run(struct base_task *task)
{
    struct endless *endless = BASE_CONTAINER_OF(task, struct endless, deferred);
    if (endless->stop) {
        gate_raise(&endless->ended);
    } else {
        base_executor_defer(endless->executor, task);
    }
}

static void endless_start(void *context)
{
    struct endless *endless = context;
    base_executor_defer(endless->executor, &endless->deferred);
}

static void endless_stop(void *context)
{
    ((struct endless *)context)->stop = true;
}

static void endless_deferring_starves_nobody(void **state)
{
    struct endless endless = {.executor = net_loop_executor(*state), .deferred.run = endless_run};
    gate_init(&endless.ended);
    call_on(endless.executor, endless_start, &endless);
    call_on(endless.executor, endless_stop, &endless);
    gate_wait(&endless.ended, 1);
    gate_fini(&endless.ended);
}

enum { TIMERS_COUNT = 64 };

struct timed {
    struct base_timer timer;
    struct timed_set *set;
};

struct timed_set {
    struct net_loop *loop;
    struct timed timers[TIMERS_COUNT];
    int64_t last_us;
    unsigned early; /* asserted on the test's thread */
    unsigned unordered;
    struct gate fired;
};

static void timed_fire(struct base_timer *timer)
{
    struct timed_set *set = BASE_CONTAINER_OF(timer, struct timed, timer)->set;
    int64_t now_us = base_clock_monotonic_us(base_clock_system());

    set->early += now_us < timer->deadline_us || net_loop_now_us(set->loop) < timer->deadline_us;
    set->unordered += timer->deadline_us < set->last_us;
    set->last_us = timer->deadline_us;
    gate_raise(&set->fired);
}

static void timed_start(void *context)
{
    struct timed_set *set = context;
    int64_t now_us = net_loop_now_us(set->loop);
    for (unsigned i = 0; i < TIMERS_COUNT; i++) {
        struct timed *timed = &set->timers[i];
        timed->set = set;
        timed->timer.fire = timed_fire;
        /* 37 is coprime to 64: every delay once, in mixed order. */
        base_timer_arm(net_loop_executor(set->loop), &timed->timer,
                       now_us + (i * 37 % TIMERS_COUNT) * 613);
    }
}

static void timer_never_fires_early(void **state)
{
    struct timed_set set = {.loop = *state};
    gate_init(&set.fired);
    call_on(net_loop_executor(set.loop), timed_start, &set);
    gate_wait(&set.fired, TIMERS_COUNT);
    assert_int_equal(set.early, 0);
    assert_int_equal(set.unordered, 0);
    gate_fini(&set.fired);
}

static void timed_stop_all(void *context)
{
    struct timed_set *set = context;
    int64_t now_us = net_loop_now_us(set->loop);
    for (unsigned i = 0; i < 3; i++) {
        set->timers[i].set = set;
        set->timers[i].timer.fire = timed_fire;
        base_timer_arm(net_loop_executor(set->loop), &set->timers[i].timer, now_us + 1000 * i);
    }
    base_timer_stop(net_loop_executor(set->loop), &set->timers[0].timer);
    base_timer_stop(net_loop_executor(set->loop), &set->timers[1].timer);
    BASE_ASSERT(!base_timer_is_armed(&set->timers[0].timer));
}

static void stopped_timer_does_not_fire(void **state)
{
    struct timed_set set = {.loop = *state};
    gate_init(&set.fired);
    call_on(net_loop_executor(set.loop), timed_stop_all, &set);
    gate_wait(&set.fired, 1); /* the third, due after both others */
    assert_int_equal(gate_count(&set.fired), 1);
    gate_fini(&set.fired);
}

static void close_runs_what_was_posted(void **state)
{
    static struct numbered tasks[POSTED_COUNT];
    struct net_loop *loop = NULL;
    struct gate done;
    unsigned next = 0;

    (void)state;
    gate_init(&done);
    assert_int_equal(net_loop_create(1, base_clock_system(), NULL, &loop), BASE_ERR_OK);
    for (unsigned i = 0; i < POSTED_COUNT; i++) {
        tasks[i] =
            (struct numbered){.task.run = run_numbered, .number = i, .next = &next, .done = &done};
        base_executor_post(net_loop_executor(loop), &tasks[i].task);
    }
    net_loop_close(&loop);
    assert_int_equal(next, POSTED_COUNT);
    gate_fini(&done);
}

static void failed_allocation_creates_no_loop(void **state)
{
    struct net_loop *loop = NULL;

    (void)state;
    base_alloc_fail_after(0, 1);
    assert_int_equal(net_loop_create(0, base_clock_system(), NULL, &loop), BASE_ERR_NOMEM);
    base_alloc_fail_after(-1, 0);
    assert_null(loop);
    net_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(posted_tasks_run_in_order, loop_setup, loop_teardown),
        cmocka_unit_test_setup_teardown(deferred_tasks_run_before_the_next_turn, loop_setup,
                                        loop_teardown),
        cmocka_unit_test_setup_teardown(endless_deferring_starves_nobody, loop_setup,
                                        loop_teardown),
        cmocka_unit_test_setup_teardown(timer_never_fires_early, loop_setup, loop_teardown),
        cmocka_unit_test_setup_teardown(stopped_timer_does_not_fire, loop_setup, loop_teardown),
        cmocka_unit_test(close_runs_what_was_posted),
        cmocka_unit_test(failed_allocation_creates_no_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
