/* The inside of a log, shared by the log_*.c files.
 *
 *   log.c            state, getters, housekeeping, close
 *   log_append.c     the writer: append, roll to the next segment
 *   log_sync.c       group commit
 *   log_read.c       reads
 *   log_lookup.c     search by time
 *   log_segments.c   opening segments and loading their indexes on demand
 *   log_upkeep.c     one background job per log: footers, head, removal
 *   log_retention.c  what retention wants gone
 *   log_recover.c    open
 *
 * Everything here is called with the log's lock held unless it says otherwise. */
#ifndef LOGSTORE_LOG_PRIV_H
#define LOGSTORE_LOG_PRIV_H

#include "logstore/chain.h"
#include "logstore/epochs.h"
#include "logstore/footer.h"
#include "logstore/log.h"
#include "logstore/segment.h"
#include "logstore/store_priv.h"
#include "logstore/tail.h"

enum {
    LOGSTORE__PENDING_BYTES_MAX = 64 << 20,  /* accepted and not yet written */
    LOGSTORE__APPEND_BYTES_MAX = 1 << 20,    /* in one append of the io */
    LOGSTORE__GATHERED_BYTES_MAX = 16 << 10, /* a larger batch is worth a write of its own */
    LOGSTORE__CHECKPOINT_BYTES = 16 << 20,   /* between checkpoints of the active segment */
    LOGSTORE__CLOSE_BYTES = 64 << 10,        /* so few to scan are not worth one at close */
    LOGSTORE__RETRY_US = 1000000,            /* after NO_SPACE or NOMEM in the background */
    LOGSTORE__TAIL_IDLE_US = 10000000,       /* then a log gives its tail back */
    LOGSTORE__OBJECT_IDLE_US = 60000000,     /* then the active object is closed */
    LOGSTORE__EXACT_LAG_US = 500000,         /* exact retention: least time between looks */
    LOGSTORE__DURABLE_SIZE = 4 + 4 + 8 + 8,  /* magic, CRC, base offset, position */
    LOGSTORE__HEAD_SIZE = 4 + 4 + 4 + 4 + 8, /* magic, CRC, version, reserved, start */
};

/* The writer of a log. */
enum logstore__state {
    LOGSTORE__IDLE,      /* no write under way; batches are gathered, or wait for space */
    LOGSTORE__APPENDING, /* an append of the io is pending */
    LOGSTORE__OPENING,   /* the active object, closed while idle, is being opened */
    LOGSTORE__ROLLING,   /* the active segment is being sealed, the next one created */
    LOGSTORE__OFFLINE,   /* stopped for good; reads go on */
    LOGSTORE__CLOSING,   /* nothing is under way any more */
    LOGSTORE__STATE_COUNT,
};

/* A place in the log up to which something holds, with what a checkpoint says of it. */
struct logstore__mark {
    int64_t offset;
    struct logstore_segment *segment; /* borrowed; position lies in it */
    uint64_t position;
    int64_t max_timestamp_ms; /* of the segment's batches in front of position */
    int64_t max_timestamp_offset;
};

/* Work of the background job. */
enum logstore__want {
    LOGSTORE__WANT_RETENTION = 1 << 0, /* look for what has expired */
    LOGSTORE__WANT_SNAPSHOT = 1 << 1,  /* take one, for footers and checkpoint */
    LOGSTORE__WANT_FOOTERS = 1 << 2,   /* write them, the snapshot is durable */
    LOGSTORE__WANT_HEAD = 1 << 3,      /* make the log start durable */
    LOGSTORE__WANT_REMOVAL = 1 << 4,   /* remove segments below it */
};

struct logstore_log {
    struct logstore_store *store; /* borrowed */
    struct logstore_io *io;       /* borrowed */
    struct base_mutex *lock;      /* borrowed */
    char *name;                   /* owned */
    void *owner;                  /* borrowed */
    void (*on_progress)(void *owner);
    struct logstore_log_config config;
    int32_t leader_epoch;
    enum logstore__state state;
    char *offline_reason; /* owned; NULL when memory was out then */
    uint32_t users;       /* operations under way; close waits for them */
    bool offline;         /* also once state is CLOSING */
    bool closing;         /* close was called */
    bool no_space;        /* the last write or roll found no room: one warning per episode; until
                           * something is written nothing is gathered, and no snapshot waited for */
    bool dirty;           /* HT: a flush deadline is set */
    bool roll_wanted;     /* the active segment has expired as a whole */
    bool sync_in_flight;
    bool turn_scheduled;     /* turn_task is on its way */
    bool sync_in_background; /* the sync in flight is one of the few of the store */
    bool upkeep_running;
    bool checkpoint_wanted; /* of the active segment, with the next footers */
    bool head_waits;        /* the start is not durable as an offset yet */
    bool removal_waits;     /* for a snapshot in a younger object */
    bool removal_goes_on;   /* that was tried */
    unsigned wants;         /* enum logstore__want */

