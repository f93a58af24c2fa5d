/* Redis streams over its own protocol. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/peer.h"
#include "tests/bench/proc.h"

enum { HEAD_SIZE_MAX = 128, READ_COUNT = 1000 };

/* XADD bench * v <value>, as often as the batch has messages. */
static struct peer_request build(const struct bench_options *options, unsigned lane_index,
                                 uint32_t messages_count)
{
    size_t value_size = (size_t)options->record_bytes;
    size_t each = HEAD_SIZE_MAX + value_size;
    struct peer_request request = {.bytes = bench_alloc(messages_count, each)};
    (void)lane_index;

    for (uint32_t i = 0; i < messages_count; i++) {
        char *at = request.bytes + request.length;
        int head = snprintf(at, HEAD_SIZE_MAX,
                            "*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nv\r\n$%zu\r\n",
                            value_size);
        peer_fill(at + head, value_size);
        memcpy(at + head + value_size, "\r\n", 2);
        request.length += (size_t)head + value_size + 2;
    }
    return request;
}

/* Each reply is an id: "$15\r\n1700000000000-0\r\n". */
static size_t measure(const uint8_t *data, size_t size, uint32_t messages_count)
{
    size_t at = 0;

    for (uint32_t lines = 0; lines < 2 * messages_count; lines++) {
        if (at < size && data[at] == '-') {
            bench_die("Redis: %.*s", (int)(size - at), (const char *)data + at);
        }
        const uint8_t *end = memchr(data + at, '\n', size - at);
        if (end == NULL) {
            return 0;
        }
        at = (size_t)(end - data) + 1;
    }
    return at;
}

static const struct peer_ops ops = {.build = build, .measure = measure};

void bench_redis_produce(const struct bench_options *options)
{
    peer_run(options, &ops, "redis-produce", false);
}

void bench_redis_roundtrip(const struct bench_options *options)
{
    peer_run(options, &ops, "redis-roundtrip", true);
}

/* Moves *at behind "<type><number>\r\n". False: not whole yet. */
static bool take_number(const char *data, size_t size, size_t *at, char type, size_t *number)
{
    const char *end = memchr(data + *at, '\n', size - *at);
    if (end == NULL) {
        return false;
    }
    if (data[*at] != type) {
        bench_die("Redis: %.*s", (int)(end - data - (ptrdiff_t)*at), data + *at);
    }
    *number = (size_t)strtoul(data + *at + 1, NULL, 10);
    *at = (size_t)(end - data) + 1;
    return true;
}

static bool take_string(const char *data, size_t size, size_t *at, const char **text,
                        size_t *length)
{
    if (*at >= size || !take_number(data, size, at, '$', length) || size - *at < *length + 2) {
        return false;
    }
    *text = data + *at;
    *at += *length + 2;
    return true;
}

/* Entries of an answer to XRANGE: [[id, [name, value]], ...]. Returns its size, 0 while it is
 * not whole; last_id is then that of the last entry. */
static size_t take_entries(const char *data, size_t size, size_t *count, char last_id[64])
{
    size_t at = 0;
    size_t number = 0;
    size_t length = 0;
    const char *text = NULL;
    const char *id = NULL;
    size_t id_length = 0;

    if (size == 0 || !take_number(data, size, &at, '*', count)) {
        return 0;
    }
    for (size_t i = 0; i < *count; i++) {
        if (at >= size || !take_number(data, size, &at, '*', &number) ||
            !take_string(data, size, &at, &id, &id_length) || at >= size ||
            !take_number(data, size, &at, '*', &number) ||
            !take_string(data, size, &at, &text, &length) ||
            !take_string(data, size, &at, &text, &length)) {
            return 0;
        }
    }
    if (id != NULL) {
        (void)snprintf(last_id, 64, "%.*s", (int)id_length, id);
    }
    return at;
}

struct reader {
    char last_id[64]; /* of what was read */
    char request[256];
    uint64_t messages;
    uint64_t requests;
    bool is_at_end;
};

static unsigned next_range(void *context, struct engine_lane *lane,
                           struct iovec iov[ENGINE_IOV_MAX])
{
    struct reader *reader = context;
    char start[72];
    (void)lane;

