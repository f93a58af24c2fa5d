/* Random use of queues over a disk that crashes, against a model of what clients were told.
 *
 *     sim_queue --seeds FROM COUNT
 *
 * Clients produce, consume, ack (all, some, with failures, late, with old handlers), let
 * leases time out and give up waiting, while the disk is slow, full, or dies at any call.
 * Checked all the time: nothing acked comes again, nothing is leased twice at once, FIFO
 * queues keep their order, failures are counted as promised. Checked in the end: everything
 * that was promised to producers has reached every group, and the counters are exact, also
 * after one more power cut. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "tests/sim/queue_harness.h"

enum {
    QUEUES = 2,
    GROUPS = 2,
    PARTITIONS_MAX = 3,
    MESSAGES_MAX = 4000, /* of one queue */
    STEPS = 300,
    WAITING_MAX = 6, /* consumes of one group at once */
    HELD_MAX = 400,  /* handlers a group's clients remember */
    VALUE_SIZE = 32,
};

#define ACK_WAIT_MS INT64_C(15000)
#define RETENTION_MS INT64_C(40000)

/* What producers know of a message. */
enum fate { FATE_NONE, FATE_SENT, FATE_MAYBE, FATE_STORED };

struct message {
    enum fate fate;
    int64_t offset; /* -1 not known */
    int64_t time_ms;
};

/* What a group's clients know of a message. */
enum progress { PROGRESS_OPEN, PROGRESS_ACKING, PROGRESS_MAYBE, PROGRESS_DONE };

struct view {
    enum progress progress;
    bool is_leased;                   /* delivered; its lease has not ended by anything but time */
    char handler[QUEUE_HANDLER_SIZE]; /* of that lease */
    uint32_t acks_open;               /* under way that name the message */
    uint64_t batch;                   /* of that lease: which answer it came with */
    uint32_t maybe_life;   /* of the broker in which an ack got no clear answer; 0 none */
    int64_t lease_us;      /* when its consume was sent: it ends ACK_WAIT after that at the least */
    uint32_t failures_min; /* what must have been counted */
    uint32_t failures_max; /* and what may have been */
    uint32_t failures_kept; /* of failures_min: what a crash cannot take */
};

struct held {
    char handler[QUEUE_HANDLER_SIZE];
    uint32_t number; /* of the message */
    uint32_t life;   /* of the broker that gave it */
};

struct group {
    struct queue *queue;
    char id[CATALOG_GROUP_ID_SIZE];
    struct view views[MESSAGES_MAX];
    struct held held[HELD_MAX]; /* ring */
    uint32_t held_count;
    uint32_t waiting_count;
    uint32_t last_count; /* of the last answer's messages */
    uint32_t fails_open; /* acks under way that hold a failure */
};

struct queue {
    struct world *world;
    uint32_t index;
    struct catalog_topic *topic;
    bool is_fifo;
    bool expires;
    struct message messages[MESSAGES_MAX];
    uint32_t messages_count;
    struct group groups[GROUPS];
};

struct world {
    struct queue_harness harness;
    uint64_t seed;
    uint32_t life;       /* counts the starts of the broker */
    uint32_t open_count; /* produces and acks under way */
    struct base_list consumes;
    bool is_draining;
    struct queue queues[QUEUES];
    uint64_t delivered_count;
    uint64_t batches_count;
    uint64_t crashes_count;
};

#define CHECK(world, condition)                                                                 \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "seed %" PRIu64 ": %s:%d: %s\n", (world)->seed, __FILE__, __LINE__, \
                    #condition);                                                                \
            abort();                                                                            \
        }                                                                                       \
    } while (0)

static uint64_t pick(struct world *world, uint64_t bound)
{
    return sim_random(world->harness.scheduler, bound);
}

static int64_t now_us(struct world *world)
{
    return base_clock_monotonic_us(world->harness.clock);
}

static int64_t now_ms(struct world *world)
{
    return base_clock_wall_ms(world->harness.clock);
}

