/* Objects of the catalog: made, replaced, deleted, found by name, read back after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/catalog/catalog.h"
#include "core/catalog/object_priv.h"
#include "tests/sim/ground.h"

struct fixture {
    struct sim_ground ground;
    struct catalog *catalog;
};

static void open_catalog(struct fixture *fixture)
{
    sim_ground_open_store(&fixture->ground);
    struct catalog_options options = {.store = fixture->ground.store,
                                      .queues_per_project_max = 5,
                                      .groups_per_queue_max = 3,
                                      .partitions_max = 50};
    assert_int_equal(catalog_open(&options, &fixture->catalog), BASE_ERR_OK);
}

static void close_catalog(struct fixture *fixture)
{
    struct sim_flag closed = sim_flag();
    sim_scheduler_run(fixture->ground.scheduler);
    catalog_close(fixture->catalog, fixture->ground.loop, &closed.task);
    sim_ground_wait(&fixture->ground, &closed.is_set);
    sim_ground_close_store(&fixture->ground);
}

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    sim_ground_init(&fixture->ground, 7, 0, 500);
    open_catalog(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_catalog(fixture);
    sim_ground_fini(&fixture->ground);
    base_free(fixture);
    return 0;
}

struct wait {
    struct catalog_change change;
    bool done;
};

static void change_done(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct wait, change.task)->done = true;
}

static enum catalog_verdict apply(struct fixture *fixture, struct catalog_object_edit *edits,
                                  size_t count)
{
    struct wait wait = {.change = {.executor = fixture->ground.loop, .task = {.run = change_done}}};
    catalog_change_objects(fixture->catalog, edits, count, &wait.change);
    sim_ground_wait(&fixture->ground, &wait.done);
    return wait.change.verdict;
}

static struct catalog_object *user(const char *id, const char *domain_id, const char *name)
{
    return catalog_object_create(CATALOG_OBJECT_USER, base_slice_text(id),
                                 json_pack("{s:s, s:s}", "domain_id", domain_id, "name", name));
}

static enum catalog_verdict change(struct fixture *fixture, const struct catalog_object *before,
                                   struct catalog_object *after)
{
    struct catalog_object_edit edit = {.before = before, .after = after};
    return apply(fixture, &edit, 1);
}

static const struct catalog_object *find(struct catalog_view *view, const char *id)
{
    return catalog_view_object(view, CATALOG_OBJECT_USER, base_slice_text(id));
}

static void name_is_unique_within_its_domain(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(change(fixture, NULL, user("u1", "d1", "ann")), CATALOG_DONE);
    assert_int_equal(change(fixture, NULL, user("u2", "d1", "ann")), CATALOG_EXISTS);
    assert_int_equal(change(fixture, NULL, user("u1", "d1", "bob")), CATALOG_EXISTS);
    assert_int_equal(change(fixture, NULL, user("u2", "d2", "ann")), CATALOG_DONE);

    struct catalog_view *view = catalog_view(fixture->catalog);
    const struct catalog_object *found = catalog_view_object_named(
        view, CATALOG_OBJECT_USER, base_slice_text("d2"), base_slice_text("ann"));
    assert_non_null(found);
    assert_string_equal(found->id, "u2");
    assert_null(catalog_view_object_named(view, CATALOG_OBJECT_USER, base_slice_text("d2"),
                                          base_slice_text("bob")));
    assert_null(catalog_view_object_named(view, CATALOG_OBJECT_PROJECT, base_slice_text("d2"),
                                          base_slice_text("ann")));
    assert_int_equal(catalog_view_objects_count(view, CATALOG_OBJECT_USER), 2);
    catalog_view_release(&view);
}

static void renamed_object_gives_its_name_free(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(change(fixture, NULL, user("u1", "d", "ann")), CATALOG_DONE);
    struct catalog_view *view = catalog_view(fixture->catalog);
    assert_int_equal(change(fixture, find(view, "u1"), user("u1", "d", "eve")), CATALOG_DONE);
    assert_int_equal(change(fixture, NULL, user("u2", "d", "ann")), CATALOG_DONE);
    assert_int_equal(change(fixture, NULL, user("u3", "d", "eve")), CATALOG_EXISTS);
    catalog_view_release(&view);
}

static void change_of_what_changed_meanwhile_is_a_conflict(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(change(fixture, NULL, user("u1", "d", "ann")), CATALOG_DONE);
    struct catalog_view *view = catalog_view(fixture->catalog);
    const struct catalog_object *seen = find(view, "u1");
    assert_int_equal(change(fixture, seen, user("u1", "d", "bob")), CATALOG_DONE);
    assert_int_equal(change(fixture, seen, user("u1", "d", "eve")), CATALOG_CONFLICT);
    assert_int_equal(change(fixture, seen, NULL), CATALOG_CONFLICT);
    struct catalog_view *newer = catalog_view(fixture->catalog);
    assert_true(catalog_view_objects_version(newer) > catalog_view_objects_version(view));
    assert_int_equal(change(fixture, find(newer, "u1"), NULL), CATALOG_DONE);
    assert_int_equal(change(fixture, find(newer, "u1"), NULL), CATALOG_NOT_FOUND);
    catalog_view_release(&newer);
    catalog_view_release(&view);
}

static void edits_are_all_or_none(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_object_edit edits[] = {{.after = user("u1", "d", "ann")},
                                          {.after = user("u2", "d", "bob")},
                                          {.after = user("u3", "d", "ann")}};

    assert_int_equal(apply(fixture, edits, 3), CATALOG_EXISTS);
    struct catalog_view *view = catalog_view(fixture->catalog);
    assert_int_equal(catalog_view_objects_count(view, CATALOG_OBJECT_USER), 0);
    assert_null(find(view, "u1"));
    catalog_view_release(&view);
}

static bool add_id(void *context, const struct catalog_object *object)
{
    char *sum = context;
    sum[0] = (char)(sum[0] + object->id[1] - '0');
    return true;
}

/* Enough changes for snapshots; then the log holds a snapshot and what came after it. */
static void objects_survive_snapshots_and_restarts(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(change(fixture, NULL, user("u1", "d", "ann")), CATALOG_DONE);
    assert_int_equal(change(fixture, NULL, user("u2", "d", "b")), CATALOG_DONE);
    assert_int_equal(change(fixture, NULL, user("u4", "d", "d")), CATALOG_DONE);
    for (unsigned i = 0; i < 2500; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "name%u", i);
        struct catalog_view *view = catalog_view(fixture->catalog);
        assert_int_equal(change(fixture, find(view, "u2"), user("u2", "d", name)), CATALOG_DONE);
        catalog_view_release(&view);
    }
    struct catalog_view *view = catalog_view(fixture->catalog);
    assert_int_equal(change(fixture, find(view, "u4"), NULL), CATALOG_DONE);
    catalog_view_release(&view);

    close_catalog(fixture);
    open_catalog(fixture);

    view = catalog_view(fixture->catalog);
    assert_int_equal(catalog_view_objects_count(view, CATALOG_OBJECT_USER), 2);
    assert_string_equal(catalog_object_text(find(view, "u2"), "name"), "name2499");
    assert_null(find(view, "u4"));
    assert_null(catalog_view_object_named(view, CATALOG_OBJECT_USER, base_slice_text("d"),
                                          base_slice_text("b")));
    char sum[1] = {0};
    catalog_view_each_object(view, CATALOG_OBJECT_USER, add_id, sum);
    assert_int_equal(sum[0], 3);
    catalog_view_release(&view);
}

