/* Resets: where to is looked up without a lock; then, when nothing of the group is leased or
 * on its way to the journal, the new cursors are written whole and replace the old ones.
 *
 * A group serves nobody while a reset waits in its list. */
#include "core/queue/reset.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"
#include "core/queue/move_priv.h"

static enum queue_progress refuse(struct queue_reset *reset, enum queue_verdict verdict,
                                  enum base_err err)
{
    reset->verdict = verdict;
    reset->err = err;
    return QUEUE_DONE;
}

/* Takes the reset off the group and posts its answer. Locked. */
static void answer(struct queue_reset *reset, enum queue_verdict verdict, enum base_err err)
{
    base_list_remove(&reset->link);
    reset->verdict = verdict;
    reset->err = err;
    if (!reset->is_starting) {
        base_executor_post(reset->executor, &reset->task);
    }
}

static void on_durable(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_reset *reset = BASE_CONTAINER_OF(waiter, struct queue_reset, waiter);
    struct queue_group *group = reset->group;

    base_mutex_lock(&group->lock);
    answer(reset, waiter->err == BASE_ERR_OK ? QUEUE_OK : QUEUE_STORAGE_FAILED, waiter->err);
    queue__group_run(group, reset->executor);
    base_mutex_unlock(&group->lock);
}

/* Nothing is leased, settles or waits to become a dead letter, and the rule is not on its way
 * to the disk. */
static bool is_quiet(const struct queue_group *group)
{
    for (int32_t i = 0; i < group->places_count; i++) {
        const struct queue_cursor *cursor = &group->places[i]->cursor;
        if (cursor->open_count > 0 || cursor->dead_count > 0 || cursor->moving_count > 0) {
            return false;
        }
    }
    return group->rule_state != QUEUE_RULE_WRITING;
}

static enum base_err write_cursors(struct queue_group *group, struct queue_reset *reset,
                                   struct base_executor *current, bool *pending)
{
    struct queue_journal_batch batch;

    reset->waiter =
        (struct partition_waiter){.executor = reset->executor, .task = {.run = on_durable}};
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(group->manager->options.clock));
    for (int32_t i = 0; i < reset->offsets_count; i++) {
        const struct queue_cursor *cursor = &group->places[i]->cursor;
        const struct queue_record record = {
            .all = true,
            .used = cursor->used,
            .floor = reset->offsets[i],
            .consumed = queue_cursor_consumed_at(cursor, reset->offsets[i]),
            .dead_to = cursor->dead_to,
        };
        queue__journal_add(&batch, group->id, i, &record);
    }
    if (group->rule_state != QUEUE_RULE_NONE) {
        queue__journal_add_rule(&batch, group->id, NULL);
    }
    return queue__journal_append(&batch, current, &reset->waiter, pending);
}

static void apply(struct queue_group *group, const struct queue_reset *reset)
{
    for (int32_t i = 0; i < reset->offsets_count; i++) {
        queue_cursor_reset(&group->places[i]->cursor, reset->offsets[i]);
        group->places[i]->is_unwritten = false;
    }
    group->rule_state = QUEUE_RULE_NONE;
    group->rule = (struct queue_tag_rule){0};
    while (!base_list_is_empty(&group->waiters)) {
        struct queue_consume *consume =
            BASE_CONTAINER_OF(group->waiters.next, struct queue_consume, link);
        queue__group_answer(group, consume, QUEUE_OK, BASE_ERR_OK);
    }
}

/* What is leased goes back; what settles is waited for. */
static void end_leases(struct queue_group *group)
{
    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_cursor *cursor = &group->places[i]->cursor;
        for (int64_t offset = cursor->floor;
             offset < cursor->next && cursor->open_count > 0 &&
             (offset = queue_cursor_next_undone(cursor, offset)) < cursor->next;
             offset++) {
            const struct queue_slot *slot = queue_cursor_slot(cursor, offset);
            if (slot != NULL && slot->state == QUEUE_SLOT_LEASED) {
                queue_cursor_return(cursor, offset);
            }
        }
    }
}

