/* Batch header: parse, check, patch. */
#include "logstore/batch.h"

#include <assert.h>

#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "logstore/record_priv.h"

static_assert(LOGSTORE_BATCH_AT_RECORDS_COUNT + 4 == LOGSTORE_BATCH_HEADER_SIZE,
              "the count is the last field of the header");
static_assert(LOGSTORE_BATCH_AT_LENGTH + 4 == LOGSTORE_BATCH_LENGTH_OVERHEAD,
              "batch_length counts what follows it");
static_assert(LOGSTORE_BATCH_AT_CRC + 4 == LOGSTORE_BATCH_AT_ATTRIBUTES,
              "the CRC covers what follows it");
static_assert(LOGSTORE_CODEC_COUNT <= LOGSTORE_BATCH_CODEC_MASK + 1, "codecs fit in their bits");

/* What can be told from the first `size` bytes: false if they cannot begin a batch. */
static bool prefix_is_good(const uint8_t *bytes, size_t size)
{
    if (size >= LOGSTORE_BATCH_AT_LENGTH && base_get_i64(bytes) < 0) {
        return false;
    }
    if (size >= LOGSTORE_BATCH_LENGTH_OVERHEAD &&
        base_get_i32(bytes + LOGSTORE_BATCH_AT_LENGTH) <
            LOGSTORE_BATCH_HEADER_SIZE - LOGSTORE_BATCH_LENGTH_OVERHEAD) {
        return false;
    }
    return size <= LOGSTORE_BATCH_AT_MAGIC ||
           bytes[LOGSTORE_BATCH_AT_MAGIC] == LOGSTORE_BATCH_MAGIC;
}

static void parse_header(const uint8_t *bytes, struct logstore_batch *out)
{
    *out = (struct logstore_batch){
        .base_offset = base_get_i64(bytes + LOGSTORE_BATCH_AT_BASE_OFFSET),
        .size_bytes =
            (size_t)base_get_u32(bytes + LOGSTORE_BATCH_AT_LENGTH) + LOGSTORE_BATCH_LENGTH_OVERHEAD,
        .leader_epoch = base_get_i32(bytes + LOGSTORE_BATCH_AT_LEADER_EPOCH),
        .crc = base_get_u32(bytes + LOGSTORE_BATCH_AT_CRC),
        .attributes = base_get_u16(bytes + LOGSTORE_BATCH_AT_ATTRIBUTES),
        .last_offset_delta = base_get_i32(bytes + LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA),
        .base_timestamp = base_get_i64(bytes + LOGSTORE_BATCH_AT_BASE_TIMESTAMP),
        .max_timestamp = base_get_i64(bytes + LOGSTORE_BATCH_AT_MAX_TIMESTAMP),
        .producer_id = base_get_i64(bytes + LOGSTORE_BATCH_AT_PRODUCER_ID),
        .producer_epoch = base_get_i16(bytes + LOGSTORE_BATCH_AT_PRODUCER_EPOCH),
        .base_sequence = base_get_i32(bytes + LOGSTORE_BATCH_AT_BASE_SEQUENCE),
        .records_count = base_get_i32(bytes + LOGSTORE_BATCH_AT_RECORDS_COUNT),
    };
}

/* Offsets must not overflow, and there cannot be more records than offsets. Fewer is
 * what compaction leaves behind. */
static bool counts_are_good(const struct logstore_batch *batch)
{
    return batch->last_offset_delta >= 0 && batch->records_count >= 0 &&
           batch->records_count <= (int64_t)batch->last_offset_delta + 1 &&
           batch->base_offset < INT64_MAX - batch->last_offset_delta;
}

