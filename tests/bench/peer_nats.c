/* NATS JetStream over its own protocol. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/peer.h"

enum { HEAD_SIZE_MAX = 256, TEXT_SIZE_MAX = 4096 };

#define STREAM                                                                                    \
    "{\"name\":\"bench\",\"subjects\":[\"bench\"],\"retention\":\"limits\",\"storage\":\"file\"," \
    "\"num_replicas\":1,\"discard\":\"old\",\"max_consumers\":-1,\"max_msgs\":-1,"                \
    "\"max_bytes\":-1,\"max_age\":0}"
#define CONSUMER                                                          \
    "{\"stream_name\":\"bench\",\"config\":{\"durable_name\":\"reader\"," \
    "\"ack_policy\":\"none\",\"deliver_policy\":\"all\",\"replay_policy\":\"instant\"}}"

#define PUSH_CONSUMER                                                                      \
    "{\"stream_name\":\"bench\",\"config\":{\"durable_name\":\"pusher\","                  \
    "\"deliver_subject\":\"_INBOX.1\",\"ack_policy\":\"none\",\"deliver_policy\":\"all\"," \
    "\"replay_policy\":\"instant\"}}"

/* Answers come to _INBOX.<lane>. */
static void greet(int fd, unsigned lane_index)
{
    char text[TEXT_SIZE_MAX];

    (void)peer_receive(fd, text, sizeof text, "\r\n"); /* INFO */
    int length = snprintf(text, sizeof text,
                          "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n"
                          "SUB _INBOX.%u 1\r\nPING\r\n",
                          lane_index);
    peer_send(fd, text, (size_t)length);
    (void)peer_receive(fd, text, sizeof text, "PONG\r\n");
}

/* Asks the JetStream API and waits for its answer; dies on an error. */
static void ask(const struct bench_options *options, const char *subject, const char *body)
{
    char text[TEXT_SIZE_MAX];
    int fd = engine_connect(options->port);

    greet(fd, 0);
    int length =
        snprintf(text, sizeof text, "PUB %s _INBOX.0 %zu\r\n%s\r\n", subject, strlen(body), body);
    peer_send(fd, text, (size_t)length);
    (void)peer_receive(fd, text, sizeof text, "}\r\n");
    if (strstr(text, "\"error\"") != NULL) {
        bench_die("NATS: %s", text);
    }
    (void)close(fd);
}

/* Bytes of one answer, "MSG subject sid size\r\n<payload>\r\n", behind any "PING"; 0 while it
 * is not whole. */
static size_t measure_one(const char *data, size_t size)
{
    size_t at = 0;
    const char *end = memchr(data, '\n', size);

    while (end != NULL && strncmp(data + at, "PING", 4) == 0) {
        at = (size_t)(end - data) + 1;
        end = memchr(data + at, '\n', size - at);
    }
    if (end == NULL) {
        return 0;
    }
    if (strncmp(data + at, "MSG ", 4) != 0) {
        bench_die("NATS: %.*s", (int)(size - at), data + at);
    }
    const char *space = end;
    while (*space != ' ') {
        space--;
    }
    size_t payload = (size_t)strtoul(space + 1, NULL, 10);
    size_t whole = (size_t)(end - data) + 1 + payload + 2;
    return whole > size ? 0 : whole;
}

static size_t measure(const uint8_t *data, size_t size, uint32_t messages_count)
{
    size_t at = 0;

    for (uint32_t i = 0; i < messages_count; i++) {
        size_t one = measure_one((const char *)data + at, size - at);
        if (one == 0) {
            return 0;
        }
        at += one;
    }
    return at;
}

static size_t measure_acks(const uint8_t *data, size_t size, uint32_t messages_count)
{
    static const char error[] = "\"error\"";
    size_t whole = measure(data, size, messages_count);

    for (size_t i = 0; i + sizeof error < whole; i++) {
        if (memcmp(data + i, error, sizeof error - 1) == 0) {
            bench_die("NATS: %.*s", (int)(whole - i), (const char *)data + i);
        }
    }
    return whole;
}

static struct peer_request build_publish(const struct bench_options *options, unsigned lane_index,
                                         uint32_t messages_count)
{
    size_t value_size = (size_t)options->record_bytes;
    struct peer_request request = {.bytes =
                                       bench_alloc(messages_count, HEAD_SIZE_MAX + value_size)};

    for (uint32_t i = 0; i < messages_count; i++) {
        char *at = request.bytes + request.length;
        int head =
            snprintf(at, HEAD_SIZE_MAX, "PUB bench _INBOX.%u %zu\r\n", lane_index, value_size);
        peer_fill(at + head, value_size);
        memcpy(at + head + value_size, "\r\n", 2);
        request.length += (size_t)head + value_size + 2;
    }
    return request;
}

static struct peer_request build_pull(const struct bench_options *options, unsigned lane_index,
                                      uint32_t messages_count)
{
    char body[64];
    struct peer_request request = {.bytes = bench_alloc(1, HEAD_SIZE_MAX)};
    (void)options;

    int length = snprintf(body, sizeof body, "{\"batch\":%u}", (unsigned)messages_count);
    length = snprintf(request.bytes, HEAD_SIZE_MAX,
                      "PUB $JS.API.CONSUMER.MSG.NEXT.bench.reader _INBOX.%u %d\r\n%s\r\n",
                      lane_index, length, body);
    request.length = (size_t)length;
    return request;
}

static const struct peer_ops publish_ops = {
    .greet = greet, .build = build_publish, .measure = measure_acks};
static const struct peer_ops pull_ops = {.greet = greet, .build = build_pull, .measure = measure};

void bench_nats_produce(const struct bench_options *options)
{
    ask(options, "$JS.API.STREAM.CREATE.bench", STREAM);
    peer_run(options, &publish_ops, "nats-produce", false);
}

void bench_nats_roundtrip(const struct bench_options *options)
{
    ask(options, "$JS.API.STREAM.CREATE.bench", STREAM);
    peer_run(options, &publish_ops, "nats-roundtrip", true);
}

void bench_nats_consume(const struct bench_options *options)
{
    ask(options, "$JS.API.CONSUMER.DURABLE.CREATE.bench.reader", CONSUMER);
    peer_run(options, &pull_ops, "nats-consume", false);
}

static uint32_t confirm_one(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 1;
}

/* The consumer's connection has greeted as _INBOX.1, to which the server pushes. */
static const struct peer_e2e_ops e2e_ops = {
    .greet = greet, .build = build_publish, .measure = measure, .confirms = confirm_one};

void bench_nats_e2e(const struct bench_options *options)
{
    ask(options, "$JS.API.STREAM.CREATE.bench", STREAM);
    ask(options, "$JS.API.CONSUMER.DURABLE.CREATE.bench.pusher", PUSH_CONSUMER);
    peer_e2e_run(options, &e2e_ops, "nats-e2e");
}
