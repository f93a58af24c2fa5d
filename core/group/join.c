/* JoinGroup: new members, members that join again, static members that come back. */
#include <stdio.h>

#include "core/base/assert.h"
#include "core/base/uuid.h"
#include "core/group/coordinator_priv.h"
#include "core/group/group_priv.h"
#include "core/group/store_priv.h"

void group__join_refuse(struct group_join *join, enum group_verdict verdict)
{
    join->verdict = verdict;
    join->generation = -1;
    if (verdict != GROUP_MEMBER_ID_REQUIRED) {
        join->joined_member_id = base_slice_of(NULL, 0);
    }
    group__answer(&join->wait, join->executor, &join->task);
}

static enum group_answer refuse(struct group_join *join, enum group_verdict verdict)
{
    group__join_refuse(join, verdict);
    return GROUP_DONE;
}

static struct base_slice keep(struct group_join *join, struct base_slice bytes, bool *failed)
{
    if (bytes.data == NULL) {
        return bytes;
    }
    char *copy = base_arena_strndup(&join->memory, (const char *)bytes.data, bytes.length);
    if (copy == NULL) {
        *failed = true;
        return base_slice_of(NULL, 0);
    }
    return base_slice_of(copy, bytes.length);
}

static void list_members(const struct group *group, struct group_join *join, bool *failed)
{
    struct group_join_member *members =
        base_arena_array(&join->memory, group->members_count, sizeof *members);
    if (members == NULL) {
        *failed = true;
        return;
    }
    uint32_t count = 0;
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        const struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        members[count].member_id = keep(join, member->member_id, failed);
        members[count].group_instance_id = keep(join, member->instance_id, failed);
        members[count].metadata =
            keep(join, group__member_metadata(member, group->protocol), failed);
        count++;
    }
    BASE_ASSERT(count == group->members_count);
    join->members = members;
    join->members_count = count;
}

/* Fills in the current generation. leader_id and the members are the caller's. */
static void answer(struct group *group, const struct group_member *member, struct group_join *join,
                   bool with_members)
{
    bool failed = false;

    join->generation = group->generation;
    join->joined_member_id = keep(join, member->member_id, &failed);
    join->chosen_protocol_type = keep(join, group->protocol_type, &failed);
    join->chosen_protocol = keep(join, group->protocol, &failed);
    if (join->leader_id.data == NULL) {
        join->leader_id = keep(join, group->leader->member_id, &failed);
    }
    if (with_members) {
        list_members(group, join, &failed);
    }
    if (failed) {
        join->members_count = 0;
        group__join_refuse(join, GROUP_OUT_OF_MEMORY);
        return;
    }
    join->verdict = GROUP_OK;
    group__answer(&join->wait, join->executor, &join->task);
}

void group__join_answer(struct group *group, struct group_member *member)
{
    struct group_join *join = member->join;

    if (join == NULL) {
        return;
    }
    member->join = NULL;
    join->leader_id = base_slice_of(NULL, 0);
    answer(group, member, join, member == group->leader);
}

/* Parks the join. One that the member has parked before is superseded. */
static void park(struct group *group, struct group_member *member, struct group_join *join)
{
    if (member->join != NULL) {
        group__join_refuse(member->join, GROUP_REBALANCE_IN_PROGRESS);
    }
    member->join = join;
    join->member = member;
    group__set_joined(group, member, true);
}

static enum group_answer outcome(const struct group_join *join)
{
    return join->wait.answered ? GROUP_DONE : GROUP_PENDING;
}

static enum group_answer join_as_new(struct group *group, struct group_join *join,
                                     struct base_slice member_id)
{
    struct group_member *member = NULL;

    if (group__member_add(group, join, member_id, &member)) {
        return refuse(join, GROUP_OUT_OF_MEMORY);
    }
    member->is_new = true;
    if (group->state == GROUP_PREPARING_REBALANCE && group->initial_delay_ms >= 0) {
        group->member_added = true;
    }
    park(group, member, join);
    group__member_touch(group, member, GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS);
    group__rebalance_or_complete(group);
    return outcome(join);
}

static enum group_answer join_again(struct group *group, struct group_join *join,
                                    struct group_member *member)
{
    if (group__member_update(group, member, join)) {
        return refuse(join, GROUP_OUT_OF_MEMORY);
    }
    park(group, member, join);
    group__rebalance_or_complete(group);
    return outcome(join);
}

