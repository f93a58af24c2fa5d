/* What one log remembers of its idempotent producers, so that a batch sent twice is
 * stored once and a gap is noticed (KIP-98, KIP-360).
 *
 * Append goes: check() → reserve() → write the batch → update(), which cannot fail.
 * Threads: none of its own; the lock of the log guards it. */
#ifndef LOGSTORE_PRODUCERS_H
#define LOGSTORE_PRODUCERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/reader.h"
#include "core/base/writer.h"
#include "logstore/batch.h"

enum {
    LOGSTORE_PRODUCERS_BATCHES_COUNT = 5, /* Kafka's clients have at most 5 requests in flight */
    /* Producers remembered per log; beyond it the longest idle one is forgotten. */
    LOGSTORE_PRODUCERS_COUNT_MAX = 100000,
};

enum logstore_verdict {
    LOGSTORE_VERDICT_APPEND,
    LOGSTORE_VERDICT_DUPLICATE,              /* stored before: answer with the first offset */
    LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE,  /* Kafka error 45 */
    LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH, /* Kafka error 47 */
};

/* Where a duplicate was stored. */
struct logstore_duplicate {
    int64_t base_offset;
    int64_t last_offset;
    int64_t timestamp_ms; /* of the stored batch: its max_timestamp */
};

/* One producer as tools see it (DescribeProducers). */
struct logstore_producer_info {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t last_sequence; /* -1 none */
    int64_t last_timestamp_ms;
    int64_t txn_first_offset; /* -1 no open transaction */
};

struct logstore_producer; /* see producers.c */

/* Embedded; 80 bytes and no heap while there are no producers. Touch it only
 * through logstore_producers_*. */
struct logstore_producers {
    struct logstore_producer **buckets; /* owned; NULL until the first producer */
    struct logstore_producer *spare;    /* owned; what reserve() made for update() */
    struct base_list idle;              /* all producers, longest idle first */
    struct base_list txns;              /* those with an open transaction, oldest first */
    uint64_t seed;                      /* of the hash: ids come from the network */
    uint32_t buckets_count;             /* power of two, or 0 */
    uint32_t count;
};

void logstore_producers_init(struct logstore_producers *producers);
void logstore_producers_fini(struct logstore_producers *producers);

/* Forgets every producer; stays usable. */
void logstore_producers_clear(struct logstore_producers *producers);

size_t logstore_producers_count(const struct logstore_producers *producers);

/* Judges a batch that is about to be appended; its offsets do not matter. Changes
 * nothing. Batches without a producer are always APPEND. *duplicate is set only
 * with DUPLICATE. */
enum logstore_verdict logstore_producers_check(const struct logstore_producers *producers,
                                               const struct logstore_batch *batch,
                                               struct logstore_duplicate *duplicate);

/* Makes sure that the next update() with this batch's producer finds memory. At
 * LOGSTORE_PRODUCERS_COUNT_MAX it forgets the longest idle producer that has no open
 * transaction; TOO_LARGE if there is none such. NOMEM leaves everything as it was. */
BASE_MUST_USE enum base_err logstore_producers_reserve(struct logstore_producers *producers,
                                                       const struct logstore_batch *batch);

/* Takes note of an appended batch, whose offsets are final. Needs a reserve() before,
 * except for batches without a producer, which it ignores. Also for every batch that
 * recovery replays, in order, unjudged; markers (control batches) end transactions.
 * now_ms: broker's wall clock, never a record's time: expiry counts from it. */
void logstore_producers_update(struct logstore_producers *producers,
                               const struct logstore_batch *batch, int64_t now_ms);

/* Forgets producers idle for expiration_ms or longer, except those with an open
 * transaction. Returns how many. */
size_t logstore_producers_expire(struct logstore_producers *producers, int64_t now_ms,
                                 int64_t expiration_ms);

/* First offset of the oldest open transaction; -1 when none is open. */
int64_t logstore_producers_first_txn_offset(const struct logstore_producers *producers);

/* Calls visit for every producer, longest idle first, until it returns false. visit
 * must not change the table. */
typedef bool logstore_producers_visit(void *context, const struct logstore_producer_info *info);
void logstore_producers_each(const struct logstore_producers *producers,
                             logstore_producers_visit *visit, void *context);

/* Appends a snapshot; look at writer->err. It says nothing about offsets: the caller
 * stores beside it up to which offset it is valid. */
void logstore_producers_encode(const struct logstore_producers *producers,
                               struct base_writer *writer);

/* Replaces the content by a snapshot, which need not be the last thing in reader.
 * MALFORMED, UNSUPPORTED (later version) or NOMEM leave producers empty. */
BASE_MUST_USE enum base_err logstore_producers_decode(struct logstore_producers *producers,
                                                      struct base_reader *reader);

#endif
