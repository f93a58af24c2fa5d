/* Queues: made, listed, shown, deleted. */
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/catalog/quota.h"
#include "rest-gw/answer.h"
#include "rest-gw/audit.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/names.h"
#include "rest-gw/scope_priv.h"

enum {
    MESSAGE_SIZE_MAX = 524288, /* bytes; of every queue */
    RETENTION_HOURS_MAX = 72,  /* also how long NORMAL and FIFO queues keep messages */
    CONSUME_COUNT_MAX = 100,
    CONSUME_COUNT_DEFAULT = 3,
    MS_PER_MINUTE = 60 * 1000,
    MS_PER_HOUR = 60 * MS_PER_MINUTE,
    TOPIC_NAME_SIZE = CATALOG_PROJECT_ID_SIZE + BASE_UUID_TEXT_SIZE + 2,
};

/* What POST /queues asks for. */
struct queue_request {
    struct base_slice name;
    struct base_slice description; /* may be the null slice */
    enum catalog_kind kind;
    bool redrive;
    int32_t max_consume_count;
    int64_t retention_hours;
};

/* One topic operation on behalf of a request; in its arena. */
struct queue_op {
    struct restgw_request *request;
    struct partition_topic_op op;
};

/* Answers with why the field is wrong; false, so that it ends a chain of checks. */
static bool refuse(struct restgw_request *request, const char *why)
{
    restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT, "%s", why);
    return false;
}

static bool read_kind(struct restgw_request *request, struct restgw_fields *fields,
                      struct queue_request *out)
{
    struct base_slice mode = restgw_fields_text(fields, "queue_mode", RESTGW_ERROR_REQUEST_FORMAT);

    out->kind = CATALOG_NORMAL;
    if (mode.data == NULL) {
        return true; /* a wrong type is told with the other fields */
    }
    if (!catalog_kind_parse(mode, &out->kind) || out->kind == CATALOG_INTERNAL) {
        return refuse(request, "queue_mode must be NORMAL, FIFO, KAFKA_HA or KAFKA_HT");
    }
    return true;
}

static bool read_redrive(struct restgw_request *request, struct restgw_fields *fields,
                         struct queue_request *out)
{
    struct restgw_range range = {1, CONSUME_COUNT_MAX, CONSUME_COUNT_DEFAULT};
    struct base_slice policy =
        restgw_fields_text(fields, "redrive_policy", RESTGW_ERROR_REQUEST_FORMAT);

    out->redrive = false;
    out->max_consume_count = (int32_t)restgw_fields_integer(fields, "max_consume_count", range,
                                                            RESTGW_ERROR_MAX_CONSUME_COUNT);
    if (restgw_answer_bad_fields(request, fields)) {
        return false;
    }
    if (policy.data == NULL || base_slice_is(policy, "disable")) {
        return true;
    }
    if (!base_slice_is(policy, "enable")) {
        return refuse(request, "redrive_policy must be enable or disable");
    }
    if (catalog_kind_is_kafka(out->kind)) {
        return refuse(request, "redrive_policy is for NORMAL and FIFO queues only");
    }
    out->redrive = true;
    return true;
}

static bool read_retention(struct restgw_request *request, struct restgw_fields *fields,
                           struct queue_request *out)
{
    struct restgw_range range = {1, RETENTION_HOURS_MAX, RETENTION_HOURS_MAX};

    if (restgw_fields_has(fields, "retention_hours") && !catalog_kind_is_kafka(out->kind)) {
        restgw_answer_error(request, RESTGW_ERROR_RETENTION_NOT_KAFKA);
        return false;
    }
    out->retention_hours =
        restgw_fields_integer(fields, "retention_hours", range, RESTGW_ERROR_RETENTION_HOURS);
    return !restgw_answer_bad_fields(request, fields);
}

/* False when something was wrong and the request is answered. */
static bool read_request(struct restgw_request *request, const json_t *json,
                         struct queue_request *out)
{
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    out->name = restgw_fields_text(&fields, "name", RESTGW_ERROR_REQUEST_FORMAT);
    out->description = restgw_fields_text(&fields, "description", RESTGW_ERROR_REQUEST_FORMAT);
    if (restgw_answer_bad_fields(request, &fields)) {
        return false;
    }
    enum restgw_error error = restgw_queue_name_check(out->name);
    if (error == RESTGW_ERROR_NONE) {
        error = restgw_description_check(out->description);
    }
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_error(request, error);
        return false;
    }
    return read_kind(request, &fields, out) && read_redrive(request, &fields, out) &&
           read_retention(request, &fields, out);
}

static void set_config(struct catalog_topic *draft, enum catalog_topic_config_key key,
                       int64_t value)
{
    draft->config.values[key] = value;
    draft->config.is_set[key] = true;
}

/* A draft of the queue with its id, and with the topic name that is made of it. NULL when
 * memory is out. */
