/* Members on several real loops, all at the same groups: every answer comes, and under the
 * thread sanitizer nothing races. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/group/coordinator.h"
#include "core/group/journal.h"
#include "core/net/loop.h"

enum { LOOPS_COUNT = 3, ACTORS_COUNT = 6, ROUNDS_COUNT = 150 };

/* A log that answers later, on the loop that asked. */
struct later_journal {
    struct group_journal journal;
    pthread_mutex_t mutex;
    int64_t end;
};

static enum base_err later_append(struct group_journal *journal, const struct base_chunk *bytes,
                                  const struct logstore_batch *batch,
                                  struct base_executor *executor, struct partition_waiter *waiter,
                                  bool *pending)
{
    struct later_journal *self = BASE_CONTAINER_OF(journal, struct later_journal, journal);

    (void)bytes;
    pthread_mutex_lock(&self->mutex);
    self->end += batch->records_count;
    waiter->err = BASE_ERR_OK;
    base_executor_post(executor, &waiter->task);
    pthread_mutex_unlock(&self->mutex);
    *pending = true;
    return BASE_ERR_OK;
}

static int64_t later_end(struct group_journal *journal)
{
    struct later_journal *self = BASE_CONTAINER_OF(journal, struct later_journal, journal);
    pthread_mutex_lock(&self->mutex);
    int64_t end = self->end;
    pthread_mutex_unlock(&self->mutex);
    return end;
}

static void later_trim(struct group_journal *journal, int64_t offset)
{
    (void)journal;
    (void)offset;
}

static enum base_err later_replay(struct group_journal *journal, partition_visit *visit,
                                  void *context)
{
    (void)journal;
    (void)visit;
    (void)context;
    return BASE_ERR_OK;
}

static const struct group_journal_ops later_ops = {
    .append = later_append, .end = later_end, .trim = later_trim, .replay = later_replay};

/* The test's own thread waits for a number of events. */
static pthread_mutex_t events_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t events_cond = PTHREAD_COND_INITIALIZER;
static int events_count;

static void event(void)
{
    pthread_mutex_lock(&events_mutex);
    events_count++;
    pthread_cond_signal(&events_cond);
    pthread_mutex_unlock(&events_mutex);
}

static void wait_for_events(int count)
{
    pthread_mutex_lock(&events_mutex);
    while (events_count < count) {
        pthread_cond_wait(&events_cond, &events_mutex);
    }
    events_count -= count;
    pthread_mutex_unlock(&events_mutex);
}

struct actor {
    struct group_coordinator *coordinator;
    struct base_executor *executor;
    struct base_task round;
    struct group_join join;
    struct group_sync sync;
    struct group_commit commit;
    struct group_commit_item item;
    struct group_protocol protocol;
    struct group_assignment share;
    char topic[16];
    char member_id[128];
    int rounds;
};

static void begin_round(struct base_task *task)
{
    struct actor *actor = BASE_CONTAINER_OF(task, struct actor, round);

    if (actor->rounds++ == ROUNDS_COUNT) {
        event();
        return;
    }
    actor->commit.group_id = base_slice_text("simple");
    actor->item.offset = actor->rounds;
    if (group_commit(actor->coordinator, &actor->commit) == GROUP_DONE) {
        actor->commit.task.run(&actor->commit.task);
    }
}

static void committed(struct base_task *task)
{
    struct actor *actor = BASE_CONTAINER_OF(task, struct actor, commit.task);
    int64_t offset;

    BASE_ASSERT(actor->commit.verdict == GROUP_OK);
    group_committed_offsets(actor->coordinator, actor->commit.group_id, actor->item.topic, &offset,
                            1);
    BASE_ASSERT(offset == actor->rounds);
    if (group_join(actor->coordinator, &actor->join) == GROUP_DONE) {
        actor->join.task.run(&actor->join.task);
    } else if (actor->rounds % 7 == 0 && group_join_cancel(actor->coordinator, &actor->join)) {
        base_executor_post(actor->executor, &actor->round);
    }
}

static void joined(struct base_task *task)
{
    struct actor *actor = BASE_CONTAINER_OF(task, struct actor, join.task);
    bool in = actor->join.verdict == GROUP_OK;

    if (in) {
        (void)snprintf(actor->member_id, sizeof actor->member_id, "%s",
                       (const char *)actor->join.joined_member_id.data);
        actor->sync.member_id = base_slice_text(actor->member_id);
        actor->sync.generation = actor->join.generation;
        actor->share = (struct group_assignment){actor->sync.member_id, base_slice_text("share")};
    }
    group_join_release(&actor->join);
    if (!in) {
        base_executor_post(actor->executor, &actor->round);
    } else if (group_sync(actor->coordinator, &actor->sync) == GROUP_DONE) {
        actor->sync.task.run(&actor->sync.task);
    }
}

