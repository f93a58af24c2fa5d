/* Consumer groups: made, listed, deleted. */
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/catalog/quota.h"
#include "core/group/coordinator.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit.h"
#include "rest-gw/change_priv.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/names.h"
#include "rest-gw/scope_priv.h"
#include "rest-gw/text.h"

static const struct restgw__change_errors creation_errors = {
    .exists = RESTGW_ERROR_GROUP_EXISTS,
    .quota = RESTGW_ERROR_TOO_MANY_GROUPS,
    .not_found = RESTGW_ERROR_QUEUE_NOT_FOUND,
};

static const struct restgw__change_errors deletion_errors = {
    .not_found = RESTGW_ERROR_GROUP_NOT_FOUND,
};

/* What a change of groups is about; the context of the change. The partitions have a part in
 * it: those of the groups' dead letters. */
struct group_change {
    uint32_t created_count; /* of the topic's last groups */
    struct base_slice deleted_id;
    struct restgw__change *change;
    struct partition_topic_op op;
    struct group_delete kafka; /* the positions of its Kafka clients go with it */
};

/* What the operation gave is what the change gave. */
static void op_is_over(struct base_task *task)
{
    struct group_change *about = BASE_CONTAINER_OF(task, struct group_change, op.task);
    struct catalog_change *change = &about->change->change;

    change->verdict = about->op.verdict;
    change->err = about->op.err;
    change->topic = about->op.topic;
    change->task.run(&change->task);
}

/* NULL with the request answered. */
static struct group_change *begin_change(struct restgw_request *request,
                                         const struct restgw__change_errors *errors,
                                         struct group_change about, base_task_run *done)
{
    struct group_change *context =
        base_arena_object(restgw_request_arena(request), struct group_change);
    if (context == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    *context = about;
    struct restgw__change *change = restgw__change_begin(request, errors, done);
    if (change == NULL) {
        return NULL;
    }
    change->context = context;
    context->change = change;
    context->op.executor = restgw_request_executor(request);
    context->op.task.run = op_is_over;
    return context;
}

static void groups_created(struct base_task *task)
{
    struct restgw__change *change = restgw__change_of(task);
    const struct group_change *creation = change->context;
    struct restgw_request *request = change->request;

    if (!restgw__change_was_made(change)) {
        return;
    }
    struct catalog_topic *topic = change->change.topic;
    BASE_ASSERT(topic->groups_count >= creation->created_count);
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"groups\":[");
    uint32_t first = topic->groups_count - creation->created_count;
    for (uint32_t i = first; i < topic->groups_count; i++) {
        struct base_slice id = base_slice_text(topic->groups[i].id);
        queue_group_created(restgw__gateway(request)->options.queues, topic, id);
        restgw_audit_resource(request, id, base_slice_text(topic->groups[i].name));
        if (i > first) {
            RESTGW_JSON_PUT(body, ",");
        }
        RESTGW_JSON_PUT(body, "{\"id\":");
        restgw_json_put_string(body, id);
        RESTGW_JSON_PUT(body, ",\"name\":");
        restgw_json_put_string(body, base_slice_text(topic->groups[i].name));
        RESTGW_JSON_PUT(body, "}");
    }
    RESTGW_JSON_PUT(body, "]}");
    catalog_topic_release(&topic);
    restgw_answer_end(request, 201);
}

/* The names of {"groups":[{"name":..}]} in the arena; NULL with the request answered. */
static struct base_slice *read_names(struct restgw_request *request, uint32_t *count)
{
    const json_t *json = restgw_request_json(request);
    struct restgw_fields fields;

    if (json == NULL) {
        return NULL;
    }
    restgw_fields_init(&fields, json);
    const json_t *groups = restgw_fields_array(&fields, "groups", RESTGW_ERROR_REQUEST_FORMAT);
    if (json_array_size(groups) == 0) {
        restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT,
                             "groups must be an array of at least one group");
        return NULL;
    }
    *count = (uint32_t)json_array_size(groups);
    struct base_slice *names =
        base_arena_array(restgw_request_arena(request), *count, sizeof names[0]);
    if (names == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    for (uint32_t i = 0; i < *count; i++) {
        restgw_fields_init(&fields, json_array_get(groups, i));
        names[i] = restgw_fields_text(&fields, "name", RESTGW_ERROR_REQUEST_FORMAT);
        if (restgw_answer_bad_fields(request, &fields)) {
            return NULL;
        }
        enum restgw_error error = restgw_group_name_check(names[i]);
        if (error != RESTGW_ERROR_NONE) {
            restgw_answer_error(request, error);
            return NULL;
        }
    }
    return names;
}

