/* Serving those who wait: which partition, which messages. */
#include "core/queue/group_priv.h"

#include <inttypes.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/queue/manager_priv.h"
#include "core/queue/redrive_priv.h"

enum {
    DELIVER_STEPS_MAX = 10000,      /* records looked at before others get the thread */
    DELIVER_INFLATED_MAX = 8 << 20, /* bytes, likewise; batches that were left, so one more */
    DELIVER_RETRIES_MAX = 3,        /* of a read that the moving log start overtook */
    DELIVER_RETRY_US = 1000 * 1000, /* after a read that failed */
};

/* What looking at one partition gave. */
enum look {
    LOOK_NOTHING,
    LOOK_DELIVERED,
    LOOK_READING, /* a read is under way; its end runs the group again */
    LOOK_MORE,    /* the thread was held long enough */
};

/* One delivery while it is put together. */
struct delivery {
    struct queue_group *group;
    struct queue_place *place;
    struct queue_consume *consume;
    struct queue_lease *lease; /* owned until started */
    size_t size_bytes;
    size_t inflated_bytes; /* of compressed batches that were left */
    int64_t oldest_ms;     /* messages with an older time are expired; -1 none are */
    unsigned retries;
};

/* Failing reads must not follow each other at the speed of the failure. */
static void read_failed(struct queue_group *group, struct queue_place *place, enum base_err err)
{
    place->err = err;
    place->read_err = err;
    place->retry_us = base_clock_monotonic_us(group->manager->options.clock) + DELIVER_RETRY_US;
    group->retry_us = place->retry_us;
}

static void on_read(struct base_task *task)
{
    struct logstore_read *read = BASE_CONTAINER_OF(task, struct logstore_read, task);
    struct queue_reader *reader = BASE_CONTAINER_OF(read, struct queue_reader, read);
    struct queue_window *window = BASE_CONTAINER_OF(reader, struct queue_window, reader);
    struct queue_group *group = window->group;

    base_mutex_lock(&group->lock);
    BASE_ASSERT(group->reads_count > 0);
    group->reads_count--;
    queue__reader_fetched(reader);
    /* Out of range: the log start has moved, and the next look at it will tell. */
    if (reader->err != BASE_ERR_OK && reader->err != BASE_ERR_OUT_OF_RANGE) {
        read_failed(group, window->place, reader->err);
    }
    queue__group_run(group, group->home);
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
}

struct queue_window *queue__window_create(struct queue_group *group, struct queue_place *place)
{
    struct queue_window *window = base_alloc_object(struct queue_window);
    if (window != NULL) {
        queue__reader_init(&window->reader);
        window->group = group;
        window->place = place;
        window->reader.read.executor = group->home;
        window->reader.read.task.run = on_read;
    }
    return window;
}

/* The window to read the candidate from; NULL when memory is out. */
static struct queue_window *window_for(struct queue_group *group, struct queue_place *place,
                                       int64_t candidate)
{
    struct queue_window **window = candidate < place->cursor.next ? &place->again : &place->ahead;
    if (*window == NULL) {
        *window = queue__window_create(group, place);
        group->has_windows |= *window != NULL;
    }
    return *window;
}

/* Gets the candidate's bytes. True: they may be in the window now. */
static bool fetch(struct delivery *delivery, struct queue_window *window, int64_t candidate,
                  enum look *result)
{
    struct queue_group *group = delivery->group;
    struct queue_place *place = delivery->place;

    if (queue__reader_fetch(&window->reader, place->partition, candidate) == LOGSTORE_IO_PENDING) {
        group->reads_count++;
        (void)queue__group_hold(group);
        *result = LOOK_READING;
        return false;
    }
    if (window->reader.has_window) {
        return true;
    }
    *result = LOOK_NOTHING;
    if (window->reader.err == BASE_ERR_OUT_OF_RANGE && delivery->retries++ < DELIVER_RETRIES_MAX) {
        queue__place_look(group, place, true); /* the log start has moved */
        return place->end >= 0;
    }
    if (window->reader.err != BASE_ERR_OK) {
        read_failed(group, place, window->reader.err);
    }
    return false;
}

