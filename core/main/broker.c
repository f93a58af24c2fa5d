/* Wiring: the only place that knows everything. */
#include "core/main/broker.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/catalog/catalog.h"
#include "core/group/coordinator.h"
#include "core/main/identity.h"
#include "core/main/latch.h"
#include "core/main/telemetry.h"
#include "core/net/listener.h"
#include "core/net/loop.h"
#include "core/net/pool.h"
#include "core/partition/table.h"
#include "core/queue/queue.h"
#include "core/txn/producer_ids.h"
#include "kafka-proto/handlers/server.h"
#include "logstore/io_file.h"
#include "logstore/store.h"
#include "rest-gw/gateway.h"

enum { LOOPS_MAX = 64, LOOPS_DEFAULT_MAX = 16, ADVERTISED_TEXT_SIZE = 300 };

struct main_broker {
    const struct main_config *config; /* borrowed */
    struct base_clock *clock;         /* borrowed */
    struct main_latch latch;
    struct net_pool *pool;
    struct net_loop *loops[LOOPS_MAX];
    struct base_executor *executors[LOOPS_MAX]; /* borrowed, of the loops */
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
    bool queues_open;
    struct txn_producer_ids *producer_ids;
    struct khandler_server *kafka;
    struct restgw_gateway *rest;
    struct net_listener *kafka_listener;
    struct net_listener *http_listener;
    struct catalog_topic_config topic_defaults;
    struct main_address kafka_address;
    struct main_address advertised_address;
    struct main_address http_address;
    struct khandler_broker_config broker_config[MAIN_CONFIG_COUNT + 1];
    char advertised_text[ADVERTISED_TEXT_SIZE];
    atomic_bool ready; /* both doors serve */
};

static struct base_executor *worker_of(struct main_broker *broker)
{
    return net_pool_executor(broker->pool);
}

/* Addresses. */

static enum base_err refuse_exposed(const struct main_config *config, enum main_config_key key,
                                    const struct main_address *address,
                                    char error[MAIN_CONFIG_ERROR_SIZE])
{
    if (main_address_is_loopback(address) || main_config_bool(config, MAIN_INSECURE_LISTENERS)) {
        return BASE_ERR_OK;
    }
    (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE,
                   "%s: '%.128s' is not loopback and nothing would be encrypted%s; "
                   "set %s=true to listen there all the same",
                   main_config_name(key), address->host,
                   strcmp(main_config_text(config, MAIN_AUTHENTICATION), "none") == 0
                       ? " or authenticated"
                       : "",
                   main_config_name(MAIN_INSECURE_LISTENERS));
    return BASE_ERR_INVALID;
}

static enum base_err parse_address(const struct main_config *config, enum main_config_key key,
                                   const char *scheme, struct main_address *out,
                                   char error[MAIN_CONFIG_ERROR_SIZE])
{
    return main_address_parse(main_config_name(key), main_config_text(config, key), scheme, out,
                              error);
}

static enum base_err parse_addresses(const struct main_config *config, struct main_address *kafka,
                                     struct main_address *advertised, struct main_address *http,
                                     char error[MAIN_CONFIG_ERROR_SIZE])
{
    enum base_err err = parse_address(config, MAIN_LISTENERS, "PLAINTEXT", kafka, error);
    if (err == BASE_ERR_OK) {
        err = parse_address(config, MAIN_HTTP_LISTENERS, "http", http, error);
    }
    *advertised = *kafka;
    if (err == BASE_ERR_OK && main_config_text(config, MAIN_ADVERTISED_LISTENERS)[0] != '\0') {
        err = parse_address(config, MAIN_ADVERTISED_LISTENERS, "PLAINTEXT", advertised, error);
    }
    if (err == BASE_ERR_OK) {
        err = refuse_exposed(config, MAIN_LISTENERS, kafka, error);
    }
    if (err == BASE_ERR_OK) {
        err = refuse_exposed(config, MAIN_HTTP_LISTENERS, http, error);
    }
    return err;
}

enum base_err main_broker_check(const struct main_config *config,
                                char error[MAIN_CONFIG_ERROR_SIZE])
{
    struct main_address kafka;
    struct main_address advertised;
    struct main_address http;
    enum main_authentication authentication;

    if (!main_authentication_parse(config, &authentication)) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "%s=%.64s: must be none, builtin or keystone",
                       main_config_name(MAIN_AUTHENTICATION),
                       main_config_text(config, MAIN_AUTHENTICATION));
        return BASE_ERR_INVALID;
    }
    return parse_addresses(config, &kafka, &advertised, &http, error);
}

