/* Small readings of text that peers send: numbers, booleans, words. */
#ifndef RESTGW_TEXT_H
#define RESTGW_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

/* ASCII text compared without regard to case. */
bool restgw_text_is(struct base_slice text, const char *expected);

/* Decimal digits with an optional '-'; nothing else, no overflow. False leaves *out 0. */
BASE_MUST_USE bool restgw_text_to_integer(struct base_slice text, int64_t *out);

/* "true" or "false" in any case (clients send Python's True). False leaves *out false. */
BASE_MUST_USE bool restgw_text_to_bool(struct base_slice text, bool *out);

#endif
