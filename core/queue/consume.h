/* Messages out of a queue, each under a lease of its group. */
#ifndef QUEUE_CONSUME_H
#define QUEUE_CONSUME_H

#include "core/base/list.h"
#include "core/queue/queue.h"
#include "core/queue/tags.h"
#include "logstore/records.h"

/* Text that names one lease of one message: queue and group, partition, offset and lease
 * number with a checksum only this run of the broker can make; URL-safe. */
enum { QUEUE_HANDLER_SIZE = 49 }; /* 36 bytes in base64, and the terminator */

/* Slices live until queue_consume_release. */
struct queue_message {
    struct logstore_record record; /* value, time, headers: logstore_headers_init() walks them */
    int32_t partition;
    uint32_t failures; /* times it failed before, in this group */
    char handler[QUEUE_HANDLER_SIZE];
    struct base_buffer *buffer; /* the engine's own: holds the bytes */
};

/* Embedded in the request. */
struct queue_consume {
    /* in */
    struct base_executor *executor;    /* the calling loop */
    struct base_task task;             /* run set by the caller; posted after PENDING */
    const struct catalog_topic *topic; /* borrowed for the call */
    struct base_slice group_id;        /* borrowed for the call */
    uint32_t messages_max;             /* 1 to QUEUE_MESSAGES_MAX */
    uint32_t size_bytes_max;           /* of values and headers; one message may exceed it alone */
    int64_t time_wait_ms;              /* 0 = do not wait for messages */
    int64_t ack_wait_ms;               /* length of the leases, > 0 */
    struct queue_tag_rule rule;        /* {0} for Kafka queues, which have no tags */

    /* out */
    enum queue_verdict verdict; /* OK also when there is no message */
    enum base_err err;
    struct queue_message messages[QUEUE_MESSAGES_MAX]; /* in order of offsets */
    uint32_t messages_count;

    /* the engine's own */
    struct base_list link;
    struct base_timer deadline; /* of the wait, in the group's heap */
    struct queue_group *group;  /* counted */
    uint64_t lease_number;
    bool is_due;      /* the wait is over, but something is still under way */
    bool is_starting; /* queue_consume has not returned yet */
};

/* Delivers from one partition, in rotation among those that have something deliverable.
 * Waits until there is something (a new message, a lease that ended) or time_wait_ms have
 * passed, and up to a second more for what the disk is doing for it. Those who wait are served in
 * the order they came.
 *
 * A group's first consume fixes its tag rule, durably; another rule is TAG_RULE_DIFFERS from
 * then on. Messages that the rule does not want count as consumed. */
enum queue_progress queue_consume(struct queue_manager *manager, struct queue_consume *consume);

/* For a connection that is gone, after PENDING and before the task has run, or after an
 * answer that cannot be sent any more: whatever was leased goes back without counting as a
 * failure. True: the task will not come. False: it came, or is on its way and then brings
 * no message. Release afterwards. On the request's executor. */
bool queue_consume_cancel(struct queue_consume *consume);

/* Lets go of the messages' bytes (and of the engine): once after every answer. The leases
 * stay. */
void queue_consume_release(struct queue_consume *consume);

#endif
