/* The decoding interpreter: walks the rows of a message and reads each field. */
#include "kafka-proto/decode.h"

#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/decode_priv.h"
#include "kafka-proto/schema_priv.h"

struct decoder {
    struct base_reader *reader; /* of the frame, or of the tagged field at hand */
    struct base_arena *arena;
    int16_t version;
    bool flexible;
    enum base_err err; /* of the arena; the reader keeps its own failure */
};

/* What an empty array points at: not NULL, never touched. */
static max_align_t no_items;

static void decode_struct(struct decoder *decoder, const struct kproto_schema *schema,
                          uint8_t *object);

static void *allocate(struct decoder *decoder, uint32_t count, size_t item_size)
{
    void *memory = base_arena_array(decoder->arena, count, item_size);
    if (memory == NULL) {
        decoder->err = base_arena_err(decoder->arena, count * item_size);
        base_reader_fail(decoder->reader);
    }
    return memory;
}

/* The length or count a value starts with. False for null, and after failure. Compared as
 * 64 bits: a compact length less 1 must not be narrowed before the test. */
static bool take_length(struct decoder *decoder, bool is_string, bool nullable, uint32_t *length)
{
    int64_t value;
    if (decoder->flexible) {
        value = (int64_t)base_reader_uvarint(decoder->reader) - 1;
    } else if (is_string) {
        value = base_reader_int16(decoder->reader);
    } else {
        value = base_reader_int32(decoder->reader);
    }
    if (value < -1 || (value == -1 && !nullable)) {
        base_reader_fail(decoder->reader);
    }
    *length = value < 0 ? 0 : (uint32_t)value;
    return value >= 0 && !decoder->reader->failed;
}

static struct base_slice take_bytes(struct decoder *decoder, bool is_string, bool nullable)
{
    uint32_t length;
    if (!take_length(decoder, is_string, nullable, &length)) {
        return (struct base_slice){0};
    }
    if (is_string && length > INT16_MAX) { /* Kafka's limit, also in the compact form */
        base_reader_fail(decoder->reader);
        return (struct base_slice){0};
    }
    return base_reader_bytes(decoder->reader, length);
}

static void decode_records(struct decoder *decoder, bool nullable, struct kproto_records *records)
{
    records->bytes = take_bytes(decoder, false, nullable);
    records->length = records->bytes.length;
    records->is_null = records->bytes.data == NULL;
}

static void decode_object(struct decoder *decoder, const struct kproto_field *field, bool nullable,
                          void *member)
{
    if (nullable && base_reader_int8(decoder->reader) < 0) {
        return; /* null; the memory is zeroed */
    }
    uint8_t *object = allocate(decoder, 1, field->inner->size);
    if (object != NULL) {
        decode_struct(decoder, field->inner, object);
        kproto__pointer_store(member, object);
    }
}

static void decode_value(struct decoder *decoder, enum kproto_type type, bool nullable, void *value)
{
    struct base_reader *reader = decoder->reader;

    switch (type) {
    case KPROTO_TYPE_BOOL:
        *(bool *)value = base_reader_int8(reader) != 0;
        break;
    case KPROTO_TYPE_INT8:
        *(int8_t *)value = base_reader_int8(reader);
        break;
    case KPROTO_TYPE_INT16:
        *(int16_t *)value = base_reader_int16(reader);
        break;
    case KPROTO_TYPE_UINT16:
        *(uint16_t *)value = base_reader_uint16(reader);
        break;
    case KPROTO_TYPE_INT32:
        *(int32_t *)value = base_reader_int32(reader);
        break;
    case KPROTO_TYPE_UINT32:
        *(uint32_t *)value = base_reader_uint32(reader);
        break;
    case KPROTO_TYPE_INT64:
        *(int64_t *)value = base_reader_int64(reader);
        break;
    case KPROTO_TYPE_FLOAT64:
        *(double *)value = base_reader_float64(reader);
        break;
    case KPROTO_TYPE_UUID: {
        const uint8_t *bytes = base_reader_take(reader, BASE_UUID_SIZE);
        if (bytes != NULL) {
            memcpy(((struct base_uuid *)value)->bytes, bytes, BASE_UUID_SIZE);
        }
        break;
    }
    case KPROTO_TYPE_STRING:
        *(struct base_slice *)value = take_bytes(decoder, true, nullable);
        break;
    case KPROTO_TYPE_BYTES:
        *(struct base_slice *)value = take_bytes(decoder, false, nullable);
        break;
    case KPROTO_TYPE_RECORDS:
        decode_records(decoder, nullable, value);
        break;
    case KPROTO_TYPE_OBJECT:
    case KPROTO_TYPE_COUNT:
        BASE_ASSERT(false);
    }
}

