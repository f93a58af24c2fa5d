/* From an answered request to its traces. */
#include "rest-gw/audit_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/answer.h"
#include "rest-gw/request_priv.h"
#include "rest-gw/scope_priv.h"

struct resource {
    struct base_slice id;
    struct base_slice name;
};

struct restgw__traced {
    const char *name; /* NULL: the route's action */
    struct base_slice project_id;
    struct resource resources[RESTGW_AUDIT_RESOURCES_MAX];
    size_t resources_count;
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
    if (traced->resources_count < RESTGW_AUDIT_RESOURCES_MAX) {
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

void restgw_audit_project(struct restgw_request *request, struct base_slice project_id)
{
    struct restgw__traced *traced = traced_of(request);
    if (traced != NULL) {
        traced->project_id = copy(request, project_id);
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
    const struct security_principal *principal = restgw__principal(request);

    trace->user_id = base_slice_text(principal->user_id);
    trace->user_name = base_slice_text(principal->name);
    trace->domain_id = base_slice_text(principal->domain_id);
    trace->domain_name = base_slice_text(principal->domain_name);
    if (trace->project_id.data == NULL) {
        trace->project_id = base_slice_text(principal->project_id);
    }
}

void restgw__audit_end(const struct restgw_request *request, struct telemetry_audit *audit)
{
    const struct restgw__traced *traced = request->traced;
    char code[16];
    char message[256] = "";

    if (resource_of(request) == TELEMETRY_RESOURCE_NONE) {
        return;
    }
    (void)snprintf(code, sizeof code, "%d", request->status);
    if (request->error != RESTGW_ERROR_NONE) {
        (void)snprintf(message, sizeof message, "%d %s", restgw_error_code(request->error),
                       restgw_error_text(request->error));
    }
    const char *name =
        traced != NULL && traced->name != NULL ? traced->name : request->route->action;
    struct telemetry_trace trace = {
        .name = base_slice_text(name),
        .resource = resource_of(request),
        .rating = rating_of(request->status),
        .project_id = traced != NULL && traced->project_id.data != NULL
                          ? traced->project_id
                          : segment_of(request, "project_id"),
        .source_ip = host_of(request->peer),
        .request_id = base_slice_text(request->request_id),
        .api_version = request->segments[0],
        .code = base_slice_text(code),
        .message = base_slice_text(message),
    };
    fill_who(request, &trace);
    size_t count = traced == NULL ? 0 : traced->resources_count;
    struct resource of_path = resource_of_path(request);
    const struct resource *resources = count == 0 ? &of_path : traced->resources;
    for (size_t i = 0; i < (count == 0 ? 1 : count); i++) {
        trace.resource_id = resources[i].id;
        trace.resource_name = resources[i].name;
        telemetry_audit_write(audit, &trace, request->executor);
    }
}
