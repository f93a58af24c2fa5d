/* The error table and its JSON form. */
#include "rest-gw/error.h"

#include <assert.h>
#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/json_write.h"

struct error_row {
    int status;
    int code;
    const char *text;
};

#define ROW(name, status, code, text) [RESTGW_ERROR_##name] = {status, code, text},
static const struct error_row rows[] = {RESTGW_ERROR_LIST(ROW)};
#undef ROW

static_assert(sizeof rows / sizeof rows[0] == RESTGW_ERROR_COUNT, "one row per error");

static const struct error_row *row_of(enum restgw_error error)
{
    BASE_ASSERT(error > RESTGW_ERROR_NONE);
    BASE_ASSERT(error < RESTGW_ERROR_COUNT);
    return &rows[error];
}

int restgw_error_status(enum restgw_error error)
{
    return row_of(error)->status;
}

int restgw_error_code(enum restgw_error error)
{
    return row_of(error)->code;
}

const char *restgw_error_text(enum restgw_error error)
{
    return row_of(error)->text;
}

void restgw_error_write(struct base_writer *writer, enum restgw_error error,
                        struct base_slice detail)
{
    const struct error_row *row = row_of(error);

    RESTGW_JSON_PUT(writer, "{\"code\":");
    restgw_json_put_integer(writer, row->code);
    RESTGW_JSON_PUT(writer, ",\"message\":\"");
    const char *mark = strstr(row->text, "{}");
    if (mark == NULL) {
        restgw_json_put_escaped(writer, base_slice_text(row->text));
    } else {
        restgw_json_put_escaped(writer, base_slice_of(row->text, (size_t)(mark - row->text)));
        restgw_json_put_escaped(writer, detail);
        restgw_json_put_escaped(writer, base_slice_text(mark + 2));
    }
    RESTGW_JSON_PUT(writer, "\"}");
}

enum restgw_error restgw_status_from_base(enum base_err err)
{
    switch (err) {
    case BASE_ERR_NOMEM:
        return RESTGW_ERROR_INTERNAL_MEMORY;
    case BASE_ERR_IO:
    case BASE_ERR_NO_SPACE:
    case BASE_ERR_CORRUPT:
    case BASE_ERR_OFFLINE:
        return RESTGW_ERROR_INTERNAL_STORAGE;
    case BASE_ERR_TIMEOUT:
        return RESTGW_ERROR_INTERNAL_COMMUNICATION;
    case BASE_ERR_CLOSED:
        return RESTGW_ERROR_INTERNAL_STOPPING;
    case BASE_ERR_BUSY:
        return RESTGW_ERROR_FLOW_CONTROL;
    case BASE_ERR_MALFORMED:
    case BASE_ERR_INVALID:
    case BASE_ERR_UNSUPPORTED:
    case BASE_ERR_TOO_LARGE:
        return RESTGW_ERROR_REQUEST_FORMAT;
    case BASE_ERR_EXISTS:
    case BASE_ERR_NOT_FOUND:
    case BASE_ERR_OUT_OF_RANGE:
        return RESTGW_ERROR_INTERNAL; /* whose existence is the handler's to know */
    case BASE_ERR_OK:
    case BASE_ERR_COUNT:
        break;
    }
    BASE_ASSERT(err != BASE_ERR_OK && err < BASE_ERR_COUNT);
    return RESTGW_ERROR_INTERNAL;
}
