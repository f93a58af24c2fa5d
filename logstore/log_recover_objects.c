/* What a log that is opened has: segments, indexes, and the small objects "head" and
 * "durable". */
#include <stdlib.h>

#include "core/base/alloc.h"
#include "logstore/log_recover_priv.h"

enum { SMALL_OBJECT_SIZE_MAX = 512 };

void logstore__recovery_damage(struct logstore__recovery *recovery,
                               struct logstore_segment *segment, uint64_t position,
                               const char *what)
{
    if (!recovery->is_damaged) {
        recovery->is_damaged = true;
        recovery->damaged = segment;
        recovery->damaged_position = position;
        recovery->damage = what;
    }
}

static bool note_index(struct logstore__recovery *recovery, int64_t base_offset)
{
    if (recovery->indexes_count == recovery->indexes_capacity) {
        uint32_t capacity = recovery->indexes_capacity == 0 ? 4 : recovery->indexes_capacity * 2;
        int64_t *indexes = base_realloc_array(recovery->indexes, capacity, sizeof indexes[0]);
        if (indexes == NULL) {
            return false;
        }
        recovery->indexes = indexes;
        recovery->indexes_capacity = capacity;
    }
    recovery->indexes[recovery->indexes_count] = base_offset;
    recovery->indexes_count++;
    return true;
}

static bool note_object(void *context, const char *object_name, uint64_t size_bytes)
{
    struct logstore__recovery *recovery = context;
    struct logstore_log *log = recovery->log;
    int64_t base_offset = -1;

    switch (logstore_segment_parse(object_name, &base_offset)) {
    case LOGSTORE_SEGMENT_NONE:
        return true;
    case LOGSTORE_SEGMENT_INDEX:
        recovery->list_err = note_index(recovery, base_offset) ? BASE_ERR_OK : BASE_ERR_NOMEM;
        break;
    case LOGSTORE_SEGMENT_LOG: {
        recovery->list_err = logstore__segments_reserve(log);
        struct logstore_segment *segment =
            recovery->list_err == BASE_ERR_OK ? logstore_segment_create(log, base_offset) : NULL;
        if (segment == NULL) {
            recovery->list_err = BASE_ERR_NOMEM;
            break;
        }
        segment->size_bytes = size_bytes;
        segment->max_timestamp_ms = LOGSTORE_SEGMENT_TIME_UNKNOWN;
        segment->created_at_ms = recovery->now_ms;
        segment->touched_at_ms = recovery->now_ms;
        log->segments[log->segments_count] = segment;
        log->segments_count++;
        log->size_bytes += size_bytes;
        break;
    }
    }
    return recovery->list_err == BASE_ERR_OK;
}

static int compare_segments(const void *a, const void *b)
{
    const struct logstore_segment *const *left = a;
    const struct logstore_segment *const *right = b;
    return ((*left)->base_offset > (*right)->base_offset) -
           ((*left)->base_offset < (*right)->base_offset);
}

enum base_err logstore__recovery_list(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    enum base_err err = log->io->ops->list(log->io, log->name, note_object, recovery);

    err = err == BASE_ERR_OK ? recovery->list_err : err;
    if (err == BASE_ERR_OK && log->segments_count > 0) {
        qsort(log->segments, log->segments_count, sizeof log->segments[0], compare_segments);
    }
    return err;
}

enum base_err logstore__recovery_read_head(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    char name[LOGSTORE_NAME_SIZE];
    struct base_buffer *content = NULL;
    size_t length = 0;

    logstore__object_name(name, log, "head");
    enum base_err err = log->io->ops->get(log->io, name, SMALL_OBJECT_SIZE_MAX, &content, &length);
    if (err == BASE_ERR_NOT_FOUND) {
        return BASE_ERR_OK;
    }
    if (err == BASE_ERR_OK) {
        err = logstore__head_decode(base_slice_of(content->data, length), &log->start_offset);
        log->start_durable = log->start_offset;
        log->removable_offset = log->start_offset;
        base_buffer_release(&content);
    }
    if (err == BASE_ERR_CORRUPT || err == BASE_ERR_UNSUPPORTED || err == BASE_ERR_TOO_LARGE) {
        logstore__recovery_damage(recovery, NULL, 0, "head is damaged");
        err = BASE_ERR_OK;
    }
    return err;
}

enum base_err logstore__recovery_read_durable(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    char name[LOGSTORE_NAME_SIZE];
    struct base_buffer *content = NULL;
    size_t length = 0;
    int64_t base_offset = -1;
    uint64_t position = 0;

    logstore__object_name(name, log, "durable");
    enum base_err err = log->io->ops->get(log->io, name, SMALL_OBJECT_SIZE_MAX, &content, &length);
    if (err == BASE_ERR_OK) {
        /* Written lazily: torn or old is no damage. But a segment that it names was there. */
        bool is_good =
            logstore__durable_decode(base_slice_of(content->data, length), &base_offset, &position);
        int64_t last_offset = log->segments_count == 0 ? -1 : logstore__active(log)->base_offset;
        if (is_good && base_offset == last_offset) {
            recovery->durable_position = position;
        } else if (is_good && base_offset > last_offset) {
            logstore__recovery_damage(recovery, NULL, 0, "segments are gone");
        }
        base_buffer_release(&content);
    }
    return err == BASE_ERR_NOT_FOUND || err == BASE_ERR_TOO_LARGE ? BASE_ERR_OK : err;
}

enum base_err logstore__recovery_create_first(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    char name[LOGSTORE_NAME_SIZE];
    enum base_err err = logstore__segments_reserve(log);
    struct logstore_segment *segment =
        err == BASE_ERR_OK ? logstore_segment_create(log, log->start_offset) : NULL;

    if (segment == NULL) {
        return BASE_ERR_NOMEM;
    }
    segment->created_at_ms = recovery->now_ms;
    segment->touched_at_ms = recovery->now_ms;
    segment->index_loaded = true;
    log->segments[0] = segment;
    log->segments_count = 1;
    if (recovery->is_damaged) {
        return BASE_ERR_OK;
    }
    logstore_segment_name(name, log->name, segment->base_offset);
    return log->io->ops->create(log->io, name, &segment->object);
}

void logstore__recovery_remove_orphans(struct logstore__recovery *recovery)
{
    struct logstore_log *log = recovery->log;
    char name[LOGSTORE_NAME_SIZE];

    for (uint32_t i = 0; i < recovery->indexes_count; i++) {
        if (recovery->indexes[i] < log->segments[0]->base_offset) {
            logstore_segment_index_name(name, log->name, recovery->indexes[i]);
            enum base_err err = log->io->ops->remove(log->io, name);
            (void)err; /* the next open tries again */
        }
    }
}
