/* Consumers: who gets a message, and when. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "tests/sim/lease_world.h"

struct consume {
    struct queue_harness_consume own;
    struct base_list link;
    struct base_task cancel;
    struct lease_group *group;
    uint32_t rule;
    uint32_t epoch;
    int64_t sent_us;
    bool is_cancelling;
    bool drops_answer; /* the connection is gone when the answer comes */
};

/* Whether no reset has touched the group since the consume was sent. */
static bool is_clear(const struct consume *consume)
{
    return consume->epoch == consume->group->epoch && consume->group->resets_count == 0;
}

/* The lease of an earlier delivery must be over; if nobody ended it, it failed. */
static void end_old_lease(const struct lease_world *world, struct lease_view *view)
{
    if (!view->is_leased) {
        return;
    }
    LEASE_CHECK(lease_model_may_have_timed_out(world, view));
    view->is_leased = false;
    view->failures_min++;
    view->failures_max++;
}

/* Whether it is right that the group is past the message. */
static bool is_past(const struct lease_group *group, uint32_t rule, uint32_t number)
{
    const struct lease_message *message = &group->queue->messages[number];
    const struct lease_view *view = &group->views[number];

    return view->progress == PROGRESS_DONE || view->progress == PROGRESS_MAYBE ||
           view->progress == PROGRESS_DEAD || group->queue->was_redriven ||
           lease_model_may_be_dead(group, view) || !lease_model_wants(group, rule, message) ||
           lease_model_has_expired(group->queue, message);
}

/* In a FIFO queue everything in front is done, and nothing is in flight. */
static void check_order(const struct consume *consume, int64_t from, int64_t offset)
{
    const struct lease_group *group = consume->group;
    const struct lease_queue *queue = group->queue;

    for (uint32_t i = 0; i < queue->messages_count; i++) {
        const struct lease_message *message = &queue->messages[i];
        const struct lease_view *view = &group->views[i];
        if (message->offset < 0 || message->offset >= offset) {
            continue;
        }
        /* An answer may come late: what it brings is in flight however long ago it was asked. */
        bool is_in_flight =
            view->is_leased && (view->batch == queue->world->batches_count ||
                                !lease_model_may_have_timed_out(queue->world, view));
        if (message->offset < from) {
            LEASE_CHECK(!is_in_flight);
        }
        LEASE_CHECK((message->offset >= from && is_in_flight) || is_past(group, consume->rule, i));
    }
}

static void remember(struct lease_group *group, uint32_t number, const char *handler)
{
    struct lease_held *held = &group->held[group->held_count++ % LEASE_HELD_MAX];

    memcpy(held->handler, handler, QUEUE_HANDLER_SIZE);
    held->number = number;
    held->life = group->queue->world->life;
}

static void check_view(struct consume *consume, uint32_t number, const struct queue_message *got)
{
    struct lease_group *group = consume->group;
    struct lease_world *world = group->queue->world;
    struct lease_view *view = &group->views[number];

    LEASE_CHECK(view->progress != PROGRESS_DONE);
    LEASE_CHECK(view->progress != PROGRESS_DEAD);
    LEASE_CHECK(view->progress != PROGRESS_ACKING);
    view->progress = lease_model_open_progress(world, view);
    end_old_lease(world, view);
    LEASE_CHECK(got->failures >= view->failures_min);
    LEASE_CHECK(got->failures <= view->failures_max);
    view->failures_min = got->failures;
    view->failures_max = got->failures;
    if (group->queue->is_fifo) {
        check_order(consume, consume->own.consume.messages[0].record.offset, got->record.offset);
    }
    view->is_leased = true;
    view->lease_us = consume->sent_us;
    view->batch = world->batches_count;
    memcpy(view->handler, got->handler, QUEUE_HANDLER_SIZE);
}

static void check_message(struct consume *consume, const struct queue_message *got)
{
    struct lease_group *group = consume->group;
    struct lease_queue *queue = group->queue;
    struct lease_world *world = queue->world;

    uint32_t number = lease_model_identify(queue, got->partition, &got->record);
    LEASE_CHECK(lease_model_wants(group, consume->rule, &queue->messages[number]));
    LEASE_CHECK(queue->failures_max == 0 || got->failures < queue->failures_max);
    if (queue->expires) {
        LEASE_CHECK(got->record.timestamp_ms >= lease_world_now_ms(world) - LEASE_RETENTION_MS);
    }
    if (is_clear(consume)) {
        check_view(consume, number, got);
    } else {
        lease_model_blur(world, &group->views[number]);
    }
    remember(group, number, got->handler);
    world->delivered_count++;
}

