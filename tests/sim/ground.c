/* One loop, one pool, one disk, one store. */
#include "tests/sim/ground.h"

#include "core/base/assert.h"
#include "core/base/list.h"

enum { WAIT_US_MAX = 60 * 1000 * 1000, RETENTION_CHECK_MS = 1000 * 1000, OPEN_SEGMENTS_MAX = 100 };

void sim_ground_init(struct sim_ground *ground, uint64_t seed, uint64_t pending_one_in,
                     int64_t latency_us_max)
{
    *ground = (struct sim_ground){.scheduler = sim_scheduler_create(seed)};
    ground->loop = sim_scheduler_add(ground->scheduler, SIM_LOOP);
    ground->worker = sim_scheduler_add(ground->scheduler, SIM_POOL);
    struct io_sim_options options = {.scheduler = ground->scheduler,
                                     .pending_one_in = pending_one_in,
                                     .latency_us_max = latency_us_max};
    ground->sim = io_sim_create(&options);
}

void sim_ground_fini(struct sim_ground *ground)
{
    BASE_ASSERT(ground->store == NULL);
    io_sim_close(&ground->sim);
    sim_scheduler_close(&ground->scheduler);
}

void sim_ground_open_store(struct sim_ground *ground)
{
    struct logstore_store_options options = {.io = io_sim_io(ground->sim),
                                             .worker = ground->worker,
                                             .housekeeper = ground->loop,
                                             .clock = sim_scheduler_clock(ground->scheduler),
                                             .tail_bytes_max = 1 << 20,
                                             .open_segments_max = OPEN_SEGMENTS_MAX,
                                             .retention_check_ms = RETENTION_CHECK_MS};
    BASE_ASSERT(ground->store == NULL);
    enum base_err err = logstore_store_create(&options, &ground->store);
    BASE_ASSERT(err == BASE_ERR_OK);
}

void sim_ground_close_store(struct sim_ground *ground)
{
    logstore_store_close(&ground->store);
}

void sim_ground_wait(const struct sim_ground *ground, const bool *is_over)
{
    bool came = sim_scheduler_run_until(ground->scheduler, is_over, WAIT_US_MAX);
    BASE_ASSERT(came);
}

static void set(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct sim_flag, task)->is_set = true;
}

struct sim_flag sim_flag(void)
{
    return (struct sim_flag){.task = {.run = set}};
}
