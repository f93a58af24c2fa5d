/* Sends, receives, paces and measures. */
#define _GNU_SOURCE
#include "tests/bench/engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { EVENTS_MAX = 256, INPUT_BYTES_MIN = 64 << 10, INPUT_BYTES_MAX = 256 << 20 };

int engine_connect(int64_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        bench_die("cannot connect to port %d: %s", (int)port, strerror(errno));
    }
    return fd;
}

static void watch(struct engine *engine, int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(engine->epoll_fd, operation, fd, &event) != 0) {
        bench_die("epoll_ctl: %s", strerror(errno));
    }
}

void engine_open(struct engine *engine, int64_t port, unsigned lanes_count)
{
    engine->lanes = bench_alloc(lanes_count, sizeof *engine->lanes);
    engine->lanes_count = lanes_count;
    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    engine->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(engine, EPOLL_CTL_ADD, engine->timer_fd, EPOLLIN, NULL);
    for (unsigned i = 0; i < lanes_count; i++) {
        struct engine_lane *lane = &engine->lanes[i];
        lane->index = i;
        lane->fd = engine_connect(port);
        lane->input_capacity = INPUT_BYTES_MIN;
        lane->input = bench_alloc(1, lane->input_capacity);
        if (fcntl(lane->fd, F_SETFL, O_NONBLOCK) != 0) {
            bench_die("fcntl: %s", strerror(errno));
        }
        watch(engine, EPOLL_CTL_ADD, lane->fd, EPOLLIN, lane);
    }
}

void engine_close(struct engine *engine)
{
    for (unsigned i = 0; i < engine->lanes_count; i++) {
        (void)close(engine->lanes[i].fd);
        free(engine->lanes[i].input);
    }
    (void)close(engine->epoll_fd);
    (void)close(engine->timer_fd);
    free(engine->lanes);
}

static void want_writable(struct engine *engine, struct engine_lane *lane, bool wanted)
{
    if (lane->writable_wanted != wanted) {
        lane->writable_wanted = wanted;
        watch(engine, EPOLL_CTL_MOD, lane->fd, EPOLLIN | (wanted ? EPOLLOUT : 0u), lane);
    }
}

/* True when nothing is left to send. */
static bool flush(struct engine *engine, struct engine_lane *lane)
{
    while (lane->iov_at < lane->iov_count) {
        struct msghdr message = {.msg_iov = &lane->iov[lane->iov_at],
                                 .msg_iovlen = lane->iov_count - lane->iov_at};
        ssize_t sent = sendmsg(lane->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            want_writable(engine, lane, true);
            return false;
        }
        if (sent < 0) {
            bench_die("send: %s", strerror(errno));
        }
        for (size_t left = (size_t)sent; left > 0;) {
            struct iovec *iov = &lane->iov[lane->iov_at];
            size_t piece = left < iov->iov_len ? left : iov->iov_len;
            iov->iov_base = (uint8_t *)iov->iov_base + piece;
            iov->iov_len -= piece;
            left -= piece;
            lane->iov_at += iov->iov_len == 0;
        }
    }
    want_writable(engine, lane, false);
    return true;
}

static bool has_room(const struct engine *engine, const struct engine_lane *lane)
{
    return lane->in_flight < engine->window && lane->iov_at == lane->iov_count;
}

/* False: the lane has no request now. */
static bool start(struct engine *engine, struct engine_lane *lane)
{
    unsigned count = engine->ops->next(engine->context, lane, lane->iov);
    if (count == 0) {
        return false;
    }
    lane->iov_at = 0;
    lane->iov_count = count;
    lane->started_ns[(lane->oldest + lane->in_flight) % ENGINE_WINDOW_MAX] = bench_now_ns();
    lane->in_flight++;
    (void)flush(engine, lane);
    return true;
}

static void start_paced(struct engine *engine)
{
    unsigned skipped = 0;
    while (engine->credits > 0 && skipped < engine->paced_count) {
        struct engine_lane *lane = &engine->lanes[engine->turn];
        engine->turn = (engine->turn + 1) % engine->paced_count;
        if (has_room(engine, lane) && start(engine, lane)) {
            engine->credits--;
            skipped = 0;
        } else {
            skipped++;
        }
    }
}

