/* Messages as they are answered. */
#include "rest-gw/message_priv.h"

#include <string.h>

#include "core/base/base64.h"
#include "rest-gw/answer.h"
#include "rest-gw/json_write.h"
#include "rest-gw/produce_body.h"

enum { PREFIX_SIZE = sizeof RESTGW_ATTRIBUTE_PREFIX - 1 };

void restgw__message_put_bytes(struct base_writer *body, struct base_slice bytes)
{
    if (bytes.data == NULL) {
        RESTGW_JSON_PUT(body, "null");
        return;
    }
    uint8_t *text = base_writer_extend(body, BASE_BASE64_LENGTH(bytes.length) + 2);
    if (text != NULL) {
        text[0] = '"';
        base_base64_encode(bytes, (char *)text + 1);
        text[BASE_BASE64_LENGTH(bytes.length) + 1] = '"';
    }
}

void restgw__message_put_body(struct base_writer *body, const struct logstore_record *record,
                              bool is_kafka)
{
    if (is_kafka || record->value.data == NULL) {
        restgw__message_put_bytes(body, record->value);
    } else {
        base_writer_slice(body, record->value);
    }
}

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

void restgw__message_put_attributes(struct base_writer *body, const struct logstore_record *record,
                                    bool is_kafka)
{
    RESTGW_JSON_PUT(body, "{");
    if (!is_kafka && record->headers_count > 0) {
        put_attributes(body, record);
    }
    RESTGW_JSON_PUT(body, "}");
}

void restgw__message_put_tags(struct base_writer *body, const struct logstore_record *record,
                              bool is_kafka)
{
    RESTGW_JSON_PUT(body, "[");
    if (!is_kafka && record->headers_count > 0) {
        put_tags(body, record);
    }
    RESTGW_JSON_PUT(body, "]");
}

bool restgw__tag_rule_read(struct restgw_request *request, const struct restgw_query *query,
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
