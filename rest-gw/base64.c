/* Three bytes at a time become four characters. */
#include "rest-gw/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_group(uint8_t *out, uint32_t group)
{
    out[0] = (uint8_t)alphabet[group >> 18 & 0x3F];
    out[1] = (uint8_t)alphabet[group >> 12 & 0x3F];
    out[2] = (uint8_t)alphabet[group >> 6 & 0x3F];
    out[3] = (uint8_t)alphabet[group & 0x3F];
}

void restgw_base64_put(struct base_writer *writer, struct base_slice bytes)
{
    if (bytes.length == 0) {
        return;
    }
    uint8_t *out = base_writer_extend(writer, restgw_base64_size(bytes.length));
    if (out == NULL) {
        return;
    }
    const uint8_t *at = bytes.data;
    size_t left = bytes.length;
    for (; left >= 3; left -= 3, at += 3, out += 4) {
        put_group(out, (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2]);
    }
    if (left > 0) {
        put_group(out, (uint32_t)at[0] << 16 | (left == 2 ? (uint32_t)at[1] << 8 : 0));
        out[3] = '=';
        if (left == 1) {
            out[2] = '=';
        }
    }
}
