/* Connections of the REST gateway: from bytes to requests, from answers to bytes.
 *
 * Memory: an unfinished message stays in the connection's input, which grows with
 * what has come. A finished one is copied to its request's arena when it is short;
 * a long one is held where it is. All of it is counted against the budget of the server. So are
 * answers until the kernel has them; where these are too many, no more is asked. */
#include "rest-gw/http_conn.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/net/loop.h"
#include "rest-gw/answer.h"
#include "rest-gw/http_parser.h"
#include "rest-gw/http_server_priv.h"
#include "rest-gw/request_priv.h"

enum {
    COPY_SIZE_MAX = 8 * 1024,           /* messages up to it do not pin a read buffer */
    INPUT_STEP_SIZE = 4 * 1024,         /* least input to wait for in a long body */
    OUTPUT_LOW_SIZE = 1024 * 1024,      /* unsent answers below which requests go on */
    OUTPUT_HIGH_SIZE = 4 * 1024 * 1024, /* and above which they stop */
};

enum conn_state {
    CONN_OPEN,   /* requests are read */
    CONN_ENDING, /* no more requests; closes after the answers to those in flight */
    CONN_CLOSED, /* told to close; waits for on_close */
    CONN_STATE_COUNT
};

#define MAY(state) (1u << CONN_##state)
static const unsigned conn_moves[CONN_STATE_COUNT] = {
    [CONN_OPEN] = MAY(ENDING) | MAY(CLOSED),
    [CONN_ENDING] = MAY(CLOSED),
    [CONN_CLOSED] = 0,
};
#undef MAY

/* What the connection's deadline stands for. */
enum conn_deadline {
    DEADLINE_NONE,
    DEADLINE_HEADER,
    DEADLINE_BODY,
    DEADLINE_OVER, /* it runs, but what it was for has come */
};

struct restgw_http_conn {
    struct net_conn *net;              /* borrowed; lives until on_close */
    struct restgw_http_server *server; /* borrowed */
    enum conn_state state;
    enum conn_deadline deadline;
    struct base_list requests; /* in order of arrival, until their answer is sent */
    unsigned requests_count;
    bool is_paused;               /* reading stopped: too many requests, or answers nobody reads */
    bool is_reading;              /* on_input is on the stack */
    bool wants_continue;          /* "100 Continue" is owed once it is this request's turn */
    bool is_admitted;             /* the unfinished message may be longer than that of anybody */
    bool takes_long_body;         /* its route was found to take what is longer than short */
    size_t unverified_size;       /* bytes of it counted in server->unverified_bytes */
    size_t charged_size;          /* bytes of the unfinished message counted in server->bytes */
    size_t answered_size;         /* bytes of answers that wait for their turn */
    size_t unsent_size;           /* of these and of the output, counted in server->unsent_bytes */
    struct restgw_request *spare; /* owned; for the next request; may be NULL */
    struct restgw_http_parser parser;
};

/* The only writer of conn->state. */
static void conn_move(struct restgw_http_conn *conn, enum conn_state next)
{
    BASE_ASSERT((conn_moves[conn->state] & (1u << next)) != 0);
    conn->state = next;
}

/* The message that is being read is over, one way or the other. */
static void forget_admission(struct restgw_http_conn *conn)
{
    restgw__http_server_refund_unverified(conn->server, conn->unverified_size);
    conn->unverified_size = 0;
    conn->is_admitted = false;
    conn->takes_long_body = false;
}

/* Closes now, or as soon as what is queued has been sent. */
static void conn_end(struct restgw_http_conn *conn, enum base_err reason)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    conn_move(conn, CONN_CLOSED);
    net_conn_set_deadline(conn->net, 0);
    if (reason == BASE_ERR_OK) {
        net_conn_close_when_sent(conn->net);
    } else {
        net_conn_close(conn->net, reason);
    }
}

/* Reads no further request; closes when those in flight are answered. */
static void conn_stop_reading(struct restgw_http_conn *conn)
{
    if (conn->state == CONN_OPEN) {
        conn_move(conn, CONN_ENDING);
        conn->deadline = DEADLINE_NONE;
        net_conn_set_deadline(conn->net, 0);
    }
    if (conn->state == CONN_ENDING && conn->requests_count == 0) {
        conn_end(conn, BASE_ERR_OK);
    }
}

