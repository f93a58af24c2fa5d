/* The delay logs: what waits in them, and how it comes in and goes. */
#include "core/queue/delay_priv.h"

#include <inttypes.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/chunk.h"
#include "core/base/crc32c.h"
#include "core/base/log.h"
#include "core/queue/manager_priv.h"

enum {
    BACKOFF_MS_MIN = 100,
    BACKOFF_MS_MAX = 10000,
};

static enum base_err create_log(struct queue_manager *manager, const struct catalog_topic *topic,
                                int32_t index, struct queue_delay_log *log)
{
    struct partition_offsets offsets;

    log->partition = partition_table_get(manager->options.table, topic->id, index);
    if (log->partition == NULL) {
        return BASE_ERR_OFFLINE;
    }
    if (base_map_create(&log->queues) != BASE_ERR_OK) {
        partition_release(&log->partition);
        return BASE_ERR_NOMEM;
    }
    log->manager = manager;
    log->index = index;
    log->home = manager->options.executors[(uint32_t)index % manager->options.executors_count];
    base_alarm_init(&log->alarm, log->home, queue__delay_on_alarm);
    base_mutex_init(&log->lock);
    base_timer_heap_init(&log->due);
    base_timer_heap_init(&log->retries);
    base_list_init(&log->undurable);
    log->watcher.executor = log->home;
    log->watcher.task.run = queue__delay_on_news;
    atomic_init(&log->watcher.fired, false);
    log->watch.watcher = &log->watcher;
    log->users = 1;
    partition_offsets(log->partition, &offsets);
    queue__delay_span_init(&log->span, offsets.start < 0 ? 0 : offsets.start);
    queue__manager_hold(manager);
    return BASE_ERR_OK;
}

enum base_err queue__delay_create(struct queue_manager *manager, const struct catalog_topic *topic)
{
    enum base_err err = BASE_ERR_OK;

    manager->delays = base_alloc_array((size_t)topic->partitions_count, sizeof manager->delays[0]);
    if (manager->delays == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (int32_t i = 0; err == BASE_ERR_OK && i < topic->partitions_count; i++) {
        err = create_log(manager, topic, i, &manager->delays[i]);
        manager->delays_count += err == BASE_ERR_OK;
    }
    return err;
}

/* The delay log of a queue. */
static struct queue_delay_log *log_of(struct queue_manager *manager, struct base_uuid queue_id)
{
    uint32_t hash = base_crc32c(0, queue_id.bytes, sizeof queue_id.bytes);
    BASE_ASSERT(manager->delays_count > 0);
    return &manager->delays[hash % (uint32_t)manager->delays_count];
}

static struct base_slice key_of(const struct base_uuid *id)
{
    return base_slice_of(id->bytes, sizeof id->bytes);
}

/* Never rung: the heaps only sort. */
static void never(struct base_timer *timer)
{
    (void)timer;
    BASE_ASSERT(false);
}

static enum base_err add_queue(struct queue_delay_log *log, struct queue_delay_queue *queue)
{
    uint32_t count = (uint32_t)base_map_count(log->queues) + 1;

