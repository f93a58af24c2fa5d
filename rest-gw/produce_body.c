/* Messages to produce, without a tree: bodies are stored as they were written. */
#include "rest-gw/produce_body.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/json_scan.h"

enum {
    PREFIX_SIZE = sizeof RESTGW_ATTRIBUTE_PREFIX - 1,
    DELAY_TEXT_SIZE = 64, /* no number that means something is longer */
};

struct reader {
    struct restgw_json_cursor cursor;
    struct restgw_produce_body *out;
    bool is_kafka;
    enum restgw_error error; /* of the first thing that was wrong */
};

/* Reading goes on: broken JSON is told before wrong fields. */
static void complain(struct reader *reader, enum restgw_error error, const char *detail)
{
    if (reader->error == RESTGW_ERROR_NONE) {
        reader->error = error;
        reader->out->detail = detail;
    }
}

static void complain_of_field(struct reader *reader, const char *detail)
{
    complain(reader, RESTGW_ERROR_MESSAGE_FIELDS, detail);
}

static bool is_null(struct base_slice value)
{
    return value.length > 0 && value.data[0] == 'n';
}

/* An object or array without members. */
static bool is_empty(struct base_slice value)
{
    size_t index = 1;
    while (index < value.length && strchr(" \n\r\t", value.data[index]) != NULL) {
        index++;
    }
    return index + 1 == value.length;
}

static void read_attributes(struct reader *reader, struct restgw_produce_message *message,
                            struct base_slice value)
{
    message->attributes = base_slice_of(NULL, 0);
    if (is_null(value)) {
        return;
    }
    if (value.data[0] != '{') {
        complain_of_field(reader, "attributes must be an object");
    } else if (reader->is_kafka && !is_empty(value)) {
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT,
                 "kafka queue message could not have attributes.");
    } else if (!is_empty(value)) {
        message->attributes = value;
    }
}

static void read_tags(struct reader *reader, struct restgw_produce_message *message,
                      struct base_slice value)
{
    message->tags = base_slice_of(NULL, 0);
    if (is_null(value)) {
        return;
    }
    if (value.data[0] != '[') {
        complain_of_field(reader, "tags must be an array of strings");
    } else if (reader->is_kafka && !is_empty(value)) {
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT, "kafka queue message could not have tags.");
    } else if (!is_empty(value)) {
        message->tags = value;
    }
}

/* Whole milliseconds of a JSON number; false when it is none, or out of range. */
static bool delay_of(struct base_slice value, int64_t *delay_ms)
{
    char text[DELAY_TEXT_SIZE];

    *delay_ms = 0;
    if ((value.data[0] != '-' && (value.data[0] < '0' || value.data[0] > '9')) ||
        value.length >= sizeof text) {
        return false;
    }
    memcpy(text, value.data, value.length);
    text[value.length] = '\0';
    double number = strtod(text, NULL);
    if (!(number >= 0 && number < QUEUE_DELAY_MS_MAX + 1.0)) {
        return false;
    }
    *delay_ms = (int64_t)number; /* 6000.9 is 6000 */
    return true;
}

static void read_delay(struct reader *reader, struct restgw_produce_message *message,
                       struct base_slice value)
{
    message->delay_ms = 0;
    if (is_null(value)) {
        return;
    }
    bool is_good = delay_of(value, &message->delay_ms);
    if (reader->is_kafka && (!is_good || message->delay_ms > 0)) {
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT,
                 "kafka queue message could not have delayTime.");
    } else if (!is_good) {
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT,
                 "delay_time must be a number of milliseconds from 0 to 604800000.");
    }
}

static void read_message(struct reader *reader, struct restgw_produce_message *message)
{
    struct restgw_json_cursor *cursor = &reader->cursor;
    struct base_slice key;

    *message = (struct restgw_produce_message){0};
    if (restgw_json_peek(cursor) != RESTGW_JSON_OBJECT) {
        (void)restgw_json_value(cursor);
        complain_of_field(reader, "a message must be an object");
        return;
    }
    restgw_json_enter_object(cursor);
    while (restgw_json_next_key(cursor, &key)) {
        struct base_slice value = restgw_json_value(cursor);
        if (value.data == NULL) {
            return; /* the cursor has failed */
        }
        if (restgw_json_key_is(key, "body")) {
            message->body = value;
        } else if (restgw_json_key_is(key, "attributes")) {
            read_attributes(reader, message, value);
        } else if (restgw_json_key_is(key, "tags")) {
            read_tags(reader, message, value);
        } else if (restgw_json_key_is(key, "delay_time")) {
            read_delay(reader, message, value);
        }
    }
    if (message->body.data == NULL) {
        complain_of_field(reader, "body is missing");
    }
}

