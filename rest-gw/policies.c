/* Policies of a queue (guide 3.6): who else may use it, and who may not. */
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/security/policy.h"
#include "rest-gw/answer.h"
#include "rest-gw/change_priv.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"
#include "rest-gw/text.h"

enum { USERS_MAX = 100 }; /* of one policy */

static const char everyone[] = "*";
static const char action_prefix[] = "DMS:"; /* some write it, some do not */

static const struct restgw__change_errors change_errors = {
    .quota = RESTGW_ERROR_QUOTA_EXHAUSTED,
    .not_found = RESTGW_ERROR_URL_NOT_FOUND,
};

/* What a request makes of the policies; in its arena. */
struct policies_edit {
    struct catalog_policy array[CATALOG_POLICIES_MAX];
    uint32_t count;
    struct base_slice id; /* of the one that is replaced or removed; the null slice: none */
};

/* Answers with why the policy is wrong; false, so that it ends a chain of checks. */
static bool refuse(struct restgw_request *request, const char *why)
{
    restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT, "%s", why);
    return false;
}

static struct base_slice text_at(const json_t *array, size_t index)
{
    const json_t *value = json_array_get(array, index);
    return base_slice_of(json_string_value(value), json_string_length(value));
}

/* All that read give false, with the request answered, when something is wrong. */

static bool read_effect(struct restgw_request *request, struct restgw_fields *fields,
                        struct catalog_policy *policy)
{
    struct base_slice effect = restgw_fields_text(fields, "effect", RESTGW_ERROR_REQUEST_FORMAT);
    struct base_slice type = restgw_fields_text(fields, "type", RESTGW_ERROR_REQUEST_FORMAT);

    if (restgw_answer_bad_fields(request, fields)) {
        return false;
    }
    policy->denies = restgw_text_is(effect, "deny");
    if (effect.data != NULL && !policy->denies && !restgw_text_is(effect, "allow")) {
        return refuse(request, "effect must be allow or deny");
    }
    policy->of_services = restgw_text_is(type, "service");
    if (type.data != NULL && !policy->of_services && !restgw_text_is(type, "user")) {
        return refuse(request, "type must be user or service");
    }
    return true;
}

/* The users with ',' between them: none contains one. */
static bool join_users(struct restgw_request *request, const json_t *array,
                       struct catalog_policy *policy)
{
    size_t size = 0;

    for (size_t i = 0; i < json_array_size(array); i++) {
        struct base_slice user = text_at(array, i);
        if (user.data == NULL || !security_policy_user_is_valid(user)) {
            return refuse(request, "users must be [\"*\"], or domain IDs (32 letters and digits), "
                                   "domain names (5 to 32 letters, digits, spaces, '-' and '_', "
                                   "no digit first) and URNs (urn:csp:iam::<domain>:root)");
        }
        size += user.length + 1;
    }
    char *users = base_arena_alloc(restgw_request_arena(request), size);
    if (users == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return false;
    }
    policy->users = users;
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct base_slice user = text_at(array, i);
        memcpy(users, user.data, user.length);
        users += user.length;
        *users++ = i + 1 < json_array_size(array) ? ',' : '\0';
    }
    return true;
}

static bool read_users(struct restgw_request *request, struct restgw_fields *fields,
                       struct catalog_policy *policy)
{
    const json_t *users = restgw_fields_array(fields, "users", RESTGW_ERROR_REQUEST_FORMAT);
    size_t count = json_array_size(users);

    if (restgw_answer_bad_fields(request, fields)) {
        return false;
    }
    if ((count == 0) != policy->of_services || count > USERS_MAX) {
        return refuse(request, "a policy for users names 1 to 100 of them, any other none");
    }
    policy->everyone = count == 1 && base_slice_is(text_at(users, 0), everyone);
    policy->users = (char *)(uintptr_t) "";
    return count == 0 || policy->everyone || join_users(request, users, policy);
}

