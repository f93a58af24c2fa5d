/* Looking at the messages of a queue without consuming them. */
#include "core/queue/browse.h"

#include "core/base/assert.h"
#include "core/queue/message_id.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/message_priv.h"
#include "rest-gw/scope_priv.h"

enum {
    LIMIT_DEFAULT = 10,                /* messages of an answer */
    TEXT_LENGTH_MAX = 128,             /* bytes to look for */
    SHOWN_BYTES_MAX = 2 * 1024 * 1024, /* a larger message is only named */
    SHOWN_HEADERS_MAX = 1000,          /* so is a record of a Kafka client with more of them */
};

/* One request; in its arena. */
struct browse {
    struct restgw_request *request;
    struct catalog_topic *topic; /* counted */
    bool is_kafka;
    struct queue_browse browse;
};

static void put_number(struct base_writer *body, const char *name, int64_t value)
{
    RESTGW_JSON_PUT(body, "\"");
    base_writer_slice(body, base_slice_text(name));
    RESTGW_JSON_PUT(body, "\":");
    restgw_json_put_integer(body, value);
}

static void put_headers(struct base_writer *body, const struct logstore_record *record)
{
    struct logstore_headers headers;
    struct logstore_header header;
    bool is_first = true;

    logstore_headers_init(&headers, record);
    while (record->headers_count > 0 && logstore_headers_next(&headers, &header)) {
        base_writer_slice(body, base_slice_text(is_first ? "{\"key\":" : ",{\"key\":"));
        is_first = false;
        restgw_json_put_string(body, header.key);
        RESTGW_JSON_PUT(body, ",\"value\":");
        restgw__message_put_bytes(body, header.value);
        RESTGW_JSON_PUT(body, "}");
    }
}

/* What Kafka clients wrote: any bytes. */
static void put_kafka_record(struct base_writer *body, const struct logstore_record *record)
{
    RESTGW_JSON_PUT(body, ",\"key\":");
    restgw__message_put_bytes(body, record->key);
    RESTGW_JSON_PUT(body, ",\"value\":");
    restgw__message_put_bytes(body, record->value);
    RESTGW_JSON_PUT(body, ",\"headers\":[");
    put_headers(body, record);
    RESTGW_JSON_PUT(body, "]");
}

/* The id that produce answered: of a delayed message it is in a header. */
static void put_id(struct base_writer *body, const struct browse *browse,
                   const struct logstore_record *record)
{
    char id[QUEUE_MESSAGE_ID_SIZE];
    struct base_slice text;

    if (browse->is_kafka || !logstore_record_header(record, QUEUE_MESSAGE_ID_HEADER, &text)) {
        queue_message_id_format(browse->topic->id, browse->browse.partition, record->offset, id);
        text = base_slice_text(id);
    }
    RESTGW_JSON_PUT(body, ",\"id\":");
    restgw_json_put_string(body, text);
}

static void put_message(struct base_writer *body, const struct browse *browse,
                        const struct logstore_record *record)
{
    size_t size = record->key.length + record->value.length + record->headers.length;

    RESTGW_JSON_PUT(body, "{");
    put_number(body, "offset", record->offset);
    put_id(body, browse, record);
    RESTGW_JSON_PUT(body, ",");
    put_number(body, "timestamp", record->timestamp_ms);
    RESTGW_JSON_PUT(body, ",");
    put_number(body, "size", (int64_t)size);
    bool has_too_many = browse->is_kafka && record->headers_count > SHOWN_HEADERS_MAX;
    if (size > SHOWN_BYTES_MAX || has_too_many) {
        RESTGW_JSON_PUT(body, ",\"too_large\":true}");
        return;
    }
    if (browse->is_kafka) {
        put_kafka_record(body, record);
    } else {
        RESTGW_JSON_PUT(body, ",\"message\":{\"body\":");
        restgw__message_put_body(body, record, false);
        RESTGW_JSON_PUT(body, ",\"attributes\":");
        restgw__message_put_attributes(body, record, false);
        RESTGW_JSON_PUT(body, ",\"tags\":");
        restgw__message_put_tags(body, record, false);
        RESTGW_JSON_PUT(body, "}");
    }
    RESTGW_JSON_PUT(body, "}");
}

