/* libFuzzer target: the decoders of what groups and queues keep in internal logs. Any bytes are
 * taken or refused, and what was taken means the same once it is written again.
 *
 * Byte 0 chooses the decoder (enum kind), the rest is what it gets: a text, or one record in the
 * form of stored.h. The texts of a cursor are lines, applied one after the other. */
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/format_priv.h"
#include "core/group/offsets_priv.h"
#include "core/queue/dead_letter.h"
#include "core/queue/delay_record_priv.h"
#include "core/queue/journal_priv.h"
#include "core/queue/message_id.h"
#include "core/queue/record_priv.h"
#include "core/queue/redrive_priv.h"
#include "tests/fuzz/stored.h"

enum kind {
    KIND_GROUP_KEY,
    KIND_GROUP_OFFSET,
    KIND_GROUP,
    KIND_SUBSCRIPTION,
    KIND_CURSOR,
    KIND_RULE,
    KIND_REDRIVE,
    KIND_JOURNAL_KEY,
    KIND_DELAY,
    KIND_DEAD_LETTER,
    KIND_MESSAGE_ID,
    KIND_COUNT
};

enum { WRITER_LIMIT = 1 << 24, NOW_MS = 1000, COMPARED_MAX = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct base_slice written(const struct base_writer *writer)
{
    BASE_ASSERT(writer->err == BASE_ERR_OK);
    return base_slice_of(writer->buffer == NULL ? NULL : writer->buffer->data, writer->length);
}

/* __consumer_offsets */

static void group_key(struct base_slice text)
{
    struct group_key key;

    if (group__decode_key(text, &key) == BASE_ERR_OK) {
        BASE_ASSERT(key.group_id.length < text.length);
        BASE_ASSERT(!key.is_offset || key.topic.length < text.length);
    }
}

static void group_offset(const struct logstore_record *record)
{
    struct group_commit_item item = {.partition = 0};
    int64_t commit_ms = 0;

    group_key(record->key);
    if (group__decode_offset(record, &item, &commit_ms) == BASE_ERR_OK) {
        BASE_ASSERT(item.metadata.data != NULL);
        BASE_ASSERT(item.metadata.length < record->value.length);
    }
}

static bool count_topic(void *context, struct base_slice topic)
{
    size_t *count = context;
    BASE_ASSERT(topic.data != NULL);
    ++*count;
    return true;
}

static void subscription(struct base_slice text)
{
    size_t count = 0;
    if (group__subscription_each(text, count_topic, &count)) {
        BASE_ASSERT(count <= text.length / sizeof(int16_t));
    }
}

static void group(struct base_slice text)
{
    struct group_value value;
    struct group_value_member member;

    if (group__decode_group(text, &value) != BASE_ERR_OK) {
        return;
    }
    BASE_ASSERT(value.members_count <= text.length);
    for (uint32_t i = 0; i < value.members_count && !value.members.failed; i++) {
        group__decode_member(&value.members, &member);
        subscription(member.subscription);
    }
}

/* __dms_cursors */

static bool is_done(const struct queue_slot *slot)
{
    return slot != NULL && (slot->state == QUEUE_SLOT_DONE || slot->state == QUEUE_SLOT_SKIPPED ||
                            slot->state == QUEUE_SLOT_FILTERED);
}

static void assert_same(const struct queue_cursor *a, const struct queue_cursor *b)
{
    BASE_ASSERT(a->floor == b->floor);
    BASE_ASSERT(a->consumed == b->consumed);
    BASE_ASSERT(a->skipped == b->skipped);
    BASE_ASSERT(a->dead_to == b->dead_to);
    BASE_ASSERT(a->used == b->used);
    BASE_ASSERT(a->done_count == b->done_count);
    int64_t step = 1 + (a->next - a->floor) / COMPARED_MAX;
    for (int64_t offset = a->floor; offset < a->next; offset += step) {
        const struct queue_slot *left = queue_cursor_slot(a, offset);
        const struct queue_slot *right = queue_cursor_slot(b, offset);
        BASE_ASSERT(is_done(left) == is_done(right));
        BASE_ASSERT(is_done(left) || left->failures == (right == NULL ? 0 : right->failures));
    }
}

/* A cursor as it is read, and whether a record of it was whole. */
struct reading {
    struct queue_cursor cursor;
    bool is_known;
};

static void apply_again(void *context, const struct queue_record *record)
{
    struct reading *reading = context;
    struct base_writer writer;

    base_writer_init(&writer, WRITER_LIMIT);
    queue__record_encode(record, &writer);
    enum base_err err = queue__record_apply(written(&writer), &reading->is_known, &reading->cursor);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_writer_fini(&writer);
}

/* What a restored cursor goes through next. */
static void use(struct queue_cursor *cursor)
{
    int64_t end = cursor->next + 3;
    int64_t candidate = queue_cursor_candidate(cursor, end);

    BASE_ASSERT(candidate == -1 || (candidate >= cursor->floor && candidate < end));
    if (candidate >= 0) {
        enum base_err err = queue_cursor_drop(cursor, candidate, candidate + 1);
        BASE_ASSERT(err == BASE_ERR_OK);
    }
    (void)queue_cursor_dead(cursor);
    (void)queue_cursor_available(cursor, 0, cursor->next);
    (void)queue_cursor_cut(cursor, cursor->floor + 1);
}

static void cursor(struct base_slice text)
{
    struct base_timer_heap deadlines = {0};
    struct reading first = {.is_known = true}; /* so that the first line may be of any kind */
    struct reading second = {.is_known = false};
    enum base_err err = BASE_ERR_OK;

    queue_cursor_init(&first.cursor, &deadlines, 0);
    queue_cursor_init(&second.cursor, &deadlines, 0);
    while (text.length > 0 && err == BASE_ERR_OK) {
        const uint8_t *end = memchr(text.data, '\n', text.length);
        size_t length = end == NULL ? text.length : (size_t)(end - text.data);
        err = queue__record_apply(base_slice_of(text.data, length), &first.is_known, &first.cursor);
        length += end == NULL ? 0 : 1;
        text = base_slice_of(text.data + length, text.length - length);
    }
    if (err == BASE_ERR_OK) {
        queue__record_all(&first.cursor, apply_again, &second);
        assert_same(&first.cursor, &second.cursor);
        use(&first.cursor);
    }
    queue_cursor_fini(&first.cursor);
    queue_cursor_fini(&second.cursor);
}

static void rule(struct base_slice text)
{
    struct queue_tag_rule first;
    struct queue_tag_rule second;
    struct base_writer writer;

    if (queue__record_read_rule(text, &first) != BASE_ERR_OK) {
        return;
    }
    base_writer_init(&writer, WRITER_LIMIT);
    queue__record_encode_rule(&first, &writer);
    enum base_err err = queue__record_read_rule(written(&writer), &second);
    BASE_ASSERT(err == BASE_ERR_OK);
    BASE_ASSERT(queue_tag_rule_equal(&first, &second));
    base_writer_fini(&writer);
}

static void redrive(struct base_slice text)
{
    struct queue_redrive_record first;
    struct queue_redrive_record second;
    struct base_writer writer;

    if (queue__record_read_redrive(text, &first) != BASE_ERR_OK) {
        return;
    }
    base_writer_init(&writer, WRITER_LIMIT);
    queue__record_encode_redrive(&first, &writer);
    enum base_err err = queue__record_read_redrive(written(&writer), &second);
    BASE_ASSERT(err == BASE_ERR_OK);
    BASE_ASSERT(first.state == second.state && first.limit == second.limit);
    BASE_ASSERT(first.offsets_count == second.offsets_count);
    BASE_ASSERT(memcmp(first.offsets, second.offsets, sizeof first.offsets) == 0);
    base_writer_fini(&writer);
}

static void journal_key(struct base_slice text)
{
    struct base_slice group_id;
    int32_t partition = 0;

    if (queue__journal_parse_key(text, &group_id, &partition)) {
        BASE_ASSERT(group_id.length > 0 && group_id.length < text.length);
        BASE_ASSERT(partition >= 0 || partition == QUEUE_JOURNAL_RULE ||
                    partition == QUEUE_JOURNAL_REDRIVE);
    }
}

/* __dms_delayed, and what comes out of it */

static void note_done(void *context, int64_t first, int64_t last)
{
    (void)context;
    BASE_ASSERT(first >= 0 && first <= last);
}

/* The message written again keeps its time; moved it says where it was. */
static void copy_delayed(const struct logstore_record *record,
                         const struct queue_delay_parsed *parsed)
{
    for (unsigned is_moved = 0; is_moved < 2; is_moved++) {
        struct queue_delay_writer writer;
        struct logstore_records records;
        struct logstore_record copy;
        struct queue_delay_parsed again;

        queue__delay_writer_init(&writer, WRITER_LIMIT);
        enum base_err err =
            is_moved ? queue__delay_put_moved(&writer, record, parsed->queue_id, 0, NOW_MS)
                     : queue__delay_put_again(&writer, record, parsed->queue_id, 0, NOW_MS);
        BASE_ASSERT(err == BASE_ERR_OK);
        err = logstore_records_builder_finish(&writer.builder);
        BASE_ASSERT(err == BASE_ERR_OK);
        struct base_slice bytes = written(&writer.writer);
        err = logstore_records_open(&records, bytes.data, bytes.length, WRITER_LIMIT);
        BASE_ASSERT(err == BASE_ERR_OK);
        bool is_there = logstore_records_next(&records, &copy);
        BASE_ASSERT(is_there);
        if (is_moved) {
            BASE_ASSERT(queue__delay_offset_of(&copy) == record->offset);
        } else {
            err = queue__delay_parse(&copy, &again);
            BASE_ASSERT(err == BASE_ERR_OK);
            BASE_ASSERT(again.deliver_at_ms == parsed->deliver_at_ms);
        }
        logstore_records_close(&records);
        queue__delay_writer_fini(&writer);
    }
}

static void delay(const struct logstore_record *record)
{
    struct queue_delay_parsed parsed;

    (void)queue__delay_offset_of(record);
    if (queue__delay_parse(record, &parsed) != BASE_ERR_OK) {
        return;
    }
    if (parsed.is_mark) {
        enum base_err err = queue__delay_mark_each(record->value, note_done, NULL);
        BASE_ASSERT(err == BASE_ERR_OK || err == BASE_ERR_CORRUPT || err == BASE_ERR_UNSUPPORTED);
    } else {
        BASE_ASSERT(parsed.deliver_at_ms >= 0);
        copy_delayed(record, &parsed);
    }
}

static void dead_letter(const struct logstore_record *record)
{
    const struct base_slice tags[] = {base_slice_text("a"), base_slice_text("b")};
    struct queue_dead_letter letter;
    struct queue_tag_rule wanted;

    queue_dead_letter_read(record, &letter);
    BASE_ASSERT(letter.partition >= -1);
    queue_tag_rule_init(&wanted, tags, 2, true);
    bool has_both = queue_tag_rule_matches(&wanted, record);
    queue_tag_rule_init(&wanted, tags, 2, false);
    BASE_ASSERT(!has_both || queue_tag_rule_matches(&wanted, record));
}

static void message_id(struct base_slice text)
{
    struct base_uuid topic_id;
    int32_t partition = 0;
    int64_t offset = 0;
    char again[QUEUE_MESSAGE_ID_SIZE];

    if (queue_message_id_parse(text, &topic_id, &partition, &offset)) {
        queue_message_id_format(topic_id, partition, offset, again);
        BASE_ASSERT(base_slice_is(text, again));
    }
}

static void on_text(enum kind kind, struct base_slice text)
{
    switch (kind) {
    case KIND_GROUP_KEY:
        group_key(text);
        break;
    case KIND_GROUP:
        group(text);
        break;
    case KIND_SUBSCRIPTION:
        subscription(text);
        break;
    case KIND_CURSOR:
        cursor(text);
        break;
    case KIND_RULE:
        rule(text);
        break;
    case KIND_REDRIVE:
        redrive(text);
        break;
    case KIND_JOURNAL_KEY:
        journal_key(text);
        break;
    case KIND_MESSAGE_ID:
        message_id(text);
        break;
    case KIND_GROUP_OFFSET:
    case KIND_DELAY:
    case KIND_DEAD_LETTER:
    case KIND_COUNT:
        BASE_UNREACHABLE("records");
    }
}

static void on_record(enum kind kind, struct base_slice text)
{
    struct base_reader reader;
    struct stored_record stored;
    struct stored_batch batch;

    base_reader_init(&reader, text.data, text.length);
    if (!stored_take(&reader, NOW_MS, &stored)) {
        return;
    }
    stored_batch_open(&batch, &stored);
    if (kind == KIND_GROUP_OFFSET) {
        group_offset(&batch.record);
    } else if (kind == KIND_DELAY) {
        delay(&batch.record);
    } else {
        dead_letter(&batch.record);
    }
    stored_batch_close(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    enum kind kind = (enum kind)(data[0] % KIND_COUNT);
    /* Exactly as much memory, so that a sanitizer sees reads behind the end. */
    uint8_t *copy = base_alloc(size - 1);
    BASE_ASSERT(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    if (kind == KIND_GROUP_OFFSET || kind == KIND_DELAY || kind == KIND_DEAD_LETTER) {
        on_record(kind, base_slice_of(copy, size - 1));
    } else {
        on_text(kind, base_slice_of(copy, size - 1));
    }
    base_free(copy);
    return 0;
}
