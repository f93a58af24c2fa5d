/* Search of queues by their resource tags and names. */
#include <string.h>

#include "rest-gw/answer.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/names.h"
#include "rest-gw/scope_priv.h"
#include "rest-gw/tags_priv.h"

enum {
    KEY_LENGTH_MAX = 127,
    VALUE_LENGTH_MAX = 255,
    KEYS_MAX = 10,   /* of one list */
    VALUES_MAX = 10, /* of one key */
    LIMIT_MAX = 1000,
};

/* One key and the values it may have; none: any. */
struct condition {
    struct base_slice key;
    struct base_slice values[VALUES_MAX];
    size_t values_count;
};

struct conditions {
    struct condition array[KEYS_MAX];
    size_t count;
};

/* In the request's arena. */
struct search {
    struct conditions all;       /* "tags": each of them */
    struct conditions any;       /* "tags_any": one at least */
    struct conditions not_all;   /* "not_tags": not each of them */
    struct conditions not_any;   /* "not_tags_any": none of them */
    struct base_slice name_part; /* the queue's name contains it; the null slice: any name */
    bool counts_only;
    int64_t limit;
    int64_t offset;
};

/* Answers with the error; false, so that it ends a chain of checks. */
static bool refuse(struct restgw_request *request, enum restgw_error error, const char *why)
{
    restgw_answer_errorf(request, error, "%s", why);
    return false;
}

static bool contains(const struct base_slice *texts, size_t count, struct base_slice text)
{
    for (size_t i = 0; i < count; i++) {
        if (base_slice_equal(texts[i], text)) {
            return true;
        }
    }
    return false;
}

/* False, with the request answered, when something is wrong: so do all that read. */
static bool read_values(struct restgw_request *request, const json_t *array,
                        struct condition *condition)
{
    if (json_array_size(array) > VALUES_MAX) {
        return refuse(request, RESTGW_ERROR_REQUEST_FORMAT, "a key has more than 10 values");
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        struct base_slice text = base_slice_of(json_string_value(value), json_string_length(value));
        if (text.data == NULL) {
            return refuse(request, RESTGW_ERROR_REQUEST_FORMAT, "values must be strings");
        }
        enum restgw_error error = restgw_tag_value_check(text, VALUE_LENGTH_MAX);
        if (error != RESTGW_ERROR_NONE) {
            return refuse(request, error, "");
        }
        if (contains(condition->values, condition->values_count, text)) {
            return refuse(request, RESTGW_ERROR_REQUEST_FORMAT, "a value is given twice");
        }
        condition->values[condition->values_count++] = text;
    }
    return true;
}

static bool read_condition(struct restgw_request *request, const json_t *json,
                           struct conditions *conditions)
{
    struct condition *condition = &conditions->array[conditions->count];
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    condition->key = restgw_fields_text_required(&fields, "key", RESTGW_ERROR_REQUEST_FORMAT);
    const json_t *values = restgw_fields_array(&fields, "values", RESTGW_ERROR_REQUEST_FORMAT);
    if (restgw_answer_bad_fields(request, &fields)) {
        return false;
    }
    enum restgw_error error = restgw_tag_key_check(condition->key, KEY_LENGTH_MAX);
    for (size_t i = 0; error == RESTGW_ERROR_NONE && i < conditions->count; i++) {
        if (base_slice_equal(conditions->array[i].key, condition->key)) {
            error = RESTGW_ERROR_TAG_KEY_USED;
        }
    }
    if (error != RESTGW_ERROR_NONE) {
        return refuse(request, error, "");
    }
    conditions->count++;
    return read_values(request, values, condition);
}

static bool read_conditions(struct restgw_request *request, const json_t *json, const char *name,
                            struct conditions *conditions)
{
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    const json_t *array = restgw_fields_array(&fields, name, RESTGW_ERROR_REQUEST_FORMAT);
    if (restgw_answer_bad_fields(request, &fields)) {
        return false;
    }
    size_t count = json_array_size(array);
    if (count > KEYS_MAX) {
        return refuse(request, RESTGW_ERROR_TOO_MANY_TAGS, "");
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_condition(request, json_array_get(array, i), conditions)) {
            return false;
        }
    }
    return true;
}

/* "matches":[{"key":"resource_name","value":..}]: the only key there is. */
static bool read_matches(struct restgw_request *request, const json_t *json, struct search *search)
{
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    const json_t *array = restgw_fields_array(&fields, "matches", RESTGW_ERROR_REQUEST_FORMAT);
    if (restgw_answer_bad_fields(request, &fields)) {
        return false;
    }
    if (json_array_size(array) > 1) {
        return refuse(request, RESTGW_ERROR_REQUEST_FORMAT, "a key of matches is given twice");
    }
    if (json_array_size(array) == 0) {
        return true;
    }
    restgw_fields_init(&fields, json_array_get(array, 0));
    struct base_slice key =
        restgw_fields_text_required(&fields, "key", RESTGW_ERROR_REQUEST_FORMAT);
    search->name_part = restgw_fields_text_required(&fields, "value", RESTGW_ERROR_REQUEST_FORMAT);
    if (restgw_answer_bad_fields(request, &fields)) {
        return false;
    }
    if (!base_slice_is(key, "resource_name")) {
        return refuse(request, RESTGW_ERROR_REQUEST_FORMAT,
                      "the key of matches must be resource_name");
    }
    enum restgw_error error = restgw_tag_value_check(search->name_part, VALUE_LENGTH_MAX);
    return error == RESTGW_ERROR_NONE || refuse(request, error, "");
}

