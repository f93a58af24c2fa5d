/* Text to values. */
#include "rest-gw/text.h"

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

bool restgw_text_is(struct base_slice text, const char *expected)
{
    for (size_t index = 0; index < text.length; index++) {
        uint8_t other = (uint8_t)expected[index];
        if (other == 0 || lower(text.data[index]) != lower(other)) {
            return false;
        }
    }
    return expected[text.length] == '\0';
}

bool restgw_text_to_integer(struct base_slice text, int64_t *out)
{
    *out = 0;
    bool is_negative = text.length > 0 && text.data[0] == '-';
    size_t start = is_negative ? 1 : 0;
    if (text.length == start) {
        return false;
    }
    int64_t value = 0;
    for (size_t index = start; index < text.length; index++) {
        if (text.data[index] < '0' || text.data[index] > '9') {
            return false;
        }
        /* Downwards, because INT64_MIN has no positive counterpart. */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text.data[index] - '0', &value)) {
            return false;
        }
    }
    if (!is_negative && value == INT64_MIN) {
        return false;
    }
    *out = is_negative ? value : -value;
    return true;
}

bool restgw_text_to_bool(struct base_slice text, bool *out)
{
    *out = restgw_text_is(text, "true");
    return *out || restgw_text_is(text, "false");
}
