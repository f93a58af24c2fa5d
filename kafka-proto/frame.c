/* Frames and their headers, which are too few and too odd to be rows. */
#include "kafka-proto/frame.h"

#include "core/base/assert.h"
#include "kafka-proto/decode_priv.h"
#include "kafka-proto/encode.h"

/* Headers have no tagged field that we know. */
static void skip_tags(struct base_reader *reader)
{
    uint32_t count = base_reader_uvarint(reader);
    int64_t tag = -1;
    struct base_slice value;
    for (uint32_t i = 0; i < count && kproto__tag_take(reader, &tag, &value); i++) {
    }
}

/* A nullable string with a 16-bit length also in the flexible header (KIP-482). */
static struct base_slice take_client_id(struct base_reader *reader)
{
    int16_t length = base_reader_int16(reader);
    if (length >= 0) {
        return base_reader_bytes(reader, (size_t)length);
    }
    if (length < -1) {
        base_reader_fail(reader);
    }
    return (struct base_slice){0};
}

enum base_err kproto_request_header_decode(struct base_reader *reader,
                                           struct kproto_request_header *out)
{
    *out = (struct kproto_request_header){
        .api_key = base_reader_int16(reader),
        .api_version = base_reader_int16(reader),
        .correlation_id = base_reader_int32(reader),
    };
    const struct kproto_api *api = reader->failed ? NULL : kproto_api_find(out->api_key);
    if (!reader->failed && api == NULL) {
        return BASE_ERR_UNSUPPORTED;
    }
    out->client_id = take_client_id(reader);
    if (api != NULL && kproto_api_request_header_version(api, out->api_version) >= 2) {
        skip_tags(reader);
    }
    if (reader->failed) {
        *out = (struct kproto_request_header){0};
        return BASE_ERR_MALFORMED;
    }
    return BASE_ERR_OK;
}

/* Fills in the length of the frame that began at `begin` in the bytes; the writer was
 * total_before bytes long then. */
static enum base_err end_frame(struct kproto_writer *writer, size_t begin, size_t total_before)
{
    size_t length = kproto_writer_length(writer) - total_before - sizeof(int32_t);
    if (writer->bytes.err == BASE_ERR_OK && length > INT32_MAX) {
        writer->bytes.err = BASE_ERR_TOO_LARGE;
    }
    base_writer_patch_int32(&writer->bytes, begin, (int32_t)length);
    return writer->bytes.err;
}

enum base_err kproto_response_encode(struct kproto_writer *writer, const struct kproto_api *api,
                                     int16_t version, int32_t correlation_id, const void *response)
{
    BASE_ASSERT(api != NULL);

    size_t begin = writer->bytes.length;
    size_t total_before = kproto_writer_length(writer);
    base_writer_int32(&writer->bytes, 0);
    base_writer_int32(&writer->bytes, correlation_id);
    if (kproto_api_response_header_version(api, version) >= 1) {
        base_writer_uvarint(&writer->bytes, 0);
    }
    enum base_err err = kproto_encode(writer, api->response, version, response);
    return err != BASE_ERR_OK ? err : end_frame(writer, begin, total_before);
}

enum base_err kproto_request_encode(struct kproto_writer *writer, const struct kproto_api *api,
                                    const struct kproto_request_header *header, const void *request)
{
    BASE_ASSERT(api != NULL);
    BASE_ASSERT(header->api_key == api->key);
    BASE_ASSERT(header->client_id.length <= INT16_MAX);

    struct base_writer *bytes = &writer->bytes;
    size_t begin = bytes->length;
    size_t total_before = kproto_writer_length(writer);
    base_writer_int32(bytes, 0);
    base_writer_int16(bytes, header->api_key);
    base_writer_int16(bytes, header->api_version);
    base_writer_int32(bytes, header->correlation_id);
    bool has_client_id = header->client_id.data != NULL;
    base_writer_int16(bytes, (int16_t)(has_client_id ? (int)header->client_id.length : -1));
    base_writer_slice(bytes, header->client_id);
    if (kproto_api_request_header_version(api, header->api_version) >= 2) {
        base_writer_uvarint(bytes, 0);
    }
    enum base_err err = kproto_encode(writer, api->request, header->api_version, request);
    return err != BASE_ERR_OK ? err : end_frame(writer, begin, total_before);
}

enum base_err kproto_response_header_decode(struct base_reader *reader,
                                            const struct kproto_api *api, int16_t version,
                                            int32_t *correlation_id)
{
    *correlation_id = base_reader_int32(reader);
    if (kproto_api_response_header_version(api, version) >= 1) {
        skip_tags(reader);
    }
    if (reader->failed) {
        *correlation_id = 0;
        return BASE_ERR_MALFORMED;
    }
    return BASE_ERR_OK;
}
