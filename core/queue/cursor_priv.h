/* What the files of the cursor share: cursor.c, cursor_floor.c, cursor_lease.c, cursor_load.c,
 * cursor_move.c, stragglers.c. */
#ifndef QUEUE_CURSOR_PRIV_H
#define QUEUE_CURSOR_PRIV_H

#include "core/base/assert.h"
#include "core/queue/cursor.h"

enum { QUEUE_FAILURES_MAX = UINT8_MAX }; /* counted of one message; more count as so many */

/* Of an offset between base and next. */
static inline struct queue_slot *queue__cursor_ring_at(const struct queue_cursor *cursor,
                                                       int64_t offset)
{
    BASE_ASSERT(offset >= cursor->base);
    BASE_ASSERT(offset < cursor->next);
    return &cursor->slots[(uint64_t)offset & (cursor->slots_capacity - 1)];
}

/* Of an offset between floor and base. */
struct queue_slot *queue__cursor_straggler_at(const struct queue_cursor *cursor, int64_t offset);

/* Of an offset between floor and next. */
static inline struct queue_slot *queue__cursor_slot_at(const struct queue_cursor *cursor,
                                                       int64_t offset)
{
    BASE_ASSERT(offset >= cursor->floor);
    return offset < cursor->base ? queue__cursor_straggler_at(cursor, offset)
                                 : queue__cursor_ring_at(cursor, offset);
}

static inline bool queue__slot_is_done(const struct queue_slot *slot)
{
    return slot->state == QUEUE_SLOT_DONE || slot->state == QUEUE_SLOT_SKIPPED ||
           slot->state == QUEUE_SLOT_FILTERED;
}

/* next has gone back: what comes behind it again has not been trimmed. */
static inline void queue__cursor_untrim(struct queue_cursor *cursor)
{
    if (cursor->trimmed_to > cursor->next) {
        cursor->trimmed_to = cursor->next;
    }
}

/* Leaves the ring and the heap as at the start; leases must be gone. */
void queue__cursor_forget(struct queue_cursor *cursor);

/* Room for one more slot. Slots may move. */
BASE_MUST_USE enum base_err queue__cursor_reserve_slot(struct queue_cursor *cursor);

/* Appends slots of a state that is done, up to `to`. With nothing in front the floor moves instead.
 * *count says how many; NOMEM: fewer than wanted. */
BASE_MUST_USE enum base_err queue__cursor_extend_done(struct queue_cursor *cursor,
                                                      enum queue_slot_state state, int64_t to,
                                                      int64_t *count);

/* Puts next into the ring, for which there is room. */
struct queue_slot *queue__cursor_extend(struct queue_cursor *cursor, enum queue_slot_state state);

/* Room in the heap for everything that is leased and one more. */
BASE_MUST_USE enum base_err queue__cursor_reserve_ready(struct queue_cursor *cursor);
void queue__cursor_ready_push(struct queue_cursor *cursor, int64_t offset);
void queue__cursor_ready_pop(struct queue_cursor *cursor);

/* Puts all ready slots, and nothing else, into the heap. There is room. */
void queue__cursor_ready_rebuild(struct queue_cursor *cursor);

/* The slot, which is not done and has no lease, becomes DONE or SKIPPED. */
void queue__cursor_mark_done(struct queue_cursor *cursor, struct queue_slot *slot);
void queue__cursor_mark_skipped(struct queue_cursor *cursor, struct queue_slot *slot);

/* The offsets [base, to) leave the ring: what is not done among them becomes stragglers. */
BASE_MUST_USE enum base_err queue__cursor_leave_behind(struct queue_cursor *cursor, int64_t to);

/* The floor moves to `to`, which is not above next: what lies below is forgotten. */
void queue__cursor_pass(struct queue_cursor *cursor, int64_t to);

/* Forgets everything at and above `to`, which lies between floor and next. */
void queue__cursor_cut_back(struct queue_cursor *cursor, int64_t to);

/* Moves the floor over what is done. */
void queue__cursor_floor_advance(struct queue_cursor *cursor);

/* The slot, which has no lease, can be delivered (again), unless its message is dead or gone.
 * There is room in the heap. */
void queue__cursor_make_ready(struct queue_cursor *cursor, struct queue_slot *slot, int64_t offset);

/* One offset of the slot's lease is over. */
void queue__cursor_lease_drop(struct queue_slot *slot);

#endif
