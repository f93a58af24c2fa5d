/* The audit trail over a simulated disk: what is written is found, in order, for seven days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/list.h"
#include "core/telemetry/audit.h"
#include "tests/sim/ground.h"

enum { MS_PER_HOUR = 60 * 60 * 1000, US_PER_MS = 1000 };

static const char project[] = "0123456789abcdef0123456789abcdef";

enum { SCAN = 600 };

struct fixture {
    struct sim_ground ground;
    struct telemetry_audit *audit;
    int32_t epoch;
};

static void open_audit(struct fixture *fixture)
{
    sim_ground_open_store(&fixture->ground);
    struct telemetry_audit_options options = {
        .store = fixture->ground.store, .leader_epoch = fixture->epoch++, .scan_max = SCAN};
    assert_int_equal(telemetry_audit_open(&options, &fixture->audit), BASE_ERR_OK);
}

static void close_audit(struct fixture *fixture)
{
    struct sim_flag closed = sim_flag();
    sim_scheduler_run(fixture->ground.scheduler);
    telemetry_audit_close(fixture->audit, fixture->ground.loop, &closed.task);
    sim_ground_wait(&fixture->ground, &closed.is_set);
    sim_ground_close_store(&fixture->ground);
}

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    sim_ground_init(&fixture->ground, 11, 3, 500);
    open_audit(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_audit(fixture);
    sim_ground_fini(&fixture->ground);
    base_free(fixture);
    return 0;
}

/* An operation that was refused. */
static void write_refusal(struct fixture *fixture, const char *project_id, bool is_stranger)
{
    struct telemetry_trace trace = {.name = base_slice_text("deleteQueue"),
                                    .resource = TELEMETRY_RESOURCE_QUEUE,
                                    .rating = TELEMETRY_RATING_WARNING,
                                    .project_id = base_slice_text(project_id),
                                    .is_stranger = is_stranger};
    telemetry_audit_write(fixture->audit, &trace, fixture->ground.loop);
    sim_scheduler_advance(fixture->ground.scheduler, US_PER_MS);
}

static void write_trace(struct fixture *fixture, struct base_slice resource_name,
                        enum telemetry_rating rating)
{
    struct telemetry_trace trace = {.name = base_slice_text("createQueue"),
                                    .resource = TELEMETRY_RESOURCE_QUEUE,
                                    .rating = rating,
                                    .resource_name = resource_name,
                                    .project_id = base_slice_text(project),
                                    .user_name = base_slice_text("somebody"),
                                    .code = base_slice_text("201")};
    telemetry_audit_write(fixture->audit, &trace, fixture->ground.loop);
    sim_scheduler_advance(fixture->ground.scheduler, US_PER_MS); /* the disk takes its time */
}

static void write_number(struct fixture *fixture, unsigned number)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u", number);
    write_trace(fixture, base_slice_text(name), TELEMETRY_RATING_NORMAL);
}

static struct telemetry_audit_search everything(void)
{
    return (struct telemetry_audit_search){.project_id = base_slice_text(project),
                                           .to_ms = INT64_MAX,
                                           .before = INT64_MAX,
                                           .limit = TELEMETRY_AUDIT_LIMIT_MAX};
}

struct search {
    struct telemetry_audit_search search;
    bool done;
};

static void found(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct search, search.task)->done = true;
}

/* search.traces is the caller's. */
static struct telemetry_audit_search find(struct fixture *fixture,
                                          struct telemetry_audit_search wanted)
{
    struct search search = {.search = wanted};
    search.search.executor = fixture->ground.loop;
    search.search.task.run = found;
    telemetry_audit_find(fixture->audit, &search.search);
    sim_ground_wait(&fixture->ground, &search.done);
    return search.search;
}

static const char *name_at(const struct telemetry_audit_search *search, size_t index)
{
    return json_string_value(
        json_object_get(json_array_get(search->traces, index), "resource_name"));
}

