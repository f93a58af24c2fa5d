/* Bookkeeping of one group on one partition.
 *
 * The ring keeps 16 bytes an offset between floor and next, at most QUEUE_CURSOR_SPAN_MAX of
 * them; a caught-up cursor keeps none. Ready offsets are in a heap, so that each step costs
 * O(log n); an offset that stopped being ready stays in the heap until it comes to the top.
 * The heap has room for everything that is leased: a lease can always end. */
#include "core/queue/cursor.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"

enum {
    SLOTS_CAPACITY_FIRST = 64,
    SLOTS_CAPACITY_IDLE = 1024, /* a caught-up cursor gives a larger ring back */
    READY_CAPACITY_FIRST = 64,
    FAILURES_MAX = UINT8_MAX,
};

static_assert(QUEUE_SLOT_STATE_COUNT <= UINT8_MAX, "a slot's state is one byte");
static_assert(sizeof(struct queue_slot) <= 16, "100,000 slots must stay below 2 MiB");

void queue_cursor_init(struct queue_cursor *cursor, struct base_timer_heap *deadlines,
                       int64_t floor)
{
    BASE_ASSERT(cursor != NULL);
    BASE_ASSERT(deadlines != NULL);
    BASE_ASSERT(floor >= 0);

    *cursor = (struct queue_cursor){.deadlines = deadlines, .floor = floor, .next = floor};
}

static struct queue_slot *slot_at(const struct queue_cursor *cursor, int64_t offset)
{
    BASE_ASSERT(offset >= cursor->floor);
    BASE_ASSERT(offset < cursor->next);
    return &cursor->slots[(uint64_t)offset & (cursor->slots_capacity - 1)];
}

struct queue_slot *queue_cursor_slot(const struct queue_cursor *cursor, int64_t offset)
{
    if (offset < cursor->floor || offset >= cursor->next) {
        return NULL;
    }
    return slot_at(cursor, offset);
}

/* Leaves the ring and the heap as at the start; leases must be gone. */
static void forget(struct queue_cursor *cursor)
{
    BASE_ASSERT(cursor->open_count == 0);

    base_free(cursor->slots);
    base_free(cursor->ready);
    cursor->slots = NULL;
    cursor->ready = NULL;
    cursor->slots_capacity = 0;
    cursor->ready_capacity = 0;
    cursor->ready_count = 0;
    cursor->done_count = 0;
    cursor->skipped_count = 0;
    cursor->next = cursor->floor;
}

static void lease_free(struct queue_lease *lease)
{
    if (lease->timer.heap_index != 0) {
        base_timer_heap_stop(lease->cursor->deadlines, &lease->timer);
    }
    base_free(lease);
}

/* One offset of the slot's lease is over. */
static void lease_drop(struct queue_slot *slot)
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

void queue_cursor_fini(struct queue_cursor *cursor)
{
    for (int64_t offset = cursor->floor; offset < cursor->next && cursor->open_count > 0;
         offset++) {
        struct queue_slot *slot = slot_at(cursor, offset);
        if (slot->lease != NULL) {
            lease_drop(slot);
        }
    }
    forget(cursor);
}

/* Room for one more slot. */
static enum base_err reserve_slot(struct queue_cursor *cursor)
{
    uint64_t needed = (uint64_t)(cursor->next - cursor->floor) + 1;
    if (needed <= cursor->slots_capacity) {
        return BASE_ERR_OK;
    }
    BASE_ASSERT(needed <= QUEUE_CURSOR_SPAN_MAX);

