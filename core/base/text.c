/* Numbers from text. */
#include "core/base/text.h"

bool base_text_int64(struct base_slice text, int64_t *out)
{
    *out = 0;
    bool negative = text.length > 0 && text.data[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == text.length) {
        return false;
    }
    int64_t value = 0;
    for (; i < text.length; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9) {
            return false;
        }
        /* Collected as a negative number: the range is one larger on that side. */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow(0, value, &value)) {
        return false;
    }
    *out = value;
    return true;
}

bool base_text_int64_between(struct base_slice text, int64_t least, int64_t most, int64_t *out)
{
    if (!base_text_int64(text, out) || *out < least || *out > most) {
        *out = 0;
        return false;
    }
    return true;
}
