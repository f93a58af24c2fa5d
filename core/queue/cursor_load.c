/* A cursor out of what the journal remembers of it. */
#include "core/queue/cursor_priv.h"

#include <stddef.h>

#include "core/base/assert.h"

/* Offsets that a sound journal may not know to be done: those that are not, and those that passed
 * since it got the cursor whole. */
enum { LOAD_UNDONE_MAX = QUEUE_UNDONE_MAX + QUEUE_UNWRITTEN_MAX };

/* No offset or count gets so far, and sums of a few of them do not overflow. */
static const int64_t NUMBER_MAX = INT64_MAX / 4;

static bool is_possible(int64_t number)
{
    return number >= 0 && number <= NUMBER_MAX;
}

bool queue_cursor_cut(struct queue_cursor *cursor, int64_t end)
{
    BASE_ASSERT(cursor->open_count == 0);

    if (cursor->next <= end) {
        return false;
    }
    if (cursor->floor >= end) {
        cursor->floor = end;
        queue__cursor_forget(cursor);
    } else {
        queue__cursor_cut_back(cursor, end);
        queue__cursor_ready_rebuild(cursor);
    }
    queue__cursor_untrim(cursor);
    return true;
}

void queue_cursor_load_clear(struct queue_cursor *cursor)
{
    cursor->floor = 0;
    cursor->consumed = 0;
    cursor->skipped = 0;
    cursor->trimmed_to = 0;
    cursor->dead_to = 0;
    queue__cursor_forget(cursor);
}

enum base_err queue_cursor_load_floor(struct queue_cursor *cursor, int64_t floor, int64_t consumed,
                                      int64_t skipped, bool used)
{
    if (!is_possible(floor) || !is_possible(consumed) || !is_possible(skipped)) {
        return BASE_ERR_CORRUPT;
    }
    cursor->consumed = consumed;
    cursor->skipped = skipped;
    cursor->used = used;
    if (cursor->floor < floor) {
        queue__cursor_pass(cursor, floor < cursor->next ? floor : cursor->next);
    }
    if (cursor->floor < floor) {
        cursor->floor = floor;
        cursor->base = floor;
        cursor->next = floor;
    }
    queue__cursor_floor_advance(cursor);
    return BASE_ERR_OK;
}

/* Makes next larger than offset: what was not known of yet is ready. */
static enum base_err load_up_to(struct queue_cursor *cursor, int64_t offset)
{
    int64_t undone_count = cursor->next - cursor->floor - cursor->done_count;

    if (!is_possible(offset) || offset - cursor->next >= LOAD_UNDONE_MAX - undone_count) {
        return BASE_ERR_CORRUPT;
    }
    while (cursor->next <= offset) {
        enum base_err err = queue__cursor_reserve_slot(cursor);
        if (err == BASE_ERR_OK) {
            err = queue__cursor_reserve_ready(cursor);
        }
        if (err != BASE_ERR_OK) {
            return err;
        }
        queue__cursor_ready_push(cursor, cursor->next);
        (void)queue__cursor_extend(cursor, QUEUE_SLOT_READY);
    }
    return BASE_ERR_OK;
}

enum base_err queue_cursor_load_done(struct queue_cursor *cursor, int64_t first, int64_t last)
{
    enum base_err err = BASE_ERR_OK;
    int64_t count;

    if (last < first || !is_possible(first) || !is_possible(last)) {
        return BASE_ERR_CORRUPT;
    }
    if (last < cursor->floor) {
        return BASE_ERR_OK;
    }
    if (first > cursor->next) {
        err = load_up_to(cursor, first - 1);
    }
    int64_t known = last < cursor->next ? last + 1 : cursor->next;
    for (int64_t offset = first > cursor->floor ? first : cursor->floor;
         offset < known && (offset = queue_cursor_next_undone(cursor, offset)) < known; offset++) {
        struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);
        if (slot->state == QUEUE_SLOT_READY || slot->state == QUEUE_SLOT_DEAD) {
            queue__cursor_mark_done(cursor, slot);
        }
    }
    if (err == BASE_ERR_OK && cursor->next <= last) {
        err = queue__cursor_extend_done(cursor, QUEUE_SLOT_DONE, last + 1, &count);
    }
    queue__cursor_floor_advance(cursor);
    return err;
}

enum base_err queue_cursor_load_failures(struct queue_cursor *cursor, int64_t offset,
                                         uint32_t failures, bool timed_out)
{
    if (offset < 0 || failures > QUEUE_FAILURES_MAX) {
        return BASE_ERR_CORRUPT;
    }
    if (offset < cursor->floor) {
        return BASE_ERR_OK;
    }
    enum base_err err = load_up_to(cursor, offset);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);
    if (slot->state == QUEUE_SLOT_READY) {
        slot->failures = (uint8_t)failures;
        slot->timed_out = timed_out;
        if (cursor->failures_max > 0 && failures >= cursor->failures_max) {
            queue__cursor_make_ready(cursor, slot,
                                     offset); /* dead: its place in the heap is stale */
        }
    }
    return BASE_ERR_OK;
}

enum base_err queue_cursor_load_moved(struct queue_cursor *cursor, int64_t offset)
{
    if (offset < cursor->floor) {
        return BASE_ERR_OK;
    }
    enum base_err err = load_up_to(cursor, offset);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);
    if (!queue__slot_is_done(slot)) {
        queue__cursor_mark_done(cursor, slot);
        cursor->consumed++;
        queue__cursor_floor_advance(cursor);
    }
    return BASE_ERR_OK;
}
