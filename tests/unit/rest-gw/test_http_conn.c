/* HTTP connections over real loopback sockets: order, limits, deadlines, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/list.h"
#include "core/net/listener.h"
#include "rest-gw/answer.h"
#include "rest-gw/http_conn.h"
#include "rest-gw/http_server.h"
#include "rest-gw/json_write.h"

enum {
    WAITING_MAX = 64,
    RECEIVE_SECONDS_MAX = 20, /* a test that waits longer has failed */
    BIG_SIZE = 3 * 1024 * 1024,
    LONG_ANSWER_SIZE = 1024 * 1024,
    RECEIVED_SIZE_MAX = BIG_SIZE + 65536,
};

struct fixture {
    struct base_clock clock; /* of the loop */
    atomic_int_least64_t ahead_us;
    struct net_loop *loop;
    struct net_listener *listener;
    struct restgw_router *router;
    struct restgw_http_server *server;
    int fd;         /* of the client; -1 when closed */
    char *received; /* what it got, with a NUL */
    size_t received_size;
    /* The rest belongs to the loop. */
    int64_t turn_us;                             /* when the last turn noted began */
    struct restgw_request *waiting[WAITING_MAX]; /* in order of arrival; NULL once answered */
    size_t waiting_count;
    sem_t arrived;   /* posted for every request that waits */
    sem_t cancelled; /* posted by every cancel callback */
    unsigned reports_count;
    int gated_status; /* the gate answers with it; 0 = lets pass */
    struct base_task finished;
    sem_t has_finished; /* posted once nothing of the server is left */
};

static void answer_text(struct restgw_request *request, struct base_slice text)
{
    struct base_writer *writer = restgw_answer_begin(request);
    restgw_json_put_string(writer, text);
    restgw_answer_end(request, 200);
}

static void echo_word(struct restgw_request *request)
{
    answer_text(request, restgw_request_parameter(request, "word"));
}

static void echo_body(struct restgw_request *request)
{
    restgw_answer_bytes(request, 201, "text/plain", restgw_request_body(request));
}

static void echo_json(struct restgw_request *request)
{
    json_t *root = restgw_request_json(request);
    if (root != NULL) {
        restgw_answer_json(request, 200, root);
    }
}

static void describe(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);
    struct restgw_range range = {.min = 1, .max = 10, .fallback = 5};
    int64_t number = restgw_query_integer(&query, "n", range, RESTGW_ERROR_MAX_MSGS);
    if (restgw_answer_bad_query(request, &query)) {
        return;
    }
    restgw_answer_header(request, "X-Echo", restgw_request_header(request, "x-test"));
    struct base_writer *writer = restgw_answer_begin(request);
    RESTGW_JSON_PUT(writer, "{\"n\":");
    restgw_json_put_integer(writer, number);
    RESTGW_JSON_PUT(writer, ",\"peer\":");
    restgw_json_put_string(writer, base_slice_text(restgw_request_peer(request)));
    RESTGW_JSON_PUT(writer, "}");
    restgw_answer_end(request, 200);
}

static void wait_for_release(struct restgw_request *request)
{
    struct fixture *fixture = restgw_request_context(request);
    assert_true(fixture->waiting_count < WAITING_MAX);
    fixture->waiting[fixture->waiting_count++] = request;
    sem_post(&fixture->arrived);
}

static void poll_cancelled(struct restgw_request *request, void *context)
{
    struct fixture *fixture = context;
    assert_true(restgw_request_is_cancelled(request));
    for (size_t index = 0; index < fixture->waiting_count; index++) {
        if (fixture->waiting[index] == request) {
            fixture->waiting[index] = NULL;
        }
    }
    restgw_answer_empty(request, 204);
    sem_post(&fixture->cancelled);
}

static void poll(struct restgw_request *request)
{
    wait_for_release(request);
    restgw_request_on_cancel(request, poll_cancelled, restgw_request_context(request));
}

static void delete_nothing(struct restgw_request *request)
{
    restgw_answer_empty(request, 204);
}

static void too_much(struct restgw_request *request)
{
    struct base_writer *writer = restgw_answer_begin(request);
    while (writer->err == BASE_ERR_OK) {
        (void)base_writer_extend(writer, 1024 * 1024);
    }
    restgw_answer_end(request, 200);
}

static void answer_at_length(struct restgw_request *request)
{
    struct base_writer *writer = restgw_answer_begin(request);
    uint8_t *body = base_writer_extend(writer, LONG_ANSWER_SIZE);
    if (body != NULL) {
        memset(body, 'x', LONG_ANSWER_SIZE);
    }
    restgw_answer_end(request, 200);
}

static const struct restgw_route routes[] = {
    {RESTGW_HTTP_GET, "/echo/{word}", echo_word, RESTGW_ROUTE_PUBLIC, NULL},
    {RESTGW_HTTP_POST, "/body", echo_body, RESTGW_ROUTE_LONG_BODY, NULL},
    {RESTGW_HTTP_PUT, "/body", echo_body, RESTGW_ROUTE_LONG_BODY, NULL},
    {RESTGW_HTTP_POST, "/short", echo_body, 0, NULL},
    {RESTGW_HTTP_POST, "/json", echo_json, 0, NULL},
    {RESTGW_HTTP_POST, "/message", echo_json, RESTGW_ROUTE_MESSAGES, NULL},
    {RESTGW_HTTP_GET, "/describe", describe, 0, NULL},
    {RESTGW_HTTP_GET, "/wait/{word}", wait_for_release, 0, NULL},
    {RESTGW_HTTP_POST, "/wait/{word}", wait_for_release, 0, NULL},
    {RESTGW_HTTP_GET, "/poll/{word}", poll, 0, NULL},
    {RESTGW_HTTP_GET, "/gated/{word}", poll, RESTGW_ROUTE_ADMIN, NULL},
    {RESTGW_HTTP_DELETE, "/nothing", delete_nothing, 0, NULL},
    {RESTGW_HTTP_GET, "/too_much", too_much, 0, NULL},
    {RESTGW_HTTP_GET, "/long", answer_at_length, 0, NULL},
};