static uint32_t random_loop(struct world *world)
{
    return (uint32_t)pick(world, QUEUE_HARNESS_LOOPS);
}

/* Produce. */

struct produce {
    struct queue_harness_produce own;
    struct queue *queue;
    uint32_t first;
    struct queue_produce_message messages[QUEUE_MESSAGES_MAX];
    char values[QUEUE_MESSAGES_MAX][VALUE_SIZE];
};

/* Whether the message may, or may not, be on the disk all the same. */
static bool is_certain(enum base_err err)
{
    return err == BASE_ERR_NO_SPACE || err == BASE_ERR_BUSY || err == BASE_ERR_NOMEM;
}

static void on_produced(struct queue_harness_produce *own)
{
    struct produce *produce = BASE_CONTAINER_OF(own, struct produce, own);
    struct queue *queue = produce->queue;
    struct world *world = queue->world;

    for (uint32_t i = 0; i < own->produce.messages_count; i++) {
        struct message *message = &queue->messages[produce->first + i];
        CHECK(world, message->fate == FATE_SENT || message->fate == FATE_STORED);
        if (own->produce.verdict == QUEUE_OK) {
            int64_t offset = own->produce.results[i].offset;
            CHECK(world, message->offset < 0 || message->offset == offset);
            message->fate = FATE_STORED;
            message->offset = offset;
        } else if (message->fate == FATE_SENT) {
            message->fate = is_certain(own->produce.err) ? FATE_NONE : FATE_MAYBE;
        }
    }
    world->open_count--;
    base_free(produce);
}

static void start_produce(struct world *world, struct queue *queue)
{
    uint32_t count = 1 + (uint32_t)pick(world, QUEUE_MESSAGES_MAX);
    struct produce *produce = base_alloc_object(struct produce);

    BASE_ASSERT(produce != NULL);
    if (queue->messages_count + count > MESSAGES_MAX) {
        base_free(produce);
        return;
    }
    produce->queue = queue;
    produce->first = queue->messages_count;
    queue->messages_count += count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = produce->first + i;
        (void)snprintf(produce->values[i], VALUE_SIZE, "%" PRIu32 ":%" PRIu32, queue->index,
                       number);
        produce->messages[i].value = base_slice_text(produce->values[i]);
        queue->messages[number] =
            (struct message){.fate = FATE_SENT, .offset = -1, .time_ms = now_ms(world)};
    }
    produce->own.produce.topic = queue->topic;
    produce->own.produce.messages = produce->messages;
    produce->own.produce.messages_count = count;
    produce->own.on_over = on_produced;
    world->open_count++;
    queue_harness_start_produce(&world->harness, random_loop(world), &produce->own);
}

/* Consume. */

struct consume {
    struct queue_harness_consume own;
    struct base_list link;
    struct base_task cancel;
    struct group *group;
    int64_t sent_us;
    bool is_cancelling;
    bool drops_answer; /* the connection is gone when the answer comes */
};

/* Of a message that is not done: an ack without a clear answer may show after a restart. */
static enum progress open_progress(const struct world *world, const struct view *view)
{
    return view->maybe_life == world->life ? PROGRESS_MAYBE : PROGRESS_OPEN;
}

/* The lease of an earlier delivery must be over; if nobody ended it, it failed. */
static void end_old_lease(struct world *world, struct view *view)
{
    if (!view->is_leased) {
        return;
    }
    CHECK(world, now_us(world) >= view->lease_us + ACK_WAIT_MS * 1000);
    view->is_leased = false;
    view->failures_min++;
    view->failures_max++;
}

/* In a FIFO queue everything in front is done, and nothing is in flight. */
static void check_order(struct world *world, struct group *group, int64_t from, int64_t offset)
{
    struct queue *queue = group->queue;

    for (uint32_t i = 0; i < queue->messages_count; i++) {
        struct message *message = &queue->messages[i];
        struct view *view = &group->views[i];
        bool is_done = view->progress == PROGRESS_DONE || view->progress == PROGRESS_MAYBE;
        if (message->offset < 0 || message->offset >= offset) {
            continue;
        }
        if (message->offset >= from) {
            CHECK(world, view->is_leased || is_done); /* leased in this very batch */
        } else {
            CHECK(world, is_done);
        }
    }
}