static bool read_services(struct restgw_request *request, struct restgw_fields *fields,
                          struct catalog_policy *policy)
{
    const json_t *services = restgw_fields_array(fields, "services", RESTGW_ERROR_REQUEST_FORMAT);
    size_t count = json_array_size(services);

    if (restgw_answer_bad_fields(request, fields)) {
        return false;
    }
    if ((count > 0) != policy->of_services) {
        return refuse(request, "a policy for services names at least one, any other none");
    }
    for (size_t i = 0; i < count; i++) {
        enum catalog_policy_service service;
        if (!catalog_policy_service_parse(text_at(services, i), &service)) {
            return refuse(request, "services are FunctionStage and SMN");
        }
        policy->services |= 1u << service;
    }
    return true;
}

static bool read_actions(struct restgw_request *request, struct restgw_fields *fields,
                         struct catalog_policy *policy)
{
    const size_t prefix_length = sizeof action_prefix - 1;
    const json_t *actions = restgw_fields_array(fields, "actions", RESTGW_ERROR_REQUEST_FORMAT);

    if (restgw_answer_bad_fields(request, fields)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(actions); i++) {
        struct base_slice name = text_at(actions, i);
        enum catalog_policy_action action;
        if (name.length > prefix_length && memcmp(name.data, action_prefix, prefix_length) == 0) {
            name = base_slice_of(name.data + prefix_length, name.length - prefix_length);
        }
        if (!catalog_policy_action_parse(name, &action)) {
            return refuse(request, "actions are GetQueue, CreateGroup, GetGroups, DeleteGroup, "
                                   "ProduceMessages and ConsumeMessages");
        }
        policy->actions |= 1u << action;
    }
    return policy->actions != 0 || refuse(request, "a policy needs at least one action");
}

static bool read_policy(struct restgw_request *request, const json_t *json,
                        struct catalog_policy *policy)
{
    struct restgw_fields fields;

    *policy = (struct catalog_policy){0};
    base_uuid_format(base_uuid_random(), policy->id);
    restgw_fields_init(&fields, json);
    return read_effect(request, &fields, policy) && read_users(request, &fields, policy) &&
           read_services(request, &fields, policy) && read_actions(request, &fields, policy);
}

static void put_names(struct base_writer *body, const char *key, unsigned bits, unsigned count,
                      const char *name_of(unsigned bit))
{
    bool is_first = true;

    base_writer_slice(body, base_slice_text(key));
    for (unsigned bit = 0; bit < count; bit++) {
        if ((bits & 1u << bit) != 0) {
            if (!is_first) {
                RESTGW_JSON_PUT(body, ",");
            }
            restgw_json_put_string(body, base_slice_text(name_of(bit)));
            is_first = false;
        }
    }
    RESTGW_JSON_PUT(body, "]");
}

static const char *action_name(unsigned bit)
{
    return catalog_policy_action_name((enum catalog_policy_action)bit);
}

static const char *service_name(unsigned bit)
{
    return catalog_policy_service_name((enum catalog_policy_service)bit);
}

static void put_users(struct base_writer *body, const struct catalog_policy *policy)
{
    struct base_slice users = base_slice_text(policy->everyone ? everyone : policy->users);
    struct base_slice user;
    bool is_first = true;

    RESTGW_JSON_PUT(body, ",\"users\":[");
    while (catalog_policy_next_user(&users, &user)) {
        if (!is_first) {
            RESTGW_JSON_PUT(body, ",");
        }
        restgw_json_put_string(body, user);
        is_first = false;
    }
    RESTGW_JSON_PUT(body, "]");
}

