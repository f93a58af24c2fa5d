/* Kafka's error codes by number, and ours in their terms. */
#include "kafka-proto/error.h"

#include <assert.h>
#include <stddef.h>

enum { CODE_FIRST = KPROTO_ERROR_UNKNOWN_SERVER_ERROR };

#define ROW(number, error_name, is_retriable, error_text) \
    [(number)-                                            \
        CODE_FIRST] = {.name = #error_name, .text = (error_text), .retriable = (is_retriable)},
static const struct row {
    const char *name;
    const char *text;
    bool retriable;
} rows[] = {KPROTO_ERROR_LIST(ROW)};
#undef ROW

enum { CODE_COUNT = sizeof rows / sizeof rows[0] };

#define ONE(number, name, retriable, text) +1
static_assert(CODE_COUNT == 0 KPROTO_ERROR_LIST(ONE), "the numbers have no gap");
#undef ONE

static const struct row *find(int16_t code)
{
    if (code < CODE_FIRST || code - CODE_FIRST >= CODE_COUNT) {
        return &rows[0];
    }
    return &rows[code - CODE_FIRST];
}

const char *kproto_error_name(int16_t code)
{
    return find(code)->name;
}

const char *kproto_error_text(int16_t code)
{
    return find(code)->text;
}

bool kproto_error_is_retriable(int16_t code)
{
    return find(code)->retriable;
}

enum kproto_error kproto_error_from_base(enum base_err err)
{
    switch (err) {
    case BASE_ERR_OK:
        return KPROTO_ERROR_NONE;
    case BASE_ERR_IO:
    case BASE_ERR_NO_SPACE:
    case BASE_ERR_CORRUPT:
    case BASE_ERR_OFFLINE:
        return KPROTO_ERROR_KAFKA_STORAGE_ERROR;
    case BASE_ERR_EXISTS:
        return KPROTO_ERROR_TOPIC_ALREADY_EXISTS;
    case BASE_ERR_NOT_FOUND:
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    case BASE_ERR_TOO_LARGE:
        return KPROTO_ERROR_MESSAGE_TOO_LARGE;
    case BASE_ERR_MALFORMED:
    case BASE_ERR_INVALID:
        return KPROTO_ERROR_INVALID_REQUEST;
    case BASE_ERR_UNSUPPORTED:
        return KPROTO_ERROR_UNSUPPORTED_VERSION;
    case BASE_ERR_BUSY:
    case BASE_ERR_TIMEOUT:
        return KPROTO_ERROR_REQUEST_TIMED_OUT; /* both are over after a while: retriable */
    case BASE_ERR_CLOSED:
        return KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER; /* moved or shut down: look it up again */
    case BASE_ERR_OUT_OF_RANGE:
        return KPROTO_ERROR_OFFSET_OUT_OF_RANGE;
    case BASE_ERR_NOMEM:
    case BASE_ERR_COUNT:
        break;
    }
    return KPROTO_ERROR_UNKNOWN_SERVER_ERROR;
}
