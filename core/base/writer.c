/* Growing byte string. */
#include "core/base/writer.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/endian.h"
#include "core/base/refs.h"

enum { CAPACITY_MIN = 256 };

void base_writer_init(struct base_writer *writer, size_t limit_bytes)
{
    *writer = (struct base_writer){.limit_bytes = limit_bytes};
}

void base_writer_fini(struct base_writer *writer)
{
    base_buffer_release(&writer->buffer);
    writer->length = 0;
}

void base_writer_reset(struct base_writer *writer)
{
    if (writer->buffer != NULL && !base_refs_is_one(&writer->buffer->refs)) {
        base_buffer_release(&writer->buffer);
    }
    writer->length = 0;
    writer->err = BASE_ERR_OK;
}

static bool grow(struct base_writer *writer, size_t needed_bytes)
{
    size_t capacity = writer->buffer == NULL ? CAPACITY_MIN : writer->buffer->capacity * 2;
    if (capacity > writer->limit_bytes) {
        capacity = writer->limit_bytes; /* the limit bounds memory, not only what is written */
    }
    if (capacity < needed_bytes) {
        capacity = needed_bytes;
    }
    struct base_buffer *bigger = base_buffer_create(capacity);
    if (bigger == NULL) {
        writer->err = BASE_ERR_NOMEM;
        return false;
    }
    if (writer->buffer != NULL) {
        memcpy(bigger->data, writer->buffer->data, writer->length);
    }
    base_buffer_release(&writer->buffer);
    writer->buffer = bigger;
    return true;
}

uint8_t *base_writer_extend(struct base_writer *writer, size_t count)
{
    if (writer->err != BASE_ERR_OK) {
        return NULL;
    }
    if (count > writer->limit_bytes - writer->length) {
        writer->err = BASE_ERR_TOO_LARGE;
        return NULL;
    }
    size_t needed_bytes = writer->length + count;
    if ((writer->buffer == NULL || needed_bytes > writer->buffer->capacity) &&
        !grow(writer, needed_bytes)) {
        return NULL;
    }
    uint8_t *room = writer->buffer->data + writer->length;
    writer->length = needed_bytes;
    return room;
}

void base_writer_fail(struct base_writer *writer, enum base_err err)
{
    BASE_ASSERT(err != BASE_ERR_OK);
    if (writer->err == BASE_ERR_OK) {
        writer->err = err;
    }
}

void base_writer_truncate(struct base_writer *writer, size_t length)
{
    BASE_ASSERT(length <= writer->length);
    writer->length = length;
}

void base_writer_int8(struct base_writer *writer, int8_t value)
{
    uint8_t *room = base_writer_extend(writer, 1);
    if (room != NULL) {
        *room = (uint8_t)value;
    }
}

void base_writer_int16(struct base_writer *writer, int16_t value)
{
    uint8_t *room = base_writer_extend(writer, 2);
    if (room != NULL) {
        base_put_u16(room, (uint16_t)value);
    }
}

void base_writer_int32(struct base_writer *writer, int32_t value)
{
    base_writer_uint32(writer, (uint32_t)value);
}

void base_writer_uint32(struct base_writer *writer, uint32_t value)
{
    uint8_t *room = base_writer_extend(writer, 4);
    if (room != NULL) {
        base_put_u32(room, value);
    }
}

void base_writer_int64(struct base_writer *writer, int64_t value)
{
    uint8_t *room = base_writer_extend(writer, 8);
    if (room != NULL) {
        base_put_i64(room, value);
    }
}

void base_writer_float64(struct base_writer *writer, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    base_writer_int64(writer, bits);
}

static void put_varint(struct base_writer *writer, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    while (value >= 0x80) {
        bytes[count++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[count++] = (uint8_t)value;
    base_writer_bytes(writer, bytes, count);
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

void base_writer_uvarint(struct base_writer *writer, uint32_t value)
{
    put_varint(writer, value);
}

void base_writer_varint(struct base_writer *writer, int32_t value)
{
    put_varint(writer, zigzag(value));
}

void base_writer_varlong(struct base_writer *writer, int64_t value)
{
    put_varint(writer, zigzag(value));
}

void base_writer_bytes(struct base_writer *writer, const void *data, size_t length)
{
    uint8_t *room = base_writer_extend(writer, length);
    if (room != NULL && length > 0) {
        memcpy(room, data, length);
    }
}

void base_writer_slice(struct base_writer *writer, struct base_slice slice)
{
    base_writer_bytes(writer, slice.data, slice.length);
}

void base_writer_patch_int32(struct base_writer *writer, size_t position, int32_t value)
{
    if (writer->err == BASE_ERR_OK) {
        BASE_ASSERT(position + 4 <= writer->length);
        base_put_i32(writer->buffer->data + position, value);
    }
}

struct base_buffer *base_writer_take(struct base_writer *writer, size_t *length)
{
    struct base_buffer *buffer = NULL;
    *length = 0;
    if (writer->err == BASE_ERR_OK) {
        buffer = writer->buffer;
        *length = writer->length;
        writer->buffer = NULL;
    }
    writer->length = 0;
    return buffer;
}

size_t base_varlong_size(int64_t value)
{
    uint64_t raw = zigzag(value);
    size_t size = 1;
    while (raw >= 0x80) {
        raw >>= 7;
        size++;
    }
    return size;
}

size_t base_varint_size(int32_t value)
{
    return base_varlong_size(value);
}
