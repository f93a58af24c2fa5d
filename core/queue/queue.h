/* The lease / ack / redeliver engine over partitions: what DMS consumption is served by.
 *
 * A manager knows the groups of all queues. A group is a monitor with one cursor for
 * each partition of its queue. What was acked is on disk, in the internal topic
 * __dms_cursors; leases live in memory: a restart of the broker ends them all, and
 * counts as nobody's failure.
 *
 *     produce.h   messages into a queue          consume.h   messages out, leased
 *     ack.h       the end of leases              reset.h       a group's position, set anew
 *     tags.h      what a group wants             browse.h      messages, without consuming them
 *     message_id.h  opaque names of messages
 *
 * Threads: every function from any thread unless it says otherwise. A request (produce,
 * consume, ack) is started on a loop that it names as its executor; its answer comes
 * there. Lock order: manager, group, partition. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"
#include "core/catalog/catalog.h"
#include "core/partition/table.h"

struct queue_manager;

/* What became of a request. */
enum queue_verdict {
    QUEUE_OK,
    QUEUE_GROUP_NOT_FOUND,     /* the queue has no such group, or lost it (or itself) meanwhile */
    QUEUE_GROUP_BUSY_ON_KAFKA, /* the group has members over the Kafka protocol right now */
    QUEUE_HANDLER_UNKNOWN,     /* no handler of ours, or its lease has ended */
    QUEUE_HANDLER_MISMATCH,    /* a handler of another queue or group */
    QUEUE_TAG_RULE_DIFFERS,    /* from that which the group's first consume fixed */
    QUEUE_REDRIVE_UNDER_WAY,   /* one at a time */
    QUEUE_LETTERS_NOT_FOUND,   /* none of the dead letters named is there */
    QUEUE_HANDLER_OF_OTHER,    /* a dead letter's for an ordinary message, or the reverse */

    QUEUE_GROUP_LEASED,      /* messages of the group are leased */
    QUEUE_TIME_OUT_OF_RANGE, /* in the future, or older than what the queue keeps */
    QUEUE_OVERLOADED,        /* too many requests wait on this group */
    QUEUE_STORAGE_FAILED,    /* see err: OFFLINE, NO_SPACE, BUSY, NOMEM, CORRUPT, IO */
    QUEUE_VERDICT_COUNT
};

/* Never NULL; static storage; for logs. */
const char *queue_verdict_text(enum queue_verdict verdict);

enum queue_progress {
    QUEUE_DONE,   /* the out fields are valid now, the task will not come */
    QUEUE_PENDING /* the task will come on the request's executor */
};

/* Limits of one group and partition, and of requests. */
enum {
    QUEUE_MESSAGES_MAX = 10,             /* per produce and per consume */
    QUEUE_CONSUME_BYTES_MAX = 512 << 10, /* of all messages of one consume */
    QUEUE_ACK_ITEMS_MAX = 1000,          /* handlers in one ack */
    QUEUE_UNDONE_MAX = 100000,           /* delivered and not done, or to come again */
    QUEUE_WAITERS_MAX = 10000,           /* consumes that wait on one group */
    QUEUE_DELAY_MS_MAX = 604800000,      /* seven days */
    QUEUE_DELAYED_MAX = 10000000,        /* messages that wait; 16 bytes of memory each */
    QUEUE_DELAYED_QUEUE_MAX = 1000000,   /* of those, of one queue */
};

#define QUEUE_JOURNAL_TOPIC "__dms_cursors"

