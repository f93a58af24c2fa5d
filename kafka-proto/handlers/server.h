/* The Kafka door: what its handlers need of the broker, and its connections.
 *
 * Threads: a connection and its requests live on one loop. */
#ifndef KHANDLER_SERVER_H
#define KHANDLER_SERVER_H

#include "core/catalog/catalog.h"
#include "core/group/coordinator.h"
#include "core/net/listener.h"
#include "core/partition/table.h"
#include "core/security/identity.h"
#include "core/telemetry/audit.h"
#include "core/txn/producer_ids.h"

struct khandler_server;

/* Everything borrowed; outlives the server. */
struct khandler_options {
    struct net_loop **loops;
    unsigned loops_count;
    struct base_clock *clock;
    struct catalog *catalog;
    struct partition_table *partitions;
    struct group_coordinator *groups;
    struct txn_producer_ids *producer_ids;
    struct security_identity *identity; /* NULL: there is no authentication */
    struct telemetry_audit *audit;      /* may be NULL: nothing is traced */

    int32_t node_id;
    const char *advertised_host;
    uint16_t advertised_port; /* may be set later with khandler_server_advertise */

    bool auto_create_topics;                           /* auto.create.topics.enable */
    int32_t partitions_default;                        /* num.partitions */
    const struct catalog_topic_config *topic_defaults; /* of new topics */
    int32_t request_bytes_max;                         /* socket.request.max.bytes */
    int32_t fetch_bytes_max;                           /* fetch.max.bytes */
    int64_t idle_timeout_ms;                           /* connections.max.idle.ms */
    int64_t session_lifetime_ms; /* connections.max.reauth.ms; 0: as long as the credential */
    uint32_t fetch_sessions_max; /* max.incremental.fetch.session.cache.slots */
    /* What DescribeConfigs of the broker shows: keys and values in effect, ended by a NULL key. */
    const struct khandler_broker_config *broker_config;
};

struct khandler_broker_config {
    const char *key;
    const char *value;
    bool is_default;
};

BASE_MUST_USE enum base_err khandler_server_create(const struct khandler_options *options,
                                                   struct khandler_server **out);

/* Frees the server once the last request of the last connection has ended (a connection may
 * be gone while its requests still wait for the disk), then posts `closed` to executor. After
 * its listeners have been closed. */
void khandler_server_close(struct khandler_server *server, struct base_executor *executor,
                           struct base_task *closed);

/* The port clients are told to come to, once it is known. Before the first connection. */
void khandler_server_advertise(struct khandler_server *server, uint16_t port);

/* Fills in what a listener needs to accept for this server; host, port and limits of the
 * listener stay the caller's. */
void khandler_server_listen_options(struct khandler_server *server,
                                    struct net_listener_options *options);

#endif
