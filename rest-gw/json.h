/* Trees of JSON (jansson) for routes that are not hot, and typed fields of them.
 *
 * A reader of fields fails once: the first field that is missing or wrong sets its
 * error, so a handler reads all its fields in a row and checks once.
 *
 * A repeated attribute name overwrites the one before, as the reference says. */
#ifndef RESTGW_JSON_H
#define RESTGW_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "rest-gw/error.h"

/* Lets jansson allocate through base_alloc. Once, before threads start. */
void restgw_json_init(void);

/* Parses text, which must be one object. *out is owned by the caller (json_decref).
 * MALFORMED: *problem (static storage) says why; NOMEM. */
BASE_MUST_USE enum base_err restgw_json_load(struct base_slice text, json_t **out,
                                             const char **problem);

/* Public so that it can live on the stack. */
struct restgw_fields {
    const json_t *object;    /* borrowed */
    enum restgw_error error; /* of the first field that was wrong; NONE while all is well */
    const char *name;        /* of that field; borrowed */
};

/* object may be NULL or not an object: then every field is absent. */
void restgw_fields_init(struct restgw_fields *fields, const json_t *object);

/* Present and not null. */
bool restgw_fields_has(const struct restgw_fields *fields, const char *name);

/* Marks the field wrong, if it is the first. */
void restgw_fields_fail(struct restgw_fields *fields, const char *name, enum restgw_error error);

/* The null slice when absent. `error` if it is not a string. The bytes live as long
 * as the object and are followed by a NUL. */
struct base_slice restgw_fields_text(struct restgw_fields *fields, const char *name,
                                     enum restgw_error error);

/* The same, and `error` when absent. */
struct base_slice restgw_fields_text_required(struct restgw_fields *fields, const char *name,
                                              enum restgw_error error);

/* Range and default of a number. */
struct restgw_range {
    int64_t min;
    int64_t max;
    int64_t fallback; /* when absent; need not be in the range */
};

/* `error` if it is not an integer in the range. */
int64_t restgw_fields_integer(struct restgw_fields *fields, const char *name,
                              struct restgw_range range, enum restgw_error error);

/* The same, also accepting the integer as text: "limit":"100". */
int64_t restgw_fields_integer_text(struct restgw_fields *fields, const char *name,
                                   struct restgw_range range, enum restgw_error error);

/* `error` if it is not true or false. */
bool restgw_fields_bool(struct restgw_fields *fields, const char *name, bool fallback,
                        enum restgw_error error);

/* NULL when absent; `error` if it is not an array. */
const json_t *restgw_fields_array(struct restgw_fields *fields, const char *name,
                                  enum restgw_error error);

#endif
