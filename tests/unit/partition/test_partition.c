/* Partitions and their table over a simulated disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/writer.h"
#include "core/partition/table.h"
#include "logstore/records.h"
#include "logstore/records_builder.h"
#include "tests/sim/ground.h"

enum { SYNC_US = 1000000 };

struct fixture {
    struct sim_ground ground;
    struct catalog *catalog;
    struct partition_table *table;
    int deleted_count;
};

static void open_all(struct fixture *fixture)
{
    struct catalog_options catalog_options = {
        .queues_per_project_max = 5, .groups_per_queue_max = 3, .partitions_max = 1000};
    struct partition_table_options options = {.flush_interval_ms = 1000, .flush_bytes = 1 << 20};
    struct sim_flag opened = sim_flag();

    sim_ground_open_store(&fixture->ground);
    catalog_options.store = fixture->ground.store;
    assert_int_equal(catalog_next_generation(fixture->ground.store, &catalog_options.leader_epoch),
                     BASE_ERR_OK);
    assert_int_equal(catalog_open(&catalog_options, &fixture->catalog), BASE_ERR_OK);
    options.catalog = fixture->catalog;
    options.store = fixture->ground.store;
    options.leader_epoch = catalog_options.leader_epoch;
    assert_int_equal(partition_table_create(&options, &fixture->table), BASE_ERR_OK);
    assert_int_equal(partition_table_open_all(fixture->table, fixture->ground.loop, &opened.task),
                     BASE_ERR_OK);
    sim_ground_wait(&fixture->ground, &opened.is_set);
}

static void close_all(struct fixture *fixture)
{
    struct sim_flag table_closed = sim_flag();
    struct sim_flag catalog_closed = sim_flag();

    sim_scheduler_run(fixture->ground.scheduler);
    partition_table_close(fixture->table, fixture->ground.loop, &table_closed.task);
    sim_ground_wait(&fixture->ground, &table_closed.is_set);
    catalog_close(fixture->catalog, fixture->ground.loop, &catalog_closed.task);
    sim_ground_wait(&fixture->ground, &catalog_closed.is_set);
    sim_ground_close_store(&fixture->ground);
}

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    sim_ground_init(&fixture->ground, 11, 0, 300);
    open_all(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    sim_ground_fini(&fixture->ground);
    base_free(fixture);
    return 0;
}

struct topic_wait {
    struct partition_topic_op op;
    bool done;
};

static void op_done(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct topic_wait, op.task)->done = true;
}

static enum catalog_verdict finish_op(struct fixture *fixture, struct topic_wait *wait)
{
    sim_ground_wait(&fixture->ground, &wait->done);
    catalog_topic_release(&wait->op.topic);
    return wait->op.verdict;
}

static struct base_uuid make_topic(struct fixture *fixture, const char *name,
                                   enum catalog_kind kind, int32_t partitions)
{
    struct topic_wait wait = {.op = {.executor = fixture->ground.loop, .task = {.run = op_done}}};
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text(name), base_slice_text(NULL), kind);
    draft->partitions_count = partitions;
    draft->id = base_uuid_random();
    struct base_uuid id = draft->id;
    partition_create_topic(fixture->table, draft, &wait.op);
    assert_int_equal(finish_op(fixture, &wait), CATALOG_DONE);
    return id;
}

/* A partition under test with one wait for its appends. */
struct bench {
    struct fixture *fixture;
    struct partition *partition;
};

static struct bench bench_of(struct fixture *fixture, enum catalog_kind kind)
{
    struct base_uuid id = make_topic(fixture, "orders", kind, 1);
    struct bench bench = {fixture, partition_table_get(fixture->table, id, 0)};
    assert_non_null(bench.partition);
    return bench;
}

struct append_wait {
    struct partition_waiter waiter;
    struct partition_appended appended;
    enum base_err err;
    bool done;
};

static void append_done(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct append_wait, waiter.task)->done = true;
}

static void append(const struct bench *bench, const char *value, enum partition_acks acks,
                   struct append_wait *wait)
{
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct base_chunk chunk = {0};

