/* Members of a group: who they are, which protocols they know, how long they live. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/coordinator.h"
#include "core/group/group_priv.h"

struct group_member *group__member_find(struct group *group, struct base_slice member_id)
{
    return base_map_get(group->members_by_id, member_id);
}

struct group_member *group__member_of_instance(struct group *group, struct base_slice instance_id)
{
    return base_map_get(group->members_by_instance, instance_id);
}

enum group_verdict group__member_check(struct group *group, struct base_slice member_id,
                                       struct base_slice instance_id, struct group_member **out)
{
    *out = NULL;
    if (instance_id.data != NULL) {
        const struct group_member *owner = group__member_of_instance(group, instance_id);
        if (owner == NULL) {
            return GROUP_UNKNOWN_MEMBER;
        }
        if (!base_slice_equal(owner->member_id, member_id)) {
            return GROUP_FENCED_INSTANCE;
        }
    }
    *out = group__member_find(group, member_id);
    return *out == NULL ? GROUP_UNKNOWN_MEMBER : GROUP_OK;
}

/* False for the second and later rows of one name: a member has one vote per protocol. */
static bool is_first_of_name(const struct group_protocol *protocols, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (base_slice_equal(protocols[i].name, protocols[index].name)) {
            return false;
        }
    }
    return true;
}

static uint32_t supporters(const struct group *group, struct base_slice name)
{
    const struct group_candidate *candidate = base_map_get(group->candidates, name);
    return candidate == NULL ? 0 : candidate->supporters;
}

bool group__protocols_fit(const struct group *group, const struct group_join *join)
{
    if (group->state == GROUP_EMPTY) {
        return join->protocol_type.length > 0 && join->protocols_count > 0;
    }
    if (!base_slice_equal(group->protocol_type, join->protocol_type)) {
        return false;
    }
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        if (supporters(group, join->protocols[i].name) == group->members_count) {
            return true;
        }
    }
    return false;
}

enum group_verdict group__protocols_check(const struct group_join *join)
{
    size_t room = GROUP_MEMBER_SIZE_MAX;

    if (join->protocols_count > GROUP_PROTOCOLS_MAX) {
        return GROUP_MEMBER_TOO_LARGE;
    }
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        size_t name = join->protocols[i].name.length;
        size_t metadata = join->protocols[i].metadata.length;
        if (name > room || metadata > room - name) {
            return GROUP_MEMBER_TOO_LARGE;
        }
        room -= name + metadata;
    }
    return GROUP_OK;
}

static void remove_candidates(struct group *group, const struct group_protocol *protocols,
                              uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_first_of_name(protocols, i)) {
            continue;
        }
        struct group_candidate *candidate = base_map_get(group->candidates, protocols[i].name);
        BASE_ASSERT(candidate != NULL);
        BASE_ASSERT(candidate->supporters > 0);
        if (--candidate->supporters == 0) {
            (void)base_map_remove(group->candidates, protocols[i].name);
            base_free(candidate);
        }
    }
}

static enum base_err add_candidate(struct group *group, struct base_slice name)
{
    struct group_candidate *candidate = base_map_get(group->candidates, name);
    if (candidate == NULL) {
        candidate = base_alloc_object(struct group_candidate);
        if (candidate == NULL) {
            return BASE_ERR_NOMEM;
        }
        enum base_err err = base_map_put(group->candidates, name, candidate);
        if (err) {
            base_free(candidate);
            return err;
        }
    }
    candidate->supporters++;
    return BASE_ERR_OK;
}

static enum base_err add_candidates(struct group *group, const struct group_protocol *protocols,
                                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_first_of_name(protocols, i)) {
            continue;
        }
        enum base_err err = add_candidate(group, protocols[i].name);
        if (err) {
            remove_candidates(group, protocols, i);
            return err;
        }
    }
    return BASE_ERR_OK;
}

static struct base_slice place(uint8_t **cursor, struct base_slice bytes)
{
    struct base_slice placed = base_slice_of(*cursor, bytes.length);
    if (bytes.length > 0) {
        memcpy(*cursor, bytes.data, bytes.length);
        *cursor += bytes.length;
    }
    return placed;
}

