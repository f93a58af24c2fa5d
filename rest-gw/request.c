/* Life of a request up to its answer, and what handlers read of it. */
#include "rest-gw/request.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit_priv.h"
#include "rest-gw/http_server_priv.h"
#include "rest-gw/request_priv.h"
#include "rest-gw/text.h"

#define MAY(state) (1u << REQUEST_##state)
static const unsigned request_moves[REQUEST_STATE_COUNT] = {
    [REQUEST_READY] = MAY(RUNNING),
    [REQUEST_RUNNING] = MAY(ANSWERED),
    [REQUEST_ANSWERED] = 0,
};
#undef MAY

void restgw__request_move(struct restgw_request *request, enum restgw__request_state next)
{
    BASE_ASSERT((request_moves[request->state] & (1u << next)) != 0);
    request->state = next;
}

/* Everything but the arena. */
static void clear(struct restgw_request *request)
{
    struct base_arena arena = request->arena;
    memset(request, 0, sizeof *request);
    request->arena = arena;
    base_writer_init(&request->writer, RESTGW_ANSWER_SIZE_MAX);
}

struct restgw_request *restgw__request_create(void)
{
    struct restgw_request *request = base_alloc(sizeof *request);
    if (request != NULL) {
        base_arena_init(&request->arena, RESTGW_REQUEST_ARENA_SIZE_MAX);
        clear(request);
    }
    return request;
}

void restgw__request_reset(struct restgw_request *request)
{
    BASE_ASSERT(!base_list_is_linked(&request->siblings));
    if (base_timer_is_armed(&request->poll_timer)) {
        base_timer_stop(request->executor, &request->poll_timer);
    }
    json_decref(request->json);
    base_buffer_release(&request->input);
    base_writer_fini(&request->writer);
    if (request->answer.length > 0) {
        base_chunk_release(&request->answer);
    }
    base_arena_reset(&request->arena);
    clear(request);
}

void restgw__request_destroy(struct restgw_request *request)
{
    restgw__request_reset(request);
    base_arena_fini(&request->arena);
    base_free(request);
}

enum base_err restgw__request_fill(struct restgw_request *request,
                                   const struct restgw_http_parser *parser, const uint8_t *message)
{
    const struct restgw_http_head *head = &parser->head;

    BASE_ASSERT(parser->state == RESTGW_HTTP_DONE);
    request->message = message;
    request->body = base_slice_of(message + parser->body_start, parser->body_length);
    request->path = head->path;
    request->query = head->query;

    size_t size = head->fields_count * sizeof head->fields[0];
    struct restgw_http_field *fields = base_arena_alloc(&request->arena, size);
    if (fields == NULL) {
        return BASE_ERR_NOMEM;
    }
    memcpy(fields, head->fields, size);
    request->fields = fields;
    request->fields_count = head->fields_count;
    return BASE_ERR_OK;
}

/* "GET, POST" of a set of methods. */
static void add_allow_header(struct restgw_request *request, unsigned methods)
{
    char text[128];
    size_t length = 0;
    for (enum restgw_http_method method = 0; method < RESTGW_HTTP_METHOD_OTHER; method++) {
        if ((methods & (1u << method)) != 0) {
            const char *name = restgw_http_method_text(method);
            size_t size = strlen(name);
            BASE_ASSERT(size + 2 <= sizeof text - length);
            if (length > 0) {
                memcpy(text + length, ", ", 2);
                length += 2;
            }
            memcpy(text + length, name, size);
            length += size;
        }
    }
    restgw_answer_header(request, "Allow", base_slice_of(text, length));
}

static enum base_err split_path(struct restgw_request *request)
{
    struct base_slice path = restgw_request_raw_path(request);
    return path.length == 0 ? BASE_ERR_NOT_FOUND /* "OPTIONS *", or a proxy's bare host */
                            : restgw_uri_split_path(&request->arena, path, request->segments,
                                                    &request->segments_count);
}

