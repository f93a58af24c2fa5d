/* Group commit: one sync at a time per log. What comes while it runs is gathered, written and
 * joins the next one, which starts at once if somebody waits for it. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "logstore/log_priv.h"

enum { FLUSHES_PER_SEGMENT = 8 };

/* In HT, so many unsynced bytes start a sync. Less than a segment in any case: appends wait
 * while a segment is synced for a roll, and that must be short. */
static uint64_t flush_bytes(const struct logstore_log *log)
{
    uint64_t part_bytes = log->config.segment_bytes / FLUSHES_PER_SEGMENT;
    return log->config.flush_bytes < part_bytes ? log->config.flush_bytes : part_bytes;
}

bool logstore__wants_sync(const struct logstore_log *log)
{
    if (log->offline || log->durable.offset == log->written_offset) {
        return false;
    }
    return log->config.durable || log->durable.offset < log->flush_offset ||
           log->unsynced_bytes >= flush_bytes(log);
}

void logstore__on_synced(struct logstore_io_op *op)
{
    struct logstore_log *log = BASE_CONTAINER_OF(op, struct logstore_log, sync_op);
    char name[LOGSTORE_NAME_SIZE];

    /* Only makes recovery tell damage from a torn tail: not worth an error. name and note
     * do not change while the sync is in flight. */
    logstore__object_name(name, log, "durable");
    enum base_err err = log->io->ops->put_lazy(
        log->io, name, base_slice_of(log->durable_note, sizeof log->durable_note));
    (void)err;
}

void logstore__sync_start(struct logstore_log *log, struct base_executor *executor)
{
    struct logstore_segment *active = logstore__active(log);

    if (log->sync_in_flight || log->offline || log->state == LOGSTORE__ROLLING ||
        log->durable.offset == log->written_offset) {
        return;
    }
    BASE_ASSERT(active->object != NULL); /* only a durable one is closed while idle */
    log->sync_in_flight = true;
    log->syncing = logstore__written_mark(log);
    log->dirty = false;
    log->unsynced_bytes = 0;
    logstore__durable_encode(log->durable_note, &log->syncing);
    logstore__pin(active);
    logstore__use(log);
    log->sync_op.executor = executor;
    if (log->io->ops->sync(log->io, active->object, &log->sync_op) == LOGSTORE_IO_DONE) {
        base_executor_post(executor, &log->sync_op.task);
    }
}

void logstore__durable_reached(struct logstore_log *log, const struct logstore__mark *mark)
{
    if (mark->offset <= log->durable.offset) {
        return;
    }
    BASE_ASSERT(mark->offset <= log->written_offset);
    log->durable = *mark;
    if (log->snapshot_offset >= 0 && log->snapshot_offset <= mark->offset) {
        logstore__want(log, LOGSTORE__WANT_FOOTERS);
    }
    if (log->head_waits && log->start_offset <= mark->offset) {
        log->head_waits = false;
        logstore__want(log, LOGSTORE__WANT_HEAD);
    }
}

void logstore__sync_done(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, task);
    struct logstore_log *log = BASE_CONTAINER_OF(op, struct logstore_log, sync_op);
    struct base_mutex *lock = log->lock;

    base_mutex_lock(lock);
    BASE_ASSERT(log->sync_in_flight);
    struct logstore_segment *synced = log->syncing.segment;
    logstore__write_gathered(log, op->executor); /* it is not the end of a turn that syncs it */
    log->sync_in_flight = false;
    if (log->sync_in_background) {
        log->sync_in_background = false;
        logstore__store_flush_end(log->store);
    }
    if (op->err != BASE_ERR_OK) {
        logstore__offline(log, synced, log->durable.position, "sync", op->err);
    } else if (!log->offline) {
        logstore__durable_reached(log, &log->syncing);
        logstore__progress(log);
        if (logstore__wants_sync(log)) {
            logstore__sync_start(log, op->executor);
        }
    }
    logstore__unpin(synced);
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

void logstore__turn_ended(struct base_task *task)
{
    struct logstore_log *log = BASE_CONTAINER_OF(task, struct logstore_log, turn_task);
    struct base_executor *executor = log->turn_executor;
    struct base_mutex *lock = log->lock;

    base_mutex_lock(lock);
    if (!log->sync_in_flight || !log->config.durable) {
        logstore__write_gathered(log, executor);
    }
    log->turn_scheduled = false;
    if (logstore__wants_sync(log)) {
        logstore__sync_start(log, executor);
    }
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

void logstore__turn_schedule(struct logstore_log *log, struct base_executor *executor)
{
    if (log->turn_scheduled) {
        return;
    }
    log->turn_scheduled = true;
    log->turn_executor = executor;
    logstore__use(log);
    if (executor != log->store->worker && base_executor_is_current(executor)) {
        base_executor_defer(executor, &log->turn_task);
    } else {
        base_executor_post(executor, &log->turn_task); /* a pool has no turns */
    }
}

void logstore__sync_after_write(struct logstore_log *log, struct base_executor *executor)
{
    if (logstore__wants_sync(log)) {
        if (!log->sync_in_flight) {
            logstore__turn_schedule(log, executor); /* the rest of the turn joins it */
        }
        return;
    }
    if (!log->dirty && log->durable.offset < log->written_offset) {
        log->dirty = true;
        log->flush_due_us = logstore__after_ms(base_clock_monotonic_us(log->store->clock),
                                               log->config.flush_interval_ms);
        logstore__store_schedule(log->store, &log->resident, log->flush_due_us);
    }
}

void logstore_log_flush(struct logstore_log *log, struct base_executor *executor)
{
    base_mutex_assert_held(log->lock);
    BASE_ASSERT(!log->closing);
    if (log->offline || log->durable.offset == log->end_offset) {
        return;
    }
    log->flush_offset = log->end_offset;
    logstore__write_gathered(log, executor);
    if (logstore__wants_sync(log)) {
        logstore__sync_start(log, executor);
    }
}
