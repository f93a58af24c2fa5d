/* Input of a connection: framing, held bytes, memory, flow control, ends. */
#include "tests/unit/net/net_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    READ_BUFFER_SIZE = 64 * 1024,
    PARKED_SIZE = 4096,
    FRAMES_COUNT = 2000,
    FRAME_SIZE_MAX = 3000,
    LONG_FRAME_SIZE = 5 * 1024 * 1024,
    BYTES_COUNT = 200, /* that come one by one */
};

/* Contents of frame `number`, so that a foreign or overwritten byte shows. */
static size_t pattern_frame(uint8_t *frame, unsigned number, size_t body_size)
{
    frame_header(frame, body_size);
    for (size_t i = 0; i < body_size; i++) {
        frame[4 + i] = (uint8_t)(number * 31 + i * 7);
    }
    return 4 + body_size;
}

static void bytes_come_back(void **state)
{
    struct server server;
    char answer[5];

    (void)state;
    server_init(&server, echo_on_input);
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, "hello", 5);
    client_receive(client, answer, 5);
    assert_memory_equal(answer, "hello", 5);
    close(client);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_CLOSED);
    server_stop(&server);
}

static void byte_at_a_time_frames(void **state)
{
    struct server server;
    uint8_t frame[304];
    uint8_t answer[304];
    int on = 1;

    (void)state;
    server_init(&server, frames_on_input);
    server_start(&server);
    int client = client_connect(&server);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (unsigned number = 0; number < 3; number++) {
        size_t length = pattern_frame(frame, number, 300);
        for (size_t i = 0; i < length; i++) {
            client_send(client, frame + i, 1);
        }
        client_receive(client, answer, length);
        assert_memory_equal(answer, frame, length);
    }
    close(client);
    server_stop(&server);
}

struct held {
    struct base_buffer *buffer;
    const uint8_t *frame;
    size_t length;
};

struct holder {
    struct held frames[FRAMES_COUNT];
    unsigned count;
    unsigned damaged;
};

static void hold_on_input(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    struct holder *holder = server->context;
    size_t length = 0;

    while ((length = frame_whole(conn)) > 0) {
        struct held *held = &holder->frames[holder->count++];
        held->buffer = base_buffer_hold(net_conn_input_buffer(conn));
        held->frame = net_conn_input(conn).data;
        held->length = length;
        net_conn_consume(conn, length);
        gate_raise(&server->event);
    }
}

static void compare_held(void *context)
{
    struct holder *holder = context;
    uint8_t frame[4 + FRAME_SIZE_MAX];

    for (unsigned i = 0; i < holder->count; i++) {
        struct held *held = &holder->frames[i];
        size_t length = pattern_frame(frame, i, (i * 7919) % FRAME_SIZE_MAX);
        holder->damaged += held->length != length || memcmp(held->frame, frame, length) != 0;
        base_buffer_release(&held->buffer);
    }
}

static void held_bytes_are_never_overwritten(void **state)
{
    static struct holder holder;
    struct server server;
    uint8_t frame[4 + FRAME_SIZE_MAX];

    (void)state;
    server_init(&server, hold_on_input);
    server.context = &holder;
    server_start(&server);
    int clients[2] = {client_connect(&server), client_connect(&server)};
    for (unsigned i = 0; i < FRAMES_COUNT; i++) {
        size_t length = pattern_frame(frame, i, (i * 7919) % FRAME_SIZE_MAX);
        /* In two pieces, and every other hundred in lockstep: bytes behind held ones,
         * rests that move, buffers shared by connections. */
        int client = clients[i / 100 % 2];
        client_send(client, frame, length / 3);
        client_send(client, frame + length / 3, length - length / 3);
        if (i / 50 % 2 == 0 || i % 100 == 99) {
            gate_wait(&server.event, i + 1);
        }
    }
    gate_wait(&server.event, FRAMES_COUNT);
    /* Frames share buffers: their memory is near what they are. */
    assert_true(base_buffer_total_bytes() < (size_t)FRAMES_COUNT * FRAME_SIZE_MAX);
    call_on(net_loop_executor(server.loops[0]), compare_held, &holder);
    assert_int_equal(holder.count, FRAMES_COUNT);
    assert_int_equal(holder.damaged, 0);
    close(clients[0]);
    close(clients[1]);
    server_stop(&server);
}

