/* Topic configuration: Kafka's keys, their defaults and ranges, from one table. */
#ifndef CATALOG_TOPIC_CONFIG_H
#define CATALOG_TOPIC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

/* Row: enum name, Kafka key, type, default, least, most.
 * INT64 and BOOL values live in `values` as numbers; CHOICE values as the index of
 * one of the words in the last column. What is in this table is honoured; keys that
 * Kafka has and we do not are refused with a clear error. */
#define CATALOG_TOPIC_CONFIG_LIST(X)                                                              \
    X(CLEANUP_POLICY, "cleanup.policy", CHOICE, 0, 0, 0, "delete")                                \
    X(COMPRESSION_TYPE, "compression.type", CHOICE, 0, 0, 0, "producer")                          \
    X(FLUSH_MS, "flush.ms", INT64, INT64_MAX, 0, INT64_MAX, NULL)                                 \
    X(INDEX_INTERVAL_BYTES, "index.interval.bytes", INT64, 4096, 512, 1 << 20, NULL)              \
    X(MAX_MESSAGE_BYTES, "max.message.bytes", INT64, 1048588, 0, 64 << 20, NULL)                  \
    X(TIMESTAMP_TYPE, "message.timestamp.type", CHOICE, 0, 0, 1, "CreateTime,LogAppendTime")      \
    X(TIMESTAMP_BEFORE_MAX_MS, "message.timestamp.before.max.ms", INT64, INT64_MAX, 0, INT64_MAX, \
      NULL)                                                                                       \
    X(TIMESTAMP_AFTER_MAX_MS, "message.timestamp.after.max.ms", INT64, 3600000, 0, INT64_MAX,     \
      NULL)                                                                                       \
    X(MIN_INSYNC_REPLICAS, "min.insync.replicas", INT64, 1, 1, 1, NULL)                           \
    X(RETENTION_BYTES, "retention.bytes", INT64, -1, -1, INT64_MAX, NULL)                         \
    X(RETENTION_MS, "retention.ms", INT64, 604800000, -1, INT64_MAX, NULL)                        \
    X(SEGMENT_BYTES, "segment.bytes", INT64, 64 << 20, 16 << 10, 1 << 30, NULL)                   \
    X(SEGMENT_MS, "segment.ms", INT64, 604800000, 1, INT64_MAX, NULL)                             \
    X(UNCLEAN_LEADER_ELECTION, "unclean.leader.election.enable", BOOL, 0, 0, 0, NULL)             \
    X(QUEUE_MODE, "dms.queue.mode", CHOICE, 0, 0, 1, "KAFKA_HA,KAFKA_HT")

#define CATALOG_TOPIC_CONFIG_ENUM(name, key, type, value, least, most, words) CATALOG_CONFIG_##name,
enum catalog_topic_config_key {
    CATALOG_TOPIC_CONFIG_LIST(CATALOG_TOPIC_CONFIG_ENUM) CATALOG_CONFIG_COUNT
};
#undef CATALOG_TOPIC_CONFIG_ENUM

enum catalog_config_type { CATALOG_CONFIG_INT64, CATALOG_CONFIG_BOOL, CATALOG_CONFIG_CHOICE };

struct catalog_config_row {
    const char *key;
    enum catalog_config_type type;
    int64_t default_value; /* Kafka's, or ours where Kafka has none */
    int64_t least;
    int64_t most;
    const char *words; /* of a CHOICE, comma between them */
};

/* Effective values plus which of them the topic itself sets. */
struct catalog_topic_config {
    int64_t values[CATALOG_CONFIG_COUNT];
    bool is_set[CATALOG_CONFIG_COUNT];
};

const struct catalog_config_row *catalog_config_row(enum catalog_topic_config_key key);

/* Row of a key; false when we do not have it. */
bool catalog_config_find(struct base_slice key, enum catalog_topic_config_key *out);

/* Kafka's defaults, nothing set. */
void catalog_config_default(struct catalog_topic_config *config);

/* Parses and range-checks value; INVALID otherwise (config unchanged). */
BASE_MUST_USE enum base_err catalog_config_set(struct catalog_topic_config *config,
                                               enum catalog_topic_config_key key,
                                               struct base_slice value);

/* Back to what the broker's defaults say. */
void catalog_config_unset(struct catalog_topic_config *config, enum catalog_topic_config_key key,
                          const struct catalog_topic_config *defaults);

enum { CATALOG_CONFIG_TEXT_SIZE = 32 };

/* The value as Kafka prints it. */
void catalog_config_format(const struct catalog_topic_config *config,
                           enum catalog_topic_config_key key, char text[CATALOG_CONFIG_TEXT_SIZE]);

#endif
