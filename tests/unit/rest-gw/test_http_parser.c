/* The HTTP parser: every message whole and cut at every byte, and what it must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest-gw/http_parser.h"

enum { MESSAGE_SIZE_MAX = 2 * 1024 * 1024 };

static struct restgw_http_parser parser;
static uint8_t *message;

static int set_up(void **state)
{
    (void)state;
    message = malloc(MESSAGE_SIZE_MAX);
    return message == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(message);
    return 0;
}

/* Puts text at length and returns the new length. */
static size_t put(size_t length, const char *text)
{
    size_t size = strlen(text);
    assert_true(size <= MESSAGE_SIZE_MAX - length);
    memcpy(message + length, text, size);
    return length + size;
}

static enum restgw_http_state parse_bytes(const void *bytes, size_t length)
{
    assert_true(length <= MESSAGE_SIZE_MAX);
    memcpy(message, bytes, length);
    restgw_http_parser_init(&parser, RESTGW_HTTP_BODY_SIZE_MAX);
    return restgw_http_parse(&parser, message, length);
}

static enum restgw_http_state parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

/* The same in two pieces, and byte by byte, each in a buffer of exactly that size so
 * that a sanitizer sees every byte too far. */
static void parse_in_pieces(const char *text, enum restgw_http_state expected,
                            enum restgw_error error)
{
    size_t length = strlen(text);
    for (size_t cut = 0; cut <= length; cut++) {
        memcpy(message, text, length);
        restgw_http_parser_init(&parser, RESTGW_HTTP_BODY_SIZE_MAX);
        uint8_t *first = malloc(cut + 1);
        memcpy(first, text, cut);
        (void)restgw_http_parse(&parser, first, cut);
        uint8_t *second = malloc(length + 1);
        memcpy(second, text, length);
        memcpy(second, first, cut); /* chunks may have been joined */
        free(first);
        enum restgw_http_state state = parser.state;
        if (state != RESTGW_HTTP_BAD && state != RESTGW_HTTP_DONE) {
            state = restgw_http_parse(&parser, second, length);
        }
        memcpy(message, second, length);
        free(second);
        assert_int_equal(state, expected);
        if (expected == RESTGW_HTTP_BAD) {
            assert_int_equal(parser.error, error);
        }
    }
    memcpy(message, text, length);
    restgw_http_parser_init(&parser, RESTGW_HTTP_BODY_SIZE_MAX);
    enum restgw_http_state state = RESTGW_HTTP_LINE;
    for (size_t size = 1; size <= length; size++) {
        state = restgw_http_parse(&parser, message, size);
        if (state == RESTGW_HTTP_BAD || state == RESTGW_HTTP_DONE) {
            break;
        }
    }
    assert_int_equal(state, expected);
}

static void assert_span(struct restgw_http_span span, const char *expected)
{
    assert_int_equal(span.length, strlen(expected));
    assert_memory_equal(message + span.offset, expected, span.length);
}

static void assert_body(const char *expected)
{
    assert_int_equal(parser.body_length, strlen(expected));
    assert_memory_equal(message + parser.body_start, expected, parser.body_length);
}

static void a_get_is_understood(void **state)
{
    (void)state;
    const char *text = "GET /v1.0/p/queues?a=1&b=2 HTTP/1.1\r\nHost: dms.example.com:8080\r\n"
                       "X-Auth-Token:  to ken\t\r\nEmpty:\r\n\r\nrest";
    parse_in_pieces(text, RESTGW_HTTP_DONE, 0);
    assert_int_equal(parse(text), RESTGW_HTTP_DONE);
    assert_int_equal(parser.position, strlen(text) - 4);
    assert_int_equal(parser.head.method, RESTGW_HTTP_GET);
    assert_span(parser.head.method_text, "GET");
    assert_span(parser.head.target, "/v1.0/p/queues?a=1&b=2");
    assert_span(parser.head.path, "/v1.0/p/queues");
    assert_span(parser.head.query, "a=1&b=2");
    assert_int_equal(parser.head.fields_count, 3);
    assert_span(parser.head.fields[1].name, "X-Auth-Token");
    assert_span(parser.head.fields[1].value, "to ken");
    assert_span(parser.head.fields[2].value, "");
    assert_true(parser.head.keep_alive);
    assert_int_equal(parser.body_length, 0);
}

