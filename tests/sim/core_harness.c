/* A broker without doors, started and stopped as core/main does it. */
#include "tests/sim/core_harness.h"

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/uuid.h"

enum { TAIL_BYTES_DEFAULT = 1 << 20, OPEN_SEGMENTS_MAX = 64, RETENTION_CHECK_MS = 1000 };

struct flag {
    struct base_task task;
    bool is_set;
};

static void set_flag(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct flag, task)->is_set = true;
}

void core_harness_init(struct core_harness *harness, uint64_t seed, uint32_t loops_count,
                       const struct io_sim_options *options)
{
    struct io_sim_options own = *options;

    BASE_ASSERT(loops_count > 0);
    BASE_ASSERT(loops_count <= CORE_HARNESS_LOOPS_MAX);
    *harness =
        (struct core_harness){.tail_bytes_max = TAIL_BYTES_DEFAULT, .loops_count = loops_count};
    base_uuid_seed(seed);
    harness->scheduler = sim_scheduler_create(seed);
    for (uint32_t i = 0; i < loops_count; i++) {
        harness->loops[i] = sim_scheduler_add(harness->scheduler, SIM_LOOP);
    }
    harness->housekeeper = sim_scheduler_add(harness->scheduler, SIM_LOOP);
    harness->pool = sim_scheduler_add(harness->scheduler, SIM_POOL);
    harness->clock = sim_scheduler_clock(harness->scheduler);
    own.scheduler = harness->scheduler;
    harness->sim = io_sim_create(&own);
}

void core_harness_fini(struct core_harness *harness)
{
    core_harness_stop(harness);
    io_sim_close(&harness->sim);
    sim_scheduler_close(&harness->scheduler);
}

bool core_harness_wait(struct core_harness *harness, const bool *is_over)
{
    return sim_scheduler_run_until(harness->scheduler, is_over, CORE_HARNESS_WAIT_US_MAX);
}

/* What must come, or the broker hangs. */
static void wait_for(struct core_harness *harness, const bool *is_over)
{
    bool came = core_harness_wait(harness, is_over);
    BASE_ASSERT(came);
}

/* The part of starting that belongs to the worker. */
struct catalog_start {
    struct core_harness *harness;
    struct base_task task;
    enum base_err err;
    bool is_over;
};

static void start_catalog(struct base_task *task)
{
    struct catalog_start *start = BASE_CONTAINER_OF(task, struct catalog_start, task);
    struct core_harness *harness = start->harness;

    start->err = catalog_next_generation(harness->store, &harness->generation);
    if (start->err == BASE_ERR_OK) {
        const struct catalog_options options = {
            .store = harness->store,
            .queues_per_project_max = 1000,
            .groups_per_queue_max = 10,
            .partitions_max = 10000,
            .leader_epoch = harness->generation,
        };
        start->err = catalog_open(&options, &harness->catalog);
    }
    start->is_over = true;
}

static enum base_err open_catalog(struct core_harness *harness)
{
    struct catalog_start start = {.harness = harness, .task.run = start_catalog};

    base_executor_post(harness->pool, &start.task);
    wait_for(harness, &start.is_over);
    return start.err;
}

static void open_partitions(struct core_harness *harness)
{
    const struct partition_table_options options = {
        .catalog = harness->catalog,
        .store = harness->store,
        .leader_epoch = harness->generation,
        .flush_interval_ms = 1000,
        .flush_bytes = 64 << 20,
    };
    struct flag opened = {.task.run = set_flag};

    enum base_err err = partition_table_create(&options, &harness->table);
    BASE_ASSERT(err == BASE_ERR_OK);
    err = partition_table_open_all(harness->table, harness->loops[0], &opened.task);
    BASE_ASSERT(err == BASE_ERR_OK);
    wait_for(harness, &opened.is_set);
}

struct groups_start {
    struct core_harness *harness;
    struct base_task task;
    struct group_load load;
    bool is_over;
};

static void groups_loaded(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct groups_start, load.task)->is_over = true;
}

static void load_groups(struct base_task *task)
{
    struct groups_start *start = BASE_CONTAINER_OF(task, struct groups_start, task);
    group_coordinator_load(start->harness->groups, &start->load);
}

static enum base_err open_groups(struct core_harness *harness)
{
    struct group_coordinator_options options;
    struct groups_start start = {
        .harness = harness,
        .task.run = load_groups,
        .load = {.executor = harness->loops[0], .task.run = groups_loaded}};

    group_coordinator_options_default(&options);
    options.catalog = harness->catalog;
    options.table = harness->table;
    options.worker = harness->pool;
    options.executors = harness->loops;
    options.executors_count = harness->loops_count;
    options.clock = harness->clock;
    options.initial_rebalance_delay_ms = harness->initial_rebalance_delay_ms;
    options.offsets_partitions = 2;
    enum base_err err = group_coordinator_create(&options, &harness->groups);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_executor_post(harness->loops[0], &start.task);
    wait_for(harness, &start.is_over);
    return start.load.err;
}

enum base_err core_harness_start(struct core_harness *harness)
{
    const struct logstore_store_options options = {
        .io = io_sim_io(harness->sim),
        .worker = harness->pool,
        .housekeeper = harness->housekeeper,
        .clock = harness->clock,
        .tail_bytes_max = harness->tail_bytes_max,
        .open_segments_max = OPEN_SEGMENTS_MAX,
        .retention_check_ms = RETENTION_CHECK_MS,
    };

    BASE_ASSERT(harness->store == NULL);
    enum base_err err = logstore_store_create(&options, &harness->store);
    BASE_ASSERT(err == BASE_ERR_OK);
    err = open_catalog(harness);
    if (err == BASE_ERR_OK) {
        open_partitions(harness);
        err = open_groups(harness);
    }
    if (err == BASE_ERR_OK) {
        err = txn_producer_ids_create(harness->catalog, &harness->producer_ids);
        BASE_ASSERT(err == BASE_ERR_OK);
    }
    if (err == BASE_ERR_OK && io_sim_has_crashed(harness->sim)) {
        err = BASE_ERR_CLOSED;
    }
    if (err != BASE_ERR_OK) {
        core_harness_stop(harness);
    }
    return err;
}

void core_harness_stop(struct core_harness *harness)
{
    struct base_executor *loop = harness->loops[0];
    struct flag closed = {.task.run = set_flag};

    txn_producer_ids_close(&harness->producer_ids);
    if (harness->groups != NULL) {
        group_coordinator_close(harness->groups, loop, &closed.task);
        harness->groups = NULL;
        wait_for(harness, &closed.is_set);
    }
    if (harness->table != NULL) {
        closed.is_set = false;
        partition_table_close(harness->table, loop, &closed.task);
        harness->table = NULL;
        wait_for(harness, &closed.is_set);
    }
    if (harness->catalog != NULL) {
        closed.is_set = false;
        catalog_close(harness->catalog, loop, &closed.task);
        harness->catalog = NULL;
        wait_for(harness, &closed.is_set);
    }
    sim_scheduler_run(harness->scheduler);
    logstore_store_close(&harness->store);
}
