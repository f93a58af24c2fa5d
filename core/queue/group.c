/* Life of a group, its view of the partitions, and what drives it. */
#include "core/queue/group_priv.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/manager_priv.h"

enum {
    GROUP_WINDOW_IDLE_US = 10 * 1000 * 1000, /* windows of a group nobody consumes from go */
    GROUP_ROUNDS_MAX = 16,                   /* of serving before others get the thread */
    GROUP_EXPIRE_LEASES_MAX = 256,           /* in one go */
};

static void on_alarm(struct base_alarm *alarm);
static void on_news(struct base_task *task);

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
    atomic_init(&group->references, 1);
    group->manager = manager;
    group->journal = journal;
    group->topic_id = topic->id;
    group->topic = catalog_topic_hold(topic);
    group->id = id;
    group->scope = queue__handler_scope(&manager->key, topic->id, group_id);
    group->home = home;
    group->next_lease = 1;
    base_alarm_init(&group->alarm, home, on_alarm);
    base_mutex_init(&group->lock);
    base_timer_heap_init(&group->leases);
    base_timer_heap_init(&group->waits);
    base_list_init(&group->waiters);
    group->watcher.executor = home;
    group->watcher.task.run = on_news;
    atomic_init(&group->watcher.fired, false);
    queue__manager_hold(manager);
    return group;
}

struct queue_group *queue__group_hold(struct queue_group *group)
{
    unsigned before = atomic_fetch_add_explicit(&group->references, 1, memory_order_relaxed);
    BASE_ASSERT(before > 0);
    return group;
}

static void free_window(struct queue_window **window)
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
    if (dropped == NULL ||
        atomic_fetch_sub_explicit(&dropped->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    BASE_ASSERT(dropped->is_closed);
    BASE_ASSERT(base_list_is_empty(&dropped->waiters));
    BASE_ASSERT(dropped->reads_count == 0);
    for (int32_t i = 0; i < dropped->places_count; i++) {
        struct queue_place *place = dropped->places[i];
        free_window(&place->ahead);
        free_window(&place->again);
        queue_cursor_fini(&place->cursor);
        partition_release(&place->partition);
        base_free(place);
    }
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

/* Tombstones for all cursors, so that a snapshot later need not come. Lost ones do no harm:
 * recovery passes over cursors of groups that the catalog does not know. */
static void write_tombstones(struct queue_group *group)
{
    struct queue_journal_batch batch;

    if (group->places_count == 0) {
        return;
    }
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(group->manager->options.clock));
    for (int32_t i = 0; i < group->places_count; i++) {
        queue__journal_add(&batch, group->id, i, NULL);
    }
    queue__journal_send(&batch, group->home);
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
        write_tombstones(group);
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
    queue__group_unwatch(group);
    base_mutex_unlock(&group->lock);
    group->close_task.run = close_at_home;
    base_executor_post(group->home, &group->close_task);
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
        queue_cursor_init(&place->cursor, &group->leases, 0);
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
        queue_cursor_init(&place->cursor, &group->leases, place->start);
        place->is_known = true;
        place->is_unwritten = true;
        group->has_unwritten = true;
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
    /* Kafka queues lose whole segments instead, and their producers' clocks vary. */
    int64_t retention_ms = group->topic->config.values[CATALOG_CONFIG_RETENTION_MS];
    if (catalog_kind_is_kafka(group->topic->kind) || retention_ms < 0) {
        return -1;
    }
    return base_clock_wall_ms(group->manager->options.clock) - retention_ms;
}

void queue__group_answer(struct queue_group *group, struct queue_consume *consume,
                         enum queue_verdict verdict, enum base_err err)
{
    base_mutex_assert_held(&group->lock);
    BASE_ASSERT(consume->group == group);

    base_list_remove(&consume->link);
    group->waiters_count--;
    if (base_timer_is_armed(&consume->deadline)) {
        base_timer_heap_stop(&group->waits, &consume->deadline);
    }
    consume->verdict = verdict;
    consume->err = err;
    if (!consume->is_starting) {
        base_executor_post(consume->executor, &consume->task);
    }
}

struct expiry {
    struct queue_record_failure failures[QUEUE_MESSAGES_MAX];
    uint32_t count;
};

static void lease_failed(void *context, int64_t offset, uint32_t failures)
{
    struct expiry *expiry = context;
    BASE_ASSERT(expiry->count < QUEUE_MESSAGES_MAX);
    expiry->failures[expiry->count++] =
        (struct queue_record_failure){.offset = offset, .failures = failures};
}

/* Ends one lease and puts what failed into the batch. */
static bool expire_lease(struct queue_group *group, struct queue_lease *lease,
                         struct queue_journal_batch *batch)
{
    struct expiry expiry = {.count = 0};
    struct queue_place *place = BASE_CONTAINER_OF(lease->cursor, struct queue_place, cursor);

    queue_lease_expire(lease, lease_failed, &expiry);
    if (expiry.count == 0) {
        return false;
    }
    struct queue_record record;
    queue__record_init(&record, &place->cursor);
    record.failures = expiry.failures;
    record.failures_count = expiry.count;
    queue__journal_add(batch, group->id, place->index, &record);
    return true;
}

void queue__group_expire(struct queue_group *group, struct base_executor *current)
{
    struct base_clock *clock = group->manager->options.clock;
    int64_t now_us = base_clock_monotonic_us(clock);
    struct queue_journal_batch batch;
    bool has_records = false;

    base_mutex_assert_held(&group->lock);
    if (group->leases.count == 0 || base_timer_heap_next_us(&group->leases) > now_us) {
        return;
    }
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(clock));
    for (unsigned i = 0; i < GROUP_EXPIRE_LEASES_MAX && group->leases.count > 0 &&
                         base_timer_heap_next_us(&group->leases) <= now_us;
         i++) {
        struct queue_lease *lease =
            BASE_CONTAINER_OF(group->leases.timers[1], struct queue_lease, timer);
        has_records |= expire_lease(group, lease, &batch);
    }
    if (!has_records) {
        queue__journal_drop(&batch);
        return;
    }
    /* Nobody waits for it: a failure that a crash forgets is nobody's failure. One that could
     * not be written is in the next snapshot. */
    queue__journal_send(&batch, current);
}

