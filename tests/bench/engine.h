/* Connections that each keep a window of requests in flight, in one thread.
 *
 * The case says what the next request of a lane is, how long an answer is and what to make
 * of it; the engine sends, receives, paces and measures. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tests/bench/histogram.h"

enum { ENGINE_WINDOW_MAX = 64, ENGINE_IOV_MAX = 2 };

/* One connection. A case may look at index and keep its own things in context. */
struct engine_lane {
    void *context;
    unsigned index;
    int fd;
    bool writable_wanted;
    struct iovec iov[ENGINE_IOV_MAX]; /* what is not sent yet; borrowed until it is */
    unsigned iov_at;
    unsigned iov_count;
    uint64_t started_ns[ENGINE_WINDOW_MAX];
    unsigned oldest; /* in started_ns */
    unsigned in_flight;
    uint8_t *input;
    size_t input_size;
    size_t input_capacity;
};

struct engine_ops {
    /* Fills iov with the next request of the lane and returns the number of pieces; 0: none
     * now, ask again after the next answer. */
    unsigned (*next)(void *context, struct engine_lane *lane, struct iovec iov[ENGINE_IOV_MAX]);
    /* Bytes of the whole answer that begins at data; 0 while that cannot be told. */
    size_t (*measure)(const uint8_t *data, size_t size);
    void (*on_answer)(void *context, struct engine_lane *lane, const uint8_t *data, size_t size);
    /* Requests of the lane that are done with this answer, before on_answer hears of it: one
     * acknowledgement may be of several requests, and what a server sends by itself of none.
     * NULL: each answer is of one request. */
    unsigned (*completes)(void *context, struct engine_lane *lane, const uint8_t *data,
                          size_t size);
    bool (*done)(const void *context);
};

struct engine {
    const struct engine_ops *ops;
    void *context;
    struct histogram *histogram; /* of the time from send to answer, lanes below timed_count */
    struct engine_lane *lanes;
    unsigned lanes_count;
    unsigned timed_count;
    unsigned paced_count; /* lanes from 0 that send at the rate; the others at once */
    unsigned window;
    int64_t rate;
    uint64_t credits; /* requests that are due on the paced lanes */
    unsigned turn;    /* paced lane that sends next */
    int epoll_fd;
    int timer_fd;
};

/* Connects lanes_count lanes to the port on the loopback. */
void engine_open(struct engine *engine, int64_t port, unsigned lanes_count);

/* Runs until ops->done() says so. May be called again. */
void engine_run(struct engine *engine);

void engine_close(struct engine *engine);

/* Blocking connection to the loopback, without Nagle's delay. */
int engine_connect(int64_t port);

#endif
