/* Random use of queues over a disk that crashes, against a model of what clients were told.
 *
 *     sim_queue --seeds FROM COUNT [--verbose] [--plant FAULT]
 *
 * Clients produce (with tags and delays), consume (each group by a tag rule), ack (all, some,
 * with failures, late, with old handlers), let leases time out, give up waiting, reset their
 * groups, consume dead letters and redrive them; queues and groups are deleted and made again;
 * while the disk is slow, full, fails, or dies at any call. Checked all the time: nothing done
 * comes again, nothing is leased twice at once, nothing comes before its time or against its
 * group's rule, FIFO queues keep their order, failures are counted as promised, and who failed
 * too often is a dead letter, once. Checked in the end: everything that was promised to producers
 * has reached every group, and the counters are exact, also after one more crash. A planted fault
 * shows that the checks work. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "tests/sim/lease_world.h"

enum { STEPS = 300, WAITING_MAX = 6 /* consumes of one group at once */ };

static const char *const plant_names[LEASE_PLANT_COUNT] = {
    [LEASE_PLANT_NONE] = "none",
    [LEASE_PLANT_DROP] = "drop",
    [LEASE_PLANT_TWICE] = "twice",
    [LEASE_PLANT_ACK_EARLY] = "ack-early",
    [LEASE_PLANT_DUE_EARLY] = "due-early",
    [LEASE_PLANT_WRONG_TAG] = "wrong-tag",
    [LEASE_PLANT_LETTER_LOST] = "letter-lost",
    [LEASE_PLANT_LETTER_TWICE] = "letter-twice",
    [LEASE_PLANT_COUNTER] = "counter",
};

static void consume(struct lease_world *world, struct lease_group *group)
{
    uint32_t rule = group->rule_knowledge == RULE_KNOWN ? group->rule : 0;
    bool has_tags = !group->queue->is_kafka && group->queue->letters_of == NULL;

    if (group->waiting_count >= WAITING_MAX) {
        return;
    }
    if (has_tags && (group->rule_knowledge == RULE_UNKNOWN || lease_world_chance(world, 20))) {
        rule = (uint32_t)lease_world_pick(world, LEASE_RULES);
    }
    lease_consume(world, group, rule, (int64_t)lease_world_pick(world, 5000));
}

static void plan_fault(struct lease_world *world)
{
    if (lease_world_chance(world, 8)) {
        io_sim_crash_at(world->harness.sim, lease_world_pick(world, 60));
        world->has_planned_fault = true;
    } else if (lease_world_chance(world, 20)) {
        io_sim_fail_sync_at(world->harness.sim, lease_world_pick(world, 10));
        world->has_planned_fault = true;
        world->sync_failed = true;
    } else if (lease_world_chance(world, 20)) {
        lease_restart(world);
    }
}

/* What is done rarely. */
static void step_aside(struct lease_world *world, struct lease_group *group)
{
    uint64_t what = lease_world_pick(world, 32);

    if (group->queue->letters_of != NULL) {
        lease_redrive(world, group);
    } else if (what == 0) {
        lease_admin_step(world);
    } else if (what == 1) {
        lease_reset_racing(world, group);
    } else if (what < 6) {
        lease_reset_calm(world, group);
    }
}

static void step(struct lease_world *world)
{
    struct sim_scheduler *scheduler = world->harness.scheduler;
    struct lease_group *group = lease_world_group(world);
    uint64_t what = lease_world_pick(world, 21);

    if (what < 3) {
        if (group->queue->letters_of == NULL) {
            lease_produce(world, group->queue);
        }
    } else if (what < 8) {
        consume(world, group);
    } else if (what < 12) {
        lease_ack(world, group);
    } else if (what == 12) {
        lease_consume_cancel(world);
    } else if (what == 13) {
        uint64_t most = lease_world_chance(world, 3) ? 20000000 : 200000;
        lease_world_advance(world, (int64_t)lease_world_pick(world, most));
    } else if (what == 14) {
        io_sim_set_full(world->harness.sim, lease_world_chance(world, 5));
    } else if (what == 15) {
        plan_fault(world);
    } else if (what == 16) {
        step_aside(world, group);
    } else {
        for (uint64_t i = lease_world_pick(world, 40); i > 0; i--) {
            (void)sim_scheduler_step(scheduler);
        }
    }
    if (lease_is_down(world)) {
        lease_crash(world);
    }
}

static void close_world(struct lease_world *world)
{
    for (uint32_t i = 0; i < LEASE_QUEUES; i++) {
        lease_queue_free(&world->queues[i]);
    }
    while (world->queues_gone != NULL) {
        struct lease_queue *queue = world->queues_gone;
        world->queues_gone = queue->next_gone;
        lease_queue_free(&queue);
    }
    queue_harness_fini(&world->harness);
    base_free(world);
}

static void run_seed(uint64_t seed, unsigned plant, bool is_verbose)
{
    struct lease_world *world = base_alloc_object(struct lease_world);
    const struct io_sim_options options = {
        .pending_one_in = seed % 5,
        .latency_us_max = (int64_t)(seed % 7 * 3000),
    };

    BASE_ASSERT(world != NULL);
    world->seed = seed;
    world->plant = (enum lease_plant)plant;
    world->life = 1;
    base_list_init(&world->consumes);
    queue_harness_init(&world->harness, seed, &options);
    world->harness.snapshot_updates = 5 + (uint32_t)lease_world_pick(world, 100);
    world->harness.tail_bytes_max = lease_world_chance(world, 2) ? 0 : 1 << 20;
    world->harness.delay_rewrite_bytes = lease_world_chance(world, 2) ? 0 : 1 << 12;
    enum base_err err = queue_harness_start(&world->harness);
    LEASE_CHECK(err == BASE_ERR_OK);
    for (uint32_t i = 0; i < LEASE_QUEUES; i++) {
        world->queues[i] = lease_admin_make_queue(world);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step(world);
    }
    lease_finish(world);
    if (is_verbose) {
        printf("seed %" PRIu64 ": %" PRIu64 " delivered, %" PRIu64 " delayed, %" PRIu64
               " letters, %" PRIu64 " redriven, %" PRIu64 " resets, %" PRIu64
               " crashes, ends at %" PRId64 "\n",
               seed, world->delivered_count, world->delayed_count, world->letters_count,
               world->redriven_count, world->resets_count, world->crashes_count,
               lease_world_now_us(world));
    }
    close_world(world);
}

int main(int argc, char **argv)
{
    static const struct sim_program program = {
        .name = "sim_queue",
        .plants = plant_names,
        .plants_count = LEASE_PLANT_COUNT,
        .run = run_seed,
    };
    return sim_seeds_main(&program, argc, argv);
}