static struct catalog_topic *draft_queue(const struct restgw_options *options,
                                         struct base_slice project_id,
                                         const struct queue_request *asked)
{
    bool is_kafka = catalog_kind_is_kafka(asked->kind);
    struct base_uuid id = base_uuid_random();
    char id_text[BASE_UUID_TEXT_SIZE];
    char name[TOPIC_NAME_SIZE];

    base_uuid_format(id, id_text);
    int length = snprintf(name, sizeof name, "%c-%.*s-%s", is_kafka ? 'k' : 'q',
                          (int)project_id.length, (const char *)project_id.data, id_text);
    BASE_ASSERT(length > 0 && length < TOPIC_NAME_SIZE);
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text(name), asked->name, asked->kind);
    if (draft == NULL) {
        return NULL;
    }
    if (asked->description.data != NULL) {
        base_free(draft->description);
        draft->description =
            base_strndup((const char *)asked->description.data, asked->description.length);
        if (draft->description == NULL) {
            catalog_topic_release(&draft);
            return NULL;
        }
    }
    draft->id = id;
    memcpy(draft->project_id, project_id.data, project_id.length);
    draft->made_by_rest = true;
    draft->partitions_count = asked->kind == CATALOG_FIFO ? 1 : options->normal_partitions;
    draft->redrive = asked->redrive;
    draft->max_consume_count = asked->max_consume_count;
    draft->config = *options->topic_defaults;
    set_config(draft, CATALOG_CONFIG_RETENTION_MS, asked->retention_hours * MS_PER_HOUR);
    if (!is_kafka) {
        set_config(draft, CATALOG_CONFIG_RETENTION_BYTES, -1); /* 72 hours whatever its size */
    } else if (asked->kind == CATALOG_KAFKA_HT) {
        set_config(draft, CATALOG_CONFIG_QUEUE_MODE, 1);
    }
    return draft;
}

static void put_kafka_topic(struct base_writer *body, const struct catalog_topic *topic)
{
    if (catalog_kind_is_kafka(topic->kind)) {
        RESTGW_JSON_PUT(body, ",\"kafka_topic\":");
        restgw_json_put_string(body, base_slice_text(topic->name));
    }
}

static void answer_refused(struct restgw_request *request, const struct partition_topic_op *op)
{
    enum restgw_error error = RESTGW_ERROR_INTERNAL;

    switch (op->verdict) {
    case CATALOG_EXISTS:
    case CATALOG_COLLIDES:
        error = RESTGW_ERROR_QUEUE_EXISTS;
        break;
    case CATALOG_QUOTA_EXCEEDED:
        error = RESTGW_ERROR_TOO_MANY_QUEUES;
        break;
    case CATALOG_TOO_MANY_PARTITIONS:
        error = RESTGW_ERROR_TOO_MANY_PARTITIONS;
        break;
    case CATALOG_NOT_FOUND:
        error = RESTGW_ERROR_QUEUE_NOT_FOUND;
        break;
    case CATALOG_STORAGE_FAILED:
        error = restgw__error_of_storage(op->err);
        break;
    case CATALOG_CONFLICT: /* of other objects only */
    case CATALOG_DONE:
    case CATALOG_VERDICT_COUNT:
        BASE_ASSERT(false);
        break;
    }
    restgw_answer_error(request, error);
}

static void queue_created(struct base_task *task)
{
    struct queue_op *create = BASE_CONTAINER_OF(task, struct queue_op, op.task);
    struct restgw_request *request = create->request;
    struct catalog_topic *topic = create->op.topic;

    if (create->op.verdict != CATALOG_DONE) {
        catalog_topic_release(&topic);
        answer_refused(request, &create->op);
        return;
    }
    restgw_audit_resource(request, base_slice_text(topic->id_text),
                          base_slice_text(topic->queue_name));
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"id\":");
    restgw_json_put_string(body, base_slice_text(topic->id_text));
    RESTGW_JSON_PUT(body, ",\"name\":");
    restgw_json_put_string(body, base_slice_text(topic->queue_name));
    put_kafka_topic(body, topic);
    RESTGW_JSON_PUT(body, "}");
    catalog_topic_release(&topic);
    restgw_answer_end(request, 201);
}

