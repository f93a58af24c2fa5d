/* Keeping one partition of the journal short.
 *
 * Each cursor is written whole under its group's lock, so it comes behind everything it
 * contains and in front of everything that follows. What lies before the snapshot's first
 * record is trimmed only when its last one is durable; a snapshot that fails is just forgotten.
 *
 * The log may begin before that: groups go on writing while others are written whole, and a start
 * that a full disk could not note is forgotten with a crash. So what adds to a cursor comes first
 * sometimes; recovery passes over it. */
#include <inttypes.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"

enum { SNAPSHOT_GROUPS_PER_TURN = 16 };

static struct queue_journal *journal_of(struct base_task *task)
{
    return BASE_CONTAINER_OF(task, struct queue_journal, task);
}

/* Over, one way or the other. */
static void finish(struct queue_journal *journal, enum base_err err)
{
    struct queue_manager *manager = journal->manager;

    for (size_t i = 0; i < journal->groups_count; i++) {
        queue__group_release(&journal->groups[i]);
    }
    base_free(journal->groups);
    journal->groups = NULL;
    journal->groups_count = 0;
    if (err != BASE_ERR_OK && err != BASE_ERR_CLOSED) {
        base_log(BASE_LOG_WARN, "SNAPSHOT_FAILED",
                 "topic=" QUEUE_JOURNAL_TOPIC " partition=%" PRId32 " cause=\"%s\"", journal->index,
                 base_err_text(err));
    }
    atomic_store(&journal->is_snapshotting, false);
    queue__manager_release(manager);
}

static void on_trimmed(struct base_task *task)
{
    struct logstore_trim *trim = BASE_CONTAINER_OF(task, struct logstore_trim, task);
    struct queue_journal *journal = BASE_CONTAINER_OF(trim, struct queue_journal, trim);
    finish(journal, trim->err);
}

static void trim(struct queue_journal *journal)
{
    struct partition_offsets offsets;

    partition_offsets(journal->partition, &offsets);
    enum base_err err = offsets.err;
    if (err == BASE_ERR_OK) {
        BASE_ASSERT(offsets.high_watermark >= journal->end_offset);
        journal->trim =
            (struct logstore_trim){.executor = journal->executor, .task = {.run = on_trimmed}};
        err = partition_trim(journal->partition, journal->start_offset, &journal->trim);
    }
    if (err != BASE_ERR_OK) {
        finish(journal, err);
    }
}

static void on_durable(struct base_task *task)
{
    struct partition_watcher *watcher = BASE_CONTAINER_OF(task, struct partition_watcher, task);
    trim(BASE_CONTAINER_OF(watcher, struct queue_journal, watcher));
}

/* Everything is appended: waits until it is durable. */
static void wait_durable(struct queue_journal *journal)
{
    struct partition_offsets offsets;

    partition_offsets(journal->partition, &offsets);
    if (offsets.err != BASE_ERR_OK) {
        finish(journal, offsets.err);
        return;
    }
    journal->end_offset = offsets.end;
    journal->watcher.executor = journal->executor;
    journal->watcher.task.run = on_durable;
    atomic_store(&journal->watcher.fired, false);
    journal->watch.watcher = &journal->watcher;
    journal->watch.offset = offsets.end - 1;
    if (partition_watch(journal->partition, &journal->watch)) {
        trim(journal);
    }
}

static void write_some(struct base_task *task)
{
    struct queue_journal *journal = journal_of(task);

    for (unsigned i = 0;
         i < SNAPSHOT_GROUPS_PER_TURN && journal->groups_done < journal->groups_count; i++) {
        struct queue_group *group = journal->groups[journal->groups_done++];
        enum base_err err = BASE_ERR_OK;
        base_mutex_lock(&group->lock);
        if (!group->is_closed) {
            err = queue__group_write_all(group, journal->executor);
        } else if (!group->is_deleted) {
            err = BASE_ERR_CLOSED; /* it lives on in the journal: nothing may be trimmed */
        }
        base_mutex_unlock(&group->lock);
        if (err != BASE_ERR_OK) {
            finish(journal, err);
            return;
        }
    }
    if (journal->groups_done < journal->groups_count) {
        base_executor_post(journal->executor, &journal->task);
    } else {
        wait_durable(journal);
    }
}

static void begin(struct base_task *task)
{
    struct queue_journal *journal = journal_of(task);
    struct partition_offsets offsets;

    atomic_store(&journal->records, 0);
    partition_offsets(journal->partition, &offsets);
    journal->start_offset = offsets.end;
    enum base_err err = offsets.err;
    if (err == BASE_ERR_OK) {
        err = queue__manager_groups_of(journal->manager, journal, &journal->groups,
                                       &journal->groups_count);
    }
    if (err != BASE_ERR_OK) {
        finish(journal, err);
        return;
    }
    journal->groups_done = 0;
    journal->task.run = write_some;
    write_some(task);
}

void queue__snapshot_start(struct queue_journal *journal, struct base_executor *executor)
{
    if (atomic_exchange(&journal->is_snapshotting, true)) {
        return;
    }
    queue__manager_hold(journal->manager);
    journal->executor = executor;
    journal->task.run = begin;
    base_executor_post(executor, &journal->task);
}
