/* The catalog over a simulated disk: changes, views, snapshots, restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/catalog/catalog.h"
#include "core/catalog/dead_letters.h"
#include "core/catalog/reader.h"
#include "core/catalog/topic_json.h"
#include "logstore/log.h"
#include "tests/sim/ground.h"

enum { QUEUES_MAX = 5, GROUPS_MAX = 3, PARTITIONS_MAX = 50 };

static const char project[] = "0123456789abcdef0123456789abcdef";

struct fixture {
    struct sim_ground ground;
    struct catalog *catalog;
    int32_t generation;
};

static enum base_err try_open(struct fixture *fixture)
{
    sim_ground_open_store(&fixture->ground);
    int32_t generation = -1;
    assert_int_equal(catalog_next_generation(fixture->ground.store, &generation), BASE_ERR_OK);
    assert_true(generation > fixture->generation);
    fixture->generation = generation;
    struct catalog_options options = {.store = fixture->ground.store,
                                      .queues_per_project_max = QUEUES_MAX,
                                      .groups_per_queue_max = GROUPS_MAX,
                                      .partitions_max = PARTITIONS_MAX,
                                      .leader_epoch = generation};
    return catalog_open(&options, &fixture->catalog);
}

static void open_catalog(struct fixture *fixture)
{
    assert_int_equal(try_open(fixture), BASE_ERR_OK);
}

static void close_now(struct fixture *fixture)
{
    struct sim_flag closed = sim_flag();
    catalog_close(fixture->catalog, fixture->ground.loop, &closed.task);
    sim_ground_wait(&fixture->ground, &closed.is_set);
    sim_ground_close_store(&fixture->ground);
}

static void close_catalog(struct fixture *fixture)
{
    sim_scheduler_run(fixture->ground.scheduler);
    close_now(fixture);
}

static void reopen(struct fixture *fixture)
{
    close_catalog(fixture);
    open_catalog(fixture);
}

static struct fixture *make_fixture(uint64_t seed, int64_t latency_us_max)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    sim_ground_init(&fixture->ground, seed, 3, latency_us_max);
    fixture->generation = -1;
    open_catalog(fixture);
    return fixture;
}

static int set_up(void **state)
{
    *state = make_fixture(7, 500);
    return 0;
}

static void destroy(struct fixture *fixture)
{
    sim_ground_fini(&fixture->ground);
    base_free(fixture);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_catalog(fixture);
    destroy(fixture);
    return 0;
}

/* One change and the end of its wait. */
struct wait {
    struct catalog_change change;
    bool done;
};

static void change_done(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct wait, change.task)->done = true;
}

static void begin(const struct fixture *fixture, struct wait *wait)
{
    *wait =
        (struct wait){.change = {.executor = fixture->ground.loop, .task = {.run = change_done}}};
}

static enum catalog_verdict finish(const struct fixture *fixture, struct wait *wait)
{
    sim_ground_wait(&fixture->ground, &wait->done);
    catalog_topic_release(&wait->change.topic);
    return wait->change.verdict;
}

static struct catalog_topic *draft(const char *name, bool made_by_rest, int32_t partitions)
{
    struct catalog_topic *topic =
        catalog_topic_draft(base_slice_text(name), base_slice_text(NULL), CATALOG_KAFKA_HA);
    assert_non_null(topic);
    memcpy(topic->project_id, project, sizeof project);
    topic->made_by_rest = made_by_rest;
    topic->partitions_count = partitions;
    return topic;
}

static enum catalog_verdict create(const struct fixture *fixture, const char *name,
                                   bool made_by_rest, int32_t partitions)
{
    struct wait wait;
    begin(fixture, &wait);
    catalog_create_topic(fixture->catalog, draft(name, made_by_rest, partitions), &wait.change);
    return finish(fixture, &wait);
}

/* A held copy of the topic as the newest view has it; NULL when absent. */
static struct catalog_topic *look_up(const struct fixture *fixture, const char *name)
{
    struct catalog_view *view = catalog_view(fixture->catalog);
    const struct catalog_topic *topic = catalog_view_topic(view, base_slice_text(name));
    struct catalog_topic *held = topic == NULL ? NULL : catalog_topic_hold(topic);
    catalog_view_release(&view);
    return held;
}

