/* Redrive: dead letters back to the end of their queue, at a rate. */
#include "core/queue/redrive_priv.h"

#include <assert.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/dead_letter.h"
#include "core/queue/manager_priv.h"

enum {
    CREDIT_PER_MESSAGE = 1000 * 1000, /* so that microseconds times rate is credit */
    CREDIT_MAX_US = 1000 * 1000,      /* what is not used is not saved up for longer */
    BATCHES_PER_SECOND = 10,          /* credit is collected for so many */
    WAIT_US = 1000 * 1000,            /* between looks at what cannot be moved now */
};

static const char *const state_texts[] = {
    [QUEUE_REDRIVE_NONE] = "none",
    [QUEUE_REDRIVE_RUNNING] = "running",
    [QUEUE_REDRIVE_COMPLETED] = "completed",
    [QUEUE_REDRIVE_CANCELLED] = "cancelled",
};

static_assert(sizeof state_texts / sizeof state_texts[0] == QUEUE_REDRIVE_STATE_COUNT,
              "one text a state");

const char *queue_redrive_state_text(enum queue_redrive_state state)
{
    BASE_ASSERT((unsigned)state < QUEUE_REDRIVE_STATE_COUNT);
    return state_texts[state];
}

static int64_t now_us(const struct queue_group *group)
{
    return base_clock_monotonic_us(group->manager->options.clock);
}

/* Dead letters have one partition. */
static struct queue_place *place_of(const struct queue_group *group)
{
    return group->places_count == 0 ? NULL : group->places[0];
}

static bool is_left(const struct queue_place *place, int64_t offset)
{
    const struct queue_slot *slot = queue_cursor_slot(&place->cursor, offset);

    if (offset < place->cursor.floor || offset >= place->end) {
        return false;
    }
    return slot == NULL || (slot->state != QUEUE_SLOT_DONE && slot->state != QUEUE_SLOT_SKIPPED &&
                            slot->state != QUEUE_SLOT_FILTERED);
}

/* Letters that are still to be moved. */
static int64_t count_left(const struct queue_group *group)
{
    const struct queue_redrive_record *record = &group->redrive->record;
    const struct queue_place *place = place_of(group);
    int64_t count = 0;

    if (place == NULL || place->end < 0) {
        return 0;
    }
    for (uint32_t i = 0; i < record->offsets_count; i++) {
        count += is_left(place, record->offsets[i]);
    }
    if (record->offsets_count > 0) {
        return count;
    }
    int64_t limit = record->limit < place->end ? record->limit : place->end;
    int64_t known = limit < place->cursor.next ? limit : place->cursor.next;
    for (int64_t offset = place->cursor.floor;
         offset < known && (offset = queue_cursor_next_undone(&place->cursor, offset)) < known;
         offset++) {
        count += is_left(place, offset);
    }
    return limit > place->cursor.next ? count + limit - place->cursor.next : count;
}

/* Taking the letter means to look at what lies in front of it, which would be more than may be not
 * done at once. */
static bool is_too_far(const struct queue_place *place, int64_t offset)
{
    const struct queue_cursor *cursor = &place->cursor;
    return offset >= cursor->next &&
           offset - cursor->floor - cursor->done_count >= QUEUE_UNDONE_MAX;
}

/* The first of the letters named that can be taken now; -1 when there is none. */
static int64_t next_named(const struct queue_redrive_record *record,
                          const struct queue_place *place)
{
    for (uint32_t i = 0; i < record->offsets_count; i++) {
        int64_t offset = record->offsets[i];
        const struct queue_slot *slot = queue_cursor_slot(&place->cursor, offset);
        bool is_free = slot == NULL || slot->state == QUEUE_SLOT_READY;
        if (is_left(place, offset) && is_free && !is_too_far(place, offset)) {
            return offset;
        }
    }
    return -1;
}

