/* Searching: from records of changes to values of intervals, and from these to periods. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/reader.h"
#include "core/telemetry/series_priv.h"

enum { SEARCHES_MAX = 4 }; /* at once: they hold threads of the disk pool */

/* One period being rolled up; the variance as Welford has it. */
struct bucket {
    uint32_t count;
    double sum;
    double max;
    double min;
    double mean;
    double squares;
};

struct telemetry__find {
    struct logstore_lookup lookup;
    struct telemetry_series_search *search; /* borrowed */
    struct telemetry__journal *journal;     /* borrowed */
    uint8_t key[TELEMETRY__SERIES_KEY_SIZE];
    int64_t period_ms;
    int64_t first_ms; /* start of the first period */

    /* The interval that the replay is in. */
    int64_t label_ms; /* -1 before the first */
    int64_t value;
    bool is_known; /* the object has been seen */
    bool is_over;  /* everything that is asked for has been read */

    size_t buckets_count;
    struct bucket buckets[];
};

static void add_value(struct bucket *bucket, double value)
{
    bucket->count++;
    bucket->sum += value;
    bucket->max = bucket->count == 1 || value > bucket->max ? value : bucket->max;
    bucket->min = bucket->count == 1 || value < bucket->min ? value : bucket->min;
    double distance = value - bucket->mean;
    bucket->mean += distance / bucket->count;
    bucket->squares += distance * (value - bucket->mean);
}

static double value_of(const struct bucket *bucket, enum telemetry_filter filter)
{
    switch (filter) {
    case TELEMETRY_FILTER_AVERAGE:
        return bucket->sum / bucket->count;
    case TELEMETRY_FILTER_MAX:
        return bucket->max;
    case TELEMETRY_FILTER_MIN:
        return bucket->min;
    case TELEMETRY_FILTER_SUM:
        return bucket->sum;
    case TELEMETRY_FILTER_VARIANCE:
        return bucket->squares / bucket->count;
    case TELEMETRY_FILTER_COUNT:
        break;
    }
    BASE_ASSERT(false);
    return 0;
}

/* The interval is complete: its value goes to its period. */
static void end_interval(struct telemetry__find *find)
{
    if (find->label_ms < find->first_ms || find->label_ms >= find->search->to_ms ||
        !find->is_known) {
        return;
    }
    size_t index = (size_t)((find->label_ms - find->first_ms) / find->period_ms);
    BASE_ASSERT(index < find->buckets_count);
    add_value(&find->buckets[index], (double)find->value);
}

static enum base_err take_values(struct telemetry__find *find, struct base_slice bytes)
{
    const struct telemetry_metric_row *row = telemetry_metric_row(find->search->metric);
    struct base_reader reader;
    int64_t value = 0;

    base_reader_init(&reader, bytes.data, bytes.length);
    if (base_reader_int8(&reader) != TELEMETRY__SERIES_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    for (unsigned i = 0; i <= row->slot; i++) {
        value = base_reader_varlong(&reader);
    }
    if (reader.failed) {
        return BASE_ERR_CORRUPT;
    }
    /* Wraps rather than overflows: nobody checked what is stored. */
    find->value = row->is_rate ? (int64_t)((uint64_t)find->value + (uint64_t)value) : value;
    find->is_known = true;
    return BASE_ERR_OK;
}

static enum base_err visit(void *context, const struct logstore_record *record)
{
    struct telemetry__find *find = context;

    if (find->is_over) {
        return BASE_ERR_OK;
    }
    if (record->key.data == NULL) {
        if (record->timestamp_ms == find->label_ms) {
            return BASE_ERR_OK; /* the interval goes on after a restart */
        }
        end_interval(find);
        find->label_ms = record->timestamp_ms;
        /* Behind a label from before the clock was set back there may be smaller ones. */
        find->is_over = find->label_ms >= find->search->to_ms &&
                        find->label_ms > atomic_load(&find->search->series->ahead_ms);
        if (telemetry_metric_row(find->search->metric)->is_rate) {
            find->value = 0;
        }
        return BASE_ERR_OK;
    }
    return base_slice_equal(record->key, base_slice_of(find->key, sizeof find->key))
               ? take_values(find, record->value)
               : BASE_ERR_OK;
}

/* In pieces, so that what is behind the end of the search is not read. */
static enum base_err replay_range(struct telemetry__find *find, int64_t offset, int64_t end)
{
    enum { PIECE = 10000 };
    enum base_err err = BASE_ERR_OK;

