/* One thread that owns time, a journal in memory, and clients that speak to a coordinator. */
#ifndef TESTS_UNIT_GROUP_SUPPORT_H
#define TESTS_UNIT_GROUP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/list.h"
#include "core/base/timer_heap.h"
#include "core/base/uuid.h"
#include "core/group/coordinator.h"
#include "core/group/journal.h"
#include "logstore/records.h"

/* Virtual time, shared by all executors of a test. */
struct fake_clock {
    struct base_clock clock;
    int64_t now_us;
};

struct fake_executor {
    struct base_executor executor;
    struct base_task *first;
    struct base_task **last;
    struct base_timer_heap timers;
};

static inline int64_t fake_monotonic(struct base_clock *clock)
{
    return BASE_CONTAINER_OF(clock, struct fake_clock, clock)->now_us;
}

static inline int64_t fake_wall(struct base_clock *clock)
{
    return INT64_C(1700000000000000) + BASE_CONTAINER_OF(clock, struct fake_clock, clock)->now_us;
}

static inline void fake_post(struct base_executor *executor, struct base_task *task)
{
    struct fake_executor *self = BASE_CONTAINER_OF(executor, struct fake_executor, executor);
    task->next = NULL;
    *self->last = task;
    self->last = &task->next;
}

static inline void fake_arm(struct base_executor *executor, struct base_timer *timer)
{
    base_timer_heap_arm(&BASE_CONTAINER_OF(executor, struct fake_executor, executor)->timers,
                        timer);
}

static inline void fake_stop(struct base_executor *executor, struct base_timer *timer)
{
    base_timer_heap_stop(&BASE_CONTAINER_OF(executor, struct fake_executor, executor)->timers,
                         timer);
}

static inline bool fake_is_current(struct base_executor *executor)
{
    (void)executor;
    return true;
}

static inline void fake_executor_init(struct fake_executor *self, struct fake_clock *clock)
{
    static const struct base_executor_ops ops = {
        .post = fake_post,
        .defer = fake_post,
        .timer_arm = fake_arm,
        .timer_stop = fake_stop,
        .is_current = fake_is_current,
    };
    *self = (struct fake_executor){.executor = {.ops = &ops, .clock = &clock->clock}};
    self->last = &self->first;
    base_timer_heap_init(&self->timers);
}

static inline void fake_run(struct fake_executor *self)
{
    while (self->first != NULL) {
        struct base_task *task = self->first;
        self->first = task->next;
        if (self->first == NULL) {
            self->last = &self->first;
        }
        task->run(task);
    }
}

static inline void fake_advance(struct fake_executor *self, struct fake_clock *clock, int64_t ms)
{
    int64_t target_us = clock->now_us + ms * 1000;

    fake_run(self);
    for (;;) {
        int64_t next_us = base_timer_heap_next_us(&self->timers);
        if (next_us < 0 || next_us > target_us) {
            break;
        }
        clock->now_us = next_us > clock->now_us ? next_us : clock->now_us;
        (void)base_timer_heap_run(&self->timers, clock->now_us, 1);
        fake_run(self);
    }
    clock->now_us = target_us;
}

/* The log. */
enum { MEMORY_BATCHES_MAX = 40000 };

struct memory_batch {
    struct base_buffer *buffer;
    size_t length;
    int64_t offset;
    int64_t next_offset;
    struct partition_waiter *waiter; /* borrowed; NULL once answered */
};

struct memory_journal {
    struct group_journal journal;
    struct memory_batch batches[MEMORY_BATCHES_MAX];
    uint32_t first;
    uint32_t count; /* index behind the last */
    int64_t end;
    bool held;                /* batches become durable only with memory_release */
    enum base_err append_err; /* what append returns */
};

static inline enum base_err memory_append(struct group_journal *journal,
                                          const struct base_chunk *bytes,
                                          const struct logstore_batch *batch,
                                          struct base_executor *executor,
                                          struct partition_waiter *waiter, bool *pending)
{
    struct memory_journal *self = BASE_CONTAINER_OF(journal, struct memory_journal, journal);