/* What clients are told when nothing is said: an address others can come to. */
static void choose_advertised(struct main_broker *broker)
{
    const char *host = broker->advertised_address.host;
    if (host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
        if (gethostname(broker->advertised_address.host,
                        sizeof broker->advertised_address.host - 1) != 0) {
            (void)snprintf(broker->advertised_address.host, sizeof broker->advertised_address.host,
                           "127.0.0.1");
        }
    }
}

/* Ground floor: threads, files, store. */

static unsigned count_loops(const struct main_config *config)
{
    int64_t wanted = main_config_int(config, MAIN_NETWORK_THREADS);
    if (wanted > 0) {
        return (unsigned)wanted;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 1) {
        return 1;
    }
    return cores > LOOPS_DEFAULT_MAX ? LOOPS_DEFAULT_MAX : (unsigned)cores;
}

static enum base_err start_threads(struct main_broker *broker)
{
    enum base_err err = net_pool_create(
        (unsigned)main_config_int(broker->config, MAIN_DISK_THREADS), broker->clock, &broker->pool);
    unsigned wanted = count_loops(broker->config);
    while (err == BASE_ERR_OK && broker->loops_count < wanted) {
        unsigned i = broker->loops_count;
        err = net_loop_create(i, broker->clock, &broker->loops[i]);
        if (err == BASE_ERR_OK) {
            broker->executors[i] = net_loop_executor(broker->loops[i]);
            broker->loops_count++;
        }
    }
    return err;
}

static enum base_err open_store(struct main_broker *broker)
{
    const struct main_config *config = broker->config;
    const char *root = main_config_text(config, MAIN_LOG_DIRS);
    struct logstore_io_file_options io_options = {.root = root, .worker = worker_of(broker)};

    enum base_err err = logstore_io_file_create(&io_options, &broker->io);
    if (err == BASE_ERR_BUSY) {
        base_log(BASE_LOG_ERROR, "DATA_DIRECTORY_IN_USE",
                 "log.dirs=%s cause=\"another dmsd is running on this directory\"", root);
    } else if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "DATA_DIRECTORY_NOT_OPENED", "log.dirs=%s cause=\"%s\"", root,
                 base_err_text(err));
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct logstore_store_options options = {
        .io = broker->io,
        .worker = worker_of(broker),
        .housekeeper = broker->executors[0],
        .clock = broker->clock,
        .tail_bytes_max = (size_t)main_config_int(config, MAIN_TAIL_BYTES),
        .open_segments_max = (uint32_t)main_config_int(config, MAIN_OPEN_SEGMENTS),
        .retention_check_ms = main_config_int(config, MAIN_RETENTION_CHECK_MS)};
    return logstore_store_create(&options, &broker->store);
}

static void set_topic_default(struct main_broker *broker, enum catalog_topic_config_key key,
                              enum main_config_key from)
{
    broker->topic_defaults.values[key] = main_config_int(broker->config, from);
}

static void fill_topic_defaults(struct main_broker *broker)
{
    catalog_config_default(&broker->topic_defaults);
    set_topic_default(broker, CATALOG_CONFIG_RETENTION_MS, MAIN_RETENTION_MS);
    set_topic_default(broker, CATALOG_CONFIG_RETENTION_BYTES, MAIN_RETENTION_BYTES);
    set_topic_default(broker, CATALOG_CONFIG_SEGMENT_BYTES, MAIN_SEGMENT_BYTES);
    set_topic_default(broker, CATALOG_CONFIG_SEGMENT_MS, MAIN_SEGMENT_MS);
    set_topic_default(broker, CATALOG_CONFIG_MAX_MESSAGE_BYTES, MAIN_MESSAGE_MAX_BYTES);
}

/* Core: catalog, partitions, coordinators. */

struct catalog_opening {
    struct main_broker *broker;
    enum base_err err;
};

static void open_catalog_on_worker(void *context)
{
    struct catalog_opening *opening = context;
    struct main_broker *broker = opening->broker;
    const struct main_config *config = broker->config;

    opening->err = catalog_next_generation(broker->store, &broker->generation);
    if (opening->err != BASE_ERR_OK) {
        return;
    }
    struct catalog_options options = {
        .store = broker->store,
        .queues_per_project_max = (int32_t)main_config_int(config, MAIN_PROJECT_QUEUES),
        .groups_per_queue_max = (int32_t)main_config_int(config, MAIN_QUEUE_GROUPS),
        .partitions_max = main_config_int(config, MAIN_MAX_PARTITIONS),
        .leader_epoch = broker->generation,
        .topic_defaults = &broker->topic_defaults};
    opening->err = catalog_open(&options, &broker->catalog);
}