static void decode_array(struct decoder *decoder, const struct kproto_field *field, bool nullable,
                         uint8_t *object)
{
    uint32_t count;
    if (!take_length(decoder, false, nullable, &count)) {
        return;
    }
    size_t wire_min = kproto__field_item_wire_min(field, decoder->version, decoder->flexible);
    if (count > decoder->reader->remaining / wire_min) {
        base_reader_fail(decoder->reader);
        return;
    }
    size_t item_size = kproto__field_item_size(field);
    uint8_t *items = count == 0 ? (uint8_t *)&no_items : allocate(decoder, count, item_size);
    if (items == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count && !decoder->reader->failed; i++) {
        if (field->type == KPROTO_TYPE_OBJECT) {
            decode_struct(decoder, field->inner, items + i * item_size);
        } else {
            decode_value(decoder, field->type, false, items + i * item_size);
        }
    }
    kproto__pointer_store(object + field->offset, items);
    *(uint32_t *)(void *)(object + field->count_offset) = count;
}

static void decode_field(struct decoder *decoder, const struct kproto_field *field, uint8_t *object)
{
    bool nullable = kproto__field_nullable(field, decoder->version);

    if (field->is_array) {
        decode_array(decoder, field, nullable, object);
    } else if (field->type == KPROTO_TYPE_OBJECT) {
        decode_object(decoder, field, nullable, object + field->offset);
    } else {
        decode_value(decoder, field->type, nullable, object + field->offset);
    }
}

bool kproto__tag_take(struct base_reader *reader, int64_t *previous, struct base_slice *value)
{
    uint32_t tag = base_reader_uvarint(reader);
    uint32_t size = base_reader_uvarint(reader);
    if (reader->failed || tag <= *previous) {
        base_reader_fail(reader);
        return false;
    }
    *previous = tag;
    *value = base_reader_bytes(reader, size);
    return !reader->failed;
}

static const struct kproto_field *find_tag(const struct kproto_schema *schema, int64_t tag,
                                           int16_t version)
{
    for (uint16_t i = schema->fields_count; i > 0 && schema->fields[i - 1].tag >= 0; i--) {
        const struct kproto_field *field = &schema->fields[i - 1];
        if (field->tag == tag && kproto__field_exists(field, version)) {
            return field;
        }
    }
    return NULL;
}

static void decode_tags(struct decoder *decoder, const struct kproto_schema *schema,
                        uint8_t *object)
{
    struct base_reader *outer = decoder->reader;
    uint32_t count = base_reader_uvarint(outer);
    int64_t tag = -1;
    struct base_slice value;

    for (uint32_t i = 0; i < count && kproto__tag_take(outer, &tag, &value); i++) {
        const struct kproto_field *field = find_tag(schema, tag, decoder->version);
        if (field == NULL) {
            continue; /* from a newer peer */
        }
        struct base_reader inner;
        base_reader_init(&inner, value.data, value.length);
        decoder->reader = &inner;
        decode_field(decoder, field, object);
        decoder->reader = outer;
        if (base_reader_finish(&inner) != BASE_ERR_OK) {
            base_reader_fail(outer);
        }
    }
}

/* Recursion is as deep as the rows nest, whatever the peer sends. */
static void decode_struct(struct decoder *decoder, const struct kproto_schema *schema,
                          uint8_t *object)
{
    const struct kproto_field *end = schema->fields + schema->fields_count;

    for (const struct kproto_field *field = schema->fields; field < end; field++) {
        if (field->tag < 0 && kproto__field_exists(field, decoder->version)) {
            decode_field(decoder, field, object);
        } else {
            kproto__field_set_default(field, object);
        }
    }
    if (decoder->flexible) {
        decode_tags(decoder, schema, object);
    }
}

/* may_leave: bytes behind the last field are no error. */
static enum base_err decode_message(struct base_reader *reader,
                                    const struct kproto_message *message, int16_t version,
                                    struct base_arena *arena, void *out, bool may_leave)
{
    BASE_ASSERT(reader != NULL);
    BASE_ASSERT(version >= message->version_min);
    BASE_ASSERT(version <= message->version_max);
    BASE_ASSERT(out != NULL);

    struct decoder decoder = {
        .reader = reader,
        .arena = arena,
        .version = version,
        .flexible = kproto__message_flexible(message, version),
        .err = BASE_ERR_OK,
    };
    memset(out, 0, message->schema->size);
    decode_struct(&decoder, message->schema, out);

    enum base_err err = decoder.err;
    if (err == BASE_ERR_OK) {
        err = may_leave ? base_reader_err(reader) : base_reader_finish(reader);
    }
    if (err != BASE_ERR_OK) {
        base_reader_fail(reader);
        memset(out, 0, message->schema->size);
    }
    return err;
}

enum base_err kproto_decode(struct base_reader *reader, const struct kproto_message *message,
                            int16_t version, struct base_arena *arena, void *out)
{
    return decode_message(reader, message, version, arena, out, false);
}

enum base_err kproto_decode_request(struct base_reader *reader,
                                    const struct kproto_message *message, int16_t version,
                                    struct base_arena *arena, void *out)
{
    return decode_message(reader, message, version, arena, out, true);
}
