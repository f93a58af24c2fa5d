/* What is read of produce and ack requests, and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "rest-gw/ack_body.h"
#include "rest-gw/names.h"
#include "rest-gw/produce_body.h"

enum { ARENA_SIZE_MAX = 16 * 1024 * 1024 };

static void assert_slice(struct base_slice slice, const char *text)
{
    assert_int_equal(slice.length, strlen(text));
    assert_memory_equal(slice.data, text, slice.length);
}

static void bodies_are_slices_of_the_text(void **state)
{
    (void)state;
    struct restgw_produce_body body;
    const char *text = "{\"messages\":[{\"body\": [1, 2.50] ,\"attributes\":{\"a\":1}},"
                       "{\"bod\\u0079\":\"x\",\"other\":[]}],\"return_id\":true}";
    assert_int_equal(restgw_produce_body_read(base_slice_text(text), false, &body),
                     RESTGW_ERROR_NONE);
    assert_int_equal(body.messages_count, 2);
    assert_true(body.return_id);
    assert_slice(body.messages[0].body, "[1, 2.50]");
    assert_slice(body.messages[0].attributes, "{\"a\":1}");
    assert_slice(body.messages[1].body, "\"x\"");
    assert_null(body.messages[1].attributes.data);
    assert_int_equal(body.size_bytes, strlen("[1, 2.50]{\"a\":1}\"x\""));
}

static void wrong_produce_bodies_have_their_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_kafka;
        enum restgw_error error;
    } rows[] = {
        {"", false, RESTGW_ERROR_MESSAGE_NOT_JSON},
        {"{\"messages\":[{\"body\":1}]", false, RESTGW_ERROR_MESSAGE_NOT_JSON},
        {"{\"messages\":[{\"tags\":[1],\"body\":}]}", false, RESTGW_ERROR_MESSAGE_NOT_JSON},
        {"{\"messages\":[{\"body\":1}]} x", false, RESTGW_ERROR_MESSAGE_NOT_JSON},
        {"[]", false, RESTGW_ERROR_REQUEST_FORMAT},
        {"{}", false, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":{}}", false, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[]}", false, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[{\"body\":1}],\"messages\":[]}", false, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[{\"body\":1}],\"returnId\":1}", false, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[1]}", false, RESTGW_ERROR_MESSAGE_FIELDS},
        {"{\"messages\":[{}]}", false, RESTGW_ERROR_MESSAGE_FIELDS},
        {"{\"messages\":[{\"body\":1,\"attributes\":[]}]}", false, RESTGW_ERROR_MESSAGE_FIELDS},
        {"{\"messages\":[{\"body\":1,\"attributes\":{\"a\":1}}]}", true,
         RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[{\"body\":1,\"attributes\":{ }}]}", true, RESTGW_ERROR_NONE},
        {"{\"messages\":[{\"body\":1,\"attributes\":null,\"tags\":null}]}", true,
         RESTGW_ERROR_NONE},
        {"{\"messages\":[{\"body\":1,\"delay_time\":0,\"tags\":[ ]}]}", true, RESTGW_ERROR_NONE},
        {"{\"messages\":[{\"body\":1,\"delay_time\":1}]}", false, RESTGW_ERROR_NONE},
        {"{\"messages\":[{\"body\":1,\"delay_time\":1}]}", true, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[{\"body\":1,\"delay_time\":0.9}]}", true, RESTGW_ERROR_NONE},
        {"{\"messages\":[{\"body\":1,\"delay_time\":\"1\"}]}", true, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[{\"body\":1,\"tags\":[\"a\"]}]}", false, RESTGW_ERROR_NONE},
        {"{\"messages\":[{\"body\":1,\"tags\":[\"a\"]}]}", true, RESTGW_ERROR_REQUEST_FORMAT},
        {"{\"messages\":[{\"body\":1,\"tags\":\"a\"}]}", false, RESTGW_ERROR_MESSAGE_FIELDS},
        {"{\"messages\":[{\"body\":null}]}", false, RESTGW_ERROR_NONE},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        struct restgw_produce_body body;
        enum restgw_error error = restgw_produce_body_read(base_slice_text(rows[index].text),
                                                           rows[index].is_kafka, &body);
        if (error != rows[index].error) {
            fail_msg("%s gives %d", rows[index].text, error);
        }
        assert_non_null(body.detail);
    }
}

static void delay_is_whole_milliseconds_up_to_seven_days(void **state)
{
    (void)state;
    static const struct {
        const char *number;
        enum restgw_error error;
        int64_t delay_ms;
    } rows[] = {
        {"0", RESTGW_ERROR_NONE, 0},
        {"null", RESTGW_ERROR_NONE, 0},
        {"-0", RESTGW_ERROR_NONE, 0},
        {"0.9", RESTGW_ERROR_NONE, 0},
        {"1", RESTGW_ERROR_NONE, 1},
        {"6000.9", RESTGW_ERROR_NONE, 6000},
        {"6e3", RESTGW_ERROR_NONE, 6000},
        {"604800000", RESTGW_ERROR_NONE, 604800000},
        {"604800000.9", RESTGW_ERROR_NONE, 604800000},
        {"604800001", RESTGW_ERROR_REQUEST_FORMAT, 0},
        {"1e400", RESTGW_ERROR_REQUEST_FORMAT, 0},
        {"-1", RESTGW_ERROR_REQUEST_FORMAT, 0},
        {"-0.5", RESTGW_ERROR_REQUEST_FORMAT, 0},
        {"\"6000\"", RESTGW_ERROR_REQUEST_FORMAT, 0},
        {"true", RESTGW_ERROR_REQUEST_FORMAT, 0},
        {"[1]", RESTGW_ERROR_REQUEST_FORMAT, 0},
        {"1.0000000000000000000000000000000000000000000000000000000000000000",
         RESTGW_ERROR_REQUEST_FORMAT, 0},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        struct restgw_produce_body body;
        char text[160];
        (void)snprintf(text, sizeof text, "{\"messages\":[{\"body\":1,\"delay_time\":%s}]}",
                       rows[index].number);
        assert_int_equal(restgw_produce_body_read(base_slice_text(text), false, &body),
                         rows[index].error);
        if (rows[index].error == RESTGW_ERROR_NONE) {
            assert_int_equal(body.messages[0].delay_ms, rows[index].delay_ms);
        }
    }
}

static void at_most_ten_messages_are_read(void **state)
{
    (void)state;
    for (unsigned count = 9; count <= 12; count++) {
        char text[512] = "{\"messages\":[";
        size_t length = strlen(text);
        for (unsigned index = 0; index < count; index++) {
            length += (size_t)snprintf(text + length, sizeof text - length, "%s{\"body\":%u}",
                                       index > 0 ? "," : "", index);
        }
        (void)snprintf(text + length, sizeof text - length, "]}");
        struct restgw_produce_body body;
        enum restgw_error error = restgw_produce_body_read(base_slice_text(text), false, &body);
        assert_int_equal(error, count <= 10 ? RESTGW_ERROR_NONE : RESTGW_ERROR_REQUEST_FORMAT);
    }
}

static void attributes_become_headers_and_repeated_names_overwrite(void **state)
{
    (void)state;
    struct base_arena arena;
    struct logstore_header *headers = NULL;
    uint32_t count = 0;
    base_arena_init(&arena, ARENA_SIZE_MAX);
    const char *text = "{\"b\":1,\"\\u0061\": \"x\" ,\"ab\":{},\"b\":[2],\"a\":null}";
    assert_int_equal(restgw_attributes_read(&arena, base_slice_text(text), &headers, &count),
                     BASE_ERR_OK);
    assert_int_equal(count, 3);
    assert_slice(headers[0].key, "dms.attr.ab");
    assert_slice(headers[0].value, "{}");
    assert_slice(headers[1].key, "dms.attr.b");
    assert_slice(headers[1].value, "[2]");
    assert_slice(headers[2].key, "dms.attr.a");
    assert_slice(headers[2].value, "null");
    assert_int_equal(restgw_attributes_read(&arena, base_slice_text("{\"\":1}"), &headers, &count),
                     BASE_ERR_INVALID);
    assert_int_equal(restgw_attributes_read(&arena, base_slice_of(NULL, 0), &headers, &count),
                     BASE_ERR_OK);
    assert_int_equal(count, 0);
    base_arena_fini(&arena);
}

static void message_tags_are_read_once_each(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum restgw_error error;
        uint32_t count;
    } rows[] = {
        {"[ \"a\", \"\\u0062\" ,\"a\",\"c\"]", RESTGW_ERROR_NONE, 3},
        {"[\"a\",\"b\",\"c\",\"d\"]", RESTGW_ERROR_MESSAGE_FIELDS, 3},
        {"[\"a\",1]", RESTGW_ERROR_MESSAGE_FIELDS, 1},
        {"[null]", RESTGW_ERROR_MESSAGE_FIELDS, 0},
        {"[\"\"]", RESTGW_ERROR_MESSAGE_TAG, 0},
        {"[\"a b\"]", RESTGW_ERROR_MESSAGE_TAG, 0},
        {"[\"\\u0000\"]", RESTGW_ERROR_MESSAGE_TAG, 0},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        struct base_arena arena;
        struct base_slice tags[QUEUE_TAGS_MAX];
        uint32_t count = 0;
        const char *detail = NULL;
        base_arena_init(&arena, ARENA_SIZE_MAX);
        assert_int_equal(restgw_message_tags_read(&arena, base_slice_text(rows[index].text), tags,
                                                  &count, &detail),
                         rows[index].error);
        assert_int_equal(count, rows[index].count);
        assert_non_null(detail);
        if (index == 0) {
            assert_slice(tags[1], "b");
            assert_slice(tags[2], "c");
        }
        base_arena_fini(&arena);
    }
}

static void acks_are_read_in_order(void **state)
{
    (void)state;
    struct base_arena arena;
    struct restgw_ack_body body;
    base_arena_init(&arena, ARENA_SIZE_MAX);
    const char *text = "{\"message\":[{\"handler\":\"one\",\"status\":\"success\"},"
                       "{\"status\":\"f\\u0061il\",\"x\":1,\"handler\":\"t\\u0077o\"}]}";
    assert_int_equal(restgw_ack_body_read(&arena, base_slice_text(text), &body), RESTGW_ERROR_NONE);
    assert_int_equal(body.items_count, 2);
    assert_slice(body.items[0].handler, "one");
    assert_true(body.items[0].success);
    assert_slice(body.items[1].handler, "two");
    assert_false(body.items[1].success);
    base_arena_fini(&arena);
}

static void wrong_ack_bodies_have_their_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum restgw_error error;
        const char *detail;
    } rows[] = {
        {"{\"message\":", RESTGW_ERROR_MESSAGE_NOT_JSON, "a value is missing"},
        {"[]", RESTGW_ERROR_REQUEST_FORMAT, "an object is expected"},
        {"{}", RESTGW_ERROR_REQUEST_FORMAT, "message is missing or empty"},
        {"{\"message\":[]}", RESTGW_ERROR_REQUEST_FORMAT, "message is missing or empty"},
        {"{\"message\":{}}", RESTGW_ERROR_REQUEST_FORMAT, "message must be an array"},
        {"{\"message\":[1]}", RESTGW_ERROR_REQUEST_FORMAT, "message must hold objects"},
        {"{\"message\":[{\"status\":\"fail\"}]}", RESTGW_ERROR_REQUEST_FORMAT,
         "handler is missing"},
        {"{\"message\":[{\"handler\":\"h\"}]}", RESTGW_ERROR_REQUEST_FORMAT, "status is missing"},
        {"{\"message\":[{\"handler\":1,\"status\":\"fail\"}]}", RESTGW_ERROR_REQUEST_FORMAT,
         "handler must be a string"},
        {"{\"message\":[{\"handler\":\"h\",\"status\":\"Fail\"}]}", RESTGW_ERROR_ACK_STATUS,
         "Fail"},
        {"{\"message\":[{\"handler\":\"h\",\"status\":true}]}", RESTGW_ERROR_ACK_STATUS, "true"},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        struct base_arena arena;
        struct restgw_ack_body body;
        base_arena_init(&arena, ARENA_SIZE_MAX);
        enum restgw_error error =
            restgw_ack_body_read(&arena, base_slice_text(rows[index].text), &body);
        if (error != rows[index].error) {
            fail_msg("%s gives %d", rows[index].text, error);
        }
        assert_slice(body.detail, rows[index].detail);
        base_arena_fini(&arena);
    }
}

static void acks_have_a_limit(void **state)
{
    (void)state;
    static const char item[] = "{\"handler\":\"h\",\"status\":\"fail\"}";
    for (unsigned count = QUEUE_ACK_ITEMS_MAX; count <= QUEUE_ACK_ITEMS_MAX + 1; count++) {
        struct base_arena arena;
        struct base_writer writer;
        struct restgw_ack_body body;
        base_arena_init(&arena, ARENA_SIZE_MAX);
        base_writer_init(&writer, 1 << 20);
        base_writer_slice(&writer, base_slice_text("{\"message\":["));
        for (unsigned index = 0; index < count; index++) {
            base_writer_slice(&writer, base_slice_text(index > 0 ? "," : ""));
            base_writer_slice(&writer, base_slice_text(item));
        }
        base_writer_slice(&writer, base_slice_text("]}"));
        enum restgw_error error =
            restgw_ack_body_read(&arena, base_slice_of(writer.buffer->data, writer.length), &body);
        assert_int_equal(error, count <= QUEUE_ACK_ITEMS_MAX ? RESTGW_ERROR_NONE
                                                             : RESTGW_ERROR_REQUEST_FORMAT);
        assert_int_equal(body.items_count, QUEUE_ACK_ITEMS_MAX);
        assert_slice(body.items[QUEUE_ACK_ITEMS_MAX - 1].handler, "h");
        base_writer_fini(&writer);
        base_arena_fini(&arena);
    }
}

static void names_and_descriptions_follow_their_rules(void **state)
{
    (void)state;
    char text[200];
    memset(text, 'n', sizeof text);
    assert_int_equal(restgw_queue_name_check(base_slice_text("aZ09-_")), RESTGW_ERROR_NONE);
    assert_int_equal(restgw_queue_name_check(base_slice_of(text, 64)), RESTGW_ERROR_NONE);
    assert_int_equal(restgw_queue_name_check(base_slice_of(text, 65)),
                     RESTGW_ERROR_QUEUE_NAME_LENGTH);
    assert_int_equal(restgw_queue_name_check(base_slice_of(NULL, 0)),
                     RESTGW_ERROR_QUEUE_NAME_LENGTH);
    assert_int_equal(restgw_group_name_check(base_slice_of(text, 32)), RESTGW_ERROR_NONE);
    assert_int_equal(restgw_group_name_check(base_slice_of(text, 33)),
                     RESTGW_ERROR_GROUP_NAME_LENGTH);
    for (unsigned byte = 0; byte < 256; byte++) {
        char one = (char)byte;
        bool is_allowed = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                          (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '_';
        bool is_continued = (byte & 0xC0) == 0x80; /* not a character of valid text */
        if (!is_continued) {
            assert_int_equal(restgw_queue_name_check(base_slice_of(&one, 1)),
                             is_allowed ? RESTGW_ERROR_NONE : RESTGW_ERROR_NAME_CHARACTERS);
        }
    }
    assert_int_equal(restgw_description_check(base_slice_of(NULL, 0)), RESTGW_ERROR_NONE);
    assert_int_equal(restgw_description_check(base_slice_of(text, 160)), RESTGW_ERROR_NONE);
    assert_int_equal(restgw_description_check(base_slice_of(text, 161)),
                     RESTGW_ERROR_DESCRIPTION_LENGTH);
    assert_int_equal(restgw_description_check(base_slice_of("a\0b", 3)),
                     RESTGW_ERROR_DESCRIPTION_CHARACTERS);
    assert_int_equal(restgw_description_check(base_slice_text("a>b")),
                     RESTGW_ERROR_DESCRIPTION_CHARACTERS);
}