static struct base_uuid id_of(const struct fixture *fixture, const char *name)
{
    struct catalog_topic *topic = look_up(fixture, name);
    assert_non_null(topic);
    struct base_uuid id = topic->id;
    catalog_topic_release(&topic);
    return id;
}

static bool exists(const struct fixture *fixture, const char *name)
{
    struct catalog_topic *topic = look_up(fixture, name);
    bool found = topic != NULL;
    catalog_topic_release(&topic);
    return found;
}

static void a_topic_is_visible_only_once_it_is_durable(void **state)
{
    struct fixture *fixture = *state;
    struct wait wait;
    begin(fixture, &wait);
    io_sim_set_sync_us(fixture->ground.sim, 1000000);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &wait.change);
    sim_scheduler_advance(fixture->ground.scheduler, 500000);
    assert_false(wait.done);
    assert_false(exists(fixture, "orders"));
    io_sim_set_sync_us(fixture->ground.sim, 0);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    assert_true(exists(fixture, "orders"));
}

static void a_name_is_given_once_also_while_the_first_is_pending(void **state)
{
    struct fixture *fixture = *state;
    struct wait first;
    struct wait second;
    begin(fixture, &first);
    begin(fixture, &second);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &first.change);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &second.change);
    assert_int_equal(finish(fixture, &first), CATALOG_DONE);
    assert_int_equal(finish(fixture, &second), CATALOG_EXISTS);
}

static void a_refusal_is_told_once_what_it_rests_on_is_visible(void **state)
{
    struct fixture *fixture = *state;
    struct wait first;
    struct wait second;

    io_sim_set_sync_us(fixture->ground.sim, 1000000);
    begin(fixture, &first);
    begin(fixture, &second);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &first.change);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &second.change);
    sim_scheduler_advance(fixture->ground.scheduler, 500000);
    assert_false(second.done);
    assert_int_equal(finish(fixture, &second), CATALOG_EXISTS);
    assert_true(exists(fixture, "orders"));
    assert_int_equal(finish(fixture, &first), CATALOG_DONE);

    struct base_uuid id = id_of(fixture, "orders");
    begin(fixture, &first);
    begin(fixture, &second);
    catalog_delete_topic(fixture->catalog, id, &first.change);
    catalog_delete_topic(fixture->catalog, id, &second.change);
    assert_int_equal(finish(fixture, &second), CATALOG_NOT_FOUND);
    assert_false(exists(fixture, "orders"));
    assert_int_equal(finish(fixture, &first), CATALOG_DONE);
}

static void names_that_differ_by_dot_and_underscore_collide(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(create(fixture, "a.b_c", false, 1), CATALOG_DONE);
    assert_int_equal(create(fixture, "a_b.c", false, 1), CATALOG_COLLIDES);
    assert_int_equal(create(fixture, "a-b.c", false, 1), CATALOG_DONE);
    assert_false(exists(fixture, "a_b.c"));
}

static void quotas_bound_queues_groups_and_partitions(void **state)
{
    struct fixture *fixture = *state;
    char name[32];
    for (int i = 0; i < QUEUES_MAX; i++) {
        (void)snprintf(name, sizeof name, "queue-%d", i);
        assert_int_equal(create(fixture, name, true, 1), CATALOG_DONE);
    }
    assert_int_equal(create(fixture, "queue-more", true, 1), CATALOG_QUOTA_EXCEEDED);
    assert_int_equal(create(fixture, "topic", false, 1), CATALOG_DONE); /* not a queue */
    assert_int_equal(create(fixture, "wide", false, PARTITIONS_MAX), CATALOG_TOO_MANY_PARTITIONS);

    struct base_slice names[GROUPS_MAX + 1] = {base_slice_text("a"), base_slice_text("b"),
                                               base_slice_text("c"), base_slice_text("d")};
    struct base_uuid id = id_of(fixture, "queue-0");
    struct wait wait;
    begin(fixture, &wait);
    catalog_create_groups(fixture->catalog, id, names, GROUPS_MAX + 1, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_QUOTA_EXCEEDED);
    struct catalog_topic *topic = look_up(fixture, "queue-0");
    assert_int_equal(topic->groups_count, 0); /* all or none */
    catalog_topic_release(&topic);
}

