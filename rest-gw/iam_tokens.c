/* Tokens: POST, GET, HEAD and DELETE /v3/auth/tokens, and temporary access keys got with one. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/text.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/iam_priv.h"
#include "rest-gw/scope_priv.h"

enum {
    TEMPORARY_SECONDS_MIN = 900,
    TEMPORARY_SECONDS_MAX = 86400,
    TEMPORARY_SECONDS_DEFAULT = 900,
};

/* One login, from password or token to a new token or temporary key; in the request's arena. */
struct authentication {
    struct restgw_request *request;
    struct security_identity *identity;
    const json_t *identity_json; /* borrowed: "identity" of the body */
    int64_t temporary_ms;        /* 0: a token is wanted */
    struct security_principal principal;
    struct security_login login;
    struct security_token_check check;
    struct security_issue issue;
};

/* {"id":…,"name":…,"domain":{…}} */
static json_t *named(const char *id, const char *name)
{
    return json_pack("{s:s, s:s}", "id", id, "name", name);
}

static json_t *make_roles(unsigned roles)
{
    json_t *array = json_array();
    for (unsigned bit = 1; bit <= SECURITY_ROLE_DMS_READER; bit <<= 1) {
        if ((roles & bit) != 0) {
            const char *name = security_role_name((enum security_role)bit);
            (void)json_array_append_new(array, named(name, name));
        }
    }
    return array;
}

static void add_service(json_t *catalog, const char *type, const char *name, const char *url,
                        const char *region)
{
    char id[64];
    (void)snprintf(id, sizeof id, "%s-public", type);
    (void)json_array_append_new(
        catalog, json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:s}]}", "id", type, "type",
                           type, "name", name, "endpoints", "id", id, "interface", "public",
                           "region", region, "region_id", region, "url", url));
}

/* Where the services are, as each client that is known looks for them. */
static json_t *make_catalog(struct restgw_request *request,
                            const struct security_principal *principal)
{
    struct base_arena *arena = restgw_request_arena(request);
    const char *region = restgw__gateway(request)->options.region;
    const char *base = restgw__iam_public_url(request);
    json_t *catalog = json_array();
    const char *url = base_arena_printf(arena, "%s/v3", base);

    add_service(catalog, "identity", "keystone", url == NULL ? "" : url, region);
    if (principal->project_id[0] != '\0') {
        url = base_arena_printf(arena, "%s/v1.0/%s", base, principal->project_id);
        add_service(catalog, "dms", "dms", url == NULL ? "" : url, region);
        /* The Go SDK takes the network's URL and makes that of DMS out of it. */
        add_service(catalog, "network", "dms", base, region);
    }
    return catalog;
}

/* Not always that of the user. */
static json_t *domain_of_project(struct restgw_request *request,
                                 const struct security_principal *principal)
{
    struct catalog_view *view = restgw__view(request);
    const struct catalog_object *project =
        catalog_view_object(view, CATALOG_OBJECT_PROJECT, base_slice_text(principal->project_id));
    const char *id = project == NULL ? NULL : catalog_object_text(project, "domain_id");
    const struct catalog_object *domain =
        id == NULL ? NULL : catalog_view_object(view, CATALOG_OBJECT_DOMAIN, base_slice_text(id));
    const char *name = domain == NULL ? NULL : catalog_object_text(domain, "name");

    return named(id == NULL ? "" : id, name == NULL ? "" : name);
}