static void gate(struct restgw_request *request)
{
    struct fixture *fixture = restgw_request_context(request);
    if (fixture->gated_status != 0) {
        restgw_answer_error(request, RESTGW_ERROR_TOKEN_MISSING);
    } else if ((restgw_request_route(request)->flags & RESTGW_ROUTE_ADMIN) != 0) {
        wait_for_release(request);
    } else {
        restgw_request_run(request);
    }
}

static void on_answered(void *context, const struct restgw_http_report *report)
{
    struct fixture *fixture = context;
    assert_true(report->status >= 200);
    assert_true(report->duration_us >= 0);
    fixture->reports_count++;
}

/* Runs a step on the loop and waits for it. */
struct step {
    struct base_task task;
    sem_t done;
    struct fixture *fixture;
    void (*run)(struct fixture *fixture, size_t number);
    size_t number;
};

static void step_run(struct base_task *task)
{
    struct step *step = BASE_CONTAINER_OF(task, struct step, task);
    step->run(step->fixture, step->number);
    sem_post(&step->done);
}

static void on_loop(struct fixture *fixture, void (*run)(struct fixture *, size_t), size_t number)
{
    struct step step = {
        .task = {.run = step_run}, .fixture = fixture, .run = run, .number = number};
    sem_init(&step.done, 0, 0);
    base_executor_post(net_loop_executor(fixture->loop), &step.task);
    sem_wait(&step.done);
    sem_destroy(&step.done);
}

static void release_one(struct fixture *fixture, size_t number)
{
    struct restgw_request *request = fixture->waiting[number];
    assert_non_null(request);
    fixture->waiting[number] = NULL;
    answer_text(request, restgw_request_parameter(request, "word"));
}

static void release_rest(struct fixture *fixture, size_t number)
{
    (void)number;
    for (size_t index = 0; index < fixture->waiting_count; index++) {
        if (fixture->waiting[index] != NULL) {
            release_one(fixture, index);
        }
    }
}

/* The gate lets a request in. */
static void admit_one(struct fixture *fixture, size_t number)
{
    struct restgw_request *request = fixture->waiting[number];
    assert_non_null(request);
    fixture->waiting[number] = NULL;
    restgw_request_run(request);
}

static void do_nothing(struct fixture *fixture, size_t number)
{
    (void)fixture;
    (void)number;
}

static void note_turn(struct fixture *fixture, size_t number)
{
    (void)number;
    fixture->turn_us = net_loop_now_us(fixture->loop);
}

/* So much time passes, and with it whatever it is the end of. A loop takes note of the time when
 * a turn begins, and what is posted may still come in the turn before. */
static void pass_ms(struct fixture *fixture, int64_t time_ms)
{
    fixture->ahead_us += time_ms * 1000;
    int64_t now_us = base_clock_monotonic_us(&fixture->clock);
    do {
        on_loop(fixture, note_turn, 0);
    } while (fixture->turn_us < now_us);
}

static void start(struct fixture *fixture, struct restgw_http_options options)
{
    options.router = fixture->router;
    options.context = fixture;
    options.gate = gate;
    options.on_answered = on_answered;
    assert_int_equal(restgw_http_server_create(&options, &fixture->server), BASE_ERR_OK);
    struct net_listener_options listener = {.host = "127.0.0.1",
                                            .loops = &fixture->loop,
                                            .loops_count = 1,
                                            .conn = restgw_http_conn_options(),
                                            .on_accept = restgw_http_conn_accept,
                                            .context = fixture->server,
                                            .connections_max = 100};
    assert_int_equal(net_listener_create(&listener, &fixture->listener), BASE_ERR_OK);
}

static void server_finished(struct base_task *task)
{
    sem_post(&BASE_CONTAINER_OF(task, struct fixture, finished)->has_finished);
}

/* The server lives until the requests whose connections are gone have been answered. */
static void finish_server(struct fixture *fixture)
{
    struct base_executor *executor = net_loop_executor(fixture->loop);
    fixture->finished.run = server_finished;
    restgw_http_server_finish(fixture->server, executor, &fixture->finished);
    on_loop(fixture, do_nothing, 0);
    int early = sem_trywait(&fixture->has_finished);
    assert_true((early == 0) == (restgw_http_server_requests(fixture->server) == 0));
    on_loop(fixture, release_rest, 0);
    if (early != 0) {
        sem_wait(&fixture->has_finished);
    }
    assert_int_equal(restgw_http_server_connections(fixture->server), 0);
    restgw_http_server_close(&fixture->server);
}

static void stop(struct fixture *fixture)
{
    if (fixture->fd >= 0) {
        (void)close(fixture->fd);
        fixture->fd = -1;
    }
    if (fixture->listener != NULL) {
        net_listener_stop(fixture->listener);
        net_listener_drain(fixture->listener, 100);
        net_listener_close(&fixture->listener);
        finish_server(fixture);
    }
}

static int64_t fixture_monotonic_us(struct base_clock *clock)
{
    struct fixture *fixture = BASE_CONTAINER_OF(clock, struct fixture, clock);
    return base_clock_monotonic_us(base_clock_system()) + fixture->ahead_us;
}

static int64_t fixture_wall_us(struct base_clock *clock)
{
    (void)clock;
    return base_clock_system()->wall_us(base_clock_system());
}

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    fixture->clock.monotonic_us = fixture_monotonic_us;
    fixture->clock.wall_us = fixture_wall_us;
    fixture->fd = -1;
    fixture->received = base_alloc(RECEIVED_SIZE_MAX + 1);
    sem_init(&fixture->arrived, 0, 0);
    sem_init(&fixture->cancelled, 0, 0);
    sem_init(&fixture->has_finished, 0, 0);
    *state = fixture;
    restgw_json_init();
    return net_loop_create(0, &fixture->clock, NULL, &fixture->loop) != BASE_ERR_OK ||
           restgw_router_create(routes, sizeof routes / sizeof routes[0], &fixture->router) !=
               BASE_ERR_OK;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    stop(fixture);
    net_loop_close(&fixture->loop);
    restgw_router_close(&fixture->router);
    sem_destroy(&fixture->arrived);
    sem_destroy(&fixture->cancelled);
    base_free(fixture->received);
    base_free(fixture);
    return 0;
}