static void groups_come_and_go_and_are_found_by_id(void **state)
{
    struct fixture *fixture = *state;
    struct base_slice names[] = {base_slice_text("mail"), base_slice_text("audit")};
    struct wait wait;

    assert_int_equal(create(fixture, "orders", true, 1), CATALOG_DONE);
    struct base_uuid id = id_of(fixture, "orders");
    begin(fixture, &wait);
    catalog_create_groups(fixture->catalog, id, names, 2, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    begin(fixture, &wait);
    catalog_create_groups(fixture->catalog, id, &names[1], 1, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_EXISTS);

    reopen(fixture);
    struct catalog_topic *topic = look_up(fixture, "orders");
    assert_int_equal(topic->groups_count, 2);
    assert_string_equal(topic->groups[0].name, "mail");
    char group_id[CATALOG_GROUP_ID_SIZE];
    memcpy(group_id, topic->groups[0].id, sizeof group_id);
    catalog_topic_release(&topic);

    struct catalog_view *view = catalog_view(fixture->catalog);
    assert_non_null(catalog_view_topic_of_group(view, base_slice_text(group_id)));
    catalog_view_release(&view);
    begin(fixture, &wait);
    catalog_delete_group(fixture->catalog, id, base_slice_text(group_id), &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    view = catalog_view(fixture->catalog);
    assert_null(catalog_view_topic_of_group(view, base_slice_text(group_id)));
    catalog_view_release(&view);
}

static void everything_survives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct wait wait;
    char cluster_id[64];

    (void)snprintf(cluster_id, sizeof cluster_id, "%s", catalog_cluster_id(fixture->catalog));
    assert_int_equal(strlen(cluster_id), 22);
    assert_int_equal(create(fixture, "kept", false, 3), CATALOG_DONE);
    assert_int_equal(create(fixture, "gone", false, 1), CATALOG_DONE);
    struct base_uuid kept = id_of(fixture, "kept");
    struct base_uuid gone = id_of(fixture, "gone");
    begin(fixture, &wait);
    catalog_grow_topic(fixture->catalog, kept, 4, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    begin(fixture, &wait);
    catalog_grow_topic(fixture->catalog, kept, 4, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_EXISTS);
    begin(fixture, &wait);
    catalog_delete_topic(fixture->catalog, gone, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);

    reopen(fixture);
    assert_string_equal(catalog_cluster_id(fixture->catalog), cluster_id);
    assert_false(exists(fixture, "gone"));
    assert_true(catalog_knows_deleted(fixture->catalog, gone));
    assert_false(catalog_knows_deleted(fixture->catalog, kept));
    struct catalog_topic *topic = look_up(fixture, "kept");
    assert_int_equal(topic->partitions_count, 4);
    assert_true(base_uuid_equal(topic->id, kept));
    catalog_topic_release(&topic);
}

/* A queue with a redrive policy: its id. */
static struct base_uuid create_redrive(const struct fixture *fixture, const char *name)
{
    struct wait wait;
    struct catalog_topic *topic =
        catalog_topic_draft(base_slice_text(name), base_slice_text(NULL), CATALOG_FIFO);
    memcpy(topic->project_id, project, sizeof project);
    topic->made_by_rest = true;
    topic->redrive = true;
    topic->max_consume_count = 3;
    begin(fixture, &wait);
    catalog_create_topic(fixture->catalog, topic, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    return id_of(fixture, name);
}

/* Makes a group and gives its id and the id of its dead letters. */
static struct base_uuid create_group(const struct fixture *fixture, struct base_uuid queue_id,
                                     const char *name, char group_id[CATALOG_GROUP_ID_SIZE])
{
    struct base_slice names[] = {base_slice_text(name)};
    struct base_uuid letters_id;
    struct wait wait;

    begin(fixture, &wait);
    catalog_create_groups(fixture->catalog, queue_id, names, 1, &wait.change);
    sim_ground_wait(&fixture->ground, &wait.done);
    const struct catalog_topic *topic = wait.change.topic;
    (void)snprintf(group_id, CATALOG_GROUP_ID_SIZE, "%s",
                   topic->groups[topic->groups_count - 1].id);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    assert_true(catalog_dead_letters_topic_id(base_slice_text(group_id), &letters_id));
    return letters_id;
}

static size_t count_topics(const struct fixture *fixture)
{
    struct catalog_view *view = catalog_view(fixture->catalog);
    size_t count = catalog_view_topics_count(view);
    catalog_view_release(&view);
    return count;
}

static void dead_letters_come_and_go_with_their_group(void **state)
{
    struct fixture *fixture = *state;
    char one[CATALOG_GROUP_ID_SIZE], two[CATALOG_GROUP_ID_SIZE];
    char text[CATALOG_NAME_LENGTH_MAX];
    struct wait wait;

    struct base_uuid queue_id = create_redrive(fixture, "orders");
    struct base_uuid one_id = create_group(fixture, queue_id, "one", one);
    struct base_uuid two_id = create_group(fixture, queue_id, "two", two);
    assert_int_equal(count_topics(fixture), 3);
    reopen(fixture);
    struct catalog_view *view = catalog_view(fixture->catalog);
    const struct catalog_topic *letters = catalog_view_topic_by_id(view, one_id);
    assert_non_null(letters);
    (void)snprintf(text, sizeof text, "d-%s-%s", project, one);
    assert_string_equal(letters->name, text);
    assert_true(catalog_topic_is_dead_letters(letters));
    assert_true(base_uuid_equal(letters->origin_id, queue_id));
    assert_int_equal(letters->kind, CATALOG_FIFO);
    assert_int_equal(letters->partitions_count, 1);
    assert_false(letters->made_by_rest);
    assert_false(letters->redrive);
    assert_int_equal(letters->config.values[CATALOG_CONFIG_RETENTION_MS], 259200000);
    assert_int_equal(letters->groups_count, 1);
    (void)snprintf(text, sizeof text, "d%s", one + 1);
    assert_string_equal(letters->groups[0].id, text);
    catalog_view_release(&view);

    begin(fixture, &wait);
    catalog_delete_group(fixture->catalog, queue_id, base_slice_text(one), &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    reopen(fixture);
    assert_int_equal(count_topics(fixture), 2);
    assert_true(catalog_knows_deleted(fixture->catalog, one_id));

    begin(fixture, &wait);
    catalog_delete_topic(fixture->catalog, queue_id, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    assert_int_equal(count_topics(fixture), 0);
    reopen(fixture);
    assert_int_equal(count_topics(fixture), 0);
    assert_true(catalog_knows_deleted(fixture->catalog, two_id));
}

static void dead_letters_need_room_among_the_partitions(void **state)
{
    struct fixture *fixture = *state;
    struct base_slice names[] = {base_slice_text("one"), base_slice_text("two")};
    struct wait wait;

    struct base_uuid queue_id = create_redrive(fixture, "orders");
    assert_int_equal(create(fixture, "large", false, PARTITIONS_MAX - 2), CATALOG_DONE);
    begin(fixture, &wait);
    catalog_create_groups(fixture->catalog, queue_id, names, 2, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_TOO_MANY_PARTITIONS);
    begin(fixture, &wait);
    catalog_create_groups(fixture->catalog, queue_id, names, 1, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
}

static void a_configuration_change_is_kept_and_sets_the_mode(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_topic_config config;
    struct wait wait;

    assert_int_equal(create(fixture, "orders", false, 1), CATALOG_DONE);
    catalog_config_default(&config);
    assert_int_equal(
        catalog_config_set(&config, CATALOG_CONFIG_RETENTION_MS, base_slice_text("1000")),
        BASE_ERR_OK);
    assert_int_equal(
        catalog_config_set(&config, CATALOG_CONFIG_QUEUE_MODE, base_slice_text("KAFKA_HT")),
        BASE_ERR_OK);
    begin(fixture, &wait);
    catalog_configure_topic(fixture->catalog, id_of(fixture, "orders"), &config, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    reopen(fixture);
    struct catalog_topic *topic = look_up(fixture, "orders");
    assert_int_equal(topic->config.values[CATALOG_CONFIG_RETENTION_MS], 1000);
    assert_true(topic->config.is_set[CATALOG_CONFIG_RETENTION_MS]);
    assert_false(topic->config.is_set[CATALOG_CONFIG_SEGMENT_MS]);
    assert_int_equal(topic->kind, CATALOG_KAFKA_HT);
    catalog_topic_release(&topic);
}

static void producer_ids_are_never_given_twice(void **state)
{
    struct fixture *fixture = *state;
    int64_t first = -1;
    int64_t second = -1;
    struct wait wait;

    begin(fixture, &wait);
    catalog_take_producer_ids(fixture->catalog, 1000, &first, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    reopen(fixture);
    begin(fixture, &wait);
    catalog_take_producer_ids(fixture->catalog, 1000, &second, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    assert_true(second >= first + 1000);
}

static void snapshots_keep_the_log_short(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(create(fixture, "steady", false, 1), CATALOG_DONE);
    for (int i = 0; i < 3000; i++) {
        int64_t first = 0;
        struct wait wait;
        begin(fixture, &wait);
        catalog_take_producer_ids(fixture->catalog, 1, &first, &wait.change);
        assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    }
    sim_scheduler_advance(fixture->ground.scheduler, 1000000);
    assert_true(logstore_log_start_offset(catalog_log(fixture->catalog)) > 1500);
    reopen(fixture);
    assert_true(exists(fixture, "steady"));
    int64_t next = 0;
    struct wait wait;
    begin(fixture, &wait);
    catalog_take_producer_ids(fixture->catalog, 1, &next, &wait.change);
    assert_int_equal(finish(fixture, &wait), CATALOG_DONE);
    assert_true(next >= 3000);
}

static void a_full_disk_refuses_or_delays_and_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct wait wait;

    io_sim_set_full(fixture->ground.sim, true);
    begin(fixture, &wait);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &wait.change);
    sim_scheduler_advance(fixture->ground.scheduler, 5000000);
    assert_false(exists(fixture, "orders"));
    bool refused = wait.done;
    io_sim_set_full(fixture->ground.sim, false);
    enum catalog_verdict verdict = finish(fixture, &wait);
    assert_int_equal(verdict, refused ? CATALOG_STORAGE_FAILED : CATALOG_DONE);
    assert_int_equal(create(fixture, "orders", false, 1), refused ? CATALOG_DONE : CATALOG_EXISTS);
}

static void a_failed_sync_refuses_what_waits_and_what_comes(void **state)
{
    struct fixture *fixture = *state;
    struct wait first;
    struct wait second;

    assert_int_equal(create(fixture, "before", false, 1), CATALOG_DONE);
    io_sim_fail_sync_at(fixture->ground.sim, 0);
    begin(fixture, &first);
    begin(fixture, &second);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &first.change);
    catalog_create_topic(fixture->catalog, draft("orders", false, 1), &second.change);
    assert_int_equal(finish(fixture, &first), CATALOG_STORAGE_FAILED);
    assert_int_equal(finish(fixture, &second), CATALOG_STORAGE_FAILED); /* it exists nowhere */
    assert_int_equal(create(fixture, "later", false, 1), CATALOG_STORAGE_FAILED);
    assert_true(exists(fixture, "before"));
    assert_false(exists(fixture, "orders"));
}

static void a_cached_view_follows_changes(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_reader reader;
    catalog_reader_init(&reader, fixture->catalog);
    struct catalog_view *before = catalog_reader_view(&reader);
    assert_ptr_equal(catalog_reader_view(&reader), before);
    assert_int_equal(create(fixture, "orders", false, 1), CATALOG_DONE);
    assert_non_null(catalog_view_topic(catalog_reader_view(&reader), base_slice_text("orders")));
    catalog_reader_fini(&reader);
}

/* A handler that asks twice keeps what it got first, whatever others change in between. */
static void a_borrowed_view_lives_until_the_reader_settles(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_reader reader;
    char name[16];

    catalog_reader_init(&reader, fixture->catalog);
    const struct catalog_view *first = catalog_reader_view(&reader);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "topic-%u", i);
        assert_int_equal(create(fixture, name, false, 1), CATALOG_DONE);
        assert_non_null(catalog_view_topic(catalog_reader_view(&reader), base_slice_text(name)));
    }
    assert_null(catalog_view_topic(first, base_slice_text("topic-0")));
    assert_int_equal(reader.retired_count, 20);
    catalog_reader_settle(&reader);
    assert_int_equal(reader.retired_count, 0);
    assert_non_null(catalog_view_topic(catalog_reader_view(&reader), base_slice_text("topic-0")));
    catalog_reader_fini(&reader);
}

static void json_of_a_newer_version_is_refused(void **state)
{
    struct catalog_topic *topic = draft("orders", true, 2);
    struct catalog_topic *back = NULL;
    struct catalog_topic_config defaults;
    (void)state;
    catalog_config_default(&defaults);
    defaults.values[CATALOG_CONFIG_RETENTION_MS] = 42;
    topic->id = base_uuid_random();
    base_uuid_format(topic->id, topic->id_text);
    char *json = catalog_topic_to_json(topic);
    assert_non_null(json);
    assert_int_equal(catalog_topic_from_json(base_slice_text(json), &defaults, &back), BASE_ERR_OK);
    assert_true(base_uuid_equal(back->id, topic->id));
    assert_int_equal(back->partitions_count, 2);
    assert_true(back->made_by_rest);
    /* Not set by the topic: follows the broker's default, also after a restart. */
    assert_int_equal(back->config.values[CATALOG_CONFIG_RETENTION_MS], 42);
    catalog_topic_release(&back);
    char *version = strstr(json, "\"version\":1");
    assert_non_null(version);
    version[10] = '2';
    assert_int_equal(catalog_topic_from_json(base_slice_text(json), &defaults, &back),
                     BASE_ERR_CORRUPT);
    assert_null(back);
    base_free(json);
    catalog_topic_release(&topic);
}

static void topic_names_follow_kafkas_rule(void **state)
{
    char longest[CATALOG_NAME_LENGTH_MAX + 2];
    (void)state;
    memset(longest, 'a', sizeof longest);
    assert_true(catalog_topic_name_is_valid(base_slice_of(longest, CATALOG_NAME_LENGTH_MAX)));
    assert_false(catalog_topic_name_is_valid(base_slice_of(longest, CATALOG_NAME_LENGTH_MAX + 1)));
    assert_true(catalog_topic_name_is_valid(base_slice_text("A-z_0.9")));
    assert_false(catalog_topic_name_is_valid(base_slice_text("")));
    assert_false(catalog_topic_name_is_valid(base_slice_text(".")));
    assert_false(catalog_topic_name_is_valid(base_slice_text("..")));
    assert_false(catalog_topic_name_is_valid(base_slice_text("a/b")));
    assert_false(catalog_topic_name_is_valid(base_slice_text("a b")));
    assert_false(catalog_topic_name_is_valid(base_slice_of("a\0b", 3)));
}

/* The store asserts that no log is open when it is closed. */
static void a_catalog_that_cannot_be_read_is_closed_like_any_other(void **state)
{
    struct fixture *fixture = *state;
    const char *name = "__catalog-0/00000000000000000000.log";

    close_catalog(fixture);
    io_sim_flip(fixture->ground.sim, name, 100, 3);
    assert_int_equal(try_open(fixture), BASE_ERR_CORRUPT);
    assert_non_null(fixture->catalog);
    close_now(fixture);
    io_sim_flip(fixture->ground.sim, name, 100, 3);
    open_catalog(fixture);
}

/* The log is trimmed to the first snapshot while a start that failed for another reason closes
 * it again. */
static void a_trim_ends_before_the_catalog_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct fixture *fixture = make_fixture(seed, 0); /* no time passes between the steps */
        for (uint64_t i = sim_random(fixture->ground.scheduler, 40); i > 0; i--) {
            (void)sim_scheduler_step(fixture->ground.scheduler);
        }
        close_now(fixture);
        sim_scheduler_run(fixture->ground.scheduler);
        destroy(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_topic_is_visible_only_once_it_is_durable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_name_is_given_once_also_while_the_first_is_pending,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_is_told_once_what_it_rests_on_is_visible, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_that_differ_by_dot_and_underscore_collide, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(quotas_bound_queues_groups_and_partitions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(groups_come_and_go_and_are_found_by_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(everything_survives_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dead_letters_come_and_go_with_their_group, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(dead_letters_need_room_among_the_partitions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_configuration_change_is_kept_and_sets_the_mode, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(producer_ids_are_never_given_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_catalog_that_cannot_be_read_is_closed_like_any_other,
                                        set_up, tear_down),
        cmocka_unit_test(a_trim_ends_before_the_catalog_does),
        cmocka_unit_test_setup_teardown(snapshots_keep_the_log_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_or_delays_and_loses_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failed_sync_refuses_what_waits_and_what_comes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cached_view_follows_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_borrowed_view_lives_until_the_reader_settles, set_up,
                                        tear_down),
        cmocka_unit_test(json_of_a_newer_version_is_refused),
        cmocka_unit_test(topic_names_follow_kafkas_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