    uint32_t capacity =
        cursor->slots_capacity == 0 ? SLOTS_CAPACITY_FIRST : cursor->slots_capacity * 2;
    struct queue_slot *slots = base_alloc_array(capacity, sizeof *slots);
    if (slots == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (int64_t offset = cursor->floor; offset < cursor->next; offset++) {
        slots[(uint64_t)offset & (capacity - 1)] = *slot_at(cursor, offset);
    }
    base_free(cursor->slots);
    cursor->slots = slots;
    cursor->slots_capacity = capacity;
    return BASE_ERR_OK;
}

/* Room in the heap for everything that is leased and one more. */
static enum base_err reserve_ready(struct queue_cursor *cursor)
{
    uint32_t needed = cursor->ready_count + cursor->open_count + 2; /* [0] is unused */
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

static void ready_push(struct queue_cursor *cursor, int64_t offset)
{
    BASE_ASSERT(cursor->ready_count + 1 < cursor->ready_capacity);

    uint32_t i = ++cursor->ready_count;
    for (; i > 1 && cursor->ready[i / 2] > offset; i /= 2) {
        cursor->ready[i] = cursor->ready[i / 2];
    }
    cursor->ready[i] = offset;
}

static void ready_pop(struct queue_cursor *cursor)
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

static bool is_done(const struct queue_slot *slot)
{
    return slot->state == QUEUE_SLOT_DONE || slot->state == QUEUE_SLOT_SKIPPED;
}

/* The slot leaves the ring. */
static void uncount_done(struct queue_cursor *cursor, const struct queue_slot *slot)
{
    cursor->done_count -= is_done(slot);
    cursor->skipped_count -= slot->state == QUEUE_SLOT_SKIPPED;
}

static void floor_advance(struct queue_cursor *cursor)
{
    while (cursor->floor < cursor->next && is_done(slot_at(cursor, cursor->floor))) {
        uncount_done(cursor, slot_at(cursor, cursor->floor));
        cursor->floor++;
    }
    if (cursor->floor == cursor->next) {
        BASE_ASSERT(cursor->done_count == 0);
        BASE_ASSERT(cursor->skipped_count == 0);
        cursor->ready_count = 0; /* stale ones only */
        if (cursor->slots_capacity > SLOTS_CAPACITY_IDLE) {
            forget(cursor);
        }
    }
}

/* Puts next into the ring. Room was made. */
static struct queue_slot *extend(struct queue_cursor *cursor, enum queue_slot_state state)
{
    BASE_ASSERT(cursor->next - cursor->floor < (int64_t)cursor->slots_capacity);

    cursor->next++;
    struct queue_slot *slot = slot_at(cursor, cursor->next - 1);
    *slot = (struct queue_slot){.state = (uint8_t)state};
    cursor->done_count += is_done(slot);
    cursor->skipped_count += state == QUEUE_SLOT_SKIPPED;
    return slot;
}

/* Appends slots that are done, up to `to` or the end of the span; *count says how many. With
 * nothing in the ring there is no limit. */
static enum base_err extend_done(struct queue_cursor *cursor, enum queue_slot_state state,
                                 int64_t to, int64_t *count)
{
    BASE_ASSERT(state == QUEUE_SLOT_DONE || state == QUEUE_SLOT_SKIPPED);

    enum base_err err = BASE_ERR_OK;
    int64_t from = cursor->next;

    if (cursor->floor == cursor->next) {
        cursor->floor = to;
        cursor->next = to;
    }
    while (err == BASE_ERR_OK && cursor->next < to &&
           cursor->next - cursor->floor < QUEUE_CURSOR_SPAN_MAX) {
        err = reserve_slot(cursor);
        if (err == BASE_ERR_OK) {
            (void)extend(cursor, state);
        }
    }
    *count = cursor->next - from;
    return err;
}

static void mark_done(struct queue_cursor *cursor, struct queue_slot *slot)
{
    BASE_ASSERT(!is_done(slot));
    BASE_ASSERT(slot->lease == NULL);

    slot->state = QUEUE_SLOT_DONE;
    slot->failures = 0;
    cursor->done_count++;
}

static void mark_skipped(struct queue_cursor *cursor, struct queue_slot *slot)
{
    mark_done(cursor, slot);
    slot->state = QUEUE_SLOT_SKIPPED;
    cursor->skipped_count++;
    cursor->skipped++;
}

int64_t queue_cursor_candidate(struct queue_cursor *cursor, int64_t end)
{
    while (cursor->ready_count > 0) {
        int64_t offset = cursor->ready[1];
        struct queue_slot *slot = queue_cursor_slot(cursor, offset);
        if (slot != NULL && slot->state == QUEUE_SLOT_READY) {
            return offset < end ? offset : -1;
        }
        ready_pop(cursor);
    }
    bool has_room = cursor->next - cursor->floor < QUEUE_CURSOR_SPAN_MAX;
    return cursor->next < end && has_room ? cursor->next : -1;
}

enum base_err queue_cursor_pass_gap(struct queue_cursor *cursor, int64_t candidate, int64_t to)
{
    BASE_ASSERT(to > candidate);

