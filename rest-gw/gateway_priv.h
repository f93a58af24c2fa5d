/* The gateway as its handlers see it. */
#ifndef RESTGW_GATEWAY_PRIV_H
#define RESTGW_GATEWAY_PRIV_H

#include "core/catalog/reader.h"
#include "rest-gw/gateway.h"
#include "rest-gw/http_server.h"

/* What belongs to one loop. */
struct restgw__loop {
    struct base_executor *executor; /* borrowed */
    struct catalog_reader reader;
};

struct restgw_gateway {
    struct restgw_options options;
    struct restgw_router *router;
    struct restgw_http_server *server;
    struct restgw__loop *loops; /* owned array of options.loops_count */
    int64_t started_ms;         /* wall clock */
    struct base_task finished;
    struct base_executor *closed_executor; /* borrowed */
    struct base_task *closed_task;         /* borrowed */
};

static inline struct restgw_gateway *restgw__gateway(const struct restgw_request *request)
{
    return restgw_request_context(request);
}

/* The newest view of the catalog; borrowed until this loop begins another request. */
struct catalog_view *restgw__view(const struct restgw_request *request);

#endif
