/* The numbers of a queue and of a group. */
#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/catalog/dead_letters.h"
#include "core/queue/delay_priv.h"
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"

static int64_t retained(struct queue_manager *manager, const struct catalog_topic *topic)
{
    int64_t count = 0;

    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct partition_offsets offsets;
        struct partition *partition = partition_table_get(manager->options.table, topic->id, i);
        if (partition == NULL) {
            continue;
        }
        partition_offsets(partition, &offsets);
        if (offsets.start >= 0) {
            count += offsets.last_stable - offsets.start;
        }
        partition_release(&partition);
    }
    return count;
}

/* A partition that the group has consumed from over Kafka only. */
static void add_committed(const struct queue_place *place, int64_t committed,
                          struct queue_counters *out)
{
    const struct queue_cursor *cursor = &place->cursor;
    int64_t position = committed > cursor->floor ? committed : cursor->floor;

    out->consumed += cursor->consumed + position - cursor->floor; /* a reset may have counted */
    if (place->start > position) {
        out->skipped += place->start - position;
        position = place->start;
    }
    if (place->end > position) {
        out->available += place->end - position;
    }
}

static void add_cursor(const struct queue_place *place, struct queue_counters *out)
{
    const struct queue_cursor *cursor = &place->cursor;

    out->consumed += cursor->consumed;
    out->skipped += cursor->skipped;
    out->leased += cursor->open_count;
    out->available += queue_cursor_available(cursor, place->start, place->end);
}

enum base_err queue__group_committed(struct queue_group *group, const struct catalog_topic *topic,
                                     int64_t **out)
{
    const struct queue_manager_options *options = &group->manager->options;

    *out = NULL;
    if (!catalog_kind_is_kafka(topic->kind) || options->committed_offsets == NULL) {
        return BASE_ERR_OK;
    }
    int64_t *committed = base_alloc_array((size_t)topic->partitions_count, sizeof committed[0]);
    if (committed == NULL) {
        return BASE_ERR_NOMEM;
    }
    options->committed_offsets(options->context, group->id, topic, committed);
    *out = committed;
    return BASE_ERR_OK;
}

static enum base_err count_group(struct queue_group *group, const struct catalog_topic *topic,
                                 struct queue_counters *out)
{
    int64_t *committed;

    enum base_err err = queue__group_committed(group, topic, &committed);
    if (err != BASE_ERR_OK) {
        return err;
    }
    base_mutex_lock(&group->lock);
    err = queue__group_update(group, topic);
    for (int32_t i = 0; err == BASE_ERR_OK && i < topic->partitions_count; i++) {
        struct queue_place *place = group->places[i];
        queue__place_look(group, place, false);
        if (!place->is_known) {
            continue;
        }
        if (committed != NULL && !place->cursor.used) {
            add_committed(place, committed[i], out);
        } else {
            add_cursor(place, out);
        }
    }
    base_mutex_unlock(&group->lock);
    base_free(committed);
    return err;
}

/* The topic of the group's dead letters; NULL when it has none. The caller releases it. */
static struct catalog_topic *find_letters(struct queue_manager *manager, struct base_slice group_id)
{
    struct base_uuid id;

    if (!catalog_dead_letters_topic_id(group_id, &id)) {
        return NULL;
    }
    struct catalog_view *view = catalog_view(manager->options.catalog);
    const struct catalog_topic *topic = catalog_view_topic_by_id(view, id);
    struct catalog_topic *held =
        topic == NULL || !catalog_topic_is_dead_letters(topic) ? NULL : catalog_topic_hold(topic);
    catalog_view_release(&view);
    return held;
}

/* Their log begins with the group and takes nothing else: its end is how many ever were. */
static enum queue_verdict count_letters(struct queue_manager *manager, struct base_slice group_id,
                                        struct queue_counters *out)
{
    struct partition_offsets offsets = {.last_stable = 0};
    struct queue_counters counters = {0};

    struct catalog_topic *letters = find_letters(manager, group_id);
    if (letters == NULL) {
        return QUEUE_OK;
    }
    struct partition *partition = partition_table_get(manager->options.table, letters->id, 0);
    if (partition != NULL) {
        partition_offsets(partition, &offsets);
        partition_release(&partition);
    }
    enum queue_verdict verdict =
        queue_count(manager, letters, base_slice_text(letters->groups[0].id), &counters);
    out->dead_produced = offsets.last_stable > 0 ? offsets.last_stable : 0;
    out->dead_available = counters.available;
    catalog_topic_release(&letters);
    return verdict == QUEUE_GROUP_NOT_FOUND ? QUEUE_OK : verdict; /* deleted meanwhile */
}

int64_t queue_delayed_count(struct queue_manager *manager)
{
    return (int64_t)atomic_load(&manager->delayed_count);
}

enum queue_verdict queue_count(struct queue_manager *manager, const struct catalog_topic *topic,
                               struct base_slice group_id, struct queue_counters *out)
{
    enum queue_verdict verdict = QUEUE_OK;
    enum base_err err;

    *out = (struct queue_counters){
        .produced = retained(manager, topic),
        .delayed = queue__delay_count(manager, topic->id),
    };
    if (group_id.data == NULL) {
        return QUEUE_OK;
    }
    struct queue_group *group = queue__manager_group(manager, topic, group_id, &verdict, &err);
    if (group == NULL) {
        return verdict;
    }
    if (count_group(group, topic, out) != BASE_ERR_OK) {
        verdict = QUEUE_STORAGE_FAILED;
    }
    queue__group_release(&group);
    return verdict == QUEUE_OK && topic->redrive ? count_letters(manager, group_id, out) : verdict;
}
