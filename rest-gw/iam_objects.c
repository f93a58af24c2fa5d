/* Users, projects and domains: made, listed, shown, changed, deleted. One file, as they differ in
 * little more than their names. */
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

struct kind {
    enum catalog_object_type type;
    const char *singular;
    const char *plural;
};

static const struct kind domains = {CATALOG_OBJECT_DOMAIN, "domain", "domains"};
static const struct kind projects = {CATALOG_OBJECT_PROJECT, "project", "projects"};
static const struct kind users = {CATALOG_OBJECT_USER, "user", "users"};

/* One object being made or changed; in the request's arena. */
struct op {
    struct restgw_request *request;
    const struct kind *kind;
    char id[SECURITY_NEW_ID_SIZE];
    struct base_slice target;            /* its id, decoded or made */
    json_t *fields;                      /* owned until the change begins */
    struct catalog_view *view;           /* held while it matters what was there before */
    const struct catalog_object *before; /* of view; NULL: a new one */
    struct security_hashing hashing;
    struct catalog_change change;
    int status; /* of success */
};

/* What everybody may know of an object: all but its secrets. */
static json_t *show(const struct catalog_object *object)
{
    static const char *const hidden[] = {"password", "scram", "roles", "generation", "created_ms"};
    json_t *shown = json_copy(object->json);

    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        (void)json_object_del(shown, hidden[i]);
    }
    (void)json_object_set_new(shown, "id", json_string(object->id));
    if (object->type == CATALOG_OBJECT_PROJECT) { /* clients expect to see a tree */
        (void)json_object_set_new(shown, "is_domain", json_false());
        (void)json_object_set(shown, "parent_id", json_object_get(object->json, "domain_id"));
    }
    if (object->type == CATALOG_OBJECT_USER) {
        (void)json_object_set_new(shown, "password_expires_at", json_null());
    }
    return shown;
}