struct probe {
    struct server *server;
    size_t input_bytes;
    const struct base_buffer *buffer; /* that holds them */
};

static void read_input(void *context)
{
    struct probe *probe = context;
    probe->input_bytes = net_conn_input(probe->server->conn).length;
    probe->buffer = net_conn_input_buffer(probe->server->conn);
}

/* Returns the buffer in which they are. */
static const struct base_buffer *wait_for_input(struct server *server, size_t size)
{
    struct probe probe = {.server = server};
    gate_wait(&server->accepted, 1);
    do {
        call_on(net_loop_executor(server->loops[0]), read_input, &probe);
    } while (probe.input_bytes < size);
    assert_int_equal(probe.input_bytes, size);
    return probe.buffer;
}

static void announced_length_does_not_allocate(void **state)
{
    static uint8_t body[300 * 1024];
    struct server server;
    uint8_t header[4];

    (void)state;
    server_init(&server, frames_on_input);
    server_start(&server);
    int client = client_connect(&server);
    frame_header(header, 8 * 1024 * 1024 - 4);
    client_send(client, header, sizeof header);
    wait_for_input(&server, 4);
    assert_true(base_buffer_total_bytes() <= READ_BUFFER_SIZE + PARKED_SIZE);

    client_send(client, body, sizeof body);
    wait_for_input(&server, 4 + sizeof body);
    assert_true(base_buffer_total_bytes() <= 2 * (4 + sizeof body) + READ_BUFFER_SIZE);
    close(client);
    server_stop(&server);
}

static void long_frames_arrive_between_short_ones(void **state)
{
    struct server server;
    uint8_t *stream = base_alloc(2 * LONG_FRAME_SIZE);
    uint8_t *answer = base_alloc(2 * LONG_FRAME_SIZE);
    size_t length = 0;

    (void)state;
    assert_non_null(stream);
    assert_non_null(answer);
    length += pattern_frame(stream, 1, 10);
    length += pattern_frame(stream + length, 2, 100 * 1000);
    length += pattern_frame(stream + length, 3, 0);
    length += pattern_frame(stream + length, 4, LONG_FRAME_SIZE);
    length += pattern_frame(stream + length, 5, READ_BUFFER_SIZE - 4);
    length += pattern_frame(stream + length, 6, 1);
    server_init(&server, frames_on_input);
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, stream, length);
    client_receive(client, answer, length);
    assert_memory_equal(answer, stream, length);
    close(client);
    server_stop(&server);
    base_free(stream);
    base_free(answer);
}

static void ignore_on_input(struct net_conn *conn)
{
    (void)conn;
}

/* Sends begin, then bytes one by one, and returns how often those moved the input. */
static unsigned count_moves(struct server *server, const uint8_t *begin, size_t begin_size)
{
    int client = client_connect(server);
    int on = 1;
    unsigned count = 0;

    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    client_send(client, begin, begin_size);
    const struct base_buffer *buffer = wait_for_input(server, begin_size);
    for (unsigned i = 1; i <= BYTES_COUNT; i++) {
        client_send(client, begin, 1);
        const struct base_buffer *now = wait_for_input(server, begin_size + i);
        count += now != buffer;
        buffer = now;
    }
    close(client);
    return count;
}

/* What grows bit by bit, and nobody knows to what length, is not copied with every bit. */
static void input_of_unknown_length_moves_seldom(void **state)
{
    static uint8_t begin[READ_BUFFER_SIZE * 2 / 3];
    struct server server;

    (void)state;
    server_init(&server, ignore_on_input);
    server_start(&server);
    assert_in_range(count_moves(&server, begin, sizeof begin), 0, 1);
    server_stop(&server);
}

/* Nor is a long frame of which all know the length. */
static void long_frame_moves_seldom(void **state)
{
    static uint8_t begin[READ_BUFFER_SIZE * 4 / 3];
    struct server server;

    (void)state;
    frame_header(begin, LONG_FRAME_SIZE);
    server_init(&server, frames_on_input);
    server_start(&server);
    assert_in_range(count_moves(&server, begin, sizeof begin), 0, 1);
    server_stop(&server);
}

static void unconsumed_input_over_the_limit_closes(void **state)
{
    static uint8_t body[2000];
    struct server server;

    (void)state;
    server_init(&server, ignore_on_input);
    server.options.conn.input_bytes_max = 1000;
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, body, sizeof body);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_TOO_LARGE);
    close(client);
    server_stop(&server);
}

