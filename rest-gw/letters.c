/* Dead letters looked at without consuming them: a page of a list, or lines of an export. */
#include <inttypes.h>
#include <stdio.h>

#include "core/queue/browse.h"
#include "core/queue/dead_letter.h"
#include "core/queue/message_id.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/message_priv.h"
#include "rest-gw/scope_priv.h"

enum {
    LIMIT_DEFAULT = 10,                   /* letters of a page */
    EXPORT_SIZE_ENOUGH = 4 * 1024 * 1024, /* bytes of lines; then the answer ends */
    NUMBER_SIZE = 24,
};

static const char next_offset_header[] = "X-Next-Offset";

/* One request; in its arena. */
struct reading {
    struct restgw_request *request;
    struct catalog_topic *topic; /* counted; of the letters */
    struct base_slice group_id;  /* in topic */
    bool is_export;
    bool has_rows;
    struct base_writer *body;
    struct base_writer lines; /* of an export: its header is known last */
    struct queue_browse browse;
};

static void put_number(struct base_writer *body, const char *name, int64_t value)
{
    base_writer_slice(body, base_slice_text(name));
    restgw_json_put_integer(body, value);
}

/* Where the message was in its queue, and the id that produce answered: null when the record,
 * which somebody may have damaged, says neither. */
static void put_origin(struct base_writer *body, const struct catalog_topic *letters,
                       const struct logstore_record *record, const struct queue_dead_letter *letter)
{
    char id[QUEUE_MESSAGE_ID_SIZE];
    struct base_slice text;

    put_number(body, ",\"origin\":{\"partition\":", letter->partition);
    put_number(body, ",\"offset\":", letter->offset);
    RESTGW_JSON_PUT(body, "},\"id\":");
    if (logstore_record_header(record, QUEUE_MESSAGE_ID_HEADER, &text)) {
        restgw_json_put_string(body, text);
    } else if (letter->partition >= 0 && letter->offset >= 0) {
        queue_message_id_format(letters->origin_id, letter->partition, letter->offset, id);
        restgw_json_put_string(body, base_slice_text(id));
    } else {
        RESTGW_JSON_PUT(body, "null");
    }
}

static void put_letter(struct base_writer *body, const struct catalog_topic *letters,
                       const struct logstore_record *record, enum queue_letter_state state)
{
    struct queue_dead_letter letter;

    queue_dead_letter_read(record, &letter);
    put_number(body, "{\"offset\":", record->offset);
    RESTGW_JSON_PUT(body, ",\"state\":");
    restgw_json_put_string(
        body, base_slice_text(state == QUEUE_LETTER_AVAILABLE ? "available" : "leased"));
    RESTGW_JSON_PUT(body, ",\"reason\":");
    restgw_json_put_string(body, base_slice_text(letter.timed_out ? "ack_timeout" : "ack_fail"));
    put_number(body, ",\"attempts\":", letter.attempts);
    put_number(body, ",\"time\":", record->timestamp_ms);
    put_number(body, ",\"produced\":", letter.produced_ms);
    put_origin(body, letters, record, &letter);
    RESTGW_JSON_PUT(body, ",\"message\":{\"body\":");
    restgw__message_put_body(body, record, false);
    RESTGW_JSON_PUT(body, ",\"attributes\":");
    restgw__message_put_attributes(body, record, false);
    RESTGW_JSON_PUT(body, ",\"tags\":");
    restgw__message_put_tags(body, record, false);
    RESTGW_JSON_PUT(body, "}}");
}

/* Adds what the browse brought, less what is consumed or expired. */
static enum queue_verdict put_rows(struct reading *reading)
{
    struct restgw_gateway *gateway = restgw__gateway(reading->request);
    const struct queue_browse *done = &reading->browse;
    enum queue_letter_state states[QUEUE_BROWSE_MESSAGES_MAX];
    int64_t offsets[QUEUE_BROWSE_MESSAGES_MAX];
    int64_t oldest_ms = base_clock_wall_ms(gateway->options.clock) -
                        reading->topic->config.values[CATALOG_CONFIG_RETENTION_MS];

    for (uint32_t i = 0; i < done->messages_count; i++) {
        offsets[i] = done->messages[i].record.offset;
    }
    enum queue_verdict verdict =
        queue_dead_letter_states(gateway->options.queues, reading->topic, reading->group_id,
                                 offsets, done->messages_count, states);
    for (uint32_t i = 0; verdict == QUEUE_OK && i < done->messages_count; i++) {
        const struct logstore_record *record = &done->messages[i].record;
        if (states[i] == QUEUE_LETTER_GONE || record->timestamp_ms < oldest_ms) {
            continue;
        }
        if (reading->has_rows && !reading->is_export) {
            RESTGW_JSON_PUT(reading->body, ",");
        }
        put_letter(reading->body, reading->topic, record, states[i]);
        if (reading->is_export) {
            RESTGW_JSON_PUT(reading->body, "\n");
        }
        reading->has_rows = true;
    }
    return verdict;
}

static void refuse(struct reading *reading, enum queue_verdict verdict, enum base_err err)
{
    base_writer_fini(&reading->lines);
    catalog_topic_release(&reading->topic);
    restgw__answer_verdict(reading->request, verdict, err);
}

