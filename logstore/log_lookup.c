/* Search by time, on the worker: the index narrows it down to a few batches, whose headers
 * are read; the records of one are then looked at. */
#include "core/base/assert.h"
#include "logstore/log_priv.h"
#include "logstore/records.h"
#include "logstore/scan.h"

enum {
    /* What one search may read and inflate of batches that promise what they do not keep: those
     * that producers made may say anything. Then the batch is the answer. */
    OPENED_BYTES_MAX = 32 << 20,
    OPENED_BYTES_EACH = 16 << 10, /* what a small one counts as */
};

/* The batch that a search ends at. */
struct hit {
    bool is_found;
    int64_t base_offset;
    int64_t next_offset;
    uint64_t position;
    size_t size_bytes;
    int64_t max_timestamp_ms;
};

/* One search through headers: the first batch that reaches from_ms, or the first one
 * with the largest timestamp. */
struct search {
    int64_t from_ms; /* LOGSTORE_LOOKUP_MAX: the largest */
    int64_t start_offset;
    int64_t limit_offset;
    size_t opened_bytes_left;
    struct hit hit;
};

static void note(struct search *search, const struct logstore_batch *batch, uint64_t position)
{
    bool is_better = search->from_ms == LOGSTORE_LOOKUP_MAX
                         ? batch->max_timestamp > search->hit.max_timestamp_ms
                         : !search->hit.is_found && batch->max_timestamp >= search->from_ms;
    if (is_better && batch->max_timestamp >= 0) {
        search->hit = (struct hit){
            .is_found = true,
            .base_offset = batch->base_offset,
            .next_offset = logstore_batch_next_offset(batch),
            .position = position,
            .size_bytes = batch->size_bytes,
            .max_timestamp_ms = batch->max_timestamp,
        };
    }
}

/* Looks at the headers in a range. *position: where it went wrong. Not locked. */
static enum base_err scan_headers(struct search *search, const struct logstore__range *range,
                                  uint64_t *position)
{
    struct logstore_scan scan;
    struct logstore_batch batch;

    logstore__range_scan(range, &scan);
    enum base_err err = logstore_scan_next(&scan, &batch, NULL);
    while (err == BASE_ERR_OK && batch.base_offset < search->limit_offset &&
           (search->from_ms == LOGSTORE_LOOKUP_MAX || !search->hit.is_found)) {
        if (logstore_batch_next_offset(&batch) > search->start_offset) {
            note(search, &batch, scan.position - batch.size_bytes);
        }
        err = logstore_scan_next(&scan, &batch, NULL);
    }
    *position = scan.position;
    logstore_scan_fini(&scan);
    if (err == BASE_ERR_NOT_FOUND) {
        return BASE_ERR_OK;
    }
    return err == BASE_ERR_MALFORMED ? BASE_ERR_CORRUPT : err;
}

static void open_less(struct search *search, size_t bytes)
{
    search->opened_bytes_left -=
        bytes < search->opened_bytes_left ? bytes : search->opened_bytes_left;
}

/* Takes the batch as a whole: the best answer where its records are not known. */
static void take_batch(struct logstore_lookup *lookup, const struct search *search)
{
    const struct hit *hit = &search->hit;

    lookup->offset =
        hit->base_offset < search->start_offset ? search->start_offset : hit->base_offset;
    lookup->found_timestamp_ms = hit->max_timestamp_ms;
}

/* Takes the first record that the lookup asks for out of a batch's bytes. There may be none at or
 * behind the start, although the header promises it. */
static void search_records(struct logstore_lookup *lookup, struct search *search,
                           const struct base_buffer *bytes)
{
    const struct hit *hit = &search->hit;
    struct logstore_records records;
    struct logstore_record record;
    bool wants_max = lookup->timestamp_ms == LOGSTORE_LOOKUP_MAX;
    int64_t from_ms = wants_max ? hit->max_timestamp_ms : lookup->timestamp_ms;

    enum base_err err =
        logstore_records_open(&records, bytes->data, hit->size_bytes, search->opened_bytes_left);
    if (err == BASE_ERR_OK) {
        while (lookup->offset < 0 && logstore_records_next(&records, &record)) {
            if (record.timestamp_ms >= from_ms && record.offset >= search->start_offset) {
                lookup->offset = record.offset;
                lookup->found_timestamp_ms = record.timestamp_ms;
            }
        }
        open_less(search, records.inflated_bytes);
        logstore_records_close(&records);
    }
    if (lookup->offset < 0 && (err != BASE_ERR_OK || wants_max)) {
        take_batch(lookup, search);
    }
}

/* Reads the batch that was found and looks inside. Not locked. */
static enum base_err open_hit(struct logstore_lookup *lookup, struct logstore_object *object,
                              struct search *search)
{
    struct logstore_io *io = object->io;
    size_t length = 0;

    if (search->hit.size_bytes > search->opened_bytes_left) {
        take_batch(lookup, search);
        return BASE_ERR_OK;
    }
    open_less(search, search->hit.size_bytes + OPENED_BYTES_EACH);
    struct base_buffer *bytes = base_buffer_create(search->hit.size_bytes);
    if (bytes == NULL) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = io->ops->read_wait(io, object, search->hit.position, bytes->data,
                                           search->hit.size_bytes, &length);
    if (err == BASE_ERR_OK && length < search->hit.size_bytes) {
        err = BASE_ERR_IO;
    }
    if (err == BASE_ERR_OK) {
        search_records(lookup, search, bytes);
        search->start_offset = search->hit.next_offset; /* if it has none: go on behind it */
    }
    base_buffer_release(&bytes);
    return err;
}

