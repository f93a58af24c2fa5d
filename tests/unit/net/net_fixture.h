/* What the tests of core/net share: gates to wait at, running code on a loop,
 * blocking client sockets, and a server whose behaviour each test gives. */
#ifndef TESTS_UNIT_NET_NET_FIXTURE_H
#define TESTS_UNIT_NET_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/net/conn.h"
#include "core/net/listener.h"
#include "core/net/loop.h"

enum {
    WAIT_SECONDS_MAX = 60, /* a test that waits longer has failed */
    LOOPS_MAX = 4,
};

/* A count that one side raises and the other waits for. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t raised;
    unsigned count;
};

static inline void gate_init(struct gate *gate)
{
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->raised, NULL);
    gate->count = 0;
}

static inline void gate_fini(struct gate *gate)
{
    pthread_cond_destroy(&gate->raised);
    pthread_mutex_destroy(&gate->lock);
}

static inline void gate_raise(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->count++;
    pthread_cond_broadcast(&gate->raised);
    pthread_mutex_unlock(&gate->lock);
}

static inline unsigned gate_count(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    unsigned count = gate->count;
    pthread_mutex_unlock(&gate->lock);
    return count;
}

/* Waits until the count is at least `count`. */
static inline void gate_wait(struct gate *gate, unsigned count)
{
    struct timespec until;
    int failed = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS_MAX;
    pthread_mutex_lock(&gate->lock);
    while (gate->count < count && !failed) {
        failed = pthread_cond_timedwait(&gate->raised, &gate->lock, &until);
    }
    pthread_mutex_unlock(&gate->lock);
    BASE_ASSERT(!failed); /* cmocka cannot fail a test from a loop's thread */
}

/* Runs function(context) on executor and waits for its end. */
struct call {
    struct base_task task;
    void (*function)(void *context);
    void *context;
    struct gate done;
};

static inline void call_run(struct base_task *task)
{
    struct call *call = BASE_CONTAINER_OF(task, struct call, task);
    call->function(call->context);
    gate_raise(&call->done);
}

static inline void call_on(struct base_executor *executor, void (*function)(void *context),
                           void *context)
{
    struct call call = {.task.run = call_run, .function = function, .context = context};
    gate_init(&call.done);
    base_executor_post(executor, &call.task);
    gate_wait(&call.done, 1);
    gate_fini(&call.done);
}

/* A listener on a free loopback port; context is the server. */
struct server {
    struct net_loop *loops[LOOPS_MAX];
    unsigned loops_count;
    struct net_listener *listener;
    struct base_clock *clock; /* of the loops */
    struct net_conn_ops ops;
    struct net_listener_options options;
    struct net_conn *conn; /* the last one accepted; its loop only */
    enum base_err reason;  /* of the last on_close; read after closed was raised */
    struct gate accepted;  /* raised per on_accept */
    struct gate closed;    /* raised per on_close */
    struct gate event;     /* the test's own */
    void *context;         /* the test's own */
};

static inline enum base_err server_on_accept(void *context, struct net_conn *conn)
{
    struct server *server = context;
    net_conn_set_context(conn, server);
    pthread_mutex_lock(&server->accepted.lock); /* loops accept side by side */
    server->conn = conn;
    pthread_mutex_unlock(&server->accepted.lock);
    gate_raise(&server->accepted);
    return BASE_ERR_OK;
}

static inline void server_on_close(struct net_conn *conn, enum base_err reason)
{
    struct server *server = net_conn_context(conn);
    pthread_mutex_lock(&server->closed.lock);
    server->reason = reason;
    pthread_mutex_unlock(&server->closed.lock);
    gate_raise(&server->closed);
}

/* Sets defaults; the test changes options and ops, then calls server_start. */
static inline void server_init(struct server *server, void (*on_input)(struct net_conn *conn))
{
    memset(server, 0, sizeof *server);
    gate_init(&server->accepted);
    gate_init(&server->closed);
    gate_init(&server->event);
    server->ops.on_input = on_input;
    server->ops.on_close = server_on_close;
    server->loops_count = 1;
    server->clock = base_clock_system();
    server->options = (struct net_listener_options){
        .host = "127.0.0.1",
        .loops = server->loops,
        .conn = {.ops = &server->ops,
                 .input_bytes_max = 8 * 1024 * 1024,
                 .output_bytes_max = 8 * 1024 * 1024},
        .on_accept = server_on_accept,
        .context = server,
        .connections_max = 10000,
    };
}

