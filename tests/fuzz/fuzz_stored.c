/* libFuzzer target: brokers whose internal logs hold any records. A broker starts or says that it
 * cannot; one that did works, stops, and starts again.
 *
 * A broker is made, records of the input are appended to its logs while it is stopped (with right
 * CRCs), then it is started, used and started again:
 *
 *     byte 0     which broker (enum mode)
 *     then       for each record a byte that says which log, and the record as in stored.h; a key
 *                of one letter stands for one of the broker's own: see key_of() */
#define _GNU_SOURCE /* memmem */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/catalog/dead_letters.h"
#include "core/queue/browse.h"
#include "core/queue/redrive.h"
#include "core/telemetry/audit.h"
#include "core/telemetry/series.h"
#include "rest-gw/json.h"
#include "tests/fuzz/stored.h"
#include "tests/sim/core_harness.h"
#include "tests/sim/ground.h"
#include "tests/sim/queue_harness.h"

enum mode { MODE_QUEUES, MODE_GROUPS, MODE_TELEMETRY, MODE_COUNT };

enum {
    RECORDS_MAX = 16,
    NAME_SIZE = 64,
    KEY_SIZE = 80,
    LOGS_MAX = 10,
    WAIT_US_MAX = 60 * 1000 * 1000,
    SECOND_US = 1000 * 1000,
    RECORD_STEP_MS = 1000,
    BROWSED_MAX = 10,
    PARTITIONS_DIGITS_MAX = 3,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A catalog may name millions of partitions, which would all be opened. */
static bool has_many_partitions(const uint8_t *data, size_t size)
{
    static const char field[] = "\"partitions\":";
    const uint8_t *at = data;

    while ((at = memmem(at, size - (size_t)(at - data), field, sizeof field - 1)) != NULL) {
        size_t digits = 0;
        at += sizeof field - 1;
        while (digits < size - (size_t)(at - data) &&
               memchr(" 0123456789", at[digits], 11) != NULL) {
            digits++;
        }
        if (digits >= PARTITIONS_DIGITS_MAX) {
            return true;
        }
    }
    return false;
}

/* What records go to, and what they may be called. */
struct logs {
    char names[LOGS_MAX][NAME_SIZE];
    unsigned count;
    char queue_id[BASE_UUID_TEXT_SIZE];
    char group_id[CATALOG_GROUP_ID_SIZE];
    char letters_id[CATALOG_GROUP_ID_SIZE];
};

static void add_log(struct logs *logs, const char *topic_id, int32_t partition)
{
    BASE_ASSERT(logs->count < LOGS_MAX);
    (void)snprintf(logs->names[logs->count++], NAME_SIZE, "%s-%" PRId32, topic_id, partition);
}

static void add_topic(struct logs *logs, struct catalog *catalog, const char *name)
{
    struct catalog_view *view = catalog_view(catalog);
    const struct catalog_topic *topic = catalog_view_topic(view, base_slice_text(name));

    BASE_ASSERT(topic != NULL);
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        add_log(logs, topic->id_text, i);
    }
    catalog_view_release(&view);
}

/* The key that a letter stands for, in text. */
static struct base_slice key_of(const struct logs *logs, struct base_slice key, char text[KEY_SIZE])
{
    static const uint8_t series_of_zero[1 + BASE_UUID_SIZE] = {'q'};

    if (key.length != 1) {
        return key;
    }
    switch (key.data[0]) {
    case 'c':
        (void)snprintf(text, KEY_SIZE, "%s/0", logs->group_id);
        break;
    case 't':
        (void)snprintf(text, KEY_SIZE, "%s/tags", logs->group_id);
        break;
    case 'd':
        (void)snprintf(text, KEY_SIZE, "%s/0", logs->letters_id);
        break;
    case 'r':
        (void)snprintf(text, KEY_SIZE, "%s/redrive", logs->letters_id);
        break;
    case 'q':
        (void)snprintf(text, KEY_SIZE, "%s", logs->queue_id);
        break;
    case 'T':
        (void)snprintf(text, KEY_SIZE, "topic/%s", logs->queue_id);
        break;
    case 's':
        return base_slice_of(series_of_zero, sizeof series_of_zero);
    default:
        return key;
    }
    return base_slice_text(text);
}

