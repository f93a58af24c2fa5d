/* Looking at messages: which ones, in which order, and where the next look begins. */
#include "core/queue/browse.h"
#include "tests/unit/queue/queue_fixture.h"

/* One browse on a loop. */
struct browsing {
    struct queue_browse browse;
    struct queue_manager *manager;
    struct base_task start;
    bool is_over;
};

static void browse_over(struct base_task *task)
{
    struct queue_browse *browse = BASE_CONTAINER_OF(task, struct queue_browse, task);
    BASE_CONTAINER_OF(browse, struct browsing, browse)->is_over = true;
}

static void browse_start(struct base_task *task)
{
    struct browsing *own = BASE_CONTAINER_OF(task, struct browsing, start);
    own->is_over = queue_browse(own->manager, &own->browse) == QUEUE_DONE;
}

static struct browsing browsing_of(struct fixture *fixture, int64_t offset, bool newest_first,
                                   uint32_t messages_max)
{
    struct browsing own = {.is_over = false};

    own.browse.topic = fixture->topic;
    own.browse.offset = offset;
    own.browse.timestamp_ms = -1;
    own.browse.newest_first = newest_first;
    own.browse.messages_max = messages_max;
    return own;
}

static void run(struct fixture *fixture, struct browsing *own)
{
    own->manager = fixture->harness.manager;
    own->browse.executor = fixture->harness.loops[0];
    own->browse.task.run = browse_over;
    own->start.run = browse_start;
    base_executor_post(fixture->harness.loops[0], &own->start);
    queue_harness_wait(&fixture->harness, &own->is_over);
    assert_int_equal(own->browse.verdict, QUEUE_OK);
}

/* Browses, and checks the offsets that come: first, first + step, ... */
static int64_t expect(struct fixture *fixture, struct browsing own, int64_t first, int64_t step,
                      uint32_t count, bool has_more)
{
    run(fixture, &own);
    assert_int_equal(own.browse.messages_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(own.browse.messages[i].record.offset, first + step * (int64_t)i);
    }
    assert_int_equal(own.browse.has_more, has_more);
    queue_browse_release(&own.browse);
    return own.browse.next_offset;
}

static void messages_come_in_either_order(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < 5; i++) {
        put(fixture, "m", i * 10, 10);
    }
    int64_t next = expect(fixture, browsing_of(fixture, -1, false, 20), 0, 1, 20, true);
    next = expect(fixture, browsing_of(fixture, next, false, 20), 20, 1, 20, true);
    next = expect(fixture, browsing_of(fixture, next, false, 20), 40, 1, 10, false);
    next = expect(fixture, browsing_of(fixture, next, false, 20), 0, 0, 0, false);
    put(fixture, "m", 50, 2);
    next = expect(fixture, browsing_of(fixture, next, false, 20), 50, 1, 2, false);
    assert_int_equal(next, 52);

    next = expect(fixture, browsing_of(fixture, -1, true, 20), 51, -1, 20, true);
    next = expect(fixture, browsing_of(fixture, next, true, 20), 31, -1, 20, true);
    next = expect(fixture, browsing_of(fixture, next, true, 20), 11, -1, 12, false);
    assert_int_equal(next, 0);
    (void)expect(fixture, browsing_of(fixture, 3, true, 1), 2, -1, 1, true);
    (void)expect(fixture, browsing_of(fixture, 1000, false, 1), 0, 0, 0, false);
    (void)expect(fixture, browsing_of(fixture, 1000, true, 1), 51, -1, 1, true);
}

static void tags_and_text_choose(void **state)
{
    struct fixture *fixture = *state;
    struct base_slice tag = base_slice_text("odd");

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < 300; i++) {
        put_tagged(fixture, i % 2 == 0 ? "even" : "odd", i, 1);
    }
    struct browsing own = browsing_of(fixture, -1, true, 100);
    queue_tag_rule_init(&own.browse.rule, &tag, 1, false);
    int64_t next = expect(fixture, own, 299, -2, 100, true);
    own.browse.offset = next;
    next = expect(fixture, own, 99, -2, 50, false);
    assert_int_equal(next, 0);
    own.browse.newest_first = false;
    own.browse.offset = -1;
    (void)expect(fixture, own, 1, 2, 100, true);

    own = browsing_of(fixture, -1, false, 100);
    own.browse.text = base_slice_text("n29");
    (void)expect(fixture, own, 290, 2, 5, false); /* even290 and so on */
}

