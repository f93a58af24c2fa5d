/* Base64 as in RFC 4648 §4: standard alphabet, padded, one text for each byte string. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "core/base/slice.h"

/* Characters that size bytes take, without a terminator. */
#define BASE_BASE64_LENGTH(size) (((size) + 2) / 3 * 4)

/* Writes BASE_BASE64_LENGTH(bytes.length) characters, no terminator. */
void base_base64_encode(struct base_slice bytes, char *text);

/* False unless text is what encode makes of some bytes, at most size_max; *size is set then. */
bool base_base64_decode(struct base_slice text, uint8_t *bytes, size_t size_max, size_t *size);

#endif
