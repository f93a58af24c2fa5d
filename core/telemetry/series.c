/* Sampling: who is asked when, and what of it is written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/catalog/dead_letters.h"
#include "core/telemetry/series_priv.h"

enum {
    INTERVAL_MS_DEFAULT = 60 * 1000,
    MS_PER_HOUR = 60 * 60 * 1000,
    SEGMENT_HOURS = 6,
    RECORD_SIZE_MAX = 1 + TELEMETRY_SLOTS_MAX * 10,
    NAME_SIZE = 32,
};

/* A queue or group. What was sampled counts as written only once its batch is in the journal. */
struct object {
    int64_t written[TELEMETRY_SLOTS_MAX]; /* what the journal says, as far as is_written */
    int64_t sampled[TELEMETRY_SLOTS_MAX]; /* in round */
    uint64_t round;                       /* in which it was seen */
    int64_t written_ms;                   /* label of its last record */
    bool is_written;
    bool has_record; /* in the batch of round */
};

void telemetry__series_key(uint8_t key[TELEMETRY__SERIES_KEY_SIZE], enum telemetry_metric_of of,
                           struct base_uuid id)
{
    key[0] = of == TELEMETRY_OF_QUEUE ? 'q' : 'g';
    memcpy(key + 1, id.bytes, BASE_UUID_SIZE);
}

static bool is_rate(enum telemetry_metric_of of, unsigned slot)
{
    for (unsigned i = 0; i < TELEMETRY_METRIC_COUNT; i++) {
        const struct telemetry_metric_row *row = telemetry_metric_row((enum telemetry_metric_id)i);
        if (row->of == of && row->slot == slot) {
            return row->is_rate;
        }
    }
    return false;
}

/* Sampling. On the worker. */

static void put_record(struct telemetry_series *series, struct telemetry__journal_batch *batch,
                       struct base_slice key, const int64_t *values, unsigned values_count)
{
    uint8_t bytes[RECORD_SIZE_MAX];
    struct base_writer writer;

    base_writer_init(&writer, sizeof bytes);
    base_writer_int8(&writer, TELEMETRY__SERIES_VERSION);
    for (unsigned i = 0; i < values_count; i++) {
        base_writer_varlong(&writer, values[i]);
    }
    if (writer.err == BASE_ERR_OK) {
        logstore_records_builder_add(
            &batch->builder, &(struct logstore_record_input){
                                 .timestamp_ms = series->label_ms,
                                 .key = key,
                                 .value = base_slice_of(writer.buffer->data, writer.length)});
    } else {
        base_writer_fail(&batch->writer, writer.err);
    }
    base_writer_fini(&writer);
}

/* The intervals in which everything is written are spread over objects. */
static bool is_full_turn(const struct telemetry_series *series, struct base_uuid id)
{
    int64_t interval_ms = series->options.interval_ms;
    int64_t turns = TELEMETRY__SERIES_FULL_MS / interval_ms;
    int64_t number = series->label_ms / interval_ms;

    return turns <= 1 || number % turns == (id.bytes[0] << 8 | id.bytes[1]) % turns;
}

/* Whether a search that begins here would find no record of the object in front: its turn was
 * in an interval that nobody sampled. */
static bool is_overdue(const struct telemetry_series *series, const struct object *object)
{
    return series->label_ms - object->written_ms >= TELEMETRY__SERIES_FULL_MS;
}

/* The object of that key. NULL when memory is out. */
static struct object *find_object(struct telemetry_series *series, struct base_slice key)
{
    struct object *object = base_map_get(series->objects, key);

    if (object != NULL) {
        return object;
    }
    object = base_alloc_object(struct object);
    if (object != NULL && base_map_put(series->objects, key, object) != BASE_ERR_OK) {
        base_free(object);
        object = NULL;
    }
    return object;
}

static void sample_object(struct telemetry_series *series, enum telemetry_metric_of of,
                          struct base_uuid id, const int64_t values[TELEMETRY_SLOTS_MAX])
{
    unsigned count = of == TELEMETRY_OF_QUEUE ? TELEMETRY_QUEUE_SLOTS : TELEMETRY_GROUP_SLOTS;
    uint8_t bytes[TELEMETRY__SERIES_KEY_SIZE];
    int64_t recorded[TELEMETRY_SLOTS_MAX];

    telemetry__series_key(bytes, of, id);
    struct base_slice key = base_slice_of(bytes, sizeof bytes);
    struct object *object = find_object(series, key);
    if (object == NULL) {
        return; /* the next interval tries again */
    }
    bool is_due = !object->is_written || is_full_turn(series, id) || is_overdue(series, object);
    for (unsigned i = 0; i < count; i++) {
        recorded[i] = is_rate(of, i) ? values[i] - object->written[i] : values[i];
        is_due = is_due || values[i] != object->written[i];
        object->sampled[i] = values[i];
    }
    object->round = series->round;
    object->has_record = is_due;
    if (is_due) {
        put_record(series, &series->batches[telemetry__series_shard(id.bytes)], key, recorded,
                   count);
    }
}

