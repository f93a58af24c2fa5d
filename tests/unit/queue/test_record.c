/* What a cursor writes is what it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/queue/journal_priv.h"
#include "core/queue/record_priv.h"

static struct base_timer_heap deadlines;

/* To a cursor that was read whole. */
static enum base_err apply(struct queue_cursor *cursor, const char *text)
{
    bool is_known = true;

    return queue__record_apply(base_slice_text(text), &is_known, cursor);
}

static void delta_has_the_documented_text(void **state)
{
    const struct queue_record_range done[] = {{12, 14}, {20, 20}};
    const struct queue_record_failure failures[] = {{11, 2, false}, {15, 1, true}};
    const struct queue_record record = {
        .used = true,
        .dead_to = 7,
        .floor = 10,
        .consumed = 9,
        .skipped = 1,
        .done = done,
        .done_count = 2,
        .failures = failures,
        .failures_count = 2,
    };
    struct base_writer writer;

    (void)state;
    base_writer_init(&writer, 1000);
    queue__record_encode(&record, &writer);
    const char *expected = "{\"v\":1,\"used\":true,\"floor\":10,\"consumed\":9,\"skipped\":1,"
                           "\"dead\":7,\"done\":[[12,14],[20,20]],\"fail\":[[11,2],[15,1,1]]}";
    assert_int_equal(writer.length, strlen(expected));
    assert_memory_equal(writer.buffer->data, expected, writer.length);
    base_writer_fini(&writer);
}

static void deltas_add_up(void **state)
{
    struct queue_cursor cursor;

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 0);
    assert_int_equal(apply(&cursor, "{\"v\":1,\"floor\":5,\"consumed\":5,\"skipped\":0,"
                                    "\"done\":[[7,8]],\"fail\":[[5,1]]}"),
                     BASE_ERR_OK);
    assert_int_equal(cursor.floor, 5);
    assert_int_equal(queue_cursor_slot(&cursor, 5)->failures, 1);
    assert_int_equal(apply(&cursor, "{\"v\":1,\"used\":true,\"floor\":5,\"consumed\":8,"
                                    "\"skipped\":2,\"done\":[[5,6]],\"fail\":[]}"),
                     BASE_ERR_OK);
    assert_int_equal(cursor.floor, 9);
    assert_int_equal(cursor.consumed, 8);
    assert_int_equal(cursor.skipped, 2);
    assert_true(cursor.used);
    assert_int_equal(apply(&cursor, "{\"v\":1,\"all\":true,\"floor\":2,\"consumed\":2,"
                                    "\"skipped\":0,\"done\":[],\"fail\":[]}"),
                     BASE_ERR_OK);
    assert_int_equal(cursor.floor, 2);
    assert_int_equal(cursor.next, 2);
    queue_cursor_fini(&cursor);
}

/* A journal may begin with what was added to a cursor whose whole record is not there any more. */
static void record_that_adds_to_nothing_is_passed_over(void **state)
{
    static const char delta[] = "{\"v\":1,\"used\":true,\"floor\":5,\"consumed\":6,\"skipped\":0,"
                                "\"dead\":3,\"done\":[[400000,400000]],\"fail\":[[5,1]]}";
    static const char whole[] = "{\"v\":1,\"all\":true,\"floor\":5,\"consumed\":6,\"skipped\":0,"
                                "\"done\":[[6,399999]],\"fail\":[]}";
    struct queue_cursor cursor;
    bool is_known = false;

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 0);
    assert_int_equal(queue__record_apply(base_slice_text(delta), &is_known, &cursor), BASE_ERR_OK);
    assert_false(is_known);
    assert_int_equal(cursor.floor, 0);
    assert_int_equal(cursor.next, 0);
    assert_int_equal(cursor.consumed, 0);
    assert_int_equal(cursor.dead_to, 0);
    assert_int_equal(queue__record_apply(base_slice_text(whole), &is_known, &cursor), BASE_ERR_OK);
    assert_true(is_known);
    assert_int_equal(queue__record_apply(base_slice_text(delta), &is_known, &cursor), BASE_ERR_OK);
    assert_int_equal(cursor.floor, 5);
    assert_int_equal(cursor.next, 400001);
    assert_int_equal(cursor.dead_to, 3);
    queue_cursor_fini(&cursor);
}

