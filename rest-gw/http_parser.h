/* Strict HTTP/1.1 request parser (RFC 9112) over a contiguous run of bytes.
 *
 * The caller keeps the whole unfinished message in one buffer and calls
 * restgw_http_parse() with all of it each time bytes were added; the buffer may move
 * between calls. The parser remembers how far it looked, so a message that comes
 * byte by byte costs the same as one that comes whole. It allocates nothing: the
 * parsed head is offsets into the message, and chunks are joined in place.
 *
 * Whatever two parsers could read in two ways is refused (request smuggling):
 * Content-Length with Transfer-Encoding, repeated or odd Content-Length, any coding
 * but "chunked", folded lines, bare CR or LF, space before a colon, control bytes. */
#ifndef RESTGW_HTTP_PARSER_H
#define RESTGW_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "rest-gw/error.h"

enum {
    RESTGW_HTTP_METHOD_SIZE_MAX = 32,
    RESTGW_HTTP_TARGET_SIZE_MAX = 8 * 1024,  /* over it: 414 */
    RESTGW_HTTP_FIELDS_MAX = 64,             /* header fields; over it: 431 */
    RESTGW_HTTP_FIELDS_SIZE_MAX = 16 * 1024, /* all of them with line ends; over it: 431 */
    RESTGW_HTTP_CHUNK_LINE_SIZE_MAX = 256,   /* chunk size and extensions */
    /* Sizes, extensions and trailers of one chunked body: bounds what a body of tiny
     * chunks costs beyond its own bytes. */
    RESTGW_HTTP_CHUNK_FRAMING_SIZE_MAX = 1024 * 1024,
    /* Ten messages of 512 KiB and what is around them. The default body limit. */
    RESTGW_HTTP_BODY_SIZE_MAX = 6 * 1024 * 1024,
    /* Of a route that is not RESTGW_ROUTE_LONG_BODY; over it: 413. The most that such a body
     * says are 20 policies of 100 users each, or a thousand handlers to acknowledge. */
    RESTGW_HTTP_SHORT_BODY_SIZE_MAX = 512 * 1024,
    /* A message of that body size never needs more unconsumed input than this. */
    RESTGW_HTTP_MESSAGE_SIZE_MAX = RESTGW_HTTP_BODY_SIZE_MAX + RESTGW_HTTP_CHUNK_FRAMING_SIZE_MAX +
                                   RESTGW_HTTP_TARGET_SIZE_MAX + RESTGW_HTTP_FIELDS_SIZE_MAX +
                                   64 * 1024,
};

#define RESTGW_HTTP_METHOD_LIST(X) \
    X(GET)                         \
    X(HEAD)                        \
    X(POST)                        \
    X(PUT)                         \
    X(DELETE)                      \
    X(PATCH)                       \
    X(OPTIONS)

#define RESTGW_HTTP_METHOD_ROW(name) RESTGW_HTTP_##name,
enum restgw_http_method {
    RESTGW_HTTP_METHOD_LIST(RESTGW_HTTP_METHOD_ROW) RESTGW_HTTP_METHOD_OTHER,
    RESTGW_HTTP_METHOD_COUNT
};
#undef RESTGW_HTTP_METHOD_ROW

/* "GET"; "" for RESTGW_HTTP_METHOD_OTHER. Static storage. */
const char *restgw_http_method_text(enum restgw_http_method method);

/* Bytes of the message, as offsets from its first byte. */
struct restgw_http_span {
    uint32_t offset;
    uint32_t length;
};

struct restgw_http_field {
    struct restgw_http_span name;
    struct restgw_http_span value; /* without the white space around it */
};

/* What the head of a message says. Valid once its state is past the head. */
struct restgw_http_head {
    enum restgw_http_method method;
    struct restgw_http_span method_text;
    struct restgw_http_span target; /* as sent */
    struct restgw_http_span path;   /* of the target, still encoded; starts with '/' */
    struct restgw_http_span query;  /* without '?', still encoded; may be empty */
    bool is_1_0;
    bool keep_alive;      /* by version and Connection */
    bool expect_continue; /* the client waits for "100 Continue" before it sends the body */
    bool is_chunked;
    bool has_length;
    uint64_t content_length; /* 0 without the field */
    uint32_t fields_count;
    struct restgw_http_field fields[RESTGW_HTTP_FIELDS_MAX];
};

enum restgw_http_state {
    RESTGW_HTTP_LINE,       /* in the request line, or in front of it */
    RESTGW_HTTP_FIELDS,     /* in the header fields */
    RESTGW_HTTP_BODY,       /* head complete; waiting for content_length bytes */
    RESTGW_HTTP_CHUNK_SIZE, /* head complete; in the line that starts a chunk */
    RESTGW_HTTP_CHUNK_DATA, /* in the bytes of a chunk */
    RESTGW_HTTP_CHUNK_END,  /* in the CRLF after them */
    RESTGW_HTTP_TRAILERS,   /* after the last chunk */
    RESTGW_HTTP_DONE,       /* message and body are complete */
    RESTGW_HTTP_BAD,        /* refused: ->error says why; nothing after it can be trusted */
    RESTGW_HTTP_STATE_COUNT
};

/* Public so that it can live inside a connection. Read ->state, ->error, ->head. */
struct restgw_http_parser {
    enum restgw_http_state state;
    enum restgw_error error; /* set in BAD */
    const char *detail;      /* set in BAD: what was wrong; static storage */
    size_t body_size_max;    /* bytes */
    size_t position;         /* start of what is not parsed yet, from the message's first byte */
    size_t scanned;          /* bytes from position on known to hold no line end */
    size_t fields_start;     /* position of the first header field */
    size_t body_start;       /* position of the body's first byte */
    size_t body_length;      /* bytes of it so far, contiguous */
    size_t chunk_remaining;  /* bytes of the current chunk still to come */
    size_t framing_size;     /* bytes of chunk framing so far */
    uint32_t trailers_count;
    bool has_host;
    bool says_close;      /* Connection: close */
    bool says_keep_alive; /* Connection: keep-alive */
    struct restgw_http_head head;
};

/* Ready for the next message. */
void restgw_http_parser_init(struct restgw_http_parser *parser, size_t body_size_max);

/* Goes on parsing; message holds length bytes from the message's first byte on, and
 * bytes of chunked bodies are moved within it. Returns the new state. In DONE the
 * message ends at ->position, which may be before length (pipelining). */
enum restgw_http_state restgw_http_parse(struct restgw_http_parser *parser, uint8_t *message,
                                         size_t length);

/* Head is there and understood. */
static inline bool restgw_http_has_head(const struct restgw_http_parser *parser)
{
    return parser->state >= RESTGW_HTTP_BODY && parser->state <= RESTGW_HTTP_DONE;
}

/* The message's bytes at span. */
static inline struct base_slice restgw_http_slice(const uint8_t *message,
                                                  struct restgw_http_span span)
{
    return base_slice_of(message + span.offset, span.length);
}

#endif