/* An operation that ends in `done`; NULL with the request answered when memory is out. */
static struct queue_op *begin_op(struct restgw_request *request, base_task_run *done)
{
    struct queue_op *op = base_arena_object(restgw_request_arena(request), struct queue_op);
    if (op == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    op->request = request;
    op->op.executor = restgw_request_executor(request);
    op->op.task.run = done;
    return op;
}

void restgw__queue_create(struct restgw_request *request)
{
    struct restgw_gateway *gateway = restgw__gateway(request);
    struct base_slice project_id;
    struct queue_request asked;

    if (!restgw__scope_project(request, &project_id)) {
        return;
    }
    if (!restgw__scope_allows(request, SECURITY_CREATE, security_project())) {
        return;
    }
    const json_t *json = restgw_request_json(request);
    if (json == NULL || !read_request(request, json, &asked)) {
        return;
    }
    restgw_audit_resource(request, base_slice_of(NULL, 0), asked.name);
    struct queue_op *create = begin_op(request, queue_created);
    if (create == NULL) {
        return;
    }
    struct catalog_topic *draft = draft_queue(&gateway->options, project_id, &asked);
    if (draft == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    partition_create_topic(gateway->options.partitions, draft, &create->op);
}

static void queue_deleted(struct base_task *task)
{
    struct queue_op *deletion = BASE_CONTAINER_OF(task, struct queue_op, op.task);

    catalog_topic_release(&deletion->op.topic);
    if (deletion->op.verdict != CATALOG_DONE) {
        answer_refused(deletion->request, &deletion->op);
    } else {
        restgw_answer_empty(deletion->request, 204);
    }
}

void restgw__queue_delete(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_DELETE);
    if (topic == NULL) {
        return;
    }
    restgw_audit_resource(request, base_slice_text(topic->id_text),
                          base_slice_text(topic->queue_name));
    struct queue_op *deletion = begin_op(request, queue_deleted);
    if (deletion != NULL) {
        partition_delete_topic(restgw__gateway(request)->options.partitions, topic->id,
                               &deletion->op);
    }
}

/* What a description of a queue holds besides what it always does. */
struct details {
    bool redrive;
    bool messages_count;
    bool kafka_topic;
};

static int64_t reservation_minutes(const struct catalog_topic *topic)
{
    int64_t retention_ms = topic->config.values[CATALOG_CONFIG_RETENTION_MS];
    return retention_ms < 0 ? -1 : retention_ms / MS_PER_MINUTE;
}

static void put_integer(struct base_writer *body, const char *key, int64_t value)
{
    base_writer_slice(body, base_slice_text(key));
    restgw_json_put_integer(body, value);
}

static void put_text(struct base_writer *body, const char *key, const char *value)
{
    base_writer_slice(body, base_slice_text(key));
    restgw_json_put_string(body, base_slice_text(value));
}

static void put_queue(struct base_writer *body, const struct restgw_gateway *gateway,
                      const struct catalog_topic *topic, struct details details)
{
    struct queue_counters counters = {0};

    if (details.messages_count) {
        enum queue_verdict verdict =
            queue_count(gateway->options.queues, topic, base_slice_of(NULL, 0), &counters);
        BASE_ASSERT(verdict == QUEUE_OK); /* nothing to fail without a group */
    }
    put_text(body, "{\"id\":", topic->id_text);
    put_text(body, ",\"name\":", topic->queue_name);
    put_text(body, ",\"description\":", topic->description);
    put_text(body, ",\"queue_mode\":", catalog_kind_name(topic->kind));
    put_integer(body, ",\"created\":", topic->created_ms);
    put_integer(body, ",\"eff_date\":", topic->created_ms);
    put_integer(body, ",\"reservation\":", reservation_minutes(topic));
    put_integer(body, ",\"max_msg_size_byte\":", MESSAGE_SIZE_MAX);
    put_integer(body, ",\"produced_messages\":", counters.produced);
    if (!catalog_kind_is_kafka(topic->kind)) {
        put_integer(body, ",\"delayed_messages\":", counters.delayed); /* beyond the API */
    }
    put_integer(body, ",\"group_count\":", topic->groups_count);
    if (details.redrive && !catalog_kind_is_kafka(topic->kind)) {
        put_text(body, ",\"redrive_policy\":", topic->redrive ? "enable" : "disable");
        put_integer(body, ",\"max_consume_count\":", topic->max_consume_count);
    }
    if (details.kafka_topic) {
        put_kafka_topic(body, topic);
    }
    RESTGW_JSON_PUT(body, "}");
}

void restgw__queue_get(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);
    struct details details = {.messages_count = true, .kafka_topic = true};

    details.redrive =
        restgw_query_bool(&query, "include_deadletter", false, RESTGW_ERROR_URL_PARAMETERS);
    if (restgw_answer_bad_query(request, &query)) {
        return;
    }
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_GET_QUEUE);
    if (topic != NULL) {
        put_queue(restgw_answer_begin(request), restgw__gateway(request), topic, details);
        restgw_answer_end(request, 200);
    }
}

void restgw__queue_list(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);
    struct details details = {0};
    size_t count = 0;

    details.redrive =
        restgw_query_bool(&query, "include_deadletter", false, RESTGW_ERROR_URL_PARAMETERS);
    details.messages_count =
        restgw_query_bool(&query, "include_messages_num", false, RESTGW_ERROR_URL_PARAMETERS);
    if (restgw_answer_bad_query(request, &query)) {
        return;
    }
    const struct catalog_topic **topics = restgw__scope_queues(request, &count);
    if (topics == NULL) {
        return;
    }
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"queues\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        put_queue(body, restgw__gateway(request), topics[i], details);
    }
    put_integer(body, "],\"total\":", (int64_t)count);
    RESTGW_JSON_PUT(body, "}");
    restgw_answer_end(request, 200);
}
