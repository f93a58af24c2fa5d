/* A message that is due in a week must not keep a week's log on the disk. When most of a long
 * log is done, what waits in its oldest part is appended once more, in one batch with the mark
 * for the originals; then the log can be trimmed. Each message that is written again stands for
 * several that are gone, so the cost is a fraction of what was written anyway. */
#include <assert.h>
#include <stdlib.h>

#include "core/base/assert.h"
#include "core/base/chunk.h"
#include "core/queue/delay_priv.h"
#include "core/queue/manager_priv.h"

enum {
    REWRITE_SHARE = 4,          /* offsets for each message that waits */
    REWRITE_OFFSETS = 65536,    /* looked through at once, from the oldest on */
    REWRITE_MESSAGES = 1000,    /* at once: what is due meanwhile has to wait */
    REWRITE_DUE_MS = 60000,     /* what is due sooner is not worth it */
    REWRITE_PAUSE_US = 5000000, /* after nothing was found, or a failure */
};

static_assert((int)REWRITE_MESSAGES <= (int)QUEUE_DELAY_MOVE_MESSAGES_MAX, "a move has room");

/* Which entries are written again. */
struct choice {
    int64_t offset_end;
    int64_t due_min_ms;
    struct queue_delay_move *move; /* takes them */
};

static bool is_chosen(const struct choice *choice, const struct queue_delay_entry *entry)
{
    return entry->offset < choice->offset_end && entry->due_ms > choice->due_min_ms;
}

/* Of the older half only: a copy is not copied again before the log has doubled. */
static int64_t end_of_older_half(struct queue_delay_log *log)
{
    int64_t first = queue__delay_span_first(&log->span);
    int64_t half = (log->span.end_offset - first) / 2;
    return first + (half < REWRITE_OFFSETS ? half : REWRITE_OFFSETS);
}

static struct choice choice_of(const struct queue_delay_log *log, int64_t offset_end,
                               struct queue_delay_move *move)
{
    return (struct choice){
        .offset_end = offset_end,
        .due_min_ms = base_clock_wall_ms(log->manager->options.clock) + REWRITE_DUE_MS,
        .move = move,
    };
}

struct search {
    struct choice choice;
    struct queue_delay_queue *found;
};

/* Stops at the first queue that has something to be written again. */
static bool find_queue(void *context, struct base_slice key, void *value)
{
    struct search *search = context;
    struct queue_delay_queue *queue = value;

    (void)key;
    if (queue->state != QUEUE_DELAY_WAITING) {
        return true;
    }
    for (size_t i = 0; i < queue->heap.count && search->found == NULL; i++) {
        if (is_chosen(&search->choice, &queue->heap.entries[i])) {
            search->found = queue;
        }
    }
    return search->found == NULL;
}

/* The queue to begin with, NULL when there is none. The oldest come first: they lie side by side in
 * the log, and are read at once. Further on only when those are not worth it. */
static struct queue_delay_queue *choose(struct queue_delay_log *log, int64_t *offset_end)
{
    int64_t half_end = end_of_older_half(log);
    int64_t near_end = queue__delay_span_end_of(&log->span, REWRITE_MESSAGES, half_end);
    struct search search = {.choice = choice_of(log, near_end, NULL)};

    base_map_each(log->queues, find_queue, &search);
    if (search.found == NULL && near_end < half_end) {
        search.choice.offset_end = half_end;
        base_map_each(log->queues, find_queue, &search);
    }
    *offset_end = search.choice.offset_end;
    return search.found;
}

void queue__delay_rewrite_pause(struct queue_delay_log *log)
{
    base_mutex_assert_held(&log->lock);
    log->rewrite_us = base_clock_monotonic_us(log->manager->options.clock) + REWRITE_PAUSE_US;
}