/* One block: the rows, then their bytes. Sizes were limited by group__protocols_check. */
static struct group_protocol *copy_protocols(const struct group_join *join)
{
    size_t size = join->protocols_count * sizeof *join->protocols + 1;
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        size += join->protocols[i].name.length + join->protocols[i].metadata.length;
    }
    struct group_protocol *copy = base_alloc(size);
    if (copy == NULL) {
        return NULL;
    }
    uint8_t *cursor = (uint8_t *)(copy + join->protocols_count);
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        copy[i].name = place(&cursor, join->protocols[i].name);
        copy[i].metadata = place(&cursor, join->protocols[i].metadata);
    }
    return copy;
}

static void member_free(struct group_member *member)
{
    group__bytes_free(&member->member_id);
    group__bytes_free(&member->instance_id);
    group__bytes_free(&member->client_id);
    group__bytes_free(&member->client_host);
    group__bytes_free(&member->assignment);
    group__bytes_free(&member->assignment_next);
    base_free(member->protocols);
    base_free(member);
}

static struct group_member *member_make(const struct group_join *join, struct base_slice member_id)
{
    bool failed = false;
    struct group_member *member = base_alloc_object(struct group_member);
    if (member == NULL) {
        return NULL;
    }
    member->member_id = group__bytes_copy(member_id, &failed);
    member->instance_id = group__bytes_copy(join->group_instance_id, &failed);
    member->client_id = group__bytes_copy(join->client_id, &failed);
    member->client_host = group__bytes_copy(join->client_host, &failed);
    member->protocols = copy_protocols(join);
    member->protocols_count = join->protocols_count;
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    member->deadline_us = INT64_MAX;
    if (failed || member->protocols == NULL) {
        member_free(member);
        return NULL;
    }
    return member;
}

/* The group takes over the protocol type of its first member. */
static enum base_err adopt_protocol_type(struct group *group, struct base_slice protocol_type)
{
    bool failed = false;

    if (group->members_count > 0 || base_slice_equal(group->protocol_type, protocol_type)) {
        return BASE_ERR_OK;
    }
    struct base_slice copy = group__bytes_copy(protocol_type, &failed);
    if (failed) {
        return BASE_ERR_NOMEM;
    }
    group__bytes_free(&group->protocol_type);
    group->protocol_type = copy;
    return BASE_ERR_OK;
}

enum base_err group__member_add(struct group *group, const struct group_join *join,
                                struct base_slice member_id, struct group_member **out)
{
    enum base_err err = BASE_ERR_NOMEM;
    bool has_candidates = false;
    bool has_id = false;
    struct group_member *member = member_make(join, member_id);

    *out = NULL;
    if (member == NULL) {
        return BASE_ERR_NOMEM;
    }
    err = add_candidates(group, member->protocols, member->protocols_count);
    if (err) {
        goto exit;
    }
    has_candidates = true;
    err = base_map_put(group->members_by_id, member_id, member);
    if (err) {
        goto exit;
    }
    has_id = true;
    if (member->instance_id.data != NULL) {
        err = base_map_put(group->members_by_instance, member->instance_id, member);
        if (err) {
            goto exit;
        }
    }
    err = adopt_protocol_type(group, join->protocol_type);
    if (err) {
        (void)base_map_remove(group->members_by_instance, member->instance_id);
        goto exit;
    }
    base_list_push_back(&group->members, &member->link);
    group->members_count++;
    if (group->leader == NULL) {
        group->leader = member;
    }
    *out = member;
    member = NULL;

exit:
    if (member != NULL) {
        if (has_id) {
            (void)base_map_remove(group->members_by_id, member_id);
        }
        if (has_candidates) {
            remove_candidates(group, member->protocols, member->protocols_count);
        }
        member_free(member);
    }
    return err;
}

enum base_err group__member_update(struct group *group, struct group_member *member,
                                   const struct group_join *join)
{
    if (!group__member_matches(member, join)) {
        struct group_protocol *protocols = copy_protocols(join);
        if (protocols == NULL) {
            return BASE_ERR_NOMEM;
        }
        enum base_err err = add_candidates(group, protocols, join->protocols_count);
        if (err) {
            base_free(protocols);
            return err;
        }
        remove_candidates(group, member->protocols, member->protocols_count);
        base_free(member->protocols);
        member->protocols = protocols;
        member->protocols_count = join->protocols_count;
    }
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    return BASE_ERR_OK;
}