bool restgw__request_takes_long_body(struct restgw_request *request)
{
    struct restgw_match match;

    return split_path(request) == BASE_ERR_OK &&
           restgw_router_find(request->server->options.router, request->method, request->segments,
                              request->segments_count, &match) == RESTGW_ROUTER_FOUND &&
           (match.route->flags & RESTGW_ROUTE_LONG_BODY) != 0;
}

/* The path's segments; false when that failed and the request was answered. */
static bool find_path(struct restgw_request *request)
{
    enum base_err err = split_path(request);
    if (err == BASE_ERR_NOT_FOUND) {
        restgw_answer_error(request, RESTGW_ERROR_URL_NOT_FOUND);
    } else if (err == BASE_ERR_MALFORMED) {
        restgw_answer_errorf(request, RESTGW_ERROR_HTTP_MALFORMED, "the URL is not valid UTF-8");
    } else if (err != BASE_ERR_OK) {
        restgw_answer_base_error(request, err);
    }
    return err == BASE_ERR_OK;
}

static bool find_route(struct restgw_request *request)
{
    struct restgw_match match;
    const struct restgw_router *router = request->server->options.router;

    switch (restgw_router_find(router, request->method, request->segments, request->segments_count,
                               &match)) {
    case RESTGW_ROUTER_FOUND:
        request->route = match.route;
        return true;
    case RESTGW_ROUTER_NO_URL:
        restgw_answer_error(request, RESTGW_ERROR_URL_NOT_FOUND);
        return false;
    case RESTGW_ROUTER_NO_METHOD:
        add_allow_header(request, match.methods);
        restgw_answer_error(request, RESTGW_ERROR_METHOD_NOT_ALLOWED);
        return false;
    }
    BASE_ASSERT(false);
    return false;
}

void restgw__request_dispatch(struct restgw_request *request)
{
    restgw__request_move(request, REQUEST_RUNNING);
    if (!find_path(request) || !find_route(request)) {
        return;
    }
    enum base_err err = restgw_uri_split_query(&request->arena, restgw_request_raw_query(request),
                                               &request->parameters, &request->parameters_count);
    if (err == BASE_ERR_MALFORMED) {
        restgw_answer_errorf(request, RESTGW_ERROR_URL_PARAMETERS, "the query is malformed");
        return;
    }
    if (err != BASE_ERR_OK) {
        restgw_answer_base_error(request, err);
        return;
    }
    restgw__audit_begin(request);
    restgw_handler *gate = request->server->options.gate;
    if (gate != NULL) {
        gate(request);
    } else {
        request->route->handler(request);
    }
}

void restgw_request_run(struct restgw_request *request)
{
    BASE_ASSERT(request->state == REQUEST_RUNNING);
    request->route->handler(request);
}

struct base_arena *restgw_request_arena(struct restgw_request *request)
{
    return &request->arena;
}

struct base_executor *restgw_request_executor(const struct restgw_request *request)
{
    return request->executor;
}

void *restgw_request_context(const struct restgw_request *request)
{
    return request->server->options.context;
}

void restgw_request_set_principal(struct restgw_request *request, void *principal)
{
    request->principal = principal;
}

void *restgw_request_principal(const struct restgw_request *request)
{
    return request->principal;
}

const struct restgw_route *restgw_request_route(const struct restgw_request *request)
{
    return request->route;
}

enum restgw_http_method restgw_request_method(const struct restgw_request *request)
{
    return request->method;
}

struct base_slice restgw_request_raw_path(const struct restgw_request *request)
{
    return restgw_http_slice(request->message, request->path);
}

struct base_slice restgw_request_raw_query(const struct restgw_request *request)
{
    return restgw_http_slice(request->message, request->query);
}

struct base_slice restgw_request_parameter(const struct restgw_request *request, const char *name)
{
    size_t index = restgw_router_parameter(request->route, name);
    BASE_ASSERT(index < request->segments_count);
    return request->segments[index];
}

struct restgw_query restgw_request_query(const struct restgw_request *request)
{
    struct restgw_query query;
    restgw_query_init(&query, request->parameters, request->parameters_count);
    return query;
}