static void frame_over_the_limit_closes_at_its_header(void **state)
{
    struct server server;
    uint8_t header[4];

    (void)state;
    server_init(&server, frames_on_input);
    server.options.conn.input_bytes_max = 1000;
    server_start(&server);
    int client = client_connect(&server);
    frame_header(header, 997);
    client_send(client, header, sizeof header);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_TOO_LARGE);
    close(client);
    server_stop(&server);
}

static void frame_of_exactly_the_limit_passes(void **state)
{
    struct server server;
    uint8_t frame[1000];
    uint8_t answer[1000];

    (void)state;
    server_init(&server, frames_on_input);
    server.options.conn.input_bytes_max = 1000;
    server_start(&server);
    int client = client_connect(&server);
    size_t length = pattern_frame(frame, 9, 996);
    client_send(client, frame, length);
    client_send(client, frame, length);
    client_receive(client, answer, length);
    client_receive(client, answer, length);
    assert_memory_equal(answer, frame, length);
    close(client);
    server_stop(&server);
}

static void nothing(void *context)
{
    (void)context;
}

enum { IDLE_COUNT = 200 };

static void idle_connection_holds_no_buffer(void **state)
{
    struct server server;
    int clients[IDLE_COUNT];
    uint8_t frame[8];
    uint8_t answer[8];

    (void)state;
    server_init(&server, frames_on_input);
    server_start(&server);
    size_t length = pattern_frame(frame, 3, 4);
    for (unsigned i = 0; i < IDLE_COUNT; i++) {
        clients[i] = client_connect(&server);
        client_send(clients[i], frame, length);
        client_receive(clients[i], answer, length);
    }
    call_on(net_loop_executor(server.loops[0]), nothing, NULL);
    assert_true(base_buffer_total_bytes() <= READ_BUFFER_SIZE);

    /* Half a frame costs what it is, rounded up, and not a read buffer. */
    for (unsigned i = 0; i < IDLE_COUNT; i++) {
        client_send(clients[i], frame, 7);
    }
    call_on(net_loop_executor(server.loops[0]), nothing, NULL);
    assert_true(base_buffer_total_bytes() <= READ_BUFFER_SIZE + IDLE_COUNT * 256);
    for (unsigned i = 0; i < IDLE_COUNT; i++) {
        client_send(clients[i], frame + 7, 1);
        client_receive(clients[i], answer, length);
        assert_memory_equal(answer, frame, length);
        close(clients[i]);
    }
    server_stop(&server);
}

/* Takes one frame, then waits for the test to resume. */
static void pausing_on_input(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    size_t length = frame_whole(conn);
    if (length > 0) {
        net_conn_consume(conn, length);
        net_conn_pause(conn);
        net_conn_pause(conn);
        gate_raise(&server->event);
    }
}

static void resume_conn(void *context)
{
    net_conn_resume(((struct server *)context)->conn);
}

static void paused_connection_is_left_alone(void **state)
{
    struct server server;
    struct base_executor *executor = NULL;
    uint8_t frames[16];

    (void)state;
    server_init(&server, pausing_on_input);
    server_start(&server);
    executor = net_loop_executor(server.loops[0]);
    int client = client_connect(&server);
    (void)pattern_frame(frames, 1, 4);
    (void)pattern_frame(frames + 8, 2, 4);
    client_send(client, frames, sizeof frames); /* both at once: the second is left over */
    gate_wait(&server.event, 1);
    call_on(executor, resume_conn, &server); /* as many resumes as pauses */
    client_send(client, frames, sizeof frames);
    call_on(executor, nothing, NULL);
    assert_int_equal(gate_count(&server.event), 1);
    for (unsigned i = 2; i <= 4; i++) {
        call_on(executor, resume_conn, &server);
        gate_wait(&server.event, i);
        call_on(executor, resume_conn, &server);
    }
    call_on(executor, resume_conn, &server);
    close(client); /* is noticed: reading goes on */
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_CLOSED);
    server_stop(&server);
}

static void resume_and_pause_conn(void *context)
{
    struct net_conn *conn = ((struct server *)context)->conn;
    net_conn_resume(conn);
    net_conn_resume(conn);
    net_conn_pause(conn);
}

