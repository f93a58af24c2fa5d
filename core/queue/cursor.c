/* Bookkeeping of one group on one partition: the ring, the heap of ready offsets, and what
 * passes without having been leased. Leases are in cursor_lease.c, recovery in cursor_load.c, what
 * the ring leaves behind in cursor_floor.c.
 *
 * The ring keeps 16 bytes an offset between base and next; a caught-up cursor keeps none. Ready
 * offsets are in a heap, so that each step costs O(log n); an offset that stopped being ready stays
 * in the heap until it comes to the top. The heap has room for everything that is leased: a lease
 * can always end. */
#include "core/queue/cursor_priv.h"

#include <assert.h>
#include <stddef.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/stragglers_priv.h"

enum {
    SLOTS_CAPACITY_FIRST = 64,
    SLOTS_CAPACITY_MAX = 16384, /* then the older half is left behind */
    READY_CAPACITY_FIRST = 64,
    STALE_SHARE = 2, /* with so many ready offsets for each that is not done the heap is rebuilt */
    RUN_MIN = 4096,  /* more offsets that are done at once do not go through the ring */
};

static_assert(QUEUE_SLOT_STATE_COUNT <= UINT8_MAX, "a slot's state is one byte");
static_assert(sizeof(struct queue_slot) <= 16, "a full ring must stay below 256 KiB");

void queue_cursor_init(struct queue_cursor *cursor, struct base_timer_heap *deadlines,
                       int64_t floor)
{
    BASE_ASSERT(cursor != NULL);
    BASE_ASSERT(deadlines != NULL);
    BASE_ASSERT(floor >= 0);

    *cursor =
        (struct queue_cursor){.deadlines = deadlines, .floor = floor, .base = floor, .next = floor};
}

struct queue_slot *queue_cursor_slot(const struct queue_cursor *cursor, int64_t offset)
{
    if (offset < cursor->floor || offset >= cursor->next) {
        return NULL;
    }
    return queue__cursor_slot_at(cursor, offset);
}

void queue__cursor_forget(struct queue_cursor *cursor)
{
    BASE_ASSERT(cursor->open_count == 0);

    base_free(cursor->slots);
    base_free(cursor->ready);
    queue__stragglers_free(&cursor->stragglers);
    cursor->slots = NULL;
    cursor->ready = NULL;
    cursor->slots_capacity = 0;
    cursor->ready_capacity = 0;
    cursor->ready_count = 0;
    cursor->done_count = 0;
    cursor->skipped_count = 0;
    cursor->filtered_count = 0;
    cursor->dead_count = 0;
    cursor->base = cursor->floor;
    cursor->next = cursor->floor;
}

void queue_cursor_fini(struct queue_cursor *cursor)
{
    int64_t offset = queue_cursor_next_undone(cursor, cursor->floor);
    while (offset < cursor->next && cursor->open_count > 0) {
        struct queue_slot *slot = queue__cursor_slot_at(cursor, offset);
        if (slot->lease != NULL) {
            queue__cursor_lease_drop(slot);
        }
        offset = queue_cursor_next_undone(cursor, offset + 1);
    }
    queue__cursor_forget(cursor);
}

enum base_err queue__cursor_reserve_slot(struct queue_cursor *cursor)
{
    uint64_t needed = (uint64_t)(cursor->next - cursor->base) + 1;
    if (needed <= cursor->slots_capacity) {
        return BASE_ERR_OK;
    }
    if (cursor->slots_capacity == SLOTS_CAPACITY_MAX) {
        return queue__cursor_leave_behind(cursor, cursor->base + SLOTS_CAPACITY_MAX / 2);
    }
    uint32_t capacity =
        cursor->slots_capacity == 0 ? SLOTS_CAPACITY_FIRST : cursor->slots_capacity * 2;
    struct queue_slot *slots = base_alloc_array(capacity, sizeof *slots);
    if (slots == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (int64_t offset = cursor->base; offset < cursor->next; offset++) {
        slots[(uint64_t)offset & (capacity - 1)] = *queue__cursor_ring_at(cursor, offset);
    }
    base_free(cursor->slots);
    cursor->slots = slots;
    cursor->slots_capacity = capacity;
    return BASE_ERR_OK;
}

static uint32_t ready_needed(const struct queue_cursor *cursor)
{
    return cursor->ready_count + cursor->open_count + cursor->moving_count + 2; /* [0] is unused */
}

enum base_err queue__cursor_reserve_ready(struct queue_cursor *cursor)
{
    int64_t undone = cursor->next - cursor->floor - cursor->done_count;

