/* Messages that are done: what is in memory forgets them at once, the delay log by a mark. */
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/chunk.h"
#include "core/base/log.h"
#include "core/queue/delay_priv.h"
#include "core/queue/manager_priv.h"

static int compare_offsets(const void *a, const void *b)
{
    const int64_t *first = a;
    const int64_t *second = b;
    return (*first > *second) - (*first < *second);
}

/* Writes the marks of a queue; what cannot be written is tried again with its next move. */
static enum base_err write_marks(struct queue_delay_queue *queue)
{
    struct queue_delay_log *log = queue->log;
    int64_t now_ms = base_clock_wall_ms(log->manager->options.clock);
    struct partition_appended appended = {0};
    struct queue_delay_writer writer;
    struct base_chunk chunk = {0};

    qsort(queue->marks, queue->marks_count, sizeof queue->marks[0], compare_offsets);
    queue__delay_writer_init(&writer, QUEUE_DELAY_BATCH_BYTES_MAX);
    queue__delay_put_mark(&writer, queue->id_text, queue->marks, queue->marks_count, now_ms);
    enum base_err err = logstore_records_builder_finish(&writer.builder);
    if (err == BASE_ERR_OK) {
        err = queue__delay_span_reserve(&log->span, log->span.end_offset + 1);
    }
    if (err == BASE_ERR_OK) {
        chunk.buffer = base_writer_take(&writer.writer, &chunk.length);
        err = partition_append(log->partition, &chunk, &writer.builder.header, PARTITION_ACK_ALL,
                               log->home, NULL, &appended);
        base_buffer_release(&chunk.buffer);
    }
    if (err == BASE_ERR_OK) {
        queue__delay_span_extend(&log->span, appended.end_offset);
        queue->marks_count = 0;
    }
    queue__delay_writer_fini(&writer);
    return err;
}

static enum base_err reserve_marks(struct queue_delay_queue *queue, size_t more)
{
    size_t wanted = queue->marks_count + more;
    if (wanted <= queue->marks_capacity) {
        return BASE_ERR_OK;
    }
    int64_t *marks = base_realloc_array(queue->marks, wanted, sizeof marks[0]);
    if (marks == NULL) {
        return BASE_ERR_NOMEM;
    }
    queue->marks = marks;
    queue->marks_capacity = wanted;
    return BASE_ERR_OK;
}

void queue__delay_done(struct queue_delay_queue *queue, const int64_t *offsets, size_t count)
{
    struct queue_delay_log *log = queue->log;

    base_mutex_assert_held(&log->lock);
    for (size_t i = 0; i < count; i++) {
        queue__delay_span_remove(&log->span, offsets[i]);
    }
    log->pending_count -= (int64_t)count;
    atomic_fetch_sub(&log->manager->delayed_count, (int64_t)count);
    if (queue->is_forgotten) {
        return; /* recovery passes over what belongs to no queue */
    }
    enum base_err err = reserve_marks(queue, count);
    if (err == BASE_ERR_OK) {
        for (size_t i = 0; i < count; i++) {
            queue->marks[queue->marks_count++] = offsets[i];
        }
        err = write_marks(queue);
    }
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, "DELAYED_NOT_MARKED",
                 "topic=" QUEUE_DELAY_TOPIC " partition=%" PRId32 " queue=%s cause=\"%s\"",
                 log->index, queue->id_text, base_err_text(err));
    }
}
