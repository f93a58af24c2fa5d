/* What was acked, on disk: the internal topic __dms_cursors.
 *
 * All cursors of one queue write to one partition of it, each under its group's lock, so that
 * the order of the records is that of the decisions. Kept short by snapshots: after so many
 * records every cursor of the partition is written whole, each under its group's lock again,
 * and when that is durable the log start moves to where the snapshot began.
 *
 * Threads: any; the parts are only counted at, never locked. */
#ifndef QUEUE_JOURNAL_PRIV_H
#define QUEUE_JOURNAL_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/executor.h"
#include "core/base/writer.h"
#include "core/partition/partition.h"
#include "core/queue/record_priv.h"
#include "logstore/records_builder.h"

enum {
    QUEUE_JOURNAL_PARTITIONS = 8,
    QUEUE_JOURNAL_SNAPSHOT_RECORDS = 20000,
    QUEUE_JOURNAL_BATCH_BYTES_MAX = 32 << 20,
};

struct queue_manager;
struct queue_redrive_record;

/* One partition of the journal. */
struct queue_journal {
    struct queue_manager *manager; /* borrowed */
    int32_t index;
    struct partition *partition;  /* counted */
    atomic_uint_fast64_t records; /* since the last snapshot */
    atomic_bool is_snapshotting;

    /* Of the snapshot under way; see snapshot.c. */
    struct base_executor *executor;
    struct base_task task;
    struct queue_group **groups; /* owned array of counted groups */
    size_t groups_count;
    size_t groups_done;
    int64_t start_offset; /* of the snapshot in the log */
    int64_t end_offset;
    struct partition_watcher watcher;
    struct partition_watch watch;
    struct logstore_trim trim;
};

/* Records on their way: one batch, appended whole. */
struct queue_journal_batch {
    struct queue_journal *journal; /* borrowed */
    struct base_writer writer;
    struct base_writer text; /* of one record */
    struct logstore_records_builder builder;
    int64_t timestamp_ms;
};

void queue__journal_begin(struct queue_journal_batch *batch, struct queue_journal *journal,
                          int64_t timestamp_ms);

/* record NULL: the cursor is gone. Failures stick; append reports them. */
void queue__journal_add(struct queue_journal_batch *batch, const char *group_id, int32_t partition,
                        const struct queue_record *record);

/* The group's tag rule; NULL: it is not fixed any more. */
void queue__journal_add_rule(struct queue_journal_batch *batch, const char *group_id,
                             const struct queue_tag_rule *rule);

/* The redrive of a group of dead letters; NULL: forget it. */
void queue__journal_add_redrive(struct queue_journal_batch *batch, const char *group_id,
                                const struct queue_redrive_record *redrive);

/* Appends the batch, which holds a record at least, and frees it. waiter's task comes if
 * *pending. From a thread of executor, with the lock of the group whose records these are. On
 * an error nothing was written. */
BASE_MUST_USE enum base_err queue__journal_append(struct queue_journal_batch *batch,
                                                  struct base_executor *executor,
                                                  struct partition_waiter *waiter, bool *pending);

/* The same for records that nobody waits for: a failure is logged. */
void queue__journal_send(struct queue_journal_batch *batch, struct base_executor *executor);

/* Frees a batch that is not to be appended. */
void queue__journal_drop(struct queue_journal_batch *batch);

/* Takes the key of a record apart; *partition is one of these for what is no cursor. False when
 * it is none of ours. */
enum { QUEUE_JOURNAL_RULE = -1, QUEUE_JOURNAL_REDRIVE = -2 };
bool queue__journal_parse_key(struct base_slice key, struct base_slice *group_id,
                              int32_t *partition);

/* Starts a snapshot if none is under way; on executor, later. */
void queue__snapshot_start(struct queue_journal *journal, struct base_executor *executor);

#endif
