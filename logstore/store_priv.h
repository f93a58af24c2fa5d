/* The inside of the store, for the logs in it.
 *
 * Lock order: a log's lock, then the store's. Nothing is called with the store's lock
 * held but the executor's post. */
#ifndef LOGSTORE_STORE_PRIV_H
#define LOGSTORE_STORE_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/mutex.h"
#include "core/base/timer_heap.h"
#include "logstore/segment.h"
#include "logstore/store.h"
#include "logstore/tail.h"

enum {
    LOGSTORE__TICK_US = 100000, /* deadlines of housekeeping are rounded up to it */
    LOGSTORE__FLUSHES_MAX = 8,  /* background syncs at a time: others wait behind them */
};

struct logstore_store {
    struct logstore_io *io;
    struct base_executor *worker;
    struct base_executor *housekeeper;
    struct base_clock *clock;
    struct logstore_tail_budget tail_budget;
    uint32_t open_segments_max;
    int64_t retention_check_ms;
    atomic_bool stops_waiting; /* for space */

    struct base_timer timer;   /* the housekeeper's own; earliest deadline of all logs */
    struct base_task arm_task; /* carries a new deadline to the housekeeper */

    struct base_mutex lock;         /* guards all below */
    struct base_timer_heap heap;    /* one timer per log that waits for something */
    struct base_list open_segments; /* sealed ones with object or index; least used first */
    uint32_t open_segments_count;
    struct base_list flush_waiting; /* logs that want a background sync */
    uint32_t flushes_count;         /* under way */
    uint32_t logs_count;
    bool arm_posted;
};

/* What a log has in the store. Embedded in the log; store's lock. */
struct logstore__resident {
    struct base_timer timer;
    struct base_list flush_link;
    bool closed; /* no deadline is taken any more */
};

/* NOMEM: the log is not in. */
enum base_err logstore__store_add(struct logstore_store *store,
                                  struct logstore__resident *resident);

/* After this nothing of the log is called by the housekeeper, once a task posted there
 * afterwards has run. */
void logstore__store_remove(struct logstore_store *store, struct logstore__resident *resident);

/* To be called on the housekeeper, as that task: stops the timer after the last log. */
void logstore__store_removed(struct logstore_store *store);

/* Makes logstore__log_housekeep run at due_us (monotonic) or soon after. An earlier
 * deadline replaces a later one, never the other way round. */
void logstore__store_schedule(struct logstore_store *store, struct logstore__resident *resident,
                              int64_t due_us);

/* Asks for one of the few background syncs. False: the log is called again when there is
 * one to have. */
bool logstore__store_flush_begin(struct logstore_store *store, struct logstore__resident *resident);
void logstore__store_flush_end(struct logstore_store *store);

/* A sealed segment was used: it is, or stays, open. Logs with segments to close are called. */
void logstore__store_segment_used(struct logstore_store *store, struct logstore_segment *segment);

/* A sealed segment is being closed. */
void logstore__store_segment_gone(struct logstore_store *store, struct logstore_segment *segment);

/* True while more sealed segments are open than there should be. */
bool logstore__store_is_crowded(struct logstore_store *store);

/* Called on the housekeeper when a deadline has passed; see log.c. */
void logstore__log_housekeep(struct logstore__resident *resident);

/* The log of a segment, for those who only have the segment. */
struct logstore__resident *logstore__log_resident(struct logstore_log *log);

#endif
