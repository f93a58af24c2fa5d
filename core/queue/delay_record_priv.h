/* The two kinds of records in the internal topic __dms_delayed.
 *
 *     a message    key    <queue id>
 *                  value  its body; headers: dms.deliver_at (wall clock, ms), then its own; one
 *                         that was written again further on keeps its first id in dms.id
 *     a mark       key    <queue id>
 *                  value  {"v":1,"done":[[12,14],[17,17]]}: the messages at these offsets of
 *                         this log are in their queue, or gone with it; no headers
 *
 * In its queue the message carries dms.id (the id that the producer was told),
 * dms.deliver_at and dms.delay_offset (where it stood here: how the mover recognizes after a
 * crash what it had moved) in front of its own headers. */
#ifndef QUEUE_DELAY_RECORD_PRIV_H
#define QUEUE_DELAY_RECORD_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"
#include "core/base/writer.h"
#include "core/queue/produce.h"
#include "logstore/records.h"
#include "logstore/records_builder.h"

#define QUEUE_DELAY_HEADER_DELIVER_AT "dms.deliver_at"
#define QUEUE_DELAY_HEADER_OFFSET "dms.delay_offset"

/* Where records are put together; headers is room that is kept between them. */
struct queue_delay_writer {
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct logstore_header *headers; /* owned */
    size_t headers_capacity;
};

void queue__delay_writer_init(struct queue_delay_writer *writer, size_t bytes_max);
void queue__delay_writer_fini(struct queue_delay_writer *writer);

/* Adds a record for the delay log. NOMEM; what the builder meets sticks in it. */
BASE_MUST_USE enum base_err queue__delay_put_message(struct queue_delay_writer *writer,
                                                     const char *queue_id,
                                                     const struct queue_produce_message *message,
                                                     int64_t deliver_at_ms, int64_t now_ms);

/* Adds the record of the delay log as it has to stand in its queue. log_index: of the delay
 * log's partition. The same errors. */
BASE_MUST_USE enum base_err queue__delay_put_moved(struct queue_delay_writer *writer,
                                                   const struct logstore_record *record,
                                                   struct base_uuid queue_id, int32_t log_index,
                                                   int64_t now_ms);

/* Adds the record once more to the delay log, further on. The same errors. */
BASE_MUST_USE enum base_err queue__delay_put_again(struct queue_delay_writer *writer,
                                                   const struct logstore_record *record,
                                                   struct base_uuid queue_id, int32_t log_index,
                                                   int64_t now_ms);

/* Adds a mark for these offsets, which must ascend. */
void queue__delay_put_mark(struct queue_delay_writer *writer, const char *queue_id,
                           const int64_t *offsets, size_t count, int64_t now_ms);

/* What a record of the delay log is. CORRUPT: neither kind. */
struct queue_delay_parsed {
    struct base_uuid queue_id;
    bool is_mark;
    int64_t deliver_at_ms; /* of a message */
};

BASE_MUST_USE enum base_err queue__delay_parse(const struct logstore_record *record,
                                               struct queue_delay_parsed *out);

/* Calls visit for each range of a mark. UNSUPPORTED: written by a later version; CORRUPT. */
typedef void queue_delay_done(void *context, int64_t first, int64_t last);
BASE_MUST_USE enum base_err queue__delay_mark_each(struct base_slice value, queue_delay_done *visit,
                                                   void *context);

/* Where a record of a queue stood in the delay log; -1 when it did not. */
int64_t queue__delay_offset_of(const struct logstore_record *record);

#endif