    enum base_err err = BASE_ERR_OK;
    if (candidate < cursor->next) {
        mark_done(cursor, slot_at(cursor, candidate));
    } else {
        int64_t count;
        BASE_ASSERT(candidate == cursor->next);
        err = extend_done(cursor, QUEUE_SLOT_DONE, to, &count);
    }
    floor_advance(cursor);
    return err;
}

/* Makes everything new up to `to` skipped, as far as the span allows. */
static enum base_err skip_new(struct queue_cursor *cursor, int64_t to)
{
    int64_t count;
    enum base_err err = extend_done(cursor, QUEUE_SLOT_SKIPPED, to, &count);
    cursor->skipped += count;
    return err;
}

enum base_err queue_cursor_drop(struct queue_cursor *cursor, int64_t candidate, int64_t to)
{
    BASE_ASSERT(to > candidate);

    enum base_err err = BASE_ERR_OK;
    if (candidate < cursor->next) {
        mark_skipped(cursor, slot_at(cursor, candidate));
    } else {
        BASE_ASSERT(candidate == cursor->next);
        err = skip_new(cursor, to);
    }
    floor_advance(cursor);
    return err;
}

enum base_err queue_cursor_take(struct queue_cursor *cursor, struct queue_lease *lease,
                                int64_t candidate)
{
    BASE_ASSERT(lease->cursor == cursor);
    BASE_ASSERT(lease->count < QUEUE_MESSAGES_MAX);
    BASE_ASSERT(lease->timer.heap_index == 0);

    struct queue_slot *slot;
    enum base_err err = reserve_ready(cursor);
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (candidate < cursor->next) {
        slot = slot_at(cursor, candidate);
        BASE_ASSERT(slot->state == QUEUE_SLOT_READY);
        BASE_ASSERT(cursor->ready[1] == candidate);
        ready_pop(cursor);
        slot->state = QUEUE_SLOT_LEASED;
    } else {
        BASE_ASSERT(candidate == cursor->next);
        err = reserve_slot(cursor);
        if (err != BASE_ERR_OK) {
            return err;
        }
        slot = extend(cursor, QUEUE_SLOT_LEASED);
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

/* The slot's lease is over; it can be delivered again, unless its message is gone. */
static void make_ready(struct queue_cursor *cursor, struct queue_slot *slot, int64_t offset)
{
    lease_drop(slot);
    if (offset < cursor->trimmed_to) {
        mark_skipped(cursor, slot);
    } else {
        slot->state = QUEUE_SLOT_READY;
        ready_push(cursor, offset);
    }
}

static void count_failure(struct queue_slot *slot)
{
    if (slot->failures < FAILURES_MAX) {
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
        count_failure(slot);
        make_ready(cursor, slot, offset);
        if (slot->state == QUEUE_SLOT_READY && failed != NULL) {
            failed(context, offset, slot->failures);
        }
    }
    floor_advance(cursor);
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

    struct queue_slot *slot = slot_at(cursor, offset);
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
    const struct queue_lease *lease = slot_at(cursor, offset)->lease;
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

static bool is_settling(const struct queue_slot *slot)
{
    return slot->state == QUEUE_SLOT_ACKING || slot->state == QUEUE_SLOT_FAILING ||
           slot->state == QUEUE_SLOT_RETURNING;
}

void queue_cursor_settle(struct queue_cursor *cursor, int64_t offset)
{
    struct queue_slot *slot = slot_at(cursor, offset);

    BASE_ASSERT(is_settling(slot));
    if (slot->state == QUEUE_SLOT_ACKING) {
        cursor->acking_count--;
        cursor->consumed++;
        lease_drop(slot);
        mark_done(cursor, slot);
    } else {
        if (slot->state == QUEUE_SLOT_FAILING) {
            count_failure(slot);
        }
        make_ready(cursor, slot, offset);
    }
    floor_advance(cursor);
}

void queue_cursor_unhold(struct queue_cursor *cursor, int64_t offset)
{
    struct queue_slot *slot = slot_at(cursor, offset);

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

enum base_err queue_cursor_trim(struct queue_cursor *cursor, int64_t start)
{
    int64_t offset = cursor->trimmed_to > cursor->floor ? cursor->trimmed_to : cursor->floor;
    enum base_err err = BASE_ERR_OK;

    for (; offset < start && offset < cursor->next; offset++) {
        struct queue_slot *slot = slot_at(cursor, offset);
        if (slot->state == QUEUE_SLOT_READY) {
            mark_skipped(cursor, slot);
        }
    }
    if (cursor->trimmed_to < start) {
        cursor->trimmed_to = start;
    }
    floor_advance(cursor);
    if (cursor->next < start) {
        err = skip_new(cursor, start);
        floor_advance(cursor);
    }
    return err;
}

void queue_cursor_adopt(struct queue_cursor *cursor, int64_t offset)
{
    BASE_ASSERT(cursor->floor == cursor->next);
    BASE_ASSERT(offset >= cursor->floor);

    cursor->consumed += offset - cursor->floor;
    cursor->floor = offset;
    cursor->next = offset;
}

int64_t queue_cursor_available(const struct queue_cursor *cursor, int64_t start, int64_t end)
{
    int64_t done = 0;

    if (start <= cursor->floor) {
        start = cursor->floor;
        done = cursor->done_count;
    } else {
        for (int64_t offset = start; offset < cursor->next; offset++) {
            done += is_done(slot_at(cursor, offset));
        }
    }
    int64_t available = end - start - done;
    return available > 0 ? available : 0;
}

/* Puts all ready slots, and nothing else, into the heap. There is room. */
static void ready_rebuild(struct queue_cursor *cursor)
{
    cursor->ready_count = 0;
    for (int64_t offset = cursor->floor; offset < cursor->next; offset++) {
        if (slot_at(cursor, offset)->state == QUEUE_SLOT_READY) {
            ready_push(cursor, offset);
        }
    }
}

bool queue_cursor_cut(struct queue_cursor *cursor, int64_t end)
{
    BASE_ASSERT(cursor->open_count == 0);

    if (cursor->next <= end) {
        return false;
    }
    if (cursor->floor >= end) {
        cursor->floor = end;
        forget(cursor);
        return true;
    }
    for (int64_t offset = end; offset < cursor->next; offset++) {
        uncount_done(cursor, slot_at(cursor, offset));
    }
    cursor->next = end;
    ready_rebuild(cursor);
    return true;
}

void queue_cursor_load_clear(struct queue_cursor *cursor)
{
    cursor->floor = 0;
    cursor->consumed = 0;
    cursor->skipped = 0;
    cursor->trimmed_to = 0;
    forget(cursor);
}

enum base_err queue_cursor_load_floor(struct queue_cursor *cursor, int64_t floor, int64_t consumed,
                                      int64_t skipped, bool used)
{
    if (floor < 0 || consumed < 0 || skipped < 0) {
        return BASE_ERR_CORRUPT;
    }
    cursor->consumed = consumed;
    cursor->skipped = skipped;
    cursor->used = used;
    while (cursor->floor < floor && cursor->floor < cursor->next) {
        uncount_done(cursor, slot_at(cursor, cursor->floor));
        cursor->floor++;
    }
    if (cursor->floor < floor) {
        cursor->floor = floor;
        cursor->next = floor;
    }
    floor_advance(cursor);
    return BASE_ERR_OK;
}

/* Makes next larger than offset: what was not known of yet is ready. */
static enum base_err load_up_to(struct queue_cursor *cursor, int64_t offset)
{
    if (offset - cursor->floor >= QUEUE_CURSOR_SPAN_MAX) {
        return BASE_ERR_CORRUPT;
    }
    while (cursor->next <= offset) {
        enum base_err err = reserve_slot(cursor);
        if (err == BASE_ERR_OK) {
            err = reserve_ready(cursor);
        }
        if (err != BASE_ERR_OK) {
            return err;
        }
        ready_push(cursor, cursor->next);
        (void)extend(cursor, QUEUE_SLOT_READY);
    }
    return BASE_ERR_OK;
}

enum base_err queue_cursor_load_done(struct queue_cursor *cursor, int64_t first, int64_t last)
{
    if (first < 0 || last < first) {
        return BASE_ERR_CORRUPT;
    }
    if (last < cursor->floor) {
        return BASE_ERR_OK;
    }
    enum base_err err = load_up_to(cursor, last);
    if (err != BASE_ERR_OK) {
        return err;
    }
    for (int64_t offset = first > cursor->floor ? first : cursor->floor; offset <= last; offset++) {
        struct queue_slot *slot = slot_at(cursor, offset);
        if (slot->state == QUEUE_SLOT_READY) {
            mark_done(cursor, slot);
        }
    }
    floor_advance(cursor);
    return BASE_ERR_OK;
}

enum base_err queue_cursor_load_failures(struct queue_cursor *cursor, int64_t offset,
                                         uint32_t failures)
{
    if (offset < 0 || failures > FAILURES_MAX) {
        return BASE_ERR_CORRUPT;
    }
    if (offset < cursor->floor) {
        return BASE_ERR_OK;
    }
    enum base_err err = load_up_to(cursor, offset);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct queue_slot *slot = slot_at(cursor, offset);
    if (slot->state == QUEUE_SLOT_READY) {
        slot->failures = (uint8_t)failures;
    }
    return BASE_ERR_OK;
}
