/* Counted bytes: what a frame is received into and what fetchers then share.
 *
 * Whoever holds the only reference may write; bytes that have been shared are
 * never changed again. hold and release from any thread. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/refs.h"

/* Fields are read freely, written only by this file (and data by the sole holder). */
struct base_buffer {
    struct base_refs refs;
    size_t capacity; /* bytes at data */
    uint8_t data[];
};

/* One reference, uninitialised bytes; NULL when memory is out. */
struct base_buffer *base_buffer_create(size_t capacity);

struct base_buffer *base_buffer_hold(struct base_buffer *buffer);

/* Drops one reference, frees with the last, sets *buffer to NULL. NULL-safe. */
void base_buffer_release(struct base_buffer **buffer);

/* Bytes of all buffers alive, for memory limits and metrics. */
size_t base_buffer_total_bytes(void);

#endif
