/* Where work runs: an event loop, a pool of disk threads, or a simulator.
 *
 * Everything that must happen on another thread, or later, is a task posted to
 * an executor. Nothing in core/ or logstore/ knows which kind it talks to. */
#ifndef BASE_EXECUTOR_H
#define BASE_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"

struct base_task;
typedef void base_task_run(struct base_task *task);

/* One piece of work, embedded in the object it concerns. From post until run
 * starts it belongs to the executor; it may be posted again from within run. */
struct base_task {
    base_task_run *run;
    struct base_task *next; /* executor's own */
};

struct base_timer;
typedef void base_timer_fire(struct base_timer *timer);

/* A one-shot timer, embedded. Belongs to the executor's thread: armed, stopped
 * and fired there. Set `fire` once, the rest zero. */
struct base_timer {
    base_timer_fire *fire;
    int64_t deadline_us; /* monotonic; valid while armed */
    uint32_t heap_index; /* 1-based place in the heap; 0 when not armed */
};

struct base_executor {
    const struct base_executor_ops *ops;
    struct base_clock *clock; /* borrowed */
};

struct base_executor_ops {
    void (*post)(struct base_executor *executor, struct base_task *task);
    void (*defer)(struct base_executor *executor, struct base_task *task);
    void (*timer_arm)(struct base_executor *executor, struct base_timer *timer);
    void (*timer_stop)(struct base_executor *executor, struct base_timer *timer);
    bool (*is_current)(struct base_executor *executor);
};

/* Runs task on executor, later, after everything posted before by the same
 * thread. From any thread. Never fails: the task is its own queue node. */
static inline void base_executor_post(struct base_executor *executor, struct base_task *task)
{
    executor->ops->post(executor, task);
}

/* Runs task at the end of the executor's current turn, before it sleeps. Only
 * from the executor's own thread; a pool has no turns and refuses (assert). */
static inline void base_executor_defer(struct base_executor *executor, struct base_task *task)
{
    executor->ops->defer(executor, task);
}

/* (Re-)arms timer for a monotonic time in microseconds. Own thread only. */
static inline void base_timer_arm(struct base_executor *executor, struct base_timer *timer,
                                  int64_t deadline_us)
{
    timer->deadline_us = deadline_us;
    executor->ops->timer_arm(executor, timer);
}

/* No-op when not armed. Own thread only. */
static inline void base_timer_stop(struct base_executor *executor, struct base_timer *timer)
{
    executor->ops->timer_stop(executor, timer);
}

static inline bool base_timer_is_armed(const struct base_timer *timer)
{
    return timer->heap_index != 0;
}

/* True on the executor's own thread (for a pool: on any of its threads). */
static inline bool base_executor_is_current(struct base_executor *executor)
{
    return executor->ops->is_current(executor);
}

#endif
