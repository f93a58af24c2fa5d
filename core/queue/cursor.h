/* What one group has done with one partition: which offsets are done, leased, or to be
 * delivered (again). Pure bookkeeping: no I/O, no clock, no lock of its own.
 *
 * Below `floor` everything is done; at and above `next` nothing was looked at. Between `base` and
 * `next` a ring holds one slot an offset; between `floor` and `base` only what is not done is kept,
 * one by one. At most QUEUE_UNDONE_MAX offsets are not done; how far they lie apart does not
 * matter. An offset is not always a message: gaps (compaction, control batches) become done
 * without being counted. */
#ifndef QUEUE_CURSOR_H
#define QUEUE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/timer_heap.h"
#include "core/queue/queue.h"

enum {
    /* What a cursor may have passed without the journal's knowing when a record of it is written
     * that is not the whole. After a crash so much is looked at again. */
    QUEUE_UNWRITTEN_MAX = 10000,
};

struct queue_cursor;

/* Of an offset between floor and next. The three that settle wait for the journal: what
 * happens when it has the ack on disk is decided, and nobody else may touch the lease. */
enum queue_slot_state {
    QUEUE_SLOT_READY,     /* deliverable, in order of offsets */
    QUEUE_SLOT_LEASED,    /* delivered */
    QUEUE_SLOT_ACKING,    /* settles: will be done */
    QUEUE_SLOT_FAILING,   /* settles: will be ready with one more failure */
    QUEUE_SLOT_RETURNING, /* settles: will be ready */
    QUEUE_SLOT_DEAD,      /* failed too often: waits to be moved */
    QUEUE_SLOT_MOVING,    /* is being copied to where it is moved to */
    QUEUE_SLOT_MOVED,     /* settles: copied, will be done */
    QUEUE_SLOT_DONE,
    /* Done, too, as long as the journal does not know: */
    QUEUE_SLOT_SKIPPED,  /* a message that was dropped */
    QUEUE_SLOT_FILTERED, /* a message the group's tag rule does not want */
    QUEUE_SLOT_STATE_COUNT
};

/* What one consume got: up to QUEUE_MESSAGES_MAX offsets with one deadline. Owned by its
 * cursor until all of them are over. */
struct queue_lease {
    struct base_timer timer; /* armed in the deadlines heap while an offset is LEASED */
    struct queue_cursor *cursor;
    uint64_t number;
    int64_t deadline_us;
    int64_t offsets[QUEUE_MESSAGES_MAX];
    uint32_t count;
    uint32_t open_count;   /* offsets not over: leased or settling */
    uint32_t leased_count; /* of those: LEASED */
};

struct queue_slot {
    struct queue_lease *lease; /* borrowed; NULL unless leased or settling */
    uint8_t state;             /* enum queue_slot_state */
    uint8_t failures;          /* stays at 255 */
    bool timed_out;            /* the last failure was the end of a lease */
};

/* What the ring has left behind: see stragglers_priv.h. */
struct queue_straggler {
    int64_t offset;
    int64_t count; /* offsets; more than one only in runs of what is done */
    struct queue_slot slot;
};

struct queue_stragglers {
    struct queue_straggler *entries; /* owned; sorted; those that became DONE stay for a while */
    uint32_t first;
    uint32_t end;
    uint32_t capacity;
};

/* Fields are read freely, written only by cursor*.c. */
struct queue_cursor {
    struct base_timer_heap *deadlines; /* borrowed; the group's */
    int64_t floor;
    int64_t base; /* where the ring begins; at the floor unless there are stragglers */
    int64_t next;
    struct queue_stragglers stragglers;
    int64_t trimmed_to;       /* what was ready below it has been dropped; at most next */
    int64_t consumed;         /* messages done */
    int64_t skipped;          /* messages dropped: expired before they were done */
    struct queue_slot *slots; /* owned ring; offset o is at o & (capacity - 1) */
    int64_t *ready; /* owned binary heap of ready offsets, [0] unused; may hold stale ones */
    uint32_t slots_capacity;
    uint32_t ready_capacity;
    uint32_t ready_count;
    int64_t done_count;      /* DONE, SKIPPED and FILTERED offsets between floor and next */
    int64_t skipped_count;   /* of those: SKIPPED */
    int64_t filtered_count;  /* of those: FILTERED */
    int64_t unwritten_count; /* offsets passed since the journal got this cursor whole: filtered,
                              * or above the floor and dropped or missing */
    uint32_t open_count;     /* leased or settling slots */
    uint32_t acking_count;   /* of those, and of what is moved: ACKING or MOVED */
    uint32_t failures_max;   /* so many make a message DEAD; 0 = never */
    uint32_t dead_count;     /* DEAD slots */
    uint32_t moving_count;   /* MOVING and MOVED slots */
    int64_t dead_from;       /* no slot below it is DEAD */
    int64_t dead_to;         /* dead letters of the group below this offset are settled here */
    bool used;               /* has delivered something */
};

