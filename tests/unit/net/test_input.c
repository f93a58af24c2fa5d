/* Input of a connection: framing, held bytes, memory. */
#include "net_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