static void read_messages(struct reader *reader)
{
    static const char problem[] = "messages must be an array of 1 to 10 messages";
    struct restgw_json_cursor *cursor = &reader->cursor;
    struct restgw_produce_body *out = reader->out;

    out->messages_count = 0; /* of repeated keys the last one counts */
    if (restgw_json_peek(cursor) != RESTGW_JSON_ARRAY) {
        (void)restgw_json_value(cursor);
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT, problem);
        return;
    }
    restgw_json_enter_array(cursor);
    while (restgw_json_next_element(cursor)) {
        if (out->messages_count == QUEUE_MESSAGES_MAX) {
            (void)restgw_json_value(cursor);
            complain(reader, RESTGW_ERROR_REQUEST_FORMAT, problem);
        } else {
            read_message(reader, &out->messages[out->messages_count]);
            out->messages_count++;
        }
    }
    if (out->messages_count == 0) {
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT, problem);
    }
}

static void read_return_id(struct reader *reader)
{
    struct base_slice value = restgw_json_value(&reader->cursor);

    reader->out->return_id = base_slice_is(value, "true");
    if (!reader->out->return_id && !base_slice_is(value, "false") && !is_null(value)) {
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT, "returnId must be true or false");
    }
}

static void read_all(struct reader *reader)
{
    struct restgw_json_cursor *cursor = &reader->cursor;
    struct base_slice key;

    if (restgw_json_peek(cursor) != RESTGW_JSON_OBJECT) {
        (void)restgw_json_value(cursor);
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT, "an object is expected");
        return;
    }
    restgw_json_enter_object(cursor);
    while (restgw_json_next_key(cursor, &key)) {
        if (restgw_json_key_is(key, "messages")) {
            read_messages(reader);
        } else if (restgw_json_key_is(key, "returnId") || restgw_json_key_is(key, "return_id")) {
            read_return_id(reader);
        } else {
            (void)restgw_json_value(cursor);
        }
    }
    if (reader->out->messages_count == 0) {
        complain(reader, RESTGW_ERROR_REQUEST_FORMAT, "messages is missing");
    }
}

enum restgw_error restgw_produce_body_read(struct base_slice text, bool is_kafka,
                                           struct restgw_produce_body *out)
{
    struct reader reader = {.out = out, .is_kafka = is_kafka};

    out->messages_count = 0;
    out->size_bytes = 0;
    out->return_id = false;
    out->detail = "";
    restgw_json_cursor_init(&reader.cursor, text);
    read_all(&reader);
    if (restgw_json_finish(&reader.cursor) != BASE_ERR_OK) {
        out->detail = reader.cursor.problem;
        return RESTGW_ERROR_MESSAGE_NOT_JSON;
    }
    for (uint32_t i = 0; i < out->messages_count; i++) {
        out->size_bytes += out->messages[i].body.length + out->messages[i].attributes.length;
    }
    return reader.error;
}

struct attribute {
    struct base_slice name; /* without escapes */
    struct base_slice value;
    size_t place; /* in the object */
};

static int compare_names(const void *a, const void *b)
{
    const struct attribute *first = a;
    const struct attribute *second = b;
    size_t length =
        first->name.length < second->name.length ? first->name.length : second->name.length;
    int order = memcmp(first->name.data, second->name.data, length);

    if (order == 0 && first->name.length != second->name.length) {
        order = first->name.length < second->name.length ? -1 : 1;
    }
    if (order == 0) {
        order = first->place < second->place ? -1 : 1;
    }
    return order;
}

static int compare_places(const void *a, const void *b)
{
    const struct attribute *first = a;
    const struct attribute *second = b;
    return first->place < second->place ? -1 : 1;
}

/* Keeps of each name the last; sorting, because a peer chooses how many there are. */
static size_t drop_repeated(struct attribute *attributes, size_t count)
{
    size_t kept = 0;

    qsort(attributes, count, sizeof attributes[0], compare_names);
    for (size_t i = 0; i < count; i++) {
        bool is_repeated =
            i + 1 < count && base_slice_equal(attributes[i].name, attributes[i + 1].name);
        if (!is_repeated) {
            attributes[kept++] = attributes[i];
        }
    }
    qsort(attributes, kept, sizeof attributes[0], compare_places);
    return kept;
}

