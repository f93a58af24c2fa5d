/* From an answered request to its traces. */
#include "rest-gw/audit_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/json_scan.h"
#include "rest-gw/request_priv.h"
#include "rest-gw/scope_priv.h"

struct resource {
    struct base_slice id;
    struct base_slice name;
};

struct restgw__traced {
    const char *name;                     /* NULL: the route's action */
    struct base_slice owner_id;           /* project; null: that of the path */
    const struct security_principal *who; /* borrowed; NULL: who the request's credentials say */
    struct resource *resources;           /* in the arena */
    size_t resources_count;
    size_t resources_capacity;
};

static enum telemetry_resource resource_of(const struct restgw_request *request)
{
    const struct restgw_route *route = request->route;
    unsigned type = route == NULL ? 0 : route->flags >> RESTGW_ROUTE_TRACED_SHIFT;

    BASE_ASSERT(type < TELEMETRY_RESOURCE_COUNT);
    return (enum telemetry_resource)type;
}

static struct restgw__traced *traced_of(struct restgw_request *request)
{
    if (resource_of(request) != TELEMETRY_RESOURCE_NONE && request->traced == NULL) {
        request->traced = base_arena_object(&request->arena, struct restgw__traced);
    }
    return request->traced;
}

static struct base_slice copy(struct restgw_request *request, struct base_slice text)
{
    return text.data == NULL ? text
                             : base_slice_text(base_arena_strndup(
                                   &request->arena, (const char *)text.data, text.length));
}

/* Makes room for one more resource; false when there may not be more. */
static bool has_room(struct restgw_request *request, struct restgw__traced *traced)
{
    if (traced->resources_count < traced->resources_capacity) {
        return true;
    }
    size_t capacity = traced->resources_capacity == 0 ? 1 : traced->resources_capacity * 2;
    struct resource *resources =
        traced->resources_count >= RESTGW_AUDIT_RESOURCES_MAX
            ? NULL
            : base_arena_array(&request->arena, capacity, sizeof resources[0]);
    if (resources == NULL) {
        return false;
    }
    if (traced->resources_count > 0) {
        memcpy(resources, traced->resources, traced->resources_count * sizeof resources[0]);
    }
    traced->resources = resources;
    traced->resources_capacity = capacity;
    return true;
}

void restgw_audit_resource(struct restgw_request *request, struct base_slice id,
                           struct base_slice name)
{
    struct restgw__traced *traced = traced_of(request);
    if (traced == NULL) {
        return;
    }
    for (size_t i = 0; i < traced->resources_count; i++) {
        struct resource *resource = &traced->resources[i];
        if (resource->id.data == NULL && base_slice_equal(resource->name, name)) {
            resource->id = copy(request, id);
            return;
        }
    }
    if (has_room(request, traced)) {
        traced->resources[traced->resources_count++] =
            (struct resource){copy(request, id), copy(request, name)};
    }
}

void restgw_audit_name(struct restgw_request *request, const char *name)
{
    struct restgw__traced *traced = traced_of(request);
    if (traced != NULL) {
        traced->name = name;
    }
}

void restgw_audit_user(struct restgw_request *request, const struct security_principal *who)
{
    struct restgw__traced *traced = traced_of(request);
    if (traced != NULL) {
        traced->who = who;
    }
}

void restgw_audit_owner(struct restgw_request *request, struct base_slice project_id)
{
    struct restgw__traced *traced = traced_of(request);
    if (traced != NULL) {
        traced->owner_id = copy(request, project_id);
    }
}

void restgw__audit_begin(struct restgw_request *request)
{
    if (resource_of(request) != TELEMETRY_RESOURCE_NONE) {
        base_uuid_format(base_uuid_random(), request->request_id);
        restgw_answer_header(request, "X-Request-Id", base_slice_text(request->request_id));
    }
}

/* Segment of the path that the pattern calls name; null where it has none. */
static struct base_slice segment_of(const struct restgw_request *request, const char *name)
{
    return restgw_router_has_parameter(request->route, name)
               ? restgw_request_parameter(request, name)
               : base_slice_of(NULL, 0);
}

static struct resource resource_of_path(const struct restgw_request *request)
{
    struct base_slice id = segment_of(request, "group_id");
    return (struct resource){id.data != NULL ? id : segment_of(request, "queue_id"),
                             base_slice_of(NULL, 0)};
}

static enum telemetry_rating rating_of(int status)
{
    if (status >= 500) {
        return TELEMETRY_RATING_INCIDENT;
    }
    return status >= 400 ? TELEMETRY_RATING_WARNING : TELEMETRY_RATING_NORMAL;
}

