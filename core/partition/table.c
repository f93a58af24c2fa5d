/* The partitions of this broker, by topic. Readers share a lock; topics come and go
 * under it alone. */
#include "core/partition/table.h"

#include <pthread.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/partition/partition_priv.h"

enum {
    DELETED_CALLBACKS_MAX = 4,
    OPENING_LOCKS = 64, /* so that topics seldom wait for each other when all are opened */
};

/* The partitions of one topic. */
struct slot {
    struct base_uuid topic_id;
    struct partition **partitions; /* owned array; one reference each */
    int32_t count;
};

struct deleted_callback {
    partition_on_deleted *call;
    void *context;
};

struct partition_table {
    struct partition_table_options options;
    pthread_rwlock_t lock;
    struct base_map *slots; /* by topic id; owned values */
    /* Of the topics that hash to it: partitions are made by one at a time. Held on worker
     * threads only. */
    pthread_mutex_t opening_locks[OPENING_LOCKS];
    struct deleted_callback deleted_callbacks[DELETED_CALLBACKS_MAX];
    unsigned deleted_callbacks_count;
    atomic_long alive_count; /* partitions not freed yet, plus one until close */
    struct base_executor *closed_executor;
    struct base_task *closed_task;
};

struct logstore_store *partition__table_store(const struct partition_table *table)
{
    return table->options.store;
}

const struct partition_table_options *partition__table_options(const struct partition_table *table)
{
    return &table->options;
}

static struct base_slice key_of(const struct base_uuid *id)
{
    return base_slice_of(id->bytes, sizeof id->bytes);
}

static void write_lock(struct partition_table *table)
{
    int failed = pthread_rwlock_wrlock(&table->lock);
    BASE_ASSERT(!failed);
}

static void read_lock(struct partition_table *table)
{
    int failed = pthread_rwlock_rdlock(&table->lock);
    BASE_ASSERT(!failed);
}

static void unlock(struct partition_table *table)
{
    int failed = pthread_rwlock_unlock(&table->lock);
    BASE_ASSERT(!failed);
}

enum base_err partition_table_create(const struct partition_table_options *options,
                                     struct partition_table **out)
{
    *out = NULL;
    struct partition_table *table = base_alloc_object(struct partition_table);
    if (table == NULL || base_map_create(&table->slots) != BASE_ERR_OK) {
        base_free(table);
        return BASE_ERR_NOMEM;
    }
    table->options = *options;
    atomic_init(&table->alive_count, 1);
    int failed = pthread_rwlock_init(&table->lock, NULL);
    BASE_ASSERT(!failed);
    for (unsigned i = 0; i < OPENING_LOCKS; i++) {
        failed = pthread_mutex_init(&table->opening_locks[i], NULL);
        BASE_ASSERT(!failed);
    }
    *out = table;
    return BASE_ERR_OK;
}

void partition__table_forget(struct partition_table *table)
{
    if (atomic_fetch_sub(&table->alive_count, 1) > 1) {
        return;
    }
    struct base_executor *executor = table->closed_executor;
    struct base_task *closed = table->closed_task;
    base_map_close(&table->slots);
    for (unsigned i = 0; i < OPENING_LOCKS; i++) {
        (void)pthread_mutex_destroy(&table->opening_locks[i]);
    }
    (void)pthread_rwlock_destroy(&table->lock);
    base_free(table);
    base_executor_post(executor, closed);
}

struct partition *partition_table_get(struct partition_table *table, struct base_uuid topic_id,
                                      int32_t index)
{
    struct partition *partition = NULL;
    read_lock(table);
    const struct slot *slot = base_map_get(table->slots, key_of(&topic_id));
    if (slot != NULL && index >= 0 && index < slot->count) {
        partition = partition_hold(slot->partitions[index]);
    }
    unlock(table);
    return partition;
}

static bool count_offline(void *context, struct base_slice key, void *value)
{
    int64_t *count = context;
    const struct slot *slot = value;
    (void)key;
    for (int32_t i = 0; i < slot->count; i++) {
        struct partition_offsets offsets;
        partition_offsets(slot->partitions[i], &offsets);
        *count += offsets.err == BASE_ERR_OFFLINE;
    }
    return true;
}

int64_t partition_table_offline_count(struct partition_table *table)
{
    int64_t count = 0;
    read_lock(table);
    base_map_each(table->slots, count_offline, &count);
    unlock(table);
    return count;
}

