/* All partitions this broker owns, and the life of topics: created, grown, configured,
 * deleted. A topic made here exists in the catalog, and its partitions are open, when
 * the caller is told. One that has no room on the disk is offline until there is some.
 *
 * Threads: a monitor; every function from any thread unless it says otherwise. */
#ifndef PARTITION_TABLE_H
#define PARTITION_TABLE_H

#include "core/catalog/catalog.h"
#include "core/partition/partition.h"

struct partition_table;

struct partition_table_options {
    struct catalog *catalog;      /* borrowed */
    struct logstore_store *store; /* borrowed */
    int32_t leader_epoch;
    int64_t flush_interval_ms; /* HT partitions; log.flush.interval.ms */
    uint64_t flush_bytes;      /* HT partitions; log.flush.bytes */
};

BASE_MUST_USE enum base_err partition_table_create(const struct partition_table_options *options,
                                                   struct partition_table **out);

/* Opens the partitions of all topics of the catalog on the worker and posts `opened` to
 * executor when every one is online or offline. Logs left over from deleted topics are
 * removed. NOMEM: opened does not come. */
BASE_MUST_USE enum base_err partition_table_open_all(struct partition_table *table,
                                                     struct base_executor *executor,
                                                     struct base_task *opened);

/* Closes all partitions with a checkpoint, frees the table, posts `closed`. No handles
 * may be held. */
void partition_table_close(struct partition_table *table, struct base_executor *executor,
                           struct base_task *closed);

/* A held partition, NULL when there is none. */
struct partition *partition_table_get(struct partition_table *table, struct base_uuid topic_id,
                                      int32_t index);

/* Number of partitions that are offline. */
int64_t partition_table_offline_count(struct partition_table *table);

/* One topic operation, embedded in what waits for it. task runs on executor when it is
 * over. verdict, err and topic as in catalog_change. */
struct partition_topic_op {
    struct base_executor *executor;
    struct base_task task;
    enum catalog_verdict verdict;
    enum base_err err;
    struct catalog_topic *topic; /* owned by the waiter; release it */

    /* the table's own */
    struct partition_table *table;
    struct catalog_change change;
    struct base_task work;
    uint32_t groups_count;                /* made */
    char group_id[CATALOG_GROUP_ID_SIZE]; /* deleted */
};

/* draft is moved; see catalog_create_topic. Deleting a queue takes the dead letters of its
 * groups along. */
void partition_create_topic(struct partition_table *table, struct catalog_topic *draft,
                            struct partition_topic_op *op);
void partition_delete_topic(struct partition_table *table, struct base_uuid id,
                            struct partition_topic_op *op);
void partition_grow_topic(struct partition_table *table, struct base_uuid id,
                          int32_t partitions_count, struct partition_topic_op *op);
void partition_configure_topic(struct partition_table *table, struct base_uuid id,
                               const struct catalog_topic_config *config,
                               struct partition_topic_op *op);

/* Groups of a queue, with the partitions of their dead letters; see catalog_create_groups and
 * catalog_delete_group. */
void partition_create_groups(struct partition_table *table, struct base_uuid id,
                             const struct base_slice *names, uint32_t names_count,
                             struct partition_topic_op *op);
void partition_delete_group(struct partition_table *table, struct base_uuid id,
                            struct base_slice group_id, struct partition_topic_op *op);

/* For groups and queues that must forget what belonged to a deleted topic: called on
 * no particular thread, without locks, after the topic has left the view. */
typedef void partition_on_deleted(void *context, const struct catalog_topic *topic);
void partition_table_on_deleted(struct partition_table *table, partition_on_deleted *callback,
                                void *context);

#endif
