/* Retention: whole segments by time and size; message by message for those who ask for it. */
#include <inttypes.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "logstore/log_priv.h"
#include "logstore/scan.h"

int64_t logstore__retention_due_us(const struct logstore_log *log)
{
    int64_t now_us = base_clock_monotonic_us(log->store->clock);
    int64_t due_us = logstore__after_ms(now_us, log->store->retention_check_ms);

    if (!log->config.retention_exact || log->config.retention_ms < 0 ||
        log->start_offset == log->written_offset) {
        return due_us;
    }
    if (log->oldest_timestamp_ms < 0) {
        return now_us + LOGSTORE__EXACT_LAG_US; /* not durable yet when it was looked for */
    }
    int64_t now_ms = base_clock_wall_ms(log->store->clock);
    int64_t age_ms = now_ms - log->oldest_timestamp_ms;
    if (age_ms < log->config.retention_ms - log->store->retention_check_ms) {
        return due_us;
    }
    int64_t exact_us = logstore__after_ms(now_us, log->config.retention_ms - age_ms);
    if (exact_us < now_us + LOGSTORE__EXACT_LAG_US) {
        exact_us = now_us + LOGSTORE__EXACT_LAG_US;
    }
    return exact_us < due_us ? exact_us : due_us;
}

/* Index of the first segment that stays, by size. The active one always does. */
static uint32_t keep_by_size(const struct logstore_log *log)
{
    uint32_t first = 0;
    uint64_t left_bytes = log->size_bytes;

    if (log->config.retention_bytes < 0) {
        return 0;
    }
    while (first + 1 < log->segments_count &&
           left_bytes - log->segments[first]->size_bytes >= (uint64_t)log->config.retention_bytes) {
        left_bytes -= log->segments[first]->size_bytes;
        first++;
    }
    return first;
}

/* The time that retention counts from; a segment without timestamps has that of its last
 * append, checkpoint or footer. */
static int64_t newest_ms(const struct logstore_segment *segment)
{
    return segment->max_timestamp_ms >= 0 ? segment->max_timestamp_ms : segment->touched_at_ms;
}

static bool has_expired(const struct logstore_log *log, int64_t timestamp_ms, int64_t now_ms)
{
    return now_ms - timestamp_ms > log->config.retention_ms;
}

/* The same by time. Loads footers, so it unlocks in between. */
static uint32_t keep_by_time(struct logstore_log *log, int64_t now_ms)
{
    uint32_t first = 0;

    if (log->config.retention_ms < 0) {
        return 0;
    }
    while (first + 1 < log->segments_count) {
        struct logstore_segment *segment = log->segments[first];
        if (log->segments[first + 1]->base_offset <= log->start_offset) {
            first++; /* gone, but for its objects */
            continue;
        }
        if (segment->max_timestamp_ms == LOGSTORE_SEGMENT_TIME_UNKNOWN) {
            logstore__pin(segment);
            enum base_err err = logstore__segment_load(log, segment);
            logstore__unpin(segment);
            if (err != BASE_ERR_OK || log->closing) {
                break;
            }
        }
        if (!has_expired(log, newest_ms(segment), now_ms)) {
            break;
        }
        first++;
    }
    return first;
}

/* An active segment whose batches have all expired is sealed, so that it can go. */
static void roll_if_expired(struct logstore_log *log, uint32_t first, int64_t now_ms)
{
    const struct logstore_segment *active = logstore__active(log);

    if (log->config.retention_ms >= 0 && first + 1 == log->segments_count &&
        active->size_bytes > 0 && has_expired(log, newest_ms(active), now_ms)) {
        log->roll_wanted = true;
        logstore__roll_if_idle(log); /* else the next append does it */
    }
}

/* What a search for the oldest batch that stays has found. */
struct oldest {
    int64_t offset;
    int64_t timestamp_ms; /* of its first record */
    int64_t next_offset;
    bool is_found;
    bool may_begin_expired; /* its first records may have to go */
};

/* Looks in one pinned, loaded segment. *position: where it went wrong. Not locked. */
static enum base_err find_oldest(const struct logstore__range *range, int64_t cutoff_ms,
                                 int64_t start_offset, struct oldest *oldest, uint64_t *position)
{
    struct logstore_scan scan;
    struct logstore_batch batch;

    logstore__range_scan(range, &scan);
    enum base_err err = logstore_scan_next(&scan, &batch, NULL);
    while (err == BASE_ERR_OK && !oldest->is_found) {
        /* A batch without a time cannot be called expired. */
        if (logstore_batch_next_offset(&batch) > start_offset &&
            (batch.max_timestamp >= cutoff_ms || batch.max_timestamp < 0)) {
            oldest->is_found = true;
            oldest->offset = batch.base_offset;
            oldest->timestamp_ms = logstore__first_ms(&batch);
            oldest->next_offset = logstore_batch_next_offset(&batch);
            oldest->may_begin_expired =
                batch.max_timestamp >= 0 &&
                (oldest->timestamp_ms < cutoff_ms || batch.base_offset < start_offset);
        } else {
            err = logstore_scan_next(&scan, &batch, NULL);
        }
    }
    *position = scan.position;
    logstore_scan_fini(&scan);
    return err == BASE_ERR_NOT_FOUND ? BASE_ERR_OK : err;
}