    *wait = (struct append_wait){
        .waiter = {.executor = bench->fixture->ground.loop, .task = {.run = append_done}}};
    base_writer_init(&writer, 1 << 20);
    logstore_records_builder_begin(&builder, &writer);
    logstore_records_builder_add(&builder,
                                 &(struct logstore_record_input){.timestamp_ms = 1700000000000,
                                                                 .value = base_slice_text(value)});
    assert_int_equal(logstore_records_builder_finish(&builder), BASE_ERR_OK);
    chunk.buffer = base_writer_take(&writer, &chunk.length);
    base_writer_fini(&writer);
    wait->err = partition_append(bench->partition, &chunk, &builder.header, acks,
                                 bench->fixture->ground.loop, &wait->waiter, &wait->appended);
    base_chunk_release(&chunk);
}

static void wait_append(const struct bench *bench, struct append_wait *wait)
{
    assert_int_equal(wait->err, BASE_ERR_OK);
    if (wait->appended.pending) {
        sim_ground_wait(&bench->fixture->ground, &wait->done);
    }
}

static int64_t high_watermark(const struct bench *bench)
{
    struct partition_offsets offsets;
    partition_offsets(bench->partition, &offsets);
    assert_true(offsets.start <= offsets.last_stable);
    assert_true(offsets.last_stable <= offsets.high_watermark);
    assert_true(offsets.high_watermark <= offsets.end);
    return offsets.high_watermark;
}

static void ha_answers_after_the_disk_and_shows_nothing_before(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HA);
    struct append_wait wait;
    io_sim_set_sync_us(bench.fixture->ground.sim, SYNC_US);
    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    assert_true(wait.appended.pending);
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US / 2);
    assert_false(wait.done);
    assert_int_equal(high_watermark(&bench), 0);
    wait_append(&bench, &wait);
    assert_int_equal(wait.waiter.err, BASE_ERR_OK);
    assert_int_equal(high_watermark(&bench), 1);
    partition_release(&bench.partition);
}

static void ha_with_acks_1_answers_on_append(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HA);
    struct append_wait wait;
    append(&bench, "a", PARTITION_ACK_WRITTEN, &wait);
    assert_int_equal(wait.err, BASE_ERR_OK);
    assert_false(wait.appended.pending);
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US);
    assert_int_equal(high_watermark(&bench), 1); /* synced all the same */
    partition_release(&bench.partition);
}

static void ht_answers_and_shows_on_append(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HT);
    struct append_wait wait;
    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    assert_false(wait.appended.pending);
    assert_int_equal(high_watermark(&bench), 1);
    partition_release(&bench.partition);
}

static void appends_that_come_during_a_sync_share_the_next(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HA);
    struct append_wait waits[20];
    io_sim_set_sync_us(bench.fixture->ground.sim, SYNC_US);
    append(&bench, "first", PARTITION_ACK_ALL, &waits[0]);
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US / 2);
    for (size_t i = 1; i < 20; i++) {
        append(&bench, "more", PARTITION_ACK_ALL, &waits[i]);
    }
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US);
    assert_true(waits[0].done);
    assert_false(waits[1].done);
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US);
    for (size_t i = 0; i < 20; i++) {
        assert_true(waits[i].done);
    }
    partition_release(&bench.partition);
}

static void a_cancelled_wait_is_never_told(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HA);
    struct append_wait wait;
    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    assert_true(partition_waiter_cancel(bench.partition, &wait.waiter));
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US);
    assert_false(wait.done);
    assert_int_equal(high_watermark(&bench), 1);
    assert_false(partition_waiter_cancel(bench.partition, &wait.waiter));
    partition_release(&bench.partition);
}

static void a_failed_sync_ends_waits_and_stops_the_partition(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HA);
    struct append_wait wait;
    struct partition_offsets offsets;
    append(&bench, "kept", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    io_sim_fail_sync_at(bench.fixture->ground.sim, 0);
    append(&bench, "lost", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    assert_int_equal(wait.waiter.err, BASE_ERR_OFFLINE);
    append(&bench, "refused", PARTITION_ACK_ALL, &wait);
    assert_int_equal(wait.err, BASE_ERR_OFFLINE);
    partition_offsets(bench.partition, &offsets);
    assert_int_equal(offsets.err, BASE_ERR_OFFLINE);
    assert_int_equal(offsets.high_watermark, 1);
    assert_int_equal(partition_table_offline_count(bench.fixture->table), 1);
    partition_release(&bench.partition);
}

struct watch_flag {
    struct partition_watcher watcher;
    bool done;
};

static void watch_fired(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct watch_flag, watcher.task)->done = true;
}

