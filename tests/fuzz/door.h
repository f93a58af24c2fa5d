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
    DOOR_NAME_SIZE = 72,
};

struct door {
    int kafka_port;
    int http_port;
    const char *root; /* its data directory */
};

/* Whether clients have to say who they are: dms.authentication. */
enum door_kind { DOOR_FREE, DOOR_BUILTIN };

/* The broker, started in a new directory if there is none yet, or again after so many
 * calls: what the inputs have made must not pile up. *is_new: it holds nothing. One kind
 * in a process. */
const struct door *door_open(enum door_kind kind, bool *is_new);

/* Stops the broker: the next door_open starts a new one. */
void door_drop(void);

/* Sends bytes on one connection, ends its sending side, and reads what comes until the broker
 * closes or says nothing for quiet_ms. Returns the length; the bytes are valid until the next
 * call. Aborts when the broker cannot be reached. With FUZZ_SHOW in the environment both sides
 * are printed. */
size_t door_talk(int port, int quiet_ms, const uint8_t *bytes, size_t length,
                 const uint8_t **response);

/* Asks the REST door, which must answer something that has `mark` in it; the text between that
 * and the next '"', CR or LF goes into out. headers: whole lines, or "". body: JSON, or NULL. */
void door_ask(const struct door *door, const char *method, const char *path, const char *headers,
              const char *body, const char *mark, char out[DOOR_NAME_SIZE]);

/* Takes another text out of the answer that door_ask or door_talk got last. */
void door_find(const char *mark, char out[DOOR_NAME_SIZE]);

/* Inputs name what exists by {x}. */
struct door_name {
    char key;
    char text[DOOR_NAME_SIZE];
};

/* Copies data with each {x} of names replaced by its text. out has room for
 * size * DOOR_NAME_SIZE / 3 bytes and some. Returns the length. */
size_t door_fill_in(const struct door_name *names, size_t names_count, const uint8_t *data,
                    size_t size, uint8_t *out);

#endif