/* The next letter that can be taken, if the rate lets it; -1 when there is none now. */
static int64_t next_letter(const struct queue_group *group, struct queue_place *place)
{
    const struct queue_redrive_record *record = &group->redrive->record;
    int64_t limit = record->limit < place->end ? record->limit : place->end;

    if (place->end < 0 || (group->topic->kind == CATALOG_FIFO && place->cursor.open_count > 0)) {
        return -1; /* in a FIFO queue what is in flight comes first */
    }
    return record->offsets_count > 0 ? next_named(record, place)
                                     : queue_cursor_candidate(&place->cursor, limit);
}

/* Credit for a batch that is worth its two syncs. */
static int64_t credit_wanted(const struct queue_redrive_record *record)
{
    int64_t batch = record->rate / BATCHES_PER_SECOND;
    return (batch > 0 ? batch : 1) * CREDIT_PER_MESSAGE;
}

static struct queue_place *pick(struct queue_group *group, int64_t *offset)
{
    const struct queue_redrive_task *task = group->redrive;
    struct queue_place *place = place_of(group);
    bool is_collecting = group->move != NULL && group->move->state == QUEUE_MOVE_COLLECTING;
    int64_t wanted = is_collecting ? CREDIT_PER_MESSAGE : credit_wanted(&task->record);

    *offset = -1;
    if (queue__redrive_is_running(group) && place != NULL && task->credit >= wanted) {
        *offset = next_letter(group, place);
    }
    return *offset < 0 ? NULL : place;
}

static bool starts_with(struct base_slice key, const char *prefix)
{
    size_t length = strlen(prefix);
    return key.length >= length && memcmp(key.data, prefix, length) == 0;
}

/* Headers that say how the message came to be here, and not what it is. */
static bool is_dropped(struct base_slice key)
{
    return queue_dead_letter_is_header(key) || starts_with(key, QUEUE_REDRIVE_PREFIX) ||
           base_slice_is(key, "dms.deliver_at") || base_slice_is(key, "dms.delay_offset");
}

static enum base_err copy(struct queue_move *move, const struct queue_place *place,
                          const struct logstore_record *record)
{
    size_t room = (size_t)record->headers_count + 1;
    struct logstore_header *copies = base_alloc_array(room, sizeof copies[0]);
    char group_id[CATALOG_GROUP_ID_SIZE];
    struct logstore_headers headers;
    struct logstore_header one;
    size_t count = 0;

    (void)place;
    if (copies == NULL) {
        return BASE_ERR_NOMEM;
    }
    logstore_headers_init(&headers, record);
    while (logstore_headers_next(&headers, &one)) {
        if (!is_dropped(one.key)) {
            copies[count++] = one;
        }
    }
    BASE_ASSERT(strlen(move->group->id) == sizeof group_id - 1);
    memcpy(group_id, move->group->id, sizeof group_id);
    group_id[0] = 'g';
    copies[count++] = (struct logstore_header){.key = base_slice_text(QUEUE_REDRIVE_GROUP),
                                               .value = base_slice_text(group_id)};
    const struct logstore_record_input input = {
        .timestamp_ms = move->now_ms,
        .key = record->key,
        .value = record->value,
        .headers = copies,
        .headers_count = count,
    };
    logstore_records_builder_add(&move->builder, &input);
    base_free(copies);
    move->group->redrive->credit -= CREDIT_PER_MESSAGE;
    return BASE_ERR_OK;
}

/* A partition of the queue, in rotation among those online. */
static struct partition *target(struct queue_group *group)
{
    struct queue_manager *manager = group->manager;
    struct catalog_view *view = catalog_view(manager->options.catalog);
    const struct catalog_topic *queue = catalog_view_topic_by_id(view, group->topic->origin_id);
    struct partition *found = NULL;
    unsigned count = queue == NULL ? 0 : (unsigned)queue->partitions_count;
    unsigned first = atomic_fetch_add(&manager->rotation, 1);

    for (unsigned i = 0; i < count && found == NULL; i++) {
        struct partition_offsets offsets;
        int32_t index = (int32_t)((first % count + i) % count);
        found = partition_table_get(manager->options.table, group->topic->origin_id, index);
        if (found != NULL) {
            partition_offsets(found, &offsets);
            if (offsets.err != BASE_ERR_OK) {
                partition_release(&found);
            }
        }
    }
    catalog_view_release(&view);
    return found;
}

