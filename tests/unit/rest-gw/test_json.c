/* JSON in and out: the cursor, trees, fields, the writer and the error bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "rest-gw/error.h"
#include "rest-gw/json.h"
#include "rest-gw/json_scan.h"
#include "rest-gw/json_write.h"
#include "rest-gw/text.h"

/* In memory of exactly its size, so that a sanitizer sees reads behind it. */
static bool is_valid(const char *text, size_t length)
{
    uint8_t *copy = malloc(length == 0 ? 1 : length);
    memcpy(copy, text, length);
    bool is_good = restgw_json_check(base_slice_of(copy, length)) == NULL;
    free(copy);
    return is_good;
}

static void valid_values_pass_whole_and_fail_cut(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{}",
        " [ ] ",
        "{\"a\":[1,{\"b\":null},\"x\"],\"a\":true}",
        "[[],[[]],{},{\"\":{}}]",
        "\"\\u00e9\\ud83d\\ude00\\n\\/\\\"\"",
        "[-0,0.5,1e9,1E+9,-1.25e-3,12345678901234567890123]",
        "\"\xe9\x94\xae\"",
        "\"\\u0000\"",
        "\t\r\n[false]",
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        size_t length = strlen(rows[index]);
        assert_true(is_valid(rows[index], length));
        while (length > 0 && strchr(" \t\r\n", rows[index][length - 1]) != NULL) {
            length--;
        }
        for (size_t cut = 0; cut < length; cut++) {
            assert_false(is_valid(rows[index], cut));
        }
    }
}

static void invalid_values_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "  ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "NaN",
        "nul",
        "nullx",
        "True",
        "tru",
        "1 1",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\\"",
        "'a'",
        "\"a\nb\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "[1]x",
        "/**/1",
        "\xef\xbb\xbf{}",
        "\"\\u00g0\"",
        "[\"a\":1]",
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        if (is_valid(rows[index], strlen(rows[index]))) {
            print_message("accepted: %s\n", rows[index]);
            fail();
        }
    }
    assert_false(is_valid("[1\0]", 4));
    assert_non_null(restgw_json_check(base_slice_of(NULL, 0)));
}

static void depth_is_limited_exactly(void **state)
{
    (void)state;
    char text[2 * (RESTGW_JSON_DEPTH_MAX + 1)];
    for (size_t depth = RESTGW_JSON_DEPTH_MAX; depth <= RESTGW_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(is_valid(text, 2 * depth), depth == RESTGW_JSON_DEPTH_MAX);
    }
    static char bomb[200000];
    memset(bomb, '[', sizeof bomb);
    json_t *root = NULL;
    const char *problem = NULL;
    assert_int_equal(restgw_json_load(base_slice_of(bomb, sizeof bomb), &root, &problem),
                     BASE_ERR_MALFORMED);
    assert_string_equal(problem, "nested too deeply");
}

static void a_tree_has_a_limit_of_values(void **state)
{
    (void)state;
    enum { PAIR = 3 };
    char text[PAIR * (RESTGW_JSON_NODES_MAX + 1) + 1];
    const char *problem = NULL;
    json_t *root;

    for (size_t count = RESTGW_JSON_NODES_MAX - 1; count <= RESTGW_JSON_NODES_MAX + 1; count++) {
        /* {"a":[{},{},..]}: the object, the array and count - 2 objects */
        size_t length = 0;
        memcpy(text, "{\"a\":[{}", 8);
        length = 8;
        for (size_t i = 3; i < count; i++) {
            memcpy(text + length, ",{}", PAIR);
            length += PAIR;
        }
        memcpy(text + length, "]}", 2);
        length += 2;
        bool fits = count <= RESTGW_JSON_NODES_MAX;
        assert_int_equal(restgw_json_load(base_slice_of(text, length), &root, &problem),
                         fits ? BASE_ERR_OK : BASE_ERR_MALFORMED);
        assert_int_equal(root != NULL, fits);
        json_decref(root);
        if (!fits) {
            assert_string_equal(problem, "too many values");
        }
        /* A message's body is none. */
        struct restgw_json_cursor cursor;
        restgw_json_cursor_init(&cursor, base_slice_of(text, length));
        assert_int_equal(restgw_json_value(&cursor).length, length);
        assert_int_equal(restgw_json_finish(&cursor), BASE_ERR_OK);
    }
}

