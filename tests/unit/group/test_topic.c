/* Committed offsets in the real topic: catalog, partitions, log and a disk that dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/group/coordinator.h"
#include "tests/sim/ground.h"

struct fixture {
    struct sim_ground ground;
    struct catalog *catalog;
    struct partition_table *table;
    struct group_coordinator *coordinator;
};

struct loading {
    struct group_load load;
    bool done;
};

static void loaded(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct loading, load.task)->done = true;
}

static void open_groups(struct fixture *fixture)
{
    struct group_coordinator_options options;
    struct loading loading = {.load = {.executor = fixture->ground.loop, .task.run = loaded}};

    group_coordinator_options_default(&options);
    options.catalog = fixture->catalog;
    options.table = fixture->table;
    options.worker = fixture->ground.worker;
    options.executors = &fixture->ground.loop;
    options.executors_count = 1;
    options.clock = sim_scheduler_clock(fixture->ground.scheduler);
    options.offsets_partitions = 3;
    assert_int_equal(group_coordinator_create(&options, &fixture->coordinator), BASE_ERR_OK);
    group_coordinator_load(fixture->coordinator, &loading.load);
    sim_ground_wait(&fixture->ground, &loading.done);
    assert_int_equal(loading.load.err, BASE_ERR_OK);
}

static void open_all(struct fixture *fixture)
{
    struct sim_flag opened = sim_flag();
    int32_t generation = 0;
    sim_ground_open_store(&fixture->ground);
    assert_int_equal(catalog_next_generation(fixture->ground.store, &generation), BASE_ERR_OK);
    struct catalog_options catalog_options = {.store = fixture->ground.store,
                                              .queues_per_project_max = 5,
                                              .groups_per_queue_max = 3,
                                              .partitions_max = 100,
                                              .leader_epoch = generation};
    assert_int_equal(catalog_open(&catalog_options, &fixture->catalog), BASE_ERR_OK);
    struct partition_table_options table_options = {.catalog = fixture->catalog,
                                                    .store = fixture->ground.store,
                                                    .leader_epoch = generation,
                                                    .flush_interval_ms = 1000,
                                                    .flush_bytes = 1 << 20};
    assert_int_equal(partition_table_create(&table_options, &fixture->table), BASE_ERR_OK);
    assert_int_equal(partition_table_open_all(fixture->table, fixture->ground.loop, &opened.task),
                     BASE_ERR_OK);
    sim_ground_wait(&fixture->ground, &opened.is_set);
    open_groups(fixture);
}

static void close_all(struct fixture *fixture)
{
    struct sim_flag groups = sim_flag();
    struct sim_flag table = sim_flag();
    struct sim_flag catalog = sim_flag();

    group_coordinator_close(fixture->coordinator, fixture->ground.loop, &groups.task);
    sim_ground_wait(&fixture->ground, &groups.is_set);
    partition_table_close(fixture->table, fixture->ground.loop, &table.task);
    sim_ground_wait(&fixture->ground, &table.is_set);
    sim_scheduler_run(fixture->ground.scheduler);
    catalog_close(fixture->catalog, fixture->ground.loop, &catalog.task);
    sim_ground_wait(&fixture->ground, &catalog.is_set);
    sim_scheduler_run(fixture->ground.scheduler);
    sim_ground_close_store(&fixture->ground);
}

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    sim_ground_init(&fixture->ground, 11, 3, 500);
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

struct committer {
    struct group_commit commit;
    struct group_commit_item item;
    bool done;
};

static void committed(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct committer, commit.task)->done = true;
}

static enum group_verdict commit(struct fixture *fixture, const char *group, const char *topic,
                                 int64_t offset)
{
    struct committer committer = {
        .item = {.topic = base_slice_text(topic), .offset = offset, .leader_epoch = -1},
        .commit = {.executor = fixture->ground.loop,
                   .task.run = committed,
                   .group_id = base_slice_text(group),
                   .generation = -1,
                   .items_count = 1},
    };
    committer.commit.items = &committer.item;
    if (group_commit(fixture->coordinator, &committer.commit) == GROUP_PENDING) {
        sim_ground_wait(&fixture->ground, &committer.done);
    }
    return committer.commit.verdict;
}

static int64_t offset_of(struct fixture *fixture, const char *group, const char *topic)
{
    int64_t offset;

    group_committed_offsets(fixture->coordinator, base_slice_text(group), base_slice_text(topic),
                            &offset, 1);
    return offset;
}

struct topic_wait {
    struct partition_topic_op op;
    bool done;
};

static void topic_done(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct topic_wait, op.task)->done = true;
}

static struct base_uuid create_topic(struct fixture *fixture, const char *name)
{
    struct topic_wait wait = {.op = {.executor = fixture->ground.loop, .task.run = topic_done}};
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text(name), base_slice_of(NULL, 0), CATALOG_KAFKA_HA);

    assert_non_null(draft);
    draft->partitions_count = 1;
    partition_create_topic(fixture->table, draft, &wait.op);
    sim_ground_wait(&fixture->ground, &wait.done);
    assert_int_equal(wait.op.verdict, CATALOG_DONE);
    struct base_uuid id = wait.op.topic->id;
    catalog_topic_release(&wait.op.topic);
    return id;
}

static void delete_topic(struct fixture *fixture, struct base_uuid id)
{
    struct topic_wait wait = {.op = {.executor = fixture->ground.loop, .task.run = topic_done}};

    partition_delete_topic(fixture->table, id, &wait.op);
    sim_ground_wait(&fixture->ground, &wait.done);
    assert_int_equal(wait.op.verdict, CATALOG_DONE);
    catalog_topic_release(&wait.op.topic);
}

static void committed_offsets_survive_a_power_cut(void **state)
{
    struct fixture *fixture = *state;
    char group[16];

    (void)create_topic(fixture, "t");
    for (int i = 0; i < 10; i++) {
        (void)snprintf(group, sizeof group, "g%d", i);
        assert_int_equal(commit(fixture, group, "t", i), GROUP_OK);
    }
    io_sim_crash(fixture->ground.sim);
    assert_int_equal(commit(fixture, "g0", "t", 100), GROUP_STORAGE_FAILED);
    close_all(fixture);
    io_sim_restart(fixture->ground.sim, true);
    open_all(fixture);
    for (int i = 1; i < 10; i++) {
        (void)snprintf(group, sizeof group, "g%d", i);
        assert_int_equal(offset_of(fixture, group, "t"), i);
    }
    assert_int_equal(commit(fixture, "g0", "t", 200), GROUP_OK);
    assert_int_equal(offset_of(fixture, "g0", "t"), 200);
}

static void offsets_of_a_deleted_topic_are_forgotten(void **state)
{
    struct fixture *fixture = *state;
    struct base_uuid id = create_topic(fixture, "t");

    (void)create_topic(fixture, "u");
    assert_int_equal(commit(fixture, "g", "t", 1), GROUP_OK);
    assert_int_equal(commit(fixture, "g", "u", 2), GROUP_OK);
    delete_topic(fixture, id);
    sim_scheduler_advance(fixture->ground.scheduler, 1000000);
    assert_int_equal(offset_of(fixture, "g", "t"), -1);
    assert_int_equal(offset_of(fixture, "g", "u"), 2);
    close_all(fixture);
    open_all(fixture);
    assert_int_equal(offset_of(fixture, "g", "t"), -1);
    assert_int_equal(offset_of(fixture, "g", "u"), 2);
}

static void a_topic_made_again_has_no_offsets(void **state)
{
    struct fixture *fixture = *state;
    struct base_uuid id = create_topic(fixture, "t");
    struct topic_wait wait = {.op = {.executor = fixture->ground.loop, .task.run = topic_done}};

    assert_int_equal(commit(fixture, "g", "t", 7), GROUP_OK);
    /* The catalog has the deletion; that of the offset finds no room any more. */
    partition_delete_topic(fixture->table, id, &wait.op);
    io_sim_set_full(fixture->ground.sim, true);
    sim_ground_wait(&fixture->ground, &wait.done);
    assert_int_equal(wait.op.verdict, CATALOG_DONE);
    catalog_topic_release(&wait.op.topic);
    sim_scheduler_advance(fixture->ground.scheduler, 1000000);
    io_sim_set_full(fixture->ground.sim, false);
    sim_scheduler_advance(fixture->ground.scheduler, 1000000);
    (void)create_topic(fixture, "t");
    assert_int_equal(offset_of(fixture, "g", "t"), -1);
    close_all(fixture);
    open_all(fixture);
    assert_int_equal(offset_of(fixture, "g", "t"), -1);
    sim_scheduler_advance(fixture->ground.scheduler, 1000000);
    assert_int_equal(offset_of(fixture, "g", "t"), -1);
    assert_int_equal(commit(fixture, "g", "t", 3), GROUP_OK);
    assert_int_equal(offset_of(fixture, "g", "t"), 3);
    close_all(fixture);
    open_all(fixture);
    assert_int_equal(offset_of(fixture, "g", "t"), 3);
}

