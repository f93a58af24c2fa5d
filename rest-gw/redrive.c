/* Dead letters back into their queue: started, looked at, cancelled. */
#include "core/queue/redrive.h"

#include "core/base/assert.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"

/* One request; in its arena. */
struct redrive {
    struct restgw_request *request;
    struct catalog_topic *topic; /* counted; of the letters */
    struct base_slice group_id;  /* in topic */
    int status;                  /* of the answer when all is well */
    struct queue_redrive redrive;
};

static void put_number(struct base_writer *body, const char *name, int64_t value)
{
    base_writer_slice(body, base_slice_text(name));
    restgw_json_put_integer(body, value);
}

/* begun: what was asked for, if this is its answer; may be NULL. */
static void answer_status(struct restgw_request *request, const struct catalog_topic *topic,
                          struct base_slice group_id, const struct queue_redrive *begun,
                          int http_status)
{
    struct queue_redrive_status status;

    enum queue_verdict verdict =
        queue_redrive_status(restgw__gateway(request)->options.queues, topic, group_id, &status);
    if (verdict != QUEUE_OK) {
        restgw__answer_verdict(request, verdict, BASE_ERR_OFFLINE);
        return;
    }
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"state\":");
    restgw_json_put_string(body, base_slice_text(queue_redrive_state_text(status.state)));
    if (status.state != QUEUE_REDRIVE_NONE) {
        put_number(body, ",\"messages_per_second\":", status.rate);
        put_number(body, ",\"moved\":", status.moved);
        put_number(body, ",\"remaining\":", status.remaining);
        put_number(body, ",\"started\":", status.started_ms);
    }
    if (status.ended_ms != 0) {
        put_number(body, ",\"ended\":", status.ended_ms);
    }
    if (status.waits_because != NULL) {
        RESTGW_JSON_PUT(body, ",\"waits_because\":");
        restgw_json_put_string(body, base_slice_text(status.waits_because));
    }
    for (uint32_t i = 0; begun != NULL && i < begun->not_found_count; i++) {
        put_number(body, i == 0 ? ",\"not_found\":[" : ",", begun->not_found[i]);
    }
    if (begun != NULL && begun->not_found_count > 0) {
        RESTGW_JSON_PUT(body, "]");
    }
    RESTGW_JSON_PUT(body, "}");
    restgw_answer_end(request, http_status);
}

static void finish(struct redrive *redrive)
{
    struct queue_redrive *done = &redrive->redrive;
    struct catalog_topic *topic = redrive->topic; /* the answer ends the request, and its arena */

    if (done->verdict == QUEUE_OK) {
        answer_status(redrive->request, topic, redrive->group_id, done, redrive->status);
    } else {
        restgw__answer_verdict(redrive->request, done->verdict, done->err);
    }
    catalog_topic_release(&topic);
}

static void redrive_is_over(struct base_task *task)
{
    struct queue_redrive *done = BASE_CONTAINER_OF(task, struct queue_redrive, task);
    finish(BASE_CONTAINER_OF(done, struct redrive, redrive));
}

/* The letters of the path, for somebody who may consume them and produce into their queue. NULL
 * with the request answered. */
static struct redrive *make_redrive(struct restgw_request *request, int status)
{
    struct restgw__letters letters;

    if (restgw__scope_queue(request, SECURITY_WRITE) == NULL ||
        !restgw__scope_letters(request, SECURITY_READ, NULL, &letters)) {
        return NULL;
    }
    struct redrive *redrive = base_arena_object(restgw_request_arena(request), struct redrive);
    if (redrive == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    redrive->request = request;
    redrive->topic = catalog_topic_hold(letters.topic);
    redrive->group_id = letters.group_id;
    redrive->status = status;
    redrive->redrive.executor = restgw_request_executor(request);
    redrive->redrive.task.run = redrive_is_over;
    redrive->redrive.topic = redrive->topic;
    redrive->redrive.group_id = letters.group_id;
    return redrive;
}

/* The offsets named in the body, in the arena. False with the request answered. */
static bool read_offsets(struct restgw_request *request, struct restgw_fields *fields,
                         struct queue_redrive *out)
{
    const json_t *array = restgw_fields_array(fields, "offsets", RESTGW_ERROR_REQUEST_FORMAT);
    size_t count = json_array_size(array);

    if (restgw_answer_bad_fields(request, fields)) {
        return false;
    }
    if (array == NULL) {
        return true; /* all of them */
    }
    if (count == 0 || count > QUEUE_REDRIVE_OFFSETS_MAX) {
        restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT,
                             "offsets must have 1 to %d elements", QUEUE_REDRIVE_OFFSETS_MAX);
        return false;
    }
    int64_t *offsets = base_arena_array(restgw_request_arena(request), count, sizeof offsets[0]);
    if (offsets == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *offset = json_array_get(array, i);
        if (!json_is_integer(offset) || json_integer_value(offset) < 0) {
            restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT,
                                 "offsets must be integers of at least 0");
            return false;
        }
        offsets[i] = json_integer_value(offset);
    }
    out->offsets = offsets;
    out->offsets_count = (uint32_t)count;
    return true;
}

void restgw__redrive_start(struct restgw_request *request)
{
    const struct restgw_range rate = {1, QUEUE_REDRIVE_RATE_MAX, QUEUE_REDRIVE_RATE_DEFAULT};
    struct queue_redrive asked = {.rate = 0};
    struct restgw_fields fields;

    const json_t *json = restgw_request_json(request);
    if (json == NULL) {
        return;
    }
    restgw_fields_init(&fields, json);
    asked.rate =
        restgw_fields_integer(&fields, "messages_per_second", rate, RESTGW_ERROR_REQUEST_FORMAT);
    if (!read_offsets(request, &fields, &asked)) {
        return;
    }
    struct redrive *redrive = make_redrive(request, 202);
    if (redrive == NULL) {
        return;
    }
    redrive->redrive.rate = asked.rate;
    redrive->redrive.offsets = asked.offsets;
    redrive->redrive.offsets_count = asked.offsets_count;
    if (queue_redrive_start(restgw__gateway(request)->options.queues, &redrive->redrive) ==
        QUEUE_DONE) {
        finish(redrive);
    }
}

void restgw__redrive_cancel(struct restgw_request *request)
{
    struct redrive *redrive = make_redrive(request, 200);

    if (redrive != NULL && queue_redrive_cancel(restgw__gateway(request)->options.queues,
                                                &redrive->redrive) == QUEUE_DONE) {
        finish(redrive);
    }
}

void restgw__redrive_get(struct restgw_request *request)
{
    struct restgw__letters letters;

    if (restgw__scope_letters(request, SECURITY_READ, NULL, &letters)) {
        answer_status(request, letters.topic, letters.group_id, NULL, 200);
    }
}