/* A stopped broker's disk. */
struct disk {
    struct io_sim *sim;
    struct sim_scheduler *scheduler;
    struct base_executor *loop;
    struct base_executor *pool;
    int32_t epoch;
};

/* One batch of one record at the end of the log. */
static void append(const struct disk *disk, const char *name, const struct stored_record *record)
{
    struct sim_flag closed = sim_flag();
    struct base_mutex lock;
    struct stored_batch batch;
    struct logstore_appended appended;
    struct logstore_store *store = NULL;
    const struct logstore_store_options store_options = {
        .io = io_sim_io(disk->sim),
        .worker = disk->pool,
        .housekeeper = disk->loop,
        .clock = sim_scheduler_clock(disk->scheduler),
        .tail_bytes_max = 1 << 20,
        .open_segments_max = 8,
        .retention_check_ms = INT32_MAX,
    };
    struct logstore_log_options options = {
        .name = name, .lock = &lock, .leader_epoch = disk->epoch};
    struct logstore_log *log = NULL;

    base_mutex_init(&lock);
    logstore_log_config_default(&options.config);
    options.config.retention_ms = -1;
    enum base_err err = logstore_store_create(&store_options, &store);
    BASE_ASSERT(err == BASE_ERR_OK);
    options.store = store;
    err = logstore_log_open(&options, &log);
    BASE_ASSERT(err == BASE_ERR_OK);
    stored_batch_open(&batch, record);
    struct base_chunk chunk = {.buffer = base_writer_take(&batch.writer, &chunk.length)};
    base_mutex_lock(&lock);
    err = logstore_log_append(log, &chunk, &batch.records.batch, disk->loop, &appended);
    base_mutex_unlock(&lock);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_chunk_release(&chunk);
    stored_batch_close(&batch);
    sim_scheduler_run(disk->scheduler);
    logstore_log_close(log, true, disk->loop, &closed.task);
    bool came = sim_scheduler_run_until(disk->scheduler, &closed.is_set, WAIT_US_MAX);
    BASE_ASSERT(came);
    sim_scheduler_run(disk->scheduler);
    logstore_store_close(&store);
    base_mutex_fini(&lock);
}

/* Not a log: how often the broker was started. */
static const char generation_name[] = "__broker/generation";

static void put_generation(const struct disk *disk, struct base_slice value)
{
    struct logstore_io *io = io_sim_io(disk->sim);
    enum base_err err =
        io->ops->put(io, generation_name, value.data == NULL ? base_slice_of("", 0) : value);
    BASE_ASSERT(err == BASE_ERR_OK);
}

/* True when the input has set the generation, too: the next starts may then come to its end. */
static bool append_all(const struct disk *disk, const struct logs *logs, struct base_reader *reader)
{
    bool has_generation = false;
    int64_t now_ms = base_clock_wall_ms(sim_scheduler_clock(disk->scheduler));

    for (unsigned i = 0; i < RECORDS_MAX && reader->remaining > 1; i++) {
        struct stored_record record;
        char key[KEY_SIZE];
        const char *name = logs->names[(uint8_t)base_reader_int8(reader) % logs->count];

        if (!stored_take(reader, now_ms + (int64_t)i * RECORD_STEP_MS, &record)) {
            break;
        }
        if (strcmp(name, generation_name) == 0) {
            put_generation(disk, record.input.value);
            has_generation = true;
        } else {
            record.input.key = key_of(logs, record.input.key, key);
            append(disk, name, &record);
        }
    }
    return has_generation;
}

/* Queues: catalog, cursors, what is delayed, dead letters. */

