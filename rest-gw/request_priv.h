/* Inside of a request, shared by those that make, answer and order it. */
#ifndef RESTGW_REQUEST_PRIV_H
#define RESTGW_REQUEST_PRIV_H

#include "core/base/chunk.h"
#include "core/base/list.h"
#include "core/base/uuid.h"
#include "core/base/writer.h"
#include "core/net/conn.h"
#include "rest-gw/error.h"
#include "rest-gw/request.h"
#include "rest-gw/uri.h"

struct restgw__traced;
struct restgw_http_conn;
struct restgw_http_server;

enum restgw__request_state {
    REQUEST_READY,    /* made; no handler has seen it */
    REQUEST_RUNNING,  /* the gate or a handler has it */
    REQUEST_ANSWERED, /* ->answer waits for its turn on the connection */
    REQUEST_STATE_COUNT
};

struct restgw_request {
    enum restgw__request_state state;
    struct base_list siblings;         /* in conn->requests, in order of arrival */
    struct restgw_http_conn *conn;     /* NULL once the connection is gone */
    struct restgw_http_server *server; /* borrowed */
    struct base_executor *executor;    /* borrowed */
    struct base_arena arena;
    struct base_buffer *input; /* counted; holds the message unless arena does; may be NULL */
    const uint8_t *message;
    size_t message_size; /* bytes counted as in flight */
    struct base_slice body;

    enum restgw_http_method method;
    bool keep_alive; /* the connection goes on after the answer */
    bool is_1_0;
    bool is_cancelled;
    bool may_not_wait; /* its client left before anybody asked to be told: whoever asks is told */
    struct restgw_http_span path;
    struct restgw_http_span query;
    const struct restgw_http_field *fields; /* in arena */
    size_t fields_count;
    struct base_slice segments[RESTGW_PATH_SEGMENTS_MAX];
    size_t segments_count;
    struct restgw_parameter *parameters; /* in arena */
    size_t parameters_count;
    const struct restgw_route *route; /* NULL until found */

    void *principal;
    struct restgw__traced *traced;        /* in arena; NULL: nothing was said */
    char request_id[BASE_UUID_TEXT_SIZE]; /* empty unless the route is traced */
    enum restgw_error error;              /* what was answered; NONE for a success */
    json_t *json;                         /* owned; NULL until asked for */
    restgw_request_cancel *cancel;
    void *cancel_context;
    struct base_timer poll_timer; /* armed while it waits for long */
    enum restgw_error revoked;    /* what it is answered, whatever its handler says */
    int64_t received_us;
    char peer[NET_ADDRESS_SIZE];

    struct base_slice extra_headers; /* in arena; each with its line end */
    size_t head_room;                /* bytes in front of the body in writer */
    struct base_writer writer;
    struct base_chunk answer;      /* in ANSWERED; length 0 when memory was out */
    struct base_slice answer_body; /* in ANSWERED; within answer, until that is sent */
    int status;                    /* in ANSWERED */
};

/* A request with an arena and nothing else; NULL when memory is out. */
struct restgw_request *restgw__request_create(void);

/* Ready for the next use, with the arena's first block kept. */
void restgw__request_reset(struct restgw_request *request);

void restgw__request_destroy(struct restgw_request *request);

/* The only writer of request->state. */
void restgw__request_move(struct restgw_request *request, enum restgw__request_state next);

/* Takes over what the parser found in message; the bytes must live until the end of
 * the request: in the arena, or in ->input. NOMEM. */
BASE_MUST_USE enum base_err restgw__request_fill(struct restgw_request *request,
                                                 const struct restgw_http_parser *parser,
                                                 const uint8_t *message);

/* Whether the route takes more than RESTGW_HTTP_SHORT_BODY_SIZE_MAX of a body. Of request nothing
 * but the method, path and message are looked at; it is to be reset then. */
bool restgw__request_takes_long_body(struct restgw_request *request);

/* Tells whoever asked, or will ask, that the client is gone. May end the request. */
void restgw__request_cancel(struct restgw_request *request);

/* Finds the route and hands the request to the gate or handler, or answers it. */
void restgw__request_dispatch(struct restgw_request *request);

/* Called by answer.c for a request that has become ANSWERED: sends what is next. */
void restgw__http_conn_flush(struct restgw_request *request);

#endif
