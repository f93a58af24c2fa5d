/* Walks forward through the records of a partition, over a window of bytes read ahead, so
 * that a deep backlog is read and decompressed once, not once a consume.
 *
 * Threads: none of its own; the lock of the group guards it. While is_pending nothing of it
 * may be touched but by the completion of its read. */
#ifndef QUEUE_READER_PRIV_H
#define QUEUE_READER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/partition/partition.h"
#include "logstore/log.h"
#include "logstore/records.h"

enum {
    QUEUE_READER_BYTES = 256 << 10,         /* of a window; one batch may exceed it alone */
    QUEUE_READER_INFLATED_BYTES = 64 << 20, /* of one decompressed batch */
};

struct queue_reader {
    size_t bytes_max;          /* of a window; QUEUE_READER_BYTES */
    struct logstore_read read; /* the window; task and executor are set by the owner */
    enum base_err err;         /* of the last fetch, or of FAILED */
    bool is_pending;
    bool has_window;   /* read holds chunks */
    bool is_open;      /* records iterates over a batch of the window */
    bool has_record;   /* record is the first at or behind passed_to */
    uint32_t chunk;    /* of the next batch */
    size_t position;   /* of the next batch in that chunk */
    int64_t batch_end; /* of the last batch met in the window; 0 before the first */
    int64_t passed_to; /* everything below was walked over */
    struct logstore_records records;
    struct base_buffer *buffer; /* borrowed from the window: of the open batch */
    size_t inflated_bytes;      /* of all compressed batches that it has left, since init */
    struct logstore_record record;
};

enum queue_reader_found {
    QUEUE_READER_RECORD,    /* record is at offset */
    QUEUE_READER_GAP,       /* nothing from offset up to *gap_to */
    QUEUE_READER_DAMAGED,   /* the same: what is there cannot be read as records */
    QUEUE_READER_ELSEWHERE, /* not in the window: fetch it */
    QUEUE_READER_FAILED,    /* see reader->err: CORRUPT (checksum, offset), NOMEM; read anew next */
};

void queue__reader_init(struct queue_reader *reader);

/* Drops the window. Not while pending. */
void queue__reader_fini(struct queue_reader *reader);

/* Looks for offset in the window. RECORD: *record points into *buffer, of which a reference
 * must be held to keep it. */
enum queue_reader_found queue__reader_find(struct queue_reader *reader, int64_t offset,
                                           struct logstore_record *record,
                                           struct base_buffer **buffer, int64_t *gap_to);

/* Fetches a window that starts with offset. DONE: look at reader->err, and at has_window:
 * false when there is nothing to read yet. */
enum logstore_io_state queue__reader_fetch(struct queue_reader *reader, struct partition *partition,
                                           int64_t offset);

/* To be called when a pending fetch has come back, locked. */
void queue__reader_fetched(struct queue_reader *reader);

#endif
