/* The tag rule of a group, and the journal's share of what it filters. */
#include "core/queue/group_priv.h"

#include "core/base/assert.h"
#include "core/queue/manager_priv.h"

enum { FILTERED_DELAY_US = 1000 * 1000 }; /* fewer than QUEUE_UNWRITTEN_MAX wait so long */

static void answer_all(struct queue_group *group, enum queue_verdict verdict, enum base_err err)
{
    while (!base_list_is_empty(&group->waiters)) {
        struct queue_consume *consume =
            BASE_CONTAINER_OF(group->waiters.next, struct queue_consume, link);
        queue__group_answer(group, consume, verdict, err);
    }
}

static void on_rule_durable(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_group *group = BASE_CONTAINER_OF(waiter, struct queue_group, rule_waiter);

    base_mutex_lock(&group->lock);
    BASE_ASSERT(group->rule_state == QUEUE_RULE_WRITING);
    group->rule_state = QUEUE_RULE_FIXED;
    if (waiter->err != BASE_ERR_OK) {
        group->rule_state = QUEUE_RULE_NONE;
        answer_all(group, QUEUE_STORAGE_FAILED, waiter->err);
    }
    queue__group_run(group, waiter->executor);
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
}

static enum base_err write_rule(struct queue_group *group, struct base_executor *current)
{
    struct queue_journal_batch batch;
    bool pending;

    group->rule_waiter =
        (struct partition_waiter){.executor = current, .task = {.run = on_rule_durable}};
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(group->manager->options.clock));
    queue__journal_add_rule(&batch, group->id, &group->rule);
    enum base_err err = queue__journal_append(&batch, current, &group->rule_waiter, &pending);
    if (err == BASE_ERR_OK) {
        group->rule_state = pending ? QUEUE_RULE_WRITING : QUEUE_RULE_FIXED;
    }
    if (err == BASE_ERR_OK && pending) {
        (void)queue__group_hold(group);
    }
    return err;
}

enum queue_verdict queue__group_fix_rule(struct queue_group *group,
                                         const struct queue_consume *consume, enum base_err *err)
{
    base_mutex_assert_held(&group->lock);
    *err = BASE_ERR_OK;
    if (catalog_kind_is_kafka(group->topic->kind)) {
        BASE_ASSERT(consume->rule.count == 0); /* their messages have no tags */
        return QUEUE_OK;
    }
    if (group->rule_state != QUEUE_RULE_NONE) {
        return queue_tag_rule_equal(&group->rule, &consume->rule) ? QUEUE_OK
                                                                  : QUEUE_TAG_RULE_DIFFERS;
    }
    group->rule = consume->rule;
    *err = write_rule(group, consume->executor);
    return *err == BASE_ERR_OK ? QUEUE_OK : QUEUE_STORAGE_FAILED;
}

void queue__group_write_filtered(struct queue_group *group, struct base_executor *current,
                                 bool is_closing)
{
    int64_t now_us = base_clock_monotonic_us(group->manager->options.clock);
    bool is_time = is_closing || (group->filtered_us != 0 && now_us >= group->filtered_us);
    bool has_rest = false;

    base_mutex_assert_held(&group->lock);
    for (int32_t i = 0; i < group->places_count; i++) {
        has_rest |= group->places[i]->cursor.unwritten_count > 0;
    }
    if (is_time || !has_rest) {
        group->filtered_us = 0;
    } else if (group->filtered_us == 0) {
        group->filtered_us = now_us + FILTERED_DELAY_US;
    }
    int64_t passed_max = is_time ? 0 : QUEUE_UNWRITTEN_MAX;
    if (queue__group_write_passed(group, current, passed_max) != BASE_ERR_OK) {
        /* Tried again with the next run; a crash before that filters once more. */
    }
}
