/* Consuming: at once, or in line until there is something. */
#include "core/queue/consume.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"

static void wait_never_fires(struct base_timer *timer)
{
    (void)timer;
    BASE_UNREACHABLE("waits are taken out of the heap by their group");
}

static enum queue_progress refuse(struct queue_consume *consume, enum queue_verdict verdict,
                                  enum base_err err)
{
    consume->verdict = verdict;
    consume->err = err;
    return QUEUE_DONE;
}

/* What a group of a Kafka queue committed over Kafka is where it goes on over REST, in a partition
 * of which nothing has been delivered over REST. A reset is released when it has been committed as
 * well: what was asked for before that is older than the reset. */

static bool any_is_unused(struct queue_group *group, const struct catalog_topic *topic,
                          uint64_t *resets_released)
{
    bool is_used = true;

    base_mutex_lock(&group->lock);
    *resets_released = group->resets_released;
    for (int32_t i = 0; is_used && i < topic->partitions_count; i++) {
        is_used = i < group->places_count && group->places[i]->cursor.used;
    }
    base_mutex_unlock(&group->lock);
    return !is_used;
}

static void adopt(struct queue_group *group, const struct catalog_topic *topic,
                  const int64_t *committed)
{
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct queue_place *place = group->places[i];
        struct queue_cursor *cursor = &place->cursor;
        if (committed[i] < 0 || cursor->used) {
            continue;
        }
        queue__place_look(group, place, false);
        /* Not only behind the cursor: that may have passed what is no message, or has expired. */
        bool is_back = committed[i] < place->committed;
        int64_t to = committed[i] < place->start ? place->start : committed[i];
        place->committed = committed[i];
        if (!place->is_known || cursor->next != cursor->floor) {
            continue;
        }
        if (committed[i] > cursor->floor && committed[i] <= place->end) {
            queue_cursor_adopt(cursor, committed[i]);
        } else if (is_back && to < cursor->floor) {
            queue_cursor_reset(cursor, to);
        } else {
            continue;
        }
        place->is_unwritten = true;
        group->has_unwritten = true;
    }
}

/* Puts the consume into the line and runs the group. committed: by partition, or NULL; asked for
 * when so many resets were released. Locked. */
static enum queue_progress enter(struct queue_group *group, struct queue_consume *consume,
                                 const int64_t *committed, uint64_t resets_released)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);

    enum base_err err = queue__group_update(group, consume->topic);
    if (err != BASE_ERR_OK) {
        return refuse(consume, QUEUE_STORAGE_FAILED, err);
    }
    if (committed != NULL && group->resets_begun == resets_released) {
        adopt(group, consume->topic, committed);
    }
    if (group->is_closed) {
        return refuse(consume, QUEUE_GROUP_NOT_FOUND, BASE_ERR_OK);
    }
    if (group->waiters_count == QUEUE_WAITERS_MAX) {
        return refuse(consume, QUEUE_OVERLOADED, BASE_ERR_OK);
    }
    enum queue_verdict verdict = queue__group_fix_rule(group, consume, &err);
    if (verdict != QUEUE_OK) {
        return refuse(consume, verdict, err);
    }
    group->used_us = now_us;
    base_list_push_back(&group->waiters, &consume->link);
    group->waiters_count++;
    consume->deadline.deadline_us = now_us + consume->time_wait_ms * 1000;
    base_timer_heap_arm(&group->waits, &consume->deadline);
    consume->is_starting = true;
    queue__group_run(group, consume->executor);
    consume->is_starting = false;
    return base_list_is_linked(&consume->link) ? QUEUE_PENDING : QUEUE_DONE;
}

enum queue_progress queue_consume(struct queue_manager *manager, struct queue_consume *consume)
{
    const struct queue_manager_options *options = &manager->options;
    int64_t *committed = NULL;
    uint64_t resets_released = 0;
    enum base_err err = BASE_ERR_OK;

    BASE_ASSERT(consume->executor != NULL);
    BASE_ASSERT(consume->task.run != NULL);
    BASE_ASSERT(consume->messages_max >= 1);
    BASE_ASSERT(consume->messages_max <= QUEUE_MESSAGES_MAX);
    BASE_ASSERT(consume->time_wait_ms >= 0);
    BASE_ASSERT(consume->ack_wait_ms > 0);

    consume->messages_count = 0;
    consume->link = (struct base_list){0};
    consume->deadline = (struct base_timer){.fire = wait_never_fires};
    consume->lease_number = 0;
    consume->is_due = false;
    consume->group = queue__manager_group(manager, consume->topic, consume->group_id,
                                          &consume->verdict, &consume->err);
    struct queue_group *group = consume->group;
    if (group == NULL) {
        return QUEUE_DONE;
    }
    if (catalog_kind_is_kafka(consume->topic->kind) && options->kafka_group_is_active != NULL &&
        options->kafka_group_is_active(options->context, group->id)) {
        return refuse(consume, QUEUE_GROUP_BUSY_ON_KAFKA, BASE_ERR_OK);
    }
    if (catalog_kind_is_kafka(consume->topic->kind) &&
        any_is_unused(group, consume->topic, &resets_released)) {
        err = queue__group_committed(group, consume->topic, &committed);
    }
    if (err != BASE_ERR_OK) {
        return refuse(consume, QUEUE_STORAGE_FAILED, err);
    }
    base_mutex_lock(&group->lock);
    enum queue_progress progress = enter(group, consume, committed, resets_released);
    base_mutex_unlock(&group->lock);
    base_free(committed);
    return progress;
}

static void drop_messages(struct queue_consume *consume)
{
    for (uint32_t i = 0; i < consume->messages_count; i++) {
        base_buffer_release(&consume->messages[i].buffer);
    }
    consume->messages_count = 0;
}

bool queue_consume_cancel(struct queue_consume *consume)
{
    struct queue_group *group = consume->group;
    if (group == NULL) {
        return false;
    }
    base_mutex_lock(&group->lock);
    bool was_waiting = base_list_is_linked(&consume->link);
    if (was_waiting) {
        consume->is_starting = true; /* no answer */
        queue__group_answer(group, consume, QUEUE_OK, BASE_ERR_OK);
        consume->is_starting = false;
    }
    for (uint32_t i = 0; i < consume->messages_count; i++) {
        struct queue_place *place = queue__group_place(group, consume->messages[i].partition);
        int64_t offset = consume->messages[i].record.offset;
        if (queue_cursor_is_leased(&place->cursor, offset, consume->lease_number)) {
            queue_cursor_return(&place->cursor, offset);
        }
    }
    bool has_returned = consume->messages_count > 0;
    drop_messages(consume);
    if (has_returned) {
        queue__group_run(group, consume->executor);
    }
    base_mutex_unlock(&group->lock);
    return was_waiting;
}

void queue_consume_release(struct queue_consume *consume)
{
    drop_messages(consume);
    queue__group_release(&consume->group);
}
