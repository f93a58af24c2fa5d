/* Partitions as monitors: one lock for the log, the high watermark and those who wait. */
#include "core/partition/partition.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/partition/partition_priv.h"
#include "logstore/replay.h"

enum { REOPEN_US = 1000000 };

struct partition *partition_hold(struct partition *partition)
{
    base_refs_take(&partition->refs);
    return partition;
}

static void free_partition(struct partition *partition)
{
    struct partition_table *table = partition->table;
    BASE_ASSERT(base_list_is_empty(&partition->watches));
    base_mutex_fini(&partition->lock);
    base_free(partition);
    partition__table_forget(table);
}

static void format_log_name(const struct partition *partition, char name[LOGSTORE_NAME_SIZE])
{
    char topic_id[BASE_UUID_TEXT_SIZE];
    base_uuid_format(partition->topic_id, topic_id);
    (void)snprintf(name, LOGSTORE_NAME_SIZE, "%s-%" PRId32, topic_id, partition->index);
}

static void remove_log(struct base_task *task)
{
    struct partition *partition = BASE_CONTAINER_OF(task, struct partition, remove_task);
    char name[LOGSTORE_NAME_SIZE];

    format_log_name(partition, name);
    enum base_err err = logstore_store_remove_log(partition__table_store(partition->table), name);
    if (err != BASE_ERR_OK) {
        /* Start-up removes logs that no topic knows of. */
        base_log(BASE_LOG_WARN, "LOG_NOT_REMOVED", "log=%s cause=\"%s\"", name, base_err_text(err));
    }
    free_partition(partition);
}

static void remove_or_free(struct partition *partition)
{
    if (partition->remove_when_released) {
        partition->remove_task.run = remove_log;
        base_executor_post(logstore_store_worker(partition__table_store(partition->table)),
                           &partition->remove_task);
    } else {
        free_partition(partition);
    }
}

static void log_closed(struct base_task *task)
{
    struct partition *partition = BASE_CONTAINER_OF(task, struct partition, log_closed);
    partition->log = NULL;
    remove_or_free(partition);
}

void partition_release(struct partition **partition)
{
    struct partition *dropped = *partition;
    *partition = NULL;
    if (dropped == NULL || !base_refs_drop(&dropped->refs)) {
        return;
    }
    /* The table's own reference goes last, after shut: nobody waits any more. */
    BASE_ASSERT(dropped->closed);
    BASE_ASSERT(base_list_is_empty(&dropped->high_waiters));
    if (dropped->log == NULL) {
        remove_or_free(dropped);
        return;
    }
    dropped->log_closed.run = log_closed;
    logstore_log_close(dropped->log, !dropped->remove_when_released,
                       logstore_store_worker(partition__table_store(dropped->table)),
                       &dropped->log_closed);
}

struct base_uuid partition_topic_id(const struct partition *partition)
{
    return partition->topic_id;
}

int32_t partition_index(const struct partition *partition)
{
    return partition->index;
}

static int64_t now_us(const struct partition *partition)
{
    struct logstore_store *store = partition__table_store(partition->table);
    return base_clock_monotonic_us(logstore_store_clock(store));
}

/* The topic as it is now; NULL when it was deleted. The caller releases it. */
static struct catalog_topic *find_topic(const struct partition *partition)
{
    struct catalog_view *view = catalog_view(partition__table_options(partition->table)->catalog);
    const struct catalog_topic *topic = catalog_view_topic_by_id(view, partition->topic_id);
    struct catalog_topic *held = topic == NULL ? NULL : catalog_topic_hold(topic);

    catalog_view_release(&view);
    return held;
}

/* On the worker. */
static void reopen(struct base_task *task)
{
    struct partition *partition = BASE_CONTAINER_OF(task, struct partition, reopen_task);
    struct catalog_topic *topic = find_topic(partition);

    if (topic != NULL) {
        (void)partition__open(partition, topic);
        catalog_topic_release(&topic);
        topic = find_topic(partition); /* it may have been configured meanwhile */
    }
    if (topic != NULL) {
        partition__configure(partition, topic);
        catalog_topic_release(&topic);
    }
    base_mutex_lock(&partition->lock);
    partition->is_reopening = false;
    base_mutex_unlock(&partition->lock);
    partition_release(&partition);
}

