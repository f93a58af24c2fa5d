/* Moving messages of a group from one log to another: what has failed too often to the group's
 * dead letters (dead_letter.c), dead letters back to their queue (redrive.c).
 *
 * A move takes what it collects out of the group's reach (MOVING), appends copies to the target
 * in one batch, waits until that is durable, writes into the journal that the originals are done,
 * and settles them when that is durable. Whatever fails, a message is in one of the two logs:
 * it is tried again later. One batch of a group is on its way at a time, so work is bounded.
 *
 * All of it with the group's lock; a reference to the group is held while anything is pending. */
#ifndef QUEUE_MOVE_PRIV_H
#define QUEUE_MOVE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/writer.h"
#include "core/queue/group_priv.h"
#include "logstore/records_builder.h"

enum {
    QUEUE_MOVE_MESSAGES_MAX = 500,
    QUEUE_MOVE_BYTES_MAX = 1 << 20, /* one message may exceed it alone */
    QUEUE_MOVE_RETRY_US = 1000 * 1000,
};

enum queue_move_state {
    QUEUE_MOVE_IDLE,       /* no item */
    QUEUE_MOVE_COLLECTING, /* items are MOVING, and in the writer */
    QUEUE_MOVE_APPENDING,  /* copies are in the target, not durable yet */
    QUEUE_MOVE_COPIED,     /* copies are durable, the journal does not know */
    QUEUE_MOVE_JOURNALING, /* items are MOVED, the journal is not durable yet */
    QUEUE_MOVE_STATE_COUNT
};

struct queue_move;

/* What is different between the two directions. */
struct queue_move_ops {
    /* The next message to be moved now; NULL when there is none. */
    struct queue_place *(*pick)(struct queue_group *group, int64_t *offset);
    /* Adds a copy of the record to move->builder. NOMEM. */
    enum base_err (*copy)(struct queue_move *move, const struct queue_place *place,
                          const struct logstore_record *record);
    /* Partition to append to, with a reference; NULL when there is none. */
    struct partition *(*target)(struct queue_group *group);
    /* Puts into the journal's batch what belongs to the move as a whole; may be NULL. */
    void (*journal)(struct queue_move *move, struct queue_journal_batch *batch);
    /* count messages were moved, or the last try failed with err. May be NULL. */
    void (*over)(struct queue_group *group, uint32_t count, enum base_err err);
    bool sets_dead_to; /* the target's end goes into the cursors: see queue_cursor.dead_to */
    const char *event; /* for the log, when a move fails */
};

extern const struct queue_move_ops queue__dead_letter_ops;

struct queue_move_item {
    struct queue_place *place; /* borrowed */
    int64_t offset;
};

struct queue_move {
    struct queue_group *group; /* borrowed; counted while something is pending */
    const struct queue_move_ops *ops;
    enum queue_move_state state;
    struct queue_move_item items[QUEUE_MOVE_MESSAGES_MAX];
    uint32_t items_count;
    struct queue_window *window; /* owned; NULL unless collecting */
    struct base_writer writer;
    struct logstore_records_builder builder;
    int64_t now_ms;           /* of the batch */
    struct partition *target; /* counted; while appending */
    int64_t target_end;       /* behind the copies */
    struct partition_waiter waiter;
    int32_t rotation;       /* index of the place to pick from first: behind one that failed */
    int64_t retry_us;       /* nothing before that; 0 = at once */
    enum base_err err;      /* of the last try */
    enum base_err step_err; /* why collecting stopped */
};

/* Goes on with the group's move, or begins one if there is something to be moved. */
void queue__move_run(struct queue_group *group, struct base_executor *current);

/* When to run it again; INT64_MAX: not before something happens. */
int64_t queue__move_alarm_us(const struct queue_group *group);

/* For the end of the group. */
void queue__move_free(struct queue_move **move);

/* Recovery, on the worker: dead letters that were appended, and not settled when the broker died,
 * are settled now. The group's cursors are known. Locked. */
BASE_MUST_USE enum base_err queue__dead_letters_recover(struct queue_group *group);

#endif
