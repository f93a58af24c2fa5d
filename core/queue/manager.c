/* The table of groups. */
#include "core/queue/queue.h"

#include <assert.h>
#include <limits.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/queue/delay_priv.h"
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"

static const char *const verdict_texts[] = {
    [QUEUE_OK] = "ok",
    [QUEUE_GROUP_NOT_FOUND] = "no such group",
    [QUEUE_GROUP_BUSY_ON_KAFKA] = "group is consumed from over Kafka",
    [QUEUE_HANDLER_UNKNOWN] = "unknown handler",
    [QUEUE_HANDLER_MISMATCH] = "handler of another queue or group",
    [QUEUE_TAG_RULE_DIFFERS] =
        "the group consumes by another tag rule; reset the group to change it",
    [QUEUE_REDRIVE_UNDER_WAY] = "a redrive of these dead letters is under way",
    [QUEUE_LETTERS_NOT_FOUND] = "no dead letter has any of these offsets",
    [QUEUE_HANDLER_OF_OTHER] = "handler of a dead letter, or of none",

    [QUEUE_GROUP_LEASED] = "messages are being consumed; wait for their acks, or use force",
    [QUEUE_TIME_OUT_OF_RANGE] =
        "the time lies in the future, or before what the queue keeps of its messages",
    [QUEUE_OVERLOADED] = "too many requests wait on this group",
    [QUEUE_STORAGE_FAILED] = "storage failed",
};

static_assert(sizeof verdict_texts / sizeof verdict_texts[0] == QUEUE_VERDICT_COUNT,
              "one text a verdict");

const char *queue_verdict_text(enum queue_verdict verdict)
{
    BASE_ASSERT((unsigned)verdict < QUEUE_VERDICT_COUNT);
    return verdict_texts[verdict];
}

uint64_t queue__manager_snapshot_records(const struct queue_manager *manager)
{
    return manager->options.snapshot_updates;
}

int64_t queue__oldest_ms(const struct queue_manager *manager, const struct catalog_topic *topic)
{
    /* Topics made over Kafka lose whole segments instead. */
    int64_t retention_ms = topic->config.values[CATALOG_CONFIG_RETENTION_MS];
    bool is_exact = topic->made_by_rest || !catalog_kind_is_kafka(topic->kind);
    if (!is_exact || retention_ms < 0) {
        return -1;
    }
    return base_clock_wall_ms(manager->options.clock) - retention_ms;
}

void queue__manager_hold(struct queue_manager *manager)
{
    atomic_fetch_add(&manager->alive_count, 1);
}

static void free_manager(struct queue_manager *manager)
{
    for (int32_t i = 0; i < manager->journals_count; i++) {
        partition_release(&manager->journals[i].partition);
    }
    base_free(manager->journals);
    base_free(manager->delays);
    base_map_close(&manager->groups);
    base_mutex_fini(&manager->lock);
    base_free(manager);
}

void queue__manager_release(struct queue_manager *manager)
{
    if (atomic_fetch_sub(&manager->alive_count, 1) > 1) {
        return;
    }
    struct base_executor *executor = manager->closed_executor;
    struct base_task *closed = manager->closed_task;
    BASE_ASSERT(manager->is_closing);
    free_manager(manager);
    base_executor_post(executor, closed);
}

struct deletion {
    struct queue_manager *manager;
    struct base_uuid topic_id;
    struct base_list groups;
};

static bool take_group_of(void *context, struct base_slice key, void *value)
{
    struct deletion *deletion = context;
    struct queue_group *group = value;

    if (base_uuid_equal(group->topic_id, deletion->topic_id)) {
        (void)base_map_remove(deletion->manager->groups, key);
        base_list_push_back(&deletion->groups, &group->closing);
    }
    return true;
}

static void on_topic_deleted(void *context, const struct catalog_topic *topic)
{
    struct queue_manager *manager = context;
    struct deletion deletion = {.manager = manager, .topic_id = topic->id};
    struct base_list *node;

    base_list_init(&deletion.groups);
    base_mutex_lock(&manager->lock);
    if (manager->groups != NULL) {
        base_map_each(manager->groups, take_group_of, &deletion);
    }
    base_mutex_unlock(&manager->lock);
    queue__delay_forget(manager, topic->id);
    while ((node = base_list_pop_front(&deletion.groups)) != NULL) {
        queue__group_close(BASE_CONTAINER_OF(node, struct queue_group, closing), true);
    }
}