static void check_message(struct world *world, struct consume *consume,
                          const struct queue_message *got)
{
    struct group *group = consume->group;
    struct queue *queue = group->queue;
    char text[VALUE_SIZE];
    unsigned queue_index;
    unsigned number;

    CHECK(world, got->record.value.length < VALUE_SIZE);
    memcpy(text, got->record.value.data, got->record.value.length);
    text[got->record.value.length] = '\0';
    CHECK(world, sscanf(text, "%u:%u", &queue_index, &number) == 2);
    CHECK(world, queue_index == queue->index);
    CHECK(world, number < queue->messages_count);

    struct message *message = &queue->messages[number];
    struct view *view = &group->views[number];
    CHECK(world, message->fate != FATE_NONE);
    CHECK(world, message->offset < 0 || message->offset == got->record.offset);
    message->offset = got->record.offset;
    if (message->fate == FATE_MAYBE) {
        message->fate = FATE_STORED; /* what was delivered is on the disk */
    }
    CHECK(world, view->progress != PROGRESS_DONE);
    CHECK(world, view->progress != PROGRESS_ACKING);
    view->progress = open_progress(world, view);
    end_old_lease(world, view);
    CHECK(world, got->failures >= view->failures_min);
    CHECK(world, got->failures <= view->failures_max);
    view->failures_min = got->failures;
    view->failures_max = got->failures;
    if (queue->is_fifo) {
        check_order(world, group, consume->own.consume.messages[0].record.offset,
                    got->record.offset);
    }
    if (queue->expires) {
        CHECK(world, got->record.timestamp_ms >= now_ms(world) - RETENTION_MS);
    }
    view->is_leased = true;
    view->lease_us = consume->sent_us;
    view->batch = world->batches_count;
    memcpy(view->handler, got->handler, QUEUE_HANDLER_SIZE);

    struct held *held = &group->held[group->held_count++ % HELD_MAX];
    memcpy(held->handler, got->handler, QUEUE_HANDLER_SIZE);
    held->number = number;
    held->life = world->life;
    world->delivered_count++;
}

static void forget_consume(struct consume *consume)
{
    base_list_remove(&consume->link);
    consume->group->waiting_count--;
    queue_consume_release(&consume->own.consume);
    base_free(consume);
}

/* Leases of an answer that could not be sent go back uncounted. */
static void drop_answer(struct consume *consume)
{
    CHECK(consume->group->queue->world, !queue_consume_cancel(&consume->own.consume));
    CHECK(consume->group->queue->world, consume->own.consume.messages_count == 0);
}

static void on_consumed(struct queue_harness_consume *own)
{
    struct consume *consume = BASE_CONTAINER_OF(own, struct consume, own);
    struct world *world = consume->group->queue->world;
    struct queue_consume *request = &own->consume;

    if (consume->is_cancelling) {
        return; /* the cancel task ends it */
    }
    if (request->verdict == QUEUE_OK && consume->drops_answer) {
        drop_answer(consume);
    } else if (request->verdict == QUEUE_OK) {
        world->batches_count++;
        for (uint32_t i = 0; i < request->messages_count; i++) {
            check_message(world, consume, &request->messages[i]);
        }
        consume->group->last_count = request->messages_count;
    } else {
        CHECK(world, request->messages_count == 0);
    }
    forget_consume(consume);
}

static void run_cancel(struct base_task *task)
{
    struct consume *consume = BASE_CONTAINER_OF(task, struct consume, cancel);
    struct world *world = consume->group->queue->world;

    if (queue_consume_cancel(&consume->own.consume)) {
        CHECK(world, !consume->own.is_over);
        forget_consume(consume);
    } else if (consume->own.is_over) {
        CHECK(world, consume->own.consume.messages_count == 0);
        forget_consume(consume);
    } else {
        consume->is_cancelling = false; /* its answer is on its way, without messages */
    }
}

