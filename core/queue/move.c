/* A move, step by step: collect, copy, journal, settle. */
#include "core/queue/move_priv.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/queue/manager_priv.h"
#include "core/queue/redrive_priv.h"

enum { MOVE_STEPS_MAX = 10000 }; /* offsets looked at before others get the thread */

#define MAY(state) (1u << QUEUE_MOVE_##state)
static const unsigned moves[QUEUE_MOVE_STATE_COUNT] = {
    [QUEUE_MOVE_IDLE] = MAY(COLLECTING),
    [QUEUE_MOVE_COLLECTING] = MAY(APPENDING) | MAY(IDLE),
    [QUEUE_MOVE_APPENDING] = MAY(COPIED) | MAY(IDLE),
    [QUEUE_MOVE_COPIED] = MAY(JOURNALING),
    [QUEUE_MOVE_JOURNALING] = MAY(IDLE) | MAY(COPIED),
};
#undef MAY

/* The only writer of move->state. */
static void enter(struct queue_move *move, enum queue_move_state next)
{
    BASE_ASSERT((moves[move->state] & (1u << next)) != 0);
    move->state = next;
}

static int64_t now_us(const struct queue_group *group)
{
    return base_clock_monotonic_us(group->manager->options.clock);
}

/* Not again before a while. */
static void postpone(struct queue_move *move, enum base_err err)
{
    if (move->err == BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, move->ops->event, "topic=%s group=%s cause=\"%s\"",
                 move->group->topic->name, move->group->id, base_err_text(err));
    }
    move->err = err;
    move->retry_us = now_us(move->group) + QUEUE_MOVE_RETRY_US;
    if (move->ops->over != NULL) {
        move->ops->over(move->group, 0, err);
    }
}

/* Nothing was copied: the messages are where they were. */
static void give_up(struct queue_move *move, enum base_err err)
{
    for (uint32_t i = 0; i < move->items_count; i++) {
        queue_cursor_move_undo(&move->items[i].place->cursor, move->items[i].offset);
    }
    move->items_count = 0;
    base_writer_fini(&move->writer);
    queue__window_free(&move->window);
    partition_release(&move->target);
    enter(move, QUEUE_MOVE_IDLE);
    if (err != BASE_ERR_OK) {
        postpone(move, err);
    }
}

void queue__move_free(struct queue_move **move)
{
    struct queue_move *dropped = *move;

    *move = NULL;
    if (dropped == NULL) {
        return;
    }
    base_writer_fini(&dropped->writer);
    queue__window_free(&dropped->window);
    partition_release(&dropped->target);
    base_free(dropped);
}

/* What became of one step of collecting. */
enum step {
    STEP_NEXT,
    STEP_FULL,    /* the batch is large enough */
    STEP_READING, /* a read is under way; its end runs the group again */
    STEP_FAILED   /* see move->step_err */
};

static enum step fail_step(struct queue_move *move, enum base_err err)
{
    move->step_err = err;
    return STEP_FAILED;
}

/* The log has nothing at the offset. Its start may have moved past it, which the cursor knows after
 * a look; otherwise the log has lost it, and the same would be read again and again. */
static enum step out_of_range(struct queue_move *move, struct queue_place *place, int64_t offset)
{
    queue__place_look(move->group, place, true);
    return offset < place->cursor.trimmed_to ? STEP_NEXT : fail_step(move, BASE_ERR_OFFLINE);
}

static enum step fetch(struct queue_move *move, struct queue_place *place, int64_t offset)
{
    struct queue_reader *reader = &move->window->reader;

    if (queue__reader_fetch(reader, place->partition, offset) == LOGSTORE_IO_PENDING) {
        move->group->reads_count++;
        (void)queue__group_hold(move->group);
        return STEP_READING;
    }
    if (reader->has_window) {
        return STEP_NEXT;
    }
    if (reader->err == BASE_ERR_OUT_OF_RANGE) {
        return out_of_range(move, place, offset);
    }
    queue__place_look(move->group, place, true);
    return fail_step(move, reader->err == BASE_ERR_OK ? BASE_ERR_OFFLINE : reader->err);
}

