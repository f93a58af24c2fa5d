/* From path segments to catalog objects. */
#include "rest-gw/scope_priv.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/uuid.h"
#include "core/catalog/dead_letters.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit.h"
#include "rest-gw/gateway_priv.h"

const struct security_principal *restgw__principal(const struct restgw_request *request)
{
    const struct security_principal *principal = restgw_request_principal(request);
    return principal == NULL ? security_anonymous() : principal;
}

static bool is_project_id(struct base_slice text)
{
    if (text.length != CATALOG_PROJECT_ID_SIZE - 1) {
        return false;
    }
    for (size_t index = 0; index < text.length; index++) {
        uint8_t byte = text.data[index];
        uint8_t lower = byte | 0x20;
        bool is_hex = (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'f');
        if (!is_hex) {
            return false;
        }
    }
    return true;
}

bool restgw__scope_project(struct restgw_request *request, struct base_slice *project_id)
{
    *project_id = restgw_request_parameter(request, "project_id");
    if (is_project_id(*project_id)) {
        return true;
    }
    restgw_answer_error(request, RESTGW_ERROR_PROJECT_ID);
    return false;
}

/* A topic that the API knows: dead letters are reached by their group only. */
static bool is_queue(const struct catalog_topic *topic)
{
    return topic->kind != CATALOG_INTERNAL && !catalog_topic_is_dead_letters(topic);
}

bool restgw__is_queue_of(const struct catalog_topic *topic, struct base_slice project_id)
{
    return is_queue(topic) && base_slice_is(project_id, topic->project_id);
}

static enum restgw_error error_of_refusal(enum security_judgement judgement)
{
    switch (judgement) {
    case SECURITY_DENIED:
        return RESTGW_ERROR_DENIED;
    case SECURITY_STRANGER: /* that there is such a queue is none of the caller's business */
        return RESTGW_ERROR_QUEUE_NOT_FOUND;
    case SECURITY_ONLY_LOOKS:
        return RESTGW_ERROR_READ_ONLY;
    case SECURITY_LACKS_ROLE:
        return RESTGW_ERROR_ROLE_LACKS_PERMISSION;
    case SECURITY_ALLOWED:
        break;
    }
    BASE_ASSERT(false);
    return RESTGW_ERROR_DENIED;
}

/* Whether who asks may do action to resource: NONE, or why not. */
static enum restgw_error check_allowed(const struct restgw_request *request,
                                       enum security_action action,
                                       struct security_resource resource)
{
    enum security_judgement judgement =
        security_judge(restgw__principal(request), action, resource);
    return judgement == SECURITY_ALLOWED ? RESTGW_ERROR_NONE : error_of_refusal(judgement);
}

bool restgw__scope_allows(struct restgw_request *request, enum security_action action,
                          struct security_resource resource)
{
    enum restgw_error error = check_allowed(request, action, resource);
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_error(request, error);
    }
    return error == RESTGW_ERROR_NONE;
}

/* As restgw__scope_check_queue, with the queue. */
static enum restgw_error find_queue(const struct restgw_request *request,
                                    enum security_action action, const struct catalog_topic **queue)
{
    struct base_slice project_id = restgw_request_parameter(request, "project_id");
    struct base_slice text = restgw_request_parameter(request, "queue_id");
    struct base_uuid id;

    *queue = NULL;
    if (!is_project_id(project_id)) {
        return RESTGW_ERROR_PROJECT_ID;
    }
    if (!base_uuid_parse((const char *)text.data, text.length, &id)) {
        return RESTGW_ERROR_QUEUE_ID;
    }
    const struct catalog_view *view = restgw__view(request);
    const struct catalog_topic *topic = catalog_view_topic_by_id(view, id);
    /* Without authentication the project is whose the path says it is. */
    if (topic == NULL || !is_queue(topic) ||
        (security_is_anonymous(restgw__principal(request)) &&
         !restgw__is_queue_of(topic, project_id))) {
        return RESTGW_ERROR_QUEUE_NOT_FOUND;
    }
    enum restgw_error error = check_allowed(request, action, security_topic(view, topic));
    *queue = error == RESTGW_ERROR_NONE ? topic : NULL;
    return error;
}

