/* The broker's telemetry: audit trail, series of metrics, and where their numbers come from. */
#ifndef MAIN_TELEMETRY_H
#define MAIN_TELEMETRY_H

#include "core/partition/table.h"
#include "core/queue/queue.h"
#include "core/telemetry/audit.h"
#include "core/telemetry/series.h"

/* Embedded in the broker; zeroed before open. */
struct main_telemetry {
    struct telemetry_audit *audit;      /* owned */
    struct telemetry_series *series;    /* owned */
    struct base_executor *loop;         /* borrowed */
    struct partition_table *partitions; /* borrowed; set by start */
    struct queue_manager *queues;       /* borrowed; set by start */
    struct base_task *closed;           /* borrowed */
    struct base_task series_closed;
};

struct main_telemetry_options {
    struct logstore_store *store; /* borrowed */
    struct catalog *catalog;      /* borrowed */
    struct base_executor *loop;   /* borrowed */
    int32_t leader_epoch;
    int64_t interval_ms; /* of the series */
};

/* Worker only. What was opened before an error is closed by main_telemetry_close. */
BASE_MUST_USE enum base_err main_telemetry_open(struct main_telemetry *telemetry,
                                                const struct main_telemetry_options *options);

/* Begins to record metrics. On the loop, once queues are open. */
void main_telemetry_start(struct main_telemetry *telemetry, struct partition_table *partitions,
                          struct queue_manager *queues);

/* Records what has not been and posts closed to the loop. On the loop, before queues close. */
void main_telemetry_close(struct main_telemetry *telemetry, struct base_task *closed);

/* See telemetry_series_sample; context is a struct main_telemetry. Any thread. */
telemetry_series_sample main_telemetry_sample;

#endif
