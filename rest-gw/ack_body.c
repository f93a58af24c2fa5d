/* Acknowledgements, without a tree. */
#include "rest-gw/ack_body.h"

#include <string.h>

#include "rest-gw/json_scan.h"

enum { ITEMS_CAPACITY_FIRST = QUEUE_MESSAGES_MAX };

struct reader {
    struct restgw_json_cursor cursor;
    struct base_arena *arena;
    struct restgw_ack_body *out;
    uint32_t capacity;
    enum restgw_error error; /* of the first thing that was wrong */
};

/* Reading goes on: broken JSON is told before wrong fields. */
static void complain(struct reader *reader, enum restgw_error error, struct base_slice detail)
{
    if (reader->error == RESTGW_ERROR_NONE) {
        reader->error = error;
        reader->out->detail = detail;
    }
}

static void complain_of(struct reader *reader, const char *detail)
{
    complain(reader, RESTGW_ERROR_REQUEST_FORMAT, base_slice_text(detail));
}

/* What a value that should be a string says. */
static struct base_slice text_of(struct reader *reader, struct base_slice value)
{
    struct base_slice text = value;
    if (value.data[0] == '"' && restgw_json_unescape(reader->arena, value, &text) != BASE_ERR_OK) {
        complain(reader, RESTGW_ERROR_INTERNAL_MEMORY, base_slice_text(""));
    }
    return text;
}

static void read_handler(struct reader *reader, struct queue_ack_item *item,
                         struct base_slice value)
{
    if (value.data[0] != '"') {
        complain_of(reader, "handler must be a string");
        return;
    }
    item->handler = text_of(reader, value);
}

static void read_status(struct reader *reader, struct queue_ack_item *item, struct base_slice value)
{
    struct base_slice text = text_of(reader, value);

    item->success = base_slice_is(text, "success");
    if (!item->success && !base_slice_is(text, "fail")) {
        complain(reader, RESTGW_ERROR_ACK_STATUS, text);
    }
}

static void read_item(struct reader *reader, struct queue_ack_item *item)
{
    struct restgw_json_cursor *cursor = &reader->cursor;
    struct base_slice key;
    bool has_handler = false;
    bool has_status = false;

    if (restgw_json_peek(cursor) != RESTGW_JSON_OBJECT) {
        (void)restgw_json_value(cursor);
        complain_of(reader, "message must hold objects");
        return;
    }
    restgw_json_enter_object(cursor);
    while (restgw_json_next_key(cursor, &key)) {
        struct base_slice value = restgw_json_value(cursor);
        if (value.data == NULL) {
            return; /* the cursor has failed */
        }
        if (restgw_json_key_is(key, "handler")) {
            has_handler = true;
            read_handler(reader, item, value);
        } else if (restgw_json_key_is(key, "status")) {
            has_status = true;
            read_status(reader, item, value);
        }
    }
    if (!has_handler) {
        complain_of(reader, "handler is missing");
    } else if (!has_status) {
        complain_of(reader, "status is missing");
    }
}

/* Room for one more item; NULL when there may not be more. */
static struct queue_ack_item *next_item(struct reader *reader)
{
    struct restgw_ack_body *out = reader->out;

    if (out->items_count == QUEUE_ACK_ITEMS_MAX) {
        complain_of(reader, "message must have at most 1000 elements");
        return NULL;
    }
    if (out->items_count == reader->capacity) {
        uint32_t capacity = reader->capacity == 0 ? ITEMS_CAPACITY_FIRST : reader->capacity * 2;
        struct queue_ack_item *items =
            base_arena_array(reader->arena, capacity, sizeof out->items[0]);
        if (items == NULL) {
            complain(reader, RESTGW_ERROR_INTERNAL_MEMORY, base_slice_text(""));
            return NULL;
        }
        if (out->items_count > 0) {
            memcpy(items, out->items, out->items_count * sizeof items[0]);
        }
        out->items = items;
        reader->capacity = capacity;
    }
    struct queue_ack_item *item = &out->items[out->items_count++];
    *item = (struct queue_ack_item){0};
    return item;
}

static void read_items(struct reader *reader)
{
    struct restgw_json_cursor *cursor = &reader->cursor;

    reader->out->items_count = 0; /* of repeated keys the last one counts */
    if (restgw_json_peek(cursor) != RESTGW_JSON_ARRAY) {
        (void)restgw_json_value(cursor);
        complain_of(reader, "message must be an array");
        return;
    }
    restgw_json_enter_array(cursor);
    while (restgw_json_next_element(cursor)) {
        struct queue_ack_item *item = next_item(reader);
        if (item != NULL) {
            read_item(reader, item);
        } else {
            (void)restgw_json_value(cursor);
        }
    }
}

static void read_all(struct reader *reader)
{
    struct restgw_json_cursor *cursor = &reader->cursor;
    struct base_slice key;

    if (restgw_json_peek(cursor) != RESTGW_JSON_OBJECT) {
        (void)restgw_json_value(cursor);
        complain_of(reader, "an object is expected");
        return;
    }
    restgw_json_enter_object(cursor);
    while (restgw_json_next_key(cursor, &key)) {
        if (restgw_json_key_is(key, "message")) {
            read_items(reader);
        } else {
            (void)restgw_json_value(cursor);
        }
    }
    if (reader->out->items_count == 0) {
        complain_of(reader, "message is missing or empty");
    }
}

enum restgw_error restgw_ack_body_read(struct base_arena *arena, struct base_slice text,
                                       struct restgw_ack_body *out)
{
    struct reader reader = {.arena = arena, .out = out};

    *out = (struct restgw_ack_body){.detail = base_slice_text("")};
    restgw_json_cursor_init(&reader.cursor, text);
    read_all(&reader);
    if (restgw_json_finish(&reader.cursor) != BASE_ERR_OK) {
        out->detail = base_slice_text(reader.cursor.problem);
        return RESTGW_ERROR_MESSAGE_NOT_JSON;
    }
    return reader.error;
}
