/* Header of a record batch (Kafka message format v2, KIP-98), read and patched in place.
 *
 * Layout, big-endian: the 61 bytes named below, then the records. batch_length
 * counts the bytes behind itself. The CRC covers everything from the attributes
 * on, so that a broker may set base offset and leader epoch without a new CRC. */
#ifndef LOGSTORE_BATCH_H
#define LOGSTORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

enum logstore_batch_position {
    LOGSTORE_BATCH_AT_BASE_OFFSET = 0,
    LOGSTORE_BATCH_AT_LENGTH = 8,
    LOGSTORE_BATCH_AT_LEADER_EPOCH = 12,
    LOGSTORE_BATCH_AT_MAGIC = 16,
    LOGSTORE_BATCH_AT_CRC = 17,
    LOGSTORE_BATCH_AT_ATTRIBUTES = 21,
    LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA = 23,
    LOGSTORE_BATCH_AT_BASE_TIMESTAMP = 27,
    LOGSTORE_BATCH_AT_MAX_TIMESTAMP = 35,
    LOGSTORE_BATCH_AT_PRODUCER_ID = 43,
    LOGSTORE_BATCH_AT_PRODUCER_EPOCH = 51,
    LOGSTORE_BATCH_AT_BASE_SEQUENCE = 53,
    LOGSTORE_BATCH_AT_RECORDS_COUNT = 57,
    LOGSTORE_BATCH_HEADER_SIZE = 61,
};

enum {
    LOGSTORE_BATCH_LENGTH_OVERHEAD = 12, /* bytes before those that batch_length counts */
    LOGSTORE_BATCH_MAGIC = 2,
};

enum logstore_batch_attribute {
    LOGSTORE_BATCH_CODEC_MASK = 0x07,
    LOGSTORE_BATCH_APPEND_TIME = 0x08, /* all records carry max_timestamp */
    LOGSTORE_BATCH_TRANSACTIONAL = 0x10,
    LOGSTORE_BATCH_CONTROL = 0x20, /* transaction marker, not data */
    LOGSTORE_BATCH_DELETE_HORIZON = 0x40,
};

enum logstore_codec {
    LOGSTORE_CODEC_NONE,
    LOGSTORE_CODEC_GZIP,
    LOGSTORE_CODEC_SNAPPY,
    LOGSTORE_CODEC_LZ4,
    LOGSTORE_CODEC_ZSTD,
    LOGSTORE_CODEC_COUNT,
};

/* The header as a plain value. -1 stands for "none" in the producer's fields. */
struct logstore_batch {
    int64_t base_offset;
    size_t size_bytes; /* of the whole batch, first to last byte */
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes; /* enum logstore_batch_attribute */
    int32_t last_offset_delta;
    int64_t base_timestamp; /* ms; -1 none */
    int64_t max_timestamp;  /* ms; -1 none */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t records_count;
};

/* Parses the header at data. OK: *out is set and the whole batch lies in size bytes.
 *
 * MALFORMED: *needed (may be NULL) tells why. 0: this is no batch (length too
 * small or negative, magic not 2, negative offset, delta or count). Otherwise the
 * bytes so far are good but end early, and the batch takes at least *needed bytes;
 * when size covers the header, *out is set and *needed is the batch's exact size. */
BASE_MUST_USE enum base_err logstore_batch_peek(const void *data, size_t size,
                                                struct logstore_batch *out, size_t *needed);

/* CORRUPT unless the stored CRC-32C matches. data and size: one whole batch. */
BASE_MUST_USE enum base_err logstore_batch_verify_crc(const void *data, size_t size);

/* What a broker must know before it appends a client's batch: the records are
 * well-formed, numbered 0..n-1, as many as the header says (n > 0), and nothing
 * is left over. Compressed records are not opened: there only the header's
 * counts are compared. UNSUPPORTED for an unknown codec, else MALFORMED.
 * batch: from logstore_batch_peek(data). */
BASE_MUST_USE enum base_err logstore_batch_check_records(const void *data,
                                                         const struct logstore_batch *batch);

/* Outside the CRC. */
void logstore_batch_set_offset_and_epoch(void *data, int64_t base_offset, int32_t leader_epoch);

/* Turns the batch into one with log append time; makes a new CRC. */
void logstore_batch_set_append_time(void *data, size_t size, int64_t timestamp_ms);

/* Makes a new CRC too. -1: none. */
void logstore_batch_set_max_timestamp(void *data, size_t size, int64_t timestamp_ms);

static inline bool logstore_batch_is_control(const struct logstore_batch *batch)
{
    return (batch->attributes & LOGSTORE_BATCH_CONTROL) != 0;
}

static inline bool logstore_batch_is_transactional(const struct logstore_batch *batch)
{
    return (batch->attributes & LOGSTORE_BATCH_TRANSACTIONAL) != 0;
}

static inline bool logstore_batch_is_append_time(const struct logstore_batch *batch)
{
    return (batch->attributes & LOGSTORE_BATCH_APPEND_TIME) != 0;
}

static inline bool logstore_batch_has_producer(const struct logstore_batch *batch)
{
    return batch->producer_id >= 0;
}

/* May be a number that has no codec (5 to 7): check_records() refuses it. */
static inline unsigned logstore_batch_codec(const struct logstore_batch *batch)
{
    return batch->attributes & LOGSTORE_BATCH_CODEC_MASK;
}

static inline int64_t logstore_batch_last_offset(const struct logstore_batch *batch)
{
    return batch->base_offset + batch->last_offset_delta;
}

static inline int64_t logstore_batch_next_offset(const struct logstore_batch *batch)
{
    return logstore_batch_last_offset(batch) + 1;
}

/* Whether the batch lies in [from, to), from being where the batch before it in the log ends. The
 * base offset is outside the CRC, and only this tells when a disk has changed it. */
static inline bool logstore_batch_fits(const struct logstore_batch *batch, int64_t from, int64_t to)
{
    return batch->base_offset >= from && logstore_batch_next_offset(batch) <= to;
}

/* Sequence numbers wrap from 2147483647 to 0; -1 when the batch has none. */
int32_t logstore_batch_last_sequence(const struct logstore_batch *batch);

#endif
