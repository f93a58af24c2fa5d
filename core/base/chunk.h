/* A run of bytes on its way out, in memory or in a file: what a log hands to a
 * connection without copying it. */
#ifndef BASE_CHUNK_H
#define BASE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/file.h"

/* Exactly one of buffer and file is set; the chunk owns one reference to it. */
struct base_chunk {
    struct base_buffer *buffer;
    struct base_file *file;
    uint64_t position; /* of the first byte, in buffer->data or the file */
    size_t length;     /* bytes, > 0 */
};

/* A second chunk for the same bytes, with its own reference. */
static inline struct base_chunk base_chunk_hold(const struct base_chunk *chunk)
{
    struct base_chunk copy = *chunk;
    if (copy.buffer != NULL) {
        (void)base_buffer_hold(copy.buffer);
    } else {
        (void)base_file_hold(copy.file);
    }
    return copy;
}

/* Drops the reference; the chunk is empty afterwards. */
static inline void base_chunk_release(struct base_chunk *chunk)
{
    base_buffer_release(&chunk->buffer);
    base_file_release(&chunk->file);
    chunk->length = 0;
}

#endif
