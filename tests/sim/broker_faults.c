/* Misfortunes: crashes at any call, power cuts, syncs that are slow or fail, a full disk,
 * broken connections; and the broker's return, compared with the model. */
#include "core/base/assert.h"
#include "tests/sim/broker_group.h"
#include "tests/sim/broker_world.h"

enum { SLICE_US = 20000, DRAIN_US_MAX = 120 * 1000000, ROOM_US_MAX = 20 * 1000000 };

static void break_connection(struct broker_world *world)
{
    uint32_t group = (uint32_t)broker_world_pick(world, MODEL_GROUPS);

    switch (broker_world_pick(world, 3)) {
    case 0:
        broker_producer_disconnect(world->producers[broker_world_pick(world, WORLD_PRODUCERS)]);
        break;
    case 1:
        broker_poller_disconnect(world->pollers[broker_world_pick(world, WORLD_POLLERS)]);
        break;
    default:
        broker_group_disconnect(world->groups[group],
                                (uint32_t)broker_world_pick(world, WORLD_MEMBERS));
        break;
    }
}

/* What has not ended by itself ends with the connection, or with the broker. */
static void break_all(struct broker_world *world)
{
    for (uint32_t i = 0; i < WORLD_PRODUCERS; i++) {
        if (broker_world_chance(world, 2)) {
            broker_producer_disconnect(world->producers[i]);
        }
    }
    for (uint32_t i = 0; i < WORLD_POLLERS; i++) {
        broker_poller_disconnect(world->pollers[i]);
    }
    for (uint32_t i = 0; i < MODEL_GROUPS * WORLD_MEMBERS; i++) {
        if (broker_world_chance(world, 2)) {
            broker_group_disconnect(world->groups[i / WORLD_MEMBERS], i % WORLD_MEMBERS);
        }
    }
}

static void make_room(struct broker_world *world)
{
    if (world->room_us == INT64_MAX) {
        io_sim_set_full(world->harness.sim, false);
        world->room_us = broker_world_now_us(world) + ROOM_US_MAX;
    }
}

static void drain(struct broker_world *world)
{
    int64_t end_us = broker_world_now_us(world) + DRAIN_US_MAX;

    while (world->open_count > 0) {
        MODEL_CHECK(broker_world_now_us(world) < end_us); /* every request has an answer */
        if (broker_world_now_us(world) > end_us - DRAIN_US_MAX / 2) {
            make_room(world); /* what was accepted waits for it */
        }
        sim_scheduler_advance(world->harness.scheduler, SLICE_US);
    }
}

/* An orderly stop leaves nothing that a power cut could take. */
static void all_is_durable(struct broker_world *world)
{
    for (uint32_t i = 0; i < world->model.topics_count; i++) {
        for (int32_t j = 0; j < MODEL_PARTITIONS_MAX; j++) {
            struct model_partition *partition = &world->model.topics[i].partitions[j];
            partition->survives_power = partition->survives_kill;
        }
    }
}

static void start(struct broker_world *world, bool *is_power_cut)
{
    struct core_harness *harness = &world->harness;
    enum base_err err = BASE_ERR_OK;

    do {
        io_sim_restart(harness->sim, *is_power_cut);
        if (!world->is_calm && broker_world_chance(world, 4)) {
            io_sim_crash_at(harness->sim, broker_world_pick(world, 300));
        }
        err = core_harness_start(harness);
        if (err != BASE_ERR_OK) {
            MODEL_CHECK(io_sim_has_crashed(harness->sim)); /* else it must start */
            world->crashes_count++;
            *is_power_cut = *is_power_cut || broker_world_chance(world, 2);
        }
    } while (err != BASE_ERR_OK);
}

/* What the catalog says now is what was promised, or what had been asked for. */
static void check_topic(struct model_topic *topic, const struct catalog_view *view)
{
    const struct catalog_topic *found = catalog_view_topic_by_id(view, topic->id);

    if (topic->state == MODEL_TOPIC_EXISTS) {
        MODEL_CHECK(found != NULL);
    }
    if (topic->state == MODEL_TOPIC_GONE) {
        MODEL_CHECK(found == NULL);
    }
    if (found == NULL) {
        topic->state = MODEL_TOPIC_GONE;
        return;
    }
    topic->state = MODEL_TOPIC_EXISTS;
    MODEL_CHECK(found->partitions_count >= topic->partitions_count);
    MODEL_CHECK(found->partitions_count <= topic->partitions_asked);
    MODEL_CHECK(base_slice_is(base_slice_text(found->name), broker_model_name(topic->name)));
    topic->partitions_count = found->partitions_count;
    topic->partitions_asked = found->partitions_count;
}