static void queues_prepare(struct queue_harness *harness, struct logs *logs)
{
    enum base_err err = queue_harness_start(harness);
    BASE_ASSERT(err == BASE_ERR_OK);
    struct catalog_topic *topic =
        queue_harness_make_redrive_queue(harness, "queue", CATALOG_NORMAL, 1, 2);
    BASE_ASSERT(topic != NULL);
    bool is_made = queue_harness_make_group(harness, &topic, "group");
    BASE_ASSERT(is_made);
    (void)snprintf(logs->queue_id, sizeof logs->queue_id, "%s", topic->id_text);
    (void)snprintf(logs->group_id, sizeof logs->group_id, "%s", topic->groups[0].id);
    catalog_dead_letters_group_id(logs->group_id, logs->letters_id);
    (void)snprintf(logs->names[logs->count++], NAME_SIZE, "__catalog-0");
    add_topic(logs, harness->catalog, "__dms_cursors");
    add_topic(logs, harness->catalog, "__dms_delayed");
    add_log(logs, logs->letters_id + strlen("d-"), 0);
    add_log(logs, topic->id_text, 0);
    (void)snprintf(logs->names[logs->count++], NAME_SIZE, "%s", generation_name);
    catalog_topic_release(&topic);
    queue_harness_stop(harness);
}

static void consume(struct queue_harness *harness, const struct catalog_topic *topic,
                    const char *group_id)
{
    struct queue_ack_item items[QUEUE_MESSAGES_MAX] = {{.success = true}};
    struct queue_harness_ack ack = {
        .ack = {.topic = topic, .group_id = base_slice_text(group_id), .items = items}};
    struct queue_harness_consume taken = {.consume = {.topic = topic,
                                                      .group_id = base_slice_text(group_id),
                                                      .messages_max = QUEUE_MESSAGES_MAX,
                                                      .size_bytes_max = QUEUE_CONSUME_BYTES_MAX,
                                                      .ack_wait_ms = 15000}};

    queue_harness_start_consume(harness, 0, &taken);
    queue_harness_wait(harness, &taken.is_over);
    for (uint32_t i = 0; i < taken.consume.messages_count; i++) {
        items[i] = (struct queue_ack_item){
            .handler = base_slice_text(taken.consume.messages[i].handler), .success = i % 3 != 2};
    }
    ack.ack.items_count = taken.consume.messages_count;
    if (ack.ack.items_count > 0) {
        queue_harness_start_ack(harness, 0, &ack);
        queue_harness_wait(harness, &ack.is_over);
    }
    queue_consume_release(&taken.consume);
}

struct browsing {
    struct queue_harness *harness;
    struct queue_browse browse;
    bool is_over;
};

static void is_browsed(struct base_task *task)
{
    struct queue_browse *browse = BASE_CONTAINER_OF(task, struct queue_browse, task);
    BASE_CONTAINER_OF(browse, struct browsing, browse)->is_over = true;
}

static void begin_browse(void *context)
{
    struct browsing *browsing = context;
    browsing->is_over = queue_browse(browsing->harness->manager, &browsing->browse) == QUEUE_DONE;
}

static void browse(struct queue_harness *harness, const struct catalog_topic *topic,
                   bool newest_first)
{
    struct browsing *browsing = base_alloc_object(struct browsing);

    BASE_ASSERT(browsing != NULL);
    browsing->harness = harness;
    browsing->browse = (struct queue_browse){.executor = harness->loops[0],
                                             .task.run = is_browsed,
                                             .topic = topic,
                                             .newest_first = newest_first,
                                             .offset = -1,
                                             .timestamp_ms = -1,
                                             .messages_max = BROWSED_MAX};
    queue_harness_run_on(harness, 0, begin_browse, browsing);
    queue_harness_wait(harness, &browsing->is_over);
    queue_browse_release(&browsing->browse);
    base_free(browsing);
}

struct use {
    struct queue_harness *harness;
    const struct catalog_topic *topics[4];
    unsigned count;
};

static bool note_topic(void *context, const struct catalog_topic *topic)
{
    struct use *use = context;
    if (topic->kind != CATALOG_INTERNAL && topic->partitions_count <= 4) {
        use->topics[use->count++] = topic;
    }
    return use->count < sizeof use->topics / sizeof use->topics[0];
}

