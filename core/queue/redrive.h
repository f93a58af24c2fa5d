/* Dead letters back into their queue, in the background, at a limited rate.
 *
 * A redriven letter is a new message at the end of its queue, with a count of failures that
 * starts anew. Only the group whose letter it was gets it: it carries that group's id, and the
 * others pass over it. A message is in the queue before it is gone from the letters: a crash
 * between the two may bring it twice, never lose it. What was started goes on after a restart. */
#ifndef QUEUE_REDRIVE_H
#define QUEUE_REDRIVE_H

#include "core/queue/queue.h"

#define QUEUE_REDRIVE_PREFIX "dms.redrive."
#define QUEUE_REDRIVE_GROUP "dms.redrive.group" /* header: the id of the only group it is for */

enum {
    QUEUE_REDRIVE_OFFSETS_MAX = 100,  /* letters named one by one */
    QUEUE_REDRIVE_RATE_MAX = 10000,   /* messages per second */
    QUEUE_REDRIVE_RATE_DEFAULT = 100, /* the same */
};

enum queue_redrive_state {
    QUEUE_REDRIVE_NONE, /* there never was one */
    QUEUE_REDRIVE_RUNNING,
    QUEUE_REDRIVE_COMPLETED,
    QUEUE_REDRIVE_CANCELLED,
    QUEUE_REDRIVE_STATE_COUNT
};

/* "none", "running", "completed", "cancelled". */
const char *queue_redrive_state_text(enum queue_redrive_state state);

/* Two of the reasons for which one does not get on; others are texts of errors. Letters named
 * behind QUEUE_UNDONE_MAX others that are not done wait until some of those are. */
#define QUEUE_REDRIVE_WAITS_FOR_LEASES "letters are leased"
#define QUEUE_REDRIVE_WAITS_FOR_ROOM "too many letters in front are not acknowledged"

/* The last redrive of a group. */
struct queue_redrive_status {
    enum queue_redrive_state state;
    int64_t rate;              /* messages per second */
    int64_t moved;             /* messages */
    int64_t remaining;         /* messages; those under lease included, which are waited for */
    int64_t started_ms;        /* wall clock */
    int64_t ended_ms;          /* 0 while it runs */
    const char *waits_because; /* a constant: why it does not get on right now; NULL: it does */
};

/* Embedded in the request. */
struct queue_redrive {
    /* in */
    struct base_executor *executor;    /* the calling loop */
    struct base_task task;             /* run set by the caller; posted after PENDING */
    const struct catalog_topic *topic; /* of the dead letters; borrowed for the call */
    struct base_slice group_id;        /* theirs; borrowed for the call */
    int64_t rate;                      /* 1 to QUEUE_REDRIVE_RATE_MAX */
    const int64_t *offsets;            /* which letters; borrowed for the call */
    uint32_t offsets_count;            /* at most QUEUE_REDRIVE_OFFSETS_MAX; 0: all there are now */

    /* out */
    enum queue_verdict verdict; /* REDRIVE_UNDER_WAY: try again when it is over */
    enum base_err err;
    uint32_t not_found_count; /* offsets without a letter: of a start that names some */
    int64_t not_found[QUEUE_REDRIVE_OFFSETS_MAX]; /* which, in the order they were named */

    /* the engine's own */
    struct queue_group *group; /* counted */
    struct partition_waiter waiter;
};

/* Starts one, durably. LETTERS_NOT_FOUND when not one of the offsets named has a letter: it was
 * never there, was consumed, or has expired. */
enum queue_progress queue_redrive_start(struct queue_manager *manager,
                                        struct queue_redrive *redrive);

/* Ends the one that runs, durably; what was moved stays moved. rate and offsets are not used. */
enum queue_progress queue_redrive_cancel(struct queue_manager *manager,
                                         struct queue_redrive *redrive);

BASE_MUST_USE enum queue_verdict queue_redrive_status(struct queue_manager *manager,
                                                      const struct catalog_topic *topic,
                                                      struct base_slice group_id,
                                                      struct queue_redrive_status *out);

#endif
