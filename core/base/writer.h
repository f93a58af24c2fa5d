/* Growing byte string, big-endian: the counterpart of base_reader.
 *
 * The first failed allocation or a size over the limit marks the writer failed;
 * later writes do nothing, so an encoder writes all its fields in a row and
 * checks once. One thread. */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/err.h"
#include "core/base/slice.h"

/* Public so that it can live on the stack. */
struct base_writer {
    struct base_buffer *buffer; /* owned; NULL until the first byte */
    size_t length;              /* bytes written */
    size_t limit_bytes;
    enum base_err err; /* OK, NOMEM or TOO_LARGE */
};

void base_writer_init(struct base_writer *writer, size_t limit_bytes);

/* Drops the buffer. */
void base_writer_fini(struct base_writer *writer);

/* Keeps the buffer if nobody shares it, forgets its content and any failure. */
void base_writer_reset(struct base_writer *writer);

/* Room for count bytes at the end, counted as written; NULL after failure.
 * Valid until the next write. */
uint8_t *base_writer_extend(struct base_writer *writer, size_t count);

/* Marks the writer failed: for a value that cannot be written. err: not OK. */
void base_writer_fail(struct base_writer *writer, enum base_err err);

/* Drops what was written behind the first `length` bytes. */
void base_writer_truncate(struct base_writer *writer, size_t length);

void base_writer_int8(struct base_writer *writer, int8_t value);
void base_writer_int16(struct base_writer *writer, int16_t value);
void base_writer_int32(struct base_writer *writer, int32_t value);
void base_writer_uint32(struct base_writer *writer, uint32_t value);
void base_writer_int64(struct base_writer *writer, int64_t value);
void base_writer_float64(struct base_writer *writer, double value);
void base_writer_uvarint(struct base_writer *writer, uint32_t value);
void base_writer_varint(struct base_writer *writer, int32_t value);
void base_writer_varlong(struct base_writer *writer, int64_t value);
void base_writer_bytes(struct base_writer *writer, const void *data, size_t length);
void base_writer_slice(struct base_writer *writer, struct base_slice slice);

/* Overwrites 4 bytes written before. */
void base_writer_patch_int32(struct base_writer *writer, size_t position, int32_t value);

/* Moves the buffer to the caller and leaves the writer empty. NULL when nothing
 * was written or the writer failed: look at ->err first. */
struct base_buffer *base_writer_take(struct base_writer *writer, size_t *length);

/* Bytes a zig-zag varint of value takes on the wire. */
size_t base_varint_size(int32_t value);
size_t base_varlong_size(int64_t value);

#endif