/* What was moved, with the letters that are done by it. */
static void journal(struct queue_move *move, struct queue_journal_batch *batch)
{
    struct queue_redrive_record record = move->group->redrive->record;

    record.moved += move->items_count;
    queue__journal_add_redrive(batch, move->group->id, &record);
}

static void over(struct queue_group *group, uint32_t count, enum base_err err)
{
    group->redrive->record.moved += count;
    group->redrive->err = err;
}

const struct queue_move_ops queue__redrive_ops = {
    .pick = pick,
    .copy = copy,
    .target = target,
    .journal = journal,
    .over = over,
    .event = "DEAD_LETTERS_NOT_REDRIVEN",
};

/* Letters that are moved once the journal has got what is on its way there. */
static uint32_t moved_on_the_way(const struct queue_group *group)
{
    bool is_journaling = group->move != NULL && group->move->state == QUEUE_MOVE_JOURNALING;
    return is_journaling ? group->move->items_count : 0;
}

struct queue_redrive_record queue__redrive_record(const struct queue_group *group)
{
    struct queue_redrive_record record = group->redrive->record;

    record.moved += moved_on_the_way(group);
    return record;
}

void queue__redrive_run(struct queue_group *group, struct base_executor *current)
{
    struct queue_redrive_task *task = group->redrive;
    struct queue_journal_batch batch;

    base_mutex_assert_held(&group->lock);
    if (!queue__redrive_is_running(group)) {
        return;
    }
    int64_t now = now_us(group);
    int64_t most = task->record.rate * CREDIT_MAX_US;
    int64_t elapsed_us = now - task->credit_us;
    if (elapsed_us > CREDIT_MAX_US) {
        elapsed_us = CREDIT_MAX_US;
    }
    task->credit += elapsed_us * task->record.rate;
    task->credit = task->credit < most ? task->credit : most;
    task->credit_us = now;

    struct queue_place *place = place_of(group);
    if (place == NULL || (group->move != NULL && group->move->state != QUEUE_MOVE_IDLE)) {
        return;
    }
    queue__place_look(group, place, true);
    if (place->end < 0 || count_left(group) > 0) {
        return;
    }
    task->record.state = QUEUE_REDRIVE_COMPLETED;
    task->record.ended_ms = base_clock_wall_ms(group->manager->options.clock);
    queue__journal_begin(&batch, group->journal, task->record.ended_ms);
    queue__journal_add_redrive(&batch, group->id, &task->record);
    queue__journal_send(&batch, current); /* if it is lost, the next start finds the same */
}

int64_t queue__redrive_alarm_us(const struct queue_group *group)
{
    if (!queue__redrive_is_running(group) || group->move != NULL) {
        return INT64_MAX;
    }
    const struct queue_redrive_task *task = group->redrive;
    int64_t missing = credit_wanted(&task->record) - task->credit;
    return task->credit_us +
           (missing > 0 ? missing / task->record.rate + 1 : WAIT_US); /* for leases, for storage */
}

bool queue__redrive_is_for_other(const struct queue_group *group,
                                 const struct logstore_record *record)
{
    struct base_slice id;

    return group->topic->redrive && logstore_record_header(record, QUEUE_REDRIVE_GROUP, &id) &&
           !base_slice_is(id, group->id);
}

static enum base_err task_of(struct queue_group *group, struct queue_redrive_task **out)
{
    if (group->redrive == NULL) {
        group->redrive = base_alloc_object(struct queue_redrive_task);
    }
    *out = group->redrive;
    return *out == NULL ? BASE_ERR_NOMEM : BASE_ERR_OK;
}

enum base_err queue__redrive_recover(struct queue_group *group, struct base_slice text)
{
    struct queue_redrive_task *task;

