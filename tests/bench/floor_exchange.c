/* The floor of the REST door: many connections with a request in flight each, and a server that
 * answers each with the same bytes and looks at none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/engine.h"
#include "tests/bench/floor.h"

enum {
    LANES = 64,
    EXCHANGES = 100000,
    SCRATCH_BYTES = 64 << 10,
};

/* Sizes of what goes over the wire. */
struct exchange {
    const char *name;
    size_t request_bytes;
    size_t answer_bytes;
};

static const struct exchange exchanges[] = {
    {"post", 1250, 250},   /* a message of a KiB, and its id */
    {"get", 200, 12 << 10} /* ten of them */
};

static const struct exchange *current; /* of the server's process and of this one */

/* The requests of one connection. */
struct client {
    int fd;
    size_t received; /* of a request */
};

static void answer(struct client *client, const uint8_t *bytes)
{
    for (; client->received >= current->request_bytes; client->received -= current->request_bytes) {
        if (send(client->fd, bytes, current->answer_bytes, MSG_NOSIGNAL) !=
            (ssize_t)current->answer_bytes) {
            bench_die("send: %s", strerror(errno));
        }
    }
}

static void serve_exchange(int listener, const struct bench_options *options)
{
    static struct client clients[LANES];
    static uint8_t scratch[SCRATCH_BYTES];
    struct epoll_event events[LANES];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint8_t *bytes = bench_alloc(1, current->answer_bytes);
    (void)options;

    for (unsigned i = 0; i < LANES; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        clients[i].fd = floor_accept(listener);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, clients[i].fd, &event) != 0) {
            bench_die("epoll_ctl: %s", strerror(errno));
        }
    }
    for (unsigned open = LANES; open > 0;) {
        int count = epoll_wait(epoll_fd, events, LANES, -1);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            ssize_t got = recv(client->fd, scratch, sizeof scratch, 0);
            if (got <= 0) {
                (void)close(client->fd);
                open--;
                continue;
            }
            client->received += (size_t)got;
            answer(client, bytes);
        }
    }
    free(bytes);
}

struct load {
    uint8_t *request;
    unsigned to_start;
    unsigned to_finish;
};

static unsigned next(void *context, struct engine_lane *lane, struct iovec iov[ENGINE_IOV_MAX])
{
    struct load *load = context;
    (void)lane;

    if (load->to_start == 0) {
        return 0;
    }
    load->to_start--;
    iov[0] = (struct iovec){.iov_base = load->request, .iov_len = current->request_bytes};
    return 1;
}

static size_t measure(const uint8_t *data, size_t size)
{
    (void)data;
    return size < current->answer_bytes ? 0 : current->answer_bytes;
}

static void on_answer(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    struct load *load = context;
    (void)lane, (void)data, (void)size;
    load->to_finish--;
}

static bool done(const void *context)
{
    return ((const struct load *)context)->to_finish == 0;
}

static const struct engine_ops ops = {
    .next = next, .measure = measure, .on_answer = on_answer, .done = done};

/* Microseconds of the server's CPU time for one. */
static double exchange_us(const struct bench_options *options)
{
    struct load load = {.request = bench_alloc(1, current->request_bytes),
                        .to_start = EXCHANGES,
                        .to_finish = EXCHANGES};
    struct engine engine = {.ops = &ops, .context = &load, .window = 1};
    int result_fd = -1;

    engine_open(&engine, floor_serve(serve_exchange, options, &result_fd), LANES);
    engine_run(&engine);
    engine_close(&engine);
    free(load.request);
    return floor_result(result_fd) * 1e6 / EXCHANGES;
}

void floor_exchange(const struct bench_options *options)
{
    for (unsigned i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        current = &exchanges[i];
        (void)fflush(stdout); /* the child must not print it again */
        printf("\"exchange_%s_us\": %.2f, ", current->name, exchange_us(options));
    }
}
