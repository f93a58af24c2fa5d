/* One tag rule for each group: what it does not want is consumed without having been seen. */
#include "tests/unit/queue/queue_fixture.h"

static void what_does_not_match_is_consumed_unseen(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put_tagged(fixture, "x", 0, 5);
    put_tagged(fixture, "a", 0, 2);
    put_tagged(fixture, "x", 5, 3);
    put(fixture, "bare", 0, 1);
    put_tagged(fixture, "a", 2, 1);
    struct messages messages = get_tagged(fixture, "a");
    assert_int_equal(messages.count, 3);
    assert_string_equal(messages.values[0], "a0");
    assert_string_equal(messages.values[2], "a2");
    assert_counters(fixture, fixture->group, 12, 9, 3);
    assert_int_equal(count(fixture, fixture->group).leased, 3);
    ack_all(fixture, fixture->group, &messages);
    assert_counters(fixture, fixture->group, 12, 12, 0);
    assert_int_equal(count(fixture, fixture->group).skipped, 0);
    /* The other group sees all of them. */
    assert_int_equal(get(fixture, fixture->group2, 10).count, 10);
}

static void first_consume_fixes_the_rule_for_good(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    assert_int_equal(get_tagged(fixture, "a").count, 0);
    assert_int_equal(get_tagged(fixture, "b").verdict, QUEUE_TAG_RULE_DIFFERS);
    assert_int_equal(get_tagged(fixture, "").verdict, QUEUE_TAG_RULE_DIFFERS);
    restart(fixture, true);
    put_tagged(fixture, "b", 0, 1);
    put_tagged(fixture, "a", 0, 1);
    assert_int_equal(get_tagged(fixture, "b").verdict, QUEUE_TAG_RULE_DIFFERS);
    assert_int_equal(get_tagged(fixture, "a").count, 1);
    /* "No tags" is a rule, too. */
    assert_int_equal(get(fixture, fixture->group2, 10).count, 2);
    restart(fixture, true);
    (void)snprintf(fixture->group, sizeof fixture->group, "%s", fixture->group2);
    assert_int_equal(get_tagged(fixture, "a").verdict, QUEUE_TAG_RULE_DIFFERS);
    assert_int_equal(get_tagged(fixture, "").verdict, QUEUE_OK);
}

static void rule_that_is_not_on_disk_is_none(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put_tagged(fixture, "b", 0, 1);
    advance_ms(fixture, 10);
    io_sim_set_full(fixture->harness.sim, true);
    struct messages refused = get_tagged(fixture, "a");
    assert_int_equal(refused.verdict, QUEUE_STORAGE_FAILED);
    assert_int_equal(refused.err, BASE_ERR_NO_SPACE);
    io_sim_set_full(fixture->harness.sim, false);
    assert_counters(fixture, fixture->group, 1, 0, 1);
    assert_int_equal(get_tagged(fixture, "b").count, 1);
}

static void rule_is_in_the_snapshot(void **state)
{
    struct fixture *fixture = *state;

    fixture->harness.snapshot_updates = 20;
    restart(fixture, false);
    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < 50; i++) {
        put_tagged(fixture, "x", i, 1);
        put_tagged(fixture, "a", i, 1);
        struct messages messages = get_tagged(fixture, "a");
        assert_int_equal(messages.count, 1);
        ack_all(fixture, fixture->group, &messages);
    }
    advance_ms(fixture, 100);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, 100, 100, 0);
    assert_int_equal(get_tagged(fixture, "").verdict, QUEUE_TAG_RULE_DIFFERS);
}

/* What is filtered above a leased message is written a second later, or found out again. */
static void counters_are_the_same_after_a_crash(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    assert_int_equal(get_tagged(fixture, "a").count, 0); /* the start is written, whole */
    put_tagged(fixture, "a", 0, 1);
    for (unsigned i = 0; i < 4; i++) {
        put_tagged(fixture, "x", i * 5, 5);
    }
    put_tagged(fixture, "a", 1, 1);
    struct messages messages = get_tagged(fixture, "a");
    assert_int_equal(messages.count, 2);
    assert_counters(fixture, fixture->group, 22, 20, 2);
    /* One that was acked behind them must not bring them along. */
    assert_int_equal(ack(fixture, fixture->group, &messages, 1, 1, "").success_count, 1);
    restart(fixture, true); /* before it was written: filtered again */
    messages = get_tagged(fixture, "a");
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "a0");
    assert_counters(fixture, fixture->group, 22, 21, 1);
    advance_ms(fixture, 1100);
    restart(fixture, true); /* after it was */
    assert_counters(fixture, fixture->group, 22, 21, 1);
    messages = get_tagged(fixture, "a");
    assert_int_equal(messages.count, 1);
    ack_all(fixture, fixture->group, &messages);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, 22, 22, 0);
}

static void orderly_stop_writes_what_was_filtered(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    assert_int_equal(get_tagged(fixture, "a").count, 0);
    put_tagged(fixture, "x", 0, 10);
    put_tagged(fixture, "x", 10, 10);
    begin_tagged(fixture, &own, "a", 100);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(end_consume(&own).count, 0);
    queue_harness_stop(&fixture->harness);
    assert_int_equal(queue_harness_start(&fixture->harness), BASE_ERR_OK);
    assert_counters(fixture, fixture->group, 20, 20, 0);
}

