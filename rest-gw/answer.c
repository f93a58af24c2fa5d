/* Answers: one buffer with head and body.
 *
 * The body is written first, behind room for the head; the head, whose length
 * depends on the body's, is then put right in front of it. */
#include "rest-gw/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "rest-gw/http_server_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/request_priv.h"

enum {
    HEAD_SIZE_MAX = 320, /* without extra headers */
    CONTENT_TYPE_SIZE_MAX = 64,
    DETAIL_SIZE = 257,
    DATE_SIZE = 30, /* "Sun, 06 Nov 1994 08:49:37 GMT" and the terminator */
    STATUS_MIN = 100,
    STATUS_MAX = 599,
    STATUS_NO_CONTENT = 204,
    STATUS_INTERNAL = 500,
};

static const char type_json[] = "application/json";

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t index = 0; index < sizeof reasons / sizeof reasons[0]; index++) {
        if (reasons[index].status == status) {
            return reasons[index].text;
        }
    }
    return ""; /* RFC 9112 §4: the phrase may be empty */
}

/* RFC 9110 §5.6.7, remade once a second. */
static const char *date_text(struct base_clock *clock)
{
    static _Thread_local int64_t cached_second = -1;
    static _Thread_local char text[DATE_SIZE];
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

    int64_t second = base_clock_wall_ms(clock) / 1000;
    if (second != cached_second) {
        time_t seconds = (time_t)second;
        struct tm parts;
        (void)gmtime_r(&seconds, &parts);
        (void)snprintf(text, sizeof text, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                       days[parts.tm_wday % 7], (unsigned)parts.tm_mday % 100,
                       months[parts.tm_mon % 12], (unsigned)(parts.tm_year + 1900) % 10000,
                       (unsigned)parts.tm_hour % 100, (unsigned)parts.tm_min % 100,
                       (unsigned)parts.tm_sec % 100);
        cached_second = second;
    }
    return text;
}

void restgw_answer_header(struct restgw_request *request, const char *name, struct base_slice value)
{
    struct base_slice old = request->extra_headers;
    size_t name_length = strlen(name);
    size_t length = old.length + name_length + value.length + 4;

    BASE_ASSERT(request->writer.length == 0);
    uint8_t *text = base_arena_alloc(&request->arena, length);
    if (text == NULL) {
        return;
    }
    uint8_t *at = text;
    if (old.length > 0) {
        memcpy(at, old.data, old.length);
        at += old.length;
    }
    memcpy(at, name, name_length);
    at += name_length;
    *at++ = ':';
    *at++ = ' ';
    for (size_t index = 0; index < value.length; index++) {
        uint8_t byte = value.data[index];
        *at++ = byte < 0x20 || byte == 0x7F ? ' ' : byte; /* no second header, no second answer */
    }
    *at++ = '\r';
    *at++ = '\n';
    request->extra_headers = base_slice_of(text, length);
}

struct base_writer *restgw_answer_begin(struct restgw_request *request)
{
    BASE_ASSERT(request->state == REQUEST_RUNNING);
    base_writer_reset(&request->writer);
    request->head_room = HEAD_SIZE_MAX + request->extra_headers.length;
    (void)base_writer_extend(&request->writer, request->head_room);
    return &request->writer;
}

static size_t put_text(uint8_t *head, size_t length, const char *text)
{
    size_t size = strlen(text);
    memcpy(head + length, text, size);
    return length + size;
}