static struct restgw_request *request_take(struct restgw_http_conn *conn)
{
    struct restgw_request *request = conn->spare;
    conn->spare = NULL;
    if (request == NULL) {
        request = restgw__request_create();
    }
    if (request == NULL) {
        return NULL;
    }
    request->conn = conn;
    request->server = conn->server;
    request->executor = net_loop_executor(net_conn_loop(conn->net));
    request->received_us = net_loop_now_us(net_conn_loop(conn->net));
    request->method = conn->parser.head.method;
    request->is_1_0 = conn->parser.head.is_1_0;
    request->keep_alive = conn->parser.head.keep_alive;
    memcpy(request->peer, net_conn_peer(conn->net), strlen(net_conn_peer(conn->net)) + 1);
    return request;
}

/* Puts a request in line for its answer. size is charged already. */
static void request_enqueue(struct restgw_http_conn *conn, struct restgw_request *request,
                            size_t size)
{
    request->message_size = size;
    base_list_push_back(&conn->requests, &request->siblings);
    conn->requests_count++;
    net_conn_set_busy(conn->net, true);
    (void)atomic_fetch_add(&conn->server->requests, 1);
}

/* The end of a request, answered or not worth answering. Not in a list. */
static void request_end(struct restgw_request *request)
{
    struct restgw_http_conn *conn = request->conn;
    struct restgw_http_server *server = request->server;

    restgw__http_server_refund(server, request->message_size);
    (void)atomic_fetch_sub(&server->requests, 1);
    if (conn != NULL && conn->spare == NULL) {
        restgw__request_reset(request);
        conn->spare = request;
    } else {
        restgw__request_destroy(request);
    }
    if (conn == NULL) {
        restgw__http_server_release(server);
    }
}

static void report(struct restgw_request *request)
{
    const struct restgw_http_options *options = &request->server->options;
    if (options->on_answered == NULL) {
        return;
    }
    int64_t now_us = base_clock_monotonic_us(request->executor->clock);
    struct restgw_http_report facts = {.request = request,
                                       .route = request->route,
                                       .status = request->status,
                                       .request_size = request->message_size,
                                       .answer_size = request->answer.length,
                                       .duration_us = now_us - request->received_us};
    options->on_answered(options->context, &facts);
}

/* First in line; NULL when there is none. */
static struct restgw_request *first_request(const struct restgw_http_conn *conn)
{
    if (base_list_is_empty(&conn->requests)) {
        return NULL;
    }
    return BASE_CONTAINER_OF(conn->requests.next, struct restgw_request, siblings);
}

/* Sends the answer of the first request in line and ends the request. */
static void send_first(struct restgw_http_conn *conn, struct restgw_request *request)
{
    bool keep_alive = request->keep_alive;

    BASE_ASSERT(request->state == REQUEST_ANSWERED);
    BASE_ASSERT(conn->answered_size >= request->answer.length);
    base_list_remove(&request->siblings);
    conn->requests_count--;
    net_conn_set_busy(conn->net, conn->requests_count > 0);
    conn->answered_size -= request->answer.length;
    if (request->answer.length == 0) {
        conn_end(conn, BASE_ERR_NOMEM); /* there was not even memory to say so */
    } else if (conn->state != CONN_CLOSED) {
        net_conn_send(conn->net, &request->answer, 1);
        request->answer = (struct base_chunk){0};
    }
    request_end(request);
    if (!keep_alive) {
        conn_end(conn, BASE_ERR_OK); /* whatever is behind it was not to be asked for */
    }
}

/* Bytes of answers that the kernel has not taken yet. */
static size_t unsent_size(const struct restgw_http_conn *conn)
{
    return conn->answered_size + net_conn_output_bytes(conn->net);
}

/* Whether one more request may run. Where all together owe too much, those to whom nothing is owed
 * go on, one by one: whoever takes his answers does not wait for who does not. */
static bool has_room(const struct restgw_http_conn *conn, size_t output_size_max)
{
    size_t size = unsent_size(conn);

    return conn->requests_count < RESTGW_HTTP_PIPELINE_MAX && size < output_size_max &&
           (size == 0 || !restgw__http_server_owes_much(conn->server));
}

