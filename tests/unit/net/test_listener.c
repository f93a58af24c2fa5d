/* Listener: accepting, spreading, limits, shutdown. */
#include "tests/unit/net/net_fixture.h"

#include <dirent.h>
#include <sys/resource.h>

enum {
    WAVES_COUNT = 10,
    WAVE_SIZE = 100,
    ANSWER_SIZE = 16 * 1024 * 1024, /* more than socket buffers take */
};

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static void thousand_connections_open_and_close(void **state)
{
    struct server server;
    int clients[WAVE_SIZE];
    char answer[4];
    unsigned before = open_descriptors();

    (void)state;
    server_init(&server, echo_on_input);
    server.loops_count = LOOPS_MAX;
    server_start(&server);
    for (unsigned wave = 0; wave < WAVES_COUNT; wave++) {
        for (unsigned i = 0; i < WAVE_SIZE; i++) {
            clients[i] = client_connect(&server);
            client_send(clients[i], "ping", 4);
        }
        for (unsigned i = 0; i < WAVE_SIZE; i++) {
            client_receive(clients[i], answer, 4);
            assert_memory_equal(answer, "ping", 4);
        }
        assert_true(net_listener_connections(server.listener) >= WAVE_SIZE);
        for (unsigned i = 0; i < WAVE_SIZE; i++) {
            close(clients[i]);
        }
    }
    gate_wait(&server.closed, WAVES_COUNT * WAVE_SIZE);
    server_stop(&server);
    assert_int_equal(open_descriptors(), before);
}

/* Counts accepts per loop; each counter belongs to its loop. */
struct spread {
    struct server *server;
    unsigned counts[LOOPS_MAX];
};

static enum base_err spread_on_accept(void *context, struct net_conn *conn)
{
    struct server *server = context;
    struct spread *spread = server->context;

    net_conn_set_context(conn, server);
    for (unsigned i = 0; i < server->loops_count; i++) {
        if (server->loops[i] == net_conn_loop(conn)) {
            BASE_ASSERT(base_executor_is_current(net_loop_executor(server->loops[i])));
            spread->counts[i]++;
        }
    }
    gate_raise(&server->accepted);
    return BASE_ERR_OK;
}

static void connections_are_spread_evenly(void **state)
{
    struct server server;
    struct spread spread = {.server = &server};
    int clients[12];

    (void)state;
    server_init(&server, echo_on_input);
    server.loops_count = LOOPS_MAX;
    server.options.on_accept = spread_on_accept;
    server.context = &spread;
    server_start(&server);
    for (unsigned i = 0; i < 12; i++) {
        clients[i] = client_connect(&server);
    }
    gate_wait(&server.accepted, 12);
    for (unsigned i = 0; i < LOOPS_MAX; i++) {
        assert_int_equal(spread.counts[i], 12 / LOOPS_MAX);
    }
    for (unsigned i = 0; i < 12; i++) {
        close(clients[i]);
    }
    server_stop(&server);
}

static void connection_over_the_limit_is_closed(void **state)
{
    struct server server;
    char answer[4];

    (void)state;
    server_init(&server, echo_on_input);
    server.options.connections_max = 1;
    server_start(&server);
    int first = client_connect(&server);
    gate_wait(&server.accepted, 1);
    int second = client_connect(&server);
    assert_int_equal(client_read_to_end(second), 0);
    client_send(first, "ping", 4);
    client_receive(first, answer, 4);
    close(first);
    gate_wait(&server.closed, 1);
    close(second);
    server_stop(&server);
}

static enum base_err refusing_on_accept(void *context, struct net_conn *conn)
{
    (void)context;
    (void)conn;
    return BASE_ERR_BUSY;
}

static void refused_connection_is_closed_without_on_close(void **state)
{
    struct server server;

    (void)state;
    server_init(&server, echo_on_input);
    server.options.on_accept = refusing_on_accept;
    server_start(&server);
    int client = client_connect(&server);
    assert_int_equal(client_read_to_end(client), 0);
    close(client);
    net_listener_stop(server.listener);
    net_listener_drain(server.listener, 0);
    assert_int_equal(gate_count(&server.closed), 0);
    server_stop(&server);
}

static void big_on_input(struct net_conn *conn)
{
    struct server *server = net_conn_context(conn);
    struct base_chunk chunk = {.buffer = base_buffer_create(ANSWER_SIZE), .length = ANSWER_SIZE};

    BASE_ASSERT(chunk.buffer != NULL);
    memset(chunk.buffer->data, 'x', ANSWER_SIZE);
    net_conn_consume(conn, net_conn_input(conn).length);
    net_conn_send(conn, &chunk, 1);
    gate_raise(&server->event);
}

static void *read_all_main(void *argument)
{
    int client = *(int *)argument;
    size_t *total = base_alloc_object(size_t);
    BASE_ASSERT(total != NULL);
    *total = client_read_to_end(client);
    close(client);
    return total;
}

static void drain_waits_for_output(void **state)
{
    struct server server;
    pthread_t reader;
    void *total = NULL;

    (void)state;
    server_init(&server, big_on_input);
    server_start(&server);
    int client = client_connect(&server);
    int idle = client_connect(&server);
    client_send(client, "?", 1);
    gate_wait(&server.event, 1);
    gate_wait(&server.accepted, 2);
    net_listener_stop(server.listener);
    pthread_create(&reader, NULL, read_all_main, &client);
    shutdown(idle, SHUT_WR);
    net_listener_drain(server.listener, WAIT_SECONDS_MAX * 1000);
    pthread_join(reader, &total);
    assert_int_equal(*(size_t *)total, ANSWER_SIZE);
    assert_int_equal(gate_count(&server.closed), 2);
    base_free(total);
    close(idle);
    server_stop(&server);
}

