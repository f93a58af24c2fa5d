/* SyncGroup: the leader's assignment is stored, then everybody gets its share. */
#include "core/base/assert.h"
#include "core/group/coordinator.h"
#include "core/group/group_priv.h"
#include "core/group/store_priv.h"

static void refuse(struct group_sync *sync, enum group_verdict verdict)
{
    sync->verdict = verdict;
    group__answer(&sync->wait, sync->executor, &sync->task);
}

void group__sync_refuse(struct group_member *member, enum group_verdict verdict)
{
    struct group_sync *sync = member->sync;

    BASE_ASSERT(sync != NULL);
    member->sync = NULL;
    refuse(sync, verdict);
}

void group__sync_refuse_all(struct group *group, enum group_verdict verdict)
{
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        group__bytes_free(&member->assignment);
        group__bytes_free(&member->assignment_next);
        if (member->sync != NULL) {
            group__sync_refuse(member, verdict);
            group__member_touch(group, member, member->session_timeout_ms);
        }
    }
    group->storing = false;
}

void group__sync_seen(struct group *group, struct group_member *member)
{
    if (!member->sync_missing) {
        return;
    }
    member->sync_missing = false;
    BASE_ASSERT(group->syncs_missing_count > 0);
    if (--group->syncs_missing_count == 0) {
        group->sync_deadline_us = INT64_MAX;
    }
}

static struct base_slice keep(struct group_sync *sync, struct base_slice bytes, bool *failed)
{
    const char *data = bytes.data == NULL ? "" : (const char *)bytes.data;
    char *copy = base_arena_strndup(&sync->memory, data, bytes.length);
    if (copy == NULL) {
        *failed = true;
    }
    return base_slice_of(copy, copy == NULL ? 0 : bytes.length);
}

static void answer(struct group *group, const struct group_member *member, struct group_sync *sync)
{
    bool failed = false;

    sync->chosen_protocol_type = keep(sync, group->protocol_type, &failed);
    sync->chosen_protocol = keep(sync, group->protocol, &failed);
    sync->assignment = keep(sync, member->assignment, &failed);
    refuse(sync, failed ? GROUP_OUT_OF_MEMORY : GROUP_OK);
}

void group__sync_answer(struct group *group, struct group_member *member)
{
    struct group_sync *sync = member->sync;

    if (sync == NULL) {
        return;
    }
    member->sync = NULL;
    group__member_touch(group, member, member->session_timeout_ms);
    answer(group, member, sync);
}

void group__sync_deadline_passed(struct group *group)
{
    BASE_ASSERT(group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE);

    group->sync_deadline_us = INT64_MAX;
    struct base_list *node = group->members.next;
    while (node != &group->members) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        node = node->next;
        if (member->sync_missing) {
            group__member_remove(group, member, GROUP_UNKNOWN_MEMBER);
        }
    }
    group__prepare_rebalance(group);
}

static bool differs(struct base_slice given, struct base_slice actual)
{
    return given.data != NULL && actual.data != NULL && !base_slice_equal(given, actual);
}

static void forget_next(struct group *group)
{
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        group__bytes_free(&member->assignment_next);
    }
}

/* Gives each member its share; those the leader left out have none. */
static enum group_verdict take_assignments(struct group *group, const struct group_sync *sync)
{
    bool failed = false;

    forget_next(group);
    for (uint32_t i = 0; i < sync->assignments_count && !failed; i++) {
        const struct group_assignment *given = &sync->assignments[i];
        struct group_member *member = group__member_find(group, given->member_id);
        if (given->assignment.length > GROUP_MEMBER_SIZE_MAX) {
            forget_next(group);
            return GROUP_MEMBER_TOO_LARGE;
        }
        if (member != NULL) {
            group__bytes_free(&member->assignment_next);
            member->assignment_next = group__bytes_copy(given->assignment, &failed);
        }
    }
    if (failed) {
        forget_next(group);
        return GROUP_OUT_OF_MEMORY;
    }
    return GROUP_OK;
}

