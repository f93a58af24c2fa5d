/* Random use of a broker over a disk that crashes, against a model of what clients were told.
 *
 *     sim_broker --seeds FROM COUNT [--verbose] [--plant drop|swap|ack-early|double]
 *
 * Producers (plain and idempotent), pollers, an administrator of topics and members of
 * consumer groups use the real log store, catalog, partitions and groups in virtual time,
 * while the disk is slow, full, fails, or dies at any call. Checked all the time: nothing
 * acknowledged is lost, an offset never changes its meaning, no idempotent record is there
 * twice, no partition has two owners, committed offsets never go back. Checked in the end,
 * when faults have stopped: everybody gets on. A planted fault shows that the checks work. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "tests/sim/broker_world.h"

enum { STEPS = 50, CALM_SECONDS_MAX = 120 };

static const char *const plant_names[] = {
    [PLANT_NONE] = "none",           [PLANT_DROP] = "drop",     [PLANT_SWAP] = "swap",
    [PLANT_ACK_EARLY] = "ack-early", [PLANT_DOUBLE] = "double",
};

static void create_clients(struct broker_world *world)
{
    world->admin = broker_admin_create(world);
    for (uint32_t i = 0; i < MODEL_GROUPS; i++) {
        world->groups[i] = broker_group_create(world, i);
    }
    for (uint32_t i = 0; i < WORLD_PRODUCERS; i++) {
        world->producers[i] = broker_producer_create(world, i);
    }
    for (uint32_t i = 0; i < WORLD_POLLERS; i++) {
        world->pollers[i] = broker_poller_create(world);
    }
}

static void close_clients(struct broker_world *world)
{
    broker_admin_close(&world->admin);
    for (uint32_t i = 0; i < MODEL_GROUPS; i++) {
        broker_group_close(&world->groups[i]);
    }
    for (uint32_t i = 0; i < WORLD_PRODUCERS; i++) {
        broker_producer_close(&world->producers[i]);
    }
    for (uint32_t i = 0; i < WORLD_POLLERS; i++) {
        broker_poller_close(&world->pollers[i]);
    }
}

struct progress {
    uint64_t producers[WORLD_PRODUCERS];
    uint64_t pollers[WORLD_POLLERS];
};

static struct progress progress_of(const struct broker_world *world)
{
    struct progress progress;

    for (uint32_t i = 0; i < WORLD_PRODUCERS; i++) {
        progress.producers[i] = broker_producer_progress(world->producers[i]);
    }
    for (uint32_t i = 0; i < WORLD_POLLERS; i++) {
        progress.pollers[i] = broker_poller_progress(world->pollers[i]);
    }
    return progress;
}

/* Who does not get on since `before`; NULL when all is well. */
static const char *find_trouble(struct broker_world *world, const struct progress *before)
{
    struct progress now = progress_of(world);

    for (uint32_t i = 0; i < WORLD_PRODUCERS; i++) {
        if (now.producers[i] == before->producers[i]) {
            return "a producer gets nothing acknowledged";
        }
    }
    for (uint32_t i = 0; i < WORLD_POLLERS; i++) {
        if (now.pollers[i] == before->pollers[i]) {
            return "a poll does not end";
        }
    }
    for (uint32_t i = 0; i < MODEL_GROUPS; i++) {
        if (!broker_group_is_settled(world->groups[i])) {
            return "a group does not settle";
        }
    }
    return NULL;
}

/* Faults are over: everything must go well soon. */
static void calm_down(struct broker_world *world)
{
    broker_faults_end(world);
    struct progress before = progress_of(world);
    const char *trouble = find_trouble(world, &before);

    for (unsigned i = 0; trouble != NULL && i < CALM_SECONDS_MAX; i++) {
        sim_scheduler_advance(world->harness.scheduler, WORLD_SECOND);
        broker_world_look(world);
        trouble = find_trouble(world, &before);
    }
    if (trouble != NULL) {
        sim_seeds_fail(__FILE__, __LINE__, trouble);
    }
}

static void finish(struct broker_world *world)
{
    world->is_ending = true;
    sim_scheduler_advance(world->harness.scheduler, 5 * WORLD_SECOND);
    broker_faults_restart(world, STOP_POWER, true);
    for (uint32_t i = 0; i < MODEL_GROUPS; i++) {
        broker_group_verify(world->groups[i]);
    }
    broker_faults_restart(world, STOP_CLEAN, true);
    for (uint32_t i = 0; i < MODEL_GROUPS; i++) {
        broker_group_verify(world->groups[i]);
    }
    world->is_up = false;
    sim_scheduler_advance(world->harness.scheduler, WORLD_SECOND);
}

static void run_seed(uint64_t seed, unsigned plant, bool is_verbose)
{
    struct broker_world *world = base_alloc_object(struct broker_world);
    const struct io_sim_options options = {
        .append_is_durable = seed % 6 == 5,
        .pending_one_in = seed % 5,
        .latency_us_max = (int64_t)(seed % 7 * 3000),
    };

    BASE_ASSERT(world != NULL);
    world->seed = seed;
    world->plant = (enum broker_plant)plant;
    broker_model_init(&world->model);
    core_harness_init(&world->harness, seed, 1 + (uint32_t)(seed % CORE_HARNESS_LOOPS_MAX),
                      &options);
    world->think_us_max = 2000 + (int64_t)broker_world_pick(world, 60000);
    world->harness.initial_rebalance_delay_ms = (int32_t)broker_world_pick(world, 3000);
    world->harness.tail_bytes_max = broker_world_chance(world, 2) ? 0 : 1 << 20;
    enum base_err err = core_harness_start(&world->harness);
    MODEL_CHECK(err == BASE_ERR_OK);
    create_clients(world);
    world->is_up = true;
    for (unsigned i = 0; i < STEPS; i++) {
        broker_faults_step(world);
    }
    calm_down(world);
    finish(world);
    if (is_verbose) {
        printf("seed %" PRIu64 ": %" PRIu32 " records, %" PRIu64 " read, %" PRIu32
               " topics, %" PRIu32 " commits, %" PRIu64 " crashes, digest %016" PRIx64 "\n",
               seed, world->model.values_count - 1, world->records_count, world->model.topics_count,
               world->model.commits_count - 1, world->crashes_count, world->model.digest);
    }
    core_harness_fini(&world->harness);
    close_clients(world);
    broker_model_fini(&world->model);
    base_free(world);
}

int main(int argc, char **argv)
{
    static const struct sim_program program = {
        .name = "sim_broker",
        .plants = plant_names,
        .plants_count = sizeof plant_names / sizeof plant_names[0],
        .run = run_seed,
    };
    return sim_seeds_main(&program, argc, argv);
}