static void long_poll_wakes_for_a_match_only(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    begin_tagged(fixture, &own, "a", 30000);
    for (unsigned i = 0; i < 10; i++) {
        put_tagged(fixture, "x", i, 1);
        advance_ms(fixture, 100);
        assert_false(own.is_over);
    }
    assert_counters(fixture, fixture->group, 10, 10, 0);
    put_tagged(fixture, "a", 0, 1);
    advance_ms(fixture, 5);
    assert_true(own.is_over);
    assert_int_equal(end_consume(&own).count, 1);
}

static void failed_message_comes_again_under_its_rule_only(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_FIFO, 1, 0);
    put_tagged(fixture, "a", 0, 2);
    struct messages messages = get_tagged(fixture, "a");
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "f").fail_count, 1);
    assert_int_equal(get_tagged(fixture, "").verdict, QUEUE_TAG_RULE_DIFFERS);
    messages = get_tagged(fixture, "a");
    assert_int_equal(messages.count, 2);
    assert_int_equal(messages.failures[0], 1);
}

/* Expired is expired, whatever its tags. */
static void expired_messages_are_skipped_not_filtered(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 10000);
    assert_int_equal(get_tagged(fixture, "a").count, 0);
    put_tagged(fixture, "x", 0, 3);
    advance_ms(fixture, 9000);
    put_tagged(fixture, "x", 3, 2);
    advance_ms(fixture, 2000);
    assert_int_equal(get_tagged(fixture, "a").count, 0);
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.skipped, 3);
    assert_int_equal(counters.consumed, 2);
}

static void many_messages_are_passed_in_bounded_turns(void **state)
{
    struct fixture *fixture = *state;
    const int64_t turn_max = 10000;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < 2100; i++) {
        put_tagged(fixture, "x", i * 10, 10);
    }
    put_tagged(fixture, "a", 0, 1);
    begin_tagged(fixture, &own, "a", 0);
    while (!own.is_over) {
        int64_t before = count(fixture, fixture->group).consumed;
        if (!sim_scheduler_step(fixture->harness.scheduler)) {
            assert_true(sim_scheduler_pass(fixture->harness.scheduler));
        }
        assert_true(count(fixture, fixture->group).consumed - before <= turn_max);
    }
    assert_int_equal(end_consume(&own).count, 1);
    assert_counters(fixture, fixture->group, 21001, 21000, 1);
    advance_ms(fixture, 10);
    restart(fixture, true); /* no more are filtered a second time */
    assert_true(count(fixture, fixture->group).consumed >= 21000 - turn_max);
    assert_int_equal(get_tagged(fixture, "a").count, 1);
    assert_counters(fixture, fixture->group, 21001, 21000, 1);
}

/* However much is filtered above a leased message, what comes behind it is found. */
static void filtering_goes_on_behind_a_leased_message(void **state)
{
    enum { FILTERED = 40000 }; /* more than the slots of a cursor, twice */
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put_tagged(fixture, "a", 0, 1);
    struct messages first = get_tagged(fixture, "a");
    assert_int_equal(first.count, 1);
    for (unsigned i = 0; i < FILTERED / 10 + 10; i++) {
        put_tagged(fixture, "x", i * 10, 10);
    }
    put_tagged(fixture, "a", 1, 1);
    begin_tagged(fixture, &own, "a", 100);
    queue_harness_wait(&fixture->harness, &own.is_over);
    struct messages second = end_consume(&own);
    assert_int_equal(second.count, 1);
    assert_string_equal(second.values[0], "a1");
    assert_counters(fixture, fixture->group, FILTERED + 102, FILTERED + 100, 2);
    ack_all(fixture, fixture->group, &second);
    advance_ms(fixture, 1100); /* until the journal knows them all */
    restart(fixture, true);
    assert_counters(fixture, fixture->group, FILTERED + 102, FILTERED + 101, 1);
    assert_int_equal(get_tagged(fixture, "a").offsets[0], 0);
}

/* What could not be written when it passed is written before an ack of what lies behind it: that
 * alone would leave out more than a start takes from a sound journal. */
static void what_passed_while_the_disk_was_full_is_written_before_the_next_ack(void **state)
{
    enum { FILTERED = 120000 };
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put_tagged(fixture, "a", 0, 1);
    assert_int_equal(get_tagged(fixture, "a").count, 1);
    for (unsigned i = 0; i < FILTERED; i += 10) {
        put_tagged(fixture, "x", i, 10);
    }
    put_tagged(fixture, "a", 1, 1);
    io_sim_set_full(fixture->harness.sim, true);
    begin_tagged(fixture, &own, "a", 5000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    struct messages second = end_consume(&own);
    assert_int_equal(second.count, 1);
    struct queue_ack refused = ack(fixture, fixture->group, &second, 0, 1, "");
    assert_int_equal(refused.verdict, QUEUE_STORAGE_FAILED);
    assert_int_equal(refused.err, BASE_ERR_NO_SPACE);
    assert_int_equal(refused.fail_count, 1);
    io_sim_set_full(fixture->harness.sim, false);
    ack_all(fixture, fixture->group, &second);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, FILTERED + 2, FILTERED + 1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_does_not_match_is_consumed_unseen),
        TEST(first_consume_fixes_the_rule_for_good),
        TEST(rule_that_is_not_on_disk_is_none),
        TEST(rule_is_in_the_snapshot),
        TEST(counters_are_the_same_after_a_crash),
        TEST(orderly_stop_writes_what_was_filtered),
        TEST(long_poll_wakes_for_a_match_only),
        TEST(failed_message_comes_again_under_its_rule_only),
        TEST(expired_messages_are_skipped_not_filtered),
        TEST(many_messages_are_passed_in_bounded_turns),
        TEST(filtering_goes_on_behind_a_leased_message),
        TEST(what_passed_while_the_disk_was_full_is_written_before_the_next_ack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
