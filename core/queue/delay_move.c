/* One move: messages that are due, out of the delay log and into their queue, in one batch.
 * All of it on the log's home executor; what is shared with producers is the heap alone. */
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/chunk.h"
#include "core/base/log.h"
#include "core/queue/delay_priv.h"
#include "core/queue/manager_priv.h"

enum {
    READ_BYTES_MIN = 4 << 10, /* of the delay log at once, when messages are far apart */
    READ_BYTES_MAX = 64 << 10,
    READ_NEAR_OFFSETS = 64, /* from the end of what was read: they are not far apart */
    READS_MAX = 50,         /* before others get the thread */
};

static void on_read(struct base_task *task)
{
    struct logstore_read *read = BASE_CONTAINER_OF(task, struct logstore_read, task);
    struct queue_reader *reader = BASE_CONTAINER_OF(read, struct queue_reader, read);
    struct queue_delay_move *move = BASE_CONTAINER_OF(reader, struct queue_delay_move, reader);

    queue__reader_fetched(reader);
    enum base_err err = reader->err == BASE_ERR_OUT_OF_RANGE ? BASE_ERR_OK : reader->err;
    if (err != BASE_ERR_OK && err != BASE_ERR_NOMEM && move->stage == QUEUE_DELAY_CHECKING) {
        queue__delay_check_skip(move, err);
    } else if (err != BASE_ERR_OK) {
        queue__delay_move_end(move, 0, err); /* the same read is not made again at once */
        return;
    }
    queue__delay_move_run(move);
}

enum base_err queue__delay_move_begin(struct queue_delay_queue *queue,
                                      const struct catalog_topic *topic,
                                      struct queue_delay_move **out)
{
    struct queue_delay_log *log = queue->log;

    base_mutex_assert_held(&log->lock);
    BASE_ASSERT(queue->heap.count > 0);
    *out = NULL;
    struct queue_delay_move *move = base_alloc_object(struct queue_delay_move);
    if (move == NULL) {
        return BASE_ERR_NOMEM;
    }
    move->log = log;
    move->queue = queue;
    move->stage = queue->is_suspect ? QUEUE_DELAY_CHECKING : QUEUE_DELAY_READING;
    move->check.due_ms = queue__delay_heap_first(&queue->heap).due_ms;
    move->check.position = -1;
    queue__reader_init(&move->reader);
    move->reader.read.executor = log->home;
    move->reader.read.task.run = on_read;
    queue__delay_writer_init(&move->writer, QUEUE_DELAY_BATCH_BYTES_MAX);
    move->topic = catalog_topic_hold(topic);
    queue->state = QUEUE_DELAY_MOVING;
    queue->move = move;
    log->moves_count++;
    log->users++;
    *out = move;
    return BASE_ERR_OK;
}

static void free_move(struct queue_delay_move *move)
{
    queue__reader_fini(&move->reader);
    queue__delay_writer_fini(&move->writer);
    queue__delay_check_fini(&move->check);
    catalog_topic_release(&move->topic);
    partition_release(&move->partition);
    base_free(move);
}

/* Entries [0, done_count) are done, the others go back. Locked. */
static void settle(struct queue_delay_move *move, uint32_t done_count)
{
    struct queue_delay_queue *queue = move->queue;
    int64_t offsets[QUEUE_DELAY_MOVE_MESSAGES_MAX];

    for (uint32_t i = done_count; i < move->entries_count; i++) {
        queue__delay_heap_give_back(&queue->heap, move->entries[i]);
    }
    for (uint32_t i = 0; i < done_count; i++) {
        offsets[i] = move->entries[i].offset;
    }
    queue__delay_heap_settle(&queue->heap, done_count);
    if (done_count > 0) {
        queue__delay_done(queue, offsets, done_count);
    }
}

