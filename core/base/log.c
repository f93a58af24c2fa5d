/* Structured log. A line is built whole and written with one call, so that lines
 * of different threads never mix. */
#include "core/base/log.h"

#include <stdarg.h>
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

/* Escapes for a JSON string; always terminates, cuts when full. */
static void escape(char *out, size_t size, const char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length && used + 7 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            out[used++] = '\\';
            out[used++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            used += (size_t)snprintf(out + used, 7, "\\u%04x", c);
        } else {
            out[used++] = (char)c;
        }
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
