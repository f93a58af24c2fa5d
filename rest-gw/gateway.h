/* The REST door: what its handlers need of the broker, and what a listener needs to accept
 * for it. */
#ifndef RESTGW_GATEWAY_H
#define RESTGW_GATEWAY_H

#include "core/catalog/catalog.h"
#include "core/group/coordinator.h"
#include "core/net/listener.h"
#include "core/partition/table.h"
#include "core/queue/queue.h"
#include "core/security/identity.h"
#include "core/telemetry/audit.h"
#include "core/telemetry/series.h"
#include "rest-gw/router.h"
#include "rest-gw/proxies.h"

struct restgw_gateway;

/* Everything borrowed; outlives the gateway. */
struct restgw_options {
    struct net_loop **loops;
    unsigned loops_count;
    struct base_clock *clock;
    struct catalog *catalog;
    struct partition_table *partitions;
    struct group_coordinator *groups;
    struct queue_manager *queues;
    struct telemetry_audit *audit;   /* may be NULL: nothing is traced */
    struct telemetry_series *series; /* may be NULL: no metrics are recorded */
    struct {
        telemetry_series_sample *sample; /* as for series; may be NULL */
        void *context;
    } sampler;
    size_t sampled_topics_max;          /* in /metrics */
    struct security_identity *identity; /* NULL: no authentication */
    bool metrics_public;                /* /metrics without credentials */
    struct restgw_proxies proxies;      /* whose word about clients' addresses is taken */
    const char *public_url;             /* of this door, in catalogs of tokens; "": the Host */
    const char *region;                 /* likewise */
    const struct catalog_topic_config *topic_defaults; /* of new queues */
    int32_t normal_partitions;                         /* of NORMAL queues and Kafka ones */
    int64_t idle_timeout_ms;

    /* Whether both doors serve: /readyz. Any thread. */
    bool (*is_ready)(void *context);
    /* Connections that the Kafka door has now: /metrics. Any thread. May be NULL. */
    unsigned (*kafka_connections)(void *context);
    void *context;
};

/* The table of routes; static storage. */
const struct restgw_route *restgw_gateway_routes(size_t *count);

BASE_MUST_USE enum base_err restgw_gateway_create(const struct restgw_options *options,
                                                  struct restgw_gateway **out);

/* Frees the gateway once the last request of the last connection has ended (a connection may
 * be gone while its requests still wait for the disk), then posts `closed` to executor. After
 * its listeners have been closed. */
void restgw_gateway_close(struct restgw_gateway *gateway, struct base_executor *executor,
                          struct base_task *closed);

/* Fills in what a listener needs to accept for this gateway; host, port and connections_max
 * stay the caller's. */
void restgw_gateway_listen_options(struct restgw_gateway *gateway,
                                   struct net_listener_options *options);

#endif