static void count_unsent(struct restgw_http_conn *conn)
{
    size_t size = unsent_size(conn);

    restgw__http_server_recount_unsent(conn->server, conn->unsent_size, size);
    conn->unsent_size = size;
}

/* The interim answer for a client that waits before it sends its body. */
static void send_continue(struct restgw_http_conn *conn)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    size_t length = sizeof text - 1;

    conn->wants_continue = false;
    struct base_buffer *buffer = base_buffer_create(length);
    if (buffer == NULL) {
        conn_end(conn, BASE_ERR_NOMEM);
        return;
    }
    memcpy(buffer->data, text, length);
    struct base_chunk chunk = {.buffer = buffer, .length = length};
    net_conn_send(conn->net, &chunk, 1);
}

/* Sends all answers whose turn it is, then decides how to go on. */
static void conn_flush(struct restgw_http_conn *conn)
{
    struct restgw_request *request = first_request(conn);
    while (request != NULL && request->state == REQUEST_ANSWERED) {
        send_first(conn, request);
        request = first_request(conn);
    }
    count_unsent(conn);
    if (conn->state == CONN_ENDING) {
        conn_stop_reading(conn);
    }
    if (conn->state != CONN_OPEN || conn->is_reading) {
        return;
    }
    if (conn->wants_continue && conn->requests_count == 0) {
        send_continue(conn);
    }
    if (conn->is_paused && has_room(conn, OUTPUT_LOW_SIZE)) {
        conn->is_paused = false;
        net_conn_resume(conn->net);
    }
}

void restgw__http_conn_flush(struct restgw_request *request)
{
    report(request);
    if (request->conn == NULL) {
        request_end(request);
    } else {
        request->conn->answered_size += request->answer.length;
        conn_flush(request->conn);
    }
}

/* Refuses the message that is being read, in its turn, and everything after it. */
static void conn_refuse(struct restgw_http_conn *conn, enum restgw_error error, const char *detail)
{
    net_conn_consume(conn->net, net_conn_input(conn->net).length);
    struct restgw_request *request = request_take(conn);
    if (request == NULL) {
        conn_end(conn, BASE_ERR_NOMEM);
        return;
    }
    request->keep_alive = false;
    request_enqueue(conn, request, 0);
    conn_stop_reading(conn);
    restgw__request_move(request, REQUEST_RUNNING);
    restgw_answer_errorf(request, error, "%s", detail);
}

/* Gives the request the message's bytes, for as long as it lives. */
static enum base_err take_message(struct restgw_http_conn *conn, struct restgw_request *request,
                                  const uint8_t *message)
{
    size_t size = conn->parser.position;

    if (size <= COPY_SIZE_MAX) {
        uint8_t *copy = base_arena_alloc(&request->arena, size);
        if (copy == NULL) {
            return BASE_ERR_NOMEM;
        }
        memcpy(copy, message, size);
        message = copy;
    } else {
        request->input = base_buffer_hold(net_conn_input_buffer(conn->net));
    }
    return restgw__request_fill(request, &conn->parser, message);
}

/* A whole message is there: makes it a request and lets it run. */
static void conn_dispatch(struct restgw_http_conn *conn, const uint8_t *message)
{
    size_t size = conn->parser.position;

    restgw__http_server_refund(conn->server, conn->charged_size);
    conn->charged_size = 0;
    forget_admission(conn);
    conn->wants_continue = false;
    if (conn->deadline != DEADLINE_NONE) {
        conn->deadline = DEADLINE_OVER; /* the next message has a time of its own */
    }
    struct restgw_request *request = request_take(conn);
    if (request == NULL) {
        conn_end(conn, BASE_ERR_NOMEM);
        return;
    }
    bool is_charged = restgw__http_server_charge(conn->server, size);
    enum base_err err = is_charged ? take_message(conn, request, message) : BASE_ERR_OK;
    bool keep_alive = conn->parser.head.keep_alive;

    net_conn_consume(conn->net, size);
    request_enqueue(conn, request, is_charged ? size : 0);
    restgw_http_parser_init(&conn->parser, conn->server->options.body_size_max);
    if (!keep_alive) {
        conn_stop_reading(conn);
    }
    if (is_charged && err == BASE_ERR_OK) {
        restgw__request_dispatch(request);
        return;
    }
    restgw__request_move(request, REQUEST_RUNNING);
    restgw_answer_error(request,
                        is_charged ? RESTGW_ERROR_INTERNAL_MEMORY : RESTGW_ERROR_FLOW_CONTROL);
}