struct queue_manager_options {
    struct catalog *catalog;          /* borrowed */
    struct partition_table *table;    /* borrowed */
    struct base_clock *clock;         /* borrowed */
    struct base_executor *worker;     /* borrowed; replays the journal at open */
    struct base_executor **executors; /* borrowed array of loops: homes of the groups' alarms */
    uint32_t executors_count;
    int32_t journal_partitions;   /* of a journal topic that has to be made; 0 = 8 */
    uint32_t snapshot_updates;    /* journal records between two snapshots of it; 0 = 20000 */
    int32_t delay_partitions;     /* of the topic of delayed messages, when made; 0 = 8 */
    int64_t delayed_max;          /* delayed messages at once; 0 = QUEUE_DELAYED_MAX */
    int64_t delayed_queue_max;    /* of one queue; 0 = QUEUE_DELAYED_QUEUE_MAX */
    uint64_t delay_rewrite_bytes; /* a shorter delay log is left as it is; 0 = 128 MiB */

    /* Of the Kafka group coordinator, for Kafka queues; may be NULL: no group is ever
     * active and nothing is committed. Called without locks held, from any thread. */
    bool (*kafka_group_is_active)(void *context, const char *group_id);
    void (*committed_offsets)(void *context, const char *group_id,
                              const struct catalog_topic *topic,
                              int64_t *offsets); /* of each partition; -1 none */
    void *context;                               /* borrowed */
};

/* Registers itself with partition_table_on_deleted. */
BASE_MUST_USE enum base_err queue_manager_create(const struct queue_manager_options *options,
                                                 struct queue_manager **out);

/* Makes the internal topics if they are missing, and recovers cursors and delayed messages.
 * Embedded in what waits for it; task runs on executor when it is over. Once, after
 * partition_table_open_all. On an error no request may be made. OFFLINE, CORRUPT, IO, NOMEM,
 * UNSUPPORTED (written by a later version) */
struct queue_open {
    struct base_executor *executor; /* a loop */
    struct base_task task;
    enum base_err err;

    /* the manager's own */
    struct queue_manager *manager;
    struct partition_topic_op topic_op;
    uint32_t steps_begun;
    struct base_task work;
    struct partition_waiter waiter;
    struct queue_group **groups; /* owned array of counted groups */
    size_t groups_count;
    size_t groups_done;
};

void queue_manager_open(struct queue_manager *manager, struct queue_open *open);

/* Ends all leases, answers all waiting consumes with QUEUE_GROUP_NOT_FOUND, frees the manager
 * and posts `closed` to executor. No produce or ack may be under way, no request may be
 * made any more; partition_table_close comes after it. */
void queue_manager_close(struct queue_manager *manager, struct base_executor *executor,
                         struct base_task *closed);

/* To be called when a group was made, so that what the group missed is counted from then
 * on; otherwise from its first use on. */
void queue_group_created(struct queue_manager *manager, const struct catalog_topic *topic,
                         struct base_slice group_id);

/* To be called when a group was deleted, after it has left the catalog's view: answers its
 * waiters with QUEUE_GROUP_NOT_FOUND and forgets its cursors. A deleted queue needs no call. */
void queue_group_deleted(struct queue_manager *manager, struct base_slice group_id);

/* Numbers of messages; of all partitions of the queue together. */
struct queue_counters {
    int64_t produced;  /* now retained */
    int64_t delayed;   /* wait for their time; not among the others */
    int64_t consumed;  /* the group is done with, since it was made */
    int64_t available; /* retained and not consumed; leased ones included */
    int64_t leased;    /* delivered, and neither acked nor timed out */
    int64_t skipped;   /* expired without having been consumed, since the group was made */

    /* Of the group's dead letters; 0 where the queue has no redrive policy. */
    int64_t dead_produced;  /* ever made, expired and consumed ones included */
    int64_t dead_available; /* retained and not consumed */
};

/* Messages of all queues that wait for their time. */
int64_t queue_delayed_count(struct queue_manager *manager);

/* produced and delayed, and for a group (group_id not null) the rest too. Offline partitions count
 * with what was last known of them. */
BASE_MUST_USE enum queue_verdict queue_count(struct queue_manager *manager,
                                             const struct catalog_topic *topic,
                                             struct base_slice group_id,
                                             struct queue_counters *out);

#endif
