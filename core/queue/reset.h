/* A group's position, set anew (guide 3.5). */
#ifndef QUEUE_RESET_H
#define QUEUE_RESET_H

#include "core/base/list.h"
#include "core/queue/queue.h"

enum queue_reset_position {
    QUEUE_RESET_EARLIEST, /* the first message that has not expired */
    QUEUE_RESET_LATEST,   /* behind the last message there is now */
    QUEUE_RESET_TIME,     /* the first message with a time >= timestamp_ms, in each partition */
};

/* Embedded in the request. */
struct queue_reset {
    /* in */
    struct base_executor *executor;    /* the calling loop */
    struct base_task task;             /* run set by the caller; posted after PENDING */
    const struct catalog_topic *topic; /* borrowed until the answer */
    struct base_slice group_id;        /* borrowed for the call */
    enum queue_reset_position position;
    int64_t timestamp_ms; /* of TIME: not later than now, nor older than the retention */
    bool force;           /* ends leases; otherwise the reset is refused while there are any */

    /* out */
    enum queue_verdict verdict;
    enum base_err err;
    int64_t *offsets; /* owned array, by partition: where the group goes on; NULL unless OK */
    int32_t offsets_count;

    /* the engine's own */
    struct base_list link;
    struct queue_group *group;   /* counted */
    struct partition *partition; /* counted; of the lookup under way */
    int32_t resolved_count;      /* of offsets */
    int64_t end;                 /* of that partition before the lookup */
    struct logstore_lookup lookup;
    struct partition_waiter waiter;
    bool is_writing;  /* applied, and on its way to the disk */
    bool is_starting; /* queue_reset has not returned yet */
};

/* Everything before the new position becomes consumed, whether it was or not, skipped becomes
 * 0, failures and the tag rule are forgotten, leases end (acks under way come first), waiting
 * consumes are answered without messages. Dead letters stay. Durable before the answer.
 *
 *   GROUP_LEASED              messages are leased (also by an ack under way that failed), and
 *                             force was not asked for
 *   TIME_OUT_OF_RANGE         see timestamp_ms
 *   GROUP_BUSY_ON_KAFKA       members consume over Kafka
 *   STORAGE_FAILED            nothing has changed, unless err is OFFLINE or CLOSED; but leases
 *                             have ended, uncounted, where force was asked for
 *
 * What a group of a Kafka queue has committed over Kafka is not touched: that is up to the
 * caller, who has the offsets. Until the release the group does not go on there. */
enum queue_progress queue_reset(struct queue_manager *manager, struct queue_reset *reset);

/* Frees the offsets, once after every answer; of a Kafka queue, when they are committed. There is
 * no cancelling. */
void queue_reset_release(struct queue_reset *reset);

#endif