static void a_watch_fires_once_for_news_and_not_before(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HA);
    struct watch_flag flag = {
        .watcher = {.executor = bench.fixture->ground.loop, .task = {.run = watch_fired}}};
    struct partition_watch watch = {.watcher = &flag.watcher, .offset = 0};
    struct append_wait wait;

    assert_false(partition_watch(bench.partition, &watch));
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US);
    assert_false(flag.done);
    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    sim_scheduler_run(bench.fixture->ground.scheduler);
    assert_true(flag.done);
    partition_unwatch(bench.partition, &watch);            /* it has fired: nothing to do */
    assert_true(partition_watch(bench.partition, &watch)); /* offset 0 is news by now */
    watch.offset = 1;
    atomic_store(&flag.watcher.fired, false);
    flag.done = false;
    assert_false(partition_watch(bench.partition, &watch));
    partition_unwatch(bench.partition, &watch);
    append(&bench, "b", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    sim_scheduler_run(bench.fixture->ground.scheduler);
    assert_false(flag.done);
    partition_release(&bench.partition);
}

static enum base_err collect_values(void *context, const struct logstore_record *record)
{
    char *values = context;
    strncat(values, (const char *)record->value.data, record->value.length);
    return BASE_ERR_OK;
}

static void everything_acknowledged_is_there_after_a_power_cut(void **state)
{
    struct fixture *fixture = *state;
    struct bench bench = bench_of(fixture, CATALOG_KAFKA_HA);
    struct base_uuid id = partition_topic_id(bench.partition);
    struct append_wait wait;
    char values[64] = "";

    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    append(&bench, "b", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    io_sim_crash(fixture->ground.sim);
    partition_release(&bench.partition);
    close_all(fixture);
    io_sim_restart(fixture->ground.sim, true);
    open_all(fixture);
    bench.partition = partition_table_get(fixture->table, id, 0);
    assert_non_null(bench.partition);
    assert_int_equal(partition_replay(bench.partition, collect_values, values), BASE_ERR_OK);
    assert_string_equal(values, "ab");
    assert_int_equal(high_watermark(&bench), 2);
    partition_release(&bench.partition);
}

static void trim_moves_the_start_and_not_beyond_the_high_watermark(void **state)
{
    struct bench bench = bench_of(*state, CATALOG_KAFKA_HA);
    struct append_wait wait;
    struct sim_flag trimmed = sim_flag();
    struct logstore_trim trim = {.executor = NULL};
    struct partition_offsets offsets;

    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    assert_int_equal(partition_trim(bench.partition, 2, &trim), BASE_ERR_OUT_OF_RANGE);
    trim.executor = bench.fixture->ground.loop;
    trim.task = trimmed.task;
    assert_int_equal(partition_trim(bench.partition, -1, &trim), BASE_ERR_OK);
    partition_offsets(bench.partition, &offsets);
    assert_int_equal(offsets.start, 1);
    sim_scheduler_advance(bench.fixture->ground.scheduler, SYNC_US);
    partition_release(&bench.partition);
}

static void on_deleted(void *context, const struct catalog_topic *topic)
{
    struct fixture *fixture = context;
    assert_string_equal(topic->name, "orders");
    fixture->deleted_count++;
}

static void deleting_a_topic_ends_waits_and_removes_its_log(void **state)
{
    struct fixture *fixture = *state;
    struct bench bench = bench_of(fixture, CATALOG_KAFKA_HA);
    struct base_uuid id = partition_topic_id(bench.partition);
    struct topic_wait op = {.op = {.executor = fixture->ground.loop, .task = {.run = op_done}}};
    struct append_wait wait;
    char name[LOGSTORE_NAME_SIZE];
    char id_text[BASE_UUID_TEXT_SIZE];

    base_uuid_format(id, id_text);
    (void)snprintf(name, sizeof name, "%s-0/00000000000000000000.log", id_text);
    partition_table_on_deleted(fixture->table, on_deleted, fixture);
    io_sim_set_sync_us(fixture->ground.sim, SYNC_US);
    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    partition_delete_topic(fixture->table, id, &op.op);
    assert_int_equal(finish_op(fixture, &op), CATALOG_DONE);
    wait_append(&bench, &wait);
    assert_int_equal(fixture->deleted_count, 1);
    assert_null(partition_table_get(fixture->table, id, 0));
    append(&bench, "b", PARTITION_ACK_ALL, &wait);
    assert_int_equal(wait.err, BASE_ERR_CLOSED);
    assert_true(io_sim_size(fixture->ground.sim, name) >= 0); /* a handle is still held */
    partition_release(&bench.partition);
    sim_scheduler_advance(fixture->ground.scheduler, 10 * SYNC_US);
    assert_int_equal(io_sim_size(fixture->ground.sim, name), -1);
}

static void growing_adds_partitions_and_keeps_the_old(void **state)
{
    struct fixture *fixture = *state;
    struct bench bench = bench_of(fixture, CATALOG_KAFKA_HA);
    struct base_uuid id = partition_topic_id(bench.partition);
    struct topic_wait wait = {.op = {.executor = fixture->ground.loop, .task = {.run = op_done}}};

    partition_grow_topic(fixture->table, id, 3, &wait.op);
    assert_int_equal(finish_op(fixture, &wait), CATALOG_DONE);
    for (int32_t i = 0; i < 3; i++) {
        struct partition *partition = partition_table_get(fixture->table, id, i);
        assert_non_null(partition);
        assert_int_equal(partition_index(partition), i);
        assert_true((partition == bench.partition) == (i == 0));
        partition_release(&partition);
    }
    assert_null(partition_table_get(fixture->table, id, 3));
    assert_null(partition_table_get(fixture->table, id, -1));
    partition_release(&bench.partition);
}

/* The pool, but for two tasks that a test runs when it sees fit. */
struct held_pool {
    struct base_executor executor;
    struct base_executor *pool;
    const struct base_task *held[2];
    unsigned came_count;
};

static void held_post(struct base_executor *executor, struct base_task *task)
{
    struct held_pool *held = BASE_CONTAINER_OF(executor, struct held_pool, executor);

    if (task == held->held[0] || task == held->held[1]) {
        held->came_count++;
    } else {
        base_executor_post(held->pool, task);
    }
}

static bool held_is_current(struct base_executor *executor)
{
    return base_executor_is_current(BASE_CONTAINER_OF(executor, struct held_pool, executor)->pool);
}

static const struct base_executor_ops held_ops = {.post = held_post, .is_current = held_is_current};

static int set_up_held(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    static struct held_pool held;

    sim_ground_init(&fixture->ground, 11, 0, 300);
    held = (struct held_pool){.executor = {&held_ops, fixture->ground.worker->clock},
                              .pool = fixture->ground.worker};
    fixture->ground.worker = &held.executor;
    open_all(fixture);
    *state = fixture;
    return 0;
}

/* Both changes are in the catalog when the tasks of their operations come to the pool, and the
 * deletion's is the first to run. */
static void growing_a_deleted_topic_opens_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct held_pool *held = BASE_CONTAINER_OF(fixture->ground.worker, struct held_pool, executor);
    struct bench bench = bench_of(fixture, CATALOG_KAFKA_HA);
    struct base_uuid id = partition_topic_id(bench.partition);
    struct topic_wait growth = {.op = {.executor = fixture->ground.loop, .task = {.run = op_done}}};
    struct topic_wait deletion = growth;
    struct append_wait wait;
    char id_text[BASE_UUID_TEXT_SIZE];
    char name[LOGSTORE_NAME_SIZE];

    append(&bench, "a", PARTITION_ACK_ALL, &wait);
    wait_append(&bench, &wait);
    held->held[0] = &growth.op.change.task;
    held->held[1] = &deletion.op.change.task;
    partition_grow_topic(fixture->table, id, 3, &growth.op);
    partition_delete_topic(fixture->table, id, &deletion.op);
    sim_scheduler_advance(fixture->ground.scheduler, SYNC_US);
    assert_int_equal(held->came_count, 2);
    held->held[0] = NULL;
    held->held[1] = NULL;
    deletion.op.change.task.run(&deletion.op.change.task);
    growth.op.change.task.run(&growth.op.change.task);
    assert_int_equal(finish_op(fixture, &deletion), CATALOG_DONE);
    assert_int_equal(finish_op(fixture, &growth), CATALOG_DONE); /* just before it was deleted */
    sim_scheduler_advance(fixture->ground.scheduler, SYNC_US);
    assert_null(partition_table_get(fixture->table, id, 0));
    base_uuid_format(id, id_text);
    (void)snprintf(name, sizeof name, "%s-0/00000000000000000000.log", id_text);
    assert_true(io_sim_size(fixture->ground.sim, name) >= 0); /* the only one that has it open */
    partition_release(&bench.partition);
    sim_scheduler_advance(fixture->ground.scheduler, SYNC_US);
    assert_int_equal(io_sim_size(fixture->ground.sim, name), -1);
}