static enum step take(struct queue_move *move, struct queue_place *place,
                      const struct logstore_record *record)
{
    size_t size = record->value.length + record->headers.length;
    size_t written = logstore_records_builder_size_bytes(&move->builder);

    if (queue__has_expired(record, queue__group_oldest_ms(move->group))) {
        enum base_err err = queue_cursor_drop(&place->cursor, record->offset, record->offset + 1);
        return err == BASE_ERR_OK ? STEP_NEXT : fail_step(move, err);
    }
    if (move->items_count > 0 && written + size > QUEUE_MOVE_BYTES_MAX) {
        return STEP_FULL;
    }
    enum base_err err = queue_cursor_move(&place->cursor, record->offset);
    if (err == BASE_ERR_OK) {
        move->items[move->items_count++] =
            (struct queue_move_item){.place = place, .offset = record->offset};
        err = move->ops->copy(move, place, record);
        if (err != BASE_ERR_OK) {
            move->items_count--;
            queue_cursor_move_undo(&place->cursor, record->offset);
        }
    }
    return err == BASE_ERR_OK ? STEP_NEXT : fail_step(move, err);
}

/* Deals with one message. */
static enum step step(struct queue_move *move, struct queue_place *place, int64_t offset)
{
    struct queue_group *group = move->group;
    struct logstore_record record;
    struct base_buffer *buffer;
    int64_t gap_to;
    enum base_err err = BASE_ERR_OK;

    if (place->partition == NULL) {
        queue__place_look(group, place, true);
    }
    if (place->partition == NULL) {
        return fail_step(move, BASE_ERR_OFFLINE);
    }
    if (move->window != NULL && move->window->place != place) {
        queue__window_free(&move->window);
    }
    if (move->window == NULL) {
        move->window = queue__window_create(group, place);
    }
    if (move->window == NULL) {
        return fail_step(move, BASE_ERR_NOMEM);
    }
    /* A letter that was named may lie behind others that nobody has looked at yet. */
    err = queue_cursor_reach(&place->cursor, offset);
    if (err != BASE_ERR_OK) {
        return fail_step(move, err);
    }
    switch (queue__reader_find(&move->window->reader, offset, &record, &buffer, &gap_to)) {
    case QUEUE_READER_ELSEWHERE:
        return fetch(move, place, offset);
    case QUEUE_READER_FAILED:
        return fail_step(move, move->window->reader.err);
    case QUEUE_READER_GAP:
        err = queue_cursor_pass_gap(&place->cursor, offset, gap_to);
        break;
    case QUEUE_READER_DAMAGED:
        err = queue_cursor_drop(&place->cursor, offset, gap_to);
        break;
    case QUEUE_READER_RECORD:
        return take(move, place, &record);
    }
    return err == BASE_ERR_OK ? STEP_NEXT : fail_step(move, err);
}

/* What the end of a read that was waited for means: after a failure the same read is not made
 * again at once. */
static enum step end_read(struct queue_move *move)
{
    const struct queue_reader *reader = &move->window->reader;

    if (reader->err == BASE_ERR_OUT_OF_RANGE) {
        return out_of_range(move, move->window->place, reader->read.offset);
    }
    return reader->err == BASE_ERR_OK ? STEP_NEXT : fail_step(move, reader->err);
}

/* Collects a batch. False: wait. */
static bool collect(struct queue_move *move)
{
    enum step result = STEP_NEXT;
    struct queue_place *place = NULL;

    if (move->window != NULL && move->window->reader.is_pending) {
        return false;
    }
    if (move->window != NULL) {
        place = move->window->place;
        result = end_read(move);
    }
    for (unsigned i = 0;
         result == STEP_NEXT && i < MOVE_STEPS_MAX && move->items_count < QUEUE_MOVE_MESSAGES_MAX;
         i++) {
        int64_t offset;
        place = move->ops->pick(move->group, &offset);
        if (place == NULL) {
            break;
        }
        result = step(move, place, offset);
    }
    if (result == STEP_FAILED) {
        move->rotation = place->index + 1; /* it does not hold up the others */
    }
    if (result == STEP_READING) {
        return false;
    }
    if (move->items_count == 0) {
        give_up(move, result == STEP_FAILED ? move->step_err : BASE_ERR_OK);
        return false;
    }
    return true;
}