void restgw_request_header_at(const struct restgw_request *request, size_t index,
                              struct base_slice *name, struct base_slice *value)
{
    BASE_ASSERT(index < request->fields_count);
    *name = restgw_http_slice(request->message, request->fields[index].name);
    *value = restgw_http_slice(request->message, request->fields[index].value);
}

size_t restgw_request_headers_count(const struct restgw_request *request)
{
    return request->fields_count;
}

struct base_slice restgw_request_header(const struct restgw_request *request, const char *name)
{
    for (size_t index = 0; index < request->fields_count; index++) {
        struct base_slice field_name;
        struct base_slice value;
        restgw_request_header_at(request, index, &field_name, &value);
        if (restgw_text_is(field_name, name)) {
            return value;
        }
    }
    return base_slice_of(NULL, 0);
}

struct base_slice restgw_request_body(const struct restgw_request *request)
{
    return request->body;
}

json_t *restgw_request_json(struct restgw_request *request)
{
    const char *problem = NULL;
    json_t *json = NULL;
    enum base_err err = restgw_request_load_json(request, &json, &problem);
    if (err == BASE_ERR_MALFORMED) {
        bool is_message = (request->route->flags & RESTGW_ROUTE_MESSAGES) != 0;
        restgw_answer_errorf(
            request, is_message ? RESTGW_ERROR_MESSAGE_NOT_JSON : RESTGW_ERROR_BODY_NOT_JSON, "%s",
            problem);
        return NULL;
    }
    if (err != BASE_ERR_OK) {
        restgw_answer_base_error(request, err);
        return NULL;
    }
    return request->json;
}

enum base_err restgw_request_load_json(struct restgw_request *request, json_t **out,
                                       const char **problem)
{
    enum base_err err = BASE_ERR_OK;

    *problem = NULL;
    if (request->json == NULL) {
        err = restgw_json_load(request->body, &request->json, problem);
    }
    *out = request->json;
    return err;
}

const char *restgw_request_peer(const struct restgw_request *request)
{
    return request->peer;
}

int64_t restgw_request_received_us(const struct restgw_request *request)
{
    return request->received_us;
}

static void arm_poll_timer(struct restgw_request *request)
{
    base_timer_arm(request->executor, &request->poll_timer,
                   base_clock_monotonic_us(request->executor->clock) +
                       (int64_t)RESTGW_HTTP_POLL_CHECK_MS * 1000);
}

void restgw__request_cancel(struct restgw_request *request)
{
    restgw_request_cancel *cancel = request->cancel;

    if (cancel == NULL) {
        request->may_not_wait = true;
        return;
    }
    request->cancel = NULL;
    request->is_cancelled = true;
    cancel(request, request->cancel_context);
}

/* Whoever waits must still be somebody: revoking ends what waits, too. */
static void poll_is_due(struct base_timer *timer)
{
    struct restgw_request *request = BASE_CONTAINER_OF(timer, struct restgw_request, poll_timer);
    enum restgw_error error = RESTGW_ERROR_NONE;

    if (request->state != REQUEST_RUNNING || request->cancel == NULL) {
        return;
    }
    if (request->server->options.is_current(request, &error)) {
        arm_poll_timer(request);
        return;
    }
    request->revoked = error;
    restgw__request_cancel(request);
}

void restgw_request_on_cancel(struct restgw_request *request, restgw_request_cancel *cancel,
                              void *context)
{
    BASE_ASSERT(request->state == REQUEST_RUNNING);
    request->cancel = cancel;
    request->cancel_context = context;
    if (request->may_not_wait) {
        restgw__request_cancel(request);
        return;
    }
    if (request->server->options.is_current != NULL && !base_timer_is_armed(&request->poll_timer)) {
        request->poll_timer.fire = poll_is_due;
        arm_poll_timer(request);
    }
}

bool restgw_request_is_cancelled(const struct restgw_request *request)
{
    return request->is_cancelled;
}
