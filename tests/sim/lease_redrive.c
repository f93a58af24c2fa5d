/* Dead letters back to their queue. */
#include "core/queue/redrive.h"

#include "core/base/assert.h"
#include "tests/sim/lease_world.h"

enum { NAMED_MAX = 3 };

struct redrive {
    struct queue_redrive request;
    struct lease_world *world;
    struct lease_group *letters;
    bool cancels;
    bool is_over;
};

static void on_over(struct base_task *task)
{
    struct queue_redrive *request = BASE_CONTAINER_OF(task, struct queue_redrive, task);
    BASE_CONTAINER_OF(request, struct redrive, request)->is_over = true;
}

static void start(void *context)
{
    struct redrive *redrive = context;
    struct queue_manager *manager = redrive->world->harness.manager;
    enum queue_progress progress = redrive->cancels
                                       ? queue_redrive_cancel(manager, &redrive->request)
                                       : queue_redrive_start(manager, &redrive->request);
    redrive->is_over |= progress == QUEUE_DONE;
}

/* Adds what a redrive that is over has moved, once. They are told apart by when they began. */
static enum queue_redrive_state note_last(struct lease_world *world, struct lease_group *letters)
{
    struct lease_queue *queue = letters->queue;
    struct queue_redrive_status status;
    enum queue_verdict verdict = queue_redrive_status(world->harness.manager, queue->topic,
                                                      base_slice_text(letters->id), &status);

    LEASE_CHECK(verdict == QUEUE_OK);
    if (status.state != QUEUE_REDRIVE_RUNNING && status.started_ms != queue->started_ms) {
        queue->started_ms = status.started_ms;
        queue->moved_before += status.moved;
    }
    return status.state;
}

void lease_redrive(struct lease_world *world, struct lease_group *letters)
{
    struct lease_queue *queue = letters->queue;
    int64_t offsets[NAMED_MAX];
    struct redrive redrive = {
        .world = world,
        .letters = letters,
        .cancels = lease_world_chance(world, 8),
    };

    lease_world_advance(world, 1000);
    if (lease_is_down(world)) {
        return;
    }
    (void)note_last(world, letters);
    if (queue->messages_count > 0 && lease_world_chance(world, 3)) {
        redrive.request.offsets_count = 1 + (uint32_t)lease_world_pick(world, NAMED_MAX);
    }
    for (uint32_t i = 0; i < redrive.request.offsets_count; i++) {
        offsets[i] = (int64_t)lease_world_pick(world, queue->messages_count);
    }
    redrive.request.offsets = offsets;
    redrive.request.executor = world->harness.loops[0];
    redrive.request.task.run = on_over;
    redrive.request.topic = queue->topic;
    redrive.request.group_id = base_slice_text(letters->id);
    redrive.request.rate = lease_world_chance(world, 2) ? QUEUE_REDRIVE_RATE_MAX : 50;
    queue->was_redriven = true;
    queue_harness_run_on(&world->harness, 0, start, &redrive);
    lease_wait(world, &redrive.is_over);
}

/* Letters that are gone were acked or moved, and what was moved is in the queue. */
void lease_redrive_verify(struct lease_world *world, struct lease_group *letters)
{
    const struct lease_group *group = letters->queue->letters_of;
    struct queue_counters counters = lease_counters(world, letters);
    int64_t acked = 0;
    int64_t maybe = 0;
    int64_t copies = 0;

    LEASE_CHECK(note_last(world, letters) != QUEUE_REDRIVE_RUNNING);
    for (uint32_t i = 0; i < letters->queue->messages_count; i++) {
        acked += letters->views[i].progress == PROGRESS_DONE;
        maybe += letters->views[i].progress == PROGRESS_MAYBE;
    }
    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        copies += group->queue->messages[i].only_for == group;
    }
    int64_t moved = letters->queue->moved_before;
    LEASE_CHECK(counters.consumed - moved >= acked);
    LEASE_CHECK(counters.consumed - moved <= acked + maybe);
    LEASE_CHECK(copies >= moved);
}