void partition_table_on_deleted(struct partition_table *table, partition_on_deleted *callback,
                                void *context)
{
    BASE_ASSERT(table->deleted_callbacks_count < DELETED_CALLBACKS_MAX);
    table->deleted_callbacks[table->deleted_callbacks_count++] =
        (struct deleted_callback){callback, context};
}

static void free_slot(struct slot *slot, bool remove)
{
    for (int32_t i = 0; i < slot->count; i++) {
        partition__shut(slot->partitions[i], remove);
        partition_release(&slot->partitions[i]);
    }
    base_free(slot->partitions);
    base_free(slot);
}

/* Makes and opens the partitions [first, first + count) of a topic. A log that does not
 * open leaves an offline partition: the topic exists all the same. */
static enum base_err make_partitions(struct partition_table *table,
                                     const struct catalog_topic *topic, int32_t first,
                                     int32_t count, struct partition **out)
{
    for (int32_t i = 0; i < count; i++) {
        out[i] = partition__create(table, topic, first + i);
        if (out[i] == NULL) {
            return BASE_ERR_NOMEM;
        }
        atomic_fetch_add(&table->alive_count, 1);
        (void)partition__open(out[i], topic);
    }
    return BASE_ERR_OK;
}

/* Adds partitions to the topic's slot, making it if `first` is 0. All or none. */
static enum base_err add_to_slot(struct partition_table *table, const struct catalog_topic *topic,
                                 int32_t first, struct partition **added, int32_t added_count)
{
    enum base_err err = BASE_ERR_OK;
    struct slot *slot = base_map_get(table->slots, key_of(&topic->id));
    struct slot *made = NULL;

    if (slot == NULL && first > 0) {
        return BASE_ERR_NOT_FOUND; /* deleted meanwhile */
    }
    if (slot == NULL) {
        made = base_alloc_object(struct slot);
        slot = made;
    }
    struct partition **partitions =
        slot == NULL ? NULL
                     : base_realloc_array(slot->partitions, (size_t)first + (size_t)added_count,
                                          sizeof partitions[0]);
    if (partitions == NULL) {
        base_free(made);
        return BASE_ERR_NOMEM;
    }
    slot->partitions = partitions;
    if (made != NULL) {
        made->topic_id = topic->id;
        err = base_map_put(table->slots, key_of(&topic->id), made);
        if (err != BASE_ERR_OK) {
            base_free(made->partitions);
            base_free(made);
            return err;
        }
    }
    BASE_ASSERT(slot->count == first);
    memcpy(slot->partitions + first, added, (size_t)added_count * sizeof added[0]);
    slot->count = first + added_count;
    return BASE_ERR_OK;
}

static bool is_in_view(struct partition_table *table, struct base_uuid topic_id)
{
    struct catalog_view *view = catalog_view(table->options.catalog);
    bool is_known = catalog_view_topic_by_id(view, topic_id) != NULL;

    catalog_view_release(&view);
    return is_known;
}

static int32_t count_of(struct partition_table *table, struct base_uuid topic_id)
{
    read_lock(table);
    const struct slot *slot = base_map_get(table->slots, key_of(&topic_id));
    int32_t count = slot == NULL ? 0 : slot->count;
    unlock(table);
    return count;
}

/* Opens partitions until the topic has all of its own. Worker only, alone for the topic.
 * NOT_FOUND: it was deleted meanwhile. */
static enum base_err open_missing(struct partition_table *table, const struct catalog_topic *topic)
{
    int32_t first = count_of(table, topic->id);
    int32_t count = topic->partitions_count - first;
    if (count <= 0) {
        return BASE_ERR_OK;
    }
    /* Looked at after the count: a topic leaves the view before its slot is dropped. What was
     * dropped is still open until its last handle has gone. */
    if (!is_in_view(table, topic->id)) {
        return BASE_ERR_NOT_FOUND;
    }
    struct partition **added = base_alloc_array((size_t)count, sizeof added[0]);
    if (added == NULL) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = make_partitions(table, topic, first, count, added);
    if (err == BASE_ERR_OK) {
        write_lock(table);
        err = add_to_slot(table, topic, first, added, count);
        unlock(table);
    }
    if (err != BASE_ERR_OK) {
        for (int32_t i = 0; i < count && added[i] != NULL; i++) {
            partition__shut(added[i], err == BASE_ERR_NOT_FOUND);
            partition_release(&added[i]);
        }
    }
    base_free(added);
    return err;
}

/* A topic is in the catalog, and may be told to grow, before its first partitions are open. Two
 * threads that opened what is missing would make the same partitions. */
