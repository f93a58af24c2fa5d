/* The end: everything that was promised has reached every group, and the counters are exact. */
#include "tests/sim/lease_world.h"

enum { SETTLE_SECONDS = 10, DUE_SECONDS = 60, FULL_SPAN = 2 * LEASE_MESSAGES_MAX };

struct queue_counters lease_counters(struct lease_world *world, const struct lease_group *group)
{
    struct queue_counters counters;
    enum queue_verdict verdict = queue_count(world->harness.manager, group->queue->topic,
                                             base_slice_text(group->id), &counters);

    LEASE_CHECK(verdict == QUEUE_OK);
    counters.consumed += lease_world_plants(world, LEASE_PLANT_COUNTER);
    return counters;
}

static int64_t log_end(struct lease_world *world, const struct lease_queue *queue)
{
    int64_t end = 0;

    for (int32_t i = 0; i < queue->topic->partitions_count; i++) {
        struct partition_offsets offsets;
        struct partition *partition =
            partition_table_get(world->harness.table, queue->topic->id, i);
        partition_offsets(partition, &offsets);
        end += offsets.high_watermark;
        partition_release(&partition);
    }
    return end;
}

/* What clients know bounds the numbers while some acks had no answer. */
static void check_bounds(struct lease_world *world, struct lease_group *group)
{
    const struct lease_queue *queue = group->queue;
    struct queue_counters counters = lease_counters(world, group);
    int64_t end = log_end(world, queue);
    int64_t done = 0;
    int64_t open = 0;

    for (uint32_t i = 0; i < queue->messages_count; i++) {
        const struct lease_message *message = &queue->messages[i];
        const struct lease_view *view = &group->views[i];
        bool is_wanted =
            group->rule_knowledge == RULE_KNOWN && lease_model_wants(group, group->rule, message);
        if (message->offset < 0 || lease_model_has_expired(queue, message)) {
            continue;
        }
        done += view->progress == PROGRESS_DONE || view->progress == PROGRESS_DEAD;
        open += view->progress == PROGRESS_OPEN && is_wanted && !queue->was_redriven &&
                !lease_model_may_be_dead(group, view);
    }
    int64_t sum = counters.consumed + counters.skipped + counters.available;
    LEASE_CHECK(queue->expires ? sum <= end : sum == end);
    LEASE_CHECK(queue->expires || counters.consumed >= done);
    LEASE_CHECK(queue->expires || counters.available >= open);
}

/* Consumes and acks until the group has everything. */
static void drain(struct lease_world *world, struct lease_group *group)
{
    uint32_t rule = group->rule_knowledge == RULE_KNOWN ? group->rule : 0;
    bool is_over = false;

    while (!is_over) {
        group->last_count = 0;
        lease_consume(world, group, rule, 100);
        lease_world_advance(world, QUEUE_HARNESS_SECOND);
        LEASE_CHECK(group->waiting_count == 0);
        if (group->last_verdict == QUEUE_TAG_RULE_DIFFERS) {
            LEASE_CHECK(rule + 1 < LEASE_RULES);
            rule++;
            continue;
        }
        is_over = group->last_count == 0;
        lease_ack(world, group);
        lease_world_advance(world, QUEUE_HARNESS_SECOND);
    }
    group->rule_knowledge = RULE_KNOWN;
    group->rule = rule;
}

static void check_letters(struct lease_world *world, struct lease_group *group)
{
    const struct lease_queue *letters = group->letters;
    struct queue_counters counters = lease_counters(world, group);

    LEASE_CHECK(counters.dead_produced == letters->messages_count);
    LEASE_CHECK(counters.dead_produced == log_end(world, letters));
    LEASE_CHECK(counters.dead_available == 0);
    lease_redrive_verify(world, letters->groups[0]);
}

static void check_done(struct lease_world *world, struct lease_group *group)
{
    const struct lease_queue *queue = group->queue;
    struct queue_counters counters = lease_counters(world, group);

    for (uint32_t i = 0; i < queue->messages_count; i++) {
        const struct lease_message *message = &queue->messages[i];
        const struct lease_view *view = &group->views[i];
        if (message->fate == FATE_STORED && !lease_model_has_expired(queue, message) &&
            lease_model_wants(group, group->rule, message) && !queue->was_redriven) {
            LEASE_CHECK(view->progress == PROGRESS_DONE || view->progress == PROGRESS_MAYBE ||
                        view->progress == PROGRESS_DEAD ||
                        (view->is_blurred && queue->failures_max > 0));
        }
    }
    LEASE_CHECK(counters.available == 0);
    LEASE_CHECK(counters.leased == 0);
    LEASE_CHECK(counters.delayed == 0);
    LEASE_CHECK(queue->expires || counters.consumed == log_end(world, queue));
    LEASE_CHECK(queue->expires || counters.skipped == 0);
    check_bounds(world, group);
    if (group->letters != NULL) {
        check_letters(world, group);
    }
}

static void check_after_crash(struct lease_world *world, struct lease_group *group)
{
    struct queue_counters counters = lease_counters(world, group);

    LEASE_CHECK(counters.available == 0);
    LEASE_CHECK(counters.leased == 0);
    check_done(world, group);
}

void lease_finish(struct lease_world *world)
{
    world->is_draining = true;
    lease_crash(world); /* also forgets planned faults */
    lease_world_advance(world, SETTLE_SECONDS * QUEUE_HARNESS_SECOND);
    lease_scan_all(world);
    lease_world_each(world, true, true, check_bounds);
    lease_world_each(world, true, true, drain);
    lease_world_advance(world, DUE_SECONDS * QUEUE_HARNESS_SECOND);
    lease_world_each(world, true, true, drain);
    LEASE_CHECK(world->open_count == 0);
    LEASE_CHECK(!lease_is_down(world));
    LEASE_CHECK(queue_delayed_count(world->harness.manager) == 0);
    lease_scan_all(world);
    lease_world_each(world, true, true, check_done);
    lease_crash(world);
    lease_scan_all(world);
    lease_world_each(world, true, true, check_after_crash);
}
