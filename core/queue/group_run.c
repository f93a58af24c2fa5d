/* What drives a group: leases and waits that end, news from the log, the alarm. */
#include "core/queue/group_priv.h"

#include "core/base/assert.h"
#include "core/queue/manager_priv.h"
#include "core/queue/redrive_priv.h"

enum {
    GROUP_WINDOW_IDLE_US = 10 * 1000 * 1000, /* windows of a group nobody consumes from go */
    GROUP_ROUNDS_MAX = 16,                   /* of news before others get the thread */
    GROUP_GRACE_US = 1000 * 1000,            /* for those who waited long enough */
    GROUP_EXPIRE_LEASES_MAX = 256,           /* in one go */
};

void queue__group_answer(struct queue_group *group, struct queue_consume *consume,
                         enum queue_verdict verdict, enum base_err err)
{
    base_mutex_assert_held(&group->lock);
    BASE_ASSERT(consume->group == group);

    base_list_remove(&consume->link);
    group->waiters_count--;
    group->due_count -= consume->is_due;
    if (base_timer_is_armed(&consume->deadline)) {
        base_timer_heap_stop(&group->waits, &consume->deadline);
    }
    consume->verdict = verdict;
    consume->err = err;
    if (!consume->is_starting) {
        base_executor_post(consume->executor, &consume->task);
    }
}

struct expiry {
    struct queue_record_failure failures[QUEUE_MESSAGES_MAX];
    uint32_t count;
};

static void lease_failed(void *context, int64_t offset, uint32_t failures)
{
    struct expiry *expiry = context;
    BASE_ASSERT(expiry->count < QUEUE_MESSAGES_MAX);
    expiry->failures[expiry->count++] =
        (struct queue_record_failure){.offset = offset, .failures = failures, .timed_out = true};
}

/* Ends one lease and puts what failed into the batch. */
static bool expire_lease(struct queue_group *group, struct queue_lease *lease,
                         struct queue_journal_batch *batch)
{
    struct expiry expiry = {.count = 0};
    struct queue_place *place = BASE_CONTAINER_OF(lease->cursor, struct queue_place, cursor);

    queue_lease_expire(lease, lease_failed, &expiry);
    if (expiry.count == 0) {
        return false;
    }
    struct queue_record record;
    queue__record_init(&record, &place->cursor);
    record.failures = expiry.failures;
    record.failures_count = expiry.count;
    queue__journal_add(batch, group->id, place->index, &record);
    return true;
}

void queue__group_expire(struct queue_group *group, struct base_executor *current)
{
    struct base_clock *clock = group->manager->options.clock;
    int64_t now_us = base_clock_monotonic_us(clock);
    struct queue_journal_batch batch;
    bool has_records = false;

    base_mutex_assert_held(&group->lock);
    if (group->leases.count == 0 || base_timer_heap_next_us(&group->leases) > now_us) {
        return;
    }
    enum base_err err = queue__group_write_passed(group, current, QUEUE_UNWRITTEN_MAX);
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(clock));
    for (unsigned i = 0; i < GROUP_EXPIRE_LEASES_MAX && group->leases.count > 0 &&
                         base_timer_heap_next_us(&group->leases) <= now_us;
         i++) {
        struct queue_lease *lease =
            BASE_CONTAINER_OF(group->leases.timers[1], struct queue_lease, timer);
        has_records |= expire_lease(group, lease, &batch);
    }
    /* Nobody waits for it: a failure that a crash forgets is nobody's failure. One that could
     * not be written is in the next snapshot. */
    if (has_records && err == BASE_ERR_OK) {
        queue__journal_send(&batch, current);
    } else {
        queue__journal_drop(&batch);
    }
}

/* The timers of those who become due are armed once more: when that is over, too, they are late. */
static void mark_due(struct queue_group *group)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);

    while (group->waits.count > 0 && base_timer_heap_next_us(&group->waits) <= now_us) {
        struct base_timer *timer = group->waits.timers[1];
        struct queue_consume *consume = BASE_CONTAINER_OF(timer, struct queue_consume, deadline);
        if (consume->is_due) {
            base_timer_heap_stop(&group->waits, timer);
        } else {
            consume->is_due = true;
            group->due_count++;
            timer->deadline_us += GROUP_GRACE_US;
            base_timer_heap_arm(&group->waits, timer);
        }
    }
}

/* OK, or why nothing can come from any partition that might have something. */
static enum base_err failure_of(const struct queue_group *group)
{
    for (int32_t i = 0; i < group->places_count; i++) {
        if (group->places[i]->err != BASE_ERR_OK) {
            return group->places[i]->err;
        }
    }
    return BASE_ERR_OK;
}

/* Answers those whose wait is over. A read under way may still bring something, and so may what
 * holds up the group, but not for ever: the tag rule may pass over any number of messages, and the
 * disk may be slow. */
static void answer_due(struct queue_group *group, bool is_held_up)
{
    bool may_come = is_held_up || group->reads_count > 0;
    struct base_list *node = group->waiters.next;

    while (group->due_count > 0 && node != &group->waiters) {
        struct queue_consume *consume = BASE_CONTAINER_OF(node, struct queue_consume, link);
        node = node->next;
        bool is_late = !base_timer_is_armed(&consume->deadline);
        if (consume->is_due && (is_late || !may_come)) {
            enum base_err err = failure_of(group);
            enum queue_verdict verdict = err == BASE_ERR_OK       ? QUEUE_OK
                                         : err == BASE_ERR_CLOSED ? QUEUE_GROUP_NOT_FOUND
                                                                  : QUEUE_STORAGE_FAILED;
            queue__group_answer(group, consume, verdict, err);
        }
    }
}

