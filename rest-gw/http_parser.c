/* HTTP/1.1 requests, line by line. Section numbers are of RFC 9112 unless said. */
#include "rest-gw/http_parser.h"

#include <assert.h>
#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/text.h"

enum {
    VERSION_SIZE = 8, /* "HTTP/1.1" */
    LINE_SIZE_MAX = RESTGW_HTTP_METHOD_SIZE_MAX + RESTGW_HTTP_TARGET_SIZE_MAX + VERSION_SIZE + 2,
    LENGTH_DIGITS_MAX = 19, /* of any uint64_t that fits an int64_t as well */
    CHUNK_DIGITS_MAX = 8,
    CHUNK_END_SIZE = 2,
};

static_assert(RESTGW_HTTP_MESSAGE_SIZE_MAX < INT32_MAX, "spans are 32 bits");

/* What a byte may be part of. */
enum {
    TOKEN = 1, /* method, field name: RFC 9110 §5.6.2 */
    VALUE = 2, /* field value: visible, obs-text, space and tab; RFC 9110 §5.5 */
    URI = 4,   /* request target: visible ASCII, no fragment */
};

#define T (TOKEN | VALUE | URI)
#define U (VALUE | URI)
#define V (VALUE)
static const uint8_t classes[256] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    V, T, U, TOKEN | VALUE, T, T, T, T, U, U, T, T, U, T, T, U, /*  !"#$%&'()*+,-./ */
    T, T, T, T, T, T, T, T, T, T, U, U, U, U, U, U,             /* 0123456789:;<=>? */
    U, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,             /* @A-O */
    T, T, T, T, T, T, T, T, T, T, T, U, U, U, T, T,             /* P-Z[\]^_ */
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,             /* `a-o */
    T, T, T, T, T, T, T, T, T, T, T, U, T, U, T, 0,             /* p-z{|}~ and DEL */
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* clang-format on */
};
#undef T
#undef U
#undef V

#define MAY(state) (1u << RESTGW_HTTP_##state)
static const unsigned moves[RESTGW_HTTP_STATE_COUNT] = {
    [RESTGW_HTTP_LINE] = MAY(FIELDS) | MAY(BAD),
    [RESTGW_HTTP_FIELDS] = MAY(BODY) | MAY(CHUNK_SIZE) | MAY(BAD),
    [RESTGW_HTTP_BODY] = MAY(DONE),
    [RESTGW_HTTP_CHUNK_SIZE] = MAY(CHUNK_DATA) | MAY(TRAILERS) | MAY(BAD),
    [RESTGW_HTTP_CHUNK_DATA] = MAY(CHUNK_END),
    [RESTGW_HTTP_CHUNK_END] = MAY(CHUNK_SIZE) | MAY(BAD),
    [RESTGW_HTTP_TRAILERS] = MAY(DONE) | MAY(BAD),
    [RESTGW_HTTP_DONE] = 0,
    [RESTGW_HTTP_BAD] = 0,
};
#undef MAY

/* The only writer of parser->state after init. */
static void move(struct restgw_http_parser *parser, enum restgw_http_state next)
{
    BASE_ASSERT((moves[parser->state] & (1u << next)) != 0);
    parser->state = next;
    parser->scanned = 0;
}

/* False, so that a check can end in `return refuse(...)`. */
static bool refuse(struct restgw_http_parser *parser, enum restgw_error error, const char *detail)
{
    move(parser, RESTGW_HTTP_BAD);
    parser->error = error;
    parser->detail = detail;
    return false;
}

static bool malformed(struct restgw_http_parser *parser, const char *detail)
{
    return refuse(parser, RESTGW_ERROR_HTTP_MALFORMED, detail);
}

static bool consists_of(struct base_slice text, uint8_t class)
{
    for (size_t index = 0; index < text.length; index++) {
        if ((classes[text.data[index]] & class) == 0) {
            return false;
        }
    }
    return true;
}