void queue__group_advance_resets(struct queue_group *group, struct base_executor *current)
{
    base_mutex_assert_held(&group->lock);
    while (!base_list_is_empty(&group->resets)) {
        struct queue_reset *reset = BASE_CONTAINER_OF(group->resets.next, struct queue_reset, link);
        bool pending = false;
        if (reset->is_writing) {
            return;
        }
        if (group->leases.count > 0 && !reset->force) {
            answer(reset, QUEUE_GROUP_LEASED, BASE_ERR_OK);
            continue;
        }
        if (group->leases.count > 0) {
            end_leases(group); /* what an ack that failed meanwhile has given back, too */
        }
        enum base_err err;
        if (is_quiet(group)) {
            err = write_cursors(group, reset, current, &pending);
        } else if (group->move != NULL && group->move->err != BASE_ERR_OK) {
            err = group->move->err; /* dead letters that cannot be made are not waited for */
        } else {
            return;
        }
        if (err != BASE_ERR_OK) {
            answer(reset, QUEUE_STORAGE_FAILED, err);
            continue;
        }
        /* At once, so that a snapshot behind these records has the same. */
        apply(group, reset);
        reset->is_writing = pending;
        if (!pending) {
            answer(reset, QUEUE_OK, BASE_ERR_OK);
        }
    }
}

void queue__group_drop_resets(struct queue_group *group)
{
    struct base_list *node = group->resets.next;

    base_mutex_assert_held(&group->lock);
    while (node != &group->resets) {
        struct queue_reset *reset = BASE_CONTAINER_OF(node, struct queue_reset, link);
        node = node->next;
        if (!reset->is_writing) {
            answer(reset, QUEUE_GROUP_NOT_FOUND, BASE_ERR_OK);
        }
    }
}

/* Looks at the partitions once more: what has expired meanwhile cannot be gone back to. */
static enum base_err look_again(struct queue_group *group, struct queue_reset *reset)
{
    enum base_err err = queue__group_update(group, reset->topic);
    if (err != BASE_ERR_OK) {
        return err;
    }
    for (int32_t i = 0; i < reset->offsets_count; i++) {
        struct queue_place *place = group->places[i];
        queue__place_look(group, place, true);
        if (!place->is_known || place->end < 0) {
            return place->err == BASE_ERR_OK ? BASE_ERR_OFFLINE : place->err;
        }
        if (reset->offsets[i] < place->start) {
            reset->offsets[i] = place->start;
        }
    }
    return BASE_ERR_OK;
}

/* All offsets are known. Locked. */
static enum queue_progress enter(struct queue_group *group, struct queue_reset *reset)
{
    if (group->is_closed) {
        return refuse(reset, QUEUE_GROUP_NOT_FOUND, BASE_ERR_OK);
    }
    enum base_err err = look_again(group, reset);
    if (err != BASE_ERR_OK) {
        return refuse(reset, QUEUE_STORAGE_FAILED, err);
    }
    queue__group_expire(group, reset->executor);
    if (group->leases.count > 0 && !reset->force) {
        return refuse(reset, QUEUE_GROUP_LEASED, BASE_ERR_OK);
    }
    base_list_push_back(&group->resets, &reset->link);
    reset->is_starting = true;
    queue__group_run(group, reset->executor);
    reset->is_starting = false;
    return base_list_is_linked(&reset->link) ? QUEUE_PENDING : QUEUE_DONE;
}

static enum queue_progress resolve(struct queue_reset *reset);

static void on_found(struct base_task *task)
{
    struct logstore_lookup *lookup = BASE_CONTAINER_OF(task, struct logstore_lookup, task);
    struct queue_reset *reset = BASE_CONTAINER_OF(lookup, struct queue_reset, lookup);
    enum queue_progress progress;

    partition_release(&reset->partition);
    if (lookup->err != BASE_ERR_OK) {
        progress = refuse(reset, QUEUE_STORAGE_FAILED, lookup->err);
    } else {
        /* What came after the look at the end is younger than any time that may be asked for. */
        reset->offsets[reset->resolved_count++] = lookup->offset < 0 ? reset->end : lookup->offset;
        progress = resolve(reset);
    }
    if (progress == QUEUE_DONE) {
        reset->task.run(&reset->task);
    }
}

/* The time to look for in a partition; -1 when the log start is what is wanted. */
static int64_t time_of(const struct queue_reset *reset)
{
    struct queue_group *group = reset->group;

    if (reset->position == QUEUE_RESET_TIME) {
        return reset->timestamp_ms;
    }
    base_mutex_lock(&group->lock);
    /* Records of Kafka clients may have no time: what has expired is passed on delivery. */
    bool is_kafka = catalog_kind_is_kafka(group->topic->kind);
    int64_t oldest_ms = is_kafka ? -1 : queue__group_oldest_ms(group);
    base_mutex_unlock(&group->lock);
    return oldest_ms;
}