/* The "token" object: what Keystone says about a token. */
static json_t *make_token(struct restgw_request *request,
                          const struct security_principal *principal, const json_t *methods,
                          int64_t issued_ms, int64_t expires_ms)
{
    char issued[RESTGW__IAM_TIME_SIZE];
    char expires[RESTGW__IAM_TIME_SIZE];
    json_t *user = named(principal->user_id, principal->name);
    (void)json_object_set_new(user, "domain", named(principal->domain_id, principal->domain_name));
    (void)json_object_set_new(user, "password_expires_at", json_null());
    json_t *token = json_pack("{s:O, s:s, s:s, s:o}", "methods", (json_t *)(uintptr_t)methods,
                              "issued_at", restgw__iam_time(issued_ms, issued), "expires_at",
                              restgw__iam_time(expires_ms, expires), "user", user);

    if (principal->project_id[0] != '\0') {
        json_t *project = named(principal->project_id, principal->project_name);
        (void)json_object_set_new(project, "domain", domain_of_project(request, principal));
        (void)json_object_set_new(token, "project", project);
    } else if (principal->is_domain_scoped) {
        (void)json_object_set_new(token, "domain",
                                  named(principal->domain_id, principal->domain_name));
    } else {
        return token; /* unscoped: no roles, no catalog */
    }
    (void)json_object_set_new(token, "roles", make_roles(principal->roles));
    (void)json_object_set_new(token, "catalog", make_catalog(request, principal));
    return token;
}