static void open_telemetry_on_worker(void *context)
{
    struct catalog_opening *opening = context;
    struct main_broker *broker = opening->broker;
    struct main_telemetry_options options = {
        .store = broker->store,
        .catalog = broker->catalog,
        .loop = broker->executors[0],
        .leader_epoch = broker->generation,
        .interval_ms = main_config_int(broker->config, MAIN_METRICS_INTERVAL_MS)};

    opening->err = main_telemetry_open(&broker->telemetry, &options);
}

static enum base_err open_partitions(struct main_broker *broker)
{
    struct partition_table_options options = {
        .catalog = broker->catalog,
        .store = broker->store,
        .leader_epoch = broker->generation,
        .flush_interval_ms = main_config_int(broker->config, MAIN_FLUSH_INTERVAL_MS),
        .flush_bytes = (uint64_t)main_config_int(broker->config, MAIN_FLUSH_BYTES)};
    enum base_err err = partition_table_create(&options, &broker->partitions);
    if (err == BASE_ERR_OK) {
        err =
            partition_table_open_all(broker->partitions, broker->executors[0], &broker->latch.task);
    }
    if (err == BASE_ERR_OK) {
        main_latch_wait(&broker->latch);
    }
    return err;
}

/* A load or open request with the latch that waits for it. */
struct group_loading {
    struct group_load load;
    struct main_broker *broker;
};

static void groups_loaded(struct base_task *task)
{
    struct group_loading *loading = BASE_CONTAINER_OF(task, struct group_loading, load.task);
    struct main_latch *latch = &loading->broker->latch;
    latch->task.run(&latch->task);
}

static void start_group_loading(void *context)
{
    struct group_loading *loading = context;
    group_coordinator_load(loading->broker->groups, &loading->load);
}

static enum base_err open_groups(struct main_broker *broker)
{
    const struct main_config *config = broker->config;
    struct group_coordinator_options options;

    group_coordinator_options_default(&options);
    options.catalog = broker->catalog;
    options.table = broker->partitions;
    options.worker = worker_of(broker);
    options.executors = broker->executors;
    options.executors_count = broker->loops_count;
    options.clock = broker->clock;
    options.initial_rebalance_delay_ms = (int32_t)main_config_int(config, MAIN_REBALANCE_DELAY_MS);
    options.session_timeout_min_ms = (int32_t)main_config_int(config, MAIN_SESSION_MIN_MS);
    options.session_timeout_max_ms = (int32_t)main_config_int(config, MAIN_SESSION_MAX_MS);
    options.max_size = (int32_t)main_config_int(config, MAIN_GROUP_MAX_SIZE);
    options.offsets_partitions = (int32_t)main_config_int(config, MAIN_OFFSETS_PARTITIONS);
    options.offsets_retention_ms = main_config_int(config, MAIN_OFFSETS_RETENTION_MIN) * 60000;
    options.offsets_check_ms = main_config_int(config, MAIN_OFFSETS_CHECK_MS);
    enum base_err err = group_coordinator_create(&options, &broker->groups);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct group_loading loading = {.broker = broker};
    loading.load.executor = broker->executors[0];
    loading.load.task.run = groups_loaded;
    main_run_on(broker->executors[0], start_group_loading, &loading);
    main_latch_wait(&broker->latch);
    return loading.load.err;
}

static bool kafka_group_is_active(void *context, const char *group_id)
{
    struct main_broker *broker = context;
    return group_coordinator_is_active(broker->groups, base_slice_text(group_id));
}

static int64_t committed_offset(void *context, const char *group_id,
                                const struct catalog_topic *topic, int32_t partition)
{
    struct main_broker *broker = context;
    return group_committed_offset(broker->groups, base_slice_text(group_id),
                                  base_slice_text(topic->name), partition);
}

struct queue_opening {
    struct queue_open open;
    struct main_broker *broker;
};

static void queues_opened(struct base_task *task)
{
    struct queue_opening *opening = BASE_CONTAINER_OF(task, struct queue_opening, open.task);
    struct main_latch *latch = &opening->broker->latch;
    latch->task.run(&latch->task);
}

static void start_queue_opening(void *context)
{
    struct queue_opening *opening = context;
    queue_manager_open(opening->broker->queues, &opening->open);
}

