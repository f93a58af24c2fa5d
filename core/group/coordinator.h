/* The coordinator of all classic consumer groups of this broker.
 *
 * Groups live in memory; what must survive (assignments, committed offsets) goes to the
 * internal topic __consumer_offsets in Kafka's own record formats and is read back by load.
 *
 * Threads: every function from any thread unless it says otherwise. The executor in a request
 * is that of the calling thread. Each group is a monitor with its own lock. */
#ifndef GROUP_COORDINATOR_H
#define GROUP_COORDINATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/catalog/catalog.h"
#include "core/group/group.h"
#include "core/group/offsets.h"
#include "core/partition/table.h"

struct group_coordinator;
struct group_journal;

#define GROUP_OFFSETS_TOPIC "__consumer_offsets"

enum {
    GROUP_MEMBERS_MAX = 10000,             /* per group, whatever group.max.size says */
    GROUP_MEMBER_SIZE_MAX = 1 << 20,       /* protocols of one member, or its assignment */
    GROUP_ASSIGNMENTS_SIZE_MAX = 64 << 20, /* stored state of one group */
};

/* Times in ms. Kafka's names and defaults are in group_coordinator_options_default(). */
struct group_coordinator_options {
    struct catalog *catalog;                /* borrowed */
    struct partition_table *table;          /* borrowed */
    struct base_executor *worker;           /* borrowed; load runs on it */
    struct base_executor *const *executors; /* borrowed; loops, homes of groups in rotation */
    uint32_t executors_count;
    struct base_clock *clock; /* borrowed */

    int32_t initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms: 3000 */
    int32_t session_timeout_min_ms;     /* group.min.session.timeout.ms: 6000 */
    int32_t session_timeout_max_ms;     /* group.max.session.timeout.ms: 1800000 */
    int32_t max_size;                   /* group.max.size: INT32_MAX */
    uint32_t groups_max;                /* groups on this broker: 100000 */
    int32_t offsets_partitions;         /* offsets.topic.num.partitions: 50, when created */
    int64_t offsets_retention_ms;       /* offsets.retention.minutes: 7 days */
    int64_t offsets_check_ms;           /* offsets.retention.check.interval.ms: 600000 */

    /* NULL, or where all groups keep their records instead of the topic: for tests. */
    struct group_journal *journal;
};

/* Kafka's defaults; pointers stay NULL. */
void group_coordinator_options_default(struct group_coordinator_options *options);

/* Empty and not ready; nothing runs yet. */
BASE_MUST_USE enum base_err
group_coordinator_create(const struct group_coordinator_options *options,
                         struct group_coordinator **out);

/* Creates the topic if it is missing, reads all of it, and starts answering. */
struct group_load {
    struct base_executor *executor; /* of the calling thread */
    struct base_task task;          /* posted when it is over */
    enum base_err err; /* OK although a partition is offline: only its groups are refused then */
};
void group_coordinator_load(struct group_coordinator *coordinator, struct group_load *load);

/* Once true it stays true. Before, every request gets GROUP_NOT_READY. */
bool group_coordinator_is_ready(const struct group_coordinator *coordinator);

/* Answers what is parked with GROUP_CLOSING, waits for storage, frees everything and posts
 * `closed` to executor. No call may be under way or come later; no topic may be deleted any
 * more. */
void group_coordinator_close(struct group_coordinator *coordinator, struct base_executor *executor,
                             struct base_task *closed);

enum group_answer group_join(struct group_coordinator *coordinator, struct group_join *join);

/* Forgets a parked request whose connection is gone. The member stays, until its session
 * times out. True: the task will not come. False: it is on its way. */
bool group_join_cancel(struct group_coordinator *coordinator, struct group_join *join);

enum group_answer group_sync(struct group_coordinator *coordinator, struct group_sync *sync);
bool group_sync_cancel(struct group_coordinator *coordinator, struct group_sync *sync);

enum group_verdict group_heartbeat(struct group_coordinator *coordinator,
                                   const struct group_heartbeat *heartbeat);

/* GROUP_OK: look at each member's verdict. Otherwise it holds for all. */
enum group_verdict group_leave(struct group_coordinator *coordinator, struct group_leave *leave);

enum group_answer group_commit(struct group_coordinator *coordinator, struct group_commit *commit);
enum group_answer group_delete_offsets(struct group_coordinator *coordinator,
                                       struct group_delete_offsets *delete_offsets);
enum group_answer group_delete(struct group_coordinator *coordinator, struct group_delete *delete);

/* Looks up committed offsets. A group that does not exist has none: GROUP_OK.
 * NOT_READY, STORAGE_FAILED, INVALID_GROUP_ID: every offset is NULL. */
enum group_verdict group_offsets_fetch(struct group_coordinator *coordinator,
                                       struct base_slice group_id, struct group_fetch_item *items,
                                       uint32_t items_count);

/* All committed offsets of a group, until visit returns false. */
enum group_verdict group_offsets_each(struct group_coordinator *coordinator,
                                      struct base_slice group_id, group_offsets_visit *visit,
                                      void *context);

/* The offsets committed in the partitions [0, count) of the topic; -1 where there is none (or the
 * coordinator is not ready). */
void group_committed_offsets(struct group_coordinator *coordinator, struct base_slice group_id,
                             struct base_slice topic, int64_t *offsets, int32_t count);

/* True when the group has members, also while it rebalances. */
bool group_coordinator_is_active(struct group_coordinator *coordinator, struct base_slice group_id);

/* NOT_FOUND: out->state is GROUP_DEAD, the rest empty. */
enum group_verdict group_describe(struct group_coordinator *coordinator, struct base_slice group_id,
                                  struct base_arena *arena, struct group_description *out);

/* Groups in one of the states of the set (bits 1 << enum group_state; 0 = all). */
enum group_verdict group_list(struct group_coordinator *coordinator, unsigned states,
                              struct base_arena *arena, struct group_listing **out,
                              uint32_t *count);

#endif