enum base_err group__member_rename(struct group *group, struct group_member *member,
                                   struct base_slice member_id)
{
    bool failed = false;
    struct base_slice copy = group__bytes_copy(member_id, &failed);
    if (failed) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = base_map_put(group->members_by_id, copy, member);
    if (err) {
        group__bytes_free(&copy);
        return err;
    }
    (void)base_map_remove(group->members_by_id, member->member_id);
    group__bytes_free(&member->member_id);
    member->member_id = copy;
    return BASE_ERR_OK;
}

void group__member_remove(struct group *group, struct group_member *member,
                          enum group_verdict verdict)
{
    if (member->join != NULL) {
        group__join_refuse(member->join, verdict);
        member->join = NULL;
    }
    if (member->sync != NULL) {
        group__sync_refuse(member, verdict);
    }
    if (member->joined) {
        group->joined_count--;
    }
    remove_candidates(group, member->protocols, member->protocols_count);
    (void)base_map_remove(group->members_by_id, member->member_id);
    if (member->instance_id.data != NULL) {
        (void)base_map_remove(group->members_by_instance, member->instance_id);
    }
    base_list_remove(&member->link);
    group->members_count--;
    if (group->leader == member) {
        group->leader = group->members_count == 0
                            ? NULL
                            : BASE_CONTAINER_OF(group->members.next, struct group_member, link);
    }
    group__sync_seen(group, member); /* nobody waits for its sync any more */
    member_free(member);
}

bool group__member_matches(const struct group_member *member, const struct group_join *join)
{
    if (member->protocols_count != join->protocols_count) {
        return false;
    }
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        if (!base_slice_equal(member->protocols[i].name, join->protocols[i].name) ||
            !base_slice_equal(member->protocols[i].metadata, join->protocols[i].metadata)) {
            return false;
        }
    }
    return true;
}

struct base_slice group__member_metadata(const struct group_member *member,
                                         struct base_slice protocol)
{
    for (uint32_t i = 0; i < member->protocols_count; i++) {
        if (base_slice_equal(member->protocols[i].name, protocol)) {
            return member->protocols[i].metadata;
        }
    }
    return base_slice_text("");
}

void group__member_touch(struct group *group, struct group_member *member, int64_t timeout_ms)
{
    member->deadline_us = group__now_us(group) + timeout_ms * 1000;
    base_alarm_set(&group->alarm, member->deadline_us);
}

static bool clear_votes(void *context, struct base_slice key, void *value)
{
    (void)context;
    (void)key;
    ((struct group_candidate *)value)->votes = 0;
    return true;
}

struct base_slice group__choose_protocol(struct group *group)
{
    struct base_slice best = {NULL, 0};
    uint32_t best_votes = 0;

    base_map_each(group->candidates, clear_votes, NULL);
    for (struct base_list *node = group->members.next; node != &group->members; node = node->next) {
        const struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        for (uint32_t i = 0; i < member->protocols_count; i++) {
            struct group_candidate *candidate =
                base_map_get(group->candidates, member->protocols[i].name);
            BASE_ASSERT(candidate != NULL);
            if (candidate->supporters < group->members_count) {
                continue; /* not known to all */
            }
            if (++candidate->votes > best_votes) {
                best_votes = candidate->votes;
                best = member->protocols[i].name;
            }
            break; /* one vote, for the first that counts */
        }
    }
    return best;
}

struct group_reservation *group__reservation_find(struct group *group, struct base_slice member_id)
{
    return base_map_get(group->reservations_by_id, member_id);
}

enum base_err group__reserve(struct group *group, struct base_slice member_id,
                             int64_t session_timeout_ms)
{
    bool failed = false;
    struct group_reservation *reservation = base_alloc_object(struct group_reservation);
    if (reservation == NULL) {
        return BASE_ERR_NOMEM;
    }
    reservation->member_id = group__bytes_copy(member_id, &failed);
    if (failed || base_map_put(group->reservations_by_id, member_id, reservation)) {
        group__bytes_free(&reservation->member_id);
        base_free(reservation);
        return BASE_ERR_NOMEM;
    }
    reservation->deadline_us = group__now_us(group) + session_timeout_ms * 1000;
    base_list_push_back(&group->reservations, &reservation->link);
    group->reservations_count++;
    base_alarm_set(&group->alarm, reservation->deadline_us);
    return BASE_ERR_OK;
}

void group__reservation_remove(struct group *group, struct group_reservation *reservation)
{
    base_list_remove(&reservation->link);
    (void)base_map_remove(group->reservations_by_id, reservation->member_id);
    group->reservations_count--;
    group__bytes_free(&reservation->member_id);
    base_free(reservation);
}