    /* Offsets. written is the end of the active segment. */
    int64_t start_offset;
    int64_t start_durable;    /* what head says */
    int64_t removable_offset; /* segments below may be removed: head says so, or finds no room */
    int64_t end_offset;
    int64_t written_offset;
    int64_t flush_offset; /* flush() wants everything below durable */
    struct logstore__mark durable;
    struct logstore__mark syncing; /* becomes durable when the sync in flight ends */
    uint64_t unsynced_bytes;
    uint64_t covered_bytes;    /* of the active segment, by its checkpoint on disk */
    uint64_t checkpoint_bytes; /* of the active segment, when its last checkpoint was asked for */

    /* Segments, oldest first; the last one is active. */
    struct logstore_segment **segments; /* owned array of owned segments */
    uint32_t segments_count;
    uint32_t segments_capacity;
    uint64_t size_bytes; /* of all segments */

    struct logstore_chain chain; /* accepted, not yet written */
    uint32_t appending_count;    /* first ones of chain, in the append in flight */
    struct logstore_tail tail;
    struct logstore_producers producers;
    struct logstore_epochs epochs;

    /* Times: monotonic us unless their name says ms, which is wall clock. */
    int64_t roll_due_us;
    int64_t roll_retry_us; /* no roll before: the last one found no space */
    int64_t append_us;     /* last append, or open */
    int64_t flush_due_us;
    int64_t retention_due_us;
    int64_t oldest_timestamp_ms; /* of the record at the start; -1 unknown or none */

    struct logstore_io_op append_op;
    struct logstore_io_op sync_op;
    struct base_task turn_task;          /* end of a turn with appends */
    struct base_executor *turn_executor; /* of turn_task */
    struct base_task writer_task;        /* OPENING and ROLLING, on the worker */
    struct base_task upkeep_task;
    uint8_t durable_note[LOGSTORE__DURABLE_SIZE]; /* written after the sync in flight */

    /* What is known besides the segments, as of an offset; waits to become durable. */
    struct base_writer snapshot;
    int64_t snapshot_offset; /* -1: there is none */
    int64_t snapshot_base;   /* base offset of the segment with the newest one on disk; -1 */

    struct base_list trims; /* whose new start is not durable yet */
    struct logstore__resident resident;

    bool close_checkpoint;
    struct base_executor *close_executor;
    struct base_task *close_task_of_caller;
    struct base_task close_task;
};

/* log.c */

/* The only writer of log->state. */
void logstore__move(struct logstore_log *log, enum logstore__state next);

/* Stops the log: what, at which position of which segment (may be NULL), why. */
void logstore__offline(struct logstore_log *log, const struct logstore_segment *segment,
                       uint64_t position, const char *what, enum base_err cause);

/* Asserts the order of the offsets and tells the owner. */
void logstore__progress(struct logstore_log *log);

/* Something under way keeps the log alive. The last unuse() of a closing log ends it:
 * touch nothing of it afterwards but its lock. */
void logstore__use(struct logstore_log *log);
void logstore__unuse(struct logstore_log *log);

struct logstore_segment *logstore__active(const struct logstore_log *log);
struct logstore__mark logstore__written_mark(const struct logstore_log *log);

/* Sets the next deadline of housekeeping. */
void logstore__schedule(struct logstore_log *log);

/* When delay_ms have passed; INT64_MAX if that is beyond all time. */
static inline int64_t logstore__after_ms(int64_t now_us, int64_t delay_ms)
{
    return delay_ms > (INT64_MAX - now_us) / 1000 ? INT64_MAX : now_us + delay_ms * 1000;
}

/* Makes room for one more segment. */
enum base_err logstore__segments_reserve(struct logstore_log *log);

/* Frees a log that nobody uses, with its segments. Not locked. */
void logstore__log_free(struct logstore_log *log);

/* log_append.c */

/* Writes what waits, as far as it goes now. */
void logstore__append_next(struct logstore_log *log, struct base_executor *executor);

/* The same where a write may be under way, or nothing waits. */
void logstore__write_gathered(struct logstore_log *log, struct base_executor *executor);

/* Rolls the active segment if it is not empty and the writer is idle. */
void logstore__roll_if_idle(struct logstore_log *log);
void logstore__writer_run(struct base_task *task);
void logstore__append_done(struct base_task *task);
void logstore__set_roll_due(struct logstore_log *log);

/* log_sync.c */

/* True when config or flush() wants written data synced now. */
bool logstore__wants_sync(const struct logstore_log *log);

/* Starts a sync unless one is in flight or there is nothing to do. */
void logstore__sync_start(struct logstore_log *log, struct base_executor *executor);

/* After written has moved: syncs at the end of the turn, or later. */
void logstore__sync_after_write(struct logstore_log *log, struct base_executor *executor);

/* At the end of the executor's turn what was gathered is written, and synced if need be. */
void logstore__turn_schedule(struct logstore_log *log, struct base_executor *executor);
void logstore__turn_ended(struct base_task *task);

/* Everything below mark is durable. Does not tell the owner. */
void logstore__durable_reached(struct logstore_log *log, const struct logstore__mark *mark);
void logstore__sync_done(struct base_task *task);
void logstore__on_synced(struct logstore_io_op *op);

/* log_segments.c */

