/* The REST door: requests over kept-alive connections, one in flight each. */
#define _GNU_SOURCE /* memmem */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/bench/bench.h"
#include "tests/bench/engine.h"
#include "tests/bench/proc.h"

enum {
    REQUEST_SIZE_MAX = 1 << 20,
    HANDLERS_PER_ANSWER_MAX = 10,
    EMPTY_ANSWERS_MAX = 1000,
    DELAY_SIZE_MAX = 48,
};

#define HANDLER_KEY "\"handler\":\""

/* One lane of a consumer: after messages came, the next request acknowledges them. */
struct consumer {
    char *request;
    size_t ack_length; /* > 0: an acknowledgement is to be sent */
    unsigned acking;   /* messages in the acknowledgement that is on its way */
    unsigned to_ack;
};

struct load {
    const struct bench_options *options;
    char *produce; /* the one request of a producer */
    size_t produce_length;
    char *consume;
    size_t consume_length;
    struct consumer *consumers; /* by lane */
    unsigned batch;             /* messages of a produce */
    uint64_t to_start;          /* messages */
    uint64_t to_finish;
    uint64_t requests;
    unsigned empty_answers;
};

static size_t content_length(const char *head, size_t length)
{
    static const char name[] = "\r\ncontent-length:";
    for (size_t i = 0; i + sizeof name < length; i++) {
        if (strncasecmp(head + i, name, sizeof name - 1) == 0) {
            return (size_t)strtoul(head + i + sizeof name - 1, NULL, 10);
        }
    }
    return 0;
}

static size_t measure_answer(const uint8_t *data, size_t size)
{
    const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - data) + 4;
    return head + content_length((const char *)data, head);
}

/* "HTTP/1.1 2" */
static void must_succeed(const uint8_t *data, size_t size)
{
    if (size < 12 || data[9] != '2') {
        bench_die("REST: %.*s", (int)(size < 500 ? size : 500), (const char *)data);
    }
}

/* Appends; returns the new length. */
static size_t put_text(char *out, size_t length, const char *text)
{
    size_t size = strlen(text);
    if (size > REQUEST_SIZE_MAX - length) {
        bench_die("a request over %d bytes", (int)REQUEST_SIZE_MAX);
    }
    memcpy(out + length, text, size);
    return length + size;
}

