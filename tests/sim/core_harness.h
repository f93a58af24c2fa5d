/* A broker without doors: catalog, partitions, consumer groups and producer ids over the
 * simulated disk, on several loops and a pool in virtual time. Trouble that a test did not
 * ask for aborts. */
#ifndef SIM_CORE_HARNESS_H
#define SIM_CORE_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/group/coordinator.h"
#include "core/partition/table.h"
#include "core/txn/producer_ids.h"
#include "tests/sim/executor_sim.h"
#include "tests/sim/io_sim.h"

enum { CORE_HARNESS_LOOPS_MAX = 4 };

/* Longest virtual time that starting, stopping and other waits may take. */
#define CORE_HARNESS_WAIT_US_MAX (INT64_C(600) * 1000000)

struct core_harness {
    struct sim_scheduler *scheduler;
    struct base_executor *loops[CORE_HARNESS_LOOPS_MAX];
    uint32_t loops_count;
    struct base_executor *housekeeper;
    struct base_executor *pool;
    struct base_clock *clock;
    struct io_sim *sim;
    size_t tail_bytes_max;              /* set before start */
    int32_t initial_rebalance_delay_ms; /* the same */

    /* NULL while stopped. */
    struct logstore_store *store;
    struct catalog *catalog;
    struct partition_table *table;
    struct group_coordinator *groups;
    struct txn_producer_ids *producer_ids;
    int32_t generation; /* of this start: the leader epoch of everything */
};

/* options->scheduler is set here. */
void core_harness_init(struct core_harness *harness, uint64_t seed, uint32_t loops_count,
                       const struct io_sim_options *options);

/* Stops first, if necessary. */
void core_harness_fini(struct core_harness *harness);

/* Starts the broker. On an error, which only a crash of the disk may cause, it is stopped
 * again. */
enum base_err core_harness_start(struct core_harness *harness);

/* Stops it, or clears away what a crash has left. No partition is held, and no request is
 * under way but joins and syncs. */
void core_harness_stop(struct core_harness *harness);

/* Runs until *is_over; false when that does not come in time. */
bool core_harness_wait(struct core_harness *harness, const bool *is_over);

#endif