static enum base_err open_queues(struct main_broker *broker)
{
    struct queue_manager_options options = {.catalog = broker->catalog,
                                            .table = broker->partitions,
                                            .clock = broker->clock,
                                            .worker = worker_of(broker),
                                            .executors = broker->executors,
                                            .executors_count = broker->loops_count,
                                            .delayed_max =
                                                main_config_int(broker->config, MAIN_DELAYED_MAX),
                                            .kafka_group_is_active = kafka_group_is_active,
                                            .committed_offset = committed_offset,
                                            .context = broker};
    enum base_err err = queue_manager_create(&options, &broker->queues);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct queue_opening opening = {.broker = broker};
    opening.open.executor = broker->executors[0];
    opening.open.task.run = queues_opened;
    main_run_on(broker->executors[0], start_queue_opening, &opening);
    main_latch_wait(&broker->latch);
    return opening.open.err;
}

static void start_telemetry(void *context)
{
    struct main_broker *broker = context;
    main_telemetry_start(&broker->telemetry, broker->partitions, broker->queues);
}

static enum base_err open_core(struct main_broker *broker)
{
    struct catalog_opening opening = {.broker = broker};
    main_run_on(worker_of(broker), open_catalog_on_worker, &opening);
    enum base_err err = opening.err;
    if (err == BASE_ERR_OK) {
        main_run_on(worker_of(broker), open_telemetry_on_worker, &opening);
        err = opening.err;
    }
    if (err == BASE_ERR_OK) {
        err = open_partitions(broker);
    }
    if (err == BASE_ERR_OK) {
        err = open_groups(broker);
    }
    if (err == BASE_ERR_OK) {
        err = open_queues(broker);
    }
    if (err == BASE_ERR_OK) {
        err = txn_producer_ids_create(broker->catalog, &broker->producer_ids);
    }
    if (err == BASE_ERR_OK) {
        main_run_on(broker->executors[0], start_telemetry, broker);
    }
    return err;
}

static enum base_err open_identity(struct main_broker *broker)
{
    struct main_identity_options options = {.config = broker->config,
                                            .catalog = broker->catalog,
                                            .clock = broker->clock,
                                            .home = broker->executors[0],
                                            .latch = &broker->latch,
                                            .http_address = &broker->http_address};
    if (strcmp(main_config_text(broker->config, MAIN_AUTHENTICATION), "none") == 0) {
        return BASE_ERR_OK;
    }
    enum base_err err =
        net_pool_create((unsigned)main_config_int(broker->config, MAIN_AUTHENTICATION_THREADS),
                        broker->clock, &broker->identity_pool);
    if (err != BASE_ERR_OK) {
        return err;
    }
    options.worker = net_pool_executor(broker->identity_pool);
    return main_identity_open(&options, &broker->identity);
}

/* Doors. */

static bool is_ready(void *context)
{
    struct main_broker *broker = context;
    return atomic_load(&broker->ready);
}

static unsigned kafka_connections(void *context)
{
    const struct main_broker *broker = context;
    return net_listener_connections(broker->kafka_listener);
}

static void fill_broker_config(struct main_broker *broker)
{
    for (unsigned i = 0; i < MAIN_CONFIG_COUNT; i++) {
        enum main_config_key key = (enum main_config_key)i;
        broker->broker_config[i] = (struct khandler_broker_config){
            main_config_name(key), main_config_text(broker->config, key),
            main_config_is_default(broker->config, key)};
    }
    (void)snprintf(broker->advertised_text, sizeof broker->advertised_text, "PLAINTEXT://%s:%u",
                   broker->advertised_address.host, broker->advertised_address.port);
    broker->broker_config[MAIN_ADVERTISED_LISTENERS].value = broker->advertised_text;
}

static enum base_err listen_on(const struct main_broker *broker, enum main_config_key key,
                               const struct main_address *address,
                               struct net_listener_options *options, struct net_listener **out)
{
    options->host = address->host;
    options->port = address->port;
    options->connections_max = (unsigned)main_config_int(broker->config, MAIN_MAX_CONNECTIONS);
    enum base_err err = net_listener_create(options, out);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "LISTEN_FAILED", "%s=%s cause=\"%s\"", main_config_name(key),
                 main_config_text(broker->config, key),
                 err == BASE_ERR_BUSY ? "the port is taken" : base_err_text(err));
    }
    return err;
}

