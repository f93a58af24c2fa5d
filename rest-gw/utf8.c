/* Strict UTF-8: the table 3-7 of the Unicode standard, spelled out. */
#include "rest-gw/utf8.h"

#include "core/base/assert.h"

static bool is_in(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

size_t restgw_utf8_sequence(struct base_slice text)
{
    BASE_ASSERT(text.length > 0);
    const uint8_t *bytes = text.data;
    uint8_t lead = bytes[0];

    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0; /* a continuation, an overlong form or over U+10FFFF */
    }
    size_t size = lead < 0xE0 ? 2 : (lead < 0xF0 ? 3 : 4);
    if (text.length < size) {
        return 0;
    }
    /* Only the second byte has a range that depends on the first. */
    uint8_t low = lead == 0xE0 ? 0xA0 : (lead == 0xF0 ? 0x90 : 0x80);
    uint8_t high = lead == 0xED ? 0x9F : (lead == 0xF4 ? 0x8F : 0xBF);
    if (!is_in(bytes[1], low, high)) {
        return 0;
    }
    for (size_t index = 2; index < size; index++) {
        if (!is_in(bytes[index], 0x80, 0xBF)) {
            return 0;
        }
    }
    return size;
}

bool restgw_utf8_is_valid(struct base_slice text)
{
    while (text.length > 0) {
        size_t size = restgw_utf8_sequence(text);
        if (size == 0) {
            return false;
        }
        text = base_slice_of(text.data + size, text.length - size);
    }
    return true;
}

size_t restgw_utf8_length(struct base_slice text)
{
    size_t count = 0;
    for (size_t index = 0; index < text.length; index++) {
        count += (text.data[index] & 0xC0) != 0x80;
    }
    return count;
}
