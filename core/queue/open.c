/* Start-up: the internal topics, and out of them the cursors and what is delayed. */
#include <inttypes.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/queue/delay_priv.h"
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"
#include "core/queue/redrive_priv.h"

static struct queue_open *open_of_work(struct base_task *task)
{
    return BASE_CONTAINER_OF(task, struct queue_open, work);
}

/* What is done for one internal topic. */
struct step {
    const char *topic;
    int32_t (*partitions_count)(const struct queue_manager *manager); /* of a new one */
    /* On the worker. */
    enum base_err (*recover)(struct queue_open *open, const struct catalog_topic *topic);
    void (*end)(struct queue_open *open); /* on the executor; ends with next_step */
};

static void next_step(struct queue_open *open);

static void release_groups(struct queue_open *open)
{
    int64_t now_us = base_clock_monotonic_us(open->manager->options.clock);

    for (size_t i = 0; i < open->groups_count; i++) {
        base_alarm_set(&open->groups[i]->alarm, now_us); /* it may have something to move */
        queue__group_release(&open->groups[i]);
    }
    base_free(open->groups);
    open->groups = NULL;
    open->groups_count = 0;
}

/* On the executor. */
static void finish(struct queue_open *open)
{
    release_groups(open);
    open->task.run(&open->task);
}

static void write_cut(struct queue_open *open);

static void on_cut_durable(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_open *open = BASE_CONTAINER_OF(waiter, struct queue_open, waiter);

    open->err = waiter->err;
    write_cut(open);
}

/* Cursors that were cut must be on disk before new messages take the offsets that were cut: a crash
 * would make those count as consumed. That does not hold for a log that is opened later: its
 * cursors are cut, and written at once, when the group looks at it first. */
static void write_cut(struct queue_open *open)
{
    bool pending = false;

    while (open->err == BASE_ERR_OK && open->groups_done < open->groups_count) {
        struct queue_group *group = open->groups[open->groups_done++];
        open->waiter =
            (struct partition_waiter){.executor = open->executor, .task = {.run = on_cut_durable}};
        base_mutex_lock(&group->lock);
        open->err = queue__group_write_starts(group, open->executor, &open->waiter, &pending);
        base_mutex_unlock(&group->lock);
        if (pending) {
            return;
        }
    }
    release_groups(open);
    next_step(open);
}

/* What one replay carries along. */
struct recovery {
    struct queue_manager *manager;
    struct queue_journal *journal;
    struct catalog_view *view; /* borrowed */
};

static enum base_err apply(struct queue_group *group, const struct catalog_topic *topic,
                           int32_t partition, struct base_slice value)
{
    base_mutex_lock(&group->lock);
    enum base_err err = queue__group_update(group, topic);
    struct queue_place *place = queue__group_place(group, partition);
    if (err == BASE_ERR_OK && place != NULL) {
        err = queue__record_apply(value, &place->is_known, &place->cursor);
    }
    base_mutex_unlock(&group->lock);
    return err;
}

static enum base_err apply_rule(struct queue_group *group, struct base_slice value)
{
    enum base_err err = BASE_ERR_OK;

    base_mutex_lock(&group->lock);
    group->rule_state = QUEUE_RULE_NONE;
    if (value.data != NULL) {
        err = queue__record_read_rule(value, &group->rule);
        group->rule_state = QUEUE_RULE_FIXED;
    }
    base_mutex_unlock(&group->lock);
    return err;
}

static enum base_err on_record(void *context, const struct logstore_record *record)
{
    struct recovery *recovery = context;
    struct base_slice group_id;
    int32_t partition;

