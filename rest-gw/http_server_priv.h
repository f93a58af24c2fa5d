/* Inside of what the connections of one gateway share. */
#ifndef RESTGW_HTTP_SERVER_PRIV_H
#define RESTGW_HTTP_SERVER_PRIV_H

#include <stdatomic.h>

#include "rest-gw/http_server.h"

struct restgw_http_server {
    struct restgw_http_options options; /* defaults filled in */
    atomic_size_t requests;             /* not answered yet */
    atomic_size_t bytes;                /* of these, and of unfinished messages */
    atomic_size_t unverified_bytes;     /* of long messages whose senders are not verified */
    atomic_size_t unsent_bytes;         /* of answers that clients have not taken */
    atomic_bool is_draining;
    atomic_size_t connections; /* open now */
    /* Connections, requests whose connection is gone, and one until finish(). */
    atomic_size_t alive;
    struct base_executor *finished_executor; /* borrowed */
    struct base_task *finished_task;         /* borrowed */
};

/* Each keeps the server from being finished. Any thread, like all below. */
void restgw__http_server_hold(struct restgw_http_server *server);

/* The last word about the server: it may be gone afterwards. */
void restgw__http_server_release(struct restgw_http_server *server);

/* Counts size bytes; false, and nothing counted, when the budget is spent. */
bool restgw__http_server_charge(struct restgw_http_server *server, size_t size);
void restgw__http_server_refund(struct restgw_http_server *server, size_t size);

/* The same for a message that has not come whole: these leave a reserve, so that those who send
 * slowly, or nothing, do not shut out who says all at once. Refunded as above. */
bool restgw__http_server_charge_unfinished(struct restgw_http_server *server, size_t size);

/* The same for what may come from clients who are not verified. */
bool restgw__http_server_charge_unverified(struct restgw_http_server *server, size_t size);
void restgw__http_server_refund_unverified(struct restgw_http_server *server, size_t size);

/* A connection's unsent answers were `before` bytes and are `after`. */
void restgw__http_server_recount_unsent(struct restgw_http_server *server, size_t before,
                                        size_t after);

/* Whether unsent answers have reached their limit. */
bool restgw__http_server_owes_much(const struct restgw_http_server *server);

#endif
