/* Authentication of requests: a token, or a signature. */
#include "rest-gw/gate_priv.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/security/signature.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/iam_priv.h"
#include "rest-gw/scope_priv.h"

/* One request at the gate; in its arena. */
struct session {
    struct restgw_request *request;
    struct security_principal principal;
    struct security_token_check check;
};

static enum restgw_error error_of(enum security_verdict verdict)
{
    switch (verdict) {
    case SECURITY_REFUSED:
    case SECURITY_REPLAYED:
        return RESTGW_ERROR_TOKEN_INVALID;
    case SECURITY_EXPIRED:
    case SECURITY_NOT_IN_TIME:
        return RESTGW_ERROR_TOKEN_EXPIRED;
    case SECURITY_NO_ROLE:
        return RESTGW_ERROR_PROJECT_MISMATCH;
    case SECURITY_THROTTLED:
    case SECURITY_OVERLOADED:
        return RESTGW_ERROR_FLOW_CONTROL;
    case SECURITY_UNAVAILABLE:
        return RESTGW_ERROR_INTERNAL_COMMUNICATION;
    case SECURITY_OK:
    case SECURITY_TOO_MANY: /* of who makes keys */
    case SECURITY_VERDICT_COUNT:
        break;
    }
    BASE_ASSERT(false);
    return RESTGW_ERROR_INTERNAL;
}

static bool is_iam(const struct restgw_request *request)
{
    return (restgw_request_route(request)->flags & RESTGW_ROUTE_IAM) != 0;
}

/* Refuses in the form of the route's service. */
static void refuse(struct restgw_request *request, enum restgw_error error)
{
    if (is_iam(request)) {
        restgw__iam_refuse(request, error);
        return;
    }
    if (restgw_error_status(error) == 401) {
        restgw__iam_challenge(request);
    }
    restgw_answer_error(request, error);
}

static bool has_parameter(const struct restgw_request *request, const char *name)
{
    return restgw_router_has_parameter(restgw_request_route(request), name);
}

/* What administrators do, they do to any project. */
static bool is_for_administrator(const struct session *session)
{
    return (restgw_request_route(session->request)->flags & RESTGW_ROUTE_ADMIN) != 0 &&
           (session->principal.roles & SECURITY_ROLE_ADMIN) != 0;
}

/* A temporary key is for one project and some hours. What is changed in the identity service, a
 * key, a password or another user, would last longer. */
static bool would_outlast_key(const struct session *session)
{
    const struct restgw_request *request = session->request;
    enum restgw_http_method method = restgw_request_method(request);

    return is_iam(request) && method != RESTGW_HTTP_GET && method != RESTGW_HTTP_HEAD &&
           security_is_temporary(restgw__view(request), &session->principal);
}

/* The credentials are good: now the place and the role. */
static void admit(struct session *session)
{
    struct restgw_request *request = session->request;
    const struct security_principal *principal = &session->principal;
    struct base_slice said = restgw_request_header(request, "X-Project-Id");
    struct base_slice project_id;

    restgw_request_set_principal(request, &session->principal);
    if (has_parameter(request, "project_id")) {
        if (!restgw__scope_project(request, &project_id)) {
            return;
        }
        if (!base_slice_is(project_id, principal->project_id) && !is_for_administrator(session)) {
            refuse(request, RESTGW_ERROR_PROJECT_MISMATCH);
            return;
        }
    }
    if (said.data != NULL && !base_slice_is(said, principal->project_id)) {
        refuse(request, RESTGW_ERROR_PROJECT_MISMATCH);
        return;
    }
    if ((restgw_request_route(request)->flags & RESTGW_ROUTE_ADMIN) != 0 &&
        (principal->roles & SECURITY_ROLE_ADMIN) == 0) {
        refuse(request, RESTGW_ERROR_ROLE_LACKS_PERMISSION);
        return;
    }
    if (would_outlast_key(session)) {
        refuse(request, RESTGW_ERROR_DENIED);
        return;
    }
    restgw_request_run(request);
}

static void finish(struct session *session, enum security_verdict verdict)
{
    if (verdict == SECURITY_OK) {
        admit(session);
    } else {
        refuse(session->request, error_of(verdict));
    }
}

static void token_is_checked(struct base_task *task)
{
    struct session *session = BASE_CONTAINER_OF(task, struct session, check.task);
    session->principal = session->check.principal;
    finish(session, session->check.verdict);
}

