/* Roles: which there are, and who has which where. The roles of a user are part of the user. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/iam_priv.h"

static json_t *make_role(const char *name)
{
    return json_pack("{s:s, s:s, s:n}", "id", name, "name", name, "domain_id");
}

static void answer_roles(struct restgw_request *request, json_t *array)
{
    json_t *body = json_pack("{s:o}", "roles", array);
    restgw_answer_json(request, 200, body);
    json_decref(body);
}

void restgw__iam_role_list(struct restgw_request *request)
{
    if (restgw__iam(request) == NULL) {
        return;
    }
    struct restgw_query query = restgw_request_query(request);
    struct base_slice name = restgw_query_text(&query, "name");
    json_t *array = json_array();
    for (unsigned bit = 1; bit <= SECURITY_ROLE_DMS_READER; bit <<= 1) {
        const char *role = security_role_name((enum security_role)bit);
        if (name.data == NULL || base_slice_is(name, role)) {
            (void)json_array_append_new(array, make_role(role));
        }
    }
    answer_roles(request, array);
}

void restgw__iam_role_get(struct restgw_request *request)
{
    if (restgw__iam(request) == NULL) {
        return;
    }
    unsigned role = security_role_parse(restgw_request_parameter(request, "role_id"));
    if (role == 0) {
        restgw__iam_error(request, 404, "Could not find role.");
        return;
    }
    json_t *body = json_pack("{s:o}", "role", make_role(security_role_name(role)));
    restgw_answer_json(request, 200, body);
    json_decref(body);
}

/* What a route about an assignment names. */
struct assignment {
    const char *where_field; /* "project_id" or "domain_id" */
    const struct catalog_object *where;
    const struct catalog_object *user;
    const char *role; /* NULL where the route has none */
};

/* False, with the request answered, when something of it does not exist. */
static bool read_assignment(struct restgw_request *request, struct catalog_view *view,
                            struct assignment *out)
{
    const struct restgw_route *route = restgw_request_route(request);
    bool is_project = strncmp(route->pattern, "/v3/projects/", strlen("/v3/projects/")) == 0;
    struct base_slice id = restgw_request_parameter(request, "id");
    bool has_role = restgw_router_has_parameter(route, "role_id");
    unsigned role =
        has_role ? security_role_parse(restgw_request_parameter(request, "role_id")) : 0;

    out->where_field = is_project ? "project_id" : "domain_id";
    out->where =
        catalog_view_object(view, is_project ? CATALOG_OBJECT_PROJECT : CATALOG_OBJECT_DOMAIN, id);
    out->user = catalog_view_object(view, CATALOG_OBJECT_USER,
                                    restgw_request_parameter(request, "user_id"));
    out->role = role == 0 ? NULL : security_role_name(role);
    if (out->where == NULL || out->user == NULL || (has_role && out->role == NULL)) {
        restgw__iam_error(request, 404, "Could not find user, role, project or domain.");
        return false;
    }
    return true;
}

/* Place of the assignment among the user's roles; their count when it is not there. */
static size_t find_role(const struct assignment *assignment)
{
    const json_t *roles = json_object_get(assignment->user->json, "roles");
    size_t count = json_array_size(roles);

    BASE_ASSERT(assignment->role != NULL);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(roles, i);
        const char *where = restgw__iam_text(entry, assignment->where_field);
        const char *role = restgw__iam_text(entry, "role");
        if (where != NULL && role != NULL && strcmp(where, assignment->where->id) == 0 &&
            strcmp(role, assignment->role) == 0) {
            return i;
        }
    }
    return count;
}

static bool has_role(const struct assignment *assignment)
{
    return find_role(assignment) <
           json_array_size(json_object_get(assignment->user->json, "roles"));
}

void restgw__iam_assignment_list(struct restgw_request *request)
{
    struct assignment assignment;

    if (restgw__iam(request) == NULL ||
        !read_assignment(request, restgw__view(request), &assignment)) {
        return;
    }
    json_t *array = json_array();
    for (unsigned bit = 1; bit <= SECURITY_ROLE_DMS_READER; bit <<= 1) {
        assignment.role = security_role_name((enum security_role)bit);
        if (has_role(&assignment)) {
            (void)json_array_append_new(array, make_role(assignment.role));
        }
    }
    answer_roles(request, array);
}

void restgw__iam_assignment_check(struct restgw_request *request)
{
    struct assignment assignment;

    if (restgw__iam(request) == NULL ||
        !read_assignment(request, restgw__view(request), &assignment)) {
        return;
    }
    if (has_role(&assignment)) {
        restgw_answer_empty(request, 204);
    } else {
        restgw__iam_error(request, 404, "The user does not have this role there.");
    }
}

/* One change of a user's roles; in the request's arena. */
struct op {
    struct restgw_request *request;
    struct catalog_view *view;
    struct catalog_change change;
};

static void roles_are_changed(struct base_task *task)
{
    struct op *op = BASE_CONTAINER_OF(task, struct op, change.task);

    catalog_view_release(&op->view);
    if (op->change.verdict == CATALOG_DONE) {
        restgw_answer_empty(op->request, 204);
    } else {
        restgw__iam_refuse_change(op->request, &op->change);
    }
}

/* Puts roles (moved) in the place of those that the user has. */
static void set_roles(struct restgw_request *request, struct op *op,
                      const struct assignment *assignment, json_t *roles)
{
    json_t *fields = json_copy(assignment->user->json);
    (void)json_object_set_new(fields, "roles", roles);
    struct catalog_object_edit edit = {
        .before = assignment->user,
        .after = catalog_object_create(CATALOG_OBJECT_USER, base_slice_text(assignment->user->id),
                                       fields)};
    if (edit.after == NULL) {
        catalog_view_release(&op->view);
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    restgw_audit_resource(request, base_slice_text(assignment->user->id),
                          base_slice_text(assignment->role));
    op->change = (struct catalog_change){.executor = restgw_request_executor(request),
                                         .task = {.run = roles_are_changed}};
    catalog_change_objects(restgw__gateway(request)->options.catalog, &edit, 1, &op->change);
}

static void change_assignment(struct restgw_request *request, bool add)
{
    struct assignment assignment;

    if (restgw__iam(request) == NULL) {
        return;
    }
    struct op *op = base_arena_object(restgw_request_arena(request), struct op);
    if (op == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    struct catalog_view *view = catalog_view_hold(restgw__view(request));
    if (!read_assignment(request, view, &assignment)) {
        catalog_view_release(&view); /* op died with its answered request */
        return;
    }
    op->request = request;
    op->view = view;
    bool is_there = has_role(&assignment);
    if (add == is_there) {
        catalog_view_release(&op->view);
        if (add) {
            restgw_answer_empty(request, 204);
        } else {
            restgw__iam_error(request, 404, "The user does not have this role there.");
        }
        return;
    }
    json_t *roles = json_copy(json_object_get(assignment.user->json, "roles"));
    if (add) {
        (void)json_array_append_new(roles, json_pack("{s:s, s:s}", "role", assignment.role,
                                                     assignment.where_field, assignment.where->id));
    } else {
        (void)json_array_remove(roles, find_role(&assignment));
    }
    set_roles(request, op, &assignment, roles);
}

void restgw__iam_assignment_add(struct restgw_request *request)
{
    change_assignment(request, true);
}

void restgw__iam_assignment_remove(struct restgw_request *request)
{
    change_assignment(request, false);
}
