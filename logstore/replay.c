/* Replay: read, take the batches apart, go on behind the last one. */
#include "logstore/replay.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum {
    REPLAY_READ_BYTES = 1 << 20,
    REPLAY_INFLATED_BYTES_MAX = 64 << 20, /* coordinators do not compress; tools may have */
};

static enum base_err visit_batch(const uint8_t *data, const struct logstore_batch *batch,
                                 int64_t from_offset, logstore_replay_visit *visit, void *context)
{
    struct logstore_records records;
    struct logstore_record record;

    enum base_err err =
        logstore_records_open(&records, data, batch->size_bytes, REPLAY_INFLATED_BYTES_MAX);
    if (err != BASE_ERR_OK) {
        return err;
    }
    while (err == BASE_ERR_OK && logstore_records_next(&records, &record)) {
        if (record.offset >= from_offset) {
            err = visit(context, &record);
        }
    }
    if (err == BASE_ERR_OK) {
        err = logstore_records_finish(&records);
    }
    logstore_records_close(&records);
    return err;
}

/* What a replay has come to in a read. */
struct progress {
    int64_t behind; /* the last batch */
    int64_t end;    /* of the read */
};

/* Not every byte was looked at when the log was opened: an index spares that. */
static bool is_sound(const uint8_t *data, const struct logstore_batch *batch,
                     const struct progress *progress)
{
    return logstore_batch_fits(batch, progress->behind, progress->end) &&
           logstore_batch_verify_crc(data, batch->size_bytes) == BASE_ERR_OK;
}

static enum base_err visit_chunk(const struct base_chunk *chunk, struct progress *progress,
                                 int64_t from_offset, logstore_replay_visit *visit, void *context)
{
    BASE_ASSERT(chunk->buffer != NULL);
    const uint8_t *data = chunk->buffer->data + chunk->position;
    size_t remaining = chunk->length;

    while (remaining > 0) {
        struct logstore_batch batch;
        enum base_err err = logstore_batch_peek(data, remaining, &batch, NULL);
        if (err != BASE_ERR_OK || !is_sound(data, &batch, progress)) {
            return BASE_ERR_CORRUPT;
        }
        progress->behind = logstore_batch_next_offset(&batch);
        if (!logstore_batch_is_control(&batch)) {
            err = visit_batch(data, &batch, from_offset, visit, context);
            if (err != BASE_ERR_OK) {
                return err;
            }
        }
        data += batch.size_bytes;
        remaining -= batch.size_bytes;
    }
    return BASE_ERR_OK;
}

enum base_err logstore_replay_read(const struct logstore_read *read, int64_t from_offset,
                                   logstore_replay_visit *visit, void *context)
{
    struct progress progress = {.behind = 0, .end = read->next_offset};
    enum base_err err = read->err;
    for (uint32_t i = 0; err == BASE_ERR_OK && i < read->chunks_count; i++) {
        err = visit_chunk(&read->chunks[i], &progress, from_offset, visit, context);
    }
    return err;
}

enum base_err logstore_replay(struct logstore_log *log, int64_t from_offset, int64_t to_offset,
                              logstore_replay_visit *visit, void *context)
{
    enum base_err err = BASE_ERR_OK;
    struct logstore_read *read = base_alloc_object(struct logstore_read);
    if (read == NULL) {
        return BASE_ERR_NOMEM;
    }
    int64_t offset = from_offset;
    while (err == BASE_ERR_OK && offset < to_offset) {
        read->offset = offset;
        read->limit_offset = to_offset;
        read->bytes_max = REPLAY_READ_BYTES;
        read->first_whole = true;
        read->in_memory = true;
        err = logstore_log_read_wait(log, read);
        if (err == BASE_ERR_OK) {
            err = logstore_replay_read(read, from_offset, visit, context);
        }
        bool moved = read->next_offset > offset;
        offset = read->next_offset;
        logstore_read_release(read);
        if (!moved) {
            break;
        }
    }
    base_free(read);
    return err;
}
