/* What has failed too often becomes a dead letter of its group.
 *
 * A letter is the original record, with headers that say where it was and why it is here. Nothing
 * else is ever written to the log of the letters, one batch at a time, and the journal remembers
 * its end with the originals that are done: so what a crash leaves behind that end is the batch of
 * a move that was not finished, and recovery finishes it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/catalog/dead_letters.h"
#include "core/queue/dead_letter.h"
#include "core/queue/manager_priv.h"
#include "core/queue/move_priv.h"

enum { NUMBER_SIZE = 24 };

static const char header_prefix[] = "dms.dead.";

static struct queue_place *pick(struct queue_group *group, int64_t *offset)
{
    int32_t rotation = group->move != NULL ? group->move->rotation : 0;

    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[(rotation + i) % group->places_count];
        *offset = queue_cursor_dead(&place->cursor);
        if (*offset >= 0) {
            return place;
        }
    }
    return NULL;
}

bool queue_dead_letter_is_header(struct base_slice key)
{
    size_t length = sizeof header_prefix - 1;
    return key.length >= length && memcmp(key.data, header_prefix, length) == 0;
}

/* Texts of the headers that a letter has more than its original. */
struct marks {
    char partition[NUMBER_SIZE];
    char offset[NUMBER_SIZE];
    char attempts[NUMBER_SIZE];
    char produced_ms[NUMBER_SIZE];
    char dead_ms[NUMBER_SIZE];
};

static struct logstore_header header(const char *key, const char *value)
{
    return (struct logstore_header){.key = base_slice_text(key), .value = base_slice_text(value)};
}

/* Appends them; returns how many. */
static size_t add_marks(const struct queue_move *move, const struct queue_place *place,
                        const struct logstore_record *record, struct marks *marks,
                        struct logstore_header *out)
{
    const struct queue_slot *slot = queue_cursor_slot(&place->cursor, record->offset);
    size_t count = 0;

    (void)snprintf(marks->partition, NUMBER_SIZE, "%" PRId32, place->index);
    (void)snprintf(marks->offset, NUMBER_SIZE, "%" PRId64, record->offset);
    (void)snprintf(marks->attempts, NUMBER_SIZE, "%u", (unsigned)slot->failures);
    (void)snprintf(marks->produced_ms, NUMBER_SIZE, "%" PRId64, record->timestamp_ms);
    (void)snprintf(marks->dead_ms, NUMBER_SIZE, "%" PRId64, move->now_ms);
    out[count++] = header(QUEUE_DEAD_LETTER_PARTITION, marks->partition);
    out[count++] = header(QUEUE_DEAD_LETTER_OFFSET, marks->offset);
    out[count++] = header(QUEUE_DEAD_LETTER_REASON, slot->timed_out ? "ack_timeout" : "ack_fail");
    out[count++] = header(QUEUE_DEAD_LETTER_ATTEMPTS, marks->attempts);
    out[count++] = header(QUEUE_DEAD_LETTER_PRODUCED, marks->produced_ms);
    out[count++] = header(QUEUE_DEAD_LETTER_TIME, marks->dead_ms);
    BASE_ASSERT(count == QUEUE_DEAD_LETTER_HEADERS);
    return count;
}

static enum base_err copy(struct queue_move *move, const struct queue_place *place,
                          const struct logstore_record *record)
{
    size_t room = (size_t)record->headers_count + QUEUE_DEAD_LETTER_HEADERS;
    struct logstore_header *copies = base_alloc_array(room, sizeof copies[0]);
    struct logstore_headers headers;
    struct logstore_header one;
    struct marks marks;
    size_t count = 0;

    if (copies == NULL) {
        return BASE_ERR_NOMEM;
    }
    logstore_headers_init(&headers, record);
    while (logstore_headers_next(&headers, &one)) {
        if (!queue_dead_letter_is_header(one.key)) {
            copies[count++] = one;
        }
    }
    count += add_marks(move, place, record, &marks, copies + count);
    const struct logstore_record_input input = {
        .timestamp_ms = move->now_ms,
        .key = record->key,
        .value = record->value,
        .headers = copies,
        .headers_count = count,
    };
    logstore_records_builder_add(&move->builder, &input);
    base_free(copies);
    return BASE_ERR_OK;
}

static struct partition *target(struct queue_group *group)
{
    struct base_uuid id;

    if (!catalog_dead_letters_topic_id(base_slice_text(group->id), &id)) {
        return NULL;
    }
    return partition_table_get(group->manager->options.table, id, 0);
}

const struct queue_move_ops queue__dead_letter_ops = {
    .pick = pick,
    .copy = copy,
    .target = target,
    .sets_dead_to = true,
    .event = "DEAD_LETTERS_NOT_MOVED",
};