/* A log that had no room, or no memory, when it was to be opened is tried again, once in a
 * while, when somebody asks for it. Locked. */
static void reopen_maybe(struct partition *partition)
{
    bool may_pass =
        partition->open_err == BASE_ERR_NO_SPACE || partition->open_err == BASE_ERR_NOMEM;

    if (!may_pass || partition->is_reopening || now_us(partition) < partition->reopen_us) {
        return;
    }
    partition->is_reopening = true;
    partition->reopen_task.run = reopen;
    (void)partition_hold(partition);
    base_executor_post(logstore_store_worker(partition__table_store(partition->table)),
                       &partition->reopen_task);
}

/* Why nothing can be done now, or OK. Locked. */
static enum base_err state_of(struct partition *partition)
{
    if (partition->closed) {
        return BASE_ERR_CLOSED;
    }
    if (partition->log == NULL) {
        reopen_maybe(partition);
        return BASE_ERR_OFFLINE;
    }
    if (logstore_log_offline_reason(partition->log) != NULL) {
        return BASE_ERR_OFFLINE;
    }
    return BASE_ERR_OK;
}

static void end_waiter(struct base_list *node, enum base_err err)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(node, struct partition_waiter, link);
    waiter->err = err;
    base_executor_post(waiter->executor, &waiter->task);
}

/* Ends the waits of an ascending list up to offset. */
static void end_waiters(struct base_list *waiters, int64_t offset, enum base_err err)
{
    while (!base_list_is_empty(waiters)) {
        struct partition_waiter *first =
            BASE_CONTAINER_OF(waiters->next, struct partition_waiter, link);
        if (first->end_offset > offset) {
            return;
        }
        end_waiter(base_list_pop_front(waiters), err);
    }
}

static void fire(struct partition_watch *watch)
{
    base_list_remove(&watch->link);
    if (!atomic_exchange(&watch->watcher->fired, true)) {
        base_executor_post(watch->watcher->executor, &watch->watcher->task);
    }
}

/* Fires the watches that offset is news for. */
static void fire_watches(struct partition *partition, int64_t offset)
{
    struct base_list *node = partition->watches.next;
    while (node != &partition->watches) {
        struct base_list *next = node->next;
        struct partition_watch *watch = BASE_CONTAINER_OF(node, struct partition_watch, link);
        if (watch->offset < offset) {
            fire(watch);
        }
        node = next;
    }
}

static void end_everything(struct partition *partition, enum base_err err)
{
    end_waiters(&partition->high_waiters, INT64_MAX, err);
    end_waiters(&partition->written_waiters, INT64_MAX, err);
    fire_watches(partition, INT64_MAX);
}

/* The log's callback: brings the high watermark up and tells those who wait. Locked. */
static void on_progress(void *owner)
{
    struct partition *partition = owner;

    if (partition->log == NULL) {
        return; /* still opening */
    }
    int64_t written = logstore_log_written_offset(partition->log);
    int64_t high =
        partition->high_is_durable ? logstore_log_durable_offset(partition->log) : written;

    end_waiters(&partition->written_waiters, written, BASE_ERR_OK);
    /* Never back: a queue changed from HT to HA waits until the disk has caught up. */
    if (high > partition->high_watermark) {
        partition->high_watermark = high;
        end_waiters(&partition->high_waiters, high, BASE_ERR_OK);
        fire_watches(partition, high);
    }
    BASE_ASSERT(partition->high_watermark <= logstore_log_end_offset(partition->log));
    if (logstore_log_offline_reason(partition->log) != NULL) {
        end_everything(partition, BASE_ERR_OFFLINE);
    }
}

struct partition *partition__create(struct partition_table *table,
                                    const struct catalog_topic *topic, int32_t index)
{
    struct partition *partition = base_alloc_object(struct partition);
    if (partition == NULL) {
        return NULL;
    }
    base_refs_init(&partition->refs);
    partition->topic_id = topic->id;
    partition->index = index;
    partition->table = table;
    partition->high_is_durable = topic->kind != CATALOG_KAFKA_HT;
    base_mutex_init(&partition->lock);
    base_list_init(&partition->high_waiters);
    base_list_init(&partition->written_waiters);
    base_list_init(&partition->watches);
    return partition;
}

