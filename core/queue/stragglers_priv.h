/* Offsets that a cursor's ring has left behind: what is not done below it, sorted. Everything else
 * down there is done and costs nothing, so that one message that always fails does not hold up
 * those behind it.
 *
 * Offsets of one state that is done, but counted (SKIPPED, FILTERED), are kept as runs. */
#ifndef QUEUE_STRAGGLERS_PRIV_H
#define QUEUE_STRAGGLERS_PRIV_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/queue/cursor.h"

/* Room for `count` more. NOMEM: all is as it was. */
BASE_MUST_USE enum base_err queue__stragglers_reserve(struct queue_stragglers *stragglers,
                                                      uint32_t count);

/* [offset, offset + count) come behind all others; there is room. A slot that is DONE is left out;
 * count is 1 unless the slot is done. */
void queue__stragglers_append(struct queue_stragglers *stragglers, int64_t offset, int64_t count,
                              const struct queue_slot *slot);

/* Index of the first one that does not end at or below offset; `end` if there is none. */
uint32_t queue__stragglers_find(const struct queue_stragglers *stragglers, int64_t offset);

/* The one that holds offset; NULL when there is none: offset is done. */
struct queue_straggler *queue__stragglers_at(const struct queue_stragglers *stragglers,
                                             int64_t offset);

void queue__stragglers_free(struct queue_stragglers *stragglers);

#endif
