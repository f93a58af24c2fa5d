/* Bounds-checked cursor. */
#include "core/base/reader.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/endian.h"

enum {
    VARINT32_SIZE_MAX = 5,  /* ceil(32 / 7) bytes */
    VARINT64_SIZE_MAX = 10, /* ceil(64 / 7) bytes */
    VARINT_PAYLOAD_BITS = 7,
    VARINT_MORE = 0x80,
};

static_assert(VARINT32_SIZE_MAX * VARINT_PAYLOAD_BITS >= 32, "five groups must hold 32 bits");
static_assert(VARINT64_SIZE_MAX * VARINT_PAYLOAD_BITS >= 64, "ten groups must hold 64 bits");

/* What an empty slice points at: not NULL, never read. */
static const uint8_t no_bytes[1];

void base_reader_init(struct base_reader *reader, const void *data, size_t size_bytes)
{
    BASE_ASSERT(data != NULL || size_bytes == 0);
    *reader = (struct base_reader){
        .cursor = data == NULL ? no_bytes : data, .remaining = size_bytes, .failed = false};
}

void base_reader_fail(struct base_reader *reader)
{
    reader->failed = true;
    reader->remaining = 0; /* makes every later take fail without a second test */
}

/* Compares against `remaining` rather than adding to the cursor: the sum could
 * wrap when count comes from the peer. */
const uint8_t *base_reader_take(struct base_reader *reader, size_t count)
{
    if (reader->failed || count > reader->remaining) {
        base_reader_fail(reader);
        return NULL;
    }
    const uint8_t *bytes = reader->cursor;
    reader->cursor += count;
    reader->remaining -= count;
    return bytes;
}

int8_t base_reader_int8(struct base_reader *reader)
{
    const uint8_t *b = base_reader_take(reader, 1);
    return (int8_t)(b == NULL ? 0 : *b);
}

int16_t base_reader_int16(struct base_reader *reader)
{
    return (int16_t)base_reader_uint16(reader);
}

uint16_t base_reader_uint16(struct base_reader *reader)
{
    const uint8_t *b = base_reader_take(reader, 2);
    return b == NULL ? 0 : base_get_u16(b);
}

int32_t base_reader_int32(struct base_reader *reader)
{
    return (int32_t)base_reader_uint32(reader);
}

uint32_t base_reader_uint32(struct base_reader *reader)
{
    const uint8_t *b = base_reader_take(reader, 4);
    return b == NULL ? 0 : base_get_u32(b);
}

int64_t base_reader_int64(struct base_reader *reader)
{
    const uint8_t *b = base_reader_take(reader, 8);
    return b == NULL ? 0 : base_get_i64(b);
}

double base_reader_float64(struct base_reader *reader)
{
    int64_t bits = base_reader_int64(reader);
    double value = 0;
    static_assert(sizeof value == sizeof bits, "IEEE 754 binary64");
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t take_varint(struct base_reader *reader, unsigned size_max, uint64_t value_max)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size_max; i++) {
        const uint8_t *b = base_reader_take(reader, 1);
        if (b == NULL) {
            return 0;
        }
        uint64_t group = *b & ~(unsigned)VARINT_MORE;
        if (i == VARINT64_SIZE_MAX - 1 && group > 1) {
            break; /* bits beyond 64 */
        }
        value |= group << (i * VARINT_PAYLOAD_BITS);
        if ((*b & VARINT_MORE) == 0) {
            if (value > value_max) {
                break;
            }
            return value;
        }
    }
    base_reader_fail(reader);
    return 0;
}

uint32_t base_reader_uvarint(struct base_reader *reader)
{
    return (uint32_t)take_varint(reader, VARINT32_SIZE_MAX, UINT32_MAX);
}

int32_t base_reader_varint(struct base_reader *reader)
{
    uint32_t raw = (uint32_t)take_varint(reader, VARINT32_SIZE_MAX, UINT32_MAX);
    return (int32_t)(raw >> 1 ^ (~(raw & 1) + 1));
}

int64_t base_reader_varlong(struct base_reader *reader)
{
    uint64_t raw = take_varint(reader, VARINT64_SIZE_MAX, UINT64_MAX);
    return (int64_t)(raw >> 1 ^ (~(raw & 1) + 1));
}

struct base_slice base_reader_bytes(struct base_reader *reader, size_t length)
{
    const uint8_t *data = base_reader_take(reader, length);
    return (struct base_slice){.data = data, .length = data == NULL ? 0 : length};
}

enum base_err base_reader_err(const struct base_reader *reader)
{
    return reader->failed ? BASE_ERR_MALFORMED : BASE_ERR_OK;
}

enum base_err base_reader_finish(const struct base_reader *reader)
{
    if (reader->failed || reader->remaining > 0) {
        return BASE_ERR_MALFORMED;
    }
    return BASE_ERR_OK;
}
