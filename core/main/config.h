/* Configuration: one table of keys, Kafka's names where Kafka has one. */
#ifndef MAIN_CONFIG_H
#define MAIN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/err.h"

/* Row: enum name, key, type, default, least, most, help. TEXT and BOOL rows have no range.
 * Numbers are in the unit the key names; sizes in bytes. */
#define MAIN_CONFIG_LIST(X)                                                                        \
    X(NODE_ID, "node.id", INT, "1", 0, INT32_MAX, "number of this broker")                         \
    X(LISTENERS, "listeners", TEXT, "PLAINTEXT://127.0.0.1:9092", 0, 0, "Kafka door: host:port")   \
    X(ADVERTISED_LISTENERS, "advertised.listeners", TEXT, "", 0, 0,                                \
      "address that Kafka clients are told to come to; empty: the one of listeners")               \
    X(HTTP_LISTENERS, "http.listeners", TEXT, "http://127.0.0.1:8080", 0, 0,                       \
      "REST door: host:port")                                                                      \
    X(INSECURE_LISTENERS, "dms.allow.insecure.listeners", BOOL, "false", 0, 1,                     \
      "listen beyond loopback although nothing is encrypted (dmsd speaks no TLS)")                 \
    X(AUTHENTICATION, "dms.authentication", TEXT, "none", 0, 0,                                    \
      "none; builtin: users, tokens and access keys of this broker; keystone: tokens of another")  \
    X(AUTHENTICATION_THREADS, "dms.authentication.threads", INT, "2", 1, 64,                       \
      "threads that hash passwords or ask the other Keystone")                                     \
    X(TOKEN_LIFETIME_MS, "dms.token.lifetime.ms", INT, "86400000", 1000, 31536000000,              \
      "how long a token is good")                                                                  \
    X(TOKENS_PER_USER, "dms.tokens.per.user", INT, "1000", 1, 100000,                              \
      "tokens of a user at once, and as many temporary keys; one more ends the oldest")            \
    X(SIGNATURES_MAX, "dms.signatures.max", INT, "262144", 16, 16777216,                           \
      "signatures remembered so that none is used twice; when full, the oldest seconds are over")  \
    X(SIGNATURE_REPEAT_MS, "dms.signature.repeat.ms", INT, "1000", 0, 60000,                       \
      "how long a signed GET may come again: dates of signatures are whole seconds")               \
    X(METRICS_PUBLIC, "dms.metrics.public", BOOL, "false", 0, 1,                                   \
      "GET /metrics needs no credentials although there is authentication")                        \
    X(PUBLIC_URL, "dms.public.url", TEXT, "", 0, 0,                                                \
      "URL of the REST door in catalogs of tokens; empty: http and the Host of the request")       \
    X(TRUSTED_PROXIES, "dms.trusted.proxies", TEXT, "", 0, 0,                                      \
      "proxies whose X-Forwarded-For is believed: addresses and networks, as "                     \
      "127.0.0.1,10.0.0.0/8")                                                                      \
    X(REGION, "dms.region", TEXT, "local", 0, 0, "region in catalogs of tokens")                   \
    X(KEYSTONE_URL, "dms.keystone.url", TEXT, "", 0, 0, "the other Keystone: http://host:port/v3") \
    X(KEYSTONE_USER, "dms.keystone.user", TEXT, "dms", 0, 0,                                       \
      "user that may validate tokens there")                                                       \
    X(KEYSTONE_USER_DOMAIN, "dms.keystone.user.domain", TEXT, "Default", 0, 0, "its domain")       \
    X(KEYSTONE_PASSWORD_FILE, "dms.keystone.password.file", TEXT, "", 0, 0,                        \
      "file of mode 0600 with its password")                                                       \
    X(KEYSTONE_PROJECT, "dms.keystone.project", TEXT, "service", 0, 0, "project it works in")      \
    X(KEYSTONE_PROJECT_DOMAIN, "dms.keystone.project.domain", TEXT, "Default", 0, 0,               \
      "domain of that project")                                                                    \
    X(LOG_DIRS, "log.dirs", TEXT, "./dms-data", 0, 0, "directory of all data (one)")               \
    X(NETWORK_THREADS, "num.network.threads", INT, "0", 0, 64,                                     \
      "event loops; 0: one per core that it may use, at most 16")                                  \
    X(DISK_THREADS, "dms.disk.threads", INT, "8", 1, 256, "threads that may wait for the disk")    \
    X(NUM_PARTITIONS, "num.partitions", INT, "1", 1, 10000, "partitions of a new Kafka topic")     \
    X(QUEUE_PARTITIONS, "dms.queue.partitions", INT, "3", 1, 10000,                                \
      "partitions of a new NORMAL queue, and of a Kafka queue made over REST")                     \
    X(MAX_PARTITIONS, "max.partitions", INT, "100000", 1, 10000000,                                \
      "partitions of all topics together")                                                         \
    X(AUTO_CREATE, "auto.create.topics.enable", BOOL, "true", 0, 1,                                \
      "make a topic when a client asks for one that does not exist")                               \
    X(RETENTION_MS, "log.retention.ms", INT, "604800000", -1, INT64_MAX,                           \
      "age at which Kafka messages go; -1: never")                                                 \
    X(RETENTION_BYTES, "log.retention.bytes", INT, "-1", -1, INT64_MAX,                            \
      "size of a partition at which its oldest segments go; -1: any")                              \
    X(RETENTION_CHECK_MS, "log.retention.check.interval.ms", INT, "300000", 1, INT64_MAX,          \
      "how often partitions look for what may go")                                                 \
    X(SEGMENT_BYTES, "log.segment.bytes", INT, "67108864", 16384, 1 << 30, "size of a segment")    \
    X(SEGMENT_MS, "log.roll.ms", INT, "604800000", 1, INT64_MAX,                                   \
      "age at which a segment is rolled")                                                          \
    X(FLUSH_INTERVAL_MS, "log.flush.interval.ms", INT, "1000", 1, INT64_MAX,                       \
      "longest time a high-throughput partition keeps data unsynced")                              \
    X(FLUSH_BYTES, "log.flush.bytes", INT, "67108864", 1, INT64_MAX,                               \
      "most unsynced bytes of a high-throughput partition")                                        \
    X(MESSAGE_MAX_BYTES, "message.max.bytes", INT, "1048588", 0, 64 << 20, "largest record batch") \
    X(REQUEST_MAX_BYTES, "socket.request.max.bytes", INT, "104857600", 1024, INT32_MAX - 1024,     \
      "largest Kafka request")                                                                     \
    X(FETCH_MAX_BYTES, "fetch.max.bytes", INT, "57671680", 1024, INT32_MAX,                        \
      "most bytes in the answer to a fetch")                                                       \
    X(MAX_CONNECTIONS, "max.connections", INT, "100000", 1, 10000000, "connections of each door")  \
    X(REAUTH_MS, "connections.max.reauth.ms", INT, "0", 0, INT32_MAX,                              \
      "a Kafka client proves itself again after this; 0: as long as what it showed lasts")         \
    X(IDLE_MS, "connections.max.idle.ms", INT, "600000", 1000, INT64_MAX,                          \
      "an idle connection is closed after this; at REST it is not idle while it waits for an "     \
      "answer")                                                                                    \
    X(FETCH_SESSIONS, "max.incremental.fetch.session.cache.slots", INT, "1000", 0, 10000000,       \
      "incremental fetch sessions")                                                                \
    X(TAIL_BYTES, "dms.tail.cache.bytes", INT, "33554432", 0, INT64_MAX,                           \
      "received bytes kept in memory for consumers that keep up, all partitions")                  \
    X(OPEN_SEGMENTS, "dms.open.segments.max", INT, "1000", 1, 1000000,                             \
      "sealed segments kept open")                                                                 \
    X(REBALANCE_DELAY_MS, "group.initial.rebalance.delay.ms", INT, "3000", 0, INT32_MAX,           \
      "how long a new group waits for more members")                                               \
    X(SESSION_MIN_MS, "group.min.session.timeout.ms", INT, "6000", 1, INT32_MAX,                   \
      "shortest session timeout a member may ask for")                                             \
    X(SESSION_MAX_MS, "group.max.session.timeout.ms", INT, "1800000", 1, INT32_MAX,                \
      "longest session timeout a member may ask for")                                              \
    X(GROUP_MAX_SIZE, "group.max.size", INT, "2147483647", 1, INT32_MAX, "members of a group")     \
    X(OFFSETS_PARTITIONS, "offsets.topic.num.partitions", INT, "50", 1, 10000,                     \
      "partitions of __consumer_offsets, when it is made")                                         \
    X(OFFSETS_RETENTION_MIN, "offsets.retention.minutes", INT, "10080", 1, INT32_MAX,              \
      "an empty group's offsets go after this")                                                    \
    X(OFFSETS_CHECK_MS, "offsets.retention.check.interval.ms", INT, "600000", 1, INT64_MAX,        \
      "how often expired offsets are looked for")                                                  \
    X(PROJECT_QUEUES, "dms.queues.per.project", INT, "5", 1, 100000, "REST queues of a project")   \
    X(QUEUE_GROUPS, "dms.groups.per.queue", INT, "3", 1, 10000, "REST groups of a queue")          \
    X(DELAYED_MAX, "dms.delayed.messages.max", INT, "10000000", 1, 1000000000,                     \
      "messages that wait for their time at once, of all queues; 16 bytes of memory each")         \
    X(DELAYED_QUEUE_MAX, "dms.delayed.messages.per.queue.max", INT, "1000000", 1, 1000000000,      \
      "the same of one queue, so that no project has the place of all")                            \
    X(METRICS_INTERVAL_MS, "dms.metrics.interval.ms", INT, "60000", 100, 3600000,                  \
      "how often the metrics of queues and groups are recorded")                                   \
    X(METRICS_TOPICS, "dms.metrics.topics.max", INT, "1000", 0, 100000,                            \
      "queues and topics of which /metrics tells the numbers; those made over REST first")         \
    X(DRAIN_MS, "dms.shutdown.drain.ms", INT, "5000", 0, 600000,                                   \
      "how long SIGTERM waits for answers to leave")                                               \
    X(LOG_LEVEL, "log.level", TEXT, "info", 0, 0, "trace, debug, info, warn or error")             \
    X(LOG_FORMAT, "log.format", TEXT, "logfmt", 0, 0, "logfmt or json")