/* Room for what has come of a message whose sender nobody can be sure of yet: who only promises a
 * long one takes none from others. */
static enum restgw_error take_unverified(struct restgw_http_conn *conn, size_t input_size)
{
    if (input_size > conn->unverified_size) {
        size_t size = input_size - conn->unverified_size;
        if (!restgw__http_server_charge_unverified(conn->server, size)) {
            return RESTGW_ERROR_FLOW_CONTROL;
        }
        conn->unverified_size = input_size;
    }
    return RESTGW_ERROR_NONE;
}

/* A request of which only the head has come, to be looked at; NULL when memory is out. */
static struct restgw_request *head_take(struct restgw_http_conn *conn, const uint8_t *message)
{
    const struct restgw_http_head *head = &conn->parser.head;
    struct restgw_request *request = request_take(conn);

    if (request != NULL) {
        request->message = message;
        request->path = head->path;
        request->query = head->query;
        request->fields = head->fields;
        request->fields_count = head->fields_count;
    }
    return request;
}

static void head_return(struct restgw_http_conn *conn, struct restgw_request *request)
{
    restgw__request_reset(request);
    conn->spare = request;
}

/* Asks whether a message may be long, as soon as its head is there: before its body is kept, and
 * before a client that waits for "100 Continue" is told so. What is short is let in, to be answered
 * as any other. NONE, or why not. */
static enum restgw_error conn_admit(struct restgw_http_conn *conn, const uint8_t *message,
                                    size_t input_size)
{
    const struct restgw_http_head *head = &conn->parser.head;
    enum restgw_error error = RESTGW_ERROR_NONE;
    bool is_long = input_size > RESTGW_HTTP_UNADMITTED_SIZE_MAX ||
                   head->content_length > RESTGW_HTTP_UNADMITTED_SIZE_MAX;

    if (conn->unverified_size > 0) {
        return take_unverified(conn, input_size);
    }
    if (conn->server->options.admit == NULL || conn->is_admitted ||
        !restgw_http_has_head(&conn->parser) || !is_long) {
        return RESTGW_ERROR_NONE;
    }
    struct restgw_request *request = head_take(conn, message);
    if (request == NULL) {
        return RESTGW_ERROR_INTERNAL_MEMORY;
    }
    enum restgw_admission admission = conn->server->options.admit(request, &error);
    head_return(conn, request);
    if (admission == RESTGW_NOT_ADMITTED) {
        return error;
    }
    conn->is_admitted = true;
    return admission == RESTGW_UNVERIFIED ? take_unverified(conn, input_size) : RESTGW_ERROR_NONE;
}

/* Holds the body to the size of its route, as soon as it is known to be longer than short. Bodies
 * that are not cost no look at the routes. NONE, or why not. */
static enum restgw_error conn_check_size(struct restgw_http_conn *conn, const uint8_t *message)
{
    const struct restgw_http_parser *parser = &conn->parser;
    size_t size = parser->head.is_chunked ? parser->body_length + parser->chunk_remaining
                                          : (size_t)parser->head.content_length;

    if (!restgw_http_has_head(parser) || size <= RESTGW_HTTP_SHORT_BODY_SIZE_MAX ||
        conn->takes_long_body) {
        return RESTGW_ERROR_NONE;
    }
    struct restgw_request *request = head_take(conn, message);
    if (request == NULL) {
        return RESTGW_ERROR_INTERNAL_MEMORY;
    }
    conn->takes_long_body = restgw__request_takes_long_body(request);
    head_return(conn, request);
    return conn->takes_long_body ? RESTGW_ERROR_NONE : RESTGW_ERROR_HTTP_BODY_SIZE;
}

/* Whether the message may go on, by what of it has come. NONE, or why not. */
static enum restgw_error conn_check(struct restgw_http_conn *conn, const uint8_t *message,
                                    size_t input_size)
{
    enum restgw_error error = RESTGW_ERROR_NONE;

    if (conn->parser.state != RESTGW_HTTP_DONE) {
        error = conn_admit(conn, message, input_size);
    }
    return error == RESTGW_ERROR_NONE ? conn_check_size(conn, message) : error;
}