static void fill_log_config(const struct partition_table *table, const struct catalog_topic *topic,
                            struct logstore_log_config *config)
{
    const int64_t *values = topic->config.values;
    const struct partition_table_options *options = partition__table_options(table);

    logstore_log_config_default(config);
    config->segment_bytes = (uint64_t)values[CATALOG_CONFIG_SEGMENT_BYTES];
    config->segment_ms = values[CATALOG_CONFIG_SEGMENT_MS];
    config->retention_ms = values[CATALOG_CONFIG_RETENTION_MS];
    config->retention_bytes = values[CATALOG_CONFIG_RETENTION_BYTES];
    config->index_interval_bytes = (uint32_t)values[CATALOG_CONFIG_INDEX_INTERVAL_BYTES];
    /* DMS promises it for each message, Kafka for each segment. */
    config->retention_exact =
        topic->made_by_rest || topic->kind == CATALOG_NORMAL || topic->kind == CATALOG_FIFO;
    config->durable = topic->kind != CATALOG_KAFKA_HT;
    config->flush_interval_ms = options->flush_interval_ms;
    if (values[CATALOG_CONFIG_FLUSH_MS] < config->flush_interval_ms) {
        config->flush_interval_ms = values[CATALOG_CONFIG_FLUSH_MS];
    }
    config->flush_bytes = options->flush_bytes;
}

enum base_err partition__open(struct partition *partition, const struct catalog_topic *topic)
{
    char name[LOGSTORE_NAME_SIZE];
    struct logstore_log *log = NULL;

    format_log_name(partition, name);
    struct logstore_log_options options = {
        .store = partition__table_store(partition->table),
        .name = name,
        .lock = &partition->lock,
        .leader_epoch = partition__table_options(partition->table)->leader_epoch,
        .owner = partition,
        .on_progress = on_progress};
    fill_log_config(partition->table, topic, &options.config);
    enum base_err err = logstore_log_open(&options, &log);

    base_mutex_lock(&partition->lock);
    partition->log = log;
    partition->open_err = err;
    partition->reopen_us = now_us(partition) + REOPEN_US;
    if (log != NULL) {
        partition->high_watermark = partition->high_is_durable ? logstore_log_durable_offset(log)
                                                               : logstore_log_written_offset(log);
        partition->opened_end = logstore_log_end_offset(log);
    }
    base_mutex_unlock(&partition->lock);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "PARTITION_OFFLINE", "topic=%s partition=%" PRId32 " cause=\"%s\"",
                 topic->name, partition->index, base_err_text(err));
    }
    return err;
}

void partition__configure(struct partition *partition, const struct catalog_topic *topic)
{
    struct logstore_log_config config;
    fill_log_config(partition->table, topic, &config);

    base_mutex_lock(&partition->lock);
    partition->high_is_durable = topic->kind != CATALOG_KAFKA_HT;
    if (partition->log != NULL) {
        logstore_log_set_config(partition->log, &config);
        on_progress(partition);
    }
    base_mutex_unlock(&partition->lock);
}

void partition__shut(struct partition *partition, bool remove)
{
    base_mutex_lock(&partition->lock);
    partition->closed = true;
    partition->remove_when_released = remove;
    end_everything(partition, BASE_ERR_CLOSED);
    base_mutex_unlock(&partition->lock);
}

void partition_offsets(struct partition *partition, struct partition_offsets *out)
{
    *out = (struct partition_offsets){
        .start = -1,
        .last_stable = -1,
        .high_watermark = -1,
        .end = -1,
        .opened_end = -1,
        .leader_epoch = -1,
    };
    base_mutex_lock(&partition->lock);
    out->err = state_of(partition);
    if (partition->log != NULL) {
        out->start = logstore_log_start_offset(partition->log);
        out->high_watermark = partition->high_watermark;
        out->last_stable = partition->high_watermark;
        out->end = logstore_log_end_offset(partition->log);
        out->opened_end = partition->opened_end;
        out->leader_epoch = logstore_log_leader_epoch(partition->log);
        out->size_bytes = logstore_log_size_bytes(partition->log);
    }
    base_mutex_unlock(&partition->lock);
}

