/* What a dead letter says about itself, in headers. Part of what users read over Kafka. */
#ifndef QUEUE_DEAD_LETTER_H
#define QUEUE_DEAD_LETTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/queue/queue.h"
#include "logstore/records.h"

#define QUEUE_DEAD_LETTER_PARTITION "dms.dead.partition" /* of the queue it comes from */
#define QUEUE_DEAD_LETTER_OFFSET "dms.dead.offset"       /* there */
#define QUEUE_DEAD_LETTER_REASON "dms.dead.reason"       /* ack_fail or ack_timeout */
#define QUEUE_DEAD_LETTER_ATTEMPTS "dms.dead.attempts"   /* that failed */
#define QUEUE_DEAD_LETTER_PRODUCED "dms.dead.produced"   /* when, ms */
#define QUEUE_DEAD_LETTER_TIME "dms.dead.time"           /* when it became a dead letter, ms */

enum { QUEUE_DEAD_LETTER_HEADERS = 6 };

/* The headers, taken apart. The record's own time is when it became a dead letter. */
struct queue_dead_letter {
    int32_t partition; /* -1 when the record does not say; so are the other numbers */
    int64_t offset;
    int64_t attempts;
    int64_t produced_ms;
    bool timed_out; /* by a lease that ended; else by an ack */
};

void queue_dead_letter_read(const struct logstore_record *record, struct queue_dead_letter *out);

/* What has become of a letter. */
enum queue_letter_state {
    QUEUE_LETTER_AVAILABLE,
    QUEUE_LETTER_LEASED, /* or on its way back to its queue */
    QUEUE_LETTER_GONE,   /* consumed or redriven */
};

/* Of the letters at these offsets of their log. topic and group_id are theirs. Any thread. */
BASE_MUST_USE enum queue_verdict queue_dead_letter_states(struct queue_manager *manager,
                                                          const struct catalog_topic *topic,
                                                          struct base_slice group_id,
                                                          const int64_t *offsets, uint32_t count,
                                                          enum queue_letter_state *out);

/* Whether the key is one of those above. */
bool queue_dead_letter_is_header(struct base_slice key);

#endif
