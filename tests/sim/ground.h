/* The ground that core/ stands on in a unit test: a loop and a pool on virtual time, a simulated
 * disk and a store on it. What a test did not ask for aborts.
 *
 *     struct sim_flag closed = sim_flag();
 *     catalog_close(catalog, ground.loop, &closed.task);
 *     sim_ground_wait(&ground, &closed.is_set);
 */
#ifndef SIM_GROUND_H
#define SIM_GROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "logstore/store.h"
#include "tests/sim/executor_sim.h"
#include "tests/sim/io_sim.h"

/* Embedded in a fixture. */
struct sim_ground {
    struct sim_scheduler *scheduler;
    struct base_executor *loop;   /* borrowed, of the scheduler */
    struct base_executor *worker; /* the same; a pool */
    struct io_sim *sim;
    struct logstore_store *store; /* NULL unless open */
};

/* pending_one_in and latency_us_max of the disk: see struct io_sim_options. No store is open. */
void sim_ground_init(struct sim_ground *ground, uint64_t seed, uint64_t pending_one_in,
                     int64_t latency_us_max);

/* The store is closed. */
void sim_ground_fini(struct sim_ground *ground);

/* On what the disk holds. It looks for what may go every 1,000 seconds. */
void sim_ground_open_store(struct sim_ground *ground);
void sim_ground_close_store(struct sim_ground *ground);

/* Runs until *is_over; aborts when that does not come within a minute of virtual time. */
void sim_ground_wait(const struct sim_ground *ground, const bool *is_over);

/* A task that says that it has run. */
struct sim_flag {
    struct base_task task;
    bool is_set;
};

struct sim_flag sim_flag(void);

#endif
