/* FindCoordinator (key 10): which broker runs a group. Up to version 3 one key, from 4 on
 * many. */
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

enum key_type { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2 };

enum { BATCH_VERSION_MIN = 4 };

/* *why is set with an error. */
static enum kproto_error judge_key(struct khandler_request *request, int8_t key_type,
                                   struct base_slice key, const char **why)
{
    *why = NULL;
    if (key_type == KEY_GROUP) {
        if (!khandler_group_allows(request, SECURITY_DESCRIBE, key)) {
            *why = kproto_error_text(KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED);
            return KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED;
        }
        /* An empty group id is refused when the group is used, as Kafka does it. */
        if (!group_coordinator_is_ready(request->broker->groups)) {
            *why = kproto_error_text(KPROTO_ERROR_COORDINATOR_NOT_AVAILABLE);
            return KPROTO_ERROR_COORDINATOR_NOT_AVAILABLE;
        }
        return KPROTO_ERROR_NONE;
    }
    if (key_type == KEY_TRANSACTION) {
        /* The code that stops clients at once; see init_producer_id.c. */
        *why = "transactions are not offered by this broker";
        return KPROTO_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    *why = key_type == KEY_SHARE ? "share groups are not offered by this broker"
                                 : "unknown type of key";
    return KPROTO_ERROR_INVALID_REQUEST;
}

static void answer_one(struct khandler_request *request,
                       struct kproto_find_coordinator_response *response)
{
    const struct kproto_find_coordinator_request *message = request->message;
    const char *why = NULL;
    enum kproto_error error = judge_key(request, message->key_type, message->key, &why);

    response->error_code = (int16_t)error;
    response->error_message = base_slice_text(why);
    response->node_id = -1;
    response->port = -1;
    if (error == KPROTO_ERROR_NONE) {
        response->node_id = request->broker->node_id;
        response->host = base_slice_text(request->broker->advertised_host);
        response->port = request->broker->advertised_port;
    }
    khandler_answer(request, response);
}

static void answer_batch(struct khandler_request *request,
                         struct kproto_find_coordinator_response *response)
{
    const struct kproto_find_coordinator_request *message = request->message;
    uint32_t count = message->coordinator_keys_count;

    response->coordinators = khandler_array(request, find_coordinator_response_coordinator, count);
    if (response->coordinators == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    response->coordinators_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct kproto_find_coordinator_response_coordinator *one = &response->coordinators[i];
        const char *why = NULL;

        one->key = message->coordinator_keys[i];
        enum kproto_error error = judge_key(request, message->key_type, one->key, &why);
        one->error_code = (int16_t)error;
        one->error_message = base_slice_text(why);
        one->node_id = -1;
        one->port = -1;
        if (error == KPROTO_ERROR_NONE) {
            one->node_id = request->broker->node_id;
            one->host = base_slice_text(request->broker->advertised_host);
            one->port = request->broker->advertised_port;
        }
    }
    khandler_answer(request, response);
}

void khandler_find_coordinator(struct khandler_request *request)
{
    struct kproto_find_coordinator_response response;

    kproto_init(request->api->response->schema, &response);
    if (request->header.api_version >= BATCH_VERSION_MIN) {
        answer_batch(request, &response);
    } else {
        answer_one(request, &response);
    }
}
