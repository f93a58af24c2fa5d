/* Segments of a log: finding them, opening what is needed of them, checking their bytes. */
#include <inttypes.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "logstore/log_priv.h"
#include "logstore/scan.h"

uint32_t logstore__find_segment(const struct logstore_log *log, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = log->segments_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    BASE_ASSERT(low > 0);
    return low - 1;
}

int64_t logstore__segment_next_offset(const struct logstore_log *log, uint32_t index)
{
    BASE_ASSERT(index < log->segments_count);
    return index + 1 < log->segments_count ? log->segments[index + 1]->base_offset
                                           : log->written_offset;
}

struct logstore__range logstore__range_from(const struct logstore_log *log,
                                            const struct logstore_segment *segment,
                                            struct logstore_index_entry entry, bool durable_only)
{
    bool cut = durable_only && log->durable.segment == segment;
    return (struct logstore__range){
        .object = segment->object,
        .position = entry.position,
        .end = cut ? log->durable.position : segment->size_bytes,
        .offset_min = segment->base_offset + entry.relative_offset,
        .offset_max = cut ? log->durable.offset
                          : logstore__segment_next_offset(
                                log, logstore__find_segment(log, segment->base_offset)),
    };
}

void logstore__range_scan(const struct logstore__range *range, struct logstore_scan *scan)
{
    uint64_t end = range->end < range->position ? range->position : range->end;
    logstore_scan_init(scan, range->object, range->position, end, false);
    scan->offset_min = range->offset_min;
    scan->offset_max = range->offset_max;
}

void logstore__pin(struct logstore_segment *segment)
{
    segment->pins++;
}

void logstore__unpin(struct logstore_segment *segment)
{
    BASE_ASSERT(segment->pins > 0);
    segment->pins--;
    if (segment->pins == 0 && segment->doomed) {
        logstore__want(segment->log, LOGSTORE__WANT_REMOVAL);
    }
}

void logstore__segment_release(struct logstore_log *log, struct logstore_segment *segment)
{
    if (segment == logstore__active(log) || segment->pins > 0 || segment->footer_wanted) {
        return;
    }
    logstore__store_segment_gone(log->store, segment);
    if (segment->object != NULL) {
        log->io->ops->close(log->io, &segment->object);
    }
    logstore_index_fini(&segment->index);
    segment->index_loaded = false;
}

/* Whether the batch can stand here: its offset lies outside the CRC. */
static bool is_in_place(const struct logstore__scan *scan, const struct logstore_batch *batch)
{
    if (!scan->gaps_allowed) {
        return batch->base_offset == scan->next_offset;
    }
    int64_t origin = scan->segment == NULL ? scan->next_offset : scan->segment->base_offset;
    return batch->base_offset >= scan->next_offset && batch->base_offset - origin <= UINT32_MAX;
}

enum base_err logstore__scan_run(struct logstore__scan *scan)
{
    struct logstore_scan walk;
    struct logstore_batch batch;
    const uint8_t *data = NULL;
    int32_t last_epoch = INT32_MIN;

    logstore_scan_init(&walk, scan->object, scan->position, scan->end, true);
    enum base_err err = logstore_scan_next(&walk, &batch, &data);
    while (err == BASE_ERR_OK) {
        bool is_good = logstore_batch_verify_crc(data, batch.size_bytes) == BASE_ERR_OK &&
                       batch.leader_epoch >= last_epoch && batch.leader_epoch <= scan->epoch_max &&
                       is_in_place(scan, &batch);
        if (!is_good) {
            err = BASE_ERR_CORRUPT;
            break;
        }
        if (scan->visit != NULL) {
            err = scan->visit(scan->context, &batch);
            if (err != BASE_ERR_OK) {
                break;
            }
        }
        if (scan->segment != NULL && scan->position > scan->segment->size_bytes) {
            err = BASE_ERR_CORRUPT; /* the checkpoint does not end at a batch */
            break;
        }
        if (scan->segment != NULL && scan->position == scan->segment->size_bytes) {
            logstore_segment_add(scan->segment, &batch, scan->index_interval_bytes);
        }
        last_epoch = batch.leader_epoch;
        scan->position = walk.position;
        scan->next_offset = logstore_batch_next_offset(&batch);
        err = logstore_scan_next(&walk, &batch, &data);
    }
    logstore_scan_fini(&walk);
    if (err == BASE_ERR_NOT_FOUND) {
        return BASE_ERR_OK;
    }
    return err == BASE_ERR_MALFORMED ? BASE_ERR_CORRUPT : err;
}

