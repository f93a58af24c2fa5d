/* One log: its state, its housekeeping, its end. */
#include "logstore/log.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "logstore/log_priv.h"

enum { REASON_SIZE = 320 };

#define MAY(state) (1u << LOGSTORE__##state)
static const unsigned log_moves[LOGSTORE__STATE_COUNT] = {
    [LOGSTORE__IDLE] = MAY(APPENDING) | MAY(OPENING) | MAY(ROLLING) | MAY(OFFLINE) | MAY(CLOSING),
    [LOGSTORE__APPENDING] = MAY(IDLE) | MAY(OFFLINE),
    [LOGSTORE__OPENING] = MAY(IDLE) | MAY(OFFLINE),
    [LOGSTORE__ROLLING] = MAY(IDLE) | MAY(OFFLINE),
    [LOGSTORE__OFFLINE] = MAY(CLOSING),
    [LOGSTORE__CLOSING] = 0,
};
#undef MAY

void logstore__move(struct logstore_log *log, enum logstore__state next)
{
    BASE_ASSERT((log_moves[log->state] & (1u << next)) != 0);
    log->state = next;
}

void logstore_log_config_default(struct logstore_log_config *config)
{
    *config = (struct logstore_log_config){
        .segment_bytes = 64 << 20,
        .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
        .retention_ms = INT64_C(7) * 24 * 3600 * 1000,
        .retention_bytes = -1,
        .retention_exact = false,
        .durable = true,
        .flush_interval_ms = 1000,
        .flush_bytes = 64 << 20,
        .index_interval_bytes = 4096,
        .producer_expiration_ms = INT64_C(24) * 3600 * 1000,
    };
}

void logstore__progress(struct logstore_log *log)
{
    BASE_ASSERT(log->start_offset <= log->written_offset);
    BASE_ASSERT(log->durable.offset <= log->written_offset);
    BASE_ASSERT(log->written_offset <= log->end_offset);
    if (log->on_progress != NULL) {
        log->on_progress(log->owner);
    }
}

void logstore__offline(struct logstore_log *log, const struct logstore_segment *segment,
                       uint64_t position, const char *what, enum base_err cause)
{
    char name[LOGSTORE_NAME_SIZE] = "";
    char reason[REASON_SIZE];

    if (log->offline) {
        return;
    }
    if (segment != NULL) {
        logstore_segment_name(name, log->name, segment->base_offset);
    } else {
        (void)snprintf(name, sizeof name, "%s", log->name);
    }
    (void)snprintf(reason, sizeof reason, "%s position %" PRIu64 ": %s: %s", name, position, what,
                   base_err_text(cause));
    base_log(BASE_LOG_ERROR, "LOG_OFFLINE", "file=%s position=%" PRIu64 " what=\"%s\" cause=\"%s\"",
             name, position, what, base_err_text(cause));
    log->offline = true;
    log->offline_reason = base_strdup(reason);
    logstore__move(log, LOGSTORE__OFFLINE);
    if (log->appending_count == 0) {
        logstore_chain_clear(&log->chain); /* else their bytes are still in use */
    }
    if (log->head_waits) {
        log->head_waits = false;
        logstore__want(log, LOGSTORE__WANT_HEAD); /* to answer the trims */
    }
    logstore__progress(log);
}

void logstore__use(struct logstore_log *log)
{
    log->users++;
}

void logstore__unuse(struct logstore_log *log)
{
    BASE_ASSERT(log->users > 0);
    log->users--;
    if (!log->closing || log->users > 0) {
        return;
    }
    if (logstore_chain_length(&log->chain) > 0) {
        base_log(BASE_LOG_WARN, "LOG_CLOSED_FULL", "log=%s batches_dropped=%" PRIu32, log->name,
                 logstore_chain_length(&log->chain));
        logstore_chain_clear(&log->chain);
    }
    logstore__move(log, LOGSTORE__CLOSING);
    base_executor_post(log->store->worker, &log->close_task);
}

struct logstore_segment *logstore__active(const struct logstore_log *log)
{
    BASE_ASSERT(log->segments_count > 0);
    return log->segments[log->segments_count - 1];
}

struct logstore__mark logstore__written_mark(const struct logstore_log *log)
{
    struct logstore_segment *active = logstore__active(log);
    return (struct logstore__mark){
        .offset = log->written_offset,
        .segment = active,
        .position = active->size_bytes,
        .max_timestamp_ms = active->max_timestamp_ms,
        .max_timestamp_offset = active->max_timestamp_offset,
    };
}

