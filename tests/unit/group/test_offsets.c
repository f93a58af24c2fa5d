/* Committed offsets: who may commit, when it counts, when it ends, what survives. */
#include <time.h>

#include "core/base/endian.h"
#include "tests/unit/group/support.h"

static const uint8_t subscription_t[] = {0, 1, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};

enum { DAY_MS = 24 * 3600 * 1000 };

static void commit_counts_only_when_durable(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;

    fixture->log->held = true;
    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 42), GROUP_PENDING);
    run(fixture);
    assert_int_equal(committer.posted, 0);
    assert_int_equal(offset_of(fixture, "t"), -1);
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture);
    assert_int_equal(committer.posted, 1);
    assert_int_equal(committer.commit.verdict, GROUP_OK);
    assert_int_equal(offset_of(fixture, "t"), 42);
}

static void failed_commit_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;

    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 1), GROUP_DONE);
    fixture->log->append_err = BASE_ERR_OFFLINE;
    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 2), GROUP_DONE);
    assert_int_equal(committer.commit.verdict, GROUP_STORAGE_FAILED);
    fixture->log->append_err = BASE_ERR_OK;
    fixture->log->held = true;
    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 3), GROUP_PENDING);
    memory_release(fixture->log, BASE_ERR_IO);
    run(fixture);
    assert_int_equal(committer.commit.verdict, GROUP_STORAGE_FAILED);
    assert_int_equal(offset_of(fixture, "t"), 1);
}

static void later_commit_wins_whatever_executor_wakes_first(void **state)
{
    struct fixture *fixture = *state;
    struct committer first;
    struct committer second;

    fixture->log->held = true;
    (void)commit_as(fixture, &first, NULL, "t", 0);
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture);
    memset(&first, 0, sizeof first);
    first.item = (struct group_commit_item){.topic = text("t"), .offset = 1, .leader_epoch = -1};
    first.commit = (struct group_commit){.executor = &fixture->other.executor,
                                         .task.run = committed,
                                         .group_id = text("g"),
                                         .generation = -1,
                                         .items = &first.item,
                                         .items_count = 1};
    assert_int_equal(group_commit(fixture->coordinator, &first.commit), GROUP_PENDING);
    assert_int_equal(commit_as(fixture, &second, NULL, "t", 2), GROUP_PENDING);
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture); /* the loop of the second one is faster */
    assert_int_equal(second.posted, 1);
    assert_int_equal(offset_of(fixture, "t"), 2);
    fake_run(&fixture->other);
    assert_int_equal(first.posted, 1);
    assert_int_equal(first.commit.verdict, GROUP_OK);
    assert_int_equal(offset_of(fixture, "t"), 2);
}

static void strangers_commit_only_while_the_group_is_empty(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;

    client_init(fixture, &a, NULL);
    make_stable(fixture, &a, 1);
    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 1), GROUP_DONE);
    assert_int_equal(committer.commit.verdict, GROUP_UNKNOWN_MEMBER);
    advance(fixture, 10001); /* its session ends */
    assert_int_equal(state_of(fixture, "g"), GROUP_EMPTY);
    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 1), GROUP_DONE);
    assert_int_equal(committer.commit.verdict, GROUP_OK);
    client_fini(&a);
}

static void members_commit_with_their_generation(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    assert_int_equal(commit_as(fixture, &committer, &clients[0], "t", 1), GROUP_DONE);
    assert_int_equal(committer.commit.verdict, GROUP_NOT_FOUND); /* generation 0, no group */
    make_stable(fixture, clients, 1);
    assert_int_equal(commit_as(fixture, &committer, &clients[0], "t", 1), GROUP_DONE);
    assert_int_equal(committer.commit.verdict, GROUP_OK);
    clients[0].generation = 0;
    (void)commit_as(fixture, &committer, &clients[0], "t", 2);
    assert_int_equal(committer.commit.verdict, GROUP_ILLEGAL_GENERATION);
    clients[0].generation = 1;

    client_init(fixture, &clients[1], NULL);
    client_enter(fixture, &clients[1]); /* preparing: the old generation still commits */
    (void)commit_as(fixture, &committer, &clients[0], "t", 3);
    assert_int_equal(committer.commit.verdict, GROUP_OK);
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_DONE);
    assert_int_equal(state_of(fixture, "g"), GROUP_COMPLETING_REBALANCE);
    (void)commit_as(fixture, &committer, &clients[0], "t", 4);
    assert_int_equal(committer.commit.verdict, GROUP_REBALANCE_IN_PROGRESS);
    assert_int_equal(offset_of(fixture, "t"), 3);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
}

