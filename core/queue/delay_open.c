/* Reading the delay logs: what waits is what was written and not marked. */
#include <inttypes.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/queue/delay_priv.h"
#include "core/queue/manager_priv.h"

enum { SQUEEZE_MIN = 4096 };

#define DEAD INT64_MIN /* due time of an entry that is done, until it is squeezed out */

struct recovery {
    struct queue_delay_log *log;
    struct catalog_view *view;       /* borrowed */
    struct queue_delay_queue *queue; /* of the last record: the next one's, mostly */
};

/* Removes what is done; the order, which is that of offsets, stays. */
static void squeeze(struct queue_delay_queue *queue)
{
    struct queue_delay_heap *heap = &queue->heap;
    size_t kept = 0;

    for (size_t i = 0; i < heap->count; i++) {
        if (heap->entries[i].due_ms != DEAD) {
            heap->entries[kept++] = heap->entries[i];
        }
    }
    heap->count = kept;
    queue->dead_count = 0;
}

/* NULL when memory is out. */
static struct queue_delay_queue *queue_of(struct recovery *recovery, struct base_uuid id)
{
    if (recovery->queue == NULL || !base_uuid_equal(recovery->queue->id, id)) {
        recovery->queue = queue__delay_queue(recovery->log, id);
    }
    return recovery->queue;
}

static void on_done(void *context, int64_t first, int64_t last)
{
    struct queue_delay_queue *queue = context;
    struct queue_delay_heap *heap = &queue->heap;
    size_t low = 0;
    size_t high = heap->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (heap->entries[middle].offset < first) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low; i < heap->count && heap->entries[i].offset <= last; i++) {
        queue->dead_count += heap->entries[i].due_ms != DEAD;
        heap->entries[i].due_ms = DEAD;
    }
}

static enum base_err on_record(void *context, const struct logstore_record *record)
{
    struct recovery *recovery = context;
    struct queue_delay_parsed parsed;

    enum base_err err = queue__delay_parse(record, &parsed);
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (catalog_view_topic_by_id(recovery->view, parsed.queue_id) == NULL) {
        return BASE_ERR_OK; /* deleted, and what waited for it with it */
    }
    struct queue_delay_queue *queue = queue_of(recovery, parsed.queue_id);
    if (queue == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (!parsed.is_mark) {
        const struct queue_delay_entry entry = {parsed.deliver_at_ms, record->offset};
        return queue__delay_heap_append(&queue->heap, entry);
    }
    err = queue__delay_mark_each(record->value, on_done, queue);
    if (queue->dead_count > SQUEEZE_MIN && queue->dead_count > queue->heap.count / 2) {
        squeeze(queue); /* memory follows what waits, not what has ever waited */
    }
    return err;
}

static bool settle(void *context, struct base_slice key, void *value)
{
    struct queue_delay_queue *queue = value;
    struct queue_delay_log *log = queue->log;

    (void)context;
    (void)key;
    squeeze(queue);
    for (size_t i = 0; i < queue->heap.count; i++) {
        queue__delay_span_add(&log->span, queue->heap.entries[i].offset);
    }
    log->pending_count += (int64_t)queue->heap.count;
    atomic_fetch_add(&log->manager->delayed_count, (int64_t)queue->heap.count);
    queue__delay_heap_order(&queue->heap);
    queue->is_suspect = true;
    queue__delay_place(queue);
    return true;
}

static enum base_err recover_log(struct recovery *recovery)
{
    struct queue_delay_log *log = recovery->log;
    struct partition_offsets offsets;

    base_mutex_lock(&log->lock);
    enum base_err err = partition_replay(log->partition, on_record, recovery);
    partition_offsets(log->partition, &offsets);
    if (err == BASE_ERR_OK) {
        err = offsets.err;
    }
    if (err == BASE_ERR_OK) {
        err = queue__delay_span_reserve(&log->span, offsets.end);
    }
    if (err == BASE_ERR_OK) {
        queue__delay_span_extend(&log->span, offsets.end);
        base_map_each(log->queues, settle, NULL);
        queue__delay_set_alarm(log);
    }
    base_mutex_unlock(&log->lock);
    return err;
}

enum base_err queue__delay_recover(struct queue_manager *manager)
{
    struct recovery recovery = {.view = catalog_view(manager->options.catalog)};
    enum base_err err = BASE_ERR_OK;

    for (int32_t i = 0; err == BASE_ERR_OK && i < manager->delays_count; i++) {
        recovery.log = &manager->delays[i];
        recovery.queue = NULL;
        err = recover_log(&recovery);
        if (err != BASE_ERR_OK) {
            base_log(BASE_LOG_ERROR, "DELAYED_NOT_RECOVERED",
                     "topic=" QUEUE_DELAY_TOPIC " partition=%" PRId32 " cause=\"%s\"", i,
                     base_err_text(err));
        }
    }
    catalog_view_release(&recovery.view);
    return err;
}