/* Finds the offset of one partition after the other, then goes on with the group. */
static enum queue_progress resolve(struct queue_reset *reset)
{
    struct partition_table *table = reset->group->manager->options.table;
    int64_t timestamp_ms = time_of(reset);
    struct partition_offsets offsets;

    while (reset->resolved_count < reset->offsets_count) {
        int32_t index = reset->resolved_count;
        reset->partition = partition_table_get(table, reset->topic->id, index);
        if (reset->partition == NULL) {
            return refuse(reset, QUEUE_STORAGE_FAILED, BASE_ERR_OFFLINE);
        }
        partition_offsets(reset->partition, &offsets);
        reset->end = offsets.last_stable;
        if (offsets.err == BASE_ERR_OK && reset->position != QUEUE_RESET_LATEST &&
            timestamp_ms >= 0) {
            reset->lookup = (struct logstore_lookup){.timestamp_ms = timestamp_ms,
                                                     .executor = reset->executor,
                                                     .task = {.run = on_found}};
            partition_lookup(reset->partition, &reset->lookup);
            return QUEUE_PENDING;
        }
        partition_release(&reset->partition);
        if (offsets.err != BASE_ERR_OK) {
            return refuse(reset, QUEUE_STORAGE_FAILED, offsets.err);
        }
        reset->offsets[index] =
            reset->position == QUEUE_RESET_LATEST ? offsets.last_stable : offsets.start;
        reset->resolved_count++;
    }
    base_mutex_lock(&reset->group->lock);
    enum queue_progress progress = enter(reset->group, reset);
    base_mutex_unlock(&reset->group->lock);
    return progress;
}

/* Guide 3.5: "only times within the 72 hours can be chosen", or what the queue keeps. */
static bool is_in_range(const struct queue_manager *manager, const struct queue_reset *reset)
{
    int64_t retention_ms = reset->topic->config.values[CATALOG_CONFIG_RETENTION_MS];
    int64_t now_ms = base_clock_wall_ms(manager->options.clock);

    return reset->timestamp_ms >= 0 && reset->timestamp_ms <= now_ms &&
           (retention_ms < 0 || now_ms - reset->timestamp_ms <= retention_ms);
}

enum queue_progress queue_reset(struct queue_manager *manager, struct queue_reset *reset)
{
    const struct queue_manager_options *options = &manager->options;

    BASE_ASSERT(reset->executor != NULL);
    BASE_ASSERT(reset->task.run != NULL);

    reset->link = (struct base_list){0};
    reset->offsets = NULL;
    reset->offsets_count = reset->topic->partitions_count;
    reset->resolved_count = 0;
    reset->partition = NULL;
    reset->is_writing = false;
    reset->is_starting = false;
    reset->group =
        queue__manager_group(manager, reset->topic, reset->group_id, &reset->verdict, &reset->err);
    if (reset->group == NULL) {
        return QUEUE_DONE;
    }
    base_mutex_lock(&reset->group->lock);
    reset->group->resets_begun++;
    base_mutex_unlock(&reset->group->lock);
    if (reset->position == QUEUE_RESET_TIME && !is_in_range(manager, reset)) {
        return refuse(reset, QUEUE_TIME_OUT_OF_RANGE, BASE_ERR_OK);
    }
    if (catalog_kind_is_kafka(reset->topic->kind) && options->kafka_group_is_active != NULL &&
        options->kafka_group_is_active(options->context, reset->group->id)) {
        return refuse(reset, QUEUE_GROUP_BUSY_ON_KAFKA, BASE_ERR_OK);
    }
    reset->offsets = base_alloc_array((size_t)reset->offsets_count, sizeof reset->offsets[0]);
    if (reset->offsets == NULL) {
        return refuse(reset, QUEUE_STORAGE_FAILED, BASE_ERR_NOMEM);
    }
    return resolve(reset);
}

void queue_reset_release(struct queue_reset *reset)
{
    base_free(reset->offsets);
    reset->offsets = NULL;
    if (reset->group != NULL) {
        base_mutex_lock(&reset->group->lock);
        reset->group->resets_released++;
        base_mutex_unlock(&reset->group->lock);
    }
    queue__group_release(&reset->group);
}