/* What is passed over is not what cannot be read. */
static void later_version_is_refused_before_the_whole_cursor_too(void **state)
{
    struct queue_cursor cursor;
    bool is_known = false;

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 0);
    assert_int_equal(queue__record_apply(base_slice_text("{\"v\":2}"), &is_known, &cursor),
                     BASE_ERR_UNSUPPORTED);
    assert_int_equal(queue__record_apply(base_slice_text("{\"v\":1}"), &is_known, &cursor),
                     BASE_ERR_CORRUPT);
    queue_cursor_fini(&cursor);
}

static void anything_else_is_corrupt(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "{\"v\":1}",
        "{\"v\":1,\"floor\":,\"consumed\":0,\"skipped\":0,\"done\":[],\"fail\":[]}",
        "{\"v\":1,\"floor\":-1,\"consumed\":0,\"skipped\":0,\"done\":[],\"fail\":[]}",
        "{\"v\":1,\"floor\":9223372036854775808,\"consumed\":0,\"skipped\":0,\"done\":[],"
        "\"fail\":[]}",
        "{\"v\":1,\"floor\":9223372036854775807,\"consumed\":0,\"skipped\":0,"
        "\"done\":[[9223372036854775807,9223372036854775807]],\"fail\":[]}",
        "{\"v\":1,\"floor\":1,\"consumed\":9223372036854775807,\"skipped\":0,\"done\":[[1,1]],"
        "\"fail\":[]}",
        "{\"v\":1,\"floor\":1,\"consumed\":0,\"skipped\":0,\"done\":[],\"fail\":[]",
        "{\"v\":1,\"floor\":1,\"consumed\":0,\"skipped\":0,\"done\":[],\"fail\":[]} ",
        "{\"v\":1,\"floor\":1,\"consumed\":0,\"skipped\":0,\"done\":[[1,2],],\"fail\":[]}",
        "{\"v\":1,\"floor\":1,\"consumed\":0,\"skipped\":0,\"done\":[[1,2][3,4]],\"fail\":[]}",
        "{\"v\":1,\"floor\":1,\"consumed\":0,\"skipped\":0,\"done\":[[2,1]],\"fail\":[]}",
        "{\"v\":1,\"floor\":1,\"consumed\":0,\"skipped\":0,\"done\":[[1,9223372036854775807]],"
        "\"fail\":[]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct queue_cursor cursor;
        queue_cursor_init(&cursor, &deadlines, 0);
        assert_int_equal(apply(&cursor, texts[i]), BASE_ERR_CORRUPT);
        queue_cursor_fini(&cursor);
    }
}

/* The text of a record that names one done range and one failure; both may be left out. */
static enum base_err apply_far(struct queue_cursor *cursor, const char *done, const char *fail)
{
    char text[200];

    (void)snprintf(text, sizeof text,
                   "{\"v\":1,\"floor\":0,\"consumed\":1,\"skipped\":0,\"done\":[%s],\"fail\":[%s]}",
                   done, fail);
    return apply(cursor, text);
}

/* 100,000 that are not done, and 10,000 that passed unwritten: a record that leaves out more is
 * damaged, and must not cost the memory of what it claims. */
static void record_that_leaves_out_more_than_may_be_undone_is_corrupt(void **state)
{
    static const struct {
        const char *done;
        const char *fail;
        enum base_err err;
    } cases[] = {
        {"[110000,110000]", "", BASE_ERR_OK},
        {"[110001,110001]", "", BASE_ERR_CORRUPT},
        {"[0,0],[110001,110001]", "", BASE_ERR_OK},
        {"[60000,60000],[110001,9999999]", "", BASE_ERR_OK},
        {"[60000,60000],[110002,110002]", "", BASE_ERR_CORRUPT},
        {"", "[109999,1]", BASE_ERR_OK},
        {"", "[110000,1]", BASE_ERR_CORRUPT},
        {"[110000,110000]", "[110001,1]", BASE_ERR_CORRUPT},
        {"[9000000,9000000]", "", BASE_ERR_CORRUPT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct queue_cursor cursor;
        queue_cursor_init(&cursor, &deadlines, 0);
        assert_int_equal(apply_far(&cursor, cases[i].done, cases[i].fail), cases[i].err);
        assert_true(cursor.ready_capacity <= 2 * 131072);
        queue_cursor_fini(&cursor);
    }
}

static void later_version_is_refused_as_such(void **state)
{
    struct queue_cursor cursor;

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 0);
    assert_int_equal(apply(&cursor, "{\"v\":2,\"anything\":true}"), BASE_ERR_UNSUPPORTED);
    queue_cursor_fini(&cursor);
}