static size_t count_members(struct base_slice object)
{
    struct restgw_json_cursor cursor;
    struct base_slice key;
    size_t count = 0;

    restgw_json_cursor_init(&cursor, object);
    restgw_json_enter_object(&cursor);
    while (restgw_json_next_key(&cursor, &key)) {
        (void)restgw_json_value(&cursor);
        count++;
    }
    return count;
}

static enum base_err read_members(struct base_arena *arena, struct base_slice object,
                                  struct attribute *attributes)
{
    struct restgw_json_cursor cursor;
    struct base_slice key;
    enum base_err err = BASE_ERR_OK;

    restgw_json_cursor_init(&cursor, object);
    restgw_json_enter_object(&cursor);
    for (size_t i = 0; err == BASE_ERR_OK && restgw_json_next_key(&cursor, &key); i++) {
        struct base_slice quoted = base_slice_of(key.data - 1, key.length + 2);
        err = restgw_json_unescape(arena, quoted, &attributes[i].name);
        attributes[i].value = restgw_json_value(&cursor);
        attributes[i].place = i;
        if (err == BASE_ERR_OK && attributes[i].name.length == 0) {
            err = BASE_ERR_INVALID;
        }
    }
    return err;
}

enum base_err restgw_attributes_read(struct base_arena *arena, struct base_slice attributes,
                                     struct logstore_header **headers, uint32_t *headers_count)
{
    *headers = NULL;
    *headers_count = 0;
    if (attributes.data == NULL) {
        return BASE_ERR_OK;
    }
    size_t count = count_members(attributes);
    struct attribute *members = base_arena_array(arena, count, sizeof members[0]);
    if (members == NULL) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = read_members(arena, attributes, members);
    if (err != BASE_ERR_OK) {
        return err;
    }
    count = drop_repeated(members, count);
    struct logstore_header *made = base_arena_array(arena, count, sizeof made[0]);
    if (made == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        size_t length = PREFIX_SIZE + members[i].name.length;
        uint8_t *key = base_arena_alloc(arena, length);
        if (key == NULL) {
            return BASE_ERR_NOMEM;
        }
        memcpy(key, RESTGW_ATTRIBUTE_PREFIX, PREFIX_SIZE);
        memcpy(key + PREFIX_SIZE, members[i].name.data, members[i].name.length);
        made[i] = (struct logstore_header){base_slice_of(key, length), members[i].value};
    }
    *headers = made;
    *headers_count = (uint32_t)count;
    return BASE_ERR_OK;
}

/* Adds the tag unless it is there. */
static enum restgw_error add_tag(struct base_slice tag, struct base_slice tags[QUEUE_TAGS_MAX],
                                 uint32_t *tags_count, const char **detail)
{
    if (!queue_tag_is_valid(tag)) {
        *detail = RESTGW_TAG_GRAMMAR;
        return RESTGW_ERROR_MESSAGE_TAG;
    }
    for (uint32_t i = 0; i < *tags_count; i++) {
        if (base_slice_equal(tags[i], tag)) {
            return RESTGW_ERROR_NONE;
        }
    }
    if (*tags_count == QUEUE_TAGS_MAX) {
        *detail = "a message can have at most 3 tags";
        return RESTGW_ERROR_MESSAGE_FIELDS;
    }
    tags[(*tags_count)++] = tag;
    return RESTGW_ERROR_NONE;
}

enum restgw_error restgw_message_tags_read(struct base_arena *arena, struct base_slice array,
                                           struct base_slice tags[QUEUE_TAGS_MAX],
                                           uint32_t *tags_count, const char **detail)
{
    struct restgw_json_cursor cursor;
    enum restgw_error error = RESTGW_ERROR_NONE;

    *tags_count = 0;
    *detail = "";
    if (array.data == NULL) {
        return RESTGW_ERROR_NONE;
    }
    restgw_json_cursor_init(&cursor, array);
    restgw_json_enter_array(&cursor);
    while (error == RESTGW_ERROR_NONE && restgw_json_next_element(&cursor)) {
        bool is_string = restgw_json_peek(&cursor) == RESTGW_JSON_STRING;
        struct base_slice text = restgw_json_value(&cursor);
        struct base_slice tag;
        if (!is_string) {
            *detail = "tags must be an array of strings";
            return RESTGW_ERROR_MESSAGE_FIELDS;
        }
        enum base_err err = restgw_json_unescape(arena, text, &tag);
        error = err == BASE_ERR_OK ? add_tag(tag, tags, tags_count, detail)
                                   : restgw_status_from_base(err);
    }
    return error;
}
