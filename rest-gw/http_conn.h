/* HTTP/1.1 connections: requests in, answers out in the same order.
 *
 * Requests of one connection run at the same time, at most
 * RESTGW_HTTP_PIPELINE_MAX of them; reading stops meanwhile. */
#ifndef RESTGW_HTTP_CONN_H
#define RESTGW_HTTP_CONN_H

#include "core/base/err.h"
#include "core/net/conn.h"

enum {
    RESTGW_HTTP_PIPELINE_MAX = 16, /* requests in flight per connection */
    RESTGW_HTTP_IDLE_TIMEOUT_MS = 75000,
    RESTGW_HTTP_OUTPUT_SIZE_MAX = 32 * 1024 * 1024, /* unsent answers of one connection */
};

/* For net_listener_options: .conn and .on_accept (context = the server). */
struct net_conn_options restgw_http_conn_options(void);
enum base_err restgw_http_conn_accept(void *server, struct net_conn *conn);

#endif
