/* How a cursor keeps what lies between its floor and its end: a ring for what is near the end,
 * stragglers for the rest. Slots move from the one to the other when the ring is full. */
#include "core/queue/cursor_priv.h"

#include <stddef.h>

#include "core/base/assert.h"
#include "core/queue/stragglers_priv.h"

enum { SLOTS_CAPACITY_IDLE = 1024 }; /* a caught-up cursor gives a larger ring back */

/* What is not kept. Never written to: what is done stays so. */
static const struct queue_slot done_slot = {.state = QUEUE_SLOT_DONE};

struct queue_slot *queue__cursor_straggler_at(const struct queue_cursor *cursor, int64_t offset)
{
    struct queue_straggler *straggler = queue__stragglers_at(&cursor->stragglers, offset);
    return straggler == NULL ? (struct queue_slot *)&done_slot : &straggler->slot;
}

int64_t queue_cursor_next_undone(const struct queue_cursor *cursor, int64_t offset)
{
    const struct queue_stragglers *stragglers = &cursor->stragglers;

    offset = offset < cursor->floor ? cursor->floor : offset;
    if (offset < cursor->base) {
        for (uint32_t i = queue__stragglers_find(stragglers, offset); i < stragglers->end; i++) {
            if (!queue__slot_is_done(&stragglers->entries[i].slot)) {
                return stragglers->entries[i].offset;
            }
        }
        offset = cursor->base;
    }
    while (offset < cursor->next && queue__slot_is_done(queue__cursor_ring_at(cursor, offset))) {
        offset++;
    }
    return offset;
}

enum base_err queue__cursor_leave_behind(struct queue_cursor *cursor, int64_t to)
{
    uint32_t count = 0;

    BASE_ASSERT(to <= cursor->next);
    for (int64_t offset = cursor->base; offset < to; offset++) {
        count += queue__cursor_ring_at(cursor, offset)->state != QUEUE_SLOT_DONE;
    }
    enum base_err err = queue__stragglers_reserve(&cursor->stragglers, count);
    if (err != BASE_ERR_OK) {
        return err;
    }
    for (int64_t offset = cursor->base; offset < to; offset++) {
        queue__stragglers_append(&cursor->stragglers, offset, 1,
                                 queue__cursor_ring_at(cursor, offset));
    }
    cursor->base = to;
    return BASE_ERR_OK;
}

/* `count` offsets of that state are not between floor and next any more (so many more, if it is
 * negative); whether they were done is for the caller to count. */
static void uncount(struct queue_cursor *cursor, const struct queue_slot *slot, int64_t count)
{
    cursor->skipped_count -= slot->state == QUEUE_SLOT_SKIPPED ? count : 0;
    cursor->filtered_count -= slot->state == QUEUE_SLOT_FILTERED ? count : 0;
    cursor->dead_count -= slot->state == QUEUE_SLOT_DEAD ? (uint32_t)count : 0; /* recovery only */
}

/* Takes the first straggler away as far as it lies below `to`; how many offsets were not done. */
static int64_t pass_straggler(struct queue_cursor *cursor, int64_t to)
{
    struct queue_straggler *straggler = &cursor->stragglers.entries[cursor->stragglers.first];
    int64_t below = to - straggler->offset;
    int64_t count = straggler->count < below ? straggler->count : below;

    uncount(cursor, &straggler->slot, count);
    straggler->offset += count;
    straggler->count -= count;
    cursor->stragglers.first += straggler->count == 0;
    return queue__slot_is_done(&straggler->slot) ? 0 : count;
}

void queue__cursor_pass(struct queue_cursor *cursor, int64_t to)
{
    struct queue_stragglers *stragglers = &cursor->stragglers;
    int64_t undone = 0;

    BASE_ASSERT(to >= cursor->floor);
    BASE_ASSERT(to <= cursor->next);
    while (stragglers->first < stragglers->end &&
           stragglers->entries[stragglers->first].offset < to) {
        undone += pass_straggler(cursor, to);
    }
    for (; cursor->base < to; cursor->base++) {
        const struct queue_slot *slot = queue__cursor_ring_at(cursor, cursor->base);
        uncount(cursor, slot, 1);
        undone += !queue__slot_is_done(slot);
    }
    cursor->done_count -= to - cursor->floor - undone;
    cursor->floor = to;
}

/* The first offset that is not done. */
static int64_t first_undone(const struct queue_cursor *cursor)
{
    const struct queue_stragglers *stragglers = &cursor->stragglers;

    for (uint32_t i = stragglers->first; i < stragglers->end; i++) {
        if (!queue__slot_is_done(&stragglers->entries[i].slot)) {
            return stragglers->entries[i].offset;
        }
    }
    return queue_cursor_next_undone(cursor, cursor->base);
}

void queue__cursor_floor_advance(struct queue_cursor *cursor)
{
    queue__cursor_pass(cursor, first_undone(cursor));
    if (cursor->floor < cursor->next) {
        return;
    }
    BASE_ASSERT(cursor->done_count == 0);
    BASE_ASSERT(cursor->skipped_count == 0);
    BASE_ASSERT(cursor->filtered_count == 0);
    BASE_ASSERT(cursor->base == cursor->next);
    cursor->ready_count = 0; /* stale ones only */
    if (cursor->slots_capacity > SLOTS_CAPACITY_IDLE || cursor->stragglers.capacity > 0) {
        queue__cursor_forget(cursor);
    }
}

/* Counts again what lies between floor and next. */
static void recount(struct queue_cursor *cursor)
{
    const struct queue_stragglers *stragglers = &cursor->stragglers;

    cursor->done_count = cursor->next - cursor->floor;
    cursor->skipped_count = 0;
    cursor->filtered_count = 0;
    cursor->dead_count = 0;
    for (uint32_t i = stragglers->first; i < stragglers->end; i++) {
        const struct queue_straggler *straggler = &stragglers->entries[i];
        uncount(cursor, &straggler->slot, -straggler->count);
        cursor->done_count -= !queue__slot_is_done(&straggler->slot);
    }
    for (int64_t offset = cursor->base; offset < cursor->next; offset++) {
        const struct queue_slot *slot = queue__cursor_ring_at(cursor, offset);
        uncount(cursor, slot, -1);
        cursor->done_count -= !queue__slot_is_done(slot);
    }
}

void queue__cursor_cut_back(struct queue_cursor *cursor, int64_t to)
{
    struct queue_stragglers *stragglers = &cursor->stragglers;

    BASE_ASSERT(to >= cursor->floor);
    BASE_ASSERT(to <= cursor->next);
    cursor->next = to;
    if (cursor->base > to) {
        cursor->base = to;
        uint32_t end = queue__stragglers_find(stragglers, to);
        if (end < stragglers->end && stragglers->entries[end].offset < to) {
            stragglers->entries[end].count = to - stragglers->entries[end].offset;
            end++;
        }
        stragglers->end = end;
    }
    recount(cursor);
}
