/* Group members, as clients are: they join, sync, send heartbeats, commit, leave, fall asleep
 * or die, and join again after every error. */
#include "tests/sim/broker_group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"

enum { RETRY_US = 100000 };

static struct base_slice instance_of(const struct broker_member *member)
{
    return base_slice_text(member->instance_id[0] != '\0' ? member->instance_id : NULL);
}

/* Back to the start; the id is kept when the broker may still know it. */
static void drop_out(struct broker_member *member, bool keeps_id)
{
    member->state = MEMBER_OUT;
    if (!keeps_id) {
        member->member_id[0] = '\0';
    }
}

/* Whether these, which no client deserves for what it did, have a reason. */
static void check_trouble(struct broker_member *member, enum group_verdict verdict)
{
    struct broker_world *world = member->client.world;
    bool has_reason = !world->is_up || world->was_full || world->sync_may_fail ||
                      io_sim_has_crashed(world->harness.sim);

    if (verdict == GROUP_REBALANCE_IN_PROGRESS || broker_member_is_fenced(verdict)) {
        return; /* part of a group's life */
    }
    MODEL_CHECK(verdict == GROUP_STORAGE_FAILED || verdict == GROUP_CLOSING ||
                verdict == GROUP_NOT_READY);
    MODEL_CHECK(has_reason);
    member->retry_us = broker_world_now_us(world) + RETRY_US;
}

/* Sync. */

static void sync_over(struct broker_member *member)
{
    enum group_verdict verdict = member->sync.verdict;

    if (verdict == GROUP_OK) {
        broker_share_check(member, member->sync.assignment);
        member->state = MEMBER_STABLE;
        member->heartbeat_us = broker_world_now_us(member->client.world) + WORLD_SECOND;
    } else {
        check_trouble(member, verdict);
        drop_out(member, !broker_member_is_fenced(verdict));
    }
    group_sync_release(&member->sync);
}

static void sync_answered(struct base_task *task)
{
    struct broker_member *member = BASE_CONTAINER_OF(task, struct broker_member, sync.task);

    member->client.world->parked_count--;
    sync_over(member);
}

static void start_sync(struct broker_member *member, uint32_t assignments_count)
{
    member->state = MEMBER_SYNCING;
    member->sync = (struct group_sync){
        .executor = member->client.loop,
        .task.run = sync_answered,
        .group_id = base_slice_text(member->group->id),
        .member_id = base_slice_text(member->member_id),
        .group_instance_id = instance_of(member),
        .generation = member->generation,
        .assignments = member->assignments,
        .assignments_count = assignments_count,
    };
    if (group_sync(member->client.world->harness.groups, &member->sync) == GROUP_PENDING) {
        member->client.world->parked_count++;
    } else {
        sync_over(member);
    }
}

/* Join. */

static void check_members(const struct broker_member *member)
{
    const struct group_join *join = &member->join;
    uint32_t own_count = 0;

    for (uint32_t i = 0; i < join->members_count; i++) {
        own_count += base_slice_is(join->members[i].member_id, member->member_id);
        for (uint32_t j = 0; j < i; j++) {
            MODEL_CHECK(!base_slice_equal(join->members[i].member_id, join->members[j].member_id));
        }
    }
    MODEL_CHECK(own_count == 1);
}

static void joined(struct broker_member *member)
{
    struct group_join *join = &member->join;
    struct broker_group *group = member->group;
    uint32_t assignments_count = 0;

    MODEL_CHECK(join->joined_member_id.length < GROUP_MEMBER_ID_SIZE);
    MODEL_CHECK(member->member_id[0] == '\0' ||
                base_slice_is(join->joined_member_id, member->member_id));
    (void)snprintf(member->member_id, sizeof member->member_id, "%.*s",
                   (int)join->joined_member_id.length, (const char *)join->joined_member_id.data);
    MODEL_CHECK(base_slice_is(join->chosen_protocol, "range"));
    member->generation = join->generation;
    member->is_leader = base_slice_is(join->leader_id, member->member_id);
    group->joined = join->generation > group->joined ? join->generation : group->joined;
    broker_model_note(&group->world->model, (uint64_t)join->generation);
    if (member->is_leader) {
        check_members(member);
        if (!join->skip_assignment) {
            assignments_count = broker_share_assign(member);
        }
        member->topics_seen = broker_share_topics(group->world, (1u << MODEL_NAMES) - 1);
    } else {
        MODEL_CHECK(join->members_count == 0);
    }
    start_sync(member, assignments_count);
}