    enum base_err err = task_of(group, &task);
    if (err != BASE_ERR_OK) {
        return err;
    }
    task->credit_us = now_us(group);
    base_mutex_lock(&group->lock);
    err = queue__group_update(group, group->topic);
    base_mutex_unlock(&group->lock);
    return err == BASE_ERR_OK ? queue__record_read_redrive(text, &task->record) : err;
}

static void on_durable(struct base_task *base_task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(base_task, struct partition_waiter, task);
    struct queue_redrive *redrive = BASE_CONTAINER_OF(waiter, struct queue_redrive, waiter);
    struct queue_group *group = redrive->group;

    redrive->err = waiter->err;
    redrive->verdict = waiter->err == BASE_ERR_OK ? QUEUE_OK : QUEUE_STORAGE_FAILED;
    base_mutex_lock(&group->lock);
    queue__group_run(group, redrive->executor);
    base_mutex_unlock(&group->lock);
    queue__group_release(&redrive->group);
    redrive->task.run(&redrive->task);
}

/* Writes `next` down, and goes by it from then on. Locked. True: pending. */
static bool change(struct queue_group *group, struct queue_redrive *redrive,
                   const struct queue_redrive_record *next)
{
    struct queue_redrive_record written = *next;
    struct queue_redrive_task *task;
    struct queue_journal_batch batch;
    bool pending = false;

    written.moved += moved_on_the_way(group);
    redrive->err = task_of(group, &task);
    if (redrive->err == BASE_ERR_OK) {
        redrive->waiter =
            (struct partition_waiter){.executor = redrive->executor, .task = {.run = on_durable}};
        queue__journal_begin(&batch, group->journal,
                             base_clock_wall_ms(group->manager->options.clock));
        queue__journal_add_redrive(&batch, group->id, &written);
        redrive->err = queue__journal_append(&batch, redrive->executor, &redrive->waiter, &pending);
    }
    if (redrive->err != BASE_ERR_OK) {
        redrive->verdict = QUEUE_STORAGE_FAILED;
        return false;
    }
    task->record = *next;
    task->err = BASE_ERR_OK;
    task->credit = 0;
    task->credit_us = now_us(group);
    if (!pending) {
        queue__group_run(group, redrive->executor);
    }
    return pending;
}

/* Takes over the offsets named that have a letter. False: none has. Locked. */
static bool take_offsets(const struct queue_place *place, struct queue_redrive *redrive,
                         struct queue_redrive_record *next)
{
    for (uint32_t i = 0; i < redrive->offsets_count; i++) {
        int64_t offset = redrive->offsets[i];
        if (is_left(place, offset)) {
            next->offsets[next->offsets_count++] = offset;
        } else {
            redrive->not_found[redrive->not_found_count++] = offset;
        }
    }
    return next->offsets_count > 0;
}

/* Locked. True: pending. */
static bool start(struct queue_group *group, struct queue_redrive *redrive)
{
    struct queue_redrive_record next = {.state = QUEUE_REDRIVE_RUNNING, .rate = redrive->rate};

    if (queue__redrive_is_running(group) || group->move != NULL) {
        redrive->verdict = QUEUE_REDRIVE_UNDER_WAY;
        return false;
    }
    redrive->err = queue__group_update(group, redrive->topic);
    struct queue_place *place = place_of(group);
    if (redrive->err == BASE_ERR_OK) {
        queue__place_look(group, place, true);
        redrive->err = place->end < 0 ? BASE_ERR_OFFLINE : place->err;
    }
    if (redrive->err != BASE_ERR_OK) {
        redrive->verdict = QUEUE_STORAGE_FAILED;
        return false;
    }
    next.started_ms = base_clock_wall_ms(group->manager->options.clock);
    if (redrive->offsets_count == 0) {
        next.limit = place->end;
    } else if (!take_offsets(place, redrive, &next)) {
        redrive->verdict = QUEUE_LETTERS_NOT_FOUND;
        return false;
    }
    return change(group, redrive, &next);
}

static bool cancel(struct queue_group *group, struct queue_redrive *redrive)
{
    if (!queue__redrive_is_running(group)) {
        return false;
    }
    struct queue_redrive_record next = group->redrive->record;
    next.state = QUEUE_REDRIVE_CANCELLED;
    next.ended_ms = base_clock_wall_ms(group->manager->options.clock);
    return change(group, redrive, &next);
}