/* Finds the first batch at or behind the start that is young enough, among the durable
 * ones; not found when all are too old. */
static enum base_err search_oldest(struct logstore_log *log, int64_t cutoff_ms,
                                   struct oldest *oldest)
{
    *oldest = (struct oldest){.offset = -1, .timestamp_ms = -1};
    for (uint32_t i = logstore__find_segment(log, log->start_offset);
         i < log->segments_count && !oldest->is_found; i++) {
        struct logstore_segment *segment = log->segments[i];
        logstore__pin(segment);
        enum base_err err = logstore__segment_load(log, segment);
        bool is_active = segment == logstore__active(log);
        bool may_have =
            is_active || segment->max_timestamp_ms < 0 || segment->max_timestamp_ms >= cutoff_ms;
        if (err == BASE_ERR_OK && may_have && !log->closing) {
            /* Not from where the index has younger ones: batches without a time, which stay, may
             * come before. What is passed here has gone with the next look. */
            struct logstore_index_entry entry = logstore_segment_entry(segment, log->start_offset);
            struct logstore__range range = logstore__range_from(log, segment, entry, true);
            int64_t start_offset = log->start_offset;
            uint64_t position = 0;
            base_mutex_unlock(log->lock);
            err = find_oldest(&range, cutoff_ms, start_offset, oldest, &position);
            base_mutex_lock(log->lock);
            if (err == BASE_ERR_MALFORMED) {
                logstore__offline(log, segment, position, "batch header is damaged",
                                  BASE_ERR_CORRUPT);
            }
        }
        logstore__unpin(segment);
        if (err != BASE_ERR_OK || log->closing) {
            return err == BASE_ERR_OK ? BASE_ERR_CLOSED : err;
        }
    }
    return BASE_ERR_OK;
}

/* Goes on to the first record of the batch that is young enough. One that cannot be looked into
 * stays whole: the broker takes compressed records unopened. */
static enum base_err search_record(struct logstore_log *log, int64_t cutoff_ms,
                                   struct oldest *oldest)
{
    struct logstore_lookup lookup = {
        .timestamp_ms = cutoff_ms,
        .limit_offset = oldest->next_offset,
        .offset = -1,
        .found_timestamp_ms = -1,
    };

    if (!oldest->may_begin_expired || cutoff_ms < 0) {
        return BASE_ERR_OK;
    }
    enum base_err err = logstore__lookup_run(log, &lookup);
    if (err == BASE_ERR_OK && lookup.offset >= 0) {
        oldest->offset = lookup.offset;
        oldest->timestamp_ms = lookup.found_timestamp_ms;
    }
    return err;
}

/* Moves the start to the first record that retention_ms still covers. */
static void run_exact(struct logstore_log *log, int64_t now_ms)
{
    int64_t cutoff_ms = now_ms - log->config.retention_ms;
    struct oldest oldest;

    if (log->oldest_timestamp_ms >= cutoff_ms) {
        return;
    }
    int64_t durable_offset = log->durable.offset;
    if (log->start_offset >= durable_offset ||
        search_oldest(log, cutoff_ms, &oldest) != BASE_ERR_OK ||
        (oldest.is_found && search_record(log, cutoff_ms, &oldest) != BASE_ERR_OK)) {
        return;
    }
    int64_t start_offset = oldest.is_found ? oldest.offset : durable_offset;
    if (start_offset > log->start_offset) {
        logstore__start_move(log, start_offset);
    }
    if (oldest.is_found) {
        log->oldest_timestamp_ms = oldest.timestamp_ms;
    }
}

void logstore__retention_run(struct logstore_log *log)
{
    int64_t now_ms = base_clock_wall_ms(log->store->clock);

    (void)logstore_producers_expire(&log->producers, now_ms, log->config.producer_expiration_ms);
    if (log->offline) {
        return;
    }
    uint32_t first = keep_by_size(log);
    uint32_t first_by_time = keep_by_time(log, now_ms);
    first = first_by_time > first ? first_by_time : first;
    if (log->offline || log->closing) {
        return;
    }
    if (first > 0 && log->segments[first]->base_offset > log->start_offset) {
        logstore__start_move(log, log->segments[first]->base_offset);
    }
    roll_if_expired(log, first, now_ms);
    if (log->config.retention_exact && log->config.retention_ms >= 0) {
        run_exact(log, now_ms);
    }
    if (log->removable_offset > log->start_durable || /* on a full disk */
        (log->segments_count > 1 && log->segments[1]->base_offset <= log->start_offset)) {
        logstore__want(log, LOGSTORE__WANT_HEAD); /* and with it removal */
    }
    log->retention_due_us = logstore__retention_due_us(log);
    logstore__schedule(log);
}
