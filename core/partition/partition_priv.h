/* The inside of a partition, for this folder. */
#ifndef PARTITION_PARTITION_PRIV_H
#define PARTITION_PARTITION_PRIV_H

#include "core/base/mutex.h"
#include "core/base/refs.h"
#include "core/catalog/topic.h"
#include "core/partition/partition.h"
#include "core/partition/table.h"

struct partition {
    struct base_refs refs;
    struct base_uuid topic_id;
    int32_t index;
    struct base_mutex lock;
    struct logstore_log *log;  /* owned; NULL while it could not be opened */
    enum base_err open_err;    /* why not */
    int64_t reopen_us;         /* not before, monotonic */
    bool is_reopening;         /* reopen_task is on its way, with a reference */
    bool high_is_durable;      /* HA: the high watermark is the durable end; HT: the written */
    bool closed;               /* the topic was deleted, or the broker stops */
    bool remove_when_released; /* the log goes with the last handle */
    int64_t high_watermark;
    int64_t opened_end;                  /* of the log, when it was opened */
    atomic_uint_fast64_t produced_bytes; /* see struct partition_traffic; not locked */
    atomic_uint_fast64_t produced_requests;
    struct base_list high_waiters;    /* by end offset, ascending */
    struct base_list written_waiters; /* by end offset, ascending */
    struct base_list watches;
    struct partition_table *table; /* borrowed; outlives all partitions */
    struct base_task log_closed;
    struct base_task remove_task;
    struct base_task reopen_task;
};

/* A partition without a log, one reference. NULL when memory is out. */
struct partition *partition__create(struct partition_table *table,
                                    const struct catalog_topic *topic, int32_t index);

/* Opens the log. An error leaves the partition offline; want of room or memory is tried
 * again when somebody asks for the partition. Worker only. */
enum base_err partition__open(struct partition *partition, const struct catalog_topic *topic);

/* Applies a changed topic configuration. */
void partition__configure(struct partition *partition, const struct catalog_topic *topic);

/* Ends every wait with CLOSED and refuses what comes. */
void partition__shut(struct partition *partition, bool remove);

struct logstore_store *partition__table_store(const struct partition_table *table);
const struct partition_table_options *partition__table_options(const struct partition_table *table);

struct catalog *partition__table_catalog(const struct partition_table *table);

/* Opens what partitions the topic has and the table does not; one that was deleted meanwhile
 * has none. Worker only. */
BASE_MUST_USE enum base_err partition__table_open(struct partition_table *table,
                                                  const struct catalog_topic *topic);

/* A topic may be deleted while its partitions are being opened: drops them then. */
void partition__table_forget_deleted(struct partition_table *table, struct base_uuid topic_id);

/* Drops the partitions of a topic that has left the view, and tells those who must know. */
void partition__table_delete(struct partition_table *table, const struct catalog_topic *topic);

/* Topic operations: the catalog's answer comes to the worker, which runs `run`. */
void partition__op_begin(struct partition_table *table, struct partition_topic_op *op,
                         base_task_run *run);

/* The operation whose change just ended, with the topic moved over. */
struct partition_topic_op *partition__op_of(struct base_task *task);

/* Tells the one who waits for it. */
void partition__op_end(struct partition_topic_op *op, enum catalog_verdict verdict,
                       enum base_err err);

/* Tells the table that a partition is gone, with its log closed (and removed). */
void partition__table_forget(struct partition_table *table);

#endif
