/* Batch builder: each record is measured, then written into room taken once. */
#include "logstore/records_builder.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"

/* A record as it goes out: what add() and copy() have in common. */
struct shape {
    int64_t timestamp_ms;
    int32_t offset_delta;
    struct base_slice key;
    struct base_slice value;
    const struct logstore_header *headers; /* headers_count of them, or NULL: then raw */
    struct base_slice headers_raw;
    size_t headers_count;
};

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static size_t varint_size(int64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(zigzag(value) | 1);
    return (bits + 6) / 7;
}

static uint8_t *put_varint(uint8_t *at, int64_t value)
{
    uint64_t raw = zigzag(value);
    while (raw >= 0x80) {
        *at++ = (uint8_t)(raw | 0x80);
        raw >>= 7;
    }
    *at++ = (uint8_t)raw;
    return at;
}

static uint8_t *put_bytes(uint8_t *at, struct base_slice bytes)
{
    at = put_varint(at, bytes.data == NULL ? -1 : (int64_t)bytes.length);
    if (bytes.length > 0) {
        memcpy(at, bytes.data, bytes.length);
    }
    return at + bytes.length;
}

static size_t bytes_size(struct base_slice bytes)
{
    return varint_size(bytes.data == NULL ? -1 : (int64_t)bytes.length) + bytes.length;
}

static size_t headers_size(const struct shape *shape)
{
    size_t size = varint_size((int64_t)shape->headers_count) + shape->headers_raw.length;
    for (size_t i = 0; shape->headers != NULL && i < shape->headers_count; i++) {
        BASE_ASSERT(shape->headers[i].key.data != NULL);
        size += bytes_size(shape->headers[i].key) + bytes_size(shape->headers[i].value);
    }
    return size;
}

static uint8_t *put_headers(uint8_t *at, const struct shape *shape)
{
    at = put_varint(at, (int64_t)shape->headers_count);
    if (shape->headers_raw.length > 0) {
        memcpy(at, shape->headers_raw.data, shape->headers_raw.length);
        at += shape->headers_raw.length;
    }
    for (size_t i = 0; shape->headers != NULL && i < shape->headers_count; i++) {
        at = put_bytes(at, shape->headers[i].key);
        at = put_bytes(at, shape->headers[i].value);
    }
    return at;
}

static void put_record(struct logstore_records_builder *builder, const struct shape *shape)
{
    struct logstore_batch *header = &builder->header;

    if (header->records_count == 0) {
        header->base_timestamp = shape->timestamp_ms;
        header->max_timestamp = shape->timestamp_ms;
    } else if (shape->timestamp_ms > header->max_timestamp) {
        header->max_timestamp = shape->timestamp_ms;
    }
    header->records_count++;
    header->last_offset_delta = shape->offset_delta;

    /* Wraps as readers do when they add it again. */
    int64_t timestamp_delta =
        (int64_t)((uint64_t)shape->timestamp_ms - (uint64_t)header->base_timestamp);
    size_t length = 1 + varint_size(timestamp_delta) + varint_size(shape->offset_delta) +
                    bytes_size(shape->key) + bytes_size(shape->value) + headers_size(shape);
    if (length > INT32_MAX) {
        base_writer_fail(builder->writer, BASE_ERR_TOO_LARGE);
        return;
    }
    size_t size = varint_size((int64_t)length) + length;
    uint8_t *room = base_writer_extend(builder->writer, size);
    if (room == NULL) {
        return;
    }
    uint8_t *at = put_varint(room, (int64_t)length);
    *at++ = 0; /* attributes: none are defined */
    at = put_varint(at, timestamp_delta);
    at = put_varint(at, shape->offset_delta);
    at = put_bytes(at, shape->key);
    at = put_bytes(at, shape->value);
    at = put_headers(at, shape);
    BASE_ASSERT(at == room + size);
}

void logstore_records_builder_begin(struct logstore_records_builder *builder,
                                    struct base_writer *writer)
{
    *builder = (struct logstore_records_builder){
        .writer = writer,
        .start = writer->length,
        .header = {.leader_epoch = -1,
                   .last_offset_delta = -1,
                   .base_timestamp = -1,
                   .max_timestamp = -1,
                   .producer_id = -1,
                   .producer_epoch = -1,
                   .base_sequence = -1},
    };
    (void)base_writer_extend(writer, LOGSTORE_BATCH_HEADER_SIZE);
}

void logstore_records_builder_add(struct logstore_records_builder *builder,
                                  const struct logstore_record_input *input)
{
    BASE_ASSERT(builder->header.last_offset_delta < INT32_MAX);
    BASE_ASSERT(input->headers != NULL || input->headers_count == 0);

    put_record(builder, &(struct shape){
                            .timestamp_ms = input->timestamp_ms,
                            .offset_delta = builder->header.last_offset_delta + 1,
                            .key = input->key,
                            .value = input->value,
                            .headers = input->headers,
                            .headers_count = input->headers_count,
                        });
}

