/* One partition: a log with a high watermark, and those who wait on it.
 *
 * Offsets obey start <= last stable <= high watermark <= end. The high watermark is
 * the durable end in an HA partition and the written end in an HT one; consumers see
 * nothing above it. There are no transactions yet: the last stable offset is the
 * high watermark.
 *
 * Threads: a monitor; every function from any thread. Answers are posted. Partitions
 * are counted: hold one across every wait. */
#ifndef PARTITION_PARTITION_H
#define PARTITION_PARTITION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/chunk.h"
#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/base/list.h"
#include "core/base/uuid.h"
#include "logstore/batch.h"
#include "logstore/log.h"

struct partition;

struct partition *partition_hold(struct partition *partition);
void partition_release(struct partition **partition);

struct base_uuid partition_topic_id(const struct partition *partition);
int32_t partition_index(const struct partition *partition);

/* A consistent picture of the offsets. */
struct partition_offsets {
    int64_t start;
    int64_t last_stable;
    int64_t high_watermark;
    int64_t end;
    int64_t opened_end; /* the end when the log was opened: what was left of what it had */
    int32_t leader_epoch;
    uint64_t size_bytes;
    enum base_err err; /* OK, OFFLINE (storage stopped) or CLOSED (topic deleted) */
};

void partition_offsets(struct partition *partition, struct partition_offsets *out);

/* What clients produced, for metrics: monotone, from when the broker started. Counted by the
 * doors, which know what a request and a message are. */
struct partition_traffic {
    uint64_t bytes;
    uint64_t requests;
};

void partition_add_traffic(struct partition *partition, struct partition_traffic traffic);
struct partition_traffic partition_traffic(const struct partition *partition);

/* What an append waits for. */
enum partition_acks {
    PARTITION_ACK_WRITTEN, /* acks=1 (and 0): in the log, survives the process */
    PARTITION_ACK_ALL,     /* acks=-1: below the high watermark */
};

/* One wait for an append, embedded in the request. */
struct partition_waiter {
    struct base_executor *executor;
    struct base_task task; /* posted when it is over: look at err */
    enum base_err err;     /* OK, OFFLINE or CLOSED */

    /* the partition's own */
    struct base_list link;
    int64_t end_offset;
};

/* What an append gave; see logstore_appended. */
struct partition_appended {
    enum logstore_verdict verdict;
    int64_t base_offset;
    int64_t end_offset;
    int64_t start_offset; /* of the log, for the answer */
    int64_t timestamp_ms;
    bool pending; /* the waiter was registered and its task will come */
};

/* Appends one batch that logstore_batch_peek, verify_crc and check_records accepted.
 * bytes: see logstore_log_append. When the batch is appended (or a duplicate whose
 * original is not yet acknowledged) and `acks` is not fulfilled at once, waiter is
 * registered and out->pending set; waiter's executor and task.run are set by the caller.
 * waiter may be NULL: nobody waits, executor is then needed all the same for the sync.
 *   CLOSED, NO_SPACE, BUSY, NOMEM: nothing was appended.
 *   OFFLINE: nobody knows; if the log stopped at this very batch, the next start may find it. */
BASE_MUST_USE enum base_err
partition_append(struct partition *partition, const struct base_chunk *bytes,
                 const struct logstore_batch *batch, enum partition_acks acks,
                 struct base_executor *executor, struct partition_waiter *waiter,
                 struct partition_appended *out);

/* Gives up waiting. True: the task will not come. False: it is on its way. */
bool partition_waiter_cancel(struct partition *partition, struct partition_waiter *waiter);

/* Reads below the high watermark; see logstore_log_read. read->limit_offset is set here.
 * Additional errors: CLOSED. offset between high watermark and end gives nothing and OK.
 * On OUT_OF_RANGE, OFFLINE, CLOSED the answer is DONE. */
enum logstore_io_state partition_read(struct partition *partition, struct logstore_read *read);

/* Search by time below the high watermark; always answers by posting. */
void partition_lookup(struct partition *partition, struct logstore_lookup *lookup);

/* Somebody who wants to be told, once, that any of some partitions has news. */
struct partition_watcher {
    struct base_executor *executor;
    struct base_task task; /* posted at most once per arming */
    atomic_bool fired;     /* the task was posted and has not been consumed */
};

/* One partition that a watcher watches, embedded. */
struct partition_watch {
    struct base_list link;
    struct partition_watcher *watcher;
    int64_t offset; /* news: the high watermark is above it, or the partition ended */
};

/* Registers watch. If there is news already it is not registered and true is returned:
 * look again instead of waiting. A partition that ended has news for ever. */
bool partition_watch(struct partition *partition, struct partition_watch *watch);

/* Unregisters; no-op when it has fired or was never registered. Afterwards the watch's
 * memory is free, but the watcher's task may still be on its way if `fired` is set. */
void partition_unwatch(struct partition *partition, struct partition_watch *watch);

/* KIP-320, see logstore_log_epoch_end. OFFLINE, CLOSED. */
enum base_err partition_epoch_end(struct partition *partition, int32_t epoch, int32_t *found_epoch,
                                  int64_t *end_offset);
int32_t partition_epoch_at(struct partition *partition, int64_t offset);

/* Moves the log start up to offset; -1 = the high watermark. OUT_OF_RANGE above it: then
 * the trim's task does not come. */
BASE_MUST_USE enum base_err partition_trim(struct partition *partition, int64_t offset,
                                           struct logstore_trim *trim);

/* For coordinators at start-up: reads everything from the log start to the written end.
 * Calls visit for every record. Worker only. */
struct logstore_record;
typedef enum base_err partition_visit(void *context, const struct logstore_record *record);
BASE_MUST_USE enum base_err partition_replay(struct partition *partition, partition_visit *visit,
                                             void *context);

/* The same from an offset on. */
BASE_MUST_USE enum base_err partition_replay_from(struct partition *partition, int64_t offset,
                                                  partition_visit *visit, void *context);

#endif
