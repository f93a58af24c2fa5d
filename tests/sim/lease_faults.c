/* Crashes and restarts. */
#include "tests/sim/lease_world.h"

enum { PATIENCE_US = 100000 };

static void start_broker(struct lease_world *world)
{
    struct queue_harness *harness = &world->harness;

    for (;;) {
        bool power_cut = !lease_world_chance(world, 3);
        io_sim_restart(harness->sim, power_cut);
        world->has_planned_fault = !world->is_draining && lease_world_chance(world, 6);
        if (world->has_planned_fault) {
            io_sim_crash_at(harness->sim, lease_world_pick(world, 200)); /* while it starts */
        }
        enum base_err err = queue_harness_start(harness);
        if (err == BASE_ERR_OK) {
            break;
        }
        LEASE_CHECK(io_sim_has_crashed(harness->sim));
    }
    world->life++;
}

static void end_life(struct lease_world *world)
{
    queue_harness_stop(&world->harness);
    LEASE_CHECK(base_list_is_empty(&world->consumes));
    for (uint32_t i = 0; i < LEASE_QUEUES; i++) {
        lease_model_crash(world->queues[i]);
    }
    start_broker(world);
    if (!world->has_planned_fault && lease_world_chance(world, 4)) {
        lease_scan_all(world);
    }
}

/* A sync that failed stops a partition for good. */
bool lease_is_down(struct lease_world *world)
{
    return io_sim_has_crashed(world->harness.sim) ||
           partition_table_offline_count(world->harness.table) > 0;
}

void lease_crash(struct lease_world *world)
{
    struct queue_harness *harness = &world->harness;

    io_sim_crash(harness->sim);
    io_sim_set_full(harness->sim, false);
    lease_world_advance(world, 3 * QUEUE_HARNESS_SECOND); /* disk full: retried */
    LEASE_CHECK(world->open_count == 0);                  /* everybody was answered */
    world->crashes_count++;
    end_life(world);
}

void lease_wait(struct lease_world *world, const bool *is_over)
{
    lease_world_advance(world, PATIENCE_US);
    io_sim_set_full(world->harness.sim, false); /* what was accepted waits for room */
    queue_harness_wait(&world->harness, is_over);
}

bool lease_settle(struct lease_world *world)
{
    struct queue_harness *harness = &world->harness;

    io_sim_set_full(harness->sim, false);
    sim_scheduler_run(harness->scheduler);
    for (unsigned i = 0; i < 100 && world->open_count > 0; i++) {
        lease_world_advance(world, 50000);
    }
    if (lease_is_down(world)) {
        return false;
    }
    LEASE_CHECK(world->open_count == 0);
    return true;
}

/* Consumes still wait. Until everything is answered it may crash; then that is what happened. */
void lease_restart(struct lease_world *world)
{
    if (lease_settle(world)) {
        end_life(world);
    } else {
        lease_crash(world);
    }
}