static void settle(struct queue_move *move)
{
    uint32_t count = move->items_count;

    for (uint32_t i = 0; i < count; i++) {
        queue_cursor_move_settle(&move->items[i].place->cursor, move->items[i].offset);
    }
    move->items_count = 0;
    move->err = BASE_ERR_OK;
    enter(move, QUEUE_MOVE_IDLE);
    if (move->ops->over != NULL) {
        move->ops->over(move->group, count, BASE_ERR_OK);
    }
}

/* The journal did not take it; the copies stay where they are. */
static void journal_failed(struct queue_move *move, enum base_err err)
{
    for (uint32_t i = 0; i < move->items_count; i++) {
        queue_cursor_unmoved(&move->items[i].place->cursor, move->items[i].offset);
    }
    enter(move, QUEUE_MOVE_COPIED);
    postpone(move, err);
}

static void on_journaled(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_move *move = BASE_CONTAINER_OF(waiter, struct queue_move, waiter);
    struct base_executor *executor = waiter->executor;
    struct queue_group *group = move->group;

    base_mutex_lock(&group->lock);
    if (waiter->err == BASE_ERR_OK) {
        settle(move);
    } else {
        journal_failed(move, waiter->err);
    }
    queue__group_run(group, executor);
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
}

/* What the move means for one place: its items are done. */
static void add_record(struct queue_move *move, struct queue_place *place,
                       struct queue_journal_batch *batch)
{
    struct queue_record_range done[QUEUE_MOVE_MESSAGES_MAX];
    struct queue_record record;

    queue__record_init(&record, &place->cursor);
    record.done = done;
    if (move->ops->sets_dead_to) {
        record.dead_to = move->target_end;
    }
    for (uint32_t i = 0; i < move->items_count; i++) {
        int64_t offset = move->items[i].offset;
        const struct queue_slot *slot = queue_cursor_slot(&place->cursor, offset);
        if (move->items[i].place != place || slot == NULL || slot->state != QUEUE_SLOT_MOVED) {
            continue; /* of another place; or the group was reset meanwhile */
        }
        if (record.done_count > 0 && done[record.done_count - 1].last + 1 == offset) {
            done[record.done_count - 1].last = offset;
        } else {
            done[record.done_count++] =
                (struct queue_record_range){.first = offset, .last = offset};
        }
    }
    queue__journal_add(batch, move->group->id, place->index, &record);
}

static bool has_item_of(const struct queue_move *move, const struct queue_place *place)
{
    for (uint32_t i = 0; i < move->items_count; i++) {
        if (move->items[i].place == place) {
            return true;
        }
    }
    return false;
}

/* Writes down that the originals are done. */
static void journal(struct queue_move *move, struct base_executor *current)
{
    struct queue_group *group = move->group;
    struct queue_journal_batch batch;
    bool pending;

    enter(move, QUEUE_MOVE_JOURNALING);
    enum base_err err = queue__group_write_passed(group, current, QUEUE_UNWRITTEN_MAX);
    if (err != BASE_ERR_OK) {
        journal_failed(move, err);
        return;
    }
    for (uint32_t i = 0; i < move->items_count; i++) {
        (void)queue_cursor_moved(&move->items[i].place->cursor, move->items[i].offset);
    }
    queue__journal_begin(&batch, group->journal, base_clock_wall_ms(group->manager->options.clock));
    for (int32_t i = 0; i < group->places_count; i++) {
        if (has_item_of(move, group->places[i])) {
            add_record(move, group->places[i], &batch);
        }
    }
    if (move->ops->journal != NULL) {
        move->ops->journal(move, &batch);
    }
    move->waiter = (struct partition_waiter){.executor = current, .task = {.run = on_journaled}};
    err = queue__journal_append(&batch, current, &move->waiter, &pending);
    if (err != BASE_ERR_OK) {
        journal_failed(move, err);
        return;
    }
    for (int32_t i = 0; move->ops->sets_dead_to && i < group->places_count; i++) {
        if (has_item_of(move, group->places[i])) {
            queue_cursor_set_dead_to(&group->places[i]->cursor, move->target_end);
        }
    }
    if (pending) {
        (void)queue__group_hold(group);
    } else {
        settle(move);
    }
}

