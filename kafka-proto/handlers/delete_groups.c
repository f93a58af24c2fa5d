/* DeleteGroups (key 42): groups without members, with their offsets; all at the same time. */
#include "core/base/assert.h"
#include "kafka-proto/handlers/audit.h"
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

struct deletion {
    struct khandler_request *request;
    struct kproto_delete_groups_response response;
    struct deletion_group *groups;
    uint32_t pending_count; /* groups whose end is not known, and one while they are begun */
};

struct deletion_group {
    struct group_delete delete;
    struct deletion *deletion;
    struct kproto_delete_groups_response_group *answer;
};

/* A group of a queue stays, as REST made it: only its offsets go. */
static void trace(struct khandler_request *request,
                  const struct kproto_delete_groups_response_group *group)
{
    const struct catalog_topic *queue =
        catalog_view_topic_of_group(khandler_view(request), group->group_id);
    struct khandler_audit audit = {.name = "deleteGroup",
                                   .resource = TELEMETRY_RESOURCE_GROUP,
                                   .resource_name = group->group_id,
                                   .error = group->error_code};

    if (queue != NULL) {
        audit.name = "deleteGroupOffsets";
        audit.resource_id = group->group_id;
        audit.resource_name = base_slice_text(catalog_topic_group(queue, group->group_id)->name);
    }
    khandler_audit_write(request, &audit);
}

static void trace_all(struct deletion *deletion)
{
    for (uint32_t i = 0; i < deletion->response.results_count; i++) {
        trace(deletion->request, &deletion->response.results[i]);
    }
}

static void one_is_over(struct deletion *deletion)
{
    BASE_ASSERT(deletion->pending_count > 0);
    if (--deletion->pending_count == 0) {
        trace_all(deletion);
        khandler_answer(deletion->request, &deletion->response);
    }
}

static void take_verdict(struct deletion_group *group)
{
    group->answer->error_code = (int16_t)khandler_group_error(group->delete.verdict);
}

static void group_is_over(struct base_task *task)
{
    struct deletion_group *group = BASE_CONTAINER_OF(task, struct deletion_group, delete.task);

    take_verdict(group);
    one_is_over(group->deletion);
}

static void begin(struct deletion *deletion, struct deletion_group *group,
                  struct base_slice group_id)
{
    struct khandler_request *request = deletion->request;

    group->answer->group_id = group_id;
    if (!khandler_group_allows(request, SECURITY_DELETE, group_id)) {
        group->answer->error_code = KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED;
        return;
    }
    group->deletion = deletion;
    group->delete.executor = request->executor;
    group->delete.task.run = group_is_over;
    group->delete.group_id = khandler_group_key(request, group_id);
    if (group_delete(request->broker->groups, &group->delete) == GROUP_DONE) {
        take_verdict(group);
    } else {
        deletion->pending_count++;
    }
}

/* A deletion that has begun cannot be cut short: the request lives until all are over. */
void khandler_delete_groups(struct khandler_request *request)
{
    const struct kproto_delete_groups_request *message = request->message;
    uint32_t count = message->groups_names_count;
    struct deletion *deletion = base_arena_object(&request->arena, struct deletion);

    if (deletion == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    deletion->request = request;
    kproto_init(request->api->response->schema, &deletion->response);
    deletion->groups = base_arena_array(&request->arena, count, sizeof *deletion->groups);
    deletion->response.results = khandler_array(request, delete_groups_response_group, count);
    if (deletion->groups == NULL || deletion->response.results == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    deletion->response.results_count = count;
    deletion->pending_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        deletion->groups[i].answer = &deletion->response.results[i];
        begin(deletion, &deletion->groups[i], message->groups_names[i]);
    }
    one_is_over(deletion);
}