static void traces_are_found_while_a_sync_takes_its_time(void **state)
{
    enum { TRACES = 20 };
    struct fixture *fixture = *state;

    write_number(fixture, 1); /* makes the segment */
    sim_scheduler_run(fixture->ground.scheduler);
    io_sim_set_sync_us(fixture->ground.sim, 1000 * US_PER_MS);
    for (unsigned i = 2; i <= TRACES; i++) {
        write_number(fixture, i);
    }
    struct telemetry_audit_search answer = find(fixture, everything());
    assert_int_equal(answer.err, BASE_ERR_OK);
    assert_int_equal(json_array_size(answer.traces), TRACES);
    json_decref(answer.traces);
    io_sim_set_sync_us(fixture->ground.sim, 0);
}

static void pages_go_backwards_through_everything(void **state)
{
    enum { TRACES = 600, PAGE = 70 }; /* more than two blocks of a search */
    struct fixture *fixture = *state;
    struct telemetry_audit_search wanted = everything();
    unsigned expected = TRACES;
    char name[16];

    for (unsigned i = 1; i <= TRACES; i++) {
        write_number(fixture, i);
    }
    wanted.limit = PAGE;
    for (;;) {
        struct telemetry_audit_search page = find(fixture, wanted);
        assert_int_equal(page.err, BASE_ERR_OK);
        size_t count = json_array_size(page.traces);
        assert_true(count <= PAGE);
        for (size_t i = 0; i < count; i++) {
            (void)snprintf(name, sizeof name, "%u", expected--);
            assert_string_equal(name_at(&page, i), name);
        }
        json_decref(page.traces);
        if (count == 0) {
            assert_int_equal(page.marker, -1);
            break;
        }
        wanted.before = page.marker;
    }
    assert_int_equal(expected, 0);
}

static int64_t now_ms(const struct fixture *fixture)
{
    return base_clock_wall_ms(sim_scheduler_clock(fixture->ground.scheduler));
}

static void times_are_found_behind_a_clock_that_was_set_back(void **state)
{
    enum { TRACES = 300 }; /* more than a block of a search */
    struct fixture *fixture = *state;
    struct telemetry_audit_search wanted = everything();

    write_number(fixture, 1);
    sim_scheduler_set_wall(fixture->ground.scheduler, (int64_t)2 * MS_PER_HOUR * US_PER_MS);
    wanted.from_ms = now_ms(fixture);
    write_number(fixture, 2);
    sim_scheduler_set_wall(fixture->ground.scheduler, (int64_t)-2 * MS_PER_HOUR * US_PER_MS);
    for (unsigned i = 0; i < TRACES; i++) {
        write_number(fixture, 3);
    }
    struct telemetry_audit_search some = find(fixture, wanted);
    assert_int_equal(some.err, BASE_ERR_OK);
    assert_int_equal(json_array_size(some.traces), 1);
    assert_string_equal(name_at(&some, 0), "2");
    json_decref(some.traces);
    wanted.before = some.marker;
    some = find(fixture, wanted);
    assert_int_equal(json_array_size(some.traces), 0);
    assert_int_equal(some.marker, -1); /* what is older is not looked at */
    json_decref(some.traces);
    wanted = everything();
    wanted.from_ms = now_ms(fixture) + (int64_t)3 * MS_PER_HOUR;
    some = find(fixture, wanted);
    assert_int_equal(json_array_size(some.traces), 0);
    assert_int_equal(some.marker, -1);
    json_decref(some.traces);
}

static void a_restart_keeps_them(void **state)
{
    struct fixture *fixture = *state;

    write_number(fixture, 1);
    close_audit(fixture);
    open_audit(fixture);
    write_number(fixture, 2);
    struct telemetry_audit_search all = find(fixture, everything());
    assert_int_equal(json_array_size(all.traces), 2);
    assert_string_equal(name_at(&all, 0), "2");
    assert_string_equal(name_at(&all, 1), "1");
    json_decref(all.traces);
}