static enum base_err open_kafka_door(struct main_broker *broker)
{
    const struct main_config *config = broker->config;
    fill_broker_config(broker);
    struct khandler_options options = {
        .loops = broker->loops,
        .loops_count = broker->loops_count,
        .clock = broker->clock,
        .catalog = broker->catalog,
        .partitions = broker->partitions,
        .groups = broker->groups,
        .producer_ids = broker->producer_ids,
        .identity = broker->identity,
        .audit = broker->telemetry.audit,
        .node_id = (int32_t)main_config_int(config, MAIN_NODE_ID),
        .advertised_host = broker->advertised_address.host,
        .advertised_port = broker->advertised_address.port,
        .auto_create_topics = main_config_bool(config, MAIN_AUTO_CREATE),
        .partitions_default = (int32_t)main_config_int(config, MAIN_NUM_PARTITIONS),
        .topic_defaults = &broker->topic_defaults,
        .request_bytes_max = (int32_t)main_config_int(config, MAIN_REQUEST_MAX_BYTES),
        .fetch_bytes_max = (int32_t)main_config_int(config, MAIN_FETCH_MAX_BYTES),
        .idle_timeout_ms = main_config_int(config, MAIN_IDLE_MS),
        .session_lifetime_ms = main_config_int(config, MAIN_REAUTH_MS),
        .fetch_sessions_max = (uint32_t)main_config_int(config, MAIN_FETCH_SESSIONS),
        .broker_config = broker->broker_config};
    enum base_err err = khandler_server_create(&options, &broker->kafka);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct net_listener_options listen = {0};
    khandler_server_listen_options(broker->kafka, &listen);
    return listen_on(broker, MAIN_LISTENERS, &broker->kafka_address, &listen,
                     &broker->kafka_listener);
}

static enum base_err open_rest_door(struct main_broker *broker)
{
    const struct main_config *config = broker->config;
    struct restgw_options options = {
        .loops = broker->loops,
        .loops_count = broker->loops_count,
        .clock = broker->clock,
        .catalog = broker->catalog,
        .partitions = broker->partitions,
        .groups = broker->groups,
        .queues = broker->queues,
        .audit = broker->telemetry.audit,
        .series = broker->telemetry.series,
        .sampler = {main_telemetry_sample, &broker->telemetry},
        .sampled_topics_max = (size_t)main_config_int(config, MAIN_METRICS_TOPICS),
        .identity = broker->identity,
        .metrics_public = main_config_bool(config, MAIN_METRICS_PUBLIC),
        .public_url = main_config_text(config, MAIN_PUBLIC_URL),
        .region = main_config_text(config, MAIN_REGION),
        .topic_defaults = &broker->topic_defaults,
        .normal_partitions = (int32_t)main_config_int(config, MAIN_QUEUE_PARTITIONS),
        .idle_timeout_ms = main_config_int(config, MAIN_IDLE_MS),
        .is_ready = is_ready,
        .kafka_connections = kafka_connections,
        .context = broker};
    enum base_err err = restgw_gateway_create(&options, &broker->rest);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct net_listener_options listen = {0};
    restgw_gateway_listen_options(broker->rest, &listen);
    return listen_on(broker, MAIN_HTTP_LISTENERS, &broker->http_address, &listen,
                     &broker->http_listener);
}

static enum base_err start_all(struct main_broker *broker)
{
    enum base_err err = start_threads(broker);
    if (err == BASE_ERR_OK) {
        err = open_store(broker);
    }
    if (err == BASE_ERR_OK) {
        err = open_core(broker);
    }
    if (err == BASE_ERR_OK) {
        err = open_identity(broker);
    }
    if (err == BASE_ERR_OK) {
        err = open_kafka_door(broker);
    }
    if (err == BASE_ERR_OK) {
        err = open_rest_door(broker);
    }
    return err;
}

enum base_err main_broker_start(const struct main_config *config, struct main_broker **out)
{
    char error[MAIN_CONFIG_ERROR_SIZE];