static int dial(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_listener_port(fixture->listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = RECEIVE_SECONDS_MAX};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void connect_client(struct fixture *fixture)
{
    if (fixture->fd >= 0) {
        (void)close(fixture->fd);
    }
    fixture->fd = dial(fixture);
    fixture->received_size = 0;
    fixture->received[0] = '\0';
}

static void send_bytes(struct fixture *fixture, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(fixture->fd, at, length, MSG_NOSIGNAL);
        if (sent < 0) {
            return; /* refused and closed meanwhile: the answer tells */
        }
        at += sent;
        length -= (size_t)sent;
    }
}

static void send_text(struct fixture *fixture, const char *text)
{
    send_bytes(fixture, text, strlen(text));
}

/* One read; false at the end of the connection. */
static bool receive_some(struct fixture *fixture)
{
    size_t room = RECEIVED_SIZE_MAX - fixture->received_size;
    assert_true(room > 0);
    ssize_t size = recv(fixture->fd, fixture->received + fixture->received_size, room, 0);
    if (size > 0) {
        fixture->received_size += (size_t)size;
        fixture->received[fixture->received_size] = '\0';
    }
    return size > 0;
}

static unsigned count_text(const struct fixture *fixture, const char *text)
{
    unsigned count = 0;
    const char *at = fixture->received;
    while ((at = strstr(at, text)) != NULL) {
        count++;
        at += strlen(text);
    }
    return count;
}

/* Reads until text has come count times. */
static void receive_texts(struct fixture *fixture, const char *text, unsigned count)
{
    while (count_text(fixture, text) < count) {
        if (!receive_some(fixture)) {
            print_message("no more, got: %s\n", fixture->received);
            fail();
        }
    }
}

static void receive_text(struct fixture *fixture, const char *text)
{
    receive_texts(fixture, text, 1);
}

static void receive_end(struct fixture *fixture)
{
    while (receive_some(fixture)) {
    }
}

/* Sends text on a new connection and reads all there is until it is closed. */
static void ask(struct fixture *fixture, const char *text)
{
    connect_client(fixture);
    send_text(fixture, text);
    receive_end(fixture);
}

static void assert_got(const struct fixture *fixture, const char *text)
{
    if (strstr(fixture->received, text) == NULL) {
        print_message("wanted: %s\ngot: %s\n", text, fixture->received);
        fail();
    }
}

/* Both were received, first before second. */
static void assert_order(const struct fixture *fixture, const char *first, const char *second)
{
    assert_got(fixture, first);
    assert_got(fixture, second);
    assert_true(strstr(fixture->received, first) < strstr(fixture->received, second));
}

#define HOST " HTTP/1.1\r\nHost: h\r\n"
#define CLOSE HOST "Connection: close\r\n\r\n"

static void a_request_is_answered_with_a_minimal_head(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture, "GET /echo/h%C3%A4llo" CLOSE);
    assert_int_equal(strncmp(fixture->received, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
    assert_got(fixture, " GMT\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"
                        "Connection: close\r\n\r\n\"h\xc3\xa4llo\"");
}

static void a_connection_serves_many_requests_however_they_are_cut(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    const char *text = "GET /echo/one" HOST "\r\nPOST /body" HOST
                       "Content-Length: 3\r\n\r\nabcGET /echo/two" HOST "\r\n";
    for (const char *at = text; *at != '\0'; at++) {
        send_bytes(fixture, at, 1);
    }
    receive_text(fixture, "\r\n\r\n\"two\"");
    assert_got(fixture, "HTTP/1.1 201 Created");
    assert_got(fixture, "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc");
    send_text(fixture, text);
    receive_texts(fixture, "\"two\"", 2);
    assert_int_equal(count_text(fixture, "Connection"), 0);
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(fixture->reports_count, 6);
    assert_int_equal(restgw_http_server_requests(fixture->server), 0);
    assert_int_equal(restgw_http_server_bytes(fixture->server), 0);
}

static void the_request_is_all_there(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture,
        "GET http://proxy/describe?n=7" HOST "X-Test: a value\r\nConnection: close\r\n\r\n");
    assert_got(fixture, "X-Echo: a value\r\n");
    assert_got(fixture, "{\"n\":7,\"peer\":\"127.0.0.1:");
    ask(fixture, "GET /describe?n=11" CLOSE);
    assert_got(fixture, "HTTP/1.1 400 Bad Request");
    assert_got(fixture, "{\"code\":10240014,\"message\":");
    ask(fixture, "GET /describe?n=%zz" CLOSE);
    assert_got(fixture, "{\"code\":10540014,\"message\":");
}

static void pipelined_answers_keep_their_order(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /wait/a" HOST "\r\nGET /wait/b" HOST "\r\nGET /echo/c" HOST "\r\n");
    sem_wait(&fixture->arrived);
    sem_wait(&fixture->arrived);
    on_loop(fixture, release_one, 1);
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(recv(fixture->fd, fixture->received, 1, MSG_DONTWAIT), -1);
    on_loop(fixture, release_one, 0);
    receive_text(fixture, "\"c\"");
    assert_order(fixture, "\"a\"", "\"b\"");
    assert_order(fixture, "\"b\"", "\"c\"");
}