static void filters_are_all_kept_to(void **state)
{
    struct fixture *fixture = *state;
    struct telemetry_audit_search wanted = everything();

    write_trace(fixture, base_slice_text("good"), TELEMETRY_RATING_NORMAL);
    write_trace(fixture, base_slice_text("bad"), TELEMETRY_RATING_WARNING);
    wanted.rating = base_slice_text("warning");
    wanted.user = base_slice_text("somebody");
    wanted.resource_type = base_slice_text("queue");
    struct telemetry_audit_search some = find(fixture, wanted);
    assert_int_equal(json_array_size(some.traces), 1);
    assert_string_equal(name_at(&some, 0), "bad");
    json_decref(some.traces);
    wanted.user = base_slice_text("somebody else");
    some = find(fixture, wanted);
    assert_int_equal(json_array_size(some.traces), 0);
    json_decref(some.traces);
    wanted = everything();
    wanted.project_id = base_slice_text("fedcba9876543210fedcba9876543210");
    some = find(fixture, wanted);
    assert_int_equal(json_array_size(some.traces), 0);
    json_decref(some.traces);
}

static void texts_of_peers_do_not_break_the_record(void **state)
{
    struct fixture *fixture = *state;
    char long_name[5000];

    memset(long_name, 'x', sizeof long_name);
    write_trace(fixture, base_slice_of("a\xff\"\n\x00z", 6), TELEMETRY_RATING_NORMAL);
    write_trace(fixture, base_slice_of(long_name, sizeof long_name), TELEMETRY_RATING_NORMAL);
    struct telemetry_audit_search all = find(fixture, everything());
    assert_int_equal(all.err, BASE_ERR_OK);
    assert_int_equal(json_array_size(all.traces), 2);
    assert_int_equal(strlen(name_at(&all, 0)), 1024);
    assert_int_equal(memcmp(name_at(&all, 1), "a?\"\n?z", 6), 0);
    json_decref(all.traces);
}

static void after_seven_days_they_go(void **state)
{
    struct fixture *fixture = *state;

    write_number(fixture, 1);
    sim_scheduler_advance(fixture->ground.scheduler, (int64_t)167 * MS_PER_HOUR * US_PER_MS);
    write_number(fixture, 2);
    struct telemetry_audit_search all = find(fixture, everything());
    assert_int_equal(json_array_size(all.traces), 2);
    json_decref(all.traces);
    sim_scheduler_advance(fixture->ground.scheduler, (int64_t)3 * MS_PER_HOUR * US_PER_MS);
    all = find(fixture, everything());
    assert_int_equal(json_array_size(all.traces), 1);
    assert_string_equal(name_at(&all, 0), "2");
    json_decref(all.traces);
}

static size_t count_of(struct fixture *fixture, const char *name, char message[64])
{
    struct telemetry_audit_search wanted = everything();

    wanted.name = base_slice_text(name);
    struct telemetry_audit_search some = find(fixture, wanted);
    assert_int_equal(some.err, BASE_ERR_OK);
    size_t count = json_array_size(some.traces);
    message[0] = '\0';
    if (count > 0) {
        json_t *trace = json_array_get(some.traces, 0);
        (void)snprintf(message, 64, "%s", json_string_value(json_object_get(trace, "message")));
    }
    json_decref(some.traces);
    return count;
}

static void refusals_have_a_limit_and_what_was_done_has_none(void **state)
{
    enum { FLOOD = 200, STRANGERS_MAX = 20, KNOWN_MAX = 60, DONE = 100 };
    struct fixture *fixture = *state;
    char message[64];

    for (unsigned i = 0; i < FLOOD; i++) {
        write_refusal(fixture, project, true);
    }
    for (unsigned i = 0; i < DONE; i++) {
        write_number(fixture, i);
    }
    assert_int_equal(count_of(fixture, "deleteQueue", message), STRANGERS_MAX);
    /* Strangers do not take the place of those who are known. */
    for (unsigned i = 0; i < FLOOD; i++) {
        write_refusal(fixture, project, false);
    }
    assert_int_equal(count_of(fixture, "deleteQueue", message), STRANGERS_MAX + KNOWN_MAX);
    assert_int_equal(count_of(fixture, "createQueue", message), DONE);
    assert_int_equal(count_of(fixture, "refusedOperations", message), 0);
    /* The next minute tells of it, and begins anew. */
    sim_scheduler_advance(fixture->ground.scheduler, (int64_t)60 * 1000 * US_PER_MS);
    write_number(fixture, DONE);
    assert_int_equal(count_of(fixture, "refusedOperations", message), 1);
    assert_string_equal(message, "320 more were refused within a minute.");
    write_refusal(fixture, project, true);
    assert_int_equal(count_of(fixture, "deleteQueue", message), STRANGERS_MAX + KNOWN_MAX + 1);
}

