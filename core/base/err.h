/* Result codes shared by every library. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <assert.h>

/* One row per code: name, text for logs. Order is not part of any wire or disk
 * format, so rows may be added anywhere except before OK. */
#define BASE_ERR_LIST(X)                                                  \
    X(OK, "success")                                                      \
    X(NOMEM, "out of memory")                                             \
    X(IO, "operating system refused an input/output call")                \
    X(NO_SPACE, "no space left where data is stored")                     \
    X(EXISTS, "object already exists")                                    \
    X(NOT_FOUND, "object does not exist")                                 \
    X(TOO_LARGE, "value exceeds a configured limit")                      \
    X(MALFORMED, "peer sent bytes that break the protocol")               \
    X(CORRUPT, "stored bytes failed their checksum")                      \
    X(UNSUPPORTED, "peer asked for something this broker does not offer") \
    X(INVALID, "value is outside its allowed range")                      \
    X(BUSY, "object is in use")                                           \
    X(OFFLINE, "storage of this object stopped after an error")           \
    X(CLOSED, "object was closed")                                        \
    X(TIMEOUT, "deadline passed")                                         \
    X(OUT_OF_RANGE, "offset is outside the log")

#define BASE_ERR_ENUM_ROW(name, text) BASE_ERR_##name,
enum base_err { BASE_ERR_LIST(BASE_ERR_ENUM_ROW) BASE_ERR_COUNT };
#undef BASE_ERR_ENUM_ROW

static_assert(BASE_ERR_OK == 0, "callers test results with `if (err)`");

#define BASE_MUST_USE __attribute__((warn_unused_result))

/* Never NULL; static storage. */
const char *base_err_text(enum base_err err);

#endif