    if (ready_needed(cursor) <= cursor->ready_capacity) {
        return BASE_ERR_OK;
    }
    /* What is moved out of turn, and comes back, has left its offset in the heap each time. */
    if (cursor->ready_count / STALE_SHARE > undone) {
        queue__cursor_ready_rebuild(cursor);
    }
    uint32_t needed = ready_needed(cursor);
    if (needed <= cursor->ready_capacity) {
        return BASE_ERR_OK;
    }
    uint32_t capacity =
        cursor->ready_capacity == 0 ? READY_CAPACITY_FIRST : cursor->ready_capacity * 2;
    BASE_ASSERT(capacity >= needed);
    int64_t *ready = base_realloc_array(cursor->ready, capacity, sizeof *ready);
    if (ready == NULL) {
        return BASE_ERR_NOMEM;
    }
    cursor->ready = ready;
    cursor->ready_capacity = capacity;
    return BASE_ERR_OK;
}

void queue__cursor_ready_push(struct queue_cursor *cursor, int64_t offset)
{
    BASE_ASSERT(cursor->ready_count + 1 < cursor->ready_capacity);

    uint32_t i = ++cursor->ready_count;
    for (; i > 1 && cursor->ready[i / 2] > offset; i /= 2) {
        cursor->ready[i] = cursor->ready[i / 2];
    }
    cursor->ready[i] = offset;
}

void queue__cursor_ready_pop(struct queue_cursor *cursor)
{
    BASE_ASSERT(cursor->ready_count > 0);

    int64_t last = cursor->ready[cursor->ready_count--];
    uint32_t i = 1;
    for (uint32_t child = 2; child <= cursor->ready_count; child = 2 * i) {
        if (child < cursor->ready_count && cursor->ready[child + 1] < cursor->ready[child]) {
            child++;
        }
        if (cursor->ready[child] >= last) {
            break;
        }
        cursor->ready[i] = cursor->ready[child];
        i = child;
    }
    cursor->ready[i] = last;
}

void queue__cursor_ready_rebuild(struct queue_cursor *cursor)
{
    cursor->ready_count = 0;
    for (int64_t offset = cursor->floor;
         (offset = queue_cursor_next_undone(cursor, offset)) < cursor->next; offset++) {
        if (queue__cursor_slot_at(cursor, offset)->state == QUEUE_SLOT_READY) {
            queue__cursor_ready_push(cursor, offset);
        }
    }
}

struct queue_slot *queue__cursor_extend(struct queue_cursor *cursor, enum queue_slot_state state)
{
    BASE_ASSERT(cursor->next - cursor->base < (int64_t)cursor->slots_capacity);