static void start_consume(struct world *world, struct group *group, int64_t time_wait_ms)
{
    struct consume *consume = base_alloc_object(struct consume);

    BASE_ASSERT(consume != NULL);
    consume->group = group;
    consume->sent_us = now_us(world);
    consume->drops_answer = !world->is_draining && pick(world, 20) == 0;
    consume->cancel.run = run_cancel;
    consume->own.on_over = on_consumed;
    consume->own.consume.topic = group->queue->topic;
    consume->own.consume.group_id = base_slice_text(group->id);
    consume->own.consume.messages_max = 1 + (uint32_t)pick(world, QUEUE_MESSAGES_MAX);
    consume->own.consume.size_bytes_max = pick(world, 4) == 0 ? 20 : QUEUE_CONSUME_BYTES_MAX;
    consume->own.consume.time_wait_ms = time_wait_ms;
    consume->own.consume.ack_wait_ms = ACK_WAIT_MS;
    base_list_push_back(&world->consumes, &consume->link);
    group->waiting_count++;
    queue_harness_start_consume(&world->harness, random_loop(world), &consume->own);
}

static void cancel_one(struct world *world)
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

/* Ack. */

struct ack {
    struct queue_harness_ack own;
    struct group *group;
    struct queue_ack_item items[QUEUE_MESSAGES_MAX];
    struct held held[QUEUE_MESSAGES_MAX];
    bool was_acking[QUEUE_MESSAGES_MAX]; /* set to ACKING by this ack */
    bool has_failure;
    uint32_t certain_count; /* items that it must take, or stop at a failure */
};

static bool names_its_lease(const struct ack *ack, uint32_t index)
{
    const struct view *view = &ack->group->views[ack->held[index].number];
    return view->is_leased && ack->held[index].life == ack->group->queue->world->life &&
           memcmp(view->handler, ack->held[index].handler, QUEUE_HANDLER_SIZE) == 0;
}

/* The failed item of a FIFO queue takes what was delivered behind it along. */
static void end_behind(struct group *group, int64_t offset, uint64_t batch)
{
    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        if (group->queue->messages[i].offset > offset && group->views[i].batch == batch &&
            (group->views[i].progress == PROGRESS_OPEN ||
             group->views[i].progress == PROGRESS_MAYBE)) {
            group->views[i].is_leased = false;
        }
    }
}

static void ack_succeeded(struct ack *ack)
{
    struct queue_ack *request = &ack->own.ack;
    struct group *group = ack->group;
    struct world *world = group->queue->world;

    for (uint32_t i = 0; i < request->items_count; i++) {
        struct view *view = &group->views[ack->held[i].number];
        bool is_stop = i == request->success_count;
        CHECK(world, !is_stop || i >= ack->certain_count);
        if (i < request->success_count) {
            CHECK(world, ack->items[i].success);
            CHECK(world, ack->was_acking[i] || names_its_lease(ack, i));
            view->progress = PROGRESS_DONE;
            view->is_leased = false;
            continue;
        }
        if (ack->was_acking[i] && view->progress == PROGRESS_ACKING) {
            view->progress = open_progress(world, view);
        }
        if (is_stop && request->stopped_by != QUEUE_OK) {
            /* It was not valid: its lease had ended, or another ack holds it. */
        } else if (is_stop) {
            CHECK(world, !ack->items[i].success);
            view->is_leased = false;
            view->failures_min++;
            view->failures_max++;
            view->failures_kept = view->failures_min;
            if (group->queue->is_fifo) {
                end_behind(group, group->queue->messages[ack->held[i].number].offset, view->batch);
            }
        } else if (ack->items[i].is_held && names_its_lease(ack, i)) {
            view->is_leased = false; /* returned */
        }
    }
}