static void mark_due(struct queue_group *group)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);

    while (group->waits.count > 0 && base_timer_heap_next_us(&group->waits) <= now_us) {
        struct base_timer *timer = group->waits.timers[1];
        base_timer_heap_stop(&group->waits, timer);
        BASE_CONTAINER_OF(timer, struct queue_consume, deadline)->is_due = true;
    }
}

/* OK, or why nothing can come from any partition that might have something. */
static enum base_err failure_of(const struct queue_group *group)
{
    for (int32_t i = 0; i < group->places_count; i++) {
        if (group->places[i]->err != BASE_ERR_OK) {
            return group->places[i]->err;
        }
    }
    return BASE_ERR_OK;
}

/* Answers those whose wait is over, unless a read under way may still bring something. */
static void answer_due(struct queue_group *group)
{
    struct base_list *node = group->waiters.next;

    while (group->reads_count == 0 && node != &group->waiters) {
        struct queue_consume *consume = BASE_CONTAINER_OF(node, struct queue_consume, link);
        node = node->next;
        if (consume->is_due) {
            enum base_err err = failure_of(group);
            enum queue_verdict verdict = err == BASE_ERR_OK       ? QUEUE_OK
                                         : err == BASE_ERR_CLOSED ? QUEUE_GROUP_NOT_FOUND
                                                                  : QUEUE_STORAGE_FAILED;
            queue__group_answer(group, consume, verdict, err);
        }
    }
}

static void drop_idle_windows(struct queue_group *group)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);

    if (!base_list_is_empty(&group->waiters)) {
        group->used_us = now_us;
    }
    if (!group->has_windows || group->reads_count > 0 ||
        now_us - group->used_us < GROUP_WINDOW_IDLE_US) {
        return;
    }
    for (int32_t i = 0; i < group->places_count; i++) {
        free_window(&group->places[i]->ahead);
        free_window(&group->places[i]->again);
    }
    group->has_windows = false;
}

void queue__group_unwatch(struct queue_group *group)
{
    base_mutex_assert_held(&group->lock);
    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[i];
        if (place->is_watched) {
            partition_unwatch(place->partition, &place->watch);
            place->is_watched = false;
        }
    }
    /* With no watch left nobody fires any more: what is not on its way never comes. */
    if (group->is_watching && !atomic_load(&group->watcher.fired)) {
        group->is_watching = false;
        struct queue_group *held = group;
        queue__group_release(&held);
    }
}

/* Watches every partition that has been read to its end. True: there is news already. */
static bool watch_all(struct queue_group *group)
{
    bool news = false;

    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[i];
        bool is_at_end = place->end >= 0 && place->cursor.next >= place->end;
        if (place->is_watched || place->err != BASE_ERR_OK || !is_at_end) {
            continue;
        }
        place->watch.offset = place->cursor.next;
        if (partition_watch(place->partition, &place->watch)) {
            news = true;
            continue;
        }
        place->is_watched = true;
        if (!group->is_watching) {
            group->is_watching = true;
            (void)queue__group_hold(group);
        }
    }
    return news;
}

