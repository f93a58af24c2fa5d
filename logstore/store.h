/* What all logs of a broker share: the io below them, the executor for work that
 * may wait, and the budgets for what they keep in memory. */
#ifndef LOGSTORE_STORE_H
#define LOGSTORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/executor.h"
#include "logstore/io.h"

struct logstore_store;

struct logstore_store_options {
    struct logstore_io *io;            /* borrowed */
    struct base_executor *worker;      /* borrowed; runs cold calls; a pool, or a simulator */
    struct base_executor *housekeeper; /* borrowed; a loop: owns the periodic timers */
    struct base_clock *clock;          /* borrowed */
    size_t tail_bytes_max;             /* received bytes kept for caught-up readers, all logs */
    uint32_t open_segments_max;        /* sealed segments with an open object or loaded index */
    int64_t retention_check_ms;        /* how often each log looks for expired segments */
};

BASE_MUST_USE enum base_err logstore_store_create(const struct logstore_store_options *options,
                                                  struct logstore_store **out);

/* All logs must be closed (their `closed` tasks have run). From any thread. NULL-safe. */
void logstore_store_close(struct logstore_store **store);

/* For a broker that stops: batches that wait since an append found no space, or no memory, wait no
 * longer. Their log goes offline when it tries again, in about a second, and tells its owner. Not
 * those that wait until there is a descriptor, or memory, to open their segment again with. From
 * any thread. */
void logstore_store_stop_waiting(struct logstore_store *store);

struct logstore_io *logstore_store_io(struct logstore_store *store);
struct base_executor *logstore_store_worker(struct logstore_store *store);
struct base_executor *logstore_store_housekeeper(struct logstore_store *store);
struct base_clock *logstore_store_clock(struct logstore_store *store);

/* Removes a log that is not open, with everything in it. Worker only. */
BASE_MUST_USE enum base_err logstore_store_remove_log(struct logstore_store *store,
                                                      const char *log_name);

#endif
