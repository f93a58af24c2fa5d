/* The encoding interpreter: walks the rows of a message and writes each field. */
#include "kafka-proto/encode.h"

#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/schema_priv.h"

/* Bytes of the largest object that may be encoded from NULL. */
enum { DEFAULT_OBJECT_SIZE_MAX = 512 };

struct encoder {
    struct kproto_writer *writer;
    struct base_writer *bytes; /* the writer's */
    int16_t version;
    bool flexible;
};

static void encode_struct(struct encoder *encoder, const struct kproto_schema *schema,
                          const uint8_t *object);

static void put_null(struct encoder *encoder, bool is_string)
{
    if (encoder->flexible) {
        base_writer_uvarint(encoder->bytes, 0);
    } else if (is_string) {
        base_writer_int16(encoder->bytes, -1);
    } else {
        base_writer_int32(encoder->bytes, -1);
    }
}

static void put_length(struct encoder *encoder, bool is_string, size_t length)
{
    if (length > (is_string ? (size_t)INT16_MAX : (size_t)INT32_MAX)) {
        if (encoder->bytes->err == BASE_ERR_OK) {
            encoder->bytes->err = BASE_ERR_TOO_LARGE;
        }
    } else if (encoder->flexible) {
        base_writer_uvarint(encoder->bytes, (uint32_t)length + 1);
    } else if (is_string) {
        base_writer_int16(encoder->bytes, (int16_t)length);
    } else {
        base_writer_int32(encoder->bytes, (int32_t)length);
    }
}

static void put_bytes(struct encoder *encoder, bool is_string, bool nullable,
                      const struct base_slice *slice)
{
    BASE_ASSERT(slice->data != NULL || slice->length == 0);

    if (slice->data == NULL && nullable) {
        put_null(encoder, is_string);
        return;
    }
    put_length(encoder, is_string, slice->length);
    base_writer_slice(encoder->bytes, *slice);
}

static void encode_records(struct encoder *encoder, bool nullable,
                           const struct kproto_records *records)
{
    if (records->is_null && nullable) {
        put_null(encoder, false);
    } else if (records->chunks_count > 0) {
        put_length(encoder, false, records->length);
        kproto_writer_insert(encoder->writer, records->chunks, records->chunks_count,
                             records->length);
    } else {
        put_bytes(encoder, false, false, &records->bytes);
    }
}

static void encode_object(struct encoder *encoder, const struct kproto_field *field, bool nullable,
                          const void *member)
{
    const uint8_t *object = kproto__pointer_load(member);

    if (nullable) {
        base_writer_int8(encoder->bytes, object == NULL ? -1 : 1);
    }
    if (object != NULL) {
        encode_struct(encoder, field->inner, object);
    } else if (!nullable) {
        max_align_t defaults[DEFAULT_OBJECT_SIZE_MAX / sizeof(max_align_t)];
        BASE_ASSERT(field->inner->size <= sizeof defaults);
        kproto_init(field->inner, defaults);
        encode_struct(encoder, field->inner, (const uint8_t *)defaults);
    }
}

