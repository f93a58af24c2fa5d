/* libFuzzer target: no bytes may make the codec crash, read out of bounds or lose anything.
 *
 * Byte 0 chooses the API, byte 1 the version and, by its top bit, request or response. The
 * rest is decoded; what decodes must encode, decode again and encode to the same bytes. */
#include <stdint.h>
#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/api.h"
#include "kafka-proto/decode.h"
#include "kafka-proto/dump.h"
#include "kafka-proto/encode.h"
#include "kafka-proto/frame.h"

enum {
    ARENA_LIMIT = 1 << 26,
    WRITER_LIMIT = 1 << 24,
    MESSAGE_SIZE_MAX = 1024, /* of any message struct */
    TEXT_SIZE = 4096,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum base_err decode(const struct kproto_message *message, int16_t version,
                            struct base_slice wire, struct base_arena *arena, void *out)
{
    struct base_reader reader;
    base_reader_init(&reader, wire.data, wire.length);
    return kproto_decode(&reader, message, version, arena, out);
}

static struct base_slice encode(const struct kproto_message *message, int16_t version,
                                const void *msg, struct kproto_writer *writer)
{
    kproto_writer_init(writer, WRITER_LIMIT);
    enum base_err err = kproto_encode(writer, message, version, msg);
    BASE_ASSERT(err == BASE_ERR_OK);
    return base_slice_of(writer->bytes.length == 0 ? NULL : writer->bytes.buffer->data,
                         writer->bytes.length);
}

static void there_and_back(const struct kproto_message *message, int16_t version,
                           struct base_slice wire)
{
    static max_align_t first[MESSAGE_SIZE_MAX / sizeof(max_align_t)];
    static max_align_t second[MESSAGE_SIZE_MAX / sizeof(max_align_t)];
    struct kproto_writer first_writer;
    struct kproto_writer second_writer;
    struct base_arena arena;
    char text[TEXT_SIZE];

    BASE_ASSERT(message->schema->size <= sizeof first);
    base_arena_init(&arena, ARENA_LIMIT);
    if (decode(message, version, wire, &arena, first) == BASE_ERR_OK) {
        struct base_slice first_wire = encode(message, version, first, &first_writer);
        enum base_err err = decode(message, version, first_wire, &arena, second);
        BASE_ASSERT(err == BASE_ERR_OK);
        struct base_slice second_wire = encode(message, version, second, &second_writer);
        BASE_ASSERT(base_slice_equal(first_wire, second_wire));
        size_t length = kproto_dump(message, version, first, text, sizeof text);
        BASE_ASSERT(length == strlen(text));
        kproto_writer_fini(&first_writer);
        kproto_writer_fini(&second_writer);
    }
    base_arena_fini(&arena);
}

static void header(struct base_slice wire)
{
    struct kproto_request_header out;
    struct base_reader reader;
    base_reader_init(&reader, wire.data, wire.length);
    enum base_err err = kproto_request_header_decode(&reader, &out);
    BASE_ASSERT(err == BASE_ERR_OK || out.client_id.data == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct base_slice wire = base_slice_of(data + 2, size - 2);
    header(wire);

    int16_t key = data[0] % KPROTO_KEY_LIMIT;
    const struct kproto_api *api = kproto_api_find(key);
    if (api != NULL) {
        int versions_count = api->version_max - api->version_min + 1;
        int16_t version = (int16_t)(api->version_min + (data[1] & 0x7f) % versions_count);
        there_and_back(data[1] & 0x80 ? api->response : api->request, version, wire);
    }
    return 0;
}
