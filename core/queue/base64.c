#include "core/queue/base64_priv.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void queue__base64_encode(const uint8_t *bytes, size_t size, char *text)
{
    uint32_t pending = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < size; i++) {
        pending = pending << 8 | bytes[i];
        for (bits += 8; bits >= 6; bits -= 6) {
            *text++ = alphabet[pending >> (bits - 6) & 0x3f];
        }
    }
    if (bits > 0) {
        *text++ = alphabet[pending << (6 - bits) & 0x3f];
    }
    *text = '\0';
}

static int value_of(uint8_t character)
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
    return character == '-' ? 62 : character == '_' ? 63 : -1;
}

bool queue__base64_decode(struct base_slice text, uint8_t *bytes, size_t size)
{
    uint32_t pending = 0;
    unsigned bits = 0;
    size_t count = 0;

    if (text.length != (size * 4 + 2) / 3) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        int value = value_of(text.data[i]);
        if (value < 0) {
            return false;
        }
        pending = pending << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[count++] = (uint8_t)(pending >> bits);
        }
    }
    uint32_t unused = pending & ((1u << bits) - 1);
    return count == size && unused == 0;
}
