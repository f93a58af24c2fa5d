/* Life of a group and its view of the partitions. What drives it is in group_run.c, what it
 * writes in group_write.c. */
#include "core/queue/group_priv.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/catalog/dead_letters.h"
#include "core/queue/manager_priv.h"
#include "core/queue/move_priv.h"

/* What handlers of the group's dead letters have for a scope, or of the group whose dead letters
 * these are: so that one given for the other is told from one of a stranger. */
static uint64_t scope_of_sibling(struct queue_manager *manager, const struct catalog_topic *topic,
                                 struct base_slice group_id)
{
    struct base_uuid id = topic->origin_id;
    char sibling[CATALOG_GROUP_ID_SIZE];

    if (!topic->redrive && !catalog_topic_is_dead_letters(topic)) {
        return 0;
    }
    BASE_ASSERT(group_id.length == sizeof sibling - 1);
    memcpy(sibling, group_id.data, group_id.length);
    sibling[group_id.length] = '\0';
    sibling[0] = topic->redrive ? 'd' : 'g';
    if (topic->redrive) {
        (void)catalog_dead_letters_topic_id(group_id, &id);
    }
    return queue__handler_scope(&manager->key, id, base_slice_text(sibling));
}

struct queue_group *queue__group_create(struct queue_manager *manager,
                                        const struct catalog_topic *topic,
                                        struct base_slice group_id, struct queue_journal *journal,
                                        struct base_executor *home)
{
    struct queue_group *group = base_alloc_object(struct queue_group);
    char *id = base_strndup((const char *)group_id.data, group_id.length);
    if (group == NULL || id == NULL) {
        base_free(group);
        base_free(id);
        return NULL;
    }
    base_refs_init(&group->refs);
    group->manager = manager;
    group->journal = journal;
    group->topic_id = topic->id;
    group->topic = catalog_topic_hold(topic);
    group->id = id;
    group->scope = queue__handler_scope(&manager->key, topic->id, group_id);
    group->scope_sibling = scope_of_sibling(manager, topic, group_id);
    group->home = home;
    group->next_lease = 1;
    base_alarm_init(&group->alarm, home, queue__group_on_alarm);
    base_mutex_init(&group->lock);
    base_timer_heap_init(&group->leases);
    base_timer_heap_init(&group->waits);
    base_list_init(&group->waiters);
    base_list_init(&group->resets);
    group->watcher.executor = home;
    group->watcher.task.run = queue__group_on_news;
    atomic_init(&group->watcher.fired, false);
    queue__manager_hold(manager);
    return group;
}

struct queue_group *queue__group_hold(struct queue_group *group)
{
    base_refs_take(&group->refs);
    return group;
}

void queue__window_free(struct queue_window **window)
{
    if (*window != NULL) {
        queue__reader_fini(&(*window)->reader);
        base_free(*window);
        *window = NULL;
    }
}

void queue__group_release(struct queue_group **group)
{
    struct queue_group *dropped = *group;
    *group = NULL;
    if (dropped == NULL || !base_refs_drop(&dropped->refs)) {
        return;
    }
    BASE_ASSERT(dropped->is_closed);
    BASE_ASSERT(base_list_is_empty(&dropped->waiters));
    BASE_ASSERT(dropped->reads_count == 0);
    for (int32_t i = 0; i < dropped->places_count; i++) {
        struct queue_place *place = dropped->places[i];
        queue__window_free(&place->ahead);
        queue__window_free(&place->again);
        queue_cursor_fini(&place->cursor);
        partition_release(&place->partition);
        base_free(place);
    }
    queue__move_free(&dropped->move);
    base_free(dropped->redrive);
    base_free(dropped->places);
    base_timer_heap_fini(&dropped->leases);
    base_timer_heap_fini(&dropped->waits);
    base_mutex_fini(&dropped->lock);
    catalog_topic_release(&dropped->topic);
    base_free(dropped->id);
    struct queue_manager *manager = dropped->manager;
    base_free(dropped);
    queue__manager_release(manager);
}

static void alarm_closed(struct base_task *task)
{
    struct queue_group *group = BASE_CONTAINER_OF(task, struct queue_group, alarm_closed);
    queue__group_release(&group);
}

/* The part of closing that belongs to the home executor. */
static void close_at_home(struct base_task *task)
{
    struct queue_group *group = BASE_CONTAINER_OF(task, struct queue_group, close_task);

    base_mutex_lock(&group->lock);
    if (group->is_deleted) {
        queue__group_write_tombstones(group);
    } else {
        queue__group_write_filtered(group, group->home, true);
    }
    base_mutex_unlock(&group->lock);
    group->alarm_closed.run = alarm_closed;
    base_alarm_close(&group->alarm, &group->alarm_closed);
}

