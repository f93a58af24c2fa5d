/* The window, and what comes next in it. */
#include "core/queue/reader_priv.h"

#include "core/base/assert.h"
#include "logstore/batch.h"

void queue__reader_init(struct queue_reader *reader)
{
    *reader = (struct queue_reader){.bytes_max = QUEUE_READER_BYTES};
}

static void close_batch(struct queue_reader *reader)
{
    if (reader->is_open) {
        reader->inflated_bytes += reader->records.inflated_bytes;
        logstore_records_close(&reader->records);
        reader->is_open = false;
    }
    reader->has_record = false;
}

static void drop_window(struct queue_reader *reader)
{
    close_batch(reader);
    if (reader->has_window) {
        logstore_read_release(&reader->read);
        reader->has_window = false;
    }
}

void queue__reader_fini(struct queue_reader *reader)
{
    BASE_ASSERT(!reader->is_pending);
    drop_window(reader);
}

/* What the walk met. */
enum step { STEP_OPENED, STEP_PASSED, STEP_DAMAGED, STEP_FAILED, STEP_END };

static enum step open_batch(struct queue_reader *reader, const uint8_t *data,
                            const struct logstore_batch *batch)
{
    reader->err = logstore_batch_verify_crc(data, batch->size_bytes);
    if (reader->err != BASE_ERR_OK) {
        return STEP_FAILED;
    }
    enum base_err err = logstore_records_open(&reader->records, data, batch->size_bytes,
                                              QUEUE_READER_INFLATED_BYTES);
    if (err == BASE_ERR_NOMEM) {
        reader->err = err;
        return STEP_FAILED;
    }
    reader->position += batch->size_bytes;
    if (err != BASE_ERR_OK) {
        reader->passed_to = logstore_batch_next_offset(batch);
        reader->inflated_bytes += QUEUE_READER_INFLATED_BYTES; /* at the most */
        return STEP_DAMAGED;
    }
    reader->buffer = reader->read.chunks[reader->chunk].buffer;
    reader->is_open = true;
    return STEP_OPENED;
}

/* Opens the next batch, or walks over it when it ends at or below offset or holds no data. */
static enum step next_batch(struct queue_reader *reader, int64_t offset)
{
    while (reader->chunk < reader->read.chunks_count &&
           reader->position == reader->read.chunks[reader->chunk].length) {
        reader->chunk++;
        reader->position = 0;
    }
    if (reader->chunk == reader->read.chunks_count) {
        return STEP_END;
    }
    const struct base_chunk *chunk = &reader->read.chunks[reader->chunk];
    const uint8_t *data = chunk->buffer->data + chunk->position + reader->position;
    struct logstore_batch batch;
    if (logstore_batch_peek(data, chunk->length - reader->position, &batch, NULL) != BASE_ERR_OK ||
        !logstore_batch_fits(&batch, reader->batch_end, reader->read.next_offset)) {
        reader->err = BASE_ERR_CORRUPT;
        return STEP_FAILED;
    }
    int64_t next = logstore_batch_next_offset(&batch);
    reader->batch_end = next;
    if (next > offset && !logstore_batch_is_control(&batch)) {
        return open_batch(reader, data, &batch);
    }
    reader->position += batch.size_bytes;
    reader->passed_to = next;
    return STEP_PASSED;
}

/* Moves on to the first record at or behind offset in the open batch; false, with the batch
 * closed, when it has none. */
static bool next_record(struct queue_reader *reader, int64_t offset)
{
    while (logstore_records_next(&reader->records, &reader->record)) {
        if (reader->record.offset >= offset) {
            reader->has_record = true;
            reader->passed_to = reader->record.offset;
            return true;
        }
    }
    reader->passed_to = logstore_batch_next_offset(&reader->records.batch);
    return false;
}

enum queue_reader_found queue__reader_find(struct queue_reader *reader, int64_t offset,
                                           struct logstore_record *record,
                                           struct base_buffer **buffer, int64_t *gap_to)
{
    BASE_ASSERT(!reader->is_pending);

    *buffer = NULL;
    *gap_to = offset;
    if (!reader->has_window || offset < reader->passed_to || offset >= reader->read.next_offset) {
        return QUEUE_READER_ELSEWHERE;
    }
    for (;;) {
        if (reader->has_record && reader->record.offset >= offset) {
            if (reader->record.offset > offset) {
                *gap_to = reader->record.offset;
                return QUEUE_READER_GAP;
            }
            *record = reader->record;
            *buffer = reader->records.inflated != NULL ? reader->records.inflated : reader->buffer;
            return QUEUE_READER_RECORD;
        }
        reader->has_record = false;
        if (reader->is_open) {
            if (next_record(reader, offset)) {
                continue;
            }
            enum base_err err = logstore_records_finish(&reader->records);
            close_batch(reader);
            if (err != BASE_ERR_OK && reader->passed_to > offset) {
                *gap_to = reader->passed_to;
                return QUEUE_READER_DAMAGED;
            }
        }
        if (reader->passed_to > offset) {
            *gap_to = reader->passed_to;
            return QUEUE_READER_GAP;
        }
        switch (next_batch(reader, offset)) {
        case STEP_OPENED:
        case STEP_PASSED:
            break;
        case STEP_DAMAGED:
            *gap_to = reader->passed_to;
            return QUEUE_READER_DAMAGED;
        case STEP_FAILED:
            drop_window(reader);
            return QUEUE_READER_FAILED;
        case STEP_END:
            /* Batches end short of next_offset only where compaction took the last ones. */
            *gap_to = reader->read.next_offset;
            reader->passed_to = reader->read.next_offset;
            return QUEUE_READER_GAP;
        }
    }
}

enum logstore_io_state queue__reader_fetch(struct queue_reader *reader, struct partition *partition,
                                           int64_t offset)
{
    BASE_ASSERT(!reader->is_pending);

    drop_window(reader);
    struct base_executor *executor = reader->read.executor;
    base_task_run *run = reader->read.task.run;
    BASE_ASSERT(executor != NULL);
    BASE_ASSERT(run != NULL);
    reader->read = (struct logstore_read){
        .offset = offset,
        .bytes_max = reader->bytes_max,
        .first_whole = true,
        .in_memory = true,
        .executor = executor,
        .task = {.run = run},
    };
    reader->chunk = 0;
    reader->position = 0;
    reader->batch_end = 0;
    reader->passed_to = offset;
    reader->is_pending = true;
    enum logstore_io_state state = partition_read(partition, &reader->read);
    if (state == LOGSTORE_IO_DONE) {
        queue__reader_fetched(reader);
    }
    return state;
}

void queue__reader_fetched(struct queue_reader *reader)
{
    BASE_ASSERT(reader->is_pending);

    reader->is_pending = false;
    reader->has_window = true;
    reader->err = reader->read.err;
    if (reader->err != BASE_ERR_OK || reader->read.length == 0) {
        drop_window(reader);
    }
}
