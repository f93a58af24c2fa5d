/* The redrive of one group of dead letters, for this folder. */
#ifndef QUEUE_REDRIVE_PRIV_H
#define QUEUE_REDRIVE_PRIV_H

#include "core/queue/move_priv.h"
#include "core/queue/redrive.h"

/* What the journal keeps of it. */
struct queue_redrive_record {
    enum queue_redrive_state state;
    int64_t rate;
    int64_t limit; /* letters below this offset; 0 with offsets */
    int64_t moved;
    int64_t started_ms;
    int64_t ended_ms;
    int64_t offsets[QUEUE_REDRIVE_OFFSETS_MAX];
    uint32_t offsets_count;
};

struct queue_redrive_task {
    struct queue_redrive_record record;
    int64_t credit;    /* messages that may be moved now, times a million */
    int64_t credit_us; /* when that was */
    enum base_err err; /* of the last try */
};

extern const struct queue_move_ops queue__redrive_ops;

static inline bool queue__redrive_is_running(const struct queue_group *group)
{
    return group->redrive != NULL && group->redrive->record.state == QUEUE_REDRIVE_RUNNING;
}

/* What the journal is to know of it; what is on its way there counts. */
struct queue_redrive_record queue__redrive_record(const struct queue_group *group);

/* Gives it what time has brought; ends it when nothing is left. */
void queue__redrive_run(struct queue_group *group, struct base_executor *current);

/* When to run it again; INT64_MAX: not before something happens. */
int64_t queue__redrive_alarm_us(const struct queue_group *group);

/* Whether the message was redriven for another group than this. */
bool queue__redrive_is_for_other(const struct queue_group *group,
                                 const struct logstore_record *record);

/* Recovery: takes over what the journal says. CORRUPT, UNSUPPORTED, NOMEM. */
BASE_MUST_USE enum base_err queue__redrive_recover(struct queue_group *group,
                                                   struct base_slice text);

/* In record.c. */
void queue__record_encode_redrive(const struct queue_redrive_record *redrive,
                                  struct base_writer *writer);
BASE_MUST_USE enum base_err queue__record_read_redrive(struct base_slice text,
                                                       struct queue_redrive_record *redrive);

#endif
