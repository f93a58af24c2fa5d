/* The writer: one append of the io at a time, batches that come meanwhile wait in the
 * chain and go out together. Only this file leaves and enters the state IDLE.
 *
 * Small batches are gathered in the chain too, as long as storage certainly has room for them:
 * in a turn after the first, until the turn ends, and, where nobody is answered before the sync,
 * while one is in flight. A write costs more than the bytes of a small batch. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "logstore/log_priv.h"

enum {
    APPEND_CHUNKS_MAX = 1024, /* batches in one append of the io */
};

/* Positions and relative offsets of the index have 32 bits. */
static const uint64_t SEGMENT_POSITION_MAX = UINT32_MAX;
static const int64_t SEGMENT_OFFSETS_MAX = UINT32_MAX;

void logstore__set_roll_due(struct logstore_log *log)
{
    int64_t now_ms = base_clock_wall_ms(log->store->clock);
    int64_t age_ms = now_ms - logstore__active(log)->created_at_ms;
    int64_t left_ms = log->config.segment_ms - (age_ms < 0 ? 0 : age_ms);
    int64_t now_us = base_clock_monotonic_us(log->store->clock);

    log->roll_due_us = logstore__after_ms(now_us, left_ms);
}

/* Whether the batch may go to the active segment, which has size_bytes by then, or a new one
 * is to be made for it. */
static bool fits(const struct logstore_log *log, const struct logstore_batch *batch,
                 uint64_t size_bytes, int64_t now_us)
{
    if (size_bytes == 0) {
        return true;
    }
    if (batch->base_offset - logstore__active(log)->base_offset > SEGMENT_OFFSETS_MAX ||
        size_bytes + batch->size_bytes > SEGMENT_POSITION_MAX) {
        return false;
    }
    if (now_us < log->roll_retry_us) {
        return true; /* the size is a soft limit */
    }
    return size_bytes + batch->size_bytes <= log->config.segment_bytes &&
           now_us < log->roll_due_us && !log->roll_wanted;
}

/* Takes note of a batch that the io has written. */
static void commit(struct logstore_log *log, const struct base_chunk *bytes,
                   const struct logstore_batch *batch)
{
    struct logstore_segment *active = logstore__active(log);

    BASE_ASSERT(batch->base_offset == log->written_offset);
    if (log->oldest_timestamp_ms < 0 && log->start_offset == log->written_offset) {
        log->oldest_timestamp_ms = logstore__first_ms(batch);
        if (log->config.retention_exact) {
            log->retention_due_us = logstore__retention_due_us(log);
            logstore__schedule(log);
        }
    }
    logstore_segment_add(active, batch, log->config.index_interval_bytes);
    if (batch->max_timestamp < 0) {
        active->touched_at_ms = base_clock_wall_ms(log->store->clock); /* all that tells its age */
    }
    log->size_bytes += batch->size_bytes;
    log->unsynced_bytes += batch->size_bytes;
    log->written_offset = logstore_batch_next_offset(batch);
    bool had_tail = log->tail.count > 0;
    logstore_tail_add(&log->tail, bytes, batch);
    if (!had_tail && log->tail.count > 0) {
        logstore__schedule(log); /* to give it back one day */
    }
}

/* After one or more commits: durability, checkpoint, the owner. */
static void committed(struct logstore_log *log, struct base_executor *executor)
{
    const struct logstore_segment *active = logstore__active(log);

    log->no_space = false;
    if (log->io->append_is_durable) {
        struct logstore__mark mark = logstore__written_mark(log);
        logstore__durable_reached(log, &mark);
    } else {
        logstore__sync_after_write(log, executor);
    }
    if (active->size_bytes - log->checkpoint_bytes >= LOGSTORE__CHECKPOINT_BYTES) {
        log->checkpoint_bytes = active->size_bytes;
        logstore__want_checkpoint(log, true);
    }
    logstore__progress(log);
}

static void warn_no_space(struct logstore_log *log)
{
    if (!log->no_space) {
        log->no_space = true;
        base_log(BASE_LOG_WARN, "LOG_NO_SPACE", "log=%s end_offset=%lld", log->name,
                 (long long)log->end_offset);
    }
}

/* Whether what an append or a roll failed for may pass. */
static bool may_pass(struct logstore_log *log, enum base_err err)
{
    if (err == BASE_ERR_NO_SPACE) {
        warn_no_space(log);
    }
    return err == BASE_ERR_NO_SPACE || err == BASE_ERR_NOMEM;
}

