/* Writes the seeds that follow from the tables of the codec, so that nobody keeps them by hand:
 *
 *     seeds FOLDER
 *
 * FOLDER/fuzz_kproto/ gets one input for each message of each version, FOLDER/fuzz_kafka_door/
 * one for each API: a request of each version, one after the other, which begins
 * FOLDER/fuzz_kafka_sasl/ after a proof, too. In each message every array has one item, and every
 * text a letter. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/assert.h"
#include "core/base/endian.h"
#include "kafka-proto/api.h"
#include "kafka-proto/encode.h"

enum {
    ARENA_LIMIT = 1 << 20,
    WRITER_LIMIT = 1 << 20,
    MESSAGE_SIZE_MAX = 1024, /* of any message struct */
    PATH_SIZE = 512,
    NUMBER = 1,
    BYTE_RESPONSE = 0x80, /* in byte 1 of an input of fuzz_kproto */
};

static void fill(const struct kproto_schema *schema, struct base_arena *arena, void *object);

static size_t size_of(const struct kproto_field *field)
{
    static const size_t sizes[KPROTO_TYPE_OBJECT] = {
        1, 1, 2, 2, 4, 4, 8, 8, 16, sizeof(struct base_slice), sizeof(struct base_slice), 0};
    return field->type == KPROTO_TYPE_OBJECT ? field->inner->size : sizes[field->type];
}

/* Numbers keep their defaults unless these are 0. */
static void fill_value(const struct kproto_field *field, struct base_arena *arena, void *value)
{
    static const uint8_t little[sizeof(int64_t)] = {NUMBER};

    switch ((enum kproto_type)field->type) {
    case KPROTO_TYPE_STRING:
    case KPROTO_TYPE_BYTES:
        *(struct base_slice *)value = base_slice_text("a");
        break;
    case KPROTO_TYPE_RECORDS:
        ((struct kproto_records *)value)->is_null = false;
        ((struct kproto_records *)value)->bytes = base_slice_text("a");
        break;
    case KPROTO_TYPE_OBJECT:
        fill(field->inner, arena, value);
        break;
    case KPROTO_TYPE_BOOL:
    case KPROTO_TYPE_INT8:
    case KPROTO_TYPE_INT16:
    case KPROTO_TYPE_UINT16:
    case KPROTO_TYPE_INT32:
    case KPROTO_TYPE_UINT32:
    case KPROTO_TYPE_INT64:
        if (field->default_value == 0) {
            memcpy(value, little, size_of(field));
        }
        break;
    case KPROTO_TYPE_FLOAT64:
    case KPROTO_TYPE_UUID:
    case KPROTO_TYPE_COUNT:
        break;
    }
}

static void fill(const struct kproto_schema *schema, struct base_arena *arena, void *object)
{
    const uint32_t one = 1;

    kproto_init(schema, object);
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        uint8_t *member = (uint8_t *)object + field->offset;

        if (!field->is_array && field->type != KPROTO_TYPE_OBJECT) {
            fill_value(field, arena, member);
            continue;
        }
        void *item = base_arena_alloc(arena, size_of(field));
        BASE_ASSERT(item != NULL);
        memset(item, 0, size_of(field));
        fill_value(field, arena, item);
        memcpy(member, &item, sizeof item);
        if (field->is_array) {
            memcpy((uint8_t *)object + field->count_offset, &one, sizeof one);
        }
    }
}

static void encode(const struct kproto_message *message, int16_t version,
                   struct kproto_writer *writer)
{
    static max_align_t object[MESSAGE_SIZE_MAX / sizeof(max_align_t)];
    struct base_arena arena;

    BASE_ASSERT(message->schema->size <= sizeof object);
    base_arena_init(&arena, ARENA_LIMIT);
    fill(message->schema, &arena, object);
    enum base_err err = kproto_encode(writer, message, version, object);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_arena_fini(&arena);
}

static void make_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

static FILE *create(const char *folder, const char *target, const char *name)
{
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof path, "%s/%s", folder, target);
    make_folder(path);
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return file;
}

static void put(FILE *file, const void *bytes, size_t length)
{
    size_t written = fwrite(bytes, 1, length, file);
    BASE_ASSERT(written == length);
}

static struct base_slice bytes_of(const struct kproto_writer *writer)
{
    return base_slice_of(writer->bytes.length == 0 ? "" : (const char *)writer->bytes.buffer->data,
                         writer->bytes.length);
}

static void write_message(const char *folder, const struct kproto_api *api, int16_t version,
                          bool is_response)
{
    struct kproto_writer writer;
    char name[64];
    const uint8_t head[] = {(uint8_t)api->key, (uint8_t)((version - api->version_min) |
                                                         (is_response ? BYTE_RESPONSE : 0))};

    kproto_writer_init(&writer, WRITER_LIMIT);
    encode(is_response ? api->response : api->request, version, &writer);
    (void)snprintf(name, sizeof name, "%s_%s_v%d", api->name, is_response ? "response" : "request",
                   version);
    FILE *file = create(folder, "fuzz_kproto", name);
    put(file, head, sizeof head);
    put(file, bytes_of(&writer).data, bytes_of(&writer).length);
    (void)fclose(file);
    kproto_writer_fini(&writer);
}

/* One request as it goes over the wire: length, header with client id "a", body. */
static void put_frame(FILE *file, const struct kproto_api *api, int16_t version)
{
    struct kproto_writer writer;
    uint8_t head[4 + 2 + 2 + 4 + 3 + 1] = {0};
    bool has_tags = kproto_api_request_header_version(api, version) == 2;
    size_t head_size = sizeof head - (has_tags ? 0 : 1);

    kproto_writer_init(&writer, WRITER_LIMIT);
    encode(api->request, version, &writer);
    base_put_i32(head, (int32_t)(head_size - 4 + bytes_of(&writer).length));
    head[5] = (uint8_t)api->key;
    head[7] = (uint8_t)version;
    base_put_i32(head + 8, version + 1);
    head[13] = 1; /* length of the client id */
    head[14] = 'a';
    put(file, head, head_size);
    put(file, bytes_of(&writer).data, bytes_of(&writer).length);
    kproto_writer_fini(&writer);
}

static void write_frames(const char *folder, const struct kproto_api *api)
{
    const uint8_t proven = 1;
    FILE *open = create(folder, "fuzz_kafka_door", api->name);
    FILE *closed = create(folder, "fuzz_kafka_sasl", api->name);

    put(closed, &proven, sizeof proven);
    for (int16_t version = api->version_min; version <= api->version_max; version++) {
        put_frame(open, api, version);
        put_frame(closed, api, version);
    }
    (void)fclose(open);
    (void)fclose(closed);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return EXIT_FAILURE;
    }
    make_folder(argv[1]);
    for (int16_t key = 0; key < KPROTO_KEY_LIMIT; key++) {
        const struct kproto_api *api = kproto_api_find(key);
        for (int16_t version = api == NULL ? 0 : api->version_min;
             api != NULL && version <= api->version_max; version++) {
            write_message(argv[1], api, version, false);
            write_message(argv[1], api, version, true);
        }
        if (api != NULL) {
            write_frames(argv[1], api);
        }
    }
    return EXIT_SUCCESS;
}