static void synced(struct base_task *task)
{
    struct actor *actor = BASE_CONTAINER_OF(task, struct actor, sync.task);
    struct group_leave_member member = {.member_id = actor->sync.member_id};
    struct group_heartbeat heartbeat = {.group_id = actor->sync.group_id,
                                        .member_id = actor->sync.member_id,
                                        .generation = actor->sync.generation};
    struct group_leave leave = {.executor = actor->executor,
                                .group_id = actor->sync.group_id,
                                .members = &member,
                                .members_count = 1};
    struct group_listing *rows;
    struct base_arena arena;
    uint32_t count;

    group_sync_release(&actor->sync);
    (void)group_heartbeat(actor->coordinator, &heartbeat);
    base_arena_init(&arena, 1 << 20);
    BASE_ASSERT(group_list(actor->coordinator, 0, &arena, &rows, &count) == GROUP_OK);
    base_arena_fini(&arena);
    BASE_ASSERT(group_leave(actor->coordinator, &leave) == GROUP_OK);
    base_executor_post(actor->executor, &actor->round);
}

static void actor_init(struct actor *actor, struct group_coordinator *coordinator,
                       struct base_executor *executor, int index)
{
    memset(actor, 0, sizeof *actor);
    actor->coordinator = coordinator;
    actor->executor = executor;
    actor->round.run = begin_round;
    (void)snprintf(actor->topic, sizeof actor->topic, "t%d", index);
    actor->item.topic = base_slice_text(actor->topic);
    actor->commit.executor = executor;
    actor->commit.task.run = committed;
    actor->commit.generation = -1;
    actor->commit.items = &actor->item;
    actor->commit.items_count = 1;
    actor->protocol = (struct group_protocol){base_slice_text("range"), base_slice_text("meta")};
    actor->join.executor = executor;
    actor->join.task.run = joined;
    actor->join.group_id = base_slice_text("joint");
    actor->join.client_id = base_slice_text("actor");
    actor->join.protocol_type = base_slice_text("consumer");
    actor->join.protocols = &actor->protocol;
    actor->join.protocols_count = 1;
    actor->join.session_timeout_ms = 50;
    actor->join.rebalance_timeout_ms = 20;
    actor->sync.executor = executor;
    actor->sync.task.run = synced;
    actor->sync.group_id = base_slice_text("joint");
    actor->sync.assignments = &actor->share;
    actor->sync.assignments_count = 1;
}

static void note(struct base_task *task)
{
    (void)task;
    event();
}

static void every_request_on_every_loop_is_answered(void **state)
{
    static struct actor actors[ACTORS_COUNT];
    struct net_loop *loops[LOOPS_COUNT];
    struct base_executor *executors[LOOPS_COUNT];
    struct later_journal log = {.journal.ops = &later_ops, .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct group_coordinator *coordinator = NULL;
    struct group_coordinator_options options;

    (void)state;
    for (unsigned i = 0; i < LOOPS_COUNT; i++) {
        assert_int_equal(net_loop_create(i, base_clock_system(), NULL, &loops[i]), BASE_ERR_OK);
        executors[i] = net_loop_executor(loops[i]);
    }
    group_coordinator_options_default(&options);
    options.worker = executors[0];
    options.executors = executors;
    options.executors_count = LOOPS_COUNT;
    options.clock = base_clock_system();
    options.initial_rebalance_delay_ms = 1;
    options.session_timeout_min_ms = 10;
    options.offsets_check_ms = 3;
    options.journal = &log.journal;
    assert_int_equal(group_coordinator_create(&options, &coordinator), BASE_ERR_OK);
    struct group_load load = {.executor = executors[0], .task.run = note};
    group_coordinator_load(coordinator, &load);
    wait_for_events(1);
    for (int i = 0; i < ACTORS_COUNT; i++) {
        actor_init(&actors[i], coordinator, executors[i % LOOPS_COUNT], i);
        base_executor_post(actors[i].executor, &actors[i].round);
    }
    wait_for_events(ACTORS_COUNT);
    struct base_task closed = {.run = note};
    group_coordinator_close(coordinator, executors[0], &closed);
    wait_for_events(1);
    for (unsigned i = 0; i < LOOPS_COUNT; i++) {
        net_loop_close(&loops[i]);
    }
    pthread_mutex_destroy(&log.mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_on_every_loop_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
