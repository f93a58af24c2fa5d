/* The catalog: everything that exists, event-sourced from one log.
 *
 * A change is validated against the newest state, appended to the catalog's log as a
 * JSON record, and becomes visible in a new view once it is durable; then the one who
 * asked is told. The log is kept short by snapshots. Records: key "topic/<id>", value
 * the whole object or null (deleted); the same for "<type>/<id>" of every other object
 * (core/catalog/object.h); "cluster"; "producer_ids".
 *
 * Threads: a monitor; every function from any thread unless it says otherwise. */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/base/list.h"
#include "core/catalog/view.h"
#include "logstore/store.h"

struct catalog;
struct logstore_log;

struct catalog_options {
    struct logstore_store *store; /* borrowed */
    int32_t queues_per_project_max;
    int32_t groups_per_queue_max;
    int64_t partitions_max; /* of all topics together */
    int32_t leader_epoch;   /* see catalog_next_generation */
    /* What topics that are read back follow where they set nothing; copied. NULL: Kafka's. */
    const struct catalog_topic_config *topic_defaults;
};

/* Counts the starts of this broker: a number that is larger each time, used as leader
 * epoch of everything it owns. Worker only. */
BASE_MUST_USE enum base_err catalog_next_generation(struct logstore_store *store, int32_t *out);

/* Replays the log. Worker only. On an error *out is NULL, or a catalog that is only to be
 * closed. CORRUPT when the log is damaged. */
BASE_MUST_USE enum base_err catalog_open(const struct catalog_options *options,
                                         struct catalog **out);

/* Posts `closed` to executor when the log is closed and the catalog freed. No change may
 * be under way. */
void catalog_close(struct catalog *catalog, struct base_executor *executor,
                   struct base_task *closed);

/* The newest view, with a reference. */
struct catalog_view *catalog_view(struct catalog *catalog);

/* Number of the newest view: a loop that caches a view compares it and takes the lock
 * only when it changed. */
uint64_t catalog_version(struct catalog *catalog);

/* 22 characters; static for the catalog's life. */
const char *catalog_cluster_id(struct catalog *catalog);

/* Why a change was refused. */
enum catalog_verdict {
    CATALOG_DONE,
    CATALOG_EXISTS,              /* a topic, queue, group or object of that name */
    CATALOG_COLLIDES,            /* a topic whose name differs only by '.' and '_' */
    CATALOG_NOT_FOUND,           /* topic, queue, group or object */
    CATALOG_CONFLICT,            /* the object is not what it was thought to be any more */
    CATALOG_QUOTA_EXCEEDED,      /* queues of the project, groups of the queue */
    CATALOG_TOO_MANY_PARTITIONS, /* more than partitions_max */
    CATALOG_STORAGE_FAILED,      /* the log refused it; see err */
    CATALOG_VERDICT_COUNT
};

/* What a start ends with when a topic of the broker's own could not be made, for verdict and err
 * of the change; says why in the log. Not for DONE. */
BASE_MUST_USE enum base_err catalog_internal_refused(const char *name, int32_t partitions_count,
                                                     enum catalog_verdict verdict,
                                                     enum base_err err);

/* One change, embedded in what waits for it. task runs on executor when the change is
 * durable and visible, or refused and what it was refused for is visible. */
struct catalog_change {
    struct base_executor *executor;
    struct base_task task;
    enum catalog_verdict verdict;
    enum base_err err;
    struct catalog_topic
        *topic; /* as it is now, or last was when deleted; owned by the waiter; NULL: refused */

    /* the catalog's own */
    struct base_list link;
    int64_t end_offset;
    struct catalog_view *view;
};

/* Adds the topic (or queue). draft is moved: a topic filled by the caller through
 * catalog_topic_draft(), without an id (one is given) unless it is set. */
void catalog_create_topic(struct catalog *catalog, struct catalog_topic *draft,
                          struct catalog_change *change);

/* An empty topic with one reference; name and queue_name copied, the rest defaults. NULL
 * when memory is out. queue_name NULL = name. */
struct catalog_topic *catalog_topic_draft(struct base_slice name, struct base_slice queue_name,
                                          enum catalog_kind kind);

/* With the dead letters of its groups. */
void catalog_delete_topic(struct catalog *catalog, struct base_uuid id,
                          struct catalog_change *change);

/* Changes a copy of a topic in place, as it is at that moment; any verdict but DONE refuses
 * the change (STORAGE_FAILED: memory is out). Runs under the catalog's lock, before
 * catalog_edit_topic returns. */
typedef enum catalog_verdict catalog_topic_edit(void *context, struct catalog_topic *topic);
void catalog_edit_topic(struct catalog *catalog, struct base_uuid id, catalog_topic_edit *edit,
                        void *context, struct catalog_change *change);

/* Grows only; EXISTS when partitions_count is not larger. */
void catalog_grow_topic(struct catalog *catalog, struct base_uuid id, int32_t partitions_count,
                        struct catalog_change *change);

void catalog_configure_topic(struct catalog *catalog, struct base_uuid id,
                             const struct catalog_topic_config *config,
                             struct catalog_change *change);

/* Adds groups to a queue, all or none; ids are made. change->topic lists them last. In a queue
 * with a redrive policy each comes with a topic for its dead letters (dead_letters.h), whose
 * partitions partition_create_groups opens. */
void catalog_create_groups(struct catalog *catalog, struct base_uuid id,
                           const struct base_slice *names, uint32_t names_count,
                           struct catalog_change *change);

/* With its dead letters. */
void catalog_delete_group(struct catalog *catalog, struct base_uuid id, struct base_slice group_id,
                          struct catalog_change *change);

/* One object made (before NULL), replaced, or deleted (after NULL). Replacing and deleting
 * depend on what was there: when it is not `before` any more, the change is refused with
 * CONFLICT, and who asked looks again. */
struct catalog_object_edit {
    const struct catalog_object *before; /* borrowed, from a view that the caller holds */
    struct catalog_object *after;        /* moved */
};

/* All edits or none, in one record batch; 1 to CATALOG_OBJECT_EDITS_MAX, no object twice. EXISTS
 * also for a name that has to be unique and is taken. The array may go at once. */
void catalog_change_objects(struct catalog *catalog, struct catalog_object_edit *edits,
                            size_t count, struct catalog_change *change);

/* A block of `count` producer ids never given before; *first valid when change ends DONE. */
void catalog_take_producer_ids(struct catalog *catalog, int32_t count, int64_t *first,
                               struct catalog_change *change);

/* True when the log, as it was replayed at open, says that the topic was deleted: what is
 * left of its data may go. That a topic is unknown is no reason to remove anything. */
bool catalog_knows_deleted(struct catalog *catalog, struct base_uuid id);

/* The catalog's own log, for reading it as a topic. Borrowed. */
struct logstore_log *catalog_log(struct catalog *catalog);

#endif
