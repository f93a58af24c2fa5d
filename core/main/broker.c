/* The ground floor (threads, files, store), and the life of the whole. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "core/main/broker.h"

#include <inttypes.h>
#include <sched.h>

#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/main/broker_priv.h"
#include "core/main/identity.h"
#include "logstore/io_file.h"

enum { LOOPS_DEFAULT_MAX = 16 };

static unsigned count_loops(const struct main_config *config)
{
    int64_t wanted = main_config_int(config, MAIN_NETWORK_THREADS);
    if (wanted > 0) {
        return (unsigned)wanted;
    }
    cpu_set_t usable; /* by this process: taskset and cpusets of containers leave fewer */
    int cores =
        sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : LOOPS_DEFAULT_MAX;
    return cores > LOOPS_DEFAULT_MAX ? LOOPS_DEFAULT_MAX : (unsigned)cores;
}

static enum base_err start_threads(struct main_broker *broker)
{
    enum base_err err = net_pool_create(
        (unsigned)main_config_int(broker->config, MAIN_DISK_THREADS), broker->clock, &broker->pool);
    if (err == BASE_ERR_OK) {
        broker->worker = net_pool_executor(broker->pool);
    }
    unsigned wanted = count_loops(broker->config);
    while (err == BASE_ERR_OK && broker->loops_count < wanted) {
        unsigned i = broker->loops_count;
        err = net_loop_create(i, broker->clock, broker->pool, &broker->loops[i]);
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
    struct logstore_io_file_options io_options = {.root = root, .worker = broker->worker};

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
        .worker = broker->worker,
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

static enum base_err start_all(struct main_broker *broker)
{
    enum base_err err = start_threads(broker);
    if (err == BASE_ERR_OK) {
        err = open_store(broker);
    }
    if (err == BASE_ERR_OK) {
        err = main__core_open(broker);
    }
    if (err == BASE_ERR_OK) {
        err = main__doors_open(broker);
    }
    return err;
}

enum base_err main_broker_check(const struct main_config *config,
                                char error[MAIN_CONFIG_ERROR_SIZE])
{
    struct main_addresses addresses;
    enum main_authentication authentication;

    if (!main_authentication_parse(config, &authentication)) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "%s=%.64s: must be none, builtin or keystone",
                       main_config_name(MAIN_AUTHENTICATION),
                       main_config_text(config, MAIN_AUTHENTICATION));
        return BASE_ERR_INVALID;
    }
    return main_addresses_parse(config, &addresses, error);
}

enum base_err main_broker_start(const struct main_config *config, struct main_broker **out)
{
    char error[MAIN_CONFIG_ERROR_SIZE];

    *out = NULL;
    struct main_broker *broker = base_alloc_object(struct main_broker);
    if (broker == NULL) {
        base_log(BASE_LOG_ERROR, "START_FAILED", "cause=\"%s\"", base_err_text(BASE_ERR_NOMEM));
        return BASE_ERR_NOMEM;
    }
    broker->config = config;
    broker->clock = base_clock_system();
    main_latch_init(&broker->latch);
    enum base_err err = main_addresses_parse(config, &broker->addresses, error);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "CONFIGURATION_REFUSED", "cause=\"%s\"", error);
    } else {
        fill_topic_defaults(broker);
        err = start_all(broker);
    }
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "START_FAILED", "cause=\"%s\"", base_err_text(err));
        main_broker_stop(&broker);
        return err;
    }
    uint16_t kafka_port = net_listener_port(broker->kafka_listener);
    if (broker->addresses.advertised.port == 0) {
        khandler_server_advertise(broker->kafka, kafka_port);
    }
    atomic_store(&broker->ready, true);
    base_log(BASE_LOG_INFO, "READY", "kafka=%s:%u http=%s:%u node_id=%" PRId64 " data=%s loops=%u",
             broker->addresses.kafka.host, kafka_port, broker->addresses.http.host,
             net_listener_port(broker->http_listener), main_config_int(config, MAIN_NODE_ID),
             main_config_text(config, MAIN_LOG_DIRS), broker->loops_count);
    *out = broker;
    return BASE_ERR_OK;
}

void main_broker_stop(struct main_broker **stopped)
{
    struct main_broker *broker = *stopped;

    main__doors_close(broker);
    main__core_close(broker);
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