/* Bytes of a message that count against the size of an answer. */
static size_t size_of(const struct logstore_record *record)
{
    return record->value.length + record->headers.length;
}

/* Leases the record and puts it into the answer. */
static enum base_err add_message(struct delivery *delivery, const struct logstore_record *record,
                                 struct base_buffer *buffer)
{
    struct queue_consume *consume = delivery->consume;
    struct queue_group *group = delivery->group;
    struct queue_cursor *cursor = &delivery->place->cursor;
    struct queue_message *message = &consume->messages[consume->messages_count];

    if (delivery->lease == NULL) {
        delivery->lease = queue_lease_create(cursor, group->next_lease);
        if (delivery->lease == NULL) {
            return BASE_ERR_NOMEM;
        }
        group->next_lease++;
    }
    enum base_err err = queue_cursor_take(cursor, delivery->lease, record->offset);
    if (err != BASE_ERR_OK) {
        return err;
    }
    const struct queue_handler handler = {
        .scope = group->scope,
        .partition = delivery->place->index,
        .offset = record->offset,
        .lease_number = delivery->lease->number,
    };
    message->record = *record;
    message->partition = delivery->place->index;
    message->failures = queue_cursor_slot(cursor, record->offset)->failures;
    message->buffer = base_buffer_hold(buffer);
    queue__handler_format(&group->manager->key, &handler, message->handler);
    delivery->size_bytes += size_of(record);
    consume->messages_count++;
    return BASE_ERR_OK;
}

static void log_damage(const struct delivery *delivery, int64_t from, int64_t to)
{
    base_log(BASE_LOG_WARN, "MESSAGES_UNREADABLE",
             "topic=%s partition=%" PRId32 " group=%s from_offset=%" PRId64 " to_offset=%" PRId64,
             delivery->group->topic->name, delivery->place->index, delivery->group->id, from, to);
}

/* Deals with one candidate. True: go on with the next one. */
static bool step(struct delivery *delivery, int64_t candidate, enum look *result)
{
    struct queue_place *place = delivery->place;
    struct queue_window *window = window_for(delivery->group, place, candidate);
    struct logstore_record record;
    struct base_buffer *buffer;
    int64_t gap_to;
    enum base_err err = BASE_ERR_NOMEM;

    *result = LOOK_NOTHING;
    if (window == NULL) {
        place->err = err;
        return false;
    }
    if (window->reader.is_pending) {
        *result = LOOK_READING;
        return false;
    }
    size_t inflated_before = window->reader.inflated_bytes;
    enum queue_reader_found found =
        queue__reader_find(&window->reader, candidate, &record, &buffer, &gap_to);
    delivery->inflated_bytes += window->reader.inflated_bytes - inflated_before;
    switch (found) {
    case QUEUE_READER_ELSEWHERE:
        return fetch(delivery, window, candidate, result);
    case QUEUE_READER_FAILED:
        read_failed(delivery->group, place, window->reader.err);
        return false;
    case QUEUE_READER_GAP:
        err = queue_cursor_pass_gap(&place->cursor, candidate, gap_to);
        break;
    case QUEUE_READER_DAMAGED:
        log_damage(delivery, candidate, gap_to);
        err = queue_cursor_drop(&place->cursor, candidate, gap_to);
        break;
    case QUEUE_READER_RECORD:
        if (queue__has_expired(&record, delivery->oldest_ms)) {
            err = queue_cursor_drop(&place->cursor, candidate, candidate + 1);
            break;
        }
        if (!queue_tag_rule_matches(&delivery->group->rule, &record) ||
            queue__redrive_is_for_other(delivery->group, &record)) {
            err = queue_cursor_filter(&place->cursor, candidate);
            break;
        }
        if (delivery->consume->messages_count > 0 &&
            delivery->size_bytes + size_of(&record) > delivery->consume->size_bytes_max) {
            return false;
        }
        err = add_message(delivery, &record, buffer);
        break;
    }
    if (err != BASE_ERR_OK) {
        place->err = err;
    }
    return err == BASE_ERR_OK;
}

