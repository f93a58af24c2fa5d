/* Committed offsets: each names its number in its metadata, so that what is read back can be
 * told from what was overwritten, refused, or belonged to a deleted topic. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "tests/sim/broker_group.h"

enum { METADATA_SIZE = 16 };

static void fill_item(struct broker_group *group, uint32_t topic, int32_t partition,
                      struct group_commit_item *item, char metadata[METADATA_SIZE],
                      uint32_t *number)
{
    struct broker_world *world = group->world;
    const struct model_topic *known = &world->model.topics[topic];
    const struct model_commit commit = {
        .group = group->index,
        .topic = topic,
        .partition = partition,
        .offset = known->partitions[partition].high_last + world->model.commits_count,
    };

    *number = broker_model_add_commit(&world->model, &commit);
    (void)snprintf(metadata, METADATA_SIZE, "%" PRIu32, *number);
    *item = (struct group_commit_item){
        .topic = base_slice_text(broker_model_name(known->name)),
        .partition = partition,
        .offset = commit.offset,
        .leader_epoch = world->harness.generation,
        .metadata = base_slice_text(metadata),
    };
}

/* A refusal for certain, or nobody knows. */
static enum model_commit_state state_of(enum group_verdict verdict)
{
    if (verdict == GROUP_OK) {
        return MODEL_COMMIT_OK;
    }
    if (broker_member_is_fenced(verdict) || verdict == GROUP_REBALANCE_IN_PROGRESS) {
        return MODEL_COMMIT_REFUSED;
    }
    MODEL_CHECK(verdict == GROUP_NOT_READY || verdict == GROUP_CLOSING ||
                verdict == GROUP_STORAGE_FAILED);
    return MODEL_COMMIT_MAYBE;
}

static void commit_over(struct broker_member *member)
{
    struct broker_world *world = member->client.world;
    enum group_verdict verdict = member->commit.verdict;

    member->commit_pending = false;
    if (verdict == GROUP_OK) {
        /* Once somebody knows of a newer generation, older ones are fenced. */
        MODEL_CHECK(member->commit.generation >= member->commit_joined);
    }
    if (verdict == GROUP_STORAGE_FAILED) {
        MODEL_CHECK(world->was_full || world->sync_may_fail ||
                    io_sim_has_crashed(world->harness.sim));
    }
    for (uint32_t i = 0; i < member->commit.items_count; i++) {
        MODEL_CHECK(verdict != GROUP_OK || member->items[i].verdict == GROUP_OK);
        broker_model_commit_over(&world->model, member->item_numbers[i], state_of(verdict));
    }
    if (state_of(verdict) == MODEL_COMMIT_REFUSED && member->state == MEMBER_STABLE) {
        member->state = MEMBER_OUT;
        if (verdict != GROUP_REBALANCE_IN_PROGRESS) {
            member->member_id[0] = '\0';
        }
    }
}

static void commit_answered(struct base_task *task)
{
    struct broker_member *member = BASE_CONTAINER_OF(task, struct broker_member, commit.task);

    member->client.world->open_count--;
    commit_over(member);
}

void broker_commit_start(struct broker_member *member)
{
    struct broker_world *world = member->client.world;
    uint32_t count = 0;

    if (member->commit_pending) {
        return;
    }
    for (uint32_t i = 0; i < member->share.count; i++) {
        uint32_t topic = member->share.partitions[i].topic;
        int32_t partition = member->share.partitions[i].partition;
        /* The doors look: only topics that exist. */
        struct partition *found =
            partition_table_get(world->harness.table, world->model.topics[topic].id, partition);
        if (found != NULL && broker_world_chance(world, 2)) {
            fill_item(member->group, topic, partition, &member->items[count],
                      member->item_metadata[count], &member->item_numbers[count]);
            count++;
        }
        partition_release(&found);
    }
    if (count == 0) {
        return;
    }
    member->commit_pending = true;
    member->commit_joined = member->group->joined;
    member->commit = (struct group_commit){
        .executor = member->client.loop,
        .task.run = commit_answered,
        .group_id = base_slice_text(member->group->id),
        .member_id = base_slice_text(member->member_id),
        .group_instance_id =
            base_slice_text(member->instance_id[0] != '\0' ? member->instance_id : NULL),
        .generation = member->generation,
        .items = member->items,
        .items_count = count,
    };
    if (group_commit(world->harness.groups, &member->commit) == GROUP_PENDING) {
        world->open_count++;
    } else {
        commit_over(member);
    }
}

void broker_commit_read(struct broker_group *group, uint32_t topic, int32_t partition)
{
    struct broker_world *world = group->world;
    const struct model_topic *known = &world->model.topics[topic];
    struct group_fetch_item item = {.topic = base_slice_text(broker_model_name(known->name)),
                                    .partition = partition};

    enum group_verdict verdict =
        group_offsets_fetch(world->harness.groups, base_slice_text(group->id), &item, 1);
    MODEL_CHECK(verdict == GROUP_OK);
    if (known->state != MODEL_TOPIC_EXISTS) {
        group_offset_release(&item.offset);
        return; /* what is left of it may be seen, or not */
    }
    uint32_t number = item.offset == NULL ? 0 : (uint32_t)strtoul(item.offset->metadata, NULL, 10);
    broker_model_committed(&world->model, group->index, topic, partition, number,
                           item.offset == NULL ? -1 : item.offset->offset);
    group_offset_release(&item.offset);
}

static void first_answered(struct base_task *task)
{
    struct broker_group *group = BASE_CONTAINER_OF(task, struct broker_group, first_commit.task);
    group->first_over = true;
}

static void first_start(struct base_task *task)
{
    struct broker_group *group = BASE_CONTAINER_OF(task, struct broker_group, first_task);
    enum group_answer answer = group_commit(group->world->harness.groups, &group->first_commit);
    group->first_over = answer == GROUP_DONE;
}

void broker_commit_first(struct broker_group *group)
{
    struct base_executor *loop = group->world->harness.loops[0];

    fill_item(group, 0, 0, &group->first_item, group->first_metadata, &group->first_number);
    group->first_commit = (struct group_commit){
        .executor = loop,
        .task.run = first_answered,
        .group_id = base_slice_text(group->id),
        .generation = -1,
        .items = &group->first_item,
        .items_count = 1,
    };
    group->first_task.run = first_start;
    base_executor_post(loop, &group->first_task);
    bool came = core_harness_wait(&group->world->harness, &group->first_over);
    MODEL_CHECK(came);
    MODEL_CHECK(group->first_commit.verdict == GROUP_OK);
    broker_model_commit_over(&group->world->model, group->first_number, MODEL_COMMIT_OK);
}