void partition_add_traffic(struct partition *partition, struct partition_traffic traffic)
{
    atomic_fetch_add_explicit(&partition->produced_bytes, traffic.bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&partition->produced_requests, traffic.requests,
                              memory_order_relaxed);
}

struct partition_traffic partition_traffic(const struct partition *partition)
{
    return (struct partition_traffic){
        atomic_load_explicit(&partition->produced_bytes, memory_order_relaxed),
        atomic_load_explicit(&partition->produced_requests, memory_order_relaxed)};
}

/* Registers the waiter if what it waits for is still to come. Locked. */
static bool wait_for(struct partition *partition, enum partition_acks acks,
                     struct partition_waiter *waiter, int64_t end_offset)
{
    bool high = acks == PARTITION_ACK_ALL;
    int64_t reached =
        high ? partition->high_watermark : logstore_log_written_offset(partition->log);
    struct base_list *waiters = high ? &partition->high_waiters : &partition->written_waiters;

    if (waiter == NULL || reached >= end_offset) {
        return false;
    }
    waiter->end_offset = end_offset;
    waiter->err = BASE_ERR_OK;
    waiter->link = (struct base_list){0};
    if (logstore_log_offline_reason(partition->log) != NULL) {
        /* It stopped after it took the batch: those who waited before were told already. */
        end_waiter(&waiter->link, BASE_ERR_OFFLINE);
        return true;
    }
    /* Nearly always the end of the list; a duplicate waits for something older. */
    struct base_list *position = waiters;
    while (position->prev != waiters &&
           BASE_CONTAINER_OF(position->prev, struct partition_waiter, link)->end_offset >
               end_offset) {
        position = position->prev;
    }
    base_list_insert_before(position, &waiter->link);
    return true;
}

enum base_err partition_append(struct partition *partition, const struct base_chunk *bytes,
                               const struct logstore_batch *batch, enum partition_acks acks,
                               struct base_executor *executor, struct partition_waiter *waiter,
                               struct partition_appended *out)
{
    struct logstore_appended appended = {0};

    *out = (struct partition_appended){.base_offset = -1, .end_offset = -1, .start_offset = -1};
    base_mutex_lock(&partition->lock);
    enum base_err err = state_of(partition);
    if (err == BASE_ERR_OK) {
        err = logstore_log_append(partition->log, bytes, batch, executor, &appended);
    }
    if (err == BASE_ERR_OK && acks == PARTITION_ACK_WRITTEN && partition->high_is_durable) {
        logstore_log_write(partition->log, executor); /* not to wait for the sync of others */
    }
    if (err == BASE_ERR_OK) {
        out->verdict = appended.verdict;
        out->base_offset = appended.base_offset;
        out->end_offset = appended.end_offset;
        out->start_offset = logstore_log_start_offset(partition->log);
        out->timestamp_ms = appended.timestamp_ms;
        if (appended.verdict == LOGSTORE_VERDICT_APPEND ||
            appended.verdict == LOGSTORE_VERDICT_DUPLICATE) {
            out->pending = wait_for(partition, acks, waiter, appended.end_offset);
        }
    }
    base_mutex_unlock(&partition->lock);
    return err;
}

bool partition_waiter_cancel(struct partition *partition, struct partition_waiter *waiter)
{
    base_mutex_lock(&partition->lock);
    bool linked = base_list_is_linked(&waiter->link);
    if (linked) {
        base_list_remove(&waiter->link);
    }
    base_mutex_unlock(&partition->lock);
    return linked;
}