static void at_most_16_requests_of_a_connection_run(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    for (unsigned count = 0; count < 40; count++) {
        send_text(fixture, "GET /wait/x" HOST "\r\n");
    }
    for (unsigned count = 0; count < RESTGW_HTTP_PIPELINE_MAX; count++) {
        sem_wait(&fixture->arrived);
    }
    on_loop(fixture, do_nothing, 0);
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(restgw_http_server_requests(fixture->server), RESTGW_HTTP_PIPELINE_MAX);
    for (size_t count = 0; count < 40; count++) {
        if (count >= RESTGW_HTTP_PIPELINE_MAX) {
            sem_wait(&fixture->arrived);
        }
        on_loop(fixture, release_one, count);
    }
    receive_texts(fixture, "\"x\"", 40);
}

static void many_pipelined_requests_take_several_turns(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 163 };
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    char text[COUNT * 64];
    size_t length = 0;
    for (unsigned count = 0; count < COUNT; count++) {
        static const char request[] = "GET /echo/x" HOST "\r\n";
        memcpy(text + length, request, sizeof request - 1);
        length += sizeof request - 1;
    }
    send_bytes(fixture, text, length);
    receive_texts(fixture, "\"x\"", COUNT);
}

static void malformed_requests_get_json_and_a_close(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *status;
        const char *code;
    } rows[] = {
        {"nonsense\r\n\r\n", "400 Bad Request", "10540010"},
        {"\x16\x03\x01", "400 Bad Request", "10540010"},
        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "10540010"},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 HTTP Version Not Supported", "10540010"},
        {"POST /body" HOST "Content-Length: 6291457\r\n\r\n", "413 Content Too Large", "10540010"},
        {"POST /body" HOST "Transfer-Encoding: gzip\r\n\r\n", "501 Not Implemented", "10540010"},
        {"POST /body" HOST "Expect: x\r\n\r\n", "417 Expectation Failed", "10540010"},
        {"POST /body" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", "400 Bad Request",
         "10540010"},
    };
    start(fixture, (struct restgw_http_options){0});
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        ask(fixture, rows[index].text);
        assert_int_equal(
            strncmp(fixture->received + 9, rows[index].status, strlen(rows[index].status)), 0);
        assert_got(fixture, "Content-Type: application/json\r\n");
        assert_got(fixture, "Connection: close\r\n");
        assert_got(fixture, rows[index].code);
        assert_int_equal(count_text(fixture, "HTTP/1.1 "), 1 + (index == 3));
    }
}

static void a_malformed_request_is_answered_in_its_turn(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /wait/a" HOST "\r\nbad request\r\n\r\nGET /echo/never" HOST "\r\n");
    sem_wait(&fixture->arrived);
    on_loop(fixture, release_one, 0);
    receive_end(fixture);
    assert_int_equal(count_text(fixture, "HTTP/1.1 "), 2);
    assert_order(fixture, "\"a\"", "10540010");
    assert_int_equal(count_text(fixture, "never"), 0);
}

static void unknown_urls_and_methods_have_their_codes(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture, "GET /nowhere" CLOSE);
    assert_got(fixture, "HTTP/1.1 404 Not Found\r\n");
    assert_got(fixture, "{\"code\":10240406,\"message\":");
    ask(fixture, "DELETE /body" CLOSE);
    assert_got(fixture, "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_got(fixture, "Allow: POST, PUT\r\n");
    assert_got(fixture, "{\"code\":10240406,\"message\":");
    ask(fixture, "GET /%ff" CLOSE);
    assert_got(fixture, "HTTP/1.1 400 Bad Request\r\n");
    ask(fixture, "OPTIONS *" CLOSE);
    assert_got(fixture, "HTTP/1.1 404 Not Found\r\n");
    ask(fixture, "GET /1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17" CLOSE);
    assert_got(fixture, "{\"code\":10240406,\"message\":");
}

static void bad_json_has_the_code_of_its_route(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture, "POST /json" HOST "Connection: close\r\nContent-Length: 9\r\n\r\n{\"a\":[1]}");
    assert_got(fixture, "\r\n\r\n{\"a\":[1]}");
    ask(fixture, "POST /json" HOST "Connection: close\r\nContent-Length: 1\r\n\r\n{");
    assert_got(fixture, "HTTP/1.1 400 Bad Request\r\n");
    assert_got(fixture, "{\"code\":10240009,");
    ask(fixture, "POST /message" HOST "Connection: close\r\n\r\n");
    assert_got(fixture, "{\"code\":10540012,");
}