static void join_over(struct broker_member *member)
{
    struct group_join *join = &member->join;

    if (join->verdict == GROUP_OK) {
        joined(member);
    } else if (join->verdict == GROUP_MEMBER_ID_REQUIRED) {
        MODEL_CHECK(member->member_id[0] == '\0');
        (void)snprintf(member->member_id, sizeof member->member_id, "%.*s",
                       (int)join->joined_member_id.length,
                       (const char *)join->joined_member_id.data);
        drop_out(member, true);
    } else {
        check_trouble(member, join->verdict);
        drop_out(member, !broker_member_is_fenced(join->verdict));
    }
    group_join_release(join);
}

static void join_answered(struct base_task *task)
{
    struct broker_member *member = BASE_CONTAINER_OF(task, struct broker_member, join.task);

    member->client.world->parked_count--;
    join_over(member);
}

static void start_join(struct broker_member *member)
{
    struct broker_world *world = member->client.world;

    if (!world->is_calm && broker_world_chance(world, 4)) {
        member->subscription = 1 + (unsigned)broker_world_pick(world, (1u << MODEL_NAMES) - 1);
    }
    size_t length = broker_share_subscribe(member->subscription, member->metadata);
    member->protocol =
        (struct group_protocol){base_slice_text("range"), base_slice_of(member->metadata, length)};
    member->state = MEMBER_JOINING;
    member->join = (struct group_join){
        .executor = member->client.loop,
        .task.run = join_answered,
        .group_id = base_slice_text(member->group->id),
        .member_id = base_slice_text(member->member_id),
        .group_instance_id = instance_of(member),
        .client_id = base_slice_text(member->client_id),
        .client_host = base_slice_text("/sim"),
        .protocol_type = base_slice_text("consumer"),
        .protocols = &member->protocol,
        .protocols_count = 1,
        .session_timeout_ms = member->session_timeout_ms,
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
        .requires_member_id = member->requires_member_id,
        .supports_skip_assignment = member->supports_skip_assignment,
    };
    if (group_join(world->harness.groups, &member->join) == GROUP_PENDING) {
        world->parked_count++;
    } else {
        join_over(member);
    }
}

/* Life in a generation. */

static void send_heartbeat(struct broker_member *member)
{
    struct broker_world *world = member->client.world;
    const struct group_heartbeat heartbeat = {
        .group_id = base_slice_text(member->group->id),
        .member_id = base_slice_text(member->member_id),
        .group_instance_id = instance_of(member),
        .generation = member->generation,
    };

    member->heartbeat_us = broker_world_now_us(world) + WORLD_SECOND;
    enum group_verdict verdict = group_heartbeat(world->harness.groups, &heartbeat);
    if (verdict == GROUP_OK) {
        MODEL_CHECK(member->generation >= member->group->joined);
        return;
    }
    check_trouble(member, verdict);
    if (verdict == GROUP_REBALANCE_IN_PROGRESS) {
        broker_commit_start(member); /* the last word of this generation */
        drop_out(member, true);
    } else if (broker_member_is_fenced(verdict)) {
        drop_out(member, false);
    }
}

static void leave(struct broker_member *member)
{
    struct broker_world *world = member->client.world;
    struct group_leave_member own = {.member_id = base_slice_text(member->member_id),
                                     .group_instance_id = instance_of(member)};
    struct group_leave request = {.executor = member->client.loop,
                                  .group_id = base_slice_text(member->group->id),
                                  .members = &own,
                                  .members_count = 1};

    (void)group_leave(world->harness.groups, &request);
    drop_out(member, false);
    member->asleep_until_us =
        broker_world_now_us(world) + (int64_t)broker_world_pick(world, 3 * WORLD_SECOND);
}

/* Falls asleep and goes on as if nothing had been, or dies and comes back as another. */
static void stop_for_a_while(struct broker_member *member)
{
    struct broker_world *world = member->client.world;

    member->asleep_until_us =
        broker_world_now_us(world) + (int64_t)broker_world_pick(world, 12 * WORLD_SECOND);
    if (broker_world_chance(world, 2)) {
        drop_out(member, false);
    }
}

static void live(struct broker_member *member)
{
    struct broker_world *world = member->client.world;

    if (broker_world_now_us(world) >= member->heartbeat_us) {
        send_heartbeat(member);
    }
    if (member->state != MEMBER_STABLE) {
        return;
    }
    if (member->is_leader &&
        member->topics_seen != broker_share_topics(world, (1u << MODEL_NAMES) - 1)) {
        drop_out(member, true); /* partitions came or went: assign again */
        return;
    }
    if (broker_world_chance(world, 6)) {
        broker_commit_start(member);
    }
    if (member->share.count > 0 && broker_world_chance(world, 6)) {
        uint64_t i = broker_world_pick(world, member->share.count);
        broker_commit_read(member->group, member->share.partitions[i].topic,
                           member->share.partitions[i].partition);
    }
    if (member->state != MEMBER_STABLE || member->commit_pending || world->is_calm) {
        return;
    }
    if (broker_world_chance(world, 150)) {
        leave(member);
    } else if (broker_world_chance(world, 100)) {
        stop_for_a_while(member);
    }
}

