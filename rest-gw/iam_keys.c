/* Access keys: /v3.0/OS-CREDENTIAL/credentials. One's own, or anybody's for an administrator. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/iam_priv.h"
#include "rest-gw/scope_priv.h"

enum { DESCRIPTION_BYTES_MAX = 255 };

static json_t *show(const struct catalog_object *key)
{
    char created[RESTGW__IAM_TIME_SIZE];
    const char *user_id = catalog_object_text(key, "user_id");
    const char *description = catalog_object_text(key, "description");

    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "access", key->id, "user_id",
                     user_id == NULL ? "" : user_id, "description",
                     description == NULL ? "" : description, "status",
                     catalog_object_bool(key, "enabled") ? "active" : "inactive", "create_time",
                     restgw__iam_time(catalog_object_integer(key, "created_ms"), created));
}

static bool may_manage(const struct restgw_request *request, const char *user_id)
{
    const struct security_principal *principal = restgw__principal(request);
    return (principal->roles & SECURITY_ROLE_ADMIN) != 0 ||
           (user_id != NULL && strcmp(user_id, principal->user_id) == 0);
}

/* False, with the request answered, when there are no keys here or who asks has a temporary one,
 * which does not even show the others. */
static bool may_look(struct restgw_request *request)
{
    if (restgw__iam(request) == NULL) {
        return false;
    }
    if (security_is_temporary(restgw__view(request), restgw__principal(request))) {
        restgw__iam_refuse(request, RESTGW_ERROR_DENIED);
        return false;
    }
    return true;
}

struct search {
    struct restgw_request *request;
    struct base_slice user_id; /* null slice: any */
    json_t *array;
};

/* Temporary keys are their holders' business: they go by themselves. */
static bool add_key(void *context, const struct catalog_object *key)
{
    struct search *search = context;
    const char *user_id = catalog_object_text(key, "user_id");

    if (user_id == NULL || catalog_object_text(key, "token_id") != NULL ||
        (search->user_id.data != NULL && !base_slice_is(search->user_id, user_id)) ||
        !may_manage(search->request, user_id)) {
        return true;
    }
    (void)json_array_append_new(search->array, show(key));
    return true;
}

void restgw__iam_key_list(struct restgw_request *request)
{
    if (!may_look(request)) {
        return;
    }
    struct restgw_query query = restgw_request_query(request);
    struct search search = {
        .request = request, .user_id = restgw_query_text(&query, "user_id"), .array = json_array()};
    catalog_view_each_object(restgw__view(request), CATALOG_OBJECT_ACCESS_KEY, add_key, &search);
    json_t *body = json_pack("{s:o}", "credentials", search.array);
    restgw_answer_json(request, 200, body);
    json_decref(body);
}

/* One key being made, changed or deleted; in the request's arena. */
struct op {
    struct restgw_request *request;
    struct security_issue issue;
    const char *user_id;
    const char *description;
    struct catalog_view *view;
    struct catalog_change change;
};

static void key_is_issued(struct base_task *task)
{
    struct security_issue *issue = BASE_CONTAINER_OF(task, struct security_issue, task);
    struct op *op = BASE_CONTAINER_OF(issue, struct op, issue);
    struct restgw_request *request = op->request;
    char created[RESTGW__IAM_TIME_SIZE];

    if (issue->verdict != SECURITY_OK) {
        security_issue_wipe(issue);
        restgw__iam_refuse_verdict(request, issue->verdict);
        return;
    }
    restgw_audit_resource(request, base_slice_text(issue->access_key),
                          base_slice_text(op->description));
    json_t *body = json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:s}}", "credential", "access",
                             issue->access_key, "secret", issue->secret_key, "user_id", op->user_id,
                             "description", op->description, "status", "active", "create_time",
                             restgw__iam_time(issue->issued_ms, created));
    security_issue_wipe(issue);
    restgw__iam_no_store(request);
    restgw_answer_json(request, 201, body);
    json_decref(body);
}

void restgw__iam_key_create(struct restgw_request *request)
{
    struct security_identity *identity = restgw__iam(request);
    const json_t *body = identity == NULL ? NULL : restgw__iam_body(request, "credential");
    if (body == NULL) {
        return;
    }
    const char *user_id = NULL;
    const char *description = NULL;
    if (!restgw__iam_take_text(body, "user_id", &user_id) ||
        !restgw__iam_take_text(body, "description", &description)) {
        restgw__iam_error(request, 400, "user_id and description are texts.");
        return;
    }
    if (user_id == NULL) {
        user_id = restgw__principal(request)->user_id;
    }
    description = description == NULL ? "" : description;
    const struct catalog_object *user =
        catalog_view_object(restgw__view(request), CATALOG_OBJECT_USER, base_slice_text(user_id));
    if (!may_manage(request, user_id)) {
        restgw__iam_refuse(request, RESTGW_ERROR_DENIED);
    } else if (user == NULL) {
        restgw__iam_error(request, 404, "Could not find user.");
    } else if (strlen(description) > DESCRIPTION_BYTES_MAX) {
        restgw__iam_error(request, 400, "A description is a text of at most 255 bytes.");
    } else {
        struct op *op = base_arena_object(restgw_request_arena(request), struct op);
        if (op == NULL) {
            restgw_answer_base_error(request, BASE_ERR_NOMEM);
            return;
        }
        op->request = request;
        op->user_id = user_id;
        op->description = description;
        op->issue.executor = restgw_request_executor(request);
        op->issue.task.run = key_is_issued;
        security_access_key_issue(identity, user_id, description, &op->issue);
    }
}

