/* End to end through other brokers: how long from handing a message to the socket to having it
 * on another connection. */
#define _GNU_SOURCE /* memmem */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/peer.h"
#include "tests/bench/proc.h"

/* A value begins with it: when it was sent, ns, as text, which no protocol changes. */
#define STAMP_MARK "sent at "

enum { STAMP_DIGITS = 16, STAMP_SIZE = sizeof STAMP_MARK - 1 + STAMP_DIGITS, BURST_MAX = 256 };

struct load {
    const struct peer_e2e_ops *ops;
    struct engine *engine;
    struct peer_request one; /* publishes one message; the first of the burst */
    size_t stamp_at;         /* in it */
    uint64_t to_send;
    uint64_t to_receive;
    uint64_t unconfirmed; /* messages of the burst that is on its way */
    uint64_t requests;
    struct histogram *histogram;
};

/* The engine's measure has no context; there is one load in a program. */
static struct load load;

/* As many copies of the request, in place, as there are messages due. */
static unsigned next_burst(struct iovec *iov)
{
    char stamp[STAMP_SIZE + 1];
    uint64_t count = load.engine->credits < BURST_MAX ? load.engine->credits : BURST_MAX;

    count = count < load.to_send ? count : load.to_send;
    if (count == 0) {
        return 0;
    }
    load.to_send -= count;
    load.engine->credits -= count - 1; /* the engine takes one itself */
    load.unconfirmed = count;
    (void)snprintf(stamp, sizeof stamp, STAMP_MARK "%016" PRIx64, bench_now_ns());
    for (uint64_t i = 0; i < count; i++) {
        memcpy(load.one.bytes + i * load.one.length + load.stamp_at, stamp, STAMP_SIZE);
    }
    iov[0] = (struct iovec){.iov_base = load.one.bytes, .iov_len = count * load.one.length};
    return 1;
}

static unsigned next(void *context, struct engine_lane *lane, struct iovec iov[ENGINE_IOV_MAX])
{
    struct peer_request request = {.length = 0};
    unsigned pieces = 0;
    (void)context;

    if (lane->index == PEER_PRODUCER) {
        pieces = next_burst(iov);
    } else if (load.ops->pull != NULL) {
        request = load.ops->pull();
        iov[0] = (struct iovec){.iov_base = request.bytes, .iov_len = request.length};
        pieces = request.length > 0 ? 1 : 0;
    }
    load.requests += pieces;
    return pieces;
}

static size_t measure(const uint8_t *data, size_t size)
{
    return load.ops->measure(data, size, 1);
}

/* A burst is one request: done when all its messages are acknowledged. What is delivered ends
 * the request for it, if there is one. */
static unsigned completes(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    (void)context;
    if (lane->index == PEER_CONSUMER) {
        return lane->in_flight;
    }
    uint64_t confirmed = load.ops->confirms(data, size);
    if (confirmed > load.unconfirmed) {
        bench_die("more acknowledgements than messages");
    }
    load.unconfirmed -= confirmed;
    return confirmed > 0 && load.unconfirmed == 0 ? 1 : 0;
}

static void take_stamps(const uint8_t *data, size_t size)
{
    uint64_t now_ns = bench_now_ns();
    const uint8_t *at = data;
    const uint8_t *end = data + size;

    while ((at = memmem(at, (size_t)(end - at), STAMP_MARK, sizeof STAMP_MARK - 1)) != NULL) {
        char digits[STAMP_DIGITS + 1] = "";
        if ((size_t)(end - at) < STAMP_SIZE || load.to_receive == 0) {
            bench_die("more was delivered than was sent");
        }
        memcpy(digits, at + STAMP_SIZE - STAMP_DIGITS, STAMP_DIGITS);
        histogram_add(load.histogram, now_ns - strtoull(digits, NULL, 16));
        load.to_receive--;
        at += STAMP_SIZE;
    }
}

static void on_answer(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    (void)context;
    if (lane->index == PEER_CONSUMER) {
        take_stamps(data, size);
        if (load.ops->delivered != NULL) {
            load.ops->delivered(data, size);
        }
    }
}

static bool done(const void *context)
{
    (void)context;
    return load.to_receive == 0 && load.unconfirmed == 0;
}

static const struct engine_ops ops = {
    .next = next, .measure = measure, .on_answer = on_answer, .completes = completes, .done = done};

/* Room for a burst of it, each but for its stamp. */
static void build_burst(const struct bench_options *options)
{
    struct peer_request one = load.ops->build(options, PEER_PRODUCER, 1);
    char first[64];
    size_t letters = STAMP_SIZE < sizeof first ? STAMP_SIZE : sizeof first;

    peer_fill(first, letters);
    const char *value = memmem(one.bytes, one.length, first, letters);
    if (options->record_bytes < (int64_t)STAMP_SIZE || value == NULL) {
        bench_die("record_bytes must be %d or more", (int)STAMP_SIZE);
    }
    load.stamp_at = (size_t)(value - one.bytes);
    load.one =
        (struct peer_request){.bytes = bench_alloc(BURST_MAX, one.length), .length = one.length};
    for (unsigned i = 0; i < BURST_MAX; i++) {
        memcpy(load.one.bytes + i * one.length, one.bytes, one.length);
    }
}

void peer_e2e_run(const struct bench_options *options, const struct peer_e2e_ops *peer,
                  const char *name)
{
    static struct histogram histogram;
    struct proc_measure cost;
    struct engine engine = {
        .ops = &ops, .histogram = &histogram, .paced_count = 1, .window = 1, .rate = options->rate};

    load = (struct load){.ops = peer,
                         .engine = &engine,
                         .to_send = (uint64_t)options->messages,
                         .to_receive = (uint64_t)options->messages,
                         .histogram = &histogram};
    build_burst(options);
    peer_open(&engine, options->port, 2, peer->greet);
    if (peer->subscribe != NULL) {
        int fd = engine.lanes[PEER_CONSUMER].fd;
        peer_set_blocking(fd, true);
        peer->subscribe(fd);
        peer_set_blocking(fd, false);
    }
    proc_measure_begin(&cost, options->pid);
    engine_run(&engine);
    proc_measure_report(&cost, name, (uint64_t)options->messages,
                        (uint64_t)(options->messages * options->record_bytes), load.requests,
                        &histogram);
    engine_close(&engine);
}