static enum group_verdict verdict_of(enum base_err err)
{
    if (err == BASE_ERR_NOMEM) {
        return GROUP_OUT_OF_MEMORY;
    }
    return err == BASE_ERR_TOO_LARGE ? GROUP_MEMBER_TOO_LARGE : GROUP_STORAGE_FAILED;
}

/* Without an assignment the generation is over: everybody joins again. */
static void assignment_failed(struct group *group, enum group_verdict verdict)
{
    group__sync_refuse_all(group, verdict);
    group__rebalance_or_complete(group);
}

void group__assignment_stored(struct group *group, int32_t generation, enum base_err err)
{
    if (group->state != GROUP_COMPLETING_REBALANCE || group->generation != generation) {
        return; /* another rebalance began meanwhile */
    }
    if (err) {
        assignment_failed(group, verdict_of(err));
        return;
    }
    group->storing = false;
    group__move(group, GROUP_STABLE);
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        group__bytes_free(&member->assignment);
        member->assignment = member->assignment_next;
        member->assignment_next = base_slice_of(NULL, 0);
        group__sync_answer(group, member);
    }
}

static void lead(struct group *group, const struct group_sync *sync)
{
    if (group->storing) { /* the leader asks again: what it said first holds */
        return;
    }
    enum group_verdict verdict = take_assignments(group, sync);
    if (verdict != GROUP_OK) {
        assignment_failed(group, verdict);
        return;
    }
    group->storing = true;
    enum base_err err = group__store(group, GROUP_STORE_ASSIGNMENT, NULL);
    if (err) {
        assignment_failed(group, verdict_of(err));
    }
}

static enum group_verdict check(struct group *group, const struct group_sync *sync,
                                struct group_member **member)
{
    enum group_verdict verdict =
        group__member_check(group, sync->member_id, sync->group_instance_id, member);
    if (verdict != GROUP_OK) {
        return verdict;
    }
    if (sync->generation != group->generation) {
        return GROUP_ILLEGAL_GENERATION;
    }
    if (differs(sync->protocol_type, group->protocol_type) ||
        differs(sync->protocol, group->protocol)) {
        return GROUP_INCONSISTENT_PROTOCOL;
    }
    return group->state == GROUP_PREPARING_REBALANCE ? GROUP_REBALANCE_IN_PROGRESS : GROUP_OK;
}

enum group_answer group__sync(struct group *group, struct group_sync *sync)
{
    struct group_member *member = NULL;
    enum group_verdict verdict = check(group, sync, &member);

    if (verdict != GROUP_OK) {
        refuse(sync, verdict);
        return GROUP_DONE;
    }
    BASE_ASSERT(group->state == GROUP_COMPLETING_REBALANCE || group->state == GROUP_STABLE);
    if (member->sync != NULL) { /* superseded */
        group__sync_refuse(member, GROUP_REBALANCE_IN_PROGRESS);
    }
    group__sync_seen(group, member);
    group__member_touch(group, member, member->session_timeout_ms);
    if (group->state == GROUP_STABLE) {
        answer(group, member, sync);
        return GROUP_DONE;
    }
    member->sync = sync;
    if (member == group->leader) {
        lead(group, sync);
    }
    return sync->wait.answered ? GROUP_DONE : GROUP_PENDING;
}

void group_sync_release(struct group_sync *sync)
{
    BASE_ASSERT(sync->group == NULL || sync->wait.answered);
    base_arena_fini(&sync->memory);
    group__release(&sync->group);
}

bool group_sync_cancel(struct group_coordinator *coordinator, struct group_sync *sync)
{
    (void)coordinator;
    if (sync->group == NULL) {
        return false;
    }
    struct group *group = sync->group;
    bool parked = false;

    group__lock(group, NULL);
    if (!sync->wait.answered) {
        struct group_member *member = group__member_find(group, sync->member_id);
        BASE_ASSERT(member != NULL);
        BASE_ASSERT(member->sync == sync);
        member->sync = NULL;
        group__member_touch(group, member, member->session_timeout_ms);
        sync->wait.answered = true;
        parked = true;
    }
    group__unlock(group);
    if (parked) {
        group_sync_release(sync);
    }
    return parked;
}
