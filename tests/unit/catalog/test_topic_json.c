/* Topics as JSON when memory runs out: the whole text, or none. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_whole_or_not_there),
    };
    json_set_alloc_funcs(base_alloc, base_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
