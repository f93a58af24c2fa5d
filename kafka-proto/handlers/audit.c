/* From an answered request to its trace. */
#include "kafka-proto/handlers/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/uuid.h"
#include "kafka-proto/error.h"

static enum telemetry_rating rating_of(int16_t error)
{
    if (error == KPROTO_ERROR_NONE) {
        return TELEMETRY_RATING_NORMAL;
    }
    return error == KPROTO_ERROR_UNKNOWN_SERVER_ERROR || error == KPROTO_ERROR_KAFKA_STORAGE_ERROR
               ? TELEMETRY_RATING_INCIDENT
               : TELEMETRY_RATING_WARNING;
}

void khandler_audit_write(struct khandler_request *request, const struct khandler_audit *audit)
{
    const struct security_principal *principal =
        audit->is_stranger ? security_anonymous() : request->principal;
    char id[BASE_UUID_TEXT_SIZE] = "";
    char code[16];
    char request_id[16];

    if (!base_uuid_is_zero(audit->topic_id)) {
        base_uuid_format(audit->topic_id, id);
    }
    (void)snprintf(code, sizeof code, "%" PRId16, audit->error);
    (void)snprintf(request_id, sizeof request_id, "%" PRId32, request->header.correlation_id);
    struct telemetry_trace trace = {
        .name = base_slice_text(audit->name),
        .resource = audit->resource,
        .rating = rating_of(audit->error),
        .resource_id = audit->resource_id.data != NULL ? audit->resource_id : base_slice_text(id),
        .resource_name = audit->resource_name,
        .project_id = base_slice_text(principal->project_id),
        .user_id = base_slice_text(principal->user_id),
        .domain_id = base_slice_text(principal->domain_id),
        .domain_name = base_slice_text(principal->domain_name),
        .user_name = base_slice_text(principal->name),
        .source_ip = khandler_client_host(request),
        .request_id = base_slice_text(request_id),
        .api_version = base_slice_text("kafka"),
        .code = base_slice_text(code),
        .message = base_slice_text(
            audit->error == KPROTO_ERROR_NONE ? NULL : kproto_error_text(audit->error)),
        .is_stranger = audit->is_stranger,
    };
    telemetry_audit_write(request->broker->audit, &trace, request->executor);
}
