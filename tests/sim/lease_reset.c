/* Resets of groups. */
#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "tests/sim/lease_world.h"

enum { CALM_STEPS_MAX = 1000, CALM_STEP_US = 10000 };

struct reset {
    struct queue_harness_reset own;
    struct lease_group *group;
    int64_t sent_ms;
};

static void fill(struct lease_world *world, struct lease_group *group, struct reset *reset)
{
    struct queue_reset *request = &reset->own.reset;

    reset->group = group;
    reset->sent_ms = lease_world_now_ms(world);
    request->topic = group->queue->topic;
    request->group_id = base_slice_text(group->id);
    request->position = (enum queue_reset_position)lease_world_pick(world, 3);
    request->timestamp_ms = reset->sent_ms + 1000 - (int64_t)lease_world_pick(world, 50000);
    request->force = lease_world_chance(world, 2);
    world->resets_count++;
}

/* It may have happened at any time since it was sent, or not at all. */
static void on_raced(struct queue_harness_reset *own)
{
    struct reset *reset = BASE_CONTAINER_OF(own, struct reset, own);
    struct lease_group *group = reset->group;

    group->resets_count--;
    group->epoch++;
    lease_model_blur_all(group);
    group->queue->world->open_count--;
    queue_reset_release(&own->reset);
    base_free(reset);
}

void lease_reset_racing(struct lease_world *world, struct lease_group *group)
{
    struct reset *reset = base_alloc_object(struct reset);

    BASE_ASSERT(reset != NULL);
    fill(world, group, reset);
    reset->own.on_over = on_raced;
    group->resets_count++;
    group->epoch++;
    world->open_count++;
    queue_harness_start_reset(&world->harness, lease_world_loop(world), &reset->own);
}

/* Nothing of the group is under way any more. */
static bool calm_down(struct lease_world *world, const struct lease_group *group)
{
    for (unsigned i = 0; i < CALM_STEPS_MAX && !lease_is_down(world); i++) {
        if (group->waiting_count == 0 && group->acks_count == 0 && group->resets_count == 0) {
            return true;
        }
        lease_world_advance(world, CALM_STEP_US);
    }
    return false;
}

struct leases {
    bool is_certain; /* one lives */
    bool is_possible;
};

static struct leases find_leases(const struct lease_world *world, const struct lease_group *group)
{
    struct leases leases = {false, false};

    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        const struct lease_view *view = &group->views[i];
        leases.is_possible |= view->is_leased || view->is_blurred;
        leases.is_certain |= view->is_leased && view->progress == PROGRESS_OPEN &&
                             !lease_model_may_have_timed_out(world, view);
    }
    return leases;
}

static void check_leases(const struct lease_world *world, const struct reset *reset,
                         const struct leases *before)
{
    const struct queue_reset *request = &reset->own.reset;
    struct leases after = find_leases(world, reset->group);

    if (request->verdict == QUEUE_GROUP_LEASED) {
        LEASE_CHECK(!request->force);
        LEASE_CHECK(before->is_possible);
    } else if (request->verdict == QUEUE_OK && after.is_certain) {
        LEASE_CHECK(request->force);
    }
}

static void check_time(const struct lease_world *world, const struct reset *reset)
{
    const struct queue_reset *request = &reset->own.reset;
    int64_t age_ms = reset->sent_ms - request->timestamp_ms;
    bool is_of_time = request->position == QUEUE_RESET_TIME;
    bool expires = reset->group->queue->expires;
    int64_t now_ms = lease_world_now_ms(world);

    if (request->verdict == QUEUE_TIME_OUT_OF_RANGE) {
        LEASE_CHECK(is_of_time);
        LEASE_CHECK(age_ms < 0 || (expires && now_ms - request->timestamp_ms > LEASE_RETENTION_MS));
    } else if (is_of_time && request->verdict == QUEUE_OK) {
        LEASE_CHECK(request->timestamp_ms <= now_ms);
        LEASE_CHECK(!expires || age_ms <= LEASE_RETENTION_MS);
    }
}

/* Where it went to, and what the group's numbers say. */
static void check_position(struct lease_world *world, const struct reset *reset)
{
    const struct queue_reset *request = &reset->own.reset;
    const struct lease_queue *queue = reset->group->queue;
    struct queue_counters counters = lease_counters(world, reset->group);
    int64_t consumed = 0;

    for (int32_t i = 0; i < request->offsets_count; i++) {
        bool is_first = request->position == QUEUE_RESET_EARLIEST;
        LEASE_CHECK(!is_first || queue->expires || request->offsets[i] == 0);
        consumed += request->offsets[i];
    }
    for (uint32_t i = 0; i < queue->messages_count; i++) {
        const struct lease_message *message = &queue->messages[i];
        if (message->offset >= 0 && request->position == QUEUE_RESET_LATEST && message->scan > 0) {
            LEASE_CHECK(message->offset < request->offsets[message->partition]);
        }
    }
    LEASE_CHECK(counters.skipped == 0 || queue->expires);
    LEASE_CHECK(counters.leased == 0);
    LEASE_CHECK(queue->is_kafka || queue->expires || counters.consumed == consumed);
}

/* A reset that was forced and then failed: leases have ended, or will. */
static void end_leases(struct lease_group *group)
{
    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        struct lease_view *view = &group->views[i];
        view->failures_max += view->is_leased;
        view->is_leased = false;
    }
}

static void apply(struct lease_world *world, const struct reset *reset)
{
    struct lease_group *group = reset->group;
    const struct queue_reset *request = &reset->own.reset;

    if (request->verdict == QUEUE_OK) {
        check_position(world, reset);
        if (group->letters != NULL) {
            lease_scan(world, group->letters); /* all there are belong to the time before */
        }
        if (lease_is_down(world)) {
            lease_model_blur_all(group);
        } else {
            lease_model_reset(group, request->offsets);
        }
    } else if (request->verdict == QUEUE_STORAGE_FAILED) {
        if (!lease_world_is_certain(request->err)) {
            lease_model_blur_all(group);
        } else if (request->force) {
            end_leases(group);
        }
    }
}

void lease_reset_calm(struct lease_world *world, struct lease_group *group)
{
    struct reset reset = {0};

    if (!calm_down(world, group)) {
        return;
    }
    fill(world, group, &reset);
    struct leases before = find_leases(world, group);
    queue_harness_start_reset(&world->harness, lease_world_loop(world), &reset.own);
    lease_wait(world, &reset.own.is_over);
    group->epoch++;
    check_leases(world, &reset, &before);
    check_time(world, &reset);
    apply(world, &reset);
    queue_reset_release(&reset.own.reset);
}