static bool sample_topic(void *context, const struct catalog_topic *topic)
{
    struct telemetry_series *series = context;
    const struct telemetry_series_options *options = &series->options;
    int64_t values[TELEMETRY_SLOTS_MAX] = {0};
    struct base_uuid id;

    if (topic->kind == CATALOG_INTERNAL || catalog_topic_is_dead_letters(topic)) {
        return true;
    }
    if (options->sample(options->context, topic, NULL, values)) {
        sample_object(series, TELEMETRY_OF_QUEUE, topic->id, values);
    }
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        const struct catalog_group *group = &topic->groups[i];
        if (base_uuid_parse(group->id + 2, BASE_UUID_TEXT_SIZE - 1, &id) &&
            options->sample(options->context, topic, group, values)) {
            sample_object(series, TELEMETRY_OF_GROUP, id, values);
        }
    }
    return true;
}

/* Ends the round for one object: what is deleted is forgotten. What was lost with its batch
 * differs from what is written, and so comes again, rates with what is added until then. */
static bool settle_object(void *context, struct base_slice key, void *value)
{
    struct telemetry_series *series = context;
    struct object *object = value;

    if (object->round != series->round) {
        (void)base_map_remove(series->objects, key);
        base_free(object);
    } else if (!series->is_lost[telemetry__series_shard(key.data + 1)]) {
        memcpy(object->written, object->sampled, sizeof object->written);
        object->written_ms = object->has_record ? series->label_ms : object->written_ms;
        object->is_written = true;
    }
    return true;
}

static void end_batches(struct telemetry_series *series)
{
    for (unsigned i = 0; i < TELEMETRY_SERIES_SHARDS; i++) {
        enum base_err err =
            telemetry__journal_end(series->journals[i], &series->batches[i], series->worker);
        series->is_lost[i] = err != BASE_ERR_OK;
        if (err != BASE_ERR_OK) {
            base_log(BASE_LOG_WARN, "METRICS_NOT_WRITTEN", "shard=%u cause=\"%s\"", i,
                     base_err_text(err));
        }
    }
}

static void watch_clock(struct telemetry_series *series)
{
    if (series->label_ms < series->label_max_ms) {
        atomic_store(&series->ahead_ms, series->label_max_ms);
    } else {
        series->label_max_ms = series->label_ms;
    }
}

static void work(struct base_task *task)
{
    struct telemetry_series *series = BASE_CONTAINER_OF(task, struct telemetry_series, work);

    watch_clock(series);
    series->round++;
    for (unsigned i = 0; i < TELEMETRY_SERIES_SHARDS; i++) {
        telemetry__journal_begin(series->journals[i], &series->batches[i]);
        put_record(series, &series->batches[i], base_slice_of(NULL, 0), NULL, 0);
    }
    struct catalog_view *view = catalog_view(series->options.catalog);
    catalog_view_each(view, sample_topic, series);
    catalog_view_release(&view);
    end_batches(series);
    base_map_each(series->objects, settle_object, series);
    atomic_store(&series->objects_count, base_map_count(series->objects));
    base_executor_post(series->options.loop, &series->sampled);
}

/* Time. On the loop. */

static int64_t interval_start(const struct telemetry_series *series, int64_t time_ms)
{
    return time_ms / series->options.interval_ms * series->options.interval_ms;
}

static void arm(struct telemetry_series *series)
{
    int64_t wall_us = series->clock->wall_us(series->clock);
    int64_t interval_us = series->options.interval_ms * 1000;
    int64_t left_us = interval_us - wall_us % interval_us;

    base_timer_arm(series->options.loop, &series->timer,
                   base_clock_monotonic_us(series->clock) + left_us);
}

static void sample(struct telemetry_series *series, int64_t label_ms)
{
    BASE_ASSERT(!series->is_sampling);
    series->is_sampling = true;
    series->label_ms = label_ms;
    base_executor_post(series->worker, &series->work);
}

/* The interval that has just ended; a timer may be a little early. */
static void timer_fired(struct base_timer *timer)
{
    struct telemetry_series *series = BASE_CONTAINER_OF(timer, struct telemetry_series, timer);
    int64_t half_ms = series->options.interval_ms / 2;

    sample(series, interval_start(series, base_clock_wall_ms(series->clock) - half_ms));
}

void telemetry_series_start(struct telemetry_series *series)
{
    BASE_ASSERT(!series->is_started);
    series->is_started = true;
    arm(series);
}

/* The end. */

static bool free_object(void *context, struct base_slice key, void *value)
{
    (void)context;
    (void)key;
    base_free(value);
    return true;
}

