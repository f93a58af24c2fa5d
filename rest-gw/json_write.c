/* Escaping and numbers; those that are often written without detours through printf. */
#include "rest-gw/json_write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/assert.h"
#include "rest-gw/utf8.h"

enum { DOUBLE_TEXT_SIZE = 32 };

void restgw_json_put_integer(struct base_writer *writer, int64_t value)
{
    uint8_t digits[20]; /* of 2^63, and the sign */
    size_t start = sizeof digits;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--start] = (uint8_t)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (value < 0) {
        digits[--start] = '-';
    }
    base_writer_bytes(writer, digits + start, sizeof digits - start);
}

void restgw_json_put_double(struct base_writer *writer, double value)
{
    char text[DOUBLE_TEXT_SIZE];
    int precision = DBL_DIG; /* as many as survive a double; all of one may take two more */
    int length;

    BASE_ASSERT(isfinite(value));
    if (fabs(value) < 9e15 && value == floor(value)) { /* below 2^53: each is itself */
        restgw_json_put_integer(writer, (int64_t)value);
        return;
    }
    do {
        length = snprintf(text, sizeof text, "%.*g", precision, value);
        BASE_ASSERT(length > 0 && length < DOUBLE_TEXT_SIZE);
        precision++;
    } while (precision <= DBL_DECIMAL_DIG && strtod(text, NULL) != value);
    base_writer_bytes(writer, text, (size_t)length);
}

/* One byte that must not stand in a string as it is. */
static void put_escape(struct base_writer *writer, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t escape[6] = {'\\', 'u', '0', '0', (uint8_t)hex[byte >> 4], (uint8_t)hex[byte & 15]};
    size_t length = 2;
    switch (byte) {
    case '"':
    case '\\':
        escape[1] = byte;
        break;
    case '\n':
        escape[1] = 'n';
        break;
    case '\r':
        escape[1] = 'r';
        break;
    case '\t':
        escape[1] = 't';
        break;
    default:
        length = sizeof escape;
        break;
    }
    base_writer_bytes(writer, escape, length);
}

void restgw_json_put_escaped(struct base_writer *writer, struct base_slice text)
{
    if (text.length == 0) {
        return;
    }
    size_t start = 0; /* of the run that can be copied as it is */
    size_t index = 0;
    while (index < text.length) {
        uint8_t byte = text.data[index];
        size_t size = 1;
        bool is_plain = byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7F;
        if (byte >= 0x80) {
            size = restgw_utf8_sequence(base_slice_of(text.data + index, text.length - index));
            is_plain = size > 0;
        }
        if (is_plain) {
            index += size;
            continue;
        }
        base_writer_bytes(writer, text.data + start, index - start);
        if (byte >= 0x80) {
            RESTGW_JSON_PUT(writer, "\\ufffd");
        } else {
            put_escape(writer, byte);
        }
        index++;
        start = index;
    }
    base_writer_bytes(writer, text.data + start, text.length - start);
}

void restgw_json_put_string(struct base_writer *writer, struct base_slice text)
{
    if (text.data == NULL) {
        RESTGW_JSON_PUT(writer, "null");
        return;
    }
    RESTGW_JSON_PUT(writer, "\"");
    restgw_json_put_escaped(writer, text);
    RESTGW_JSON_PUT(writer, "\"");
}

static int append(const char *bytes, size_t length, void *context)
{
    struct base_writer *writer = context;
    base_writer_bytes(writer, bytes, length);
    return writer->err == BASE_ERR_OK ? 0 : -1;
}

void restgw_json_put_value(struct base_writer *writer, const json_t *value)
{
    int failed = json_dump_callback(value, append, writer, JSON_COMPACT | JSON_ENCODE_ANY);
    if (failed != 0 && writer->err == BASE_ERR_OK) {
        writer->err = BASE_ERR_NOMEM; /* jansson's own scratch memory */
    }
}
