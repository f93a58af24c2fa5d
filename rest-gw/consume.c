/* Messages out of a queue, under leases. A consume may wait for messages to come. */
#include "core/queue/consume.h"

#include "core/base/assert.h"
#include "core/queue/tags.h"
#include "core/telemetry/counters.h"
#include "rest-gw/answer.h"
#include "rest-gw/base64.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/produce_body.h"
#include "rest-gw/scope_priv.h"

enum {
    TIME_WAIT_MAX = 60, /* seconds */
    TIME_WAIT_DEFAULT = 3,
    ACK_WAIT_MIN = 15, /* seconds */
    ACK_WAIT_MAX = 300,
    ACK_WAIT_DEFAULT = 30,
    PREFIX_SIZE = sizeof RESTGW_ATTRIBUTE_PREFIX - 1,
    ANSWER_ROOM = 64 * 1024, /* bytes of an answer that are not bodies */
};

/* One request; in its arena. */
struct consume {
    struct restgw_request *request;
    bool is_kafka;
    bool is_dead; /* dead letters: without tags */
    struct queue_consume consume;
};

/* Only over REST comes anything into these queues, so what the header holds is JSON. */
static void put_attributes(struct base_writer *body, const struct logstore_record *record)
{
    struct logstore_headers headers;
    struct logstore_header header;
    bool is_first = true;

    logstore_headers_init(&headers, record);
    while (logstore_headers_next(&headers, &header)) {
        if (header.key.length <= PREFIX_SIZE || header.value.data == NULL ||
            memcmp(header.key.data, RESTGW_ATTRIBUTE_PREFIX, PREFIX_SIZE) != 0) {
            continue;
        }
        if (!is_first) {
            RESTGW_JSON_PUT(body, ",");
        }
        is_first = false;
        restgw_json_put_string(
            body, base_slice_of(header.key.data + PREFIX_SIZE, header.key.length - PREFIX_SIZE));
        RESTGW_JSON_PUT(body, ":");
        base_writer_slice(body, header.value);
    }
}

static void put_tags(struct base_writer *body, const struct logstore_record *record)
{
    struct logstore_headers headers;
    struct logstore_header header;
    bool is_first = true;

    logstore_headers_init(&headers, record);
    while (logstore_headers_next(&headers, &header)) {
        if (!base_slice_is(header.key, QUEUE_TAG_HEADER)) {
            continue;
        }
        if (!is_first) {
            RESTGW_JSON_PUT(body, ",");
        }
        is_first = false;
        restgw_json_put_string(body, header.value);
    }
}

static void put_message(struct base_writer *body, const struct queue_message *message,
                        bool is_kafka, bool has_tags)
{
    struct base_slice value = message->record.value;

    RESTGW_JSON_PUT(body, "{\"message\":{\"body\":");
    if (value.data == NULL) {
        RESTGW_JSON_PUT(body, "null");
    } else if (is_kafka) {
        RESTGW_JSON_PUT(body, "\"");
        restgw_base64_put(body, value);
        RESTGW_JSON_PUT(body, "\"");
    } else {
        base_writer_slice(body, value);
    }
    RESTGW_JSON_PUT(body, ",\"attributes\":{");
    if (!is_kafka && message->record.headers_count > 0) {
        put_attributes(body, &message->record);
    }
    RESTGW_JSON_PUT(body, "}");
    if (has_tags) {
        RESTGW_JSON_PUT(body, ",\"tags\":[");
        if (!is_kafka && message->record.headers_count > 0) {
            put_tags(body, &message->record);
        }
        RESTGW_JSON_PUT(body, "]");
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
        size += restgw_base64_size(consume->consume.messages[i].record.value.length);
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
    telemetry_add(TELEMETRY_QUEUE_CONSUMED, done->messages_count);
    queue_consume_release(done);
    restgw_answer_end(consume->request, 200);
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
    if (!fits_answer(consume)) {
        (void)queue_consume_cancel(done);
        queue_consume_release(done);
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

/* tag, up to three times, and tag_type. False, with the request answered, when one is wrong. */
static bool read_rule(struct restgw_request *request, const struct restgw_query *query,
                      bool is_kafka, struct queue_tag_rule *rule)
{
    struct base_slice tags[QUEUE_TAGS_MAX] = {{NULL, 0}};
    size_t count = restgw_query_texts(query, "tag", tags, QUEUE_TAGS_MAX);
    struct base_slice type = restgw_query_text(query, "tag_type");

    if (is_kafka && count > 0) {
        restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT,
                             "messages of a kafka queue have no tags.");
        return false;
    }
    if (count > QUEUE_TAGS_MAX) {
        restgw_answer_errorf(request, RESTGW_ERROR_URL_PARAMETERS, "at most 3 times tag");
        return false;
    }
    if (type.data != NULL && !base_slice_is(type, "and") && !base_slice_is(type, "or")) {
        restgw_answer_errorf(request, RESTGW_ERROR_URL_PARAMETERS, "tag_type is and or or");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!queue_tag_is_valid(tags[i])) {
            restgw_answer_errorf(request, RESTGW_ERROR_MESSAGE_TAG, "%s", RESTGW_TAG_GRAMMAR);
            return false;
        }
    }
    queue_tag_rule_init(rule, tags, (uint32_t)count, base_slice_is(type, "and"));
    return true;
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
        read_rule(request, &query, is_kafka, &consume->consume.rule)) {
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
