/* The end of committed offsets: retention, topics that are gone, groups with nothing left. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/group/coordinator_priv.h"
#include "core/group/offsets_priv.h"

/* Entries picked for removal, and what deciding needs. */
struct picked {
    struct group_offset_entry **entries; /* owned array with room for all */
    uint32_t count;
    int64_t now_ms;
    int64_t horizon_ms;                            /* not younger than this: expired */
    struct catalog_view *view;                     /* held; NULL: every topic counts as existing */
    struct base_slice topic;                       /* only this one; null: any */
    const struct group_topic_offsets *topic_known; /* the one the answer below is about */
    bool topic_exists;
    bool all_subscribed; /* whatever the topics say */
};

/* From when retention counts (KIP-211): a group without members from becoming so, what was
 * committed without a group from the commit, an active one only what it does not read. Where the
 * client said how long, that counts instead. */
static bool is_expired(const struct group *group, const struct group_offset_entry *entry,
                       const struct picked *picked)
{
    int64_t since_ms = entry->visible->commit_ms;

    if (group->protocol_type.length > 0) {
        if (group->state == GROUP_EMPTY) {
            since_ms = group->state_since_ms >= 0 ? group->state_since_ms : since_ms;
        } else if (group->state != GROUP_STABLE || !group__is_consumer(group) ||
                   picked->all_subscribed || entry->topic->is_subscribed) {
            return false;
        }
    }
    if (entry->visible->expire_ms > 0) {
        return entry->visible->expire_ms <= picked->now_ms;
    }
    return since_ms <= picked->horizon_ms;
}

static void look_at_topic(const struct group_topic_offsets *topic, struct picked *picked)
{
    if (picked->topic_known == topic) {
        return;
    }
    picked->topic_known = topic;
    picked->topic_exists =
        picked->view == NULL || catalog_view_topic(picked->view, topic->name) != NULL;
}

static bool clear_mark(void *context, struct base_slice name, void *value)
{
    struct group_topic_offsets *topic = value;

    (void)context;
    (void)name;
    topic->is_subscribed = false;
    return true;
}

static bool set_mark(void *context, struct base_slice name)
{
    struct group *group = context;
    struct group_topic_offsets *topic = base_map_get(group->topics, name);

    if (topic != NULL) {
        topic->is_subscribed = true;
    }
    return true;
}

/* Marks the topics that members read: once, as subscriptions may be long. */
static void mark_subscribed(struct group *group, struct picked *picked)
{
    if (group->entries_count == 0 || group->state != GROUP_STABLE || !group__is_consumer(group)) {
        return;
    }
    base_map_each(group->topics, clear_mark, NULL);
    picked->all_subscribed = !group__subscribed_each(group, set_mark, group);
}

static bool pick_expired(void *context, struct group *group, struct group_offset_entry *entry)
{
    struct picked *picked = context;

    if (entry->visible == NULL || entry->ops_count > 0) {
        return true;
    }
    look_at_topic(entry->topic, picked);
    if (!picked->topic_exists ||
        group__offset_is_stale(picked->view, entry->topic->name, entry->visible) ||
        is_expired(group, entry, picked)) {
        picked->entries[picked->count++] = entry;
    }
    return true;
}

static bool pick_topic(void *context, struct group *group, struct group_offset_entry *entry)
{
    struct picked *picked = context;

    (void)group;
    if (!base_slice_equal(entry->topic->name, picked->topic) || entry->appended == NULL) {
        return true;
    }
    /* There may be another topic of that name by now, with offsets of its own. */
    bool has_successor =
        picked->view != NULL && catalog_view_topic(picked->view, picked->topic) != NULL;
    if (!has_successor || group__offset_is_stale(picked->view, picked->topic, entry->appended)) {
        picked->entries[picked->count++] = entry;
    }
    return true;
}