static void a_partition_made_on_a_full_disk_works_when_there_is_room(void **state)
{
    struct fixture *fixture = *state;
    struct bench bench = bench_of(fixture, CATALOG_KAFKA_HA);
    struct base_uuid id = partition_topic_id(bench.partition);
    struct topic_wait wait = {.op = {.executor = fixture->ground.loop, .task = {.run = op_done}}};
    struct append_wait append_wait;
    struct partition_offsets offsets;

    partition_release(&bench.partition);
    partition_grow_topic(fixture->table, id, 2, &wait.op);
    io_sim_set_full(fixture->ground.sim, true); /* the catalog has its record already */
    assert_int_equal(finish_op(fixture, &wait), CATALOG_DONE);
    bench.partition = partition_table_get(fixture->table, id, 1);
    assert_non_null(bench.partition);
    append(&bench, "refused", PARTITION_ACK_ALL, &append_wait);
    assert_int_equal(append_wait.err, BASE_ERR_OFFLINE);
    sim_scheduler_advance(fixture->ground.scheduler, 2 * SYNC_US);
    partition_offsets(bench.partition, &offsets); /* tries, and it is still full */
    assert_int_equal(offsets.err, BASE_ERR_OFFLINE);
    io_sim_set_full(fixture->ground.sim, false);
    sim_scheduler_advance(fixture->ground.scheduler, 2 * SYNC_US);
    partition_offsets(bench.partition, &offsets);
    sim_scheduler_advance(fixture->ground.scheduler, SYNC_US);
    partition_offsets(bench.partition, &offsets);
    assert_int_equal(offsets.err, BASE_ERR_OK);
    append(&bench, "taken", PARTITION_ACK_ALL, &append_wait);
    wait_append(&bench, &append_wait);
    assert_int_equal(append_wait.waiter.err, BASE_ERR_OK);
    assert_int_equal(high_watermark(&bench), 1);
    partition_release(&bench.partition);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ha_answers_after_the_disk_and_shows_nothing_before),
        TEST(ha_with_acks_1_answers_on_append),
        TEST(ht_answers_and_shows_on_append),
        TEST(appends_that_come_during_a_sync_share_the_next),
        TEST(a_cancelled_wait_is_never_told),
        TEST(a_failed_sync_ends_waits_and_stops_the_partition),
        TEST(a_watch_fires_once_for_news_and_not_before),
        TEST(everything_acknowledged_is_there_after_a_power_cut),
        TEST(trim_moves_the_start_and_not_beyond_the_high_watermark),
        TEST(deleting_a_topic_ends_waits_and_removes_its_log),
        TEST(growing_adds_partitions_and_keeps_the_old),
        cmocka_unit_test_setup_teardown(growing_a_deleted_topic_opens_nothing, set_up_held,
                                        tear_down),
        TEST(a_partition_made_on_a_full_disk_works_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
