/* A group's position, set anew (guide 3.5). */
#include "core/queue/reset.h"

#include "core/base/assert.h"
#include "core/group/coordinator.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"

/* One request; in its arena. */
struct reset {
    struct restgw_request *request;
    struct catalog_topic *topic; /* counted */
    struct base_slice group_id;
    struct queue_reset reset;
    struct group_commit commit;
};

/* Everything borrowed goes with it; ends the request. */
static void answer_offsets(struct reset *reset)
{
    struct queue_reset *done = &reset->reset;
    struct base_writer *body = restgw_answer_begin(reset->request);

    RESTGW_JSON_PUT(body, "{\"partitions\":[");
    for (int32_t i = 0; i < done->offsets_count; i++) {
        RESTGW_JSON_PUT(body, "{\"partition\":");
        restgw_json_put_integer(body, i);
        RESTGW_JSON_PUT(body, ",\"offset\":");
        restgw_json_put_integer(body, done->offsets[i]);
        base_writer_slice(body, base_slice_text(i + 1 < done->offsets_count ? "}," : "}"));
    }
    RESTGW_JSON_PUT(body, "]}");
    queue_reset_release(done);
    catalog_topic_release(&reset->topic);
    restgw_answer_end(reset->request, 200);
}

static void refuse(struct reset *reset, enum restgw_error error, const char *detail)
{
    queue_reset_release(&reset->reset);
    catalog_topic_release(&reset->topic);
    restgw_answer_errorf(reset->request, error, "%s", detail);
}

static void committed(struct reset *reset)
{
    enum group_verdict verdict = reset->commit.verdict;

    for (uint32_t i = 0; verdict == GROUP_OK && i < reset->commit.items_count; i++) {
        verdict = reset->commit.items[i].verdict;
    }
    if (verdict == GROUP_OK) {
        answer_offsets(reset);
    } else if (verdict == GROUP_STORAGE_FAILED || verdict == GROUP_CLOSING ||
               verdict == GROUP_NOT_READY || verdict == GROUP_OUT_OF_MEMORY) {
        refuse(reset, RESTGW_ERROR_INTERNAL_STORAGE, "");
    } else { /* members came meanwhile */
        refuse(reset, RESTGW_ERROR_RESET_REFUSED, group_verdict_text(verdict));
    }
}

static void commit_is_over(struct base_task *task)
{
    struct group_commit *commit = BASE_CONTAINER_OF(task, struct group_commit, task);
    committed(BASE_CONTAINER_OF(commit, struct reset, commit));
}

/* What Kafka clients of the group go on from: kafka-consumer-groups --reset-offsets. */
static void commit_offsets(struct reset *reset)
{
    const struct queue_reset *done = &reset->reset;
    struct base_arena *arena = restgw_request_arena(reset->request);
    size_t count = (size_t)done->offsets_count;
    struct group_commit_item *items = base_arena_array(arena, count, sizeof items[0]);

    if (items == NULL) {
        refuse(reset, RESTGW_ERROR_INTERNAL_MEMORY, "");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct group_commit_item){
            .topic = base_slice_text(reset->topic->name),
            .partition = (int32_t)i,
            .offset = done->offsets[i],
            .leader_epoch = -1,
        };
    }
    reset->commit = (struct group_commit){
        .executor = restgw_request_executor(reset->request),
        .task = {.run = commit_is_over},
        .group_id = reset->group_id,
        .member_id = base_slice_text(""),
        .generation = -1,
        .items = items,
        .items_count = (uint32_t)count,
    };
    if (group_commit(restgw__gateway(reset->request)->options.groups, &reset->commit) ==
        GROUP_DONE) {
        committed(reset);
    }
}

static void finish(struct reset *reset)
{
    struct queue_reset *done = &reset->reset;

    if (done->verdict == QUEUE_GROUP_BUSY_ON_KAFKA) {
        refuse(reset, RESTGW_ERROR_RESET_REFUSED, queue_verdict_text(done->verdict));
    } else if (done->verdict != QUEUE_OK) {
        struct restgw_request *request = reset->request;
        enum queue_verdict verdict = done->verdict;
        queue_reset_release(done);
        catalog_topic_release(&reset->topic);
        restgw__answer_verdict(request, verdict, done->err);
    } else if (catalog_kind_is_kafka(reset->topic->kind)) {
        commit_offsets(reset);
    } else {
        answer_offsets(reset);
    }
}

static void reset_is_over(struct base_task *task)
{
    struct queue_reset *done = BASE_CONTAINER_OF(task, struct queue_reset, task);
    finish(BASE_CONTAINER_OF(done, struct reset, reset));
}

static bool read_position(struct base_slice text, enum queue_reset_position *position)
{
    *position = QUEUE_RESET_EARLIEST;
    if (base_slice_is(text, "latest")) {
        *position = QUEUE_RESET_LATEST;
    } else if (base_slice_is(text, "time")) {
        *position = QUEUE_RESET_TIME;
    } else if (text.data != NULL && !base_slice_is(text, "earliest")) {
        return false;
    }
    return true;
}

/* {"position":"earliest"|"latest"|"time","timestamp":ms,"force":bool}, all but the timestamp
 * of a time optional, and so is the body. False, with the request answered, when it is wrong. */
static bool read_body(struct restgw_request *request, struct queue_reset *out)
{
    const struct restgw_range range = {0, INT64_MAX, -1};
    const json_t *json = NULL;
    struct restgw_fields fields;

    if (restgw_request_body(request).length > 0) {
        json = restgw_request_json(request);
        if (json == NULL) {
            return false;
        }
    }
    restgw_fields_init(&fields, json);
    struct base_slice position =
        restgw_fields_text(&fields, "position", RESTGW_ERROR_REQUEST_FORMAT);
    if (!read_position(position, &out->position)) {
        restgw_fields_fail(&fields, "position", RESTGW_ERROR_REQUEST_FORMAT);
    }
    out->timestamp_ms =
        restgw_fields_integer(&fields, "timestamp", range, RESTGW_ERROR_REQUEST_FORMAT);
    bool is_time = out->position == QUEUE_RESET_TIME;
    if (restgw_fields_has(&fields, "timestamp") != is_time) {
        restgw_fields_fail(&fields, "timestamp", RESTGW_ERROR_REQUEST_FORMAT);
    }
    out->force = restgw_fields_bool(&fields, "force", false, RESTGW_ERROR_REQUEST_FORMAT);
    return !restgw_answer_bad_fields(request, &fields);
}

void restgw__group_reset(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_READ);
    if (topic == NULL) {
        return;
    }
    struct base_slice group_id = restgw__scope_group(request, topic, SECURITY_READ);
    if (group_id.data == NULL) {
        return;
    }
    struct reset *reset = base_arena_object(restgw_request_arena(request), struct reset);
    if (reset == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    if (!read_body(request, &reset->reset)) {
        return;
    }
    reset->request = request;
    reset->topic = catalog_topic_hold(topic);
    reset->group_id = group_id;
    reset->reset.executor = restgw_request_executor(request);
    reset->reset.task.run = reset_is_over;
    reset->reset.topic = reset->topic;
    reset->reset.group_id = group_id;
    if (queue_reset(restgw__gateway(request)->options.queues, &reset->reset) == QUEUE_DONE) {
        finish(reset);
    }
}
