/* The printing interpreter: walks the rows of a message into a bounded text. */
#include "kafka-proto/dump.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/schema_priv.h"

enum {
    STRING_LENGTH_MAX = 128, /* bytes printed of a string */
    NUMBER_TEXT_SIZE = 48,   /* any one formatted value, and the terminator */
};

static const char cut_mark[] = "...";

struct printer {
    char *text;
    size_t size; /* of text, terminator included */
    size_t length;
    bool cut;
    int16_t version;
};

static void put(struct printer *printer, const char *bytes, size_t length)
{
    size_t room = printer->size - 1 - printer->length;
    if (length > room) {
        length = room;
        printer->cut = true;
    }
    memcpy(printer->text + printer->length, bytes, length);
    printer->length += length;
}

static void put_text(struct printer *printer, const char *text)
{
    put(printer, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct printer *printer,
                                                             const char *format, ...)
{
    char text[NUMBER_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    BASE_ASSERT(length >= 0 && length < NUMBER_TEXT_SIZE);
    put(printer, text, (size_t)length);
}

static void put_string(struct printer *printer, const struct base_slice *slice)
{
    if (slice->data == NULL) {
        put_text(printer, "null");
        return;
    }
    put_text(printer, "\"");
    for (size_t i = 0; i < slice->length && i < STRING_LENGTH_MAX; i++) {
        uint8_t byte = slice->data[i];
        if (byte == '"' || byte == '\\' || byte < 0x20 || byte > 0x7e) {
            put_format(printer, "\\x%02x", byte);
        } else {
            put_format(printer, "%c", byte);
        }
    }
    put_text(printer, slice->length > STRING_LENGTH_MAX ? "\"..." : "\"");
}

static void put_value(struct printer *printer, enum kproto_type type, const void *value)
{
    switch (type) {
    case KPROTO_TYPE_BOOL:
        put_text(printer, *(const bool *)value ? "true" : "false");
        break;
    case KPROTO_TYPE_INT8:
        put_format(printer, "%d", *(const int8_t *)value);
        break;
    case KPROTO_TYPE_INT16:
        put_format(printer, "%d", *(const int16_t *)value);
        break;
    case KPROTO_TYPE_UINT16:
        put_format(printer, "%u", *(const uint16_t *)value);
        break;
    case KPROTO_TYPE_INT32:
        put_format(printer, "%" PRId32, *(const int32_t *)value);
        break;
    case KPROTO_TYPE_UINT32:
        put_format(printer, "%" PRIu32, *(const uint32_t *)value);
        break;
    case KPROTO_TYPE_INT64:
        put_format(printer, "%" PRId64, *(const int64_t *)value);
        break;
    case KPROTO_TYPE_FLOAT64:
        put_format(printer, "%g", *(const double *)value);
        break;
    case KPROTO_TYPE_UUID: {
        char text[BASE_UUID_TEXT_SIZE];
        base_uuid_format(*(const struct base_uuid *)value, text);
        put_text(printer, text);
        break;
    }
    case KPROTO_TYPE_STRING:
        put_string(printer, value);
        break;
    case KPROTO_TYPE_BYTES: {
        const struct base_slice *slice = value;
        if (slice->data == NULL) {
            put_text(printer, "null");
        } else {
            put_format(printer, "<%zu bytes>", slice->length);
        }
        break;
    }
    case KPROTO_TYPE_RECORDS: {
        const struct kproto_records *records = value;
        if (records->is_null) {
            put_text(printer, "null");
        } else {
            put_format(printer, "<%zu bytes>",
                       records->chunks_count > 0 ? records->length : records->bytes.length);
        }
        break;
    }
    case KPROTO_TYPE_OBJECT:
    case KPROTO_TYPE_COUNT:
        BASE_ASSERT(false);
    }
}

static void put_struct(struct printer *printer, const struct kproto_schema *schema,
                       const uint8_t *object);

static void put_item(struct printer *printer, const struct kproto_field *field, const uint8_t *item)
{
    if (field->type == KPROTO_TYPE_OBJECT) {
        put_struct(printer, field->inner, item);
    } else {
        put_value(printer, field->type, item);
    }
}

static void put_array(struct printer *printer, const struct kproto_field *field,
                      const uint8_t *object)
{
    const uint8_t *items = kproto__pointer_load(object + field->offset);
    uint32_t count = *(const uint32_t *)(const void *)(object + field->count_offset);
    if (items == NULL && kproto__field_nullable(field, printer->version)) {
        put_text(printer, "null");
        return;
    }
    put_text(printer, "[");
    for (uint32_t i = 0; i < count && !printer->cut; i++) {
        put_text(printer, i == 0 ? "" : " ");
        put_item(printer, field, items + i * kproto__field_item_size(field));
    }
    put_text(printer, "]");
}

static void put_field(struct printer *printer, const struct kproto_field *field,
                      const uint8_t *object)
{
    const uint8_t *member = object + field->offset;

    if (field->is_secret) {
        put_text(printer, "<hidden>");
    } else if (field->is_array) {
        put_array(printer, field, object);
    } else if (field->type != KPROTO_TYPE_OBJECT) {
        put_value(printer, field->type, member);
    } else if (kproto__pointer_load(member) == NULL) {
        put_text(printer, "null");
    } else {
        put_struct(printer, field->inner, kproto__pointer_load(member));
    }
}

static void put_struct(struct printer *printer, const struct kproto_schema *schema,
                       const uint8_t *object)
{
    const char *separator = "{";

    for (uint16_t i = 0; i < schema->fields_count && !printer->cut; i++) {
        const struct kproto_field *field = &schema->fields[i];
        if (!kproto__field_exists(field, printer->version)) {
            continue;
        }
        put_text(printer, separator);
        put_text(printer, field->name);
        put_text(printer, "=");
        put_field(printer, field, object);
        separator = " ";
    }
    put_text(printer, *separator == '{' ? "{}" : "}");
}

size_t kproto_dump(const struct kproto_message *message, int16_t version, const void *msg,
                   char *text, size_t size)
{
    BASE_ASSERT(size >= sizeof cut_mark);

    struct printer printer = {.text = text, .size = size, .version = version};
    put_text(&printer, message->schema->name);
    put_struct(&printer, message->schema, msg);
    if (printer.cut) {
        memcpy(text + printer.length - strlen(cut_mark), cut_mark, strlen(cut_mark));
    }
    text[printer.length] = '\0';
    return printer.length;
}
