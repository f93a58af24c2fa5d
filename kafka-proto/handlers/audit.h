/* Traces of what Kafka clients change. */
#ifndef KHANDLER_AUDIT_H
#define KHANDLER_AUDIT_H

#include "core/telemetry/audit.h"
#include "kafka-proto/handlers/request.h"

/* One operation of the request. name: "createTopic". topic_id: zero where it has none. error:
 * what the client is told, a Kafka error code. */
struct khandler_audit {
    const char *name;
    enum telemetry_resource resource;
    struct base_slice resource_name;
    struct base_slice resource_id; /* null: topic_id */
    struct base_uuid topic_id;
    int16_t error;
    bool is_stranger; /* nobody knows who asked: traced in the default project */
};

void khandler_audit_write(struct khandler_request *request, const struct khandler_audit *audit);

#endif