void queue__delay_rewrite_maybe(struct queue_delay_log *log,
                                const struct partition_offsets *offsets,
                                const struct catalog_view *view, struct base_list *moves)
{
    const struct queue_manager_options *options = &log->manager->options;
    int64_t now_us = base_clock_monotonic_us(options->clock);
    int64_t span = log->span.end_offset - queue__delay_span_first(&log->span);
    struct queue_delay_move *move = NULL;

    base_mutex_assert_held(&log->lock);
    if (log->is_rewriting || now_us < log->rewrite_us || offsets->err != BASE_ERR_OK ||
        offsets->size_bytes < options->delay_rewrite_bytes || log->pending_count == 0 ||
        span / REWRITE_SHARE <= log->pending_count || span / REWRITE_SHARE < QUEUE_DELAY_BLOCK ||
        log->moves_count >= QUEUE_DELAY_MOVES_MAX) {
        return;
    }
    int64_t offset_end;
    struct queue_delay_queue *found = choose(log, &offset_end);
    const struct catalog_topic *topic =
        found == NULL ? NULL : catalog_view_topic_by_id(view, found->id);
    if (topic != NULL) {
        queue__delay_unplace(found);
        if (queue__delay_move_begin(found, topic, &move) != BASE_ERR_OK) {
            queue__delay_place(found);
        }
    }
    if (move == NULL) {
        queue__delay_rewrite_pause(log);
        return;
    }
    move->is_rewrite = true;
    move->rewrite_end = offset_end;
    log->is_rewriting = true;
    base_list_push_back(moves, &move->link);
}

static bool take(void *context, const struct queue_delay_entry *entry)
{
    struct choice *choice = context;
    struct queue_delay_move *move = choice->move;

    if (!is_chosen(choice, entry)) {
        return false;
    }
    move->entries[move->entries_count++] = *entry;
    return true;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct queue_delay_entry *first = a;
    const struct queue_delay_entry *second = b;
    return (first->offset > second->offset) - (first->offset < second->offset);
}

void queue__delay_rewrite_take(struct queue_delay_move *move)
{
    struct queue_delay_log *log = move->log;

    base_mutex_lock(&log->lock);
    struct choice choice = choice_of(log, move->rewrite_end, move);
    move->now_ms = base_clock_wall_ms(log->manager->options.clock);
    (void)queue__delay_heap_take_where(&move->queue->heap, REWRITE_MESSAGES, take, &choice);
    base_mutex_unlock(&log->lock);
    qsort(move->entries, move->entries_count, sizeof move->entries[0], compare_offsets);
}

/* The copies stand at base_offset and behind it: entries for them instead of the originals.
 * Locked. */
static void replace(struct queue_delay_move *move, int64_t base_offset)
{
    struct queue_delay_log *log = move->log;
    struct queue_delay_heap *heap = &move->queue->heap;
    int64_t offset = base_offset;

    for (uint32_t i = 0; i < move->read_count; i++) {
        const struct queue_delay_entry *entry = &move->entries[i];
        queue__delay_span_remove(&log->span, entry->offset);
        if (move->is_unreadable[i] || move->queue->is_forgotten) {
            queue__delay_heap_settle(heap, 1);
            log->pending_count--;
            atomic_fetch_sub(&log->manager->delayed_count, 1);
        } else {
            queue__delay_heap_give_back(heap, (struct queue_delay_entry){entry->due_ms, offset});
            queue__delay_span_add(&log->span, offset);
        }
        offset += !move->is_unreadable[i];
    }
    /* What is left goes back as it was. */
    for (uint32_t i = move->read_count; i < move->entries_count; i++) {
        move->entries[i - move->read_count] = move->entries[i];
    }
    move->entries_count -= move->read_count;
}

void queue__delay_rewrite_append(struct queue_delay_move *move)
{
    struct queue_delay_log *log = move->log;
    struct logstore_records_builder *builder = &move->writer.builder;
    int64_t offsets[QUEUE_DELAY_MOVE_MESSAGES_MAX];
    struct partition_appended appended = {0};
    struct base_chunk chunk = {0};

    for (uint32_t i = 0; i < move->read_count; i++) {
        offsets[i] = move->entries[i].offset;
    }
    queue__delay_put_mark(&move->writer, move->queue->id_text, offsets, move->read_count,
                          move->now_ms);
    enum base_err err = logstore_records_builder_finish(builder);
    if (err == BASE_ERR_OK) {
        chunk.buffer = base_writer_take(&move->writer.writer, &chunk.length);
    }
    base_mutex_lock(&log->lock);
    if (err == BASE_ERR_OK) {
        err = queue__delay_span_reserve(&log->span,
                                        log->span.end_offset + builder->header.records_count);
    }
    if (err == BASE_ERR_OK) {
        err = partition_append(log->partition, &chunk, &builder->header, PARTITION_ACK_ALL,
                               log->home, NULL, &appended);
    }
    if (err == BASE_ERR_OK) {
        queue__delay_span_extend(&log->span, appended.end_offset);
        log->rewritten_end = appended.end_offset;
        replace(move, appended.base_offset);
    }
    base_mutex_unlock(&log->lock);
    base_buffer_release(&chunk.buffer);
    queue__delay_move_end(move, 0, err);
}
