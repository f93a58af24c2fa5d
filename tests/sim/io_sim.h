/* A disk in memory behind logstore_io, with the ways in which disks fail.
 *
 * Hot calls end at once or later, at random. What was written and not synced is tracked:
 * a power cut keeps a random part of it, in sectors of 512 bytes, so that writes tear and
 * reorder; a killed process loses nothing that was written. create, put, remove and
 * truncate are durable when they return, as the contract says; put_lazy is not, and may
 * tear.
 *
 * A crash: either at the n-th call from now (io_sim_crash_at), which then has a part of
 * its effect, or now (io_sim_crash). From then on every call fails with CLOSED, and what
 * was pending ends with CLOSED, so that the code above can be closed and freed like after
 * any other error. When all objects are closed, io_sim_restart() decides what the disk
 * has kept, and the disk works again. */
#ifndef SIM_IO_SIM_H
#define SIM_IO_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "logstore/io.h"
#include "tests/sim/executor_sim.h"

struct io_sim;

struct io_sim_options {
    struct sim_scheduler *scheduler; /* borrowed; time and randomness */
    bool append_is_durable;          /* behaves like RADOS: no sync, appends often pending */
    uint64_t pending_one_in;         /* hot appends and reads end later once in so many; 0 never */
    int64_t latency_us_max;          /* of what ends later, and of syncs; uniform from 0 */
};

struct io_sim *io_sim_create(const struct io_sim_options *options);

/* All objects must be closed. NULL-safe. */
void io_sim_close(struct io_sim **sim);

struct logstore_io *io_sim_io(struct io_sim *sim);

/* Calls of logstore_io so far. */
uint64_t io_sim_calls_count(const struct io_sim *sim);

/* Syncs that were asked for so far. */
uint64_t io_sim_syncs_count(const struct io_sim *sim);

/* The call after the next `calls` ones crashes. */
void io_sim_crash_at(struct io_sim *sim, uint64_t calls);
void io_sim_crash(struct io_sim *sim);
bool io_sim_has_crashed(const struct io_sim *sim);

/* Ends a crash: power_cut, or only the process died. */
void io_sim_restart(struct io_sim *sim, bool power_cut);

/* The sync after the next `syncs` ones fails with IO, and what it was to make durable is
 * lost with the next restart or settle, in part. */
void io_sim_fail_sync_at(struct io_sim *sim, uint64_t syncs);

/* While set, appends, creates and puts fail with NO_SPACE. */
void io_sim_set_full(struct io_sim *sim, bool full);

/* Syncs take this long instead. 0: as before. */
void io_sim_set_sync_us(struct io_sim *sim, int64_t sync_us);

/* Size of an object, as written; -1 when there is none. */
int64_t io_sim_size(const struct io_sim *sim, const char *name);

/* Inverts one bit of an object, durably. position must lie inside. */
void io_sim_flip(struct io_sim *sim, const char *name, uint64_t position, unsigned bit);

/* Cuts or removes an object behind everybody's back, durably. */
void io_sim_cut(struct io_sim *sim, const char *name, uint64_t size_bytes);
void io_sim_drop(struct io_sim *sim, const char *name);

#endif
