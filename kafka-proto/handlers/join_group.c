/* JoinGroup (key 11): waits until the group has a new generation (KIP-345, 394, 814). */
#include "core/base/assert.h"
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

enum {
    REBALANCE_TIMEOUT_VERSION = 1,
    MEMBER_ID_REQUIRED_VERSION = 4,
    SKIP_ASSIGNMENT_VERSION = 9,
};

struct join {
    struct khandler_request *request;
    struct group_join join;
};

/* The leader learns who the members are. False: no memory. */
static bool list_members(struct khandler_request *request, const struct group_join *join,
                         struct kproto_join_group_response *response)
{
    response->members = khandler_array(request, join_group_response_member, join->members_count);
    if (response->members == NULL) {
        return false;
    }
    response->members_count = join->members_count;
    for (uint32_t i = 0; i < join->members_count; i++) {
        response->members[i].member_id = join->members[i].member_id;
        response->members[i].group_instance_id = join->members[i].group_instance_id;
        response->members[i].metadata = join->members[i].metadata;
    }
    return true;
}

static void answer(struct join *own)
{
    struct khandler_request *request = own->request;
    const struct kproto_join_group_request *message = request->message;
    const struct group_join *join = &own->join;
    struct kproto_join_group_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)khandler_group_error(join->verdict);
    response.member_id =
        join->joined_member_id.data != NULL ? join->joined_member_id : message->member_id;
    bool encoded = true;
    if (join->verdict == GROUP_OK) {
        response.generation_id = join->generation;
        response.protocol_type = join->chosen_protocol_type;
        response.protocol_name = join->chosen_protocol;
        response.leader = join->leader_id;
        response.skip_assignment = join->skip_assignment;
        encoded = list_members(request, join, &response);
    }
    if (encoded) {
        khandler_encode(request, &response);
    }
    group_join_release(&own->join);
    if (encoded) {
        khandler_end(request);
    } else {
        khandler_refuse(request, "no memory");
    }
}

static void join_is_over(struct base_task *task)
{
    answer(BASE_CONTAINER_OF(task, struct join, join.task));
}

static void cancelled(struct khandler_request *request)
{
    struct join *own = request->context;

    if (group_join_cancel(request->broker->groups, &own->join)) {
        group_join_release(&own->join);
        khandler_answer_nothing(request);
    }
}

static void refuse(struct khandler_request *request, enum kproto_error error)
{
    const struct kproto_join_group_request *message = request->message;
    struct kproto_join_group_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)error;
    response.member_id = message->member_id;
    khandler_answer(request, &response);
}

/* Whoever serves the group next will have it join again. */
static void drained(struct khandler_request *request)
{
    struct join *own = request->context;

    if (group_join_cancel(request->broker->groups, &own->join)) {
        group_join_release(&own->join);
        refuse(request, KPROTO_ERROR_NOT_COORDINATOR);
    }
}

/* Java prints addresses with a slash in front, and tools show a member's host like that. Null
 * when memory is out. */
static struct base_slice host_of_client(struct khandler_request *request)
{
    struct base_slice host = khandler_client_host(request);
    return base_slice_text(
        base_arena_printf(&request->arena, "/%.*s", (int)host.length, (const char *)host.data));
}

static const struct group_protocol *list_protocols(struct khandler_request *request,
                                                   const struct kproto_join_group_request *message)
{
    struct group_protocol *protocols =
        base_arena_array(&request->arena, message->protocols_count, sizeof *protocols);

    for (uint32_t i = 0; protocols != NULL && i < message->protocols_count; i++) {
        protocols[i].name = message->protocols[i].name;
        protocols[i].metadata = message->protocols[i].metadata;
    }
    return protocols;
}

/* NULL: no memory. */
static struct join *prepare(struct khandler_request *request)
{
    const struct kproto_join_group_request *message = request->message;
    int16_t version = request->header.api_version;
    struct join *own = base_arena_object(&request->arena, struct join);

    if (own == NULL) {
        return NULL;
    }
    own->request = request;
    own->join = (struct group_join){
        .executor = request->executor,
        .task.run = join_is_over,
        .group_id = khandler_group_key(request, message->group_id),
        .member_id = message->member_id,
        .group_instance_id = message->group_instance_id,
        .client_id = request->header.client_id.data != NULL ? request->header.client_id
                                                            : base_slice_text(""),
        .client_host = host_of_client(request),
        .protocol_type = message->protocol_type,
        .protocols = list_protocols(request, message),
        .protocols_count = message->protocols_count,
        .session_timeout_ms = message->session_timeout_ms,
        .rebalance_timeout_ms = version < REBALANCE_TIMEOUT_VERSION ? message->session_timeout_ms
                                                                    : message->rebalance_timeout_ms,
        .requires_member_id = version >= MEMBER_ID_REQUIRED_VERSION,
        .supports_skip_assignment = version >= SKIP_ASSIGNMENT_VERSION,
    };
    bool failed = own->join.client_host.data == NULL || own->join.protocols == NULL;
    return failed ? NULL : own;
}

void khandler_join_group(struct khandler_request *request)
{
    const struct kproto_join_group_request *message = request->message;

    if (!khandler_group_allows(request, SECURITY_READ, message->group_id)) {
        refuse(request, KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    struct join *own = prepare(request);
    if (own == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    if (group_join(request->broker->groups, &own->join) == GROUP_DONE) {
        answer(own);
        return;
    }
    request->context = own;
    request->on_cancel = cancelled;
    request->on_drain = drained;
}
