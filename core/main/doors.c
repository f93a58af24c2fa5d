/* The two doors: what each is told, where it listens, and how it ends. */
#include "core/main/broker_priv.h"

#include "core/base/log.h"

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
                   broker->addresses.advertised.host, broker->addresses.advertised.port);
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
        .advertised_host = broker->addresses.advertised.host,
        .advertised_port = broker->addresses.advertised.port,
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
    return listen_on(broker, MAIN_LISTENERS, &broker->addresses.kafka, &listen,
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
    bool is_list =
        restgw_proxies_parse(main_config_text(config, MAIN_TRUSTED_PROXIES), &options.proxies);
    BASE_ASSERT(is_list); /* it was checked before anything was opened */
    enum base_err err = restgw_gateway_create(&options, &broker->rest);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct net_listener_options listen = {0};
    restgw_gateway_listen_options(broker->rest, &listen);
    return listen_on(broker, MAIN_HTTP_LISTENERS, &broker->addresses.http, &listen,
                     &broker->http_listener);
}

enum base_err main__doors_open(struct main_broker *broker)
{
    enum base_err err = open_kafka_door(broker);
    return err == BASE_ERR_OK ? open_rest_door(broker) : err;
}

void main__doors_close(struct main_broker *broker)
{
    int64_t drain_ms = main_config_int(broker->config, MAIN_DRAIN_MS);

    atomic_store(&broker->ready, false);
    net_listener_stop(broker->kafka_listener);
    net_listener_stop(broker->http_listener);
    if (broker->store != NULL) {
        logstore_store_stop_waiting(broker->store); /* or requests might, for ever */
    }
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
