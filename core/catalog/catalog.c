/* The catalog as a monitor over one log: judging and committing changes.
 *
 * Two views matter: the published one, which requests read, and the newest, which also
 * holds changes that are not durable yet and against which new changes are judged. Whoever is
 * refused because of such a change is told when it is published: the one who hears that a topic
 * exists finds it, at whichever loop. */
#include "core/catalog/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/writer.h"
#include "core/catalog/catalog_priv.h"
#include "core/catalog/dead_letters.h"
#include "core/catalog/quota.h"
#include "core/catalog/topic_json.h"
#include "core/catalog/view_priv.h"

static void post_change(struct catalog_change *change)
{
    base_executor_post(change->executor, &change->task);
}

static void set_refused(struct catalog_change *change, enum catalog_verdict verdict,
                        enum base_err err)
{
    change->verdict = verdict;
    change->err = err;
    catalog_topic_release(&change->topic);
    catalog_view_release(&change->view);
}

void catalog__refuse(struct catalog *catalog, struct catalog_change *change,
                     enum catalog_verdict verdict, enum base_err err)
{
    set_refused(change, verdict, err);
    if (base_list_is_empty(&catalog->pending)) {
        post_change(change);
        return;
    }
    /* What speaks against it may be pending itself. */
    change->end_offset =
        BASE_CONTAINER_OF(catalog->pending.prev, struct catalog_change, link)->end_offset;
    base_list_push_back(&catalog->pending, &change->link);
}

static void publish(struct catalog *catalog, struct catalog_change *change)
{
    if (change->view != NULL) {
        catalog_view_release(&catalog->published);
        catalog->published = change->view;
        change->view = NULL;
        atomic_fetch_add(&catalog->version, 1);
    }
    post_change(change);
}

static void fail_pending(struct catalog *catalog)
{
    struct base_list *node = NULL;
    while ((node = base_list_pop_front(&catalog->pending)) != NULL) {
        struct catalog_change *change = BASE_CONTAINER_OF(node, struct catalog_change, link);
        set_refused(change, CATALOG_STORAGE_FAILED, BASE_ERR_OFFLINE);
        post_change(change);
    }
    catalog_view_release(&catalog->newest);
    catalog->newest = catalog_view_hold(catalog->published);
}

void catalog__on_progress(void *owner)
{
    struct catalog *catalog = owner;

    if (catalog->log == NULL) {
        return; /* still opening */
    }
    if (logstore_log_offline_reason(catalog->log) != NULL) {
        fail_pending(catalog);
        return;
    }
    int64_t durable = logstore_log_durable_offset(catalog->log);
    while (!base_list_is_empty(&catalog->pending)) {
        struct catalog_change *change =
            BASE_CONTAINER_OF(catalog->pending.next, struct catalog_change, link);
        if (change->end_offset > durable) {
            break;
        }
        base_list_remove(&change->link);
        publish(catalog, change);
    }
    if (catalog->snapshot_end >= 0 && catalog->snapshot_end <= durable && !catalog->trimming) {
        catalog__trim_to_snapshot(catalog);
    }
}

void catalog__commit(struct catalog *catalog, struct logstore_records_builder *builder,
                     struct catalog_view *view, struct catalog_change *change)
{
    struct logstore_appended appended;

    enum base_err err = catalog__append_batch(catalog, builder, change->executor, &appended);
    if (err != BASE_ERR_OK) {
        catalog_view_release(&view);
        catalog__refuse(catalog, change, CATALOG_STORAGE_FAILED, err);
        return;
    }
    catalog->updates_count++;
    change->verdict = CATALOG_DONE;
    change->err = BASE_ERR_OK;
    change->end_offset = appended.end_offset;
    change->view = view;
    if (view != NULL) {
        catalog_view_release(&catalog->newest);
        catalog->newest = catalog_view_hold(view);
    }
    base_list_push_back(&catalog->pending, &change->link);
    catalog__on_progress(catalog); /* a storage that is durable at once has reported already */
}

/* A change of one record. Locked. */
static void commit(struct catalog *catalog, const char *key, const char *value,
                   struct catalog_view *view, struct catalog_change *change)
{
    struct base_writer writer;
    struct logstore_records_builder builder;

    base_writer_init(&writer, CATALOG__CHANGE_BYTES_MAX);
    logstore_records_builder_begin(&builder, &writer);
    catalog__add_record(&builder, catalog__now_ms(catalog), key, value);
    catalog__commit(catalog, &builder, view, change);
    base_writer_fini(&writer);
}

