/* What handlers have in common about topics: who leads a partition, what may be seen and
 * done, names that come twice in a request, drafts of new topics, errors of changes.
 *
 * Threads: the request's loop. */
#ifndef KHANDLER_TOPIC_H
#define KHANDLER_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/partition/partition.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/request.h"

/* Limit of the arena of an answer whose size follows from the catalog and not from the
 * request, and for which the request's arena is too small. */
enum { KHANDLER_TOPIC_ANSWER_BYTES_MAX = 256 << 20 };

/* Who leads one partition: this node, or nobody while its storage is offline. This node leads
 * from the moment that the topic exists, as with KRaft; until the partition is open, requests
 * for it are answered NOT_LEADER_OR_FOLLOWER, and come again. (A list of all topics shows those
 * that others are making; kafkajs takes LEADER_NOT_AVAILABLE in it for a failure.) */
struct khandler_topic_leader {
    enum kproto_error error; /* NONE or LEADER_NOT_AVAILABLE */
    int32_t node_id;         /* -1 nobody */
    int32_t epoch;           /* -1 not known */
};

void khandler_topic_leader(struct khandler_request *request, const struct catalog_topic *topic,
                           int32_t index, struct khandler_topic_leader *out);

/* For requests that look at one partition of a named topic: may it be described, is it
 * there, online, and of the leader epoch the client knows (-1: any)? NONE: *out is held and
 * *offsets set; otherwise *out is NULL. */
enum kproto_error khandler_topic_partition(struct khandler_request *request, struct base_slice name,
                                           int32_t index, int32_t current_leader_epoch,
                                           struct partition **out,
                                           struct partition_offsets *offsets);

/* Whether the principal may do action to the topic of that name, which need not exist. */
bool khandler_topic_allows(const struct khandler_request *request, enum security_action action,
                           struct base_slice name);

/* All topics of the newest view that the principal may describe, in order of name; NULL when
 * the arena is full. Borrowed from the view. */
const struct catalog_topic **khandler_topic_list(struct khandler_request *request,
                                                 struct base_arena *arena, size_t *count);

/* What the principal may do, as a set of bits 1 << Kafka's AclOperation. */
int32_t khandler_topic_operations(struct khandler_request *request,
                                  const struct catalog_topic *topic);
int32_t khandler_topic_cluster_operations(struct khandler_request *request);

/* "__": the broker's own topics, also those it may have some day. */
bool khandler_topic_is_reserved(struct base_slice name);

/* How often a name comes in a request. */
enum khandler_topic_use {
    KHANDLER_TOPIC_ONCE,
    KHANDLER_TOPIC_FIRST, /* of several */
    KHANDLER_TOPIC_AGAIN, /* was there before */
};

/* One use for each name; NULL when the arena is full. */
enum khandler_topic_use *khandler_topic_uses(struct base_arena *arena,
                                             const struct base_slice *names, uint32_t names_count);

/* A draft in the principal's project, of the kind that config asks for; NULL when memory is
 * out. Moved by partition_create_topic. */
struct catalog_topic *khandler_topic_draft(struct khandler_request *request, struct base_slice name,
                                           int32_t partitions_count,
                                           const struct catalog_topic_config *config);

/* True when a DMS queue of the project that is another topic has this queue name: a topic
 * made over Kafka would be a queue of the same name. */
bool khandler_topic_is_queue_name(struct khandler_request *request, struct base_slice name);

/* True when a manual assignment of one partition names this node, and nothing else. */
bool khandler_topic_is_here(const struct khandler_request *request, const int32_t *broker_ids,
                            uint32_t broker_ids_count);

/* What a client is told about the end of a change. */
enum kproto_error khandler_topic_error(enum catalog_verdict verdict, enum base_err err);

#endif