static void queues_use(struct queue_harness *harness)
{
    struct use use = {.harness = harness};
    struct catalog_view *view = catalog_view(harness->catalog);

    catalog_view_each(view, note_topic, &use);
    for (unsigned i = 0; i < use.count; i++) {
        const struct catalog_topic *topic = use.topics[i];
        for (uint32_t k = 0; k < topic->groups_count; k++) {
            struct base_slice group_id = base_slice_text(topic->groups[k].id);
            struct queue_redrive_status status;
            struct queue_counters counters;
            if (queue_count(harness->manager, topic, group_id, &counters) == QUEUE_OK) {
                BASE_ASSERT(counters.produced >= 0 && counters.available >= 0);
            }
            if (queue_redrive_status(harness->manager, topic, group_id, &status) == QUEUE_OK) {
                BASE_ASSERT(status.state < QUEUE_REDRIVE_STATE_COUNT);
            }
            consume(harness, topic, topic->groups[k].id);
        }
        browse(harness, topic, i % 2 == 1);
    }
    sim_scheduler_advance(harness->scheduler, 30 * SECOND_US);
    catalog_view_release(&view);
}

static void on_queues(struct base_reader *reader)
{
    const struct io_sim_options options = {0};
    struct queue_harness harness;
    struct logs logs = {.count = 0};

    queue_harness_init(&harness, 1, &options);
    queues_prepare(&harness, &logs);
    const struct disk disk = {harness.sim, harness.scheduler, harness.housekeeper, harness.pool, 0};
    bool has_generation = append_all(&disk, &logs, reader);
    if (queue_harness_start(&harness) == BASE_ERR_OK) {
        queues_use(&harness);
        queue_harness_stop(&harness);
        enum base_err err = queue_harness_start(&harness);
        BASE_ASSERT(err == BASE_ERR_OK || has_generation);
    }
    queue_harness_fini(&harness);
}

/* Consumer groups: committed offsets and members. */

static void groups_prepare(struct core_harness *harness, struct logs *logs)
{
    enum base_err err = core_harness_start(harness);
    BASE_ASSERT(err == BASE_ERR_OK);
    (void)snprintf(logs->names[logs->count++], NAME_SIZE, "__catalog-0");
    add_topic(logs, harness->catalog, "__consumer_offsets");
    (void)snprintf(logs->names[logs->count++], NAME_SIZE, "%s", generation_name);
    core_harness_stop(harness);
}

static bool see_offset(void *context, struct base_slice topic, int32_t partition,
                       struct group_offset *offset)
{
    (void)context;
    (void)topic;
    (void)partition;
    BASE_ASSERT(offset->metadata[offset->metadata_length] == '\0');
    return true;
}

static void groups_use(struct core_harness *harness)
{
    struct base_arena arena;
    struct group_listing *listing = NULL;
    uint32_t count = 0;

    base_arena_init(&arena, 1 << 22);
    if (group_list(harness->groups, 0, &arena, &listing, &count) == GROUP_OK) {
        for (uint32_t i = 0; i < count; i++) {
            struct group_description description;
            (void)group_describe(harness->groups, listing[i].group_id, &arena, &description);
            (void)group_offsets_each(harness->groups, listing[i].group_id, see_offset, NULL);
        }
    }
    base_arena_fini(&arena);
    sim_scheduler_advance(harness->scheduler, 60 * SECOND_US);
}

static void on_groups(struct base_reader *reader)
{
    const struct io_sim_options options = {0};
    struct core_harness harness;
    struct logs logs = {.count = 0};

    core_harness_init(&harness, 1, 1, &options);
    groups_prepare(&harness, &logs);
    const struct disk disk = {harness.sim, harness.scheduler, harness.housekeeper, harness.pool, 0};
    bool has_generation = append_all(&disk, &logs, reader);
    if (core_harness_start(&harness) == BASE_ERR_OK) {
        groups_use(&harness);
        core_harness_stop(&harness);
        enum base_err err = core_harness_start(&harness);
        BASE_ASSERT(err == BASE_ERR_OK || has_generation);
    }
    core_harness_fini(&harness);
}

