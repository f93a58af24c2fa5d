/* Footers and checkpoints: magic, version, CRC-32C of all that follows, then the fields. */
#include "logstore/footer.h"

#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"

enum {
    FOOTER_MAGIC = 0x444d5349, /* "DMSI" */
    FOOTER_VERSION = 1,
    AT_CRC = 8, /* magic 4, version 2, reserved 2 */
    AT_FIELDS = AT_CRC + 4,
};

void logstore_footer_snapshot_encode(const struct logstore_epochs *epochs,
                                     const struct logstore_producers *producers,
                                     struct base_writer *writer)
{
    logstore_epochs_encode(epochs, writer);
    logstore_producers_encode(producers, writer);
}

void logstore_footer_encode(const struct logstore_footer *footer,
                            const struct logstore_index *index, struct base_slice snapshot,
                            struct base_writer *writer)
{
    BASE_ASSERT(writer->length == 0);
    BASE_ASSERT(footer->snapshot_offset >= 0 || snapshot.length == 0);

    base_writer_uint32(writer, FOOTER_MAGIC);
    base_writer_int16(writer, FOOTER_VERSION);
    base_writer_int16(writer, 0);
    base_writer_uint32(writer, 0); /* the CRC, below */
    base_writer_int64(writer, footer->base_offset);
    base_writer_int64(writer, (int64_t)footer->covered_bytes);
    base_writer_int64(writer, footer->next_offset);
    base_writer_int64(writer, footer->created_at_ms);
    base_writer_int64(writer, footer->written_at_ms);
    base_writer_int64(writer, footer->max_timestamp_ms);
    base_writer_int64(writer, footer->max_timestamp_offset);
    base_writer_int64(writer, footer->snapshot_offset);
    logstore_index_encode(index, footer->covered_bytes, writer);
    base_writer_uint32(writer, (uint32_t)snapshot.length);
    base_writer_slice(writer, snapshot);
    if (writer->err == BASE_ERR_OK) {
        uint32_t crc = base_crc32c(0, writer->buffer->data + AT_FIELDS, writer->length - AT_FIELDS);
        base_put_u32(writer->buffer->data + AT_CRC, crc);
    }
}

/* The numbers must make sense together; later code computes with them unchecked. */
static bool fields_are_good(const struct logstore_footer *footer,
                            const struct logstore_index *index)
{
    struct logstore_index_entry last = logstore_index_find_position(index, UINT32_MAX);

    return footer->base_offset >= 0 && footer->next_offset >= footer->base_offset &&
           footer->covered_bytes <= UINT32_MAX && footer->snapshot_offset >= -1 &&
           footer->created_at_ms >= 0 && footer->written_at_ms >= 0 &&
           (index->count == 0 || last.position < footer->covered_bytes) &&
           last.relative_offset <= footer->next_offset - footer->base_offset &&
           last.max_timestamp_ms <= footer->max_timestamp_ms; /* -1 without an entry */
}

static enum base_err check_frame(struct base_reader *reader, struct base_slice content)
{
    uint32_t magic = base_reader_uint32(reader);
    uint16_t version = base_reader_uint16(reader);
    (void)base_reader_uint16(reader);
    uint32_t crc = base_reader_uint32(reader);

    if (reader->failed || magic != FOOTER_MAGIC) {
        return BASE_ERR_MALFORMED;
    }
    if (version != FOOTER_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    if (base_crc32c(0, content.data + AT_FIELDS, content.length - AT_FIELDS) != crc) {
        return BASE_ERR_CORRUPT;
    }
    return BASE_ERR_OK;
}

enum base_err logstore_footer_decode(struct base_slice content, struct logstore_footer *footer,
                                     struct logstore_index *index, struct base_slice *snapshot)
{
    struct base_reader reader;

    logstore_index_fini(index);
    base_reader_init(&reader, content.data, content.length);
    enum base_err err = check_frame(&reader, content);
    if (err != BASE_ERR_OK) {
        return err;
    }
    footer->base_offset = base_reader_int64(&reader);
    footer->covered_bytes = (uint64_t)base_reader_int64(&reader);
    footer->next_offset = base_reader_int64(&reader);
    footer->created_at_ms = base_reader_int64(&reader);
    footer->written_at_ms = base_reader_int64(&reader);
    footer->max_timestamp_ms = base_reader_int64(&reader);
    footer->max_timestamp_offset = base_reader_int64(&reader);
    footer->snapshot_offset = base_reader_int64(&reader);
    err = logstore_index_decode(index, &reader);
    if (err == BASE_ERR_OK) {
        *snapshot = base_reader_bytes(&reader, base_reader_uint32(&reader));
        err = base_reader_finish(&reader);
    }
    if (err == BASE_ERR_OK && !fields_are_good(footer, index)) {
        err = BASE_ERR_MALFORMED;
    }
    if (err != BASE_ERR_OK) {
        logstore_index_fini(index);
    }
    return err;
}

enum base_err logstore_footer_snapshot_decode(struct base_slice snapshot,
                                              struct logstore_epochs *epochs,
                                              struct logstore_producers *producers)
{
    struct base_reader reader;

    base_reader_init(&reader, snapshot.data, snapshot.length);
    enum base_err err = logstore_epochs_decode(epochs, &reader);
    if (err == BASE_ERR_OK) {
        err = logstore_producers_decode(producers, &reader);
    }
    if (err == BASE_ERR_OK) {
        err = base_reader_finish(&reader);
    }
    if (err != BASE_ERR_OK) {
        logstore_epochs_fini(epochs);
        logstore_producers_clear(producers);
    }
    return err;
}