static void ack_failed(struct ack *ack)
{
    struct queue_ack *request = &ack->own.ack;
    struct world *world = ack->group->queue->world;
    bool is_open = request->verdict != QUEUE_STORAGE_FAILED || is_certain(request->err);

    for (uint32_t i = 0; i < request->items_count; i++) {
        struct view *view = &ack->group->views[ack->held[i].number];
        if (ack->was_acking[i] && view->progress == PROGRESS_ACKING) {
            view->maybe_life = is_open ? view->maybe_life : world->life;
            view->progress = open_progress(world, view);
        } else if (!is_open && names_its_lease(ack, i) && view->progress == PROGRESS_OPEN) {
            view->maybe_life = world->life;
            view->progress = PROGRESS_MAYBE;
        }
        view->failures_max += !is_open && !ack->items[i].success ? 1 : 0;
        if (request->verdict == QUEUE_HANDLER_UNKNOWN && ack->items[i].is_held &&
            names_its_lease(ack, i)) {
            view->is_leased = false; /* returned */
        }
    }
}

static void on_ack_ended(struct ack *ack)
{
    for (uint32_t i = 0; i < ack->own.ack.items_count; i++) {
        ack->group->views[ack->held[i].number].acks_open--;
    }
    ack->group->fails_open -= ack->has_failure;
}

static void on_acked(struct queue_harness_ack *own)
{
    struct ack *ack = BASE_CONTAINER_OF(own, struct ack, own);
    struct world *world = ack->group->queue->world;

    CHECK(world, own->ack.success_count + own->ack.fail_count == own->ack.items_count ||
                     own->ack.verdict == QUEUE_GROUP_NOT_FOUND);
    if (own->ack.verdict == QUEUE_OK) {
        ack_succeeded(ack);
    } else {
        CHECK(world, own->ack.success_count == 0);
        ack_failed(ack);
    }
    on_ack_ended(ack);
    world->open_count--;
    base_free(ack);
}

/* From now on its messages may be done any time, and must not come again before its answer. */
static void on_ack_starts(struct queue_harness_ack *own)
{
    struct ack *ack = BASE_CONTAINER_OF(own, struct ack, own);
    struct group *group = ack->group;
    struct world *world = group->queue->world;

    for (uint32_t i = 0; i < own->ack.items_count && ack->items[i].success; i++) {
        struct view *view = &group->views[ack->held[i].number];
        bool may_have_ended = now_us(world) >= view->lease_us + ACK_WAIT_MS * 1000;
        bool is_contested = view->acks_open > 0 || (group->queue->is_fifo && group->fails_open > 0);
        if (!names_its_lease(ack, i) || is_contested || may_have_ended) {
            break; /* the ack may stop here */
        }
        CHECK(world, view->progress == PROGRESS_OPEN || view->progress == PROGRESS_MAYBE);
        ack->certain_count++;
        view->progress = PROGRESS_ACKING;
        view->acks_open++; /* so that the same message once more in this ack is not certain */
        ack->was_acking[i] = true;
    }
    for (uint32_t i = 0; i < own->ack.items_count; i++) {
        group->views[ack->held[i].number].acks_open += !ack->was_acking[i];
        ack->has_failure |= !ack->items[i].success;
    }
    group->fails_open += ack->has_failure;
}

static void start_ack(struct world *world, struct group *group)
{
    uint32_t known = group->held_count < HELD_MAX ? group->held_count : HELD_MAX;
    uint32_t count = 1 + (uint32_t)pick(world, QUEUE_MESSAGES_MAX);
    uint32_t back = count + (uint32_t)pick(world, pick(world, 4) == 0 ? HELD_MAX : 15);
    bool fails = !world->is_draining && pick(world, 3) == 0;
    struct ack *ack = base_alloc_object(struct ack);

    BASE_ASSERT(ack != NULL);
    back = back > known ? known : back;
    count = count > back ? back : count;
    if (world->is_draining) {
        back = group->last_count;
        count = back;
    }
    if (count == 0) {
        base_free(ack);
        return;
    }
    ack->group = group;
    for (uint32_t i = 0; i < count; i++) {
        ack->held[i] = group->held[(group->held_count - back + i) % HELD_MAX];
        ack->items[i].handler = base_slice_text(ack->held[i].handler);
        ack->items[i].success = !fails || pick(world, 4) != 0;
    }
    ack->own.ack.topic = group->queue->topic;
    ack->own.ack.group_id = base_slice_text(group->id);
    ack->own.ack.items = ack->items;
    ack->own.ack.items_count = count;
    ack->own.on_start = on_ack_starts;
    ack->own.on_over = on_acked;
    world->open_count++;
    queue_harness_start_ack(&world->harness, random_loop(world), &ack->own);
}

