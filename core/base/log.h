/* Structured log: one event per line on standard error, logfmt or JSON, UTC.
 *
 *     base_log(BASE_LOG_WARN, "SEGMENT_DAMAGED", "file=%s position=%" PRId64, name, position);
 *
 * The event is fixed upper-case text, the rest key=value pairs with units in the
 * keys. Text chosen by a peer goes through base_log_text(). From any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>

#include "core/base/slice.h"

enum base_log_level {
    BASE_LOG_TRACE,
    BASE_LOG_DEBUG,
    BASE_LOG_INFO,
    BASE_LOG_WARN,
    BASE_LOG_ERROR
};
enum base_log_format { BASE_LOG_LOGFMT, BASE_LOG_JSON };

enum { BASE_LOG_TEXT_SIZE = 128 };

void base_log(enum base_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines below level are dropped. Default: INFO, logfmt. Call before threads start. */
void base_log_configure(enum base_log_level level, enum base_log_format format);

/* Copies text into out, quoted, escaped and cut to BASE_LOG_TEXT_SIZE; returns out. */
const char *base_log_text(char out[BASE_LOG_TEXT_SIZE], struct base_slice text);

#endif
