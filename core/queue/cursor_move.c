/* Messages that are moved elsewhere: dead ones to the dead letters, dead letters back. */
#include "core/queue/cursor_priv.h"

#include <stddef.h>

#include "core/base/assert.h"

void queue_cursor_set_failures_max(struct queue_cursor *cursor, uint32_t failures_max)
{
    BASE_ASSERT(failures_max <= QUEUE_FAILURES_MAX);
    BASE_ASSERT(cursor->open_count == 0);
    cursor->failures_max = failures_max;
}

void queue_cursor_set_dead_to(struct queue_cursor *cursor, int64_t offset)
{
    BASE_ASSERT(offset >= cursor->dead_to);
    cursor->dead_to = offset;
}

void queue__cursor_make_ready(struct queue_cursor *cursor, struct queue_slot *slot, int64_t offset)
{
    BASE_ASSERT(slot->lease == NULL);

    if (offset < cursor->trimmed_to) {
        queue__cursor_mark_skipped(cursor, slot);
        cursor->unwritten_count++;
    } else if (cursor->failures_max > 0 && slot->failures >= cursor->failures_max) {
        slot->state = QUEUE_SLOT_DEAD;
        if (cursor->dead_count == 0 || offset < cursor->dead_from) {
            cursor->dead_from = offset;
        }
        cursor->dead_count++;
    } else {
        slot->state = QUEUE_SLOT_READY;
        queue__cursor_ready_push(cursor, offset);
    }
}

int64_t queue_cursor_dead(struct queue_cursor *cursor)
{
    if (cursor->dead_count == 0) {
        return -1;
    }
    if (cursor->dead_from < cursor->floor) {
        cursor->dead_from = cursor->floor;
    }
    cursor->dead_from = queue_cursor_next_undone(cursor, cursor->dead_from);
    while (queue__cursor_slot_at(cursor, cursor->dead_from)->state != QUEUE_SLOT_DEAD) {
        cursor->dead_from = queue_cursor_next_undone(cursor, cursor->dead_from + 1);
    }
    return cursor->dead_from;
}

enum base_err queue_cursor_reach(struct queue_cursor *cursor, int64_t offset)
{
    enum base_err err = BASE_ERR_OK;

    while (err == BASE_ERR_OK && cursor->next < offset) {
        err = queue__cursor_reserve_slot(cursor);
        if (err == BASE_ERR_OK) {
            err = queue__cursor_reserve_ready(cursor);
        }
        if (err == BASE_ERR_OK) {
            queue__cursor_ready_push(cursor, cursor->next);
            (void)queue__cursor_extend(cursor, QUEUE_SLOT_READY);
        }
    }
    return err;
}

enum base_err queue_cursor_move(struct queue_cursor *cursor, int64_t offset)
{
    enum base_err err = queue_cursor_reach(cursor, offset + 1);

    if (err == BASE_ERR_OK) {
        err = queue__cursor_reserve_ready(cursor); /* it may have to come back */
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);
    BASE_ASSERT(slot->state == QUEUE_SLOT_READY || slot->state == QUEUE_SLOT_DEAD);
    cursor->dead_count -= slot->state == QUEUE_SLOT_DEAD;
    slot->state = QUEUE_SLOT_MOVING;
    cursor->moving_count++;
    return BASE_ERR_OK;
}

static bool is_in(const struct queue_cursor *cursor, int64_t offset, enum queue_slot_state state)
{
    const struct queue_slot *slot = queue_cursor_slot(cursor, offset);
    return slot != NULL && slot->state == (uint8_t)state;
}

bool queue_cursor_moved(struct queue_cursor *cursor, int64_t offset)
{
    if (!is_in(cursor, offset, QUEUE_SLOT_MOVING)) {
        return false;
    }
    queue__cursor_slot_at(cursor, offset)->state = QUEUE_SLOT_MOVED;
    cursor->acking_count++;
    return true;
}

void queue_cursor_unmoved(struct queue_cursor *cursor, int64_t offset)
{
    if (is_in(cursor, offset, QUEUE_SLOT_MOVED)) {
        queue__cursor_slot_at(cursor, offset)->state = QUEUE_SLOT_MOVING;
        cursor->acking_count--;
    }
}

void queue_cursor_move_settle(struct queue_cursor *cursor, int64_t offset)
{
    if (!is_in(cursor, offset, QUEUE_SLOT_MOVED)) {
        return;
    }
    cursor->acking_count--;
    cursor->moving_count--;
    cursor->consumed++;
    queue__cursor_mark_done(cursor, queue__cursor_slot_at(cursor, offset));
    queue__cursor_floor_advance(cursor);
}

void queue_cursor_move_undo(struct queue_cursor *cursor, int64_t offset)
{
    if (!is_in(cursor, offset, QUEUE_SLOT_MOVING)) {
        return;
    }
    cursor->moving_count--;
    queue__cursor_make_ready(cursor, queue__cursor_slot_at(cursor, offset), offset);
    queue__cursor_floor_advance(cursor);
}