static size_t put_number(uint8_t *head, size_t length, size_t number)
{
    uint8_t digits[20];
    size_t start = sizeof digits;
    do {
        digits[--start] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(head + length, digits + start, sizeof digits - start);
    return length + sizeof digits - start;
}

/* Writes the head of request->head_room bytes at most; returns its length. */
static size_t put_head(const struct restgw_request *request, uint8_t *head,
                       const char *content_type, size_t body_length)
{
    size_t length = put_text(head, 0, "HTTP/1.1 ");
    length = put_number(head, length, (size_t)request->status);
    length = put_text(head, length, " ");
    length = put_text(head, length, reason_of(request->status));
    length = put_text(head, length, "\r\nDate: ");
    length = put_text(head, length, date_text(request->executor->clock));
    if (content_type != NULL) {
        length = put_text(head, length, "\r\nContent-Type: ");
        length = put_text(head, length, content_type);
    }
    if (request->status != STATUS_NO_CONTENT) { /* RFC 9110 §8.6 */
        length = put_text(head, length, "\r\nContent-Length: ");
        length = put_number(head, length, body_length);
    }
    if (!request->keep_alive) {
        length = put_text(head, length, "\r\nConnection: close");
    } else if (request->is_1_0) {
        length = put_text(head, length, "\r\nConnection: keep-alive");
    }
    length = put_text(head, length, "\r\n");
    if (request->extra_headers.length > 0) {
        memcpy(head + length, request->extra_headers.data, request->extra_headers.length);
        length += request->extra_headers.length;
    }
    length = put_text(head, length, "\r\n");
    BASE_ASSERT(length <= request->head_room);
    return length;
}

/* Turns what was written into request->answer and hands it to the connection. */
static void finish(struct restgw_request *request, int status, const char *content_type)
{
    BASE_ASSERT(base_executor_is_current(request->executor));
    BASE_ASSERT(status >= STATUS_MIN && status <= STATUS_MAX);
    BASE_ASSERT(content_type == NULL || strlen(content_type) <= CONTENT_TYPE_SIZE_MAX);

    request->status = status;
    if (atomic_load(&request->server->is_draining)) {
        request->keep_alive = false;
    }
    size_t length = 0;
    struct base_buffer *buffer = base_writer_take(&request->writer, &length);
    if (buffer != NULL) {
        size_t body_length = length - request->head_room;
        size_t head_length = put_head(request, buffer->data, content_type, body_length);
        size_t start = request->head_room - head_length;
        memmove(buffer->data + start, buffer->data, head_length);
        request->answer_body = base_slice_of(buffer->data + request->head_room, body_length);
        bool no_body = request->method == RESTGW_HTTP_HEAD;
        request->answer = (struct base_chunk){.buffer = buffer,
                                              .position = start,
                                              .length = head_length + (no_body ? 0 : body_length)};
    }
    restgw__request_move(request, REQUEST_ANSWERED);
    restgw__http_conn_flush(request);
}

/* finish(), but with an error when who asked may not be answered, or the body could not be
 * written. */
static void finish_or_fail(struct restgw_request *request, int status, const char *content_type)
{
    if (request->revoked != RESTGW_ERROR_NONE) {
        request->error = request->revoked;
        status = restgw_error_status(request->revoked);
        content_type = type_json;
        restgw_error_write(restgw_answer_begin(request), request->revoked, base_slice_of(NULL, 0));
    }
    if (request->writer.err != BASE_ERR_OK) {
        restgw_error_write(restgw_answer_begin(request), RESTGW_ERROR_INTERNAL_MEMORY,
                           base_slice_of(NULL, 0));
        status = STATUS_INTERNAL;
        content_type = type_json;
    }
    finish(request, status, content_type);
}

void restgw_answer_end(struct restgw_request *request, int status)
{
    finish_or_fail(request, status, type_json);
}

void restgw_answer_json(struct restgw_request *request, int status, const json_t *value)
{
    restgw_json_put_value(restgw_answer_begin(request), value);
    finish_or_fail(request, status, type_json);
}

void restgw_answer_bytes(struct restgw_request *request, int status, const char *content_type,
                         struct base_slice body)
{
    base_writer_slice(restgw_answer_begin(request), body);
    finish_or_fail(request, status, content_type);
}

void restgw_answer_empty(struct restgw_request *request, int status)
{
    (void)restgw_answer_begin(request);
    finish_or_fail(request, status, NULL);
}

static void answer_error(struct restgw_request *request, enum restgw_error error,
                         struct base_slice detail)
{
    request->error = error;
    restgw_error_write(restgw_answer_begin(request), error, detail);
    finish_or_fail(request, restgw_error_status(error), type_json);
}

void restgw_answer_error(struct restgw_request *request, enum restgw_error error)
{
    answer_error(request, error, base_slice_of(NULL, 0));
}

void restgw_answer_errorf(struct restgw_request *request, enum restgw_error error,
                          const char *format, ...)
{
    char detail[DETAIL_SIZE];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    BASE_ASSERT(length >= 0);
    answer_error(request, error, base_slice_text(detail));
}

void restgw_answer_base_error(struct restgw_request *request, enum base_err err)
{
    restgw_answer_errorf(request, restgw_status_from_base(err), "%s", base_err_text(err));
}

static bool answer_bad(struct restgw_request *request, enum restgw_error error, const char *name)
{
    if (error == RESTGW_ERROR_NONE) {
        return false;
    }
    restgw_answer_errorf(request, error, "%s is missing or invalid", name);
    return true;
}

bool restgw_answer_bad_fields(struct restgw_request *request, const struct restgw_fields *fields)
{
    return answer_bad(request, fields->error, fields->name);
}

bool restgw_answer_bad_query(struct restgw_request *request, const struct restgw_query *query)
{
    return answer_bad(request, query->error, query->name);
}