/* "127.0.0.1:47122" without the port. */
static struct base_slice host_of(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    return base_slice_of(peer, colon == NULL ? strlen(peer) : (size_t)(colon - peer));
}

static void fill_who(const struct restgw_request *request, struct telemetry_trace *trace)
{
    const struct restgw__traced *traced = request->traced;
    bool is_said = traced != NULL && traced->who != NULL && traced->who->name[0] != '\0';
    const struct security_principal *principal = is_said ? traced->who : restgw__principal(request);

    trace->is_stranger = restgw__gateway(request)->options.identity != NULL &&
                         restgw_request_principal(request) == NULL &&
                         (!is_said || principal->user_id[0] == '\0');
    trace->user_id = base_slice_text(principal->user_id);
    trace->user_name = base_slice_text(principal->name);
    trace->domain_id = base_slice_text(principal->domain_id);
    trace->domain_name = base_slice_text(principal->domain_name);
    if (trace->project_id.data == NULL) {
        /* Who is nowhere is looked for where those are who prove nothing. */
        trace->project_id = base_slice_text(principal->project_id[0] != '\0'
                                                ? principal->project_id
                                                : restgw__principal(request)->project_id);
    }
}

/* The message of an answer that is an error: {"code":..,"message":..}, or that within
 * {"error":..}; null when there is none. As written, between its quotes. */
static struct base_slice message_of(struct base_slice body)
{
    struct restgw_json_cursor cursor;
    struct base_slice key;

    restgw_json_cursor_init(&cursor, body);
    restgw_json_enter_object(&cursor);
    while (restgw_json_next_key(&cursor, &key)) {
        if (restgw_json_key_is(key, "error")) {
            restgw_json_enter_object(&cursor);
            continue;
        }
        bool is_string = restgw_json_peek(&cursor) == RESTGW_JSON_STRING;
        struct base_slice value = restgw_json_value(&cursor);
        if (is_string && restgw_json_key_is(key, "message")) {
            return value;
        }
    }
    return base_slice_of(NULL, 0);
}

/* Why it was refused, as the client was told: "10240017 The queue already exists." */
static struct base_slice reason_of(struct restgw_request *request)
{
    struct base_slice text = base_slice_of(NULL, 0);
    struct base_slice quoted = request->status < 400 ? text : message_of(request->answer_body);

    if (quoted.data == NULL ||
        restgw_json_unescape(&request->arena, quoted, &text) != BASE_ERR_OK ||
        request->error == RESTGW_ERROR_NONE) {
        return text;
    }
    const char *reason =
        base_arena_printf(&request->arena, "%d %.*s", restgw_error_code(request->error),
                          (int)text.length, (const char *)text.data);
    return base_slice_text(reason);
}

/* A trace for each resource of the request, or for what its path names. */
static void write_traces(const struct restgw_request *request, struct telemetry_audit *audit,
                         struct telemetry_trace *trace)
{
    const struct restgw__traced *traced = request->traced;
    struct resource of_path = resource_of_path(request);
    bool has_some = traced != NULL && traced->resources_count > 0;
    const struct resource *resources = has_some ? traced->resources : &of_path;
    size_t count = has_some ? traced->resources_count : 1;

    if (request->status >= 400 && count > RESTGW_AUDIT_REFUSED_RESOURCES_MAX) {
        count = RESTGW_AUDIT_REFUSED_RESOURCES_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        trace->resource_id = resources[i].id;
        trace->resource_name = resources[i].name;
        telemetry_audit_write(audit, trace, request->executor);
    }
}

void restgw__audit_end(struct restgw_request *request, struct telemetry_audit *audit)
{
    const struct restgw__traced *traced = request->traced;
    char code[16];

    if (resource_of(request) == TELEMETRY_RESOURCE_NONE) {
        return;
    }
    (void)snprintf(code, sizeof code, "%d", request->status);
    const char *name =
        traced != NULL && traced->name != NULL ? traced->name : request->route->action;
    struct telemetry_trace trace = {
        .name = base_slice_text(name),
        .resource = resource_of(request),
        .rating = rating_of(request->status),
        .project_id = segment_of(request, "project_id"),
        .source_ip = host_of(request->peer),
        .request_id = base_slice_text(request->request_id),
        .api_version = request->segments[0],
        .code = base_slice_text(code),
        .message = reason_of(request),
    };
    fill_who(request, &trace);
    write_traces(request, audit, &trace);
    if (traced != NULL && traced->owner_id.data != NULL &&
        !base_slice_equal(traced->owner_id, trace.project_id)) {
        trace.project_id = traced->owner_id;
        write_traces(request, audit, &trace);
    }
}
