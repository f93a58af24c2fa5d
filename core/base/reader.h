/* Bounds-checked cursor over received or stored bytes, big-endian.
 *
 * A reader never reads past its bytes and never allocates. The first short or
 * invalid read marks it failed; every later read then returns zero or a null
 * slice, so a decoder reads all its fields in a row and checks once, with
 * base_reader_finish(). Slices point into the bytes and die with them. */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

/* Public so that it can live on the stack. Touch it only through base_reader_*. */
struct base_reader {
    const uint8_t *cursor; /* borrowed; next unread byte */
    size_t remaining;      /* bytes; 0 once failed */
    bool failed;
};

/* data may be NULL only when size_bytes is 0. */
void base_reader_init(struct base_reader *reader, const void *data, size_t size_bytes);

/* count bytes in place, NULL after failure. The only place that moves the cursor. */
const uint8_t *base_reader_take(struct base_reader *reader, size_t count);

/* Marks the reader failed: for values that decode but are not allowed. */
void base_reader_fail(struct base_reader *reader);

int8_t base_reader_int8(struct base_reader *reader);
int16_t base_reader_int16(struct base_reader *reader);
uint16_t base_reader_uint16(struct base_reader *reader);
int32_t base_reader_int32(struct base_reader *reader);
uint32_t base_reader_uint32(struct base_reader *reader);
int64_t base_reader_int64(struct base_reader *reader);
double base_reader_float64(struct base_reader *reader);

/* Unsigned LEB128 of at most 32 bits (5 bytes on the wire). */
uint32_t base_reader_uvarint(struct base_reader *reader);

/* Zig-zag varints of 32 and 64 bits, as in Kafka records. */
int32_t base_reader_varint(struct base_reader *reader);
int64_t base_reader_varlong(struct base_reader *reader);

/* length bytes as a slice with non-NULL data; null slice after failure. */
struct base_slice base_reader_bytes(struct base_reader *reader, size_t length);

/* BASE_ERR_OK if every read succeeded so far; BASE_ERR_MALFORMED otherwise. */
BASE_MUST_USE enum base_err base_reader_err(const struct base_reader *reader);

/* BASE_ERR_OK if every read succeeded and no byte is left; BASE_ERR_MALFORMED otherwise. */
BASE_MUST_USE enum base_err base_reader_finish(const struct base_reader *reader);

#endif