/* The second thought wins, although the call of on_input was already on its way. */
static void pause_right_after_resume_holds(void **state)
{
    struct server server;
    uint8_t frames[16];

    (void)state;
    server_init(&server, pausing_on_input);
    server_start(&server);
    struct base_executor *executor = net_loop_executor(server.loops[0]);
    int client = client_connect(&server);
    (void)pattern_frame(frames, 1, 4);
    (void)pattern_frame(frames + 8, 2, 4);
    client_send(client, frames, sizeof frames);
    gate_wait(&server.event, 1);
    call_on(executor, resume_and_pause_conn, &server);
    call_on(executor, nothing, NULL);
    assert_int_equal(gate_count(&server.event), 1);
    call_on(executor, resume_conn, &server);
    gate_wait(&server.event, 2);
    close(client);
    server_stop(&server);
}

/* One frame a turn. */
static void again_on_input(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    size_t length = frame_whole(conn);
    if (length > 0) {
        net_conn_consume(conn, length);
        net_conn_again(conn);
        gate_raise(&server->event);
    }
}

static void answer_on_end(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    char text[16];
    int length = snprintf(text, sizeof text, "%u frames", gate_count(&server->event));
    conn_send_copy(conn, text, (size_t)length);
    net_conn_close_when_sent(conn);
}

enum {
    PIPELINES_COUNT = 32,
    PIPELINE_FRAMES_COUNT = 20,
    ASKED_AFTER_FRAMES_COUNT = 300, /* then every pipeline was looked at */
    FRAMES_IN_BETWEEN_MAX = 3,
};

/* Connections that have sent many requests at once, and one that asks while they are served. */
struct crowd {
    struct base_clock clock; /* each request of a pipeline takes five short turns by it */
    atomic_int_least64_t now_us;
    struct gate all_sent;
    int asking_client;
    unsigned frames_count;
    unsigned asked_at;
    unsigned frames_in_between;
};

static int64_t crowd_now_us(struct base_clock *clock)
{
    return BASE_CONTAINER_OF(clock, struct crowd, clock)->now_us;
}

static void crowd_on_input(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    struct crowd *crowd = server->context;
    size_t length = frame_whole(conn);

    if (length == 0) {
        return;
    }
    gate_wait(&crowd->all_sent, 1);
    crowd->frames_count++;
    if (net_conn_input(conn).data[4] == '?') {
        crowd->frames_in_between = crowd->frames_count - 1 - crowd->asked_at;
    } else if (crowd->frames_count == ASKED_AFTER_FRAMES_COUNT) {
        crowd->asked_at = crowd->frames_count;
        BASE_ASSERT(send(crowd->asking_client, "\0\0\0\1?", 5, MSG_NOSIGNAL) == 5);
    }
    crowd->now_us += 5 * NET_LOOP_TURN_SHORT_US;
    net_conn_consume(conn, length);
    if (net_conn_input(conn).length > 0) {
        BASE_ASSERT(net_loop_turn_is_over(net_conn_loop(conn), length));
        net_conn_again(conn);
    }
    gate_raise(&server->event);
}

/* Who asks once does not wait for all who ask without end; nor are they forgotten. */
static void pipelines_let_others_in(void **state)
{
    struct crowd crowd = {.clock.monotonic_us = crowd_now_us};
    struct server server;
    uint8_t frames[PIPELINE_FRAMES_COUNT * 5];
    int clients[PIPELINES_COUNT];

    (void)state;
    gate_init(&crowd.all_sent);
    server_init(&server, crowd_on_input);
    server.clock = &crowd.clock;
    server.context = &crowd;
    server_start(&server);
    for (unsigned i = 0; i < PIPELINE_FRAMES_COUNT; i++) {
        memcpy(frames + i * 5, "\0\0\0\1-", 5);
    }
    crowd.asking_client = client_connect(&server);
    for (unsigned i = 0; i < PIPELINES_COUNT; i++) {
        clients[i] = client_connect(&server);
        client_send(clients[i], frames, sizeof frames);
    }
    gate_raise(&crowd.all_sent);
    gate_wait(&server.event, PIPELINES_COUNT * PIPELINE_FRAMES_COUNT + 1);
    assert_in_range(crowd.frames_in_between, 0, FRAMES_IN_BETWEEN_MAX);
    for (unsigned i = 0; i < PIPELINES_COUNT; i++) {
        close(clients[i]);
    }
    close(crowd.asking_client);
    server_stop(&server);
    gate_fini(&crowd.all_sent);
}

