/* SipHash-2-4: a short keyed checksum of short texts (Aumasson and Bernstein, 2012). Who does
 * not know the key can neither forge it nor find two texts with the same one. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { BASE_SIPHASH_KEY_SIZE = 16 };

uint64_t base_siphash(const uint8_t key[BASE_SIPHASH_KEY_SIZE], const void *data, size_t length);

#endif