enum base_err logstore__segments_reserve(struct logstore_log *log)
{
    if (log->segments_count < log->segments_capacity) {
        return BASE_ERR_OK;
    }
    uint32_t capacity = log->segments_capacity == 0 ? 4 : log->segments_capacity * 2;
    struct logstore_segment **segments =
        base_realloc_array(log->segments, capacity, sizeof segments[0]);
    if (segments == NULL) {
        return BASE_ERR_NOMEM;
    }
    log->segments = segments;
    log->segments_capacity = capacity;
    return BASE_ERR_OK;
}

struct logstore__resident *logstore__log_resident(struct logstore_log *log)
{
    return &log->resident;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void logstore__schedule(struct logstore_log *log)
{
    int64_t now_us = base_clock_monotonic_us(log->store->clock);
    int64_t due_us = log->retention_due_us;

    if (log->closing) {
        return;
    }
    if (log->dirty) {
        due_us = earlier(due_us, log->flush_due_us);
    }
    if (log->state == LOGSTORE__IDLE && logstore_chain_length(&log->chain) > 0) {
        due_us = earlier(due_us, now_us + LOGSTORE__RETRY_US);
    }
    if (log->tail.count > 0) {
        due_us = earlier(due_us, log->append_us + LOGSTORE__TAIL_IDLE_US);
    }
    if (logstore__active(log)->object != NULL) {
        due_us = earlier(due_us, log->append_us + LOGSTORE__OBJECT_IDLE_US);
    }
    if (due_us < INT64_MAX) {
        /* In the past only when what is due could not be done now: not in a busy loop. */
        logstore__store_schedule(log->store, &log->resident, due_us < now_us ? now_us : due_us);
    }
}

/* Starts a background sync if the deadline has passed and the store has one to give. */
static void flush_if_due(struct logstore_log *log, int64_t now_us)
{
    log->dirty = log->dirty && !log->offline && log->durable.offset < log->written_offset;
    if (!log->dirty || now_us < log->flush_due_us || log->sync_in_flight ||
        !logstore__store_flush_begin(log->store, &log->resident)) {
        return;
    }
    logstore__sync_start(log, log->store->housekeeper);
    if (log->sync_in_flight) {
        log->sync_in_background = true;
    } else {
        logstore__store_flush_end(log->store);
    }
}

/* Gives back what a log without traffic does not need. */
static void release_idle(struct logstore_log *log, int64_t now_us)
{
    struct logstore_segment *active = logstore__active(log);

    if (now_us - log->append_us >= LOGSTORE__TAIL_IDLE_US) {
        logstore_tail_clear(&log->tail);
    }
    if (now_us - log->append_us >= LOGSTORE__OBJECT_IDLE_US && log->state == LOGSTORE__IDLE &&
        active->pins == 0 && log->durable.offset == log->written_offset && active->object != NULL) {
        log->io->ops->close(log->io, &active->object);
    }
    for (uint32_t i = 0; i + 1 < log->segments_count; i++) {
        if (!logstore__store_is_crowded(log->store)) {
            break;
        }
        logstore__segment_release(log, log->segments[i]);
    }
}

void logstore__log_housekeep(struct logstore__resident *resident)
{
    struct logstore_log *log = BASE_CONTAINER_OF(resident, struct logstore_log, resident);
    struct base_mutex *lock = log->lock;

    base_mutex_lock(lock);
    if (!log->closing) {
        int64_t now_us = base_clock_monotonic_us(log->store->clock);
        flush_if_due(log, now_us);
        if (log->state == LOGSTORE__IDLE && logstore_chain_length(&log->chain) > 0) {
            logstore__append_next(log, log->store->housekeeper);
        }
        if (now_us >= log->retention_due_us) {
            log->retention_due_us = logstore__after_ms(now_us, log->store->retention_check_ms);
            logstore__want(log, LOGSTORE__WANT_RETENTION);
        }
        release_idle(log, now_us);
        logstore__schedule(log);
    }
    base_mutex_unlock(lock);
}

void logstore__log_free(struct logstore_log *log)
{
    for (uint32_t i = 0; i < log->segments_count; i++) {
        logstore__store_segment_gone(log->store, log->segments[i]);
        logstore_segment_close(&log->segments[i]);
    }
    base_free(log->segments);
    logstore_chain_fini(&log->chain);
    if (log->tail.budget != NULL) {
        logstore_tail_fini(&log->tail);
    }
    logstore_producers_fini(&log->producers);
    logstore_epochs_fini(&log->epochs);
    base_writer_fini(&log->snapshot);
    base_free(log->offline_reason);
    base_free(log->name);
    base_free(log);
}

/* Last step, on the housekeeper: nothing of it can be calling the log any more. */
static void close_on_housekeeper(struct base_task *task)
{
    struct logstore_log *log = BASE_CONTAINER_OF(task, struct logstore_log, close_task);
    struct base_executor *executor = log->close_executor;
    struct base_task *closed = log->close_task_of_caller;

    logstore__store_removed(log->store);
    logstore__log_free(log);
    base_executor_post(executor, closed);
}

static void close_on_worker(struct base_task *task)
{
    struct logstore_log *log = BASE_CONTAINER_OF(task, struct logstore_log, close_task);

    /* Whoever called the last unuse() may still be about to unlock. */
    base_mutex_lock(log->lock);
    BASE_ASSERT(log->users == 0);
    base_mutex_unlock(log->lock);

    if (log->close_checkpoint && !log->offline) {
        logstore__checkpoint_wait(log);
    }
    logstore__head_wait(log);
    log->close_task.run = close_on_housekeeper;
    base_executor_post(log->store->housekeeper, &log->close_task);
}

void logstore_log_close(struct logstore_log *log, bool checkpoint, struct base_executor *executor,
                        struct base_task *closed)
{
    struct base_mutex *lock = log->lock;

