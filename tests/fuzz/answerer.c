/* One thread, one connection at a time. */
#define _GNU_SOURCE /* memmem */
#include "tests/fuzz/answerer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/mutex.h"

enum { REQUEST_SIZE_MAX = 64 << 10, SEPARATOR = 0x1e };

static struct {
    int fd;
    int port;
    struct base_mutex lock;
    const struct base_slice *answers;
    unsigned count;
    unsigned next;
} server;

/* Bytes of the request's body that are still to come; 0 unless its head is whole. */
static size_t body_left(const char *request, size_t length, bool *has_head)
{
    static const char mark[] = "\r\nContent-Length: ";
    const char *end = memmem(request, length, "\r\n\r\n", 4);

    *has_head = end != NULL;
    if (end == NULL) {
        return 0;
    }
    const char *found = memmem(request, (size_t)(end - request), mark, sizeof mark - 1);
    size_t wanted = found == NULL ? 0 : strtoul(found + sizeof mark - 1, NULL, 10);
    size_t got = length - (size_t)(end + 4 - request);
    return wanted > got ? wanted - got : 0;
}

static void read_request(int fd)
{
    static char request[REQUEST_SIZE_MAX];
    size_t length = 0;
    bool has_head = false;

    while (!has_head || body_left(request, length, &has_head) > 0) {
        ssize_t count = recv(fd, request + length, sizeof request - length, 0);
        if (count <= 0) {
            return;
        }
        length += (size_t)count;
        (void)body_left(request, length, &has_head);
    }
}

static void send_bytes(int fd, const void *data, size_t length)
{
    const char *bytes = data;

    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

static void answer(int fd, struct base_slice bytes)
{
    char head[160];

    if (bytes.length < 5 || memcmp(bytes.data, "HTTP/", 5) != 0) {
        int length = snprintf(
            head, sizeof head,
            "HTTP/1.1 200 OK\r\nX-Subject-Token: t\r\nContent-Length: %zu\r\n\r\n", bytes.length);
        send_bytes(fd, head, (size_t)length);
    }
    send_bytes(fd, bytes.data, bytes.length);
}

static void *serve(void *unused)
{
    sigset_t all;

    (void)unused;
    (void)sigfillset(&all); /* libFuzzer's clock is not for this thread */
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        char rest[256];
        int fd = accept(server.fd, NULL, NULL);
        BASE_ASSERT(fd >= 0);
        read_request(fd);
        base_mutex_lock(&server.lock); /* until they are sent: the bytes are somebody else's */
        if (server.next < server.count) {
            answer(fd, server.answers[server.next++]);
        }
        base_mutex_unlock(&server.lock);
        (void)shutdown(fd, SHUT_WR);
        /* Until the client closes, or sends its next request before it has seen the end: it will
         * send that again. */
        (void)recv(fd, rest, sizeof rest, 0);
        (void)close(fd);
    }
    return NULL;
}

int answerer_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;

    if (server.port != 0) {
        return server.port;
    }
    base_mutex_init(&server.lock);
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    bool is_done = server.fd >= 0 && bind(server.fd, (struct sockaddr *)&address, length) == 0 &&
                   listen(server.fd, 16) == 0 &&
                   getsockname(server.fd, (struct sockaddr *)&address, &length) == 0 &&
                   pthread_create(&thread, NULL, serve, NULL) == 0;
    BASE_ASSERT(is_done);
    server.port = ntohs(address.sin_port);
    return server.port;
}

void answerer_set(const struct base_slice *answers, unsigned count)
{
    base_mutex_lock(&server.lock);
    server.answers = answers;
    server.count = count;
    server.next = 0;
    base_mutex_unlock(&server.lock);
}

unsigned answerer_cut(struct base_slice input, struct base_slice answers[ANSWERER_ANSWERS_MAX])
{
    unsigned count = 0;

    while (count < ANSWERER_ANSWERS_MAX && input.length > 0) {
        const uint8_t *end = memchr(input.data, SEPARATOR, input.length);
        size_t length = end == NULL ? input.length : (size_t)(end - input.data);
        answers[count++] = base_slice_of(input.data, length);
        length += end == NULL ? 0 : 1;
        input = base_slice_of(input.data + length, input.length - length);
    }
    return count;
}
