/* libFuzzer target: no bytes may make the HTTP parser crash or read out of bounds, and a
 * message means the same however it is cut.
 *
 * Byte 0 is the size of the pieces it arrives in; the rest is what a connection would get,
 * one message after the other. */
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/assert.h"
#include "rest-gw/http_parser.h"
#include "rest-gw/uri.h"

enum { BODY_SIZE_MAX = 4096, ARENA_LIMIT = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_span(struct restgw_http_span span, size_t length)
{
    BASE_ASSERT(span.offset <= length);
    BASE_ASSERT(span.length <= length - span.offset);
}

static void check_done(const struct restgw_http_parser *parser, size_t length)
{
    const struct restgw_http_head *head = &parser->head;
    BASE_ASSERT(parser->position <= length);
    BASE_ASSERT(parser->body_length <= BODY_SIZE_MAX);
    BASE_ASSERT(parser->body_start <= length);
    BASE_ASSERT(parser->body_length <= length - parser->body_start);
    BASE_ASSERT(!(head->has_length && head->is_chunked));
    BASE_ASSERT(head->fields_count <= RESTGW_HTTP_FIELDS_MAX);
    check_span(head->target, length);
    check_span(head->path, length);
    check_span(head->query, length);
    for (uint32_t index = 0; index < head->fields_count; index++) {
        check_span(head->fields[index].name, length);
        check_span(head->fields[index].value, length);
    }
}

static void split_target(const struct restgw_http_parser *parser, const uint8_t *message)
{
    struct base_arena arena;
    struct base_slice segments[RESTGW_PATH_SEGMENTS_MAX];
    struct restgw_parameter *parameters = NULL;
    size_t count = 0;
    enum base_err err = BASE_ERR_OK;

    base_arena_init(&arena, ARENA_LIMIT);
    if (parser->head.path.length > 0) {
        err = restgw_uri_split_path(&arena, restgw_http_slice(message, parser->head.path), segments,
                                    &count);
        BASE_ASSERT(err != BASE_ERR_OK || count > 0);
    }
    err = restgw_uri_split_query(&arena, restgw_http_slice(message, parser->head.query),
                                 &parameters, &count);
    BASE_ASSERT(err == BASE_ERR_OK || count == 0);
    base_arena_fini(&arena);
}

/* Parses with step more bytes at a time, each time in memory of exactly that size. The
 * result's message is in *message. */
static void parse(struct restgw_http_parser *parser, const uint8_t *data, size_t size, size_t step,
                  uint8_t **message)
{
    size_t length = 0;
    *message = base_alloc(0);
    restgw_http_parser_init(parser, BODY_SIZE_MAX);
    while (length < size && parser->state != RESTGW_HTTP_DONE && parser->state != RESTGW_HTTP_BAD) {
        size_t count = step < size - length ? step : size - length;
        uint8_t *longer = base_alloc(length + count);
        BASE_ASSERT(longer != NULL);
        if (length > 0) {
            memcpy(longer, *message, length);
        }
        memcpy(longer + length, data + length, count);
        base_free(*message);
        *message = longer;
        length += count;
        (void)restgw_http_parse(parser, *message, length);
    }
    if (parser->state == RESTGW_HTTP_DONE) {
        check_done(parser, length);
    }
}

/* One message from the start of data; its length, 0 when none is complete. */
static size_t try_message(const uint8_t *data, size_t size, size_t step)
{
    static struct restgw_http_parser whole;
    static struct restgw_http_parser pieces;
    uint8_t *whole_message = NULL;
    uint8_t *pieces_message = NULL;
    size_t length = 0;

    parse(&whole, data, size, size, &whole_message);
    parse(&pieces, data, size, step, &pieces_message);
    BASE_ASSERT(whole.state == pieces.state);
    BASE_ASSERT(whole.position == pieces.position || whole.state == RESTGW_HTTP_BAD);
    if (whole.state == RESTGW_HTTP_DONE) {
        BASE_ASSERT(memcmp(&whole.head, &pieces.head, offsetof(struct restgw_http_head, fields)) ==
                    0);
        BASE_ASSERT(whole.body_length == pieces.body_length);
        BASE_ASSERT(memcmp(whole_message + whole.body_start, pieces_message + pieces.body_start,
                           whole.body_length) == 0);
        split_target(&whole, whole_message);
        length = whole.position;
    } else if (whole.state == RESTGW_HTTP_BAD) {
        BASE_ASSERT(whole.error != RESTGW_ERROR_NONE);
        BASE_ASSERT(whole.detail != NULL);
    }
    base_free(whole_message);
    base_free(pieces_message);
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t step = data[0] == 0 ? 1 : data[0];
    data++;
    size--;
    size_t length = 0;
    do {
        length = try_message(data, size, step);
        data += length;
        size -= length;
    } while (length > 0 && size > 0);
    return 0;
}
