/* What tools see of a group, and what the group knows of its members' subscriptions. */
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/format_priv.h"
#include "core/group/group_priv.h"

bool group__is_consumer(const struct group *group)
{
    return base_slice_is(group->protocol_type, "consumer");
}

bool group__subscribed_each(const struct group *group, group_topic_visit *visit, void *context)
{
    for (const struct base_list *node = group->members.next; node != &group->members;
         node = node->next) {
        const struct group_member *member = BASE_CONTAINER_OF(node, struct group_member, link);
        if (!group__subscription_each(group__member_metadata(member, group->protocol), visit,
                                      context)) {
            return false;
        }
    }
    return true;
}

static struct base_slice keep(struct base_arena *arena, struct base_slice bytes, bool *failed)
{
    if (bytes.data == NULL) {
        return bytes;
    }
    char *copy = base_arena_strndup(arena, (const char *)bytes.data, bytes.length);
    if (copy == NULL) {
        *failed = true;
        return base_slice_of(NULL, 0);
    }
    return base_slice_of(copy, bytes.length);
}

static struct base_slice keep_or_empty(struct base_arena *arena, struct base_slice bytes,
                                       bool *failed)
{
    return bytes.data == NULL ? base_slice_text("") : keep(arena, bytes, failed);
}

static void describe_member(const struct group *group, const struct group_member *member,
                            struct base_arena *arena, struct group_member_description *out,
                            bool *failed)
{
    bool stable = group->state == GROUP_STABLE;

    out->member_id = keep(arena, member->member_id, failed);
    out->group_instance_id = keep(arena, member->instance_id, failed);
    out->client_id = keep_or_empty(arena, member->client_id, failed);
    out->client_host = keep_or_empty(arena, member->client_host, failed);
    out->metadata = base_slice_text("");
    out->assignment = base_slice_text("");
    if (stable) {
        out->metadata = keep(arena, group__member_metadata(member, group->protocol), failed);
        out->assignment = keep_or_empty(arena, member->assignment, failed);
    }
}

static enum group_verdict describe(const struct group *group, struct base_arena *arena,
                                   struct group_description *out)
{
    bool failed = false;
    uint32_t count = 0;
    struct group_member_description *members =
        base_arena_array(arena, group->members_count, sizeof *members);

    if (members == NULL) {
        return GROUP_OUT_OF_MEMORY;
    }
    for (const struct base_list *node = group->members.next; node != &group->members;
         node = node->next) {
        describe_member(group, BASE_CONTAINER_OF(node, struct group_member, link), arena,
                        &members[count++], &failed);
    }
    out->state = group->state;
    out->protocol_type = keep_or_empty(arena, group->protocol_type, &failed);
    if (group->state == GROUP_STABLE) {
        out->protocol = keep_or_empty(arena, group->protocol, &failed);
    }
    out->members = members;
    out->members_count = count;
    return failed ? GROUP_OUT_OF_MEMORY : GROUP_OK;
}

enum group_verdict group_describe(struct group_coordinator *coordinator, struct base_slice group_id,
                                  struct base_arena *arena, struct group_description *out)
{
    enum group_verdict verdict;
    struct group *group = group__enter(coordinator, group_id, false, NULL, &verdict);

    *out = (struct group_description){
        .state = GROUP_DEAD, .protocol_type = base_slice_text(""), .protocol = base_slice_text("")};
    if (group == NULL) {
        return verdict;
    }
    verdict = describe(group, arena, out);
    group__exit(&group);
    return verdict;
}

bool group_coordinator_is_active(struct group_coordinator *coordinator, struct base_slice group_id)
{
    enum group_verdict verdict;
    struct group *group = group__enter(coordinator, group_id, false, NULL, &verdict);

    if (group == NULL) {
        return false;
    }
    bool active = group->members_count > 0;
    group__exit(&group);
    return active;
}

struct listing {
    struct group_walk walk; /* first: what visit gets */
    unsigned states;
    struct base_arena *arena;
    struct group_listing *rows;
    uint32_t count;
    bool failed;
};

static void list_one(struct group_walk *walk, struct group *group)
{
    struct listing *listing = BASE_CONTAINER_OF(walk, struct listing, walk);

    group__lock(group, NULL);
    if (group->state != GROUP_DEAD &&
        (listing->states == 0 || (listing->states & (1u << group->state)) != 0)) {
        struct group_listing *row = &listing->rows[listing->count++];
        row->group_id = keep(listing->arena, group->id, &listing->failed);
        row->protocol_type = keep_or_empty(listing->arena, group->protocol_type, &listing->failed);
        row->state = group->state;
    }
    group__unlock(group);
}

enum group_verdict group_list(struct group_coordinator *coordinator, unsigned states,
                              struct base_arena *arena, struct group_listing **out, uint32_t *count)
{
    struct listing listing = {.states = states, .arena = arena};

    *out = NULL;
    *count = 0;
    if (!atomic_load(&coordinator->ready)) {
        return GROUP_NOT_READY;
    }
    if (group__walk_init(&listing.walk, coordinator, NULL, NULL)) {
        return GROUP_OUT_OF_MEMORY;
    }
    listing.walk.visit = list_one;
    listing.rows = base_arena_array(arena, listing.walk.groups_count, sizeof *listing.rows);
    listing.failed = listing.rows == NULL;
    while (!listing.failed && group__walk_step(&listing.walk)) {
    }
    group__walk_fini(&listing.walk);
    if (listing.failed) {
        return GROUP_OUT_OF_MEMORY;
    }
    *out = listing.rows;
    *count = listing.count;
    return GROUP_OK;
}