void queue_cursor_init(struct queue_cursor *cursor, struct base_timer_heap *deadlines,
                       int64_t floor);

/* Drops all leases. */
void queue_cursor_fini(struct queue_cursor *cursor);

/* Slot of an offset between floor and next; NULL elsewhere. Valid until the cursor changes. One
 * that is DONE is not written to. */
struct queue_slot *queue_cursor_slot(const struct queue_cursor *cursor, int64_t offset);

/* Smallest offset that is not done, at or above `offset`; `next` when there is none below that. */
int64_t queue_cursor_next_undone(const struct queue_cursor *cursor, int64_t offset);

/* So many offsets are not done that nothing new is delivered. */
bool queue_cursor_is_full(const struct queue_cursor *cursor);

/* Smallest offset to deliver, below end; -1 when there is none, or only new ones and it is full. */
int64_t queue_cursor_candidate(struct queue_cursor *cursor, int64_t end);

/* The candidate turned out not to exist, nor anything up to `to` (exclusive): all of it is done, if
 * it was new; otherwise the candidate. NOMEM: some of it. */
BASE_MUST_USE enum base_err queue_cursor_pass_gap(struct queue_cursor *cursor, int64_t candidate,
                                                  int64_t to);

/* The same for messages that may not, or cannot, be delivered: counted as skipped. */
BASE_MUST_USE enum base_err queue_cursor_drop(struct queue_cursor *cursor, int64_t candidate,
                                              int64_t to);

/* The tag rule does not want the candidate's message: it counts as consumed. NOMEM: it is as it
 * was. */
BASE_MUST_USE enum base_err queue_cursor_filter(struct queue_cursor *cursor, int64_t candidate);

/* The journal has got the cursor whole: what was filtered or dropped need not be found to be so
 * again. */
void queue_cursor_written(struct queue_cursor *cursor);

/* Puts the candidate under lease, which has room. */
BASE_MUST_USE enum base_err queue_cursor_take(struct queue_cursor *cursor,
                                              struct queue_lease *lease, int64_t candidate);

/* An empty lease, owned by the caller until queue_lease_start; NULL when memory is out. */
struct queue_lease *queue_lease_create(struct queue_cursor *cursor, uint64_t number);

/* Starts the lease's time, or frees it if it holds nothing. */
void queue_lease_start(struct queue_lease *lease, int64_t deadline_us);

/* Time is over: what is still leased failed, and is ready again. Calls failed (may be NULL)
 * for each such offset that is not skipped. Frees the lease if that was all of it. */
typedef void queue_lease_failed(void *context, int64_t offset, uint32_t failures);
void queue_lease_expire(struct queue_lease *lease, queue_lease_failed *failed, void *context);

/* Whether offset is leased under this number right now. */
bool queue_cursor_is_leased(const struct queue_cursor *cursor, int64_t offset,
                            uint64_t lease_number);

/* The leased offset starts to settle: state is ACKING, FAILING or RETURNING. */
void queue_cursor_hold(struct queue_cursor *cursor, int64_t offset, enum queue_slot_state state);

/* The LEASED offsets of the same lease behind the leased `offset`; how many. */
uint32_t queue_cursor_leased_behind(const struct queue_cursor *cursor, int64_t offset,
                                    int64_t out[QUEUE_MESSAGES_MAX]);

/* Whether an offset that was delivered with the leased `offset`, and before it, is neither done
 * nor about to be. */
bool queue_cursor_has_open_before(const struct queue_cursor *cursor, int64_t offset);