/* The first batches of the chain that go out in one append. */
static uint32_t count_next(const struct logstore_log *log, int64_t now_us)
{
    const struct logstore_segment *active = logstore__active(log);
    uint64_t size_bytes = active->size_bytes;
    uint64_t append_bytes = 0;
    uint32_t count = 0;

    for (uint32_t i = log->chain.head; i < log->chain.count && count < APPEND_CHUNKS_MAX; i++) {
        const struct logstore_batch *batch = &log->chain.batches[i];
        bool is_first = count == 0;
        if (is_first ? !fits(log, batch, size_bytes, now_us)
                     : append_bytes + batch->size_bytes > LOGSTORE__APPEND_BYTES_MAX ||
                           size_bytes + batch->size_bytes > log->config.segment_bytes ||
                           size_bytes + batch->size_bytes > SEGMENT_POSITION_MAX ||
                           batch->base_offset - active->base_offset > SEGMENT_OFFSETS_MAX) {
            break;
        }
        append_bytes += batch->size_bytes;
        size_bytes += batch->size_bytes;
        count++;
    }
    return count;
}

static void commit_chain(struct logstore_log *log, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        commit(log, &log->chain.chunks[log->chain.head], &log->chain.batches[log->chain.head]);
        logstore_chain_pop(&log->chain);
    }
}

static void start_writer(struct logstore_log *log, enum logstore__state state)
{
    BASE_ASSERT(state == LOGSTORE__OPENING || state == LOGSTORE__ROLLING);
    logstore__move(log, state);
    logstore__use(log);
    logstore__pin(logstore__active(log));
    base_executor_post(log->store->worker, &log->writer_task);
}

/* The active segment is at a limit that holds, and a new one could not be made just now. */
static void wait_for_roll(struct logstore_log *log, struct logstore_segment *active)
{
    if (atomic_load(&log->store->stops_waiting)) {
        logstore__offline(log, active, active->size_bytes, "create", BASE_ERR_NO_SPACE);
    } else {
        logstore__schedule(log);
    }
}

void logstore__append_next(struct logstore_log *log, struct base_executor *executor)
{
    BASE_ASSERT(log->state == LOGSTORE__IDLE);

    while (logstore_chain_length(&log->chain) > 0) {
        struct logstore_segment *active = logstore__active(log);
        int64_t now_us = base_clock_monotonic_us(log->store->clock);
        uint32_t count = count_next(log, now_us);
        if (count == 0 && now_us < log->roll_retry_us) {
            wait_for_roll(log, active);
            return;
        }
        if (count == 0) {
            start_writer(log, LOGSTORE__ROLLING);
            return;
        }
        if (active->object == NULL) {
            start_writer(log, LOGSTORE__OPENING);
            return;
        }
        log->append_op.executor = executor;
        enum logstore_io_state state =
            log->io->ops->append(log->io, active->object, active->size_bytes,
                                 &log->chain.chunks[log->chain.head], count, &log->append_op);
        if (state == LOGSTORE_IO_PENDING) {
            log->appending_count = count;
            logstore__move(log, LOGSTORE__APPENDING);
            logstore__use(log);
            return;
        }
        if (may_pass(log, log->append_op.err) && !atomic_load(&log->store->stops_waiting)) {
            logstore__schedule(log); /* to try again */
            return;
        }
        if (log->append_op.err != BASE_ERR_OK) {
            logstore__offline(log, active, active->size_bytes, "append", log->append_op.err);
            return;
        }
        commit_chain(log, count);
        committed(log, executor);
    }
}

void logstore__write_gathered(struct logstore_log *log, struct base_executor *executor)
{
    if (log->state == LOGSTORE__IDLE && logstore_chain_length(&log->chain) > 0) {
        logstore__append_next(log, executor);
    }
}

/* End of a pending append, on the executor of whoever started it. */
void logstore__append_done(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, task);
    struct logstore_log *log = BASE_CONTAINER_OF(op, struct logstore_log, append_op);
    struct base_mutex *lock = log->lock;

    base_mutex_lock(lock);
    uint32_t count = log->appending_count;
    BASE_ASSERT(count > 0);
    log->appending_count = 0;
    if (log->offline) {
        logstore_chain_clear(&log->chain);
    } else if (op->err != BASE_ERR_OK) {
        struct logstore_segment *active = logstore__active(log);
        logstore__offline(log, active, active->size_bytes, "append", op->err);
    } else {
        logstore__move(log, LOGSTORE__IDLE);
        commit_chain(log, count);
        committed(log, op->executor);
        /* The owner was told; it cannot have called append, which is not a getter. */
        logstore__append_next(log, op->executor);
    }
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

