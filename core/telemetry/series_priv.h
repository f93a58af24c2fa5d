/* How series stand on their log. A batch is one interval of one shard; its records bear the
 * interval's start as timestamp. The first record, without a key, says that the broker ran;
 * the others are the queues ('q' and the id) and groups ('g' and the id) with something to say.
 * Several batches of one interval, as after a restart, add up. */
#ifndef TELEMETRY_SERIES_PRIV_H
#define TELEMETRY_SERIES_PRIV_H

#include <stdatomic.h>

#include "core/telemetry/journal_priv.h"
#include "core/telemetry/series.h"

enum {
    TELEMETRY__SERIES_VERSION = 1, /* first byte of a record's value; then varlongs, one a slot */
    TELEMETRY__SERIES_KEY_SIZE = 1 + BASE_UUID_SIZE,
    /* So far in front of an interval there is a record of whatever has a value in it. Time and
     * not intervals: theirs may have been another when it was written. */
    TELEMETRY__SERIES_FULL_MS = 60 * 60 * 1000,
};

struct telemetry_series {
    struct telemetry_series_options options;
    struct base_clock *clock;                                     /* borrowed */
    struct base_executor *worker;                                 /* borrowed */
    struct telemetry__journal *journals[TELEMETRY_SERIES_SHARDS]; /* owned */
    unsigned journals_count;
    atomic_uint searches_count;

    /* Labels grow along the journals unless the clock is set back. The largest one in front of
     * that, or of all that were there at the start: it may have been set back before. -1: there
     * was none. */
    atomic_int_fast64_t ahead_ms;

    /* Of the sampler, which runs once at a time. */
    struct base_map *objects; /* owned; key to struct object, owned */
    atomic_size_t objects_count;
    uint64_t round;
    int64_t label_ms;     /* of the interval being recorded */
    int64_t label_max_ms; /* of all that were; -1 before the first */
    struct telemetry__journal_batch batches[TELEMETRY_SERIES_SHARDS];
    bool is_lost[TELEMETRY_SERIES_SHARDS]; /* the batch of the round did not get to the journal */
    struct base_task work;

    /* Of the loop. */
    struct base_timer timer;
    struct base_task sampled;
    bool is_started;
    bool is_sampling;
    bool is_last;                  /* the sample under way is the last one */
    struct base_task *closed_task; /* borrowed; set: the end has begun */
    struct base_task journal_closed;
};

void telemetry__series_key(uint8_t key[TELEMETRY__SERIES_KEY_SIZE], enum telemetry_metric_of of,
                           struct base_uuid id);

static inline unsigned telemetry__series_shard(const uint8_t id[BASE_UUID_SIZE])
{
    return id[BASE_UUID_SIZE - 1] % TELEMETRY_SERIES_SHARDS;
}

static inline struct telemetry__journal *telemetry__series_journal(struct telemetry_series *series,
                                                                   struct base_uuid id)
{
    return series->journals[telemetry__series_shard(id.bytes)];
}

#endif
