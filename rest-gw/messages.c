/* Messages into a queue. */
#include <string.h>

#include "core/base/assert.h"
#include "core/queue/produce.h"
#include "core/telemetry/counters.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_scan.h"
#include "rest-gw/json_write.h"
#include "rest-gw/produce_body.h"
#include "rest-gw/scope_priv.h"

enum { REQUEST_SIZE_MAX = 524288 }; /* bytes of bodies and attributes of one request */

/* One request; in its arena. */
struct produce {
    struct restgw_request *request;
    struct catalog_topic *topic; /* counted */
    bool return_id;
    size_t sizes_bytes[QUEUE_MESSAGES_MAX]; /* of body and attributes */
    struct queue_produce_message messages[QUEUE_MESSAGES_MAX];
    struct queue_produce produce;
};

static void put_row(struct base_writer *body, const struct produce *produce,
                    const struct queue_produce_result *result)
{
    if (result->err != BASE_ERR_OK) {
        enum restgw_error error = restgw__error_of_queue(produce->request, result->err);
        RESTGW_JSON_PUT(body, "{\"error\":");
        restgw_json_put_string(body, base_slice_text(restgw_error_text(error)));
        RESTGW_JSON_PUT(body, ",\"error_code\":");
        restgw_json_put_integer(body, restgw_error_code(error));
        RESTGW_JSON_PUT(body, ",\"state\":1}");
        return;
    }
    RESTGW_JSON_PUT(body, "{\"error\":null,\"error_code\":null,\"state\":0");
    if (produce->return_id) {
        RESTGW_JSON_PUT(body, ",\"id\":\"");
        base_writer_slice(body, base_slice_text(result->id));
        RESTGW_JSON_PUT(body, "\"");
    }
    RESTGW_JSON_PUT(body, "}");
}

/* Of the messages that were stored. On the queue's first partition, wherever they went: only the
 * sum is looked at. */
static void count_traffic(const struct produce *produce)
{
    size_t size_bytes = 0;

    for (uint32_t i = 0; i < produce->produce.messages_count; i++) {
        bool is_stored = produce->produce.results[i].err == BASE_ERR_OK;
        size_bytes += is_stored ? produce->sizes_bytes[i] : 0;
    }
    struct partition *partition = partition_table_get(
        restgw__gateway(produce->request)->options.partitions, produce->topic->id, 0);
    if (partition != NULL) {
        partition_add_traffic(partition, (struct partition_traffic){size_bytes, 1});
        partition_release(&partition);
    }
}

static void finish(struct produce *produce)
{
    struct restgw_request *request = produce->request;
    const struct queue_produce *done = &produce->produce;
    uint32_t good_count = 0;

    for (uint32_t i = 0; i < done->messages_count; i++) {
        good_count += done->results[i].err == BASE_ERR_OK;
    }
    if (good_count > 0) {
        count_traffic(produce);
    }
    catalog_topic_release(&produce->topic);
    if (good_count == 0) {
        restgw_answer_error(request, restgw__error_of_queue(request, done->err));
        return;
    }
    telemetry_add(TELEMETRY_QUEUE_PRODUCED, good_count);
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"messages\":[");
    for (uint32_t i = 0; i < done->messages_count; i++) {
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        put_row(body, produce, &done->results[i]);
    }
    RESTGW_JSON_PUT(body, "]}");
    restgw_answer_end(request, 201);
}

static void produce_is_over(struct base_task *task)
{
    finish(BASE_CONTAINER_OF(task, struct produce, produce.task));
}

/* Puts the message's tags in front of its other headers. */
static enum restgw_error add_tags(struct base_arena *arena, struct base_slice array,
                                  struct queue_produce_message *to, const char **detail)
{
    struct base_slice tags[QUEUE_TAGS_MAX];
    uint32_t count;