static void answer_page(struct reading *reading)
{
    const struct queue_browse *done = &reading->browse;

    put_number(reading->body, "],\"start_offset\":", done->start);
    put_number(reading->body, ",\"end_offset\":", done->end);
    put_number(reading->body, ",\"next_offset\":", done->next_offset);
    RESTGW_JSON_PUT(reading->body, ",\"has_more\":");
    base_writer_slice(reading->body, base_slice_text(done->has_more ? "true}" : "false}"));
    catalog_topic_release(&reading->topic);
    restgw_answer_end(reading->request, 200);
}

static void answer_lines(struct reading *reading)
{
    const struct queue_browse *done = &reading->browse;
    char number[NUMBER_SIZE];

    if (reading->lines.err != BASE_ERR_OK) {
        refuse(reading, QUEUE_STORAGE_FAILED, reading->lines.err);
        return;
    }
    if (done->has_more) {
        (void)snprintf(number, sizeof number, "%" PRId64, done->next_offset);
        restgw_answer_header(reading->request, next_offset_header, base_slice_text(number));
    }
    catalog_topic_release(&reading->topic);
    struct base_writer lines = reading->lines; /* the answer ends the request, and its arena */
    const void *bytes = lines.length == 0 ? "" : (const void *)lines.buffer->data;
    restgw_answer_bytes(reading->request, 200, "application/x-ndjson",
                        base_slice_of(bytes, lines.length));
    base_writer_fini(&lines);
}

static void read_on(struct reading *reading);

/* The browse brought something, or failed. */
static void step(struct reading *reading)
{
    struct queue_browse *done = &reading->browse;
    enum queue_verdict verdict = done->verdict;
    enum base_err err = done->err;

    if (verdict == QUEUE_OK) {
        verdict = put_rows(reading);
    }
    queue_browse_release(done);
    if (verdict != QUEUE_OK) {
        refuse(reading, verdict, err);
    } else if (!reading->is_export) {
        answer_page(reading);
    } else if (done->has_more && reading->lines.err == BASE_ERR_OK &&
               reading->lines.length < EXPORT_SIZE_ENOUGH) {
        read_on(reading);
    } else {
        answer_lines(reading);
    }
}

static void browse_is_over(struct base_task *task)
{
    struct queue_browse *done = BASE_CONTAINER_OF(task, struct queue_browse, task);
    step(BASE_CONTAINER_OF(done, struct reading, browse));
}

static void browse_again(struct base_task *task)
{
    struct queue_browse *browse = BASE_CONTAINER_OF(task, struct queue_browse, task);
    struct reading *reading = BASE_CONTAINER_OF(browse, struct reading, browse);

    browse->task.run = browse_is_over;
    if (queue_browse(restgw__gateway(reading->request)->options.queues, browse) == QUEUE_DONE) {
        step(reading);
    }
}

/* The next browse, in a turn of its own: others are served between them. */
static void read_on(struct reading *reading)
{
    reading->browse.offset = reading->browse.next_offset;
    reading->browse.task.run = browse_again;
    base_executor_post(reading->browse.executor, &reading->browse.task);
}

/* Starts reading at ?offset, limit letters at once. */
static void begin(struct restgw_request *request, struct restgw_query *query, int64_t limit,
                  bool is_export)
{
    const struct restgw_range range = {0, INT64_MAX, -1};
    struct restgw__letters letters;

    int64_t offset = restgw_query_integer(query, "offset", range, RESTGW_ERROR_URL_PARAMETERS);
    if (restgw_answer_bad_query(request, query) ||
        !restgw__scope_letters(request, SECURITY_READ, NULL, &letters)) {
        return;
    }
    struct reading *reading = base_arena_object(restgw_request_arena(request), struct reading);
    if (reading == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    reading->request = request;
    reading->topic = catalog_topic_hold(letters.topic);
    reading->group_id = letters.group_id;
    reading->is_export = is_export;
    base_writer_init(&reading->lines, RESTGW_ANSWER_SIZE_MAX);
    reading->body = &reading->lines;
    if (!is_export) {
        reading->body = restgw_answer_begin(request);
        RESTGW_JSON_PUT(reading->body, "{\"deadletters\":[");
    }
    reading->browse = (struct queue_browse){
        .executor = restgw_request_executor(request),
        .topic = reading->topic,
        .offset = offset,
        .timestamp_ms = -1,
        .messages_max = (uint32_t)limit,
        .text = base_slice_text(""),
    };
    browse_again(&reading->browse.task);
}

void restgw__letters_list(struct restgw_request *request)
{
    const struct restgw_range range = {1, QUEUE_BROWSE_MESSAGES_MAX, LIMIT_DEFAULT};
    struct restgw_query query = restgw_request_query(request);

    int64_t limit = restgw_query_integer(&query, "limit", range, RESTGW_ERROR_URL_PARAMETERS);
    begin(request, &query, limit, false);
}

void restgw__letters_export(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);
    begin(request, &query, QUEUE_BROWSE_MESSAGES_MAX, true);
}
