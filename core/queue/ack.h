/* The end of leases: success or failure of messages that were consumed. */
#ifndef QUEUE_ACK_H
#define QUEUE_ACK_H

#include "core/queue/queue.h"

struct queue_ack_item {
    struct base_slice handler; /* borrowed for the call */
    bool success;

    /* the engine's own */
    enum queue_verdict verdict; /* OK: the handler is one of the group's */
    int32_t partition;
    int64_t offset;
    uint64_t lease_number;
    bool is_held; /* its lease waits for the journal */
};

/* Embedded in the request. */
struct queue_ack {
    /* in */
    struct base_executor *executor;    /* the calling loop */
    struct base_task task;             /* run set by the caller; posted after PENDING */
    const struct catalog_topic *topic; /* borrowed for the call */
    struct base_slice group_id;        /* borrowed for the call */
    struct queue_ack_item *items;      /* borrowed until the answer; written to, FIFO: sorted */
    uint32_t items_count;              /* 1 to QUEUE_ACK_ITEMS_MAX */

    /* out */
    enum queue_verdict verdict;
    enum base_err err;
    uint32_t success_count;        /* the first so many items are done, durably */
    uint32_t fail_count;           /* the others */
    enum queue_verdict stopped_by; /* OK, or HANDLER_* of the item at success_count */

    /* the engine's own */
    struct queue_group *group; /* counted */
    struct partition_waiter waiter;
    bool has_failed;                    /* the item at success_count is a failure */
    int64_t behind[QUEUE_MESSAGES_MAX]; /* FIFO: offsets that go back with it */
    uint32_t behind_count;
};

/* Takes the items in the order given and stops at the first that fails or whose handler is
 * not valid. That one counts as a failure of its message if its lease was valid; those
 * behind it go back to the queue without counting. In a FIFO queue a failure also ends the
 * leases of everything behind the failed message.
 *
 * In a FIFO queue what is acked must be the first messages of the batch: the items are taken in
 * the order of the messages, and a success whose predecessor is not done is as an unknown handler,
 * but its message goes back to the queue like those behind it.
 *
 * verdict is OK whenever some item was valid, HANDLER_* when the very first one was not (those
 * behind it went back to the queue). STORAGE_FAILED: nothing was acked and the leases are as they
 * were; only with OFFLINE and CLOSED it may turn out at the next start that the ack had reached the
 * disk. */
enum queue_progress queue_ack(struct queue_manager *manager, struct queue_ack *ack);

/* There is no cancelling: what was asked for happens. The request must live until its answer. */

#endif
