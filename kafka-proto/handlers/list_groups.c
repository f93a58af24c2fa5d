/* ListGroups (key 16): the groups of this broker, by state and type (KIP-518, KIP-848). */
#include <strings.h>

#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

static const char group_type[] = "classic"; /* the only one there is */

static bool wants_type(const struct kproto_list_groups_request *message)
{
    for (uint32_t i = 0; i < message->types_filter_count; i++) {
        struct base_slice type = message->types_filter[i];
        if (type.length == sizeof group_type - 1 &&
            strncasecmp(group_type, (const char *)type.data, type.length) == 0) {
            return true;
        }
    }
    return message->types_filter_count == 0;
}

/* The set of states asked for, empty for all. False when no group can be in any of them. */
static bool wants_states(const struct kproto_list_groups_request *message, unsigned *states)
{
    *states = 0;
    for (uint32_t i = 0; i < message->states_filter_count; i++) {
        enum group_state state;
        if (group_state_parse(message->states_filter[i], &state)) {
            *states |= 1u << state;
        }
    }
    return message->states_filter_count == 0 || *states != 0;
}

/* False: no memory. */
static bool list(struct khandler_request *request, struct base_arena *arena,
                 struct kproto_list_groups_response *response)
{
    const struct kproto_list_groups_request *message = request->message;
    struct group_listing *listings = NULL;
    uint32_t count = 0;
    unsigned states;

    if (!wants_states(message, &states) || !wants_type(message)) {
        return true;
    }
    enum group_verdict verdict =
        group_list(request->broker->groups, states, arena, &listings, &count);
    response->error_code = (int16_t)khandler_group_error(verdict);
    response->groups = kproto_array_create(arena, list_groups_response_group, count);
    if (response->groups == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct base_slice group_id;
        if (!khandler_group_id(request, listings[i].group_id, &group_id) ||
            !khandler_group_allows(request, SECURITY_GET_GROUPS, group_id)) {
            continue;
        }
        struct kproto_list_groups_response_group *group =
            &response->groups[response->groups_count++];
        group->group_id = group_id;
        group->protocol_type = listings[i].protocol_type;
        group->group_state = base_slice_text(group_state_name(listings[i].state));
        group->group_type = base_slice_text(group_type);
    }
    return true;
}

void khandler_list_groups(struct khandler_request *request)
{
    struct kproto_list_groups_response response;
    struct base_arena arena;

    kproto_init(request->api->response->schema, &response);
    base_arena_init(&arena, KHANDLER_GROUP_ANSWER_BYTES_MAX);
    bool listed = list(request, &arena, &response);
    if (listed) {
        khandler_encode(request, &response);
    }
    base_arena_fini(&arena);
    if (listed) {
        khandler_end(request);
    } else {
        khandler_refuse(request, "no memory");
    }
}
