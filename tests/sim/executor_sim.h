/* Executors on virtual time, all in one thread: what a broker's loops and disk threads
 * become under a simulator.
 *
 *     struct sim_scheduler *scheduler = sim_scheduler_create(seed);
 *     struct base_executor *loop = sim_scheduler_add(scheduler, SIM_LOOP);
 *     struct base_executor *pool = sim_scheduler_add(scheduler, SIM_POOL);
 *     ...
 *     sim_scheduler_run(scheduler);                 // all that is ready now
 *     sim_scheduler_advance(scheduler, 1000000);    // one second of timers and tasks
 *
 * Which executor runs next is chosen at random, and so is the order of a pool's tasks;
 * a loop keeps its order. The same seed gives the same run. Memory trouble aborts. */
#ifndef SIM_EXECUTOR_SIM_H
#define SIM_EXECUTOR_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/executor.h"

struct sim_scheduler;

enum sim_executor_kind {
    SIM_LOOP, /* tasks in order, turns, timers; has defer */
    SIM_POOL, /* tasks in any order; no timers, no defer */
};

struct sim_scheduler *sim_scheduler_create(uint64_t seed);

/* Frees the scheduler with its executors; tasks that never ran are forgotten. Sets
 * *scheduler to NULL. NULL-safe. */
void sim_scheduler_close(struct sim_scheduler **scheduler);

/* Borrowed: lives as long as the scheduler. */
struct base_executor *sim_scheduler_add(struct sim_scheduler *scheduler,
                                        enum sim_executor_kind kind);

/* Virtual time; its wall clock starts at 1,700,000,000 seconds. */
struct base_clock *sim_scheduler_clock(struct sim_scheduler *scheduler);

/* Somebody sets the wall clock forward by step_us, or back. */
void sim_scheduler_set_wall(struct sim_scheduler *scheduler, int64_t step_us);

/* Runs one ready task. False when there is none; time does not move. */
bool sim_scheduler_step(struct sim_scheduler *scheduler);

/* Runs tasks until none is ready. Timers that are due count as ready. */
void sim_scheduler_run(struct sim_scheduler *scheduler);

/* Lets time pass up to the next timer, which is ready then. False when none is armed. */
bool sim_scheduler_pass(struct sim_scheduler *scheduler);

/* Runs what is ready and lets duration_us of time pass, timer by timer. */
void sim_scheduler_advance(struct sim_scheduler *scheduler, int64_t duration_us);

/* Runs, and lets time pass as far as needed, until *done is true. False when nothing is
 * left that could make it so, or after duration_max_us. */
bool sim_scheduler_run_until(struct sim_scheduler *scheduler, const bool *done,
                             int64_t duration_max_us);

/* A timer of the simulation itself: fires between tasks, on no executor. */
void sim_scheduler_timer_arm(struct sim_scheduler *scheduler, struct base_timer *timer,
                             int64_t deadline_us);

/* Uniform in [0, bound), bound > 0; from the scheduler's own seed. */
uint64_t sim_random(struct sim_scheduler *scheduler, uint64_t bound);

/* True once in `one_in` times on average. */
bool sim_chance(struct sim_scheduler *scheduler, uint64_t one_in);

#endif
