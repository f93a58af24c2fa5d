/* A group's life, its lock, its state and its one alarm. */
#include "core/group/group.h"

#include <string.h>
#include <strings.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/group_priv.h"
#include "core/group/offsets_priv.h"

static const char *const state_names[GROUP_STATE_COUNT] = {
    [GROUP_EMPTY] = "Empty",
    [GROUP_PREPARING_REBALANCE] = "PreparingRebalance",
    [GROUP_COMPLETING_REBALANCE] = "CompletingRebalance",
    [GROUP_STABLE] = "Stable",
    [GROUP_DEAD] = "Dead",
};

#define MAY(state) (1u << GROUP_##state)
static const unsigned group_moves[GROUP_STATE_COUNT] = {
    /* STABLE: only when members are read back from the log. */
    [GROUP_EMPTY] = MAY(PREPARING_REBALANCE) | MAY(STABLE) | MAY(DEAD),
    [GROUP_PREPARING_REBALANCE] = MAY(COMPLETING_REBALANCE) | MAY(EMPTY) | MAY(DEAD),
    [GROUP_COMPLETING_REBALANCE] = MAY(STABLE) | MAY(PREPARING_REBALANCE) | MAY(DEAD),
    [GROUP_STABLE] = MAY(PREPARING_REBALANCE) | MAY(DEAD),
    [GROUP_DEAD] = 0,
};
#undef MAY

const char *group_verdict_text(enum group_verdict verdict)
{
#define GROUP_VERDICT_TEXT(name, text) [GROUP_##name] = text,
    static const char *const texts[] = {GROUP_VERDICT_LIST(GROUP_VERDICT_TEXT)};
#undef GROUP_VERDICT_TEXT

    BASE_ASSERT(verdict < GROUP_VERDICT_COUNT);
    return texts[verdict];
}

const char *group_state_name(enum group_state state)
{
    BASE_ASSERT(state < GROUP_STATE_COUNT);
    return state_names[state];
}

bool group_state_parse(struct base_slice name, enum group_state *out)
{
    *out = GROUP_EMPTY;
    for (int state = 0; state < GROUP_STATE_COUNT; state++) {
        const char *candidate = state_names[state];
        if (name.length == strlen(candidate) &&
            strncasecmp(candidate, (const char *)name.data, name.length) == 0) {
            *out = (enum group_state)state;
            return true;
        }
    }
    return false;
}

struct base_slice group__bytes_copy(struct base_slice bytes, bool *failed)
{
    if (bytes.data == NULL) {
        return bytes;
    }
    char *copy = base_strndup((const char *)bytes.data, bytes.length);
    if (copy == NULL) {
        *failed = true;
        return base_slice_of(NULL, 0);
    }
    return base_slice_of(copy, bytes.length);
}

void group__bytes_free(struct base_slice *bytes)
{
    base_free((void *)(uintptr_t)bytes->data);
    *bytes = base_slice_of(NULL, 0);
}

void group__set_stored(struct group *group, struct base_buffer *buffer, size_t length)
{
    int difference = (buffer != NULL) - (group->stored != NULL);
    base_buffer_release(&group->stored);
    group->stored = buffer;
    group->stored_length = length;
    atomic_fetch_add(&group->shard->records_live, difference);
}

static void destroy(struct group *group)
{
    BASE_ASSERT(group->members_count == 0);
    BASE_ASSERT(base_list_is_empty(&group->ops));
    while (!base_list_is_empty(&group->reservations)) {
        group__reservation_remove(
            group, BASE_CONTAINER_OF(group->reservations.next, struct group_reservation, link));
    }
    group__offsets_clear(group);
    base_map_close(&group->members_by_id);
    base_map_close(&group->members_by_instance);
    base_map_close(&group->reservations_by_id);
    base_map_close(&group->candidates);
    base_map_close(&group->topics);
    group__set_stored(group, NULL, 0);
    group__bytes_free(&group->protocol_type);
    group__bytes_free(&group->protocol);
    group__bytes_free(&group->id);
    base_mutex_fini(&group->mutex);
    base_free(group);
}

static void alarm_closed(struct base_task *task)
{
    struct group *group = BASE_CONTAINER_OF(task, struct group, closed);
    struct group_coordinator *coordinator = group->coordinator;

    destroy(group);
    group__coordinator_idle(coordinator);
}

/* On the home executor: only there no ring, and no other close, can be under way. */
static void reap(struct base_task *task)
{
    struct group *group = BASE_CONTAINER_OF(task, struct group, reap);
    base_alarm_close(&group->alarm, &group->closed);
}

static void expire_reservations(struct group *group, int64_t now_us)
{
    struct base_list *node = group->reservations.next;
    while (node != &group->reservations) {
        struct group_reservation *reservation =
            BASE_CONTAINER_OF(node, struct group_reservation, link);
        node = node->next;
        if (reservation->deadline_us <= now_us) {
            group__reservation_remove(group, reservation);
        }
    }
}

/* A new member's parked join is limited; any other parked request keeps the session alive. */
static bool session_runs(const struct group_member *member)
{
    return member->is_new || (member->join == NULL && member->sync == NULL);
}