static void start_more(struct engine *engine, struct engine_lane *lane)
{
    if (lane->index < engine->paced_count) {
        start_paced(engine);
        return;
    }
    while (has_room(engine, lane) && start(engine, lane)) {
    }
}

static void grow_input(struct engine_lane *lane, size_t capacity)
{
    lane->input = capacity > INPUT_BYTES_MAX ? NULL : realloc(lane->input, capacity);
    if (lane->input == NULL) {
        bench_die("no memory for an answer of %zu bytes", capacity);
    }
    lane->input_capacity = capacity;
}

/* The oldest requests of the lane have their answer. */
static void finish_requests(struct engine *engine, struct engine_lane *lane, unsigned count)
{
    if (count > lane->in_flight) {
        bench_die("an answer without a request");
    }
    for (; count > 0; count--) {
        if (lane->index < engine->timed_count) {
            histogram_add(engine->histogram, bench_now_ns() - lane->started_ns[lane->oldest]);
        }
        lane->oldest = (lane->oldest + 1) % ENGINE_WINDOW_MAX;
        lane->in_flight--;
    }
}

/* Hands whole answers to the case. */
static void take_answers(struct engine *engine, struct engine_lane *lane)
{
    size_t taken = 0;

    while (lane->input_size > taken) {
        size_t have = lane->input_size - taken;
        size_t size = engine->ops->measure(lane->input + taken, have);
        if (size > lane->input_capacity) {
            grow_input(lane, size);
        }
        if (size == 0 || size > have) {
            break;
        }
        unsigned done =
            engine->ops->completes == NULL
                ? 1
                : engine->ops->completes(engine->context, lane, lane->input + taken, size);
        finish_requests(engine, lane, done);
        engine->ops->on_answer(engine->context, lane, lane->input + taken, size);
        taken += size;
    }
    memmove(lane->input, lane->input + taken, lane->input_size - taken);
    lane->input_size -= taken;
}

static void receive(struct engine *engine, struct engine_lane *lane)
{
    if (lane->input_size == lane->input_capacity) {
        grow_input(lane, 2 * lane->input_capacity);
    }
    ssize_t got =
        recv(lane->fd, lane->input + lane->input_size, lane->input_capacity - lane->input_size, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        bench_die("the server closed the connection");
    }
    lane->input_size += (size_t)got;
    take_answers(engine, lane);
}

static void set_timer(struct engine *engine, int64_t rate)
{
    int64_t period_ns = rate <= 0 ? 0 : 1000000000 / rate;
    struct timespec period = {.tv_sec = period_ns / 1000000000, .tv_nsec = period_ns % 1000000000};
    struct itimerspec timer = {.it_interval = period, .it_value = period};

    engine->credits = 0;
    if (timerfd_settime(engine->timer_fd, 0, &timer, NULL) != 0) {
        bench_die("timerfd_settime: %s", strerror(errno));
    }
}

static void on_timer(struct engine *engine)
{
    uint64_t ticks = 0;
    if (read(engine->timer_fd, &ticks, sizeof ticks) == sizeof ticks) {
        engine->credits += ticks;
        start_paced(engine);
    }
}

void engine_run(struct engine *engine)
{
    struct epoll_event events[EVENTS_MAX];

    if (engine->window == 0 || engine->window > ENGINE_WINDOW_MAX) {
        bench_die("window must be 1 to %d", (int)ENGINE_WINDOW_MAX);
    }
    set_timer(engine, engine->paced_count > 0 ? engine->rate : 0);
    for (unsigned i = engine->paced_count; i < engine->lanes_count; i++) {
        start_more(engine, &engine->lanes[i]);
    }
    while (!engine->ops->done(engine->context)) {
        int count = epoll_wait(engine->epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct engine_lane *lane = events[i].data.ptr;
            if (lane == NULL) {
                on_timer(engine);
                continue;
            }
            if ((events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
                receive(engine, lane);
            }
            if (lane->iov_at == lane->iov_count || flush(engine, lane)) {
                start_more(engine, lane);
            }
        }
    }
    set_timer(engine, 0);
}
