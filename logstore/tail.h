/* The newest batches of one log in memory, for readers that keep up.
 *
 * Runs of neighbouring batches: large batches are shared with the frame they arrived in,
 * small ones are copied together. Always one unbroken range of offsets that ends at the
 * last batch added. Bounded per log, and over all logs by a common budget.
 *
 * Threads: none of its own; the lock of the log guards it. */
#ifndef LOGSTORE_TAIL_H
#define LOGSTORE_TAIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/chunk.h"
#include "logstore/batch.h"

enum {
    LOGSTORE_TAIL_BYTES_MAX = 1 << 20, /* per log */
    LOGSTORE_TAIL_SHARED_MIN = 4096,   /* smaller batches are copied together */
    LOGSTORE_TAIL_SLACK_MAX = 4,       /* a buffer this many times as large is not kept alive */
    LOGSTORE_TAIL_COPY_BYTES = 65536,  /* largest buffer that small batches are copied into */
};

/* What all tails of a store may hold together. */
struct logstore_tail_budget {
    atomic_size_t used_bytes;
    size_t bytes_max;
};

struct logstore_tail_run {
    struct base_buffer *buffer; /* counted */
    size_t position;            /* of the first batch, in buffer->data */
    size_t length;              /* bytes */
    int64_t base_offset;
    int64_t next_offset;
};

/* Embedded; touch it only through logstore_tail_*. */
struct logstore_tail {
    struct logstore_tail_budget *budget; /* borrowed */
    struct logstore_tail_run *runs;      /* owned ring; capacity is a power of two, or 0 */
    uint32_t head;                       /* of the oldest run */
    uint32_t count;
    uint32_t capacity;
    size_t bytes;             /* in all runs */
    struct base_buffer *copy; /* counted; where the next small batch goes; may be NULL */
    size_t copy_used;         /* bytes of it */
};

void logstore_tail_init(struct logstore_tail *tail, struct logstore_tail_budget *budget);
void logstore_tail_fini(struct logstore_tail *tail);

/* Forgets everything and gives the memory back; stays usable. */
void logstore_tail_clear(struct logstore_tail *tail);

/* Adds a batch whose offsets are final. bytes: memory. May forget older batches, or, when
 * budget or memory is out, all of them. */
void logstore_tail_add(struct logstore_tail *tail, const struct base_chunk *bytes,
                       const struct logstore_batch *batch);

/* What the caller gets from a read: chunks with their own references. */
struct logstore_tail_read {
    int64_t offset;
    int64_t limit_offset;
    size_t bytes_max;
    bool first_whole;
    struct base_chunk *chunks; /* array of chunks_max */
    uint32_t chunks_max;
    uint32_t chunks_count;
    size_t length;
    int64_t next_offset;
};

/* False when offset lies below what is held: nothing is set then. Otherwise as
 * logstore_log_read. */
bool logstore_tail_read(const struct logstore_tail *tail, struct logstore_tail_read *read);

#endif
