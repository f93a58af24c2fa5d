/* Typed parameters of a URL's query.
 *
 * A reader fails once, like restgw_fields: the first parameter that is wrong sets
 * the error. An empty value counts as absent, as the reference asks. */
#ifndef RESTGW_QUERY_H
#define RESTGW_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "rest-gw/error.h"
#include "rest-gw/json.h"
#include "rest-gw/uri.h"

/* Public so that it can live on the stack. */
struct restgw_query {
    const struct restgw_parameter *parameters; /* borrowed */
    size_t count;
    enum restgw_error error; /* of the first parameter that was wrong; NONE while all is well */
    const char *name;        /* of that parameter; borrowed */
};

void restgw_query_init(struct restgw_query *query, const struct restgw_parameter *parameters,
                       size_t count);

/* Value of the first parameter of that name; the null slice when absent or empty. */
struct base_slice restgw_query_text(const struct restgw_query *query, const char *name);

/* All values of a repeated parameter that are not empty, at most values_max of them; returns
 * how many there are, which may be more. */
size_t restgw_query_texts(const struct restgw_query *query, const char *name,
                          struct base_slice *values, size_t values_max);

/* `error` if it is not a decimal integer in the range. */
int64_t restgw_query_integer(struct restgw_query *query, const char *name,
                             struct restgw_range range, enum restgw_error error);

/* true and false in any case; `error` otherwise. */
bool restgw_query_bool(struct restgw_query *query, const char *name, bool fallback,
                       enum restgw_error error);

#endif
