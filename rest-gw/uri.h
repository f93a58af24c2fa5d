/* Path and query of a request target: split, percent-decoded, UTF-8.
 *
 * Segments are opaque: "..", "%2F" and the like have no meaning, because nothing
 * here ever names a file. */
#ifndef RESTGW_URI_H
#define RESTGW_URI_H

#include <stddef.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    RESTGW_PATH_SEGMENTS_MAX = 16,
    RESTGW_QUERY_PARAMETERS_MAX = 64,
};

struct restgw_parameter {
    struct base_slice name;
    struct base_slice value; /* empty for "name" and "name=" */
};

/* Splits a path that starts with '/' into decoded segments: "/a//b/" has "a", "",
 * "b", "". Slices point into path, or into arena where something was encoded.
 * MALFORMED bad percent-encoding, NUL or not UTF-8; NOT_FOUND more segments than
 * any route has; NOMEM. */
BASE_MUST_USE enum base_err
restgw_uri_split_path(struct base_arena *arena, struct base_slice path,
                      struct base_slice segments[RESTGW_PATH_SEGMENTS_MAX], size_t *count);

/* Splits "a=b&c=d", '+' meaning a space, in order, repeated names kept; empty
 * pieces are skipped. *parameters lives in arena. MALFORMED as above or over
 * RESTGW_QUERY_PARAMETERS_MAX; NOMEM. */
BASE_MUST_USE enum base_err restgw_uri_split_query(struct base_arena *arena,
                                                   struct base_slice query,
                                                   struct restgw_parameter **parameters,
                                                   size_t *count);

#endif
