/* Heartbeat and LeaveGroup. */
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/group_priv.h"

static enum group_verdict beat(struct group *group, const struct group_heartbeat *heartbeat)
{
    struct group_member *member = NULL;
    enum group_verdict verdict =
        group__member_check(group, heartbeat->member_id, heartbeat->group_instance_id, &member);

    if (verdict != GROUP_OK) {
        return verdict;
    }
    if (heartbeat->generation != group->generation) {
        return GROUP_ILLEGAL_GENERATION;
    }
    group__member_touch(group, member, member->session_timeout_ms);
    return group->state == GROUP_PREPARING_REBALANCE ? GROUP_REBALANCE_IN_PROGRESS : GROUP_OK;
}

enum group_verdict group_heartbeat(struct group_coordinator *coordinator,
                                   const struct group_heartbeat *heartbeat)
{
    enum group_verdict verdict;

    if (heartbeat->group_id.length == 0) {
        return GROUP_INVALID_GROUP_ID;
    }
    struct group *group = group__enter(coordinator, heartbeat->group_id, false, NULL, &verdict);
    if (group == NULL) {
        return verdict == GROUP_NOT_FOUND ? GROUP_UNKNOWN_MEMBER : verdict;
    }
    verdict = beat(group, heartbeat);
    group__exit(&group);
    return verdict;
}

static enum group_verdict remove_one(struct group *group, const struct group_leave_member *leaver)
{
    struct group_member *member = NULL;
    struct group_reservation *reservation = NULL;

    if (leaver->member_id.length == 0) { /* an administrator names the instance only */
        if (leaver->group_instance_id.data != NULL) {
            member = group__member_of_instance(group, leaver->group_instance_id);
        }
        if (member == NULL) {
            return GROUP_UNKNOWN_MEMBER;
        }
    } else {
        enum group_verdict verdict =
            group__member_check(group, leaver->member_id, leaver->group_instance_id, &member);
        if (verdict != GROUP_OK) {
            reservation = group__reservation_find(group, leaver->member_id);
            if (reservation != NULL) {
                group__reservation_remove(group, reservation);
                return GROUP_OK;
            }
            return verdict;
        }
    }
    group__member_remove(group, member, GROUP_UNKNOWN_MEMBER);
    return GROUP_OK;
}

enum group_verdict group_leave(struct group_coordinator *coordinator, struct group_leave *leave)
{
    enum group_verdict verdict;
    bool left = false;

    BASE_ASSERT(leave->executor != NULL);
    if (leave->group_id.length == 0) {
        return GROUP_INVALID_GROUP_ID;
    }
    struct group *group =
        group__enter(coordinator, leave->group_id, false, leave->executor, &verdict);
    if (group == NULL && verdict != GROUP_NOT_FOUND) {
        return verdict;
    }
    for (uint32_t i = 0; i < leave->members_count; i++) {
        struct group_leave_member *leaver = &leave->members[i];
        leaver->verdict = group == NULL ? GROUP_UNKNOWN_MEMBER : remove_one(group, leaver);
        left = left || leaver->verdict == GROUP_OK;
    }
    if (left) {
        group__after_departure(group);
    }
    if (group != NULL) {
        group__exit(&group);
    }
    return GROUP_OK;
}