void queue__group_close(struct queue_group *group, bool is_deleted)
{
    base_mutex_lock(&group->lock);
    BASE_ASSERT(!group->is_closed);
    group->is_closed = true;
    group->is_deleted = is_deleted;
    while (!base_list_is_empty(&group->waiters)) {
        struct queue_consume *consume =
            BASE_CONTAINER_OF(group->waiters.next, struct queue_consume, link);
        queue__group_answer(group, consume, QUEUE_GROUP_NOT_FOUND, BASE_ERR_OK);
    }
    queue__group_drop_resets(group);
    queue__group_unwatch(group);
    base_mutex_unlock(&group->lock);
    group->close_task.run = close_at_home;
    base_executor_post(group->home, &group->close_task);
}

static void init_cursor(struct queue_group *group, struct queue_place *place, int64_t floor)
{
    const struct catalog_topic *topic = group->topic;

    queue_cursor_init(&place->cursor, &group->leases, floor);
    queue_cursor_set_failures_max(&place->cursor,
                                  topic->redrive ? (uint32_t)topic->max_consume_count : 0);
}

/* Makes places until there is one for each partition of the topic. */
static enum base_err add_places(struct queue_group *group)
{
    int32_t count = group->topic->partitions_count;
    if (group->places_count >= count) {
        return BASE_ERR_OK;
    }
    struct queue_place **places =
        base_realloc_array(group->places, (size_t)count, sizeof places[0]);
    if (places == NULL) {
        return BASE_ERR_NOMEM;
    }
    group->places = places;
    while (group->places_count < count) {
        struct queue_place *place = base_alloc_object(struct queue_place);
        if (place == NULL) {
            return BASE_ERR_NOMEM;
        }
        place->index = group->places_count;
        place->end = -1;
        place->watch.watcher = &group->watcher;
        init_cursor(group, place, 0);
        places[group->places_count++] = place;
    }
    return BASE_ERR_OK;
}

enum base_err queue__group_update(struct queue_group *group, const struct catalog_topic *topic)
{
    base_mutex_assert_held(&group->lock);
    if (group->topic != topic) {
        /* Requests hold views of different age; what grows only is taken from any. */
        catalog_topic_release(&group->topic);
        group->topic = catalog_topic_hold(topic);
    }
    return add_places(group);
}

struct queue_place *queue__group_place(struct queue_group *group, int32_t index)
{
    base_mutex_assert_held(&group->lock);
    return index >= 0 && index < group->places_count ? group->places[index] : NULL;
}

void queue__place_cut(struct queue_group *group, struct queue_place *place, int64_t end)
{
    base_mutex_assert_held(&group->lock);
    place->is_uncut = false;
    if (queue_cursor_cut(&place->cursor, end)) {
        place->is_unwritten = true;
        group->has_unwritten = true;
    }
}

void queue__place_look(struct queue_group *group, struct queue_place *place, bool consumes)
{
    struct partition_offsets offsets;

    base_mutex_assert_held(&group->lock);
    if (place->partition == NULL) {
        struct partition_table *table = group->manager->options.table;
        place->partition = partition_table_get(table, group->topic_id, place->index);
    }
    if (place->partition == NULL) {
        place->err = BASE_ERR_OFFLINE;
        return;
    }
    partition_offsets(place->partition, &offsets);
    place->err = offsets.err;
    if (offsets.start < 0) {
        return; /* what was known of it stays */
    }
    place->start = offsets.start;
    place->end = offsets.last_stable;
    if (!place->is_known) {
        init_cursor(group, place, place->start);
        place->is_known = true;
        place->is_unwritten = true;
        group->has_unwritten = true;
    }
    if (place->is_uncut && offsets.err == BASE_ERR_OK) {
        queue__place_cut(group, place, offsets.opened_end);
        if (!group->is_closed) {
            int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);
            base_alarm_set(&group->alarm, now_us); /* to be written at once */
        }
    }
    bool is_ours = consumes || place->cursor.used || !catalog_kind_is_kafka(group->topic->kind);
    if (is_ours && place->start > place->cursor.trimmed_to) {
        enum base_err err = queue_cursor_trim(&place->cursor, place->start);
        if (err != BASE_ERR_OK) {
            place->err = err;
        }
    }
}

int64_t queue__group_oldest_ms(const struct queue_group *group)
{
    return queue__oldest_ms(group->manager, group->topic);
}
