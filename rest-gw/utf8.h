/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF. */
#ifndef RESTGW_UTF8_H
#define RESTGW_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/slice.h"

/* Bytes of the well-formed sequence that text starts with, 1 to 4; 0 when it is
 * malformed or cut off. text.length must be > 0. */
size_t restgw_utf8_sequence(struct base_slice text);

bool restgw_utf8_is_valid(struct base_slice text);

/* Characters (code points) of valid text: names and tags are limited in these. */
size_t restgw_utf8_length(struct base_slice text);

#endif
