/* Big-endian loads and stores at unaligned addresses. */
#ifndef BASE_ENDIAN_H
#define BASE_ENDIAN_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t base_get_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return __builtin_bswap16(value);
}

static inline uint32_t base_get_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return __builtin_bswap32(value);
}

static inline int16_t base_get_i16(const uint8_t *bytes)
{
    return (int16_t)base_get_u16(bytes);
}

static inline int32_t base_get_i32(const uint8_t *bytes)
{
    return (int32_t)base_get_u32(bytes);
}

static inline int64_t base_get_i64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return (int64_t)__builtin_bswap64(value);
}

static inline void base_put_u16(uint8_t *bytes, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void base_put_u32(uint8_t *bytes, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void base_put_i32(uint8_t *bytes, int32_t value)
{
    base_put_u32(bytes, (uint32_t)value);
}

static inline void base_put_i64(uint8_t *bytes, int64_t value)
{
    uint64_t raw = __builtin_bswap64((uint64_t)value);
    memcpy(bytes, &raw, sizeof raw);
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the loads above swap");

#endif
