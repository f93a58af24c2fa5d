/* Leases on a cursor's offsets: taken, settled, over. */
#include "core/queue/cursor_priv.h"

#include <stddef.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

static void lease_free(struct queue_lease *lease)
{
    if (lease->timer.heap_index != 0) {
        base_timer_heap_stop(lease->cursor->deadlines, &lease->timer);
    }
    base_free(lease);
}

void queue__cursor_lease_drop(struct queue_slot *slot)
{
    struct queue_lease *lease = slot->lease;

    BASE_ASSERT(lease->open_count > 0);
    slot->lease = NULL;
    lease->open_count--;
    lease->cursor->open_count--;
    if (lease->open_count == 0) {
        lease_free(lease);
    }
}

enum base_err queue_cursor_take(struct queue_cursor *cursor, struct queue_lease *lease,
                                int64_t candidate)
{
    BASE_ASSERT(lease->cursor == cursor);
    BASE_ASSERT(lease->count < QUEUE_MESSAGES_MAX);
    BASE_ASSERT(lease->timer.heap_index == 0);

    struct queue_slot *slot;
    enum base_err err = queue__cursor_reserve_ready(cursor);
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (candidate < cursor->next) {
        slot = queue__cursor_slot_at(cursor, candidate);
        BASE_ASSERT(slot->state == QUEUE_SLOT_READY);
        BASE_ASSERT(cursor->ready[1] == candidate);
        queue__cursor_ready_pop(cursor);
        slot->state = QUEUE_SLOT_LEASED;
    } else {
        BASE_ASSERT(candidate == cursor->next);
        err = queue__cursor_reserve_slot(cursor);
        if (err != BASE_ERR_OK) {
            return err;
        }
        slot = queue__cursor_extend(cursor, QUEUE_SLOT_LEASED);
    }
    cursor->used = true;
    slot->lease = lease;
    lease->offsets[lease->count++] = candidate;
    lease->open_count++;
    lease->leased_count++;
    cursor->open_count++;
    return BASE_ERR_OK;
}

static void lease_never_fires(struct base_timer *timer)
{
    (void)timer;
    BASE_UNREACHABLE("leases are taken out of the heap by their group");
}

struct queue_lease *queue_lease_create(struct queue_cursor *cursor, uint64_t number)
{
    struct queue_lease *lease = base_alloc_object(struct queue_lease);
    if (lease != NULL) {
        lease->cursor = cursor;
        lease->number = number;
        lease->timer.fire = lease_never_fires;
    }
    return lease;
}

static void lease_arm(struct queue_lease *lease)
{
    lease->timer.deadline_us = lease->deadline_us;
    base_timer_heap_arm(lease->cursor->deadlines, &lease->timer);
}

void queue_lease_start(struct queue_lease *lease, int64_t deadline_us)
{
    BASE_ASSERT(lease->open_count == lease->leased_count);

    lease->deadline_us = deadline_us;
    if (lease->open_count == 0) {
        lease_free(lease);
    } else {
        lease_arm(lease);
    }
}

static void count_failure(struct queue_slot *slot, bool timed_out)
{
    slot->timed_out = timed_out;
    if (slot->failures < QUEUE_FAILURES_MAX) {
        slot->failures++;
    }
}

void queue_lease_expire(struct queue_lease *lease, queue_lease_failed *failed, void *context)
{
    struct queue_cursor *cursor = lease->cursor;
    const struct queue_lease copy = *lease; /* it goes with its last offset */

    BASE_ASSERT(lease->leased_count > 0);
    base_timer_heap_stop(cursor->deadlines, &lease->timer);
    for (uint32_t i = 0; i < copy.count; i++) {
        int64_t offset = copy.offsets[i];
        struct queue_slot *slot = queue_cursor_slot(cursor, offset);
        if (slot == NULL || slot->lease != lease || slot->state != QUEUE_SLOT_LEASED) {
            continue;
        }
        lease->leased_count--;
        count_failure(slot, true);
        queue__cursor_lease_drop(slot);
        queue__cursor_make_ready(cursor, slot, offset);
        if (slot->state != QUEUE_SLOT_SKIPPED && failed != NULL) {
            failed(context, offset, slot->failures);
        }
    }
    queue__cursor_floor_advance(cursor);
}

