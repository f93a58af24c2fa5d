/* Numbers from text that a peer or a user wrote: exact, no locale, no surprises. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

/* Decimal with an optional minus; nothing else around it. False, and *out 0, on
 * anything else and on overflow. */
bool base_text_int64(struct base_slice text, int64_t *out);

/* The same within [least, most]. */
bool base_text_int64_between(struct base_slice text, int64_t least, int64_t most, int64_t *out);

#endif
