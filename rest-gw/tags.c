/* Resource tags of queues: set, taken away, listed. All of one request, or nothing. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit.h"
#include "rest-gw/change_priv.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/names.h"
#include "rest-gw/scope_priv.h"
#include "rest-gw/tags_priv.h"

enum { KEY_LENGTH_MAX = 36, VALUE_LENGTH_MAX = 43 };

static const struct restgw__change_errors change_errors = {
    .quota = RESTGW_ERROR_TOO_MANY_TAGS,
    .not_found = RESTGW_ERROR_QUEUE_NOT_FOUND,
};

static const struct restgw__change_errors removal_errors = {
    .not_found = RESTGW_ERROR_TAG_NOT_FOUND,
};

struct tag {
    struct base_slice key;
    struct base_slice value; /* the null slice: any, for removals */
};

/* What a request changes. */
struct tags_edit {
    struct tag *tags; /* in the arena */
    size_t count;
};

static enum catalog_verdict set_tags(void *context, struct catalog_topic *topic)
{
    const struct tags_edit *edit = context;

    for (size_t i = 0; i < edit->count; i++) {
        enum base_err err = catalog_tags_set(&topic->tags, edit->tags[i].key, edit->tags[i].value);
        if (err != BASE_ERR_OK) {
            return err == BASE_ERR_TOO_LARGE ? CATALOG_QUOTA_EXCEEDED : CATALOG_STORAGE_FAILED;
        }
    }
    return CATALOG_DONE;
}

static enum catalog_verdict unset_tags(void *context, struct catalog_topic *topic)
{
    const struct tags_edit *edit = context;

    for (size_t i = 0; i < edit->count; i++) {
        catalog_tags_unset(&topic->tags, edit->tags[i].key, edit->tags[i].value);
    }
    return CATALOG_DONE;
}

/* The one key of DELETE .../tags/{key}, which must be there. */
static enum catalog_verdict unset_tag(void *context, struct catalog_topic *topic)
{
    const struct tags_edit *edit = context;

    if (catalog_tags_value(&topic->tags, edit->tags->key) == NULL) {
        return CATALOG_NOT_FOUND;
    }
    return unset_tags(context, topic);
}

static void change_tags(struct restgw_request *request, const struct catalog_topic *topic,
                        catalog_topic_edit *run, const struct tags_edit *edit,
                        const struct restgw__change_errors *errors)
{
    restgw_audit_resource(request, base_slice_text(topic->id_text),
                          base_slice_text(topic->queue_name));
    struct restgw__change *change =
        restgw__change_begin(request, errors, restgw__change_answer_empty);
    if (change != NULL) {
        struct tags_edit copy = *edit;
        catalog_edit_topic(restgw__gateway(request)->options.catalog, topic->id, run, &copy,
                           &change->change);
    }
}

/* {"key":..,"value":..}; the value may be missing when it is not required. False with the
 * request answered. */
static bool read_tag(struct restgw_request *request, const json_t *json, bool needs_value,
                     struct tag *tag)
{
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    tag->key = restgw_fields_text_required(&fields, "key", RESTGW_ERROR_REQUEST_FORMAT);
    tag->value = restgw_fields_text(&fields, "value", RESTGW_ERROR_REQUEST_FORMAT);
    if (needs_value && tag->value.data == NULL) {
        restgw_fields_fail(&fields, "value", RESTGW_ERROR_REQUEST_FORMAT);
    }
    if (restgw_answer_bad_fields(request, &fields)) {
        return false;
    }
    enum restgw_error error = restgw_tag_key_check(tag->key, KEY_LENGTH_MAX);
    if (error == RESTGW_ERROR_NONE) {
        error = restgw_tag_value_check(tag->value, VALUE_LENGTH_MAX);
    }
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_error(request, error);
        return false;
    }
    return true;
}

void restgw__tags_add(struct restgw_request *request)
{
    struct tag tag;

    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    if (topic == NULL) {
        return;
    }
    const json_t *json = restgw_request_json(request);
    if (json != NULL && read_tag(request, json_object_get(json, "tag"), true, &tag)) {
        change_tags(request, topic, set_tags, &(struct tags_edit){&tag, 1}, &change_errors);
    }
}

