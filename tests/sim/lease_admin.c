/* Queues and groups are made, deleted, and made again. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/assert.h"
#include "core/catalog/dead_letters.h"
#include "tests/sim/lease_world.h"

static void make_letters(struct lease_world *world, struct lease_group *group)
{
    struct lease_queue *letters = lease_queue_create(world);
    struct catalog_view *view = catalog_view(world->harness.catalog);
    struct base_uuid id;

    bool has_id = catalog_dead_letters_topic_id(base_slice_text(group->id), &id);
    LEASE_CHECK(has_id);
    const struct catalog_topic *topic = catalog_view_topic_by_id(view, id);
    LEASE_CHECK(topic != NULL);
    letters->topic = catalog_topic_hold(topic);
    catalog_view_release(&view);
    letters->letters_of = group;
    letters->is_fifo = group->queue->is_fifo;
    letters->groups[0] = lease_group_create(letters, letters->topic->groups[0].id);
    group->letters = letters;
}

/* Makes group `index` of the queue. */
static void make_group(struct lease_queue *queue, uint32_t index)
{
    struct lease_world *world = queue->world;
    const struct catalog_topic *topic;
    char name[24];

    (void)snprintf(name, sizeof name, "group-%" PRIu32, world->serials++);
    bool was_made = queue_harness_make_group(&world->harness, &queue->topic, name);
    LEASE_CHECK(was_made);
    topic = queue->topic;
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        if (base_slice_is(base_slice_text(topic->groups[i].name), name)) {
            queue->groups[index] = lease_group_create(queue, topic->groups[i].id);
        }
    }
    struct lease_group *group = queue->groups[index];
    LEASE_CHECK(group != NULL);
    queue_group_created(world->harness.manager, topic, base_slice_text(group->id));
    if (queue->failures_max > 0) {
        make_letters(world, group);
    }
    /* Nobody waits for the record of where a group began; from here on it is on the disk. */
    lease_world_advance(world, QUEUE_HARNESS_SECOND);
}

struct lease_queue *lease_admin_make_queue(struct lease_world *world)
{
    static const enum catalog_kind kinds[] = {CATALOG_NORMAL, CATALOG_NORMAL, CATALOG_FIFO,
                                              CATALOG_FIFO, CATALOG_KAFKA_HA};
    struct lease_queue *queue = lease_queue_create(world);
    enum catalog_kind kind = kinds[lease_world_pick(world, sizeof kinds / sizeof kinds[0])];
    char name[24];

    queue->is_fifo = kind == CATALOG_FIFO;
    queue->is_kafka = kind == CATALOG_KAFKA_HA;
    queue->expires = kind == CATALOG_NORMAL && lease_world_chance(world, 4);
    if (!queue->is_kafka && !queue->expires && !lease_world_chance(world, 4)) {
        queue->failures_max = 1 + (uint32_t)lease_world_pick(world, 3);
    }
    int32_t partitions =
        queue->is_fifo ? 1 : 1 + (int32_t)lease_world_pick(world, LEASE_PARTITIONS_MAX);
    (void)snprintf(name, sizeof name, "queue-%" PRIu32, queue->serial);
    queue->topic = queue->failures_max > 0
                       ? queue_harness_make_redrive_queue(&world->harness, name, kind, partitions,
                                                          (int32_t)queue->failures_max)
                       : queue_harness_make_queue(&world->harness, name, kind, partitions,
                                                  queue->expires ? LEASE_RETENTION_MS : -1);
    LEASE_CHECK(queue->topic != NULL);
    for (uint32_t i = 0; i < LEASE_GROUPS; i++) {
        make_group(queue, i);
    }
    return queue;
}

static void bury(struct lease_group *group)
{
    group->is_deleted = true;
    if (group->letters != NULL) {
        group->letters->groups[0]->is_deleted = true;
    }
}

static void replace_group(struct lease_world *world)
{
    struct lease_queue *queue = world->queues[lease_world_pick(world, LEASE_QUEUES)];
    uint32_t index = (uint32_t)lease_world_pick(world, LEASE_GROUPS);
    struct lease_group *group = queue->groups[index];

    bury(group);
    bool was_deleted = queue_harness_delete_group(&world->harness, &queue->topic, group->id);
    LEASE_CHECK(was_deleted);
    group->next_gone = queue->groups_gone;
    queue->groups_gone = group;
    queue->groups[index] = NULL;
    make_group(queue, index);
}

/* What waited in a deleted queue waits no more. */
static void check_delayed(struct lease_world *world)
{
    int64_t count = 0;

    for (unsigned i = 0; i < LEASE_QUEUES; i++) {
        struct queue_counters counters;
        enum queue_verdict verdict = queue_count(world->harness.manager, world->queues[i]->topic,
                                                 base_slice_of(NULL, 0), &counters);
        LEASE_CHECK(verdict == QUEUE_OK);
        count += counters.delayed;
    }
    LEASE_CHECK(queue_delayed_count(world->harness.manager) == count);
}

static void replace_queue(struct lease_world *world)
{
    uint32_t index = (uint32_t)lease_world_pick(world, LEASE_QUEUES);
    struct lease_queue *queue = world->queues[index];

    for (unsigned i = 0; i < LEASE_GROUPS; i++) {
        bury(queue->groups[i]);
    }
    bool was_deleted = queue_harness_delete_queue(&world->harness, queue->topic);
    LEASE_CHECK(was_deleted);
    queue->next_gone = world->queues_gone;
    world->queues_gone = queue;
    world->queues[index] = lease_admin_make_queue(world);
    check_delayed(world);
}

void lease_admin_step(struct lease_world *world)
{
    /* What becomes of a change that a crash interrupts is a matter of the catalog's own tests. */
    if (world->has_planned_fault || !lease_settle(world)) {
        return;
    }
    if (lease_world_chance(world, 2)) {
        replace_group(world);
    } else {
        replace_queue(world);
    }
}
