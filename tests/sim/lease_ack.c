/* Acks: all, some, with failures, late, twice, with handlers of old. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "tests/sim/lease_world.h"

struct ack {
    struct queue_harness_ack own;
    struct lease_group *group;
    uint32_t epoch;
    struct queue_ack_item items[QUEUE_MESSAGES_MAX];
    char sent[QUEUE_MESSAGES_MAX][QUEUE_HANDLER_SIZE]; /* what the items point to */
    struct lease_held held[QUEUE_MESSAGES_MAX];        /* in the order the broker takes them */
    bool success[QUEUE_MESSAGES_MAX];                  /* the same */
    bool was_acking[QUEUE_MESSAGES_MAX];               /* set to ACKING by this ack */
    bool has_failure;
    uint32_t certain_count; /* items that it must take, or stop at a failure */
};

static struct lease_view *view_of(const struct ack *ack, uint32_t index)
{
    return &ack->group->views[ack->held[index].number];
}

static bool names_its_lease(const struct ack *ack, uint32_t index)
{
    const struct lease_view *view = view_of(ack, index);
    return view->is_leased && ack->held[index].life == ack->group->queue->world->life &&
           memcmp(view->handler, ack->held[index].handler, QUEUE_HANDLER_SIZE) == 0;
}

static int64_t offset_of(const struct ack *ack, uint32_t index)
{
    return ack->group->queue->messages[ack->held[index].number].offset;
}

/* The broker takes the items of a FIFO queue in the order of the messages, as far as it can read
 * their handlers: those of this life. */
static void sort_as_broker(struct ack *ack)
{
    uint32_t life = ack->group->queue->world->life;

    for (uint32_t i = 1; ack->group->queue->is_fifo && i < ack->own.ack.items_count; i++) {
        const struct lease_held held = ack->held[i];
        int64_t offset = offset_of(ack, i);
        bool success = ack->success[i];
        uint32_t at = i;
        for (uint32_t k = i; held.life == life && k-- > 0;) {
            if (ack->held[k].life == life && offset_of(ack, k) <= offset) {
                break;
            }
            if (ack->held[k].life == life) {
                ack->held[at] = ack->held[k];
                ack->success[at] = ack->success[k];
                at = k;
            }
        }
        ack->held[at] = held;
        ack->success[at] = success;
    }
}

/* Whether something of the item's batch in front of it may not be done. */
static bool has_open_before(const struct ack *ack, uint32_t index)
{
    const struct lease_group *group = ack->group;
    const struct lease_view *view = view_of(ack, index);

    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        const struct lease_view *other = &group->views[i];
        if (group->queue->messages[i].offset < offset_of(ack, index) &&
            group->queue->messages[i].offset >= 0 && other->batch == view->batch &&
            other->progress != PROGRESS_DONE && other->progress != PROGRESS_ACKING) {
            return true;
        }
    }
    return false;
}

/* The item succeeded: in a FIFO queue no message of its batch is left in front of it. */
static void check_order(const struct ack *ack, uint32_t index)
{
    const struct lease_group *group = ack->group;
    const struct lease_view *view = view_of(ack, index);

    for (uint32_t i = 0; group->queue->is_fifo && i < group->queue->messages_count; i++) {
        const struct lease_message *message = &group->queue->messages[i];
        const struct lease_view *other = &group->views[i];
        bool is_before = message->offset >= 0 && message->offset < offset_of(ack, index) &&
                         other->batch == view->batch;
        bool is_clear = !view->is_blurred && !other->is_blurred && other->acks_open == 0 &&
                        !lease_model_has_expired(group->queue, message);
        LEASE_CHECK(!is_before || !is_clear || other->progress != PROGRESS_OPEN);
    }
}

/* The failed item of a FIFO queue takes what was delivered behind it along. */
static void end_behind(struct lease_group *group, int64_t offset, uint64_t batch)
{
    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        struct lease_view *view = &group->views[i];
        if (group->queue->messages[i].offset > offset && view->batch == batch &&
            (view->progress == PROGRESS_OPEN || view->progress == PROGRESS_MAYBE)) {
            view->is_leased = false;
        }
    }
}

static void note_failure(struct ack *ack, uint32_t index)
{
    struct lease_group *group = ack->group;
    struct lease_view *view = view_of(ack, index);

    LEASE_CHECK(!ack->success[index]);
    if (view->progress != PROGRESS_DEAD) { /* its letter may have been seen before this answer */
        view->is_leased = false;
        view->failures_min++;
        view->failures_max++;
        view->failures_kept = view->failures_min;
    }
    if (group->queue->is_fifo) {
        end_behind(group, group->queue->messages[ack->held[index].number].offset, view->batch);
    }
}

