/* Verdicts of the group coordinator in Kafka's words. */
#include "kafka-proto/handlers/group_errors.h"

#include <string.h>

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

/* A project's id and a slash. */
enum { PREFIX_LENGTH = CATALOG_PROJECT_ID_SIZE };

static bool has_prefix(struct base_slice text)
{
    if (text.length < PREFIX_LENGTH || text.data[PREFIX_LENGTH - 1] != '/') {
        return false;
    }
    for (size_t i = 0; i < PREFIX_LENGTH - 1; i++) {
        uint8_t byte = text.data[i];
        if (!((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool is_of_default_project(const struct khandler_request *request)
{
    return strcmp(request->principal->project_id, security_default_project) == 0;
}

static bool is_of_queue(const struct khandler_request *request, struct base_slice id)
{
    return catalog_view_topic_of_group(khandler_view(request), id) != NULL;
}

struct base_slice khandler_group_key(struct khandler_request *request, struct base_slice group_id)
{
    if (security_is_anonymous(request->principal) || group_id.length == 0 ||
        is_of_queue(request, group_id) ||
        (is_of_default_project(request) && !has_prefix(group_id))) {
        return group_id;
    }
    size_t length = PREFIX_LENGTH + group_id.length;
    char *key = base_arena_alloc(&request->arena, length);
    if (key == NULL) {
        return base_slice_of(NULL, 0);
    }
    memcpy(key, request->principal->project_id, PREFIX_LENGTH - 1);
    key[PREFIX_LENGTH - 1] = '/';
    memcpy(key + PREFIX_LENGTH, group_id.data, group_id.length);
    return base_slice_of(key, length);
}

bool khandler_group_id(const struct khandler_request *request, struct base_slice key,
                       struct base_slice *group_id)
{
    *group_id = key;
    if (security_is_anonymous(request->principal) || is_of_queue(request, key)) {
        return true;
    }
    if (!has_prefix(key)) {
        return is_of_default_project(request);
    }
    *group_id = base_slice_of(key.data + PREFIX_LENGTH, key.length - PREFIX_LENGTH);
    return memcmp(key.data, request->principal->project_id, PREFIX_LENGTH - 1) == 0;
}

bool khandler_group_allows(const struct khandler_request *request, enum security_action action,
                           struct base_slice group_id)
{
    const struct catalog_view *view = khandler_view(request);
    const struct catalog_topic *queue = catalog_view_topic_of_group(view, group_id);
    return security_authorize(request->principal, action, security_group(view, queue));
}