static enum queue_progress begin(struct queue_manager *manager, struct queue_redrive *redrive,
                                 bool (*act)(struct queue_group *, struct queue_redrive *))
{
    bool pending = false;

    BASE_ASSERT(redrive->executor != NULL);
    BASE_ASSERT(redrive->task.run != NULL);
    redrive->err = BASE_ERR_OK;
    redrive->not_found_count = 0;
    redrive->group = queue__manager_group(manager, redrive->topic, redrive->group_id,
                                          &redrive->verdict, &redrive->err);
    if (redrive->group == NULL) {
        return QUEUE_DONE;
    }
    base_mutex_lock(&redrive->group->lock);
    if (redrive->group->is_closed) {
        redrive->verdict = QUEUE_GROUP_NOT_FOUND;
    } else {
        pending = act(redrive->group, redrive);
    }
    base_mutex_unlock(&redrive->group->lock);
    if (pending) {
        return QUEUE_PENDING;
    }
    queue__group_release(&redrive->group);
    return QUEUE_DONE;
}

enum queue_progress queue_redrive_start(struct queue_manager *manager,
                                        struct queue_redrive *redrive)
{
    BASE_ASSERT(redrive->rate >= 1);
    BASE_ASSERT(redrive->rate <= QUEUE_REDRIVE_RATE_MAX);
    BASE_ASSERT(redrive->offsets_count <= QUEUE_REDRIVE_OFFSETS_MAX);
    return begin(manager, redrive, start);
}

enum queue_progress queue_redrive_cancel(struct queue_manager *manager,
                                         struct queue_redrive *redrive)
{
    return begin(manager, redrive, cancel);
}

/* Whether one of the letters named can only be taken when others in front of it are done. */
static bool waits_for_room(const struct queue_redrive_record *record,
                           const struct queue_place *place)
{
    for (uint32_t i = 0; i < record->offsets_count; i++) {
        if (is_left(place, record->offsets[i]) && is_too_far(place, record->offsets[i])) {
            return true;
        }
    }
    return false;
}

/* Why nothing is moved now, of a redrive that runs; NULL: it gets on, at its rate. */
static const char *obstacle(const struct queue_group *group)
{
    const struct queue_redrive_task *task = group->redrive;
    struct queue_place *place = place_of(group);

    if (task->err != BASE_ERR_OK) {
        return base_err_text(task->err);
    }
    if (place != NULL && place->err != BASE_ERR_OK) {
        return base_err_text(place->err);
    }
    if (count_left(group) == 0 || group->move != NULL || next_letter(group, place) >= 0) {
        return NULL;
    }
    return waits_for_room(&task->record, place) ? QUEUE_REDRIVE_WAITS_FOR_ROOM
                                                : QUEUE_REDRIVE_WAITS_FOR_LEASES;
}

enum queue_verdict queue_redrive_status(struct queue_manager *manager,
                                        const struct catalog_topic *topic,
                                        struct base_slice group_id,
                                        struct queue_redrive_status *out)
{
    enum queue_verdict verdict;
    enum base_err err;

    *out = (struct queue_redrive_status){.state = QUEUE_REDRIVE_NONE};
    struct queue_group *group = queue__manager_group(manager, topic, group_id, &verdict, &err);
    if (group == NULL) {
        return verdict;
    }
    base_mutex_lock(&group->lock);
    if (group->redrive != NULL) {
        const struct queue_redrive_record *record = &group->redrive->record;
        out->state = record->state;
        out->rate = record->rate;
        out->moved = record->moved;
        out->started_ms = record->started_ms;
        out->ended_ms = record->ended_ms;
    }
    if (queue__redrive_is_running(group)) {
        out->remaining = count_left(group);
        out->waits_because = obstacle(group);
    }
    base_mutex_unlock(&group->lock);
    queue__group_release(&group);
    return QUEUE_OK;
}
