/* SyncGroup (key 14): waits until the leader's assignment is stored. */
#include "core/base/assert.h"
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

enum { PROTOCOL_REQUIRED_VERSION = 5 }; /* KIP-559 */

struct sync {
    struct khandler_request *request;
    struct group_sync sync;
};

/* While offsets are loaded, the state of the rebalance is lost: clients join again. Not
 * COORDINATOR_LOAD_IN_PROGRESS, which they do not expect here and take for fatal. */
static enum kproto_error error_of(enum group_verdict verdict)
{
    return verdict == GROUP_NOT_READY ? KPROTO_ERROR_REBALANCE_IN_PROGRESS
                                      : khandler_group_error(verdict);
}

static void answer(struct sync *own)
{
    struct khandler_request *request = own->request;
    struct kproto_sync_group_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)error_of(own->sync.verdict);
    if (own->sync.verdict == GROUP_OK) {
        response.protocol_type = own->sync.chosen_protocol_type;
        response.protocol_name = own->sync.chosen_protocol;
        response.assignment = own->sync.assignment;
    }
    khandler_encode(request, &response);
    group_sync_release(&own->sync);
    khandler_end(request);
}

static void sync_is_over(struct base_task *task)
{
    answer(BASE_CONTAINER_OF(task, struct sync, sync.task));
}

static void cancelled(struct khandler_request *request)
{
    struct sync *own = request->context;

    if (group_sync_cancel(request->broker->groups, &own->sync)) {
        group_sync_release(&own->sync);
        khandler_answer_nothing(request);
    }
}

static void refuse(struct khandler_request *request, enum kproto_error error)
{
    struct kproto_sync_group_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)error;
    khandler_answer(request, &response);
}

/* Whoever serves the group next will have it join again. */
static void drained(struct khandler_request *request)
{
    struct sync *own = request->context;

    if (group_sync_cancel(request->broker->groups, &own->sync)) {
        group_sync_release(&own->sync);
        refuse(request, KPROTO_ERROR_NOT_COORDINATOR);
    }
}

static const struct group_assignment *
list_assignments(struct khandler_request *request, const struct kproto_sync_group_request *message)
{
    struct group_assignment *assignments =
        base_arena_array(&request->arena, message->assignments_count, sizeof *assignments);

    for (uint32_t i = 0; assignments != NULL && i < message->assignments_count; i++) {
        assignments[i].member_id = message->assignments[i].member_id;
        assignments[i].assignment = message->assignments[i].assignment;
    }
    return assignments;
}

/* NULL: no memory. */
static struct sync *prepare(struct khandler_request *request)
{
    const struct kproto_sync_group_request *message = request->message;
    struct sync *own = base_arena_object(&request->arena, struct sync);

    if (own == NULL) {
        return NULL;
    }
    own->request = request;
    own->sync = (struct group_sync){
        .executor = request->executor,
        .task.run = sync_is_over,
        .group_id = khandler_group_key(request, message->group_id),
        .member_id = message->member_id,
        .group_instance_id = message->group_instance_id,
        .generation = message->generation_id,
        .protocol_type = message->protocol_type,
        .protocol = message->protocol_name,
        .assignments = list_assignments(request, message),
        .assignments_count = message->assignments_count,
    };
    return own->sync.assignments == NULL ? NULL : own;
}

void khandler_sync_group(struct khandler_request *request)
{
    const struct kproto_sync_group_request *message = request->message;

    if (request->header.api_version >= PROTOCOL_REQUIRED_VERSION &&
        (message->protocol_type.data == NULL || message->protocol_name.data == NULL)) {
        refuse(request, KPROTO_ERROR_INCONSISTENT_GROUP_PROTOCOL);
        return;
    }
    if (!khandler_group_allows(request, SECURITY_READ, message->group_id)) {
        refuse(request, KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    struct sync *own = prepare(request);
    if (own == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    if (group_sync(request->broker->groups, &own->sync) == GROUP_DONE) {
        answer(own);
        return;
    }
    request->context = own;
    request->on_cancel = cancelled;
    request->on_drain = drained;
}
