/* Segment descriptor and the names of its objects. */
#include "logstore/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "logstore/batch.h"

enum { DIGITS_COUNT = 20 };

struct logstore_segment *logstore_segment_create(struct logstore_log *log, int64_t base_offset)
{
    BASE_ASSERT(base_offset >= 0);

    struct logstore_segment *segment = base_alloc_object(struct logstore_segment);
    if (segment != NULL) {
        segment->log = log;
        segment->base_offset = base_offset;
        segment->max_timestamp_ms = -1;
        segment->max_timestamp_offset = -1;
        logstore_index_init(&segment->index);
    }
    return segment;
}

void logstore_segment_close(struct logstore_segment **segment)
{
    if (*segment == NULL) {
        return;
    }
    BASE_ASSERT((*segment)->pins == 0);
    BASE_ASSERT(!base_list_is_linked(&(*segment)->open_link));
    if ((*segment)->object != NULL) {
        struct logstore_io *io = (*segment)->object->io;
        io->ops->close(io, &(*segment)->object);
    }
    logstore_index_fini(&(*segment)->index);
    base_free(*segment);
    *segment = NULL;
}

static void format_name(char name[LOGSTORE_NAME_SIZE], const char *log_name, int64_t base_offset,
                        const char *suffix)
{
    int length =
        snprintf(name, LOGSTORE_NAME_SIZE, "%s/%020" PRId64 "%s", log_name, base_offset, suffix);
    BASE_ASSERT(length > 0);
    BASE_ASSERT(length < LOGSTORE_NAME_SIZE);
}

void logstore_segment_name(char name[LOGSTORE_NAME_SIZE], const char *log_name, int64_t base_offset)
{
    format_name(name, log_name, base_offset, ".log");
}

void logstore_segment_index_name(char name[LOGSTORE_NAME_SIZE], const char *log_name,
                                 int64_t base_offset)
{
    format_name(name, log_name, base_offset, ".index");
}

enum logstore_segment_kind logstore_segment_parse(const char *object_name, int64_t *base_offset)
{
    int64_t value = 0;

    *base_offset = -1;
    for (size_t i = 0; i < DIGITS_COUNT; i++) {
        if (object_name[i] < '0' || object_name[i] > '9' ||
            __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, object_name[i] - '0', &value)) {
            return LOGSTORE_SEGMENT_NONE;
        }
    }
    *base_offset = value;
    if (strcmp(object_name + DIGITS_COUNT, ".log") == 0) {
        return LOGSTORE_SEGMENT_LOG;
    }
    if (strcmp(object_name + DIGITS_COUNT, ".index") == 0) {
        return LOGSTORE_SEGMENT_INDEX;
    }
    return LOGSTORE_SEGMENT_NONE;
}

void logstore_segment_add(struct logstore_segment *segment, const struct logstore_batch *batch,
                          uint32_t index_interval_bytes)
{
    uint64_t position = segment->size_bytes;
    int64_t relative_offset = batch->base_offset - segment->base_offset;

    BASE_ASSERT(relative_offset >= 0);
    BASE_ASSERT(relative_offset <= UINT32_MAX);
    BASE_ASSERT(position <= UINT32_MAX);
    if (position > 0 &&
        position - logstore_index_last_position(&segment->index) >= index_interval_bytes) {
        logstore_index_add(&segment->index, (struct logstore_index_entry){
                                                .relative_offset = (uint32_t)relative_offset,
                                                .position = (uint32_t)position,
                                                .max_timestamp_ms = segment->max_timestamp_ms,
                                            });
    }
    segment->size_bytes += batch->size_bytes;
    if (batch->max_timestamp > segment->max_timestamp_ms) {
        segment->max_timestamp_ms = batch->max_timestamp;
        segment->max_timestamp_offset = batch->base_offset;
    }
}

struct logstore_index_entry logstore_segment_entry(const struct logstore_segment *segment,
                                                   int64_t offset)
{
    int64_t relative_offset = offset - segment->base_offset;
    return logstore_index_find_offset(&segment->index,
                                      relative_offset < 0 ? 0 : (uint64_t)relative_offset);
}