static void a_client_that_waits_is_told_to_continue(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "PUT /body" HOST "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    receive_text(fixture, "HTTP/1.1 100 Continue\r\n\r\n");
    send_text(fixture, "body");
    receive_text(fixture, "\r\n\r\nbody");

    /* Not before the answer to what was asked earlier. */
    connect_client(fixture);
    send_text(fixture, "GET /wait/a" HOST "\r\n"
                       "PUT /body" HOST "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    sem_wait(&fixture->arrived);
    on_loop(fixture, do_nothing, 0);
    on_loop(fixture, release_one, 0);
    receive_text(fixture, "100 Continue");
    assert_order(fixture, "\"a\"", "100 Continue");
    send_text(fixture, "body");
    receive_text(fixture, "\r\n\r\nbody");

    /* Once only, however the body comes. */
    connect_client(fixture);
    send_text(fixture, "PUT /body" HOST "Expect: 100-continue\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    receive_text(fixture, "100 Continue");
    for (const char *at = "4\r\nbody\r\n0\r\n\r\n"; *at != '\0'; at++) {
        send_bytes(fixture, at, 1);
        on_loop(fixture, do_nothing, 0);
    }
    receive_text(fixture, "\r\n\r\nbody");
    assert_int_equal(count_text(fixture, "Continue"), 1);

    /* Not when the body is there already, nor when it will not be read. */
    connect_client(fixture);
    send_text(fixture, "PUT /body" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nno");
    receive_text(fixture, "\r\n\r\nno");
    assert_int_equal(count_text(fixture, "Continue"), 0);
    ask(fixture, "PUT /body" HOST "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    assert_int_equal(count_text(fixture, "Continue"), 0);
    assert_got(fixture, "413");
}

/* Sends a body in full, whatever the server thinks of it, and reads what it says. */
static void post_short(struct fixture *fixture, const char *url, size_t size, bool is_chunked)
{
    static char text[RESTGW_HTTP_SHORT_BODY_SIZE_MAX + 1024];
    int length = is_chunked ? snprintf(text, sizeof text,
                                       "POST %s" HOST "Connection: close\r\nTransfer-Encoding: "
                                       "chunked\r\n\r\n1\r\nx\r\n%zx\r\n",
                                       url, size - 1)
                            : snprintf(text, sizeof text,
                                       "POST %s" HOST "Connection: close\r\n"
                                       "Content-Length: %zu\r\n\r\n",
                                       url, size);
    size_t rest = is_chunked ? size - 1 : size;
    memset(text + length, 'x', rest);
    length += (int)rest;
    if (is_chunked) {
        length += snprintf(text + length, sizeof text - (size_t)length, "\r\n0\r\n\r\n");
    }
    connect_client(fixture);
    for (size_t sent = 0; sent < (size_t)length;) {
        ssize_t count = send(fixture->fd, text + sent, (size_t)length - sent, MSG_NOSIGNAL);
        if (count <= 0) {
            break; /* refused and closed before all of it came */
        }
        sent += (size_t)count;
    }
    receive_end(fixture);
}

static void a_route_takes_a_short_body_unless_it_says_more(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    /* By the head alone, without the body. */
    ask(fixture, "POST /short" HOST "Expect: 100-continue\r\nContent-Length: 524289\r\n\r\n");
    assert_got(fixture, "HTTP/1.1 413");
    assert_got(fixture, "10540010");
    assert_int_equal(count_text(fixture, "Continue"), 0);
    ask(fixture, "POST /nowhere" HOST "Content-Length: 524289\r\n\r\n");
    assert_got(fixture, "HTTP/1.1 413");
    /* By the chunk that is too much. */
    ask(fixture, "POST /short" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n80000\r\n");
    assert_got(fixture, "HTTP/1.1 413");
    for (int is_chunked = 0; is_chunked <= 1; is_chunked++) {
        post_short(fixture, "/short", RESTGW_HTTP_SHORT_BODY_SIZE_MAX, is_chunked);
        assert_got(fixture, "HTTP/1.1 201");
        post_short(fixture, "/body", RESTGW_HTTP_SHORT_BODY_SIZE_MAX + 1, is_chunked);
        assert_got(fixture, "HTTP/1.1 201");
    }
}

static void check_big_echo(struct fixture *fixture, const uint8_t *body)
{
    const char *start_of_body = NULL;
    while (start_of_body == NULL ||
           fixture->received_size - (size_t)(start_of_body - fixture->received) < BIG_SIZE) {
        assert_true(receive_some(fixture));
        start_of_body = strstr(fixture->received, "\r\n\r\n");
        start_of_body = start_of_body == NULL ? NULL : start_of_body + 4;
    }
    assert_memory_equal(start_of_body, body, BIG_SIZE);
}

static void big_bodies_come_whole_with_a_length_and_in_chunks(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    uint8_t *body = base_alloc(BIG_SIZE);
    for (size_t index = 0; index < BIG_SIZE; index++) {
        body[index] = (uint8_t)('a' + index % 23);
    }
    char head[128];
    (void)snprintf(head, sizeof head, "POST /body" HOST "Content-Length: %d\r\n\r\n", BIG_SIZE);
    connect_client(fixture);
    send_text(fixture, head);
    send_bytes(fixture, body, BIG_SIZE);
    check_big_echo(fixture, body);

    connect_client(fixture);
    send_text(fixture, "POST /body" HOST "Transfer-Encoding: chunked\r\n\r\n");
    size_t size = 1;
    for (size_t sent = 0; sent < BIG_SIZE; sent += size) {
        size = size * 3 % 40009 + 1;
        size = size < BIG_SIZE - sent ? size : BIG_SIZE - sent;
        (void)snprintf(head, sizeof head, "%zX\r\n", size);
        send_text(fixture, head);
        send_bytes(fixture, body + sent, size);
        send_text(fixture, "\r\n");
    }
    send_text(fixture, "0\r\n\r\n");
    check_big_echo(fixture, body);
    base_free(body);
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(restgw_http_server_bytes(fixture->server), 0);
}

static void slow_headers_and_bodies_are_cut_off(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){.header_timeout_ms = 60, .body_timeout_ms = 60});
    ask(fixture, ""); /* says nothing at all */
    assert_int_equal(fixture->received_size, 0);
    ask(fixture, "GET /echo/a HTTP/1.1\r\nHost:");
    assert_int_equal(fixture->received_size, 0);
    ask(fixture, "POST /body" HOST "Content-Length: 5\r\n\r\nabc");
    assert_int_equal(fixture->received_size, 0);
    ask(fixture, "POST /body" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc");
    assert_int_equal(fixture->received_size, 0);
}

static void each_message_has_the_time_that_a_message_has(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /ec");
    for (unsigned count = 1; count <= 4; count++) {
        send_text(fixture, "ho/a" HOST "\r\nGET /ec"); /* always ends within the next one */
        receive_texts(fixture, "\"a\"", count);
        pass_ms(fixture, RESTGW_HTTP_HEADER_TIMEOUT_MS * 2 / 3);
    }
    send_text(fixture, "ho/b" HOST "\r\nPOST /body" HOST "Content-Length: 5\r\n\r\nhe");
    receive_text(fixture, "\"b\"");
    for (unsigned count = 1; count <= 4; count++) {
        send_text(fixture, "lloPOST /body" HOST "Content-Length: 5\r\n\r\nhe");
        receive_texts(fixture, "hello", count);
        pass_ms(fixture, RESTGW_HTTP_BODY_TIMEOUT_MS * 2 / 3);
    }
    pass_ms(fixture, RESTGW_HTTP_BODY_TIMEOUT_MS * 2 / 3);
    receive_end(fixture);
    assert_int_equal(count_text(fixture, "HTTP/1.1"), 9);
}

static void neither_deadline_runs_while_a_handler_does(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){.header_timeout_ms = 60, .body_timeout_ms = 60});
    connect_client(fixture);
    for (unsigned count = 0; count < 20; count++) {
        send_text(fixture, "GET /wait/a" HOST "\r\n");
    }
    for (unsigned count = 0; count < RESTGW_HTTP_PIPELINE_MAX; count++) {
        sem_wait(&fixture->arrived);
    }
    int other = fixture->fd;
    fixture->fd = -1;
    ask(fixture, ""); /* as long as it takes for the deadline to pass */
    (void)close(fixture->fd);
    fixture->fd = other;
    for (size_t count = 0; count < 20; count++) {
        if (count >= RESTGW_HTTP_PIPELINE_MAX) {
            sem_wait(&fixture->arrived);
        }
        on_loop(fixture, release_one, count);
    }
    receive_texts(fixture, "\"a\"", 20);
}

static void who_waits_for_an_answer_is_not_idle(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /wait/a" HOST "\r\n");
    sem_wait(&fixture->arrived);
    pass_ms(fixture, RESTGW_HTTP_IDLE_TIMEOUT_MS + 1);
    pass_ms(fixture, RESTGW_HTTP_IDLE_TIMEOUT_MS + 1);
    on_loop(fixture, release_one, 0);
    receive_text(fixture, "\"a\"");
    pass_ms(fixture, RESTGW_HTTP_IDLE_TIMEOUT_MS * 2 / 3); /* the whole time begins now */
    send_text(fixture, "GET /echo/b" HOST "\r\n");
    receive_text(fixture, "\"b\"");
    pass_ms(fixture, RESTGW_HTTP_IDLE_TIMEOUT_MS + 1);
    receive_end(fixture);
}

static void overload_is_flow_control(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){.in_flight_size_max = 3000});
    connect_client(fixture);
    char body[2000];
    memset(body, 'x', sizeof body);
    send_text(fixture, "POST /wait/a" HOST "Content-Length: 2000\r\n\r\n");
    send_bytes(fixture, body, sizeof body);
    sem_wait(&fixture->arrived);
    int other = fixture->fd;

    /* A whole request that does not fit, and after it the connection goes on. */
    fixture->fd = -1;
    connect_client(fixture);
    char text[1200];
    (void)snprintf(text, sizeof text, "GET /echo/a HTTP/1.1\r\nHost: h\r\nX: %01000d\r\n\r\n", 0);
    send_text(fixture, text);
    receive_text(fixture, "}");
    assert_got(fixture, "HTTP/1.1 404 Not Found\r\n");
    assert_got(fixture, "{\"code\":10240407,");
    send_text(fixture, "GET /echo/b" HOST "\r\n");
    receive_text(fixture, "\"b\"");
    /* One that is not whole yet: there is no point in reading on. */
    ask(fixture, "POST /body" HOST "Content-Length: 2000\r\n\r\nxx");
    assert_got(fixture, "{\"code\":10240407,");
    assert_got(fixture, "Connection: close\r\n");

    (void)close(fixture->fd);
    fixture->fd = other;
    on_loop(fixture, release_one, 0);
    fixture->received_size = 0;
    receive_text(fixture, "\"a\"");
    send_text(fixture, "POST /body" HOST "Content-Length: 2\r\n\r\nok");
    receive_text(fixture, "\r\n\r\nok");
}