static void commits_keep_the_session(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;

    client_init(fixture, &a, NULL);
    make_stable(fixture, &a, 1);
    for (int i = 0; i < 4; i++) {
        advance(fixture, 6000);
        (void)commit_as(fixture, &committer, &a, "t", i);
        assert_int_equal(committer.commit.verdict, GROUP_OK);
    }
    client_fini(&a);
}

static void too_much_metadata_refuses_only_its_item(void **state)
{
    struct fixture *fixture = *state;
    static const char big[GROUP_OFFSET_METADATA_SIZE_MAX + 1];
    struct group_commit_item items[2] = {
        {.topic = text("a"), .offset = 1, .metadata = base_slice_of(big, sizeof big)},
        {.topic = text("b"), .offset = 2, .metadata = base_slice_of(big, sizeof big - 1)},
    };
    struct group_commit commit = {.executor = &fixture->loop.executor,
                                  .group_id = text("g"),
                                  .generation = -1,
                                  .items = items,
                                  .items_count = 2};

    assert_int_equal(group_commit(fixture->coordinator, &commit), GROUP_DONE);
    assert_int_equal(commit.verdict, GROUP_OK);
    assert_int_equal(items[0].verdict, GROUP_METADATA_TOO_LARGE);
    assert_int_equal(items[1].verdict, GROUP_OK);
    assert_int_equal(offset_of(fixture, "a"), -1);
    assert_int_equal(offset_of(fixture, "b"), 2);
}

static void unknown_offsets_are_none_and_no_error(void **state)
{
    struct fixture *fixture = *state;
    struct group_fetch_item item = {.topic = text("t"), .partition = 3};

    assert_int_equal(group_offsets_fetch(fixture->coordinator, text("nowhere"), &item, 1),
                     GROUP_OK);
    assert_null(item.offset);
}

static void name_of_a_topic_is_read_once_for_all_its_partitions(void **state)
{
    enum { NAME_SIZE = INT16_MAX, ITEMS = 250000, SECONDS_MAX = 2 };
    struct fixture *fixture = *state;
    struct committer committer;
    struct group_fetch_item *items = base_alloc_array(ITEMS, sizeof *items);
    char *name = base_alloc(NAME_SIZE);

    memset(name, 'n', NAME_SIZE);
    (void)commit_as(fixture, &committer, NULL, "t", 42);
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].topic = base_slice_of(name, NAME_SIZE);
    }
    items[ITEMS - 1].topic = text("t");
    clock_t began = clock();
    assert_int_equal(group_offsets_fetch(fixture->coordinator, text("g"), items, ITEMS), GROUP_OK);
    assert_true((clock() - began) / CLOCKS_PER_SEC < SECONDS_MAX);
    assert_null(items[0].offset);
    assert_int_equal(items[ITEMS - 1].offset->offset, 42);
    group_offset_release(&items[ITEMS - 1].offset);
    base_free(name);
    base_free(items);
}

static bool count_offsets(void *context, struct base_slice topic, int32_t partition,
                          struct group_offset *offset)
{
    char *seen = context;
    size_t length = strlen(seen);
    (void)snprintf(seen + length, 64 - length, "%.*s%d=%d ", (int)topic.length,
                   (const char *)topic.data, partition, (int)offset->offset);
    return true;
}

static void all_offsets_come_by_topic_and_partition(void **state)
{
    struct fixture *fixture = *state;
    char seen[64] = "";
    struct group_commit_item items[4] = {
        {.topic = text("b"), .partition = 2, .offset = 1},
        {.topic = text("a"), .partition = 0, .offset = 2},
        {.topic = text("b"), .partition = 0, .offset = 3},
        {.topic = text("b"), .partition = 1, .offset = 4},
    };
    struct group_commit commit = {.executor = &fixture->loop.executor,
                                  .group_id = text("g"),
                                  .generation = -1,
                                  .items = items,
                                  .items_count = 4};

    assert_int_equal(group_commit(fixture->coordinator, &commit), GROUP_DONE);
    assert_int_equal(group_offsets_each(fixture->coordinator, text("g"), count_offsets, seen),
                     GROUP_OK);
    assert_string_equal(seen, "b0=3 b1=4 b2=1 a0=2 ");
}

static void done(struct base_task *task)
{
    (void)task;
}