static void failed(struct queue_delay_move *move, enum base_err err)
{
    struct queue_delay_queue *queue = move->queue;

    if (move->is_rewrite) {
        base_log(BASE_LOG_WARN, "DELAYED_NOT_REWRITTEN", "queue=%s cause=\"%s\"", queue->id_text,
                 base_err_text(err));
        queue__delay_rewrite_pause(move->log);
        queue__delay_place(queue);
        return;
    }
    /* A log that stopped may have the batch, or not: the next move looks. */
    queue->is_suspect = queue->is_suspect || move->stage == QUEUE_DELAY_APPENDING;
    queue__delay_retry(queue, move->entries_count, err);
}

void queue__delay_move_end(struct queue_delay_move *move, uint32_t done_count, enum base_err err)
{
    struct queue_delay_log *log = move->log;
    struct queue_delay_queue *queue = move->queue;

    base_mutex_lock(&log->lock);
    BASE_ASSERT(queue->state == QUEUE_DELAY_MOVING);
    settle(move, queue->is_forgotten ? move->entries_count : done_count);
    queue->move = NULL;
    if (queue->is_forgotten) {
        queue__delay_discard(queue);
    } else if (log->is_closing) {
        queue->state = QUEUE_DELAY_IDLE;
    } else if (err != BASE_ERR_OK) {
        failed(move, err);
    } else {
        queue->backoff_ms = 0;
        queue__delay_place(queue);
    }
    log->moves_count--;
    log->is_rewriting = log->is_rewriting && !move->is_rewrite;
    if (!log->is_closing) {
        /* The next move may end in place as well, and so on: others get the thread in between. */
        base_alarm_set(&log->alarm, base_clock_monotonic_us(log->manager->options.clock));
    }
    base_mutex_unlock(&log->lock);
    free_move(move);
    base_mutex_lock(&log->lock);
    queue__delay_unuse(log);
}

/* OK: what was read is in the queue. */
static void end(struct queue_delay_move *move, enum base_err err)
{
    queue__delay_move_end(move, err == BASE_ERR_OK ? move->read_count : 0, err);
}

static void on_durable(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    end(BASE_CONTAINER_OF(waiter, struct queue_delay_move, waiter), waiter->err);
}

/* Takes what is due and durable out of the heap. */
static void take_entries(struct queue_delay_move *move)
{
    struct queue_delay_log *log = move->log;
    struct queue_delay_heap *heap = &move->queue->heap;
    struct partition_offsets offsets;

    base_mutex_lock(&log->lock);
    partition_offsets(log->partition, &offsets);
    move->now_ms = base_clock_wall_ms(log->manager->options.clock);
    while (move->entries_count < QUEUE_DELAY_MOVE_MESSAGES_MAX && heap->count > 0) {
        struct queue_delay_entry first = queue__delay_heap_first(heap);
        if (first.due_ms > move->now_ms || first.offset >= offsets.high_watermark) {
            break;
        }
        move->entries[move->entries_count++] = queue__delay_heap_take(heap);
    }
    base_mutex_unlock(&log->lock);
}

/* What of the log is not there, or not to be read as a record, cannot be moved any more. */
static void log_damage(const struct queue_delay_move *move, int64_t offset)
{
    base_log(BASE_LOG_ERROR, "DELAYED_UNREADABLE",
             "topic=" QUEUE_DELAY_TOPIC " partition=%d queue=%s offset=%lld", move->log->index,
             move->queue->id_text, (long long)offset);
}

static enum base_err put_record(struct queue_delay_move *move, const struct logstore_record *record)
{
    int32_t log_index = move->log->index;

    return move->is_rewrite ? queue__delay_put_again(&move->writer, record, move->queue->id,
                                                     log_index, move->now_ms)
                            : queue__delay_put_moved(&move->writer, record, move->queue->id,
                                                     log_index, move->now_ms);
}

/* Messages with one delay come in the order of the log, those with many from all over it. */
static enum logstore_io_state fetch(struct queue_delay_move *move, int64_t offset)
{
    struct queue_reader *reader = &move->reader;
    int64_t ahead = offset - reader->read.next_offset;
    bool is_near = reader->has_window && ahead >= 0 && ahead < READ_NEAR_OFFSETS;
    size_t bytes = is_near ? reader->bytes_max * 2 : READ_BYTES_MIN;

