/* Thread pool. */
#include "tests/unit/net/net_fixture.h"

#include "core/base/executor.h"
#include "core/net/pool.h"

enum { TASKS_COUNT = 1000 };

struct job {
    struct base_task task;
    struct base_executor *executor;
    struct gate *done;
    unsigned *order; /* of starting; meaningful with one thread */
    unsigned started;
    bool again;
    bool was_current;
};

static void job_run(struct base_task *task)
{
    struct job *job = BASE_CONTAINER_OF(task, struct job, task);

    job->was_current = base_executor_is_current(job->executor);
    if (job->order != NULL) {
        job->started = (*job->order)++;
    }
    if (job->again) {
        job->again = false;
        base_executor_post(job->executor, task);
        return;
    }
    gate_raise(job->done);
}

static void one_thread_runs_tasks_in_order(void **state)
{
    static struct job jobs[TASKS_COUNT];
    struct net_pool *pool = NULL;
    struct gate done;
    unsigned order = 0;

    (void)state;
    gate_init(&done);
    assert_int_equal(net_pool_create(1, base_clock_system(), &pool), BASE_ERR_OK);
    for (unsigned i = 0; i < TASKS_COUNT; i++) {
        jobs[i] = (struct job){.task.run = job_run,
                               .executor = net_pool_executor(pool),
                               .done = &done,
                               .order = &order};
        base_executor_post(net_pool_executor(pool), &jobs[i].task);
    }
    gate_wait(&done, TASKS_COUNT);
    assert_false(base_executor_is_current(net_pool_executor(pool)));
    net_pool_close(&pool);
    assert_null(pool);
    for (unsigned i = 0; i < TASKS_COUNT; i++) {
        assert_int_equal(jobs[i].started, i);
        assert_true(jobs[i].was_current);
    }
    gate_fini(&done);
}

static void close_runs_what_was_posted(void **state)
{
    static struct job jobs[TASKS_COUNT];
    struct net_pool *pool = NULL;
    struct gate done;

    (void)state;
    gate_init(&done);
    assert_int_equal(net_pool_create(4, base_clock_system(), &pool), BASE_ERR_OK);
    for (unsigned i = 0; i < TASKS_COUNT; i++) {
        jobs[i] = (struct job){.task.run = job_run,
                               .executor = net_pool_executor(pool),
                               .done = &done,
                               .again = i % 2 == 0};
        base_executor_post(net_pool_executor(pool), &jobs[i].task);
    }
    net_pool_close(&pool);
    assert_int_equal(done.count, TASKS_COUNT);
    gate_fini(&done);
}

struct rendezvous {
    struct base_task task;
    struct gate *met;
};

static void rendezvous_run(struct base_task *task)
{
    struct rendezvous *rendezvous = BASE_CONTAINER_OF(task, struct rendezvous, task);
    gate_raise(rendezvous->met);
    gate_wait(rendezvous->met, 2); /* only another thread of the pool can bring it there */
}

static void tasks_run_side_by_side(void **state)
{
    struct net_pool *pool = NULL;
    struct gate met;
    struct rendezvous pair[2] = {{.task.run = rendezvous_run, .met = &met},
                                 {.task.run = rendezvous_run, .met = &met}};

    (void)state;
    gate_init(&met);
    assert_int_equal(net_pool_create(2, base_clock_system(), &pool), BASE_ERR_OK);
    base_executor_post(net_pool_executor(pool), &pair[0].task);
    base_executor_post(net_pool_executor(pool), &pair[1].task);
    net_pool_close(&pool);
    assert_int_equal(met.count, 2);
    gate_fini(&met);
}

static void failed_allocation_creates_no_pool(void **state)
{
    struct net_pool *pool = NULL;

    (void)state;
    base_alloc_fail_after(0, 1);
    assert_int_equal(net_pool_create(2, base_clock_system(), &pool), BASE_ERR_NOMEM);
    base_alloc_fail_after(-1, 0);
    assert_null(pool);
    net_pool_close(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_runs_tasks_in_order),
        cmocka_unit_test(close_runs_what_was_posted),
        cmocka_unit_test(tasks_run_side_by_side),
        cmocka_unit_test(failed_allocation_creates_no_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