static void time_is_where_it_begins(void **state)
{
    struct fixture *fixture = *state;
    int64_t times[10];

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < 10; i++) {
        times[i] = base_clock_wall_ms(fixture->harness.clock);
        put(fixture, "m", i, 1);
        advance_ms(fixture, 10);
    }
    struct browsing own = browsing_of(fixture, -1, false, 100);
    own.browse.timestamp_ms = times[7];
    (void)expect(fixture, own, 7, 1, 3, false);
    own.browse.newest_first = true;
    (void)expect(fixture, own, 6, -1, 7, false);
    own.browse.newest_first = false;
    own.browse.timestamp_ms = times[9] + 1000;
    (void)expect(fixture, own, 0, 0, 0, false);
}

static void one_answer_scans_so_much(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < 2500; i++) {
        put(fixture, "m", i * 10, 10);
    }
    struct browsing own = browsing_of(fixture, -1, false, 10);
    own.browse.text = base_slice_text("none has this");
    own.browse.offset = expect(fixture, own, 0, 0, 0, true);
    assert_int_equal(own.browse.offset, QUEUE_BROWSE_SCANNED_MAX);
    assert_int_equal(expect(fixture, own, 0, 0, 0, false), 25000);
    own.browse.newest_first = true;
    own.browse.offset = -1;
    own.browse.offset = expect(fixture, own, 0, 0, 0, true);
    assert_true(own.browse.offset <= 25000 - QUEUE_BROWSE_SCANNED_MAX);
    assert_int_equal(expect(fixture, own, 0, 0, 0, false), 0);
}

/* Pieces of the log that turn out too large are cut until they fit. */
static void large_messages_are_scanned_within_the_limit(void **state)
{
    struct fixture *fixture = *state;
    struct queue_produce_message message = {.headers_count = 0};
    enum { SIZE = 500 * 1024 };
    char *value = base_alloc_array(SIZE, 1);

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    assert_non_null(value);
    memset(value, 'x', SIZE);
    message.value = base_slice_of(value, SIZE);
    for (unsigned i = 0; i < 40; i++) {
        struct queue_harness_produce own = {.is_over = false};
        send(fixture, &own, &message, 1);
        assert_int_equal(own.produce.verdict, QUEUE_OK);
    }
    base_free(value);
    for (unsigned i = 0; i < 30; i++) {
        put(fixture, "small", i * 10, 10);
    }
    for (unsigned newest_first = 0; newest_first < 2; newest_first++) {
        struct browsing own = browsing_of(fixture, -1, newest_first == 1, 100);
        uint32_t count = 0;
        do {
            own.is_over = false;
            run(fixture, &own);
            for (uint32_t i = 0; i < own.browse.messages_count; i++, count++) {
                assert_int_equal(own.browse.messages[i].record.offset,
                                 newest_first == 1 ? 339 - count : count);
            }
            own.browse.offset = own.browse.next_offset;
            queue_browse_release(&own.browse);
        } while (own.browse.has_more);
        assert_int_equal(count, 340);
    }
}

static void expired_messages_and_groups_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    int64_t times[4];

    make_queue(fixture, CATALOG_NORMAL, 1, 10000);
    for (unsigned i = 0; i < 4; i++) {
        times[i] = base_clock_wall_ms(fixture->harness.clock);
        put(fixture, "m", i, 1);
        advance_ms(fixture, 3000);
    }
    struct messages messages = get(fixture, fixture->group, 1);
    assert_int_equal(messages.offsets[0], 1);
    struct queue_counters before = count(fixture, fixture->group);
    (void)expect(fixture, browsing_of(fixture, -1, false, 100), 1, 1, 3, false);
    (void)expect(fixture, browsing_of(fixture, -1, true, 100), 3, -1, 3, false);
    advance_ms(fixture, times[1] + 10005 - base_clock_wall_ms(fixture->harness.clock));
    /* Expired, and not trimmed yet. */
    (void)expect(fixture, browsing_of(fixture, -1, false, 100), 2, 1, 2, false);
    (void)expect(fixture, browsing_of(fixture, -1, true, 100), 3, -1, 2, false);
    struct queue_counters after = count(fixture, fixture->group);
    assert_memory_equal(&before, &after, sizeof before);
    ack_all(fixture, fixture->group, &messages);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_come_in_either_order),
        TEST(tags_and_text_choose),
        TEST(time_is_where_it_begins),
        TEST(one_answer_scans_so_much),
        TEST(large_messages_are_scanned_within_the_limit),
        TEST(expired_messages_and_groups_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