/* Sets the deadline for what the connection waits for now, if that is something else. */
static void conn_watch(struct restgw_http_conn *conn, size_t input_size)
{
    const struct restgw_http_options *options = &conn->server->options;
    enum conn_deadline wanted = DEADLINE_NONE;

    if (conn->is_paused) {
        wanted = DEADLINE_NONE; /* it is we who do not read */
    } else if (restgw_http_has_head(&conn->parser)) {
        wanted = DEADLINE_BODY;
    } else if (input_size > 0) {
        wanted = DEADLINE_HEADER;
    }
    if (wanted == conn->deadline) {
        return;
    }
    conn->deadline = wanted;
    int64_t timeout_ms =
        wanted == DEADLINE_BODY ? options->body_timeout_ms : options->header_timeout_ms;
    net_conn_set_deadline(conn->net, wanted == DEADLINE_NONE ? 0 : timeout_ms);
}

/* Waits for the rest of a message of which input_size bytes are here. False when the
 * server cannot afford it. */
static bool conn_await(struct restgw_http_conn *conn, size_t input_size)
{
    const struct restgw_http_parser *parser = &conn->parser;
    size_t wanted_size = input_size;

    if (parser->state == RESTGW_HTTP_BODY) {
        /* In steps that double, so that what is charged follows what has really come: whoever
         * only announces a body is charged little. */
        size_t missing = parser->position + (size_t)parser->head.content_length - input_size;
        size_t step = input_size > INPUT_STEP_SIZE ? input_size : INPUT_STEP_SIZE;
        wanted_size += missing < step ? missing : step;
        net_conn_expect(conn->net, wanted_size);
    }
    if (wanted_size > conn->charged_size) {
        size_t size = wanted_size - conn->charged_size;
        if (!restgw__http_server_charge_unfinished(conn->server, size)) {
            return false;
        }
        conn->charged_size = wanted_size;
    }
    return true;
}

/* Parses and dispatches what is there, until the turn is over. */
static void conn_read(struct restgw_http_conn *conn)
{
    struct base_slice input = net_conn_input(conn->net);
    size_t size = 0; /* of the message before */

    while (conn->state == CONN_OPEN && input.length > 0) {
        if (!has_room(conn, OUTPUT_HIGH_SIZE)) {
            conn->is_paused = true;
            net_conn_pause(conn->net);
            return;
        }
        if (size > 0 && net_loop_turn_is_over(net_conn_loop(conn->net), size)) {
            net_conn_again(conn->net);
            return;
        }
        struct base_buffer *buffer = net_conn_input_buffer(conn->net);
        uint8_t *message = buffer->data + (input.data - buffer->data);
        enum restgw_http_state state = restgw_http_parse(&conn->parser, message, input.length);
        enum restgw_error refused = conn_check(conn, message, input.length);
        if (state == RESTGW_HTTP_BAD) {
            conn_refuse(conn, conn->parser.error, conn->parser.detail);
        } else if (refused != RESTGW_ERROR_NONE) {
            conn_refuse(conn, refused, "the body is larger than this URL takes");
        } else if (state == RESTGW_HTTP_DONE) {
            conn_dispatch(conn, message);
        } else {
            conn->wants_continue =
                restgw_http_has_head(&conn->parser) && conn->parser.head.expect_continue;
            conn->parser.head.expect_continue = false; /* said once */
            if (!conn_await(conn, input.length)) {
                conn_refuse(conn, RESTGW_ERROR_FLOW_CONTROL, "");
            }
            return;
        }
        size = input.length - net_conn_input(conn->net).length;
        input = net_conn_input(conn->net);
    }
}

static void conn_on_input(struct net_conn *net)
{
    struct restgw_http_conn *conn = net_conn_context(net);

    BASE_ASSERT(!conn->is_reading);
    conn->is_reading = true;
    conn_read(conn);
    conn->is_reading = false;

    struct base_slice input = net_conn_input(net);
    if (conn->state != CONN_OPEN) {
        net_conn_consume(net, input.length); /* nobody will look at it */
        return;
    }
    conn_watch(conn, input.length);
    if (conn->wants_continue && conn->requests_count == 0) {
        send_continue(conn);
    }
}