static void answer_object(struct restgw_request *request, int status, const struct kind *kind,
                          const struct catalog_object *object)
{
    json_t *body = json_pack("{s:o}", kind->singular, show(object));
    if (body == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    restgw_answer_json(request, status, body);
    json_decref(body);
}

static const char not_found[] = "Could not find it.";

/* The object of {id}; NULL when there is none. */
static const struct catalog_object *find(const struct restgw_request *request,
                                         struct catalog_view *view, const struct kind *kind)
{
    return catalog_view_object(view, kind->type, restgw_request_parameter(request, "id"));
}

static void op_end(struct op *op)
{
    json_decref(op->fields);
    op->fields = NULL;
    catalog_view_release(&op->view);
}

/* op is gone afterwards: it dies with its answered request. */
static void refuse(struct op *op, int status, const char *message)
{
    op_end(op);
    restgw__iam_error(op->request, status, message);
}

static void change_is_over(struct base_task *task)
{
    struct op *op = BASE_CONTAINER_OF(task, struct op, change.task);

    op_end(op);
    if (op->change.verdict != CATALOG_DONE) {
        restgw__iam_refuse_change(op->request, &op->change);
        return;
    }
    if (op->status == 204) {
        restgw_answer_empty(op->request, op->status);
        return;
    }
    const struct catalog_object *object =
        catalog_view_object(restgw__view(op->request), op->kind->type, op->target);
    if (object == NULL) {
        restgw__iam_error(op->request, 404, "It was deleted meanwhile.");
    } else {
        answer_object(op->request, op->status, op->kind, object);
    }
}

static void begin_change(struct op *op, struct catalog_object_edit *edits, size_t count)
{
    struct restgw_gateway *gateway = restgw__gateway(op->request);

    op->change = (struct catalog_change){.executor = restgw_request_executor(op->request),
                                         .task = {.run = change_is_over}};
    catalog_change_objects(gateway->options.catalog, edits, count, &op->change);
}

static void commit(struct op *op)
{
    struct catalog_object_edit edit = {
        .before = op->before,
        .after = catalog_object_create(op->kind->type, op->target, op->fields)};

    op->fields = NULL; /* moved */
    if (edit.after == NULL) {
        refuse(op, 500, "Out of memory.");
        return;
    }
    begin_change(op, &edit, 1);
}

static void password_is_hashed(struct base_task *task)
{
    struct security_hashing *hashing = BASE_CONTAINER_OF(task, struct security_hashing, task);
    struct op *op = BASE_CONTAINER_OF(hashing, struct op, hashing);
    json_int_t generation = json_integer_value(json_object_get(op->fields, "generation"));

    if (hashing->fields == NULL || json_object_update(op->fields, hashing->fields) != 0) {
        json_decref(hashing->fields);
        refuse(op, 429, "Too many passwords at once.");
        return;
    }
    json_decref(hashing->fields);
    /* Tokens and sessions of the old password end. */
    (void)json_object_set_new(op->fields, "generation", json_integer(generation + 1));
    commit(op);
}

/* Goes on with a new password, or without. */
static void commit_with_password(struct op *op, struct base_slice password)
{
    if (password.data == NULL) {
        commit(op);
        return;
    }
    if (!security_password_is_valid(password)) {
        refuse(op, 400, "A password has 8 to 128 bytes and no control characters.");
        return;
    }
    op->hashing = (struct security_hashing){.executor = restgw_request_executor(op->request),
                                            .task = {.run = password_is_hashed},
                                            .password = password};
    security_password_hash(restgw__gateway(op->request)->options.identity, &op->hashing);
}

/* Copies the fields that a client may set from body to op->fields; what is wrong, or NULL. */
static const char *take_fields(struct op *op, const json_t *body)
{
    const json_t *name = json_object_get(body, "name");
    const json_t *description = json_object_get(body, "description");
    const json_t *enabled = json_object_get(body, "enabled");
    const json_t *project_id = json_object_get(body, "default_project_id");
    const json_t *service = json_object_get(body, "service"); /* a user for one: see policies */
    const char *text = NULL;

    if (!restgw__iam_take_text(body, "password", &text) ||
        !restgw__iam_take_text(body, "domain_id", &text)) {
        return "password and domain_id are texts.";
    }

    if (name != NULL) {
        if (!restgw__iam_name_is_valid(json_string_value(name))) {
            return "A name has 1 to 64 characters, none of them a control character.";
        }
        (void)json_object_set(op->fields, "name", (json_t *)(uintptr_t)name);
    }
    if (description != NULL && !json_is_null(description)) {
        if (!json_is_string(description) ||
            json_string_length(description) > DESCRIPTION_BYTES_MAX) {
            return "A description is a text of at most 255 bytes.";
        }
        (void)json_object_set(op->fields, "description", (json_t *)(uintptr_t)description);
    }
    if (enabled != NULL) {
        if (!json_is_boolean(enabled)) {
            return "enabled must be true or false.";
        }
        (void)json_object_set(op->fields, "enabled", (json_t *)(uintptr_t)enabled);
    }
    if (service != NULL && op->kind == &users) {
        enum catalog_policy_service known;
        if (!json_is_null(service) &&
            !catalog_policy_service_parse(
                base_slice_of(json_string_value(service), json_string_length(service)), &known)) {
            return "service is FunctionStage, SMN or null.";
        }
        (void)json_object_set(op->fields, "service", (json_t *)(uintptr_t)service);
    }
    if (project_id != NULL && op->kind == &users) {
        if (!json_is_string(project_id) ||
            catalog_view_object(op->view, CATALOG_OBJECT_PROJECT,
                                base_slice_text(json_string_value(project_id))) == NULL) {
            return "default_project_id is no project.";
        }
        (void)json_object_set(op->fields, "default_project_id", (json_t *)(uintptr_t)project_id);
    }
    return NULL;
}

static struct op *op_begin(struct restgw_request *request, const struct kind *kind, int status)
{
    struct security_identity *identity = restgw__iam(request);
    if (identity == NULL) {
        return NULL;
    }
    struct op *op = base_arena_object(restgw_request_arena(request), struct op);
    if (op == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    op->request = request;
    op->kind = kind;
    op->status = status;
    op->view = catalog_view_hold(restgw__view(request));
    return op;
}

static void create(struct restgw_request *request, const struct kind *kind)
{
    const json_t *body =
        restgw__iam(request) == NULL ? NULL : restgw__iam_body(request, kind->singular);
    struct op *op = body == NULL ? NULL : op_begin(request, kind, 201);
    if (op == NULL) {
        return;
    }
    security_new_id(op->id);
    op->target = base_slice_text(op->id);
    op->fields = json_pack("{s:s, s:b, s:I}", "description", "", "enabled", 1, "created_ms",
                           (json_int_t)base_clock_wall_ms(restgw__gateway(request)->options.clock));
    const char *problem =
        json_object_get(body, "name") == NULL ? "A name is required." : take_fields(op, body);
    if (problem != NULL) {
        refuse(op, 400, problem);
        return;
    }
    if (kind != &domains) {
        const char *domain_id = restgw__iam_text(body, "domain_id");
        if (domain_id == NULL) {
            domain_id = restgw__principal(request)->domain_id;
        }
        if (catalog_view_object(op->view, CATALOG_OBJECT_DOMAIN, base_slice_text(domain_id)) ==
            NULL) {
            refuse(op, 400, "domain_id is no domain.");
            return;
        }
        (void)json_object_set_new(op->fields, "domain_id", json_string(domain_id));
    }
    restgw_audit_resource(request, op->target, restgw__iam_slice(body, "name"));
    if (kind == &users) {
        (void)json_object_set_new(op->fields, "roles", json_array());
        (void)json_object_set_new(op->fields, "generation", json_integer(0));
        commit_with_password(op, restgw__iam_slice(body, "password"));
    } else {
        commit(op);
    }
}

/* Nobody locks themselves out by accident. */
static bool is_self(const struct restgw_request *request, const struct catalog_object *object)
{
    const struct security_principal *principal = restgw__principal(request);
    const char *id = object->type == CATALOG_OBJECT_USER      ? principal->user_id
                     : object->type == CATALOG_OBJECT_PROJECT ? principal->project_id
                                                              : principal->domain_id;
    return strcmp(object->id, id) == 0;
}

static void update(struct restgw_request *request, const struct kind *kind)
{
    const json_t *body =
        restgw__iam(request) == NULL ? NULL : restgw__iam_body(request, kind->singular);
    struct op *op = body == NULL ? NULL : op_begin(request, kind, 200);
    if (op == NULL) {
        return;
    }
    op->before = find(request, op->view, kind);
    if (op->before == NULL) {
        refuse(op, 404, not_found);
        return;
    }
    op->target = restgw_request_parameter(request, "id");
    op->fields = json_copy(op->before->json);
    const char *problem = op->fields == NULL ? "Out of memory." : take_fields(op, body);
    if (problem == NULL && json_is_false(json_object_get(op->fields, "enabled")) &&
        is_self(request, op->before)) {
        problem = "You would lock yourself out.";
    }
    if (problem != NULL) {
        refuse(op, 400, problem);
        return;
    }
    restgw_audit_resource(request, op->target,
                          base_slice_text(catalog_object_text(op->before, "name")));
    commit_with_password(op, kind == &users ? restgw__iam_slice(body, "password")
                                            : base_slice_of(NULL, 0));
}

struct search {
    json_t *array;
    const struct kind *kind;
    struct base_slice name;      /* null slice: any */
    struct base_slice domain_id; /* likewise */
};

static bool add_match(void *context, const struct catalog_object *object)
{
    struct search *search = context;
    const char *domain_id = catalog_object_text(object, "domain_id");

    if ((search->name.data == NULL ||
         base_slice_is(search->name, catalog_object_text(object, "name"))) &&
        (search->domain_id.data == NULL ||
         (domain_id != NULL && base_slice_is(search->domain_id, domain_id)))) {
        (void)json_array_append_new(search->array, show(object));
    }
    return true;
}

static void list(struct restgw_request *request, const struct kind *kind)
{
    if (restgw__iam(request) == NULL) {
        return;
    }
    struct restgw_query query = restgw_request_query(request);
    struct search search = {.array = json_array(),
                            .kind = kind,
                            .name = restgw_query_text(&query, "name"),
                            .domain_id = restgw_query_text(&query, "domain_id")};
    const char *url = base_arena_printf(restgw_request_arena(request), "%s/v3/%s",
                                        restgw__iam_public_url(request), kind->plural);
    catalog_view_each_object(restgw__view(request), kind->type, add_match, &search);
    json_t *body = json_pack("{s:o, s:{s:s, s:n, s:n}}", kind->plural, search.array, "links",
                             "self", url == NULL ? "" : url, "previous", "next");
    restgw_answer_json(request, 200, body);
    json_decref(body);
}

static void get(struct restgw_request *request, const struct kind *kind)
{
    if (restgw__iam(request) == NULL) {
        return;
    }
    const struct catalog_object *object = find(request, restgw__view(request), kind);
    if (object == NULL) {
        restgw__iam_error(request, 404, not_found);
        return;
    }
    answer_object(request, 200, kind, object);
}

/* Why an object may not go yet. */
struct use {
    const struct catalog_object *object;
    bool is_used;
};

static bool is_queue_in(void *context, const struct catalog_topic *topic)
{
    struct use *use = context;
    use->is_used = use->is_used || strcmp(topic->project_id, use->object->id) == 0;
    return !use->is_used;
}

static bool is_in_domain(void *context, const struct catalog_object *object)
{
    struct use *use = context;
    const char *domain_id = catalog_object_text(object, "domain_id");
    use->is_used = domain_id != NULL && strcmp(domain_id, use->object->id) == 0;
    return !use->is_used;
}

static const char *why_not_delete(const struct op *op)
{
    struct use use = {.object = op->before};

    if (is_self(op->request, op->before)) {
        return "You would lock yourself out.";
    }
    if (op->kind == &projects) {
        catalog_view_each(op->view, is_queue_in, &use);
    } else if (op->kind == &domains) {
        catalog_view_each_object(op->view, CATALOG_OBJECT_USER, is_in_domain, &use);
        if (!use.is_used) {
            catalog_view_each_object(op->view, CATALOG_OBJECT_PROJECT, is_in_domain, &use);
        }
    }
    return use.is_used ? "It is not empty." : NULL;
}

/* The access keys of a user go with the user. */
struct deletion {
    const struct catalog_object *user;
    size_t count;
    struct catalog_object_edit edits[CATALOG_OBJECT_EDITS_MAX];
};

static bool add_key(void *context, const struct catalog_object *key)
{
    struct deletion *deletion = context;
    const char *user_id = catalog_object_text(key, "user_id");
    if (user_id != NULL && strcmp(user_id, deletion->user->id) == 0) {
        deletion->edits[deletion->count++].before = key;
    }
    return deletion->count < CATALOG_OBJECT_EDITS_MAX; /* the rest is nobody's: refused anyway */
}

static void delete_object(struct restgw_request *request, const struct kind *kind)
{
    struct op *op = op_begin(request, kind, 204);
    if (op == NULL) {
        return;
    }
    struct deletion *deletion = base_arena_object(restgw_request_arena(request), struct deletion);
    op->before = find(request, op->view, kind);
    if (op->before == NULL) {
        refuse(op, 404, not_found);
        return;
    }
    const char *problem = deletion == NULL ? "Out of memory." : why_not_delete(op);
    if (problem != NULL) {
        refuse(op, 409, problem);
        return;
    }
    restgw_audit_resource(request, restgw_request_parameter(request, "id"),
                          base_slice_text(catalog_object_text(op->before, "name")));
    deletion->user = op->before;
    deletion->edits[deletion->count++].before = op->before;
    if (kind == &users) {
        catalog_view_each_object(op->view, CATALOG_OBJECT_ACCESS_KEY, add_key, deletion);
    }
    begin_change(op, deletion->edits, deletion->count);
}

/* Somebody's own password, by showing the old one. */
struct own_password {
    struct op op;
    struct security_login login;
    struct base_slice password;
};

static void old_password_is_checked(struct base_task *task)
{
    struct own_password *own = BASE_CONTAINER_OF(task, struct own_password, login.task);

    if (own->login.verdict != SECURITY_OK) {
        op_end(&own->op);
        restgw__iam_refuse_verdict(own->op.request, own->login.verdict);
        return;
    }
    commit_with_password(&own->op, own->password);
}

void restgw__iam_password_set(struct restgw_request *request)
{
    const json_t *body = restgw__iam(request) == NULL ? NULL : restgw__iam_body(request, "user");
    if (body == NULL) {
        return;
    }
    struct own_password *own =
        base_arena_object(restgw_request_arena(request), struct own_password);
    if (own == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    own->op = (struct op){.request = request,
                          .kind = &users,
                          .status = 204,
                          .view = catalog_view_hold(restgw__view(request))};
    own->op.before = find(request, own->op.view, &users);
    if (own->op.before == NULL) {
        refuse(&own->op, 404, not_found);
        return;
    }
    own->op.target = restgw_request_parameter(request, "id");
    own->password = restgw__iam_slice(body, "password");
    if (!is_self(request, own->op.before) || own->password.data == NULL) {
        refuse(&own->op, 403, "This is for one's own password.");
        return;
    }
    own->op.fields = json_copy(own->op.before->json);
    own->login = (struct security_login){.executor = restgw_request_executor(request),
                                         .task = {.run = old_password_is_checked},
                                         .user_id = own->op.target,
                                         .password = restgw__iam_slice(body, "original_password"),
                                         .scope = {.is_unscoped = true},
                                         .address = restgw__iam_address(request)};
    if (own->login.password.data == NULL) {
        refuse(&own->op, 400, "original_password is missing.");
        return;
    }
    security_login(restgw__gateway(request)->options.identity, &own->login);
}

#define RESOURCE(singular, kind)                                         \
    void restgw__iam_##singular##_create(struct restgw_request *request) \
    {                                                                    \
        create(request, &(kind));                                        \
    }                                                                    \
    void restgw__iam_##singular##_list(struct restgw_request *request)   \
    {                                                                    \
        list(request, &(kind));                                          \
    }                                                                    \
    void restgw__iam_##singular##_get(struct restgw_request *request)    \
    {                                                                    \
        get(request, &(kind));                                           \
    }                                                                    \
    void restgw__iam_##singular##_update(struct restgw_request *request) \
    {                                                                    \
        update(request, &(kind));                                        \
    }                                                                    \
    void restgw__iam_##singular##_delete(struct restgw_request *request) \
    {                                                                    \
        delete_object(request, &(kind));                                 \
    }
RESOURCE(user, users)
RESOURCE(project, projects)
RESOURCE(domain, domains)
#undef RESOURCE