static size_t put_post(char *request, const char *path, const char *body, size_t body_length)
{
    int head = snprintf(request, REQUEST_SIZE_MAX,
                        "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        path, body_length);
    if (head < 0 || (size_t)head + body_length > REQUEST_SIZE_MAX) {
        bench_die("a request over %d bytes", (int)REQUEST_SIZE_MAX);
    }
    memcpy(request + head, body, body_length);
    return (size_t)head + body_length;
}

static unsigned produce_next(void *context, struct engine_lane *lane,
                             struct iovec iov[ENGINE_IOV_MAX])
{
    struct load *load = context;
    (void)lane;

    if (load->to_start == 0) {
        return 0;
    }
    load->to_start -= load->batch < load->to_start ? load->batch : load->to_start;
    load->requests++;
    iov[0] = (struct iovec){.iov_base = load->produce, .iov_len = load->produce_length};
    return 1;
}

static void produce_on_answer(void *context, struct engine_lane *lane, const uint8_t *data,
                              size_t size)
{
    struct load *load = context;
    (void)lane;

    must_succeed(data, size);
    load->to_finish -= load->batch < load->to_finish ? load->batch : load->to_finish;
}

static bool done(const void *context)
{
    return ((const struct load *)context)->to_finish == 0;
}

static const struct engine_ops produce_ops = {
    .next = produce_next, .measure = measure_answer, .on_answer = produce_on_answer, .done = done};

/* The end of the nth message. */
static size_t put_end(char *body, size_t length, const struct bench_options *options, unsigned nth)
{
    char delay[DELAY_SIZE_MAX];

    if (options->delay_ms == 0) {
        return put_text(body, length, "\"}");
    }
    (void)snprintf(delay, sizeof delay, "\",\"delay_time\":%" PRId64 "}",
                   options->delay_ms + (int64_t)nth * options->delay_step_ms);
    return put_text(body, length, delay);
}

static void build_produce(struct load *load, size_t record_bytes)
{
    char *body = bench_alloc(1, REQUEST_SIZE_MAX);
    char path[512];
    size_t length = 0;

    if (load->batch * (record_bytes + 16 + DELAY_SIZE_MAX) + 64 > REQUEST_SIZE_MAX) {
        bench_die("a request over %d bytes", (int)REQUEST_SIZE_MAX);
    }
    length = put_text(body, length, "{\"messages\":[");
    for (unsigned i = 0; i < load->batch; i++) {
        length = put_text(body, length, i == 0 ? "{\"body\":\"" : ",{\"body\":\"");
        for (size_t at = 0; at < record_bytes; at++) {
            body[length++] = (char)('a' + at * 7 % 26);
        }
        length = put_end(body, length, load->options, i);
    }
    length = put_text(body, length, "]}");
    (void)snprintf(path, sizeof path, "%s/queues/%s/messages", load->options->path,
                   load->options->queue);
    load->produce = bench_alloc(1, REQUEST_SIZE_MAX);
    load->produce_length = put_post(load->produce, path, body, length);
    free(body);
}

void bench_rest_produce(const struct bench_options *options)
{
    static struct histogram histogram;
    struct proc_measure measure;
    uint64_t messages = (uint64_t)options->messages;
    struct load load = {.options = options,
                        .batch = options->batch_records > 0 ? (unsigned)options->batch_records : 1,
                        .to_start = messages,
                        .to_finish = messages};
    struct engine engine = {.ops = &produce_ops,
                            .context = &load,
                            .histogram = &histogram,
                            .timed_count = (unsigned)options->connections,
                            .window = 1};

    build_produce(&load, (size_t)options->record_bytes);
    engine_open(&engine, options->port, (unsigned)options->connections);
    proc_measure_begin(&measure, options->pid);
    engine_run(&engine);
    proc_measure_report(&measure, "rest-produce", messages,
                        messages * (uint64_t)options->record_bytes, load.requests, &histogram);
    engine_close(&engine);
}

static unsigned consume_next(void *context, struct engine_lane *lane,
                             struct iovec iov[ENGINE_IOV_MAX])
{
    struct load *load = context;
    struct consumer *consumer = &load->consumers[lane->index];

    load->requests++;
    if (consumer->ack_length > 0) {
        iov[0] = (struct iovec){.iov_base = consumer->request, .iov_len = consumer->ack_length};
        consumer->ack_length = 0;
        consumer->acking = consumer->to_ack;
        return 1;
    }
    iov[0] = (struct iovec){.iov_base = load->consume, .iov_len = load->consume_length};
    return 1;
}

/* Builds the acknowledgement of all handlers in the answer. */
static void take_messages(struct load *load, struct consumer *consumer, const char *data,
                          size_t size)
{
    char body[HANDLERS_PER_ANSWER_MAX * 512];
    char path[512];
    const char *end = data + size;
    size_t length = put_text(body, 0, "{\"message\":[");

    consumer->to_ack = 0;
    for (const char *at = data; consumer->to_ack < HANDLERS_PER_ANSWER_MAX; consumer->to_ack++) {
        at = memmem(at, (size_t)(end - at), HANDLER_KEY, sizeof HANDLER_KEY - 1);
        if (at == NULL) {
            break;
        }
        at += sizeof HANDLER_KEY - 1;
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL || quote - at > 400) {
            bench_die("a handler that is no string");
        }
        length += (size_t)snprintf(body + length, sizeof body - length,
                                   "%s{\"handler\":\"%.*s\",\"status\":\"success\"}",
                                   consumer->to_ack == 0 ? "" : ",", (int)(quote - at), at);
        at = quote;
    }
    if (consumer->to_ack == 0) {
        if (++load->empty_answers > EMPTY_ANSWERS_MAX) {
            bench_die("the queue has fewer messages than were to be consumed");
        }
        return;
    }
    length = put_text(body, length, "]}");
    (void)snprintf(path, sizeof path, "%s/queues/%s/groups/%s/ack", load->options->path,
                   load->options->queue, load->options->group);
    consumer->ack_length = put_post(consumer->request, path, body, length);
}

static void consume_on_answer(void *context, struct engine_lane *lane, const uint8_t *data,
                              size_t size)
{
    struct load *load = context;
    struct consumer *consumer = &load->consumers[lane->index];

    must_succeed(data, size);
    if (consumer->acking == 0) {
        take_messages(load, consumer, (const char *)data, size);
        return;
    }
    load->to_finish -= consumer->acking < load->to_finish ? consumer->acking : load->to_finish;
    consumer->acking = 0;
}

static const struct engine_ops consume_ops = {
    .next = consume_next, .measure = measure_answer, .on_answer = consume_on_answer, .done = done};

static void build_consume(struct load *load, unsigned lanes_count)
{
    load->consume = bench_alloc(1, REQUEST_SIZE_MAX);
    load->consume_length =
        (size_t)snprintf(load->consume, REQUEST_SIZE_MAX,
                         "GET %s/queues/%s/groups/%s/messages?max_msgs=10&time_wait=1 HTTP/1.1\r\n"
                         "Host: bench\r\n\r\n",
                         load->options->path, load->options->queue, load->options->group);
    load->consumers = bench_alloc(lanes_count, sizeof *load->consumers);
    for (unsigned i = 0; i < lanes_count; i++) {
        load->consumers[i].request = bench_alloc(1, REQUEST_SIZE_MAX);
    }
}

void bench_rest_consume(const struct bench_options *options)
{
    static struct histogram histogram;
    struct proc_measure measure;
    uint64_t messages = (uint64_t)options->messages;
    unsigned lanes_count = (unsigned)options->connections;
    struct load load = {.options = options, .to_finish = messages};
    struct engine engine = {.ops = &consume_ops,
                            .context = &load,
                            .histogram = &histogram,
                            .timed_count = lanes_count,
                            .window = 1};

    build_consume(&load, lanes_count);
    engine_open(&engine, options->port, lanes_count);
    proc_measure_begin(&measure, options->pid);
    engine_run(&engine);
    proc_measure_report(&measure, "rest-consume", messages,
                        messages * (uint64_t)options->record_bytes, load.requests, &histogram);
    engine_close(&engine);
}
