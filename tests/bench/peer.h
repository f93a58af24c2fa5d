/* What the clients of other brokers share: the same request again and again, each of a batch
 * of messages, and a known number of replies to it. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/bench.h"
#include "tests/bench/engine.h"

struct peer_request {
    char *bytes; /* owned, never freed */
    size_t length;
};

struct peer_ops {
    /* Says hello on a new connection, which blocks meanwhile; may be NULL. */
    void (*greet)(int fd, unsigned lane_index);
    /* The request of a lane for so many messages. */
    struct peer_request (*build)(const struct bench_options *options, unsigned lane_index,
                                 uint32_t messages_count);
    /* Bytes of the answer to one request; 0 while it is not whole. Dies on an error. */
    size_t (*measure)(const uint8_t *data, size_t size, uint32_t messages_count);
};

/* Runs options->messages messages through options->connections connections and reports. With
 * is_paced one message a request, options->rate a second; else as many as make up
 * options->batch_bytes, options->window in flight. */
void peer_run(const struct bench_options *options, const struct peer_ops *ops, const char *name,
              bool is_paced);

/* Messages of one request. */
uint32_t peer_batch(const struct bench_options *options);

/* All of it, on a blocking socket. */
void peer_send(int fd, const char *text, size_t length);

/* Reads until what came ends with end; dies when it fills capacity. Returns the length. */
size_t peer_receive(int fd, char *text, size_t capacity, const char *end);

/* Fills with letters. */
void peer_fill(char *value, size_t size);

#endif
