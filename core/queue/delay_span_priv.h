/* Where in the delay log there are still messages that wait: a count for each block of
 * offsets. The log may be trimmed up to the first block that has one.
 *
 * Threads: none of its own; the lock of the delay log guards it. */
#ifndef QUEUE_DELAY_SPAN_PRIV_H
#define QUEUE_DELAY_SPAN_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

enum { QUEUE_DELAY_BLOCK = 64 }; /* offsets; large messages make a block some 32 MiB */

struct queue_delay_span {
    uint8_t *counts;     /* owned; of the blocks from first_block on */
    size_t head;         /* index of first_block in counts */
    size_t count;        /* of blocks */
    size_t capacity;     /* of counts */
    int64_t first_block; /* every block in front of it is empty */
    int64_t end_offset;  /* behind the last offset that was noted */
};

/* Knows nothing below offset. */
void queue__delay_span_init(struct queue_delay_span *span, int64_t offset);
void queue__delay_span_fini(struct queue_delay_span *span);

/* Room up to end_offset. NOMEM changes nothing. */
BASE_MUST_USE enum base_err queue__delay_span_reserve(struct queue_delay_span *span,
                                                      int64_t end_offset);

/* The log ends at end_offset now; room must have been reserved. Never back. */
void queue__delay_span_extend(struct queue_delay_span *span, int64_t end_offset);

/* A message at offset, below the end, waits; waits no more. */
void queue__delay_span_add(struct queue_delay_span *span, int64_t offset);
void queue__delay_span_remove(struct queue_delay_span *span, int64_t offset);

/* Nothing below this offset waits. */
int64_t queue__delay_span_first(struct queue_delay_span *span);

/* End of the blocks, from the first one on, in which `count` messages wait, or somewhat more;
 * offset_max if those end further on. */
int64_t queue__delay_span_end_of(const struct queue_delay_span *span, int64_t count,
                                 int64_t offset_max);

#endif