/* Announces a body of size bytes on a connection of its own; false when that is refused. */
static bool announce(struct fixture *fixture, int size)
{
    char text[128];
    (void)snprintf(text, sizeof text,
                   "POST /body" HOST "Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", size);
    connect_client(fixture);
    send_text(fixture, text);
    receive_text(fixture, "\r\n\r\n");
    return strstr(fixture->received, "100 Continue") != NULL;
}

static void announced_bodies_do_not_shut_out_who_says_all(void **state)
{
    struct fixture *fixture = *state;
    enum { MUCH_COUNT = 10, COUNT_MAX = 80 };
    int clients[COUNT_MAX];
    unsigned count = 0;
    bool is_taken = true;
    start(fixture, (struct restgw_http_options){.in_flight_size_max = 64 * 1024});
    for (; is_taken; count++) {
        assert_true(count < COUNT_MAX);
        is_taken = announce(fixture, count < MUCH_COUNT ? 64 * 1024 : 1000);
        assert_true(is_taken || count > MUCH_COUNT); /* what may come costs little */
        clients[count] = fixture->fd;
        fixture->fd = -1;
    }
    connect_client(fixture);
    char text[1200];
    (void)snprintf(text, sizeof text, "GET /echo/a HTTP/1.1\r\nHost: h\r\nX: %01000d\r\n\r\n", 0);
    send_text(fixture, text);
    receive_text(fixture, "\"a\"");
    while (count > 0) {
        (void)close(clients[--count]);
    }
}

static void a_long_poll_is_cancelled_when_its_client_leaves(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /poll/a" HOST "\r\nGET /poll/b" HOST "\r\n");
    sem_wait(&fixture->arrived);
    sem_wait(&fixture->arrived);
    (void)close(fixture->fd);
    fixture->fd = -1;
    sem_wait(&fixture->cancelled);
    sem_wait(&fixture->cancelled);
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(restgw_http_server_requests(fixture->server), 0);
}

