/* The clients of other brokers, as far as they are alike. */
#include "tests/bench/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/proc.h"

enum { OVERHEAD = 9 /* of a record over Kafka: batches of as many messages */ };

struct load {
    const struct peer_ops *ops;
    struct peer_request *requests; /* by lane */
    uint64_t *confirmed;           /* messages of requests that are not done; by lane */
    uint32_t batch;
    uint64_t requests_left;
    uint64_t answers_left;
};

/* The engine's measure has no context; there is one load in a program. */
static struct load load;

void peer_send(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            bench_die("send: %s", strerror(errno));
        }
        text += sent;
        length -= (size_t)sent;
    }
}

size_t peer_receive(int fd, char *text, size_t capacity, const char *end)
{
    size_t length = 0;
    size_t end_length = strlen(end);

    while (length < end_length || memcmp(text + length - end_length, end, end_length) != 0) {
        ssize_t got = length + 1 < capacity ? recv(fd, text + length, 1, 0) : 0;
        if (got <= 0) {
            bench_die("no %s from the server", end);
        }
        length += (size_t)got;
        text[length] = '\0';
    }
    return length;
}

void peer_fill(char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        value[i] = (char)('a' + i * 7 % 26);
    }
}

uint32_t peer_batch(const struct bench_options *options)
{
    int64_t batch = options->batch_records;
    if (batch == 0) {
        batch = options->batch_bytes / (options->record_bytes + OVERHEAD);
    }
    return batch < 1 ? 1 : (uint32_t)batch;
}

static unsigned next(void *context, struct engine_lane *lane, struct iovec iov[ENGINE_IOV_MAX])
{
    (void)context;
    if (load.requests_left == 0) {
        return 0;
    }
    load.requests_left--;
    iov[0] = (struct iovec){.iov_base = load.requests[lane->index].bytes,
                            .iov_len = load.requests[lane->index].length};
    return 1;
}

static size_t measure(const uint8_t *data, size_t size)
{
    return load.ops->measure(data, size, load.batch);
}

static unsigned completes(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    uint64_t *confirmed = &load.confirmed[lane->index];
    (void)context;

    *confirmed += load.ops->confirms == NULL ? load.batch : load.ops->confirms(data, size);
    uint64_t requests = *confirmed / load.batch;
    *confirmed %= load.batch;
    load.answers_left -= requests;
    return (unsigned)requests;
}

static void on_answer(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    (void)context;
    (void)lane;
    (void)data;
    (void)size;
}

static bool done(const void *context)
{
    (void)context;
    return load.answers_left == 0;
}

static const struct engine_ops ops = {
    .next = next, .measure = measure, .on_answer = on_answer, .completes = completes, .done = done};

void peer_set_blocking(int fd, bool is_blocking)
{
    if (fcntl(fd, F_SETFL, is_blocking ? 0 : O_NONBLOCK) != 0) {
        bench_die("fcntl: %s", strerror(errno));
    }
}

void peer_open(struct engine *engine, int64_t port, unsigned lanes_count,
               void (*greet)(int fd, unsigned lane_index))
{
    engine_open(engine, port, lanes_count);
    for (unsigned i = 0; greet != NULL && i < lanes_count; i++) {
        peer_set_blocking(engine->lanes[i].fd, true);
        greet(engine->lanes[i].fd, i);
        peer_set_blocking(engine->lanes[i].fd, false);
    }
}

static void open_lanes(struct engine *engine, const struct bench_options *options)
{
    peer_open(engine, options->port, (unsigned)options->connections, load.ops->greet);
    load.requests = bench_alloc(engine->lanes_count, sizeof *load.requests);
    load.confirmed = bench_alloc(engine->lanes_count, sizeof *load.confirmed);
    for (unsigned i = 0; i < engine->lanes_count; i++) {
        load.requests[i] = load.ops->build(options, i, load.batch);
    }
}

void peer_run(const struct bench_options *options, const struct peer_ops *peer, const char *name,
              bool is_paced)
{
    static struct histogram histogram;
    struct proc_measure cost;
    unsigned lanes_count = (unsigned)options->connections;
    struct engine engine = {.ops = &ops,
                            .histogram = &histogram,
                            .timed_count = lanes_count,
                            .paced_count = is_paced ? lanes_count : 0,
                            .window = is_paced ? 1 : (unsigned)options->window,
                            .rate = options->rate};

    load = (struct load){.ops = peer, .batch = is_paced ? 1 : peer_batch(options)};
    open_lanes(&engine, options);
    uint64_t requests = (uint64_t)options->messages / load.batch;
    requests = requests < 1 ? 1 : requests;
    load.requests_left = load.answers_left = requests;
    proc_measure_begin(&cost, options->pid);
    engine_run(&engine);
    uint64_t messages = requests * load.batch;
    proc_measure_report(&cost, name, messages, messages * (uint64_t)options->record_bytes, requests,
                        &histogram);
    engine_close(&engine);
}