    enum base_err err = base_timer_heap_reserve(&log->due, count);
    if (err == BASE_ERR_OK) {
        err = base_timer_heap_reserve(&log->retries, count);
    }
    return err == BASE_ERR_OK ? base_map_put(log->queues, key_of(&queue->id), queue) : err;
}

struct queue_delay_queue *queue__delay_queue(struct queue_delay_log *log, struct base_uuid id)
{
    base_mutex_assert_held(&log->lock);
    struct queue_delay_queue *queue = base_map_get(log->queues, key_of(&id));
    if (queue != NULL) {
        return queue;
    }
    queue = base_alloc_object(struct queue_delay_queue);
    if (queue == NULL) {
        return NULL;
    }
    queue->log = log;
    queue->id = id;
    queue->state = QUEUE_DELAY_IDLE;
    queue->timer.fire = never;
    base_uuid_format(id, queue->id_text);
    queue__delay_heap_init(&queue->heap);
    if (add_queue(log, queue) != BASE_ERR_OK) {
        base_free(queue);
        return NULL;
    }
    return queue;
}

static void free_queue(struct queue_delay_queue *queue)
{
    queue__delay_heap_fini(&queue->heap);
    base_free(queue->marks);
    base_free(queue);
}

void queue__delay_unplace(struct queue_delay_queue *queue)
{
    switch (queue->state) {
    case QUEUE_DELAY_WAITING:
        base_timer_heap_stop(&queue->log->due, &queue->timer);
        break;
    case QUEUE_DELAY_RETRYING:
        base_timer_heap_stop(&queue->log->retries, &queue->timer);
        break;
    case QUEUE_DELAY_UNDURABLE:
        base_list_remove(&queue->link);
        break;
    case QUEUE_DELAY_IDLE:
    case QUEUE_DELAY_MOVING:
    case QUEUE_DELAY_STATE_COUNT:
        break;
    }
    queue->state = QUEUE_DELAY_IDLE;
}

void queue__delay_place(struct queue_delay_queue *queue)
{
    base_mutex_assert_held(&queue->log->lock);
    if (queue->heap.count == 0) {
        queue->state = QUEUE_DELAY_IDLE;
        return;
    }
    queue->state = QUEUE_DELAY_WAITING;
    queue->timer.deadline_us = queue__delay_heap_first(&queue->heap).due_ms * 1000;
    base_timer_heap_arm(&queue->log->due, &queue->timer);
}

void queue__delay_retry(struct queue_delay_queue *queue, uint32_t messages_count, enum base_err err)
{
    struct queue_delay_log *log = queue->log;

    base_mutex_assert_held(&log->lock);
    queue->backoff_ms = queue->backoff_ms == 0 ? BACKOFF_MS_MIN : queue->backoff_ms * 2;
    queue->backoff_ms = queue->backoff_ms > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : queue->backoff_ms;
    base_log(BASE_LOG_WARN, "DELAYED_NOT_MOVED",
             "queue=%s messages=%" PRIu32 " retry_ms=%" PRIu32 " cause=\"%s\"", queue->id_text,
             messages_count, queue->backoff_ms, base_err_text(err));
    queue->state = QUEUE_DELAY_RETRYING;
    queue->timer.deadline_us =
        base_clock_monotonic_us(log->manager->options.clock) + queue->backoff_ms * INT64_C(1000);
    base_timer_heap_arm(&log->retries, &queue->timer);
}

/* Room in everything for what is about to be appended. */
static enum base_err reserve(struct queue_delay_log *log, struct queue_delay_queue *queue,
                             uint32_t count)
{
    enum base_err err = queue__delay_heap_reserve(&queue->heap, count);
    if (err == BASE_ERR_OK) {
        err = queue__delay_span_reserve(&log->span, log->span.end_offset + count);
    }
    return err;
}

/* What is to be appended, and what becomes of it. */
struct addition {
    struct queue_manager *manager;
    struct queue_produce *produce;
    struct partition_waiter *waiter;
    uint32_t count;
    int64_t now_ms;
    struct queue_delay_writer writer;
};

static int64_t deliver_at_ms(const struct addition *addition, uint32_t index)
{
    return addition->now_ms + addition->produce->messages[index].delay_ms;
}

/* Whether message i is added. */
static bool is_in(const struct queue_produce *produce, uint32_t i)
{
    return produce->messages[i].delay_ms > 0 && produce->results[i].err == BASE_ERR_OK;
}

/* Takes what room there is, of all queues' and of the queue's own, for up to count messages; how
 * many. */
static uint32_t take_room(struct queue_manager *manager, struct base_uuid queue_id, uint32_t count)
{
    int64_t own = manager->options.delayed_queue_max - queue__delay_count(manager, queue_id);
    int64_t of_all =
        manager->options.delayed_max - (int64_t)atomic_fetch_add(&manager->delayed_count, count);
    int64_t room = own < of_all ? own : of_all;

    room = room < 0 ? 0 : room > count ? count : room;
    atomic_fetch_sub(&manager->delayed_count, count - room);
    return (uint32_t)room;
}

/* Decides which messages are added. */
static void admit(struct addition *addition)
{
    struct queue_produce *produce = addition->produce;
    uint32_t delayed_count = 0;
    uint32_t admitted = 0;

    for (uint32_t i = 0; i < produce->messages_count; i++) {
        delayed_count += produce->messages[i].delay_ms > 0;
    }
    addition->count = take_room(addition->manager, produce->topic->id, delayed_count);
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        if (is_in(produce, i) && admitted++ >= addition->count) {
            produce->results[i].err = BASE_ERR_BUSY;
        }
    }
}