static void put_policy(struct base_writer *body, const struct catalog_policy *policy)
{
    RESTGW_JSON_PUT(body, "{\"id\":");
    restgw_json_put_string(body, base_slice_text(policy->id));
    RESTGW_JSON_PUT(body, ",\"effect\":");
    restgw_json_put_string(body, base_slice_text(policy->denies ? "deny" : "allow"));
    RESTGW_JSON_PUT(body, ",\"type\":");
    restgw_json_put_string(body, base_slice_text(policy->of_services ? "service" : "user"));
    put_users(body, policy);
    put_names(body, ",\"services\":[", policy->services, CATALOG_POLICY_SERVICE_COUNT,
              service_name);
    put_names(body, ",\"actions\":[", policy->actions, CATALOG_POLICY_ACTION_COUNT, action_name);
    RESTGW_JSON_PUT(body, "}");
}

static void answer_list(struct restgw_request *request, const struct catalog_topic *topic)
{
    struct base_writer *body = restgw_answer_begin(request);

    RESTGW_JSON_PUT(body, "{\"queue_id\":");
    restgw_json_put_string(body, base_slice_text(topic->id_text));
    RESTGW_JSON_PUT(body, ",\"queue_name\":");
    restgw_json_put_string(body, base_slice_text(topic->queue_name));
    RESTGW_JSON_PUT(body, ",\"policies\":[");
    for (uint32_t i = 0; i < topic->policies.count; i++) {
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        put_policy(body, &topic->policies.array[i]);
    }
    RESTGW_JSON_PUT(body, "]}");
    restgw_answer_end(request, 200);
}

/* Who may see how a queue is shared: its project. Being a guest is not enough. */
static const struct catalog_topic *scope_to_look(struct restgw_request *request)
{
    return restgw__scope_queue(request, SECURITY_DESCRIBE_CONFIGS);
}

void restgw__policies_list(struct restgw_request *request)
{
    const struct catalog_topic *topic = scope_to_look(request);
    if (topic != NULL) {
        answer_list(request, topic);
    }
}

void restgw__policy_get(struct restgw_request *request)
{
    const struct catalog_topic *topic = scope_to_look(request);
    if (topic == NULL) {
        return;
    }
    const struct catalog_policy *policy =
        catalog_policies_find(&topic->policies, restgw_request_parameter(request, "policy_id"));
    if (policy == NULL) {
        restgw_answer_error(request, RESTGW_ERROR_URL_NOT_FOUND);
        return;
    }
    put_policy(restgw_answer_begin(request), policy);
    restgw_answer_end(request, 200);
}

static enum catalog_verdict verdict_of(enum base_err err)
{
    return err == BASE_ERR_OK          ? CATALOG_DONE
           : err == BASE_ERR_TOO_LARGE ? CATALOG_QUOTA_EXCEEDED
                                       : CATALOG_STORAGE_FAILED;
}

static enum catalog_verdict add(void *context, struct catalog_topic *topic)
{
    const struct policies_edit *edit = context;
    return verdict_of(catalog_policies_set(&topic->policies, &edit->array[0]));
}

static enum catalog_verdict replace(void *context, struct catalog_topic *topic)
{
    const struct policies_edit *edit = context;
    return catalog_policies_find(&topic->policies, edit->id) == NULL ? CATALOG_NOT_FOUND
                                                                     : add(context, topic);
}

static enum catalog_verdict remove_one(void *context, struct catalog_topic *topic)
{
    const struct policies_edit *edit = context;
    return catalog_policies_unset(&topic->policies, edit->id) ? CATALOG_DONE : CATALOG_NOT_FOUND;
}

static enum catalog_verdict replace_all(void *context, struct catalog_topic *topic)
{
    const struct policies_edit *edit = context;
    const struct catalog_policies all = {(struct catalog_policy *)(uintptr_t)edit->array,
                                         edit->count};
    catalog_policies_fini(&topic->policies);
    return verdict_of(catalog_policies_copy(&all, &topic->policies));
}

static void edit_policies(struct restgw_request *request, const struct catalog_topic *topic,
                          catalog_topic_edit *run, struct policies_edit *edit, base_task_run *done)
{
    struct restgw__change *change = restgw__change_begin(request, &change_errors, done);
    if (change != NULL) {
        change->context = edit;
        catalog_edit_topic(restgw__gateway(request)->options.catalog, topic->id, run, edit,
                           &change->change);
    }
}

