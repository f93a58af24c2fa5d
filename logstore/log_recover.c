/* Opening a log: what is there, what of it is good, where it ends.
 *
 * All segments but the last were synced before the next one was created, so only the last
 * one can have a torn tail. What the objects "durable" and "<base>.index" say was on disk
 * for certain, so damage in front of it is no torn tail, and nothing is cut then. Zeros up to
 * the end are no tail at all: the io may write them ahead of what is appended. */
#include <inttypes.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "logstore/log_recover_priv.h"

enum { ZEROS_STEP_BYTES = 64 << 10 };

/* One batch that is younger than the snapshot. */
static enum base_err replay(void *context, const struct logstore_batch *batch)
{
    struct logstore__recovery *recovery = context;
    struct logstore_log *log = recovery->log;

    if (batch->base_offset < recovery->snapshot_offset) {
        return BASE_ERR_OK;
    }
    enum base_err err = logstore_epochs_reserve(&log->epochs);
    if (err == BASE_ERR_OK) {
        err = logstore_producers_reserve(&log->producers, batch);
    }
    if (err == BASE_ERR_OK) {
        logstore_epochs_add(&log->epochs, batch->leader_epoch, batch->base_offset);
        logstore_producers_update(&log->producers, batch, recovery->now_ms);
    }
    return err;
}

/* Takes the snapshot that came with the index object of segments[index], if it is good. */
static enum base_err use_snapshot(struct logstore__recovery *recovery,
                                  const struct logstore_footer *footer, struct base_slice snapshot)
{
    struct logstore_log *log = recovery->log;

    if (footer->snapshot_offset < 0) {
        return BASE_ERR_NOT_FOUND;
    }
    enum base_err err = logstore_footer_snapshot_decode(snapshot, &log->epochs, &log->producers);
    if (err == BASE_ERR_OK) {
        recovery->snapshot_offset = footer->snapshot_offset;
        log->snapshot_base = footer->base_offset;
    } else if (err != BASE_ERR_NOMEM) {
        base_log(BASE_LOG_WARN, "SNAPSHOT_UNUSABLE", "log=%s base_offset=%" PRId64 " cause=\"%s\"",
                 log->name, footer->base_offset, base_err_text(err));
        err = BASE_ERR_NOT_FOUND;
    }
    return err;
}

/* Finds the newest snapshot in segments older than the active one. Without any, what is
 * known besides the segments starts empty at the first one. */
static enum base_err find_snapshot(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    enum base_err err = BASE_ERR_NOT_FOUND;

    for (uint32_t i = log->segments_count - 1; i > 0 && err == BASE_ERR_NOT_FOUND; i--) {
        struct logstore_segment *segment = log->segments[i - 1];
        struct logstore_footer footer;
        struct logstore_index index;
        struct base_buffer *content = NULL;
        struct base_slice snapshot;

        logstore_index_init(&index);
        err =
            logstore__footer_load(log, segment->base_offset, &footer, &index, &content, &snapshot);
        if (err == BASE_ERR_OK) {
            err = use_snapshot(recovery, &footer, snapshot);
        }
        logstore_index_fini(&index);
        base_buffer_release(&content);
    }
    return err == BASE_ERR_NOT_FOUND ? BASE_ERR_OK : err;
}

/* Replays sealed segments that are younger than the snapshot. They are read as a whole:
 * this happens when a crash came before their footer was written. */
static enum base_err replay_sealed(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    enum base_err err = BASE_ERR_OK;

    for (uint32_t i = 0; i + 1 < log->segments_count && err == BASE_ERR_OK; i++) {
        struct logstore_segment *segment = log->segments[i];
        char name[LOGSTORE_NAME_SIZE];
        struct logstore_object *object = NULL;
        uint64_t size_bytes = 0;

        if (log->segments[i + 1]->base_offset <= recovery->snapshot_offset) {
            continue;
        }
        logstore_segment_name(name, log->name, segment->base_offset);
        err = log->io->ops->open(log->io, name, &object, &size_bytes);
        if (err != BASE_ERR_OK) {
            break;
        }
        struct logstore__scan scan = {
            .object = object,
            .end = size_bytes,
            .next_offset = segment->base_offset,
            .gaps_allowed = true,
            .epoch_max = log->leader_epoch,
            .visit = replay,
            .context = recovery,
        };
        err = logstore__scan_run(&scan);
        log->io->ops->close(log->io, &object);
        /* It ends where the next one begins: nothing overlaps, and none between is lost, unless
         * in front of the start, where segments are removed. */
        int64_t next_base = log->segments[i + 1]->base_offset;
        bool is_lost = scan.next_offset > next_base ||
                       (scan.next_offset < next_base && next_base > log->start_offset);
        if (err == BASE_ERR_CORRUPT || (err == BASE_ERR_OK && is_lost)) {
            logstore__recovery_damage(recovery, segment, scan.position,
                                      "sealed segment is damaged");
            log->written_offset = scan.next_offset < next_base ? scan.next_offset : next_base;
            err = BASE_ERR_CORRUPT;
        }
    }
    return err;
}