/* Puts what becomes of one topic into the batch, and into *view. */
static enum base_err add_edit(struct catalog *catalog, const struct catalog__edit *edit,
                              struct logstore_records_builder *builder, struct catalog_view **view)
{
    char key[CATALOG__KEY_SIZE];
    char *json = NULL;

    struct catalog_view *next = catalog__view_replace(*view, edit->before, edit->after);
    catalog_view_release(view);
    *view = next;
    if (next == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (edit->after != NULL) {
        json = catalog_topic_to_json(edit->after);
        if (json == NULL) {
            return BASE_ERR_NOMEM;
        }
    }
    catalog__format_topic_key(key, edit->after != NULL ? edit->after : edit->before);
    catalog__add_record(builder, catalog__now_ms(catalog), key, json);
    base_free(json);
    return BASE_ERR_OK;
}

/* Makes `after` (moved; NULL = deleted) take the place of before (NULL = new), with what that
 * means for dead letters: all or nothing. Locked. */
static void replace_topic(struct catalog *catalog, const struct catalog_topic *before,
                          struct catalog_topic *after, struct catalog_change *change)
{
    struct catalog_view *view = catalog_view_hold(catalog->newest);
    struct logstore_records_builder builder;
    struct catalog__edits edits;
    struct base_writer writer;

    change->topic = after != NULL ? after : catalog_topic_hold(before);
    base_writer_init(&writer, CATALOG__CHANGE_BYTES_MAX);
    logstore_records_builder_begin(&builder, &writer);
    enum base_err err = catalog__edits_init(&edits, catalog, before, after);
    for (uint32_t i = 0; err == BASE_ERR_OK && i < edits.count; i++) {
        err = add_edit(catalog, &edits.array[i], &builder, &view);
    }
    if (err == BASE_ERR_OK) {
        catalog__commit(catalog, &builder, view, change);
    } else {
        catalog_view_release(&view);
        catalog__refuse(catalog, change, CATALOG_STORAGE_FAILED, err);
    }
    catalog__edits_fini(&edits);
    base_writer_fini(&writer);
}

void catalog__begin_change(struct catalog *catalog, struct catalog_change *change)
{
    BASE_ASSERT(change->executor != NULL);
    change->topic = NULL;
    change->view = NULL;
    change->link = (struct base_list){0};
    base_mutex_lock(&catalog->lock);
}

void catalog__end_change(struct catalog *catalog, struct base_executor *executor)
{
    catalog__snapshot_if_due(catalog, executor);
    base_mutex_unlock(&catalog->lock);
}

struct catalog_topic *catalog_topic_draft(struct base_slice name, struct base_slice queue_name,
                                          enum catalog_kind kind)
{
    struct catalog_topic *topic = base_alloc_object(struct catalog_topic);
    if (topic == NULL) {
        return NULL;
    }
    base_refs_init(&topic->refs);
    if (queue_name.data == NULL) {
        queue_name = name;
    }
    topic->kind = kind;
    topic->name = base_strndup((const char *)name.data, name.length);
    topic->queue_name = base_strndup((const char *)queue_name.data, queue_name.length);
    topic->description = base_strdup("");
    topic->partitions_count = 1;
    catalog_config_default(&topic->config);
    if (topic->name == NULL || topic->queue_name == NULL || topic->description == NULL) {
        catalog_topic_release(&topic);
    }
    return topic;
}

enum base_err catalog_internal_refused(const char *name, int32_t partitions_count,
                                       enum catalog_verdict verdict, enum base_err err)
{
    BASE_ASSERT(verdict != CATALOG_DONE);
    if (err == BASE_ERR_OK) {
        err = verdict == CATALOG_TOO_MANY_PARTITIONS ? BASE_ERR_TOO_LARGE : BASE_ERR_INVALID;
    }
    base_log(BASE_LOG_ERROR, "INTERNAL_TOPIC_NOT_MADE",
             "topic=%s partitions=%" PRId32 " cause=\"%s\"", name, partitions_count,
             verdict == CATALOG_TOO_MANY_PARTITIONS
                 ? "max.partitions is too small for the broker's own topics"
                 : base_err_text(err));
    return err;
}

static enum catalog_verdict judge_new_topic(struct catalog *catalog,
                                            const struct catalog_topic *draft)
{
    const struct catalog_view *view = catalog->newest;
    struct base_slice name = base_slice_text(draft->name);

    if (catalog_view_topic(view, name) != NULL ||
        catalog_view_queue(view, base_slice_text(draft->project_id),
                           base_slice_text(draft->queue_name)) != NULL) {
        return CATALOG_EXISTS;
    }
    if (catalog_view_topic_collision(view, name) != NULL) {
        return CATALOG_COLLIDES;
    }
    if (draft->made_by_rest) {
        struct base_slice project_id = base_slice_text(draft->project_id);
        if (catalog_quota_used(view, project_id).queues >=
            catalog_quota(catalog, view, project_id).queues) {
            return CATALOG_QUOTA_EXCEEDED;
        }
    }
    if (catalog_view_partitions_count(view) + draft->partitions_count >
        catalog->options.partitions_max) {
        return CATALOG_TOO_MANY_PARTITIONS;
    }
    return CATALOG_DONE;
}

void catalog_create_topic(struct catalog *catalog, struct catalog_topic *draft,
                          struct catalog_change *change)
{
    struct base_executor *executor = change->executor;