static void made_up_projects_have_a_limit_together(void **state)
{
    enum { FLOOD = 200, ALL_STRANGERS_MAX = 60 };
    struct fixture *fixture = *state;
    struct telemetry_audit_search wanted = everything();
    unsigned count = 0;
    char id[33];

    for (unsigned i = 0; i < FLOOD; i++) {
        (void)snprintf(id, sizeof id, "%032u", i);
        write_refusal(fixture, id, true);
    }
    for (unsigned i = 0; i < FLOOD; i++) {
        (void)snprintf(id, sizeof id, "%032u", i);
        wanted.project_id = base_slice_text(id);
        struct telemetry_audit_search some = find(fixture, wanted);
        count += (unsigned)json_array_size(some.traces);
        json_decref(some.traces);
    }
    assert_int_equal(count, ALL_STRANGERS_MAX);
}

static void one_search_looks_at_so_many_and_says_where_to_go_on(void **state)
{
    enum { TRACES = SCAN + 100 };
    struct fixture *fixture = *state;
    struct telemetry_audit_search wanted = everything();

    write_trace(fixture, base_slice_text("sought"), TELEMETRY_RATING_NORMAL);
    for (unsigned i = 0; i < TRACES; i++) {
        write_number(fixture, i);
    }
    wanted.resource_name = base_slice_text("sought");
    struct telemetry_audit_search first = find(fixture, wanted);
    assert_int_equal(first.err, BASE_ERR_OK);
    assert_int_equal(json_array_size(first.traces), 0);
    assert_int_equal(first.marker, 1 + TRACES - SCAN);
    json_decref(first.traces);
    wanted.before = first.marker;
    struct telemetry_audit_search second = find(fixture, wanted);
    assert_int_equal(json_array_size(second.traces), 1);
    assert_string_equal(name_at(&second, 0), "sought");
    wanted.before = second.marker;
    json_decref(second.traces);
    struct telemetry_audit_search last = find(fixture, wanted);
    assert_int_equal(json_array_size(last.traces), 0);
    assert_int_equal(last.marker, -1);
    json_decref(last.traces);
}

static void too_many_searches_at_once_are_refused(void **state)
{
    enum { SEARCHES = 20 };
    struct fixture *fixture = *state;
    struct search searches[SEARCHES];
    unsigned busy_count = 0;

    write_number(fixture, 1);
    for (unsigned i = 0; i < SEARCHES; i++) {
        searches[i] = (struct search){.search = everything()};
        searches[i].search.executor = fixture->ground.loop;
        searches[i].search.task.run = found;
        telemetry_audit_find(fixture->audit, &searches[i].search);
    }
    for (unsigned i = 0; i < SEARCHES; i++) {
        sim_ground_wait(&fixture->ground, &searches[i].done);
        busy_count += searches[i].search.err == BASE_ERR_BUSY;
        json_decref(searches[i].search.traces);
    }
    assert_int_equal(busy_count, SEARCHES - 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(traces_are_found_while_a_sync_takes_its_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pages_go_backwards_through_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_are_found_behind_a_clock_that_was_set_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_restart_keeps_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters_are_all_kept_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_of_peers_do_not_break_the_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_seven_days_they_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_have_a_limit_and_what_was_done_has_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(made_up_projects_have_a_limit_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_search_looks_at_so_many_and_says_where_to_go_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(too_many_searches_at_once_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
