/* The inside of the manager, for this folder. */
#ifndef QUEUE_MANAGER_PRIV_H
#define QUEUE_MANAGER_PRIV_H

#include <stdatomic.h>

#include "core/base/map.h"
#include "core/base/mutex.h"
#include "core/partition/partition.h"
#include "core/queue/handler_priv.h"
#include "core/queue/journal_priv.h"
#include "core/queue/queue.h"
#include "logstore/records.h"

struct queue_delay_log;
struct queue_group;

struct queue_manager {
    struct queue_manager_options options;
    struct queue_handler_key key;
    struct queue_journal *journals; /* owned array; NULL until open */
    int32_t journals_count;
    atomic_uint rotation;     /* of produce over partitions */
    atomic_int_fast64_t turn; /* when it last went on */

    struct queue_delay_log *delays; /* owned array; NULL until open */
    int32_t delays_count;
    atomic_int_fast64_t delayed_count; /* messages that wait, of all logs */

    struct base_mutex lock;  /* guards what follows */
    struct base_map *groups; /* by group id; one reference each */
    uint32_t next_home;
    bool is_closing;

    /* Groups not freed, snapshots under way, and one until close. */
    atomic_long alive_count;
    struct base_executor *closed_executor; /* borrowed */
    struct base_task *closed_task;         /* borrowed */
};

/* One of what alive_count counts begins, ends. The last end frees the manager. */
void queue__manager_hold(struct queue_manager *manager);
void queue__manager_release(struct queue_manager *manager);

/* Messages of the queue with an older time have expired; -1: none has. */
int64_t queue__oldest_ms(const struct queue_manager *manager, const struct catalog_topic *topic);

/* A record without a time (Kafka's -1) never does. */
static inline bool queue__has_expired(const struct logstore_record *record, int64_t oldest_ms)
{
    return record->timestamp_ms >= 0 && record->timestamp_ms < oldest_ms;
}

uint64_t queue__manager_snapshot_records(const struct queue_manager *manager);

/* Appends a batch to the partition of the queue whose turn it is, of those online (FIFO: the
 * only one). waiter has executor and task.run; its task comes if out->pending. Then *partition
 * is held until that, by the caller. Errors as of partition_append; OFFLINE: all are. */
BASE_MUST_USE enum base_err
queue__append(struct queue_manager *manager, const struct catalog_topic *topic,
              const struct base_chunk *chunk, const struct logstore_batch *header,
              struct partition_waiter *waiter, struct partition **partition,
              struct partition_appended *out);

/* The group, with a reference; NULL and a verdict when topic has no such group or memory
 * is out (then *err says so). Made on first use. */
struct queue_group *queue__manager_group(struct queue_manager *manager,
                                         const struct catalog_topic *topic,
                                         struct base_slice group_id, enum queue_verdict *verdict,
                                         enum base_err *err);

/* All records of one queue go to one partition of the journal. */
struct queue_journal *queue__manager_journal(struct queue_manager *manager,
                                             struct base_uuid topic_id);

/* For recovery, before any request: the group, borrowed, made if it is not there. NULL when
 * memory is out. */
struct queue_group *queue__manager_recover_group(struct queue_manager *manager,
                                                 const struct catalog_topic *topic,
                                                 struct base_slice group_id,
                                                 struct queue_journal *journal);

/* All groups of a journal partition (NULL: of all), each with a reference, in a new array.
 * CLOSED when the manager is closing. */
BASE_MUST_USE enum base_err queue__manager_groups_of(struct queue_manager *manager,
                                                     const struct queue_journal *journal,
                                                     struct queue_group ***out, size_t *count);

#endif
