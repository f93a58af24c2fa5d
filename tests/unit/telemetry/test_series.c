/* Series on virtual time over a simulated disk: what is recorded when, rolled up, restarted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/telemetry/series.h"
#include "tests/sim/ground.h"

enum {
    MINUTE_MS = 60 * 1000,
    HOUR_MS = 60 * MINUTE_MS,
    US_PER_MS = 1000,
};

struct fixture {
    struct sim_ground ground;
    struct catalog *catalog;
    struct telemetry_series *series;
    struct base_uuid queue_id;
    struct base_uuid group_id;
    int64_t interval_ms;
    int64_t queue[TELEMETRY_SLOTS_MAX]; /* what there is to sample */
    int64_t group[TELEMETRY_SLOTS_MAX];
    bool is_unknown;
    unsigned samples_count;
};

static bool take_sample(void *context, const struct catalog_topic *topic,
                        const struct catalog_group *group, int64_t values[TELEMETRY_SLOTS_MAX])
{
    struct fixture *fixture = context;

    (void)topic;
    fixture->samples_count++;
    memcpy(values, group == NULL ? fixture->queue : fixture->group, sizeof fixture->queue);
    return !fixture->is_unknown;
}

static void on_loop(struct fixture *fixture, base_task_run *run, struct base_task *task)
{
    task->run = run;
    base_executor_post(fixture->ground.loop, task);
    sim_scheduler_run(fixture->ground.scheduler);
}

struct call {
    struct base_task task;
    struct fixture *fixture;
    struct base_task *closed;
};

static void start(struct base_task *task)
{
    telemetry_series_start(BASE_CONTAINER_OF(task, struct call, task)->fixture->series);
}

static enum base_err open_series(struct fixture *fixture, int32_t generation)
{
    struct telemetry_series_options options = {.store = fixture->ground.store,
                                               .catalog = fixture->catalog,
                                               .loop = fixture->ground.loop,
                                               .leader_epoch = generation,
                                               .interval_ms = fixture->interval_ms,
                                               .sample = take_sample,
                                               .context = fixture};
    return telemetry_series_open(&options, &fixture->series);
}

static void open_all(struct fixture *fixture)
{
    int32_t generation = -1;
    struct call call = {.fixture = fixture};

    sim_ground_open_store(&fixture->ground);
    assert_int_equal(catalog_next_generation(fixture->ground.store, &generation), BASE_ERR_OK);
    struct catalog_options catalog_options = {.store = fixture->ground.store,
                                              .queues_per_project_max = 5,
                                              .groups_per_queue_max = 3,
                                              .partitions_max = 100,
                                              .leader_epoch = generation};
    assert_int_equal(catalog_open(&catalog_options, &fixture->catalog), BASE_ERR_OK);
    assert_int_equal(open_series(fixture, generation), BASE_ERR_OK);
    on_loop(fixture, start, &call.task);
}

static void close_series(struct base_task *task)
{
    struct call *call = BASE_CONTAINER_OF(task, struct call, task);
    telemetry_series_close(call->fixture->series, call->closed);
}

static void close_only_series(struct fixture *fixture)
{
    struct sim_flag series = sim_flag();
    struct call call = {.fixture = fixture, .closed = &series.task};

    sim_scheduler_run(fixture->ground.scheduler);
    on_loop(fixture, close_series, &call.task);
    sim_ground_wait(&fixture->ground, &series.is_set);
}

static void close_all(struct fixture *fixture)
{
    struct sim_flag catalog = sim_flag();

    close_only_series(fixture);
    catalog_close(fixture->catalog, fixture->ground.loop, &catalog.task);
    sim_ground_wait(&fixture->ground, &catalog.is_set);
    sim_ground_close_store(&fixture->ground);
}

struct change {
    struct catalog_change change;
    bool done;
};

static void changed(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct change, change.task)->done = true;
}

static void finish_change(const struct fixture *fixture, struct change *change)
{
    sim_ground_wait(&fixture->ground, &change->done);
    assert_int_equal(change->change.verdict, CATALOG_DONE);
}