static void containers_alternate_at_every_depth(void **state)
{
    (void)state;
    assert_true(is_valid("[{\"a\":[{\"b\":[{\"c\":[]}]}]},{\"d\":{\"e\":[[{}]]}}]", 45));
    assert_false(is_valid("[{\"a\":[{\"b\":[{\"c\":[]]}]}]}]", 28));
}

static void a_cursor_walks_and_gives_text_verbatim(void **state)
{
    (void)state;
    struct restgw_json_cursor cursor;
    struct base_slice key;
    const char *text = "{ \"messages\" : [ {\"body\": { \"n\" : 1.0 } }, {\"b\\u006fdy\":"
                       "12345678901234567890} ], \"returnId\":true }";
    unsigned bodies = 0;

    restgw_json_cursor_init(&cursor, base_slice_text(text));
    restgw_json_enter_object(&cursor);
    assert_true(restgw_json_next_key(&cursor, &key));
    assert_true(restgw_json_key_is(key, "messages"));
    assert_int_equal(restgw_json_peek(&cursor), RESTGW_JSON_ARRAY);
    restgw_json_enter_array(&cursor);
    while (restgw_json_next_element(&cursor)) {
        restgw_json_enter_object(&cursor);
        while (restgw_json_next_key(&cursor, &key)) {
            assert_true(restgw_json_key_is(key, "body"));
            struct base_slice body = restgw_json_value(&cursor);
            assert_true(
                base_slice_is(body, bodies == 0 ? "{ \"n\" : 1.0 }" : "12345678901234567890"));
            bodies++;
        }
    }
    assert_int_equal(bodies, 2);
    assert_true(restgw_json_next_key(&cursor, &key));
    assert_true(restgw_json_key_is(key, "returnId"));
    assert_false(restgw_json_key_is(key, "returnid"));
    assert_true(base_slice_is(restgw_json_value(&cursor), "true"));
    assert_false(restgw_json_next_key(&cursor, &key));
    assert_int_equal(restgw_json_finish(&cursor), BASE_ERR_OK);
}

static void a_cursor_fails_once(void **state)
{
    (void)state;
    struct restgw_json_cursor cursor;
    struct base_slice key;

    restgw_json_cursor_init(&cursor, base_slice_text("[1,2]"));
    restgw_json_enter_object(&cursor);
    assert_false(restgw_json_next_key(&cursor, &key));
    assert_null(restgw_json_value(&cursor).data);
    restgw_json_enter_array(&cursor);
    assert_false(restgw_json_next_element(&cursor));
    assert_int_equal(restgw_json_peek(&cursor), RESTGW_JSON_NONE);
    assert_int_equal(restgw_json_finish(&cursor), BASE_ERR_MALFORMED);
    assert_string_equal(cursor.problem, "an object is expected");

    restgw_json_cursor_init(&cursor, base_slice_text("[1"));
    restgw_json_enter_array(&cursor);
    assert_true(restgw_json_next_element(&cursor));
    (void)restgw_json_value(&cursor);
    assert_int_equal(restgw_json_finish(&cursor), BASE_ERR_MALFORMED);
}

static void strings_are_unescaped(void **state)
{
    (void)state;
    struct base_arena arena;
    struct base_slice text;
    base_arena_init(&arena, 4096);

    assert_int_equal(restgw_json_unescape(&arena, base_slice_text("\"plain\""), &text),
                     BASE_ERR_OK);
    assert_true(base_slice_is(text, "plain"));
    assert_int_equal(
        restgw_json_unescape(&arena,
                             base_slice_text("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u9524"
                                             "\\ud83d\\ude00\""),
                             &text),
        BASE_ERR_OK);
    assert_true(base_slice_is(text, "\"\\/\b\f\n\r\tA\xc3\xa9\xe9\x94\xa4\xf0\x9f\x98\x80"));
    base_alloc_fail_after(0, 1);
    base_arena_fini(&arena);
    assert_int_equal(restgw_json_unescape(&arena, base_slice_text("\"\\n\""), &text),
                     BASE_ERR_NOMEM);
    base_alloc_fail_after(-1, 0);
    assert_null(text.data);
    base_arena_fini(&arena);
}