static void reset_connection(struct fixture *fixture)
{
    struct linger hard = {.l_onoff = 1};
    assert_int_equal(setsockopt(fixture->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    (void)close(fixture->fd);
    fixture->fd = -1;
}

static void a_long_poll_that_begins_too_late_is_cancelled_at_once(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    for (int resets = 0; resets <= 1; resets++) {
        connect_client(fixture);
        send_text(fixture, "GET /gated/a" HOST "\r\nGET /poll/b" HOST "\r\n");
        sem_wait(&fixture->arrived);
        sem_wait(&fixture->arrived);
        if (resets) {
            reset_connection(fixture);
        } else {
            (void)shutdown(fixture->fd, SHUT_WR);
        }
        sem_wait(&fixture->cancelled); /* b: so the server knows */
        on_loop(fixture, admit_one, fixture->waiting_count - 2);
        assert_int_equal(sem_trywait(&fixture->cancelled), 0);
        assert_int_equal(restgw_http_server_requests(fixture->server), 0);
        if (!resets) {
            receive_end(fixture);
            assert_int_equal(count_text(fixture, "HTTP/1.1 204 No Content\r\n"), 2);
        }
    }
}

static void an_answer_to_a_dead_connection_goes_nowhere(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /wait/a" HOST "\r\nGET /echo/b" HOST "\r\nGET /poll/c" HOST "\r\n");
    sem_wait(&fixture->arrived);
    sem_wait(&fixture->arrived);
    reset_connection(fixture);
    sem_wait(&fixture->cancelled); /* of c: so the server knows */
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(restgw_http_server_requests(fixture->server), 1);
    on_loop(fixture, release_one, 0);
    assert_int_equal(restgw_http_server_requests(fixture->server), 0);
    assert_int_equal(restgw_http_server_bytes(fixture->server), 0);
}

static void half_a_close_still_gets_its_answers(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /wait/a" HOST "\r\nGET /poll/b" HOST "\r\nGET /echo/c" HOST "\r\n");
    (void)shutdown(fixture->fd, SHUT_WR);
    sem_wait(&fixture->arrived);
    sem_wait(&fixture->arrived);
    sem_wait(&fixture->cancelled);
    on_loop(fixture, release_one, 0);
    receive_end(fixture);
    assert_got(fixture, "\"a\"");
    assert_got(fixture, "\"c\"");
    assert_int_equal(count_text(fixture, "HTTP/1.1 204 No Content\r\n"), 1);
}

static void old_versions_and_head_are_served(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture, "GET /echo/a HTTP/1.0\r\n\r\n");
    assert_got(fixture, "Connection: close\r\n\r\n\"a\"");
    ask(fixture, "GET /echo/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                 "HEAD /echo/bcd" CLOSE);
    assert_got(fixture, "Connection: keep-alive\r\n\r\n\"a\"HTTP/1.1 200 OK\r\n");
    assert_got(fixture, "Content-Length: 5\r\nConnection: close\r\n\r\n");
    assert_int_equal(count_text(fixture, "bcd"), 0);
    ask(fixture, "HEAD /nowhere" CLOSE);
    assert_int_equal(count_text(fixture, "{"), 0);
    ask(fixture, "DELETE /nothing" CLOSE);
    assert_got(fixture, "HTTP/1.1 204 No Content\r\n");
    assert_int_equal(count_text(fixture, "Content-"), 0);
}

static void the_gate_decides_first(void **state)
{
    struct fixture *fixture = *state;
    fixture->gated_status = 401;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture, "GET /echo/a" CLOSE);
    assert_got(fixture, "HTTP/1.1 401 Unauthorized\r\n");
    assert_got(fixture, "{\"code\":10240103,");
    ask(fixture, "GET /nowhere" CLOSE);
    assert_got(fixture, "{\"code\":10240406,");
}

static void nothing_after_a_close_is_served(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture, "GET /echo/a" CLOSE "GET /echo/b" HOST "\r\n");
    assert_int_equal(count_text(fixture, "HTTP/1.1 "), 1);
}

static void an_answer_that_grows_too_large_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask(fixture, "GET /too_much" CLOSE);
    assert_got(fixture, "HTTP/1.1 500 Internal Server Error\r\n");
    assert_got(fixture, "{\"code\":10250004,");
}

static void a_draining_server_closes_after_each_answer(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    send_text(fixture, "GET /echo/a" HOST "\r\n");
    receive_text(fixture, "\"a\"");
    restgw_http_server_drain(fixture->server);
    send_text(fixture, "GET /echo/b" HOST "\r\n");
    receive_end(fixture);
    assert_got(fixture, "Connection: close\r\n\r\n\"b\"");
}