enum base_err queue_manager_create(const struct queue_manager_options *options,
                                   struct queue_manager **out)
{
    BASE_ASSERT(options->catalog != NULL);
    BASE_ASSERT(options->table != NULL);
    BASE_ASSERT(options->clock != NULL);
    BASE_ASSERT(options->worker != NULL);
    BASE_ASSERT(options->executors_count > 0);

    *out = NULL;
    struct queue_manager *manager = base_alloc_object(struct queue_manager);
    if (manager == NULL || base_map_create(&manager->groups) != BASE_ERR_OK) {
        base_free(manager);
        return BASE_ERR_NOMEM;
    }
    manager->options = *options;
    if (manager->options.journal_partitions == 0) {
        manager->options.journal_partitions = QUEUE_JOURNAL_PARTITIONS;
    }
    if (manager->options.snapshot_updates == 0) {
        manager->options.snapshot_updates = QUEUE_JOURNAL_SNAPSHOT_RECORDS;
    }
    if (manager->options.delayed_max == 0) {
        manager->options.delayed_max = QUEUE_DELAYED_MAX;
    }
    if (manager->options.delayed_queue_max == 0) {
        manager->options.delayed_queue_max = QUEUE_DELAYED_QUEUE_MAX;
    }
    if (manager->options.delay_rewrite_bytes == 0) {
        manager->options.delay_rewrite_bytes = QUEUE_DELAY_REWRITE_BYTES;
    }
    if (manager->options.delay_partitions == 0) {
        manager->options.delay_partitions = QUEUE_DELAY_PARTITIONS;
    }
    queue__handler_key_init(&manager->key);
    base_mutex_init(&manager->lock);
    atomic_init(&manager->rotation, UINT_MAX); /* the first turn is that of partition 0 */
    atomic_init(&manager->turn, -1);
    atomic_init(&manager->delayed_count, 0);
    atomic_init(&manager->alive_count, 1);
    partition_table_on_deleted(options->table, on_topic_deleted, manager);
    *out = manager;
    return BASE_ERR_OK;
}

static bool close_one(void *context, struct base_slice key, void *value)
{
    (void)context;
    (void)key;
    queue__group_close(value, false);
    return true;
}

void queue_manager_close(struct queue_manager *manager, struct base_executor *executor,
                         struct base_task *closed)
{
    base_mutex_lock(&manager->lock);
    BASE_ASSERT(!manager->is_closing);
    manager->is_closing = true;
    manager->closed_executor = executor;
    manager->closed_task = closed;
    struct base_map *groups = manager->groups;
    manager->groups = NULL;
    base_mutex_unlock(&manager->lock);

    queue__delay_close(manager);
    base_map_each(groups, close_one, NULL);
    base_map_close(&groups);
    queue__manager_release(manager);
}

struct queue_journal *queue__manager_journal(struct queue_manager *manager,
                                             struct base_uuid topic_id)
{
    uint32_t hash = base_crc32c(0, topic_id.bytes, sizeof topic_id.bytes);
    return &manager->journals[hash % (uint32_t)manager->journals_count];
}

/* Locked. */
static struct queue_group *add_group(struct queue_manager *manager,
                                     const struct catalog_topic *topic, struct base_slice group_id,
                                     struct queue_journal *journal)
{
    const struct queue_manager_options *options = &manager->options;
    struct base_executor *home =
        options->executors[manager->next_home++ % options->executors_count];
    struct queue_group *group = queue__group_create(manager, topic, group_id, journal, home);

    if (group != NULL && base_map_put(manager->groups, group_id, group) != BASE_ERR_OK) {
        queue__group_close(group, false);
        return NULL;
    }
    return group;
}

/* A request may hold a view in which a deleted group still is; the newest one knows. Those
 * who delete come to close_group after the view has changed, and find what is added here. */
