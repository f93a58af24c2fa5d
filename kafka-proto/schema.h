/* Kafka's requests and responses as C structs, and the tables that describe them.
 *
 * schema/<api>.def holds one row per field. Here the rows become structs: the message
 * produce_request is struct kproto_produce_request, its inner structs carry its name as a
 * prefix. In schema.c they become the tables that kproto_decode, kproto_encode and
 * kproto_dump walk.
 *
 * How the fields look in C:
 *   numbers, BOOL       as themselves
 *   STRING, BYTES       struct base_slice; data NULL is null
 *   RECORDS             struct kproto_records
 *   array `topics`      pointer `topics` to the elements and uint32_t `topics_count`; a NULL
 *                       pointer is null, so loops need no test. An empty array that must
 *                       not turn into null needs any other pointer: what
 *                       kproto_array_create gives, and what decoding gives.
 *   object `cursor`     pointer `cursor`; NULL is null, or all defaults where null is not
 *                       allowed or the field is tagged
 * Null in a field that may not be null in the version at hand is encoded as empty, and
 * refused by decoding.
 *
 * Defaults: 0, empty, or null where some version allows it, unless the row says otherwise.
 * A field that the version does not have decodes to its default and is not encoded. */
#ifndef KPROTO_SCHEMA_H
#define KPROTO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/chunk.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"

/* Record batches. Decoding sets bytes (into the frame) and length. For encoding set either
 * bytes, which are copied, or chunks, which are not; all zero is empty. */
struct kproto_records {
    struct base_slice bytes;         /* borrowed; unused when chunks_count > 0 */
    const struct base_chunk *chunks; /* borrowed until the writer is finished or dropped */
    uint32_t chunks_count;
    size_t length; /* bytes in all */
    bool is_null;
};

enum kproto_type {
    KPROTO_TYPE_BOOL,
    KPROTO_TYPE_INT8,
    KPROTO_TYPE_INT16,
    KPROTO_TYPE_UINT16,
    KPROTO_TYPE_INT32,
    KPROTO_TYPE_UINT32,
    KPROTO_TYPE_INT64,
    KPROTO_TYPE_FLOAT64,
    KPROTO_TYPE_UUID,
    KPROTO_TYPE_STRING,
    KPROTO_TYPE_BYTES,
    KPROTO_TYPE_RECORDS,
    KPROTO_TYPE_OBJECT,
    KPROTO_TYPE_COUNT
};

/* One row: plain values, read only. */
struct kproto_field {
    const char *name;
    const struct kproto_schema *inner; /* of an OBJECT, or of the elements of an array of it */
    int64_t default_value;             /* of a number */
    uint16_t offset;                   /* of the member, bytes */
    uint16_t count_offset;             /* of an array's count, bytes */
    int16_t since;
    int16_t until;
    int16_t nullable_since;
    int16_t tag;  /* -1 when not tagged */
    uint8_t type; /* enum kproto_type */
    bool is_array;
    bool is_secret; /* never printed */
};

/* One struct: its rows in wire order, tagged ones last. */
struct kproto_schema {
    const char *name;
    const struct kproto_field *fields;
    uint16_t fields_count;
    uint16_t size; /* bytes of the C struct */
};

enum { KPROTO_VERSION_NEVER = INT16_MAX, KPROTO_VERSION_LATEST = INT16_MAX };

/* One request or response. */
struct kproto_message {
    const struct kproto_schema *schema;
    int16_t api_key;
    int16_t version_min;
    int16_t version_max;
    int16_t flexible_since; /* KPROTO_VERSION_NEVER for never */
};

/* Sets every field of object, a struct of this schema, to its default. */
void kproto_init(const struct kproto_schema *schema, void *object);

/* count elements, all fields at their defaults; not NULL for a count of 0. NULL when the
 * arena has no room. For example
 *   kproto_array_create(&arena, produce_response_topic, n) */
#define kproto_array_create(arena, name, count) \
    ((struct kproto_##name *)kproto_schema_array((arena), &kproto_schema_##name, (count)))

void *kproto_schema_array(struct base_arena *arena, const struct kproto_schema *schema,
                          uint32_t count);

/* C type of each wire type. */
#define KPROTO_C_BOOL bool
#define KPROTO_C_INT8 int8_t
#define KPROTO_C_INT16 int16_t
#define KPROTO_C_UINT16 uint16_t
#define KPROTO_C_INT32 int32_t
#define KPROTO_C_UINT32 uint32_t
#define KPROTO_C_INT64 int64_t
#define KPROTO_C_FLOAT64 double
#define KPROTO_C_UUID struct base_uuid
#define KPROTO_C_STRING struct base_slice
#define KPROTO_C_BYTES struct base_slice
#define KPROTO_C_RECORDS struct kproto_records

/* struct kproto_<S>, with its kproto_schema_<S>; for each API kproto_message_<api>_request
 * and kproto_message_<api>_response. Static storage. */
#define KPROTO_STRUCT_BEGIN(S) KPROTO_STRUCT_BEGIN_(S)
#define KPROTO_STRUCT_BEGIN_(S)                          \
    extern const struct kproto_schema kproto_schema_##S; \
    struct kproto_##S {
/* clang-format off */
#define KPROTO_STRUCT_END(S) };
/* clang-format on */
#define KPROTO_FIELD(S, name, TYPE, since, until, nullable) KPROTO_C_##TYPE name;
#define KPROTO_SECRET(S, name, TYPE, since, until, nullable) KPROTO_C_##TYPE name;
#define KPROTO_DEFAULT(S, name, TYPE, since, until, value) KPROTO_C_##TYPE name;
#define KPROTO_LIST(S, name, TYPE, since, until, nullable) \
    KPROTO_C_##TYPE *name;                                 \
    uint32_t name##_count;
#define KPROTO_ARRAY(S, name, inner, since, until, nullable) \
    struct kproto_##inner *name;                             \
    uint32_t name##_count;
#define KPROTO_OBJECT(S, name, inner, since, until, nullable) struct kproto_##inner *name;
#define KPROTO_TAGGED(S, tag, name, TYPE, since, until, nullable, value) KPROTO_C_##TYPE name;
#define KPROTO_TAGGED_ARRAY(S, tag, name, inner, since, until) \
    struct kproto_##inner *name;                               \
    uint32_t name##_count;
#define KPROTO_TAGGED_OBJECT(S, tag, name, inner, since, until) struct kproto_##inner *name;
#define KPROTO_API(name, Name, key, version_min, version_max, flexible_since) \
    extern const struct kproto_message kproto_message_##name##_request;       \
    extern const struct kproto_message kproto_message_##name##_response;

#include "kafka-proto/schema/all.def"

#undef KPROTO_STRUCT_BEGIN_

#endif