    *pending = false;
    if (self->append_err) {
        return self->append_err;
    }
    assert_true(self->count < MEMORY_BATCHES_MAX);
    assert_ptr_equal(executor, waiter->executor);
    assert_true(batch->records_count > 0);
    struct memory_batch *row = &self->batches[self->count++];
    row->buffer = base_buffer_hold(bytes->buffer);
    row->length = bytes->length;
    row->offset = self->end;
    self->end += batch->last_offset_delta + 1;
    row->next_offset = self->end;
    logstore_batch_set_offset_and_epoch(row->buffer->data, row->offset, 0);
    row->waiter = self->held ? waiter : NULL;
    *pending = self->held;
    return BASE_ERR_OK;
}

/* Answers what waits, in order. */
static inline void memory_release(struct memory_journal *self, enum base_err err)
{
    uint32_t count = self->count;
    for (uint32_t i = self->first; i < count; i++) {
        struct partition_waiter *waiter = self->batches[i].waiter;
        if (waiter != NULL) {
            self->batches[i].waiter = NULL;
            waiter->err = err;
            base_executor_post(waiter->executor, &waiter->task);
        }
    }
}

static inline int64_t memory_end(struct group_journal *journal)
{
    return BASE_CONTAINER_OF(journal, struct memory_journal, journal)->end;
}

static inline void memory_trim(struct group_journal *journal, int64_t offset)
{
    struct memory_journal *self = BASE_CONTAINER_OF(journal, struct memory_journal, journal);
    while (self->first < self->count && self->batches[self->first].next_offset <= offset) {
        assert_null(self->batches[self->first].waiter);
        base_buffer_release(&self->batches[self->first++].buffer);
    }
}

static inline enum base_err memory_replay(struct group_journal *journal, partition_visit *visit,
                                          void *context)
{
    struct memory_journal *self = BASE_CONTAINER_OF(journal, struct memory_journal, journal);
    enum base_err err = BASE_ERR_OK;

    for (uint32_t i = self->first; i < self->count && err == BASE_ERR_OK; i++) {
        struct logstore_records records;
        struct logstore_record record;
        const struct memory_batch *row = &self->batches[i];
        err = logstore_batch_verify_crc(row->buffer->data, row->length);
        assert_int_equal(err, BASE_ERR_OK);
        err = logstore_records_open(&records, row->buffer->data, row->length, 1 << 20);
        assert_int_equal(err, BASE_ERR_OK);
        while (err == BASE_ERR_OK && logstore_records_next(&records, &record)) {
            err = visit(context, &record);
        }
        if (err == BASE_ERR_OK) {
            assert_int_equal(logstore_records_finish(&records), BASE_ERR_OK);
        }
        logstore_records_close(&records);
    }
    return err;
}

static const struct group_journal_ops memory_ops = {
    .append = memory_append,
    .end = memory_end,
    .trim = memory_trim,
    .replay = memory_replay,
    .close = NULL,
};

/* A coordinator and what it runs on. */
struct fixture {
    struct fake_clock clock;
    struct fake_executor loop;
    struct fake_executor other; /* a second loop, which runs only when told to */
    struct base_executor *executors[1];
    struct memory_journal *log;
    struct group_coordinator_options options;
    struct group_coordinator *coordinator;
    struct group_load load;
    struct base_task closed;
    bool is_closed;
};

static inline void run(struct fixture *fixture)
{
    fake_run(&fixture->loop);
}

static inline void advance(struct fixture *fixture, int64_t ms)
{
    fake_advance(&fixture->loop, &fixture->clock, ms);
}

static inline void ignore(struct base_task *task)
{
    (void)task;
}

static inline void start(struct fixture *fixture)
{
    fixture->load = (struct group_load){.executor = &fixture->loop.executor, .task.run = ignore};
    assert_int_equal(group_coordinator_create(&fixture->options, &fixture->coordinator),
                     BASE_ERR_OK);
    group_coordinator_load(fixture->coordinator, &fixture->load);
    run(fixture);
    assert_int_equal(fixture->load.err, BASE_ERR_OK);
    assert_true(group_coordinator_is_ready(fixture->coordinator));
}

static inline void note_closed(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct fixture, closed)->is_closed = true;
}

static inline void stop(struct fixture *fixture)
{
    fixture->is_closed = false;
    fixture->closed.run = note_closed;
    group_coordinator_close(fixture->coordinator, &fixture->loop.executor, &fixture->closed);
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture);
    assert_true(fixture->is_closed);
    fixture->coordinator = NULL;
}