static void drain_gives_up_on_a_peer_that_does_not_read(void **state)
{
    struct server server;

    (void)state;
    server_init(&server, big_on_input);
    server_start(&server);
    int client = client_connect(&server);
    client_send(client, "?", 1);
    gate_wait(&server.event, 1);
    net_listener_stop(server.listener);
    net_listener_drain(server.listener, 30);
    assert_int_equal(gate_count(&server.closed), 1);
    assert_int_equal(net_listener_connections(server.listener), 0);
    close(client);
    server_stop(&server);
}

static void stopped_listener_lets_connections_live(void **state)
{
    struct server server;
    char answer[4];

    (void)state;
    server_init(&server, echo_on_input);
    server_start(&server);
    int client = client_connect(&server);
    gate_wait(&server.accepted, 1);
    net_listener_stop(server.listener);
    client_send(client, "ping", 4);
    client_receive(client, answer, 4);
    close(client);
    server_stop(&server); /* a second stop does nothing */
}

/* The system's clock; a loop reads it once a turn, so it counts turns. */
struct counting_clock {
    struct base_clock clock;
    atomic_uint reads;
};

static int64_t count_and_read(struct base_clock *clock)
{
    struct counting_clock *counting = BASE_CONTAINER_OF(clock, struct counting_clock, clock);
    atomic_fetch_add(&counting->reads, 1);
    return base_clock_monotonic_us(base_clock_system());
}

struct alarm_clock {
    struct base_timer timer;
    struct server *server;
};

static void alarm_rings(struct base_timer *timer)
{
    gate_raise(&BASE_CONTAINER_OF(timer, struct alarm_clock, timer)->server->event);
}

static void alarm_set(void *context)
{
    struct alarm_clock *alarm = context;
    struct net_loop *loop = alarm->server->loops[0];
    base_timer_arm(net_loop_executor(loop), &alarm->timer, net_loop_now_us(loop) + 30000);
}

/* Accepting fails for want of descriptors, waits, and comes back by itself. */
static void out_of_descriptors_only_delays(void **state)
{
    struct server server;
    struct counting_clock counting = {.clock.monotonic_us = count_and_read};
    struct alarm_clock alarm = {.timer.fire = alarm_rings, .server = &server};
    struct rlimit limit;
    char answer[4];

    (void)state;
    server_init(&server, echo_on_input);
    server.clock = &counting.clock;
    server_start(&server);
    int warm = client_connect(&server);
    gate_wait(&server.accepted, 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)fd + 1, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);

    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(net_listener_port(server.listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    client_send(fd, "ping", 4);
    client_send(warm, "ping", 4); /* those who are in are served meanwhile */
    client_receive(warm, answer, 4);
    assert_int_equal(gate_count(&server.accepted), 1);

    /* Nor does the loop spin over the connection it cannot take. */
    unsigned before = atomic_load(&counting.reads);
    call_on(net_loop_executor(server.loops[0]), alarm_set, &alarm);
    gate_wait(&server.event, 1);
    assert_true(atomic_load(&counting.reads) - before < 20);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    client_receive(fd, answer, 4);
    assert_memory_equal(answer, "ping", 4);
    close(fd);
    close(warm);
    server_stop(&server);
}

static void bad_addresses_are_told_apart(void **state)
{
    struct server server;
    struct net_listener *second = NULL;

    (void)state;
    server_init(&server, echo_on_input);
    server_start(&server);
    server.options.port = net_listener_port(server.listener);
    assert_int_equal(net_listener_create(&server.options, &second), BASE_ERR_BUSY);
    assert_null(second);
    server.options.port = 0;
    server.options.host = "999.1.1.1.invalid";
    assert_int_equal(net_listener_create(&server.options, &second), BASE_ERR_INVALID);
    assert_null(second);
    net_listener_stop(second);
    net_listener_close(&second);
    server_stop(&server);
}

static void failed_allocation_creates_no_listener(void **state)
{
    struct server server;
    struct net_listener *second = NULL;
    enum base_err err = BASE_ERR_NOMEM;
    unsigned before = 0;

    (void)state;
    server_init(&server, echo_on_input);
    server_start(&server);
    before = open_descriptors();
    for (long n = 0; err == BASE_ERR_NOMEM; n++) {
        base_alloc_fail_after(n, 1);
        err = net_listener_create(&server.options, &second);
        base_alloc_fail_after(-1, 0);
        assert_true((err == BASE_ERR_OK) == (second != NULL));
        net_listener_stop(second);
        net_listener_close(&second);
        assert_int_equal(open_descriptors(), before);
    }
    assert_int_equal(err, BASE_ERR_OK);
    server_stop(&server);
}

static void listens_on_v6(void **state)
{
    struct server server;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    char answer[4];

    (void)state;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        skip(); /* this machine has no v6 */
    }
    server_init(&server, echo_on_input);
    server.options.host = "::1";
    server_start(&server);
    address.sin6_port = htons(net_listener_port(server.listener));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    client_send(fd, "ping", 4);
    client_receive(fd, answer, 4);
    close(fd);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousand_connections_open_and_close),
        cmocka_unit_test(connections_are_spread_evenly),
        cmocka_unit_test(connection_over_the_limit_is_closed),
        cmocka_unit_test(refused_connection_is_closed_without_on_close),
        cmocka_unit_test(drain_waits_for_output),
        cmocka_unit_test(drain_gives_up_on_a_peer_that_does_not_read),
        cmocka_unit_test(stopped_listener_lets_connections_live),
        cmocka_unit_test(out_of_descriptors_only_delays),
        cmocka_unit_test(bad_addresses_are_told_apart),
        cmocka_unit_test(failed_allocation_creates_no_listener),
        cmocka_unit_test(listens_on_v6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
