/* URL-safe base64 without padding (RFC 4648 §5), one text for each byte string. */
#ifndef QUEUE_BASE64_PRIV_H
#define QUEUE_BASE64_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

/* Writes (size * 4 + 2) / 3 characters and a terminator. */
void queue__base64_encode(const uint8_t *bytes, size_t size, char *text);

/* False unless text is what encode makes of exactly `size` bytes. */
bool queue__base64_decode(struct base_slice text, uint8_t *bytes, size_t size);

#endif