static void encode_value(struct encoder *encoder, enum kproto_type type, bool nullable,
                         const void *value)
{
    struct base_writer *bytes = encoder->bytes;

    switch (type) {
    case KPROTO_TYPE_BOOL:
        base_writer_int8(bytes, *(const bool *)value ? 1 : 0);
        break;
    case KPROTO_TYPE_INT8:
        base_writer_int8(bytes, *(const int8_t *)value);
        break;
    case KPROTO_TYPE_INT16:
        base_writer_int16(bytes, *(const int16_t *)value);
        break;
    case KPROTO_TYPE_UINT16:
        base_writer_int16(bytes, (int16_t) * (const uint16_t *)value);
        break;
    case KPROTO_TYPE_INT32:
        base_writer_int32(bytes, *(const int32_t *)value);
        break;
    case KPROTO_TYPE_UINT32:
        base_writer_uint32(bytes, *(const uint32_t *)value);
        break;
    case KPROTO_TYPE_INT64:
        base_writer_int64(bytes, *(const int64_t *)value);
        break;
    case KPROTO_TYPE_FLOAT64:
        base_writer_float64(bytes, *(const double *)value);
        break;
    case KPROTO_TYPE_UUID:
        base_writer_bytes(bytes, ((const struct base_uuid *)value)->bytes, BASE_UUID_SIZE);
        break;
    case KPROTO_TYPE_STRING:
        put_bytes(encoder, true, nullable, value);
        break;
    case KPROTO_TYPE_BYTES:
        put_bytes(encoder, false, nullable, value);
        break;
    case KPROTO_TYPE_RECORDS:
        encode_records(encoder, nullable, value);
        break;
    case KPROTO_TYPE_OBJECT:
    case KPROTO_TYPE_COUNT:
        BASE_ASSERT(false);
    }
}

static uint32_t array_count(const struct kproto_field *field, const uint8_t *object)
{
    return *(const uint32_t *)(const void *)(object + field->count_offset);
}

static void encode_array(struct encoder *encoder, const struct kproto_field *field, bool nullable,
                         const uint8_t *object)
{
    const uint8_t *items = kproto__pointer_load(object + field->offset);
    uint32_t count = array_count(field, object);
    BASE_ASSERT(items != NULL || count == 0);

    if (items == NULL && nullable) {
        put_null(encoder, false);
        return;
    }
    put_length(encoder, false, count);
    size_t item_size = kproto__field_item_size(field);
    for (uint32_t i = 0; i < count && encoder->bytes->err == BASE_ERR_OK; i++) {
        if (field->type == KPROTO_TYPE_OBJECT) {
            encode_struct(encoder, field->inner, items + i * item_size);
        } else {
            encode_value(encoder, field->type, false, items + i * item_size);
        }
    }
}

static void encode_field(struct encoder *encoder, const struct kproto_field *field,
                         const uint8_t *object)
{
    bool nullable = kproto__field_nullable(field, encoder->version);

    if (field->is_array) {
        encode_array(encoder, field, nullable, object);
    } else if (field->type == KPROTO_TYPE_OBJECT) {
        encode_object(encoder, field, nullable, object + field->offset);
    } else {
        encode_value(encoder, field->type, nullable, object + field->offset);
    }
}

static bool is_default(const struct kproto_field *field, const uint8_t *object);

static bool is_default_object(const struct kproto_schema *schema, const uint8_t *object)
{
    for (uint16_t i = 0; object != NULL && i < schema->fields_count; i++) {
        if (!is_default(&schema->fields[i], object)) {
            return false;
        }
    }
    return true;
}

static bool is_default_value(const struct kproto_field *field, const void *value)
{
    bool null_is_default = field->nullable_since != KPROTO_VERSION_NEVER;

    switch ((enum kproto_type)field->type) {
    case KPROTO_TYPE_BOOL:
        return *(const bool *)value == (field->default_value != 0);
    case KPROTO_TYPE_INT8:
        return *(const int8_t *)value == field->default_value;
    case KPROTO_TYPE_INT16:
        return *(const int16_t *)value == field->default_value;
    case KPROTO_TYPE_UINT16:
        return *(const uint16_t *)value == field->default_value;
    case KPROTO_TYPE_INT32:
        return *(const int32_t *)value == field->default_value;
    case KPROTO_TYPE_UINT32:
        return *(const uint32_t *)value == field->default_value;
    case KPROTO_TYPE_INT64:
        return *(const int64_t *)value == field->default_value;
    case KPROTO_TYPE_FLOAT64: {
        uint64_t bits; /* -0.0 is not the default */
        memcpy(&bits, value, sizeof bits);
        return bits == 0;
    }
    case KPROTO_TYPE_UUID:
        return base_uuid_is_zero(*(const struct base_uuid *)value);
    case KPROTO_TYPE_STRING:
    case KPROTO_TYPE_BYTES: {
        const struct base_slice *slice = value;
        return null_is_default ? slice->data == NULL : slice->length == 0;
    }
    case KPROTO_TYPE_RECORDS: {
        const struct kproto_records *records = value;
        return null_is_default ? records->is_null : records->length == 0;
    }
    case KPROTO_TYPE_OBJECT:
    case KPROTO_TYPE_COUNT:
        break;
    }
    const uint8_t *inner = kproto__pointer_load(value);
    return null_is_default ? inner == NULL : is_default_object(field->inner, inner);
}

