/* Sequential reader of batches with a window that grows to the batch in it. */
#include "logstore/scan.h"

#include <string.h>

#include "core/base/assert.h"

enum {
    WINDOW_WHOLE_BYTES = 256 << 10,
    WINDOW_HEADERS_BYTES = 16 << 10,
};

void logstore_scan_init(struct logstore_scan *scan, struct logstore_object *object,
                        uint64_t position, uint64_t end, bool whole)
{
    BASE_ASSERT(position <= end);
    *scan = (struct logstore_scan){.object = object,
                                   .position = position,
                                   .end = end,
                                   .offset_max = INT64_MAX,
                                   .whole = whole};
}

void logstore_scan_fini(struct logstore_scan *scan)
{
    base_buffer_release(&scan->buffer);
}

/* Bytes of the window from scan->position on. */
static size_t available(const struct logstore_scan *scan)
{
    if (scan->position < scan->buffer_position ||
        scan->position - scan->buffer_position >= scan->buffer_length) {
        return 0;
    }
    return scan->buffer_length - (size_t)(scan->position - scan->buffer_position);
}

static const uint8_t *bytes_at(const struct logstore_scan *scan)
{
    return scan->buffer->data + (scan->position - scan->buffer_position);
}

/* Moves the window to scan->position, with at least `needed` bytes if the object has them. */
static enum base_err fill(struct logstore_scan *scan, size_t needed)
{
    struct logstore_io *io = scan->object->io;
    size_t window = scan->whole ? WINDOW_WHOLE_BYTES : WINDOW_HEADERS_BYTES;
    window = window < needed ? needed : window;
    if (window > scan->end - scan->position) {
        window = (size_t)(scan->end - scan->position);
    }
    if (scan->buffer == NULL || scan->buffer->capacity < window) {
        base_buffer_release(&scan->buffer);
        scan->buffer_length = 0;
        scan->buffer = base_buffer_create(window);
        if (scan->buffer == NULL) {
            return BASE_ERR_NOMEM;
        }
    }
    scan->buffer_position = scan->position;
    scan->buffer_length = 0;
    size_t length = 0;
    enum base_err err =
        io->ops->read_wait(io, scan->object, scan->position, scan->buffer->data, window, &length);
    if (err == BASE_ERR_OK) {
        BASE_ASSERT(length <= window);
        scan->buffer_length = length;
    }
    return err;
}

enum base_err logstore_scan_next(struct logstore_scan *scan, struct logstore_batch *batch,
                                 const uint8_t **data)
{
    uint64_t left = scan->end - scan->position;
    if (left == 0) {
        return BASE_ERR_NOT_FOUND;
    }
    size_t wanted = LOGSTORE_BATCH_HEADER_SIZE;
    for (;;) {
        if (wanted > left) {
            return BASE_ERR_MALFORMED;
        }
        if (available(scan) < wanted) {
            enum base_err err = fill(scan, wanted);
            if (err != BASE_ERR_OK) {
                return err;
            }
            if (available(scan) < wanted) {
                return BASE_ERR_MALFORMED; /* the object ends here */
            }
        }
        size_t needed = 0;
        enum base_err err = logstore_batch_peek(bytes_at(scan), available(scan), batch, &needed);
        if (err == BASE_ERR_OK || (!scan->whole && batch->size_bytes > 0)) {
            break;
        }
        if (needed <= wanted) {
            return BASE_ERR_MALFORMED;
        }
        wanted = needed;
    }
    /* Offsets are not part of the CRC, and headers are walked without it. */
    if (batch->size_bytes > left || batch->base_offset < scan->offset_min ||
        logstore_batch_next_offset(batch) > scan->offset_max) {
        return BASE_ERR_MALFORMED;
    }
    scan->offset_min = logstore_batch_next_offset(batch);
    if (data != NULL) {
        *data = bytes_at(scan);
    }
    scan->position += batch->size_bytes;
    return BASE_ERR_OK;
}