/* A queue with a group. */
static void make_queue(struct fixture *fixture)
{
    struct base_slice name = base_slice_text("group");
    struct change change = {.change = {.executor = fixture->ground.loop, .task = {.run = changed}}};
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text("queue"), base_slice_of(NULL, 0), CATALOG_NORMAL);

    memcpy(draft->project_id, "0123456789abcdef0123456789abcdef", CATALOG_PROJECT_ID_SIZE);
    draft->made_by_rest = true;
    draft->partitions_count = 1;
    catalog_create_topic(fixture->catalog, draft, &change.change);
    finish_change(fixture, &change);
    fixture->queue_id = change.change.topic->id;
    catalog_topic_release(&change.change.topic);
    change =
        (struct change){.change = {.executor = fixture->ground.loop, .task = {.run = changed}}};
    catalog_create_groups(fixture->catalog, fixture->queue_id, &name, 1, &change.change);
    finish_change(fixture, &change);
    assert_true(base_uuid_parse(change.change.topic->groups[0].id + 2, BASE_UUID_TEXT_SIZE - 1,
                                &fixture->group_id));
    catalog_topic_release(&change.change.topic);
}

static int set_up_with(void **state, int64_t interval_ms)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    fixture->interval_ms = interval_ms;
    sim_ground_init(&fixture->ground, 7, 3, 500);
    open_all(fixture);
    make_queue(fixture);
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, MINUTE_MS);
}

static int set_up_hourly(void **state)
{
    return set_up_with(state, HOUR_MS);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    sim_ground_fini(&fixture->ground);
    base_free(fixture);
    return 0;
}

static int64_t now_ms(const struct fixture *fixture)
{
    return base_clock_wall_ms(sim_scheduler_clock(fixture->ground.scheduler));
}

/* Lets time pass until shortly behind the end of the running interval, so often. */
static void pass(struct fixture *fixture, unsigned intervals)
{
    for (unsigned i = 0; i < intervals; i++) {
        int64_t left_ms = fixture->interval_ms - now_ms(fixture) % fixture->interval_ms;
        sim_scheduler_advance(fixture->ground.scheduler, (left_ms + 10) * US_PER_MS);
    }
}

/* Start of the interval that ended last. */
static int64_t last_label(const struct fixture *fixture)
{
    return now_ms(fixture) / fixture->interval_ms * fixture->interval_ms - fixture->interval_ms;
}

struct search {
    struct telemetry_series_search search;
    bool done;
};

static void found(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct search, search.task)->done = true;
}

/* The points are the caller's. */
static struct search find(struct fixture *fixture, struct telemetry_series_search wanted)
{
    struct search search = {.search = wanted};
    bool of_group = telemetry_metric_row(wanted.metric)->of == TELEMETRY_OF_GROUP;

    search.search.executor = fixture->ground.loop;
    search.search.task.run = found;
    search.search.id = of_group ? fixture->group_id : fixture->queue_id;
    if (search.search.to_ms == 0) {
        search.search.to_ms = now_ms(fixture);
    }
    telemetry_series_find(fixture->series, &search.search);
    sim_ground_wait(&fixture->ground, &search.done);
    return search;
}

/* The raw values since from_ms are exactly these, one interval after the other. */
static void check(struct fixture *fixture, enum telemetry_metric_id metric, int64_t from_ms,
                  const int64_t *values, size_t count)
{
    struct search search =
        find(fixture, (struct telemetry_series_search){.metric = metric, .from_ms = from_ms});

    assert_int_equal(search.search.err, BASE_ERR_OK);
    assert_int_equal(search.search.points_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(search.search.points[i].timestamp_ms,
                         from_ms + (int64_t)i * fixture->interval_ms);
        assert_int_equal((int64_t)search.search.points[i].value, values[i]);
    }
    base_free(search.search.points);
}

