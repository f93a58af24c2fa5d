/* Messages into a queue: one record batch on one partition, with the broker's time. Those that
 * have a delay go to the delay log first, in a batch of their own; see delay_priv.h. */
#ifndef QUEUE_PRODUCE_H
#define QUEUE_PRODUCE_H

#include "core/base/list.h"
#include "core/queue/message_id.h"
#include "core/queue/queue.h"
#include "logstore/records.h"

/* Borrowed until the answer. Header keys are those of design §6: dms.tag, dms.attr.<name>.
 * Kafka queues get none. */
struct queue_produce_message {
    struct base_slice value; /* the text of the JSON body, or what a string body holds */
    const struct logstore_header *headers;
    uint32_t headers_count;
    int64_t delay_ms; /* 0 to QUEUE_DELAY_MS_MAX; not for Kafka queues */
};

struct queue_produce_result {
    enum base_err err; /* OK: the message is in the queue, as durable as its mode promises,
                        * or in the delay log, durable */
    int32_t partition; /* with QUEUE_MESSAGE_ID_DELAYED: of the delay log, and so the offset */
    int64_t offset;
    char id[QUEUE_MESSAGE_ID_SIZE]; /* set when err is OK */
};

/* The batch of those messages that go to one place. */
struct queue_produce_part {
    struct queue_produce *produce;
    struct partition *partition; /* counted; NULL when nobody waits */
    struct partition_waiter waiter;
};

/* Embedded in the request. */
struct queue_produce {
    /* in */
    struct base_executor *executor;    /* the calling loop */
    struct base_task task;             /* run set by the caller; posted after PENDING */
    const struct catalog_topic *topic; /* borrowed until the answer */
    const struct queue_produce_message *messages;
    uint32_t messages_count; /* 1 to QUEUE_MESSAGES_MAX */

    /* out */
    enum queue_verdict verdict; /* OK or STORAGE_FAILED: no result is OK (a message is not in
                                 * the queue then, unless its err is OFFLINE or CLOSED: then it
                                 * may be) */
    enum base_err err;          /* of the first message that failed */
    struct queue_produce_result results[QUEUE_MESSAGES_MAX];

    /* the engine's own */
    struct queue_produce_part parts[2]; /* of messages without and with a delay */
    uint32_t pending_count;
};

/* Picks the partition in rotation, by time, among those online (FIFO: the only one) and appends all
 * messages to it. */
enum queue_progress queue_produce(struct queue_manager *manager, struct queue_produce *produce);

#endif