enum base_err logstore__footer_load(struct logstore_log *log, int64_t base_offset,
                                    struct logstore_footer *footer, struct logstore_index *index,
                                    struct base_buffer **content, struct base_slice *snapshot)
{
    char name[LOGSTORE_NAME_SIZE];
    size_t length = 0;

    *footer = (struct logstore_footer){.snapshot_offset = -1};
    *snapshot = base_slice_of(NULL, 0);
    logstore_segment_index_name(name, log->name, base_offset);
    enum base_err err =
        log->io->ops->get(log->io, name, LOGSTORE_FOOTER_SIZE_MAX, content, &length);
    if (err == BASE_ERR_OK) {
        err = logstore_footer_decode(base_slice_of((*content)->data, length), footer, index,
                                     snapshot);
        if (err == BASE_ERR_OK && footer->base_offset != base_offset) {
            err = BASE_ERR_CORRUPT;
            logstore_index_fini(index);
        }
    }
    if (err == BASE_ERR_OK) {
        return BASE_ERR_OK;
    }
    base_buffer_release(content);
    if (err != BASE_ERR_NOT_FOUND && err != BASE_ERR_NOMEM) {
        base_log(BASE_LOG_WARN, "INDEX_UNUSABLE", "file=%s cause=\"%s\"", name, base_err_text(err));
    }
    return err == BASE_ERR_NOMEM ? BASE_ERR_NOMEM : BASE_ERR_NOT_FOUND;
}

/* Loads or rebuilds the index of a sealed segment into `loaded`, a stand-in for it.
 * Worker, not locked. *rebuilt: the footer was missing or wrong. CORRUPT, too, when the
 * segment does not end at next_offset, where the next one begins: one between is lost. */
static enum base_err load_index(struct logstore_log *log, struct logstore_object *object,
                                uint64_t size_bytes, int64_t next_offset,
                                struct logstore_segment *loaded, bool *rebuilt)
{
    struct logstore_footer footer;
    struct base_buffer *content = NULL;
    struct base_slice snapshot;
    int64_t base_offset = loaded->base_offset;

    *rebuilt = false;
    loaded->size_bytes = 0;
    loaded->max_timestamp_ms = -1; /* until now it may have been unknown, which is less */
    loaded->max_timestamp_offset = -1;
    enum base_err err =
        logstore__footer_load(log, base_offset, &footer, &loaded->index, &content, &snapshot);
    if (err == BASE_ERR_NOMEM) {
        return err;
    }
    if (err == BASE_ERR_OK) {
        base_buffer_release(&content);
        if (footer.covered_bytes <= size_bytes && footer.next_offset <= next_offset) {
            loaded->size_bytes = footer.covered_bytes;
            loaded->max_timestamp_ms = footer.max_timestamp_ms;
            loaded->max_timestamp_offset = footer.max_timestamp_offset;
            loaded->touched_at_ms = footer.written_at_ms;
            if (footer.covered_bytes == size_bytes) {
                return footer.next_offset == next_offset ? BASE_ERR_OK : BASE_ERR_CORRUPT;
            }
            base_offset = footer.next_offset;
        } else {
            logstore_index_fini(&loaded->index);
        }
    }
    *rebuilt = true;
    struct logstore__scan scan = {
        .object = object,
        .position = loaded->size_bytes,
        .end = size_bytes,
        .next_offset = base_offset,
        .gaps_allowed = true,
        .epoch_max = log->leader_epoch,
        .index_interval_bytes = log->config.index_interval_bytes,
        .segment = loaded,
    };
    err = logstore__scan_run(&scan);
    return err == BASE_ERR_OK && scan.next_offset != next_offset ? BASE_ERR_CORRUPT : err;
}