/* Crashes. */

/* All leases end, and what is not certainly on the disk may be gone. */
static void crash_views(struct world *world, struct group *group)
{
    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        struct view *view = &group->views[i];
        CHECK(world, view->progress != PROGRESS_ACKING);
        bool may_have_expired =
            view->is_leased && now_us(world) >= view->lease_us + ACK_WAIT_MS * 1000;
        view->failures_max += may_have_expired ? 1 : 0;
        view->failures_min = view->failures_kept;
        view->is_leased = false;
    }
}

static void start_broker(struct world *world)
{
    struct queue_harness *harness = &world->harness;

    for (;;) {
        bool power_cut = pick(world, 3) != 0;
        io_sim_restart(harness->sim, power_cut);
        if (!world->is_draining && pick(world, 6) == 0) {
            io_sim_crash_at(harness->sim, pick(world, 200)); /* while it starts */
        }
        enum base_err err = queue_harness_start(harness);
        if (err == BASE_ERR_OK) {
            break;
        }
        CHECK(world, io_sim_has_crashed(harness->sim));
    }
    world->life++;
}

static void end_life(struct world *world)
{
    queue_harness_stop(&world->harness);
    CHECK(world, base_list_is_empty(&world->consumes));
    for (uint32_t i = 0; i < QUEUES * GROUPS; i++) {
        crash_views(world, &world->queues[i / GROUPS].groups[i % GROUPS]);
    }
    start_broker(world);
}

static void crash(struct world *world)
{
    struct queue_harness *harness = &world->harness;

    io_sim_crash(harness->sim);
    io_sim_set_full(harness->sim, false);
    sim_scheduler_advance(harness->scheduler, 3 * QUEUE_HARNESS_SECOND); /* disk full: retried */
    CHECK(world, world->open_count == 0); /* everybody was answered */
    world->crashes_count++;
    end_life(world);
}

/* A sync that failed stops a partition for good. */
static bool is_offline(struct world *world)
{
    return partition_table_offline_count(world->harness.table) > 0;
}

/* Stops and starts the broker in good order, consumes still waiting. Until everything is
 * answered it may crash; then that is what happened. */
static void restart_in_order(struct world *world)
{
    struct queue_harness *harness = &world->harness;

    io_sim_set_full(harness->sim, false);
    sim_scheduler_run(harness->scheduler);
    for (unsigned i = 0; i < 100 && world->open_count > 0; i++) {
        sim_scheduler_advance(harness->scheduler, 50000);
    }
    if (io_sim_has_crashed(harness->sim) || is_offline(world)) {
        crash(world);
        return;
    }
    CHECK(world, world->open_count == 0);
    end_life(world);
}

static struct group *random_group(struct world *world)
{
    return &world->queues[pick(world, QUEUES)].groups[pick(world, GROUPS)];
}

