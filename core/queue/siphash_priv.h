/* SipHash-2-4: a short keyed checksum of short texts (Aumasson and Bernstein, 2012). */
#ifndef QUEUE_SIPHASH_PRIV_H
#define QUEUE_SIPHASH_PRIV_H

#include <stddef.h>
#include <stdint.h>

enum { QUEUE_SIPHASH_KEY_SIZE = 16 };

uint64_t queue__siphash(const uint8_t key[QUEUE_SIPHASH_KEY_SIZE], const void *data, size_t length);

#endif
