/* Records of __consumer_offsets, in Kafka's own formats (coordinator message schemas):
 *
 *   key   0, 1  group, topic, partition   value 3  offset, leader epoch, metadata, time
 *                                         value 1  offset, metadata, time, time to expire
 *   key   2     group                     value 3  protocol type, generation, ..., members
 *
 * An offset has the topic's id in a header, so that one committed for a topic that was deleted
 * is not taken for that of another which was given its name.
 * All integers big-endian, strings with a 16-bit and bytes with a 32-bit length, -1 = null. */
#ifndef GROUP_FORMAT_PRIV_H
#define GROUP_FORMAT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/reader.h"
#include "core/base/writer.h"
#include "core/group/group_priv.h"
#include "logstore/records_builder.h"

/* One batch under construction; on the stack. */
struct group_batch {
    struct base_writer writer;
    struct base_writer key;
    struct base_writer value;
    struct logstore_records_builder builder;
    int64_t now_ms;
    uint32_t records_count;
};

void group__batch_init(struct group_batch *batch, int64_t now_ms);
void group__batch_fini(struct group_batch *batch);

/* NULL offset: the deletion. Failures stick until the batch is finished. */
void group__batch_add_offset(struct group_batch *batch, struct base_slice group_id,
                             const struct group_offset_entry *entry,
                             const struct group_offset *offset);
/* Null value: the deletion. */
void group__batch_add_group(struct group_batch *batch, struct base_slice group_id,
                            struct base_slice value);
/* Time for another batch, where the records need not come at once. Until then there is room
 * for one more offset, and the group's record. */
bool group__batch_is_full(const struct group_batch *batch);
/* NOMEM, TOO_LARGE. The chunk is the caller's. */
BASE_MUST_USE enum base_err group__batch_finish(struct group_batch *batch,
                                                struct base_chunk *chunk);

/* The value of a group record. next: with the assignments being stored. */
void group__encode_group(struct base_writer *writer, const struct group *group, bool next);

struct group_key {
    bool is_offset; /* otherwise a group record */
    struct base_slice group_id;
    struct base_slice topic; /* of an offset */
    int32_t partition;
};

/* UNSUPPORTED for a key of a version that we do not know: to be skipped. */
BASE_MUST_USE enum base_err group__decode_key(struct base_slice bytes, struct group_key *out);

/* Fills in offset, leader_epoch, metadata, topic_id and expire_ms of item. */
struct logstore_record;
BASE_MUST_USE enum base_err group__decode_offset(const struct logstore_record *record,
                                                 struct group_commit_item *item,
                                                 int64_t *commit_ms);

struct group_value {
    struct base_slice protocol_type;
    int32_t generation;
    struct base_slice protocol;  /* null: none */
    struct base_slice leader_id; /* null: none */
    int64_t state_since_ms;      /* -1 not known */
    uint32_t members_count;
    struct base_reader members; /* for group__decode_member */
};

struct group_value_member {
    struct base_slice member_id;
    struct base_slice instance_id; /* null: none */
    struct base_slice client_id;
    struct base_slice client_host;
    int32_t rebalance_timeout_ms;
    int32_t session_timeout_ms;
    struct base_slice subscription;
    struct base_slice assignment;
};

BASE_MUST_USE enum base_err group__decode_group(struct base_slice bytes, struct group_value *out);
/* To be called members_count times; a failure sticks in reader->failed. */
void group__decode_member(struct base_reader *reader, struct group_value_member *out);

/* Calls visit for each topic of a ConsumerProtocolSubscription. False when the bytes are
 * none, or when visit returned false. */
bool group__subscription_each(struct base_slice bytes, group_topic_visit *visit, void *context);

#endif