    *out = NULL;
    struct main_broker *broker = base_alloc_object(struct main_broker);
    if (broker == NULL) {
        return BASE_ERR_NOMEM;
    }
    broker->config = config;
    broker->clock = base_clock_system();
    main_latch_init(&broker->latch);
    enum base_err err = parse_addresses(config, &broker->kafka_address, &broker->advertised_address,
                                        &broker->http_address, error);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "CONFIGURATION_REFUSED", "cause=\"%s\"", error);
    } else {
        choose_advertised(broker);
        fill_topic_defaults(broker);
        err = start_all(broker);
    }
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "START_FAILED", "cause=\"%s\"", base_err_text(err));
        main_broker_stop(&broker);
        return err;
    }
    uint16_t kafka_port = net_listener_port(broker->kafka_listener);
    if (broker->advertised_address.port == 0) {
        khandler_server_advertise(broker->kafka, kafka_port);
    }
    atomic_store(&broker->ready, true);
    base_log(BASE_LOG_INFO, "READY", "kafka=%s:%u http=%s:%u node_id=%" PRId64 " data=%s loops=%u",
             broker->kafka_address.host, kafka_port, broker->http_address.host,
             net_listener_port(broker->http_listener), main_config_int(config, MAIN_NODE_ID),
             main_config_text(config, MAIN_LOG_DIRS), broker->loops_count);
    *out = broker;
    return BASE_ERR_OK;
}

/* Shutdown, in the reverse order. */

static void close_doors(struct main_broker *broker)
{
    int64_t drain_ms = main_config_int(broker->config, MAIN_DRAIN_MS);

    atomic_store(&broker->ready, false);
    net_listener_stop(broker->kafka_listener);
    net_listener_stop(broker->http_listener);
    if (broker->http_listener != NULL) {
        net_listener_drain(broker->http_listener, drain_ms);
    }
    if (broker->kafka_listener != NULL) {
        net_listener_drain(broker->kafka_listener, drain_ms);
    }
    net_listener_close(&broker->http_listener);
    net_listener_close(&broker->kafka_listener);
    if (broker->rest != NULL) {
        restgw_gateway_close(broker->rest, broker->executors[0], &broker->latch.task);
        main_latch_wait(&broker->latch);
    }
    if (broker->kafka != NULL) {
        khandler_server_close(broker->kafka, broker->executors[0], &broker->latch.task);
        main_latch_wait(&broker->latch);
    }
}

struct closing {
    struct main_broker *broker;
    void (*close)(struct main_broker *broker);
};

static void close_on_loop(void *context)
{
    struct closing *closing = context;
    closing->close(closing->broker);
}

/* Runs close on the first loop and waits for the task it hands over: the latch's. */
static void close_and_wait(struct main_broker *broker, void (*close)(struct main_broker *broker))
{
    struct closing closing = {broker, close};
    main_run_on(broker->executors[0], close_on_loop, &closing);
    main_latch_wait(&broker->latch);
}

static void close_queues(struct main_broker *broker)
{
    queue_manager_close(broker->queues, broker->executors[0], &broker->latch.task);
}

static void close_groups(struct main_broker *broker)
{
    group_coordinator_close(broker->groups, broker->executors[0], &broker->latch.task);
}

static void close_partitions(struct main_broker *broker)
{
    partition_table_close(broker->partitions, broker->executors[0], &broker->latch.task);
}

static void close_identity(struct main_broker *broker)
{
    security_identity_close(broker->identity, &broker->latch.task);
}

static void close_catalog(struct main_broker *broker)
{
    catalog_close(broker->catalog, broker->executors[0], &broker->latch.task);
}

static void close_telemetry(struct main_broker *broker)
{
    main_telemetry_close(&broker->telemetry, &broker->latch.task);
}

static void close_core(struct main_broker *broker)
{
    net_pool_close(&broker->identity_pool); /* runs what is in line */
    if (broker->identity != NULL) {
        close_and_wait(broker, close_identity);
    }
    txn_producer_ids_close(&broker->producer_ids);
    if (broker->telemetry.loop != NULL) {
        close_and_wait(broker, close_telemetry);
    }
    if (broker->queues != NULL) {
        close_and_wait(broker, close_queues);
    }
    if (broker->groups != NULL) {
        close_and_wait(broker, close_groups);
    }
    if (broker->partitions != NULL) {
        close_and_wait(broker, close_partitions);
    }
    if (broker->catalog != NULL) {
        close_and_wait(broker, close_catalog);
    }
}

void main_broker_stop(struct main_broker **stopped)
{
    struct main_broker *broker = *stopped;

    close_doors(broker);
    close_core(broker);
    logstore_store_close(&broker->store);
    logstore_io_file_close(&broker->io);
    while (broker->loops_count > 0) {
        broker->loops_count--;
        net_loop_close(&broker->loops[broker->loops_count]);
    }
    net_pool_close(&broker->pool);
    main_latch_fini(&broker->latch);
    base_free(broker);
    *stopped = NULL;
}
