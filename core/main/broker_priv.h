/* The broker's parts: broker.c stands them up in the order of dependency, core.c and doors.c know
 * what each of them is told. */
#ifndef MAIN_BROKER_PRIV_H
#define MAIN_BROKER_PRIV_H

#include <stdatomic.h>

#include "core/main/address.h"
#include "core/main/broker.h"
#include "core/main/latch.h"
#include "core/main/telemetry.h"
#include "core/net/listener.h"
#include "core/net/loop.h"
#include "core/net/pool.h"
#include "kafka-proto/handlers/server.h"
#include "logstore/store.h"
#include "rest-gw/gateway.h"

enum { MAIN__LOOPS_MAX = 64, MAIN__ADVERTISED_SIZE = 300 };

/* What is NULL has not been opened. */
struct main_broker {
    const struct main_config *config; /* borrowed */
    struct base_clock *clock;         /* borrowed */
    struct main_latch latch;
    struct net_pool *pool;
    struct base_executor *worker; /* borrowed, of the pool */
    struct net_loop *loops[MAIN__LOOPS_MAX];
    struct base_executor *executors[MAIN__LOOPS_MAX]; /* borrowed, of the loops */
    unsigned loops_count;
    struct logstore_io *io;
    struct logstore_store *store;
    int32_t generation;
    struct catalog *catalog;
    struct net_pool *identity_pool; /* hashes passwords: a flood of logins costs no disk thread */
    struct security_identity *identity; /* NULL: no authentication */
    struct partition_table *partitions;
    struct group_coordinator *groups;
    struct queue_manager *queues;
    struct main_telemetry telemetry;
    struct txn_producer_ids *producer_ids;
    struct khandler_server *kafka;
    struct restgw_gateway *rest;
    struct net_listener *kafka_listener;
    struct net_listener *http_listener;
    struct catalog_topic_config topic_defaults;
    struct main_addresses addresses;
    struct khandler_broker_config broker_config[MAIN_CONFIG_COUNT + 1];
    char advertised_text[MAIN__ADVERTISED_SIZE];
    atomic_bool ready; /* both doors serve */
};

/* All on the main thread. An open that failed leaves what it opened to the close, which accepts a
 * broker that is half open. */

/* Catalog to queues, on a store and loops that stand; then who may come, if anybody is asked. */
BASE_MUST_USE enum base_err main__core_open(struct main_broker *broker);
void main__core_close(struct main_broker *broker);

/* Both doors, on a core that is open: clients are served from now on. */
BASE_MUST_USE enum base_err main__doors_open(struct main_broker *broker);

/* Takes nobody in, lets answers leave as long as the configuration allows, and ends the rest. */
void main__doors_close(struct main_broker *broker);

#endif