static struct policies_edit *begin_edit(struct restgw_request *request)
{
    struct policies_edit *edit =
        base_arena_object(restgw_request_arena(request), struct policies_edit);
    if (edit == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
    }
    return edit;
}

static void answer_one(struct base_task *task, int status)
{
    struct restgw__change *change = restgw__change_of(task);
    const struct policies_edit *edit = change->context;

    if (restgw__change_was_made(change)) {
        catalog_topic_release(&change->change.topic);
        put_policy(restgw_answer_begin(change->request), &edit->array[0]);
        restgw_answer_end(change->request, status);
    }
}

static void added(struct base_task *task)
{
    answer_one(task, 201);
}

static void replaced(struct base_task *task)
{
    answer_one(task, 200);
}

static void all_replaced(struct base_task *task)
{
    struct restgw__change *change = restgw__change_of(task);

    if (restgw__change_was_made(change)) {
        struct catalog_topic *topic = change->change.topic;
        answer_list(change->request, topic);
        catalog_topic_release(&topic);
    }
}

void restgw__policy_create(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    struct policies_edit *edit = topic == NULL ? NULL : begin_edit(request);
    const json_t *json = edit == NULL ? NULL : restgw_request_json(request);

    if (json != NULL && read_policy(request, json, &edit->array[0])) {
        edit_policies(request, topic, add, edit, added);
    }
}

void restgw__policy_replace(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    struct policies_edit *edit = topic == NULL ? NULL : begin_edit(request);
    const json_t *json = edit == NULL ? NULL : restgw_request_json(request);

    if (json == NULL || !read_policy(request, json, &edit->array[0])) {
        return;
    }
    edit->id = restgw_request_parameter(request, "policy_id");
    if (catalog_policies_find(&topic->policies, edit->id) == NULL) {
        restgw_answer_error(request, RESTGW_ERROR_URL_NOT_FOUND);
        return;
    }
    memcpy(edit->array[0].id, edit->id.data, edit->id.length); /* as long as any id */
    edit_policies(request, topic, replace, edit, replaced);
}

void restgw__policy_delete(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    struct policies_edit *edit = topic == NULL ? NULL : begin_edit(request);

    if (edit != NULL) {
        edit->id = restgw_request_parameter(request, "policy_id");
        edit_policies(request, topic, remove_one, edit, restgw__change_answer_empty);
    }
}

void restgw__policies_replace(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    struct policies_edit *edit = topic == NULL ? NULL : begin_edit(request);
    const json_t *json = edit == NULL ? NULL : restgw_request_json(request);
    struct restgw_fields fields;

    if (json == NULL) {
        return;
    }
    restgw_fields_init(&fields, json);
    const json_t *array = restgw_fields_array(&fields, "policies", RESTGW_ERROR_REQUEST_FORMAT);
    if (array == NULL) {
        restgw_fields_fail(&fields, "policies", RESTGW_ERROR_REQUEST_FORMAT);
    }
    if (restgw_answer_bad_fields(request, &fields)) {
        return;
    }
    if (json_array_size(array) > CATALOG_POLICIES_MAX) {
        restgw_answer_error(request, RESTGW_ERROR_QUOTA_EXHAUSTED);
        return;
    }
    while (edit->count < json_array_size(array)) {
        if (!read_policy(request, json_array_get(array, edit->count), &edit->array[edit->count])) {
            return;
        }
        edit->count++;
    }
    edit_policies(request, topic, replace_all, edit, all_replaced);
}

void restgw__policies_delete(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    struct policies_edit *edit = topic == NULL ? NULL : begin_edit(request);

    if (edit != NULL) {
        edit_policies(request, topic, replace_all, edit, restgw__change_answer_empty);
    }
}
