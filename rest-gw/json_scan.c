/* A JSON reader that remembers only where it is. */
#include "rest-gw/json_scan.h"

#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/utf8.h"

enum { KEY_SIZE_MAX = 64 }; /* of keys that the API gives a meaning */

static void fail(struct restgw_json_cursor *cursor, const char *problem)
{
    if (cursor->problem == NULL) {
        cursor->problem = problem;
    }
    cursor->at = cursor->end;
}

void restgw_json_cursor_init(struct restgw_json_cursor *cursor, struct base_slice text)
{
    if (text.data == NULL) {
        text = base_slice_of("", 0);
    }
    *cursor = (struct restgw_json_cursor){.at = text.data, .end = text.data + text.length};
}

static void skip_space(struct restgw_json_cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n' ||
                                        *cursor->at == '\r' || *cursor->at == '\t')) {
        cursor->at++;
    }
}

/* Next byte that is not space, or -1 at the end. */
static int peek_byte(struct restgw_json_cursor *cursor)
{
    skip_space(cursor);
    return cursor->at < cursor->end ? *cursor->at : -1;
}

static bool take_byte(struct restgw_json_cursor *cursor, uint8_t byte)
{
    if (peek_byte(cursor) != byte) {
        return false;
    }
    cursor->at++;
    return true;
}

enum restgw_json_type restgw_json_peek(struct restgw_json_cursor *cursor)
{
    switch (peek_byte(cursor)) {
    case 'n':
        return RESTGW_JSON_NULL;
    case 't':
    case 'f':
        return RESTGW_JSON_BOOL;
    case '"':
        return RESTGW_JSON_STRING;
    case '[':
        return RESTGW_JSON_ARRAY;
    case '{':
        return RESTGW_JSON_OBJECT;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return RESTGW_JSON_NUMBER;
    default:
        return RESTGW_JSON_NONE;
    }
}

static void skip_literal(struct restgw_json_cursor *cursor, const char *literal)
{
    size_t length = strlen(literal);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, literal, length) != 0) {
        fail(cursor, "invalid literal");
        return;
    }
    cursor->at += length;
}

static size_t skip_digits(struct restgw_json_cursor *cursor)
{
    const uint8_t *start = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        cursor->at++;
    }
    return (size_t)(cursor->at - start);
}

static void skip_number(struct restgw_json_cursor *cursor)
{
    if (*cursor->at == '-') {
        cursor->at++;
    }
    bool is_zero = cursor->at < cursor->end && *cursor->at == '0';
    size_t digits = skip_digits(cursor);
    bool is_valid = digits > 0 && !(is_zero && digits > 1);
    if (cursor->at < cursor->end && *cursor->at == '.') {
        cursor->at++;
        is_valid = skip_digits(cursor) > 0 && is_valid;
    }
    if (cursor->at < cursor->end && (*cursor->at | 0x20) == 'e') {
        cursor->at++;
        if (cursor->at < cursor->end && (*cursor->at == '+' || *cursor->at == '-')) {
            cursor->at++;
        }
        is_valid = skip_digits(cursor) > 0 && is_valid;
    }
    if (!is_valid) {
        fail(cursor, "invalid number");
    }
}

