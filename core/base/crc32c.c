/* CRC-32C: bytewise table for now. */
#include "core/base/crc32c.h"

uint32_t base_crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0x82f63b78U & (~(crc & 1) + 1));
        }
    }
    return ~crc;
}

uint32_t base_crc32c(uint32_t crc, const void *data, size_t length)
{
    return base_crc32c_portable(crc, data, length);
}