enum base_err partition__table_open(struct partition_table *table,
                                    const struct catalog_topic *topic)
{
    pthread_mutex_t *lock = &table->opening_locks[topic->id.bytes[0] % OPENING_LOCKS];

    int failed = pthread_mutex_lock(lock);
    BASE_ASSERT(!failed);
    enum base_err err = open_missing(table, topic);
    failed = pthread_mutex_unlock(lock);
    BASE_ASSERT(!failed);
    return err == BASE_ERR_NOT_FOUND ? BASE_ERR_OK : err;
}

/* Opening everything at start-up. */

struct opening_topic {
    struct base_task task;
    struct opening *opening;
    struct catalog_topic *topic; /* owned */
};

struct opening {
    struct partition_table *table;
    struct base_executor *executor;
    struct base_task *opened;
    struct base_task orphans_task;
    atomic_long remaining; /* tasks under way */
    struct opening_topic *topics;
    size_t topics_count;
    size_t topics_capacity;
};

static void opening_step_done(struct opening *opening)
{
    if (atomic_fetch_sub(&opening->remaining, 1) > 1) {
        return;
    }
    base_executor_post(opening->executor, opening->opened);
    base_free(opening->topics);
    base_free(opening);
}

static void open_one_topic(struct base_task *task)
{
    struct opening_topic *one = BASE_CONTAINER_OF(task, struct opening_topic, task);
    enum base_err err = partition__table_open(one->opening->table, one->topic);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "TOPIC_NOT_OPENED", "topic=%s cause=\"%s\"", one->topic->name,
                 base_err_text(err));
    }
    catalog_topic_release(&one->topic);
    opening_step_done(one->opening);
}

static bool collect_topic(void *context, const struct catalog_topic *topic)
{
    struct opening *opening = context;
    if (opening->topics_count == opening->topics_capacity) {
        return false;
    }
    struct opening_topic *one = &opening->topics[opening->topics_count++];
    one->task.run = open_one_topic;
    one->opening = opening;
    one->topic = catalog_topic_hold(topic);
    return true;
}

/* A log of a topic that was deleted: the broker died before it was removed. A log of a
 * topic nobody has ever heard of is left alone: "not in the catalog" must never mean
 * "delete the data". */
static bool judge_orphan(void *context, const char *log_name, uint64_t size_bytes)
{
    struct partition_table *table = context;
    struct base_uuid id;
    size_t id_length = BASE_UUID_TEXT_SIZE - 1;

    (void)size_bytes;
    if (strlen(log_name) <= id_length || log_name[id_length] != '-' ||
        !base_uuid_parse(log_name, id_length, &id)) {
        return true; /* one of the broker's own */
    }
    if (is_in_view(table, id)) {
        return true;
    }
    if (!catalog_knows_deleted(table->options.catalog, id)) {
        base_log(BASE_LOG_WARN, "ORPHAN_LOG_KEPT", "log=%s", log_name);
    } else if (logstore_store_remove_log(table->options.store, log_name) != BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, "LOG_NOT_REMOVED", "log=%s", log_name);
    }
    return true;
}

static void remove_orphans(struct base_task *task)
{
    struct opening *opening = BASE_CONTAINER_OF(task, struct opening, orphans_task);
    struct logstore_io *io = logstore_store_io(opening->table->options.store);
    enum base_err err = io->ops->list_logs(io, judge_orphan, opening->table);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, "LOGS_NOT_LISTED", "cause=\"%s\"", base_err_text(err));
    }
    opening_step_done(opening);
}

enum base_err partition_table_open_all(struct partition_table *table,
                                       struct base_executor *executor, struct base_task *opened)
{
    struct catalog_view *view = catalog_view(table->options.catalog);
    struct opening *opening = base_alloc_object(struct opening);
    size_t count = catalog_view_topics_count(view);
    if (opening == NULL ||
        (opening->topics = base_alloc_array(count, sizeof opening->topics[0])) == NULL) {
        base_free(opening);
        catalog_view_release(&view);
        return BASE_ERR_NOMEM;
    }
    opening->table = table;
    opening->executor = executor;
    opening->opened = opened;
    opening->topics_capacity = count;
    catalog_view_each(view, collect_topic, opening);
    catalog_view_release(&view);

