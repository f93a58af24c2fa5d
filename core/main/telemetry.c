/* Opening and closing the telemetry, and the samples in between. */
#include "core/main/telemetry.h"

#include "core/base/list.h"

static struct partition_traffic sum_traffic(const struct main_telemetry *telemetry,
                                            const struct catalog_topic *topic)
{
    struct partition_traffic sum = {0};

    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct partition *partition = partition_table_get(telemetry->partitions, topic->id, i);
        if (partition != NULL) {
            struct partition_traffic traffic = partition_traffic(partition);
            sum.bytes += traffic.bytes;
            sum.requests += traffic.requests;
            partition_release(&partition);
        }
    }
    return sum;
}

/* In the order of TELEMETRY_METRIC_LIST. */
bool main_telemetry_sample(void *context, const struct catalog_topic *topic,
                           const struct catalog_group *group, int64_t values[TELEMETRY_SLOTS_MAX])
{
    const struct main_telemetry *telemetry = context;
    struct base_slice group_id = base_slice_text(group == NULL ? NULL : group->id);
    struct queue_counters counters;

    if (queue_count(telemetry->queues, topic, group_id, &counters) != QUEUE_OK) {
        return false;
    }
    if (group == NULL) {
        struct partition_traffic traffic = sum_traffic(telemetry, topic);
        values[0] = counters.produced;
        values[1] = (int64_t)traffic.bytes;
        values[2] = (int64_t)traffic.requests;
        return true;
    }
    values[0] = counters.available;
    values[1] = counters.consumed;
    values[2] = counters.skipped;
    values[3] = counters.dead_available;
    values[4] = counters.dead_produced;
    return true;
}

enum base_err main_telemetry_open(struct main_telemetry *telemetry,
                                  const struct main_telemetry_options *options)
{
    struct telemetry_audit_options audit = {.store = options->store,
                                            .leader_epoch = options->leader_epoch};
    struct telemetry_series_options series = {.store = options->store,
                                              .catalog = options->catalog,
                                              .loop = options->loop,
                                              .leader_epoch = options->leader_epoch,
                                              .interval_ms = options->interval_ms,
                                              .sample = main_telemetry_sample,
                                              .context = telemetry};

    telemetry->loop = options->loop;
    enum base_err err = telemetry_audit_open(&audit, &telemetry->audit);
    if (err == BASE_ERR_OK) {
        err = telemetry_series_open(&series, &telemetry->series);
    }
    return err;
}

void main_telemetry_start(struct main_telemetry *telemetry, struct partition_table *partitions,
                          struct queue_manager *queues)
{
    telemetry->partitions = partitions;
    telemetry->queues = queues;
    telemetry_series_start(telemetry->series);
}

static void close_audit(struct main_telemetry *telemetry)
{
    if (telemetry->audit == NULL) {
        base_executor_post(telemetry->loop, telemetry->closed);
        return;
    }
    telemetry_audit_close(telemetry->audit, telemetry->loop, telemetry->closed);
    telemetry->audit = NULL;
}

static void series_closed(struct base_task *task)
{
    close_audit(BASE_CONTAINER_OF(task, struct main_telemetry, series_closed));
}

void main_telemetry_close(struct main_telemetry *telemetry, struct base_task *closed)
{
    telemetry->closed = closed;
    telemetry->series_closed.run = series_closed;
    if (telemetry->series == NULL) {
        close_audit(telemetry);
        return;
    }
    telemetry_series_close(telemetry->series, &telemetry->series_closed);
    telemetry->series = NULL;
}