enum restgw_error restgw__scope_check_queue(const struct restgw_request *request,
                                            enum security_action action)
{
    const struct catalog_topic *topic = NULL;
    return find_queue(request, action, &topic);
}

const struct catalog_topic *restgw__scope_queue(struct restgw_request *request,
                                                enum security_action action)
{
    const struct catalog_topic *topic = NULL;
    enum restgw_error error = find_queue(request, action, &topic);

    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_error(request, error);
        return NULL;
    }
    restgw_audit_owner(request, base_slice_text(topic->project_id));
    return topic;
}

/* The queues of a project that whoever asks may see. */
struct collection {
    const struct catalog_view *view; /* borrowed */
    const struct security_principal *principal;
    struct base_slice project_id;
    const struct catalog_topic **topics; /* NULL: only counts */
    size_t count;
};

static bool collect(void *context, const struct catalog_topic *topic)
{
    struct collection *collection = context;

    if (!restgw__is_queue_of(topic, collection->project_id) ||
        !security_authorize(collection->principal, SECURITY_GET_QUEUE,
                            security_topic(collection->view, topic))) {
        return true;
    }
    if (collection->topics != NULL) {
        collection->topics[collection->count] = topic;
    }
    collection->count++;
    return true;
}

static int compare_age(const void *a, const void *b)
{
    const struct catalog_topic *first = *(const struct catalog_topic *const *)a;
    const struct catalog_topic *second = *(const struct catalog_topic *const *)b;

    if (first->created_ms != second->created_ms) {
        return first->created_ms < second->created_ms ? -1 : 1;
    }
    return strcmp(first->queue_name, second->queue_name);
}

const struct catalog_topic **restgw__scope_queues(struct restgw_request *request, size_t *count)
{
    struct catalog_view *view = restgw__view(request);
    struct collection collection = {.view = view, .principal = restgw__principal(request)};

    *count = 0;
    if (!restgw__scope_project(request, &collection.project_id)) {
        return NULL;
    }
    catalog_view_each(view, collect, &collection);
    collection.topics = base_arena_array(restgw_request_arena(request), collection.count,
                                         sizeof collection.topics[0]);
    if (collection.topics == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    collection.count = 0;
    catalog_view_each(view, collect, &collection);
    qsort(collection.topics, collection.count, sizeof collection.topics[0], compare_age);
    *count = collection.count;
    return collection.topics;
}

struct base_slice restgw__group_id(struct restgw_request *request, struct base_slice text)
{
    struct base_uuid id;
    char digits[BASE_UUID_TEXT_SIZE];

    if (text.length != CATALOG_GROUP_ID_SIZE - 1 || text.data[0] != 'g' || text.data[1] != '-' ||
        !base_uuid_parse((const char *)text.data + 2, text.length - 2, &id)) {
        return base_slice_of(NULL, 0);
    }
    base_uuid_format(id, digits);
    const char *copy = base_arena_printf(restgw_request_arena(request), "g-%s", digits);
    return copy == NULL ? base_slice_of(NULL, 0) : base_slice_text(copy);
}

struct base_slice restgw__scope_group(struct restgw_request *request,
                                      const struct catalog_topic *topic,
                                      enum security_action action)
{
    struct base_slice id = restgw__group_id(request, restgw_request_parameter(request, "group_id"));
    enum restgw_error error = RESTGW_ERROR_NONE;

    if (id.data == NULL) {
        error = RESTGW_ERROR_GROUP_ID;
    } else if (catalog_topic_group(topic, id) == NULL) {
        error = RESTGW_ERROR_GROUP_NOT_FOUND;
    }
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_error(request, error);
        return base_slice_of(NULL, 0);
    }
    return restgw__scope_allows(request, action, security_group(restgw__view(request), topic))
               ? id
               : base_slice_of(NULL, 0);
}