/* The peer's FIN is told after the last frame, and answers still reach it. */
static void half_closed_peer_gets_its_answer(void **state)
{
    struct server server;
    uint8_t frame[8];
    char answer[9];

    (void)state;
    server_init(&server, again_on_input);
    server.ops.on_end = answer_on_end;
    server_start(&server);
    int client = client_connect(&server);
    size_t length = pattern_frame(frame, 1, 4);
    for (unsigned i = 0; i < 50; i++) {
        client_send(client, frame, length);
    }
    shutdown(client, SHUT_WR);
    client_receive(client, answer, sizeof answer);
    assert_memory_equal(answer, "50 frames", sizeof answer);
    assert_int_equal(client_read_to_end(client), 0);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_OK);
    close(client);
    server_stop(&server);
}

/* Frames left over while reading was stopped come before the FIN behind them. */
static void end_is_told_after_what_was_left_over(void **state)
{
    struct server server;
    uint8_t frame[8];
    char answer[8];

    (void)state;
    server_init(&server, pausing_on_input);
    server.ops.on_end = answer_on_end;
    server_start(&server);
    struct base_executor *executor = net_loop_executor(server.loops[0]);
    int client = client_connect(&server);
    size_t length = pattern_frame(frame, 1, 4);
    for (unsigned i = 0; i < 4; i++) {
        client_send(client, frame, length);
    }
    shutdown(client, SHUT_WR);
    for (unsigned i = 1; i <= 4; i++) {
        gate_wait(&server.event, i);
        call_on(executor, resume_conn, &server);
        call_on(executor, resume_conn, &server);
    }
    client_receive(client, answer, sizeof answer);
    assert_memory_equal(answer, "4 frames", sizeof answer);
    close(client);
    server_stop(&server);
}

static void reset_by_peer_closes(void **state)
{
    struct server server;
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)state;
    server_init(&server, echo_on_input);
    server_start(&server);
    int client = client_connect(&server);
    gate_wait(&server.accepted, 1);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_CLOSED);
    server_stop(&server);
}

/* Everything that may still be called on a connection that was just closed. */
static void closing_on_input(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);

    conn_send_copy(conn, "never sent", 10);
    net_conn_close(conn, BASE_ERR_MALFORMED);
    struct base_slice input = net_conn_input(conn);
    BASE_ASSERT(base_slice_is(input, "close me"));
    net_conn_consume(conn, input.length);
    conn_send_copy(conn, "nor this", 8);
    net_conn_pause(conn);
    net_conn_resume(conn);
    net_conn_again(conn);
    net_conn_expect(conn, 5);
    net_conn_set_deadline(conn, 1);
    net_conn_close_when_sent(conn);
    net_conn_close(conn, BASE_ERR_IO);
    BASE_ASSERT(net_conn_output_bytes(conn) == 0);
    BASE_ASSERT(gate_count(&server->closed) == 0); /* comes in a later turn */
}

static void close_from_inside_on_input_is_safe(void **state)
{
    struct server server;

    (void)state;
    server_init(&server, closing_on_input);
    server.options.conn.idle_timeout_ms = 60000;
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, "close me", 8);
    assert_int_equal(client_read_to_end(client), 0);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_MALFORMED);
    close(client);
    server_stop(&server);
}

static void idle_connection_times_out(void **state)
{
    struct server server;
    char answer[3];

    (void)state;
    server_init(&server, echo_on_input);
    server.options.conn.idle_timeout_ms = 50;
    server_start(&server);
    int64_t start_us = base_clock_monotonic_us(base_clock_system());
    int client = client_connect(&server);
    client_send(client, "abc", 3);
    client_receive(client, answer, 3);
    assert_int_equal(client_read_to_end(client), 0);
    assert_true(base_clock_monotonic_us(base_clock_system()) - start_us >= 50000);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_TIMEOUT);
    close(client);
    server_stop(&server);
}

static void deadline_on_input(struct net_conn *conn)
{
    struct base_slice input = net_conn_input(conn);
    net_conn_set_deadline(conn, 20);
    if (base_slice_is(input, "stay")) {
        net_conn_set_deadline(conn, 0);
    }
    echo_on_input(conn);
}