    BASE_ASSERT(draft->partitions_count > 0);
    catalog__begin_change(catalog, change);
    if (base_uuid_is_zero(draft->id)) {
        draft->id = base_uuid_random();
    }
    base_uuid_format(draft->id, draft->id_text);
    draft->created_ms = catalog__now_ms(catalog);
    enum catalog_verdict verdict = judge_new_topic(catalog, draft);
    if (verdict == CATALOG_DONE) {
        replace_topic(catalog, NULL, draft, change);
    } else {
        catalog_topic_release(&draft);
        catalog__refuse(catalog, change, verdict, BASE_ERR_OK);
    }
    catalog__end_change(catalog, executor);
}

void catalog_delete_topic(struct catalog *catalog, struct base_uuid id,
                          struct catalog_change *change)
{
    struct base_executor *executor = change->executor;
    catalog__begin_change(catalog, change);
    const struct catalog_topic *topic = catalog_view_topic_by_id(catalog->newest, id);
    if (topic == NULL) {
        catalog__refuse(catalog, change, CATALOG_NOT_FOUND, BASE_ERR_OK);
    } else {
        replace_topic(catalog, topic, NULL, change);
    }
    catalog__end_change(catalog, executor);
}

void catalog_edit_topic(struct catalog *catalog, struct base_uuid id, catalog_topic_edit *edit,
                        void *context, struct catalog_change *change)
{
    struct base_executor *executor = change->executor;
    enum catalog_verdict verdict = CATALOG_NOT_FOUND;
    struct catalog_topic *after = NULL;

    catalog__begin_change(catalog, change);
    const struct catalog_topic *before = catalog_view_topic_by_id(catalog->newest, id);
    if (before != NULL) {
        after = catalog_topic_copy(before);
        verdict = after == NULL ? CATALOG_STORAGE_FAILED : edit(context, after);
    }
    if (verdict == CATALOG_DONE) {
        replace_topic(catalog, before, after, change);
    } else {
        catalog_topic_release(&after);
        catalog__refuse(catalog, change, verdict,
                        verdict == CATALOG_STORAGE_FAILED ? BASE_ERR_NOMEM : BASE_ERR_OK);
    }
    catalog__end_change(catalog, executor);
}

struct growth {
    struct catalog *catalog;
    int32_t partitions_count;
};

static enum catalog_verdict grow(void *context, struct catalog_topic *topic)
{
    const struct growth *growth = context;
    int64_t added = (int64_t)growth->partitions_count - topic->partitions_count;

    if (added <= 0) {
        return CATALOG_EXISTS;
    }
    if (catalog_view_partitions_count(growth->catalog->newest) + added >
        growth->catalog->options.partitions_max) {
        return CATALOG_TOO_MANY_PARTITIONS;
    }
    topic->partitions_count = growth->partitions_count;
    return CATALOG_DONE;
}

void catalog_grow_topic(struct catalog *catalog, struct base_uuid id, int32_t partitions_count,
                        struct catalog_change *change)
{
    struct growth growth = {catalog, partitions_count};
    catalog_edit_topic(catalog, id, grow, &growth, change);
}

static enum catalog_verdict configure(void *context, struct catalog_topic *topic)
{
    const struct catalog_topic_config *config = context;

