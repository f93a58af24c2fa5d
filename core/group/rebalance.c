/* From one generation to the next: who takes part, when waiting ends, who leads. */
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/group/coordinator_priv.h"
#include "core/group/group_priv.h"
#include "core/group/store_priv.h"

enum { RETRY_MS = 1000 }; /* at least, until a join phase that could not end tries again */

void group__set_joined(struct group *group, struct group_member *member, bool joined)
{
    if (member->joined != joined) {
        member->joined = joined;
        group->joined_count += joined ? 1u : UINT32_MAX;
    }
    BASE_ASSERT(group->joined_count <= group->members_count);
}

static int64_t rebalance_timeout_ms(const struct group *group)
{
    int32_t longest_ms = 0;

    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        const struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        if (member->rebalance_timeout_ms > longest_ms) {
            longest_ms = member->rebalance_timeout_ms;
        }
    }
    return longest_ms;
}

static void wait_for_joins(struct group *group, int64_t timeout_ms)
{
    group->join_deadline_us = group__now_us(group) + timeout_ms * 1000;
    base_alarm_set(&group->alarm, group->join_deadline_us);
}

static bool everybody_joined(const struct group *group)
{
    return group->joined_count == group->members_count && group->reservations_count == 0;
}

/* Static members are kept until their session ends: they may only be restarting. */
static void drop_absent_members(struct group *group)
{
    struct base_list *node = group->members.next;
    while (node != &group->members) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        node = node->next;
        if (!member->joined && member->instance_id.data == NULL) {
            group__member_remove(group, member, GROUP_UNKNOWN_MEMBER);
        }
    }
}

/* The leader stays if it joined; otherwise the first who did. False when nobody did. */
static bool elect_leader(struct group *group)
{
    if (group->leader != NULL && group->leader->joined) {
        return true;
    }
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        if (member->joined) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void next_generation(struct group *group)
{
    group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
    group->initial_delay_ms = -1;
    group->storing = false;
}

static void become_empty(struct group *group)
{
    group__bytes_free(&group->protocol);
    next_generation(group);
    group__move(group, GROUP_EMPTY);
    /* Nobody waits for this record: losing it costs a longer life of the offsets. */
    (void)!group__store(group, GROUP_STORE_EMPTY, NULL);
}

static void tell_generation(struct group *group)
{
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        group__set_joined(group, member, false);
        member->is_new = false;
        member->sync_missing = true;
        group__join_answer(group, member);
        group__member_touch(group, member, member->session_timeout_ms);
    }
    group->syncs_missing_count = group->members_count;
    group->sync_deadline_us = group__now_us(group) + rebalance_timeout_ms(group) * 1000;
    base_alarm_set(&group->alarm, group->sync_deadline_us);
}

static void complete_join(struct group *group)
{
    BASE_ASSERT(group->state == GROUP_PREPARING_REBALANCE);

    group->join_deadline_us = INT64_MAX;
    drop_absent_members(group);
    if (group->members_count == 0) {
        become_empty(group);
        return;
    }
    if (!elect_leader(group)) { /* only static members, none of them here yet */
        int64_t timeout_ms = rebalance_timeout_ms(group);
        wait_for_joins(group, timeout_ms > RETRY_MS ? timeout_ms : RETRY_MS);
        return;
    }
    bool failed = false;
    struct base_slice protocol = group__bytes_copy(group__choose_protocol(group), &failed);
    if (failed) {
        wait_for_joins(group, RETRY_MS);
        return;
    }
    BASE_ASSERT(protocol.data != NULL);
    group__bytes_free(&group->protocol);
    group->protocol = protocol;
    next_generation(group);
    group__move(group, GROUP_COMPLETING_REBALANCE);
    tell_generation(group);
}

void group__join_maybe_complete(struct group *group)
{
    if (group->state == GROUP_PREPARING_REBALANCE && group->initial_delay_ms < 0 &&
        everybody_joined(group)) {
        complete_join(group);
    }
}

void group__prepare_rebalance(struct group *group)
{
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        group__sync_refuse_all(group, GROUP_REBALANCE_IN_PROGRESS);
    }
    group->sync_deadline_us = INT64_MAX;
    bool first = group->state == GROUP_EMPTY;
    group__move(group, GROUP_PREPARING_REBALANCE);
    if (first) {
        /* KIP-134: give the other members of a new group time to come. */
        int64_t delay_ms = group->coordinator->options.initial_rebalance_delay_ms;
        int64_t remaining_ms = rebalance_timeout_ms(group) - delay_ms;
        group->initial_delay_ms = delay_ms;
        group->initial_remaining_ms = remaining_ms > 0 ? remaining_ms : 0;
        group->member_added = false;
        wait_for_joins(group, delay_ms);
        return;
    }
    group->initial_delay_ms = -1;
    if (everybody_joined(group)) {
        complete_join(group);
    } else {
        wait_for_joins(group, rebalance_timeout_ms(group));
    }
}

void group__rebalance_or_complete(struct group *group)
{
    if (group->state == GROUP_PREPARING_REBALANCE) {
        group__join_maybe_complete(group);
    } else {
        group__prepare_rebalance(group);
    }
}

void group__after_departure(struct group *group)
{
    if (group->state != GROUP_EMPTY) {
        group__rebalance_or_complete(group);
    }
}

void group__join_deadline_passed(struct group *group, int64_t now_us)
{
    if (group->initial_delay_ms >= 0 && group->member_added && group->initial_remaining_ms > 0) {
        int64_t step_ms = group->coordinator->options.initial_rebalance_delay_ms;
        int64_t left_ms = group->initial_remaining_ms;
        group->initial_remaining_ms =
            left_ms > group->initial_delay_ms ? left_ms - group->initial_delay_ms : 0;
        group->initial_delay_ms = step_ms < left_ms ? step_ms : left_ms;
        group->member_added = false;
        group->join_deadline_us = now_us + group->initial_delay_ms * 1000;
        return; /* the caller sets the alarm */
    }
    complete_join(group);
}
