/* Committed offsets: values, and the requests that change them. */
#ifndef GROUP_OFFSETS_H
#define GROUP_OFFSETS_H

#include <stdint.h>

#include "core/base/executor.h"
#include "core/base/list.h"
#include "core/base/refs.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"
#include "core/group/group.h"
#include "core/group/verdict.h"
#include "core/partition/partition.h"

enum { GROUP_OFFSET_METADATA_SIZE_MAX = 4096 }; /* offset.metadata.max.bytes */

/* One committed offset. Immutable and counted. */
struct group_offset {
    struct base_refs refs;
    int64_t offset;
    int32_t leader_epoch;      /* -1 none */
    int64_t commit_ms;         /* wall clock */
    int64_t expire_ms;         /* likewise; 0: the broker's retention decides */
    struct base_uuid topic_id; /* that the name stood for; zero: not known */
    size_t metadata_length;
    char metadata[]; /* NUL-terminated behind its length */
};

struct group_offset *group_offset_hold(struct group_offset *offset);

/* Drops one reference, frees with the last, sets *offset to NULL. NULL-safe. */
void group_offset_release(struct group_offset **offset);

struct group_offset_entry;

/* One record of a commit or delete. */
struct group_commit_item {
    /* in */
    struct base_slice topic;
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;       /* -1 none */
    struct base_slice metadata; /* null counts as empty */

    /* out */
    enum group_verdict verdict; /* OK, or why this one was left out */

    /* the group's own */
    struct group_offset_entry *entry;
    struct group_offset *value;
    struct base_uuid topic_id;
    int64_t expire_ms;
};

/* A change on its way to the log; the group's own. */
struct group_op {
    struct partition_waiter waiter; /* its executor is that of the request */
    struct group *group;            /* held */
    struct base_list link;          /* the group's changes in log order; linked until applied */
    /* Locked, in log order, once it is known whether the change is durable. */
    void (*apply)(struct group_op *op, enum base_err err);
    /* Not locked, on the waiter's executor, after apply; the op may be freed. */
    void (*finish)(struct group_op *op);
};

/* Commits offsets for a member, or (generation -1, no member id) for a group without
 * members, which is created when there is none. All items go to the log in one batch. Not
 * to be cancelled: the answer comes as soon as the storage has answered. */
struct group_commit {
    struct base_executor *executor;
    struct base_task task;

    /* in */
    struct base_slice group_id;
    struct base_slice member_id;         /* empty: none */
    struct base_slice group_instance_id; /* null: none */
    int32_t generation;                  /* -1: none */
    struct group_commit_item *items;     /* of topics that exist */
    uint32_t items_count;
    int64_t retention_ms; /* how long the client wants them kept (OffsetCommit v2 to v4); 0 or
                           * less: as long as the broker keeps offsets */

    /* out: when not GROUP_OK it holds for every item. NOT_FOUND: a generation of a group
     * that does not exist (Kafka before OffsetCommit v9: ILLEGAL_GENERATION) */
    enum group_verdict verdict;

    struct group_op op; /* the group's own */
};

/* Deletes committed offsets (OffsetDelete, KIP-496). Items need only topic and partition;
 * one that has no offset is OK, one of a subscribed topic is SUBSCRIBED_TO_TOPIC. Whole:
 * NOT_FOUND, NOT_EMPTY (members of another protocol than "consumer"). */
struct group_delete_offsets {
    struct base_executor *executor;
    struct base_task task;

    /* in */
    struct base_slice group_id;
    struct group_commit_item *items;
    uint32_t items_count;

    /* out: when not GROUP_OK it holds for every item */
    enum group_verdict verdict;
};

/* Deletes a group with all its offsets. NOT_FOUND, NOT_EMPTY. When the log refuses it, some of
 * a large group's offsets may be gone: ask again. */
struct group_delete {
    struct base_executor *executor;
    struct base_task task;
    struct base_slice group_id; /* in */
    enum group_verdict verdict; /* out */

    struct group_op op; /* the group's own */
};

/* One answer of group_offsets_fetch. */
struct group_fetch_item {
    struct base_slice topic;     /* in */
    int32_t partition;           /* in */
    struct group_offset *offset; /* out: owned by the caller, release it; NULL: none */
};

/* Called for each committed offset, those of one topic together, by partition. The group's
 * lock is held: no call into the coordinator. topic lives until visit returns; hold offset to
 * keep it. */
typedef bool group_offsets_visit(void *context, struct base_slice topic, int32_t partition,
                                 struct group_offset *offset);

#endif