/* Most segments cannot have what is looked for, and that is known without opening them. */
static bool can_have(const struct logstore_segment *segment, int64_t least_ms)
{
    return segment->max_timestamp_ms == LOGSTORE_SEGMENT_TIME_UNKNOWN ||
           segment->max_timestamp_ms >= least_ms;
}

/* Searches one pinned segment. Locked, unlocks in between. */
static enum base_err search_segment(struct logstore_log *log, struct logstore_segment *segment,
                                    struct search *search)
{
    bool wants_max = search->from_ms == LOGSTORE_LOOKUP_MAX;
    int64_t best_ms = search->hit.max_timestamp_ms;
    int64_t least_ms = wants_max ? best_ms + (best_ms < INT64_MAX) : search->from_ms;

    if (!can_have(segment, least_ms)) {
        return BASE_ERR_OK;
    }
    enum base_err err = logstore__segment_load(log, segment);
    if (err != BASE_ERR_OK || !can_have(segment, least_ms)) {
        return err;
    }
    /* Headers that promise what their records do not keep are passed one after the other. */
    struct logstore_index_entry by_offset = logstore_segment_entry(segment, search->start_offset);
    struct logstore_index_entry by_time = logstore_index_find_timestamp(&segment->index, least_ms);
    struct logstore__range range = logstore__range_from(
        log, segment, by_offset.position > by_time.position ? by_offset : by_time, false);
    uint64_t position = 0;
    base_mutex_unlock(log->lock);
    err = scan_headers(search, &range, &position);
    base_mutex_lock(log->lock);
    if (err == BASE_ERR_CORRUPT) {
        logstore__offline(log, segment, position, "batch header is damaged", err);
    }
    return err;
}

/* Finds the batch; *found is its segment, pinned, or NULL. */
static enum base_err find_batch(struct logstore_log *log, struct search *search,
                                struct logstore_segment **found)
{
    enum base_err err = BASE_ERR_OK;
    int64_t offset = search->start_offset;

    *found = NULL;
    search->hit = (struct hit){.max_timestamp_ms = -1};
    while (err == BASE_ERR_OK && offset < search->limit_offset &&
           (*found == NULL || search->from_ms == LOGSTORE_LOOKUP_MAX)) {
        offset = offset < log->start_offset ? log->start_offset : offset;
        struct logstore_segment *segment = log->segments[logstore__find_segment(log, offset)];
        int64_t best_ms = search->hit.max_timestamp_ms;
        logstore__pin(segment);
        err = search_segment(log, segment, search);
        if (search->hit.max_timestamp_ms > best_ms) {
            if (*found != NULL) {
                logstore__unpin(*found);
            }
            *found = segment;
            logstore__pin(segment);
        }
        uint32_t index = logstore__find_segment(log, segment->base_offset);
        bool is_last = index + 1 == log->segments_count;
        offset = is_last ? INT64_MAX : log->segments[index + 1]->base_offset;
        logstore__unpin(segment);
    }
    return err;
}

enum base_err logstore__lookup_run(struct logstore_log *log, struct logstore_lookup *lookup)
{
    struct search search = {
        .from_ms = lookup->timestamp_ms,
        .start_offset = log->start_offset,
        .limit_offset =
            lookup->limit_offset < log->written_offset ? lookup->limit_offset : log->written_offset,
        .opened_bytes_left = OPENED_BYTES_MAX,
    };
    enum base_err err = BASE_ERR_OK;
    bool is_found = true;

    while (err == BASE_ERR_OK && is_found && lookup->offset < 0) {
        struct logstore_segment *found = NULL;
        err = find_batch(log, &search, &found);
        is_found = found != NULL;
        if (is_found) {
            if (err == BASE_ERR_OK) {
                base_mutex_unlock(log->lock);
                err = open_hit(lookup, found->object, &search);
                base_mutex_lock(log->lock);
            }
            logstore__unpin(found);
        }
    }
    if (err != BASE_ERR_OK || lookup->offset >= search.limit_offset) {
        lookup->offset = -1;
        lookup->found_timestamp_ms = -1;
    }
    return err;
}

static void lookup_run(struct base_task *task)
{
    struct logstore_lookup *lookup = BASE_CONTAINER_OF(task, struct logstore_lookup, work);
    struct logstore_log *log = lookup->log;
    struct base_mutex *lock = log->lock;

    base_mutex_lock(lock);
    lookup->err = logstore__lookup_run(log, lookup);
    base_executor_post(lookup->executor, &lookup->task);
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

static void begin(struct logstore_log *log, struct logstore_lookup *lookup)
{
    BASE_ASSERT(lookup->timestamp_ms >= 0 || lookup->timestamp_ms == LOGSTORE_LOOKUP_MAX);

    lookup->log = log;
    lookup->err = BASE_ERR_OK;
    lookup->offset = -1;
    lookup->found_timestamp_ms = -1;
}

enum base_err logstore_log_lookup_wait(struct logstore_log *log, struct logstore_lookup *lookup)
{
    begin(log, lookup);
    base_mutex_lock(log->lock);
    lookup->err = logstore__lookup_run(log, lookup);
    base_mutex_unlock(log->lock);
    return lookup->err;
}

void logstore_log_lookup(struct logstore_log *log, struct logstore_lookup *lookup)
{
    begin(log, lookup);
    lookup->work.run = lookup_run;
    base_mutex_lock(log->lock);
    BASE_ASSERT(!log->closing);
    logstore__use(log);
    base_mutex_unlock(log->lock);
    base_executor_post(log->store->worker, &lookup->work);
}