/* Whether a queue may have so many groups, were it without any: those that it has are for the
 * catalog to count. */
static bool quota_allows(struct restgw_request *request, const struct catalog_topic *topic,
                         uint32_t count)
{
    struct catalog_quota quota =
        catalog_quota(restgw__gateway(request)->options.catalog, restgw__view(request),
                      base_slice_text(topic->project_id));
    return count <= (uint32_t)quota.groups;
}

void restgw__group_create(struct restgw_request *request)
{
    uint32_t count = 0;

    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_CREATE_GROUP);
    if (topic == NULL) {
        return;
    }
    const struct base_slice *names = read_names(request, &count);
    if (names == NULL) {
        return;
    }
    /* Each name is compared with those before it: a number that can only be refused is not worth
     * more of them than leave a trace. */
    bool is_allowed = quota_allows(request, topic, count);
    for (uint32_t i = 0; i < count && (is_allowed || i < RESTGW_AUDIT_REFUSED_RESOURCES_MAX); i++) {
        restgw_audit_resource(request, base_slice_of(NULL, 0), names[i]);
    }
    if (!is_allowed) {
        restgw_answer_error(request, RESTGW_ERROR_TOO_MANY_GROUPS);
        return;
    }
    struct group_change *creation = begin_change(
        request, &creation_errors, (struct group_change){.created_count = count}, groups_created);
    if (creation != NULL) {
        partition_create_groups(restgw__gateway(request)->options.partitions, topic->id, names,
                                count, &creation->op);
    }
}

/* The group is gone, whatever became of the positions: what is left of them expires. */
static void positions_deleted(struct group_change *deletion)
{
    enum group_verdict verdict = deletion->kafka.verdict;

    if (verdict != GROUP_OK && verdict != GROUP_NOT_FOUND) {
        base_log(BASE_LOG_WARN, "GROUP_POSITIONS_NOT_REMOVED", "group=%.*s cause=\"%s\"",
                 (int)deletion->deleted_id.length, (const char *)deletion->deleted_id.data,
                 group_verdict_text(verdict));
    }
    restgw_answer_empty(deletion->change->request, 204);
}

static void positions_are_over(struct base_task *task)
{
    struct group_delete *kafka = BASE_CONTAINER_OF(task, struct group_delete, task);
    positions_deleted(BASE_CONTAINER_OF(kafka, struct group_change, kafka));
}

static void group_deleted(struct base_task *task)
{
    struct restgw__change *change = restgw__change_of(task);
    struct group_change *deletion = change->context;
    struct restgw_request *request = change->request;

    if (!restgw__change_was_made(change)) {
        return;
    }
    bool is_kafka = catalog_kind_is_kafka(change->change.topic->kind);
    catalog_topic_release(&change->change.topic);
    queue_group_deleted(restgw__gateway(request)->options.queues, deletion->deleted_id);
    if (!is_kafka) {
        restgw_answer_empty(request, 204);
        return;
    }
    deletion->kafka = (struct group_delete){.executor = restgw_request_executor(request),
                                            .task = {.run = positions_are_over},
                                            .group_id = deletion->deleted_id};
    if (group_delete(restgw__gateway(request)->options.groups, &deletion->kafka) == GROUP_DONE) {
        positions_deleted(deletion);
    }
}

void restgw__group_delete(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_DELETE_GROUP);
    if (topic == NULL) {
        return;
    }
    struct base_slice group_id = restgw__scope_group(request, topic, SECURITY_DELETE);
    if (group_id.data == NULL) {
        return;
    }
    const struct catalog_group *group = catalog_topic_group(topic, group_id);
    BASE_ASSERT(group != NULL);
    restgw_audit_resource(request, group_id, base_slice_text(group->name));
    if (catalog_kind_is_kafka(topic->kind) &&
        group_coordinator_is_active(restgw__gateway(request)->options.groups, group_id)) {
        restgw_answer_errorf(request, RESTGW_ERROR_GROUP_IN_USE, "%s",
                             queue_verdict_text(QUEUE_GROUP_BUSY_ON_KAFKA));
        return;
    }
    struct group_change *deletion = begin_change(
        request, &deletion_errors, (struct group_change){.deleted_id = group_id}, group_deleted);
    if (deletion != NULL) {
        partition_delete_group(restgw__gateway(request)->options.partitions, topic->id, group_id,
                               &deletion->op);
    }
}

