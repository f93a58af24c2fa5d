/* Structured log. A line is built whole and written with one call, so that lines
 * of different threads never mix. */
#include "core/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/assert.h"
#include "core/base/clock.h"

enum { LINE_SIZE = 2048, STAMP_SIZE = 32 };

static enum base_log_level level_min = BASE_LOG_INFO;
static enum base_log_format line_format = BASE_LOG_LOGFMT;

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};

void base_log_configure(enum base_log_level level, enum base_log_format format)
{
    level_min = level;
    line_format = format;
}

static void format_stamp(char stamp[STAMP_SIZE])
{
    int64_t now_ms = base_clock_wall_ms(base_clock_system());
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    char date[STAMP_SIZE];

    (void)gmtime_r(&seconds, &parts);
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(stamp, STAMP_SIZE, "%.19s.%03dZ", date, (int)(now_ms % 1000));
}

/* Bytes of the UTF-8 character at text; 0 if it is none, or a control character. */
static size_t utf8_size(const unsigned char *text, size_t length)
{
    unsigned lead = text[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size == 0 || lead > 0xf4 || size > length || lead < 0x20 || lead == 0x7f) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    unsigned next = size > 1 ? text[1] : 0;
    bool is_bad = (lead == 0xc2 && next < 0xa0)      /* C1 controls: terminals obey them */
                  || (lead == 0xe0 && next < 0xa0)   /* longer than needed */
                  || (lead == 0xed && next >= 0xa0)  /* halves of UTF-16 pairs */
                  || (lead == 0xf0 && next < 0x90)   /* longer than needed */
                  || (lead == 0xf4 && next >= 0x90); /* beyond Unicode */
    return is_bad ? 0 : size;
}

/* Escapes for a JSON string; always terminates, cuts between characters when full.
 * Bytes that are no UTF-8 come out as if they were Latin-1. */
static void escape(char *out, size_t size, const char *text, size_t length)
{
    enum { ESCAPE_SIZE = 6 };
    size_t used = 0;
    size_t at = 0;
    while (at < length && used + ESCAPE_SIZE < size) {
        unsigned char c = (unsigned char)text[at];
        size_t taken = utf8_size((const unsigned char *)text + at, length - at);
        if (taken == 0) {
            used += (size_t)snprintf(out + used, ESCAPE_SIZE + 1, "\\u%04x", c);
            at++;
            continue;
        }
        if (c == '"' || c == '\\') {
            out[used++] = '\\';
        }
        memcpy(out + used, text + at, taken);
        used += taken;
        at += taken;
    }
    out[used] = '\0';
}

void base_log(enum base_log_level level, const char *event, const char *format, ...)
{
    if (level < level_min) {
        return;
    }
    char stamp[STAMP_SIZE];
    char fields[LINE_SIZE / 2];
    char line[LINE_SIZE];
    va_list args;

    format_stamp(stamp);
    va_start(args, format);
    (void)vsnprintf(fields, sizeof fields, format, args);
    va_end(args);

    int length = 0;
    if (line_format == BASE_LOG_JSON) {
        char escaped[LINE_SIZE - 256];
        escape(escaped, sizeof escaped, fields, strlen(fields));
        length = snprintf(line, sizeof line,
                          "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"fields\":\"%s\"}\n",
                          stamp, level_names[level], event, escaped);
    } else {
        length = snprintf(line, sizeof line, "time=%s level=%s event=%s %s\n", stamp,
                          level_names[level], event, fields);
    }
    if (length >= (int)sizeof line) {
        length = (int)sizeof line - 1;
        line[length - 1] = '\n';
    }
    (void)fwrite(line, 1, (size_t)length, stderr);
}

const char *base_log_text(char out[BASE_LOG_TEXT_SIZE], struct base_slice text)
{
    out[0] = '"';
    escape(out + 1, BASE_LOG_TEXT_SIZE - 2, (const char *)text.data, text.length);
    size_t length = strlen(out);
    out[length] = '"';
    out[length + 1] = '\0';
    return out;
}
