#include "tests/sim/lease_world.h"

uint64_t lease_world_pick(struct lease_world *world, uint64_t bound)
{
    return sim_random(world->harness.scheduler, bound);
}

bool lease_world_chance(struct lease_world *world, uint64_t one_in)
{
    return sim_chance(world->harness.scheduler, one_in);
}

bool lease_world_plants(struct lease_world *world, enum lease_plant plant)
{
    return world->plant == plant && lease_world_chance(world, LEASE_PLANT_ONE_IN);
}

int64_t lease_world_now_us(const struct lease_world *world)
{
    return base_clock_monotonic_us(world->harness.clock);
}

int64_t lease_world_now_ms(const struct lease_world *world)
{
    return base_clock_wall_ms(world->harness.clock);
}

uint32_t lease_world_loop(struct lease_world *world)
{
    return (uint32_t)lease_world_pick(world, QUEUE_HARNESS_LOOPS);
}

void lease_world_advance(struct lease_world *world, int64_t duration_us)
{
    sim_scheduler_advance(world->harness.scheduler, duration_us);
}

struct lease_group *lease_world_group(struct lease_world *world)
{
    struct lease_queue *queue = world->queues[lease_world_pick(world, LEASE_QUEUES)];
    struct lease_group *group = queue->groups[lease_world_pick(world, LEASE_GROUPS)];

    return group->letters != NULL && lease_world_chance(world, 3) ? group->letters->groups[0]
                                                                  : group;
}

void lease_world_each(struct lease_world *world, bool queues, bool letters,
                      lease_group_visit *visit)
{
    for (uint32_t i = 0; i < LEASE_QUEUES * LEASE_GROUPS; i++) {
        struct lease_group *group = world->queues[i / LEASE_GROUPS]->groups[i % LEASE_GROUPS];
        if (queues) {
            visit(world, group);
        }
        if (letters && group->letters != NULL) {
            visit(world, group->letters->groups[0]);
        }
    }
}