static void records_are_json_with_a_version(void **state)
{
    (void)state;
    char key[CATALOG__OBJECT_KEY_SIZE];
    enum catalog_object_type type;
    struct base_slice id;
    struct catalog_object *object = user("u1", "d", "ann");
    struct catalog_object *read = NULL;

    char *json = catalog__object_to_json(object);
    assert_string_equal(json, "{\"version\":1,\"domain_id\":\"d\",\"name\":\"ann\"}");
    catalog__object_format_key(key, object);
    assert_string_equal(key, "user/u1");
    assert_true(catalog__object_parse_key(base_slice_text(key), &type, &id));
    assert_int_equal(type, CATALOG_OBJECT_USER);
    assert_true(base_slice_is(id, "u1"));
    assert_int_equal(catalog__object_from_json(type, id, base_slice_text(json), &read),
                     BASE_ERR_OK);
    assert_string_equal(read->name, "d/ann");
    catalog_object_release(&read);
    base_free(json);
    catalog_object_release(&object);

    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"version\":2,\"domain_id\":\"d\",\"name\":\"ann\"}",
                                      "{\"version\":1,\"domain_id\":\"d\"}",
                                      "{\"version\":1,\"name\":7,\"domain_id\":\"d\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(catalog__object_from_json(CATALOG_OBJECT_USER, base_slice_text("u1"),
                                                   base_slice_text(bad[i]), &read),
                         BASE_ERR_CORRUPT);
        assert_null(read);
    }
    assert_false(catalog__object_parse_key(base_slice_text("user/"), &type, &id));
    assert_false(catalog__object_parse_key(base_slice_text("users/u1"), &type, &id));
    assert_false(catalog__object_parse_key(base_slice_text("user"), &type, &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(name_is_unique_within_its_domain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(renamed_object_gives_its_name_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(change_of_what_changed_meanwhile_is_a_conflict, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(edits_are_all_or_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(objects_survive_snapshots_and_restarts, set_up, tear_down),
        cmocka_unit_test(records_are_json_with_a_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
