/* What clients of queues were told, and what follows from it.
 *
 * A queue is a list of messages; each of its groups has a view of each of them. The dead letters
 * of a group are a queue of their own with one group. Messages that the broker makes (letters,
 * redriven letters, repetitions) enter the model when they are first seen, in a delivery or in a
 * scan of the log. Queues and groups that were deleted stay until the end of the run, for
 * requests that still name them. */
#ifndef SIM_LEASE_MODEL_H
#define SIM_LEASE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue/consume.h"
#include "core/queue/queue.h"

struct lease_world;

enum {
    LEASE_QUEUES = 2,
    LEASE_GROUPS = 2,
    LEASE_PARTITIONS_MAX = 3,
    LEASE_MESSAGES_MAX = 4000, /* of one queue */
    LEASE_HELD_MAX = 400,      /* handlers a group's clients remember */
    LEASE_VALUE_SIZE = 32,
    LEASE_TAGS = 3,
    LEASE_RULES = 4,
    LEASE_FAILURES_ANY = 255,
};

#define LEASE_ACK_WAIT_MS INT64_C(15000)
#define LEASE_RETENTION_MS INT64_C(40000)

/* What producers know of a message. */
enum lease_fate { FATE_NONE, FATE_SENT, FATE_MAYBE, FATE_STORED };

struct lease_message {
    enum lease_fate fate;
    bool is_delayed;
    int32_t partition;
    int64_t offset;  /* -1 not known */
    int64_t time_ms; /* when it was sent, or is due; the record's own once it was seen */
    unsigned tags;   /* bits */
    uint32_t source; /* number of the message that was produced; of itself, but for copies */
    struct lease_group *only_for; /* redriven; else NULL */
    uint32_t scan;                /* the last one that saw it */
};

/* What a group's clients know of a message. MAYBE: an ack (or reset) got no clear answer. */
enum lease_progress {
    PROGRESS_OPEN,
    PROGRESS_ACKING,
    PROGRESS_MAYBE,
    PROGRESS_DONE,
    PROGRESS_DEAD /* there is a dead letter of it */
};

struct lease_view {
    enum lease_progress progress;
    bool is_leased;                   /* delivered; its lease has not ended by anything but time */
    char handler[QUEUE_HANDLER_SIZE]; /* of that lease */
    uint32_t acks_open;               /* under way that name the message */
    uint64_t batch;                   /* of that lease: which answer it came with */
    uint32_t maybe_life;   /* of the broker in which something got no clear answer; 0 none */
    int64_t lease_us;      /* when its consume was sent: it ends ACK_WAIT after that at the least */
    uint32_t failures_min; /* what must have been counted */
    uint32_t failures_max; /* and what may have been */
    uint32_t failures_kept; /* of failures_min: what a crash cannot take */
    bool is_blurred;        /* a reset at an unknown time touched it; its letters tell nothing */
};

struct lease_held {
    char handler[QUEUE_HANDLER_SIZE];
    uint32_t number; /* of the message */
    uint32_t life;   /* of the broker that gave it */
};

enum lease_rule_knowledge { RULE_UNKNOWN, RULE_KNOWN };

struct lease_group {
    struct lease_queue *queue;
    char id[CATALOG_GROUP_ID_SIZE];
    struct lease_view *views;               /* owned; by number of the message */
    struct lease_held held[LEASE_HELD_MAX]; /* ring */
    uint32_t held_count;
    uint32_t waiting_count; /* consumes under way */
    uint32_t acks_count;    /* the same */
    uint32_t resets_count;  /* the same, of those that are not waited for */
    uint32_t last_count;    /* of the last answer's messages */
    enum queue_verdict last_verdict;
    uint32_t fails_open; /* acks under way that hold a failure */
    uint32_t epoch;      /* changes when a reset begins, and when it ends */
    enum lease_rule_knowledge rule_knowledge;
    uint32_t rule;
    int64_t reset_to[LEASE_PARTITIONS_MAX]; /* by the last reset */
    struct lease_queue *letters;            /* owned; NULL without */
    bool is_deleted;
    struct lease_group *next_gone;
};

struct lease_queue {
    struct lease_world *world;
    uint32_t serial;
    struct catalog_topic *topic; /* counted */
    bool is_fifo;
    bool is_kafka;
    bool expires;
    uint32_t failures_max;          /* 0: no dead letters */
    struct lease_group *letters_of; /* borrowed; NULL unless it holds dead letters */
    struct lease_message *messages; /* owned */
    uint32_t messages_count;
    uint32_t *at[LEASE_PARTITIONS_MAX];       /* owned; by offset: number + 1, 0 not known */
    struct lease_group *groups[LEASE_GROUPS]; /* owned; letters have one */
    struct lease_group *groups_gone;          /* owned list */
    struct lease_queue *next_gone;

    /* Of the redrives of letters. */
    bool was_redriven;
    int64_t moved_before; /* by those that are over */
    int64_t started_ms;   /* of the last of those */
};

/* Memory of the two, without effect on the broker. */
struct lease_queue *lease_queue_create(struct lease_world *world);
struct lease_group *lease_group_create(struct lease_queue *queue, const char *id);
void lease_queue_free(struct lease_queue **queue);

/* A new message; its number. */
uint32_t lease_model_add(struct lease_queue *queue, const struct lease_message *message);

/* The message is at that place: what clients were told before agrees. */
void lease_model_bind(struct lease_queue *queue, uint32_t number, int32_t partition,
                      int64_t offset);

/* The record was read: which message it is. Checks that it may be there. */
uint32_t lease_model_identify(struct lease_queue *queue, int32_t partition,
                              const struct logstore_record *record);

struct queue_tag_rule lease_model_rule(uint32_t rule);
bool lease_model_wants(const struct lease_group *group, uint32_t rule,
                       const struct lease_message *message);

/* Of a message that is not done: an ack without a clear answer may show after a restart. */
enum lease_progress lease_model_open_progress(const struct lease_world *world,
                                              const struct lease_view *view);

/* Whether its lease may have ended by time. */
bool lease_model_may_have_timed_out(const struct lease_world *world, const struct lease_view *view);

/* Whether it may wait to become a dead letter. */
bool lease_model_may_be_dead(const struct lease_group *group, const struct lease_view *view);

bool lease_model_has_expired(const struct lease_queue *queue, const struct lease_message *message);

/* Nothing is known of it any more, but what time tells. */
void lease_model_blur(const struct lease_world *world, struct lease_view *view);
void lease_model_blur_all(struct lease_group *group);

/* The group goes on at these offsets and knows nothing else. */
void lease_model_reset(struct lease_group *group, const int64_t *offsets);

/* All leases end, and what is not certainly on the disk may be gone. */
void lease_model_crash(struct lease_queue *queue);

#endif