/* Tells the log once when nothing new comes because too much is not done, and again after half of
 * it has been. */
static void note_full(const struct queue_group *group, struct queue_place *place)
{
    const struct queue_cursor *cursor = &place->cursor;
    int64_t undone = cursor->next - cursor->floor - cursor->done_count;

    if (!place->is_full && queue_cursor_is_full(cursor) && cursor->next < place->end) {
        place->is_full = true;
        base_log(BASE_LOG_WARN, "QUEUE_GROUP_FULL",
                 "topic=%s partition=%" PRId32 " group=%s undone=%" PRId64, group->topic->name,
                 place->index, group->id, undone);
    } else if (undone < QUEUE_UNDONE_MAX / 2) {
        place->is_full = false;
    }
}

/* In a FIFO queue nothing is delivered while something is in flight. */
static bool is_blocked(const struct queue_group *group, const struct queue_place *place)
{
    const struct queue_cursor *cursor = &place->cursor;
    bool is_busy = cursor->open_count > 0 || cursor->dead_count > 0 || cursor->moving_count > 0;
    return place->end < 0 || (group->topic->kind == CATALOG_FIFO && is_busy);
}

/* Delivers from one partition what there is, if anything. */
static enum look look_at(struct queue_group *group, struct queue_place *place,
                         struct queue_consume *consume)
{
    struct delivery delivery = {
        .group = group,
        .place = place,
        .consume = consume,
        .oldest_ms = queue__group_oldest_ms(group),
    };
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);
    enum look result = LOOK_NOTHING;
    bool goes_on = true;
    unsigned steps = 0;

    BASE_ASSERT(consume->messages_count == 0);
    queue__place_look(group, place, true);
    if (now_us < place->retry_us) {
        place->err = place->read_err;
        return LOOK_NOTHING;
    }
    if (is_blocked(group, place)) {
        return LOOK_NOTHING;
    }
    while (goes_on && consume->messages_count < consume->messages_max) {
        int64_t candidate = queue_cursor_candidate(&place->cursor, place->end);
        if (candidate < 0) {
            note_full(group, place);
            result = LOOK_NOTHING;
            break;
        }
        if (steps++ == DELIVER_STEPS_MAX || delivery.inflated_bytes >= DELIVER_INFLATED_MAX) {
            result = LOOK_MORE;
            break;
        }
        goes_on = step(&delivery, candidate, &result);
    }
    if (delivery.lease != NULL) {
        consume->lease_number = delivery.lease->number;
        queue_lease_start(delivery.lease, now_us + consume->ack_wait_ms * 1000);
    }
    return consume->messages_count > 0 ? LOOK_DELIVERED : result;
}

bool queue__group_serve(struct queue_group *group)
{
    base_mutex_assert_held(&group->lock);
    while (!base_list_is_empty(&group->waiters)) {
        struct queue_consume *consume =
            BASE_CONTAINER_OF(group->waiters.next, struct queue_consume, link);
        enum look result = LOOK_NOTHING;
        bool has_more = false;

        /* A new beginning for each: what one consume takes, another may not get. */
        for (int32_t i = 0; i < group->places_count && result != LOOK_DELIVERED; i++) {
            int32_t index = (group->rotation + i) % group->places_count;
            result = look_at(group, group->places[index], consume);
            has_more |= result == LOOK_MORE;
            if (result == LOOK_DELIVERED) {
                group->rotation = (index + 1) % group->places_count;
            }
        }
        if (result != LOOK_DELIVERED) {
            return !has_more;
        }
        queue__group_answer(group, consume, QUEUE_OK, BASE_ERR_OK);
    }
    return true;
}