bool restgw__scope_letters(struct restgw_request *request, enum security_action action,
                           const struct catalog_topic **queue, struct restgw__letters *out)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, action);
    struct base_uuid id;

    *out = (struct restgw__letters){0};
    if (topic == NULL) {
        return false;
    }
    struct base_slice group_id = restgw__scope_group(request, topic, action);
    if (group_id.data == NULL) {
        return false;
    }
    if (!topic->redrive || !catalog_dead_letters_topic_id(group_id, &id)) {
        restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT, "%s",
                             catalog_kind_is_kafka(topic->kind)
                                 ? "kafka queues have no dead letters."
                                 : "the queue has no dead letters: its redrive_policy is disable.");
        return false;
    }
    out->topic = catalog_view_topic_by_id(restgw__view(request), id);
    if (out->topic == NULL || !catalog_topic_is_dead_letters(out->topic)) {
        restgw_answer_error(request, RESTGW_ERROR_GROUP_NOT_FOUND);
        return false;
    }
    if (queue != NULL) {
        *queue = topic;
    }
    out->group_id = base_slice_text(out->topic->groups[0].id);
    return true;
}

enum restgw_error restgw__error_of_storage(enum base_err err)
{
    enum restgw_error error =
        err == BASE_ERR_OK ? RESTGW_ERROR_INTERNAL : restgw_status_from_base(err);
    /* What was wrong with the request itself was said before it came to the disk. */
    return error == RESTGW_ERROR_REQUEST_FORMAT ? RESTGW_ERROR_INTERNAL : error;
}

/* Whether {queue_id} was deleted after the request was let in. */
static bool queue_is_gone(struct restgw_request *request)
{
    struct base_slice text = restgw_request_parameter(request, "queue_id");
    struct base_uuid id;

    return base_uuid_parse((const char *)text.data, text.length, &id) &&
           catalog_view_topic_by_id(restgw__view(request), id) == NULL;
}

enum restgw_error restgw__error_of_queue(struct restgw_request *request, enum base_err err)
{
    return queue_is_gone(request) ? RESTGW_ERROR_QUEUE_NOT_FOUND : restgw__error_of_storage(err);
}

static enum restgw_error error_of(struct restgw_request *request, enum queue_verdict verdict,
                                  enum base_err err)
{
    switch (verdict) {
    case QUEUE_GROUP_NOT_FOUND: /* perhaps because its queue is not there any more */
        return queue_is_gone(request) ? RESTGW_ERROR_QUEUE_NOT_FOUND : RESTGW_ERROR_GROUP_NOT_FOUND;
    case QUEUE_GROUP_BUSY_ON_KAFKA:
    case QUEUE_TAG_RULE_DIFFERS:
        return RESTGW_ERROR_CONSUME_REFUSED;
    case QUEUE_HANDLER_UNKNOWN:
        return RESTGW_ERROR_HANDLER_UNKNOWN;
    case QUEUE_HANDLER_MISMATCH:
        return RESTGW_ERROR_HANDLER_MISMATCH;
    case QUEUE_REDRIVE_UNDER_WAY:
    case QUEUE_LETTERS_NOT_FOUND:
        return RESTGW_ERROR_REQUEST_FORMAT;
    case QUEUE_HANDLER_OF_OTHER:
        return RESTGW_ERROR_HANDLER_NOT_HERE;

    case QUEUE_GROUP_LEASED:
        return RESTGW_ERROR_RESET_REFUSED;
    case QUEUE_TIME_OUT_OF_RANGE:
        return RESTGW_ERROR_REQUEST_FORMAT;
    case QUEUE_OVERLOADED:
        return RESTGW_ERROR_FLOW_CONTROL;
    case QUEUE_STORAGE_FAILED:
        return restgw__error_of_queue(request, err);
    case QUEUE_OK:
    case QUEUE_VERDICT_COUNT:
        break;
    }
    BASE_ASSERT(false); /* nothing went wrong */
    return RESTGW_ERROR_INTERNAL;
}

void restgw__answer_verdict(struct restgw_request *request, enum queue_verdict verdict,
                            enum base_err err)
{
    restgw_answer_errorf(request, error_of(request, verdict, err), "%s",
                         queue_verdict_text(verdict));
}