static enum group_verdict delete_offset(struct fixture *fixture, const char *topic,
                                        enum group_verdict *item_verdict)
{
    struct group_commit_item item = {.topic = text(topic), .partition = 0};
    struct group_delete_offsets request = {.executor = &fixture->loop.executor,
                                           .task.run = done,
                                           .group_id = text("g"),
                                           .items = &item,
                                           .items_count = 1};
    assert_int_equal(group_delete_offsets(fixture->coordinator, &request), GROUP_DONE);
    *item_verdict = item.verdict;
    return request.verdict;
}

static void offsets_of_subscribed_topics_are_not_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;
    enum group_verdict item;

    assert_int_equal(delete_offset(fixture, "t", &item), GROUP_NOT_FOUND);
    client_init(fixture, &a, NULL);
    a.protocols[0].metadata = base_slice_of(subscription_t, sizeof subscription_t);
    make_stable(fixture, &a, 1);
    (void)commit_as(fixture, &committer, &a, "t", 1);
    (void)commit_as(fixture, &committer, &a, "u", 1);
    assert_int_equal(delete_offset(fixture, "t", &item), GROUP_OK);
    assert_int_equal(item, GROUP_SUBSCRIBED_TO_TOPIC);
    assert_int_equal(delete_offset(fixture, "u", &item), GROUP_OK);
    assert_int_equal(item, GROUP_OK);
    assert_int_equal(delete_offset(fixture, "u", &item), GROUP_OK); /* none: no error */
    assert_int_equal(offset_of(fixture, "t"), 1);
    assert_int_equal(offset_of(fixture, "u"), -1);
    client_fini(&a);
}

/* A subscription to topics of four digits: 0000, 0001, ... */
static size_t subscribe_to_many(uint8_t *bytes, unsigned topics_count)
{
    size_t length = 6;

    memset(bytes, 0, length);
    bytes[4] = (uint8_t)(topics_count >> 8);
    bytes[5] = (uint8_t)topics_count;
    for (unsigned i = 0; i < topics_count; i++) {
        bytes[length++] = 0;
        bytes[length++] = 4;
        for (unsigned place = 1000; place > 0; place /= 10) {
            bytes[length++] = (uint8_t)('0' + i / place % 10);
        }
    }
    return length;
}

static void long_subscriptions_are_read_once(void **state)
{
    enum { MEMBERS = 8, TOPICS = 10000, ITEMS = 20000, SECONDS_MAX = 5 };
    struct fixture *fixture = *state;
    struct client clients[MEMBERS];
    struct group_commit_item *items = base_alloc_array(ITEMS, sizeof *items);
    uint8_t *subscription = base_alloc(6 + TOPICS * 6);
    char(*names)[12] = base_alloc_array(ITEMS, sizeof *names);

    size_t length = subscribe_to_many(subscription, TOPICS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        client_init(fixture, &clients[i], NULL);
        clients[i].protocols[0].metadata = base_slice_of(subscription, length);
    }
    make_stable(fixture, clients, MEMBERS);
    for (uint32_t i = 0; i < ITEMS; i++) {
        (void)snprintf(names[i], sizeof names[i], "%04u", i / 2 + TOPICS / 2);
        items[i] = (struct group_commit_item){.topic = text(names[i]), .partition = (int32_t)i % 2};
    }
    struct group_delete_offsets request = {.executor = &fixture->loop.executor,
                                           .task.run = done,
                                           .group_id = text("g"),
                                           .items = items,
                                           .items_count = ITEMS};
    clock_t began = clock();
    assert_int_equal(group_delete_offsets(fixture->coordinator, &request), GROUP_DONE);
    assert_true((clock() - began) / CLOCKS_PER_SEC < SECONDS_MAX);
    for (uint32_t i = 0; i < ITEMS; i++) {
        bool is_subscribed = i / 2 + TOPICS / 2 < TOPICS;
        assert_int_equal(items[i].verdict, is_subscribed ? GROUP_SUBSCRIBED_TO_TOPIC : GROUP_OK);
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
        client_fini(&clients[i]);
    }
    base_free(names);
    base_free(subscription);
    base_free(items);
}

static enum group_verdict delete_group(struct fixture *fixture)
{
    struct group_delete request = {
        .executor = &fixture->loop.executor, .task.run = done, .group_id = text("g")};
    assert_int_equal(group_delete(fixture->coordinator, &request), GROUP_DONE);
    return request.verdict;
}

