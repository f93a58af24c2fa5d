/* Typed parameters of a query. */
#include "rest-gw/query.h"

#include "rest-gw/text.h"

void restgw_query_init(struct restgw_query *query, const struct restgw_parameter *parameters,
                       size_t count)
{
    *query = (struct restgw_query){.parameters = parameters, .count = count};
}

struct base_slice restgw_query_text(const struct restgw_query *query, const char *name)
{
    for (size_t index = 0; index < query->count; index++) {
        if (base_slice_is(query->parameters[index].name, name)) {
            struct base_slice value = query->parameters[index].value;
            return value.length > 0 ? value : base_slice_of(NULL, 0);
        }
    }
    return base_slice_of(NULL, 0);
}

size_t restgw_query_texts(const struct restgw_query *query, const char *name,
                          struct base_slice *values, size_t values_max)
{
    size_t found = 0;
    for (size_t index = 0; index < query->count; index++) {
        const struct restgw_parameter *parameter = &query->parameters[index];
        if (base_slice_is(parameter->name, name) && parameter->value.length > 0) {
            if (found < values_max) {
                values[found] = query->parameters[index].value;
            }
            found++;
        }
    }
    return found;
}

static void fail(struct restgw_query *query, const char *name, enum restgw_error error)
{
    if (query->error == RESTGW_ERROR_NONE) {
        query->error = error;
        query->name = name;
    }
}

int64_t restgw_query_integer(struct restgw_query *query, const char *name,
                             struct restgw_range range, enum restgw_error error)
{
    struct base_slice text = restgw_query_text(query, name);
    if (text.data == NULL) {
        return range.fallback;
    }
    int64_t value = 0;
    if (!restgw_text_to_integer(text, &value) || value < range.min || value > range.max) {
        fail(query, name, error);
        return range.fallback;
    }
    return value;
}

bool restgw_query_bool(struct restgw_query *query, const char *name, bool fallback,
                       enum restgw_error error)
{
    struct base_slice text = restgw_query_text(query, name);
    bool value = fallback;
    if (text.data != NULL && !restgw_text_to_bool(text, &value)) {
        fail(query, name, error);
        return fallback;
    }
    return value;
}
