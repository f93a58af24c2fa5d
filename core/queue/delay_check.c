/* After a crash: which messages that are not marked as done are in their queue all the same.
 *
 * A copy is not older than the due time of its message, so each partition of the queue is
 * searched for the earliest due time and walked through from there. That is little: between
 * the copy and its mark there is one sync. */
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/queue/delay_priv.h"
#include "core/queue/manager_priv.h"

void queue__delay_check_fini(struct queue_delay_check *check)
{
    partition_release(&check->partition);
    base_free(check->found);
    check->found = NULL;
}

static enum base_err add_found(struct queue_delay_check *check, int64_t offset)
{
    if (check->found_count == check->found_capacity) {
        size_t capacity = check->found_capacity == 0 ? 64 : check->found_capacity * 2;
        int64_t *found = base_realloc_array(check->found, capacity, sizeof found[0]);
        if (found == NULL) {
            return BASE_ERR_NOMEM;
        }
        check->found = found;
        check->found_capacity = capacity;
    }
    check->found[check->found_count++] = offset;
    return BASE_ERR_OK;
}

static void next_partition(struct queue_delay_move *move)
{
    struct queue_delay_check *check = &move->check;

    partition_release(&check->partition);
    queue__reader_fini(&move->reader);
    check->index++;
    check->position = -1;
}

void queue__delay_check_skip(struct queue_delay_move *move, enum base_err err)
{
    base_log(BASE_LOG_WARN, "DELAYED_NOT_COMPARED", "topic=%s partition=%" PRId32 " cause=\"%s\"",
             move->topic->name, move->check.index, base_err_text(err));
    next_partition(move);
}

static void on_lookup(struct base_task *task)
{
    struct logstore_lookup *lookup = BASE_CONTAINER_OF(task, struct logstore_lookup, task);
    struct queue_delay_check *check = BASE_CONTAINER_OF(lookup, struct queue_delay_check, lookup);
    struct queue_delay_move *move = BASE_CONTAINER_OF(check, struct queue_delay_move, check);

    if (lookup->err != BASE_ERR_OK) {
        queue__delay_check_skip(move, lookup->err);
    } else if (lookup->offset < 0) {
        next_partition(move);
    } else {
        check->position = lookup->offset;
    }
    queue__delay_move_run(move);
}

/* Walks through the partition. False: a read is under way, or the turn
 * over. *is_over: its end was reached. */
static bool walk(struct queue_delay_move *move, bool *is_over, enum base_err *err)
{
    struct queue_delay_check *check = &move->check;
    struct logstore_record record;
    struct base_buffer *buffer;
    int64_t gap_to;

    *is_over = false;
    while (*err == BASE_ERR_OK && !*is_over) {
        switch (queue__reader_find(&move->reader, check->position, &record, &buffer, &gap_to)) {
        case QUEUE_READER_RECORD: {
            int64_t offset = queue__delay_offset_of(&record);
            *err = offset < 0 ? BASE_ERR_OK : add_found(check, offset);
            check->position++;
            break;
        }
        case QUEUE_READER_GAP:
        case QUEUE_READER_DAMAGED:
            check->position = gap_to;
            break;
        case QUEUE_READER_FAILED:
            *err = move->reader.err;
            break;
        case QUEUE_READER_ELSEWHERE:
            if (queue__delay_move_yields(move) ||
                queue__reader_fetch(&move->reader, check->partition, check->position) ==
                    LOGSTORE_IO_PENDING) {
                return false;
            }
            *err = move->reader.err;
            *is_over = !move->reader.has_window;
            break;
        }
    }
    return true;
}

static int compare_offsets(const void *a, const void *b)
{
    const int64_t *first = a;
    const int64_t *second = b;
    return (*first > *second) - (*first < *second);
}

/* Entries that were found, as the heap is filtered. */
struct matching {
    const struct queue_delay_check *check;
    int64_t *matched; /* as many as were found at most */
    size_t matched_count;
};

static bool was_found(void *context, const struct queue_delay_entry *entry)
{
    struct matching *matching = context;
    const struct queue_delay_check *check = matching->check;

    if (check->found_count == 0 || bsearch(&entry->offset, check->found, check->found_count,
                                           sizeof check->found[0], compare_offsets) == NULL) {
        return false;
    }
    matching->matched[matching->matched_count++] = entry->offset;
    return true;
}

/* Drops the entries whose copies were found. */
static enum base_err apply(struct queue_delay_move *move)
{
    struct queue_delay_check *check = &move->check;
    struct queue_delay_queue *queue = move->queue;
    struct matching matching = {.check = check};

    if (check->found_count > 0) {
        qsort(check->found, check->found_count, sizeof check->found[0], compare_offsets);
        matching.matched = base_alloc_array(check->found_count, sizeof matching.matched[0]);
        if (matching.matched == NULL) {
            return BASE_ERR_NOMEM;
        }
    }
    base_mutex_lock(&move->log->lock);
    size_t count = queue__delay_heap_filter(&queue->heap, was_found, &matching);
    queue->is_suspect = false;
    if (count > 0) {
        queue__delay_done(queue, matching.matched, count);
        base_log(BASE_LOG_INFO, "DELAYED_COMPARED", "queue=%s found=%zu left=%zu", queue->id_text,
                 count, queue->heap.count);
    }
    base_mutex_unlock(&move->log->lock);
    base_free(matching.matched);
    return BASE_ERR_OK;
}

/* Opens the next partition and asks where to begin. False: that is under way. */
static bool look_up(struct queue_delay_move *move)
{
    const struct queue_delay_log *log = move->log;
    struct queue_delay_check *check = &move->check;

    check->partition =
        partition_table_get(log->manager->options.table, move->topic->id, check->index);
    if (check->partition == NULL) {
        queue__delay_check_skip(move, BASE_ERR_OFFLINE);
        return true;
    }
    check->lookup = (struct logstore_lookup){
        .timestamp_ms = check->due_ms,
        .executor = log->home,
        .task = {.run = on_lookup},
    };
    partition_lookup(check->partition, &check->lookup);
    return false;
}

bool queue__delay_check_run(struct queue_delay_move *move, enum base_err *err)
{
    struct queue_delay_check *check = &move->check;
    bool is_over;

    *err = BASE_ERR_OK;
    while (check->index < move->topic->partitions_count) {
        if (check->position < 0) {
            if (!look_up(move)) {
                return false;
            }
            continue;
        }
        if (!walk(move, &is_over, err)) {
            return false;
        }
        if (*err == BASE_ERR_NOMEM) {
            return true;
        }
        if (*err != BASE_ERR_OK) {
            queue__delay_check_skip(move, *err);
            *err = BASE_ERR_OK;
        } else {
            next_partition(move);
        }
    }
    *err = apply(move);
    return true;
}