static bool exists_now(struct queue_manager *manager, struct base_slice group_id)
{
    struct catalog_view *view = catalog_view(manager->options.catalog);
    bool exists = catalog_view_topic_of_group(view, group_id) != NULL;
    catalog_view_release(&view);
    return exists;
}

struct queue_group *queue__manager_group(struct queue_manager *manager,
                                         const struct catalog_topic *topic,
                                         struct base_slice group_id, enum queue_verdict *verdict,
                                         enum base_err *err)
{
    *verdict = QUEUE_GROUP_NOT_FOUND;
    *err = BASE_ERR_OK;
    if (catalog_topic_group(topic, group_id) == NULL) {
        return NULL;
    }
    base_mutex_lock(&manager->lock);
    BASE_ASSERT(!manager->is_closing);
    BASE_ASSERT(manager->journals != NULL);
    struct queue_group *group = base_map_get(manager->groups, group_id);
    if (group == NULL && exists_now(manager, group_id)) {
        group = add_group(manager, topic, group_id, queue__manager_journal(manager, topic->id));
        if (group == NULL) {
            *verdict = QUEUE_STORAGE_FAILED;
            *err = BASE_ERR_NOMEM;
        }
    }
    if (group != NULL) {
        *verdict = QUEUE_OK;
        (void)queue__group_hold(group);
    }
    base_mutex_unlock(&manager->lock);
    return group;
}

struct queue_group *queue__manager_recover_group(struct queue_manager *manager,
                                                 const struct catalog_topic *topic,
                                                 struct base_slice group_id,
                                                 struct queue_journal *journal)
{
    base_mutex_lock(&manager->lock);
    struct queue_group *group = base_map_get(manager->groups, group_id);
    if (group == NULL) {
        group = add_group(manager, topic, group_id, journal);
    }
    base_mutex_unlock(&manager->lock);
    return group;
}

struct collection {
    const struct queue_journal *journal;
    struct queue_group **groups;
    size_t count;
};

static bool collect(void *context, struct base_slice key, void *value)
{
    struct collection *collection = context;
    struct queue_group *group = value;

    (void)key;
    if (collection->journal == NULL || group->journal == collection->journal) {
        collection->groups[collection->count++] = queue__group_hold(group);
    }
    return true;
}

enum base_err queue__manager_groups_of(struct queue_manager *manager,
                                       const struct queue_journal *journal,
                                       struct queue_group ***out, size_t *count)
{
    struct collection collection = {.journal = journal};
    enum base_err err = BASE_ERR_CLOSED;

    *out = NULL;
    *count = 0;
    base_mutex_lock(&manager->lock);
    if (manager->groups != NULL) {
        size_t size = base_map_count(manager->groups);
        collection.groups = base_alloc_array(size, sizeof(struct queue_group *));
        err = collection.groups == NULL ? BASE_ERR_NOMEM : BASE_ERR_OK;
    }
    if (err == BASE_ERR_OK) {
        base_map_each(manager->groups, collect, &collection);
        *out = collection.groups;
        *count = collection.count;
    }
    base_mutex_unlock(&manager->lock);
    return err;
}

void queue_group_created(struct queue_manager *manager, const struct catalog_topic *topic,
                         struct base_slice group_id)
{
    enum queue_verdict verdict;
    enum base_err err;
    struct queue_group *group = queue__manager_group(manager, topic, group_id, &verdict, &err);
    if (group == NULL) {
        return;
    }
    base_mutex_lock(&group->lock);
    /* It may have been deleted again, on another loop, and its alarm be gone. */
    if (!group->is_closed && queue__group_update(group, topic) == BASE_ERR_OK) {
        for (int32_t i = 0; i < group->places_count; i++) {
            queue__place_look(group, group->places[i], false);
        }
        /* The journal is written from the home executor. */
        base_alarm_set(&group->alarm, base_clock_monotonic_us(manager->options.clock));
    }
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
}

void queue_group_deleted(struct queue_manager *manager, struct base_slice group_id)
{
    base_mutex_lock(&manager->lock);
    struct queue_group *group = base_map_remove(manager->groups, group_id);
    base_mutex_unlock(&manager->lock);
    if (group != NULL) {
        queue__group_close(group, true);
    }
}
