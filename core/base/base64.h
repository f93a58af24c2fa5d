/* Base64 in the two forms of RFC 4648. Each byte string has exactly one text: what an encoder
 * would not write is not read. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "core/base/slice.h"

/* Characters that size bytes take in the form of §4, without a terminator. */
#define BASE_BASE64_LENGTH(size) (((size) + 2) / 3 * 4)

/* §4: standard alphabet, padded. Writes BASE_BASE64_LENGTH(bytes.length) characters, no
 * terminator. */
void base_base64_encode(struct base_slice bytes, char *text);

/* False unless text is what encode makes of some bytes, at most size_max; *size is set then. */
bool base_base64_decode(struct base_slice text, uint8_t *bytes, size_t size_max, size_t *size);

/* Bytes that text of the form of §5 takes for size bytes, with its terminator. */
#define BASE_BASE64URL_SIZE(size) (((size)*4 + 2) / 3 + 1)

/* §5: URL-safe alphabet, no padding. Writes BASE_BASE64URL_SIZE(bytes.length) bytes. */
void base_base64url_encode(struct base_slice bytes, char *text);

/* False unless text is what encode makes of exactly size bytes. */
bool base_base64url_decode(struct base_slice text, uint8_t *bytes, size_t size);

#endif