/* The settling offset is settled. */
void queue_cursor_settle(struct queue_cursor *cursor, int64_t offset);

/* The settling offset is leased as before; a deadline that passed meanwhile rings at once. */
void queue_cursor_unhold(struct queue_cursor *cursor, int64_t offset);

/* The leased offset goes back without a failure and without the journal. */
void queue_cursor_return(struct queue_cursor *cursor, int64_t offset);

/* The log starts at `start` now: what was ready below it is skipped. What is leased there
 * stays leased; if it fails it is skipped then. NOMEM: some of it; trimmed_to is below start. */
BASE_MUST_USE enum base_err queue_cursor_trim(struct queue_cursor *cursor, int64_t start);

/* Everything below offset was consumed by other means (committed over Kafka); only on a
 * cursor that has delivered nothing. */
void queue_cursor_adopt(struct queue_cursor *cursor, int64_t offset);

/* A message is dead from that many failures on; 0 = never. Before anything is known of it. */
void queue_cursor_set_failures_max(struct queue_cursor *cursor, uint32_t failures_max);

/* Dead letters of the group below this offset of their log are settled in this cursor. */
void queue_cursor_set_dead_to(struct queue_cursor *cursor, int64_t offset);

/* Smallest DEAD offset; -1 when there is none. */
int64_t queue_cursor_dead(struct queue_cursor *cursor);

/* What lies in front of `offset` and was not looked at yet is READY from now on, so that `offset`
 * is known, or the next to be looked at. NOMEM: some of it. */
BASE_MUST_USE enum base_err queue_cursor_reach(struct queue_cursor *cursor, int64_t offset);

/* The offset, DEAD or READY or not looked at yet, is MOVING from now on. NOMEM. */
BASE_MUST_USE enum base_err queue_cursor_move(struct queue_cursor *cursor, int64_t offset);

/* The MOVING offset is MOVED from now on: copied, and about to be done. False, like no effect of
 * the others, when it is not MOVING any more. */
bool queue_cursor_moved(struct queue_cursor *cursor, int64_t offset);

/* The same backwards: the journal did not take it. */
void queue_cursor_unmoved(struct queue_cursor *cursor, int64_t offset);

/* The MOVED offset is done, and counts as consumed. */
void queue_cursor_move_settle(struct queue_cursor *cursor, int64_t offset);

/* The MOVING offset is as before. */
void queue_cursor_move_undo(struct queue_cursor *cursor, int64_t offset);

/* Messages below offset since the cursor began: what `consumed` is after a reset to it. Gaps
 * above the floor may make it too small. */
int64_t queue_cursor_consumed_at(const struct queue_cursor *cursor, int64_t offset);

/* Everything below offset is consumed and nothing else is known. Only while nothing is leased. */
void queue_cursor_reset(struct queue_cursor *cursor, int64_t offset);

/* Offsets in a log of [start, end) that are not done: the messages available. */
int64_t queue_cursor_available(const struct queue_cursor *cursor, int64_t start, int64_t end);

/* The log ends at `end`: an HT queue lost what was not on disk yet when the power failed. Forgets
 * what it knew from there on; true if that was anything. Only while nothing is leased. */
bool queue_cursor_cut(struct queue_cursor *cursor, int64_t end);

/* For recovery: forget everything; everything below floor is done; [first, last] is done;
 * offset has failed so often. CORRUPT for what no cursor can have written. */
void queue_cursor_load_clear(struct queue_cursor *cursor);
BASE_MUST_USE enum base_err queue_cursor_load_floor(struct queue_cursor *cursor, int64_t floor,
                                                    int64_t consumed, int64_t skipped, bool used);
BASE_MUST_USE enum base_err queue_cursor_load_done(struct queue_cursor *cursor, int64_t first,
                                                   int64_t last);
BASE_MUST_USE enum base_err queue_cursor_load_failures(struct queue_cursor *cursor, int64_t offset,
                                                       uint32_t failures, bool timed_out);

/* For recovery: the message at offset was moved, but this was not written down. It is done now,
 * and counts as consumed, unless it was done anyway. */
BASE_MUST_USE enum base_err queue_cursor_load_moved(struct queue_cursor *cursor, int64_t offset);

#endif