static void only_an_empty_group_is_deleted_and_stays_so(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;

    assert_int_equal(delete_group(fixture), GROUP_NOT_FOUND);
    client_init(fixture, &a, NULL);
    make_stable(fixture, &a, 1);
    (void)commit_as(fixture, &committer, &a, "t", 1);
    assert_int_equal(delete_group(fixture), GROUP_NOT_EMPTY);
    advance(fixture, 10001);
    assert_int_equal(delete_group(fixture), GROUP_OK);
    assert_int_equal(offset_of(fixture, "t"), -1);
    assert_int_equal(state_of(fixture, "g"), GROUP_DEAD);
    client_fini(&a);
    stop(fixture);
    start(fixture);
    assert_int_equal(offset_of(fixture, "t"), -1);
    assert_int_equal(state_of(fixture, "g"), GROUP_DEAD);
}

static void offsets_of_a_simple_group_expire_after_their_commit(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;

    (void)commit_as(fixture, &committer, NULL, "t", 1);
    advance(fixture, 3 * DAY_MS);
    (void)commit_as(fixture, &committer, NULL, "u", 1);
    advance(fixture, 4 * DAY_MS - 600000);
    assert_int_equal(offset_of(fixture, "t"), 1);
    advance(fixture, 1200000);
    assert_int_equal(offset_of(fixture, "t"), -1);
    assert_int_equal(offset_of(fixture, "u"), 1);
    advance(fixture, 4 * DAY_MS);
    assert_int_equal(state_of(fixture, "g"), GROUP_DEAD); /* with its last offset */
}

static void offsets_of_an_empty_group_expire_from_its_becoming_empty(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;

    client_init(fixture, &a, NULL);
    make_stable(fixture, &a, 1);
    (void)commit_as(fixture, &committer, &a, "t", 1);
    for (int i = 0; i < 20000; i++) { /* five days at work */
        advance(fixture, 9000 + 12600);
        if (client_heartbeat(fixture, &a) != GROUP_OK) {
            break;
        }
    }
    advance(fixture, 7 * DAY_MS - 1200000);
    assert_int_equal(offset_of(fixture, "t"), 1);
    advance(fixture, 2400000);
    assert_int_equal(offset_of(fixture, "t"), -1);
    client_fini(&a);
}

static void client_may_say_how_long_its_offsets_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;

    client_init(fixture, &a, NULL);
    make_stable(fixture, &a, 1); /* reads everything, as its subscription cannot be read */
    (void)commit_as(fixture, &committer, &a, "long", 1);
    committer.commit.retention_ms = INT64_C(30) * DAY_MS;
    assert_int_equal(group_commit(fixture->coordinator, &committer.commit), GROUP_DONE);
    (void)commit_as(fixture, &committer, &a, "short", 1);
    committer.commit.retention_ms = 3600000;
    assert_int_equal(group_commit(fixture->coordinator, &committer.commit), GROUP_DONE);
    client_fini(&a);
    stop(fixture);
    start(fixture);
    for (int i = 0; i < 1000; i++) { /* two hours at work */
        advance(fixture, 7200);
        assert_int_equal(client_heartbeat(fixture, &a), GROUP_OK);
    }
    assert_int_equal(offset_of(fixture, "short"), 1);
    advance(fixture, 2 * 600000);
    assert_int_equal(offset_of(fixture, "short"), -1);
    advance(fixture, INT64_C(29) * DAY_MS);
    assert_int_equal(offset_of(fixture, "long"), 1);
    advance(fixture, DAY_MS);
    assert_int_equal(offset_of(fixture, "long"), -1);
}

static void active_group_loses_only_what_it_does_not_read(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;

    client_init(fixture, &a, NULL);
    a.join.session_timeout_ms = 1800000;
    a.protocols[0].metadata = base_slice_of(subscription_t, sizeof subscription_t);
    make_stable(fixture, &a, 1);
    (void)commit_as(fixture, &committer, &a, "t", 1);
    (void)commit_as(fixture, &committer, &a, "u", 1);
    for (int64_t ms = 0; ms < INT64_C(8) * DAY_MS; ms += 1200000) {
        advance(fixture, 1200000);
        assert_int_equal(client_heartbeat(fixture, &a), GROUP_OK);
    }
    assert_int_equal(offset_of(fixture, "t"), 1);
    assert_int_equal(offset_of(fixture, "u"), -1);
    client_fini(&a);
}