static json_t *load(const char *text)
{
    json_t *root = NULL;
    const char *problem = NULL;
    assert_int_equal(restgw_json_load(base_slice_text(text), &root, &problem), BASE_ERR_OK);
    assert_null(problem);
    return root;
}

static void trees_take_objects_only_and_the_last_of_equal_keys(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]", "1", "{\"a\":1e999}", "{\"\\u0000\":1}", "{\"a\":99999999999999999999}", "{", ""};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        json_t *root = (void *)1;
        const char *problem = NULL;
        assert_int_equal(restgw_json_load(base_slice_text(bad[index]), &root, &problem),
                         BASE_ERR_MALFORMED);
        assert_null(root);
        assert_non_null(problem);
    }
    json_t *root = load("{\"a\":1,\"a\":2}");
    assert_int_equal(json_integer_value(json_object_get(root, "a")), 2);
    json_decref(root);
}

static void loading_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct base_slice text = base_slice_text("{\"a\":[1,\"two\",{\"b\":3.5}],\"c\":null}");
    enum base_err err = BASE_ERR_NOMEM;
    for (long count = 0; err != BASE_ERR_OK; count++) {
        json_t *root = NULL;
        const char *problem = NULL;
        assert_true(count < 1000);
        base_alloc_fail_after(count, 1);
        err = restgw_json_load(text, &root, &problem);
        base_alloc_fail_after(-1, 0);
        assert_true(err == BASE_ERR_OK || err == BASE_ERR_NOMEM);
        json_decref(root);
    }
}

static void fields_are_typed_and_fail_once(void **state)
{
    (void)state;
    json_t *root =
        load("{\"name\":\"q\",\"n\":5,\"t\":\"77\",\"b\":true,\"list\":[1],\"null\":null,"
             "\"real\":5.0}");
    struct restgw_fields fields;
    struct restgw_range range = {.min = 1, .max = 100, .fallback = -1};

    restgw_fields_init(&fields, root);
    assert_true(base_slice_is(restgw_fields_text(&fields, "name", RESTGW_ERROR_LIMIT), "q"));
    assert_int_equal(restgw_fields_integer(&fields, "n", range, RESTGW_ERROR_LIMIT), 5);
    assert_int_equal(restgw_fields_integer(&fields, "null", range, RESTGW_ERROR_LIMIT), -1);
    assert_int_equal(restgw_fields_integer_text(&fields, "t", range, RESTGW_ERROR_LIMIT), 77);
    assert_int_equal(restgw_fields_integer_text(&fields, "n", range, RESTGW_ERROR_LIMIT), 5);
    assert_true(restgw_fields_bool(&fields, "b", false, RESTGW_ERROR_LIMIT));
    assert_true(restgw_fields_bool(&fields, "absent", true, RESTGW_ERROR_LIMIT));
    assert_non_null(restgw_fields_array(&fields, "list", RESTGW_ERROR_LIMIT));
    assert_null(restgw_fields_array(&fields, "absent", RESTGW_ERROR_LIMIT));
    assert_false(restgw_fields_has(&fields, "null"));
    assert_true(restgw_fields_has(&fields, "b"));
    assert_null(restgw_fields_text(&fields, "absent", RESTGW_ERROR_LIMIT).data);
    assert_int_equal(fields.error, RESTGW_ERROR_NONE);

    (void)restgw_fields_text_required(&fields, "absent", RESTGW_ERROR_OFFSET);
    assert_int_equal(restgw_fields_integer(&fields, "real", range, RESTGW_ERROR_LIMIT), -1);
    assert_int_equal(fields.error, RESTGW_ERROR_OFFSET);
    assert_string_equal(fields.name, "absent");
    json_decref(root);
}