static void answer_messages(struct browse *browse)
{
    struct queue_browse *done = &browse->browse;
    struct base_writer *body = restgw_answer_begin(browse->request);

    RESTGW_JSON_PUT(body, "{");
    put_number(body, "partition", done->partition);
    RESTGW_JSON_PUT(body, ",");
    put_number(body, "partitions", browse->topic->partitions_count);
    RESTGW_JSON_PUT(body, ",");
    put_number(body, "start_offset", done->start);
    RESTGW_JSON_PUT(body, ",");
    put_number(body, "end_offset", done->end);
    RESTGW_JSON_PUT(body, ",");
    put_number(body, "next_offset", done->next_offset);
    RESTGW_JSON_PUT(body, ",\"has_more\":");
    base_writer_slice(body, base_slice_text(done->has_more ? "true" : "false"));
    RESTGW_JSON_PUT(body, ",\"messages\":[");
    for (uint32_t i = 0; i < done->messages_count; i++) {
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        put_message(body, browse, &done->messages[i].record);
    }
    RESTGW_JSON_PUT(body, "]}");
    queue_browse_release(done);
    catalog_topic_release(&browse->topic);
    restgw_answer_end(browse->request, 200);
}

static void finish(struct browse *browse)
{
    struct queue_browse *done = &browse->browse;

    if (done->verdict == QUEUE_OK) {
        answer_messages(browse);
        return;
    }
    enum queue_verdict verdict = done->verdict;
    enum base_err err = done->err;
    queue_browse_release(done);
    catalog_topic_release(&browse->topic);
    restgw__answer_verdict(browse->request, verdict, err);
}

static void browse_is_over(struct base_task *task)
{
    struct queue_browse *done = BASE_CONTAINER_OF(task, struct queue_browse, task);
    finish(BASE_CONTAINER_OF(done, struct browse, browse));
}

/* False, with the request answered, when a parameter is wrong. */
static bool read_parameters(struct restgw_request *request, const struct catalog_topic *topic,
                            struct queue_browse *out)
{
    const struct restgw_range partition = {0, topic->partitions_count - 1, 0};
    const struct restgw_range offset = {0, INT64_MAX, -1};
    const struct restgw_range limit = {1, QUEUE_BROWSE_MESSAGES_MAX, LIMIT_DEFAULT};
    const enum restgw_error error = RESTGW_ERROR_URL_PARAMETERS;
    struct restgw_query query = restgw_request_query(request);

    out->partition = (int32_t)restgw_query_integer(&query, "partition", partition, error);
    out->offset = restgw_query_integer(&query, "offset", offset, error);
    out->timestamp_ms = restgw_query_integer(&query, "timestamp", offset, error);
    out->messages_max = (uint32_t)restgw_query_integer(&query, "limit", limit, error);
    if (restgw_answer_bad_query(request, &query)) {
        return false;
    }
    struct base_slice order = restgw_query_text(&query, "order");
    out->newest_first = base_slice_is(order, "desc");
    if (order.data != NULL && !out->newest_first && !base_slice_is(order, "asc")) {
        restgw_answer_errorf(request, error, "order is asc or desc");
        return false;
    }
    if (out->offset >= 0 && out->timestamp_ms >= 0) {
        restgw_answer_errorf(request, error, "either offset or timestamp");
        return false;
    }
    out->text = restgw_query_text(&query, "text");
    if (out->text.length > TEXT_LENGTH_MAX) {
        restgw_answer_errorf(request, error, "text has at most %d bytes", TEXT_LENGTH_MAX);
        return false;
    }
    return restgw__tag_rule_read(request, &query, catalog_kind_is_kafka(topic->kind), &out->rule);
}

void restgw__messages_browse(struct restgw_request *request)
{
    const struct catalog_topic *topic = restgw__scope_queue(request, SECURITY_READ);
    if (topic == NULL) {
        return;
    }
    struct browse *browse = base_arena_object(restgw_request_arena(request), struct browse);
    if (browse == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    if (!read_parameters(request, topic, &browse->browse)) {
        return;
    }
    browse->request = request;
    browse->topic = catalog_topic_hold(topic);
    browse->is_kafka = catalog_kind_is_kafka(topic->kind);
    browse->browse.executor = restgw_request_executor(request);
    browse->browse.task.run = browse_is_over;
    browse->browse.topic = browse->topic;
    if (queue_browse(restgw__gateway(request)->options.queues, &browse->browse) == QUEUE_DONE) {
        finish(browse);
    }
}
