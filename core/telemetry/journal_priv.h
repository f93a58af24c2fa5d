/* A log of telemetry's own: appended to by one owner, kept for a while, never compacted.
 *
 * Threads: a monitor; every function from any thread unless it says otherwise. */
#ifndef TELEMETRY_JOURNAL_PRIV_H
#define TELEMETRY_JOURNAL_PRIV_H

#include "core/base/mutex.h"
#include "logstore/records_builder.h"
#include "logstore/replay.h"
#include "logstore/store.h"

struct telemetry__journal;

struct telemetry__journal_options {
    struct logstore_store *store; /* borrowed */
    const char *name;
    int32_t leader_epoch;
    int64_t retention_ms;    /* exact to the record */
    int64_t retention_bytes; /* whatever its age */
    int64_t segment_ms;      /* what retention removes at once from the disk */
};

/* Worker only. On an error *out is NULL, or a journal (its log is damaged) that is only to be
 * closed. */
BASE_MUST_USE enum base_err
telemetry__journal_open(const struct telemetry__journal_options *options,
                        struct telemetry__journal **out);

/* Frees the journal and posts closed to executor; nobody may use it any more. */
void telemetry__journal_close(struct telemetry__journal *journal, struct base_executor *executor,
                              struct base_task *closed);

/* Records that are appended together: begin, logstore_records_builder_add, end. */
struct telemetry__journal_batch {
    struct base_writer writer;
    struct logstore_records_builder builder;
    int64_t now_ms;
};

void telemetry__journal_begin(struct telemetry__journal *journal,
                              struct telemetry__journal_batch *batch);

/* Appends unless the batch is empty. It survives the process at once and a power cut with the
 * sync that executor's turn ends with. */
BASE_MUST_USE enum base_err telemetry__journal_end(struct telemetry__journal *journal,
                                                   struct telemetry__journal_batch *batch,
                                                   struct base_executor *executor);

/* First offset that is kept, and the one behind the last that can be read. */
void telemetry__journal_range(struct telemetry__journal *journal, int64_t *start, int64_t *end);

/* Borrowed; for logstore_replay and logstore_log_lookup. */
struct logstore_log *telemetry__journal_log(struct telemetry__journal *journal);

#endif