static void restart_brings_back_members_generation_and_offsets(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], "i1");
    make_stable(fixture, clients, 2);
    (void)commit_as(fixture, &committer, &clients[0], "t", 7);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
    stop(fixture);
    start(fixture);
    assert_int_equal(state_of(fixture, "g"), GROUP_STABLE);
    assert_int_equal(client_heartbeat(fixture, &clients[0]), GROUP_OK);
    assert_int_equal(client_sync(fixture, &clients[1], NULL, 0), GROUP_DONE);
    assert_true(base_slice_is(clients[1].sync.assignment, "share"));
    struct group_fetch_item item = {.topic = text("t"), .partition = 0};
    (void)group_offsets_fetch(fixture->coordinator, text("g"), &item, 1);
    assert_int_equal(item.offset->offset, 7);
    assert_string_equal(item.offset->metadata, "note");
    group_offset_release(&item.offset);
    advance(fixture, 9999);
    assert_int_equal(members_of(fixture, "g"), 2);
    advance(fixture, 1); /* sessions run from the start of the broker, or the last sign of life */
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_DONE);
    assert_int_equal(clients[0].join.verdict, GROUP_UNKNOWN_MEMBER);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
}

static void not_ready_before_loading(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    struct client a;

    stop(fixture);
    fixture->load = (struct group_load){.executor = &fixture->loop.executor, .task.run = ignore};
    assert_int_equal(group_coordinator_create(&fixture->options, &fixture->coordinator),
                     BASE_ERR_OK);
    client_init(fixture, &a, NULL);
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_NOT_READY);
    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 1), GROUP_DONE);
    assert_int_equal(committer.commit.verdict, GROUP_NOT_READY);
    struct group_fetch_item item = {.topic = text("t")};
    assert_int_equal(group_offsets_fetch(fixture->coordinator, text("g"), &item, 1),
                     GROUP_NOT_READY);
    group_coordinator_load(fixture->coordinator, &fixture->load);
    run(fixture);
    assert_int_equal(commit_as(fixture, &committer, NULL, "t", 1), GROUP_DONE);
    assert_int_equal(committer.commit.verdict, GROUP_OK);
    client_fini(&a);
}

static void long_log_is_replaced_by_a_snapshot(void **state)
{
    struct fixture *fixture = *state;
    static struct committer committer;
    struct client a;

    client_init(fixture, &a, NULL);
    a.join.group_id = text("h");
    make_stable(fixture, &a, 1);
    (void)commit_as(fixture, &committer, NULL, "once", 99);
    for (int64_t i = 0; i < 10100; i++) {
        (void)commit_as(fixture, &committer, NULL, "t", i);
    }
    run(fixture);
    assert_true(fixture->log->count - fixture->log->first < 300);
    client_fini(&a);
    stop(fixture);
    start(fixture);
    assert_int_equal(offset_of(fixture, "once"), 99);
    assert_int_equal(offset_of(fixture, "t"), 10099);
    assert_int_equal(state_of(fixture, "h"), GROUP_STABLE);
}

static void snapshot_keeps_what_is_on_its_way(void **state)
{
    struct fixture *fixture = *state;
    static struct committer committer;
    static struct committer pending[3];

    for (int64_t i = 0; i < 9998; i++) {
        (void)commit_as(fixture, &committer, NULL, "t", i);
    }
    fixture->log->held = true;
    for (int64_t i = 0; i < 3; i++) { /* the second of them starts it */
        assert_int_equal(commit_as(fixture, &pending[i], NULL, "t", 20000 + i), GROUP_PENDING);
    }
    run(fixture); /* the snapshot is appended behind them, and waits */
    assert_int_equal(fixture->log->first, 0);
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture);
    assert_true(fixture->log->first > 9998);
    assert_int_equal(offset_of(fixture, "t"), 20002);
    fixture->log->held = false;
    stop(fixture);
    start(fixture);
    assert_int_equal(offset_of(fixture, "t"), 20002);
}

/* A group whose id every record repeats: more than one batch may hold. */
enum { HUGE_ID_SIZE = INT16_MAX, HUGE_PARTITIONS = 2200, HUGE_COMMITS = 2 };

