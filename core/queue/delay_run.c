/* What a delay log does when something is due. */
#include <inttypes.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/queue/delay_priv.h"
#include "core/queue/manager_priv.h"

enum {
    CLOCK_CHECK_US = 10 * 1000 * 1000, /* the wall clock may have been set meanwhile */
    TRIM_INTERVAL_US = 5 * 1000 * 1000,
};

/* Due times are wall clock, alarms are not: a long wait is cut short to look again. */
static int64_t alarm_of(int64_t due_us, int64_t wall_us, int64_t now_us)
{
    int64_t wait_us = due_us <= wall_us ? 0 : due_us - wall_us;
    return now_us + (wait_us < CLOCK_CHECK_US ? wait_us : CLOCK_CHECK_US);
}

void queue__delay_set_alarm(struct queue_delay_log *log)
{
    struct base_clock *clock = log->manager->options.clock;
    int64_t deadline_us = INT64_MAX;

    base_mutex_assert_held(&log->lock);
    if (log->is_closing) {
        return;
    }
    /* With all moves under way, the end of one of them looks again. */
    if (log->due.count > 0 && log->moves_count < QUEUE_DELAY_MOVES_MAX) {
        deadline_us = alarm_of(base_timer_heap_next_us(&log->due), clock->wall_us(clock),
                               base_clock_monotonic_us(clock));
    }
    if (log->retries.count > 0 && base_timer_heap_next_us(&log->retries) < deadline_us) {
        deadline_us = base_timer_heap_next_us(&log->retries);
    }
    if (queue__delay_span_first(&log->span) > log->trimmed_to && log->trim_us < deadline_us) {
        deadline_us = log->trim_us;
    }
    if (deadline_us < INT64_MAX) {
        base_alarm_set(&log->alarm, deadline_us);
    }
}

void queue__delay_on_alarm(struct base_alarm *alarm)
{
    queue__delay_run(BASE_CONTAINER_OF(alarm, struct queue_delay_log, alarm));
}

/* Queues whose first message may be durable now are looked at again. */
static void wake_undurable(struct queue_delay_log *log)
{
    struct base_list *node;
    while ((node = base_list_pop_front(&log->undurable)) != NULL) {
        queue__delay_place(BASE_CONTAINER_OF(node, struct queue_delay_queue, link));
    }
}

void queue__delay_on_news(struct base_task *task)
{
    struct partition_watcher *watcher = BASE_CONTAINER_OF(task, struct partition_watcher, task);
    struct queue_delay_log *log = BASE_CONTAINER_OF(watcher, struct queue_delay_log, watcher);

    base_mutex_lock(&log->lock);
    atomic_store(&watcher->fired, false);
    log->is_watching = false;
    wake_undurable(log);
    bool is_closing = log->is_closing;
    base_mutex_unlock(&log->lock);
    if (!is_closing) {
        queue__delay_run(log);
    }
    base_mutex_lock(&log->lock);
    queue__delay_unuse(log);
}

/* Waits until more of the log is durable. A log that has stopped will not get there: that is
 * a failure like others. */
static void watch_maybe(struct queue_delay_log *log, const struct partition_offsets *offsets)
{
    struct base_list *node;

    if (base_list_is_empty(&log->undurable) || log->is_watching) {
        return;
    }
    if (offsets->err != BASE_ERR_OK) {
        while ((node = base_list_pop_front(&log->undurable)) != NULL) {
            struct queue_delay_queue *queue =
                BASE_CONTAINER_OF(node, struct queue_delay_queue, link);
            queue__delay_retry(queue, (uint32_t)queue->heap.count, offsets->err);
        }
        return;
    }
    log->watch.offset = offsets->high_watermark;
    if (partition_watch(log->partition, &log->watch)) {
        wake_undurable(log); /* with news the alarm rings at once */
        return;
    }
    log->is_watching = true;
    log->users++;
}