static void drop_idle_windows(struct queue_group *group)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);

    if (!base_list_is_empty(&group->waiters)) {
        group->used_us = now_us;
    }
    if (!group->has_windows || group->reads_count > 0 ||
        now_us - group->used_us < GROUP_WINDOW_IDLE_US) {
        return;
    }
    for (int32_t i = 0; i < group->places_count; i++) {
        queue__window_free(&group->places[i]->ahead);
        queue__window_free(&group->places[i]->again);
    }
    group->has_windows = false;
}

void queue__group_unwatch(struct queue_group *group)
{
    base_mutex_assert_held(&group->lock);
    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[i];
        if (place->is_watched) {
            partition_unwatch(place->partition, &place->watch);
            place->is_watched = false;
        }
    }
    /* With no watch left nobody fires any more: what is not on its way never comes. */
    if (group->is_watching && !atomic_load(&group->watcher.fired)) {
        group->is_watching = false;
        struct queue_group *held = group;
        queue__group_release(&held);
    }
}

/* Watches every partition that has been read to its end. True: there is news already. */
static bool watch_all(struct queue_group *group)
{
    bool news = false;

    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[i];
        bool is_at_end = place->end >= 0 && place->cursor.next >= place->end;
        if (place->is_watched || place->err != BASE_ERR_OK || !is_at_end) {
            continue;
        }
        place->watch.offset = place->cursor.next;
        if (partition_watch(place->partition, &place->watch)) {
            news = true;
            continue;
        }
        place->is_watched = true;
        if (!group->is_watching) {
            group->is_watching = true;
            (void)queue__group_hold(group);
        }
    }
    return news;
}

static void earlier(int64_t *deadline_us, const struct base_timer_heap *heap)
{
    if (heap->count > 0 && base_timer_heap_next_us(heap) < *deadline_us) {
        *deadline_us = base_timer_heap_next_us(heap);
    }
}

static void set_alarm(struct queue_group *group, bool has_more)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);
    int64_t deadline_us = INT64_MAX;

    earlier(&deadline_us, &group->leases);
    earlier(&deadline_us, &group->waits);
    bool is_idle = base_list_is_empty(&group->waiters) && group->reads_count == 0;
    if (group->has_windows && is_idle && group->used_us + GROUP_WINDOW_IDLE_US < deadline_us) {
        deadline_us = group->used_us + GROUP_WINDOW_IDLE_US;
    }
    if (!is_idle && group->retry_us > now_us && group->retry_us < deadline_us) {
        deadline_us = group->retry_us;
    }
    if (group->filtered_us != 0 && group->filtered_us < deadline_us) {
        deadline_us = group->filtered_us;
    }
    if (queue__move_alarm_us(group) < deadline_us) {
        deadline_us = queue__move_alarm_us(group);
    }
    if (queue__redrive_alarm_us(group) < deadline_us) {
        deadline_us = queue__redrive_alarm_us(group);
    }
    if (has_more) {
        deadline_us = now_us;
    }
    if (deadline_us < INT64_MAX) {
        base_alarm_set(&group->alarm, deadline_us);
    }
}

void queue__group_run(struct queue_group *group, struct base_executor *current)
{
    bool has_more = true;

    base_mutex_assert_held(&group->lock);
    if (group->is_closed) {
        return;
    }
    queue__group_expire(group, current);
    queue__redrive_run(group, current);
    queue__move_run(group, current);
    mark_due(group);
    queue__group_advance_resets(group, current);
    bool may_serve = group->rule_state != QUEUE_RULE_WRITING && base_list_is_empty(&group->resets);
    for (unsigned i = 0; may_serve && has_more && i < GROUP_ROUNDS_MAX; i++) {
        has_more = !queue__group_serve(group);
        if (has_more) {
            break; /* the thread was held long enough */
        }
        answer_due(group, false);
        has_more = !base_list_is_empty(&group->waiters) && watch_all(group);
    }
    if (!may_serve || has_more) {
        answer_due(group, true);
    }
    queue__group_write_filtered(group, current, false);
    drop_idle_windows(group);
    set_alarm(group, may_serve && has_more);
}

void queue__group_on_alarm(struct base_alarm *alarm)
{
    struct queue_group *group = BASE_CONTAINER_OF(alarm, struct queue_group, alarm);

    base_mutex_lock(&group->lock);
    queue__group_run(group, group->home);
    base_mutex_unlock(&group->lock);
}

void queue__group_on_news(struct base_task *task)
{
    struct partition_watcher *watcher = BASE_CONTAINER_OF(task, struct partition_watcher, task);
    struct queue_group *group = BASE_CONTAINER_OF(watcher, struct queue_group, watcher);

    base_mutex_lock(&group->lock);
    BASE_ASSERT(group->is_watching);
    BASE_ASSERT(atomic_load(&group->watcher.fired));
    queue__group_unwatch(group); /* first: a watch that fires now does not post again */
    atomic_store(&group->watcher.fired, false);
    group->is_watching = false;
    queue__group_run(group, group->home);
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
}