bool queue_cursor_is_leased(const struct queue_cursor *cursor, int64_t offset,
                            uint64_t lease_number)
{
    const struct queue_slot *slot = queue_cursor_slot(cursor, offset);
    return slot != NULL && slot->state == QUEUE_SLOT_LEASED && slot->lease->number == lease_number;
}

void queue_cursor_hold(struct queue_cursor *cursor, int64_t offset, enum queue_slot_state state)
{
    BASE_ASSERT(state == QUEUE_SLOT_ACKING || state == QUEUE_SLOT_FAILING ||
                state == QUEUE_SLOT_RETURNING);

    struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);
    BASE_ASSERT(slot->state == QUEUE_SLOT_LEASED);
    slot->state = (uint8_t)state;
    if (state == QUEUE_SLOT_ACKING) {
        cursor->acking_count++;
    }
    if (--slot->lease->leased_count == 0 && slot->lease->timer.heap_index != 0) {
        base_timer_heap_stop(cursor->deadlines, &slot->lease->timer);
    }
}

uint32_t queue_cursor_leased_behind(const struct queue_cursor *cursor, int64_t offset,
                                    int64_t out[QUEUE_MESSAGES_MAX])
{
    const struct queue_lease *lease = queue__cursor_slot_at(cursor, offset)->lease;
    uint32_t count = 0;

    BASE_ASSERT(lease != NULL);
    for (uint32_t i = 0; i < lease->count; i++) {
        if (lease->offsets[i] > offset &&
            queue_cursor_is_leased(cursor, lease->offsets[i], lease->number)) {
            out[count++] = lease->offsets[i];
        }
    }
    return count;
}

bool queue_cursor_has_open_before(const struct queue_cursor *cursor, int64_t offset)
{
    const struct queue_lease *lease = queue__cursor_slot_at(cursor, offset)->lease;

    BASE_ASSERT(lease != NULL);
    for (uint32_t i = 0; i < lease->count && lease->offsets[i] < offset; i++) {
        const struct queue_slot *slot = queue_cursor_slot(cursor, lease->offsets[i]);
        if (slot != NULL && !queue__slot_is_done(slot) && slot->state != QUEUE_SLOT_ACKING) {
            return true;
        }
    }
    return false;
}

static bool is_settling(const struct queue_slot *slot)
{
    return slot->state == QUEUE_SLOT_ACKING || slot->state == QUEUE_SLOT_FAILING ||
           slot->state == QUEUE_SLOT_RETURNING;
}

void queue_cursor_settle(struct queue_cursor *cursor, int64_t offset)
{
    struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);

    BASE_ASSERT(is_settling(slot));
    if (slot->state == QUEUE_SLOT_ACKING) {
        cursor->acking_count--;
        cursor->consumed++;
        queue__cursor_lease_drop(slot);
        queue__cursor_mark_done(cursor, slot);
    } else {
        if (slot->state == QUEUE_SLOT_FAILING) {
            count_failure(slot, false);
        }
        queue__cursor_lease_drop(slot);
        queue__cursor_make_ready(cursor, slot, offset);
    }
    queue__cursor_floor_advance(cursor);
}

void queue_cursor_unhold(struct queue_cursor *cursor, int64_t offset)
{
    struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);

    BASE_ASSERT(is_settling(slot));
    if (slot->state == QUEUE_SLOT_ACKING) {
        cursor->acking_count--;
    }
    slot->state = QUEUE_SLOT_LEASED;
    if (slot->lease->leased_count++ == 0) {
        lease_arm(slot->lease);
    }
}

void queue_cursor_return(struct queue_cursor *cursor, int64_t offset)
{
    queue_cursor_hold(cursor, offset, QUEUE_SLOT_RETURNING);
    queue_cursor_settle(cursor, offset);
}
