/* Messages out of a queue, under leases. A consume may wait for messages to come. */
#include "core/queue/consume.h"

#include "core/base/assert.h"
#include "core/base/base64.h"
#include "core/telemetry/counters.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/message_priv.h"
#include "rest-gw/scope_priv.h"

enum {
    TIME_WAIT_MAX = 60, /* seconds */
    TIME_WAIT_DEFAULT = 3,
    ACK_WAIT_MIN = 15, /* seconds */
    ACK_WAIT_MAX = 300,
    ACK_WAIT_DEFAULT = 30,
    ANSWER_ROOM = 64 * 1024, /* bytes of an answer that are not bodies */
};

/* One request; in its arena. */
struct consume {
    struct restgw_request *request;
    bool is_kafka;
    bool is_dead; /* dead letters: without tags */
    struct queue_consume consume;
};

static void put_message(struct base_writer *body, const struct queue_message *message,
                        bool is_kafka, bool has_tags)
{
    RESTGW_JSON_PUT(body, "{\"message\":{\"body\":");
    restgw__message_put_body(body, &message->record, is_kafka);
    RESTGW_JSON_PUT(body, ",\"attributes\":");
    restgw__message_put_attributes(body, &message->record, is_kafka);
    if (has_tags) {
        RESTGW_JSON_PUT(body, ",\"tags\":");
        restgw__message_put_tags(body, &message->record, is_kafka);
    }
    RESTGW_JSON_PUT(body, "},\"handler\":\"");
    base_writer_slice(body, base_slice_text(message->handler));
    RESTGW_JSON_PUT(body, "\"}");
}

/* Kafka clients may have written more in one message than an answer of ours can hold. */
static bool fits_answer(const struct consume *consume)
{
    size_t size = ANSWER_ROOM;
    for (uint32_t i = 0; i < consume->consume.messages_count; i++) {
        size += BASE_BASE64_LENGTH(consume->consume.messages[i].record.value.length);
    }
    return !consume->is_kafka || size <= RESTGW_ANSWER_SIZE_MAX;
}

static void answer_messages(struct consume *consume)
{
    struct queue_consume *done = &consume->consume;
    struct base_writer *body = restgw_answer_begin(consume->request);

    RESTGW_JSON_PUT(body, "[");
    for (uint32_t i = 0; i < done->messages_count; i++) {
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        put_message(body, &done->messages[i], consume->is_kafka, !consume->is_dead);
    }
    RESTGW_JSON_PUT(body, "]");
    if (body->err != BASE_ERR_OK) {
        (void)queue_consume_cancel(done); /* an error is answered: nobody is told of them */
    } else {
        telemetry_add(TELEMETRY_QUEUE_CONSUMED, done->messages_count);
    }
    queue_consume_release(done);
    restgw_answer_end(consume->request, 200);
}

/* The messages go back: nobody is told of them. Before the answer, with which done ends. */
static void take_back(struct queue_consume *done)
{
    (void)queue_consume_cancel(done);
    queue_consume_release(done);
}

static void finish(struct consume *consume)
{
    struct restgw_request *request = consume->request;
    struct queue_consume *done = &consume->consume;

    if (done->verdict != QUEUE_OK) {
        enum queue_verdict verdict = done->verdict;
        queue_consume_release(done);
        restgw__answer_verdict(request, verdict, done->err);
        return;
    }
    /* What was allowed when the wait began may be forbidden now. Without messages nothing is
     * told, and an answer is what the client waits for. */
    enum restgw_error error = done->messages_count > 0
                                  ? restgw__scope_check_queue(request, SECURITY_READ)
                                  : RESTGW_ERROR_NONE;
    if (error != RESTGW_ERROR_NONE) {
        take_back(done);
        restgw_answer_error(request, error);
        return;
    }
    if (!fits_answer(consume)) {
        take_back(done);
        restgw_answer_errorf(request, RESTGW_ERROR_CONSUME_REFUSED,
                             "a message is too large for REST; consume it over Kafka");
        return;
    }
    if (restgw_request_is_cancelled(request)) {
        (void)queue_consume_cancel(done); /* nobody would ever acknowledge them */
    }
    answer_messages(consume);
}