/* Takes from the active segment's checkpoint what it offers. */
static enum base_err use_checkpoint(struct logstore__recovery *recovery, uint64_t size_bytes,
                                    int64_t *covered_offset)
{
    struct logstore_log *log = recovery->log;
    struct logstore_segment *active = logstore__active(log);
    struct logstore_footer footer;
    struct base_buffer *content = NULL;
    struct base_slice snapshot;

    *covered_offset = active->base_offset;
    active->size_bytes = 0; /* grows with what is found good */
    active->max_timestamp_ms = -1;
    enum base_err err = logstore__footer_load(log, active->base_offset, &footer, &active->index,
                                              &content, &snapshot);
    if (err == BASE_ERR_OK) {
        err = use_snapshot(recovery, &footer, snapshot);
        active->created_at_ms = footer.created_at_ms;
        active->touched_at_ms = footer.written_at_ms;
        if (footer.covered_bytes > recovery->durable_position) {
            recovery->durable_position = footer.covered_bytes;
        }
        if (footer.covered_bytes <= size_bytes) {
            active->size_bytes = footer.covered_bytes;
            log->covered_bytes = footer.covered_bytes;
            active->max_timestamp_ms = footer.max_timestamp_ms;
            active->max_timestamp_offset = footer.max_timestamp_offset;
            *covered_offset = footer.next_offset;
        } else {
            logstore_index_fini(&active->index);
        }
    }
    base_buffer_release(&content);
    active->index_loaded = true;
    return err;
}

/* Whether all bytes of the object in [position, end) are zero. */
static enum base_err is_zero(struct logstore_object *object, uint64_t position, uint64_t end,
                             bool *out)
{
    uint8_t *bytes = base_alloc(ZEROS_STEP_BYTES);
    enum base_err err = bytes == NULL ? BASE_ERR_NOMEM : BASE_ERR_OK;
    uint8_t any = 0;

    while (err == BASE_ERR_OK && position < end && any == 0) {
        size_t step =
            end - position < ZEROS_STEP_BYTES ? (size_t)(end - position) : ZEROS_STEP_BYTES;
        size_t length = 0;
        err = object->io->ops->read_wait(object->io, object, position, bytes, step, &length);
        for (size_t i = 0; i < length; i++) {
            any |= bytes[i];
        }
        position += step;
    }
    base_free(bytes);
    *out = any == 0;
    return err;
}

/* "head" is written when all in front of the start is on disk, so this is no torn tail. */
static bool ends_in_front_of_start(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    struct logstore_segment *active = logstore__active(log);

    if (log->start_offset <= log->written_offset) {
        return false;
    }
    logstore__recovery_damage(recovery, active, active->size_bytes,
                              "the log ends in front of its start");
    return true;
}

/* What is behind the last good batch: zeros stay, a torn tail is cut, anything else is
 * damage. */
static enum base_err end_active(struct logstore__recovery *recovery, uint64_t size_bytes)
{
    struct logstore_log *log = recovery->log;
    struct logstore_segment *active = logstore__active(log);
    uint64_t position = active->size_bytes;
    char name[LOGSTORE_NAME_SIZE];

    if (position < recovery->durable_position ||
        (position < size_bytes && log->io->append_is_durable)) {
        logstore__recovery_damage(recovery, active, position,
                                  position < size_bytes ? "batch is damaged"
                                                        : "bytes that were durable are gone");
        return BASE_ERR_CORRUPT;
    }
    if (ends_in_front_of_start(recovery)) {
        return BASE_ERR_CORRUPT;
    }
    if (position == size_bytes) {
        return BASE_ERR_OK;
    }
    bool is_spare = true;
    enum base_err err = is_zero(active->object, position, size_bytes, &is_spare);
    if (err != BASE_ERR_OK || is_spare) {
        return err;
    }
    logstore_segment_name(name, log->name, active->base_offset);
    base_log(BASE_LOG_WARN, "LOG_TAIL_CUT", "file=%s position=%" PRIu64 " bytes=%" PRIu64, name,
             position, size_bytes - position);
    return log->io->ops->truncate(log->io, active->object, position);
}

