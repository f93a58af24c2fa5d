/* Heartbeat (key 12): a member is alive. */
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

static enum kproto_error beat(struct khandler_request *request)
{
    const struct kproto_heartbeat_request *message = request->message;
    struct group_heartbeat heartbeat = {
        .group_id = khandler_group_key(request, message->group_id),
        .member_id = message->member_id,
        .group_instance_id = message->group_instance_id,
        .generation = message->generation_id,
    };

    if (!khandler_group_allows(request, SECURITY_READ, message->group_id)) {
        return KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED;
    }
    enum group_verdict verdict = group_heartbeat(request->broker->groups, &heartbeat);
    /* No session runs out while groups are loaded, and clients expect no such error here. */
    return verdict == GROUP_NOT_READY ? KPROTO_ERROR_NONE : khandler_group_error(verdict);
}

void khandler_heartbeat(struct khandler_request *request)
{
    struct kproto_heartbeat_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)beat(request);
    khandler_answer(request, &response);
}
