/* The tables made of the rows, and what can be told from the rows alone. */
#include "kafka-proto/schema.h"

#include <assert.h>

#include "core/base/assert.h"
#include "kafka-proto/schema_priv.h"

#define LATEST KPROTO_VERSION_LATEST
#define NEVER KPROTO_VERSION_NEVER

#define STRUCT_OF(S) STRUCT_OF_(S)
#define STRUCT_OF_(S) struct kproto_##S

#define VALUE_ROW(S, member, TYPE, first, last, nullable, value)                           \
    .name = #member, .offset = offsetof(STRUCT_OF(S), member), .type = KPROTO_TYPE_##TYPE, \
    .since = (first), .until = (last), .nullable_since = (nullable), .default_value = (value)
#define ARRAY_ROW(S, member) \
    .count_offset = offsetof(STRUCT_OF(S), member##_count), .is_array = true
#define INNER_ROW(struct_name) .inner = &kproto_schema_##struct_name

#define KPROTO_STRUCT_BEGIN(S) STRUCT_BEGIN(S)
#define STRUCT_BEGIN(S) static const struct kproto_field fields_##S[] = {
#define KPROTO_STRUCT_END(S) STRUCT_END(S)
/* clang-format off */
#define STRUCT_END(S)                                                               \
    };                                                                              \
    static_assert(sizeof(struct kproto_##S) <= UINT16_MAX, "offsets have 16 bits"); \
    const struct kproto_schema kproto_schema_##S = {                                \
        .name = #S,                                                                 \
        .fields = fields_##S,                                                       \
        .fields_count = sizeof fields_##S / sizeof fields_##S[0],                   \
        .size = sizeof(struct kproto_##S),                                          \
    };
/* clang-format on */

#define KPROTO_FIELD(S, name, TYPE, since, until, nullable) \
    {VALUE_ROW(S, name, TYPE, since, until, nullable, 0), .tag = -1},
#define KPROTO_SECRET(S, name, TYPE, since, until, nullable) \
    {VALUE_ROW(S, name, TYPE, since, until, nullable, 0), .tag = -1, .is_secret = true},
#define KPROTO_DEFAULT(S, name, TYPE, since, until, value) \
    {VALUE_ROW(S, name, TYPE, since, until, NEVER, value), .tag = -1},
#define KPROTO_LIST(S, name, TYPE, since, until, nullable) \
    {VALUE_ROW(S, name, TYPE, since, until, nullable, 0), ARRAY_ROW(S, name), .tag = -1},
#define KPROTO_ARRAY(S, name, inner, since, until, nullable)                                      \
    {VALUE_ROW(S, name, OBJECT, since, until, nullable, 0), ARRAY_ROW(S, name), INNER_ROW(inner), \
     .tag = -1},
#define KPROTO_OBJECT(S, name, inner, since, until, nullable) \
    {VALUE_ROW(S, name, OBJECT, since, until, nullable, 0), INNER_ROW(inner), .tag = -1},
#define KPROTO_TAGGED(S, number, name, TYPE, since, until, nullable, value) \
    {VALUE_ROW(S, name, TYPE, since, until, nullable, value), .tag = (number)},
#define KPROTO_TAGGED_ARRAY(S, number, name, inner, since, until)                              \
    {VALUE_ROW(S, name, OBJECT, since, until, NEVER, 0), ARRAY_ROW(S, name), INNER_ROW(inner), \
     .tag = (number)},
#define KPROTO_TAGGED_OBJECT(S, number, name, inner, since, until) \
    {VALUE_ROW(S, name, OBJECT, since, until, NEVER, 0), INNER_ROW(inner), .tag = (number)},
#define KPROTO_API(name, Name, key, min, max, flexible)              \
    const struct kproto_message kproto_message_##name##_request = {  \
        &kproto_schema_##name##_request, key, min, max, flexible};   \
    const struct kproto_message kproto_message_##name##_response = { \
        &kproto_schema_##name##_response, key, min, max, flexible};

#include "kafka-proto/schema/all.def"

/* Per wire type. A length, where there is one, is counted, its content is not. */
static const struct {
    uint8_t c_size;
    uint8_t wire_min;
    uint8_t wire_min_flexible;
} type_sizes[KPROTO_TYPE_COUNT] = {
    [KPROTO_TYPE_BOOL] = {sizeof(bool), 1, 1},
    [KPROTO_TYPE_INT8] = {sizeof(int8_t), 1, 1},
    [KPROTO_TYPE_INT16] = {sizeof(int16_t), 2, 2},
    [KPROTO_TYPE_UINT16] = {sizeof(uint16_t), 2, 2},
    [KPROTO_TYPE_INT32] = {sizeof(int32_t), 4, 4},
    [KPROTO_TYPE_UINT32] = {sizeof(uint32_t), 4, 4},
    [KPROTO_TYPE_INT64] = {sizeof(int64_t), 8, 8},
    [KPROTO_TYPE_FLOAT64] = {sizeof(double), 8, 8},
    [KPROTO_TYPE_UUID] = {sizeof(struct base_uuid), BASE_UUID_SIZE, BASE_UUID_SIZE},
    [KPROTO_TYPE_STRING] = {sizeof(struct base_slice), 2, 1},
    [KPROTO_TYPE_BYTES] = {sizeof(struct base_slice), 4, 1},
    [KPROTO_TYPE_RECORDS] = {sizeof(struct kproto_records), 4, 1},
};

void kproto__field_set_default(const struct kproto_field *field, void *object)
{
    static const uint8_t no_bytes[1];
    void *member = (uint8_t *)object + field->offset;

    if (field->is_array) {
        return;
    }
    switch ((enum kproto_type)field->type) {
    case KPROTO_TYPE_BOOL:
        *(bool *)member = field->default_value != 0;
        break;
    case KPROTO_TYPE_INT8:
        *(int8_t *)member = (int8_t)field->default_value;
        break;
    case KPROTO_TYPE_INT16:
        *(int16_t *)member = (int16_t)field->default_value;
        break;
    case KPROTO_TYPE_UINT16:
        *(uint16_t *)member = (uint16_t)field->default_value;
        break;
    case KPROTO_TYPE_INT32:
        *(int32_t *)member = (int32_t)field->default_value;
        break;
    case KPROTO_TYPE_UINT32:
        *(uint32_t *)member = (uint32_t)field->default_value;
        break;
    case KPROTO_TYPE_INT64:
        *(int64_t *)member = field->default_value;
        break;
    case KPROTO_TYPE_STRING:
    case KPROTO_TYPE_BYTES:
        if (field->nullable_since == KPROTO_VERSION_NEVER) {
            *(struct base_slice *)member = base_slice_of(no_bytes, 0);
        }
        break;
    case KPROTO_TYPE_FLOAT64:
    case KPROTO_TYPE_UUID:
    case KPROTO_TYPE_RECORDS:
    case KPROTO_TYPE_OBJECT:
    case KPROTO_TYPE_COUNT:
        break; /* all zero is the default */
    }
}

static void set_defaults(const struct kproto_schema *schema, void *object)
{
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        kproto__field_set_default(&schema->fields[i], object);
    }
}

void kproto_init(const struct kproto_schema *schema, void *object)
{
    BASE_ASSERT(schema != NULL);
    BASE_ASSERT(object != NULL);

    memset(object, 0, schema->size);
    set_defaults(schema, object);
}

void *kproto_schema_array(struct base_arena *arena, const struct kproto_schema *schema,
                          uint32_t count)
{
    uint8_t *items = base_arena_array(arena, count, schema->size);
    for (uint32_t i = 0; items != NULL && i < count; i++) {
        set_defaults(schema, items + (size_t)i * schema->size);
    }
    return items;
}

size_t kproto__field_item_size(const struct kproto_field *field)
{
    return field->type == KPROTO_TYPE_OBJECT ? field->inner->size : type_sizes[field->type].c_size;
}

static size_t schema_wire_min(const struct kproto_schema *schema, int16_t version, bool flexible)
{
    size_t size = flexible ? 1 : 0; /* number of tagged fields */

    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        if (field->tag >= 0 || !kproto__field_exists(field, version)) {
            continue;
        }
        if (field->is_array) {
            size += flexible ? 1 : sizeof(int32_t);
        } else if (field->type != KPROTO_TYPE_OBJECT) {
            size += flexible ? type_sizes[field->type].wire_min_flexible
                             : type_sizes[field->type].wire_min;
        } else if (kproto__field_nullable(field, version)) {
            size += 1;
        } else {
            size += schema_wire_min(field->inner, version, flexible);
        }
    }
    return size;
}

size_t kproto__field_item_wire_min(const struct kproto_field *field, int16_t version, bool flexible)
{
    BASE_ASSERT(field->is_array);

    if (field->type != KPROTO_TYPE_OBJECT) {
        return flexible ? type_sizes[field->type].wire_min_flexible
                        : type_sizes[field->type].wire_min;
    }
    size_t size = schema_wire_min(field->inner, version, flexible);
    return size > 0 ? size : 1;
}