static void act(struct broker_client *client)
{
    struct broker_member *member = BASE_CONTAINER_OF(client, struct broker_member, client);
    struct broker_world *world = client->world;

    if (!world->is_up || world->is_ending) {
        return;
    }
    if (!world->is_calm && broker_world_now_us(world) < member->asleep_until_us) {
        return;
    }
    switch (member->state) {
    case MEMBER_OUT:
        if (!member->commit_pending && broker_world_now_us(world) >= member->retry_us) {
            start_join(member);
        }
        break;
    case MEMBER_JOINING:
    case MEMBER_SYNCING:
        break;
    case MEMBER_STABLE:
        live(member);
        break;
    }
}

static void create_member(struct broker_group *group, uint32_t index)
{
    struct broker_world *world = group->world;
    struct broker_member *member = &group->members[index];

    member->group = group;
    member->index = index;
    (void)snprintf(member->client_id, sizeof member->client_id, "c%" PRIu32, index);
    if (broker_world_chance(world, 4)) {
        (void)snprintf(member->instance_id, sizeof member->instance_id, "i%" PRIu32, index);
    }
    member->requires_member_id = broker_world_chance(world, 2);
    member->supports_skip_assignment = broker_world_chance(world, 2);
    member->subscription = 1 + (unsigned)broker_world_pick(world, (1u << MODEL_NAMES) - 1);
    member->session_timeout_ms = 6000 + (int32_t)broker_world_pick(world, 4000);
    member->rebalance_timeout_ms = 2000 + (int32_t)broker_world_pick(world, 8000);
    broker_client_start(&member->client, world, act);
}

struct broker_group *broker_group_create(struct broker_world *world, uint32_t index)
{
    struct broker_group *group = base_alloc_object(struct broker_group);

    BASE_ASSERT(group != NULL);
    group->world = world;
    group->index = index;
    (void)snprintf(group->id, sizeof group->id, "g%" PRIu32, index);
    broker_commit_first(group);
    for (uint32_t i = 0; i < WORLD_MEMBERS; i++) {
        create_member(group, i);
    }
    return group;
}

void broker_group_close(struct broker_group **group)
{
    base_free((*group)->proposals);
    base_free((*group)->fixed);
    base_free(*group);
    *group = NULL;
}

void broker_group_disconnect(struct broker_group *group, uint32_t index)
{
    struct broker_member *member = &group->members[index];
    struct broker_world *world = group->world;
    bool is_cancelled = false;

    if (member->state == MEMBER_JOINING) {
        is_cancelled = group_join_cancel(world->harness.groups, &member->join);
    } else if (member->state == MEMBER_SYNCING) {
        is_cancelled = group_sync_cancel(world->harness.groups, &member->sync);
    }
    if (is_cancelled) {
        world->parked_count--;
        drop_out(member, true);
    }
}

void broker_group_restarted(struct broker_group *group)
{
    group->joined = 0;
}

bool broker_group_is_settled(struct broker_group *group)
{
    struct broker_world *world = group->world;
    const struct broker_member *leader = NULL;
    bool has_old_static = false;
    struct base_arena arena;
    struct group_description description;

    base_arena_init(&arena, 1 << 20);
    enum group_verdict verdict =
        group_describe(world->harness.groups, base_slice_text(group->id), &arena, &description);
    bool is_stable = verdict == GROUP_OK && description.state == GROUP_STABLE &&
                     description.members_count == WORLD_MEMBERS;
    base_arena_fini(&arena);
    for (uint32_t i = 0; i < WORLD_MEMBERS; i++) {
        const struct broker_member *member = &group->members[i];
        is_stable = is_stable && member->state == MEMBER_STABLE &&
                    member->generation == group->members[0].generation;
        leader = member->is_leader ? member : leader;
        has_old_static =
            has_old_static || (member->instance_id[0] != '\0' && !member->supports_skip_assignment);
    }
    if (leader == NULL) { /* its instance came back before v9 could tell it to lead (KIP-814) */
        return is_stable && has_old_static;
    }
    return is_stable && leader->topics_seen == broker_share_topics(world, (1u << MODEL_NAMES) - 1);
}

void broker_group_verify(struct broker_group *group)
{
    struct broker_model *model = &group->world->model;

    for (uint32_t i = 0; i < model->topics_count; i++) {
        if (model->topics[i].state != MODEL_TOPIC_EXISTS) {
            continue;
        }
        for (int32_t j = 0; j < model->topics[i].partitions_count; j++) {
            broker_commit_read(group, i, j);
        }
    }
}
