/* Base64: three bytes are four characters. */
#include "core/base/base64.h"

#include <string.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Without padding. Returns where the text ends. */
static char *encode(const char *alphabet, struct base_slice bytes, char *text)
{
    const uint8_t *at = bytes.data;
    size_t left = bytes.length;

    for (; left >= 3; left -= 3, at += 3) {
        uint32_t group = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        *text++ = alphabet[group >> 6 & 63];
        *text++ = alphabet[group & 63];
    }
    if (left > 0) {
        uint32_t group = (uint32_t)at[0] << 16 | (left == 2 ? (uint32_t)at[1] << 8 : 0);
        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        if (left == 2) {
            *text++ = alphabet[group >> 6 & 63];
        }
    }
    return text;
}

/* -1 for what is not in the alphabet. */
static int value_of(const char *alphabet, uint8_t character)
{
    if (character >= 'A' && character <= 'Z') {
        return character - 'A';
    }
    if (character >= 'a' && character <= 'z') {
        return character - 'a' + 26;
    }
    if (character >= '0' && character <= '9') {
        return character - '0' + 52;
    }
    return character == (uint8_t)alphabet[62] ? 62 : character == (uint8_t)alphabet[63] ? 63 : -1;
}

/* Text without padding; the bytes it makes have room. */
static bool decode(const char *alphabet, struct base_slice text, uint8_t *bytes)
{
    uint32_t pending = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < text.length; i++) {
        int value = value_of(alphabet, text.data[i]);
        if (value < 0) {
            return false;
        }
        pending = pending << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *bytes++ = (uint8_t)(pending >> bits);
        }
    }
    return (pending & ((1u << bits) - 1)) == 0; /* bits that no encoder sets */
}

void base_base64_encode(struct base_slice bytes, char *text)
{
    char *end = encode(standard, bytes, text);

    memset(end, '=', BASE_BASE64_LENGTH(bytes.length) - (size_t)(end - text));
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
    size_t count = text.length / 4 * 3 - padding;
    text.length -= padding;
    if (count > size_max || !decode(standard, text, bytes)) {
        return false;
    }
    *size = count;
    return true;
}

void base_base64url_encode(struct base_slice bytes, char *text)
{
    *encode(url_safe, bytes, text) = '\0';
}

bool base_base64url_decode(struct base_slice text, uint8_t *bytes, size_t size)
{
    return text.length == BASE_BASE64URL_SIZE(size) - 1 && decode(url_safe, text, bytes);
}