static inline void server_start(struct server *server)
{
    for (unsigned i = 0; i < server->loops_count; i++) {
        assert_int_equal(net_loop_create(i, server->clock, NULL, &server->loops[i]), BASE_ERR_OK);
    }
    server->options.loops_count = server->loops_count;
    assert_int_equal(net_listener_create(&server->options, &server->listener), BASE_ERR_OK);
}

/* Ends everything; also checks that no buffer is left. */
static inline void server_stop(struct server *server)
{
    net_listener_stop(server->listener);
    net_listener_drain(server->listener, 0);
    net_listener_close(&server->listener);
    assert_null(server->listener);
    for (unsigned i = 0; i < server->loops_count; i++) {
        net_loop_close(&server->loops[i]);
    }
    gate_fini(&server->accepted);
    gate_fini(&server->closed);
    gate_fini(&server->event);
    assert_int_equal(base_buffer_total_bytes(), 0);
}

static inline int client_connect(const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_listener_port(server->listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = WAIT_SECONDS_MAX};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void client_send(int fd, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes += sent;
        length -= (size_t)sent;
    }
}

static inline void client_receive(int fd, void *data, size_t length)
{
    uint8_t *bytes = data;
    while (length > 0) {
        ssize_t received = recv(fd, bytes, length, 0);
        assert_true(received > 0);
        bytes += received;
        length -= (size_t)received;
    }
}

/* Reads until FIN or reset; how many bytes came. */
static inline size_t client_read_to_end(int fd)
{
    uint8_t scrap[4096];
    size_t total = 0;
    for (;;) {
        ssize_t received = recv(fd, scrap, sizeof scrap, 0);
        if (received <= 0) {
            assert_true(received == 0 || errno == ECONNRESET);
            return total;
        }
        total += (size_t)received;
    }
}

/* Sends a copy of length bytes. */
static inline void conn_send_copy(struct net_conn *conn, const void *data, size_t length)
{
    struct base_buffer *buffer = base_buffer_create(length);
    BASE_ASSERT(buffer != NULL);
    memcpy(buffer->data, data, length);
    struct base_chunk chunk = {.buffer = buffer, .length = length};
    net_conn_send(conn, &chunk, 1);
}

/* Answers every byte with itself. */
static inline void echo_on_input(struct net_conn *conn)
{
    struct base_slice input = net_conn_input(conn);
    conn_send_copy(conn, input.data, input.length);
    net_conn_consume(conn, input.length);
}

/* Frames of the tests: 4 bytes of big-endian length, then that many. Returns the
 * size of the whole first frame, or 0 after announcing it. */
static inline size_t frame_whole(struct net_conn *conn)
{
    struct base_slice input = net_conn_input(conn);
    if (input.length < 4) {
        return 0;
    }
    size_t length = 4 + ((size_t)input.data[0] << 24 | (size_t)input.data[1] << 16 |
                         (size_t)input.data[2] << 8 | (size_t)input.data[3]);
    if (input.length < length) {
        net_conn_expect(conn, length);
        return 0;
    }
    return length;
}

static inline void frame_header(uint8_t header[4], size_t length)
{
    header[0] = (uint8_t)(length >> 24);
    header[1] = (uint8_t)(length >> 16);
    header[2] = (uint8_t)(length >> 8);
    header[3] = (uint8_t)length;
}

/* Answers every frame with itself, held instead of copied. */
static inline void frames_on_input(struct net_conn *conn)
{
    size_t length = 0;
    while ((length = frame_whole(conn)) > 0) {
        struct base_buffer *buffer = net_conn_input_buffer(conn);
        struct base_chunk chunk = {
            .buffer = base_buffer_hold(buffer),
            .position = (uint64_t)(net_conn_input(conn).data - buffer->data),
            .length = length,
        };
        net_conn_consume(conn, length);
        net_conn_send(conn, &chunk, 1);
    }
}

#endif