    size_t topics_count = opening->topics_count;
    struct base_executor *worker = logstore_store_worker(table->options.store);
    atomic_init(&opening->remaining, (long)topics_count + 1);
    opening->orphans_task.run = remove_orphans;
    for (size_t i = 0; i < topics_count; i++) {
        base_executor_post(worker, &opening->topics[i].task);
    }
    base_executor_post(worker, &opening->orphans_task);
    return BASE_ERR_OK;
}

static bool close_slot(void *context, struct base_slice key, void *value)
{
    (void)context;
    (void)key;
    free_slot(value, false);
    return true;
}

void partition_table_close(struct partition_table *table, struct base_executor *executor,
                           struct base_task *closed)
{
    table->closed_executor = executor;
    table->closed_task = closed;
    write_lock(table);
    struct base_map *slots = table->slots;
    table->slots = NULL;
    unlock(table);
    base_map_each(slots, close_slot, NULL);
    base_map_close(&slots);
    partition__table_forget(table);
}

/* Topic operations: the catalog's answer comes to the worker, which does the rest. */

void partition__op_begin(struct partition_table *table, struct partition_topic_op *op,
                         base_task_run *run)
{
    BASE_ASSERT(op->executor != NULL);
    op->table = table;
    op->topic = NULL;
    op->change = (struct catalog_change){.executor = logstore_store_worker(table->options.store),
                                         .task = {.run = run}};
}

void partition__op_end(struct partition_topic_op *op, enum catalog_verdict verdict,
                       enum base_err err)
{
    op->verdict = verdict;
    op->err = err;
    base_executor_post(op->executor, &op->task);
}

struct partition_topic_op *partition__op_of(struct base_task *task)
{
    struct partition_topic_op *op = BASE_CONTAINER_OF(task, struct partition_topic_op, change.task);
    op->topic = op->change.topic;
    op->change.topic = NULL;
    return op;
}

static void drop_slot(struct partition_table *table, struct base_uuid topic_id)
{
    write_lock(table);
    struct slot *slot = base_map_remove(table->slots, key_of(&topic_id));
    unlock(table);
    if (slot != NULL) {
        free_slot(slot, true);
    }
}

void partition__table_forget_deleted(struct partition_table *table, struct base_uuid topic_id)
{
    if (!is_in_view(table, topic_id)) {
        drop_slot(table, topic_id);
    }
}

static void topic_wants_partitions(struct base_task *task)
{
    struct partition_topic_op *op = partition__op_of(task);
    if (op->change.verdict != CATALOG_DONE) {
        partition__op_end(op, op->change.verdict, op->change.err);
        return;
    }
    enum base_err err = partition__table_open(op->table, op->topic);
    partition__table_forget_deleted(op->table, op->topic->id);
    partition__op_end(op, err == BASE_ERR_OK ? CATALOG_DONE : CATALOG_STORAGE_FAILED, err);
}

void partition_create_topic(struct partition_table *table, struct catalog_topic *draft,
                            struct partition_topic_op *op)
{
    partition__op_begin(table, op, topic_wants_partitions);
    catalog_create_topic(table->options.catalog, draft, &op->change);
}

void partition_grow_topic(struct partition_table *table, struct base_uuid id,
                          int32_t partitions_count, struct partition_topic_op *op)
{
    partition__op_begin(table, op, topic_wants_partitions);
    catalog_grow_topic(table->options.catalog, id, partitions_count, &op->change);
}

static void topic_configured(struct base_task *task)
{
    struct partition_topic_op *op = partition__op_of(task);
    if (op->change.verdict == CATALOG_DONE) {
        for (int32_t i = 0; i < op->topic->partitions_count; i++) {
            struct partition *partition = partition_table_get(op->table, op->topic->id, i);
            if (partition != NULL) {
                partition__configure(partition, op->topic);
            }
            partition_release(&partition);
        }
    }
    partition__op_end(op, op->change.verdict, op->change.err);
}

void partition_configure_topic(struct partition_table *table, struct base_uuid id,
                               const struct catalog_topic_config *config,
                               struct partition_topic_op *op)
{
    partition__op_begin(table, op, topic_configured);
    catalog_configure_topic(table->options.catalog, id, config, &op->change);
}

void partition__table_delete(struct partition_table *table, const struct catalog_topic *topic)
{
    drop_slot(table, topic->id);
    for (unsigned i = 0; i < table->deleted_callbacks_count; i++) {
        table->deleted_callbacks[i].call(table->deleted_callbacks[i].context, topic);
    }
}

struct catalog *partition__table_catalog(const struct partition_table *table)
{
    return table->options.catalog;
}
