/* The table of groups, and the partitions of __consumer_offsets they are spread over. */
#ifndef GROUP_COORDINATOR_PRIV_H
#define GROUP_COORDINATOR_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/alarm.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/mutex.h"
#include "core/group/coordinator.h"
#include "core/group/journal.h"

/* One partition of __consumer_offsets and the groups whose records it holds. */
struct group_shard {
    struct group_coordinator *coordinator; /* borrowed */
    struct group_journal *journal;         /* owned unless from the options; NULL: offline */
    struct base_list groups;               /* the coordinator's lock guards it */
    uint32_t groups_count;                 /* the same */
    atomic_int_fast64_t records;           /* in the log since the last snapshot */
    atomic_int_fast64_t records_live;      /* that a snapshot would have */
    atomic_bool snapshot_running;
    uint32_t snapshots_count; /* whoever sets snapshot_running owns it */
};

struct group_coordinator {
    struct group_coordinator_options options;
    struct base_mutex mutex;    /* guards the table and the shards' lists; never held together
                                 * with a group's lock */
    struct base_map *groups;    /* owned; struct group by id, one reference each */
    uint32_t homes_given;       /* guarded; for the rotation */
    struct group_shard *shards; /* owned array; set before ready */
    uint32_t shards_count;
    atomic_bool ready;
    atomic_bool closing;
    /* Groups not freed, work under way, and one for the coordinator until it is closed. */
    atomic_uint busy_count;
    struct base_alarm sweep; /* offset expiry; its home is executors[0] */
    struct base_task sweep_end;
    struct base_task sweep_closed;
    struct base_executor *closed_executor; /* borrowed; set by close */
    struct base_task *closed_task;         /* borrowed; set by close */
    struct base_task end;                  /* the last thing that runs */
};

/* Keep the coordinator alive for some work. */
void group__coordinator_busy(struct group_coordinator *coordinator);
void group__coordinator_idle(struct group_coordinator *coordinator);

/* A group, held and locked and not dead, with `turn` set. NULL: *verdict says why. Ends with
 * group__exit(). */
struct group *group__enter(struct group_coordinator *coordinator, struct base_slice group_id,
                           bool create, struct base_executor *turn, enum group_verdict *verdict);
void group__exit(struct group **group);

/* Takes a dead group out of the table. Not locked. */
void group__coordinator_forget(struct group_coordinator *coordinator, struct group *group);

/* The group of that id with one more reference; made if `create` and need be. */
struct group *group__coordinator_take(struct group_coordinator *coordinator, struct base_slice id,
                                      bool create, enum group_verdict *verdict);

/* Ends all groups (of shard, unless NULL) without a word to the log; what members have parked
 * is answered with CLOSING. */
void group__coordinator_shut(struct group_coordinator *coordinator, struct group_shard *shard);

/* Home of a shard's or the coordinator's own work. */
struct base_executor *group__executor(const struct group_coordinator *coordinator, uint32_t index);

/* Kafka's partition for a group: a public contract, tools compute it. */
uint32_t group__shard_index(struct base_slice group_id, uint32_t shards_count);

/* walk.c: visits many groups, a few per turn of an executor. */
struct group_walk;
typedef void group_walk_visit(struct group_walk *walk, struct group *group); /* not locked */

struct group_walk {
    struct group_coordinator *coordinator; /* borrowed */
    struct base_executor *executor;        /* borrowed; everything runs there */
    struct base_task task;
    struct group **groups; /* owned; held */
    uint32_t groups_count;
    uint32_t next;
    group_walk_visit *visit;
    void (*ended)(struct group_walk *walk); /* frees what the walk is embedded in */
};

enum { GROUP_WALK_STEP = 64 }; /* groups per turn */

/* Takes note of all groups (of shard, unless NULL). NOMEM: nothing to end. */
BASE_MUST_USE enum base_err group__walk_init(struct group_walk *walk,
                                             struct group_coordinator *coordinator,
                                             struct group_shard *shard,
                                             struct base_executor *executor);
/* Visits the next few; false when none was left. */
bool group__walk_step(struct group_walk *walk);
/* Steps until the end, then calls ended. */
void group__walk_run(struct group_walk *walk);
void group__walk_fini(struct group_walk *walk);

/* snapshot.c: starts one when the shard's log has become much longer than its content. */
void group__snapshot_maybe(struct group_shard *shard);

/* expire.c */
void group__sweep_start(struct group_coordinator *coordinator);
void group__topic_deleted(void *context, const struct catalog_topic *topic);

#endif