static void commit_huge(struct fixture *fixture, struct base_slice id)
{
    enum { COUNT = HUGE_PARTITIONS / HUGE_COMMITS };
    struct group_commit_item *items = base_alloc_array(COUNT, sizeof *items);

    for (int32_t first = 0; first < HUGE_PARTITIONS; first += COUNT) {
        for (int32_t i = 0; i < COUNT; i++) {
            items[i] = (struct group_commit_item){
                .topic = text("t"), .partition = first + i, .offset = first + i};
        }
        struct group_commit commit = {.executor = &fixture->loop.executor,
                                      .group_id = id,
                                      .generation = -1,
                                      .items = items,
                                      .items_count = COUNT};
        assert_int_equal(group_commit(fixture->coordinator, &commit), GROUP_DONE);
        assert_int_equal(commit.verdict, GROUP_OK);
    }
    base_free(items);
}

static void assert_huge(struct fixture *fixture, struct base_slice id, bool is_there)
{
    int64_t *offsets = base_alloc_array(HUGE_PARTITIONS, sizeof *offsets);

    group_committed_offsets(fixture->coordinator, id, text("t"), offsets, HUGE_PARTITIONS);
    for (int32_t i = 0; i < HUGE_PARTITIONS; i++) {
        assert_int_equal(offsets[i], is_there ? i : -1);
    }
    base_free(offsets);
}

/* Commits of another group, until the log is one record short of a snapshot. */
static void fill_log(struct fixture *fixture)
{
    static struct committer committer;

    for (int64_t i = HUGE_PARTITIONS + 1; i < 10000; i++) {
        assert_int_equal(commit_as(fixture, &committer, NULL, "t", i), GROUP_DONE);
    }
}

static void group_of_any_size_is_in_a_snapshot_and_can_be_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    char *bytes = base_alloc(HUGE_ID_SIZE);
    struct base_slice id = base_slice_of(bytes, HUGE_ID_SIZE);
    struct group_delete request = {
        .executor = &fixture->loop.executor, .task.run = done, .group_id = id};

    memset(bytes, 'i', HUGE_ID_SIZE);
    commit_huge(fixture, id);
    fill_log(fixture);
    (void)commit_as(fixture, &committer, NULL, "t", 0);
    run(fixture);
    assert_true(fixture->log->first > HUGE_COMMITS);
    stop(fixture);
    start(fixture);
    assert_huge(fixture, id, true);
    assert_int_equal(group_delete(fixture->coordinator, &request), GROUP_DONE);
    assert_int_equal(request.verdict, GROUP_OK);
    stop(fixture);
    start(fixture);
    assert_huge(fixture, id, false);
    base_free(bytes);
}

static size_t bytes_on_their_way(const struct memory_journal *log)
{
    size_t length = 0;

    for (uint32_t i = log->first; i < log->count; i++) {
        length += log->batches[i].waiter == NULL ? 0 : log->batches[i].length;
    }
    return length;
}

static void snapshot_of_a_huge_group_waits_for_the_log_and_for_nobody(void **state)
{
    enum { ON_THEIR_WAY_MAX = 8 << 20, FIRST_NEW = 7, LAST_NEW = 8 };
    struct fixture *fixture = *state;
    struct committer trigger;
    struct committer changes[2];
    int64_t offsets[HUGE_PARTITIONS];
    char *bytes = base_alloc(HUGE_ID_SIZE);
    struct base_slice id = base_slice_of(bytes, HUGE_ID_SIZE);

    memset(bytes, 'i', HUGE_ID_SIZE);
    commit_huge(fixture, id);
    fill_log(fixture);
    fixture->log->held = true;
    assert_int_equal(commit_as(fixture, &trigger, NULL, "t", 0), GROUP_PENDING);
    run(fixture);
    for (int i = 0; i < 2; i++) { /* one that the snapshot has already, one that it has not */
        (void)memset(&changes[i], 0, sizeof changes[i]);
        changes[i].item = (struct group_commit_item){.topic = text("t"),
                                                     .partition = i == 0 ? 0 : HUGE_PARTITIONS - 1,
                                                     .offset = i == 0 ? FIRST_NEW : LAST_NEW};
        changes[i].commit = (struct group_commit){.executor = &fixture->loop.executor,
                                                  .task.run = committed,
                                                  .group_id = id,
                                                  .generation = -1,
                                                  .items = &changes[i].item,
                                                  .items_count = 1};
        assert_int_equal(group_commit(fixture->coordinator, &changes[i].commit), GROUP_PENDING);
    }
    while (fixture->log->first == 0) {
        assert_in_range(bytes_on_their_way(fixture->log), 1, ON_THEIR_WAY_MAX);
        memory_release(fixture->log, BASE_ERR_OK);
        run(fixture);
    }
    fixture->log->held = false;
    stop(fixture);
    start(fixture);
    group_committed_offsets(fixture->coordinator, id, text("t"), offsets, HUGE_PARTITIONS);
    assert_int_equal(offsets[0], FIRST_NEW);
    assert_int_equal(offsets[1], 1);
    assert_int_equal(offsets[HUGE_PARTITIONS - 2], HUGE_PARTITIONS - 2);
    assert_int_equal(offsets[HUGE_PARTITIONS - 1], LAST_NEW);
    base_free(bytes);
}

