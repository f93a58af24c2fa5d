/* Messages into a queue: one record batch on one partition, with the broker's time. */
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
};

struct queue_produce_result {
    enum base_err err; /* OK: the message is in the queue, as durable as its mode promises */
    int32_t partition;
    int64_t offset;
    char id[QUEUE_MESSAGE_ID_SIZE]; /* set when err is OK */
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
    enum queue_verdict verdict; /* OK or STORAGE_FAILED (then no message is in the queue,
                                 * unless err is OFFLINE or CLOSED: then it may be) */
    enum base_err err;
    struct queue_produce_result results[QUEUE_MESSAGES_MAX];

    /* the engine's own */
    struct partition *partition;
    struct partition_waiter waiter;
};

/* Picks the partition in rotation among those online (FIFO: the only one) and appends all
 * messages to it. */
enum queue_progress queue_produce(struct queue_manager *manager, struct queue_produce *produce);

/* Gives up waiting for the answer; the messages stay. True: the task will not come. False:
 * it is on its way. */
bool queue_produce_cancel(struct queue_produce *produce);

#endif
