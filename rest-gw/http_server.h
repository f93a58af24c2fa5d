/* What all connections of a gateway share: how requests are handled, limits, counts. */
#ifndef RESTGW_HTTP_SERVER_H
#define RESTGW_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/executor.h"
#include "rest-gw/request.h"
#include "rest-gw/router.h"

enum {
    RESTGW_HTTP_HEADER_TIMEOUT_MS = 10000,
    RESTGW_HTTP_BODY_TIMEOUT_MS = 30000,
    RESTGW_HTTP_IN_FLIGHT_SIZE_MAX = 256 * 1024 * 1024, /* of all requests; default */
    RESTGW_HTTP_RESERVE_SHARE = 8, /* an eighth of it is for messages of which all is here */
    RESTGW_HTTP_UNSENT_SIZE_MAX = 128 * 1024 * 1024,    /* answers of all connections; default */
    RESTGW_HTTP_UNADMITTED_SIZE_MAX = 64 * 1024,        /* message of a client nobody knows yet */
    RESTGW_HTTP_UNVERIFIED_SIZE_MAX = 32 * 1024 * 1024, /* of all who are plausible only */
    RESTGW_HTTP_POLL_CHECK_MS = 1000,
};

/* One answered request, for metrics and audit. On its loop. */
struct restgw_http_report {
    struct restgw_request *request;   /* borrowed for the call */
    const struct restgw_route *route; /* NULL when none was found */
    int status;
    size_t request_size; /* bytes */
    size_t answer_size;  /* bytes */
    int64_t duration_us; /* from complete to answered */
};
typedef void restgw_http_on_answered(void *context, const struct restgw_http_report *report);

/* Whether the body of a request may come, by its head. */
enum restgw_admission {
    RESTGW_ADMITTED,
    RESTGW_UNVERIFIED,   /* who asks can be told only with the body, or later: it may come as long
                            as there is room for such */
    RESTGW_NOT_ADMITTED, /* refused with *error */
};

struct restgw_http_options {
    const struct restgw_router *router; /* borrowed */
    void *context;                      /* borrowed; restgw_request_context() */
    /* Gets every routed request first: authentication. It answers it or calls
     * restgw_request_run(), at once or later. NULL: handlers get them directly. */
    restgw_handler *gate;
    /* Asked before more than RESTGW_HTTP_UNADMITTED_SIZE_MAX bytes of a message are kept. Of head
     * nothing but header, path and query may be read, and only during the call. NULL: everything is
     * admitted. */
    enum restgw_admission (*admit)(struct restgw_request *head, enum restgw_error *error);
    /* Asked about requests that wait (restgw_request_on_cancel) every
     * RESTGW_HTTP_POLL_CHECK_MS: false ends the request with *error. May be NULL. */
    bool (*is_current)(struct restgw_request *request, enum restgw_error *error);
    restgw_http_on_answered *on_answered; /* may be NULL; context as above */
    size_t body_size_max;                 /* bytes; 0 = RESTGW_HTTP_BODY_SIZE_MAX */
    size_t in_flight_size_max;            /* bytes; 0 = RESTGW_HTTP_IN_FLIGHT_SIZE_MAX */
    /* Bytes of answers that clients have not taken. Above it, a connection's next request waits
     * until the answers before it have left. 0 = RESTGW_HTTP_UNSENT_SIZE_MAX. */
    size_t unsent_size_max;
    int64_t header_timeout_ms; /* 0 = RESTGW_HTTP_HEADER_TIMEOUT_MS */
    int64_t body_timeout_ms;   /* 0 = RESTGW_HTTP_BODY_TIMEOUT_MS */
};

struct restgw_http_server;

BASE_MUST_USE enum base_err restgw_http_server_create(const struct restgw_http_options *options,
                                                      struct restgw_http_server **out);

/* After the last connection and the last request. Sets *server to NULL. NULL-safe. */
void restgw_http_server_close(struct restgw_http_server **server);

/* Posts `finished` to executor once no connection and no request is left: the server may be
 * closed then. Once; no connection may be accepted any more. */
void restgw_http_server_finish(struct restgw_http_server *server, struct base_executor *executor,
                               struct base_task *finished);

/* From now on every answer closes its connection: before stopping. Any thread. */
void restgw_http_server_drain(struct restgw_http_server *server);

/* Connections open now. Any thread. */
size_t restgw_http_server_connections(const struct restgw_http_server *server);

/* Requests not answered yet, and their bytes with those of unfinished ones. Any thread. */
size_t restgw_http_server_requests(const struct restgw_http_server *server);
size_t restgw_http_server_bytes(const struct restgw_http_server *server);

/* Bytes of answers that wait for their turn or for the kernel; of those that leave bit by bit,
 * all until the last. Any thread. */
size_t restgw_http_server_unsent_bytes(const struct restgw_http_server *server);

#endif