static void expire_members(struct group *group, int64_t now_us)
{
    struct base_list *node = group->members.next;
    while (node != &group->members) {
        struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        node = node->next;
        if (session_runs(member) && member->deadline_us <= now_us) {
            group__member_remove(group, member, GROUP_UNKNOWN_MEMBER);
        }
    }
}

static void handle_deadlines(struct group *group)
{
    int64_t now_us = group__now_us(group);
    uint32_t members_before = group->members_count;
    uint32_t reservations_before = group->reservations_count;

    expire_reservations(group, now_us);
    expire_members(group, now_us);
    if (group->members_count != members_before) {
        group__after_departure(group);
    } else if (group->reservations_count != reservations_before) {
        group__join_maybe_complete(group);
    }
    if (group->sync_deadline_us <= now_us) {
        group__sync_deadline_passed(group);
    }
    if (group->join_deadline_us <= now_us) {
        group__join_deadline_passed(group, now_us);
    }
}

static void alarm_ring(struct base_alarm *alarm)
{
    struct group *group = BASE_CONTAINER_OF(alarm, struct group, alarm);

    group__lock(group, alarm->home);
    if (group->state == GROUP_DEAD) {
        group__unlock(group);
        return;
    }
    handle_deadlines(group);
    bool died = group__die_if_useless(group);
    if (!died) {
        group__rearm(group);
    }
    group__unlock(group);
    if (died) {
        group__coordinator_forget(group->coordinator, group);
    }
}

void group__rearm(struct group *group)
{
    int64_t next_us = group->join_deadline_us < group->sync_deadline_us ? group->join_deadline_us
                                                                        : group->sync_deadline_us;
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        const struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        if (session_runs(member) && member->deadline_us < next_us) {
            next_us = member->deadline_us;
        }
    }
    for (struct base_list *node = group->reservations.next; node != &group->reservations;
         node = node->next) {
        const struct group_reservation *reservation =
            BASE_CONTAINER_OF(node, struct group_reservation, link);
        if (reservation->deadline_us < next_us) {
            next_us = reservation->deadline_us;
        }
    }
    if (next_us != INT64_MAX) {
        base_alarm_set(&group->alarm, next_us);
    }
}

static bool create_maps(struct group *group)
{
    return base_map_create(&group->members_by_id) == BASE_ERR_OK &&
           base_map_create(&group->members_by_instance) == BASE_ERR_OK &&
           base_map_create(&group->reservations_by_id) == BASE_ERR_OK &&
           base_map_create(&group->candidates) == BASE_ERR_OK &&
           base_map_create(&group->topics) == BASE_ERR_OK;
}

struct group *group__create(struct group_coordinator *coordinator, struct group_shard *shard,
                            struct base_slice id, struct base_executor *home)
{
    struct group *group = base_alloc_object(struct group);
    if (group == NULL) {
        return NULL;
    }
    bool failed = false;
    group->coordinator = coordinator;
    group->shard = shard;
    base_refs_init(&group->refs);
    group->id = group__bytes_copy(id.data == NULL ? base_slice_text("") : id, &failed);
    base_mutex_init(&group->mutex);
    base_list_init(&group->members);
    base_list_init(&group->reservations);
    base_list_init(&group->ops);
    group->state_since_ms = base_clock_wall_ms(coordinator->options.clock);
    group->join_deadline_us = INT64_MAX;
    group->sync_deadline_us = INT64_MAX;
    group->initial_delay_ms = -1;
    base_alarm_init(&group->alarm, home, alarm_ring);
    group->reap.run = reap;
    group->closed.run = alarm_closed;
    if (failed || !create_maps(group)) {
        destroy(group);
        return NULL;
    }
    group__coordinator_busy(coordinator);
    return group;
}

struct group *group__hold(struct group *group)
{
    base_refs_take(&group->refs);
    return group;
}

void group__release(struct group **group)
{
    struct group *held = *group;

    *group = NULL;
    if (held != NULL && base_refs_drop(&held->refs)) {
        base_executor_post(held->alarm.home, &held->reap);
    }
}

void group__lock(struct group *group, struct base_executor *turn)
{
    base_mutex_lock(&group->mutex);
    group->turn = turn;
}

void group__unlock(struct group *group)
{
    group->turn = NULL;
    base_mutex_unlock(&group->mutex);
}

void group__move(struct group *group, enum group_state next)
{
    base_mutex_assert_held(&group->mutex);
    BASE_ASSERT((group_moves[group->state] & (1u << next)) != 0);

    group->state_before = group->state;
    group->state = next;
    group->state_since_ms = group__now_ms(group);
}

int64_t group__now_us(const struct group *group)
{
    return base_clock_monotonic_us(group->coordinator->options.clock);
}

int64_t group__now_ms(const struct group *group)
{
    return base_clock_wall_ms(group->coordinator->options.clock);
}

bool group__die_if_useless(struct group *group)
{
    if (group->state != GROUP_EMPTY || group->reservations_count > 0 || group->stored != NULL ||
        group->entries_count > 0 || !base_list_is_empty(&group->ops)) {
        return false;
    }
    group__move(group, GROUP_DEAD);
    return true;
}

void group__answer(struct group_wait *wait, struct base_executor *executor, struct base_task *task)
{
    BASE_ASSERT(!wait->answered);
    wait->answered = true;
    if (!wait->in_call) {
        base_executor_post(executor, task);
    }
}
