/* A whole broker in this process, for targets that talk to one of its doors. */
#ifndef FUZZ_DOOR_H
#define FUZZ_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DOOR_RESPONSE_BYTES_MAX = 1 << 20,
    DOOR_QUIET_MS = 20,           /* for inputs: a request that waits longer is left alone */
    DOOR_PATIENCE_MS = 30 * 1000, /* for what must be answered */
};

struct door {
    int kafka_port;
    int http_port;
};

/* The broker, started in a new directory if there is none yet, or again after so many
 * calls: what the inputs have made must not pile up. *is_new: it holds nothing. */
const struct door *door_open(bool *is_new);

/* Sends bytes on one connection, ends its sending side, and reads what comes until the broker
 * closes or says nothing for quiet_ms. Returns the length; the bytes are valid until the next
 * call. Aborts when the broker cannot be reached. */
size_t door_talk(int port, int quiet_ms, const uint8_t *bytes, size_t length,
                 const uint8_t **response);

#endif
