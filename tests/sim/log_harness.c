/* A log under test. */
#define _GNU_SOURCE /* mkdtemp */
#include "tests/sim/log_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "logstore/io_file.h"
#include "logstore/records_builder.h"

enum { WAIT_US_MAX = 600 * 1000000, VERIFY_READ_BYTES = 64 << 10 };

void log_harness_init(struct log_harness *harness, uint64_t seed)
{
    *harness = (struct log_harness){.open_segments_max = 64};
    harness->scheduler = sim_scheduler_create(seed);
    harness->loop = sim_scheduler_add(harness->scheduler, SIM_LOOP);
    harness->housekeeper = sim_scheduler_add(harness->scheduler, SIM_LOOP);
    harness->pool = sim_scheduler_add(harness->scheduler, SIM_POOL);
    harness->clock = sim_scheduler_clock(harness->scheduler);
    base_mutex_init(&harness->lock);
    logstore_log_config_default(&harness->config);
    harness->config.segment_bytes = 64 << 10;
    harness->config.retention_ms = -1;
}

void log_harness_use_sim(struct log_harness *harness, const struct io_sim_options *options)
{
    struct io_sim_options own = *options;
    own.scheduler = harness->scheduler;
    harness->sim = io_sim_create(&own);
    harness->io = io_sim_io(harness->sim);
}

void log_harness_use_files(struct log_harness *harness)
{
    (void)snprintf(harness->root, sizeof harness->root, "/tmp/dmsd-log-XXXXXX");
    char *made = mkdtemp(harness->root);
    BASE_ASSERT(made != NULL);
    struct logstore_io_file_options options = {.root = harness->root, .worker = harness->pool};
    enum base_err err = logstore_io_file_create(&options, &harness->io);
    BASE_ASSERT(err == BASE_ERR_OK);
}

static bool remove_log(void *context, const char *name, uint64_t size_bytes)
{
    struct log_harness *harness = context;
    (void)size_bytes;
    enum base_err err = harness->io->ops->remove_all(harness->io, name);
    BASE_ASSERT(err == BASE_ERR_OK);
    return true;
}

void log_harness_fini(struct log_harness *harness)
{
    if (harness->log != NULL) {
        log_harness_close(harness, false);
    }
    if (harness->sim != NULL) {
        io_sim_close(&harness->sim);
    } else if (harness->io != NULL) {
        char path[128];
        enum base_err err = harness->io->ops->list_logs(harness->io, remove_log, harness);
        BASE_ASSERT(err == BASE_ERR_OK);
        logstore_io_file_close(&harness->io);
        (void)snprintf(path, sizeof path, "%s/.lock", harness->root);
        (void)unlink(path);
        (void)rmdir(harness->root);
    }
    base_mutex_fini(&harness->lock);
    sim_scheduler_close(&harness->scheduler);
}

static void on_progress(void *owner)
{
    struct log_harness *harness = owner;
    base_mutex_assert_held(&harness->lock);
    harness->progress_count++;
}

enum base_err log_harness_open(struct log_harness *harness)
{
    BASE_ASSERT(harness->log == NULL);
    struct logstore_store_options store_options = {
        .io = harness->io,
        .worker = harness->pool,
        .housekeeper = harness->housekeeper,
        .clock = harness->clock,
        .tail_bytes_max = harness->tail_bytes_max,
        .open_segments_max = harness->open_segments_max,
        .retention_check_ms = 1000,
    };
    enum base_err err = logstore_store_create(&store_options, &harness->store);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct logstore_log_options options = {
        .store = harness->store,
        .name = LOG_HARNESS_NAME,
        .lock = &harness->lock,
        .config = harness->config,
        .leader_epoch = harness->leader_epoch,
        .owner = harness,
        .on_progress = on_progress,
    };
    err = logstore_log_open(&options, &harness->log);
    BASE_ASSERT((harness->log != NULL) == (err == BASE_ERR_OK || err == BASE_ERR_CORRUPT));
    if (harness->log == NULL) {
        logstore_store_close(&harness->store);
    }
    return err;
}

/* A task that notes that it ran. */
struct flag {
    struct base_task task;
    bool is_set;
};

static void set_flag(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct flag, task)->is_set = true;
}

void log_harness_close(struct log_harness *harness, bool checkpoint)
{
    struct flag closed = {.task.run = set_flag};

    logstore_log_close(harness->log, checkpoint, harness->loop, &closed.task);
    harness->log = NULL;
    bool ended = sim_scheduler_run_until(harness->scheduler, &closed.is_set, WAIT_US_MAX);
    BASE_ASSERT(ended);
    sim_scheduler_run(harness->scheduler);
    logstore_store_close(&harness->store);
}

