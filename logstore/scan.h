/* Walks the batches of a segment object, waiting for the disk: recovery, retention and
 * lookups by time. Worker only. */
#ifndef LOGSTORE_SCAN_H
#define LOGSTORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/err.h"
#include "logstore/batch.h"
#include "logstore/io.h"

/* Public so that it can live on the stack. */
struct logstore_scan {
    struct logstore_object *object; /* borrowed */
    struct base_buffer *buffer;     /* owned; a window of the object */
    uint64_t buffer_position;       /* of buffer->data[0] in the object */
    size_t buffer_length;           /* valid bytes */
    uint64_t position;              /* of the next batch */
    uint64_t end;                   /* nothing is read at or behind it */
    int64_t offset_min; /* of the next batch; 0 after init, the caller may know better */
    int64_t offset_max; /* no batch ends behind it; INT64_MAX after init */
    bool whole;         /* next() gives all bytes of a batch, not only its header */
};

/* position: a batch boundary. */
void logstore_scan_init(struct logstore_scan *scan, struct logstore_object *object,
                        uint64_t position, uint64_t end, bool whole);
void logstore_scan_fini(struct logstore_scan *scan);

/* The batch at scan->position, which then moves behind it.
 *   NOT_FOUND  the end
 *   MALFORMED  no batch, a cut one, or one with impossible offsets, at scan->position
 *   IO, NOMEM
 * *data (may be NULL unless whole): its bytes, valid until the next call. Does not verify
 * the CRC. */
BASE_MUST_USE enum base_err logstore_scan_next(struct logstore_scan *scan,
                                               struct logstore_batch *batch, const uint8_t **data);

#endif