static int64_t number_of(const struct logstore_record *record, const char *key)
{
    struct base_slice text;
    int64_t number;

    if (!logstore_record_header(record, key, &text) || !base_text_int64(text, &number)) {
        return -1;
    }
    return number;
}

void queue_dead_letter_read(const struct logstore_record *record, struct queue_dead_letter *out)
{
    struct base_slice reason;

    *out = (struct queue_dead_letter){.partition = -1};
    int64_t partition = number_of(record, QUEUE_DEAD_LETTER_PARTITION);
    if (partition >= 0 && partition <= INT32_MAX) {
        out->partition = (int32_t)partition;
    }
    out->offset = number_of(record, QUEUE_DEAD_LETTER_OFFSET);
    out->attempts = number_of(record, QUEUE_DEAD_LETTER_ATTEMPTS);
    out->produced_ms = number_of(record, QUEUE_DEAD_LETTER_PRODUCED);
    out->timed_out = logstore_record_header(record, QUEUE_DEAD_LETTER_REASON, &reason) &&
                     base_slice_is(reason, "ack_timeout");
}

/* A letter whose original may not know that it is done. */
static enum base_err finish_one(void *context, const struct logstore_record *record)
{
    struct queue_group *group = context;
    struct queue_dead_letter letter;

    queue_dead_letter_read(record, &letter);
    struct queue_place *place = queue__group_place(group, letter.partition);
    if (place == NULL || letter.offset < 0) {
        return BASE_ERR_OK;
    }
    enum base_err err = queue_cursor_load_moved(&place->cursor, letter.offset);
    if (err == BASE_ERR_CORRUPT) {
        base_log(BASE_LOG_WARN, "DEAD_LETTER_TWICE",
                 "topic=%s partition=%" PRId32 " offset=%" PRId64 " group=%s", group->topic->name,
                 place->index, letter.offset, group->id);
        return BASE_ERR_OK; /* its group may get it again */
    }
    place->is_unwritten = true;
    group->has_unwritten = true;
    return err;
}

enum base_err queue__dead_letters_recover(struct queue_group *group)
{
    struct partition_offsets offsets;
    int64_t dead_to = 0;

    base_mutex_assert_held(&group->lock);
    struct partition *partition = target(group);
    if (partition == NULL) {
        return BASE_ERR_OK;
    }
    partition_offsets(partition, &offsets);
    for (int32_t i = 0; i < group->places_count; i++) {
        if (group->places[i]->cursor.dead_to > dead_to) {
            dead_to = group->places[i]->cursor.dead_to;
        }
    }
    enum base_err err = BASE_ERR_OK;
    if (offsets.err == BASE_ERR_OK && offsets.end > dead_to) {
        err = partition_replay_from(partition, dead_to, finish_one, group);
        for (int32_t i = 0; err == BASE_ERR_OK && i < group->places_count; i++) {
            queue_cursor_set_dead_to(&group->places[i]->cursor, offsets.end);
        }
    }
    partition_release(&partition);
    return err;
}

static enum queue_letter_state state_of(const struct queue_cursor *cursor, int64_t offset)
{
    const struct queue_slot *slot = queue_cursor_slot(cursor, offset);

    if (offset < cursor->floor) {
        return QUEUE_LETTER_GONE;
    }
    if (slot == NULL || slot->state == QUEUE_SLOT_READY) {
        return QUEUE_LETTER_AVAILABLE;
    }
    bool is_gone = slot->state == QUEUE_SLOT_DONE || slot->state == QUEUE_SLOT_SKIPPED ||
                   slot->state == QUEUE_SLOT_FILTERED;
    return is_gone ? QUEUE_LETTER_GONE : QUEUE_LETTER_LEASED;
}

enum queue_verdict queue_dead_letter_states(struct queue_manager *manager,
                                            const struct catalog_topic *topic,
                                            struct base_slice group_id, const int64_t *offsets,
                                            uint32_t count, enum queue_letter_state *out)
{
    enum queue_verdict verdict;
    enum base_err err;

    struct queue_group *group = queue__manager_group(manager, topic, group_id, &verdict, &err);
    if (group == NULL) {
        return verdict;
    }
    base_mutex_lock(&group->lock);
    const struct queue_place *place = queue__group_place(group, 0);
    for (uint32_t i = 0; i < count; i++) {
        bool is_known = place != NULL && place->is_known; /* not yet: nobody ever consumed any */
        out[i] = is_known ? state_of(&place->cursor, offsets[i]) : QUEUE_LETTER_AVAILABLE;
    }
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
    return QUEUE_OK;
}