/* The new id of a static member in a stable group is stored, then it goes on with the
 * generation and the assignment there are (KIP-345). */
static enum group_answer keep_generation(struct group *group, struct group_join *join,
                                         struct group_member *member,
                                         struct base_slice leader_before)
{
    /* Before v9 a client cannot be told to lead without assigning: its former id is named,
     * which it does not know as its own (KIP-814). */
    if (!join->supports_skip_assignment) {
        join->leader_id = leader_before;
    }
    park(group, member, join);
    if (group__store(group, GROUP_STORE_REJOIN, member)) {
        member->join = NULL;
        group__set_joined(group, member, false);
        return refuse(join, GROUP_STORAGE_FAILED);
    }
    return outcome(join);
}

void group__rejoin_stored(struct group *group, struct base_slice member_id, enum base_err err)
{
    struct group_member *member = group__member_find(group, member_id);

    /* If a rebalance began meanwhile, its end answers. */
    if (group->state != GROUP_STABLE || member == NULL || !member->joined) {
        return;
    }
    struct group_join *join = member->join;
    member->join = NULL;
    group__set_joined(group, member, false);
    group__member_touch(group, member, member->session_timeout_ms);
    if (join == NULL) { /* its connection is gone */
        return;
    }
    if (err) {
        group__join_refuse(join, GROUP_STORAGE_FAILED);
        return;
    }
    bool is_leader = member == group->leader;
    join->skip_assignment = is_leader && join->supports_skip_assignment;
    answer(group, member, join, join->skip_assignment);
}

static enum group_answer replace_static(struct group *group, struct group_join *join,
                                        struct group_member *member, struct base_slice member_id)
{
    bool failed = false;
    struct base_slice leader_before = keep(join, group->leader->member_id, &failed);

    if (failed || group__member_rename(group, member, member_id)) {
        return refuse(join, GROUP_OUT_OF_MEMORY);
    }
    if (member->join != NULL) {
        group__join_refuse(member->join, GROUP_FENCED_INSTANCE);
        member->join = NULL;
    }
    if (member->sync != NULL) {
        group__sync_refuse(member, GROUP_FENCED_INSTANCE);
    }
    if (group__member_update(group, member, join)) {
        return refuse(join, GROUP_OUT_OF_MEMORY);
    }
    member->is_new = false; /* it was known before: its parked join keeps it alive */
    group__member_touch(group, member, member->session_timeout_ms);
    if (group->state == GROUP_STABLE &&
        base_slice_equal(group__choose_protocol(group), group->protocol)) {
        return keep_generation(group, join, member, leader_before);
    }
    /* In COMPLETING_REBALANCE the leader may already assign to the former id: again. */
    park(group, member, join);
    group__rebalance_or_complete(group);
    return outcome(join);
}

static enum group_answer join_unknown(struct group *group, struct group_join *join)
{
    char uuid[BASE_UUID_TEXT_SIZE];
    struct base_slice prefix =
        join->group_instance_id.data != NULL ? join->group_instance_id : join->client_id;
    size_t length = prefix.length + 1 + BASE_UUID_TEXT_SIZE;
    char *text = base_arena_alloc(&join->memory, length);

    if (text == NULL) {
        return refuse(join, GROUP_OUT_OF_MEMORY);
    }
    base_uuid_format(base_uuid_random(), uuid);
    (void)snprintf(text, length, "%.*s-%s", (int)prefix.length, (const char *)prefix.data, uuid);
    struct base_slice member_id = base_slice_text(text);

    if (join->group_instance_id.data != NULL) {
        struct group_member *member = group__member_of_instance(group, join->group_instance_id);
        return member == NULL ? join_as_new(group, join, member_id)
                              : replace_static(group, join, member, member_id);
    }
    if (!join->requires_member_id) {
        return join_as_new(group, join, member_id);
    }
    if (group->reservations_count + group->members_count >= GROUP_MEMBERS_MAX) {
        return refuse(join, GROUP_MAX_SIZE);
    }
    if (group__reserve(group, member_id, join->session_timeout_ms)) {
        return refuse(join, GROUP_OUT_OF_MEMORY);
    }
    join->joined_member_id = member_id;
    return refuse(join, GROUP_MEMBER_ID_REQUIRED);
}