static void on_copied(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_move *move = BASE_CONTAINER_OF(waiter, struct queue_move, waiter);
    struct base_executor *executor = waiter->executor;
    struct queue_group *group = move->group;

    base_mutex_lock(&group->lock);
    if (waiter->err == BASE_ERR_OK) {
        partition_release(&move->target);
        enter(move, QUEUE_MOVE_COPIED);
    } else {
        /* Nobody knows whether they are there; the next start will. */
        give_up(move, waiter->err);
    }
    queue__group_run(group, executor);
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
}

/* Appends what was collected to the target. */
static void append(struct queue_move *move, struct base_executor *current)
{
    struct partition_appended appended = {0};
    struct base_chunk chunk = {0};

    queue__window_free(&move->window);
    move->target = move->ops->target(move->group);
    if (move->target == NULL) {
        give_up(move, BASE_ERR_OFFLINE);
        return;
    }
    enum base_err err = logstore_records_builder_finish(&move->builder);
    if (err == BASE_ERR_OK) {
        chunk.buffer = base_writer_take(&move->writer, &chunk.length);
        move->waiter = (struct partition_waiter){.executor = current, .task = {.run = on_copied}};
        err = partition_append(move->target, &chunk, &move->builder.header, PARTITION_ACK_ALL,
                               current, &move->waiter, &appended);
        base_buffer_release(&chunk.buffer);
    }
    base_writer_fini(&move->writer);
    if (err != BASE_ERR_OK) {
        give_up(move, err);
        return;
    }
    BASE_ASSERT(appended.verdict == LOGSTORE_VERDICT_APPEND);
    move->target_end = appended.end_offset;
    enter(move, QUEUE_MOVE_APPENDING);
    if (appended.pending) {
        (void)queue__group_hold(move->group);
        return;
    }
    partition_release(&move->target);
    enter(move, QUEUE_MOVE_COPIED);
}

/* NULL: nothing is ever moved out of this group. */
static const struct queue_move_ops *ops_of(const struct queue_group *group)
{
    if (queue__redrive_is_running(group)) {
        return &queue__redrive_ops;
    }
    return group->topic->redrive ? &queue__dead_letter_ops : NULL;
}

static bool has_work(struct queue_group *group)
{
    const struct queue_move_ops *ops = ops_of(group);
    int64_t offset;
    return ops != NULL && ops->pick(group, &offset) != NULL;
}

static bool begin(struct queue_group *group)
{
    struct queue_move *move = group->move;

    group->move_retry_us = 0;
    if (!has_work(group)) {
        queue__move_free(&group->move);
        return false;
    }
    if (move == NULL) {
        move = base_alloc_object(struct queue_move);
        if (move == NULL) {
            group->move_retry_us = now_us(group) + QUEUE_MOVE_RETRY_US;
            return false;
        }
        move->group = group;
        move->ops = ops_of(group);
        group->move = move;
    }
    move->now_ms = base_clock_wall_ms(group->manager->options.clock);
    base_writer_init(&move->writer, SIZE_MAX / 2);
    logstore_records_builder_begin(&move->builder, &move->writer);
    enter(move, QUEUE_MOVE_COLLECTING);
    return true;
}

void queue__move_run(struct queue_group *group, struct base_executor *current)
{
    struct queue_move *move = group->move;

    base_mutex_assert_held(&group->lock);
    if (move != NULL && move->retry_us > now_us(group)) {
        return;
    }
    if ((move == NULL || move->state == QUEUE_MOVE_IDLE) && !begin(group)) {
        return;
    }
    move = group->move;
    move->retry_us = 0;
    if (move->state == QUEUE_MOVE_COLLECTING && collect(move)) {
        append(move, current);
    }
    if (move->state == QUEUE_MOVE_COPIED) {
        journal(move, current);
    }
}

int64_t queue__move_alarm_us(const struct queue_group *group)
{
    const struct queue_move *move = group->move;

    if (move == NULL) {
        return group->move_retry_us != 0 ? group->move_retry_us : INT64_MAX;
    }
    if (move->retry_us != 0) {
        return move->retry_us;
    }
    return move->state == QUEUE_MOVE_IDLE ? now_us(group) : INT64_MAX;
}
