/* What all clients share. */
#include "tests/sim/broker_world.h"

#include "core/base/assert.h"
#include "core/base/list.h"

uint64_t broker_world_pick(struct broker_world *world, uint64_t bound)
{
    return sim_random(world->harness.scheduler, bound);
}

bool broker_world_chance(struct broker_world *world, uint64_t one_in)
{
    return sim_chance(world->harness.scheduler, one_in);
}

int64_t broker_world_now_us(struct broker_world *world)
{
    return base_clock_monotonic_us(world->harness.clock);
}

int64_t broker_world_now_ms(struct broker_world *world)
{
    return base_clock_wall_ms(world->harness.clock);
}

/* Mostly short, sometimes long: bursts and pauses. */
static int64_t think_us(struct broker_world *world)
{
    int64_t most_us = world->think_us_max;
    most_us = broker_world_chance(world, 10) ? 10 * most_us : most_us;
    return 200 + (int64_t)broker_world_pick(world, (uint64_t)most_us);
}

static void client_fire(struct base_timer *timer)
{
    struct broker_client *client = BASE_CONTAINER_OF(timer, struct broker_client, timer);

    base_timer_arm(client->loop, &client->timer,
                   broker_world_now_us(client->world) + think_us(client->world));
    client->act(client);
}

static void client_start(struct base_task *task)
{
    broker_client_wake(BASE_CONTAINER_OF(task, struct broker_client, start), 0);
}

void broker_client_start(struct broker_client *client, struct broker_world *world,
                         broker_client_act *act)
{
    client->world = world;
    client->loop = world->harness.loops[broker_world_pick(world, world->harness.loops_count)];
    client->act = act;
    client->timer.fire = client_fire;
    client->start.run = client_start;
    base_executor_post(client->loop, &client->start);
}

void broker_client_wake(struct broker_client *client, int64_t delay_us)
{
    base_timer_arm(client->loop, &client->timer, broker_world_now_us(client->world) + delay_us);
}

bool broker_world_pick_partition(struct broker_world *world, uint32_t *topic, int32_t *partition)
{
    struct broker_model *model = &world->model;

    for (unsigned tries = 0; tries < 4; tries++) {
        struct model_topic *found =
            broker_model_topic(model, (uint32_t)broker_world_pick(world, MODEL_NAMES));
        if (found != NULL && found->state == MODEL_TOPIC_EXISTS) {
            *topic = (uint32_t)(found - model->topics);
            *partition = (int32_t)broker_world_pick(world, (uint64_t)found->partitions_count);
            return true;
        }
    }
    return false;
}

struct partition *broker_world_partition(struct broker_world *world, uint32_t topic,
                                         int32_t partition)
{
    const struct model_topic *known = &world->model.topics[topic];
    struct partition *found = partition_table_get(world->harness.table, known->id, partition);

    MODEL_CHECK(found != NULL || known->state != MODEL_TOPIC_EXISTS);
    return found;
}

void broker_world_check_err(struct broker_world *world, uint32_t topic, enum base_err err)
{
    bool may_be_offline = world->sync_may_fail || io_sim_has_crashed(world->harness.sim);

    if (err == BASE_ERR_OFFLINE || err == BASE_ERR_IO) {
        /* Partitions stop for a reason; one that was made without room is not there yet. */
        MODEL_CHECK(may_be_offline || (world->model.topics[topic].is_made_on_full_disk &&
                                       broker_world_now_us(world) < world->room_us));
    } else if (err == BASE_ERR_CLOSED) {
        MODEL_CHECK(may_be_offline || world->model.topics[topic].state != MODEL_TOPIC_EXISTS);
    } else if (err == BASE_ERR_NO_SPACE) {
        MODEL_CHECK(world->was_full);
    } else {
        MODEL_CHECK(err == BASE_ERR_OK || err == BASE_ERR_BUSY);
    }
}

void broker_world_look(struct broker_world *world)
{
    for (uint32_t i = 0; i < world->model.topics_count; i++) {
        struct model_topic *topic = &world->model.topics[i];
        if (topic->state != MODEL_TOPIC_EXISTS) {
            continue;
        }
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct partition_offsets offsets;
            struct partition *partition = broker_world_partition(world, i, j);
            partition_offsets(partition, &offsets);
            partition_release(&partition);
            broker_world_check_err(world, i, offsets.err);
            if (offsets.start >= 0) {
                broker_model_look(topic, j, &offsets);
            }
        }
    }
}