    atomic_fetch_add(&recovery->journal->records, 1);
    if (!queue__journal_parse_key(record->key, &group_id, &partition)) {
        return BASE_ERR_CORRUPT;
    }
    const struct catalog_topic *topic = catalog_view_topic_of_group(recovery->view, group_id);
    bool is_rule = partition == QUEUE_JOURNAL_RULE;
    if (topic == NULL || (record->value.data == NULL && !is_rule)) {
        return BASE_ERR_OK; /* the group was deleted; so were its records, or they will be */
    }
    struct queue_group *group =
        queue__manager_recover_group(recovery->manager, topic, group_id, recovery->journal);
    if (group == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (partition == QUEUE_JOURNAL_REDRIVE) {
        return queue__redrive_recover(group, record->value);
    }
    return is_rule ? apply_rule(group, record->value)
                   : apply(group, topic, partition, record->value);
}

static enum base_err open_journals(struct queue_manager *manager, const struct catalog_topic *topic)
{
    manager->journals =
        base_alloc_array((size_t)topic->partitions_count, sizeof manager->journals[0]);
    if (manager->journals == NULL) {
        return BASE_ERR_NOMEM;
    }
    manager->journals_count = topic->partitions_count;
    for (int32_t i = 0; i < manager->journals_count; i++) {
        struct queue_journal *journal = &manager->journals[i];
        journal->manager = manager;
        journal->index = i;
        atomic_init(&journal->records, 0);
        atomic_init(&journal->is_snapshotting, false);
        atomic_init(&journal->watcher.fired, false);
        journal->partition = partition_table_get(manager->options.table, topic->id, i);
        if (journal->partition == NULL) {
            return BASE_ERR_OFFLINE;
        }
    }
    return BASE_ERR_OK;
}

struct letters_recovery {
    struct queue_manager *manager;
    enum base_err err;
};

/* An HT queue may have lost, with the power, messages that were consumed already. What cannot be
 * opened now is looked at when it is. */
static void cut_group(struct queue_group *group)
{
    base_mutex_lock(&group->lock);
    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[i];
        struct partition *partition =
            partition_table_get(group->manager->options.table, group->topic_id, i);
        struct partition_offsets offsets = {.err = BASE_ERR_OFFLINE};
        if (partition != NULL) {
            partition_offsets(partition, &offsets);
        }
        place->is_uncut = place->is_known;
        if (place->is_uncut && offsets.err == BASE_ERR_OK) {
            queue__place_cut(group, place, offsets.end);
        }
        partition_release(&partition);
    }
    base_mutex_unlock(&group->lock);
}

/* Dead letters of a queue's groups that a crash has left unsettled. */
static bool recover_letters(void *context, const struct catalog_topic *topic)
{
    struct letters_recovery *recovery = context;
    struct queue_manager *manager = recovery->manager;

    for (uint32_t i = 0; topic->redrive && i < topic->groups_count; i++) {
        struct queue_group *group =
            queue__manager_recover_group(manager, topic, base_slice_text(topic->groups[i].id),
                                         queue__manager_journal(manager, topic->id));
        if (group == NULL) {
            recovery->err = BASE_ERR_NOMEM;
            return false;
        }
        base_mutex_lock(&group->lock);
        recovery->err = queue__group_update(group, topic);
        for (int32_t k = 0; recovery->err == BASE_ERR_OK && k < group->places_count; k++) {
            queue__place_look(group, group->places[k], false);
        }
        if (recovery->err == BASE_ERR_OK) {
            recovery->err = queue__dead_letters_recover(group);
        }
        base_mutex_unlock(&group->lock);
        if (recovery->err != BASE_ERR_OK) {
            return false;
        }
    }
    return true;
}

static enum base_err recover_cursors(struct queue_open *open, const struct catalog_topic *topic)
{
    struct queue_manager *manager = open->manager;
    struct recovery recovery = {.manager = manager};

    recovery.view = catalog_view(manager->options.catalog);
    enum base_err err = open_journals(manager, topic);
    for (int32_t i = 0; err == BASE_ERR_OK && i < manager->journals_count; i++) {
        recovery.journal = &manager->journals[i];
        err = partition_replay(recovery.journal->partition, on_record, &recovery);
        if (err != BASE_ERR_OK) {
            base_log(BASE_LOG_ERROR, "CURSORS_NOT_RECOVERED",
                     "topic=" QUEUE_JOURNAL_TOPIC " partition=%" PRId32 " cause=\"%s\"", i,
                     base_err_text(err));
        }
    }
    struct letters_recovery letters = {.manager = manager, .err = BASE_ERR_OK};
    if (err == BASE_ERR_OK) {
        catalog_view_each(recovery.view, recover_letters, &letters);
        err = letters.err;
    }
    catalog_view_release(&recovery.view);
    if (err == BASE_ERR_OK) {
        err = queue__manager_groups_of(manager, NULL, &open->groups, &open->groups_count);
    }
    for (size_t i = 0; i < open->groups_count; i++) {
        cut_group(open->groups[i]);
    }
    return err;
}

static enum base_err recover_delays(struct queue_open *open, const struct catalog_topic *topic)
{
    enum base_err err = queue__delay_create(open->manager, topic);
    return err == BASE_ERR_OK ? queue__delay_recover(open->manager) : err;
}