static void ack_succeeded(struct ack *ack)
{
    struct queue_ack *request = &ack->own.ack;
    struct lease_world *world = ack->group->queue->world;

    for (uint32_t i = 0; i < request->items_count; i++) {
        struct lease_view *view = view_of(ack, i);
        bool is_stop = i == request->success_count;
        LEASE_CHECK(!is_stop || i >= ack->certain_count);
        if (i < request->success_count) {
            LEASE_CHECK(ack->success[i]);
            LEASE_CHECK(ack->was_acking[i] || names_its_lease(ack, i) || view->is_blurred);
            LEASE_CHECK(view->progress != PROGRESS_DEAD);
            check_order(ack, i);
            view->progress = PROGRESS_DONE;
            view->is_leased = false;
            continue;
        }
        if (ack->was_acking[i] && view->progress == PROGRESS_ACKING) {
            view->progress = lease_model_open_progress(world, view);
        }
        /* One that stopped it otherwise was not valid (its lease had ended, or another ack holds
         * it) or out of order. */
        if (is_stop && request->stopped_by == QUEUE_OK) {
            note_failure(ack, i);
        } else if (ack->items[i].is_held && names_its_lease(ack, i)) {
            view->is_leased = false; /* returned */
        }
    }
}

static void ack_failed(struct ack *ack)
{
    struct queue_ack *request = &ack->own.ack;
    struct lease_world *world = ack->group->queue->world;
    bool is_open = request->verdict != QUEUE_STORAGE_FAILED || lease_world_is_certain(request->err);

    for (uint32_t i = 0; i < request->items_count; i++) {
        struct lease_view *view = view_of(ack, i);
        if (ack->was_acking[i] && view->progress == PROGRESS_ACKING) {
            view->maybe_life = is_open ? view->maybe_life : world->life;
            view->progress = lease_model_open_progress(world, view);
        } else if (!is_open && names_its_lease(ack, i) && view->progress == PROGRESS_OPEN) {
            view->maybe_life = world->life;
            view->progress = PROGRESS_MAYBE;
        }
        view->failures_max += !is_open && !ack->success[i] ? 1 : 0;
        if (request->verdict == QUEUE_HANDLER_UNKNOWN && ack->items[i].is_held &&
            names_its_lease(ack, i)) {
            view->is_leased = false; /* returned */
        }
    }
}

static void on_ack_ended(struct ack *ack)
{
    for (uint32_t i = 0; i < ack->own.ack.items_count; i++) {
        struct lease_view *view = view_of(ack, i);
        LEASE_CHECK(view->acks_open > 0);
        view->acks_open--;
    }
    ack->group->fails_open -= ack->has_failure;
    ack->group->acks_count--;
    ack->group->queue->world->open_count--;
}

/* A reset may have come first, or come after it. */
static void blur_items(struct ack *ack)
{
    for (uint32_t i = 0; i < ack->own.ack.items_count; i++) {
        lease_model_blur(ack->group->queue->world, view_of(ack, i));
    }
}

static void on_acked(struct queue_harness_ack *own)
{
    struct ack *ack = BASE_CONTAINER_OF(own, struct ack, own);
    const struct lease_group *group = ack->group;

    for (uint32_t i = 0; own->ack.verdict == QUEUE_OK && i < own->ack.items_count; i++) {
        LEASE_CHECK(memcmp(own->ack.items[i].handler.data, ack->held[i].handler,
                           strlen(ack->held[i].handler)) == 0);
    }
    LEASE_CHECK(own->ack.success_count + own->ack.fail_count == own->ack.items_count ||
                own->ack.verdict == QUEUE_GROUP_NOT_FOUND);
    LEASE_CHECK(own->ack.verdict == QUEUE_OK || own->ack.success_count == 0);
    if (ack->epoch != group->epoch || group->resets_count > 0) {
        blur_items(ack);
    } else if (own->ack.verdict == QUEUE_OK) {
        ack_succeeded(ack);
    } else {
        ack_failed(ack);
    }
    on_ack_ended(ack);
    base_free(ack);
}

