/* Simulated executors: queues of tasks, a timer heap each, one virtual clock. */
#include "tests/sim/executor_sim.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/timer_heap.h"

enum { EXECUTORS_COUNT_MAX = 64 };

#define WALL_START_US (INT64_C(1700000000) * 1000000)

/* Tasks in order, linked through base_task.next. */
struct queue {
    struct base_task *first;
    struct base_task *last;
    uint32_t count;
};

struct sim_executor {
    struct base_executor executor;
    struct sim_scheduler *scheduler;
    enum sim_executor_kind kind;
    struct queue posted;
    struct queue deferred; /* to the end of the turn */
    uint32_t turn_left;    /* tasks of the turn under way that have not run yet */
    struct base_timer_heap timers;
};

struct sim_scheduler {
    struct base_clock clock;
    int64_t now_us;
    int64_t wall_step_us; /* what the wall clock was set by */
    uint64_t random;
    struct base_timer_heap timers; /* of the simulation itself */
    struct sim_executor *current;
    uint32_t executors_count;
    struct sim_executor executors[EXECUTORS_COUNT_MAX];
};

static void push(struct queue *queue, struct base_task *task)
{
    for (const struct base_task *other = queue->first; other != NULL; other = other->next) {
        BASE_ASSERT(other != task); /* posted twice */
    }
    task->next = NULL;
    if (queue->last == NULL) {
        queue->first = task;
    } else {
        queue->last->next = task;
    }
    queue->last = task;
    queue->count++;
}

/* Removes and returns the task at index. */
static struct base_task *take(struct queue *queue, uint32_t index)
{
    struct base_task *before = NULL;
    struct base_task *task = queue->first;

    BASE_ASSERT(index < queue->count);
    for (uint32_t i = 0; i < index; i++) {
        before = task;
        task = task->next;
    }
    if (before == NULL) {
        queue->first = task->next;
    } else {
        before->next = task->next;
    }
    if (queue->last == task) {
        queue->last = before;
    }
    queue->count--;
    task->next = NULL;
    return task;
}

static struct sim_executor *executor_of(struct base_executor *executor)
{
    return BASE_CONTAINER_OF(executor, struct sim_executor, executor);
}

static void sim_post(struct base_executor *executor, struct base_task *task)
{
    BASE_ASSERT(task->run != NULL);
    push(&executor_of(executor)->posted, task);
}

static void sim_defer(struct base_executor *executor, struct base_task *task)
{
    struct sim_executor *sim = executor_of(executor);

    BASE_ASSERT(sim->kind == SIM_LOOP);
    BASE_ASSERT(sim->scheduler->current == sim);
    push(&sim->deferred, task);
}

static void sim_timer_arm(struct base_executor *executor, struct base_timer *timer)
{
    struct sim_executor *sim = executor_of(executor);

    BASE_ASSERT(sim->kind == SIM_LOOP);
    BASE_ASSERT(sim->scheduler->current == sim);
    base_timer_heap_arm(&sim->timers, timer);
}

static void sim_timer_stop(struct base_executor *executor, struct base_timer *timer)
{
    struct sim_executor *sim = executor_of(executor);

    BASE_ASSERT(sim->kind == SIM_LOOP);
    BASE_ASSERT(sim->scheduler->current == sim);
    base_timer_heap_stop(&sim->timers, timer);
}

static bool sim_is_current(struct base_executor *executor)
{
    struct sim_executor *sim = executor_of(executor);
    return sim->scheduler->current == sim;
}

static const struct base_executor_ops sim_ops = {
    .post = sim_post,
    .defer = sim_defer,
    .timer_arm = sim_timer_arm,
    .timer_stop = sim_timer_stop,
    .is_current = sim_is_current,
};

static int64_t sim_monotonic_us(struct base_clock *clock)
{
    return BASE_CONTAINER_OF(clock, struct sim_scheduler, clock)->now_us;
}

static int64_t sim_wall_us(struct base_clock *clock)
{
    const struct sim_scheduler *scheduler = BASE_CONTAINER_OF(clock, struct sim_scheduler, clock);
    return WALL_START_US + scheduler->now_us + scheduler->wall_step_us;
}

struct sim_scheduler *sim_scheduler_create(uint64_t seed)
{
    struct sim_scheduler *scheduler = base_alloc_object(struct sim_scheduler);

    BASE_ASSERT(scheduler != NULL);
    scheduler->clock =
        (struct base_clock){.monotonic_us = sim_monotonic_us, .wall_us = sim_wall_us};
    scheduler->now_us = 1000000;
    scheduler->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    base_timer_heap_init(&scheduler->timers);
    return scheduler;
}

void sim_scheduler_close(struct sim_scheduler **scheduler)
{
    if (*scheduler == NULL) {
        return;
    }
    for (uint32_t i = 0; i < (*scheduler)->executors_count; i++) {
        base_timer_heap_fini(&(*scheduler)->executors[i].timers);
    }
    base_timer_heap_fini(&(*scheduler)->timers);
    base_free(*scheduler);
    *scheduler = NULL;
}

struct base_executor *sim_scheduler_add(struct sim_scheduler *scheduler,
                                        enum sim_executor_kind kind)
{
    BASE_ASSERT(scheduler->executors_count < EXECUTORS_COUNT_MAX);
    struct sim_executor *sim = &scheduler->executors[scheduler->executors_count];
    scheduler->executors_count++;
    sim->executor = (struct base_executor){.ops = &sim_ops, .clock = &scheduler->clock};
    sim->scheduler = scheduler;
    sim->kind = kind;
    base_timer_heap_init(&sim->timers);
    return &sim->executor;
}