static void a_body_with_a_length_is_found(void **state)
{
    (void)state;
    const char *text = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\n\r\n{\"a\":1}GET";
    parse_in_pieces(text, RESTGW_HTTP_DONE, 0);
    assert_body("{\"a\":1}");
    assert_int_equal(parser.position, strlen(text) - 3);
}

static void chunks_are_joined_in_place(void **state)
{
    (void)state;
    const char *text = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
                       "3\r\nabc\r\n"
                       "00000A;name=\"value\";other\r\n0123456789\r\n"
                       "1;\r\n!\r\n"
                       "0\r\nTrailer: x\r\nContent-Length: 5\r\n\r\nGET /";
    parse_in_pieces(text, RESTGW_HTTP_DONE, 0);
    assert_int_equal(parse(text), RESTGW_HTTP_DONE);
    assert_body("abc0123456789!");
    assert_memory_equal(message + parser.position, "GET /", 5);
    assert_int_equal(parser.head.fields_count, 2);
}

static void a_chunked_body_may_be_empty(void **state)
{
    (void)state;
    parse_in_pieces("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    RESTGW_HTTP_DONE, 0);
    assert_int_equal(parser.body_length, 0);
}

static void version_and_connection_decide_keep_alive(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep_alive;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nconnection: TE , CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        assert_int_equal(parse(rows[index].text), RESTGW_HTTP_DONE);
        assert_int_equal(parser.head.keep_alive, rows[index].keep_alive);
    }
}

static void targets_have_three_forms(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *path;
        const char *query;
    } rows[] = {
        {"GET /a/%2F/../b?x?y HTTP/1.1", "/a/%2F/../b", "x?y"},
        {"GET /? HTTP/1.1", "/", ""},
        {"GET http://dms.example.com:80/a?b HTTP/1.1", "/a", "b"},
        {"GET HTTPS://h HTTP/1.1", "", ""},
        {"GET http://h?q=/ HTTP/1.1", "", "q=/"},
        {"OPTIONS * HTTP/1.1", "", ""},
        {"BREW /pot HTTP/1.1", "/pot", ""},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        char text[128];
        (void)snprintf(text, sizeof text, "%s\r\nHost: h\r\n\r\n", rows[index].line);
        assert_int_equal(parse(text), RESTGW_HTTP_DONE);
        assert_span(parser.head.path, rows[index].path);
        assert_span(parser.head.query, rows[index].query);
    }
    assert_int_equal(parser.head.method, RESTGW_HTTP_METHOD_OTHER);
}