static bool has_key_before(const struct tags_edit *edit, struct base_slice key)
{
    for (size_t i = 0; i < edit->count; i++) {
        if (base_slice_equal(edit->tags[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* "tags" of an action. False with the request answered. */
static bool read_tags(struct restgw_request *request, const json_t *json, bool creates,
                      struct tags_edit *edit)
{
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    const json_t *array = restgw_fields_array(&fields, "tags", RESTGW_ERROR_REQUEST_FORMAT);
    size_t count = json_array_size(array);
    if (count == 0) {
        restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT,
                             "tags must be an array of at least one tag");
        return false;
    }
    if (count > CATALOG_TAGS_MAX) {
        restgw_answer_error(request, RESTGW_ERROR_TOO_MANY_TAGS);
        return false;
    }
    edit->tags = base_arena_array(restgw_request_arena(request), count, sizeof edit->tags[0]);
    if (edit->tags == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return false;
    }
    while (edit->count < count) {
        struct tag *tag = &edit->tags[edit->count];
        if (!read_tag(request, json_array_get(array, edit->count), creates, tag)) {
            return false;
        }
        if (creates && has_key_before(edit, tag->key)) {
            restgw_answer_error(request, RESTGW_ERROR_TAG_KEY_USED);
            return false;
        }
        edit->count++;
    }
    return true;
}

void restgw__tags_change(struct restgw_request *request)
{
    struct restgw_fields fields;
    struct tags_edit edit = {0};

    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    if (topic == NULL) {
        return;
    }
    const json_t *json = restgw_request_json(request);
    if (json == NULL) {
        return;
    }
    restgw_fields_init(&fields, json);
    struct base_slice action = restgw_fields_text(&fields, "action", RESTGW_ERROR_TAG_ACTION);
    bool creates = base_slice_is(action, "create");
    if (!creates && !base_slice_is(action, "delete")) {
        restgw_answer_error(request, RESTGW_ERROR_TAG_ACTION);
        return;
    }
    restgw_audit_name(request, creates ? "createQueueTag" : "deleteQueueTag");
    if (read_tags(request, json, creates, &edit)) {
        change_tags(request, topic, creates ? set_tags : unset_tags, &edit, &change_errors);
    }
}

void restgw__tags_remove(struct restgw_request *request)
{
    struct tag tag = {.key = restgw_request_parameter(request, "key")};

    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_ALTER);
    if (topic == NULL) {
        return;
    }
    enum restgw_error error = restgw_tag_key_check(tag.key, KEY_LENGTH_MAX);
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_error(request, error);
        return;
    }
    change_tags(request, topic, unset_tag, &(struct tags_edit){&tag, 1}, &removal_errors);
}

void restgw__put_tags(struct base_writer *body, const struct catalog_tags *tags)
{
    RESTGW_JSON_PUT(body, "\"tags\":[");
    for (uint32_t i = 0; i < tags->count; i++) {
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        RESTGW_JSON_PUT(body, "{\"key\":");
        restgw_json_put_string(body, base_slice_text(tags->array[i].key));
        RESTGW_JSON_PUT(body, ",\"value\":");
        restgw_json_put_string(body, base_slice_text(tags->array[i].value));
        RESTGW_JSON_PUT(body, "}");
    }
    RESTGW_JSON_PUT(body, "]");
}

void restgw__tags_get(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_GET_QUEUE);
    if (topic == NULL) {
        return;
    }
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{");
    restgw__put_tags(body, &topic->tags);
    RESTGW_JSON_PUT(body, "}");
    restgw_answer_end(request, 200);
}

static int compare_tags(const void *a, const void *b)
{
    const struct catalog_tag *first = *(const struct catalog_tag *const *)a;
    const struct catalog_tag *second = *(const struct catalog_tag *const *)b;
    int order = strcmp(first->key, second->key);
    return order != 0 ? order : strcmp(first->value, second->value);
}

/* tags in order: each key once, with each of its values once. */
static void put_keys(struct base_writer *body, const struct catalog_tag **tags, size_t count)
{
    const struct catalog_tag *last = NULL;

    RESTGW_JSON_PUT(body, "{\"tags\":[");
    for (size_t i = 0; i < count; i++) {
        const struct catalog_tag *tag = tags[i];
        bool is_new_key = last == NULL || strcmp(last->key, tag->key) != 0;
        if (is_new_key) {
            base_writer_slice(body, base_slice_text(last == NULL ? "{\"key\":" : "]},{\"key\":"));
            restgw_json_put_string(body, base_slice_text(tag->key));
            RESTGW_JSON_PUT(body, ",\"values\":[");
            restgw_json_put_string(body, base_slice_text(tag->value));
        } else if (strcmp(last->value, tag->value) != 0) {
            RESTGW_JSON_PUT(body, ",");
            restgw_json_put_string(body, base_slice_text(tag->value));
        }
        last = tag;
    }
    base_writer_slice(body, base_slice_text(last == NULL ? "]}" : "]}]}"));
}

void restgw__tags_of_project(struct restgw_request *request)
{
    size_t topics_count = 0;
    size_t count = 0;

    const struct catalog_topic **topics = restgw__scope_queues(request, &topics_count);
    if (topics == NULL) {
        return;
    }
    const struct catalog_tag **tags = base_arena_array(
        restgw_request_arena(request), topics_count * CATALOG_TAGS_MAX, sizeof tags[0]);
    if (tags == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    for (size_t i = 0; i < topics_count; i++) {
        for (uint32_t t = 0; t < topics[i]->tags.count; t++) {
            tags[count++] = &topics[i]->tags.array[t];
        }
    }
    qsort(tags, count, sizeof tags[0], compare_tags);
    put_keys(restgw_answer_begin(request), tags, count);
    restgw_answer_end(request, 200);
}