    reader->bytes_max = bytes > READ_BYTES_MAX ? READ_BYTES_MAX : bytes;
    return queue__reader_fetch(reader, move->log->partition, offset);
}

static void on_turn(struct base_task *task)
{
    queue__delay_move_run(BASE_CONTAINER_OF(task, struct queue_delay_move, turn));
}

bool queue__delay_move_yields(struct queue_delay_move *move)
{
    if (move->turn_count++ < READS_MAX) {
        return false;
    }
    move->turn_count = 0;
    move->turn.run = on_turn;
    base_executor_post(move->log->home, &move->turn);
    return true;
}

/* Reads entries into the writer until that is full enough. False: a read is under way, or
 * the turn over. */
static bool read_entries(struct queue_delay_move *move, enum base_err *err)
{
    struct queue_reader *reader = &move->reader;
    struct logstore_record record;
    struct base_buffer *buffer;
    int64_t gap_to;

    *err = BASE_ERR_OK;
    while (*err == BASE_ERR_OK && move->read_count < move->entries_count) {
        int64_t offset = move->entries[move->read_count].offset;
        switch (queue__reader_find(reader, offset, &record, &buffer, &gap_to)) {
        case QUEUE_READER_RECORD:
            if (move->read_count > 0 &&
                move->writer.writer.length + record.value.length + record.headers.length >
                    QUEUE_DELAY_MOVE_BYTES_MAX) {
                return true;
            }
            *err = put_record(move, &record);
            move->read_count += *err == BASE_ERR_OK;
            break;
        case QUEUE_READER_GAP:
        case QUEUE_READER_DAMAGED:
            log_damage(move, offset);
            move->is_unreadable[move->read_count++] = true;
            break;
        case QUEUE_READER_FAILED:
            *err = reader->err;
            break;
        case QUEUE_READER_ELSEWHERE:
            if (queue__delay_move_yields(move) || fetch(move, offset) == LOGSTORE_IO_PENDING) {
                return false;
            }
            if (!reader->has_window) {
                *err = reader->err == BASE_ERR_OK ? BASE_ERR_OFFLINE : reader->err;
            }
            break;
        }
    }
    return true;
}

static void append(struct queue_delay_move *move)
{
    struct queue_delay_log *log = move->log;
    struct partition_appended appended = {0};
    struct base_chunk chunk = {0};

    if (move->writer.builder.header.records_count == 0) {
        end(move, BASE_ERR_OK); /* nothing of it could be read */
        return;
    }
    enum base_err err = logstore_records_builder_finish(&move->writer.builder);
    if (err == BASE_ERR_OK) {
        chunk.buffer = base_writer_take(&move->writer.writer, &chunk.length);
        move->waiter =
            (struct partition_waiter){.executor = log->home, .task = {.run = on_durable}};
        err = queue__append(log->manager, move->topic, &chunk, &move->writer.builder.header,
                            &move->waiter, &move->partition, &appended);
        base_buffer_release(&chunk.buffer);
    }
    move->stage =
        err == BASE_ERR_OK || err == BASE_ERR_OFFLINE ? QUEUE_DELAY_APPENDING : QUEUE_DELAY_READING;
    if (err != BASE_ERR_OK || !appended.pending) {
        end(move, err);
    }
}

void queue__delay_move_run(struct queue_delay_move *move)
{
    enum base_err err = BASE_ERR_OK;

    if (move->stage == QUEUE_DELAY_CHECKING) {
        if (!queue__delay_check_run(move, &err)) {
            return;
        }
        if (err != BASE_ERR_OK) {
            end(move, err);
            return;
        }
    }
    if (move->entries_count == 0) {
        move->stage = QUEUE_DELAY_READING;
        if (move->is_rewrite) {
            queue__delay_rewrite_take(move);
        } else {
            take_entries(move);
        }
    }
    if (move->entries_count == 0) {
        end(move, BASE_ERR_OK);
        return;
    }
    if (!read_entries(move, &err)) {
        return;
    }
    if (err != BASE_ERR_OK) {
        end(move, err);
    } else if (move->is_rewrite) {
        queue__delay_rewrite_append(move);
    } else {
        append(move);
    }
}