/* Where reading of the active segment has to begin: behind the checkpoint, or where the
 * snapshot ends if that is earlier. */
static struct logstore__scan aim(const struct logstore__recovery *recovery, int64_t covered_offset,
                                 uint64_t size_bytes)
{
    const struct logstore_log *log = recovery->log;
    struct logstore_segment *active = logstore__active(log);
    struct logstore__scan scan = {
        .object = active->object,
        .position = active->size_bytes,
        .end = size_bytes,
        .next_offset = covered_offset,
        .epoch_max = log->leader_epoch,
        .index_interval_bytes = log->config.index_interval_bytes,
        .segment = active,
        .visit = replay,
    };

    if (recovery->snapshot_offset < covered_offset) {
        struct logstore_index_entry entry =
            logstore_segment_entry(active, recovery->snapshot_offset);
        scan.position = entry.position;
        scan.next_offset = active->base_offset + entry.relative_offset;
    }
    return scan;
}

/* Opens the active segment. *size_bytes: what may hold batches; zeros behind what was durable
 * are left out. The rest is settled: only what is on disk for certain may be read. */
static enum base_err open_active(struct logstore__recovery *recovery, uint64_t position,
                                 uint64_t *size_bytes)
{
    struct logstore_log *log = recovery->log;
    struct logstore_segment *active = logstore__active(log);
    char name[LOGSTORE_NAME_SIZE];
    uint64_t opened_bytes = 0;
    bool is_spare = false;

    logstore_segment_name(name, log->name, active->base_offset);
    enum base_err err = log->io->ops->open(log->io, name, &active->object, &opened_bytes);
    if (err != BASE_ERR_OK || recovery->durable_position >= *size_bytes) {
        return err;
    }
    if (opened_bytes != *size_bytes) {
        base_log(BASE_LOG_ERROR, "SEGMENT_CHANGED",
                 "file=%s bytes=%" PRIu64 " opened_bytes=%" PRIu64, name, *size_bytes,
                 opened_bytes); /* somebody else is at it: nothing is touched */
        return BASE_ERR_IO;
    }
    err = is_zero(active->object, recovery->durable_position, *size_bytes, &is_spare);
    if (err == BASE_ERR_OK && is_spare) {
        *size_bytes = recovery->durable_position;
    } else if (err == BASE_ERR_OK) {
        err = log->io->ops->settle(log->io, active->object, position);
    }
    return err;
}

