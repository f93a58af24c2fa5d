/* Verdicts of the group coordinator in Kafka's words. */
#include "kafka-proto/handlers/group_errors.h"

enum kproto_error khandler_group_error(enum group_verdict verdict)
{
    switch (verdict) {
    case GROUP_OK:
        return KPROTO_ERROR_NONE;
    case GROUP_NOT_READY:
        return KPROTO_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    case GROUP_CLOSING:
    case GROUP_STORAGE_FAILED:
    case GROUP_OUT_OF_MEMORY: /* may be over soon: clients come again */
        return KPROTO_ERROR_COORDINATOR_NOT_AVAILABLE;
    case GROUP_INVALID_GROUP_ID:
        return KPROTO_ERROR_INVALID_GROUP_ID;
    case GROUP_INVALID_SESSION_TIMEOUT:
        return KPROTO_ERROR_INVALID_SESSION_TIMEOUT;
    case GROUP_INCONSISTENT_PROTOCOL:
        return KPROTO_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    case GROUP_MEMBER_ID_REQUIRED:
        return KPROTO_ERROR_MEMBER_ID_REQUIRED;
    case GROUP_UNKNOWN_MEMBER:
        return KPROTO_ERROR_UNKNOWN_MEMBER_ID;
    case GROUP_FENCED_INSTANCE:
        return KPROTO_ERROR_FENCED_INSTANCE_ID;
    case GROUP_ILLEGAL_GENERATION:
        return KPROTO_ERROR_ILLEGAL_GENERATION;
    case GROUP_REBALANCE_IN_PROGRESS:
        return KPROTO_ERROR_REBALANCE_IN_PROGRESS;
    case GROUP_MAX_SIZE:
        return KPROTO_ERROR_GROUP_MAX_SIZE_REACHED;
    case GROUP_TOO_MANY_GROUPS: /* a limit Kafka does not have; not retried, so it is seen */
        return KPROTO_ERROR_POLICY_VIOLATION;
    case GROUP_MEMBER_TOO_LARGE: /* what Kafka says when the group's record is too large */
        return KPROTO_ERROR_UNKNOWN_SERVER_ERROR;
    case GROUP_METADATA_TOO_LARGE:
        return KPROTO_ERROR_OFFSET_METADATA_TOO_LARGE;
    case GROUP_NOT_EMPTY:
        return KPROTO_ERROR_NON_EMPTY_GROUP;
    case GROUP_NOT_FOUND:
        return KPROTO_ERROR_GROUP_ID_NOT_FOUND;
    case GROUP_SUBSCRIBED_TO_TOPIC:
        return KPROTO_ERROR_GROUP_SUBSCRIBED_TO_TOPIC;
    case GROUP_VERDICT_COUNT:
        break;
    }
    return KPROTO_ERROR_UNKNOWN_SERVER_ERROR;
}

bool khandler_group_allows(const struct khandler_request *request, enum security_action action,
                           struct base_slice group_id)
{
    const struct catalog_topic *queue =
        catalog_view_topic_of_group(khandler_view(request), group_id);
    return security_authorize(request->principal, action, security_group(queue));
}
