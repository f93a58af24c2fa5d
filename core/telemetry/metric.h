/* The metrics of queues and groups: names and units as the monitoring service has them. */
#ifndef TELEMETRY_METRIC_H
#define TELEMETRY_METRIC_H

#include <stdbool.h>

#include "core/base/slice.h"

/* Row: enum name, metric name, unit, of a queue or a group, slot among its values, whether the
 * series holds what was added in the interval instead of the state at its end, help. */
#define TELEMETRY_METRIC_LIST(X)                                                                  \
    X(QUEUED_MESSAGES, "queued_messages", "Count", QUEUE, 0, false, "Messages in the queue now")  \
    X(MESSAGE_SIZE, "message_size", "Byte", QUEUE, 1, true, "Bytes of produced messages")         \
    X(REQUEST_COUNT, "request_count", "Count", QUEUE, 2, true, "Requests that produced messages") \
    X(ACCUMULATED_MESSAGES, "accumulated_messages", "Count", GROUP, 0, false,                     \
      "Messages in the queue that the group has not consumed")                                    \
    X(CONSUMED_MESSAGES, "consumed_messages", "Count", GROUP, 1, false,                           \
      "Messages the group has consumed since it was made, dead letters included")                 \
    X(SKIPPED_MESSAGES, "skipped_messages", "Count", GROUP, 2, false,                             \
      "Messages that expired before the group consumed them")                                     \
    X(DEAD_AVAIL_MESSAGES, "dead_avail_messages", "Count", GROUP, 3, false,                       \
      "Dead letters of the group that can be consumed now")                                       \
    X(DEAD_HIS_MESSAGES, "dead_his_messages", "Count", GROUP, 4, false,                           \
      "Dead letters of the group since it was made")

#define TELEMETRY_METRIC_ENUM(name, text, unit, of, slot, is_rate, help) TELEMETRY_METRIC_##name,
enum telemetry_metric_id { TELEMETRY_METRIC_LIST(TELEMETRY_METRIC_ENUM) TELEMETRY_METRIC_COUNT };
#undef TELEMETRY_METRIC_ENUM

enum telemetry_metric_of { TELEMETRY_OF_QUEUE, TELEMETRY_OF_GROUP };

enum { TELEMETRY_SLOTS_MAX = 5, TELEMETRY_QUEUE_SLOTS = 3, TELEMETRY_GROUP_SLOTS = 5 };

struct telemetry_metric_row {
    const char *name;
    const char *unit;
    enum telemetry_metric_of of;
    unsigned slot;
    bool is_rate;
    const char *help;
};

/* Static storage. */
const struct telemetry_metric_row *telemetry_metric_row(enum telemetry_metric_id metric);

bool telemetry_metric_parse(struct base_slice name, enum telemetry_metric_id *out);

#endif
