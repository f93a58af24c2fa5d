/* The delayed messages of one queue that are not due yet, earliest first: 16 bytes each.
 *
 * An entry that is taken out to be moved may have to come back, so its room is kept until it
 * is settled: nothing that goes wrong can lose it for want of memory.
 *
 * Threads: none of its own; the lock of the delay log guards it. */
#ifndef QUEUE_DELAY_HEAP_PRIV_H
#define QUEUE_DELAY_HEAP_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

/* Ordered by due time, then by place in the delay log. */
struct queue_delay_entry {
    int64_t due_ms; /* wall clock */
    int64_t offset; /* in the delay log */
};

struct queue_delay_heap {
    struct queue_delay_entry *entries; /* owned */
    size_t count;
    size_t out_count; /* taken, and neither given back nor settled */
    size_t capacity;
};

/* Entries there are, those taken out included. */
static inline size_t queue__delay_heap_total(const struct queue_delay_heap *heap)
{
    return heap->count + heap->out_count;
}

void queue__delay_heap_init(struct queue_delay_heap *heap);
void queue__delay_heap_fini(struct queue_delay_heap *heap);

/* Room for so many more. NOMEM changes nothing. */
BASE_MUST_USE enum base_err queue__delay_heap_reserve(struct queue_delay_heap *heap, size_t more);

/* Room must have been reserved. */
void queue__delay_heap_push(struct queue_delay_heap *heap, struct queue_delay_entry entry);

/* The earliest; the heap must not be empty. */
struct queue_delay_entry queue__delay_heap_first(const struct queue_delay_heap *heap);

/* Takes the earliest out. It is given back, or settled. */
struct queue_delay_entry queue__delay_heap_take(struct queue_delay_heap *heap);
void queue__delay_heap_give_back(struct queue_delay_heap *heap, struct queue_delay_entry entry);
void queue__delay_heap_settle(struct queue_delay_heap *heap, size_t count);

/* Removes, for good, every entry that the visitor says true of. It sees each one once, in no
 * order. Returns how many. */
typedef bool queue_delay_visit(void *context, const struct queue_delay_entry *entry);
size_t queue__delay_heap_filter(struct queue_delay_heap *heap, queue_delay_visit *visit,
                                void *context);

/* Takes out entries that the visitor says true of, `max` at most, and looks no further; it has
 * noted them then, and may see others more than once. They are given back, or settled. Returns how
 * many. */
size_t queue__delay_heap_take_where(struct queue_delay_heap *heap, size_t max,
                                    queue_delay_visit *visit, void *context);

/* For recovery: adds at the end, which leaves no heap until order() made one. NOMEM. */
BASE_MUST_USE enum base_err queue__delay_heap_append(struct queue_delay_heap *heap,
                                                     struct queue_delay_entry entry);
void queue__delay_heap_order(struct queue_delay_heap *heap);

#endif