static void answer_token(struct restgw_request *request, int status, json_t *token)
{
    json_t *body = json_pack("{s:o}", "token", token);
    if (body == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    restgw_answer_json(request, status, body);
    json_decref(body);
}

static const json_t *methods_of(const struct authentication *authentication)
{
    return json_object_get(authentication->identity_json, "methods");
}

static void token_is_issued(struct base_task *task)
{
    struct security_issue *issue = BASE_CONTAINER_OF(task, struct security_issue, task);
    struct authentication *authentication = BASE_CONTAINER_OF(issue, struct authentication, issue);
    struct restgw_request *request = authentication->request;

    if (issue->verdict != SECURITY_OK) {
        security_issue_wipe(issue);
        restgw__iam_refuse_verdict(request, issue->verdict);
        return;
    }
    restgw_answer_header(request, "X-Subject-Token", base_slice_text(issue->token));
    restgw__iam_no_store(request);
    security_issue_wipe(issue);
    answer_token(request, 201,
                 make_token(request, &authentication->principal, methods_of(authentication),
                            issue->issued_ms, issue->expires_ms));
}

static void temporary_key_is_issued(struct base_task *task)
{
    struct security_issue *issue = BASE_CONTAINER_OF(task, struct security_issue, task);
    struct restgw_request *request =
        BASE_CONTAINER_OF(issue, struct authentication, issue)->request;
    char expires[RESTGW__IAM_TIME_SIZE];

    if (issue->verdict != SECURITY_OK) {
        security_issue_wipe(issue);
        restgw__iam_refuse_verdict(request, issue->verdict);
        return;
    }
    json_t *body = json_pack("{s:{s:s, s:s, s:s, s:s}}", "credential", "access", issue->access_key,
                             "secret", issue->secret_key, "securitytoken", issue->token,
                             "expires_at", restgw__iam_time(issue->expires_ms, expires));
    security_issue_wipe(issue);
    restgw__iam_no_store(request);
    restgw_answer_json(request, 201, body);
    json_decref(body);
}

static void issue(struct authentication *authentication)
{
    authentication->issue =
        (struct security_issue){.executor = restgw_request_executor(authentication->request),
                                .task = {.run = token_is_issued}};
    if (authentication->temporary_ms > 0) {
        authentication->issue.task.run = temporary_key_is_issued;
        security_temporary_key_issue(authentication->identity, &authentication->principal,
                                     authentication->temporary_ms, &authentication->issue);
    } else {
        security_token_issue(authentication->identity, &authentication->principal,
                             methods_of(authentication), &authentication->issue);
    }
}

/* A text, or nothing; false for anything else. */
static bool take_slice(const json_t *object, const char *name, struct base_slice *out)
{
    const char *text = NULL;
    bool is_good = restgw__iam_take_text(object, name, &text);

    *out = base_slice_text(text);
    return is_good;
}

/* {"id":…} or {"name":…}, or nothing: a null slice then. False for anything else. */
static bool take_domain(const json_t *domain, struct base_slice *out)
{
    struct base_slice name;

    *out = base_slice_of(NULL, 0);
    if (domain == NULL || json_is_null(domain)) {
        return true;
    }
    if (!json_is_object(domain) || !take_slice(domain, "id", out) ||
        !take_slice(domain, "name", &name)) {
        return false;
    }
    if (out->data == NULL) {
        *out = name;
    }
    return true;
}

/* Where the token is to work: "scope" of the body. False for a shape that is none. */
static bool read_scope(const json_t *auth, struct security_scope *out)
{
    const json_t *scope = json_object_get(auth, "scope");
    const json_t *project = json_object_get(scope, "project");

    *out = (struct security_scope){0};
    if (scope == NULL || json_is_null(scope)) {
        return true;
    }
    if (json_is_string(scope)) {
        out->is_unscoped = strcmp(json_string_value(scope), "unscoped") == 0;
        return out->is_unscoped;
    }
    if (json_object_get(scope, "unscoped") != NULL) {
        out->is_unscoped = true;
        return true;
    }
    if (project == NULL) {
        return take_domain(json_object_get(scope, "domain"), &out->domain) &&
               out->domain.data != NULL;
    }
    return json_is_object(project) && take_slice(project, "id", &out->project_id) &&
           take_slice(project, "name", &out->project_name) &&
           take_domain(json_object_get(project, "domain"), &out->project_domain) &&
           (out->project_id.data != NULL || out->project_name.data != NULL);
}

static void login_is_over(struct base_task *task)
{
    struct authentication *authentication =
        BASE_CONTAINER_OF(task, struct authentication, login.task);

    if (authentication->login.verdict != SECURITY_OK) {
        restgw__iam_refuse_verdict(authentication->request, authentication->login.verdict);
        return;
    }
    authentication->principal = authentication->login.principal;
    if (authentication->login.user_id.data == NULL) {
        restgw_audit_resource(authentication->request,
                              base_slice_text(authentication->principal.user_id),
                              authentication->login.user_name);
    }
    issue(authentication);
}

static void begin_password(struct authentication *authentication,
                           const struct security_scope *scope)
{
    const json_t *user =
        json_object_get(json_object_get(authentication->identity_json, "password"), "user");
    struct security_login *login = &authentication->login;
    struct restgw_request *request = authentication->request;

    login->executor = restgw_request_executor(request);
    login->task.run = login_is_over;
    bool is_good = take_slice(user, "id", &login->user_id) &&
                   take_slice(user, "name", &login->user_name) &&
                   take_domain(json_object_get(user, "domain"), &login->user_domain) &&
                   take_slice(user, "password", &login->password);
    login->scope = *scope;
    login->address = restgw__iam_address(request);
    bool has_user = login->user_id.data != NULL ||
                    (login->user_name.data != NULL && login->user_domain.data != NULL);
    if (!is_good || !has_user || login->password.data == NULL) {
        restgw__iam_error(request, 400,
                          "password.user needs id, or name and domain; and password.");
        return;
    }
    /* Who it is to be, proven or not. */
    (void)security_copy_text(authentication->principal.name, sizeof authentication->principal.name,
                             login->user_name.data == NULL ? ""
                                                           : (const char *)login->user_name.data);
    restgw_audit_resource(request, login->user_id, login->user_name);
    security_login(authentication->identity, login);
}

/* A token, instead of a password. */
static void begin_token(struct authentication *authentication, const struct security_scope *scope)
{
    struct restgw_request *request = authentication->request;
    struct security_token_check *check = &authentication->check;
    struct catalog_view *view = restgw__view(request);
    const json_t *token = json_object_get(authentication->identity_json, "token");
    const char *id = NULL;

    if ((token != NULL && !json_is_object(token)) || !restgw__iam_take_text(token, "id", &id)) {
        restgw__iam_error(request, 400, "token is an object, its id a text.");
        return;
    }
    check->executor = restgw_request_executor(request);
    check->token = base_slice_text(id);
    if (id == NULL) { /* some clients say it in the header only */
        check->token = restgw_request_header(request, "X-Auth-Token");
    }
    bool is_decided = security_token_check(authentication->identity, view, check);
    BASE_ASSERT(is_decided); /* these are tokens of this broker */
    enum security_verdict verdict = check->verdict;
    authentication->principal = check->principal;
    bool keeps_scope = authentication->temporary_ms > 0 &&
                       authentication->principal.project_id[0] != '\0' &&
                       scope->project_id.data == NULL && scope->project_name.data == NULL;
    if (verdict == SECURITY_OK && !keeps_scope) {
        verdict = security_enter_project(authentication->identity, view, &authentication->principal,
                                         scope);
    }
    if (verdict != SECURITY_OK) {
        restgw__iam_refuse_verdict(request, verdict);
        return;
    }
    if (authentication->temporary_ms > 0 && authentication->principal.project_id[0] == '\0') {
        restgw__iam_error(request, 400, "A temporary access key needs a token of a project.");
        return;
    }
    restgw_audit_resource(request, base_slice_text(authentication->principal.user_id),
                          base_slice_text(authentication->principal.name));
    issue(authentication);
}

/* Of two methods both would have to be right; there is one at a time, and said once: the token
 * keeps what was said. */
static bool has_method(const json_t *identity, const char *name)
{
    const json_t *methods = json_object_get(identity, "methods");
    const char *method = json_string_value(json_array_get(methods, 0));

    return json_array_size(methods) == 1 && method != NULL && strcmp(method, name) == 0;
}

/* Reads what the body says of identity and scope; NULL with the request answered when it is bad. */
static struct authentication *begin(struct restgw_request *request, struct security_scope *scope)
{
    struct security_identity *identity = restgw__iam(request);
    const json_t *auth = identity == NULL ? NULL : restgw__iam_body(request, "auth");

    if (auth == NULL) {
        return NULL;
    }
    struct authentication *authentication =
        base_arena_object(restgw_request_arena(request), struct authentication);
    if (authentication == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    authentication->request = request;
    authentication->identity = identity;
    restgw_audit_user(request, &authentication->principal);
    authentication->identity_json = json_object_get(auth, "identity");
    if (!json_is_object(authentication->identity_json) || !read_scope(auth, scope)) {
        restgw__iam_error(request, 400, "auth.identity or auth.scope is not what it should be.");
        return NULL;
    }
    return authentication;
}

void restgw__iam_token_create(struct restgw_request *request)
{
    struct security_scope scope;
    struct authentication *authentication = begin(request, &scope);

    if (authentication == NULL) {
        return;
    }
    if (has_method(authentication->identity_json, "password")) {
        begin_password(authentication, &scope);
    } else if (has_method(authentication->identity_json, "token")) {
        begin_token(authentication, &scope);
    } else {
        restgw__iam_error(request, 401, "Attempted to authenticate with an unsupported method.");
    }
}

/* A number, or its text: "900". */
static bool read_duration(const json_t *token, int64_t *seconds)
{
    const json_t *value = json_object_get(token, "duration-seconds");
    if (value == NULL) {
        value = json_object_get(token, "duration_seconds");
    }
    *seconds = TEMPORARY_SECONDS_DEFAULT;
    if (json_is_string(value)) {
        return base_text_int64_between(base_slice_text(json_string_value(value)),
                                       TEMPORARY_SECONDS_MIN, TEMPORARY_SECONDS_MAX, seconds);
    }
    if (json_is_integer(value)) {
        *seconds = json_integer_value(value);
    }
    return (value == NULL || json_is_integer(value)) && *seconds >= TEMPORARY_SECONDS_MIN &&
           *seconds <= TEMPORARY_SECONDS_MAX;
}

void restgw__iam_temporary_key_create(struct restgw_request *request)
{
    struct security_scope scope;
    struct authentication *authentication = begin(request, &scope);
    int64_t seconds = 0;

    if (authentication == NULL) {
        return;
    }
    const json_t *token = json_object_get(authentication->identity_json, "token");
    if (!has_method(authentication->identity_json, "token") || !read_duration(token, &seconds)) {
        restgw__iam_error(request, 400,
                          "The method must be token, duration-seconds from 900 to 86400.");
        return;
    }
    authentication->temporary_ms = seconds * 1000;
    begin_token(authentication, &scope);
}

/* The token that GET, HEAD and DELETE are about: somebody's own, or anybody's for an
 * administrator. False, with the request answered, when it is none. */
static bool find_subject(struct restgw_request *request, struct security_identity *identity,
                         struct security_token_check *check)
{
    const struct security_principal *principal = restgw__principal(request);

    check->executor = restgw_request_executor(request);
    check->token = restgw_request_header(request, "X-Subject-Token");
    if (check->token.data == NULL) {
        restgw__iam_error(request, 400, "X-Subject-Token is missing.");
        return false;
    }
    bool is_decided = security_token_check(identity, restgw__view(request), check);
    BASE_ASSERT(is_decided);
    if (check->verdict != SECURITY_OK) {
        restgw__iam_error(request, 404, "Could not find token.");
        return false;
    }
    if (strcmp(check->principal.user_id, principal->user_id) != 0 &&
        (principal->roles & SECURITY_ROLE_ADMIN) == 0) {
        restgw__iam_refuse(request, RESTGW_ERROR_DENIED);
        return false;
    }
    return true;
}

void restgw__iam_token_get(struct restgw_request *request)
{
    struct security_identity *identity = restgw__iam(request);
    struct security_token_check check = {0};
    const json_t *methods = NULL;
    int64_t issued_ms = 0;

    if (identity == NULL || !find_subject(request, identity, &check)) {
        return;
    }
    if (!security_token_details(restgw__view(request), &check.principal, &methods, &issued_ms)) {
        restgw__iam_error(request, 404, "Could not find token.");
        return;
    }
    restgw_answer_header(request, "X-Subject-Token", check.token);
    restgw__iam_no_store(request);
    answer_token(
        request, 200,
        make_token(request, &check.principal, methods, issued_ms, check.principal.expires_ms));
}

struct revocation {
    struct restgw_request *request;
    struct catalog_change change;
};

static void token_is_revoked(struct base_task *task)
{
    struct revocation *revocation = BASE_CONTAINER_OF(task, struct revocation, change.task);

    if (revocation->change.verdict == CATALOG_DONE ||
        revocation->change.verdict == CATALOG_NOT_FOUND) {
        restgw_answer_empty(revocation->request, 204);
    } else {
        restgw__iam_refuse_change(revocation->request, &revocation->change);
    }
}

void restgw__iam_token_delete(struct restgw_request *request)
{
    struct security_identity *identity = restgw__iam(request);
    struct security_token_check check = {0};

    if (identity == NULL || !find_subject(request, identity, &check)) {
        return;
    }
    struct revocation *revocation =
        base_arena_object(restgw_request_arena(request), struct revocation);
    if (revocation == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    revocation->request = request;
    revocation->change.executor = restgw_request_executor(request);
    revocation->change.task.run = token_is_revoked;
    if (!security_token_revoke(identity, restgw__view(request), check.token, &revocation->change)) {
        restgw__iam_error(request, 404, "Could not find token.");
    }
}

/* What clients look at to find out that this is the third version. */
void restgw__iam_version_get(struct restgw_request *request)
{
    if (restgw__iam(request) == NULL) {
        return;
    }
    const char *url =
        base_arena_printf(restgw_request_arena(request), "%s/v3/", restgw__iam_public_url(request));
    json_t *body = json_pack("{s:{s:s, s:s, s:s, s:[{s:s, s:s}], s:[]}}", "version", "id", "v3.14",
                             "status", "stable", "updated", "2020-04-07T00:00:00Z", "links", "rel",
                             "self", "href", url == NULL ? "" : url, "media-types");
    restgw_answer_json(request, 200, body);
    json_decref(body);
}