/* From now on its messages may be done any time, and must not come again before its answer. */
static void on_ack_starts(struct queue_harness_ack *own)
{
    struct ack *ack = BASE_CONTAINER_OF(own, struct ack, own);
    struct lease_group *group = ack->group;
    struct lease_world *world = group->queue->world;
    bool is_clear = ack->epoch == group->epoch && group->resets_count == 0;

    sort_as_broker(ack);
    for (uint32_t i = 0; is_clear && i < own->ack.items_count && ack->success[i]; i++) {
        struct lease_view *view = view_of(ack, i);
        bool may_have_ended = lease_model_may_have_timed_out(world, view);
        bool is_contested = view->acks_open > 0 || (group->queue->is_fifo && group->fails_open > 0);
        bool is_in_order = !group->queue->is_fifo || !has_open_before(ack, i);
        if (!names_its_lease(ack, i) || is_contested || may_have_ended || !is_in_order) {
            break; /* the ack may stop here */
        }
        LEASE_CHECK(view->progress == PROGRESS_OPEN || view->progress == PROGRESS_MAYBE);
        ack->certain_count++;
        view->progress = PROGRESS_ACKING;
        view->acks_open++; /* so that the same message once more in this ack is not certain */
        ack->was_acking[i] = true;
    }
    for (uint32_t i = 0; i < own->ack.items_count; i++) {
        view_of(ack, i)->acks_open += !ack->was_acking[i];
        ack->has_failure |= !ack->success[i];
    }
    group->fails_open += ack->has_failure;
}

/* The broker says that it is done, and does nothing. */
static bool plant_early(struct lease_world *world, struct ack *ack)
{
    if (!lease_world_plants(world, LEASE_PLANT_ACK_EARLY)) {
        return false;
    }
    on_ack_starts(&ack->own);
    ack->own.ack.success_count = ack->certain_count;
    ack->own.ack.fail_count = ack->own.ack.items_count - ack->certain_count;
    ack->own.ack.verdict = ack->certain_count > 0 ? QUEUE_OK : QUEUE_HANDLER_UNKNOWN;
    ack->own.ack.stopped_by = QUEUE_HANDLER_UNKNOWN;
    on_acked(&ack->own);
    return true;
}

static void start(struct lease_world *world, struct ack *ack, uint32_t count)
{
    ack->own.ack.topic = ack->group->queue->topic;
    ack->own.ack.group_id = base_slice_text(ack->group->id);
    ack->own.ack.items = ack->items;
    ack->own.ack.items_count = count;
    ack->own.on_start = on_ack_starts;
    ack->own.on_over = on_acked;
    ack->epoch = ack->group->epoch;
    ack->group->acks_count++;
    world->open_count++;
    if (!plant_early(world, ack)) {
        queue_harness_start_ack(&world->harness, lease_world_loop(world), &ack->own);
    }
}

static void shuffle(struct lease_world *world, struct ack *ack, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)lease_world_pick(world, i);
        const struct lease_held held = ack->held[i - 1];
        bool success = ack->success[i - 1];
        ack->held[i - 1] = ack->held[other];
        ack->success[i - 1] = ack->success[other];
        ack->held[other] = held;
        ack->success[other] = success;
    }
}

void lease_ack(struct lease_world *world, struct lease_group *group)
{
    uint32_t known = group->held_count < LEASE_HELD_MAX ? group->held_count : LEASE_HELD_MAX;
    uint32_t count = 1 + (uint32_t)lease_world_pick(world, QUEUE_MESSAGES_MAX);
    uint64_t reach = lease_world_chance(world, 4) ? LEASE_HELD_MAX : 15;
    uint32_t back = count + (uint32_t)lease_world_pick(world, reach);
    bool fails = !world->is_draining && lease_world_chance(world, 2);

    back = back > known ? known : back;
    count = count > back ? back : count;
    if (group->queue->is_fifo && lease_world_chance(world, 2)) {
        back = group->last_count; /* a prefix: it is in order */
        count = count > back ? back : count;
    }
    if (world->is_draining) {
        back = group->last_count;
        count = back;
    }
    if (count == 0) {
        return;
    }
    struct ack *ack = base_alloc_object(struct ack);
    BASE_ASSERT(ack != NULL);
    ack->group = group;
    for (uint32_t i = 0; i < count; i++) {
        ack->held[i] = group->held[(group->held_count - back + i) % LEASE_HELD_MAX];
        ack->success[i] = !fails || !lease_world_chance(world, 4);
    }
    if (lease_world_chance(world, 4)) {
        shuffle(world, ack, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(ack->sent[i], ack->held[i].handler, QUEUE_HANDLER_SIZE);
        ack->items[i].handler = base_slice_text(ack->sent[i]);
        ack->items[i].success = ack->success[i];
    }
    start(world, ack, count);
}
