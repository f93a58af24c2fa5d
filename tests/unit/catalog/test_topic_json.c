/* Topics as JSON when memory runs out: the whole text, or none. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/alloc.h"
#include "core/catalog/tags.h"
#include "core/catalog/topic_json.h"
#include "core/catalog/catalog.h"

static void text_is_whole_or_not_there(void **state)
{
    long count = 0;

    (void)state;
    struct catalog_topic *topic =
        catalog_topic_draft(base_slice_text("name"), base_slice_text("queue"), CATALOG_NORMAL);
    assert_int_equal(
        catalog_tags_set(&topic->tags, base_slice_text("color"), base_slice_text("red")),
        BASE_ERR_OK);
    assert_int_equal(
        catalog_tags_set(&topic->tags, base_slice_text("size"), base_slice_text("small")),
        BASE_ERR_OK);
    char *whole = catalog_topic_to_json(topic);
    assert_non_null(whole);

    for (bool done = false; !done; count++) {
        base_alloc_fail_after(count, 1);
        char *text = catalog_topic_to_json(topic);
        done = !base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        if (text != NULL) {
            assert_string_equal(text, whole);
        } else {
            assert_false(done);
        }
        base_free(text);
    }
    assert_true(count > 20); /* Jansson's were among them */
    base_free(whole);
    catalog_topic_release(&topic);
}

#define ID "01234567-89ab-cdef-0123-456789abcdef"

/* A topic of so many partitions with what else is in `more`, of which there is at least groups. */
static enum base_err read(const char *partitions, const char *redrive, const char *more)
{
    struct catalog_topic_config defaults;
    struct catalog_topic *topic = NULL;
    char text[512];

    (void)snprintf(text, sizeof text,
                   "{\"version\":1,\"id\":\"" ID "\",\"name\":\"n\",\"queue_name\":\"q\","
                   "\"project_id\":\"p\",\"kind\":\"NORMAL\",\"made_by_rest\":true,"
                   "\"created_ms\":1,\"description\":\"\",\"max_consume_count\":1,\"config\":{},"
                   "\"partitions\":%s,\"redrive\":%s,%s}",
                   partitions, redrive, more);
    catalog_config_default(&defaults);
    enum base_err err = catalog_topic_from_json(base_slice_text(text), &defaults, &topic);
    assert_int_equal(err == BASE_ERR_OK, topic != NULL);
    catalog_topic_release(&topic);
    return err;
}

/* What others rely on without asking. */
static void topics_that_nothing_writes_are_corrupt(void **state)
{
    static const char group[] =
        "\"groups\":[{\"id\":\"g-" ID "\",\"name\":\"g\",\"created_ms\":1}]";
    static const char letters[] = "\"origin_id\":\"" ID "\",\"groups\":[{\"id\":\"d-" ID
                                  "\",\"name\":\"g\",\"created_ms\":1}]";
    static const struct {
        const char *partitions;
        const char *redrive;
        const char *more;
        enum base_err err;
    } rows[] = {
        {"10000000", "true", group, BASE_ERR_OK},
        {"10000001", "true", group, BASE_ERR_CORRUPT},
        {"0", "true", group, BASE_ERR_CORRUPT},
        {"1", "true", "\"groups\":[{\"id\":\"g-1\",\"name\":\"g\",\"created_ms\":1}]",
         BASE_ERR_CORRUPT},
        {"1", "true", "\"groups\":[{\"id\":\"d-" ID "\",\"name\":\"g\",\"created_ms\":1}]",
         BASE_ERR_CORRUPT},
        {"1", "false", letters, BASE_ERR_OK},
        {"2", "false", letters, BASE_ERR_CORRUPT},
        {"1", "true", letters, BASE_ERR_CORRUPT},
        {"1", "false", "\"origin_id\":\"" ID "\",\"groups\":[]", BASE_ERR_CORRUPT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(read(rows[i].partitions, rows[i].redrive, rows[i].more), rows[i].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_whole_or_not_there),
        cmocka_unit_test(topics_that_nothing_writes_are_corrupt),
    };
    json_set_alloc_funcs(base_alloc, base_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