#define METHOD_TEXT(name) [RESTGW_HTTP_##name] = #name,
static const char *const method_texts[RESTGW_HTTP_METHOD_COUNT] = {
    RESTGW_HTTP_METHOD_LIST(METHOD_TEXT)[RESTGW_HTTP_METHOD_OTHER] = "",
};
#undef METHOD_TEXT

const char *restgw_http_method_text(enum restgw_http_method method)
{
    BASE_ASSERT(method < RESTGW_HTTP_METHOD_COUNT);
    return method_texts[method];
}

void restgw_http_parser_init(struct restgw_http_parser *parser, size_t body_size_max)
{
    BASE_ASSERT(body_size_max <= RESTGW_HTTP_BODY_SIZE_MAX);
    memset(parser, 0, offsetof(struct restgw_http_parser, head.fields));
    parser->state = RESTGW_HTTP_LINE;
    parser->body_size_max = body_size_max;
}

/* A line without its CRLF at parser->position. False when it is not complete yet or
 * the message was refused. Moves nothing. */
static bool find_line(struct restgw_http_parser *parser, const uint8_t *message, size_t length,
                      struct base_slice *line)
{
    const uint8_t *start = message + parser->position;
    size_t available = length - parser->position;
    const uint8_t *end = memchr(start + parser->scanned, '\n', available - parser->scanned);
    if (end == NULL) {
        parser->scanned = available;
        return false;
    }
    size_t size = (size_t)(end - start);
    if (size == 0 || start[size - 1] != '\r') {
        return malformed(parser, "a line does not end in CR LF");
    }
    *line = base_slice_of(start, size - 1);
    return true;
}

static void skip_line(struct restgw_http_parser *parser, struct base_slice line)
{
    parser->position += line.length + 2;
    parser->scanned = 0;
}

static struct restgw_http_span span_of(const uint8_t *message, struct base_slice part)
{
    return (struct restgw_http_span){.offset = (uint32_t)(part.data - message),
                                     .length = (uint32_t)part.length};
}

/* Up to the first separator; all of text when there is none. */
static struct base_slice before(struct base_slice text, uint8_t separator)
{
    const uint8_t *end = memchr(text.data, separator, text.length);
    return end == NULL ? text : base_slice_of(text.data, (size_t)(end - text.data));
}

static struct base_slice skip(struct base_slice text, size_t count)
{
    BASE_ASSERT(count <= text.length);
    return base_slice_of(text.data + count, text.length - count);
}

static bool parse_method(struct restgw_http_parser *parser, const uint8_t *message,
                         struct base_slice text)
{
    struct restgw_http_head *head = &parser->head;
    if (text.length == 0 || text.length > RESTGW_HTTP_METHOD_SIZE_MAX ||
        !consists_of(text, TOKEN)) {
        return malformed(parser, "the method is not a token");
    }
    head->method_text = span_of(message, text);
    head->method = RESTGW_HTTP_GET;
    while (head->method < RESTGW_HTTP_METHOD_OTHER &&
           !base_slice_is(text, method_texts[head->method])) {
        head->method++;
    }
    return true;
}

static bool parse_version(struct restgw_http_parser *parser, struct base_slice text)
{
    if (text.length != VERSION_SIZE || memcmp(text.data, "HTTP/", 5) != 0 || text.data[6] != '.' ||
        text.data[5] < '0' || text.data[5] > '9' || text.data[7] < '0' || text.data[7] > '9') {
        return malformed(parser, "the request line does not end in an HTTP version");
    }
    if (text.data[5] != '1' || text.data[7] > '1') {
        return refuse(parser, RESTGW_ERROR_HTTP_VERSION,
                      "only HTTP/1.0 and HTTP/1.1 are supported");
    }
    parser->head.is_1_0 = text.data[7] == '0';
    return true;
}

/* Length of "http://" or "https://" at the start of target; 0 without. */
static size_t scheme_size(struct base_slice target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t index = 0; index < 2; index++) {
        size_t size = strlen(schemes[index]);
        if (target.length >= size &&
            restgw_text_is(base_slice_of(target.data, size), schemes[index])) {
            return size;
        }
    }
    return 0;
}