static void wrong_fields_are_noticed(void **state)
{
    (void)state;
    json_t *root = load("{\"text\":\"x\",\"n\":101,\"real\":5.5,\"object\":{}}");
    struct restgw_range range = {.min = 1, .max = 100, .fallback = 9};
    struct restgw_fields fields;
    static const char *const names[] = {"text", "n", "real", "object"};
    for (size_t index = 0; index < 4; index++) {
        restgw_fields_init(&fields, root);
        assert_int_equal(restgw_fields_integer(&fields, names[index], range, RESTGW_ERROR_LIMIT),
                         9);
        assert_int_equal(fields.error, RESTGW_ERROR_LIMIT);
        restgw_fields_init(&fields, root);
        assert_int_equal(
            restgw_fields_integer_text(&fields, names[index], range, RESTGW_ERROR_LIMIT), 9);
        assert_int_equal(fields.error, RESTGW_ERROR_LIMIT);
        restgw_fields_init(&fields, root);
        assert_false(restgw_fields_bool(&fields, names[index], false, RESTGW_ERROR_LIMIT));
        assert_int_equal(fields.error, RESTGW_ERROR_LIMIT);
        restgw_fields_init(&fields, root);
        assert_null(restgw_fields_array(&fields, names[index], RESTGW_ERROR_LIMIT));
        assert_int_equal(fields.error, RESTGW_ERROR_LIMIT);
    }
    restgw_fields_init(&fields, root);
    (void)restgw_fields_text(&fields, "n", RESTGW_ERROR_LIMIT);
    assert_int_equal(fields.error, RESTGW_ERROR_LIMIT);
    json_decref(root);
    restgw_fields_init(&fields, NULL);
    assert_null(restgw_fields_text(&fields, "text", RESTGW_ERROR_LIMIT).data);
}

static void assert_written(struct base_writer *writer, const char *expected)
{
    assert_int_equal(writer->err, BASE_ERR_OK);
    assert_int_equal(writer->length, strlen(expected));
    assert_memory_equal(writer->buffer->data, expected, writer->length);
    base_writer_reset(writer);
}

static void the_writer_escapes_and_formats(void **state)
{
    (void)state;
    struct base_writer writer;
    base_writer_init(&writer, 4096);
    restgw_json_put_string(&writer, base_slice_text("a\"b\\c\n\r\t\x01\x7f/\xc3\xa9"));
    assert_written(&writer, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f/\xc3\xa9\"");
    restgw_json_put_string(&writer, base_slice_of("\xff\xc3"
                                                  "a",
                                                  3));
    assert_written(&writer, "\"\\ufffd\\ufffda\"");
    restgw_json_put_string(&writer, base_slice_of("\0", 1));
    assert_written(&writer, "\"\\u0000\"");
    restgw_json_put_string(&writer, base_slice_of("", 0));
    assert_written(&writer, "\"\"");
    restgw_json_put_string(&writer, base_slice_of(NULL, 0));
    assert_written(&writer, "null");
    restgw_json_put_integer(&writer, INT64_MIN);
    assert_written(&writer, "-9223372036854775808");
    restgw_json_put_integer(&writer, 0);
    assert_written(&writer, "0");
    json_t *root = load("{\"a\":[1,\"\\u00e9\"]}");
    restgw_json_put_value(&writer, root);
    assert_written(&writer, "{\"a\":[1,\"\xc3\xa9\"]}");
    json_decref(root);
    base_writer_fini(&writer);
}

static void doubles_keep_their_value(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "0"},
        {42, "42"},
        {-8999999999999999.0, "-8999999999999999"},
        {0.1, "0.1"},
        {-0.5, "-0.5"},
        {12345678.5, "12345678.5"},
        {1.0 / 3, "0.3333333333333333"},
        {10000000.0 / 3, "3333333.3333333335"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.5e20, "1.5e+20"},
        {1e-7, "1e-07"},
    };
    struct base_writer writer;

    base_writer_init(&writer, 4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(is_valid(rows[i].text, strlen(rows[i].text)));
        restgw_json_put_double(&writer, rows[i].value);
        assert_written(&writer, rows[i].text);
    }
    base_writer_fini(&writer);
}

