/* One segment of a log: its place, and what of it is open or loaded at the moment.
 *
 * The object of a sealed segment and its index are there only while somebody needs them;
 * they are closed again when too many are open (see store_priv.h). The active segment
 * always has its index, and its object while it is being written.
 *
 * Threads: none of its own; the lock of the log guards all fields. */
#ifndef LOGSTORE_SEGMENT_H
#define LOGSTORE_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"
#include "logstore/index.h"
#include "logstore/io.h"

/* max_timestamp_ms of a sealed segment whose footer was not read yet. */
#define LOGSTORE_SEGMENT_TIME_UNKNOWN INT64_MIN

struct logstore_log;

struct logstore_segment {
    struct logstore_log *log; /* borrowed */
    int64_t base_offset;
    uint64_t size_bytes;            /* written; < 4 GiB */
    int64_t max_timestamp_ms;       /* -1 none; or LOGSTORE_SEGMENT_TIME_UNKNOWN */
    int64_t max_timestamp_offset;   /* base offset of the first batch that has it; -1 none */
    int64_t created_at_ms;          /* wall clock */
    int64_t touched_at_ms;          /* wall clock of the last footer: age without timestamps */
    struct logstore_object *object; /* owned; NULL while closed */
    struct logstore_index index;
    struct base_list open_link; /* the store's list of open sealed segments, its lock */
    uint32_t pins;              /* users in flight: object and index stay, and so does this */
    bool index_loaded;
    bool footer_wanted; /* sealed, but its footer is not written yet */
    bool doomed;        /* below the log start; removed when nobody uses it */
};

/* NULL when memory is out. */
struct logstore_segment *logstore_segment_create(struct logstore_log *log, int64_t base_offset);

/* Closes the object, frees, sets *segment to NULL. NULL-safe. */
void logstore_segment_close(struct logstore_segment **segment);

/* "<log>/<base>.log" and "<log>/<base>.index". */
void logstore_segment_name(char name[LOGSTORE_NAME_SIZE], const char *log_name,
                           int64_t base_offset);
void logstore_segment_index_name(char name[LOGSTORE_NAME_SIZE], const char *log_name,
                                 int64_t base_offset);

/* Which of the two an object name (without log part) is. */
enum logstore_segment_kind {
    LOGSTORE_SEGMENT_NONE, /* neither */
    LOGSTORE_SEGMENT_LOG,
    LOGSTORE_SEGMENT_INDEX,
};
enum logstore_segment_kind logstore_segment_parse(const char *object_name, int64_t *base_offset);

/* Takes note of a batch at the end of the segment: size, index, largest timestamp. */
struct logstore_batch;
void logstore_segment_add(struct logstore_segment *segment, const struct logstore_batch *batch,
                          uint32_t index_interval_bytes);

/* Where the index sends who looks for offset: at it or in front of it. Of an offset in front of the
 * segment, its beginning. */
struct logstore_index_entry logstore_segment_entry(const struct logstore_segment *segment,
                                                   int64_t offset);

#endif
