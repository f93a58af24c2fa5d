/* What the files of this folder share: the catalog itself and how it writes records. */
#ifndef CATALOG_CATALOG_PRIV_H
#define CATALOG_CATALOG_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/map.h"
#include "core/base/mutex.h"
#include "core/base/uuid.h"
#include "core/catalog/catalog.h"
#include "logstore/log.h"
#include "logstore/records_builder.h"

enum {
    CATALOG__KEY_SIZE = 64,
    CATALOG__CHANGE_BYTES_MAX = 1 << 20, /* records of one change */
};

#define CATALOG__CLUSTER_KEY "cluster"
#define CATALOG__PRODUCER_IDS_KEY "producer_ids"
#define CATALOG__TOPIC_KEY_PREFIX "topic/"

struct catalog {
    struct catalog_options options;
    struct catalog_topic_config topic_defaults;
    struct base_mutex lock;
    struct logstore_log *log;       /* owned */
    struct catalog_view *published; /* owned */
    struct catalog_view *newest;    /* owned; published plus what is pending */
    struct base_list pending;       /* in log order: not durable yet, or refused behind such */
    atomic_uint_fast64_t version;   /* of published */
    int64_t producer_id_next;
    char cluster_id[BASE_UUID_BASE64_SIZE];
    struct base_map *deleted_ids; /* owned; topics whose deletion was replayed */
    uint64_t updates_count;       /* since the last snapshot */
    int64_t snapshot_end; /* the log start moves to snapshot_start once this is durable; or -1 */
    int64_t snapshot_start;
    struct logstore_trim trim;
    bool trimming;

    struct base_executor *closed_executor; /* borrowed */
    struct base_task *closed_task;
    struct base_task log_closed;
};

/* "topic/<id>". */
void catalog__format_topic_key(char key[CATALOG__KEY_SIZE], const struct catalog_topic *topic);

/* Value of the record that says from where producer ids go on; returns text. */
char *catalog__producer_ids_json(int64_t next, char *text, size_t size);

int64_t catalog__now_ms(struct catalog *catalog);

/* value NULL = a tombstone. */
void catalog__add_record(struct logstore_records_builder *builder, int64_t now_ms, const char *key,
                         const char *value);

/* Ends the batch in builder and appends it. Locked. */
BASE_MUST_USE enum base_err catalog__append_batch(struct catalog *catalog,
                                                  struct logstore_records_builder *builder,
                                                  struct base_executor *executor,
                                                  struct logstore_appended *out);

/* What becomes of one topic: before is NULL for a new one, after for one that is deleted. */
struct catalog__edit {
    const struct catalog_topic *before; /* borrowed */
    const struct catalog_topic *after;  /* borrowed */
    struct catalog_topic *ours;         /* owned; what after borrows, or NULL */
};

/* All that belongs to one change. */
struct catalog__edits {
    struct catalog__edit *array; /* owned */
    uint32_t count;
};

/* The change from before to after (either may be NULL), with topics of dead letters for groups
 * that come, and without those of groups that go. NOMEM: fini all the same. Locked. */
BASE_MUST_USE enum base_err catalog__edits_init(struct catalog__edits *edits,
                                                const struct catalog *catalog,
                                                const struct catalog_topic *before,
                                                const struct catalog_topic *after);
void catalog__edits_fini(struct catalog__edits *edits);

/* Writes the whole state at the end of the log; the log start follows once that is durable.
 * A failure is no harm: the log just stays longer, and the next change tries again. Locked. */
void catalog__take_snapshot(struct catalog *catalog, struct base_executor *executor);

/* The same, when enough has changed since the last one. Locked. */
void catalog__snapshot_if_due(struct catalog *catalog, struct base_executor *executor);

/* Moves the log start to a snapshot that has become durable. Locked. */
void catalog__trim_to_snapshot(struct catalog *catalog);

/* Every public change: lock, judge and commit, snapshot if it is time, unlock. executor is the
 * one of change, which may be gone by then. */
void catalog__begin_change(struct catalog *catalog, struct catalog_change *change);
void catalog__end_change(struct catalog *catalog, struct base_executor *executor);

/* Ends a change without effect, behind those that are pending: what it was judged by is then
 * published. Locked. */
void catalog__refuse(struct catalog *catalog, struct catalog_change *change,
                     enum catalog_verdict verdict, enum base_err err);

/* Appends what is in builder and queues the change. view (moved; may be NULL) is what is visible
 * afterwards. Locked. */
void catalog__commit(struct catalog *catalog, struct logstore_records_builder *builder,
                     struct catalog_view *view, struct catalog_change *change);

/* The log's callback: publishes what has become durable. Locked. */
void catalog__on_progress(void *owner);

#endif
