/* What the broker counts about itself. Counting is one relaxed add on a cache line of the
 * counting thread; reading sums over threads. */
#ifndef TELEMETRY_COUNTERS_H
#define TELEMETRY_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* Row: enum name, metric name, help. All are monotonic counters. */
#define TELEMETRY_COUNTER_LIST(X)                                                                  \
    X(KAFKA_REQUESTS, "dmsd_kafka_requests_total", "Kafka requests handled")                       \
    X(KAFKA_REQUEST_BYTES, "dmsd_kafka_request_bytes_total", "Bytes of Kafka requests")            \
    X(KAFKA_RESPONSE_BYTES, "dmsd_kafka_response_bytes_total", "Bytes of Kafka responses")         \
    X(KAFKA_REJECTED, "dmsd_kafka_rejected_total", "Kafka connections closed for bad requests")    \
    X(PRODUCED_BATCHES, "dmsd_produced_batches_total", "Record batches appended for clients")      \
    X(PRODUCED_RECORDS, "dmsd_produced_records_total", "Records appended for clients")             \
    X(PRODUCED_BYTES, "dmsd_produced_bytes_total", "Bytes of record batches appended for clients") \
    X(FETCHED_BYTES, "dmsd_fetched_bytes_total", "Bytes of record batches sent to consumers")      \
    X(HTTP_REQUESTS, "dmsd_http_requests_total", "HTTP requests handled")                          \
    X(HTTP_CLIENT_ERRORS, "dmsd_http_client_errors_total", "HTTP answers with a status of 4xx")    \
    X(HTTP_SERVER_ERRORS, "dmsd_http_server_errors_total", "HTTP answers with a status of 5xx")    \
    X(QUEUE_PRODUCED, "dmsd_queue_produced_messages_total", "Messages produced over REST")         \
    X(QUEUE_CONSUMED, "dmsd_queue_consumed_messages_total", "Messages leased over REST")           \
    X(QUEUE_ACKED, "dmsd_queue_acked_messages_total", "Messages acknowledged over REST")

#define TELEMETRY_COUNTER_ENUM(name, metric, help) TELEMETRY_##name,
enum telemetry_counter { TELEMETRY_COUNTER_LIST(TELEMETRY_COUNTER_ENUM) TELEMETRY_COUNTER_COUNT };
#undef TELEMETRY_COUNTER_ENUM

/* Any thread. */
void telemetry_add(enum telemetry_counter counter, uint64_t value);

/* Sum over all threads, also those that ended. */
uint64_t telemetry_read(enum telemetry_counter counter);

const char *telemetry_metric(enum telemetry_counter counter);
const char *telemetry_help(enum telemetry_counter counter);

#endif
