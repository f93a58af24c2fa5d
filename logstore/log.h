/* One partition's log: ordered segments of record batches, exactly as on the wire.
 *
 * Four offsets, durable <= written <= end and start <= written:
 *   start    first readable; moves up by retention (never beyond durable) and trim
 *   durable  everything below survives a power cut
 *   written  everything below was accepted by the storage: survives the death of the
 *            process, and can be read
 *   end      next offset to be given; bytes between written and end wait in memory while
 *            an append, or a roll to the next segment, is under way
 *
 * Group commit: while a sync is in flight everything that arrives joins the next.
 *
 * Threads: the log has no lock of its own; it borrows that of the partition (or
 * catalog) it belongs to. "Locked" below means: the caller holds it. The log's own
 * completions take it themselves, and call on_progress with it held. */
#ifndef LOGSTORE_LOG_H
#define LOGSTORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/chunk.h"
#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/base/list.h"
#include "core/base/mutex.h"
#include "logstore/batch.h"
#include "logstore/producers.h"
#include "logstore/store.h"

struct logstore_log;

/* May change while the log is open. Defaults are Kafka's unless noted. */
struct logstore_log_config {
    uint64_t segment_bytes;         /* soft: a segment that reaches it is rolled; 64 MiB */
    int64_t segment_ms;             /* a segment older than this is rolled at the next append */
    int64_t retention_ms;           /* -1 = for ever */
    int64_t retention_bytes;        /* -1 = any size */
    bool retention_exact;           /* log start follows retention_ms message by message (DMS) */
    bool durable;                   /* HA: sync right after every append; HT: in the background */
    int64_t flush_interval_ms;      /* HT: longest time written data stays unsynced; 1000 */
    uint64_t flush_bytes;           /* HT: written and unsynced bytes that start a sync; 64 MiB, but
                                     * never more than an eighth of a segment */
    uint32_t index_interval_bytes;  /* one index entry every so many bytes; 4096 */
    int64_t producer_expiration_ms; /* idle producer state is forgotten; 1 day */
};

void logstore_log_config_default(struct logstore_log_config *config);

struct logstore_log_options {
    struct logstore_store *store; /* borrowed */
    const char *name;             /* copied; [A-Za-z0-9._-] */
    struct base_mutex *lock;      /* borrowed; the owner's */
    struct logstore_log_config config;
    int32_t leader_epoch; /* stamped on every batch appended from now on; never lower than
                           * in a log's life before: such a batch counts as damaged */
    void *owner;          /* borrowed; for on_progress */
    /* written, durable or start moved, or the log went offline. Locked; also from within
     * append, flush and trim, when they make progress in place. Only getters of the log
     * may be called from it; waking somebody is a post. May be NULL. */
    void (*on_progress)(void *owner);
};

/* Opens the log, creating it if there is none. Recovers: the last segment is scanned
 * from its last checkpoint; a torn tail (short or broken batches behind everything that
 * was known durable) is cut with a warning that names file and position; damage in front
 * of that leaves everything as it is and gives CORRUPT, with the reason in
 * logstore_log_offline_reason() of the log, which is open but offline then (readable up
 * to the damage, not writable).
 * Worker only, not locked. On any other error *out is NULL. */
BASE_MUST_USE enum base_err logstore_log_open(const struct logstore_log_options *options,
                                              struct logstore_log **out);

/* Ends what is under way, and with `checkpoint` makes the log durable and leaves a
 * checkpoint that spares the next open its scan. Then frees the log and posts `closed`
 * to executor. Not locked. Nobody may use the log from this call on; on_progress is not
 * called any more. (A few KiB without a checkpoint are left to the next open: many small
 * logs close quickly.) Reads, lookups and trims that are under way are answered first. */
void logstore_log_close(struct logstore_log *log, bool checkpoint, struct base_executor *executor,
                        struct base_task *closed);

/* Offsets and state. Locked. */
int64_t logstore_log_start_offset(const struct logstore_log *log);
int64_t logstore_log_durable_offset(const struct logstore_log *log);
int64_t logstore_log_written_offset(const struct logstore_log *log);
int64_t logstore_log_end_offset(const struct logstore_log *log);
int32_t logstore_log_leader_epoch(const struct logstore_log *log);
uint64_t logstore_log_size_bytes(const struct logstore_log *log);
uint32_t logstore_log_segments_count(const struct logstore_log *log);

/* NULL while the log works; otherwise why it stopped ("file position cause"). Locked. */
const char *logstore_log_offline_reason(const struct logstore_log *log);

/* What an append gave. */
struct logstore_appended {
    enum logstore_verdict verdict; /* of the producer state: APPEND, DUPLICATE, ... */
    int64_t base_offset;           /* given, or that of the duplicate's original */
    int64_t end_offset;            /* behind the batch: wait for written or durable >= this */
    int64_t timestamp_ms;          /* the greatest, of the batch or the duplicate's original */
};