static int32_t journal_partitions(const struct queue_manager *manager)
{
    return manager->options.journal_partitions;
}

static int32_t delay_partitions(const struct queue_manager *manager)
{
    return manager->options.delay_partitions;
}

/* In this order: cursors that were cut here must be on disk before what is delayed is moved. */
static const struct step steps[] = {
    {QUEUE_JOURNAL_TOPIC, journal_partitions, recover_cursors, write_cut},
    {QUEUE_DELAY_TOPIC, delay_partitions, recover_delays, next_step},
};

enum { STEPS_COUNT = sizeof steps / sizeof steps[0] };

static const struct step *step_of(const struct queue_open *open)
{
    BASE_ASSERT(open->steps_begun >= 1);
    BASE_ASSERT(open->steps_begun <= STEPS_COUNT);
    return &steps[open->steps_begun - 1];
}

static void recovered(struct base_task *task)
{
    struct queue_open *open = open_of_work(task);
    step_of(open)->end(open);
}

/* On the worker. */
static void work(struct base_task *task)
{
    struct queue_open *open = open_of_work(task);
    const struct step *step = step_of(open);
    struct catalog_view *view = catalog_view(open->manager->options.catalog);
    const struct catalog_topic *topic = catalog_view_topic(view, base_slice_text(step->topic));

    open->err = topic == NULL ? BASE_ERR_NOT_FOUND : step->recover(open, topic);
    catalog_view_release(&view);
    open->work.run = recovered;
    base_executor_post(open->executor, &open->work);
}

static void on_topic_made(struct base_task *task)
{
    struct partition_topic_op *op = BASE_CONTAINER_OF(task, struct partition_topic_op, task);
    struct queue_open *open = BASE_CONTAINER_OF(op, struct queue_open, topic_op);

    catalog_topic_release(&op->topic);
    if (op->verdict == CATALOG_DONE || op->verdict == CATALOG_EXISTS) {
        base_executor_post(open->manager->options.worker, &open->work);
        return;
    }
    const struct step *step = step_of(open);
    open->err = catalog_internal_refused(step->topic, step->partitions_count(open->manager),
                                         op->verdict, op->err);
    finish(open);
}

static struct catalog_topic *draft_topic(const struct queue_manager *manager,
                                         const struct step *step)
{
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text(step->topic), base_slice_of(NULL, 0), CATALOG_INTERNAL);
    if (draft == NULL) {
        return NULL;
    }
    draft->partitions_count = step->partitions_count(manager);
    if (catalog_config_set(&draft->config, CATALOG_CONFIG_RETENTION_MS, base_slice_text("-1")) !=
        BASE_ERR_OK) {
        catalog_topic_release(&draft);
    }
    return draft;
}

/* Makes the topic of the step if there is none, and recovers what is in it. */
static void begin_step(struct queue_open *open)
{
    struct queue_manager *manager = open->manager;
    const struct step *step = step_of(open);
    struct catalog_view *view = catalog_view(manager->options.catalog);
    bool exists = catalog_view_topic(view, base_slice_text(step->topic)) != NULL;

    catalog_view_release(&view);
    open->work.run = work;
    if (exists) {
        base_executor_post(manager->options.worker, &open->work);
        return;
    }
    struct catalog_topic *draft = draft_topic(manager, step);
    if (draft == NULL) {
        open->err = BASE_ERR_NOMEM;
        finish(open);
        return;
    }
    open->topic_op.executor = open->executor;
    open->topic_op.task.run = on_topic_made;
    partition_create_topic(manager->options.table, draft, &open->topic_op);
}

static void next_step(struct queue_open *open)
{
    if (open->err != BASE_ERR_OK || open->steps_begun == STEPS_COUNT) {
        finish(open);
        return;
    }
    open->steps_begun++;
    begin_step(open);
}

static void begin(struct base_task *task)
{
    next_step(open_of_work(task));
}

void queue_manager_open(struct queue_manager *manager, struct queue_open *open)
{
    BASE_ASSERT(manager->journals == NULL);
    BASE_ASSERT(open->executor != NULL);
    BASE_ASSERT(open->task.run != NULL);

    open->manager = manager;
    open->err = BASE_ERR_OK;
    open->steps_begun = 0;
    open->groups = NULL;
    open->groups_count = 0;
    open->groups_done = 0;
    open->work.run = begin;
    base_executor_post(open->executor, &open->work);
}
