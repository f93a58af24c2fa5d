/* Which handler a method and path belong to: a table of patterns, matched segment by
 * segment. Immutable once made; every loop uses the same one. */
#ifndef RESTGW_ROUTER_H
#define RESTGW_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "rest-gw/http_parser.h"

struct restgw_request;

/* Runs on the loop of the request's connection; must answer it exactly once
 * (rest-gw/answer.h), now or later. */
typedef void restgw_handler(struct restgw_request *request);

enum {
    RESTGW_ROUTE_PUBLIC = 1 << 0,      /* needs no credentials; for the gate to look at */
    RESTGW_ROUTE_MESSAGES = 1 << 1,    /* bad JSON is 10540012, not 10240009 */
    RESTGW_ROUTE_ONE_VERSION = 1 << 2, /* a pattern under /v1.0 is not offered under /v2 too */
    RESTGW_ROUTE_IAM = 1 << 3,         /* of the identity service: refusals in its form */
    RESTGW_ROUTE_ADMIN = 1 << 4,       /* for administrators only */
    RESTGW_ROUTE_METRICS = 1 << 5,     /* may be made public by the configuration */
    RESTGW_ROUTE_LONG_BODY = 1 << 6,   /* longer than RESTGW_HTTP_SHORT_BODY_SIZE_MAX */
};

/* Also a flag: every request to the route leaves a trace in the audit trail, named after the
 * row's action, about a resource of this type: RESTGW_ROUTE_TRACED(QUEUE). See audit.h. */
#define RESTGW_ROUTE_TRACED(resource) ((unsigned)TELEMETRY_RESOURCE_##resource << 8)
enum { RESTGW_ROUTE_TRACED_SHIFT = 8 };

/* One row of the table. */
struct restgw_route {
    enum restgw_http_method method; /* GET answers HEAD too where PUBLIC is set */
    const char *pattern;            /* "/v1.0/{project_id}/queues": "{name}" matches any segment */
    restgw_handler *handler;
    unsigned flags;
    const char *action; /* its name for permissions, metrics and audit; may be NULL */
};

struct restgw_router;

enum restgw_router_verdict {
    RESTGW_ROUTER_FOUND,
    RESTGW_ROUTER_NO_URL,    /* 404 */
    RESTGW_ROUTER_NO_METHOD, /* 405: ->methods says which there are */
};

struct restgw_match {
    const struct restgw_route *route; /* borrowed; NULL unless FOUND */
    unsigned methods;                 /* bit per restgw_http_method that the path supports */
};

/* routes is borrowed and lives as long as the router. NOMEM. Malformed patterns and
 * two rows for the same method and path are broken promises. */
BASE_MUST_USE enum base_err restgw_router_create(const struct restgw_route *routes, size_t count,
                                                 struct restgw_router **out);

/* Sets *router to NULL. NULL-safe. */
void restgw_router_close(struct restgw_router **router);

/* The first row that matches wins. segments as restgw_uri_split_path gives them. */
enum restgw_router_verdict restgw_router_find(const struct restgw_router *router,
                                              enum restgw_http_method method,
                                              const struct base_slice *segments, size_t count,
                                              struct restgw_match *match);

bool restgw_router_has_parameter(const struct restgw_route *route, const char *name);

/* Place of "{name}" among the segments of route's pattern. It must have it. */
size_t restgw_router_parameter(const struct restgw_route *route, const char *name);

#endif