/* The request is answered with an error, or read; never half of it. */
static void every_failed_allocation_is_noticed(void **state)
{
    (void)state;
    const char *attributes = "{\"\\u0061\":1,\"b\":2}";
    const char *acks = "{\"message\":[{\"handler\":\"\\u0061\",\"status\":\"fail\"}]}";
    for (long count = 0;; count++) {
        struct base_arena arena;
        struct logstore_header *headers = NULL;
        uint32_t headers_count = 0;
        struct restgw_ack_body body;
        base_arena_init(&arena, ARENA_SIZE_MAX);
        base_alloc_fail_after(count, 1);
        enum base_err err =
            restgw_attributes_read(&arena, base_slice_text(attributes), &headers, &headers_count);
        enum restgw_error error = restgw_ack_body_read(&arena, base_slice_text(acks), &body);
        bool has_fired = base_alloc_fault_fired() != 0;
        base_alloc_fail_after(-1, 0);
        assert_true(has_fired == (err != BASE_ERR_OK || error != RESTGW_ERROR_NONE));
        base_arena_fini(&arena);
        if (!has_fired) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_slices_of_the_text),
        cmocka_unit_test(wrong_produce_bodies_have_their_errors),
        cmocka_unit_test(delay_is_whole_milliseconds_up_to_seven_days),
        cmocka_unit_test(at_most_ten_messages_are_read),
        cmocka_unit_test(attributes_become_headers_and_repeated_names_overwrite),
        cmocka_unit_test(message_tags_are_read_once_each),
        cmocka_unit_test(acks_are_read_in_order),
        cmocka_unit_test(wrong_ack_bodies_have_their_errors),
        cmocka_unit_test(acks_have_a_limit),
        cmocka_unit_test(names_and_descriptions_follow_their_rules),
        cmocka_unit_test(every_failed_allocation_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
