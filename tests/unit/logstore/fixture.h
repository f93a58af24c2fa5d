/* A log for each test, on real files or on the simulated disk: *state is its harness. */
#ifndef TESTS_UNIT_LOGSTORE_FIXTURE_H
#define TESTS_UNIT_LOGSTORE_FIXTURE_H

#include "tests/sim/log_harness.h"

static inline struct log_harness *fixture_init(void **state, uint64_t seed)
{
    static struct log_harness harness;

    log_harness_init(&harness, seed);
    *state = &harness;
    return &harness;
}

static inline int setup_files(void **state)
{
    log_harness_use_files(fixture_init(state, 1));
    return 0;
}

static inline int setup_files_tail(void **state)
{
    struct log_harness *harness = fixture_init(state, 1);

    harness->tail_bytes_max = 1 << 20;
    log_harness_use_files(harness);
    return 0;
}

static inline int setup_sim(void **state)
{
    struct io_sim_options options = {.latency_us_max = 1000};

    log_harness_use_sim(fixture_init(state, 1), &options);
    return 0;
}

static inline int teardown(void **state)
{
    log_harness_fini(*state);
    return 0;
}

#endif