#define MAIN_CONFIG_ENUM(name, key, type, value, least, most, help) MAIN_##name,
enum main_config_key { MAIN_CONFIG_LIST(MAIN_CONFIG_ENUM) MAIN_CONFIG_COUNT };
#undef MAIN_CONFIG_ENUM

struct main_config; /* opaque; see config.c */

enum { MAIN_CONFIG_ERROR_SIZE = 512 };

/* All defaults. NULL when memory is out. */
struct main_config *main_config_create(void);
void main_config_close(struct main_config **config);

/* INVALID with a sentence in error that names the key: unknown (and the nearest known one),
 * or a value outside its range. */
BASE_MUST_USE enum base_err main_config_set(struct main_config *config, const char *key,
                                            const char *value, char error[MAIN_CONFIG_ERROR_SIZE]);

/* Reads a properties file: key=value lines, # and ! comments. The error names the line. */
BASE_MUST_USE enum base_err main_config_load(struct main_config *config, const char *path,
                                             char error[MAIN_CONFIG_ERROR_SIZE]);

int64_t main_config_int(const struct main_config *config, enum main_config_key key);
bool main_config_bool(const struct main_config *config, enum main_config_key key);
const char *main_config_text(const struct main_config *config, enum main_config_key key);
const char *main_config_name(enum main_config_key key);
bool main_config_is_default(const struct main_config *config, enum main_config_key key);

/* One line per key: what --help prints. */
void main_config_print(FILE *out);

#endif