/* Moves the log's start up to what still waits, once in a while. */
static void trim_maybe(struct queue_delay_log *log, const struct partition_offsets *offsets,
                       int64_t now_us)
{
    int64_t first = queue__delay_span_first(&log->span);
    if (now_us < log->trim_us) {
        return;
    }
    log->trim_us = now_us + TRIM_INTERVAL_US;
    first = first < offsets->high_watermark ? first : offsets->high_watermark;
    if (first <= log->trimmed_to || offsets->high_watermark < log->rewritten_end) {
        return;
    }
    /* Nobody waits for it: what comes back after a crash is marked as done. */
    if (partition_trim(log->partition, first, NULL) == BASE_ERR_OK) {
        log->trimmed_to = first;
    }
}

static void retry_due(struct queue_delay_log *log, int64_t now_us)
{
    while (log->retries.count > 0 && base_timer_heap_next_us(&log->retries) <= now_us) {
        struct base_timer *timer = log->retries.timers[1];
        base_timer_heap_stop(&log->retries, timer);
        queue__delay_place(BASE_CONTAINER_OF(timer, struct queue_delay_queue, timer));
    }
}

/* Begins a move of one queue, if that still is. */
static void begin(struct queue_delay_queue *queue, const struct catalog_view *view,
                  struct base_list *moves)
{
    const struct catalog_topic *topic = catalog_view_topic_by_id(view, queue->id);
    struct queue_delay_move *move;

    if (topic == NULL) {
        queue__delay_discard(queue);
        return;
    }
    enum base_err err = queue__delay_move_begin(queue, topic, &move);
    if (err != BASE_ERR_OK) {
        queue__delay_retry(queue, (uint32_t)queue->heap.count, err);
    } else {
        base_list_push_back(moves, &move->link);
    }
}

/* Begins moves of what is due, in order, into the list. */
static void begin_due(struct queue_delay_log *log, const struct partition_offsets *offsets,
                      const struct catalog_view *view, struct base_list *moves)
{
    struct base_clock *clock = log->manager->options.clock;
    int64_t wall_us = clock->wall_us(clock);

    while (log->moves_count < QUEUE_DELAY_MOVES_MAX && log->due.count > 0 &&
           base_timer_heap_next_us(&log->due) <= wall_us) {
        struct queue_delay_queue *queue =
            BASE_CONTAINER_OF(log->due.timers[1], struct queue_delay_queue, timer);
        base_timer_heap_stop(&log->due, &queue->timer);
        queue->state = QUEUE_DELAY_IDLE;
        if (queue__delay_heap_first(&queue->heap).offset >= offsets->high_watermark) {
            queue->state = QUEUE_DELAY_UNDURABLE;
            base_list_push_back(&log->undurable, &queue->link);
            continue;
        }
        begin(queue, view, moves);
    }
}

void queue__delay_run(struct queue_delay_log *log)
{
    int64_t now_us = base_clock_monotonic_us(log->manager->options.clock);
    struct partition_offsets offsets;
    struct base_list moves;
    struct base_list *node;

    base_list_init(&moves);
    base_mutex_lock(&log->lock);
    if (log->is_closing) {
        base_mutex_unlock(&log->lock);
        return;
    }
    partition_offsets(log->partition, &offsets);
    struct catalog_view *view = catalog_view(log->manager->options.catalog);
    retry_due(log, now_us);
    begin_due(log, &offsets, view, &moves);
    queue__delay_rewrite_maybe(log, &offsets, view, &moves);
    catalog_view_release(&view);
    watch_maybe(log, &offsets);
    trim_maybe(log, &offsets, now_us);
    queue__delay_set_alarm(log);
    base_mutex_unlock(&log->lock);
    while ((node = base_list_pop_front(&moves)) != NULL) {
        queue__delay_move_run(BASE_CONTAINER_OF(node, struct queue_delay_move, link));
    }
}
