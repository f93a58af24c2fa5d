/* Iterator over the records of a batch. */
#include "logstore/records.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/writer.h"
#include "logstore/compression.h"
#include "logstore/record_priv.h"

static enum base_err inflate_records(struct logstore_records *records, struct base_slice packed,
                                     size_t inflated_bytes_max, struct base_slice *plain)
{
    struct base_writer writer;
    base_writer_init(&writer, inflated_bytes_max);

    enum base_err err = logstore_decompress(logstore_batch_codec(&records->batch), packed, &writer);
    if (err == BASE_ERR_OK) {
        size_t length = 0;
        records->inflated = base_writer_take(&writer, &length);
        records->inflated_bytes = length;
        *plain = base_slice_of(records->inflated == NULL ? NULL : records->inflated->data, length);
    }
    base_writer_fini(&writer);
    return err;
}

enum base_err logstore_records_open(struct logstore_records *records, const void *data, size_t size,
                                    size_t inflated_bytes_max)
{
    *records = (struct logstore_records){.offset_delta_last = -1};

    enum base_err err = logstore_batch_peek(data, size, &records->batch, NULL);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct base_slice plain = base_slice_of((const uint8_t *)data + LOGSTORE_BATCH_HEADER_SIZE,
                                            records->batch.size_bytes - LOGSTORE_BATCH_HEADER_SIZE);
    /* A batch that compaction emptied keeps its codec but has nothing to inflate. */
    if (logstore_batch_codec(&records->batch) != LOGSTORE_CODEC_NONE && plain.length > 0) {
        err = inflate_records(records, plain, inflated_bytes_max, &plain);
        if (err != BASE_ERR_OK) {
            return err;
        }
    }
    base_reader_init(&records->reader, plain.data, plain.length);
    return BASE_ERR_OK;
}

static bool take_record(struct logstore_records *records, struct logstore__record *raw)
{
    struct logstore__cursor cursor = {.at = records->reader.cursor,
                                      .left = records->reader.remaining};
    if (!logstore__record_parse(&cursor, raw) || raw->offset_delta <= records->offset_delta_last ||
        raw->offset_delta > records->batch.last_offset_delta) {
        return false;
    }
    const uint8_t *taken =
        base_reader_take(&records->reader, records->reader.remaining - cursor.left);
    BASE_ASSERT(taken != NULL);
    return true;
}

bool logstore_records_next(struct logstore_records *records, struct logstore_record *out)
{
    const struct logstore_batch *batch = &records->batch;

    if (records->err != BASE_ERR_OK || records->records_read == batch->records_count) {
        return false;
    }
    struct logstore__record raw;
    if (!take_record(records, &raw)) {
        records->err = BASE_ERR_MALFORMED;
        return false;
    }
    records->records_read++;
    records->offset_delta_last = raw.offset_delta;
    *out = (struct logstore_record){
        .offset = batch->base_offset + raw.offset_delta,
        /* Wraps rather than overflows: both numbers are the client's. */
        .timestamp_ms =
            logstore_batch_is_append_time(batch)
                ? batch->max_timestamp
                : (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)raw.timestamp_delta),
        .key = raw.key,
        .value = raw.value,
        .headers = raw.headers,
        .headers_count = raw.headers_count,
    };
    return true;
}

enum base_err logstore_records_finish(const struct logstore_records *records)
{
    if (records->err != BASE_ERR_OK) {
        return records->err;
    }
    if (records->records_read != records->batch.records_count) {
        return BASE_ERR_MALFORMED;
    }
    return base_reader_finish(&records->reader);
}

void logstore_records_close(struct logstore_records *records)
{
    base_buffer_release(&records->inflated);
    base_reader_init(&records->reader, NULL, 0);
    records->records_read = records->batch.records_count;
}

enum base_err logstore_records_date_batch(void *data, struct logstore_batch *batch,
                                          size_t *inflated_bytes_left)
{
    struct logstore_records records;
    struct logstore_record record;
    int64_t max_timestamp = -1;

    if (batch->max_timestamp >= 0 || batch->base_timestamp < 0) {
        return BASE_ERR_OK;
    }
    enum base_err err =
        logstore_records_open(&records, data, batch->size_bytes, *inflated_bytes_left);
    if (err != BASE_ERR_OK) {
        *inflated_bytes_left = 0;
        return err;
    }
    *inflated_bytes_left -= records.inflated_bytes;
    while (logstore_records_next(&records, &record)) {
        max_timestamp = record.timestamp_ms > max_timestamp ? record.timestamp_ms : max_timestamp;
    }
    err = logstore_records_finish(&records);
    logstore_records_close(&records);
    if (err == BASE_ERR_OK && max_timestamp >= 0) {
        logstore_batch_set_max_timestamp(data, batch->size_bytes, max_timestamp);
        err = logstore_batch_peek(data, batch->size_bytes, batch, NULL);
        BASE_ASSERT(err == BASE_ERR_OK);
    }
    return err;
}

void logstore_headers_init(struct logstore_headers *headers, const struct logstore_record *record)
{
    base_reader_init(&headers->reader, record->headers.data, record->headers.length);
}

bool logstore_headers_next(struct logstore_headers *headers, struct logstore_header *out)
{
    struct logstore__cursor cursor = {.at = headers->reader.cursor,
                                      .left = headers->reader.remaining};
    if (cursor.left == 0) {
        return false;
    }
    bool key_read = logstore__bytes(&cursor, &out->key);
    BASE_ASSERT(key_read && out->key.data != NULL);
    bool value_read = logstore__bytes(&cursor, &out->value);
    BASE_ASSERT(value_read);
    const uint8_t *taken =
        base_reader_take(&headers->reader, headers->reader.remaining - cursor.left);
    BASE_ASSERT(taken != NULL);
    return true;
}

bool logstore_record_header(const struct logstore_record *record, const char *key,
                            struct base_slice *value)
{
    struct logstore_headers headers;
    struct logstore_header header;

    *value = base_slice_of(NULL, 0);
    logstore_headers_init(&headers, record);
    while (logstore_headers_next(&headers, &header)) {
        if (base_slice_is(header.key, key)) {
            *value = header.value;
            return true;
        }
    }
    return false;
}