void sim_scheduler_set_wall(struct sim_scheduler *scheduler, int64_t step_us)
{
    scheduler->wall_step_us += step_us;
}

struct base_clock *sim_scheduler_clock(struct sim_scheduler *scheduler)
{
    return &scheduler->clock;
}

/* splitmix64 */
uint64_t sim_random(struct sim_scheduler *scheduler, uint64_t bound)
{
    BASE_ASSERT(bound > 0);
    scheduler->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = scheduler->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % bound;
}

bool sim_chance(struct sim_scheduler *scheduler, uint64_t one_in)
{
    return sim_random(scheduler, one_in) == 0;
}

void sim_scheduler_timer_arm(struct sim_scheduler *scheduler, struct base_timer *timer,
                             int64_t deadline_us)
{
    timer->deadline_us = deadline_us;
    base_timer_heap_arm(&scheduler->timers, timer);
}

static bool is_due(const struct base_timer_heap *timers, int64_t now_us)
{
    int64_t next_us = base_timer_heap_next_us(timers);
    return next_us >= 0 && next_us <= now_us;
}

static bool is_ready(const struct sim_executor *sim)
{
    return sim->posted.count > 0 || sim->deferred.count > 0 ||
           is_due(&sim->timers, sim->scheduler->now_us);
}

static void run_task(struct sim_executor *sim, struct base_task *task)
{
    sim->scheduler->current = sim;
    task->run(task);
    sim->scheduler->current = NULL;
}

/* One task of a loop: a turn has a random length, then the deferred ones come. */
static void step_loop(struct sim_executor *sim)
{
    struct sim_scheduler *scheduler = sim->scheduler;

    if (sim->turn_left == 0 && sim->deferred.count > 0) {
        run_task(sim, take(&sim->deferred, 0));
        return;
    }
    if (is_due(&sim->timers, scheduler->now_us) &&
        (sim->posted.count == 0 || sim_chance(scheduler, 2))) {
        scheduler->current = sim;
        (void)base_timer_heap_run(&sim->timers, scheduler->now_us, 1);
        scheduler->current = NULL;
        return;
    }
    if (sim->posted.count == 0) {
        sim->turn_left = 0;
        if (sim->deferred.count > 0) {
            run_task(sim, take(&sim->deferred, 0));
        }
        return;
    }
    if (sim->turn_left == 0) {
        sim->turn_left = 1 + (uint32_t)sim_random(scheduler, sim->posted.count);
    }
    sim->turn_left--;
    run_task(sim, take(&sim->posted, 0));
}

bool sim_scheduler_step(struct sim_scheduler *scheduler)
{
    uint32_t ready[EXECUTORS_COUNT_MAX + 1];
    uint32_t ready_count = 0;

    BASE_ASSERT(scheduler->current == NULL);
    for (uint32_t i = 0; i < scheduler->executors_count; i++) {
        if (is_ready(&scheduler->executors[i])) {
            ready[ready_count++] = i;
        }
    }
    bool has_own = is_due(&scheduler->timers, scheduler->now_us);
    if (has_own) {
        ready[ready_count++] = EXECUTORS_COUNT_MAX;
    }
    if (ready_count == 0) {
        return false;
    }
    uint32_t chosen = ready[sim_random(scheduler, ready_count)];
    if (chosen == EXECUTORS_COUNT_MAX) {
        (void)base_timer_heap_run(&scheduler->timers, scheduler->now_us, 1);
        return true;
    }
    struct sim_executor *sim = &scheduler->executors[chosen];
    if (sim->kind == SIM_LOOP) {
        step_loop(sim);
    } else {
        run_task(sim, take(&sim->posted, (uint32_t)sim_random(scheduler, sim->posted.count)));
    }
    return true;
}

void sim_scheduler_run(struct sim_scheduler *scheduler)
{
    while (sim_scheduler_step(scheduler)) {
    }
}

/* Earliest deadline of all timers; INT64_MAX when none is armed. */
static int64_t next_deadline_us(const struct sim_scheduler *scheduler)
{
    int64_t next_us = base_timer_heap_next_us(&scheduler->timers);

    next_us = next_us < 0 ? INT64_MAX : next_us;
    for (uint32_t i = 0; i < scheduler->executors_count; i++) {
        int64_t deadline_us = base_timer_heap_next_us(&scheduler->executors[i].timers);
        if (deadline_us >= 0 && deadline_us < next_us) {
            next_us = deadline_us;
        }
    }
    return next_us;
}

bool sim_scheduler_pass(struct sim_scheduler *scheduler)
{
    int64_t next_us = next_deadline_us(scheduler);

    if (next_us == INT64_MAX) {
        return false;
    }
    scheduler->now_us = next_us > scheduler->now_us ? next_us : scheduler->now_us;
    return true;
}

void sim_scheduler_advance(struct sim_scheduler *scheduler, int64_t duration_us)
{
    int64_t end_us = scheduler->now_us + duration_us;

    sim_scheduler_run(scheduler);
    for (int64_t next_us = next_deadline_us(scheduler); next_us <= end_us;
         next_us = next_deadline_us(scheduler)) {
        scheduler->now_us = next_us > scheduler->now_us ? next_us : scheduler->now_us;
        sim_scheduler_run(scheduler);
    }
    scheduler->now_us = end_us;
}

bool sim_scheduler_run_until(struct sim_scheduler *scheduler, const bool *done,
                             int64_t duration_max_us)
{
    int64_t end_us = scheduler->now_us + duration_max_us;

    while (!*done) {
        if (sim_scheduler_step(scheduler)) {
            continue;
        }
        int64_t next_us = next_deadline_us(scheduler);
        if (next_us > end_us) {
            return false;
        }
        scheduler->now_us = next_us;
    }
    return true;
}