static void step(struct world *world)
{
    struct queue_harness *harness = &world->harness;
    struct group *group = random_group(world);

    switch (pick(world, 20)) {
    case 0:
    case 1:
    case 2:
        start_produce(world, group->queue);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
        if (group->waiting_count < WAITING_MAX) {
            start_consume(world, group, (int64_t)pick(world, 5000));
        }
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        start_ack(world, group);
        break;
    case 12:
        cancel_one(world);
        break;
    case 13:
        sim_scheduler_advance(harness->scheduler,
                              (int64_t)pick(world, pick(world, 3) == 0 ? 20000000 : 200000));
        break;
    case 14:
        io_sim_set_full(harness->sim, pick(world, 5) == 0);
        break;
    case 15:
        if (pick(world, 8) == 0) {
            io_sim_crash_at(harness->sim, pick(world, 60));
        } else if (pick(world, 20) == 0) {
            io_sim_fail_sync_at(harness->sim, pick(world, 10));
        } else if (pick(world, 20) == 0) {
            restart_in_order(world);
        }
        break;
    default:
        for (uint64_t i = pick(world, 40); i > 0; i--) {
            (void)sim_scheduler_step(harness->scheduler);
        }
        break;
    }
    if (io_sim_has_crashed(harness->sim) || is_offline(world)) {
        crash(world);
    }
}

/* The end. */

static int64_t log_end(struct world *world, const struct queue *queue)
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

static struct queue_counters counters_of(struct world *world, const struct group *group)
{
    struct queue_counters counters;
    enum queue_verdict verdict = queue_count(world->harness.manager, group->queue->topic,
                                             base_slice_text(group->id), &counters);
    CHECK(world, verdict == QUEUE_OK);
    return counters;
}

/* What clients know bounds the numbers while some acks had no answer. */
static void check_bounds(struct world *world, const struct group *group)
{
    struct queue_counters counters = counters_of(world, group);
    int64_t done = 0;
    int64_t maybe = 0;

    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        done += group->views[i].progress == PROGRESS_DONE;
        maybe += group->views[i].progress == PROGRESS_MAYBE;
    }
    CHECK(world, counters.consumed >= done);
    CHECK(world, counters.consumed <= done + maybe);
    CHECK(world, counters.consumed + counters.skipped + counters.available ==
                     log_end(world, group->queue));
}

/* Consumes and acks until the group has everything. */
static void drain(struct world *world, struct group *group)
{
    struct queue_harness *harness = &world->harness;

    do {
        group->last_count = 0;
        start_consume(world, group, 100);
        sim_scheduler_advance(harness->scheduler, QUEUE_HARNESS_SECOND);
        CHECK(world, group->waiting_count == 0);
        start_ack(world, group);
        sim_scheduler_advance(harness->scheduler, QUEUE_HARNESS_SECOND);
    } while (group->last_count > 0);
}

static void check_all_done(struct world *world, struct group *group)
{
    struct queue *queue = group->queue;
    struct queue_counters counters = counters_of(world, group);

    for (uint32_t i = 0; i < queue->messages_count; i++) {
        struct view *view = &group->views[i];
        bool has_expired =
            queue->expires && queue->messages[i].time_ms < now_ms(world) - RETENTION_MS;
        if (queue->messages[i].fate == FATE_STORED && !has_expired) {
            CHECK(world, view->progress == PROGRESS_DONE || view->progress == PROGRESS_MAYBE);
        }
    }
    CHECK(world, counters.available == 0);
    CHECK(world, counters.leased == 0);
    CHECK(world, counters.consumed + counters.skipped == log_end(world, queue));
    CHECK(world, queue->expires || counters.skipped == 0);
}

static void quiesce(struct world *world)
{
    struct queue_harness *harness = &world->harness;

    world->is_draining = true;
    crash(world); /* also forgets planned faults */
    sim_scheduler_advance(harness->scheduler, 10 * QUEUE_HARNESS_SECOND);
    for (uint32_t i = 0; i < QUEUES * GROUPS; i++) {
        check_bounds(world, &world->queues[i / GROUPS].groups[i % GROUPS]);
    }
    for (uint32_t i = 0; i < QUEUES * GROUPS; i++) {
        drain(world, &world->queues[i / GROUPS].groups[i % GROUPS]);
    }
    CHECK(world, world->open_count == 0);
    CHECK(world, !is_offline(world));
    struct queue_counters before[QUEUES * GROUPS];
    for (uint32_t i = 0; i < QUEUES * GROUPS; i++) {
        struct group *group = &world->queues[i / GROUPS].groups[i % GROUPS];
        check_bounds(world, group);
        check_all_done(world, group);
        before[i] = counters_of(world, group);
    }
    crash(world);
    for (uint32_t i = 0; i < QUEUES * GROUPS; i++) {
        struct queue_counters after =
            counters_of(world, &world->queues[i / GROUPS].groups[i % GROUPS]);
        CHECK(world, after.consumed == before[i].consumed);
        CHECK(world, after.available == 0);
        CHECK(world, after.leased == 0);
    }
}