void logstore_records_builder_copy(struct logstore_records_builder *builder,
                                   const struct logstore_record *record)
{
    int64_t offset_delta = record->offset - builder->header.base_offset;
    BASE_ASSERT(offset_delta > builder->header.last_offset_delta);
    BASE_ASSERT(offset_delta <= INT32_MAX);

    put_record(builder, &(struct shape){
                            .timestamp_ms = record->timestamp_ms,
                            .offset_delta = (int32_t)offset_delta,
                            .key = record->key,
                            .value = record->value,
                            .headers_raw = record->headers,
                            .headers_count = (size_t)record->headers_count,
                        });
}

void logstore_records_builder_extend_to(struct logstore_records_builder *builder,
                                        int64_t last_offset)
{
    int64_t offset_delta = last_offset - builder->header.base_offset;
    BASE_ASSERT(offset_delta >= builder->header.last_offset_delta);
    BASE_ASSERT(offset_delta >= 0 && offset_delta <= INT32_MAX);
    builder->header.last_offset_delta = (int32_t)offset_delta;
}

size_t logstore_records_builder_size_bytes(const struct logstore_records_builder *builder)
{
    return builder->writer->length - builder->start;
}

static void put_header(uint8_t *bytes, const struct logstore_batch *header)
{
    base_put_i64(bytes + LOGSTORE_BATCH_AT_BASE_OFFSET, header->base_offset);
    base_put_i32(bytes + LOGSTORE_BATCH_AT_LENGTH,
                 (int32_t)(header->size_bytes - LOGSTORE_BATCH_LENGTH_OVERHEAD));
    base_put_i32(bytes + LOGSTORE_BATCH_AT_LEADER_EPOCH, header->leader_epoch);
    bytes[LOGSTORE_BATCH_AT_MAGIC] = LOGSTORE_BATCH_MAGIC;
    base_put_u16(bytes + LOGSTORE_BATCH_AT_ATTRIBUTES, header->attributes);
    base_put_i32(bytes + LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA, header->last_offset_delta);
    base_put_i64(bytes + LOGSTORE_BATCH_AT_BASE_TIMESTAMP, header->base_timestamp);
    base_put_i64(bytes + LOGSTORE_BATCH_AT_MAX_TIMESTAMP, header->max_timestamp);
    base_put_i64(bytes + LOGSTORE_BATCH_AT_PRODUCER_ID, header->producer_id);
    base_put_u16(bytes + LOGSTORE_BATCH_AT_PRODUCER_EPOCH, (uint16_t)header->producer_epoch);
    base_put_i32(bytes + LOGSTORE_BATCH_AT_BASE_SEQUENCE, header->base_sequence);
    base_put_i32(bytes + LOGSTORE_BATCH_AT_RECORDS_COUNT, header->records_count);
}

enum base_err logstore_records_builder_finish(struct logstore_records_builder *builder)
{
    struct base_writer *writer = builder->writer;
    struct logstore_batch *header = &builder->header;

    BASE_ASSERT(header->base_offset >= 0);
    BASE_ASSERT((header->attributes & LOGSTORE_BATCH_CODEC_MASK) == LOGSTORE_CODEC_NONE);

    if (writer->err == BASE_ERR_OK && logstore_records_builder_size_bytes(builder) > INT32_MAX) {
        base_writer_fail(writer, BASE_ERR_TOO_LARGE);
    }
    if (writer->err != BASE_ERR_OK) {
        return writer->err; /* there may be no record: its value could not be made */
    }
    BASE_ASSERT(header->last_offset_delta >= 0); /* a record, or extend_to() */
    uint8_t *bytes = writer->buffer->data + builder->start;
    header->size_bytes = logstore_records_builder_size_bytes(builder);
    put_header(bytes, header);
    header->crc = base_crc32c(0, bytes + LOGSTORE_BATCH_AT_ATTRIBUTES,
                              header->size_bytes - LOGSTORE_BATCH_AT_ATTRIBUTES);
    base_put_u32(bytes + LOGSTORE_BATCH_AT_CRC, header->crc);
    return BASE_ERR_OK;
}

enum base_err logstore_records_builder_marker(struct base_writer *writer,
                                              const struct logstore_marker_options *options)
{
    enum { KEY_SIZE = 4, VALUE_SIZE = 6 };
    uint8_t key[KEY_SIZE] = {0};     /* version 0, type */
    uint8_t value[VALUE_SIZE] = {0}; /* version 0, coordinator epoch */
    struct logstore_records_builder builder;

    base_put_u16(key + 2, (uint16_t)options->type);
    base_put_i32(value + 2, options->coordinator_epoch);

    logstore_records_builder_begin(&builder, writer);
    builder.header.attributes = LOGSTORE_BATCH_TRANSACTIONAL | LOGSTORE_BATCH_CONTROL;
    builder.header.producer_id = options->producer_id;
    builder.header.producer_epoch = options->producer_epoch;
    logstore_records_builder_add(&builder, &(struct logstore_record_input){
                                               .timestamp_ms = options->timestamp_ms,
                                               .key = base_slice_of(key, sizeof key),
                                               .value = base_slice_of(value, sizeof value),
                                           });
    return logstore_records_builder_finish(&builder);
}