static void huge_removal_may_name_an_offset_twice(void **state)
{
    enum { TWICE = 200 };
    struct fixture *fixture = *state;
    char *bytes = base_alloc(HUGE_ID_SIZE);
    struct group_commit_item items[TWICE];
    struct group_delete_offsets request = {.executor = &fixture->loop.executor,
                                           .task.run = done,
                                           .group_id = base_slice_of(bytes, HUGE_ID_SIZE),
                                           .items = items,
                                           .items_count = TWICE};
    int64_t offsets[TWICE];

    memset(bytes, 'i', HUGE_ID_SIZE);
    commit_huge(fixture, request.group_id);
    for (int32_t i = 0; i < TWICE; i++) {
        items[i] = (struct group_commit_item){.topic = text("t"), .partition = i % (TWICE / 2)};
    }
    assert_int_equal(group_delete_offsets(fixture->coordinator, &request), GROUP_DONE);
    assert_int_equal(request.verdict, GROUP_OK);
    group_committed_offsets(fixture->coordinator, request.group_id, text("t"), offsets, TWICE);
    for (int32_t i = 0; i < TWICE; i++) {
        assert_int_equal(offsets[i], i < TWICE / 2 ? -1 : i);
    }
    base_free(bytes);
}

static void huge_removal_that_fails_halfway_can_be_asked_for_again(void **state)
{
    struct fixture *fixture = *state;
    char *bytes = base_alloc(HUGE_ID_SIZE);
    struct base_slice id = base_slice_of(bytes, HUGE_ID_SIZE);
    struct group_delete request = {
        .executor = &fixture->loop.executor, .task.run = done, .group_id = id};
    bool fired = true;

    memset(bytes, 'i', HUGE_ID_SIZE);
    commit_huge(fixture, id);
    for (long n = 0; fired; n += 13) {
        base_alloc_fail_after(n, 1);
        assert_int_equal(group_delete(fixture->coordinator, &request), GROUP_DONE);
        fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        assert_int_equal(request.verdict, fired ? GROUP_OUT_OF_MEMORY : GROUP_OK);
    }
    stop(fixture);
    start(fixture);
    assert_huge(fixture, id, false);
    base_free(bytes);
}

/* Records by hand, from Kafka's OffsetCommitKey/Value and GroupMetadataKey/Value. */
struct golden {
    const uint8_t *key;
    size_t key_length;
    const uint8_t *value;
    size_t value_length;
};

static enum base_err compare(void *context, const struct logstore_record *record)
{
    const struct golden *golden = context;
    assert_int_equal(record->key.length, golden->key_length);
    assert_memory_equal(record->key.data, golden->key, golden->key_length);
    assert_int_equal(record->value.length, golden->value_length);
    assert_memory_equal(record->value.data, golden->value, golden->value_length);
    return BASE_ERR_OK;
}

static void offset_record_has_kafkas_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    static const uint8_t key[] = {0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 0};
    uint8_t value[] = {0,    3,                                 /* version */
                       0,    0,    0,    0,    0,   0,   0, 42, /* offset */
                       0xff, 0xff, 0xff, 0xff,                  /* leader epoch */
                       0,    4,    'n',  'o',  't', 'e',        /* metadata */
                       0,    0,    0,    0,    0,   0,   0, 0}; /* commit time */
    struct golden golden = {key, sizeof key, value, sizeof value};

    base_put_i64(value + sizeof value - 8, base_clock_wall_ms(&fixture->clock.clock));
    (void)commit_as(fixture, &committer, NULL, "t", 42);
    assert_int_equal(memory_replay(&fixture->log->journal, compare, &golden), BASE_ERR_OK);
}

