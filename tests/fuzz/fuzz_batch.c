/* libFuzzer target: no byte string may make the readers of record batches crash, read out
 * of bounds, take more memory than allowed, or disagree with each other.
 *
 * First byte: 0 to 6 gives the rest to one decompressor as it is, 7 to the decoder of
 * producer snapshots, anything else takes it as a batch. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/endian.h"
#include "logstore/batch.h"
#include "logstore/compression.h"
#include "logstore/producers.h"
#include "logstore/records.h"
#include "logstore/records_builder.h"

enum { LIMIT_BYTES = 1 << 18, MODE_SNAPSHOT = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_inside(struct base_slice slice, const uint8_t *data, size_t size)
{
    if (slice.data != NULL) {
        BASE_ASSERT(slice.data >= data);
        BASE_ASSERT(slice.length <= size);
        BASE_ASSERT((size_t)(slice.data - data) <= size - slice.length);
    }
}

static void read_headers(const struct logstore_record *record)
{
    struct logstore_headers headers;
    struct logstore_header header;
    int32_t count = 0;
    logstore_headers_init(&headers, record);
    while (logstore_headers_next(&headers, &header)) {
        assert_inside(header.key, record->headers.data, record->headers.length);
        assert_inside(header.value, record->headers.data, record->headers.length);
        count++;
    }
    BASE_ASSERT(count == record->headers_count);
}

/* Reads all records, copies them into a batch of our own, and checks that one. */
static enum base_err read_records(const uint8_t *data, size_t size)
{
    struct logstore_records records;
    struct logstore_record record;
    struct base_writer writer;
    struct logstore_records_builder builder;

    enum base_err err = logstore_records_open(&records, data, size, LIMIT_BYTES);
    if (err != BASE_ERR_OK) {
        return err;
    }
    const uint8_t *bytes = records.inflated == NULL ? data : records.inflated->data;
    size_t bytes_size = records.inflated == NULL ? size : records.inflated->capacity;
    BASE_ASSERT(records.inflated == NULL || bytes_size <= LIMIT_BYTES);

    base_writer_init(&writer, SIZE_MAX);
    logstore_records_builder_begin(&builder, &writer);
    builder.header.base_offset = records.batch.base_offset;
    while (logstore_records_next(&records, &record)) {
        assert_inside(record.key, bytes, bytes_size);
        assert_inside(record.value, bytes, bytes_size);
        read_headers(&record);
        logstore_records_builder_copy(&builder, &record);
    }
    err = logstore_records_finish(&records);
    if (err == BASE_ERR_OK && records.batch.records_count > 0) {
        enum base_err built = logstore_records_builder_finish(&builder);
        BASE_ASSERT(built == BASE_ERR_OK);
        BASE_ASSERT(builder.header.records_count == records.batch.records_count);
        built = logstore_batch_verify_crc(writer.buffer->data, writer.length);
        BASE_ASSERT(built == BASE_ERR_OK);
        struct logstore_batch batch;
        built = logstore_batch_peek(writer.buffer->data, writer.length, &batch, NULL);
        BASE_ASSERT(built == BASE_ERR_OK);
    }
    base_writer_fini(&writer);
    logstore_records_close(&records);
    return err;
}

static void note_producer(const struct logstore_batch *batch)
{
    struct logstore_producers producers;
    struct logstore_duplicate duplicate;

    logstore_producers_init(&producers);
    enum logstore_verdict verdict = logstore_producers_check(&producers, batch, &duplicate);
    BASE_ASSERT(verdict == LOGSTORE_VERDICT_APPEND);
    enum base_err err = logstore_producers_reserve(&producers, batch);
    BASE_ASSERT(err == BASE_ERR_OK);
    logstore_producers_update(&producers, batch, 1);
    verdict = logstore_producers_check(&producers, batch, &duplicate);
    if (logstore_batch_has_producer(batch) && !logstore_batch_is_control(batch)) {
        BASE_ASSERT(verdict == LOGSTORE_VERDICT_DUPLICATE);
        BASE_ASSERT(duplicate.base_offset == batch->base_offset);
    }
    logstore_producers_fini(&producers);
}

static void read_batch(const uint8_t *data, size_t size)
{
    struct logstore_batch batch;
    size_t needed = 0;

    enum base_err err = logstore_batch_peek(data, size, &batch, &needed);
    if (err != BASE_ERR_OK) {
        BASE_ASSERT(needed == 0 || needed > size);
        return;
    }
    BASE_ASSERT(batch.size_bytes <= size);
    (void)logstore_batch_next_offset(&batch);
    note_producer(&batch);
    enum base_err crc_err = logstore_batch_verify_crc(data, batch.size_bytes);
    BASE_ASSERT(crc_err == BASE_ERR_OK || crc_err == BASE_ERR_CORRUPT);
    err = logstore_batch_check_records(data, &batch);
    enum base_err read_err = read_records(data, size);
    if (logstore_batch_codec(&batch) == LOGSTORE_CODEC_NONE && err == BASE_ERR_OK) {
        BASE_ASSERT(read_err == BASE_ERR_OK); /* what is let in can be read */
    }
}

static void read_stream(unsigned codec, struct base_slice packed)
{
    struct base_writer out;
    base_writer_init(&out, LIMIT_BYTES);
    enum base_err err = logstore_decompress(codec, packed, &out);
    BASE_ASSERT(err != BASE_ERR_OK || out.err == BASE_ERR_OK);
    BASE_ASSERT(out.length <= LIMIT_BYTES);
    BASE_ASSERT(out.buffer == NULL || out.buffer->capacity <= LIMIT_BYTES);
    base_writer_fini(&out);
}

static void read_snapshot(const uint8_t *data, size_t size)
{
    struct logstore_producers producers;
    struct base_reader reader;
    struct base_writer writer;

    logstore_producers_init(&producers);
    base_reader_init(&reader, data, size);
    enum base_err err = logstore_producers_decode(&producers, &reader);
    if (err == BASE_ERR_OK) {
        base_writer_init(&writer, SIZE_MAX);
        logstore_producers_encode(&producers, &writer);
        BASE_ASSERT(writer.length == size - reader.remaining);
        base_writer_fini(&writer);
        (void)logstore_producers_expire(&producers, INT64_MAX, 0);
    } else {
        BASE_ASSERT(logstore_producers_count(&producers) == 0);
    }
    logstore_producers_fini(&producers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    unsigned mode = data[0];
    if (mode < MODE_SNAPSHOT) {
        read_stream(mode, base_slice_of(data + 1, size - 1));
    } else if (mode == MODE_SNAPSHOT) {
        read_snapshot(data + 1, size - 1);
    } else {
        read_batch(data + 1, size - 1);
    }
    return 0;
}