struct copy {
    struct queue_cursor cursor;
    bool is_known;
    unsigned records;
};

static void emit(void *context, const struct queue_record *record)
{
    struct copy *copy = context;
    struct base_writer writer;

    base_writer_init(&writer, 1 << 20);
    queue__record_encode(record, &writer);
    assert_int_equal(queue__record_apply(base_slice_of(writer.buffer->data, writer.length),
                                         &copy->is_known, &copy->cursor),
                     BASE_ERR_OK);
    base_writer_fini(&writer);
    copy->records++;
}

/* Every third done, every fifth failed, over the whole span: several records. */
static void whole_cursor_survives_the_round_trip(void **state)
{
    struct queue_cursor cursor;
    struct copy copy = {.records = 0};

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 7);
    queue_cursor_init(&copy.cursor, &deadlines, 3);
    for (int64_t offset = 8; offset < QUEUE_UNDONE_MAX; offset++) {
        if (offset % 3 == 0) {
            assert_int_equal(queue_cursor_load_done(&cursor, offset, offset), BASE_ERR_OK);
        } else if (offset % 5 == 0) {
            assert_int_equal(
                queue_cursor_load_failures(&cursor, offset, (uint32_t)(offset % 200 + 1), false),
                BASE_ERR_OK);
        }
    }
    queue__record_all(&cursor, emit, &copy);
    assert_true(copy.records > 10);
    assert_int_equal(copy.cursor.floor, cursor.floor);
    assert_int_equal(copy.cursor.next, cursor.next);
    assert_int_equal(copy.cursor.done_count, cursor.done_count);
    for (int64_t offset = cursor.floor; offset < cursor.next; offset++) {
        const struct queue_slot *a = queue_cursor_slot(&cursor, offset);
        const struct queue_slot *b = queue_cursor_slot(&copy.cursor, offset);
        assert_int_equal(a->state, b->state);
        assert_int_equal(a->failures, b->failures);
    }
    queue_cursor_fini(&cursor);
    queue_cursor_fini(&copy.cursor);
}

/* A run of what is done is one range, however long. */
static void one_failing_message_makes_one_range(void **state)
{
    struct queue_cursor cursor;
    struct copy copy = {.records = 0};
    int64_t last = 50 * (int64_t)QUEUE_UNDONE_MAX;

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 7);
    queue_cursor_init(&copy.cursor, &deadlines, 0);
    assert_int_equal(queue_cursor_load_failures(&cursor, 7, 3, true), BASE_ERR_OK);
    for (int64_t offset = 8; offset <= last; offset += 1000) {
        assert_int_equal(queue_cursor_load_done(&cursor, offset, offset + 999), BASE_ERR_OK);
    }
    assert_int_equal(queue_cursor_pass_gap(&cursor, cursor.next, last + 10000), BASE_ERR_OK);
    assert_int_equal(queue_cursor_drop(&cursor, cursor.next, last + 20000), BASE_ERR_OK);
    queue__record_all(&cursor, emit, &copy);
    assert_int_equal(copy.records, 1);
    assert_int_equal(copy.cursor.floor, 7);
    assert_int_equal(copy.cursor.next, last + 20000);
    assert_int_equal(copy.cursor.skipped, cursor.skipped);
    assert_int_equal(copy.cursor.done_count, last + 20000 - 8);
    assert_int_equal(queue_cursor_slot(&copy.cursor, 7)->failures, 3);
    queue_cursor_fini(&cursor);
    queue_cursor_fini(&copy.cursor);
}

