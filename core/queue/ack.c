/* Acks: decide under the lock, hold the leases, write, and when that is durable settle them. */
#include "core/queue/ack.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"

/* Reads the item's handler: whose it is, and which lease it names. */
static void read_handler(const struct queue_group *group, struct queue_ack_item *item)
{
    struct queue_handler handler;

    item->is_held = false;
    item->verdict = QUEUE_HANDLER_UNKNOWN;
    if (!queue__handler_parse(&group->manager->key, item->handler, &handler)) {
        return;
    }
    if (handler.scope != group->scope) {
        item->verdict =
            handler.scope == group->scope_sibling ? QUEUE_HANDLER_OF_OTHER : QUEUE_HANDLER_MISMATCH;
        return;
    }
    item->verdict = QUEUE_OK;
    item->partition = handler.partition;
    item->offset = handler.offset;
    item->lease_number = handler.lease_number;
}

/* Whether the item's handler names a lease of this group that lives. */
static enum queue_verdict judge(struct queue_group *group, const struct queue_ack_item *item)
{
    if (item->verdict != QUEUE_OK) {
        return item->verdict;
    }
    struct queue_place *place = queue__group_place(group, item->partition);
    if (place == NULL ||
        !queue_cursor_is_leased(&place->cursor, item->offset, item->lease_number)) {
        return QUEUE_HANDLER_UNKNOWN;
    }
    return QUEUE_OK;
}

static struct queue_cursor *cursor_of(struct queue_group *group, int32_t partition)
{
    return &queue__group_place(group, partition)->cursor;
}

static void hold(struct queue_group *group, struct queue_ack_item *item,
                 enum queue_slot_state state)
{
    queue_cursor_hold(cursor_of(group, item->partition), item->offset, state);
    item->is_held = true;
}

/* The item that stops the ack failed: in a FIFO queue what was delivered behind it must come
 * again behind it. */
static void hold_failed(struct queue_group *group, struct queue_ack *ack,
                        struct queue_ack_item *item)
{
    struct queue_cursor *cursor = cursor_of(group, item->partition);

    if (group->topic->kind == CATALOG_FIFO) {
        ack->behind_count = queue_cursor_leased_behind(cursor, item->offset, ack->behind);
        for (uint32_t i = 0; i < ack->behind_count; i++) {
            queue_cursor_hold(cursor, ack->behind[i], QUEUE_SLOT_RETURNING);
        }
    }
    hold(group, item, QUEUE_SLOT_FAILING);
}

static bool is_fifo(const struct queue_group *group)
{
    return group->topic->kind == CATALOG_FIFO;
}

/* Puts the group's own handlers into the order of the messages; the others stay where they are.
 * Clients that keep handlers in a map send them in any order. */
static void sort_by_offset(struct queue_ack *ack)
{
    for (uint32_t i = 1; i < ack->items_count; i++) {
        uint32_t at = i;
        const struct queue_ack_item item = ack->items[i];
        for (uint32_t k = i; item.verdict == QUEUE_OK && k-- > 0;) {
            if (ack->items[k].verdict != QUEUE_OK) {
                continue;
            }
            if (ack->items[k].offset <= item.offset) {
                break;
            }
            ack->items[at] = ack->items[k];
            at = k;
        }
        ack->items[at] = item;
    }
}

/* A message of a FIFO queue may not be done before one that was delivered in front of it. A
 * failure may come out of order: it makes nothing done. */
static bool is_out_of_order(struct queue_group *group, const struct queue_ack_item *item)
{
    return is_fifo(group) && item->success &&
           queue_cursor_has_open_before(cursor_of(group, item->partition), item->offset);
}

/* Decides about one item and holds its lease; true: the walk goes on. */
static bool take(struct queue_group *group, struct queue_ack *ack, struct queue_ack_item *item)
{
    ack->stopped_by = judge(group, item);
    if (ack->stopped_by != QUEUE_OK) {
        return false;
    }
    if (is_out_of_order(group, item)) {
        ack->stopped_by = QUEUE_HANDLER_UNKNOWN;
        hold(group, item, QUEUE_SLOT_RETURNING);
        return false;
    }
    if (!item->success) {
        hold_failed(group, ack, item);
        ack->has_failed = true;
        return false;
    }
    hold(group, item, QUEUE_SLOT_ACKING);
    ack->success_count++;
    return true;
}

/* Walks the items in order: decides and holds. */
static void decide(struct queue_group *group, struct queue_ack *ack)
{
    uint32_t i = 0;

    ack->success_count = 0;
    ack->stopped_by = QUEUE_OK;
    ack->has_failed = false;
    ack->behind_count = 0;
    for (uint32_t k = 0; k < ack->items_count; k++) {
        read_handler(group, &ack->items[k]);
    }
    if (is_fifo(group)) {
        sort_by_offset(ack);
    }
    while (i < ack->items_count && take(group, ack, &ack->items[i])) {
        i++;
    }
    for (uint32_t k = i + 1; k < ack->items_count; k++) {
        if (judge(group, &ack->items[k]) == QUEUE_OK) {
            hold(group, &ack->items[k], QUEUE_SLOT_RETURNING);
        }
    }
    ack->fail_count = ack->items_count - ack->success_count;
}