bool group__expire(struct group *group, int64_t now_ms)
{
    const struct group_coordinator_options *options = &group->coordinator->options;
    bool died = false;
    struct picked picked = {.now_ms = now_ms, .horizon_ms = now_ms - options->offsets_retention_ms};

    picked.entries = base_alloc_array(group->entries_count, sizeof(struct group_offset_entry *));
    if (picked.entries == NULL) {
        return false; /* next time */
    }
    if (options->catalog != NULL) {
        picked.view = catalog_view(options->catalog);
    }
    mark_subscribed(group, &picked);
    group__entries_each(group, pick_expired, &picked);
    if (group->state == GROUP_EMPTY && group->reservations_count == 0 &&
        picked.count == group->entries_count && base_list_is_empty(&group->ops)) {
        died = group__bury(group);
    } else {
        group__remove_entries(group, picked.entries, picked.count);
    }
    if (picked.view != NULL) {
        catalog_view_release(&picked.view);
    }
    base_free(picked.entries);
    return died;
}

static void sweep_group(struct group_walk *walk, struct group *group)
{
    bool died = false;

    group__lock(group, walk->executor);
    if (group->state != GROUP_DEAD) {
        died = group__expire(group, group__now_ms(group));
    }
    group__unlock(group);
    if (died) {
        group__coordinator_forget(walk->coordinator, group);
    }
}

static void set_next_sweep(struct group_coordinator *coordinator)
{
    int64_t now_us = base_clock_monotonic_us(coordinator->options.clock);
    base_alarm_set(&coordinator->sweep, now_us + coordinator->options.offsets_check_ms * 1000);
}

static void sweep_ended(struct group_walk *walk)
{
    if (!atomic_load(&walk->coordinator->closing)) {
        set_next_sweep(walk->coordinator);
    }
    group__walk_fini(walk);
    base_free(walk);
}

void group__sweep_start(struct group_coordinator *coordinator)
{
    if (atomic_load(&coordinator->closing)) {
        return;
    }
    struct group_walk *walk = base_alloc_object(struct group_walk);
    if (walk == NULL ||
        group__walk_init(walk, coordinator, NULL, group__executor(coordinator, 0))) {
        base_free(walk);
        set_next_sweep(coordinator);
        return;
    }
    walk->visit = sweep_group;
    walk->ended = sweep_ended;
    group__walk_run(walk);
}

struct topic_removal {
    struct group_walk walk;
    char *topic; /* owned */
};

static void remove_topic(struct group_walk *walk, struct group *group)
{
    const struct topic_removal *removal = BASE_CONTAINER_OF(walk, struct topic_removal, walk);
    struct picked picked = {.topic = base_slice_text(removal->topic)};

    group__lock(group, walk->executor);
    if (group->state != GROUP_DEAD && base_map_get(group->topics, picked.topic) != NULL) {
        picked.entries =
            base_alloc_array(group->entries_count, sizeof(struct group_offset_entry *));
        if (picked.entries != NULL) { /* otherwise the next sweep finds the topic gone */
            if (group->coordinator->options.catalog != NULL) {
                picked.view = catalog_view(group->coordinator->options.catalog);
            }
            group__entries_each(group, pick_topic, &picked);
            group__remove_entries(group, picked.entries, picked.count);
            if (picked.view != NULL) {
                catalog_view_release(&picked.view);
            }
            base_free(picked.entries);
        }
    }
    group__unlock(group);
}

static void topic_removed(struct group_walk *walk)
{
    struct topic_removal *removal = BASE_CONTAINER_OF(walk, struct topic_removal, walk);

    group__walk_fini(walk);
    base_free(removal->topic);
    base_free(removal);
}

void group__topic_deleted(void *context, const struct catalog_topic *topic)
{
    struct group_coordinator *coordinator = context;

    if (!atomic_load(&coordinator->ready) || atomic_load(&coordinator->closing)) {
        return; /* the first sweep after loading sees that it is gone */
    }
    struct topic_removal *removal = base_alloc_object(struct topic_removal);
    if (removal == NULL) {
        return;
    }
    removal->topic = base_strdup(topic->name);
    if (removal->topic == NULL ||
        group__walk_init(&removal->walk, coordinator, NULL, group__executor(coordinator, 0))) {
        base_free(removal->topic);
        base_free(removal);
        return;
    }
    removal->walk.visit = remove_topic;
    removal->walk.ended = topic_removed;
    group__walk_run(&removal->walk);
}