static void what_settles_is_written_as_settled(void **state)
{
    struct queue_cursor cursor;
    struct copy copy = {.records = 0};

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 0);
    queue_cursor_init(&copy.cursor, &deadlines, 0);
    struct queue_lease *lease = queue_lease_create(&cursor, 1);
    for (int64_t offset = 0; offset < 4; offset++) {
        assert_int_equal(queue_cursor_take(&cursor, lease, offset), BASE_ERR_OK);
    }
    queue_lease_start(lease, 100);
    queue_cursor_hold(&cursor, 1, QUEUE_SLOT_ACKING);
    queue_cursor_hold(&cursor, 2, QUEUE_SLOT_FAILING);
    queue_cursor_hold(&cursor, 3, QUEUE_SLOT_RETURNING);
    queue__record_all(&cursor, emit, &copy);
    assert_int_equal(copy.cursor.floor, 0);
    assert_int_equal(copy.cursor.consumed, 1);
    assert_int_equal(queue_cursor_slot(&copy.cursor, 1)->state, QUEUE_SLOT_DONE);
    assert_int_equal(queue_cursor_slot(&copy.cursor, 2)->failures, 1);
    assert_true(copy.cursor.used);
    queue_cursor_fini(&cursor);
    queue_cursor_fini(&copy.cursor);
}

/* The log start does not find them once more after a restart. */
static void what_is_skipped_above_the_floor_is_counted_once(void **state)
{
    struct queue_cursor cursor;
    struct copy copy = {.records = 0};

    (void)state;
    queue_cursor_init(&cursor, &deadlines, 0);
    queue_cursor_init(&copy.cursor, &deadlines, 0);
    struct queue_lease *lease = queue_lease_create(&cursor, 1);
    assert_int_equal(queue_cursor_take(&cursor, lease, 0), BASE_ERR_OK);
    queue_lease_start(lease, 100);
    assert_int_equal(queue_cursor_trim(&cursor, 5), BASE_ERR_OK);
    assert_int_equal(cursor.skipped, 4);
    queue__record_all(&cursor, emit, &copy);
    assert_int_equal(copy.cursor.skipped, 4);
    assert_int_equal(queue_cursor_trim(&copy.cursor, 5), BASE_ERR_OK);
    assert_int_equal(copy.cursor.skipped, 5); /* the leased one, too: its lease is over */
    queue_cursor_hold(&cursor, 0, QUEUE_SLOT_ACKING);
    queue_cursor_settle(&cursor, 0);
    queue__record_all(&cursor, emit, &copy);
    assert_int_equal(copy.cursor.skipped, 4);
    assert_int_equal(copy.cursor.consumed, 1);
    assert_int_equal(queue_cursor_trim(&copy.cursor, 5), BASE_ERR_OK);
    assert_int_equal(copy.cursor.skipped, 4);
    queue_cursor_fini(&cursor);
    queue_cursor_fini(&copy.cursor);
}

static void key_is_group_and_partition(void **state)
{
    static const char *const wrong[] = {"", "/", "g", "g/", "/1", "g/x", "g/1234567890", "g/-1"};
    struct base_slice group_id;
    int32_t partition;

    (void)state;
    assert_true(queue__journal_parse_key(base_slice_text("g-1/2/17"), &group_id, &partition));
    assert_true(base_slice_is(group_id, "g-1/2"));
    assert_int_equal(partition, 17);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(queue__journal_parse_key(base_slice_text(wrong[i]), &group_id, &partition));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delta_has_the_documented_text),
        cmocka_unit_test(deltas_add_up),
        cmocka_unit_test(record_that_adds_to_nothing_is_passed_over),
        cmocka_unit_test(later_version_is_refused_before_the_whole_cursor_too),
        cmocka_unit_test(anything_else_is_corrupt),
        cmocka_unit_test(record_that_leaves_out_more_than_may_be_undone_is_corrupt),
        cmocka_unit_test(later_version_is_refused_as_such),
        cmocka_unit_test(whole_cursor_survives_the_round_trip),
        cmocka_unit_test(one_failing_message_makes_one_range),
        cmocka_unit_test(what_settles_is_written_as_settled),
        cmocka_unit_test(what_is_skipped_above_the_floor_is_counted_once),
        cmocka_unit_test(key_is_group_and_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
