/* Committed offsets of a group in memory: topics by name, partitions in order. */
#include "core/group/offsets.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/offsets_priv.h"

struct group_offset *group_offset_hold(struct group_offset *offset)
{
    base_refs_take(&offset->refs);
    return offset;
}

void group_offset_release(struct group_offset **offset)
{
    struct group_offset *held = *offset;

    *offset = NULL;
    if (held != NULL && base_refs_drop(&held->refs)) {
        base_free(held);
    }
}

struct group_offset *group__offset_make(const struct group_commit_item *item, int64_t commit_ms)
{
    struct group_offset *offset = base_alloc(sizeof *offset + item->metadata.length + 1);
    if (offset == NULL) {
        return NULL;
    }
    base_refs_init(&offset->refs);
    offset->offset = item->offset;
    offset->leader_epoch = item->leader_epoch;
    offset->commit_ms = commit_ms;
    offset->expire_ms = item->expire_ms;
    offset->topic_id = item->topic_id;
    offset->metadata_length = item->metadata.length;
    if (item->metadata.length > 0) {
        memcpy(offset->metadata, item->metadata.data, item->metadata.length);
    }
    offset->metadata[item->metadata.length] = '\0';
    return offset;
}

bool group__offset_is_stale(const struct catalog_view *view, struct base_slice topic,
                            const struct group_offset *offset)
{
    if (view == NULL || base_uuid_is_zero(offset->topic_id)) {
        return false;
    }
    const struct catalog_topic *now = catalog_view_topic(view, topic);
    return now != NULL && !base_uuid_equal(now->id, offset->topic_id);
}

/* What exists; NULL where there is no catalog. To be released. */
static struct catalog_view *view_of(const struct group_coordinator *coordinator)
{
    struct catalog *catalog = coordinator->options.catalog;
    return catalog == NULL ? NULL : catalog_view(catalog);
}

static void release_view(struct catalog_view *view)
{
    if (view != NULL) {
        catalog_view_release(&view);
    }
}

