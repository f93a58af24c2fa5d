/* Base64: three bytes are four characters. */
#include "core/base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base_base64_encode(struct base_slice bytes, char *text)
{
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t left = bytes.length - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        *text++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *text++ = left > 2 ? alphabet[group & 63] : '=';
    }
}

/* -1 for what is not in the alphabet. */
static int value_of(uint8_t character)
{
    const char *place = character == '\0' ? NULL : strchr(alphabet, character);
    return place == NULL ? -1 : (int)(place - alphabet);
}

bool base_base64_decode(struct base_slice text, uint8_t *bytes, size_t size_max, size_t *size)
{
    size_t padding = 0;

    *size = 0;
    if (text.length % 4 != 0) {
        return false;
    }
    while (padding < 2 && padding < text.length && text.data[text.length - 1 - padding] == '=') {
        padding++;
    }
    if (text.length / 4 * 3 - padding > size_max) {
        return false;
    }
    for (size_t i = 0; i < text.length; i += 4) {
        size_t padded = i + 4 == text.length ? padding : 0;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = j >= 4 - padded ? 0 : value_of(text.data[i + j]);
            if (value < 0) {
                return false;
            }
            group = group << 6 | (uint32_t)value;
        }
        if ((group & ((UINT32_C(1) << 8 * padded) - 1)) != 0) {
            return false; /* bits that no encoder sets */
        }
        for (size_t j = 0; j < 3 - padded; j++) {
            bytes[(*size)++] = (uint8_t)(group >> (16 - 8 * j));
        }
    }
    return true;
}