/* Four hexadecimal digits at bytes, or -1. */
static int32_t hex4(const uint8_t *bytes, const uint8_t *end)
{
    if (end - bytes < 4) {
        return -1;
    }
    int32_t value = 0;
    for (size_t index = 0; index < 4; index++) {
        uint8_t lower = bytes[index] | 0x20;
        if (bytes[index] >= '0' && bytes[index] <= '9') {
            value = value << 4 | (bytes[index] - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            value = value << 4 | (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xD800 && unit < 0xDC00;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xDC00 && unit < 0xE000;
}

/* The code point of a \u escape whose first digit is at bytes; *size is the length
 * from there, 4 or (surrogate pair) 10. -1 when it is invalid. */
static int32_t unicode_escape(const uint8_t *bytes, const uint8_t *end, size_t *size)
{
    int32_t unit = hex4(bytes, end);
    *size = 4;
    if (!is_high_surrogate(unit)) {
        return is_low_surrogate(unit) ? -1 : unit;
    }
    if (end - bytes < 10 || bytes[4] != '\\' || bytes[5] != 'u') {
        return -1;
    }
    int32_t low = hex4(bytes + 6, end);
    if (!is_low_surrogate(low)) {
        return -1;
    }
    *size = 10;
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

/* Behind the backslash. */
static bool skip_escape(struct restgw_json_cursor *cursor)
{
    if (cursor->at == cursor->end) {
        return false;
    }
    uint8_t kind = *cursor->at++;
    if (kind != 'u') {
        return kind != 0 && strchr("\"\\/bfnrt", kind) != NULL;
    }
    size_t size = 0;
    if (unicode_escape(cursor->at, cursor->end, &size) < 0) {
        return false;
    }
    cursor->at += size;
    return true;
}

/* Bytes of a string that need no look of their own, eight at a time: ASCII that is no quote,
 * backslash or control character. Stops in front of any other, or some bytes earlier. */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t tops = 0x80 * ones;

    for (; end - at >= (ptrdiff_t)sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t quotes = word ^ '"' * ones;
        uint64_t backslashes = word ^ '\\' * ones;
        /* A top bit shows where a byte is below the subtrahend's. */
        uint64_t special = (quotes - ones) | (backslashes - ones) | (word - 0x20 * ones) | word;
        if ((special & tops) != 0) {
            break;
        }
    }
    return at;
}

static void skip_string(struct restgw_json_cursor *cursor)
{
    cursor->at = skip_plain(cursor->at + 1, cursor->end);
    while (cursor->at < cursor->end) {
        uint8_t byte = *cursor->at;
        size_t size = 1;
        if (byte == '"') {
            cursor->at++;
            return;
        }
        if (byte < 0x20) {
            fail(cursor, "control character in a string");
            return;
        }
        if (byte == '\\') {
            cursor->at++;
            if (!skip_escape(cursor)) {
                fail(cursor, "invalid escape in a string");
                return;
            }
            cursor->at = skip_plain(cursor->at, cursor->end);
            continue;
        }
        if (byte >= 0x80) {
            size =
                restgw_utf8_sequence(base_slice_of(cursor->at, (size_t)(cursor->end - cursor->at)));
            if (size == 0) {
                fail(cursor, "invalid UTF-8");
                return;
            }
        }
        cursor->at += size;
    }
    fail(cursor, "unfinished string");
}

static void enter(struct restgw_json_cursor *cursor, uint8_t opening)
{
    if (!take_byte(cursor, opening)) {
        fail(cursor, opening == '{' ? "an object is expected" : "an array is expected");
        return;
    }
    if (cursor->depth == RESTGW_JSON_DEPTH_MAX) {
        fail(cursor, "nested too deeply");
        return;
    }
    cursor->depth++;
    cursor->is_first = true;
}

void restgw_json_enter_object(struct restgw_json_cursor *cursor)
{
    enter(cursor, '{');
}

void restgw_json_enter_array(struct restgw_json_cursor *cursor)
{
    enter(cursor, '[');
}

/* Steps over a comma to the next member, or out of the container. */
static bool next_member(struct restgw_json_cursor *cursor, uint8_t closing)
{
    if (cursor->problem != NULL) {
        return false;
    }
    BASE_ASSERT(cursor->depth > 0);
    bool is_first = cursor->is_first;
    cursor->is_first = false;
    if (take_byte(cursor, closing)) {
        cursor->depth--;
        return false;
    }
    if (!is_first && !take_byte(cursor, ',')) {
        fail(cursor, "a comma or the end of an object or array is missing");
        return false;
    }
    return true;
}

bool restgw_json_next_key(struct restgw_json_cursor *cursor, struct base_slice *key)
{
    *key = base_slice_of(NULL, 0);
    if (!next_member(cursor, '}')) {
        return false;
    }
    if (peek_byte(cursor) != '"') {
        fail(cursor, "a key is missing");
        return false;
    }
    const uint8_t *start = cursor->at;
    skip_string(cursor);
    if (cursor->problem == NULL) {
        *key = base_slice_of(start + 1, (size_t)(cursor->at - start) - 2);
        if (!take_byte(cursor, ':')) {
            fail(cursor, "a colon is missing");
        }
    }
    return cursor->problem == NULL;
}

bool restgw_json_next_element(struct restgw_json_cursor *cursor)
{
    return next_member(cursor, ']');
}

/* Reads one value that is not a container. */
static void skip_scalar(struct restgw_json_cursor *cursor, enum restgw_json_type type)
{
    switch (type) {
    case RESTGW_JSON_NULL:
        skip_literal(cursor, "null");
        break;
    case RESTGW_JSON_BOOL:
        skip_literal(cursor, *cursor->at == 't' ? "true" : "false");
        break;
    case RESTGW_JSON_NUMBER:
        skip_number(cursor);
        break;
    case RESTGW_JSON_STRING:
        skip_string(cursor);
        break;
    case RESTGW_JSON_ARRAY:
    case RESTGW_JSON_OBJECT:
    case RESTGW_JSON_NONE:
        fail(cursor, "a value is missing");
        break;
    }
}

/* Reads a value of at most nodes_max values, itself and those within it. */
static inline struct base_slice read_value(struct restgw_json_cursor *cursor, size_t nodes_max)
{
    size_t nodes = 0;
    uint32_t objects = 0; /* bit n: the n-th container inside the value is an object */
    unsigned outer = cursor->depth;
    skip_space(cursor);
    const uint8_t *start = cursor->at;

    do {
        if (++nodes > nodes_max) {
            fail(cursor, "too many values");
            break;
        }
        enum restgw_json_type type = restgw_json_peek(cursor);
        bool is_object = type == RESTGW_JSON_OBJECT;
        if (is_object || type == RESTGW_JSON_ARRAY) {
            uint32_t bit = 1u << (cursor->depth - outer) % RESTGW_JSON_DEPTH_MAX;
            enter(cursor, is_object ? '{' : '[');
            objects = is_object ? objects | bit : objects & ~bit;
        } else {
            skip_scalar(cursor, type);
        }
        /* On to the next member; leaves every container that ends here. */
        while (cursor->problem == NULL && cursor->depth > outer) {
            struct base_slice key;
            bool in_object = (objects >> (cursor->depth - outer - 1) & 1) != 0;
            if (in_object ? restgw_json_next_key(cursor, &key) : restgw_json_next_element(cursor)) {
                break;
            }
        }
    } while (cursor->problem == NULL && cursor->depth > outer);

    cursor->is_first = false;
    if (cursor->problem != NULL) {
        return base_slice_of(NULL, 0);
    }
    return base_slice_of(start, (size_t)(cursor->at - start));
}

struct base_slice restgw_json_value(struct restgw_json_cursor *cursor)
{
    return read_value(cursor, SIZE_MAX);
}

enum base_err restgw_json_finish(struct restgw_json_cursor *cursor)
{
    if (cursor->problem == NULL && peek_byte(cursor) != -1) {
        fail(cursor, "there is text behind the end");
    }
    if (cursor->problem == NULL && cursor->depth > 0) {
        fail(cursor, "an object or array is not finished");
    }
    return cursor->problem == NULL ? BASE_ERR_OK : BASE_ERR_MALFORMED;
}

/* UTF-8 of a code point; returns its size. */
static size_t put_utf8(uint8_t *out, int32_t code)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : (code < 0x10000 ? 3 : 4);
    static const uint8_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t index = size - 1; index > 0; index--) {
        out[index] = (uint8_t)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (uint8_t)(leads[size] | code);
    return size;
}

/* Undoes the escapes of text that was scanned before; out has room for its length. */
static size_t unescape(struct base_slice text, uint8_t *out)
{
    static const char kinds[] = "bfnrt";
    static const uint8_t values[] = "\b\f\n\r\t";
    const uint8_t *end = text.data + text.length;
    size_t length = 0;
    for (const uint8_t *at = text.data; at < end;) {
        if (*at != '\\') {
            out[length++] = *at++;
            continue;
        }
        uint8_t kind = at[1];
        at += 2;
        if (kind == 'u') {
            size_t size = 0;
            int32_t code = unicode_escape(at, end, &size);
            BASE_ASSERT(code >= 0);
            length += put_utf8(out + length, code);
            at += size;
        } else {
            const char *position = strchr(kinds, kind);
            out[length++] = position == NULL ? kind : values[position - kinds];
        }
    }
    return length;
}

bool restgw_json_key_is(struct base_slice key, const char *name)
{
    if (key.length == 0 || memchr(key.data, '\\', key.length) == NULL) {
        return base_slice_is(key, name);
    }
    uint8_t plain[KEY_SIZE_MAX * 6]; /* a character may be written as \uXXXX */
    if (key.length > sizeof plain) {
        return false;
    }
    return base_slice_is(base_slice_of(plain, unescape(key, plain)), name);
}

enum base_err restgw_json_unescape(struct base_arena *arena, struct base_slice string,
                                   struct base_slice *text)
{
    BASE_ASSERT(string.length >= 2);
    BASE_ASSERT(string.data[0] == '"');

    *text = base_slice_of(string.data + 1, string.length - 2);
    if (memchr(text->data, '\\', text->length) == NULL) {
        return BASE_ERR_OK;
    }
    uint8_t *plain = base_arena_alloc(arena, text->length);
    if (plain == NULL) {
        *text = base_slice_of(NULL, 0);
        return BASE_ERR_NOMEM;
    }
    *text = base_slice_of(plain, unescape(*text, plain));
    return BASE_ERR_OK;
}

const char *restgw_json_check(struct base_slice text)
{
    struct restgw_json_cursor cursor;
    restgw_json_cursor_init(&cursor, text);
    (void)read_value(&cursor, RESTGW_JSON_NODES_MAX);
    return restgw_json_finish(&cursor) == BASE_ERR_OK ? NULL : cursor.problem;
}