/* Telemetry: traces and series. */

struct search {
    struct telemetry_audit_search traces;
    struct telemetry_series_search series;
    bool is_over;
};

static void traces_found(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct search, traces.task)->is_over = true;
}

static void series_found(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct search, series.task)->is_over = true;
}

static void search_traces(const struct sim_ground *ground, int32_t epoch)
{
    struct telemetry_audit_options options = {.store = ground->store, .leader_epoch = epoch};
    struct search search = {.traces = {.executor = ground->loop,
                                       .task.run = traces_found,
                                       .to_ms = INT64_MAX,
                                       .before = INT64_MAX,
                                       .limit = TELEMETRY_AUDIT_LIMIT_MAX,
                                       .user = base_slice_text("somebody")}};
    struct sim_flag closed = sim_flag();
    struct telemetry_audit *audit = NULL;

    enum base_err err = telemetry_audit_open(&options, &audit);
    BASE_ASSERT(err == BASE_ERR_OK);
    telemetry_audit_find(audit, &search.traces);
    sim_ground_wait(ground, &search.is_over);
    json_decref(search.traces.traces);
    telemetry_audit_close(audit, ground->loop, &closed.task);
    sim_ground_wait(ground, &closed.is_set);
}

struct series_close {
    struct base_task task;
    struct telemetry_series *series;
    struct sim_flag closed;
};

static void close_series(struct base_task *task)
{
    struct series_close *close = BASE_CONTAINER_OF(task, struct series_close, task);
    telemetry_series_close(close->series, &close->closed.task);
}

static void search_series(const struct sim_ground *ground, int32_t epoch)
{
    struct telemetry_series_options options = {
        .store = ground->store, .loop = ground->loop, .leader_epoch = epoch};
    struct series_close close = {.task.run = close_series, .closed = sim_flag()};
    int64_t now_ms = base_clock_wall_ms(sim_scheduler_clock(ground->scheduler));

    enum base_err err = telemetry_series_open(&options, &close.series);
    BASE_ASSERT(err == BASE_ERR_OK);
    for (unsigned metric = 0; metric < TELEMETRY_METRIC_COUNT; metric++) {
        struct search search = {
            .series = {.executor = ground->loop,
                       .task.run = series_found,
                       .metric = (enum telemetry_metric_id)metric,
                       .from_ms = now_ms - 3600 * 1000,
                       .to_ms = now_ms + 3600 * 1000,
                       .period_ms = metric % 2 == 0 ? 0 : 300 * 1000,
                       .filter = (enum telemetry_filter)(metric % TELEMETRY_FILTER_COUNT)}};
        telemetry_series_find(close.series, &search.series);
        sim_ground_wait(ground, &search.is_over);
        base_free(search.series.points);
    }
    base_executor_post(ground->loop, &close.task);
    sim_ground_wait(ground, &close.closed.is_set);
}

static void on_telemetry(struct base_reader *reader)
{
    struct sim_ground ground;
    struct logs logs = {.names = {"__dms_audit-0", "__dms_metrics-0"}, .count = 2};

    sim_ground_init(&ground, 1, 0, 0);
    const struct disk disk = {ground.sim, ground.scheduler, ground.loop, ground.worker, 0};
    (void)append_all(&disk, &logs, reader);
    sim_ground_open_store(&ground);
    search_traces(&ground, 1);
    search_series(&ground, 1);
    sim_scheduler_run(ground.scheduler);
    sim_ground_close_store(&ground);
    sim_ground_fini(&ground);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const modes[MODE_COUNT])(struct base_reader * reader) = {on_queues, on_groups,
                                                                           on_telemetry};
    struct base_reader reader;

    if (size == 0 || has_many_partitions(data, size)) {
        return 0;
    }
    restgw_json_init();
    base_log_configure(BASE_LOG_ERROR + 1, BASE_LOG_LOGFMT);
    base_reader_init(&reader, data + 1, size - 1);
    modes[data[0] % MODE_COUNT](&reader);
    return 0;
}
