/* The eight metrics of queues and groups (guide table 1-2) as series of one-minute values, kept
 * 72 hours.
 *
 * Every interval, aligned to UTC, all queues and groups are asked for their numbers, on a disk
 * thread; what changed goes to an internal log, __dms_metrics, and everything else once an hour.
 * So an idle queue costs one small record an hour and about 250 bytes of memory, and a search
 * reads no more than an hour in front of what it is asked for.
 * The log is cut in TELEMETRY_SERIES_SHARDS parts by id, of which a search reads one.
 *
 * A restart loses nothing, kill -9 the running interval.
 *
 * Threads: a monitor; every function from any thread unless it says otherwise. */
#ifndef TELEMETRY_SERIES_H
#define TELEMETRY_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/uuid.h"
#include "core/catalog/catalog.h"
#include "core/telemetry/metric.h"
#include "logstore/store.h"

struct telemetry_series;

enum {
    TELEMETRY_SERIES_HOURS = 72,
    TELEMETRY_SERIES_SHARDS = 8,
    TELEMETRY_SERIES_POINTS_MAX = 4320, /* of one search: 72 hours of minutes */
};

/* Fills values of a queue (group NULL) or of a group, in the order of telemetry_metric's slots;
 * values that grow only (is_rate of their metric) are totals since the broker started. False:
 * not known now, nothing is recorded. Called on a disk thread. */
typedef bool telemetry_series_sample(void *context, const struct catalog_topic *topic,
                                     const struct catalog_group *group,
                                     int64_t values[TELEMETRY_SLOTS_MAX]);

struct telemetry_series_options {
    struct logstore_store *store; /* borrowed */
    struct catalog *catalog;      /* borrowed */
    struct base_executor *loop;   /* borrowed; keeps the time */
    int32_t leader_epoch;
    int64_t interval_ms; /* 0 = 60,000 */
    telemetry_series_sample *sample;
    void *context;
};

/* Worker only. On an error *out is NULL, or series that are only to be closed. */
BASE_MUST_USE enum base_err telemetry_series_open(const struct telemetry_series_options *options,
                                                  struct telemetry_series **out);

/* Begins to sample. On the loop, once what sample() asks is open. */
void telemetry_series_start(struct telemetry_series *series);

/* Records the running interval as far as it has come, frees the series and posts closed to the
 * loop. On the loop; sample() may still be called until then. No search may be under way. */
void telemetry_series_close(struct telemetry_series *series, struct base_task *closed);

int64_t telemetry_series_interval_ms(const struct telemetry_series *series);

/* Queues and groups that are remembered now. */
size_t telemetry_series_count(struct telemetry_series *series);

enum telemetry_filter {
    TELEMETRY_FILTER_AVERAGE,
    TELEMETRY_FILTER_MAX,
    TELEMETRY_FILTER_MIN,
    TELEMETRY_FILTER_SUM,
    TELEMETRY_FILTER_VARIANCE, /* of the population */
    TELEMETRY_FILTER_COUNT
};

struct telemetry_point {
    int64_t timestamp_ms; /* start of the period */
    double value;
};

/* Values of one metric, rolled up to periods that are aligned to UTC. Embedded in what waits for
 * it. Intervals in which the broker did not run, or the queue or group did not exist, have no
 * value, and periods of only such ones no point. */
struct telemetry_series_search {
    /* in */
    struct base_executor *executor;
    struct base_task task;
    enum telemetry_metric_id metric;
    struct base_uuid id; /* of the queue, or the part of the group's behind "g-" */
    int64_t from_ms;     /* the first period starts at it or next behind it */
    int64_t to_ms;       /* > from; values before it */
    int64_t period_ms;   /* a multiple of the interval; 0: the interval itself, as recorded */
    enum telemetry_filter filter;

    /* out */
    enum base_err err;              /* BUSY: too many searches at once; TOO_LARGE: more than
                                     * TELEMETRY_SERIES_POINTS_MAX periods; IO, CORRUPT, NOMEM */
    struct telemetry_point *points; /* owned by the caller (base_free); oldest first */
    size_t points_count;

    /* the series' own */
    struct telemetry_series *series;
};

/* Always answers by posting task. */
void telemetry_series_find(struct telemetry_series *series, struct telemetry_series_search *search);

#endif
