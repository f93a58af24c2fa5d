/* libFuzzer target: no bytes may make the JSON readers crash or read out of bounds; what
 * jansson accepts the cursor accepts, and the cursor's parts cover the whole. */
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/assert.h"
#include "rest-gw/json.h"
#include "rest-gw/json_scan.h"
#include "rest-gw/json_write.h"

enum { ARENA_LIMIT = 1 << 24, WRITER_LIMIT = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A string's content, escaped again, means the same. */
static void check_string(struct base_slice string)
{
    struct base_arena arena;
    struct base_writer writer;
    struct base_slice text;
    struct base_slice again;

    base_arena_init(&arena, ARENA_LIMIT);
    base_writer_init(&writer, WRITER_LIMIT);
    enum base_err err = restgw_json_unescape(&arena, string, &text);
    BASE_ASSERT(err == BASE_ERR_OK);
    restgw_json_put_string(&writer, text);
    BASE_ASSERT(writer.err == BASE_ERR_OK);
    struct base_slice written = base_slice_of(writer.buffer->data, writer.length);
    BASE_ASSERT(restgw_json_check(written) == NULL);
    err = restgw_json_unescape(&arena, written, &again);
    BASE_ASSERT(err == BASE_ERR_OK);
    BASE_ASSERT(base_slice_equal(text, again));
    base_writer_fini(&writer);
    base_arena_fini(&arena);
}

/* Goes through one level by hand. */
static void walk(struct base_slice text)
{
    struct restgw_json_cursor cursor;
    struct base_slice key;

    restgw_json_cursor_init(&cursor, text);
    switch (restgw_json_peek(&cursor)) {
    case RESTGW_JSON_OBJECT:
        restgw_json_enter_object(&cursor);
        while (restgw_json_next_key(&cursor, &key)) {
            (void)restgw_json_key_is(key, "messages");
            struct base_slice value = restgw_json_value(&cursor);
            BASE_ASSERT(value.data == NULL || restgw_json_check(value) == NULL);
        }
        break;
    case RESTGW_JSON_ARRAY:
        restgw_json_enter_array(&cursor);
        while (restgw_json_next_element(&cursor)) {
            struct base_slice value = restgw_json_value(&cursor);
            BASE_ASSERT(value.data == NULL || restgw_json_check(value) == NULL);
        }
        break;
    case RESTGW_JSON_STRING: {
        struct base_slice value = restgw_json_value(&cursor);
        if (value.data != NULL) {
            check_string(value);
        }
        break;
    }
    case RESTGW_JSON_NULL:
    case RESTGW_JSON_BOOL:
    case RESTGW_JSON_NUMBER:
    case RESTGW_JSON_NONE:
        (void)restgw_json_value(&cursor);
        break;
    }
    bool is_good = restgw_json_finish(&cursor) == BASE_ERR_OK;
    BASE_ASSERT(is_good == (restgw_json_check(text) == NULL));
}

/* jansson parses what was checked, but for numbers and keys it cannot hold; and what it
 * parses on its own at a harmless depth was not refused. */
static void compare(struct base_slice text)
{
    const char *problem = restgw_json_check(text);
    json_error_t error;
    json_t *root =
        json_loadb((const char *)text.data, text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (root != NULL) {
        /* jansson takes a NUL byte behind a value for the end. */
        BASE_ASSERT(problem == NULL || strcmp(problem, "nested too deeply") == 0 ||
                    memchr(text.data, 0, text.length) != NULL);
        struct base_writer writer;
        base_writer_init(&writer, WRITER_LIMIT);
        restgw_json_put_value(&writer, root);
        BASE_ASSERT(writer.err == BASE_ERR_OK);
        base_writer_fini(&writer);
    } else if (problem == NULL) {
        enum json_error_code code = json_error_code(&error);
        BASE_ASSERT(code == json_error_numeric_overflow || code == json_error_null_byte_in_key);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Exactly as much memory, so that a sanitizer sees reads behind the end. */
    uint8_t *copy = base_alloc(size);
    BASE_ASSERT(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    struct base_slice text = base_slice_of(copy, size);
    json_t *root = NULL;
    const char *problem = NULL;

    restgw_json_init();
    walk(text);
    compare(text);
    enum base_err err = restgw_json_load(text, &root, &problem);
    BASE_ASSERT(err == BASE_ERR_OK || err == BASE_ERR_MALFORMED);
    json_decref(root);
    base_free(copy);
    return 0;
}