/* §3.2: origin form, absolute form (as a proxy would get it) and "OPTIONS *". */
static bool parse_target(struct restgw_http_parser *parser, const uint8_t *message,
                         struct base_slice target)
{
    struct restgw_http_head *head = &parser->head;
    if (target.length > RESTGW_HTTP_TARGET_SIZE_MAX) {
        return refuse(parser, RESTGW_ERROR_HTTP_TARGET_SIZE, "the URL is longer than 8192 bytes");
    }
    if (target.length == 0 || !consists_of(target, URI)) {
        return malformed(parser, "the URL contains invalid characters");
    }
    head->target = span_of(message, target);

    struct base_slice rest = target;
    size_t scheme = scheme_size(target);
    if (scheme > 0) {
        rest = skip(target, scheme);
        struct base_slice authority = before(before(rest, '/'), '?');
        if (authority.length == 0 || memchr(authority.data, '@', authority.length) != NULL) {
            return malformed(parser, "the URL has no valid host");
        }
        rest = skip(rest, authority.length);
    } else if (base_slice_is(target, "*") && head->method == RESTGW_HTTP_OPTIONS) {
        rest = skip(target, 1);
    } else if (target.data[0] != '/') {
        return malformed(parser, "the URL does not start with a slash");
    }
    struct base_slice path = before(rest, '?');
    head->path = span_of(message, path);
    rest = skip(rest, path.length);
    head->query = span_of(message, rest.length > 0 ? skip(rest, 1) : rest);
    return true;
}

/* Reads the request line. True when there was progress. */
static bool step_line(struct restgw_http_parser *parser, const uint8_t *message, size_t length)
{
    if (parser->position == length) {
        return false;
    }
    /* A TLS hello or other noise is refused by its first byte. */
    uint8_t first = message[parser->position];
    if ((classes[first] & TOKEN) == 0 && first != '\r') {
        return malformed(parser, "this is not an HTTP request");
    }
    struct base_slice line;
    if (!find_line(parser, message, length, &line)) {
        if (parser->state == RESTGW_HTTP_LINE && length - parser->position > LINE_SIZE_MAX) {
            return refuse(parser, RESTGW_ERROR_HTTP_TARGET_SIZE,
                          "the request line is longer than the limit");
        }
        return false;
    }
    if (line.length == 0 && parser->position == 0) {
        skip_line(parser, line); /* §2.2: one empty line in front is robust to ignore */
        return true;
    }
    struct base_slice method = before(line, ' ');
    if (method.length == line.length) {
        return malformed(parser, "the request line has no URL");
    }
    struct base_slice rest = skip(line, method.length + 1);
    struct base_slice target = before(rest, ' ');
    if (target.length == rest.length) {
        return malformed(parser, "the request line has no HTTP version");
    }
    if (!parse_method(parser, message, method) || !parse_target(parser, message, target) ||
        !parse_version(parser, skip(rest, target.length + 1))) {
        return false;
    }
    skip_line(parser, line);
    parser->fields_start = parser->position;
    move(parser, RESTGW_HTTP_FIELDS);
    return true;
}