#define CHECK(fixture, metric, from_ms, ...)                                         \
    check((fixture), TELEMETRY_METRIC_##metric, (from_ms), (int64_t[]){__VA_ARGS__}, \
          sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void states_stay_and_rates_are_of_their_minute(void **state)
{
    struct fixture *fixture = *state;

    pass(fixture, 1);
    int64_t first = last_label(fixture);
    assert_int_equal(first % MINUTE_MS, 0);
    memcpy(fixture->queue, (int64_t[]){3, 300, 2}, 3 * sizeof(int64_t));
    memcpy(fixture->group, (int64_t[]){3, 0, 0, 0, 0}, 5 * sizeof(int64_t));
    pass(fixture, 3);
    memcpy(fixture->queue, (int64_t[]){4, 350, 3}, 3 * sizeof(int64_t));
    memcpy(fixture->group, (int64_t[]){1, 3, 1, 2, 5}, 5 * sizeof(int64_t));
    pass(fixture, 1);
    CHECK(fixture, QUEUED_MESSAGES, first, 0, 3, 3, 3, 4);
    CHECK(fixture, MESSAGE_SIZE, first, 0, 300, 0, 0, 50);
    CHECK(fixture, REQUEST_COUNT, first, 0, 2, 0, 0, 1);
    CHECK(fixture, ACCUMULATED_MESSAGES, first, 0, 3, 3, 3, 1);
    CHECK(fixture, CONSUMED_MESSAGES, first, 0, 0, 0, 0, 3);
    CHECK(fixture, SKIPPED_MESSAGES, first, 0, 0, 0, 0, 1);
    CHECK(fixture, DEAD_AVAIL_MESSAGES, first, 0, 0, 0, 0, 2);
    CHECK(fixture, DEAD_HIS_MESSAGES, first, 0, 0, 0, 0, 5);
    /* A search that begins behind the last change knows the state all the same. */
    CHECK(fixture, QUEUED_MESSAGES, first + 3 * MINUTE_MS, 3, 4);
}

static void an_idle_state_is_known_hours_later(void **state)
{
    struct fixture *fixture = *state;

    fixture->queue[0] = 42;
    pass(fixture, 300);
    CHECK(fixture, QUEUED_MESSAGES, last_label(fixture), 42);
    CHECK(fixture, MESSAGE_SIZE, last_label(fixture), 0);
}

static void an_idle_state_is_known_behind_skipped_intervals(void **state)
{
    enum { SKIPPED = 90, LATER = 70 };
    struct fixture *fixture = *state;

    fixture->queue[0] = 42;
    pass(fixture, 1);
    sim_scheduler_set_wall(fixture->ground.scheduler, (int64_t)SKIPPED * MINUTE_MS * US_PER_MS);
    for (unsigned i = 0; i < LATER; i++) {
        pass(fixture, 1);
        CHECK(fixture, QUEUED_MESSAGES, last_label(fixture), 42);
    }
}

static void a_clock_that_was_set_back_hides_nothing(void **state)
{
    enum { STEP = 200 };
    struct fixture *fixture = *state;

    fixture->queue[0] = 42;
    pass(fixture, 2);
    sim_scheduler_set_wall(fixture->ground.scheduler, (int64_t)-STEP * MINUTE_MS * US_PER_MS);
    pass(fixture, 1);
    int64_t first = last_label(fixture);
    CHECK(fixture, QUEUED_MESSAGES, first, 42);
    fixture->queue[0] = 43;
    pass(fixture, 2);
    CHECK(fixture, QUEUED_MESSAGES, first, 42, 43, 43);
    close_all(fixture);
    open_all(fixture);
    CHECK(fixture, QUEUED_MESSAGES, first, 42, 43, 43, 43);
    pass(fixture, STEP);
    CHECK(fixture, QUEUED_MESSAGES, last_label(fixture), 43);
}

/* Whatever the interval was when it was recorded. */
static void an_idle_state_is_known_when_the_interval_is_another(void **state)
{
    struct fixture *fixture = *state;

    fixture->queue[0] = 42;
    pass(fixture, 5);
    int64_t label_ms = last_label(fixture); /* an interval is an hour here */
    close_all(fixture);
    fixture->interval_ms = MINUTE_MS;
    open_all(fixture);
    struct search search =
        find(fixture, (struct telemetry_series_search){.metric = TELEMETRY_METRIC_QUEUED_MESSAGES,
                                                       .from_ms = label_ms,
                                                       .to_ms = label_ms + 1});
    assert_int_equal(search.search.err, BASE_ERR_OK);
    assert_int_equal(search.search.points_count, 1);
    assert_int_equal((int64_t)search.search.points[0].value, 42);
    base_free(search.search.points);
}

static void what_is_not_known_is_not_recorded(void **state)
{
    struct fixture *fixture = *state;

    pass(fixture, 1);
    int64_t first = last_label(fixture);
    fixture->is_unknown = true;
    fixture->queue[1] = 100;
    pass(fixture, 1);
    fixture->is_unknown = false;
    pass(fixture, 1);
    CHECK(fixture, MESSAGE_SIZE, first, 0, 0, 100); /* a little late, but not lost */
}

static void what_a_full_disk_took_comes_with_the_next_minute(void **state)
{
    struct fixture *fixture = *state;

    memcpy(fixture->queue, (int64_t[]){5, 100, 1}, 3 * sizeof(int64_t));
    pass(fixture, 1);
    int64_t first = last_label(fixture);
    memcpy(fixture->queue, (int64_t[]){0, 130, 2}, 3 * sizeof(int64_t));
    io_sim_set_full(fixture->ground.sim, true);
    pass(fixture, 1);
    io_sim_set_full(fixture->ground.sim, false);
    pass(fixture, 1);
    CHECK(fixture, QUEUED_MESSAGES, first + 2 * MINUTE_MS, 0);
    CHECK(fixture, MESSAGE_SIZE, first + 2 * MINUTE_MS, 30);
    CHECK(fixture, REQUEST_COUNT, first + 2 * MINUTE_MS, 1);
}

static void a_restart_goes_on_in_its_minute(void **state)
{
    struct fixture *fixture = *state;

    pass(fixture, 1);
    int64_t first = last_label(fixture);
    memcpy(fixture->queue, (int64_t[]){2, 20, 1}, 3 * sizeof(int64_t));
    fixture->group[1] = 7;
    close_all(fixture); /* records the running minute as far as it has come */
    open_all(fixture);
    memcpy(fixture->queue, (int64_t[]){3, 5, 1}, 3 * sizeof(int64_t)); /* totals begin anew */
    pass(fixture, 2);
    CHECK(fixture, QUEUED_MESSAGES, first, 0, 3, 3);
    CHECK(fixture, MESSAGE_SIZE, first, 0, 25, 0);
    CHECK(fixture, REQUEST_COUNT, first, 0, 2, 0);
    CHECK(fixture, CONSUMED_MESSAGES, first, 0, 7, 7);
}

static void minutes_without_the_broker_have_no_value(void **state)
{
    struct fixture *fixture = *state;

    fixture->queue[0] = 9;
    pass(fixture, 1);
    int64_t first = last_label(fixture);
    close_all(fixture);
    sim_scheduler_advance(fixture->ground.scheduler, (int64_t)10 * MINUTE_MS * US_PER_MS);
    open_all(fixture);
    pass(fixture, 1);
    struct search search =
        find(fixture, (struct telemetry_series_search){.metric = TELEMETRY_METRIC_QUEUED_MESSAGES,
                                                       .from_ms = first});
    /* The first minute, the one in which it stopped, and the one in which it started. */
    assert_int_equal(search.search.points_count, 3);
    assert_int_equal(search.search.points[2].timestamp_ms, first + 11 * MINUTE_MS);
    base_free(search.search.points);
}

static double rolled_up(struct fixture *fixture, enum telemetry_filter filter, int64_t from_ms)
{
    struct search search =
        find(fixture, (struct telemetry_series_search){.metric = TELEMETRY_METRIC_MESSAGE_SIZE,
                                                       .from_ms = from_ms,
                                                       .to_ms = from_ms + 5 * MINUTE_MS,
                                                       .period_ms = 5 * MINUTE_MS,
                                                       .filter = filter});
    assert_int_equal(search.search.err, BASE_ERR_OK);
    assert_int_equal(search.search.points_count, 1);
    assert_int_equal(search.search.points[0].timestamp_ms, from_ms);
    double value = search.search.points[0].value;
    base_free(search.search.points);
    return value;
}

static void periods_are_rolled_up(void **state)
{
    static const int64_t totals[] = {10, 30, 60, 60, 160}; /* 10 20 30 0 100 */
    struct fixture *fixture = *state;

    pass(fixture, 1);
    while ((last_label(fixture) + MINUTE_MS) % (5 * MINUTE_MS) != 0) {
        pass(fixture, 1);
    }
    int64_t first = last_label(fixture) + MINUTE_MS;
    for (size_t i = 0; i < 5; i++) {
        fixture->queue[1] = totals[i];
        pass(fixture, 1);
    }
    assert_true(rolled_up(fixture, TELEMETRY_FILTER_SUM, first) == 160);
    assert_true(rolled_up(fixture, TELEMETRY_FILTER_AVERAGE, first) == 32);
    assert_true(rolled_up(fixture, TELEMETRY_FILTER_MAX, first) == 100);
    assert_true(rolled_up(fixture, TELEMETRY_FILTER_MIN, first) == 0);
    /* (22² + 12² + 2² + 32² + 68²) / 5 */
    double variance = rolled_up(fixture, TELEMETRY_FILTER_VARIANCE, first);
    assert_true(variance > 1255.99 && variance < 1256.01);
}

static void from_is_rounded_up_to_the_period(void **state)
{
    struct fixture *fixture = *state;
    int64_t hour = now_ms(fixture) / HOUR_MS * HOUR_MS;

    pass(fixture, 2);
    struct search search =
        find(fixture, (struct telemetry_series_search){.metric = TELEMETRY_METRIC_QUEUED_MESSAGES,
                                                       .from_ms = hour + 1,
                                                       .to_ms = hour + HOUR_MS,
                                                       .period_ms = HOUR_MS});
    assert_int_equal(search.search.err, BASE_ERR_OK);
    assert_int_equal(search.search.points_count, 0);
}

static void at_most_4320_periods(void **state)
{
    struct fixture *fixture = *state;
    struct telemetry_series_search wanted = {.metric = TELEMETRY_METRIC_QUEUED_MESSAGES,
                                             .to_ms = (int64_t)4320 * MINUTE_MS};

    struct search search = find(fixture, wanted);
    assert_int_equal(search.search.err, BASE_ERR_OK);
    base_free(search.search.points);
    wanted.to_ms++;
    assert_int_equal(find(fixture, wanted).search.err, BASE_ERR_TOO_LARGE);
    wanted = (struct telemetry_series_search){.from_ms = INT64_MAX - 1, .to_ms = INT64_MAX};
    assert_int_equal(find(fixture, wanted).search.err, BASE_ERR_OK);
}

/* 72 hours, and the hour in front that says what the state was. */
static void old_values_go(void **state)
{
    struct fixture *fixture = *state;
    int64_t first = last_label(fixture) + HOUR_MS;

    pass(fixture, 72 + 62 + 20); /* an interval is an hour here */
    struct search search =
        find(fixture, (struct telemetry_series_search){.metric = TELEMETRY_METRIC_QUEUED_MESSAGES,
                                                       .from_ms = first});
    assert_int_equal(search.search.err, BASE_ERR_OK);
    assert_true(search.search.points[0].timestamp_ms > first);
    assert_true(search.search.points[0].timestamp_ms <= now_ms(fixture) - 72 * (int64_t)HOUR_MS);
    base_free(search.search.points);
}

static void a_deleted_queue_is_forgotten(void **state)
{
    struct fixture *fixture = *state;
    struct change change = {.change = {.executor = fixture->ground.loop, .task = {.run = changed}}};

    pass(fixture, 1);
    assert_int_equal(telemetry_series_count(fixture->series), 2);
    catalog_delete_topic(fixture->catalog, fixture->queue_id, &change.change);
    finish_change(fixture, &change);
    catalog_topic_release(&change.change.topic);
    pass(fixture, 1);
    assert_int_equal(telemetry_series_count(fixture->series), 0);
}

/* The store, closed with all else in the end, asserts that no log is open. */
static void what_a_failed_open_left_open_is_closed(void **state)
{
    struct fixture *fixture = *state;
    struct logstore_io *io = io_sim_io(fixture->ground.sim);
    struct call call = {.fixture = fixture};

    close_only_series(fixture);
    io_sim_drop(fixture->ground.sim, "__dms_metrics-3/00000000000000000000.log");
    assert_int_equal(open_series(fixture, 1), BASE_ERR_CORRUPT);
    assert_non_null(fixture->series);
    close_only_series(fixture);
    assert_int_equal(io->ops->remove_all(io, "__dms_metrics-3"), BASE_ERR_OK);
    io_sim_set_full(fixture->ground.sim, true);
    assert_int_equal(open_series(fixture, 1), BASE_ERR_NO_SPACE);
    assert_non_null(fixture->series);
    close_only_series(fixture);
    io_sim_set_full(fixture->ground.sim, false);
    assert_int_equal(open_series(fixture, 1), BASE_ERR_OK);
    on_loop(fixture, start, &call.task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(states_stay_and_rates_are_of_their_minute, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_idle_state_is_known_hours_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_idle_state_is_known_behind_skipped_intervals, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_hides_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_idle_state_is_known_when_the_interval_is_another,
                                        set_up_hourly, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_known_is_not_recorded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_full_disk_took_comes_with_the_next_minute, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_restart_goes_on_in_its_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(minutes_without_the_broker_have_no_value, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(periods_are_rolled_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(from_is_rounded_up_to_the_period, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_most_4320_periods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_values_go, set_up_hourly, tear_down),
        cmocka_unit_test_setup_teardown(a_deleted_queue_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_failed_open_left_open_is_closed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