static void one_empty_line_in_front_is_ignored(void **state)
{
    (void)state;
    parse_in_pieces("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_HTTP_DONE, 0);
    assert_int_equal(parse("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), RESTGW_HTTP_BAD);
}

static void expect_continue_is_seen(void **state)
{
    (void)state;
    assert_int_equal(parse("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n"
                           "Content-Length: 3\r\n\r\n"),
                     RESTGW_HTTP_BODY);
    assert_true(restgw_http_has_head(&parser));
    assert_true(parser.head.expect_continue);
    assert_int_equal(parse("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
                     RESTGW_HTTP_BODY);
    assert_false(parser.head.expect_continue);
}

#define START "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED START "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
    const char *text;
    enum restgw_error error;
} refused[] = {
    /* Framing that two readers could understand in two ways. */
    {START "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
     RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: 3, 3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: +3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: -3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: 0x3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: 3 3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: 3a\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length:\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length: 18446744073709551619\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length : 3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Content-Length\t: 3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START " Content-Length: 3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "X: y\r\n Content-Length: 3\r\n\r\nabc", RESTGW_ERROR_HTTP_MALFORMED},
    {START "X: y\r\n\tfolded\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
     RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding:\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: \x0b"
           "chunked\r\n\r\n0\r\n\r\n",
     RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {START "Transfer-Encoding: identity\r\n\r\n", RESTGW_ERROR_HTTP_CODING},
    {START "Transfer-Encoding: xchunked\r\n\r\n", RESTGW_ERROR_HTTP_CODING},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    /* Chunks. */
    {CHUNKED "\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "0x3\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "-3\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "+3\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED " 3\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "3 \r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "3\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "3;a\nb\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "3\r\nabcd\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "3\r\nabc\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "3\r\nabc0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "000000003\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "100000003\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "FFFFFFFF\r\nabc\r\n0\r\n\r\n", RESTGW_ERROR_HTTP_BODY_SIZE},
    {CHUNKED "0\r\nbad trailer\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "0\r\nA: b\r\n folded\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {CHUNKED "0\r\nA: b\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    /* Lines. */
    {"GET / HTTP/1.1\nHost: h\n\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\nA: b\x01\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\nA: b\x7f\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\nA b: c\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\n: c\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\nnothing\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\nA\xc3\xa4: c\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {" GET / HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET /\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / http/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/11.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_VERSION},
    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_VERSION},
    {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_VERSION},
    {"GET relative HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"\x16\x03\x01\x02", RESTGW_ERROR_HTTP_MALFORMED}, /* TLS */
    /* Host and Expect. */
    {"GET / HTTP/1.1\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", RESTGW_ERROR_HTTP_MALFORMED},
    {"GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", RESTGW_ERROR_HTTP_EXPECTATION},
    {START "Content-Length: 6291457\r\n\r\n", RESTGW_ERROR_HTTP_BODY_SIZE},
    {START "Content-Length: 9223372036854775807\r\n\r\n", RESTGW_ERROR_HTTP_BODY_SIZE},
};

static void ambiguous_and_malformed_messages_are_refused(void **state)
{
    (void)state;
    for (size_t index = 0; index < sizeof refused / sizeof refused[0]; index++) {
        if (parse(refused[index].text) != RESTGW_HTTP_BAD || parser.error != refused[index].error) {
            print_message("row %zu: %s\n", index, refused[index].text);
        }
        assert_int_equal(parser.state, RESTGW_HTTP_BAD);
        assert_int_equal(parser.error, refused[index].error);
        assert_non_null(parser.detail);
        parse_in_pieces(refused[index].text, RESTGW_HTTP_BAD, refused[index].error);
    }
}

static void nul_bytes_are_refused_everywhere(void **state)
{
    (void)state;
    /* More lines, so that a line end that is missing is noticed. */
    const char text[] = "GET /path HTTP/1.1\r\nHost: h\r\nName: value\r\n\r\n\r\n";
    for (size_t place = 0; place < sizeof text - 3; place++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        copy[place] = '\0';
        assert_int_equal(parse_bytes(copy, sizeof text - 1), RESTGW_HTTP_BAD);
    }
}

static void a_target_may_have_8192_bytes(void **state)
{
    (void)state;
    for (int extra = 0; extra <= 1; extra++) {
        static const char rest[] = " HTTP/1.1\r\nHost: h\r\n\r\n";
        static char text[RESTGW_HTTP_TARGET_SIZE_MAX + 64];
        size_t size = RESTGW_HTTP_TARGET_SIZE_MAX + (size_t)extra;
        memcpy(text, "GET ", 4);
        memset(text + 4, 'a', size);
        text[4] = '/';
        memcpy(text + 4 + size, rest, sizeof rest);
        assert_int_equal(parse(text), extra == 0 ? RESTGW_HTTP_DONE : RESTGW_HTTP_BAD);
        if (extra == 1) {
            assert_int_equal(parser.error, RESTGW_ERROR_HTTP_TARGET_SIZE);
        }
    }
    /* A line that never ends is given up. */
    memset(message, 'G', 10000);
    restgw_http_parser_init(&parser, 0);
    assert_int_equal(restgw_http_parse(&parser, message, 8000), RESTGW_HTTP_LINE);
    assert_int_equal(restgw_http_parse(&parser, message, 10000), RESTGW_HTTP_BAD);
    assert_int_equal(parser.error, RESTGW_ERROR_HTTP_TARGET_SIZE);
}

static void a_header_may_have_64_fields_and_16384_bytes(void **state)
{
    (void)state;
    for (unsigned count = 63; count <= 64; count++) {
        size_t length = put(0, "GET / HTTP/1.1\r\nHost: h\r\n");
        for (unsigned index = 0; index < count; index++) {
            length = put(length, "A: b\r\n");
        }
        length = put(length, "\r\n");
        restgw_http_parser_init(&parser, 0);
        (void)restgw_http_parse(&parser, message, length);
        assert_int_equal(parser.state, count == 63 ? RESTGW_HTTP_DONE : RESTGW_HTTP_BAD);
    }
    assert_int_equal(parser.error, RESTGW_ERROR_HTTP_FIELDS_SIZE);

    for (size_t extra = 0; extra <= 1; extra++) {
        size_t length = put(0, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
        size_t fixed = sizeof "Host: h\r\nA: \r\n\r\n" - 1;
        size_t value = RESTGW_HTTP_FIELDS_SIZE_MAX - fixed + extra;
        memset(message + length, 'v', value);
        memcpy(message + length + value, "\r\n\r\n", 4);
        length += value + 4;
        restgw_http_parser_init(&parser, 0);
        (void)restgw_http_parse(&parser, message, length);
        assert_int_equal(parser.state, extra == 0 ? RESTGW_HTTP_DONE : RESTGW_HTTP_BAD);
    }
    assert_int_equal(parser.error, RESTGW_ERROR_HTTP_FIELDS_SIZE);

    /* Also before the line ends. */
    size_t length = put(0, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
    memset(message + length, 'v', 20000);
    restgw_http_parser_init(&parser, 0);
    assert_int_equal(restgw_http_parse(&parser, message, length + 20000), RESTGW_HTTP_BAD);
    assert_int_equal(parser.error, RESTGW_ERROR_HTTP_FIELDS_SIZE);
}

static void the_body_limit_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum restgw_http_state state;
    } rows[] = {
        {START "Content-Length: 5\r\n\r\n12345", RESTGW_HTTP_DONE},
        {START "Content-Length: 6\r\n\r\n123456", RESTGW_HTTP_BAD},
        {CHUNKED "5\r\n12345\r\n0\r\n\r\n", RESTGW_HTTP_DONE},
        {CHUNKED "3\r\n123\r\n2\r\n45\r\n0\r\n\r\n", RESTGW_HTTP_DONE},
        {CHUNKED "3\r\n123\r\n3\r\n456\r\n0\r\n\r\n", RESTGW_HTTP_BAD},
        {CHUNKED "6\r\n", RESTGW_HTTP_BAD},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        size_t length = strlen(rows[index].text);
        memcpy(message, rows[index].text, length);
        restgw_http_parser_init(&parser, 5);
        assert_int_equal(restgw_http_parse(&parser, message, length), rows[index].state);
        if (rows[index].state == RESTGW_HTTP_BAD) {
            assert_int_equal(parser.error, RESTGW_ERROR_HTTP_BODY_SIZE);
        }
    }
}

static void chunk_framing_is_bounded(void **state)
{
    (void)state;
    /* One line of extensions. */
    size_t length = put(0, CHUNKED "1;");
    memset(message + length, 'x', 300);
    restgw_http_parser_init(&parser, 100);
    assert_int_equal(restgw_http_parse(&parser, message, length + 300), RESTGW_HTTP_BAD);
    assert_int_equal(parser.error, RESTGW_ERROR_HTTP_BODY_SIZE);

    /* Many chunks of one byte. */
    length = put(0, CHUNKED);
    while (length < RESTGW_HTTP_CHUNK_FRAMING_SIZE_MAX * 3 / 2) {
        memcpy(message + length, "1\r\nx\r\n", 6);
        length += 6;
    }
    restgw_http_parser_init(&parser, RESTGW_HTTP_BODY_SIZE_MAX);
    assert_int_equal(restgw_http_parse(&parser, message, length), RESTGW_HTTP_BAD);
    assert_int_equal(parser.error, RESTGW_ERROR_HTTP_BODY_SIZE);

    /* Trailers. */
    length = put(0, CHUNKED "0\r\n");
    for (unsigned index = 0; index < 65; index++) {
        length = put(length, "A: b\r\n");
    }
    restgw_http_parser_init(&parser, 100);
    assert_int_equal(restgw_http_parse(&parser, message, length), RESTGW_HTTP_BAD);
    assert_int_equal(parser.error, RESTGW_ERROR_HTTP_FIELDS_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_is_understood),
        cmocka_unit_test(a_body_with_a_length_is_found),
        cmocka_unit_test(chunks_are_joined_in_place),
        cmocka_unit_test(a_chunked_body_may_be_empty),
        cmocka_unit_test(version_and_connection_decide_keep_alive),
        cmocka_unit_test(targets_have_three_forms),
        cmocka_unit_test(one_empty_line_in_front_is_ignored),
        cmocka_unit_test(expect_continue_is_seen),
        cmocka_unit_test(ambiguous_and_malformed_messages_are_refused),
        cmocka_unit_test(nul_bytes_are_refused_everywhere),
        cmocka_unit_test(a_target_may_have_8192_bytes),
        cmocka_unit_test(a_header_may_have_64_fields_and_16384_bytes),
        cmocka_unit_test(the_body_limit_is_exact),
        cmocka_unit_test(chunk_framing_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
