/* The few things of libcrypto that this library needs, in the terms of this program.
 *
 * Secrets are compared with security__equal only, and wiped when they are done with. Any thread. */
#ifndef SECURITY_CRYPTO_PRIV_H
#define SECURITY_CRYPTO_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    SECURITY__SHA256_SIZE = 32,
    SECURITY__DIGEST_SIZE_MAX = 64,    /* SHA-512 */
    SECURITY__SEAL_OVERHEAD = 12 + 16, /* nonce and tag of AES-256-GCM */
};

enum security__digest { SECURITY__SHA256, SECURITY__SHA512 };

size_t security__digest_size(enum security__digest digest);

void security__hash(enum security__digest digest, struct base_slice data, uint8_t *out);
void security__hmac(enum security__digest digest, struct base_slice key, struct base_slice data,
                    uint8_t *out);

/* PBKDF2 (RFC 8018); out has the digest's size. NOMEM. */
BASE_MUST_USE enum base_err security__pbkdf2(enum security__digest digest,
                                             struct base_slice password, struct base_slice salt,
                                             int iterations, uint8_t *out);

/* scrypt (RFC 7914). NOMEM. Takes long: not on a loop. */
BASE_MUST_USE enum base_err security__scrypt(struct base_slice password, struct base_slice salt,
                                             uint64_t n, uint64_t r, uint64_t p, uint8_t *out,
                                             size_t size);

/* AES-256-GCM. Sealing adds SECURITY__SEAL_OVERHEAD bytes; context is authenticated, not stored.
 * CORRUPT when sealed is not what key sealed for context. */
BASE_MUST_USE enum base_err security__seal(const uint8_t key[32], struct base_slice context,
                                           struct base_slice plain, uint8_t *out);
BASE_MUST_USE enum base_err security__unseal(const uint8_t key[32], struct base_slice context,
                                             struct base_slice sealed, uint8_t *out);

/* In a time that depends on the length alone. */
bool security__equal(const void *a, const void *b, size_t length);

void security__wipe(void *data, size_t length);

/* 2 * length lower-case digits and a terminator. */
void security__hex(const void *data, size_t length, char *out);

/* False unless text is exactly 2 * length hex digits. */
bool security__unhex(const char *text, size_t length, uint8_t *out);

enum { SECURITY__ID_LENGTH = 32 };

/* A new id: 32 random hex digits. */
void security__random_id(char out[SECURITY__ID_LENGTH + 1]);

#endif
