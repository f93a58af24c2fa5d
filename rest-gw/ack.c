/* The end of leases. */
#include "core/queue/ack.h"

#include "core/base/assert.h"
#include "core/telemetry/counters.h"
#include "rest-gw/ack_body.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"

/* One request; in its arena. */
struct ack {
    struct restgw_request *request;
    struct queue_ack ack;
};

static void finish(struct ack *ack)
{
    const struct queue_ack *done = &ack->ack;

    if (done->verdict != QUEUE_OK) {
        restgw__answer_verdict(ack->request, done->verdict, done->err);
        return;
    }
    telemetry_add(TELEMETRY_QUEUE_ACKED, done->success_count);
    struct base_writer *body = restgw_answer_begin(ack->request);
    RESTGW_JSON_PUT(body, "{\"success\":");
    restgw_json_put_integer(body, done->success_count);
    RESTGW_JSON_PUT(body, ",\"fail\":");
    restgw_json_put_integer(body, done->fail_count);
    RESTGW_JSON_PUT(body, "}");
    restgw_answer_end(ack->request, 200);
}

static void ack_is_over(struct base_task *task)
{
    finish(BASE_CONTAINER_OF(task, struct ack, ack.task));
}

static void begin(struct restgw_request *request, const struct catalog_topic *topic,
                  struct base_slice group_id)
{
    struct base_arena *arena = restgw_request_arena(request);
    struct restgw_ack_body body;

    enum restgw_error error = restgw_ack_body_read(arena, restgw_request_body(request), &body);
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_errorf(request, error, "%.*s", (int)body.detail.length,
                             (const char *)body.detail.data);
        return;
    }
    struct ack *ack = base_arena_object(arena, struct ack);
    if (ack == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    ack->request = request;
    ack->ack.executor = restgw_request_executor(request);
    ack->ack.task.run = ack_is_over;
    ack->ack.topic = topic;
    ack->ack.group_id = group_id;
    ack->ack.items = body.items;
    ack->ack.items_count = body.items_count;
    if (queue_ack(restgw__gateway(request)->options.queues, &ack->ack) == QUEUE_DONE) {
        finish(ack);
    }
}

void restgw__messages_ack(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_READ);
    if (topic == NULL) {
        return;
    }
    struct base_slice group_id = restgw__scope_group(request, topic, SECURITY_READ);
    if (group_id.data != NULL) {
        begin(request, topic, group_id);
    }
}

void restgw__letters_ack(struct restgw_request *request)
{
    struct restgw__letters letters;

    if (restgw__scope_letters(request, SECURITY_READ, NULL, &letters)) {
        begin(request, letters.topic, letters.group_id);
    }
}