static void errors_have_their_documented_form(void **state)
{
    (void)state;
    struct base_writer writer;
    base_writer_init(&writer, 4096);
    restgw_error_write(&writer, RESTGW_ERROR_REQUEST_FORMAT,
                       base_slice_text("kafka queue message could not have delayTime."));
    assert_written(&writer, "{\"code\":10540010,\"message\":\"Invalid request format: kafka queue "
                            "message could not have delayTime.\"}");
    restgw_error_write(&writer, RESTGW_ERROR_ACK_STATUS, base_slice_text("o\"k"));
    assert_written(&writer, "{\"code\":10540003,\"message\":\"Message ack status must be either "
                            "'success' or 'fail'. It should not be 'o\\\"k'.\"}");
    restgw_error_write(&writer, RESTGW_ERROR_FLOW_CONTROL, base_slice_of(NULL, 0));
    assert_written(&writer,
                   "{\"code\":10240407,\"message\":\"Too many requests. Try again later.\"}");
    base_writer_fini(&writer);
    assert_int_equal(restgw_error_status(RESTGW_ERROR_FLOW_CONTROL), 404);
    assert_int_equal(restgw_error_code(RESTGW_ERROR_URL_NOT_FOUND), 10240406);
}

static void every_error_has_a_plausible_row(void **state)
{
    (void)state;
    for (enum restgw_error error = 1; error < RESTGW_ERROR_COUNT; error++) {
        int status = restgw_error_status(error);
        int family = restgw_error_code(error) / 10000;
        assert_true(status >= 400 && status <= 505);
        assert_true(family == 1024 || family == 1025 || family == 1054);
        assert_true(strlen(restgw_error_text(error)) > 0);
    }
    for (enum base_err err = BASE_ERR_NOMEM; err < BASE_ERR_COUNT; err++) {
        assert_true(restgw_status_from_base(err) != RESTGW_ERROR_NONE);
    }
}

static void text_becomes_numbers_and_booleans(void **state)
{
    (void)state;
    bool flag = false;
    int64_t number = 1;
    assert_true(restgw_text_to_bool(base_slice_text("TRUE"), &flag));
    assert_true(flag);
    assert_true(restgw_text_to_bool(base_slice_text("False"), &flag));
    assert_false(flag);
    assert_false(restgw_text_to_bool(base_slice_text("truex"), &flag));
    assert_false(restgw_text_to_bool(base_slice_text(""), &flag));
    assert_false(restgw_text_to_integer(base_slice_text(""), &number));
    assert_int_equal(number, 0);
    assert_true(restgw_text_to_integer(base_slice_text("-12"), &number));
    assert_int_equal(number, -12);
}

/* Strings are looked at eight bytes at a time: each kind of byte at each place, and before and
 * behind an escape. */
static void no_byte_of_a_string_is_overlooked(void **state)
{
    (void)state;
    for (size_t place = 1; place < 40; place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[] = "\"0123456789abcdefghij\\n123456789abcdefghijk\"";
            text[place] = (char)byte;
            bool is_plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            bool at_escape = place == 21 || place == 22;
            const char *problem = restgw_json_check(base_slice_text(text));
            if (byte == 0) {
                assert_non_null(problem); /* cut off */
            } else if (!at_escape && byte != '\\') {
                assert_true((problem == NULL) == is_plain);
            }
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    restgw_json_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_values_pass_whole_and_fail_cut),
        cmocka_unit_test(invalid_values_are_refused),
        cmocka_unit_test(depth_is_limited_exactly),
        cmocka_unit_test(a_tree_has_a_limit_of_values),
        cmocka_unit_test(containers_alternate_at_every_depth),
        cmocka_unit_test(a_cursor_walks_and_gives_text_verbatim),
        cmocka_unit_test(a_cursor_fails_once),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(trees_take_objects_only_and_the_last_of_equal_keys),
        cmocka_unit_test(loading_survives_every_failed_allocation),
        cmocka_unit_test(fields_are_typed_and_fail_once),
        cmocka_unit_test(wrong_fields_are_noticed),
        cmocka_unit_test(the_writer_escapes_and_formats),
        cmocka_unit_test(doubles_keep_their_value),
        cmocka_unit_test(errors_have_their_documented_form),
        cmocka_unit_test(every_error_has_a_plausible_row),
        cmocka_unit_test(text_becomes_numbers_and_booleans),
        cmocka_unit_test(no_byte_of_a_string_is_overlooked),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
