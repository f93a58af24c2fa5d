/* jansson with our allocator and our limits. */
#include "rest-gw/json.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "rest-gw/json_scan.h"
#include "rest-gw/text.h"

void restgw_json_init(void)
{
    json_set_alloc_funcs(base_alloc, base_free);
}

enum base_err restgw_json_load(struct base_slice text, json_t **out, const char **problem)
{
    *out = NULL;
    /* Ours first: jansson's own limit of depth is 2048, and each level is a call. */
    *problem = restgw_json_check(text);
    if (*problem != NULL) {
        return BASE_ERR_MALFORMED;
    }
    json_error_t error = {0}; /* jansson leaves the code alone when memory is out */
    json_t *root =
        json_loadb((const char *)text.data, text.length, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        /* The syntax was checked: what is left is what jansson cannot hold, or memory. */
        enum json_error_code code = json_error_code(&error);
        if (code == json_error_numeric_overflow) {
            *problem = "a number is too large";
        } else if (code == json_error_null_byte_in_key) {
            *problem = "a key contains a NUL character";
        } else {
            return BASE_ERR_NOMEM;
        }
        return BASE_ERR_MALFORMED;
    }
    if (!json_is_object(root)) {
        json_decref(root);
        *problem = "an object is expected";
        return BASE_ERR_MALFORMED;
    }
    *out = root;
    return BASE_ERR_OK;
}

void restgw_fields_init(struct restgw_fields *fields, const json_t *object)
{
    *fields = (struct restgw_fields){.object = object};
}

/* NULL when absent or null. */
static const json_t *find(const struct restgw_fields *fields, const char *name)
{
    const json_t *value = json_object_get(fields->object, name);
    return json_is_null(value) ? NULL : value;
}

bool restgw_fields_has(const struct restgw_fields *fields, const char *name)
{
    return find(fields, name) != NULL;
}

void restgw_fields_fail(struct restgw_fields *fields, const char *name, enum restgw_error error)
{
    BASE_ASSERT(error != RESTGW_ERROR_NONE);
    if (fields->error == RESTGW_ERROR_NONE) {
        fields->error = error;
        fields->name = name;
    }
}

static struct base_slice text_of(const json_t *value)
{
    return base_slice_of(json_string_value(value), json_string_length(value));
}

struct base_slice restgw_fields_text(struct restgw_fields *fields, const char *name,
                                     enum restgw_error error)
{
    const json_t *value = find(fields, name);
    if (value != NULL && !json_is_string(value)) {
        restgw_fields_fail(fields, name, error);
    }
    return text_of(value);
}

struct base_slice restgw_fields_text_required(struct restgw_fields *fields, const char *name,
                                              enum restgw_error error)
{
    struct base_slice text = restgw_fields_text(fields, name, error);
    if (text.data == NULL) {
        restgw_fields_fail(fields, name, error);
    }
    return text;
}

static int64_t check_range(struct restgw_fields *fields, const char *name,
                           struct restgw_range range, enum restgw_error error, int64_t value)
{
    if (value < range.min || value > range.max) {
        restgw_fields_fail(fields, name, error);
        return range.fallback;
    }
    return value;
}

int64_t restgw_fields_integer(struct restgw_fields *fields, const char *name,
                              struct restgw_range range, enum restgw_error error)
{
    const json_t *value = find(fields, name);
    if (value == NULL) {
        return range.fallback;
    }
    if (!json_is_integer(value)) {
        restgw_fields_fail(fields, name, error);
        return range.fallback;
    }
    return check_range(fields, name, range, error, json_integer_value(value));
}

int64_t restgw_fields_integer_text(struct restgw_fields *fields, const char *name,
                                   struct restgw_range range, enum restgw_error error)
{
    const json_t *value = find(fields, name);
    if (!json_is_string(value)) {
        return restgw_fields_integer(fields, name, range, error);
    }
    int64_t number = 0;
    if (!restgw_text_to_integer(text_of(value), &number)) {
        restgw_fields_fail(fields, name, error);
        return range.fallback;
    }
    return check_range(fields, name, range, error, number);
}

bool restgw_fields_bool(struct restgw_fields *fields, const char *name, bool fallback,
                        enum restgw_error error)
{
    const json_t *value = find(fields, name);
    if (value == NULL) {
        return fallback;
    }
    if (!json_is_boolean(value)) {
        restgw_fields_fail(fields, name, error);
        return fallback;
    }
    return json_is_true(value);
}

const json_t *restgw_fields_array(struct restgw_fields *fields, const char *name,
                                  enum restgw_error error)
{
    const json_t *value = find(fields, name);
    if (value != NULL && !json_is_array(value)) {
        restgw_fields_fail(fields, name, error);
        return NULL;
    }
    return value;
}