struct base_chunk log_harness_make(struct log_harness *harness,
                                   const struct log_harness_batch *spec)
{
    struct base_writer writer;
    struct logstore_records_builder builder;
    uint8_t *value = malloc(spec->value_bytes + 1);
    int64_t timestamp_ms =
        spec->timestamp_ms == 0 ? base_clock_wall_ms(harness->clock) : spec->timestamp_ms;

    BASE_ASSERT(value != NULL);
    base_writer_init(&writer, 64 << 20);
    logstore_records_builder_begin(&builder, &writer);
    builder.header.producer_id = spec->producer_id;
    builder.header.producer_epoch = spec->producer_epoch;
    builder.header.base_sequence = spec->base_sequence;
    for (int32_t i = 0; i < spec->records_count; i++) {
        memset(value, 'a' + (int)((timestamp_ms + i) % 26), spec->value_bytes);
        struct logstore_record_input input = {
            .timestamp_ms = timestamp_ms + i,
            .value = base_slice_of(value, spec->value_bytes),
        };
        logstore_records_builder_add(&builder, &input);
    }
    enum base_err err = logstore_records_builder_finish(&builder);
    BASE_ASSERT(err == BASE_ERR_OK);
    free(value);
    size_t length = 0;
    struct base_buffer *buffer = base_writer_take(&writer, &length);
    return (struct base_chunk){.buffer = buffer, .length = length};
}

enum base_err log_harness_append_chunk(struct log_harness *harness, const struct base_chunk *chunk,
                                       struct logstore_appended *out)
{
    struct logstore_batch batch;
    enum base_err err =
        logstore_batch_peek(chunk->buffer->data + chunk->position, chunk->length, &batch, NULL);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_mutex_lock(&harness->lock);
    err = logstore_log_append(harness->log, chunk, &batch, harness->loop, out);
    base_mutex_unlock(&harness->lock);
    return err;
}

enum base_err log_harness_append(struct log_harness *harness, const struct log_harness_batch *spec,
                                 struct logstore_appended *out)
{
    struct base_chunk chunk = log_harness_make(harness, spec);
    enum base_err err = log_harness_append_chunk(harness, &chunk, out);
    base_chunk_release(&chunk);
    return err;
}

int64_t log_harness_put(struct log_harness *harness, int32_t records_count, size_t value_bytes)
{
    struct log_harness_batch spec = {.records_count = records_count,
                                     .value_bytes = value_bytes,
                                     .producer_id = -1,
                                     .producer_epoch = -1,
                                     .base_sequence = -1};
    struct logstore_appended appended;
    enum base_err err = log_harness_append(harness, &spec, &appended);
    BASE_ASSERT(err == BASE_ERR_OK);
    BASE_ASSERT(appended.verdict == LOGSTORE_VERDICT_APPEND);
    return appended.base_offset;
}

static int64_t get(struct log_harness *harness, int64_t (*getter)(const struct logstore_log *))
{
    base_mutex_lock(&harness->lock);
    int64_t value = getter(harness->log);
    base_mutex_unlock(&harness->lock);
    return value;
}

int64_t log_harness_start(struct log_harness *harness)
{
    return get(harness, logstore_log_start_offset);
}

int64_t log_harness_durable(struct log_harness *harness)
{
    return get(harness, logstore_log_durable_offset);
}

int64_t log_harness_written(struct log_harness *harness)
{
    return get(harness, logstore_log_written_offset);
}

int64_t log_harness_end(struct log_harness *harness)
{
    return get(harness, logstore_log_end_offset);
}

uint32_t log_harness_segments(struct log_harness *harness)
{
    base_mutex_lock(&harness->lock);
    uint32_t count = logstore_log_segments_count(harness->log);
    base_mutex_unlock(&harness->lock);
    return count;
}

const char *log_harness_reason(struct log_harness *harness)
{
    base_mutex_lock(&harness->lock);
    const char *reason = logstore_log_offline_reason(harness->log);
    base_mutex_unlock(&harness->lock);
    return reason;
}

static bool wait_for(struct log_harness *harness, int64_t offset,
                     int64_t (*getter)(const struct logstore_log *))
{
    for (int i = 0; i < 600; i++) {
        sim_scheduler_run(harness->scheduler);
        if (get(harness, getter) >= offset) {
            return true;
        }
        if (log_harness_reason(harness) != NULL) {
            return false;
        }
        sim_scheduler_advance(harness->scheduler, 100000);
    }
    return false;
}

bool log_harness_wait_durable(struct log_harness *harness, int64_t offset)
{
    return wait_for(harness, offset, logstore_log_durable_offset);
}

bool log_harness_wait_written(struct log_harness *harness, int64_t offset)
{
    return wait_for(harness, offset, logstore_log_written_offset);
}

struct read_flag {
    struct logstore_read read;
    bool is_done;
};

static void read_ended(struct base_task *task)
{
    struct logstore_read *read = BASE_CONTAINER_OF(task, struct logstore_read, task);
    BASE_CONTAINER_OF(read, struct read_flag, read)->is_done = true;
}

void log_harness_read(struct log_harness *harness, struct logstore_read *read)
{
    struct read_flag flag = {.read = *read};

    flag.read.executor = harness->loop;
    flag.read.task.run = read_ended;
    if (logstore_log_read(harness->log, &flag.read) == LOGSTORE_IO_PENDING) {
        bool ended = sim_scheduler_run_until(harness->scheduler, &flag.is_done, WAIT_US_MAX);
        BASE_ASSERT(ended);
    }
    *read = flag.read;
}