/* Ends what decide held: as decided, or as if nothing had been asked. */
static void finish(struct queue_group *group, struct queue_ack *ack, enum base_err err)
{
    void (*end)(struct queue_cursor *, int64_t) =
        err == BASE_ERR_OK ? queue_cursor_settle : queue_cursor_unhold;

    for (uint32_t i = 0; i < ack->items_count; i++) {
        struct queue_ack_item *item = &ack->items[i];
        if (!item->is_held) {
            continue;
        }
        end(cursor_of(group, item->partition), item->offset);
        if (ack->has_failed && i == ack->success_count) {
            for (uint32_t k = 0; k < ack->behind_count; k++) {
                end(cursor_of(group, item->partition), ack->behind[k]);
            }
        }
    }
    ack->err = err;
    ack->verdict = QUEUE_OK;
    if (err != BASE_ERR_OK) {
        ack->verdict = QUEUE_STORAGE_FAILED;
        ack->success_count = 0;
        ack->fail_count = ack->items_count;
    } else if (ack->success_count == 0 && !ack->has_failed) {
        ack->verdict = ack->stopped_by;
    }
}

/* What the items in [first, success_count] say about the partition of items[first]; their
 * ranges go into `done`, which has room. */
static void add_record(struct queue_group *group, struct queue_ack *ack, uint32_t first,
                       struct queue_record_range *done, struct queue_journal_batch *batch)
{
    int32_t partition = ack->items[first].partition;
    struct queue_cursor *cursor = cursor_of(group, partition);
    struct queue_record_failure failure;
    struct queue_record record;

    queue__record_init(&record, cursor);
    record.done = done;
    for (uint32_t i = first; i < ack->success_count; i++) {
        int64_t offset = ack->items[i].offset;
        if (ack->items[i].partition != partition) {
            continue;
        }
        if (record.done_count > 0 && done[record.done_count - 1].last + 1 == offset) {
            done[record.done_count - 1].last = offset;
        } else {
            done[record.done_count++] =
                (struct queue_record_range){.first = offset, .last = offset};
        }
    }
    const struct queue_ack_item *last = &ack->items[ack->success_count];
    if (ack->has_failed && last->partition == partition) {
        failure.offset = last->offset;
        failure.timed_out = false;
        failure.failures = queue_cursor_slot(cursor, last->offset)->failures + 1u;
        record.failures = &failure;
        record.failures_count = 1;
    }
    queue__journal_add(batch, group->id, partition, &record);
}

static bool is_first_of_partition(const struct queue_ack *ack, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (ack->items[i].partition == ack->items[index].partition) {
            return false;
        }
    }
    return true;
}

static enum base_err journal_ack(struct queue_group *group, struct queue_ack *ack, bool *pending)
{
    struct queue_record_range few[QUEUE_MESSAGES_MAX];
    struct queue_record_range *done = few;
    struct queue_journal_batch batch;
    uint32_t count = ack->success_count + (ack->has_failed ? 1u : 0u);

    *pending = false;
    if (count > QUEUE_MESSAGES_MAX) {
        done = base_alloc_array(count, sizeof done[0]);
        if (done == NULL) {
            return BASE_ERR_NOMEM;
        }
    }
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(group->manager->options.clock));
    for (uint32_t i = 0; i < count; i++) {
        if (is_first_of_partition(ack, i)) {
            add_record(group, ack, i, done, &batch);
        }
    }
    enum base_err err = queue__journal_append(&batch, ack->executor, &ack->waiter, pending);
    if (done != few) {
        base_free(done);
    }
    return err;
}

static void on_durable(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_ack *ack = BASE_CONTAINER_OF(waiter, struct queue_ack, waiter);
    struct queue_group *group = ack->group;

    base_mutex_lock(&group->lock);
    finish(group, ack, waiter->err);
    queue__group_run(group, ack->executor);
    base_mutex_unlock(&group->lock);
    queue__group_release(&ack->group);
    ack->task.run(&ack->task);
}

/* Locked. True: done. */
static bool start(struct queue_group *group, struct queue_ack *ack)
{
    bool pending = false;

    if (group->is_closed) {
        ack->verdict = QUEUE_GROUP_NOT_FOUND;
        return true;
    }
    queue__group_expire(group, ack->executor); /* a handler that is late is unknown */
    enum base_err err = queue__group_write_passed(group, ack->executor, QUEUE_UNWRITTEN_MAX);
    if (err != BASE_ERR_OK) {
        ack->verdict = QUEUE_STORAGE_FAILED;
        ack->err = err;
        return true;
    }
    decide(group, ack);
    if (ack->success_count > 0 || ack->has_failed) {
        ack->waiter.executor = ack->executor;
        ack->waiter.task.run = on_durable;
        err = journal_ack(group, ack, &pending);
    }
    if (pending) {
        return false;
    }
    finish(group, ack, err);
    queue__group_run(group, ack->executor);
    return true;
}

enum queue_progress queue_ack(struct queue_manager *manager, struct queue_ack *ack)
{
    BASE_ASSERT(ack->executor != NULL);
    BASE_ASSERT(ack->task.run != NULL);
    BASE_ASSERT(ack->items_count >= 1);
    BASE_ASSERT(ack->items_count <= QUEUE_ACK_ITEMS_MAX);

    ack->success_count = 0;
    ack->fail_count = ack->items_count;
    ack->stopped_by = QUEUE_OK;
    ack->group = queue__manager_group(manager, ack->topic, ack->group_id, &ack->verdict, &ack->err);
    if (ack->group == NULL) {
        return QUEUE_DONE;
    }
    base_mutex_lock(&ack->group->lock);
    bool is_done = start(ack->group, ack);
    base_mutex_unlock(&ack->group->lock);
    if (!is_done) {
        return QUEUE_PENDING;
    }
    queue__group_release(&ack->group);
    return QUEUE_DONE;
}