/* What the answer tells of the group's rule. */
static void check_rule(struct consume *consume)
{
    struct lease_group *group = consume->group;
    enum queue_verdict verdict = consume->own.consume.verdict;

    if (!is_clear(consume)) {
        return;
    }
    if (verdict == QUEUE_OK) {
        LEASE_CHECK(group->rule_knowledge != RULE_KNOWN || group->rule == consume->rule);
        if (consume->own.consume.messages_count > 0) {
            group->rule_knowledge = RULE_KNOWN; /* on disk before anything is delivered */
            group->rule = consume->rule;
        }
    } else if (verdict == QUEUE_TAG_RULE_DIFFERS) {
        LEASE_CHECK(group->rule_knowledge != RULE_KNOWN || group->rule != consume->rule);
    }
}

static void check_answer(struct consume *consume)
{
    struct queue_consume *request = &consume->own.consume;
    struct lease_group *group = consume->group;
    struct lease_world *world = group->queue->world;

    LEASE_CHECK(request->verdict != QUEUE_GROUP_NOT_FOUND || request->messages_count == 0);
    group->last_verdict = request->verdict;
    check_rule(consume);
    if (request->verdict != QUEUE_OK) {
        LEASE_CHECK(request->messages_count == 0);
        return;
    }
    if (consume->drops_answer) { /* leases of an answer that cannot be sent go back uncounted */
        bool was_open = queue_consume_cancel(request);
        LEASE_CHECK(!was_open);
        LEASE_CHECK(request->messages_count == 0);
        return;
    }
    world->batches_count++;
    for (uint32_t i = 0; i < request->messages_count; i++) {
        check_message(consume, &request->messages[i]);
        if (lease_world_plants(world, LEASE_PLANT_TWICE)) {
            check_message(consume, &request->messages[i]);
        }
    }
    group->last_count = request->messages_count;
}

static void forget(struct consume *consume)
{
    base_list_remove(&consume->link);
    consume->group->waiting_count--;
    queue_consume_release(&consume->own.consume);
    base_free(consume);
}

static void on_consumed(struct queue_harness_consume *own)
{
    struct consume *consume = BASE_CONTAINER_OF(own, struct consume, own);

    if (consume->is_cancelling) {
        return; /* the cancel task ends it */
    }
    if (!consume->group->is_deleted) {
        check_answer(consume);
    }
    forget(consume);
}

static void run_cancel(struct base_task *task)
{
    struct consume *consume = BASE_CONTAINER_OF(task, struct consume, cancel);

    if (queue_consume_cancel(&consume->own.consume)) {
        LEASE_CHECK(!consume->own.is_over);
        forget(consume);
    } else if (consume->own.is_over) {
        LEASE_CHECK(consume->own.consume.messages_count == 0);
        forget(consume);
    } else {
        consume->is_cancelling = false; /* its answer is on its way, without messages */
    }
}

void lease_consume(struct lease_world *world, struct lease_group *group, uint32_t rule,
                   int64_t time_wait_ms)
{
    struct consume *consume = base_alloc_object(struct consume);
    bool plants = world->plant == LEASE_PLANT_WRONG_TAG;

    BASE_ASSERT(consume != NULL);
    consume->group = group;
    consume->rule = rule;
    consume->epoch = group->epoch;
    consume->sent_us = lease_world_now_us(world);
    consume->drops_answer = !world->is_draining && lease_world_chance(world, 20);
    consume->cancel.run = run_cancel;
    consume->own.on_over = on_consumed;
    consume->own.consume.topic = group->queue->topic;
    consume->own.consume.group_id = base_slice_text(group->id);
    consume->own.consume.rule = lease_model_rule(plants ? 0 : rule);
    consume->own.consume.messages_max = 1 + (uint32_t)lease_world_pick(world, QUEUE_MESSAGES_MAX);
    consume->own.consume.size_bytes_max =
        lease_world_chance(world, 4) ? 20 : QUEUE_CONSUME_BYTES_MAX;
    if (world->is_draining) {
        consume->own.consume.messages_max = QUEUE_MESSAGES_MAX;
        consume->own.consume.size_bytes_max = QUEUE_CONSUME_BYTES_MAX;
    }
    consume->own.consume.time_wait_ms = time_wait_ms;
    consume->own.consume.ack_wait_ms = LEASE_ACK_WAIT_MS;
    base_list_push_back(&world->consumes, &consume->link);
    group->waiting_count++;
    queue_harness_start_consume(&world->harness, lease_world_loop(world), &consume->own);
}

void lease_consume_cancel(struct lease_world *world)
{
    if (base_list_is_empty(&world->consumes)) {
        return;
    }
    struct consume *consume = BASE_CONTAINER_OF(world->consumes.next, struct consume, link);
    if (!consume->is_cancelling && consume->own.consume.group != NULL) {
        consume->is_cancelling = true;
        base_executor_post(consume->own.consume.executor, &consume->cancel);
    }
}