/* Index of the first entry whose partition is not less. */
static uint32_t position_of(const struct group_topic_offsets *topic, int32_t partition)
{
    uint32_t low = 0;
    uint32_t high = topic->entries_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (topic->entries[middle]->partition < partition) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* topic may be NULL: it has none. */
static struct group_offset_entry *entry_of(const struct group_topic_offsets *topic,
                                           int32_t partition)
{
    if (topic == NULL) {
        return NULL;
    }
    uint32_t position = position_of(topic, partition);
    if (position == topic->entries_count || topic->entries[position]->partition != partition) {
        return NULL;
    }
    return topic->entries[position];
}

struct group_offset_entry *group__entry_find(struct group *group, struct base_slice topic_name,
                                             int32_t partition)
{
    return entry_of(base_map_get(group->topics, topic_name), partition);
}

static void topic_free(struct group_topic_offsets *topic)
{
    BASE_ASSERT(topic->entries_count == 0);
    group__bytes_free(&topic->name);
    base_free(topic->entries);
    base_free(topic);
}

static struct group_topic_offsets *topic_take(struct group *group, struct base_slice name)
{
    bool failed = false;
    struct group_topic_offsets *topic = base_map_get(group->topics, name);
    if (topic != NULL) {
        return topic;
    }
    topic = base_alloc_object(struct group_topic_offsets);
    if (topic == NULL) {
        return NULL;
    }
    topic->name = group__bytes_copy(name, &failed);
    if (failed || base_map_put(group->topics, name, topic)) {
        topic_free(topic);
        return NULL;
    }
    return topic;
}

static void drop_topic_if_empty(struct group *group, struct group_topic_offsets *topic)
{
    if (topic->entries_count == 0) {
        (void)base_map_remove(group->topics, topic->name);
        topic_free(topic);
    }
}

static bool make_room(struct group_topic_offsets *topic)
{
    if (topic->entries_count < topic->entries_capacity) {
        return true;
    }
    uint32_t capacity = topic->entries_capacity == 0 ? 4 : topic->entries_capacity * 2;
    void *entries = base_realloc_array(topic->entries, capacity, sizeof *topic->entries);
    if (entries == NULL) {
        return false;
    }
    topic->entries = entries;
    topic->entries_capacity = capacity;
    return true;
}

struct group_offset_entry *group__entry_take(struct group *group, struct base_slice topic_name,
                                             int32_t partition)
{
    struct group_offset_entry *entry = group__entry_find(group, topic_name, partition);
    if (entry != NULL) {
        return entry;
    }
    struct group_topic_offsets *topic = topic_take(group, topic_name);
    if (topic == NULL) {
        return NULL;
    }
    entry = base_alloc_object(struct group_offset_entry);
    if (entry == NULL || !make_room(topic)) {
        base_free(entry);
        drop_topic_if_empty(group, topic);
        return NULL;
    }
    entry->topic = topic;
    entry->partition = partition;
    uint32_t position = position_of(topic, partition);
    memmove(&topic->entries[position + 1], &topic->entries[position],
            (topic->entries_count - position) * sizeof(struct group_offset_entry *));
    topic->entries[position] = entry;
    topic->entries_count++;
    group->entries_count++;
    atomic_fetch_add(&group->shard->records_live, 1);
    return entry;
}

void group__entry_drop_if_unused(struct group *group, struct group_offset_entry *entry)
{
    if (entry->visible != NULL || entry->appended != NULL || entry->ops_count > 0) {
        return;
    }
    struct group_topic_offsets *topic = entry->topic;
    uint32_t position = position_of(topic, entry->partition);
    BASE_ASSERT(topic->entries[position] == entry);
    topic->entries_count--;
    memmove(&topic->entries[position], &topic->entries[position + 1],
            (topic->entries_count - position) * sizeof(struct group_offset_entry *));
    base_free(entry);
    group->entries_count--;
    atomic_fetch_sub(&group->shard->records_live, 1);
    drop_topic_if_empty(group, topic);
}

static void set(struct group_offset **place, struct group_offset *value)
{
    struct group_offset *held = value == NULL ? NULL : group_offset_hold(value);
    group_offset_release(place);
    *place = held;
}

void group__entry_set_appended(struct group_offset_entry *entry, struct group_offset *value)
{
    set(&entry->appended, value);
}

void group__entry_set_visible(struct group_offset_entry *entry, struct group_offset *value)
{
    set(&entry->visible, value);
}

struct each {
    struct group *group;
    group_entry_visit *visit;
    void *context;
};

/* Backwards, so that the visit may drop the entry it gets; callers that show entries to
 * people want them forwards, and drop nothing. */
static bool each_topic(void *context, struct base_slice key, void *value)
{
    const struct each *each = context;
    struct group_topic_offsets *topic = value;

    (void)key;
    for (uint32_t left = topic->entries_count; left > 0; left--) {
        bool last = topic->entries_count == 1; /* dropping the entry frees the topic */
        if (!each->visit(each->context, each->group, topic->entries[left - 1])) {
            return false;
        }
        if (last) {
            break;
        }
    }
    return true;
}

void group__entries_each(struct group *group, group_entry_visit *visit, void *context)
{
    struct each each = {.group = group, .visit = visit, .context = context};
    base_map_each(group->topics, each_topic, &each);
}

static bool clear(void *context, struct group *group, struct group_offset_entry *entry)
{
    (void)context;
    BASE_ASSERT(entry->ops_count == 0);
    group_offset_release(&entry->visible);
    group_offset_release(&entry->appended);
    group__entry_drop_if_unused(group, entry);
    return true;
}

void group__offsets_clear(struct group *group)
{
    if (group->topics != NULL) {
        group__entries_each(group, clear, NULL);
    }
    BASE_ASSERT(group->entries_count == 0);
}

/* Borrowed; NULL when there is none that counts. topic may be NULL: it has none. */
static struct group_offset *find_offset(const struct group_topic_offsets *topic,
                                        const struct catalog_view *view, int32_t partition)
{
    const struct group_offset_entry *entry = entry_of(topic, partition);
    bool counts = entry != NULL && entry->visible != NULL &&
                  !group__offset_is_stale(view, topic->name, entry->visible);

    return counts ? entry->visible : NULL;
}

static bool is_same_slice(struct base_slice a, struct base_slice b)
{
    return a.data == b.data && a.length == b.length;
}

enum group_verdict group_offsets_fetch(struct group_coordinator *coordinator,
                                       struct base_slice group_id, struct group_fetch_item *items,
                                       uint32_t items_count)
{
    enum group_verdict verdict;
    const struct group_topic_offsets *topic = NULL;

    for (uint32_t i = 0; i < items_count; i++) {
        items[i].offset = NULL;
    }
    struct group *group = group__enter(coordinator, group_id, false, NULL, &verdict);
    if (group == NULL) {
        return verdict == GROUP_NOT_FOUND ? GROUP_OK : verdict;
    }
    struct catalog_view *view = view_of(coordinator);
    for (uint32_t i = 0; i < items_count; i++) {
        /* Once for all partitions of a topic, whose name may be as long as the request. */
        if (i == 0 || !is_same_slice(items[i].topic, items[i - 1].topic)) {
            topic = base_map_get(group->topics, items[i].topic);
        }
        struct group_offset *offset = find_offset(topic, view, items[i].partition);
        items[i].offset = offset == NULL ? NULL : group_offset_hold(offset);
    }
    release_view(view);
    group__exit(&group);
    return GROUP_OK;
}

struct show {
    group_offsets_visit *visit;
    void *context;
    struct catalog_view *view;
};

static bool show_topic(void *context, struct base_slice name, void *value)
{
    const struct show *show = context;
    const struct group_topic_offsets *topic = value;

    for (uint32_t i = 0; i < topic->entries_count; i++) {
        struct group_offset_entry *entry = topic->entries[i];
        if (entry->visible != NULL && !group__offset_is_stale(show->view, name, entry->visible) &&
            !show->visit(show->context, name, entry->partition, entry->visible)) {
            return false;
        }
    }
    return true;
}

enum group_verdict group_offsets_each(struct group_coordinator *coordinator,
                                      struct base_slice group_id, group_offsets_visit *visit,
                                      void *context)
{
    enum group_verdict verdict;
    struct show show = {.visit = visit, .context = context};
    struct group *group = group__enter(coordinator, group_id, false, NULL, &verdict);

    if (group == NULL) {
        return verdict == GROUP_NOT_FOUND ? GROUP_OK : verdict;
    }
    show.view = view_of(coordinator);
    base_map_each(group->topics, show_topic, &show);
    release_view(show.view);
    group__exit(&group);
    return GROUP_OK;
}

void group_committed_offsets(struct group_coordinator *coordinator, struct base_slice group_id,
                             struct base_slice topic, int64_t *offsets, int32_t count)
{
    enum group_verdict verdict;

    for (int32_t i = 0; i < count; i++) {
        offsets[i] = -1;
    }
    struct group *group = group__enter(coordinator, group_id, false, NULL, &verdict);
    if (group == NULL) {
        return;
    }
    struct catalog_view *view = view_of(coordinator);
    const struct group_topic_offsets *committed = base_map_get(group->topics, topic);
    for (int32_t i = 0; i < count; i++) {
        const struct group_offset *offset = find_offset(committed, view, i);
        offsets[i] = offset == NULL ? -1 : offset->offset;
    }
    release_view(view);
    group__exit(&group);
}
