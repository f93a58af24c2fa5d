#include "core/queue/delay_record_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/message_id.h"

enum {
    MARK_VERSION = 1,
    NUMBER_SIZE = 21, /* of 64 bits in decimal, with the terminator */
    OWN_HEADERS_MAX = 3,
};

static const int64_t DELIVER_AT_MS_MAX = INT64_MAX / 1000; /* timers count microseconds */

void queue__delay_writer_init(struct queue_delay_writer *writer, size_t bytes_max)
{
    *writer = (struct queue_delay_writer){.headers = NULL};
    base_writer_init(&writer->writer, bytes_max);
    logstore_records_builder_begin(&writer->builder, &writer->writer);
}

void queue__delay_writer_fini(struct queue_delay_writer *writer)
{
    base_writer_fini(&writer->writer);
    base_free(writer->headers);
    writer->headers = NULL;
    writer->headers_capacity = 0;
}

/* Room for the message's own headers and ours in front. */
static enum base_err reserve_headers(struct queue_delay_writer *writer, size_t count)
{
    size_t wanted = count + OWN_HEADERS_MAX;
    if (wanted <= writer->headers_capacity) {
        return BASE_ERR_OK;
    }
    struct logstore_header *headers =
        base_realloc_array(writer->headers, wanted, sizeof headers[0]);
    if (headers == NULL) {
        return BASE_ERR_NOMEM;
    }
    writer->headers = headers;
    writer->headers_capacity = wanted;
    return BASE_ERR_OK;
}

static struct logstore_header header_of(const char *key, const char *value)
{
    return (struct logstore_header){base_slice_text(key), base_slice_text(value)};
}

static void format_number(char text[NUMBER_SIZE], int64_t number)
{
    (void)snprintf(text, NUMBER_SIZE, "%" PRId64, number);
}

enum base_err queue__delay_put_message(struct queue_delay_writer *writer, const char *queue_id,
                                       const struct queue_produce_message *message,
                                       int64_t deliver_at_ms, int64_t now_ms)
{
    char deliver_at[NUMBER_SIZE];

    enum base_err err = reserve_headers(writer, message->headers_count);
    if (err != BASE_ERR_OK) {
        return err;
    }
    format_number(deliver_at, deliver_at_ms);
    writer->headers[0] = header_of(QUEUE_DELAY_HEADER_DELIVER_AT, deliver_at);
    for (uint32_t i = 0; i < message->headers_count; i++) {
        writer->headers[1 + i] = message->headers[i];
    }
    const struct logstore_record_input input = {
        .timestamp_ms = now_ms,
        .key = base_slice_text(queue_id),
        .value = message->value,
        .headers = writer->headers,
        .headers_count = 1 + message->headers_count,
    };
    logstore_records_builder_add(&writer->builder, &input);
    return BASE_ERR_OK;
}

/* Copies what is not ours behind the first `count` headers; how many there are then. */
static size_t copy_headers(struct queue_delay_writer *writer, size_t count,
                           const struct logstore_record *record)
{
    struct logstore_headers headers;
    struct logstore_header header;

    logstore_headers_init(&headers, record);
    while (logstore_headers_next(&headers, &header)) {
        if (!base_slice_is(header.key, QUEUE_MESSAGE_ID_HEADER) &&
            !base_slice_is(header.key, QUEUE_DELAY_HEADER_DELIVER_AT)) {
            writer->headers[count++] = header;
        }
    }
    return count;
}

/* A copy of the record with its id and due time; for a queue also with its offset. */
static enum base_err put_copy(struct queue_delay_writer *writer,
                              const struct logstore_record *record, struct base_uuid queue_id,
                              int32_t log_index, bool is_moved, int64_t now_ms)
{
    char id[QUEUE_MESSAGE_ID_SIZE];
    char offset[NUMBER_SIZE];
    struct base_slice id_text;
    struct base_slice deliver_at = base_slice_of("", 0);
    size_t count = 0;

    enum base_err err = reserve_headers(writer, (size_t)record->headers_count);
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (!logstore_record_header(record, QUEUE_MESSAGE_ID_HEADER, &id_text)) {
        queue_message_id_format(queue_id, QUEUE_MESSAGE_ID_DELAYED | log_index, record->offset, id);
        id_text = base_slice_text(id);
    }
    (void)logstore_record_header(record, QUEUE_DELAY_HEADER_DELIVER_AT, &deliver_at);
    writer->headers[count++] =
        (struct logstore_header){base_slice_text(QUEUE_MESSAGE_ID_HEADER), id_text};
    writer->headers[count++] =
        (struct logstore_header){base_slice_text(QUEUE_DELAY_HEADER_DELIVER_AT), deliver_at};
    if (is_moved) {
        format_number(offset, record->offset);
        writer->headers[count++] = header_of(QUEUE_DELAY_HEADER_OFFSET, offset);
    }
    const struct logstore_record_input input = {
        .timestamp_ms = now_ms,
        .key = is_moved ? base_slice_of(NULL, 0) : record->key,
        .value = record->value,
        .headers = writer->headers,
        .headers_count = copy_headers(writer, count, record),
    };
    logstore_records_builder_add(&writer->builder, &input);
    return BASE_ERR_OK;
}