    cursor->next++;
    struct queue_slot *slot = queue__cursor_ring_at(cursor, cursor->next - 1);
    *slot = (struct queue_slot){.state = (uint8_t)state};
    cursor->done_count += queue__slot_is_done(slot);
    cursor->skipped_count += state == QUEUE_SLOT_SKIPPED;
    cursor->filtered_count += state == QUEUE_SLOT_FILTERED;
    return slot;
}

/* The same for many: one run, which the ring does not hold. */
static enum base_err extend_run(struct queue_cursor *cursor, enum queue_slot_state state,
                                int64_t to)
{
    const struct queue_slot slot = {.state = (uint8_t)state};
    int64_t count = to - cursor->next;

    enum base_err err = queue__cursor_leave_behind(cursor, cursor->next);
    if (err == BASE_ERR_OK) {
        err = queue__stragglers_reserve(&cursor->stragglers, 1);
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    queue__stragglers_append(&cursor->stragglers, cursor->next, count, &slot);
    cursor->done_count += count;
    cursor->skipped_count += state == QUEUE_SLOT_SKIPPED ? count : 0;
    cursor->filtered_count += state == QUEUE_SLOT_FILTERED ? count : 0;
    cursor->base = to;
    cursor->next = to;
    return BASE_ERR_OK;
}

enum base_err queue__cursor_extend_done(struct queue_cursor *cursor, enum queue_slot_state state,
                                        int64_t to, int64_t *count)
{
    enum base_err err = BASE_ERR_OK;
    int64_t from = cursor->next;

    BASE_ASSERT(state == QUEUE_SLOT_DONE || state == QUEUE_SLOT_SKIPPED ||
                state == QUEUE_SLOT_FILTERED);
    if (cursor->floor == cursor->next) {
        cursor->floor = to;
        cursor->base = to;
        cursor->next = to;
    } else if (to - cursor->next > RUN_MIN) {
        err = extend_run(cursor, state, to);
    }
    while (err == BASE_ERR_OK && cursor->next < to) {
        err = queue__cursor_reserve_slot(cursor);
        if (err == BASE_ERR_OK) {
            (void)queue__cursor_extend(cursor, state);
        }
    }
    *count = cursor->next - from;
    return err;
}

void queue__cursor_mark_done(struct queue_cursor *cursor, struct queue_slot *slot)
{
    BASE_ASSERT(!queue__slot_is_done(slot));
    BASE_ASSERT(slot->lease == NULL);

    cursor->dead_count -= slot->state == QUEUE_SLOT_DEAD;
    slot->state = QUEUE_SLOT_DONE;
    slot->failures = 0;
    cursor->done_count++;
}

void queue__cursor_mark_skipped(struct queue_cursor *cursor, struct queue_slot *slot)
{
    queue__cursor_mark_done(cursor, slot);
    slot->state = QUEUE_SLOT_SKIPPED;
    cursor->skipped_count++;
    cursor->skipped++;
}

bool queue_cursor_is_full(const struct queue_cursor *cursor)
{
    return cursor->next - cursor->floor - cursor->done_count >= QUEUE_UNDONE_MAX;
}

int64_t queue_cursor_candidate(struct queue_cursor *cursor, int64_t end)
{
    while (cursor->ready_count > 0) {
        int64_t offset = cursor->ready[1];
        struct queue_slot *slot = queue_cursor_slot(cursor, offset);
        if (slot != NULL && slot->state == QUEUE_SLOT_READY) {
            return offset < end ? offset : -1;
        }
        queue__cursor_ready_pop(cursor);
    }
    return cursor->next < end && !queue_cursor_is_full(cursor) ? cursor->next : -1;
}

/* What passed at `offset` lies above the floor: the journal must learn of it before it learns of
 * much more, or recovery would not know it from what is not done. */
static void note_unwritten(struct queue_cursor *cursor, int64_t offset, int64_t count)
{
    cursor->unwritten_count += offset >= cursor->floor ? count : 0;
}

enum base_err queue_cursor_pass_gap(struct queue_cursor *cursor, int64_t candidate, int64_t to)
{
    BASE_ASSERT(to > candidate);

    enum base_err err = BASE_ERR_OK;
    int64_t count = 1;
    if (candidate < cursor->next) {
        queue__cursor_mark_done(cursor, queue__cursor_slot_at(cursor, candidate));
    } else {
        BASE_ASSERT(candidate == cursor->next);
        err = queue__cursor_extend_done(cursor, QUEUE_SLOT_DONE, to, &count);
    }
    queue__cursor_floor_advance(cursor);
    note_unwritten(cursor, candidate, count);
    return err;
}

/* Makes everything new up to `to` skipped. */
static enum base_err skip_new(struct queue_cursor *cursor, int64_t to)
{
    int64_t from = cursor->next;
    int64_t count;
    enum base_err err = queue__cursor_extend_done(cursor, QUEUE_SLOT_SKIPPED, to, &count);
    cursor->skipped += count;
    queue__cursor_floor_advance(cursor);
    note_unwritten(cursor, from, count);
    return err;
}

enum base_err queue_cursor_drop(struct queue_cursor *cursor, int64_t candidate, int64_t to)
{
    BASE_ASSERT(to > candidate);

    enum base_err err = BASE_ERR_OK;
    if (candidate < cursor->next) {
        queue__cursor_mark_skipped(cursor, queue__cursor_slot_at(cursor, candidate));
        queue__cursor_floor_advance(cursor);
        note_unwritten(cursor, candidate, 1);
    } else {
        BASE_ASSERT(candidate == cursor->next);
        err = skip_new(cursor, to);
    }
    return err;
}

enum base_err queue_cursor_filter(struct queue_cursor *cursor, int64_t candidate)
{
    int64_t count = 1;
    enum base_err err = BASE_ERR_OK;

    if (candidate < cursor->next) {
        struct queue_slot *slot = queue__cursor_slot_at(cursor, candidate);
        queue__cursor_mark_done(cursor, slot);
        slot->state = QUEUE_SLOT_FILTERED;
        cursor->filtered_count++;
    } else {
        BASE_ASSERT(candidate == cursor->next);
        err = queue__cursor_extend_done(cursor, QUEUE_SLOT_FILTERED, candidate + 1, &count);
    }
    cursor->consumed += count;
    cursor->unwritten_count += count;
    queue__cursor_floor_advance(cursor);
    return err;
}

static void slot_is_written(struct queue_slot *slot)
{
    if (slot->state == QUEUE_SLOT_FILTERED || slot->state == QUEUE_SLOT_SKIPPED) {
        slot->state = QUEUE_SLOT_DONE;
    }
}

void queue_cursor_written(struct queue_cursor *cursor)
{
    bool has_any = cursor->filtered_count > 0 || cursor->skipped_count > 0;

    for (uint32_t i = cursor->stragglers.first; has_any && i < cursor->stragglers.end; i++) {
        slot_is_written(&cursor->stragglers.entries[i].slot);
    }
    for (int64_t offset = cursor->base; has_any && offset < cursor->next; offset++) {
        slot_is_written(queue__cursor_ring_at(cursor, offset));
    }
    cursor->filtered_count = 0;
    cursor->skipped_count = 0;
    cursor->unwritten_count = 0;
}

enum base_err queue_cursor_trim(struct queue_cursor *cursor, int64_t start)
{
    int64_t from = cursor->trimmed_to > cursor->floor ? cursor->trimmed_to : cursor->floor;
    int64_t to = start < cursor->next ? start : cursor->next;
    int64_t count = 0;

    BASE_ASSERT(cursor->trimmed_to <= cursor->next);
    while (from < to && (from = queue_cursor_next_undone(cursor, from)) < to) {
        struct queue_slot *slot = queue__cursor_slot_at(cursor, from++);
        if (slot->state == QUEUE_SLOT_READY || slot->state == QUEUE_SLOT_DEAD) {
            queue__cursor_mark_skipped(cursor, slot);
            count++;
        }
    }
    if (cursor->trimmed_to < to) {
        cursor->trimmed_to = to;
    }
    queue__cursor_floor_advance(cursor);
    note_unwritten(cursor, from - 1, count);
    enum base_err err = cursor->next < start ? skip_new(cursor, start) : BASE_ERR_OK;
    if (err == BASE_ERR_OK && cursor->trimmed_to < start) {
        cursor->trimmed_to = start;
    }
    return err;
}

void queue_cursor_adopt(struct queue_cursor *cursor, int64_t offset)
{
    BASE_ASSERT(cursor->floor == cursor->next);
    BASE_ASSERT(offset >= cursor->floor);

    cursor->consumed += offset - cursor->floor;
    cursor->floor = offset;
    cursor->base = offset;
    cursor->next = offset;
}

int64_t queue_cursor_consumed_at(const struct queue_cursor *cursor, int64_t offset)
{
    int64_t below_floor = cursor->consumed + cursor->skipped - cursor->done_count;
    int64_t below_offset = below_floor + (offset - cursor->floor);
    return below_offset > 0 ? below_offset : 0;
}

void queue_cursor_reset(struct queue_cursor *cursor, int64_t offset)
{
    cursor->consumed = queue_cursor_consumed_at(cursor, offset);
    cursor->skipped = 0;
    cursor->unwritten_count = 0;
    cursor->floor = offset;
    queue__cursor_forget(cursor);
    queue__cursor_untrim(cursor);
}

int64_t queue_cursor_available(const struct queue_cursor *cursor, int64_t start, int64_t end)
{
    int64_t done = cursor->done_count;

    if (start <= cursor->floor) {
        start = cursor->floor;
    } else if (start >= cursor->next) {
        done = 0;
    } else {
        done = cursor->next - start;
        for (int64_t offset = start;
             (offset = queue_cursor_next_undone(cursor, offset)) < cursor->next; offset++) {
            done--;
        }
    }
    int64_t available = end - start - done;
    return available > 0 ? available : 0;
}