/* What GET .../groups asks for. */
struct listing {
    bool include_deadletter;
    bool include_messages_num;
    int64_t first; /* group to begin with */
    int64_t count;
};

/* Pages count from 1. Unless both parameters are valid there is one page with everything. */
static void read_page(const struct restgw_query *query, int64_t total, struct listing *listing)
{
    int64_t page_size = 0;
    int64_t page = 0;
    bool has_pages = restgw_text_to_integer(restgw_query_text(query, "page_size"), &page_size) &&
                     restgw_text_to_integer(restgw_query_text(query, "current_page"), &page) &&
                     page_size > 0 && page > 0;

    listing->first = 0;
    listing->count = total;
    if (!has_pages) {
        return;
    }
    bool is_behind_end = page - 1 > total / page_size; /* and no product overflows */
    listing->first = is_behind_end ? total : (page - 1) * page_size;
    if (listing->first > total) {
        listing->first = total;
    }
    int64_t left = total - listing->first;
    listing->count = page_size < left ? page_size : left;
}

static void put_counter(struct base_writer *body, const char *key, int64_t value)
{
    base_writer_slice(body, base_slice_text(key));
    restgw_json_put_integer(body, value);
}

static void put_group(struct base_writer *body, const struct catalog_group *group,
                      const struct queue_counters *counters, bool with_deadletters)
{
    RESTGW_JSON_PUT(body, "{\"id\":");
    restgw_json_put_string(body, base_slice_text(group->id));
    RESTGW_JSON_PUT(body, ",\"name\":");
    restgw_json_put_string(body, base_slice_text(group->name));
    put_counter(body, ",\"produced_messages\":", counters->produced);
    put_counter(body, ",\"consumed_messages\":", counters->consumed);
    put_counter(body, ",\"available_messages\":", counters->available);
    if (with_deadletters) {
        put_counter(body, ",\"produced_deadletters\":", counters->dead_produced);
        put_counter(body, ",\"available_deadletters\":", counters->dead_available);
    }
    RESTGW_JSON_PUT(body, "}");
}

static void answer_list(struct restgw_request *request, const struct catalog_topic *topic,
                        const struct listing *listing)
{
    struct queue_manager *queues = restgw__gateway(request)->options.queues;
    bool with_deadletters = listing->include_deadletter && !catalog_kind_is_kafka(topic->kind);
    struct base_writer *body = restgw_answer_begin(request);

    RESTGW_JSON_PUT(body, "{\"queue_id\":");
    restgw_json_put_string(body, base_slice_text(topic->id_text));
    RESTGW_JSON_PUT(body, ",\"queue_name\":");
    restgw_json_put_string(body, base_slice_text(topic->queue_name));
    RESTGW_JSON_PUT(body, ",\"groups\":[");
    for (int64_t i = 0; i < listing->count; i++) {
        const struct catalog_group *group = &topic->groups[listing->first + i];
        struct queue_counters counters = {0};
        enum queue_verdict verdict = QUEUE_OK;
        if (listing->include_messages_num) {
            verdict = queue_count(queues, topic, base_slice_text(group->id), &counters);
        }
        if (verdict != QUEUE_OK) {
            restgw__answer_verdict(request, verdict, BASE_ERR_OFFLINE);
            return;
        }
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        put_group(body, group, &counters, with_deadletters);
    }
    RESTGW_JSON_PUT(body, "]");
    if (with_deadletters) {
        RESTGW_JSON_PUT(body, ",\"redrive_policy\":");
        restgw_json_put_string(body, base_slice_text(topic->redrive ? "enable" : "disable"));
    }
    RESTGW_JSON_PUT(body, "}");
    restgw_answer_end(request, 200);
}

void restgw__group_list(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);
    struct listing listing;

    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_GET_GROUPS);
    if (topic == NULL) {
        return;
    }
    listing.include_deadletter =
        restgw_query_bool(&query, "include_deadletter", false, RESTGW_ERROR_URL_PARAMETERS);
    listing.include_messages_num =
        restgw_query_bool(&query, "include_messages_num", true, RESTGW_ERROR_URL_PARAMETERS);
    read_page(&query, topic->groups_count, &listing);
    if (!restgw_answer_bad_query(request, &query)) {
        answer_list(request, topic, &listing);
    }
}