static void deadline_closes_unless_cleared(void **state)
{
    struct server server;
    char answer[4];

    (void)state;
    server_init(&server, deadline_on_input);
    server_start(&server);
    int stays = client_connect(&server);
    client_send(stays, "stay", 4);
    client_receive(stays, answer, 4);
    int goes = client_connect(&server);
    client_send(goes, "go", 2);
    client_receive(goes, answer, 2);
    assert_int_equal(client_read_to_end(goes), 0);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_TIMEOUT);
    call_on(net_loop_executor(server.loops[0]), nothing, NULL); /* counted out after on_close */
    assert_int_equal(net_listener_connections(server.listener), 1);
    client_send(stays, "stay", 4);
    client_receive(stays, answer, 4);
    close(stays);
    close(goes);
    server_stop(&server);
}

struct addresses {
    struct server *server;
    char peer[NET_ADDRESS_SIZE];
    char local[NET_ADDRESS_SIZE];
};

static void copy_addresses(void *context)
{
    struct addresses *addresses = context;
    memcpy(addresses->peer, net_conn_peer(addresses->server->conn), NET_ADDRESS_SIZE);
    memcpy(addresses->local, net_conn_local(addresses->server->conn), NET_ADDRESS_SIZE);
}

static void addresses_name_both_ends(void **state)
{
    struct server server;
    struct addresses addresses = {.server = &server};
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char text[NET_ADDRESS_SIZE];

    (void)state;
    server_init(&server, echo_on_input);
    server_start(&server);
    int client = client_connect(&server);
    gate_wait(&server.accepted, 1);
    call_on(net_loop_executor(server.loops[0]), copy_addresses, &addresses);
    assert_int_equal(getsockname(client, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
    assert_string_equal(addresses.peer, text);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", net_listener_port(server.listener));
    assert_string_equal(addresses.local, text);
    close(client);
    server_stop(&server);
}

/* Fails each allocation of a connection's life in turn: the peer gets its answer
 * or a closed connection, and nothing is left behind. */
static void failed_allocation_only_costs_the_connection(void **state)
{
    uint8_t frame[8];
    uint8_t answer[8];
    bool fired = true;

    (void)state;
    for (long n = 0; fired; n++) {
        struct server server;
        assert_true(n < 100);
        server_init(&server, frames_on_input);
        server_start(&server);
        base_alloc_fail_after(n, 1);
        int client = client_connect(&server);
        size_t length = pattern_frame(frame, 1, 4);
        (void)send(client, frame, 2, MSG_NOSIGNAL);
        (void)send(client, frame + 2, length - 2, MSG_NOSIGNAL);
        ssize_t received = recv(client, answer, sizeof answer, MSG_WAITALL);
        fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        assert_true(received <= 0 || memcmp(answer, frame, length) == 0);
        assert_true(fired || received == (ssize_t)length);
        close(client);
        server_stop(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(byte_at_a_time_frames),
        cmocka_unit_test(held_bytes_are_never_overwritten),
        cmocka_unit_test(announced_length_does_not_allocate),
        cmocka_unit_test(long_frames_arrive_between_short_ones),
        cmocka_unit_test(input_of_unknown_length_moves_seldom),
        cmocka_unit_test(long_frame_moves_seldom),
        cmocka_unit_test(unconsumed_input_over_the_limit_closes),
        cmocka_unit_test(frame_over_the_limit_closes_at_its_header),
        cmocka_unit_test(frame_of_exactly_the_limit_passes),
        cmocka_unit_test(idle_connection_holds_no_buffer),
        cmocka_unit_test(paused_connection_is_left_alone),
        cmocka_unit_test(pause_right_after_resume_holds),
        cmocka_unit_test(pipelines_let_others_in),
        cmocka_unit_test(half_closed_peer_gets_its_answer),
        cmocka_unit_test(end_is_told_after_what_was_left_over),
        cmocka_unit_test(reset_by_peer_closes),
        cmocka_unit_test(close_from_inside_on_input_is_safe),
        cmocka_unit_test(idle_connection_times_out),
        cmocka_unit_test(deadline_closes_unless_cleared),
        cmocka_unit_test(addresses_name_both_ends),
        cmocka_unit_test(failed_allocation_only_costs_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