static inline int setup(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    fixture->log = base_alloc_object(struct memory_journal);
    assert_non_null(fixture->log);
    base_uuid_seed(7);
    fixture->log->journal.ops = &memory_ops;
    fixture->clock.clock.monotonic_us = fake_monotonic;
    fixture->clock.clock.wall_us = fake_wall;
    fixture->clock.now_us = 1000000;
    fake_executor_init(&fixture->loop, &fixture->clock);
    fake_executor_init(&fixture->other, &fixture->clock);
    fixture->executors[0] = &fixture->loop.executor;
    group_coordinator_options_default(&fixture->options);
    fixture->options.worker = &fixture->loop.executor;
    fixture->options.executors = fixture->executors;
    fixture->options.executors_count = 1;
    fixture->options.clock = &fixture->clock.clock;
    fixture->options.journal = &fixture->log->journal;
    start(fixture);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    stop(fixture);
    for (uint32_t i = fixture->log->first; i < fixture->log->count; i++) {
        base_buffer_release(&fixture->log->batches[i].buffer);
    }
    base_timer_heap_fini(&fixture->loop.timers);
    base_timer_heap_fini(&fixture->other.timers);
    base_free(fixture->log);
    base_free(fixture);
    return 0;
}

/* One member as its client sees itself. */
struct client {
    struct group_join join;
    struct group_sync sync;
    struct group_protocol protocols[2];
    char member_id[256];
    const char *instance;
    struct fixture *fixture;
    int32_t generation;
    unsigned joins_posted;
    unsigned syncs_posted;
};

static inline void joined(struct base_task *task)
{
    struct client *client = BASE_CONTAINER_OF(task, struct client, join.task);
    client->joins_posted++;
}

static inline void synced(struct base_task *task)
{
    struct client *client = BASE_CONTAINER_OF(task, struct client, sync.task);
    client->syncs_posted++;
}

static inline struct base_slice text(const char *bytes)
{
    return base_slice_text(bytes);
}

static inline void client_init(struct fixture *fixture, struct client *client, const char *instance)
{
    memset(client, 0, sizeof *client);
    client->instance = instance;
    client->fixture = fixture;
    client->protocols[0] = (struct group_protocol){text("range"), text("meta")};
    client->protocols[1] = (struct group_protocol){text("sticky"), text("meta2")};
    client->join = (struct group_join){
        .executor = &fixture->loop.executor,
        .group_id = text("g"),
        .client_id = text("app"),
        .client_host = text("/127.0.0.1"),
        .protocol_type = text("consumer"),
        .protocols = client->protocols,
        .protocols_count = 1,
        .session_timeout_ms = 10000,
        .rebalance_timeout_ms = 60000,
        .requires_member_id = true,
        .supports_skip_assignment = true,
    };
}

static inline void client_learn(struct client *client)
{
    if (client->join.joined_member_id.data != NULL) {
        (void)snprintf(client->member_id, sizeof client->member_id, "%s",
                       (const char *)client->join.joined_member_id.data);
    }
    if (client->join.verdict == GROUP_OK) {
        client->generation = client->join.generation;
    }
}

/* One JoinGroup; the outputs of the one before are gone. */
static inline enum group_answer client_join(struct fixture *fixture, struct client *client)
{
    group_join_release(&client->join);
    client->joins_posted = 0;
    client->join.member_id = text(client->member_id);
    client->join.group_instance_id = text(client->instance);
    client->join.task.run = joined;
    enum group_answer answer = group_join(fixture->coordinator, &client->join);
    if (answer == GROUP_DONE) {
        client_learn(client);
    }
    return answer;
}

/* Both JoinGroups of a new dynamic member: parked. */
static inline void client_enter(struct fixture *fixture, struct client *client)
{
    assert_int_equal(client_join(fixture, client), GROUP_DONE);
    assert_int_equal(client->join.verdict, GROUP_MEMBER_ID_REQUIRED);
    assert_int_equal(client_join(fixture, client), GROUP_PENDING);
}

/* The parked join was answered with a generation. */
static inline void client_joined(struct client *client, int32_t generation)
{
    assert_int_equal(client->joins_posted, 1);
    assert_int_equal(client->join.verdict, GROUP_OK);
    assert_int_equal(client->join.generation, generation);
    client_learn(client);
}