/* A range of a segment's batches whose headers are to be walked. */
struct logstore__range {
    struct logstore_object *object; /* borrowed; of a pinned segment */
    uint64_t position;              /* of the batch at offset_min or behind it */
    uint64_t end;
    int64_t offset_min;
    int64_t offset_max;
};

/* From an index entry to the end of what is written, or durable. */
struct logstore__range logstore__range_from(const struct logstore_log *log,
                                            const struct logstore_segment *segment,
                                            struct logstore_index_entry entry, bool durable_only);

struct logstore_scan;
void logstore__range_scan(const struct logstore__range *range, struct logstore_scan *scan);

/* Index of the segment that holds offset, which is at least that of the first one. */
uint32_t logstore__find_segment(const struct logstore_log *log, int64_t offset);

/* First offset behind the segment at index. */
int64_t logstore__segment_next_offset(const struct logstore_log *log, uint32_t index);

void logstore__pin(struct logstore_segment *segment);
void logstore__unpin(struct logstore_segment *segment);

static inline bool logstore__is_loaded(const struct logstore_segment *segment)
{
    return segment->object != NULL && segment->index_loaded;
}

/* Opens the object and loads the index of a pinned segment. Worker; called and left
 * locked, unlocks in between. CORRUPT has taken the log offline. */
enum base_err logstore__segment_load(struct logstore_log *log, struct logstore_segment *segment);

/* Closes object and index of a segment that nobody uses. */
void logstore__segment_release(struct logstore_log *log, struct logstore_segment *segment);

/* Reads batches of an object one after the other, with their CRC. */
struct logstore__scan {
    struct logstore_object *object; /* borrowed */
    uint64_t position;              /* in: first batch; out: behind the last good one */
    uint64_t end;                   /* bytes of the object */
    int64_t next_offset;            /* in: of the first batch; out: behind the last good one */
    bool gaps_allowed;              /* compaction may have removed batches */
    int32_t epoch_max;              /* of the log: a larger one is damage */
    uint32_t index_interval_bytes;
    struct logstore_segment *segment; /* takes note of batches at or behind its size; may be NULL */
    enum base_err (*visit)(void *context, const struct logstore_batch *batch); /* may be NULL */
    void *context;
};

/* CORRUPT: the batch at position is damaged or ends early. Other errors: IO, NOMEM, or
 * what visit returned. Worker, not locked. */
enum base_err logstore__scan_run(struct logstore__scan *scan);

/* Reads the index object of a segment. NOT_FOUND: there is none that can be believed; NOMEM.
 * index and *content are empty then. content: owned by the caller, snapshot points into it.
 * Worker, not locked. */
enum base_err logstore__footer_load(struct logstore_log *log, int64_t base_offset,
                                    struct logstore_footer *footer, struct logstore_index *index,
                                    struct base_buffer **content, struct base_slice *snapshot);

/* log_upkeep.c */

void logstore__want(struct logstore_log *log, unsigned wants);
void logstore__upkeep_run(struct base_task *task);

/* Asks for footers and checkpoint. */
void logstore__want_checkpoint(struct logstore_log *log, bool active);

/* The last part of close: footers and checkpoint of a log that is wholly durable. Not
 * locked, worker. */
void logstore__checkpoint_wait(struct logstore_log *log);

/* Makes the start durable and answers trims, for close. Not locked, worker. */
void logstore__head_wait(struct logstore_log *log);

/* Writes "durable", lazily: all that is written is on disk. Worker; nobody appends. */
void logstore__durable_note(struct logstore_log *log);

/* Encodes and decodes the objects "head" and "durable". */
void logstore__head_encode(uint8_t head[LOGSTORE__HEAD_SIZE], int64_t start_offset);
enum base_err logstore__head_decode(struct base_slice content, int64_t *start_offset);
void logstore__durable_encode(uint8_t note[LOGSTORE__DURABLE_SIZE],
                              const struct logstore__mark *mark);
bool logstore__durable_decode(struct base_slice content, int64_t *base_offset, uint64_t *position);
void logstore__object_name(char name[LOGSTORE_NAME_SIZE], const struct logstore_log *log,
                           const char *object);

/* log_lookup.c: the search itself. On the worker; locked, unlocks in between. lookup's offset is -1
 * before, and afterwards if there is no such record. */
BASE_MUST_USE enum base_err logstore__lookup_run(struct logstore_log *log,
                                                 struct logstore_lookup *lookup);

/* log_retention.c */

/* The background job's part: may unlock in between. Worker. */
void logstore__retention_run(struct logstore_log *log);

/* When housekeeping has to look next; INT64_MAX never. */
int64_t logstore__retention_due_us(const struct logstore_log *log);

/* Time of a batch's first record; -1 without. */
static inline int64_t logstore__first_ms(const struct logstore_batch *batch)
{
    bool has_own = !logstore_batch_is_append_time(batch) && batch->base_timestamp >= 0;
    return has_own && batch->max_timestamp >= 0 ? batch->base_timestamp : batch->max_timestamp;
}

/* Moves the start; what else depends on it follows. */
void logstore__start_move(struct logstore_log *log, int64_t offset);

#endif
