/* LeaveGroup (key 13): members go at once instead of when their sessions run out (KIP-345:
 * several of them, and by instance id). */
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

enum { MEMBERS_VERSION = 3 };

/* Up to version 2 a request is a batch of one. */
static struct group_leave_member *list_members(struct khandler_request *request, uint32_t *count)
{
    const struct kproto_leave_group_request *message = request->message;
    bool is_batch = request->header.api_version >= MEMBERS_VERSION;

    *count = is_batch ? message->members_count : 1;
    struct group_leave_member *members = base_arena_array(&request->arena, *count, sizeof *members);
    if (members != NULL && !is_batch) {
        members[0].member_id = message->member_id;
        return members;
    }
    for (uint32_t i = 0; members != NULL && i < *count; i++) {
        members[i].member_id = message->members[i].member_id;
        members[i].group_instance_id = message->members[i].group_instance_id;
    }
    return members;
}

/* False: no memory. */
static bool answer_members(struct khandler_request *request, const struct group_leave *leave,
                           struct kproto_leave_group_response *response)
{
    response->members = khandler_array(request, leave_group_response_member, leave->members_count);
    if (response->members == NULL) {
        return false;
    }
    response->members_count = leave->members_count;
    for (uint32_t i = 0; i < leave->members_count; i++) {
        const struct group_leave_member *member = &leave->members[i];
        response->members[i].member_id = member->member_id;
        response->members[i].group_instance_id = member->group_instance_id;
        response->members[i].error_code = (int16_t)khandler_group_error(member->verdict);
    }
    return true;
}

/* False: no memory. */
static bool leave_group(struct khandler_request *request,
                        struct kproto_leave_group_response *response)
{
    const struct kproto_leave_group_request *message = request->message;
    struct group_leave leave = {.executor = request->executor,
                                .group_id = khandler_group_key(request, message->group_id)};

    if (!khandler_group_allows(request, SECURITY_READ, message->group_id)) {
        response->error_code = KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED;
        return true;
    }
    leave.members = list_members(request, &leave.members_count);
    if (leave.members == NULL) {
        return false;
    }
    enum group_verdict verdict = group_leave(request->broker->groups, &leave);
    if (verdict == GROUP_OK && request->header.api_version < MEMBERS_VERSION) {
        verdict = leave.members[0].verdict;
    }
    response->error_code = (int16_t)khandler_group_error(verdict);
    return verdict != GROUP_OK || answer_members(request, &leave, response);
}

void khandler_leave_group(struct khandler_request *request)
{
    struct kproto_leave_group_response response;

    kproto_init(request->api->response->schema, &response);
    if (leave_group(request, &response)) {
        khandler_answer(request, &response);
    } else {
        khandler_refuse(request, "no memory");
    }
}