/* Tells those who asked that the client is gone; each may answer, which ends it. */
static void conn_cancel_waiting(struct restgw_http_conn *conn)
{
    struct base_list *node = conn->requests.next;
    while (node != &conn->requests) {
        struct restgw_request *request = BASE_CONTAINER_OF(node, struct restgw_request, siblings);
        bool is_told = request->cancel != NULL;
        node = node->next;
        if (request->state != REQUEST_RUNNING) {
            continue;
        }
        restgw__request_cancel(request);
        if (is_told) {
            node = conn->requests.next; /* the list may have changed */
        }
    }
}

/* The peer says no more. It may still read, so what was asked is answered, but a
 * long poll whose client is most likely gone is not kept. */
static void conn_on_end(struct net_conn *net)
{
    struct restgw_http_conn *conn = net_conn_context(net);

    conn_stop_reading(conn);
    conn_cancel_waiting(conn);
}

/* The same when it is the broker that goes: long polls get their empty answer. */
static void conn_on_drain(struct net_conn *net)
{
    struct restgw_http_conn *conn = net_conn_context(net);

    restgw_http_server_drain(conn->server);
    conn_stop_reading(conn);
    conn_cancel_waiting(conn);
}

static void conn_on_drained(struct net_conn *net)
{
    struct restgw_http_conn *conn = net_conn_context(net);

    conn_flush(conn);
}

static void conn_on_close(struct net_conn *net, enum base_err reason)
{
    struct restgw_http_conn *conn = net_conn_context(net);
    struct restgw_http_server *server = conn->server;

    (void)reason;
    BASE_ASSERT(!conn->is_reading);
    struct base_list *node = base_list_pop_front(&conn->requests);
    while (node != NULL) {
        struct restgw_request *request = BASE_CONTAINER_OF(node, struct restgw_request, siblings);
        restgw__http_server_hold(server); /* from now on it stands for itself */
        request->conn = NULL;
        request->is_cancelled = true;
        if (request->state == REQUEST_ANSWERED) {
            request_end(request);
        } else {
            restgw__request_cancel(request);
        }
        node = base_list_pop_front(&conn->requests);
    }
    restgw__http_server_refund(server, conn->charged_size);
    restgw__http_server_recount_unsent(server, conn->unsent_size, 0);
    forget_admission(conn);
    if (conn->spare != NULL) {
        restgw__request_destroy(conn->spare);
    }
    base_free(conn);
    (void)atomic_fetch_sub(&server->connections, 1);
    restgw__http_server_release(server);
}

static const struct net_conn_ops conn_ops = {.on_input = conn_on_input,
                                             .on_end = conn_on_end,
                                             .on_drained = conn_on_drained,
                                             .on_drain = conn_on_drain,
                                             .on_close = conn_on_close};

struct net_conn_options restgw_http_conn_options(void)
{
    return (struct net_conn_options){.ops = &conn_ops,
                                     .input_bytes_max = RESTGW_HTTP_MESSAGE_SIZE_MAX,
                                     .output_bytes_max = RESTGW_HTTP_OUTPUT_SIZE_MAX,
                                     .output_low_bytes = OUTPUT_LOW_SIZE,
                                     .idle_timeout_ms = RESTGW_HTTP_IDLE_TIMEOUT_MS};
}

enum base_err restgw_http_conn_accept(void *server, struct net_conn *net)
{
    struct restgw_http_conn *conn = base_alloc_object(struct restgw_http_conn);
    if (conn == NULL) {
        return BASE_ERR_NOMEM;
    }
    conn->net = net;
    conn->server = server;
    base_list_init(&conn->requests);
    restgw_http_parser_init(&conn->parser, conn->server->options.body_size_max);
    net_conn_set_context(net, conn);
    (void)atomic_fetch_add(&conn->server->connections, 1);
    restgw__http_server_hold(conn->server);
    /* A client that connects and says nothing is held to the header's deadline too. */
    conn->deadline = DEADLINE_HEADER;
    net_conn_set_deadline(net, conn->server->options.header_timeout_ms);
    return BASE_ERR_OK;
}