/* Appends one validated batch (header parsed into *batch, CRC and records checked).
 * Assigns offset and epoch by writing them into the chunk's bytes, which must be the
 * only reference or a private range of a received frame. The log takes its own
 * reference. executor is the caller's: its turn's end starts the sync, completions are
 * posted to it. A small batch may be written later than this, with its neighbours. Locked.
 *   OFFLINE    the log stopped
 *   NO_SPACE   storage is full, nothing was appended, try later
 *   BUSY       too many bytes wait in memory, try later
 *   TOO_LARGE  too many producers have open transactions
 *   NOMEM */
BASE_MUST_USE enum base_err logstore_log_append(struct logstore_log *log,
                                                const struct base_chunk *bytes,
                                                const struct logstore_batch *batch,
                                                struct base_executor *executor,
                                                struct logstore_appended *out);

/* Writes what append let wait to be written together, as it does until the end of the turn or,
 * where the log is durable, of the sync in flight. Locked. */
void logstore_log_write(struct logstore_log *log, struct base_executor *executor);

/* Starts making everything written durable, if it is not. Locked. */
void logstore_log_flush(struct logstore_log *log, struct base_executor *executor);

/* One read of whole batches; embedded in what waits for it. */
enum { LOGSTORE_READ_CHUNKS_MAX = 64 };

struct logstore_read {
    /* in */
    int64_t offset;       /* the first batch returned contains it (or is the next one) */
    int64_t limit_offset; /* no batch that starts at or behind it; <= written */
    size_t bytes_max;     /* stop before exceeding it ... */
    bool first_whole;     /* ... but return the first batch even if it alone is larger */
    bool in_memory;       /* chunks must be memory: the caller looks inside */
    struct base_executor *executor;
    struct base_task task; /* posted to executor if the call returned PENDING */

    /* out */
    enum base_err err; /* OUT_OF_RANGE offset < start or > written; CORRUPT; IO; NOMEM. A log
                        * that is offline can still be read */
    struct base_chunk chunks[LOGSTORE_READ_CHUNKS_MAX]; /* owned by the caller, release each */
    uint32_t chunks_count;
    size_t length;       /* bytes in all chunks */
    int64_t next_offset; /* behind the last batch returned; offset when nothing was */
};

/* Starts a read. DONE: the out fields are valid. PENDING: they are in task.run. NOT
 * locked: takes the lock itself for a moment. offset == written gives no chunk and OK. */
enum logstore_io_state logstore_log_read(struct logstore_log *log, struct logstore_read *read);

/* Releases all chunks and makes the read ready for another. */
void logstore_read_release(struct logstore_read *read);

/* The waiting form, for replay at start-up. Worker only, not locked; read->task and
 * executor are not used. */
enum base_err logstore_log_read_wait(struct logstore_log *log, struct logstore_read *read);

/* Search by time (ListOffsets, reset, exact retention): first record in offset order
 * whose timestamp is >= timestamp, below limit_offset. Looks inside batches. */
struct logstore_lookup {
    /* in */
    int64_t timestamp_ms; /* LOGSTORE_LOOKUP_MAX = the record with the largest timestamp */
    int64_t limit_offset;
    struct base_executor *executor;
    struct base_task task; /* posted to executor when done, always */

    /* out: -1 and -1 when there is none */
    enum base_err err;
    int64_t offset;
    int64_t found_timestamp_ms;

    /* the log's own, while pending */
    struct logstore_log *log;
    struct base_task work;
};

enum { LOGSTORE_LOOKUP_MAX = -3 };

/* Always answers by posting. Not locked. */
void logstore_log_lookup(struct logstore_log *log, struct logstore_lookup *lookup);

/* The waiting form, for start-up. Worker only, not locked; lookup->task and executor are not
 * used. */
enum base_err logstore_log_lookup_wait(struct logstore_log *log, struct logstore_lookup *lookup);

/* KIP-320: the largest epoch <= epoch that has batches, and the offset where the next
 * one starts (end offset for the latest). False and -1, -1 when epoch is unknown (lower
 * than all: epoch itself and the first start; see spec). Locked. */
bool logstore_log_epoch_end(const struct logstore_log *log, int32_t epoch, int32_t *found_epoch,
                            int64_t *end_offset);

/* Epoch of the batch at offset, for ListOffsets; the current one at the end. Locked. */
int32_t logstore_log_epoch_at(const struct logstore_log *log, int64_t offset);

/* Moves the log start up (DeleteRecords, snapshots). The new start is readable at once
 * and durable when task is posted to executor (NULL: nothing is posted; trim itself may
 * be NULL, too, else it lives until then, or with a NULL executor until close). Lower or
 * equal to the start: nothing to do but answer. Above written: asserts. Locked. */
struct logstore_trim {
    struct base_executor *executor;
    struct base_task task;
    enum base_err err;     /* the start moved, but may be back after a crash */
    struct base_list link; /* the log's own */
};

void logstore_log_trim(struct logstore_log *log, int64_t offset, struct logstore_trim *trim);

/* Takes effect with the next append, roll or check. Locked. */
void logstore_log_set_config(struct logstore_log *log, const struct logstore_log_config *config);

/* Looks for what retention wants gone, now: what the store does periodically. Locked. */
void logstore_log_check_retention(struct logstore_log *log);

#endif