static enum base_err build(struct addition *addition)
{
    const struct queue_produce *produce = addition->produce;
    enum base_err err = BASE_ERR_OK;

    for (uint32_t i = 0; err == BASE_ERR_OK && i < produce->messages_count; i++) {
        if (is_in(produce, i)) {
            err = queue__delay_put_message(&addition->writer, produce->topic->id_text,
                                           &produce->messages[i], deliver_at_ms(addition, i),
                                           addition->now_ms);
        }
    }
    return err == BASE_ERR_OK ? logstore_records_builder_finish(&addition->writer.builder) : err;
}

/* Takes note of what was appended at base_offset. */
static void note(struct queue_delay_log *log, struct queue_delay_queue *queue,
                 const struct addition *addition, int64_t base_offset)
{
    struct queue_produce *produce = addition->produce;
    int64_t offset = base_offset;

    queue__delay_span_extend(&log->span, base_offset + addition->count);
    log->pending_count += addition->count;
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        if (!is_in(produce, i)) {
            continue;
        }
        queue__delay_heap_push(&queue->heap,
                               (struct queue_delay_entry){deliver_at_ms(addition, i), offset});
        queue__delay_span_add(&log->span, offset);
        produce->results[i].partition = QUEUE_MESSAGE_ID_DELAYED | log->index;
        produce->results[i].offset = offset;
        queue_message_id_format(produce->topic->id, QUEUE_MESSAGE_ID_DELAYED | log->index, offset,
                                produce->results[i].id);
        offset++;
    }
    if (queue->state == QUEUE_DELAY_IDLE || queue->state == QUEUE_DELAY_WAITING) {
        queue__delay_place(queue);
        queue__delay_set_alarm(log);
    }
}

/* Order and index of the log are one: the lock is held from append to note. */
static enum base_err append(struct addition *addition, bool *pending)
{
    struct queue_produce *produce = addition->produce;
    struct queue_delay_log *log = log_of(addition->manager, produce->topic->id);
    struct partition_appended appended = {0};
    struct base_chunk chunk = {0};
    enum base_err err = BASE_ERR_NOMEM;

    chunk.buffer = base_writer_take(&addition->writer.writer, &chunk.length);
    base_mutex_lock(&log->lock);
    struct queue_delay_queue *queue = queue__delay_queue(log, produce->topic->id);
    if (queue != NULL) {
        int64_t count = (int64_t)queue__delay_heap_total(&queue->heap) + addition->count;
        bool has_share = count <= addition->manager->options.delayed_queue_max;
        err = has_share ? reserve(log, queue, addition->count) : BASE_ERR_BUSY;
    }
    if (err == BASE_ERR_OK) {
        err = partition_append(log->partition, &chunk, &addition->writer.builder.header,
                               PARTITION_ACK_ALL, produce->executor, addition->waiter, &appended);
    }
    if (err == BASE_ERR_OK) {
        BASE_ASSERT(appended.base_offset == log->span.end_offset);
        note(log, queue, addition, appended.base_offset);
        *pending = appended.pending;
    }
    base_mutex_unlock(&log->lock);
    base_buffer_release(&chunk.buffer);
    return err;
}

enum base_err queue__delay_add(struct queue_manager *manager, struct queue_produce *produce,
                               struct partition_waiter *waiter, bool *pending)
{
    struct addition addition = {
        .manager = manager,
        .produce = produce,
        .waiter = waiter,
        .now_ms = base_clock_wall_ms(manager->options.clock),
    };

    *pending = false;
    admit(&addition);
    if (addition.count == 0) {
        return BASE_ERR_BUSY;
    }
    queue__delay_writer_init(&addition.writer, QUEUE_DELAY_BATCH_BYTES_MAX);
    enum base_err err = build(&addition);
    if (err == BASE_ERR_OK) {
        err = append(&addition, pending);
    }
    if (err != BASE_ERR_OK) {
        atomic_fetch_sub(&manager->delayed_count, addition.count);
    }
    queue__delay_writer_fini(&addition.writer);
    return err;
}

