/* What decoding, encoding and printing share about rows. */
#ifndef KPROTO_SCHEMA_PRIV_H
#define KPROTO_SCHEMA_PRIV_H

#include <string.h>

#include "kafka-proto/schema.h"

static inline bool kproto__field_exists(const struct kproto_field *field, int16_t version)
{
    return version >= field->since && version <= field->until;
}

static inline bool kproto__field_nullable(const struct kproto_field *field, int16_t version)
{
    return version >= field->nullable_since;
}

static inline bool kproto__message_flexible(const struct kproto_message *message, int16_t version)
{
    return version >= message->flexible_since;
}

/* The pointer of an array or object. Its declared type is unknown here, hence the copy. */
static inline void *kproto__pointer_load(const void *member)
{
    void *pointer;
    memcpy(&pointer, member, sizeof pointer);
    return pointer;
}

static inline void kproto__pointer_store(void *member, void *pointer)
{
    memcpy(member, &pointer, sizeof pointer);
}

/* Sets the field of a zeroed object to its default. */
void kproto__field_set_default(const struct kproto_field *field, void *object);

/* Bytes of one value of the field, or of one element if it is an array. */
size_t kproto__field_item_size(const struct kproto_field *field);

/* Least number of wire bytes one element of this array takes, at least 1. */
size_t kproto__field_item_wire_min(const struct kproto_field *field, int16_t version,
                                   bool flexible);

#endif