/* Walks the batches of one chunk; returns the offset behind them. */
static int64_t verify_chunk(const struct base_chunk *chunk, int64_t offset, uint32_t *batches_count)
{
    const uint8_t *data = chunk->buffer->data + chunk->position;
    size_t left = chunk->length;

    while (left > 0) {
        struct logstore_batch batch;
        enum base_err err = logstore_batch_peek(data, left, &batch, NULL);
        BASE_ASSERT(err == BASE_ERR_OK);
        err = logstore_batch_verify_crc(data, batch.size_bytes);
        BASE_ASSERT(err == BASE_ERR_OK);
        BASE_ASSERT(batch.base_offset <= offset);
        BASE_ASSERT(logstore_batch_next_offset(&batch) > offset);
        offset = logstore_batch_next_offset(&batch);
        data += batch.size_bytes;
        left -= batch.size_bytes;
        *batches_count += 1;
    }
    return offset;
}

int64_t log_harness_verify(struct log_harness *harness, int64_t from, int64_t to,
                           uint32_t *batches_count)
{
    uint32_t count = 0;

    while (from < to) {
        struct logstore_read read = {.offset = from,
                                     .limit_offset = to,
                                     .bytes_max = VERIFY_READ_BYTES,
                                     .first_whole = true,
                                     .in_memory = true};
        log_harness_read(harness, &read);
        BASE_ASSERT(read.err == BASE_ERR_OK);
        if (read.chunks_count == 0) {
            break;
        }
        int64_t next = from;
        for (uint32_t i = 0; i < read.chunks_count; i++) {
            next = verify_chunk(&read.chunks[i], next, &count);
        }
        BASE_ASSERT(next == read.next_offset);
        from = next;
        logstore_read_release(&read);
    }
    if (batches_count != NULL) {
        *batches_count = count;
    }
    return from;
}

struct replay {
    struct base_task task;
    struct log_harness *harness;
    int64_t from;
    int64_t to;
    logstore_replay_visit *visit;
    void *context;
    enum base_err err;
    bool is_done;
};

static void run_replay(struct base_task *task)
{
    struct replay *replay = BASE_CONTAINER_OF(task, struct replay, task);

    replay->err = logstore_replay(replay->harness->log, replay->from, replay->to, replay->visit,
                                  replay->context);
    replay->is_done = true;
}

enum base_err log_harness_replay(struct log_harness *harness, int64_t from, int64_t to,
                                 logstore_replay_visit *visit, void *context)
{
    struct replay replay = {.task.run = run_replay,
                            .harness = harness,
                            .from = from,
                            .to = to,
                            .visit = visit,
                            .context = context};

    base_executor_post(harness->pool, &replay.task);
    bool ended = sim_scheduler_run_until(harness->scheduler, &replay.is_done, WAIT_US_MAX);
    BASE_ASSERT(ended);
    return replay.err;
}

struct lookup_flag {
    struct logstore_lookup lookup;
    bool is_done;
};

static void lookup_ended(struct base_task *task)
{
    struct logstore_lookup *lookup = BASE_CONTAINER_OF(task, struct logstore_lookup, task);
    BASE_CONTAINER_OF(lookup, struct lookup_flag, lookup)->is_done = true;
}

void log_harness_lookup(struct log_harness *harness, struct logstore_lookup *lookup)
{
    struct lookup_flag flag = {.lookup = *lookup};

    flag.lookup.executor = harness->loop;
    flag.lookup.task.run = lookup_ended;
    logstore_log_lookup(harness->log, &flag.lookup);
    bool ended = sim_scheduler_run_until(harness->scheduler, &flag.is_done, WAIT_US_MAX);
    BASE_ASSERT(ended);
    *lookup = flag.lookup;
}

struct trim_flag {
    struct logstore_trim trim;
    bool is_done;
};

static void trim_ended(struct base_task *task)
{
    struct logstore_trim *trim = BASE_CONTAINER_OF(task, struct logstore_trim, task);
    BASE_CONTAINER_OF(trim, struct trim_flag, trim)->is_done = true;
}

enum base_err log_harness_trim(struct log_harness *harness, int64_t offset)
{
    struct trim_flag flag = {.trim = {.executor = harness->loop, .task.run = trim_ended}};

    base_mutex_lock(&harness->lock);
    logstore_log_trim(harness->log, offset, &flag.trim);
    base_mutex_unlock(&harness->lock);
    bool ended = sim_scheduler_run_until(harness->scheduler, &flag.is_done, WAIT_US_MAX);
    BASE_ASSERT(ended);
    return flag.trim.err;
}

void log_harness_path(const struct log_harness *harness, const char *object, char *path,
                      size_t size)
{
    int length = harness->sim != NULL
                     ? snprintf(path, size, "%s/%s", LOG_HARNESS_NAME, object)
                     : snprintf(path, size, "%s/%s/%s", harness->root, LOG_HARNESS_NAME, object);
    BASE_ASSERT(length > 0);
    BASE_ASSERT((size_t)length < size);
}
