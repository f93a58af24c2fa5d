/* What the connections of one gateway share. */
#ifndef RESTGW_HTTP_SERVER_PRIV_H
#define RESTGW_HTTP_SERVER_PRIV_H

#include <stdatomic.h>

#include "rest-gw/http_conn.h"

struct restgw_http_server {
    struct restgw_http_options options; /* defaults filled in */
    atomic_size_t requests;             /* not answered yet */
    atomic_size_t bytes;                /* of these, and of unfinished messages */
    atomic_size_t unverified_bytes;     /* that clients who are not verified may still send */
    atomic_bool is_draining;
    atomic_size_t connections; /* open now */
    /* Connections, requests whose connection is gone, and one until finish(). */
    atomic_size_t alive;
    struct base_executor *finished_executor; /* borrowed */
    struct base_task *finished_task;         /* borrowed */
};

#endif
