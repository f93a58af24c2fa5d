/* Output of a connection: order, files, limits, closing after the last byte. */
#include "tests/unit/net/net_fixture.h"

#include <stdlib.h>

enum {
    PIECES_COUNT = 500, /* many times what one system call takes */
    FILE_SIZE = 3 * 1024 * 1024,
    ANSWER_SIZE = 256 * 1024,
};

/* Answers each byte n with the pieces "n.0,", "n.1," and so on, queued one by one and in one go by
 * turns. */
static void pieces_on_input(struct net_conn *conn)
{
    struct base_chunk chunks[PIECES_COUNT];
    struct base_slice input = net_conn_input(conn);

    for (size_t i = 0; i < input.length; i++) {
        for (unsigned piece = 0; piece < PIECES_COUNT; piece++) {
            struct base_buffer *buffer = base_buffer_create(32);
            BASE_ASSERT(buffer != NULL);
            int length = snprintf((char *)buffer->data, 32, "x%u.%u,", input.data[i], piece);
            /* Does not begin at the buffer's first byte. */
            chunks[piece] =
                (struct base_chunk){.buffer = buffer, .position = 1, .length = (size_t)length - 1};
        }
        if (i % 2 == 0) {
            net_conn_send(conn, chunks, PIECES_COUNT);
        } else {
            for (unsigned piece = 0; piece < PIECES_COUNT; piece++) {
                net_conn_send(conn, &chunks[piece], 1);
            }
        }
    }
    net_conn_consume(conn, input.length);
}

static void answers_leave_in_order(void **state)
{
    struct server server;
    uint8_t requests[40];
    char expected[32];
    char answer[32];

    (void)state;
    server_init(&server, pieces_on_input);
    server_start(&server);
    int client = client_connect(&server);
    for (unsigned i = 0; i < sizeof requests; i++) {
        requests[i] = (uint8_t)i;
    }
    client_send(client, requests, sizeof requests);
    for (unsigned i = 0; i < sizeof requests; i++) {
        for (unsigned piece = 0; piece < PIECES_COUNT; piece++) {
            int length = snprintf(expected, sizeof expected, "%u.%u,", i, piece);
            client_receive(client, answer, (size_t)length);
            assert_memory_equal(answer, expected, (size_t)length);
        }
    }
    close(client);
    server_stop(&server);
}

/* A file of a known pattern that is already unlinked; counted, one reference. */
static struct base_file *pattern_file(void)
{
    char name[] = "/tmp/dmsd-net-XXXXXX";
    uint8_t block[4096];
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    unlink(name);
    for (size_t i = 0; i < FILE_SIZE; i += sizeof block) {
        for (size_t j = 0; j < sizeof block; j++) {
            block[j] = (uint8_t)((i + j) % 251);
        }
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
    }
    struct base_file *file = base_file_create(fd);
    assert_non_null(file);
    return file;
}

/* Answers any input with "head", most of the file, "tail". */
static void file_on_input(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    struct base_chunk chunks[3] = {0};

    net_conn_consume(conn, net_conn_input(conn).length);
    for (unsigned i = 0; i < 3; i += 2) {
        chunks[i].buffer = base_buffer_create(4);
        BASE_ASSERT(chunks[i].buffer != NULL);
        memcpy(chunks[i].buffer->data, i == 0 ? "head" : "tail", 4);
        chunks[i].length = 4;
    }
    chunks[1].file = base_file_hold(server->context);
    chunks[1].position = 1000;
    chunks[1].length = FILE_SIZE - 2000;
    net_conn_send(conn, chunks, 3);
}

static void sendfile_chunk_arrives(void **state)
{
    static uint8_t answer[FILE_SIZE];
    struct server server;
    char frame[4];

    (void)state;
    server_init(&server, file_on_input);
    struct base_file *file = pattern_file();
    server.context = file;
    server_start(&server);
    int client = client_connect(&server);
    for (unsigned turn = 0; turn < 2; turn++) {
        client_send(client, "?", 1);
        client_receive(client, frame, 4);
        assert_memory_equal(frame, "head", 4);
        client_receive(client, answer, FILE_SIZE - 2000);
        for (size_t i = 0; i < FILE_SIZE - 2000; i++) {
            assert_int_equal(answer[i], (i + 1000) % 251);
        }
        client_receive(client, frame, 4);
        assert_memory_equal(frame, "tail", 4);
    }
    close(client);
    server_stop(&server);
    assert_int_equal(file->refs.count, 1); /* the connection gave its own back */
    base_file_release(&file);
}

static void truncated_file_closes(void **state)
{
    struct server server;

    (void)state;
    server_init(&server, file_on_input);
    struct base_file *file = pattern_file();
    assert_int_equal(ftruncate(file->fd, FILE_SIZE / 2), 0);
    server.context = file;
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, "?", 1);
    assert_int_equal(client_read_to_end(client), 4 + FILE_SIZE / 2 - 1000);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_IO);
    close(client);
    server_stop(&server);
    base_file_release(&file);
}