static void free_series(struct telemetry_series *series)
{
    if (series->objects != NULL) {
        base_map_each(series->objects, free_object, NULL);
    }
    base_map_close(&series->objects);
    base_free(series);
}

/* Closes what journals there are, one after the other, and frees the series. */
static void close_journals(struct telemetry_series *series)
{
    if (series->journals_count > 0) {
        series->journals_count--;
        telemetry__journal_close(series->journals[series->journals_count], series->options.loop,
                                 &series->journal_closed);
        return;
    }
    struct base_executor *loop = series->options.loop;
    struct base_task *closed = series->closed_task;
    free_series(series);
    base_executor_post(loop, closed);
}

static void journal_closed(struct base_task *task)
{
    close_journals(BASE_CONTAINER_OF(task, struct telemetry_series, journal_closed));
}

/* The interval that runs now is recorded as far as it has come. */
static void sample_last(struct telemetry_series *series)
{
    series->is_last = true;
    sample(series, interval_start(series, base_clock_wall_ms(series->clock)));
}

static void sampled(struct base_task *task)
{
    struct telemetry_series *series = BASE_CONTAINER_OF(task, struct telemetry_series, sampled);

    series->is_sampling = false;
    if (series->is_last) {
        close_journals(series);
    } else if (series->closed_task != NULL) {
        sample_last(series);
    } else {
        arm(series);
    }
}

void telemetry_series_close(struct telemetry_series *series, struct base_task *closed)
{
    BASE_ASSERT(atomic_load(&series->searches_count) == 0);
    series->closed_task = closed;
    base_timer_stop(series->options.loop, &series->timer);
    if (!series->is_started) {
        close_journals(series);
    } else if (!series->is_sampling) {
        sample_last(series);
    }
}

/* The beginning. */

static enum base_err open_journal(struct telemetry_series *series, unsigned index)
{
    char name[NAME_SIZE];
    struct telemetry__journal_options options = {
        .store = series->options.store,
        .name = name,
        .leader_epoch = series->options.leader_epoch,
        /* What is in front of the first value that may be asked for says what it is. */
        .retention_ms = (int64_t)TELEMETRY_SERIES_HOURS * MS_PER_HOUR + TELEMETRY__SERIES_FULL_MS +
                        2 * series->options.interval_ms,
        .retention_bytes = -1,
        .segment_ms = (int64_t)SEGMENT_HOURS * MS_PER_HOUR};

    (void)snprintf(name, sizeof name, "__dms_metrics-%u", index);
    return telemetry__journal_open(&options, &series->journals[index]);
}

/* How far the clock had come. Where that cannot be read, searches read to the end. */
static void look_back(struct telemetry_series *series)
{
    series->label_max_ms = -1;
    for (unsigned i = 0; i < series->journals_count; i++) {
        struct logstore_lookup lookup = {.timestamp_ms = LOGSTORE_LOOKUP_MAX,
                                         .limit_offset = INT64_MAX};
        enum base_err err =
            logstore_log_lookup_wait(telemetry__journal_log(series->journals[i]), &lookup);
        int64_t label_ms = err == BASE_ERR_OK ? lookup.found_timestamp_ms : INT64_MAX;
        if (label_ms > series->label_max_ms) {
            series->label_max_ms = label_ms;
        }
    }
    atomic_init(&series->ahead_ms, series->label_max_ms);
}

enum base_err telemetry_series_open(const struct telemetry_series_options *options,
                                    struct telemetry_series **out)
{
    *out = NULL;
    struct telemetry_series *series = base_alloc_object(struct telemetry_series);
    if (series == NULL) {
        return BASE_ERR_NOMEM;
    }
    series->options = *options;
    if (series->options.interval_ms == 0) {
        series->options.interval_ms = INTERVAL_MS_DEFAULT;
    }
    series->clock = logstore_store_clock(options->store);
    series->worker = logstore_store_worker(options->store);
    series->work.run = work;
    series->sampled.run = sampled;
    series->timer.fire = timer_fired;
    series->journal_closed.run = journal_closed;
    atomic_init(&series->searches_count, 0);
    atomic_init(&series->objects_count, 0);
    enum base_err err = base_map_create(&series->objects);
    while (err == BASE_ERR_OK && series->journals_count < TELEMETRY_SERIES_SHARDS) {
        err = open_journal(series, series->journals_count);
        series->journals_count += series->journals[series->journals_count] != NULL;
    }
    if (err == BASE_ERR_OK) {
        look_back(series);
    }
    *out = series;
    return err;
}

int64_t telemetry_series_interval_ms(const struct telemetry_series *series)
{
    return series->options.interval_ms;
}

size_t telemetry_series_count(struct telemetry_series *series)
{
    return atomic_load(&series->objects_count);
}
