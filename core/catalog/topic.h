/* A topic, which is also a DMS queue: one object, two names.
 *
 * Topics are immutable and counted: a change makes a new one and a new view. */
#ifndef CATALOG_TOPIC_H
#define CATALOG_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/refs.h"
#include "core/base/uuid.h"
#include "core/catalog/policy.h"
#include "core/catalog/tags.h"
#include "core/catalog/topic_config.h"

enum catalog_kind {
    CATALOG_NORMAL,   /* DMS queue, no order between partitions */
    CATALOG_FIFO,     /* DMS queue, one partition */
    CATALOG_KAFKA_HA, /* an answer means: on disk */
    CATALOG_KAFKA_HT, /* an answer means: accepted; flushed in the background */
    CATALOG_INTERNAL, /* the broker's own */
    CATALOG_KIND_COUNT
};

enum {
    CATALOG_GROUP_ID_SIZE = 39, /* "g-", a uuid, the terminator */
    CATALOG_PROJECT_ID_SIZE = 33,
    CATALOG_NAME_LENGTH_MAX = 249, /* Kafka's, and the longest name of anything */
};

/* A DMS consumer group: made over REST, belongs to one queue. */
struct catalog_group {
    char id[CATALOG_GROUP_ID_SIZE];
    char *name; /* owned by the topic */
    int64_t created_ms;
};

/* Fields are public and never change once the topic is in a view. */
struct catalog_topic {
    struct base_refs refs;
    struct base_uuid id; /* topic id = queue id */
    char id_text[BASE_UUID_TEXT_SIZE];
    char *name;       /* owned; Kafka topic name */
    char *queue_name; /* owned; DMS queue name; same as name for a topic made over Kafka */
    char project_id[CATALOG_PROJECT_ID_SIZE];
    enum catalog_kind kind;
    struct base_uuid origin_id; /* of dead letters: the queue they come from; else zero */
    bool made_by_rest;          /* counts against the project's queue quota */
    int32_t partitions_count;
    int64_t created_ms;
    char *description;         /* owned; never NULL */
    bool redrive;              /* dead letters enabled */
    int32_t max_consume_count; /* failures before a message is a dead letter */
    struct catalog_topic_config config;
    struct catalog_group *groups; /* owned array */
    uint32_t groups_count;
    struct catalog_tags tags;
    struct catalog_policies policies;
};

struct catalog_topic *catalog_topic_hold(const struct catalog_topic *topic);

/* Drops one reference, frees with the last, sets *topic to NULL. NULL-safe. */
void catalog_topic_release(struct catalog_topic **topic);

/* A new, changeable copy with one reference; NULL when memory is out. */
struct catalog_topic *catalog_topic_copy(const struct catalog_topic *topic);

/* NULL when the topic has no such group. */
const struct catalog_group *catalog_topic_group(const struct catalog_topic *topic,
                                                struct base_slice group_id);

static inline bool catalog_kind_is_kafka(enum catalog_kind kind)
{
    return kind == CATALOG_KAFKA_HA || kind == CATALOG_KAFKA_HT;
}

/* "NORMAL", "FIFO", "KAFKA_HA", "KAFKA_HT", "INTERNAL". */
const char *catalog_kind_name(enum catalog_kind kind);
bool catalog_kind_parse(struct base_slice name, enum catalog_kind *out);

/* Kafka's rule: 1 to 249 of [A-Za-z0-9._-], not "." or "..". */
bool catalog_topic_name_is_valid(struct base_slice name);

#endif
