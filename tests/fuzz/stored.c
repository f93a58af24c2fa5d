/* Records out of inputs. */
#include "tests/fuzz/stored.h"

#include "core/base/assert.h"

enum { NULL_BYTE = 0xff, NULL_WORD = 0xffff };

/* As many bytes as are left, at most. */
static struct base_slice take(struct base_reader *reader, size_t length)
{
    length = length < reader->remaining ? length : reader->remaining;
    return length == 0 ? base_slice_of("", 0) : base_reader_bytes(reader, length);
}

static size_t take_byte(struct base_reader *reader)
{
    return reader->remaining == 0 ? 0 : (uint8_t)base_reader_int8(reader);
}

static struct base_slice take_short(struct base_reader *reader)
{
    size_t length = take_byte(reader);
    return length == NULL_BYTE ? base_slice_of(NULL, 0) : take(reader, length);
}

bool stored_take(struct base_reader *reader, int64_t timestamp_ms, struct stored_record *out)
{
    if (reader->remaining == 0) {
        return false;
    }
    *out = (struct stored_record){.input = {.timestamp_ms = timestamp_ms,
                                            .key = take_short(reader),
                                            .headers = out->headers}};
    size_t length = take_byte(reader) << 8;
    length |= take_byte(reader);
    if (length != NULL_WORD) {
        out->input.value = take(reader, length);
    }
    out->input.headers_count = take_byte(reader) % (STORED_HEADERS_MAX + 1);
    for (size_t i = 0; i < out->input.headers_count; i++) {
        struct base_slice key = take_short(reader);
        out->headers[i].key = key.data == NULL ? base_slice_of("", 0) : key;
        out->headers[i].value = take_short(reader);
    }
    return true;
}

void stored_batch_open(struct stored_batch *batch, const struct stored_record *record)
{
    struct logstore_records_builder builder;

    base_writer_init(&batch->writer, SIZE_MAX);
    logstore_records_builder_begin(&builder, &batch->writer);
    logstore_records_builder_add(&builder, &record->input);
    enum base_err err = logstore_records_builder_finish(&builder);
    BASE_ASSERT(err == BASE_ERR_OK);
    err = logstore_records_open(&batch->records, batch->writer.buffer->data, batch->writer.length,
                                SIZE_MAX);
    BASE_ASSERT(err == BASE_ERR_OK);
    bool is_there = logstore_records_next(&batch->records, &batch->record);
    BASE_ASSERT(is_there);
}

void stored_batch_close(struct stored_batch *batch)
{
    logstore_records_close(&batch->records);
    base_writer_fini(&batch->writer);
}