    enum restgw_error error = restgw_message_tags_read(arena, array, tags, &count, detail);
    if (error != RESTGW_ERROR_NONE || count == 0) {
        return error;
    }
    struct logstore_header *headers =
        base_arena_array(arena, count + to->headers_count, sizeof headers[0]);
    if (headers == NULL) {
        return restgw_status_from_base(BASE_ERR_NOMEM);
    }
    for (uint32_t i = 0; i < count; i++) {
        headers[i] = (struct logstore_header){base_slice_text(QUEUE_TAG_HEADER), tags[i]};
    }
    for (uint32_t i = 0; i < to->headers_count; i++) {
        headers[count + i] = to->headers[i];
    }
    to->headers = headers;
    to->headers_count += count;
    return RESTGW_ERROR_NONE;
}

/* What stands on the log for one message. */
static enum restgw_error fill_message(struct base_arena *arena, bool is_kafka,
                                      const struct restgw_produce_message *from,
                                      struct queue_produce_message *to, const char **detail)
{
    struct logstore_header *headers = NULL;
    enum base_err err = BASE_ERR_OK;

    to->value = from->body;
    to->delay_ms = from->delay_ms;
    if (is_kafka && from->body.data[0] == '"') {
        /* Kafka clients see the text, not its JSON form. */
        err = restgw_json_unescape(arena, from->body, &to->value);
    }
    if (err == BASE_ERR_OK) {
        err = restgw_attributes_read(arena, from->attributes, &headers, &to->headers_count);
    }
    if (err == BASE_ERR_INVALID) {
        *detail = "an attribute has no name";
        return RESTGW_ERROR_MESSAGE_FIELDS;
    }
    if (err != BASE_ERR_OK) {
        return restgw_status_from_base(BASE_ERR_NOMEM);
    }
    to->headers = headers;
    return add_tags(arena, from->tags, to, detail);
}

/* Bytes that one request may carry to the queue. */
static size_t size_max_of(const struct catalog_topic *topic)
{
    int64_t of_topic = topic->config.values[CATALOG_CONFIG_MAX_MESSAGE_BYTES];
    bool is_smaller = catalog_kind_is_kafka(topic->kind) && of_topic < REQUEST_SIZE_MAX;
    return is_smaller ? (size_t)of_topic : REQUEST_SIZE_MAX;
}

/* Reads the body into produce; false with the request answered. */
static bool prepare(struct produce *produce, const struct catalog_topic *topic)
{
    struct restgw_request *request = produce->request;
    bool is_kafka = catalog_kind_is_kafka(topic->kind);
    struct restgw_produce_body body;

    enum restgw_error error =
        restgw_produce_body_read(restgw_request_body(request), is_kafka, &body);
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_errorf(request, error, "%s", body.detail);
        return false;
    }
    size_t size_max = size_max_of(topic);
    if (body.size_bytes > size_max) {
        restgw_answer_errorf(request, RESTGW_ERROR_MESSAGE_SIZE,
                             "%zu, larger than the size limit %zu", body.size_bytes, size_max);
        return false;
    }
    const char *detail = "";
    for (uint32_t i = 0; error == RESTGW_ERROR_NONE && i < body.messages_count; i++) {
        const struct restgw_produce_message *message = &body.messages[i];
        produce->sizes_bytes[i] = message->body.length + message->attributes.length;
        error = fill_message(restgw_request_arena(request), is_kafka, message,
                             &produce->messages[i], &detail);
    }
    if (error != RESTGW_ERROR_NONE) {
        restgw_answer_errorf(request, error, "%s", detail);
        return false;
    }
    produce->produce.messages_count = body.messages_count;
    produce->return_id = body.return_id;
    return true;
}

void restgw__messages_produce(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_WRITE);
    if (topic == NULL) {
        return;
    }
    struct produce *produce = base_arena_alloc(restgw_request_arena(request), sizeof *produce);
    if (produce == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    produce->request = request;
    if (!prepare(produce, topic)) {
        return;
    }
    /* A client that leaves changes nothing: what it asked for is done. */
    produce->topic = catalog_topic_hold(topic);
    produce->produce.executor = restgw_request_executor(request);
    produce->produce.task.run = produce_is_over;
    produce->produce.topic = produce->topic;
    produce->produce.messages = produce->messages;
    if (queue_produce(restgw__gateway(request)->options.queues, &produce->produce) == QUEUE_DONE) {
        finish(produce);
    }
}