    if (reader->is_at_end) {
        return 0;
    }
    (void)snprintf(start, sizeof start, "%s%s", reader->messages == 0 ? "" : "(", reader->last_id);
    int length = snprintf(reader->request, sizeof reader->request,
                          "*6\r\n$6\r\nXRANGE\r\n$5\r\nbench\r\n$%zu\r\n%s\r\n$1\r\n+\r\n"
                          "$5\r\nCOUNT\r\n$4\r\n%d\r\n",
                          strlen(start), start, (int)READ_COUNT);
    reader->requests++;
    iov[0] = (struct iovec){.iov_base = reader->request, .iov_len = (size_t)length};
    return 1;
}

static size_t measure_range(const uint8_t *data, size_t size)
{
    char last_id[64];
    size_t count = 0;
    return take_entries((const char *)data, size, &count, last_id);
}

static void on_range(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    struct reader *reader = context;
    size_t count = 0;
    (void)lane;

    (void)take_entries((const char *)data, size, &count, reader->last_id);
    reader->messages += count;
    reader->is_at_end = count < READ_COUNT;
}

static bool range_done(const void *context)
{
    return ((const struct reader *)context)->is_at_end;
}

static const struct engine_ops range_ops = {
    .next = next_range, .measure = measure_range, .on_answer = on_range, .done = range_done};

void bench_redis_consume(const struct bench_options *options)
{
    static struct histogram histogram;
    struct proc_measure measured;
    struct reader reader = {.last_id = "-"};
    struct engine engine = {.ops = &range_ops,
                            .context = &reader,
                            .histogram = &histogram,
                            .timed_count = 1,
                            .window = 1};

    engine_open(&engine, options->port, 1);
    proc_measure_begin(&measured, options->pid);
    engine_run(&engine);
    proc_measure_report(&measured, "redis-consume", reader.messages,
                        reader.messages * (uint64_t)options->record_bytes, reader.requests,
                        &histogram);
    engine_close(&engine);
}

static char position[64] = "0-0"; /* of what was delivered end to end */

/* A reply to XADD, or to XREAD: [[stream, entries]]. */
static size_t measure_reply(const uint8_t *data, size_t size, uint32_t messages_count)
{
    size_t at = 0;
    size_t number = 0;
    size_t length = 0;
    size_t count = 0;
    char last_id[64];
    const char *text = (const char *)data;
    const char *name = NULL;

    if (size > 0 && *text != '*') {
        return measure(data, size, messages_count);
    }
    if (size == 0 || !take_number(text, size, &at, '*', &number) || at >= size ||
        !take_number(text, size, &at, '*', &number) ||
        !take_string(text, size, &at, &name, &length)) {
        return 0;
    }
    size_t entries = take_entries(text + at, size - at, &count, last_id);
    return entries == 0 ? 0 : at + entries;
}

static uint32_t confirm_one(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 1;
}

/* Entries come last. */
static void delivered(const uint8_t *data, size_t size)
{
    size_t at = 0;
    size_t number = 0;
    size_t length = 0;
    const char *name = NULL;

    (void)take_number((const char *)data, size, &at, '*', &number);
    (void)take_number((const char *)data, size, &at, '*', &number);
    (void)take_string((const char *)data, size, &at, &name, &length);
    (void)take_entries((const char *)data + at, size - at, &number, position);
}

static struct peer_request pull(void)
{
    static char request[256];
    int length = snprintf(request, sizeof request,
                          "*8\r\n$5\r\nXREAD\r\n$5\r\nCOUNT\r\n$4\r\n%d\r\n$5\r\nBLOCK\r\n"
                          "$1\r\n0\r\n$7\r\nSTREAMS\r\n$5\r\nbench\r\n$%zu\r\n%s\r\n",
                          (int)READ_COUNT, strlen(position), position);
    return (struct peer_request){.bytes = request, .length = (size_t)length};
}

static const struct peer_e2e_ops e2e_ops = {.build = build,
                                            .measure = measure_reply,
                                            .confirms = confirm_one,
                                            .delivered = delivered,
                                            .pull = pull};

void bench_redis_e2e(const struct bench_options *options)
{
    peer_e2e_run(options, &e2e_ops, "redis-e2e");
}