    base_mutex_lock(lock);
    BASE_ASSERT(!log->closing);
    logstore__store_remove(log->store, &log->resident);
    log->closing = true;
    log->on_progress = NULL;
    log->close_checkpoint = checkpoint;
    log->close_executor = executor;
    log->close_task_of_caller = closed;
    log->close_task.run = close_on_worker;
    logstore__use(log);
    if (log->state == LOGSTORE__IDLE && logstore_chain_length(&log->chain) > 0) {
        logstore__append_next(log, log->store->worker);
    }
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

int64_t logstore_log_start_offset(const struct logstore_log *log)
{
    return log->start_offset;
}

int64_t logstore_log_durable_offset(const struct logstore_log *log)
{
    return log->durable.offset;
}

int64_t logstore_log_written_offset(const struct logstore_log *log)
{
    return log->written_offset;
}

int64_t logstore_log_end_offset(const struct logstore_log *log)
{
    return log->end_offset;
}

int32_t logstore_log_leader_epoch(const struct logstore_log *log)
{
    return log->leader_epoch;
}

uint64_t logstore_log_size_bytes(const struct logstore_log *log)
{
    return log->size_bytes;
}

uint32_t logstore_log_segments_count(const struct logstore_log *log)
{
    return log->segments_count;
}

const char *logstore_log_offline_reason(const struct logstore_log *log)
{
    if (!log->offline) {
        return NULL;
    }
    return log->offline_reason == NULL ? log->name : log->offline_reason;
}

bool logstore_log_epoch_end(const struct logstore_log *log, int32_t epoch, int32_t *found_epoch,
                            int64_t *end_offset)
{
    /* The leader of today counts from the end on, even before its first batch. */
    int32_t last_epoch = logstore_epochs_last(&log->epochs);
    if (log->leader_epoch > last_epoch && epoch >= last_epoch && epoch >= 0 &&
        epoch <= log->leader_epoch) {
        *found_epoch = epoch == log->leader_epoch || last_epoch < 0 ? epoch : last_epoch;
        *end_offset = log->end_offset;
        return true;
    }
    return logstore_epochs_end(&log->epochs, epoch, log->end_offset, found_epoch, end_offset);
}

int32_t logstore_log_epoch_at(const struct logstore_log *log, int64_t offset)
{
    if (offset >= log->end_offset) {
        return log->leader_epoch;
    }
    int32_t epoch = logstore_epochs_at(&log->epochs, offset);
    return epoch < 0 ? log->leader_epoch : epoch;
}

void logstore_log_set_config(struct logstore_log *log, const struct logstore_log_config *config)
{
    base_mutex_assert_held(log->lock);
    log->config = *config;
    logstore__set_roll_due(log);
    log->retention_due_us = logstore__retention_due_us(log);
    logstore__schedule(log);
}

void logstore_log_check_retention(struct logstore_log *log)
{
    base_mutex_assert_held(log->lock);
    logstore__want(log, LOGSTORE__WANT_RETENTION);
}