/* ANSWER_SIZE bytes for every byte. */
static void large_on_input(struct net_conn *conn)
{
    static const uint8_t answer[ANSWER_SIZE];
    size_t length = net_conn_input(conn).length;

    net_conn_consume(conn, length);
    for (size_t i = 0; i < length; i++) {
        conn_send_copy(conn, answer, sizeof answer);
    }
}

static void client_that_never_reads_is_closed(void **state)
{
    static const uint8_t requests[256];
    struct server server;

    (void)state;
    server_init(&server, large_on_input);
    server.options.conn.output_bytes_max = 2 * ANSWER_SIZE;
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, requests, sizeof requests); /* 64 MiB asked, far over all buffers */
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_TOO_LARGE);
    assert_true(base_buffer_total_bytes() <= 2 * ANSWER_SIZE);
    close(client);
    server_stop(&server);
}

static void single_answer_over_the_limit_is_sent(void **state)
{
    struct server server;
    static uint8_t answer[ANSWER_SIZE];

    (void)state;
    server_init(&server, large_on_input);
    server.options.conn.output_bytes_max = 1000;
    server_start(&server);
    int client = client_connect(&server);
    for (unsigned i = 0; i < 20; i++) {
        client_send(client, "?", 1);
        client_receive(client, answer, sizeof answer);
    }
    close(client);
    server_stop(&server);
}

/* Two answers a turn, of which the limit allows one: the kernel takes the first. */
static void answers_of_one_turn_are_not_a_slow_reader(void **state)
{
    struct server server;
    uint8_t answer[8];

    (void)state;
    server_init(&server, frames_on_input);
    server.options.conn.output_bytes_max = 8;
    server_start(&server);
    int client = client_connect(&server);
    uint8_t requests[64];
    for (unsigned i = 0; i < 8; i++) {
        frame_header(requests + 8 * i, 4);
        memset(requests + 8 * i + 4, (int)i, 4);
    }
    client_send(client, requests, sizeof requests);
    for (unsigned i = 0; i < 8; i++) {
        client_receive(client, answer, 8);
        assert_memory_equal(answer, requests + 8 * i, 8);
    }
    close(client);
    server_stop(&server);
}

static void drained_raises(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    BASE_ASSERT(net_conn_output_bytes(conn) < 64 * 1024);
    if (net_conn_output_bytes(conn) == 0) {
        gate_raise(&server->event); /* also when it was below before */
    }
}

static void drained_is_told_once_the_peer_has_read(void **state)
{
    static const uint8_t requests[40]; /* 10 MiB: more than socket buffers take */
    static uint8_t answer[ANSWER_SIZE];
    struct server server;

    (void)state;
    server_init(&server, large_on_input);
    server.ops.on_drained = drained_raises;
    server.options.conn.output_bytes_max = 64 * 1024 * 1024;
    server.options.conn.output_low_bytes = 64 * 1024;
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, requests, sizeof requests);
    for (unsigned i = 0; i < sizeof requests; i++) {
        client_receive(client, answer, sizeof answer);
    }
    gate_wait(&server.event, 1);
    close(client);
    server_stop(&server);
}

/* Refuses at the first byte, as a front end does with a body that is too large. */
static void refuse_on_input(struct net_conn *conn)
{
    static const uint8_t answer[ANSWER_SIZE];

    conn_send_copy(conn, answer, sizeof answer);
    net_conn_close_when_sent(conn);
}

static void answer_survives_unread_input(void **state)
{
    static uint8_t body[64 * 1024];
    static uint8_t answer[ANSWER_SIZE];
    struct server server;

    (void)state;
    server_init(&server, refuse_on_input);
    server_start(&server);
    int client = client_connect(&server);
    for (unsigned i = 0; i < 16; i++) {
        client_send(client, body, sizeof body); /* the server does not want it any more */
    }
    client_receive(client, answer, sizeof answer);
    shutdown(client, SHUT_WR);
    assert_int_equal(client_read_to_end(client), 0);
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_OK);
    close(client);
    server_stop(&server);
}

static void peer_that_leaves_while_we_write_closes(void **state)
{
    static const uint8_t requests[40];
    struct server server;

    (void)state;
    server_init(&server, large_on_input);
    server.options.conn.output_bytes_max = 64 * 1024 * 1024;
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, requests, sizeof requests);
    uint8_t first = 0;
    client_receive(client, &first, 1);
    close(client); /* with unread bytes: a reset */
    gate_wait(&server.closed, 1);
    assert_int_equal(server.reason, BASE_ERR_CLOSED);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_leave_in_order),
        cmocka_unit_test(sendfile_chunk_arrives),
        cmocka_unit_test(truncated_file_closes),
        cmocka_unit_test(client_that_never_reads_is_closed),
        cmocka_unit_test(single_answer_over_the_limit_is_sent),
        cmocka_unit_test(answers_of_one_turn_are_not_a_slow_reader),
        cmocka_unit_test(drained_is_told_once_the_peer_has_read),
        cmocka_unit_test(answer_survives_unread_input),
        cmocka_unit_test(peer_that_leaves_while_we_write_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