static void consume_is_over(struct base_task *task)
{
    finish(BASE_CONTAINER_OF(task, struct consume, consume.task));
}

/* The client is gone, or closed its side and may still read: it gets what there is, nothing. */
static void client_left(struct restgw_request *request, void *context)
{
    struct consume *consume = context;

    BASE_ASSERT(consume->request == request);
    if (queue_consume_cancel(&consume->consume)) {
        finish(consume);
    }
}

/* False, with the request answered, when a parameter is wrong. */
static bool read_parameters(struct restgw_request *request, struct restgw_query *query,
                            struct queue_consume *out)
{
    struct restgw_range max_msgs = {1, QUEUE_MESSAGES_MAX, QUEUE_MESSAGES_MAX};
    struct restgw_range time_wait = {1, TIME_WAIT_MAX, TIME_WAIT_DEFAULT};
    struct restgw_range ack_wait = {ACK_WAIT_MIN, ACK_WAIT_MAX, ACK_WAIT_DEFAULT};

    out->messages_max =
        (uint32_t)restgw_query_integer(query, "max_msgs", max_msgs, RESTGW_ERROR_MAX_MSGS);
    out->time_wait_ms =
        restgw_query_integer(query, "time_wait", time_wait, RESTGW_ERROR_TIME_WAIT) * 1000;
    out->ack_wait_ms =
        restgw_query_integer(query, "ack_wait", ack_wait, RESTGW_ERROR_ACK_WAIT) * 1000;
    return !restgw_answer_bad_query(request, query);
}

/* Starts the consume, whose parameters are read. */
static void begin(struct consume *consume, const struct catalog_topic *topic,
                  struct base_slice group_id)
{
    struct restgw_request *request = consume->request;

    consume->consume.executor = restgw_request_executor(request);
    consume->consume.task.run = consume_is_over;
    consume->consume.topic = topic;
    consume->consume.group_id = group_id;
    consume->consume.size_bytes_max = QUEUE_CONSUME_BYTES_MAX;
    if (queue_consume(restgw__gateway(request)->options.queues, &consume->consume) == QUEUE_DONE) {
        finish(consume);
    } else {
        restgw_request_on_cancel(request, client_left, consume);
    }
}

/* NULL with the request answered. */
static struct consume *make_consume(struct restgw_request *request, bool is_kafka)
{
    struct consume *consume = base_arena_alloc(restgw_request_arena(request), sizeof *consume);
    if (consume == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    consume->request = request;
    consume->is_kafka = is_kafka;
    consume->is_dead = false;
    return consume;
}

void restgw__messages_consume(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);

    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_READ);
    if (topic == NULL) {
        return;
    }
    struct base_slice group_id = restgw__scope_group(request, topic, SECURITY_READ);
    if (group_id.data == NULL) {
        return;
    }
    bool is_kafka = catalog_kind_is_kafka(topic->kind);
    struct consume *consume = make_consume(request, is_kafka);
    if (consume != NULL && read_parameters(request, &query, &consume->consume) &&
        restgw__tag_rule_read(request, &query, is_kafka, &consume->consume.rule)) {
        begin(consume, topic, group_id);
    }
}

void restgw__letters_consume(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);
    struct restgw__letters letters;

    if (!restgw__scope_letters(request, SECURITY_READ, NULL, &letters)) {
        return;
    }
    struct consume *consume = make_consume(request, false);
    if (consume != NULL && read_parameters(request, &query, &consume->consume)) {
        consume->is_dead = true;
        queue_tag_rule_init(&consume->consume.rule, NULL, 0, false);
        begin(consume, letters.topic, letters.group_id);
    }
}