enum base_err queue__delay_put_moved(struct queue_delay_writer *writer,
                                     const struct logstore_record *record,
                                     struct base_uuid queue_id, int32_t log_index, int64_t now_ms)
{
    return put_copy(writer, record, queue_id, log_index, true, now_ms);
}

enum base_err queue__delay_put_again(struct queue_delay_writer *writer,
                                     const struct logstore_record *record,
                                     struct base_uuid queue_id, int32_t log_index, int64_t now_ms)
{
    return put_copy(writer, record, queue_id, log_index, false, now_ms);
}

static void put_range(struct base_writer *writer, bool is_first, int64_t first, int64_t last)
{
    char text[2 * NUMBER_SIZE + 4];
    int length = snprintf(text, sizeof text, "%s[%" PRId64 ",%" PRId64 "]", is_first ? "" : ",",
                          first, last);
    BASE_ASSERT(length > 0 && (size_t)length < sizeof text);
    base_writer_bytes(writer, text, (size_t)length);
}

void queue__delay_put_mark(struct queue_delay_writer *writer, const char *queue_id,
                           const int64_t *offsets, size_t count, int64_t now_ms)
{
    struct base_writer text;

    BASE_ASSERT(count > 0);
    base_writer_init(&text, writer->writer.limit_bytes);
    base_writer_slice(&text, base_slice_text("{\"v\":1,\"done\":["));
    for (size_t i = 0; i < count;) {
        size_t last = i;
        while (last + 1 < count && offsets[last + 1] == offsets[last] + 1) {
            last++;
        }
        put_range(&text, i == 0, offsets[i], offsets[last]);
        BASE_ASSERT(last + 1 == count || offsets[last + 1] > offsets[last]);
        i = last + 1;
    }
    base_writer_slice(&text, base_slice_text("]}"));
    if (text.err != BASE_ERR_OK) {
        base_writer_fail(&writer->writer, text.err);
    } else {
        const struct logstore_record_input input = {
            .timestamp_ms = now_ms,
            .key = base_slice_text(queue_id),
            .value = base_slice_of(text.buffer->data, text.length),
        };
        logstore_records_builder_add(&writer->builder, &input);
    }
    base_writer_fini(&text);
}

/* Takes a number off the front; false when there is none. */
static bool take_number(struct base_slice *text, int64_t *out)
{
    size_t digits = 0;
    int64_t value = 0;

    while (digits < text->length && text->data[digits] >= '0' && text->data[digits] <= '9') {
        int64_t digit = text->data[digits] - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
        digits++;
    }
    *text = base_slice_of(text->data + digits, text->length - digits);
    *out = value;
    return digits > 0;
}

static bool take(struct base_slice *text, const char *wanted)
{
    size_t length = strlen(wanted);
    if (text->length < length || memcmp(text->data, wanted, length) != 0) {
        return false;
    }
    *text = base_slice_of(text->data + length, text->length - length);
    return true;
}

static bool number_of(const struct logstore_record *record, const char *header, int64_t *out)
{
    struct base_slice text;
    return logstore_record_header(record, header, &text) && text.data != NULL &&
           take_number(&text, out) && text.length == 0;
}

enum base_err queue__delay_parse(const struct logstore_record *record,
                                 struct queue_delay_parsed *out)
{
    *out = (struct queue_delay_parsed){.is_mark = record->headers_count == 0};
    if (record->key.data == NULL || record->value.data == NULL ||
        !base_uuid_parse((const char *)record->key.data, record->key.length, &out->queue_id)) {
        return BASE_ERR_CORRUPT;
    }
    if (!out->is_mark && (!number_of(record, QUEUE_DELAY_HEADER_DELIVER_AT, &out->deliver_at_ms) ||
                          out->deliver_at_ms > DELIVER_AT_MS_MAX)) {
        return BASE_ERR_CORRUPT;
    }
    return BASE_ERR_OK;
}

enum base_err queue__delay_mark_each(struct base_slice value, queue_delay_done *visit,
                                     void *context)
{
    struct base_slice text = value;
    int64_t version = 0;
    int64_t first = 0;
    int64_t last = 0;

    if (!take(&text, "{\"v\":") || !take_number(&text, &version)) {
        return BASE_ERR_CORRUPT;
    }
    if (version > MARK_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    if (!take(&text, ",\"done\":[")) {
        return BASE_ERR_CORRUPT;
    }
    do {
        if (!take(&text, "[") || !take_number(&text, &first) || !take(&text, ",") ||
            !take_number(&text, &last) || !take(&text, "]") || last < first) {
            return BASE_ERR_CORRUPT;
        }
        visit(context, first, last);
    } while (take(&text, ","));
    return take(&text, "]}") && text.length == 0 ? BASE_ERR_OK : BASE_ERR_CORRUPT;
}

int64_t queue__delay_offset_of(const struct logstore_record *record)
{
    int64_t offset;
    return number_of(record, QUEUE_DELAY_HEADER_OFFSET, &offset) ? offset : -1;
}