static void a_client_that_does_not_read_is_not_read_from(void **state)
{
    struct fixture *fixture = *state;
    enum { BODY_SIZE = 1024 * 1024, COUNT = 24 };
    start(fixture, (struct restgw_http_options){0});
    connect_client(fixture);
    uint8_t *body = base_alloc(BODY_SIZE);
    memset(body, 'x', BODY_SIZE);
    fixture->received_size = 0;
    /* More than the answers a connection may owe; sent by turns with reading so that
     * neither side waits for ever. */
    size_t received = 0;
    size_t expected = 0;
    for (unsigned count = 0; count < COUNT; count++) {
        size_t sent = 0;
        send_text(fixture, "POST /body" HOST "Content-Length: 1048576\r\n\r\n");
        while (sent < BODY_SIZE) {
            ssize_t size =
                send(fixture->fd, body + sent, BODY_SIZE - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (size > 0) {
                sent += (size_t)size;
            } else {
                ssize_t got = recv(fixture->fd, fixture->received, 65536, 0);
                assert_true(got > 0);
                received += (size_t)got;
            }
        }
        expected += BODY_SIZE;
    }
    while (received < expected) {
        ssize_t got = recv(fixture->fd, fixture->received, 65536, 0);
        assert_true(got > 0);
        received += (size_t)got;
    }
    base_free(body);
}

/* Asks for a word that waits and, behind it, for as many long answers as a connection may ask for.
 * Then all of these that the server is willing to make have been made. */
static void ask_behind_a_wait(struct fixture *fixture)
{
    connect_client(fixture);
    char text[2048] = "GET /wait/a" HOST "\r\n";
    for (unsigned count = 1; count < RESTGW_HTTP_PIPELINE_MAX; count++) {
        strncat(text, "GET /long" HOST "\r\n", sizeof text - strlen(text) - 1);
    }
    send_text(fixture, text);
    sem_wait(&fixture->arrived);
    for (unsigned count = 0; count < RESTGW_HTTP_PIPELINE_MAX; count++) {
        on_loop(fixture, do_nothing, 0); /* a turn, in which one of them goes on at least */
    }
}

static void receive_long_answers(struct fixture *fixture, size_t count)
{
    size_t received = 0;
    while (received < count * LONG_ANSWER_SIZE) {
        ssize_t size = recv(fixture->fd, fixture->received, 65536, 0);
        assert_true(size > 0);
        received += (size_t)size;
    }
    fixture->received_size = 0;
    fixture->received[0] = '\0';
    send_text(fixture, "GET /echo/end" HOST "\r\n");
    receive_text(fixture, "\"end\"");
}

static void answers_that_wait_for_their_turn_count_as_unsent(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    ask_behind_a_wait(fixture);
    assert_int_equal(fixture->reports_count, 4);
    assert_in_range(restgw_http_server_unsent_bytes(fixture->server), 4 * LONG_ANSWER_SIZE,
                    5 * LONG_ANSWER_SIZE);
    on_loop(fixture, release_one, 0);
    receive_long_answers(fixture, RESTGW_HTTP_PIPELINE_MAX - 1);
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(restgw_http_server_unsent_bytes(fixture->server), 0);
}

static void those_who_take_no_answers_do_not_hold_up_who_does(void **state)
{
    struct fixture *fixture = *state;
    enum { CLIENTS_COUNT = 3 };
    int clients[CLIENTS_COUNT];
    start(fixture, (struct restgw_http_options){.unsent_size_max = LONG_ANSWER_SIZE});
    for (size_t i = 0; i < CLIENTS_COUNT; i++) {
        ask_behind_a_wait(fixture);
        clients[i] = fixture->fd;
        fixture->fd = -1;
    }
    assert_int_equal(fixture->reports_count, CLIENTS_COUNT); /* one each: nothing was owed yet */
    connect_client(fixture);
    send_text(fixture, "GET /echo/b" HOST "\r\nGET /echo/c" HOST "\r\n");
    receive_text(fixture, "\"b\"");
    receive_text(fixture, "\"c\"");
    on_loop(fixture, release_rest, 0);
    for (size_t i = 0; i < CLIENTS_COUNT; i++) {
        (void)close(fixture->fd);
        fixture->fd = clients[i];
        receive_long_answers(fixture, RESTGW_HTTP_PIPELINE_MAX - 1);
    }
    on_loop(fixture, do_nothing, 0);
    assert_int_equal(restgw_http_server_unsent_bytes(fixture->server), 0);
}

/* The loop's thread is idle while the fault is set and cleared: nothing else allocates. */
static void every_failed_allocation_ends_in_an_answer_or_a_close(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, (struct restgw_http_options){0});
    bool has_fired = true;
    for (long count = 0; has_fired; count++) {
        assert_true(count < 1000);
        connect_client(fixture);
        send_text(fixture, "GET /echo/a" HOST "\r\n");
        receive_text(fixture, "\"a\"");
        on_loop(fixture, do_nothing, 0);
        base_alloc_fail_after(count, 1);
        send_text(fixture, "POST /json?a=%20" HOST "Expect: 100-continue\r\nConnection: close\r\n"
                           "Content-Length: 15\r\n\r\n{\"text\":\"hello\"");
        send_text(fixture, "}");
        receive_end(fixture);
        has_fired = base_alloc_fault_fired() != 0;
        base_alloc_fail_after(-1, 0);
        on_loop(fixture, do_nothing, 0);
        assert_int_equal(restgw_http_server_requests(fixture->server), 0);
    }
    assert_got(fixture, "\"}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_with_a_minimal_head),
        TEST(a_connection_serves_many_requests_however_they_are_cut),
        TEST(the_request_is_all_there),
        TEST(pipelined_answers_keep_their_order),
        TEST(at_most_16_requests_of_a_connection_run),
        TEST(many_pipelined_requests_take_several_turns),
        TEST(malformed_requests_get_json_and_a_close),
        TEST(a_route_takes_a_short_body_unless_it_says_more),
        TEST(a_malformed_request_is_answered_in_its_turn),
        TEST(unknown_urls_and_methods_have_their_codes),
        TEST(bad_json_has_the_code_of_its_route),
        TEST(a_client_that_waits_is_told_to_continue),
        TEST(big_bodies_come_whole_with_a_length_and_in_chunks),
        TEST(slow_headers_and_bodies_are_cut_off),
        TEST(each_message_has_the_time_that_a_message_has),
        TEST(neither_deadline_runs_while_a_handler_does),
        TEST(who_waits_for_an_answer_is_not_idle),
        TEST(overload_is_flow_control),
        TEST(announced_bodies_do_not_shut_out_who_says_all),
        TEST(a_long_poll_is_cancelled_when_its_client_leaves),
        TEST(a_long_poll_that_begins_too_late_is_cancelled_at_once),
        TEST(an_answer_to_a_dead_connection_goes_nowhere),
        TEST(half_a_close_still_gets_its_answers),
        TEST(old_versions_and_head_are_served),
        TEST(the_gate_decides_first),
        TEST(nothing_after_a_close_is_served),
        TEST(an_answer_that_grows_too_large_is_an_error),
        TEST(a_draining_server_closes_after_each_answer),
        TEST(a_client_that_does_not_read_is_not_read_from),
        TEST(answers_that_wait_for_their_turn_count_as_unsent),
        TEST(those_who_take_no_answers_do_not_hold_up_who_does),
        TEST(every_failed_allocation_ends_in_an_answer_or_a_close),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