/* Without spaces and tabs at both ends. */
static struct base_slice trim(struct base_slice text)
{
    while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = skip(text, 1);
    }
    while (text.length > 0 &&
           (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

/* A field line or trailer, §5. */
static bool split_field(struct restgw_http_parser *parser, struct base_slice line,
                        struct base_slice *name, struct base_slice *value)
{
    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return malformed(parser, "a header field is folded"); /* §5.2 */
    }
    *name = before(line, ':');
    if (name->length == line.length || name->length == 0 || !consists_of(*name, TOKEN)) {
        return malformed(parser, "a header field has no valid name"); /* §5.1: nor a space */
    }
    *value = skip(line, name->length + 1);
    if (!consists_of(*value, VALUE)) {
        return malformed(parser, "a header field contains invalid characters");
    }
    *value = trim(*value);
    return true;
}

/* §6.3: digits, once. */
static bool take_length(struct restgw_http_parser *parser, struct base_slice value)
{
    struct restgw_http_head *head = &parser->head;
    if (head->has_length) {
        return malformed(parser, "Content-Length is repeated");
    }
    head->has_length = true;
    if (value.length == 0 || value.length > LENGTH_DIGITS_MAX) {
        return malformed(parser, "Content-Length is not a valid number");
    }
    for (size_t index = 0; index < value.length; index++) {
        if (value.data[index] < '0' || value.data[index] > '9') {
            return malformed(parser, "Content-Length is not a valid number");
        }
        if (__builtin_mul_overflow(head->content_length, 10u, &head->content_length) ||
            __builtin_add_overflow(head->content_length, (uint64_t)(value.data[index] - '0'),
                                   &head->content_length)) {
            return malformed(parser, "Content-Length is not a valid number");
        }
    }
    return true;
}

/* §6.1: "chunked" alone. Anything that hides it from a stricter reader is malformed. */
static bool take_coding(struct restgw_http_parser *parser, struct base_slice value)
{
    if (parser->head.is_chunked) {
        return malformed(parser, "Transfer-Encoding is repeated");
    }
    if (restgw_text_is(value, "chunked")) {
        parser->head.is_chunked = true;
        return true;
    }
    if (value.length == 0 || !consists_of(value, TOKEN)) {
        return malformed(parser, "Transfer-Encoding is not just chunked");
    }
    return refuse(parser, RESTGW_ERROR_HTTP_CODING, "this Transfer-Encoding is not supported");
}

static void take_connection(struct restgw_http_parser *parser, struct base_slice value)
{
    while (value.length > 0) {
        struct base_slice piece = before(value, ',');
        value = skip(value, piece.length < value.length ? piece.length + 1 : piece.length);
        piece = trim(piece);
        parser->says_close |= restgw_text_is(piece, "close");
        parser->says_keep_alive |= restgw_text_is(piece, "keep-alive");
    }
}

/* Characters that would make a Host something else than host and port. */
static bool is_host(struct base_slice value)
{
    for (size_t index = 0; index < value.length; index++) {
        uint8_t byte = value.data[index];
        if ((classes[byte] & URI) == 0 || strchr("/?@,\"<>\\", byte) != NULL) {
            return false;
        }
    }
    return true;
}

/* The fields that decide how the message is framed or answered. */
static bool interpret_field(struct restgw_http_parser *parser, struct base_slice name,
                            struct base_slice value)
{
    switch (name.length) {
    case 4:
        if (restgw_text_is(name, "Host")) {
            if (parser->has_host || !is_host(value)) {
                return malformed(parser, "Host is repeated or invalid");
            }
            parser->has_host = true;
        }
        return true;
    case 6:
        if (restgw_text_is(name, "Expect")) {
            if (!restgw_text_is(value, "100-continue")) {
                return refuse(parser, RESTGW_ERROR_HTTP_EXPECTATION,
                              "this Expect is not supported");
            }
            parser->head.expect_continue = true;
        }
        return true;
    case 10:
        if (restgw_text_is(name, "Connection")) {
            take_connection(parser, value);
        }
        return true;
    case 14:
        return !restgw_text_is(name, "Content-Length") || take_length(parser, value);
    case 17:
        return !restgw_text_is(name, "Transfer-Encoding") || take_coding(parser, value);
    default:
        return true;
    }
}

/* What only the whole head can tell. Moves to the body. */
static bool finish_head(struct restgw_http_parser *parser)
{
    struct restgw_http_head *head = &parser->head;
    if (!parser->has_host && !head->is_1_0) {
        return malformed(parser, "Host is missing");
    }
    if (head->is_chunked && head->has_length) {
        return malformed(parser, "Content-Length and Transfer-Encoding exclude each other");
    }
    if (head->is_chunked && head->is_1_0) {
        return malformed(parser, "HTTP/1.0 has no Transfer-Encoding");
    }
    if (head->content_length > parser->body_size_max) {
        return refuse(parser, RESTGW_ERROR_HTTP_BODY_SIZE, "the body is larger than the limit");
    }
    head->keep_alive = !parser->says_close && (!head->is_1_0 || parser->says_keep_alive);
    head->expect_continue = head->expect_continue && !head->is_1_0;
    parser->body_start = parser->position;
    move(parser, head->is_chunked ? RESTGW_HTTP_CHUNK_SIZE : RESTGW_HTTP_BODY);
    return true;
}

/* Reads one header field. True when there was progress. */
static bool step_field(struct restgw_http_parser *parser, const uint8_t *message, size_t length)
{
    struct restgw_http_head *head = &parser->head;
    struct base_slice line;
    bool is_found = find_line(parser, message, length, &line);
    if (parser->state == RESTGW_HTTP_BAD) {
        return false;
    }
    size_t end = is_found ? parser->position + line.length + 2 : length;
    if (end - parser->fields_start > RESTGW_HTTP_FIELDS_SIZE_MAX) {
        return refuse(parser, RESTGW_ERROR_HTTP_FIELDS_SIZE,
                      "the header is larger than 16384 bytes");
    }
    if (!is_found) {
        return false;
    }
    if (line.length == 0) {
        skip_line(parser, line);
        return finish_head(parser);
    }
    if (head->fields_count == RESTGW_HTTP_FIELDS_MAX) {
        return refuse(parser, RESTGW_ERROR_HTTP_FIELDS_SIZE, "the header has more than 64 fields");
    }
    struct base_slice name;
    struct base_slice value;
    if (!split_field(parser, line, &name, &value) || !interpret_field(parser, name, value)) {
        return false;
    }
    head->fields[head->fields_count++] = (struct restgw_http_field){
        .name = span_of(message, name), .value = span_of(message, value)};
    skip_line(parser, line);
    return true;
}

static bool step_body(struct restgw_http_parser *parser, size_t length)
{
    if (length - parser->position < parser->head.content_length) {
        return false;
    }
    parser->body_length = (size_t)parser->head.content_length;
    parser->position += parser->body_length;
    move(parser, RESTGW_HTTP_DONE);
    return true;
}

/* A line of chunk framing: at most size_max bytes, and counted. */
static bool find_framing_line(struct restgw_http_parser *parser, const uint8_t *message,
                              size_t length, size_t size_max, struct base_slice *line)
{
    bool is_found = find_line(parser, message, length, line);
    if (parser->state == RESTGW_HTTP_BAD) {
        return false;
    }
    size_t size = is_found ? line->length + 2 : length - parser->position;
    if (size > size_max || size > RESTGW_HTTP_CHUNK_FRAMING_SIZE_MAX - parser->framing_size) {
        return refuse(parser, RESTGW_ERROR_HTTP_BODY_SIZE,
                      "the chunk headers are larger than the limit");
    }
    if (is_found) {
        parser->framing_size += size;
    }
    return is_found;
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t letter = byte | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* §7.1: hexadecimal size, then nothing or extensions that nobody looks at. */
static bool step_chunk_size(struct restgw_http_parser *parser, const uint8_t *message,
                            size_t length)
{
    struct base_slice line;
    if (!find_framing_line(parser, message, length, RESTGW_HTTP_CHUNK_LINE_SIZE_MAX, &line)) {
        return false;
    }
    size_t size = 0;
    size_t digits = 0;
    while (digits < line.length && digits < CHUNK_DIGITS_MAX && hex_value(line.data[digits]) >= 0) {
        size = size << 4 | (size_t)hex_value(line.data[digits]);
        digits++;
    }
    bool is_extended = digits < line.length && line.data[digits] == ';';
    if (digits == 0 || (digits < line.length && !is_extended) || !consists_of(line, VALUE)) {
        return malformed(parser, "a chunk size is not a valid number");
    }
    if (size > parser->body_size_max - parser->body_length) {
        return refuse(parser, RESTGW_ERROR_HTTP_BODY_SIZE, "the body is larger than the limit");
    }
    skip_line(parser, line);
    if (size == 0) {
        move(parser, RESTGW_HTTP_TRAILERS);
        return true;
    }
    if (parser->body_length == 0) {
        parser->body_start = parser->position; /* a single chunk is never moved */
    }
    parser->chunk_remaining = size;
    move(parser, RESTGW_HTTP_CHUNK_DATA);
    return true;
}

static bool step_chunk_data(struct restgw_http_parser *parser, uint8_t *message, size_t length)
{
    size_t count = length - parser->position;
    if (count > parser->chunk_remaining) {
        count = parser->chunk_remaining;
    }
    size_t target = parser->body_start + parser->body_length;
    BASE_ASSERT(target <= parser->position);
    if (target != parser->position && count > 0) {
        memmove(message + target, message + parser->position, count);
    }
    parser->body_length += count;
    parser->position += count;
    parser->chunk_remaining -= count;
    if (parser->chunk_remaining > 0) {
        return false;
    }
    move(parser, RESTGW_HTTP_CHUNK_END);
    return true;
}

static bool step_chunk_end(struct restgw_http_parser *parser, const uint8_t *message, size_t length)
{
    const uint8_t *end = message + parser->position;
    size_t available = length - parser->position;
    if ((available > 0 && end[0] != '\r') || (available > 1 && end[1] != '\n')) {
        return malformed(parser, "a chunk is not followed by CR LF");
    }
    if (available < CHUNK_END_SIZE) {
        return false;
    }
    parser->position += CHUNK_END_SIZE;
    parser->framing_size += CHUNK_END_SIZE; /* a size line, which is checked, comes next */
    if (parser->framing_size > RESTGW_HTTP_CHUNK_FRAMING_SIZE_MAX) {
        return refuse(parser, RESTGW_ERROR_HTTP_BODY_SIZE,
                      "the chunk headers are larger than the limit");
    }
    move(parser, RESTGW_HTTP_CHUNK_SIZE);
    return true;
}

/* §7.1.2: checked like header fields, then forgotten. */
static bool step_trailer(struct restgw_http_parser *parser, const uint8_t *message, size_t length)
{
    struct base_slice line;
    if (!find_framing_line(parser, message, length, RESTGW_HTTP_FIELDS_SIZE_MAX, &line)) {
        return false;
    }
    if (line.length == 0) {
        skip_line(parser, line);
        move(parser, RESTGW_HTTP_DONE);
        return true;
    }
    if (parser->trailers_count == RESTGW_HTTP_FIELDS_MAX) {
        return refuse(parser, RESTGW_ERROR_HTTP_FIELDS_SIZE, "there are more than 64 trailers");
    }
    struct base_slice name;
    struct base_slice value;
    if (!split_field(parser, line, &name, &value)) {
        return false;
    }
    parser->trailers_count++;
    skip_line(parser, line);
    return true;
}

/* One element of the message; false when more bytes are needed or there is no more. */
static bool step(struct restgw_http_parser *parser, uint8_t *message, size_t length)
{
    switch (parser->state) {
    case RESTGW_HTTP_LINE:
        return step_line(parser, message, length);
    case RESTGW_HTTP_FIELDS:
        return step_field(parser, message, length);
    case RESTGW_HTTP_BODY:
        return step_body(parser, length);
    case RESTGW_HTTP_CHUNK_SIZE:
        return step_chunk_size(parser, message, length);
    case RESTGW_HTTP_CHUNK_DATA:
        return step_chunk_data(parser, message, length);
    case RESTGW_HTTP_CHUNK_END:
        return step_chunk_end(parser, message, length);
    case RESTGW_HTTP_TRAILERS:
        return step_trailer(parser, message, length);
    case RESTGW_HTTP_DONE:
    case RESTGW_HTTP_BAD:
    case RESTGW_HTTP_STATE_COUNT:
        break;
    }
    return false;
}

enum restgw_http_state restgw_http_parse(struct restgw_http_parser *parser, uint8_t *message,
                                         size_t length)
{
    BASE_ASSERT(message != NULL || length == 0);
    BASE_ASSERT(length >= parser->position + parser->scanned);

    while (step(parser, message, length)) {
    }
    return parser->state;
}