static void expiring_offset_record_has_kafkas_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer;
    static const uint8_t key[] = {0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 0};
    uint8_t value[] = {0, 1,                            /* version */
                       0, 0, 0,   0,   0,   0,   0, 42, /* offset */
                       0, 4, 'n', 'o', 't', 'e',        /* metadata */
                       0, 0, 0,   0,   0,   0,   0, 0,  /* commit time */
                       0, 0, 0,   0,   0,   0,   0, 0}; /* time to expire */
    struct golden golden = {key, sizeof key, value, sizeof value};
    int64_t now_ms = base_clock_wall_ms(&fixture->clock.clock);

    (void)commit_as(fixture, &committer, NULL, "t", 42);
    memory_trim(&fixture->log->journal, fixture->log->end);
    committer.commit.retention_ms = 5000;
    assert_int_equal(group_commit(fixture->coordinator, &committer.commit), GROUP_DONE);
    base_put_i64(value + sizeof value - 16, now_ms);
    base_put_i64(value + sizeof value - 8, now_ms + 5000);
    assert_int_equal(memory_replay(&fixture->log->journal, compare, &golden), BASE_ERR_OK);
}

static void empty_group_record_has_kafkas_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    static const uint8_t key[] = {0, 2, 0, 1, 'g'};
    uint8_t value[] = {0,    3,    0,    8,    'c', 'o', 'n', 's',
                       'u',  'm',  'e',  'r',  0,   0,   0,   1, /* generation */
                       0xff, 0xff, 0xff, 0xff,                   /* no protocol, no leader */
                       0,    0,    0,    0,    0,   0,   0,   0, /* since */
                       0,    0,    0,    0};                     /* no members */
    struct golden golden = {key, sizeof key, value, sizeof value};

    client_init(fixture, &a, NULL);
    client_enter(fixture, &a);
    struct group_leave_member member = {.member_id = text(a.member_id)};
    struct group_leave request = {.executor = &fixture->loop.executor,
                                  .group_id = text("g"),
                                  .members = &member,
                                  .members_count = 1};
    assert_int_equal(group_leave(fixture->coordinator, &request), GROUP_OK);
    advance(fixture, 3000); /* the delay of the first rebalance runs on without it */
    base_put_i64(value + sizeof value - 12, base_clock_wall_ms(&fixture->clock.clock));
    assert_int_equal(fixture->log->count, 1);
    assert_int_equal(memory_replay(&fixture->log->journal, compare, &golden), BASE_ERR_OK);
    client_fini(&a);
}

static void failed_allocations_of_a_commit_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    bool fired = true;

    for (long n = 0; fired; n++) {
        struct committer committer;
        base_alloc_fail_after(n, 1);
        enum group_answer answer = commit_as(fixture, &committer, NULL, "t", 5);
        fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        assert_int_equal(answer, GROUP_DONE);
        assert_int_equal(committer.commit.verdict, fired ? GROUP_OUT_OF_MEMORY : GROUP_OK);
        assert_int_equal(offset_of(fixture, "t"), fired ? -1 : 5);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(commit_counts_only_when_durable),
        T(failed_commit_changes_nothing),
        T(later_commit_wins_whatever_executor_wakes_first),
        T(strangers_commit_only_while_the_group_is_empty),
        T(members_commit_with_their_generation),
        T(commits_keep_the_session),
        T(too_much_metadata_refuses_only_its_item),
        T(unknown_offsets_are_none_and_no_error),
        T(name_of_a_topic_is_read_once_for_all_its_partitions),
        T(all_offsets_come_by_topic_and_partition),
        T(offsets_of_subscribed_topics_are_not_deleted),
        T(long_subscriptions_are_read_once),
        T(only_an_empty_group_is_deleted_and_stays_so),
        T(offsets_of_a_simple_group_expire_after_their_commit),
        T(offsets_of_an_empty_group_expire_from_its_becoming_empty),
        T(client_may_say_how_long_its_offsets_are_kept),
        T(active_group_loses_only_what_it_does_not_read),
        T(restart_brings_back_members_generation_and_offsets),
        T(not_ready_before_loading),
        T(long_log_is_replaced_by_a_snapshot),
        T(snapshot_keeps_what_is_on_its_way),
        T(group_of_any_size_is_in_a_snapshot_and_can_be_deleted),
        T(snapshot_of_a_huge_group_waits_for_the_log_and_for_nobody),
        T(huge_removal_may_name_an_offset_twice),
        T(huge_removal_that_fails_halfway_can_be_asked_for_again),
        T(offset_record_has_kafkas_bytes),
        T(expiring_offset_record_has_kafkas_bytes),
        T(empty_group_record_has_kafkas_bytes),
        T(failed_allocations_of_a_commit_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