static enum base_err load_unlocked(struct logstore_log *log, bool wants_object, bool is_sealed,
                                   int64_t next_offset, struct logstore_object **object,
                                   struct logstore_segment *loaded, bool *rebuilt)
{
    char name[LOGSTORE_NAME_SIZE];
    uint64_t size_bytes = loaded->size_bytes;
    uint64_t found_bytes = 0;
    enum base_err err = BASE_ERR_OK;
    struct logstore_object *opened = NULL;

    logstore_segment_name(name, log->name, loaded->base_offset);
    if (wants_object) {
        err = log->io->ops->open(log->io, name, &opened, &found_bytes);
        /* Zeros may follow what was appended last. */
        if (err == BASE_ERR_OK &&
            (found_bytes < size_bytes || (is_sealed && found_bytes > size_bytes))) {
            err = BASE_ERR_CORRUPT;
            loaded->size_bytes = found_bytes;
        }
        err = err == BASE_ERR_NOT_FOUND ? BASE_ERR_CORRUPT : err;
        *object = opened;
    }
    if (err == BASE_ERR_OK && !loaded->index_loaded) {
        err = load_index(log, *object, size_bytes, next_offset, loaded, rebuilt);
    }
    return err;
}

enum base_err logstore__segment_load(struct logstore_log *log, struct logstore_segment *segment)
{
    BASE_ASSERT(segment->pins > 0);

    if (logstore__is_loaded(segment)) {
        return BASE_ERR_OK;
    }
    /* The active segment can grow meanwhile only if its object is open, and then there is
     * nothing to do for it. */
    struct logstore_segment loaded = *segment;
    struct logstore_object *object = segment->object;
    bool wants_object = object == NULL;
    bool is_sealed = segment != logstore__active(log);
    bool rebuilt = false;
    int64_t next_offset =
        logstore__segment_next_offset(log, logstore__find_segment(log, segment->base_offset));

    logstore_index_init(&loaded.index);
    base_mutex_unlock(log->lock);
    enum base_err err =
        load_unlocked(log, wants_object, is_sealed, next_offset, &object, &loaded, &rebuilt);
    base_mutex_lock(log->lock);

    if (logstore__is_loaded(segment)) {
        err = BASE_ERR_OK; /* somebody else was faster, and the object may have grown since */
    }
    if (err == BASE_ERR_OK && segment->object == NULL) {
        segment->object = object;
        object = NULL;
    }
    if (wants_object && object != NULL) {
        log->io->ops->close(log->io, &object);
    }
    if (err == BASE_ERR_OK && !segment->index_loaded) {
        segment->index = loaded.index;
        logstore_index_init(&loaded.index);
        segment->index_loaded = true;
        segment->max_timestamp_ms = loaded.max_timestamp_ms;
        segment->max_timestamp_offset = loaded.max_timestamp_offset;
        segment->touched_at_ms = loaded.touched_at_ms;
        if (rebuilt) {
            base_log(BASE_LOG_INFO, "INDEX_REBUILT", "log=%s base_offset=%" PRId64, log->name,
                     segment->base_offset);
            segment->footer_wanted = true;
            logstore__want_checkpoint(log, false);
        }
    }
    logstore_index_fini(&loaded.index);
    if (err == BASE_ERR_OK && segment != logstore__active(log)) {
        logstore__store_segment_used(log->store, segment);
    }
    if (err == BASE_ERR_CORRUPT) {
        logstore__offline(log, segment, loaded.size_bytes, "sealed segment is damaged", err);
    }
    return err;
}
