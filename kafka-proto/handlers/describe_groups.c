/* DescribeGroups (key 15): state and members of groups. */
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

enum { NOT_FOUND_VERSION = 6 }; /* KIP-1043; before, an unknown group is a dead one */

/* Kafka's numbers of operations, which are bits of authorized_operations (KIP-430). */
enum { OPERATION_READ = 3, OPERATION_DELETE = 6, OPERATION_DESCRIBE = 8 };

static int32_t operations(const struct khandler_request *request, struct base_slice group_id)
{
    static const struct {
        enum security_action action;
        int operation;
    } rows[] = {
        {SECURITY_READ, OPERATION_READ},
        {SECURITY_DELETE, OPERATION_DELETE},
        {SECURITY_GET_GROUPS, OPERATION_DESCRIBE},
    };
    int32_t bits = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (khandler_group_allows(request, rows[i].action, group_id)) {
            bits |= 1 << rows[i].operation;
        }
    }
    return bits;
}

/* False: no memory. */
static bool list_members(const struct group_description *description, struct base_arena *arena,
                         struct kproto_describe_groups_response_group *answer)
{
    answer->members =
        kproto_array_create(arena, describe_groups_response_member, description->members_count);
    if (answer->members == NULL) {
        return false;
    }
    answer->members_count = description->members_count;
    for (uint32_t i = 0; i < description->members_count; i++) {
        const struct group_member_description *member = &description->members[i];
        answer->members[i].member_id = member->member_id;
        answer->members[i].group_instance_id = member->group_instance_id;
        answer->members[i].client_id = member->client_id;
        answer->members[i].client_host = member->client_host;
        answer->members[i].member_metadata = member->metadata;
        answer->members[i].member_assignment = member->assignment;
    }
    return true;
}

static void answer_unknown(const struct khandler_request *request, struct base_arena *arena,
                           struct kproto_describe_groups_response_group *answer)
{
    struct base_slice id = answer->group_id;

    answer->group_state = base_slice_text(group_state_name(GROUP_DEAD));
    if (request->header.api_version >= NOT_FOUND_VERSION) {
        answer->error_code = KPROTO_ERROR_GROUP_ID_NOT_FOUND;
        answer->error_message = base_slice_text(base_arena_printf(
            arena, "Group %.*s not found.", (int)id.length, (const char *)id.data));
    }
}

/* False: no memory. */
static bool describe(struct khandler_request *request, struct base_slice group_id,
                     struct base_arena *arena, struct kproto_describe_groups_response_group *answer)
{
    const struct kproto_describe_groups_request *message = request->message;
    struct group_description description;

    answer->group_id = group_id;
    if (!khandler_group_allows(request, SECURITY_GET_GROUPS, group_id)) {
        answer->error_code = KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED;
        return true;
    }
    enum group_verdict verdict = group_describe(
        request->broker->groups, khandler_group_key(request, group_id), arena, &description);
    if (verdict == GROUP_NOT_FOUND) {
        answer_unknown(request, arena, answer);
    } else if (verdict != GROUP_OK) {
        answer->error_code = (int16_t)khandler_group_error(verdict);
    } else {
        answer->group_state = base_slice_text(group_state_name(description.state));
        answer->protocol_type = description.protocol_type;
        answer->protocol_data = description.protocol;
        if (!list_members(&description, arena, answer)) {
            return false;
        }
    }
    if (answer->error_code == KPROTO_ERROR_NONE && message->include_authorized_operations) {
        answer->authorized_operations = operations(request, group_id);
    }
    return true;
}

void khandler_describe_groups(struct khandler_request *request)
{
    const struct kproto_describe_groups_request *message = request->message;
    struct kproto_describe_groups_response response;
    struct base_arena arena;

    kproto_init(request->api->response->schema, &response);
    base_arena_init(&arena, KHANDLER_GROUP_ANSWER_BYTES_MAX);
    response.groups =
        kproto_array_create(&arena, describe_groups_response_group, message->groups_count);
    response.groups_count = message->groups_count;
    bool described = response.groups != NULL;
    for (uint32_t i = 0; described && i < message->groups_count; i++) {
        described = describe(request, message->groups[i], &arena, &response.groups[i]);
    }
    if (described) {
        khandler_encode(request, &response);
    }
    base_arena_fini(&arena);
    if (described) {
        khandler_end(request);
    } else {
        khandler_refuse(request, "no memory");
    }
}
