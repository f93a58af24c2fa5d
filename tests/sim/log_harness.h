/* One log with everything it needs, for tests: a scheduler with a loop, a housekeeper and
 * a pool, a store, and as io either real files or the simulated disk. Trouble that a test
 * did not ask for aborts. */
#ifndef SIM_LOG_HARNESS_H
#define SIM_LOG_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/mutex.h"
#include "logstore/log.h"
#include "logstore/replay.h"
#include "tests/sim/executor_sim.h"
#include "tests/sim/io_sim.h"

#define LOG_HARNESS_NAME "topic-0"

struct log_harness {
    struct sim_scheduler *scheduler;
    struct base_executor *loop;
    struct base_executor *housekeeper;
    struct base_executor *pool;
    struct base_clock *clock;
    struct io_sim *sim; /* NULL with files */
    struct logstore_io *io;
    struct logstore_store *store;
    struct base_mutex lock;
    struct logstore_log *log; /* NULL while closed */
    struct logstore_log_config config;
    int32_t leader_epoch;
    size_t tail_bytes_max; /* of the store; set before start */
    uint32_t open_segments_max;
    char root[64]; /* with files; "" otherwise */
    uint64_t progress_count;
};

/* Zeroes the harness and sets defaults: small segments, HA, no retention, no tail. */
void log_harness_init(struct log_harness *harness, uint64_t seed);

/* Either of the two, then store and log come from the functions below. */
void log_harness_use_sim(struct log_harness *harness, const struct io_sim_options *options);
void log_harness_use_files(struct log_harness *harness); /* in a fresh temporary directory */

/* Everything that is still open is closed; files are removed. */
void log_harness_fini(struct log_harness *harness);

/* Opens and closes the log (and its store with it). close(false) is what is left of a
 * process that died, once what was under way has ended. */
enum base_err log_harness_open(struct log_harness *harness);
void log_harness_close(struct log_harness *harness, bool checkpoint);

/* What a batch is made of. Each record's value is `value_bytes` bytes that follow from
 * its timestamp and place. */
struct log_harness_batch {
    int32_t records_count;
    size_t value_bytes;
    int64_t timestamp_ms; /* of the first record; 0: now. One more for each further one */
    int64_t producer_id;  /* -1 none */
    int16_t producer_epoch;
    int32_t base_sequence;
};

/* One chunk of memory with the batch in it, as it comes from a client. */
struct base_chunk log_harness_make(struct log_harness *harness,
                                   const struct log_harness_batch *spec);

/* Appends bytes that hold one whole batch; nothing runs meanwhile. */
enum base_err log_harness_append_chunk(struct log_harness *harness, const struct base_chunk *chunk,
                                       struct logstore_appended *out);

/* Makes and appends. */
enum base_err log_harness_append(struct log_harness *harness, const struct log_harness_batch *spec,
                                 struct logstore_appended *out);

/* The same with plain values, and asserts that it went well. Returns the base offset. */
int64_t log_harness_put(struct log_harness *harness, int32_t records_count, size_t value_bytes);

/* Runs until the offset is durable, or written. False if the log stops. */
bool log_harness_wait_durable(struct log_harness *harness, int64_t offset);
bool log_harness_wait_written(struct log_harness *harness, int64_t offset);

/* A read that is waited for. The caller sets the in fields, and releases the chunks. */
void log_harness_read(struct log_harness *harness, struct logstore_read *read);

/* Reads [from, to) in pieces and checks that batches follow each other and have a good
 * CRC. Returns the offset behind the last one; *batches_count counts them (may be NULL). */
int64_t log_harness_verify(struct log_harness *harness, int64_t from, int64_t to,
                           uint32_t *batches_count);

/* logstore_replay of [from, to) on the pool. */
enum base_err log_harness_replay(struct log_harness *harness, int64_t from, int64_t to,
                                 logstore_replay_visit *visit, void *context);

void log_harness_lookup(struct log_harness *harness, struct logstore_lookup *lookup);
enum base_err log_harness_trim(struct log_harness *harness, int64_t offset);

/* Locked getters. */
int64_t log_harness_start(struct log_harness *harness);
int64_t log_harness_durable(struct log_harness *harness);
int64_t log_harness_written(struct log_harness *harness);
int64_t log_harness_end(struct log_harness *harness);
uint32_t log_harness_segments(struct log_harness *harness);
const char *log_harness_reason(struct log_harness *harness);

/* "<log>/<object>", and with files the path. */
void log_harness_path(const struct log_harness *harness, const char *object, char *path,
                      size_t size);

#endif
