/* A group's cursors, whole, into the journal. */
#include "core/queue/group_priv.h"

#include "core/base/assert.h"
#include "core/queue/manager_priv.h"
#include "core/queue/redrive_priv.h"

enum { WRITE_BATCH_BYTES = 64 << 10 }; /* after so many, further cursors go into the next batch */

void queue__group_write_tombstones(struct queue_group *group)
{
    struct queue_journal_batch batch;

    if (group->places_count == 0 && group->rule_state == QUEUE_RULE_NONE &&
        group->redrive == NULL) {
        return;
    }
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(group->manager->options.clock));
    for (int32_t i = 0; i < group->places_count; i++) {
        queue__journal_add(&batch, group->id, i, NULL);
    }
    queue__journal_add_rule(&batch, group->id, NULL);
    if (group->redrive != NULL) {
        queue__journal_add_redrive(&batch, group->id, NULL);
    }
    queue__journal_send(&batch, group->home);
}

/* Cursors that go into batches. All records of one cursor are in one batch. */
struct writing {
    struct queue_journal_batch batch;
    struct queue_group *group;
    bool all;
    int32_t first; /* index of the first place that is in no earlier batch */
    int32_t index; /* of the place that is written now */
};

static bool is_wanted(const struct writing *writing, const struct queue_place *place)
{
    return place->is_known && (writing->all || place->is_unwritten);
}

static void begin(struct writing *writing)
{
    struct queue_group *group = writing->group;

    queue__journal_begin(&writing->batch, group->journal,
                         base_clock_wall_ms(group->manager->options.clock));
    writing->first = writing->index;
}

static void write_record(void *context, const struct queue_record *record)
{
    struct writing *writing = context;
    queue__journal_add(&writing->batch, writing->group->id, writing->index, record);
}

/* Appends the cursors in front of `index`. */
static enum base_err append(struct writing *writing, struct base_executor *current,
                            struct partition_waiter *waiter, bool *pending)
{
    enum base_err err = queue__journal_append(&writing->batch, current, waiter, pending);

    for (int32_t i = writing->first; err == BASE_ERR_OK && i < writing->index; i++) {
        struct queue_place *place = writing->group->places[i];
        if (is_wanted(writing, place)) {
            queue_cursor_written(&place->cursor);
        }
        place->is_unwritten = false;
    }
    return err;
}

static enum base_err write_places(struct queue_group *group, bool all,
                                  struct base_executor *current, struct partition_waiter *waiter,
                                  bool *pending)
{
    struct writing writing = {.group = group, .all = all};
    bool has_records = false;
    enum base_err err = BASE_ERR_OK;

    base_mutex_assert_held(&group->lock);
    *pending = false;
    begin(&writing);
    for (; writing.index < group->places_count; writing.index++) {
        struct queue_place *place = group->places[writing.index];
        if (!is_wanted(&writing, place)) {
            continue;
        }
        if (logstore_records_builder_size_bytes(&writing.batch.builder) >= WRITE_BATCH_BYTES) {
            err = append(&writing, current, NULL, pending); /* before the last: not waited for */
            if (err != BASE_ERR_OK) {
                return err;
            }
            begin(&writing);
        }
        queue__record_all(&place->cursor, write_record, &writing);
        has_records = true;
    }
    if (all && group->rule_state != QUEUE_RULE_NONE) {
        queue__journal_add_rule(&writing.batch, group->id, &group->rule);
        has_records = true;
    }
    /* NONE: one that could not be written down when it was asked for. */
    if (all && group->redrive != NULL && group->redrive->record.state != QUEUE_REDRIVE_NONE) {
        const struct queue_redrive_record redrive = queue__redrive_record(group);
        queue__journal_add_redrive(&writing.batch, group->id, &redrive);
        has_records = true;
    }
    if (has_records) {
        err = append(&writing, current, waiter, pending);
    } else {
        queue__journal_drop(&writing.batch);
    }
    group->has_unwritten = group->has_unwritten && err != BASE_ERR_OK;
    return err;
}

enum base_err queue__group_write_starts(struct queue_group *group, struct base_executor *current,
                                        struct partition_waiter *waiter, bool *pending)
{
    *pending = false;
    return group->has_unwritten ? write_places(group, false, current, waiter, pending)
                                : BASE_ERR_OK;
}

enum base_err queue__group_write_passed(struct queue_group *group, struct base_executor *current,
                                        int64_t passed_max)
{
    bool pending;

    for (int32_t i = 0; i < group->places_count; i++) {
        struct queue_place *place = group->places[i];
        if (place->cursor.unwritten_count > passed_max) {
            place->is_unwritten = true;
            group->has_unwritten = true;
        }
    }
    return queue__group_write_starts(group, current, NULL, &pending);
}

enum base_err queue__group_write_all(struct queue_group *group, struct base_executor *current)
{
    bool pending;
    return write_places(group, true, current, NULL, &pending);
}