static void check_topics(struct broker_world *world)
{
    struct catalog_view *view = catalog_view(world->harness.catalog);
    size_t count = 1; /* __consumer_offsets */

    for (uint32_t i = 0; i < world->model.topics_count; i++) {
        check_topic(&world->model.topics[i], view);
        count += world->model.topics[i].state == MODEL_TOPIC_EXISTS;
    }
    MODEL_CHECK(catalog_view_topics_count(view) == count);
    catalog_view_release(&view);
}

static void check_partitions(struct broker_world *world, bool is_power_cut, bool reads_all)
{
    for (uint32_t i = 0; i < world->model.topics_count; i++) {
        if (world->model.topics[i].state != MODEL_TOPIC_EXISTS) {
            continue;
        }
        for (int32_t j = 0; j < world->model.topics[i].partitions_count; j++) {
            struct partition_offsets offsets;
            struct partition *partition = broker_world_partition(world, i, j);
            partition_offsets(partition, &offsets);
            partition_release(&partition);
            broker_model_restarted(&world->model, i, j, &offsets, is_power_cut);
            if (reads_all) {
                broker_poller_verify(world, i, j);
            }
        }
    }
}

void broker_faults_restart(struct broker_world *world, enum broker_stop stop, bool reads_all)
{
    struct core_harness *harness = &world->harness;
    bool is_power_cut = stop == STOP_POWER;

    world->is_up = false;
    if (stop != STOP_CLEAN) {
        io_sim_crash(harness->sim);
        world->crashes_count++;
    }
    break_all(world);
    drain(world);
    core_harness_stop(harness);
    MODEL_CHECK(world->open_count == 0);
    MODEL_CHECK(world->parked_count == 0); /* nobody waits for a broker that has stopped */
    if (!io_sim_has_crashed(harness->sim) && !world->sync_may_fail) {
        all_is_durable(world);
        is_power_cut = broker_world_chance(world, 2);
    }
    /* A sync that failed takes what a power cut would have taken. */
    is_power_cut = is_power_cut || world->sync_may_fail;
    start(world, &is_power_cut);
    world->sync_may_fail = false;
    world->was_full = false;
    world->room_us = 0;
    for (uint32_t i = 0; i < world->model.topics_count; i++) {
        world->model.topics[i].is_made_on_full_disk = false;
    }
    check_topics(world);
    for (uint32_t i = 0; i < MODEL_GROUPS; i++) {
        broker_group_restarted(world->groups[i]);
    }
    /* With a crash planned for later, what is to be read may not be there any more. */
    check_partitions(world, is_power_cut, reads_all && world->is_calm);
    world->is_up = true;
}

static void plan(struct broker_world *world)
{
    struct io_sim *sim = world->harness.sim;

    switch (broker_world_pick(world, 16)) {
    case 0:
    case 1:
        io_sim_crash_at(sim, broker_world_pick(world, 300));
        break;
    case 2:
        broker_faults_restart(world, STOP_CLEAN, false);
        break;
    case 3:
        io_sim_set_full(sim, true);
        world->was_full = true;
        world->room_us = INT64_MAX;
        break;
    case 4:
        io_sim_set_sync_us(sim, (int64_t)broker_world_pick(world, 3 * WORLD_SECOND));
        break;
    case 5:
        if (broker_world_chance(world, 2)) {
            io_sim_fail_sync_at(sim, broker_world_pick(world, 30));
            world->sync_may_fail = true;
        }
        break;
    case 6:
    case 7:
    case 8:
        break_connection(world);
        break;
    case 9:
    case 10:
        make_room(world);
        io_sim_set_sync_us(sim, 0);
        break;
    default:
        break;
    }
}

void broker_faults_step(struct broker_world *world)
{
    struct core_harness *harness = &world->harness;
    bool is_long = broker_world_chance(world, 12);
    int64_t duration_us =
        (int64_t)broker_world_pick(world, is_long ? 10 * WORLD_SECOND : WORLD_SECOND / 3);

    plan(world);
    while (duration_us > 0 && !io_sim_has_crashed(harness->sim)) {
        sim_scheduler_advance(harness->scheduler, SLICE_US);
        broker_world_look(world);
        duration_us -= SLICE_US;
    }
    if (io_sim_has_crashed(harness->sim)) {
        broker_faults_restart(world, broker_world_chance(world, 3) ? STOP_KILL : STOP_POWER, false);
    } else if (world->sync_may_fail && broker_world_chance(world, 4)) {
        broker_faults_restart(world, (enum broker_stop)broker_world_pick(world, 3), false);
    }
}

void broker_faults_end(struct broker_world *world)
{
    world->is_calm = true;
    broker_faults_restart(world, STOP_POWER, true);
}
