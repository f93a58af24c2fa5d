/* Which tags are valid, which rules are the same, which messages they want. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "core/queue/tags.h"

static void tags_have_1_to_64_plain_characters(void **state)
{
    char longest[QUEUE_TAG_LENGTH_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_true(queue_tag_is_valid(base_slice_of(longest, 64)));
    assert_false(queue_tag_is_valid(base_slice_of(longest, 65)));
    assert_false(queue_tag_is_valid(base_slice_text("")));
    assert_true(queue_tag_is_valid(base_slice_text("aZ09-_")));
    static const char *const wrong[] = {"a b", "a.b", "\xc3\xa9", "a,b", "@", "[", "`", "{", "/"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(queue_tag_is_valid(base_slice_text(wrong[i])));
    }
    assert_false(queue_tag_is_valid(base_slice_of("a\0", 2)));
}

static struct queue_tag_rule rule_of(bool all, uint32_t count, const char *a, const char *b,
                                     const char *c)
{
    const char *texts[] = {a, b, c};
    struct base_slice tags[QUEUE_TAGS_MAX] = {{NULL, 0}};
    struct queue_tag_rule rule;

    for (uint32_t i = 0; i < count; i++) {
        tags[i] = base_slice_text(texts[i]);
    }
    queue_tag_rule_init(&rule, tags, count, all);
    return rule;
}

static void rules_that_mean_the_same_are_equal(void **state)
{
    (void)state;
    struct queue_tag_rule none = rule_of(true, 0, NULL, NULL, NULL);
    struct queue_tag_rule abc = rule_of(false, 3, "a", "b", "c");
    struct queue_tag_rule cab = rule_of(false, 3, "c", "a", "b");
    struct queue_tag_rule all_abc = rule_of(true, 3, "b", "c", "a");
    struct queue_tag_rule one = rule_of(false, 1, "a", NULL, NULL);
    struct queue_tag_rule all_one = rule_of(true, 3, "a", "a", "a");
    struct queue_tag_rule other = rule_of(false, 1, "A", NULL, NULL);

    assert_true(queue_tag_rule_equal(&none, &(struct queue_tag_rule){0}));
    assert_true(queue_tag_rule_equal(&abc, &cab));
    assert_memory_equal(&abc, &cab, sizeof abc);
    assert_false(queue_tag_rule_equal(&abc, &all_abc));
    assert_true(queue_tag_rule_equal(&one, &all_one));
    assert_false(queue_tag_rule_equal(&one, &other));
    assert_false(queue_tag_rule_equal(&one, &none));
    assert_false(queue_tag_rule_equal(&one, &abc));
}

/* Header keys and values as on the wire: zigzag varint length, bytes. 14 = 7, 2 = 1, 4 = 2. */
static struct logstore_record record_of(const char *headers, size_t length, int32_t count)
{
    return (struct logstore_record){.headers = base_slice_of(headers, length),
                                    .headers_count = count};
}

static void rules_choose_by_the_tags_alone(void **state)
{
    static const char a_and_b[] = "\x0e"
                                  "dms.tag\x02"
                                  "a\x0e"
                                  "dms.tag\x02"
                                  "b";
    static const char attribute_a[] = "\x0e"
                                      "dms.att\x02"
                                      "a";
    static const char twice_a[] = "\x0e"
                                  "dms.tag\x02"
                                  "a\x0e"
                                  "dms.tag\x02"
                                  "a";
    struct logstore_record both = record_of(a_and_b, sizeof a_and_b - 1, 2);
    struct logstore_record attribute = record_of(attribute_a, sizeof attribute_a - 1, 1);
    struct logstore_record twice = record_of(twice_a, sizeof twice_a - 1, 2);
    struct logstore_record bare = record_of("", 0, 0);
    struct queue_tag_rule none = rule_of(false, 0, NULL, NULL, NULL);
    struct queue_tag_rule any = rule_of(false, 2, "a", "c", NULL);
    struct queue_tag_rule all = rule_of(true, 2, "b", "a", NULL);
    struct queue_tag_rule more = rule_of(true, 3, "a", "b", "c");
    struct queue_tag_rule prefix = rule_of(false, 1, "aa", NULL, NULL);

    (void)state;
    assert_true(queue_tag_rule_matches(&none, &bare));
    assert_true(queue_tag_rule_matches(&none, &both));
    assert_true(queue_tag_rule_matches(&any, &both));
    assert_true(queue_tag_rule_matches(&all, &both));
    assert_false(queue_tag_rule_matches(&more, &both));
    assert_false(queue_tag_rule_matches(&any, &bare));
    assert_false(queue_tag_rule_matches(&any, &attribute));
    assert_true(queue_tag_rule_matches(&any, &twice));
    assert_false(queue_tag_rule_matches(&all, &twice));
    assert_false(queue_tag_rule_matches(&prefix, &both));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_have_1_to_64_plain_characters),
        cmocka_unit_test(rules_that_mean_the_same_are_equal),
        cmocka_unit_test(rules_choose_by_the_tags_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