enum base_err logstore_batch_peek(const void *data, size_t size, struct logstore_batch *out,
                                  size_t *needed)
{
    BASE_ASSERT(data != NULL || size == 0);
    size_t ignored = 0;
    needed = needed == NULL ? &ignored : needed;
    *needed = 0;
    *out = (struct logstore_batch){0};

    if (!prefix_is_good(data, size)) {
        return BASE_ERR_MALFORMED;
    }
    if (size < LOGSTORE_BATCH_HEADER_SIZE) {
        *needed = LOGSTORE_BATCH_HEADER_SIZE;
        return BASE_ERR_MALFORMED;
    }
    struct logstore_batch batch;
    parse_header(data, &batch);
    if (!counts_are_good(&batch)) {
        return BASE_ERR_MALFORMED;
    }
    *out = batch;
    if (batch.size_bytes > size) {
        *needed = batch.size_bytes;
        return BASE_ERR_MALFORMED;
    }
    return BASE_ERR_OK;
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    BASE_ASSERT(size >= LOGSTORE_BATCH_HEADER_SIZE);
    return base_crc32c(0, bytes + LOGSTORE_BATCH_AT_ATTRIBUTES,
                       size - LOGSTORE_BATCH_AT_ATTRIBUTES);
}

enum base_err logstore_batch_verify_crc(const void *data, size_t size)
{
    uint32_t stored = base_get_u32((const uint8_t *)data + LOGSTORE_BATCH_AT_CRC);
    return crc_of(data, size) == stored ? BASE_ERR_OK : BASE_ERR_CORRUPT;
}

enum base_err logstore_batch_check_records(const void *data, const struct logstore_batch *batch)
{
    BASE_ASSERT(batch->size_bytes >= LOGSTORE_BATCH_HEADER_SIZE);

    if (batch->records_count <= 0 || batch->records_count - 1 != batch->last_offset_delta) {
        return BASE_ERR_MALFORMED;
    }
    if (logstore_batch_codec(batch) >= LOGSTORE_CODEC_COUNT) {
        return BASE_ERR_UNSUPPORTED;
    }
    if (logstore_batch_codec(batch) != LOGSTORE_CODEC_NONE) {
        return batch->size_bytes > LOGSTORE_BATCH_HEADER_SIZE ? BASE_ERR_OK : BASE_ERR_MALFORMED;
    }
    struct logstore__cursor cursor = {
        .at = (const uint8_t *)data + LOGSTORE_BATCH_HEADER_SIZE,
        .left = batch->size_bytes - LOGSTORE_BATCH_HEADER_SIZE,
    };
    for (int32_t i = 0; i < batch->records_count; i++) {
        struct logstore__record record;
        if (!logstore__record_parse(&cursor, &record) || record.offset_delta != i) {
            return BASE_ERR_MALFORMED;
        }
    }
    return cursor.left == 0 ? BASE_ERR_OK : BASE_ERR_MALFORMED;
}

void logstore_batch_set_offset_and_epoch(void *data, int64_t base_offset, int32_t leader_epoch)
{
    BASE_ASSERT(base_offset >= 0);
    uint8_t *bytes = data;
    base_put_i64(bytes + LOGSTORE_BATCH_AT_BASE_OFFSET, base_offset);
    base_put_i32(bytes + LOGSTORE_BATCH_AT_LEADER_EPOCH, leader_epoch);
}

void logstore_batch_set_append_time(void *data, size_t size, int64_t timestamp_ms)
{
    uint8_t *bytes = data;
    unsigned attributes = base_get_u16(bytes + LOGSTORE_BATCH_AT_ATTRIBUTES);

    base_put_u16(bytes + LOGSTORE_BATCH_AT_ATTRIBUTES,
                 (uint16_t)(attributes | LOGSTORE_BATCH_APPEND_TIME));
    logstore_batch_set_max_timestamp(data, size, timestamp_ms);
}

void logstore_batch_set_max_timestamp(void *data, size_t size, int64_t timestamp_ms)
{
    uint8_t *bytes = data;

    base_put_i64(bytes + LOGSTORE_BATCH_AT_MAX_TIMESTAMP, timestamp_ms);
    base_put_u32(bytes + LOGSTORE_BATCH_AT_CRC, crc_of(bytes, size));
}

int32_t logstore_batch_last_sequence(const struct logstore_batch *batch)
{
    if (batch->base_sequence < 0) {
        return -1;
    }
    /* The number after INT32_MAX is 0, so the sum counts modulo 2^31. */
    return (int32_t)(((uint32_t)batch->base_sequence + (uint32_t)batch->last_offset_delta) &
                     INT32_MAX);
}
