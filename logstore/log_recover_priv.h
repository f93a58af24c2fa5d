/* Opening a log, in two parts: log_recover_objects.c finds what is there, log_recover.c what
 * of it is good. One thread, not locked. */
#ifndef LOGSTORE_LOG_RECOVER_PRIV_H
#define LOGSTORE_LOG_RECOVER_PRIV_H

#include "logstore/log_priv.h"

/* What recovery knows besides the log. */
struct logstore__recovery {
    struct logstore_log *log;
    int64_t *indexes; /* owned array: base offsets of index objects */
    uint32_t indexes_count;
    uint32_t indexes_capacity;
    enum base_err list_err;
    int64_t snapshot_offset; /* producers and epochs are right up to here */
    int64_t now_ms;
    uint64_t durable_position; /* of the active segment, known to be on disk */
    bool is_damaged;
    struct logstore_segment *damaged; /* where */
    uint64_t damaged_position;
    const char *damage;
};

/* The log must not be written to: what is wrong, at which position of which segment (may be
 * NULL). The first call counts. */
void logstore__recovery_damage(struct logstore__recovery *recovery,
                               struct logstore_segment *segment, uint64_t position,
                               const char *what);

/* Makes the log's list of segments, and that of indexes. */
enum base_err logstore__recovery_list(struct logstore__recovery *recovery);

/* Reads "head" if there is one: a log that was never trimmed has none. */
enum base_err logstore__recovery_read_head(struct logstore__recovery *recovery);

/* Reads "durable" if there is one that can be believed. */
enum base_err logstore__recovery_read_durable(struct logstore__recovery *recovery);

/* The first segment of a new log; of a damaged one only its descriptor, which every log
 * must have. */
enum base_err logstore__recovery_create_first(struct logstore__recovery *recovery);

/* Removes index objects whose segment is gone: a crash came between the two. Segments below
 * the start are left to the background job, which sees to it that no snapshot goes with
 * them that is still needed. */
void logstore__recovery_remove_orphans(struct logstore__recovery *recovery);

#endif