static inline enum group_answer client_sync(struct fixture *fixture, struct client *client,
                                            const struct group_assignment *assignments,
                                            uint32_t count)
{
    group_sync_release(&client->sync);
    client->syncs_posted = 0;
    client->sync = (struct group_sync){
        .executor = &fixture->loop.executor,
        .task.run = synced,
        .group_id = client->join.group_id,
        .member_id = text(client->member_id),
        .group_instance_id = text(client->instance),
        .generation = client->generation,
        .assignments = assignments,
        .assignments_count = count,
    };
    return group_sync(fixture->coordinator, &client->sync);
}

static inline enum group_verdict client_heartbeat(struct fixture *fixture,
                                                  const struct client *client)
{
    struct group_heartbeat heartbeat = {
        .group_id = client->join.group_id,
        .member_id = text(client->member_id),
        .group_instance_id = text(client->instance),
        .generation = client->generation,
    };
    return group_heartbeat(fixture->coordinator, &heartbeat);
}

/* Its connection closes. */
static inline void client_fini(struct client *client)
{
    (void)group_join_cancel(client->fixture->coordinator, &client->join);
    (void)group_sync_cancel(client->fixture->coordinator, &client->sync);
    run(client->fixture); /* an answer may be on its way */
    group_join_release(&client->join);
    group_sync_release(&client->sync);
}

/* A stable group of count clients; the first one leads. Generation 1. */
static inline void make_stable(struct fixture *fixture, struct client *clients, uint32_t count)
{
    struct group_assignment shares[8];

    for (uint32_t i = 0; i < count; i++) {
        if (clients[i].instance == NULL) {
            client_enter(fixture, &clients[i]);
        } else {
            assert_int_equal(client_join(fixture, &clients[i]), GROUP_PENDING);
        }
    }
    advance(fixture, 6000);
    for (uint32_t i = 0; i < count; i++) {
        client_joined(&clients[i], 1);
        shares[i] = (struct group_assignment){text(clients[i].member_id), text("share")};
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(client_sync(fixture, &clients[i], shares, count), GROUP_DONE);
        assert_int_equal(clients[i].sync.verdict, GROUP_OK);
    }
}

static inline enum group_state state_of(struct fixture *fixture, const char *group_id)
{
    struct base_arena arena;
    struct group_description description;

    base_arena_init(&arena, 1 << 20);
    (void)group_describe(fixture->coordinator, text(group_id), &arena, &description);
    base_arena_fini(&arena);
    return description.state;
}

static inline uint32_t members_of(struct fixture *fixture, const char *group_id)
{
    struct base_arena arena;
    struct group_description description;

    base_arena_init(&arena, 1 << 20);
    (void)group_describe(fixture->coordinator, text(group_id), &arena, &description);
    base_arena_fini(&arena);
    return description.members_count;
}

/* A commit of one offset. */
struct committer {
    struct group_commit commit;
    struct group_commit_item item;
    unsigned posted;
};

static inline void committed(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct committer, commit.task)->posted++;
}

static inline enum group_answer commit_as(struct fixture *fixture, struct committer *committer,
                                          const struct client *client, const char *topic,
                                          int64_t offset)
{
    memset(committer, 0, sizeof *committer);
    committer->item = (struct group_commit_item){.topic = text(topic),
                                                 .partition = 0,
                                                 .offset = offset,
                                                 .leader_epoch = -1,
                                                 .metadata = text("note")};
    committer->commit = (struct group_commit){
        .executor = &fixture->loop.executor,
        .task.run = committed,
        .group_id = client == NULL ? text("g") : client->join.group_id,
        .member_id = client == NULL ? text("") : text(client->member_id),
        .group_instance_id = text(client == NULL ? NULL : client->instance),
        .generation = client == NULL ? -1 : client->generation,
        .items = &committer->item,
        .items_count = 1,
    };
    return group_commit(fixture->coordinator, &committer->commit);
}

static inline int64_t offset_of(struct fixture *fixture, const char *topic)
{
    int64_t offset;

    group_committed_offsets(fixture->coordinator, text("g"), text(topic), &offset, 1);
    return offset;
}

#endif