static bool is_default(const struct kproto_field *field, const uint8_t *object)
{
    if (field->is_array) {
        bool null_is_default = field->nullable_since != KPROTO_VERSION_NEVER;
        return null_is_default ? kproto__pointer_load(object + field->offset) == NULL
                               : array_count(field, object) == 0;
    }
    return is_default_value(field, object + field->offset);
}

/* One tagged field: its size goes in front of it and is known only afterwards. Almost all
 * take one byte for it, so one is set aside and the value moved in the rare other case. */
static void encode_tagged(struct encoder *encoder, const struct kproto_field *field,
                          const uint8_t *object)
{
    struct base_writer *bytes = encoder->bytes;
    base_writer_uvarint(bytes, (uint32_t)field->tag);
    base_writer_int8(bytes, 0);
    size_t start = bytes->length;
    uint32_t inserts_count = encoder->writer->inserts_count;

    encode_field(encoder, field, object);
    BASE_ASSERT(encoder->writer->inserts_count == inserts_count); /* their positions would move */

    size_t size = bytes->length - start;
    uint8_t varint[5];
    size_t varint_size = 0;
    for (size_t rest = size; rest > 0 || varint_size == 0; rest >>= 7) {
        varint[varint_size++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    }
    (void)base_writer_extend(bytes, varint_size - 1);
    if (bytes->err == BASE_ERR_OK) {
        uint8_t *value = bytes->buffer->data + start;
        memmove(value + varint_size - 1, value, size);
        memcpy(value - 1, varint, varint_size);
    }
}

static void encode_tags(struct encoder *encoder, const struct kproto_schema *schema,
                        const uint8_t *object)
{
    uint16_t first = schema->fields_count;
    uint32_t count = 0;
    for (; first > 0 && schema->fields[first - 1].tag >= 0; first--) {
        const struct kproto_field *field = &schema->fields[first - 1];
        count += kproto__field_exists(field, encoder->version) && !is_default(field, object);
    }
    base_writer_uvarint(encoder->bytes, count);
    for (uint16_t i = first; count > 0 && i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        if (kproto__field_exists(field, encoder->version) && !is_default(field, object)) {
            encode_tagged(encoder, field, object);
        }
    }
}

static void encode_struct(struct encoder *encoder, const struct kproto_schema *schema,
                          const uint8_t *object)
{
    const struct kproto_field *end = schema->fields + schema->fields_count;

    for (const struct kproto_field *field = schema->fields; field < end; field++) {
        if (field->tag < 0 && kproto__field_exists(field, encoder->version)) {
            encode_field(encoder, field, object);
        }
    }
    if (encoder->flexible) {
        encode_tags(encoder, schema, object);
    }
}

enum base_err kproto_encode(struct kproto_writer *writer, const struct kproto_message *message,
                            int16_t version, const void *msg)
{
    BASE_ASSERT(writer != NULL);
    BASE_ASSERT(version >= message->version_min);
    BASE_ASSERT(version <= message->version_max);
    BASE_ASSERT(msg != NULL);

    struct encoder encoder = {
        .writer = writer,
        .bytes = &writer->bytes,
        .version = version,
        .flexible = kproto__message_flexible(message, version),
    };
    encode_struct(&encoder, message->schema, msg);
    return writer->bytes.err;
}
