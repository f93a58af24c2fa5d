#define _GNU_SOURCE /* mkdtemp, nftw */
#include "tests/fuzz/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/main/broker.h"
#include "rest-gw/json.h"

enum {
    DOOR_CALLS_MAX = 5000, /* on one broker */
};

static struct main_config *config;
static struct main_broker *broker;
static struct door door;
static char root[32];
static unsigned calls;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void stop(void)
{
    if (broker != NULL) {
        main_broker_stop(&broker);
        main_config_close(&config);
        (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool done = fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 &&
                getsockname(fd, (struct sockaddr *)&address, &length) == 0;
    BASE_ASSERT(done);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void set(const char *key, const char *value)
{
    char error[MAIN_CONFIG_ERROR_SIZE];
    BASE_ASSERT(main_config_set(config, key, value, error) == BASE_ERR_OK);
}

static void start(void)
{
    char text[64];

    (void)snprintf(root, sizeof root, "/tmp/dmsd-fuzz-XXXXXX");
    BASE_ASSERT(mkdtemp(root) != NULL);
    config = main_config_create();
    BASE_ASSERT(config != NULL);
    door = (struct door){.kafka_port = free_port(), .http_port = free_port()};
    (void)snprintf(text, sizeof text, "PLAINTEXT://127.0.0.1:%d", door.kafka_port);
    set("listeners", text);
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d", door.http_port);
    set("http.listeners", text);
    set("log.dirs", root);
    set("num.network.threads", "1");
    set("dms.disk.threads", "1");
    set("max.partitions", "300");
    set("offsets.topic.num.partitions", "1");
    set("group.initial.rebalance.delay.ms", "0");
    set("dms.shutdown.drain.ms", "0");
    BASE_ASSERT(main_broker_start(config, &broker) == BASE_ERR_OK);
}

const struct door *door_open(bool *is_new)
{
    static bool is_prepared;

    if (!is_prepared) {
        is_prepared = true;
        base_log_configure(BASE_LOG_ERROR, BASE_LOG_LOGFMT);
        restgw_json_init();
        (void)atexit(stop);
    }
    *is_new = broker == NULL || ++calls == DOOR_CALLS_MAX;
    if (*is_new) {
        stop();
        calls = 0;
        start();
    }
    return &door;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* Reset at close: thousands of connections a second must not wait for their end. */
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    BASE_ASSERT(fd >= 0);
    BASE_ASSERT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        BASE_ASSERT(errno == EADDRNOTAVAIL); /* others have all ports for the moment */
        (void)poll(NULL, 0, DOOR_QUIET_MS);
    }
    return fd;
}

static void send_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return; /* refused already */
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    (void)shutdown(fd, SHUT_WR);
}

size_t door_talk(int port, int quiet_ms, const uint8_t *bytes, size_t length,
                 const uint8_t **response)
{
    static uint8_t buffer[DOOR_RESPONSE_BYTES_MAX];
    size_t received = 0;
    int fd = connect_to(port);

    send_all(fd, bytes, length);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (received < sizeof buffer && poll(&wait, 1, quiet_ms) > 0) {
        ssize_t count = recv(fd, buffer + received, sizeof buffer - received, 0);
        if (count <= 0) {
            break;
        }
        received += (size_t)count;
    }
    (void)close(fd);
    *response = buffer;
    return received;
}