    topic->config = *config;
    if (catalog_kind_is_kafka(topic->kind)) {
        topic->kind =
            config->values[CATALOG_CONFIG_QUEUE_MODE] == 0 ? CATALOG_KAFKA_HA : CATALOG_KAFKA_HT;
    }
    return CATALOG_DONE;
}

void catalog_configure_topic(struct catalog *catalog, struct base_uuid id,
                             const struct catalog_topic_config *config,
                             struct catalog_change *change)
{
    struct catalog_topic_config copy = *config;
    catalog_edit_topic(catalog, id, configure, &copy, change);
}

struct new_groups {
    struct catalog *catalog;
    const struct base_slice *names;
    uint32_t names_count;
};

/* Appends the groups. EXISTS for a name that is there, or twice in names. */
static enum catalog_verdict add_groups(void *context, struct catalog_topic *topic)
{
    const struct new_groups *new_groups = context;
    struct catalog *catalog = new_groups->catalog;
    struct catalog_quota quota =
        catalog_quota(catalog, catalog->newest, base_slice_text(topic->project_id));
    int64_t added = topic->redrive ? new_groups->names_count : 0; /* partitions of dead letters */

    if (catalog_topic_is_dead_letters(topic)) {
        return CATALOG_NOT_FOUND;
    }
    if ((int64_t)topic->groups_count + new_groups->names_count > quota.groups) {
        return CATALOG_QUOTA_EXCEEDED;
    }
    if (catalog_view_partitions_count(catalog->newest) + added > catalog->options.partitions_max) {
        return CATALOG_TOO_MANY_PARTITIONS;
    }
    struct catalog_group *groups = base_realloc_array(
        topic->groups, (size_t)topic->groups_count + new_groups->names_count, sizeof groups[0]);
    if (groups == NULL) {
        return CATALOG_STORAGE_FAILED;
    }
    topic->groups = groups;
    for (uint32_t n = 0; n < new_groups->names_count; n++) {
        struct base_slice name = new_groups->names[n];
        for (uint32_t i = 0; i < topic->groups_count; i++) {
            if (base_slice_is(name, groups[i].name)) {
                return CATALOG_EXISTS;
            }
        }
        struct catalog_group *group = &groups[topic->groups_count];
        char uuid[BASE_UUID_TEXT_SIZE];
        base_uuid_format(base_uuid_random(), uuid);
        (void)snprintf(group->id, sizeof group->id, "g-%s", uuid);
        group->created_ms = catalog__now_ms(new_groups->catalog);
        group->name = base_strndup((const char *)name.data, name.length);
        if (group->name == NULL) {
            return CATALOG_STORAGE_FAILED;
        }
        topic->groups_count++;
    }
    return CATALOG_DONE;
}

void catalog_create_groups(struct catalog *catalog, struct base_uuid id,
                           const struct base_slice *names, uint32_t names_count,
                           struct catalog_change *change)
{
    struct new_groups new_groups = {catalog, names, names_count};
    catalog_edit_topic(catalog, id, add_groups, &new_groups, change);
}

static enum catalog_verdict remove_group(void *context, struct catalog_topic *topic)
{
    const struct base_slice *group_id = context;
    uint32_t i = 0;

    while (i < topic->groups_count && !base_slice_is(*group_id, topic->groups[i].id)) {
        i++;
    }
    if (i == topic->groups_count) {
        return CATALOG_NOT_FOUND;
    }
    base_free(topic->groups[i].name);
    topic->groups_count--;
    memmove(&topic->groups[i], &topic->groups[i + 1],
            (topic->groups_count - i) * sizeof topic->groups[0]);
    return CATALOG_DONE;
}

void catalog_delete_group(struct catalog *catalog, struct base_uuid id, struct base_slice group_id,
                          struct catalog_change *change)
{
    catalog_edit_topic(catalog, id, remove_group, &group_id, change);
}

void catalog_take_producer_ids(struct catalog *catalog, int32_t count, int64_t *first,
                               struct catalog_change *change)
{
    struct base_executor *executor = change->executor;
    char text[128];

    BASE_ASSERT(count > 0);
    catalog__begin_change(catalog, change);
    /* Taken even if the append fails: a gap in the numbers is no harm, a repeat is. */
    *first = catalog->producer_id_next;
    catalog->producer_id_next += count;
    commit(catalog, CATALOG__PRODUCER_IDS_KEY,
           catalog__producer_ids_json(catalog->producer_id_next, text, sizeof text), NULL, change);
    catalog__end_change(catalog, executor);
}

struct catalog_view *catalog_view(struct catalog *catalog)
{
    base_mutex_lock(&catalog->lock);
    struct catalog_view *view = catalog_view_hold(catalog->published);
    base_mutex_unlock(&catalog->lock);
    return view;
}

uint64_t catalog_version(struct catalog *catalog)
{
    return atomic_load_explicit(&catalog->version, memory_order_acquire);
}

const char *catalog_cluster_id(struct catalog *catalog)
{
    return catalog->cluster_id;
}

struct logstore_log *catalog_log(struct catalog *catalog)
{
    return catalog->log;
}