    while (err == BASE_ERR_OK && offset < end && !find->is_over) {
        int64_t next = end - offset > PIECE ? offset + PIECE : end;
        err = logstore_replay(telemetry__journal_log(find->journal), offset, next, visit, find);
        offset = next;
    }
    if (err == BASE_ERR_OK && !find->is_over) {
        end_interval(find);
    }
    return err;
}

static void forget(struct telemetry__find *find)
{
    find->label_ms = -1;
    find->value = 0;
    find->is_known = false;
    find->is_over = false;
    memset(find->buckets, 0, find->buckets_count * sizeof find->buckets[0]);
}

/* Retention may overtake it: then from the new start on, knowing nothing. */
static enum base_err replay(struct telemetry__find *find, int64_t offset)
{
    enum { TRIES_MAX = 3 };
    enum base_err err = BASE_ERR_OUT_OF_RANGE;
    int64_t start;
    int64_t end;

    for (unsigned i = 0; i < TRIES_MAX && err == BASE_ERR_OUT_OF_RANGE; i++) {
        forget(find);
        telemetry__journal_range(find->journal, &start, &end);
        err = replay_range(find, offset < start ? start : offset, end);
    }
    return err;
}

static enum base_err take_points(const struct telemetry__find *find)
{
    struct telemetry_series_search *search = find->search;

    search->points = base_alloc_array(find->buckets_count, sizeof search->points[0]);
    if (search->points == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (size_t i = 0; i < find->buckets_count; i++) {
        const struct bucket *bucket = &find->buckets[i];
        if (bucket->count > 0) {
            search->points[search->points_count++] = (struct telemetry_point){
                find->first_ms + (int64_t)i * find->period_ms, value_of(bucket, search->filter)};
        }
    }
    return BASE_ERR_OK;
}

static void answer(struct telemetry_series_search *search, enum base_err err)
{
    search->err = err;
    atomic_fetch_sub(&search->series->searches_count, 1);
    base_executor_post(search->executor, &search->task);
}

/* On the worker: it is known where to begin. */
static void looked_up(struct base_task *task)
{
    struct logstore_lookup *lookup = BASE_CONTAINER_OF(task, struct logstore_lookup, task);
    struct telemetry__find *find = BASE_CONTAINER_OF(lookup, struct telemetry__find, lookup);
    struct telemetry_series_search *search = find->search;
    enum base_err err = lookup->err;

    if (err == BASE_ERR_OK && lookup->offset >= 0) {
        err = replay(find, lookup->offset);
        err = err == BASE_ERR_OK ? take_points(find) : err;
    }
    base_free(find);
    answer(search, err);
}

/* *out NULL with OK: there is no period in the range. */
static enum base_err prepare(struct telemetry_series *series,
                             struct telemetry_series_search *search, struct telemetry__find **out)
{
    int64_t interval_ms = series->options.interval_ms;
    int64_t period_ms = search->period_ms == 0 ? interval_ms : search->period_ms;

    *out = NULL;
    if (search->from_ms > INT64_MAX - period_ms) {
        return BASE_ERR_OK;
    }
    int64_t first_ms = (search->from_ms + period_ms - 1) / period_ms * period_ms;
    if (first_ms >= search->to_ms) {
        return BASE_ERR_OK;
    }
    int64_t count = (search->to_ms - first_ms - 1) / period_ms + 1;
    if (count > TELEMETRY_SERIES_POINTS_MAX) {
        return BASE_ERR_TOO_LARGE;
    }
    struct telemetry__find *find =
        base_alloc_array(1, sizeof *find + (size_t)count * sizeof find->buckets[0]);
    if (find == NULL) {
        return BASE_ERR_NOMEM;
    }
    find->search = search;
    find->journal = telemetry__series_journal(series, search->id);
    find->period_ms = period_ms;
    find->first_ms = first_ms;
    find->buckets_count = (size_t)count;
    telemetry__series_key(find->key, telemetry_metric_row(search->metric)->of, search->id);
    *out = find;
    return BASE_ERR_OK;
}

void telemetry_series_find(struct telemetry_series *series, struct telemetry_series_search *search)
{
    int64_t lead_ms = TELEMETRY__SERIES_FULL_MS;
    struct telemetry__find *find = NULL;
    int64_t start;
    int64_t end;

    BASE_ASSERT(search->from_ms >= 0);
    BASE_ASSERT(search->to_ms > search->from_ms);
    search->series = series;
    search->points = NULL;
    search->points_count = 0;
    bool is_busy = atomic_fetch_add(&series->searches_count, 1) >= SEARCHES_MAX;
    enum base_err err = is_busy ? BASE_ERR_BUSY : prepare(series, search, &find);
    if (find == NULL) {
        answer(search, err);
        return;
    }
    telemetry__journal_range(find->journal, &start, &end);
    find->lookup.timestamp_ms = find->first_ms > lead_ms ? find->first_ms - lead_ms : 0;
    find->lookup.limit_offset = end;
    find->lookup.executor = series->worker;
    find->lookup.task.run = looked_up;
    logstore_log_lookup(telemetry__journal_log(find->journal), &find->lookup);
}
