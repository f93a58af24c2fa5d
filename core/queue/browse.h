/* Messages of a queue, looked at without consuming them: no group is touched. */
#ifndef QUEUE_BROWSE_H
#define QUEUE_BROWSE_H

#include "core/base/buffer.h"
#include "core/queue/queue.h"
#include "core/queue/tags.h"
#include "logstore/records.h"

/* Of one answer; scanned are also those that do not match. One message may exceed the bytes. */
enum {
    QUEUE_BROWSE_MESSAGES_MAX = 100,
    QUEUE_BROWSE_SCANNED_MAX = 20000,
    QUEUE_BROWSE_SCANNED_BYTES_MAX = 8 * 1024 * 1024,
};

struct queue_browse_walk;

/* Slices live until queue_browse_release. */
struct queue_browsed {
    struct logstore_record record;
    struct base_buffer *buffer; /* the engine's own: holds the bytes */
};

/* Embedded in the request. */
struct queue_browse {
    /* in */
    struct base_executor *executor;    /* the calling loop */
    struct base_task task;             /* run set by the caller; posted after PENDING */
    const struct catalog_topic *topic; /* borrowed until the answer */
    int32_t partition;                 /* one that the topic has */
    bool newest_first;
    int64_t offset;        /* the first to look at; newest_first: the one behind it. -1 where that
                            * begins: the log's start, or its end */
    int64_t timestamp_ms;  /* >= 0, instead of the offset: that of the first message with a time
                            * >= it */
    uint32_t messages_max; /* 1 to QUEUE_BROWSE_MESSAGES_MAX */
    struct queue_tag_rule rule; /* only messages that it wants */
    struct base_slice text;     /* only messages whose value holds it; borrowed; may be empty */

    /* out */
    enum queue_verdict verdict; /* OK or STORAGE_FAILED */
    enum base_err err;
    struct queue_browsed messages[QUEUE_BROWSE_MESSAGES_MAX]; /* in the order asked for */
    uint32_t messages_count;
    int64_t start;       /* of the log */
    int64_t end;         /* behind the last message */
    int64_t next_offset; /* the offset of the browse that goes on */
    bool has_more;       /* something is there now */

    struct queue_browse_walk *walk; /* the engine's own */
};

/* Reads until there are messages_max messages, nothing is left, or so much was scanned.
 * next_offset moves on with every answer that has_more. */
enum queue_progress queue_browse(struct queue_manager *manager, struct queue_browse *browse);

/* Lets go of the bytes: once after every answer. There is no cancelling. */
void queue_browse_release(struct queue_browse *browse);

#endif