static enum base_err recover_active(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    struct logstore_segment *active = logstore__active(log);
    uint64_t size_bytes = active->size_bytes;
    int64_t covered_offset = 0;

    log->size_bytes -= size_bytes;
    enum base_err err = use_checkpoint(recovery, size_bytes, &covered_offset);
    if (err == BASE_ERR_NOT_FOUND) {
        err = find_snapshot(recovery);
    }
    if (err == BASE_ERR_OK) {
        err = replay_sealed(recovery);
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    log->written_offset = covered_offset;
    struct logstore__scan scan = aim(recovery, covered_offset, size_bytes);
    if (scan.position == size_bytes && recovery->durable_position <= size_bytes) {
        log->size_bytes += size_bytes;
        return BASE_ERR_OK; /* closed in good order: it is not even opened */
    }
    err = open_active(recovery, scan.position, &size_bytes);
    if (err != BASE_ERR_OK) {
        return err;
    }
    scan.object = active->object;
    scan.end = size_bytes;
    scan.context = recovery;
    err = logstore__scan_run(&scan);
    if (err == BASE_ERR_CORRUPT && scan.position < active->size_bytes) {
        active->size_bytes = scan.position; /* damage in what the checkpoint covers */
    }
    log->size_bytes += active->size_bytes;
    log->written_offset = scan.next_offset;
    if (err == BASE_ERR_OK || err == BASE_ERR_CORRUPT) {
        err = end_active(recovery, size_bytes);
    }
    if (err == BASE_ERR_OK && active->size_bytes > recovery->durable_position) {
        logstore__durable_note(log); /* all that has survived is durable */
    }
    return err;
}

static enum base_err recover(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    enum base_err err = logstore__recovery_list(recovery);

    if (err == BASE_ERR_OK) {
        err = logstore__recovery_read_head(recovery);
    }
    if (err == BASE_ERR_OK) {
        err = logstore__recovery_read_durable(recovery);
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (log->segments_count == 0) {
        log->written_offset = log->start_offset;
        if (log->start_offset > 0 || recovery->indexes_count > 0) {
            logstore__recovery_damage(recovery, NULL, 0, "segments are gone");
        }
        return logstore__recovery_create_first(recovery);
    }
    if (recovery->is_damaged) {
        /* Nothing is known for certain; nothing is touched. */
        log->written_offset = log->segments[0]->base_offset;
        log->start_offset = log->written_offset;
        return BASE_ERR_OK;
    }
    logstore__recovery_remove_orphans(recovery);
    if (log->start_offset < log->segments[0]->base_offset) {
        log->start_offset = log->segments[0]->base_offset;
    }
    recovery->snapshot_offset = log->segments[0]->base_offset;
    err = recover_active(recovery);
    if (err == BASE_ERR_CORRUPT) {
        err = BASE_ERR_OK; /* logstore__recovery_damage() says what */
    }
    if (err == BASE_ERR_OK && ends_in_front_of_start(recovery)) {
        log->start_offset = log->written_offset;
    }
    return err;
}

static enum base_err create(const struct logstore_log_options *options, struct logstore_log **out)
{
    struct logstore_log *log = base_alloc_object(struct logstore_log);

    if (log == NULL) {
        return BASE_ERR_NOMEM;
    }
    log->store = options->store;
    log->io = logstore_store_io(options->store);
    log->lock = options->lock;
    log->owner = options->owner;
    log->config = options->config;
    log->leader_epoch = options->leader_epoch;
    log->snapshot_offset = -1;
    log->snapshot_base = -1;
    log->oldest_timestamp_ms = -1;
    log->retention_due_us = INT64_MAX;
    log->append_us = base_clock_monotonic_us(options->store->clock);
    logstore_chain_init(&log->chain);
    logstore_tail_init(&log->tail, &options->store->tail_budget);
    logstore_producers_init(&log->producers);
    logstore_epochs_init(&log->epochs);
    base_writer_init(&log->snapshot, LOGSTORE_FOOTER_SIZE_MAX / 2);
    base_list_init(&log->trims);
    log->append_op.task.run = logstore__append_done;
    log->sync_op.task.run = logstore__sync_done;
    log->sync_op.on_synced = logstore__on_synced;
    log->turn_task.run = logstore__turn_ended;
    log->writer_task.run = logstore__writer_run;
    log->upkeep_task.run = logstore__upkeep_run;
    log->name = base_strdup(options->name);
    if (log->name == NULL) {
        logstore__log_free(log);
        return BASE_ERR_NOMEM;
    }
    *out = log;
    return BASE_ERR_OK;
}

/* The start that exact retention has reached is not stored: it is found again. Segments
 * below the start, which a crash left behind, go. Runs the background job in place. */
static void run_retention(struct logstore_log *log)
{
    log->wants = LOGSTORE__WANT_RETENTION | LOGSTORE__WANT_REMOVAL;
    log->upkeep_running = true;
    logstore__use(log);
    base_mutex_unlock(log->lock);
    logstore__upkeep_run(&log->upkeep_task);
    base_mutex_lock(log->lock);
}

enum base_err logstore_log_open(const struct logstore_log_options *options,
                                struct logstore_log **out)
{
    struct logstore_log *log = NULL;

    *out = NULL;
    enum base_err err = create(options, &log);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct logstore__recovery recovery = {.log = log,
                                          .now_ms = base_clock_wall_ms(options->store->clock)};
    err = recover(&recovery);
    base_free(recovery.indexes);
    if (err == BASE_ERR_OK) {
        err = logstore__store_add(log->store, &log->resident);
    }
    if (err != BASE_ERR_OK) {
        logstore__log_free(log);
        return err;
    }
    log->end_offset = log->written_offset;
    log->durable = logstore__written_mark(log);
    log->checkpoint_bytes = logstore__active(log)->size_bytes;
    logstore__set_roll_due(log);
    logstore_epochs_trim(&log->epochs, log->start_offset);

    base_mutex_lock(log->lock);
    if (recovery.is_damaged) {
        logstore__offline(log, recovery.damaged, recovery.damaged_position, recovery.damage,
                          BASE_ERR_CORRUPT);
    } else {
        run_retention(log);
    }
    log->on_progress = options->on_progress;
    base_mutex_unlock(log->lock);
    *out = log;
    return recovery.is_damaged ? BASE_ERR_CORRUPT : BASE_ERR_OK;
}
