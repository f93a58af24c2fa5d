/* The server's side of SCRAM-SHA-256 and -512 (RFC 5802, RFC 7677), without channel binding.
 *
 * Two messages come and two go: first -> challenge -> final -> signature. Keys of somebody who
 * does not exist are decoys and take the same way, so that nothing tells whether a user exists
 * before the proof is wrong. Nothing here waits. */
#ifndef SECURITY_SCRAM_H
#define SECURITY_SCRAM_H

#include <stdbool.h>

#include "core/base/slice.h"
#include "core/security/password.h"

enum {
    SECURITY_SCRAM_MESSAGE_SIZE_MAX = 1024, /* bytes of a client's message */
    SECURITY_SCRAM_NONCE_LENGTH = 32,       /* characters of the server's part */
    SECURITY_SCRAM_FINAL_SIZE_MAX = 3 * SECURITY_SCRAM_MESSAGE_SIZE_MAX, /* it repeats nonces */
    SECURITY_SCRAM_ANSWER_SIZE = 512 + SECURITY_SCRAM_MESSAGE_SIZE_MAX,
};

/* One exchange. Public so that it can be embedded; zeroed by security_scram_begin. */
struct security_scram {
    enum security_scram_mechanism mechanism;
    struct security_scram_keys keys;
    char user[SECURITY_SCRAM_MESSAGE_SIZE_MAX]; /* name as the client means it, unescaped */
    size_t user_length;
    char gs2[SECURITY_SCRAM_MESSAGE_SIZE_MAX]; /* the header that the client has to repeat */
    size_t gs2_length;
    char nonce[SECURITY_SCRAM_MESSAGE_SIZE_MAX + SECURITY_SCRAM_NONCE_LENGTH]; /* of both */
    size_t nonce_length;
    size_t client_nonce_length; /* the first part of it */
    char transcript[2 * SECURITY_SCRAM_ANSWER_SIZE +
                    SECURITY_SCRAM_FINAL_SIZE_MAX]; /* AuthMessage, as far as it is known */
    size_t transcript_length;
};

/* "SCRAM-SHA-256", "SCRAM-SHA-512". */
const char *security_scram_name(enum security_scram_mechanism mechanism);
bool security_scram_parse(struct base_slice name, enum security_scram_mechanism *out);

/* Reads the client's first message; scram->user says whose keys are needed. False when it is
 * malformed, asks for channel binding, or wants to act for somebody else. */
bool security_scram_begin(struct security_scram *scram, enum security_scram_mechanism mechanism,
                          struct base_slice message);

/* Writes the challenge into answer (SECURITY_SCRAM_ANSWER_SIZE bytes) and returns its length.
 * nonce: at most SECURITY_SCRAM_NONCE_LENGTH printable characters without ',', never used
 * before. */
size_t security_scram_challenge(struct security_scram *scram,
                                const struct security_scram_keys *keys, struct base_slice nonce,
                                char *answer);

/* Checks the client's final message. True: the client knows the password; answer (as above, its
 * length in *length) proves to it that the server knows the keys. */
bool security_scram_finish(struct security_scram *scram, struct base_slice message, char *answer,
                           size_t *length);

/* A nonce for security_scram_challenge, without a terminator. */
void security_scram_nonce(char nonce[SECURITY_SCRAM_NONCE_LENGTH]);

#endif