static void make_queue(struct world *world, uint32_t index)
{
    static const enum catalog_kind kinds[] = {CATALOG_NORMAL, CATALOG_FIFO, CATALOG_KAFKA_HA};
    struct queue *queue = &world->queues[index];
    enum catalog_kind kind = kinds[pick(world, 3)];
    char name[16];

    queue->world = world;
    queue->index = index;
    queue->is_fifo = kind == CATALOG_FIFO;
    queue->expires = kind == CATALOG_NORMAL && pick(world, 3) == 0;
    int32_t partitions = queue->is_fifo ? 1 : 1 + (int32_t)pick(world, PARTITIONS_MAX);
    (void)snprintf(name, sizeof name, "queue-%" PRIu32, index);
    queue->topic = queue_harness_make_queue(&world->harness, name, kind, partitions,
                                            queue->expires ? RETENTION_MS : -1);
    for (uint32_t i = 0; i < GROUPS; i++) {
        (void)snprintf(name, sizeof name, "group-%" PRIu32, i);
        bool made = queue_harness_make_group(&world->harness, &queue->topic, name);
        CHECK(world, made);
        struct group *group = &queue->groups[i];
        group->queue = queue;
        (void)snprintf(group->id, sizeof group->id, "%s", queue->topic->groups[i].id);
        queue_group_created(world->harness.manager, queue->topic, base_slice_text(group->id));
    }
    /* Nobody waits for the record of where a group began; from here on it is on the disk. */
    sim_scheduler_advance(world->harness.scheduler, QUEUE_HARNESS_SECOND);
}

static void run_seed(uint64_t seed)
{
    struct world *world = base_alloc_object(struct world);
    const struct io_sim_options options = {
        .pending_one_in = seed % 5,
        .latency_us_max = (int64_t)(seed % 7 * 3000),
    };

    BASE_ASSERT(world != NULL);
    world->seed = seed;
    world->life = 1;
    base_list_init(&world->consumes);
    queue_harness_init(&world->harness, seed, &options);
    world->harness.snapshot_updates = 5 + (uint32_t)pick(world, 100);
    world->harness.tail_bytes_max = pick(world, 2) == 0 ? 0 : 1 << 20;
    enum base_err err = queue_harness_start(&world->harness);
    CHECK(world, err == BASE_ERR_OK);
    for (uint32_t i = 0; i < QUEUES; i++) {
        make_queue(world, i);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step(world);
    }
    quiesce(world);
    for (uint32_t i = 0; i < QUEUES; i++) {
        catalog_topic_release(&world->queues[i].topic);
    }
    if (getenv("SIM_VERBOSE") != NULL) {
        printf("seed %" PRIu64 ": %" PRIu64 " delivered, %" PRIu64 " crashes\n", seed,
               world->delivered_count, world->crashes_count);
    }
    queue_harness_fini(&world->harness);
    base_free(world);
}

int main(int argc, char **argv)
{
    if (argc != 4 || strcmp(argv[1], "--seeds") != 0) {
        fprintf(stderr, "usage: sim_queue --seeds FROM COUNT\n");
        return 2;
    }
    uint64_t from = strtoull(argv[2], NULL, 10);
    uint64_t count = strtoull(argv[3], NULL, 10);

    base_log_configure(getenv("SIM_LOG") != NULL ? BASE_LOG_TRACE : BASE_LOG_ERROR + 1,
                       BASE_LOG_LOGFMT);
    for (uint64_t seed = from; seed < from + count; seed++) {
        run_seed(seed);
    }
    printf("%" PRIu64 " seeds\n", count);
    return 0;
}