static bool remove_entry(void *context, const struct queue_delay_entry *entry)
{
    queue__delay_span_remove(context, entry->offset);
    return true;
}

/* No marks: recovery passes over what belongs to no queue. */
static void remove_entries(struct queue_delay_queue *queue)
{
    struct queue_delay_log *log = queue->log;
    size_t count = queue__delay_heap_filter(&queue->heap, remove_entry, &log->span);
    log->pending_count -= (int64_t)count;
    atomic_fetch_sub(&log->manager->delayed_count, (int64_t)count);
}

void queue__delay_discard(struct queue_delay_queue *queue)
{
    base_mutex_assert_held(&queue->log->lock);
    BASE_ASSERT(queue->move == NULL);
    queue__delay_unplace(queue);
    remove_entries(queue);
    if (!queue->is_forgotten) {
        (void)base_map_remove(queue->log->queues, key_of(&queue->id));
    }
    free_queue(queue);
}

void queue__delay_forget(struct queue_manager *manager, struct base_uuid queue_id)
{
    if (manager->delays_count == 0) {
        return; /* not open */
    }
    struct queue_delay_log *log = log_of(manager, queue_id);
    base_mutex_lock(&log->lock);
    struct queue_delay_queue *queue = base_map_remove(log->queues, key_of(&queue_id));
    if (queue != NULL) {
        queue->is_forgotten = true;
        if (queue->state == QUEUE_DELAY_MOVING) {
            remove_entries(queue); /* the end of the move does the rest */
        } else {
            queue__delay_discard(queue);
        }
    }
    base_mutex_unlock(&log->lock);
}

int64_t queue__delay_count(struct queue_manager *manager, struct base_uuid queue_id)
{
    int64_t count = 0;

    if (manager->delays_count == 0) {
        return 0;
    }
    struct queue_delay_log *log = log_of(manager, queue_id);
    base_mutex_lock(&log->lock);
    const struct queue_delay_queue *queue = base_map_get(log->queues, key_of(&queue_id));
    if (queue != NULL) {
        count = (int64_t)queue__delay_heap_total(&queue->heap);
    }
    base_mutex_unlock(&log->lock);
    return count;
}

static bool free_one(void *context, struct base_slice key, void *value)
{
    (void)context;
    (void)key;
    free_queue(value);
    return true;
}

static void free_log(struct queue_delay_log *log)
{
    struct queue_manager *manager = log->manager;

    base_timer_heap_fini(&log->due); /* touches the queues' timers */
    base_timer_heap_fini(&log->retries);
    base_map_each(log->queues, free_one, NULL);
    base_map_close(&log->queues);
    queue__delay_span_fini(&log->span);
    partition_release(&log->partition);
    base_mutex_fini(&log->lock);
    queue__manager_release(manager);
}

void queue__delay_unuse(struct queue_delay_log *log)
{
    base_mutex_assert_held(&log->lock);
    BASE_ASSERT(log->users > 0);
    log->users--;
    bool is_last = log->users == 0;
    base_mutex_unlock(&log->lock);
    if (is_last) {
        BASE_ASSERT(log->is_closing);
        free_log(log);
    }
}

static void alarm_closed(struct base_task *task)
{
    struct queue_delay_log *log = BASE_CONTAINER_OF(task, struct queue_delay_log, alarm_closed);
    base_mutex_lock(&log->lock);
    queue__delay_unuse(log);
}

void queue__delay_close(struct queue_manager *manager)
{
    for (int32_t i = 0; i < manager->delays_count; i++) {
        struct queue_delay_log *log = &manager->delays[i];
        base_mutex_lock(&log->lock);
        log->is_closing = true;
        if (log->is_watching) {
            partition_unwatch(log->partition, &log->watch);
            if (!atomic_load(&log->watcher.fired)) {
                log->is_watching = false;
                log->users--;
            }
        }
        base_mutex_unlock(&log->lock);
        log->alarm_closed.run = alarm_closed;
        base_alarm_close(&log->alarm, &log->alarm_closed);
    }
}
