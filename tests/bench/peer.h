/* What the clients of other brokers share: the same request again and again, each of a batch
 * of messages, and a known number of replies to it. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/bench.h"
#include "tests/bench/engine.h"

/* Connections of peer_e2e_run. */
enum { PEER_PRODUCER = 0, PEER_CONSUMER = 1 };

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
    /* Bytes of the answer to one request; 0 while it is not whole. Dies on an error. With
     * confirms: of one piece of what the server says. */
    size_t (*measure)(const uint8_t *data, size_t size, uint32_t messages_count);
    /* Messages that the piece acknowledges, where that is another number than the request
     * had; else NULL. */
    uint32_t (*confirms)(const uint8_t *data, size_t size);
};

/* End to end: a connection that publishes, and one to which the messages come. */
struct peer_e2e_ops {
    void (*greet)(int fd, unsigned lane_index);
    /* The request that publishes one message, on the first connection. */
    struct peer_request (*build)(const struct bench_options *options, unsigned lane_index,
                                 uint32_t messages_count);
    /* Bytes of one piece of what the server says; 0 while it is not whole. Dies on an error. */
    size_t (*measure)(const uint8_t *data, size_t size, uint32_t messages_count);
    uint32_t (*confirms)(const uint8_t *data, size_t size);
    /* Asks for messages on the second connection, which blocks meanwhile; may be NULL. */
    void (*subscribe)(int fd);
    /* Takes note of what was delivered; may be NULL. */
    void (*delivered)(const uint8_t *data, size_t size);
    /* The next request of the second connection; length 0: none now. NULL: never. */
    struct peer_request (*pull)(void);
};

/* Publishes options->messages messages, options->rate a second, and reports how long each was
 * under way. What is due at a time goes out together. */
void peer_e2e_run(const struct bench_options *options, const struct peer_e2e_ops *ops,
                  const char *name);

/* Runs options->messages messages through options->connections connections and reports. With
 * is_paced one message a request, options->rate a second; else as many as make up
 * options->batch_bytes, options->window in flight. */
void peer_run(const struct bench_options *options, const struct peer_ops *ops, const char *name,
              bool is_paced);

/* Messages of one request. */
uint32_t peer_batch(const struct bench_options *options);

/* Connects the engine and says hello. greet may be NULL. */
void peer_open(struct engine *engine, int64_t port, unsigned lanes_count,
               void (*greet)(int fd, unsigned lane_index));

/* For what is still said in turn on a connection of the engine. */
void peer_set_blocking(int fd, bool is_blocking);

/* All of it, on a blocking socket. */
void peer_send(int fd, const char *text, size_t length);

/* Reads until what came ends with end; dies when it fills capacity. Returns the length. */
size_t peer_receive(int fd, char *text, size_t capacity, const char *end);

/* Fills with letters. */
void peer_fill(char *value, size_t size);

#endif