static void earlier(int64_t *deadline_us, const struct base_timer_heap *heap)
{
    if (heap->count > 0 && base_timer_heap_next_us(heap) < *deadline_us) {
        *deadline_us = base_timer_heap_next_us(heap);
    }
}

static void set_alarm(struct queue_group *group, bool has_more)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);
    int64_t deadline_us = INT64_MAX;

    earlier(&deadline_us, &group->leases);
    earlier(&deadline_us, &group->waits);
    bool is_idle = base_list_is_empty(&group->waiters) && group->reads_count == 0;
    if (group->has_windows && is_idle && group->used_us + GROUP_WINDOW_IDLE_US < deadline_us) {
        deadline_us = group->used_us + GROUP_WINDOW_IDLE_US;
    }
    if (!is_idle && group->retry_us > now_us && group->retry_us < deadline_us) {
        deadline_us = group->retry_us;
    }
    if (has_more) {
        deadline_us = now_us;
    }
    if (deadline_us < INT64_MAX) {
        base_alarm_set(&group->alarm, deadline_us);
    }
}

void queue__group_run(struct queue_group *group, struct base_executor *current)
{
    bool has_more = true;

    base_mutex_assert_held(&group->lock);
    if (group->is_closed) {
        return;
    }
    queue__group_expire(group, current);
    mark_due(group);
    for (unsigned i = 0; has_more && i < GROUP_ROUNDS_MAX; i++) {
        has_more = false;
        if (!base_list_is_empty(&group->waiters)) {
            has_more = !queue__group_serve(group);
        }
        if (!has_more) {
            answer_due(group);
        }
        if (!has_more && !base_list_is_empty(&group->waiters)) {
            has_more = watch_all(group);
        }
    }
    bool pending;
    if (queue__group_write_starts(group, current, NULL, &pending) != BASE_ERR_OK) {
        /* Tried again with the next run. */
    }
    drop_idle_windows(group);
    set_alarm(group, has_more);
}

static void on_alarm(struct base_alarm *alarm)
{
    struct queue_group *group = BASE_CONTAINER_OF(alarm, struct queue_group, alarm);

    base_mutex_lock(&group->lock);
    queue__group_run(group, group->home);
    base_mutex_unlock(&group->lock);
}

static void on_news(struct base_task *task)
{
    struct partition_watcher *watcher = BASE_CONTAINER_OF(task, struct partition_watcher, task);
    struct queue_group *group = BASE_CONTAINER_OF(watcher, struct queue_group, watcher);

    base_mutex_lock(&group->lock);
    BASE_ASSERT(group->is_watching);
    BASE_ASSERT(atomic_load(&group->watcher.fired));
    queue__group_unwatch(group); /* first: a watch that fires now does not post again */
    atomic_store(&group->watcher.fired, false);
    group->is_watching = false;
    queue__group_run(group, group->home);
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
}

/* A place whose cursor goes into a batch. */
struct writing {
    struct queue_journal_batch batch;
    struct queue_group *group;
    int32_t index;
};

static void write_record(void *context, const struct queue_record *record)
{
    struct writing *writing = context;
    queue__journal_add(&writing->batch, writing->group->id, writing->index, record);
}

static enum base_err write_places(struct queue_group *group, bool all,
                                  struct base_executor *current, struct partition_waiter *waiter,
                                  bool *pending)
{
    struct writing writing = {.group = group};
    bool has_records = false;

    base_mutex_assert_held(&group->lock);
    *pending = false;
    queue__journal_begin(&writing.batch, group->journal,
                         base_clock_wall_ms(group->manager->options.clock));
    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[i];
        if (place->is_known && (all || place->is_unwritten)) {
            writing.index = i;
            queue__record_all(&place->cursor, write_record, &writing);
            has_records = true;
        }
    }
    enum base_err err = BASE_ERR_OK;
    if (has_records) {
        err = queue__journal_append(&writing.batch, current, waiter, pending);
    } else {
        queue__journal_drop(&writing.batch);
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    for (int32_t i = 0; i < group->places_count; i++) {
        group->places[i]->is_unwritten = false;
    }
    group->has_unwritten = false;
    return BASE_ERR_OK;
}

enum base_err queue__group_write_starts(struct queue_group *group, struct base_executor *current,
                                        struct partition_waiter *waiter, bool *pending)
{
    *pending = false;
    return group->has_unwritten ? write_places(group, false, current, waiter, pending)
                                : BASE_ERR_OK;
}

enum base_err queue__group_write_all(struct queue_group *group, struct base_executor *current)
{
    bool pending;
    return write_places(group, true, current, NULL, &pending);
}