static void snapshot_moves_the_start_of_the_partition(void **state)
{
    struct fixture *fixture = *state;

    (void)create_topic(fixture, "t");
    for (int i = 0; i < 10050; i++) {
        assert_int_equal(commit(fixture, "g", "t", i), GROUP_OK);
    }
    sim_scheduler_advance(fixture->ground.scheduler, 1000000);
    struct catalog_view *view = catalog_view(fixture->catalog);
    const struct catalog_topic *topic =
        catalog_view_topic(view, base_slice_text(GROUP_OFFSETS_TOPIC));
    assert_non_null(topic);
    assert_int_equal(topic->kind, CATALOG_INTERNAL);
    assert_int_equal(topic->partitions_count, 3);
    /* "g".hashCode() = 103 */
    struct partition *partition = partition_table_get(fixture->table, topic->id, 103 % 3);
    struct partition_offsets offsets;
    partition_offsets(partition, &offsets);
    assert_true(offsets.start >= 10000);
    partition_release(&partition);
    catalog_view_release(&view);
    close_all(fixture);
    open_all(fixture);
    assert_int_equal(offset_of(fixture, "g", "t"), 10049);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(committed_offsets_survive_a_power_cut),
        T(offsets_of_a_deleted_topic_are_forgotten),
        T(a_topic_made_again_has_no_offsets),
        T(snapshot_moves_the_start_of_the_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