enum logstore_io_state partition_read(struct partition *partition, struct logstore_read *read)
{
    base_mutex_lock(&partition->lock);
    /* A log that stopped writing can still be read up to where it is sound. */
    read->err = partition->closed || partition->log == NULL ? state_of(partition) : BASE_ERR_OK;
    read->chunks_count = 0;
    read->length = 0;
    read->next_offset = read->offset;
    if (read->err == BASE_ERR_OK) {
        read->limit_offset = partition->high_watermark;
        if (read->offset < logstore_log_start_offset(partition->log) ||
            read->offset > logstore_log_end_offset(partition->log)) {
            read->err = BASE_ERR_OUT_OF_RANGE;
        }
    }
    base_mutex_unlock(&partition->lock);
    if (read->err != BASE_ERR_OK || read->offset >= read->limit_offset) {
        return LOGSTORE_IO_DONE;
    }
    return logstore_log_read(partition->log, read);
}

static void fail_lookup(struct logstore_lookup *lookup, enum base_err err)
{
    lookup->err = err;
    lookup->offset = -1;
    lookup->found_timestamp_ms = -1;
    base_executor_post(lookup->executor, &lookup->task);
}

void partition_lookup(struct partition *partition, struct logstore_lookup *lookup)
{
    base_mutex_lock(&partition->lock);
    enum base_err err = state_of(partition);
    lookup->limit_offset = partition->high_watermark;
    base_mutex_unlock(&partition->lock);
    if (err != BASE_ERR_OK) {
        fail_lookup(lookup, err);
        return;
    }
    logstore_log_lookup(partition->log, lookup);
}

bool partition_watch(struct partition *partition, struct partition_watch *watch)
{
    base_mutex_lock(&partition->lock);
    bool news = state_of(partition) != BASE_ERR_OK || partition->high_watermark > watch->offset;
    watch->link = (struct base_list){0};
    if (!news) {
        base_list_push_back(&partition->watches, &watch->link);
    }
    base_mutex_unlock(&partition->lock);
    return news;
}

void partition_unwatch(struct partition *partition, struct partition_watch *watch)
{
    base_mutex_lock(&partition->lock);
    if (base_list_is_linked(&watch->link)) {
        base_list_remove(&watch->link);
    }
    base_mutex_unlock(&partition->lock);
}

enum base_err partition_epoch_end(struct partition *partition, int32_t epoch, int32_t *found_epoch,
                                  int64_t *end_offset)
{
    *found_epoch = -1;
    *end_offset = -1;
    base_mutex_lock(&partition->lock);
    enum base_err err = state_of(partition);
    if (err == BASE_ERR_OK) {
        (void)logstore_log_epoch_end(partition->log, epoch, found_epoch, end_offset);
    }
    base_mutex_unlock(&partition->lock);
    return err;
}

int32_t partition_epoch_at(struct partition *partition, int64_t offset)
{
    base_mutex_lock(&partition->lock);
    int32_t epoch = partition->log == NULL ? -1 : logstore_log_epoch_at(partition->log, offset);
    base_mutex_unlock(&partition->lock);
    return epoch;
}

enum base_err partition_trim(struct partition *partition, int64_t offset,
                             struct logstore_trim *trim)
{
    base_mutex_lock(&partition->lock);
    enum base_err err = state_of(partition);
    if (err == BASE_ERR_OK && offset > partition->high_watermark) {
        err = BASE_ERR_OUT_OF_RANGE;
    }
    if (err == BASE_ERR_OK) {
        logstore_log_trim(partition->log, offset < 0 ? partition->high_watermark : offset, trim);
    }
    base_mutex_unlock(&partition->lock);
    return err;
}

enum base_err partition_replay_from(struct partition *partition, int64_t offset,
                                    partition_visit *visit, void *context)
{
    int64_t start = 0;
    int64_t end = 0;

    base_mutex_lock(&partition->lock);
    enum base_err err = state_of(partition);
    if (err == BASE_ERR_OK) {
        start = logstore_log_start_offset(partition->log);
        end = logstore_log_written_offset(partition->log);
    }
    base_mutex_unlock(&partition->lock);
    if (err != BASE_ERR_OK) {
        return err;
    }
    return logstore_replay(partition->log, offset > start ? offset : start, end, visit, context);
}

enum base_err partition_replay(struct partition *partition, partition_visit *visit, void *context)
{
    return partition_replay_from(partition, 0, visit, context);
}