void logstore__roll_if_idle(struct logstore_log *log)
{
    int64_t now_us = base_clock_monotonic_us(log->store->clock);
    if (log->state == LOGSTORE__IDLE && logstore__active(log)->size_bytes > 0 && !log->closing &&
        now_us >= log->roll_retry_us) {
        start_writer(log, LOGSTORE__ROLLING);
    }
}

/* Makes the new active segment known. The old one is durable. */
static void publish(struct logstore_log *log, struct logstore_segment *segment)
{
    struct logstore_segment *sealed = logstore__active(log);

    BASE_ASSERT(segment->base_offset == log->written_offset);
    BASE_ASSERT(log->segments_count < log->segments_capacity);
    struct logstore__mark mark = logstore__written_mark(log);
    logstore__durable_reached(log, &mark);
    sealed->footer_wanted = true;
    log->segments[log->segments_count] = segment;
    log->segments_count++;
    log->durable = logstore__written_mark(log);
    log->checkpoint_bytes = 0;
    log->covered_bytes = 0;
    log->roll_wanted = false;
    logstore__set_roll_due(log);
    logstore__store_segment_used(log->store, sealed);
    logstore__want_checkpoint(log, false);
}

/* Makes the active segment durable, and exactly as long as what was appended. Worker, not
 * locked; nothing is appended while ROLLING. */
static enum base_err seal(struct logstore_log *log, struct logstore_segment *sealed)
{
    if (log->io->append_is_durable) {
        return BASE_ERR_OK;
    }
    enum base_err err = log->io->ops->truncate(log->io, sealed->object, sealed->size_bytes);
    /* Not what NO_SPACE and NOMEM mean for a create: nobody knows what is on disk. */
    return err == BASE_ERR_NO_SPACE || err == BASE_ERR_NOMEM ? BASE_ERR_IO : err;
}

/* Creates the next segment, from base_offset on. Worker, not locked. */
static enum base_err create_next(struct logstore_log *log, int64_t base_offset,
                                 struct logstore_segment **out)
{
    char name[LOGSTORE_NAME_SIZE];
    struct logstore_segment *segment = logstore_segment_create(log, base_offset);

    *out = NULL;
    if (segment == NULL) {
        return BASE_ERR_NOMEM;
    }
    segment->created_at_ms = base_clock_wall_ms(log->store->clock);
    segment->touched_at_ms = segment->created_at_ms;
    segment->index_loaded = true;
    logstore_segment_name(name, log->name, base_offset);
    enum base_err err = log->io->ops->create(log->io, name, &segment->object);
    if (err != BASE_ERR_OK) {
        logstore_segment_close(&segment);
    }
    *out = segment;
    return err;
}

static void run_roll(struct logstore_log *log, struct logstore_segment *sealed)
{
    struct logstore_segment *segment = NULL;
    const char *what = "open";
    int64_t base_offset = log->written_offset; /* and stays so */
    enum base_err err = logstore__segments_reserve(log);

    if (err == BASE_ERR_OK) {
        err = logstore__segment_load(log, sealed); /* it may have been closed while idle */
    }
    if (err == BASE_ERR_OK) {
        base_mutex_unlock(log->lock);
        what = "seal";
        err = seal(log, sealed);
        if (err == BASE_ERR_OK) {
            what = "create";
            err = create_next(log, base_offset, &segment);
        }
        base_mutex_lock(log->lock);
    }
    if (log->offline) {
        logstore_segment_close(&segment); /* empty: found and used by the next open */
        return;
    }
    if (err == BASE_ERR_OK) {
        publish(log, segment);
        logstore__want(log, LOGSTORE__WANT_RETENTION);
    } else if (may_pass(log, err)) {
        log->roll_retry_us = base_clock_monotonic_us(log->store->clock) + LOGSTORE__RETRY_US;
    } else {
        logstore__offline(log, sealed, sealed->size_bytes, what, err);
        return;
    }
    logstore__move(log, LOGSTORE__IDLE);
    logstore__progress(log);
}

