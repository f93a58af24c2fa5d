/* The core: catalog, telemetry, partitions, groups, queues, producer ids, identities. Opened in
 * this order, each on the thread that it asks for, and closed before what it uses; the main
 * thread waits. */
#include "core/main/broker_priv.h"

#include <string.h>

#include "core/base/list.h"
#include "core/catalog/catalog.h"
#include "core/group/coordinator.h"
#include "core/main/identity.h"
#include "core/partition/table.h"
#include "core/queue/queue.h"
#include "core/txn/producer_ids.h"

/* Opening. */

/* What is opened elsewhere, and how it went. */
struct opening {
    struct main_broker *broker;
    struct group_load groups;
    struct queue_open queues;
    enum base_err err;
};

static void open_catalog_on_worker(void *context)
{
    struct opening *opening = context;
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
    struct opening *opening = context;
    struct main_broker *broker = opening->broker;
    struct main_telemetry_options options = {
        .store = broker->store,
        .catalog = broker->catalog,
        .loop = broker->executors[0],
        .leader_epoch = broker->generation,
        .interval_ms = main_config_int(broker->config, MAIN_METRICS_INTERVAL_MS)};

    opening->err = main_telemetry_open(&broker->telemetry, &options);
}

static enum base_err open_on_worker(struct main_broker *broker, void (*open)(void *opening))
{
    struct opening opening = {.broker = broker};
    main_run_on(broker->worker, open, &opening);
    return opening.err;
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

static void groups_loaded(struct base_task *task)
{
    struct opening *opening = BASE_CONTAINER_OF(task, struct opening, groups.task);
    main_latch_open(&opening->broker->latch);
}

static void start_group_loading(void *context)
{
    struct opening *opening = context;
    group_coordinator_load(opening->broker->groups, &opening->groups);
}

static enum base_err open_groups(struct main_broker *broker)
{
    const struct main_config *config = broker->config;
    struct group_coordinator_options options;

    group_coordinator_options_default(&options);
    options.catalog = broker->catalog;
    options.table = broker->partitions;
    options.worker = broker->worker;
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
    struct opening opening = {.broker = broker};
    opening.groups.executor = broker->executors[0];
    opening.groups.task.run = groups_loaded;
    main_start_and_wait(broker->executors[0], start_group_loading, &opening, &broker->latch);
    return opening.groups.err;
}

static bool kafka_group_is_active(void *context, const char *group_id)
{
    struct main_broker *broker = context;
    return group_coordinator_is_active(broker->groups, base_slice_text(group_id));
}

static void committed_offsets(void *context, const char *group_id,
                              const struct catalog_topic *topic, int64_t *offsets)
{
    struct main_broker *broker = context;
    group_committed_offsets(broker->groups, base_slice_text(group_id), base_slice_text(topic->name),
                            offsets, topic->partitions_count);
}

static void queues_opened(struct base_task *task)
{
    struct opening *opening = BASE_CONTAINER_OF(task, struct opening, queues.task);
    main_latch_open(&opening->broker->latch);
}

static void start_queue_opening(void *context)
{
    struct opening *opening = context;
    queue_manager_open(opening->broker->queues, &opening->queues);
}

static enum base_err open_queues(struct main_broker *broker)
{
    struct queue_manager_options options = {
        .catalog = broker->catalog,
        .table = broker->partitions,
        .clock = broker->clock,
        .worker = broker->worker,
        .executors = broker->executors,
        .executors_count = broker->loops_count,
        .delayed_max = main_config_int(broker->config, MAIN_DELAYED_MAX),
        .delayed_queue_max = main_config_int(broker->config, MAIN_DELAYED_QUEUE_MAX),
        .kafka_group_is_active = kafka_group_is_active,
        .committed_offsets = committed_offsets,
        .context = broker};
    enum base_err err = queue_manager_create(&options, &broker->queues);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct opening opening = {.broker = broker};
    opening.queues.executor = broker->executors[0];
    opening.queues.task.run = queues_opened;
    main_start_and_wait(broker->executors[0], start_queue_opening, &opening, &broker->latch);
    return opening.queues.err;
}

static void start_telemetry(void *context)
{
    struct main_broker *broker = context;
    main_telemetry_start(&broker->telemetry, broker->partitions, broker->queues);
}

static enum base_err open_identity(struct main_broker *broker)
{
    struct main_identity_options options = {.config = broker->config,
                                            .catalog = broker->catalog,
                                            .clock = broker->clock,
                                            .home = broker->executors[0],
                                            .latch = &broker->latch,
                                            .http_address = &broker->addresses.http};
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

enum base_err main__core_open(struct main_broker *broker)
{
    enum base_err err = open_on_worker(broker, open_catalog_on_worker);
    if (err == BASE_ERR_OK) {
        err = open_on_worker(broker, open_telemetry_on_worker);
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
        err = open_identity(broker);
    }
    return err;
}

/* Closing: each is begun on the first loop and hands on the latch's task. */

static void close_queues(void *context)
{
    struct main_broker *broker = context;
    queue_manager_close(broker->queues, broker->executors[0], &broker->latch.task);
}

static void close_groups(void *context)
{
    struct main_broker *broker = context;
    group_coordinator_close(broker->groups, broker->executors[0], &broker->latch.task);
}

static void close_partitions(void *context)
{
    struct main_broker *broker = context;
    partition_table_close(broker->partitions, broker->executors[0], &broker->latch.task);
}

static void close_identity(void *context)
{
    struct main_broker *broker = context;
    security_identity_close(broker->identity, &broker->latch.task);
}

static void close_catalog(void *context)
{
    struct main_broker *broker = context;
    catalog_close(broker->catalog, broker->executors[0], &broker->latch.task);
}

static void close_telemetry(void *context)
{
    struct main_broker *broker = context;
    main_telemetry_close(&broker->telemetry, &broker->latch.task);
}

static void close_and_wait(struct main_broker *broker, void (*close)(void *broker))
{
    main_start_and_wait(broker->executors[0], close, broker, &broker->latch);
}

void main__core_close(struct main_broker *broker)
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