static void check_token(struct session *session, struct base_slice token)
{
    struct restgw_request *request = session->request;
    struct security_identity *identity = restgw__gateway(request)->options.identity;

    session->check = (struct security_token_check){.executor = restgw_request_executor(request),
                                                   .task = {.run = token_is_checked},
                                                   .token = token};
    if (security_token_check(identity, restgw__view(request), &session->check)) {
        token_is_checked(&session->check.task);
    }
}

/* The head of the request as the signature needs it; false when memory is out. */
static bool describe(struct restgw_request *request, struct security_http_request *out)
{
    size_t count = restgw_request_headers_count(request);
    struct security_http_field *fields =
        base_arena_array(restgw_request_arena(request), count, sizeof fields[0]);

    if (fields == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        restgw_request_header_at(request, i, &fields[i].name, &fields[i].value);
    }
    *out = (struct security_http_request){
        .method = base_slice_text(restgw_http_method_text(restgw_request_method(request))),
        .path = restgw_request_raw_path(request),
        .query = restgw_request_raw_query(request),
        .fields = fields,
        .fields_count = count,
        .body = restgw_request_body(request)};
    return true;
}

static void check_signature(struct session *session)
{
    struct restgw_request *request = session->request;
    struct security_identity *identity = restgw__gateway(request)->options.identity;
    struct security_http_request description;
    struct security_scope scope = {.project_id = restgw_request_header(request, "X-Project-Id")};

    if (has_parameter(request, "project_id")) {
        scope.project_id = restgw_request_parameter(request, "project_id");
    }
    if (!describe(request, &description)) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    finish(session,
           security_signature_verify(identity, restgw__view(request), restgw_request_arena(request),
                                     &description, &scope, &session->principal));
}

void restgw__gate(struct restgw_request *request)
{
    unsigned flags = restgw_request_route(request)->flags;
    bool is_public =
        (flags & RESTGW_ROUTE_PUBLIC) != 0 ||
        ((flags & RESTGW_ROUTE_METRICS) != 0 && restgw__gateway(request)->options.metrics_public);
    if (is_public) {
        restgw_request_run(request);
        return;
    }
    struct base_slice token = restgw_request_header(request, "X-Auth-Token");
    bool is_signed = restgw_request_header(request, "Authorization").data != NULL;
    if (token.length == 0 && !is_signed) {
        refuse(request, RESTGW_ERROR_TOKEN_MISSING);
        return;
    }
    struct session *session = base_arena_object(restgw_request_arena(request), struct session);
    if (session == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    session->request = request;
    if (token.length > 0) {
        check_token(session, token);
    } else {
        check_signature(session);
    }
}

enum restgw_admission restgw__gate_admit(struct restgw_request *head, enum restgw_error *error)
{
    struct security_identity *identity = restgw__gateway(head)->options.identity;
    struct base_slice token = restgw_request_header(head, "X-Auth-Token");
    struct base_slice authorization = restgw_request_header(head, "Authorization");

    *error = RESTGW_ERROR_TOKEN_MISSING;
    if (token.length > 0) {
        enum security_verdict verdict = security_token_peek(identity, restgw__view(head), token);
        if (verdict == SECURITY_OK) {
            return RESTGW_ADMITTED;
        }
        *error = error_of(verdict);
        return verdict == SECURITY_UNAVAILABLE ? RESTGW_UNVERIFIED : RESTGW_NOT_ADMITTED;
    }
    if (authorization.data == NULL) {
        return RESTGW_NOT_ADMITTED;
    }
    *error = RESTGW_ERROR_TOKEN_INVALID;
    return security_signature_is_plausible(identity, restgw__view(head), authorization,
                                           restgw_request_header(head, "X-Sdk-Date"))
               ? RESTGW_UNVERIFIED
               : RESTGW_NOT_ADMITTED;
}

bool restgw__gate_is_current(struct restgw_request *request, enum restgw_error *error)
{
    struct security_principal *principal = restgw_request_principal(request);
    if (principal == NULL) {
        return true;
    }
    enum security_verdict verdict = security_refresh(restgw__gateway(request)->options.identity,
                                                     restgw__view(request), principal);
    if (verdict != SECURITY_OK) {
        *error = error_of(verdict == SECURITY_NO_ROLE ? SECURITY_REFUSED : verdict);
    }
    return verdict == SECURITY_OK;
}
