/* Passwords as they are stored: scrypt for whoever shows the password, SCRAM keys for whoever
 * proves it without showing it. */
#ifndef SECURITY_PASSWORD_H
#define SECURITY_PASSWORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    /* 16 MiB and about a tenth of a second each: OWASP's choice for this N. */
    SECURITY_SCRYPT_N = 1 << 14,
    SECURITY_SCRYPT_R = 8,
    SECURITY_SCRYPT_P = 5,
    SECURITY_SCRAM_ITERATIONS = 8192,
    SECURITY_SALT_SIZE = 16,
    SECURITY_PASSWORD_LENGTH_MIN = 8, /* bytes */
    SECURITY_PASSWORD_LENGTH_MAX = 128,
};

enum security_scram_mechanism { SECURITY_SCRAM_SHA_256, SECURITY_SCRAM_SHA_512 };

/* What a SCRAM server needs of a user (RFC 5802 §3). */
struct security_scram_keys {
    uint8_t salt[SECURITY_SALT_SIZE];
    int32_t iterations;
    size_t size; /* bytes of each key: 32 or 64 */
    uint8_t stored_key[64];
    uint8_t server_key[64];
};

/* Overwrites what is secret, also where the compiler thinks that nobody looks any more. */
void security_wipe_secret(void *data, size_t size);

/* Length and no control characters; what a user may choose. */
bool security_password_is_valid(struct base_slice password);

/* {"password":{…},"scram":{…}}: fields of a user. NULL when memory is out. Takes a tenth of a
 * second: not on a loop. */
json_t *security_password_make(struct base_slice password);

/* {"SCRAM-SHA-256":{…},"SCRAM-SHA-512":{…}} alone. Takes about ten milliseconds. */
json_t *security_scram_make(struct base_slice password);

/* Whether password is the one `stored` (the value of "password") was made of. With stored NULL
 * it takes as long and is false, so that nobody learns who exists. Not on a loop. */
bool security_password_verify(const json_t *stored, struct base_slice password);

/* Keys of one mechanism out of the value of "scram"; false when it has none. */
bool security_scram_read(const json_t *scram, enum security_scram_mechanism mechanism,
                         struct security_scram_keys *out);

/* Keys for somebody who does not exist, the same for the same key, domain, name and mechanism: as
 * those of somebody who does. */
void security_scram_decoy(const uint8_t key[32], struct base_slice domain, struct base_slice name,
                          enum security_scram_mechanism mechanism, struct security_scram_keys *out);

#endif