static bool read_search(struct restgw_request *request, const json_t *json, struct search *search)
{
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    struct base_slice action =
        restgw_fields_text_required(&fields, "action", RESTGW_ERROR_TAG_SEARCH_ACTION);
    search->counts_only = base_slice_is(action, "count");
    if (!search->counts_only && !base_slice_is(action, "filter")) {
        restgw_fields_fail(&fields, "action", RESTGW_ERROR_TAG_SEARCH_ACTION);
    }
    search->limit = restgw_fields_integer_text(
        &fields, "limit", (struct restgw_range){1, LIMIT_MAX, LIMIT_MAX}, RESTGW_ERROR_LIMIT);
    search->offset = restgw_fields_integer_text(
        &fields, "offset", (struct restgw_range){0, INT64_MAX, 0}, RESTGW_ERROR_OFFSET);
    return !restgw_answer_bad_fields(request, &fields) &&
           read_conditions(request, json, "tags", &search->all) &&
           read_conditions(request, json, "tags_any", &search->any) &&
           read_conditions(request, json, "not_tags", &search->not_all) &&
           read_conditions(request, json, "not_tags_any", &search->not_any) &&
           read_matches(request, json, search);
}

static bool is_met(const struct condition *condition, const struct catalog_tags *tags)
{
    const char *value = catalog_tags_value(tags, condition->key);
    return value != NULL &&
           (condition->values_count == 0 ||
            contains(condition->values, condition->values_count, base_slice_text(value)));
}

static size_t count_met(const struct conditions *conditions, const struct catalog_tags *tags)
{
    size_t count = 0;
    for (size_t i = 0; i < conditions->count; i++) {
        count += is_met(&conditions->array[i], tags);
    }
    return count;
}

static bool has_part(const char *name, struct base_slice part)
{
    /* Neither contains a NUL: names cannot, and values with control characters are refused. */
    return part.length == 0 || strstr(name, (const char *)part.data) != NULL;
}

static bool is_wanted(const struct search *search, const struct catalog_topic *topic)
{
    const struct catalog_tags *tags = &topic->tags;

    return has_part(topic->queue_name, search->name_part) &&
           count_met(&search->all, tags) == search->all.count &&
           (search->any.count == 0 || count_met(&search->any, tags) > 0) &&
           (search->not_all.count == 0 ||
            count_met(&search->not_all, tags) < search->not_all.count) &&
           count_met(&search->not_any, tags) == 0;
}

static void put_resource(struct base_writer *body, const struct catalog_topic *topic)
{
    RESTGW_JSON_PUT(body, "{\"resource_id\":");
    restgw_json_put_string(body, base_slice_text(topic->id_text));
    RESTGW_JSON_PUT(body, ",\"resource_name\":");
    restgw_json_put_string(body, base_slice_text(topic->queue_name));
    RESTGW_JSON_PUT(body, ",\"resource_detail\":null,");
    restgw__put_tags(body, &topic->tags);
    RESTGW_JSON_PUT(body, "}");
}

static void answer_found(struct restgw_request *request, const struct search *search,
                         const struct catalog_topic **topics, size_t topics_count)
{
    struct base_writer *body = restgw_answer_begin(request);
    int64_t total = 0;
    int64_t written = 0;

    base_writer_slice(body, base_slice_text(search->counts_only ? "{" : "{\"resources\":["));
    for (size_t i = 0; i < topics_count; i++) {
        if (!is_wanted(search, topics[i])) {
            continue;
        }
        if (!search->counts_only && total >= search->offset && written < search->limit) {
            if (written > 0) {
                RESTGW_JSON_PUT(body, ",");
            }
            put_resource(body, topics[i]);
            written++;
        }
        total++;
    }
    base_writer_slice(
        body, base_slice_text(search->counts_only ? "\"total_count\":" : "],\"total_count\":"));
    restgw_json_put_integer(body, total);
    RESTGW_JSON_PUT(body, "}");
    restgw_answer_end(request, 200);
}

void restgw__tags_search(struct restgw_request *request)
{
    size_t topics_count = 0;

    const struct catalog_topic **topics = restgw__scope_queues(request, &topics_count);
    if (topics == NULL) {
        return;
    }
    const json_t *json = restgw_request_json(request);
    if (json == NULL) {
        return;
    }
    struct search *search = base_arena_object(restgw_request_arena(request), struct search);
    if (search == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    if (read_search(request, json, search)) {
        answer_found(request, search, topics, topics_count);
    }
}