static void run_open(struct logstore_log *log, struct logstore_segment *active)
{
    enum base_err err = logstore__segment_load(log, active);

    if (log->offline) {
        return;
    }
    if (err != BASE_ERR_OK && err != BASE_ERR_NOMEM) {
        logstore__offline(log, active, active->size_bytes, "open", err);
        return;
    }
    logstore__move(log, LOGSTORE__IDLE);
}

/* OPENING and ROLLING, on the worker. */
void logstore__writer_run(struct base_task *task)
{
    struct logstore_log *log = BASE_CONTAINER_OF(task, struct logstore_log, writer_task);
    struct base_mutex *lock = log->lock;

    base_mutex_lock(lock);
    struct logstore_segment *active = logstore__active(log);
    bool opening = log->state == LOGSTORE__OPENING;
    if (!log->offline) {
        if (opening) {
            run_open(log, active);
        } else {
            run_roll(log, active);
        }
    }
    logstore__unpin(active);
    bool is_stuck = opening && active->object == NULL; /* no memory: housekeeping tries again */
    if (log->state == LOGSTORE__IDLE && !is_stuck) {
        logstore__append_next(log, log->store->worker);
    }
    if (logstore__wants_sync(log)) {
        logstore__sync_start(log, log->store->worker); /* none was started while rolling */
    }
    logstore__schedule(log);
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

/* Memory that taking the batch needs; afterwards it cannot fail for want of it. */
static enum base_err reserve(struct logstore_log *log, const struct logstore_batch *batch)
{
    enum base_err err = logstore_chain_reserve(&log->chain);
    if (err == BASE_ERR_OK && log->leader_epoch > logstore_epochs_last(&log->epochs)) {
        err = logstore_epochs_reserve(&log->epochs);
    }
    if (err == BASE_ERR_OK) {
        err = logstore_producers_reserve(&log->producers, batch);
    }
    return err;
}

/* From here on the batch has its offsets. */
static void accept(struct logstore_log *log, const struct logstore_batch *batch, int64_t now_us)
{
    log->end_offset = logstore_batch_next_offset(batch);
    log->append_us = now_us;
    logstore_epochs_add(&log->epochs, batch->leader_epoch, batch->base_offset);
    if (logstore_batch_has_producer(batch)) {
        logstore_producers_update(&log->producers, batch, base_clock_wall_ms(log->store->clock));
    }
}

/* True when another batch like this one need not be written by itself. */
static bool may_gather(const struct logstore_log *log, const struct logstore_batch *batch)
{
    return log->io->ops->room != NULL && batch->size_bytes <= LOGSTORE__GATHERED_BYTES_MAX &&
           !log->no_space;
}

/* Whether somebody comes to write what waits: the end of a turn, or that of a sync. */
static bool is_gathering(const struct logstore_log *log)
{
    return log->turn_scheduled || (log->sync_in_flight && log->config.durable);
}

/* Whether the batch may wait, with those that do. */
static bool joins(const struct logstore_log *log, const struct logstore_batch *batch,
                  int64_t now_us)
{
    const struct logstore_segment *active = logstore__active(log);
    uint64_t gathered_bytes = log->chain.bytes;

    return log->state == LOGSTORE__IDLE && active->object != NULL && is_gathering(log) &&
           may_gather(log, batch) && logstore_chain_length(&log->chain) < APPEND_CHUNKS_MAX &&
           gathered_bytes + batch->size_bytes <= log->io->ops->room(log->io, active->object) &&
           fits(log, batch, active->size_bytes + gathered_bytes, now_us);
}

/* Hands one batch to the io while nothing waits. Whatever the io says at once has no
 * consequence but the error: the batch was not accepted yet. */
static enum base_err write_now(struct logstore_log *log, const struct base_chunk *bytes,
                               const struct logstore_batch *batch, struct base_executor *executor,
                               int64_t now_us)
{
    struct logstore_segment *active = logstore__active(log);

    log->append_op.executor = executor;
    enum logstore_io_state state = log->io->ops->append(log->io, active->object, active->size_bytes,
                                                        bytes, 1, &log->append_op);
    if (state == LOGSTORE_IO_PENDING) {
        accept(log, batch, now_us);
        logstore_chain_push(&log->chain, bytes, batch);
        log->appending_count = 1;
        logstore__move(log, LOGSTORE__APPENDING);
        logstore__use(log);
        return BASE_ERR_OK;
    }
    if (may_pass(log, log->append_op.err)) {
        return log->append_op.err;
    }
    if (log->append_op.err != BASE_ERR_OK) {
        logstore__offline(log, active, active->size_bytes, "append", log->append_op.err);
        return BASE_ERR_OFFLINE;
    }
    accept(log, batch, now_us);
    commit(log, bytes, batch);
    committed(log, executor);
    if (may_gather(log, batch)) {
        logstore__turn_schedule(log, executor);
    }
    return BASE_ERR_OK;
}

/* Writes what waits in front of a batch that does not join it. */
static enum base_err clear_the_way(struct logstore_log *log, struct base_executor *executor)
{
    logstore__write_gathered(log, executor);
    if (log->offline) {
        return BASE_ERR_OFFLINE;
    }
    bool is_full = log->state == LOGSTORE__IDLE && logstore_chain_length(&log->chain) > 0;
    return is_full ? BASE_ERR_NO_SPACE : BASE_ERR_OK;
}

/* Lets a batch that has its place wait, behind those that do. */
static void let_wait(struct logstore_log *log, const struct base_chunk *bytes,
                     const struct logstore_batch *batch, int64_t now_us)
{
    accept(log, batch, now_us);
    logstore_chain_push(&log->chain, bytes, batch);
}

/* Writes a batch that has its place, or does so as soon as it can be. */
static enum base_err write_soon(struct logstore_log *log, const struct base_chunk *bytes,
                                const struct logstore_batch *batch, struct base_executor *executor,
                                int64_t now_us)
{
    const struct logstore_segment *active = logstore__active(log);

    if (log->state == LOGSTORE__IDLE && active->object != NULL &&
        fits(log, batch, active->size_bytes, now_us)) {
        return write_now(log, bytes, batch, executor, now_us);
    }
    let_wait(log, bytes, batch, now_us);
    logstore__write_gathered(log, executor);
    return BASE_ERR_OK;
}

enum base_err logstore_log_append(struct logstore_log *log, const struct base_chunk *bytes,
                                  const struct logstore_batch *batch,
                                  struct base_executor *executor, struct logstore_appended *out)
{
    base_mutex_assert_held(log->lock);
    BASE_ASSERT(!log->closing);
    BASE_ASSERT(bytes->buffer != NULL);
    BASE_ASSERT(bytes->length == batch->size_bytes);

    *out = (struct logstore_appended){
        .base_offset = -1, .end_offset = -1, .timestamp_ms = batch->max_timestamp};
    if (log->offline) {
        return BASE_ERR_OFFLINE;
    }
    struct logstore_duplicate duplicate;
    out->verdict = logstore_producers_check(&log->producers, batch, &duplicate);
    if (out->verdict != LOGSTORE_VERDICT_APPEND) {
        if (out->verdict == LOGSTORE_VERDICT_DUPLICATE) {
            out->base_offset = duplicate.base_offset;
            out->end_offset = duplicate.last_offset + 1;
            out->timestamp_ms = duplicate.timestamp_ms;
        }
        return BASE_ERR_OK;
    }
    struct logstore_batch placed = *batch;
    placed.base_offset = log->end_offset;
    placed.leader_epoch = log->leader_epoch;
    int64_t now_us = base_clock_monotonic_us(log->store->clock);
    enum base_err err = BASE_ERR_OK;
    bool may_wait = joins(log, &placed, now_us);
    if (!may_wait) {
        err = clear_the_way(log, executor);
        may_wait = joins(log, &placed, now_us); /* there may be room for it now */
    }
    if (err == BASE_ERR_OK && log->chain.bytes > LOGSTORE__PENDING_BYTES_MAX) {
        err = BASE_ERR_BUSY;
    }
    if (err == BASE_ERR_OK) {
        err = reserve(log, &placed);
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    logstore_batch_set_offset_and_epoch(bytes->buffer->data + bytes->position, placed.base_offset,
                                        placed.leader_epoch);
    if (may_wait) {
        let_wait(log, bytes, &placed, now_us);
    } else {
        err = write_soon(log, bytes, &placed, executor, now_us);
    }
    if (err == BASE_ERR_OK) {
        out->base_offset = placed.base_offset;
        out->end_offset = logstore_batch_next_offset(&placed);
    }
    return err;
}

void logstore_log_write(struct logstore_log *log, struct base_executor *executor)
{
    base_mutex_assert_held(log->lock);
    logstore__write_gathered(log, executor);
}