/* Answers with the generation there is, without a rebalance. */
static enum group_answer tell_current(struct group *group, struct group_join *join,
                                      struct group_member *member, bool with_members)
{
    group__member_touch(group, member, member->session_timeout_ms);
    answer(group, member, join, with_members);
    return GROUP_DONE;
}

static enum group_answer join_known(struct group *group, struct group_join *join)
{
    struct group_member *member = NULL;
    struct group_reservation *reservation = NULL;

    if (group__member_find(group, join->member_id) == NULL) {
        reservation = group__reservation_find(group, join->member_id);
    }
    if (reservation != NULL && join->group_instance_id.data == NULL) {
        group__reservation_remove(group, reservation);
        return join_as_new(group, join, join->member_id);
    }
    enum group_verdict verdict =
        group__member_check(group, join->member_id, join->group_instance_id, &member);
    if (verdict != GROUP_OK) {
        return refuse(join, verdict);
    }
    bool is_leader = member == group->leader;
    bool is_same = group__member_matches(member, join);
    switch (group->state) {
    case GROUP_PREPARING_REBALANCE:
        return join_again(group, join, member);
    case GROUP_COMPLETING_REBALANCE: /* the answer to its join may have been lost */
        return is_same ? tell_current(group, join, member, is_leader)
                       : join_again(group, join, member);
    case GROUP_STABLE: /* a leader that joins asks for a new assignment */
        return is_same && !is_leader ? tell_current(group, join, member, false)
                                     : join_again(group, join, member);
    case GROUP_EMPTY:
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
    BASE_UNREACHABLE("a group with members is neither empty nor dead");
    return GROUP_DONE;
}

static uint32_t size_max(const struct group *group)
{
    int32_t configured = group->coordinator->options.max_size;
    return configured < GROUP_MEMBERS_MAX ? (uint32_t)configured : (uint32_t)GROUP_MEMBERS_MAX;
}

/* KIP-389. While members join, those who joined first have the places. */
static bool has_place(struct group *group, struct base_slice member_id)
{
    const struct group_member *member = group__member_find(group, member_id);

    if (group->state == GROUP_EMPTY) {
        return true;
    }
    if (group->state == GROUP_PREPARING_REBALANCE) {
        return (member != NULL && member->joined) || group->joined_count < size_max(group);
    }
    return member != NULL || group->members_count < size_max(group);
}

static void turn_away(struct group *group, struct base_slice member_id)
{
    struct group_member *member = group__member_find(group, member_id);
    struct group_reservation *reservation = group__reservation_find(group, member_id);

    if (member != NULL) {
        group__member_remove(group, member, GROUP_MAX_SIZE);
    }
    if (reservation != NULL) {
        group__reservation_remove(group, reservation);
    }
    group__join_maybe_complete(group);
}

enum group_answer group__join(struct group *group, struct group_join *join)
{
    BASE_ASSERT(group->state != GROUP_DEAD);

    if (!has_place(group, join->member_id)) {
        turn_away(group, join->member_id);
        return refuse(join, GROUP_MAX_SIZE);
    }
    if (!group__protocols_fit(group, join)) {
        return refuse(join, GROUP_INCONSISTENT_PROTOCOL);
    }
    return join->member_id.length == 0 ? join_unknown(group, join) : join_known(group, join);
}

void group_join_release(struct group_join *join)
{
    BASE_ASSERT(join->group == NULL || join->wait.answered);
    base_arena_fini(&join->memory);
    join->members = NULL;
    join->members_count = 0;
    group__release(&join->group);
}

bool group_join_cancel(struct group_coordinator *coordinator, struct group_join *join)
{
    (void)coordinator;
    if (join->group == NULL) {
        return false;
    }
    struct group *group = join->group;
    bool parked = false;

    group__lock(group, NULL);
    if (!join->wait.answered) {
        struct group_member *member = join->member; /* one that ends answers first */
        BASE_ASSERT(member->join == join);
        member->join = NULL; /* it still counts as joined; its session runs from now */
        member->is_new = false;
        group__member_touch(group, member, member->session_timeout_ms);
        join->wait.answered = true;
        parked = true;
    }
    group__unlock(group);
    if (parked) {
        group_join_release(join);
    }
    return parked;
}