/* The key of {access_key}; NULL with the request answered when there is none for this caller. */
static const struct catalog_object *find(struct restgw_request *request, struct catalog_view *view)
{
    const struct catalog_object *key = catalog_view_object(
        view, CATALOG_OBJECT_ACCESS_KEY, restgw_request_parameter(request, "access_key"));
    if (key == NULL || !may_manage(request, catalog_object_text(key, "user_id"))) {
        restgw__iam_error(request, 404, "Could not find credential.");
        return NULL;
    }
    return key;
}

static void answer_key(struct restgw_request *request, const struct catalog_object *key)
{
    json_t *body = json_pack("{s:o}", "credential", show(key));
    restgw_answer_json(request, 200, body);
    json_decref(body);
}

void restgw__iam_key_get(struct restgw_request *request)
{
    const struct catalog_object *key =
        may_look(request) ? find(request, restgw__view(request)) : NULL;
    if (key != NULL) {
        answer_key(request, key);
    }
}

static void key_is_changed(struct base_task *task)
{
    struct op *op = BASE_CONTAINER_OF(task, struct op, change.task);
    struct restgw_request *request = op->request;

    catalog_view_release(&op->view);
    if (op->change.verdict != CATALOG_DONE) {
        restgw__iam_refuse_change(request, &op->change);
        return;
    }
    if (restgw_request_method(request) == RESTGW_HTTP_DELETE) {
        restgw_answer_empty(request, 204);
        return;
    }
    const struct catalog_object *key = find(request, restgw__view(request));
    if (key != NULL) {
        answer_key(request, key);
    }
}

/* Replaces the key by one with these fields (moved; NULL: deletes it). */
static void change_key(struct restgw_request *request, const struct catalog_object *key,
                       json_t *fields)
{
    struct op *op = base_arena_object(restgw_request_arena(request), struct op);
    struct catalog_object_edit edit = {.before = key};

    if (fields != NULL) {
        edit.after =
            catalog_object_create(CATALOG_OBJECT_ACCESS_KEY, base_slice_text(key->id), fields);
    }
    if (op == NULL || (fields != NULL && edit.after == NULL)) {
        catalog_object_release(&edit.after);
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    restgw_audit_resource(request, base_slice_text(key->id), base_slice_of(NULL, 0));
    op->request = request;
    op->view = catalog_view_hold(restgw__view(request));
    op->change = (struct catalog_change){.executor = restgw_request_executor(request),
                                         .task = {.run = key_is_changed}};
    catalog_change_objects(restgw__gateway(request)->options.catalog, &edit, 1, &op->change);
}

void restgw__iam_key_update(struct restgw_request *request)
{
    const json_t *body =
        restgw__iam(request) == NULL ? NULL : restgw__iam_body(request, "credential");
    const struct catalog_object *key = body == NULL ? NULL : find(request, restgw__view(request));
    if (key == NULL) {
        return;
    }
    const char *status = NULL;
    const char *description = NULL;
    bool are_texts = restgw__iam_take_text(body, "status", &status) &&
                     restgw__iam_take_text(body, "description", &description);
    bool is_status_good =
        status == NULL || strcmp(status, "active") == 0 || strcmp(status, "inactive") == 0;
    if (!are_texts || !is_status_good ||
        (description != NULL && strlen(description) > DESCRIPTION_BYTES_MAX)) {
        restgw__iam_error(request, 400,
                          "status is active or inactive, a description has at most 255 bytes.");
        return;
    }
    json_t *fields = json_copy(key->json);
    if (status != NULL) {
        (void)json_object_set_new(fields, "enabled", json_boolean(strcmp(status, "active") == 0));
    }
    if (description != NULL) {
        (void)json_object_set_new(fields, "description", json_string(description));
    }
    if (fields == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    change_key(request, key, fields);
}

void restgw__iam_key_delete(struct restgw_request *request)
{
    const struct catalog_object *key =
        restgw__iam(request) == NULL ? NULL : find(request, restgw__view(request));
    if (key != NULL) {
        change_key(request, key, NULL);
    }
}
