/* Rules of acks, in NORMAL and FIFO queues. */
#include "tests/unit/queue/queue_fixture.h"

/* Makes a queue of one partition with messages "m0", "m1" and so on, and leases them in one go. */
static struct messages lease(struct fixture *fixture, enum catalog_kind kind, unsigned count)
{
    make_queue(fixture, kind, 1, 0);
    put(fixture, "m", 0, count);
    struct messages messages = get(fixture, fixture->group, QUEUE_MESSAGES_MAX);
    assert_int_equal(messages.count, count);
    return messages;
}

static void acked_message_never_comes_again(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 3);

    ack_all(fixture, fixture->group, &messages);
    advance_ms(fixture, 60000);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    assert_counters(fixture, fixture->group, 3, 3, 0);
}

static void second_ack_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 1);

    ack_all(fixture, fixture->group, &messages);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 1, "");
    assert_int_equal(result.verdict, QUEUE_HANDLER_UNKNOWN);
    assert_int_equal(result.success_count, 0);
    assert_int_equal(result.fail_count, 1);
}

static void ack_after_the_lease_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 1);

    advance_ms(fixture, 30001);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.failures[0], 1);
    /* Another lease of the same message does not make the old handler good again. */
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    ack_all(fixture, fixture->group, &again);
}

static void handler_of_another_group_or_queue_is_a_mismatch(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 1);

    assert_int_equal(ack(fixture, fixture->group2, &messages, 0, 1, "").verdict,
                     QUEUE_HANDLER_MISMATCH);
    struct catalog_topic *first = fixture->topic;
    fixture->topic = queue_harness_make_queue(&fixture->harness, "other", CATALOG_NORMAL, 1, 0);
    assert_true(queue_harness_make_group(&fixture->harness, &fixture->topic, "one"));
    assert_int_equal(ack(fixture, fixture->topic->groups[0].id, &messages, 0, 1, "").verdict,
                     QUEUE_HANDLER_MISMATCH);
    catalog_topic_release(&fixture->topic);
    fixture->topic = first;
    ack_all(fixture, fixture->group, &messages); /* its lease has not suffered */
}

static void forged_handler_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 2);
    struct messages forged = messages;
    forged.handlers[0][20] = forged.handlers[0][20] == 'A' ? 'B' : 'A';
    (void)snprintf(forged.handlers[1], sizeof forged.handlers[1], "not a handler");
    assert_int_equal(ack(fixture, fixture->group, &forged, 0, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    assert_int_equal(ack(fixture, fixture->group, &forged, 1, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    ack_all(fixture, fixture->group, &messages);
}

static void stops_at_the_first_failure_and_returns_the_rest_uncounted(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 5);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 5, "ssfss");
    assert_int_equal(result.verdict, QUEUE_OK);
    assert_int_equal(result.stopped_by, QUEUE_OK);
    assert_int_equal(result.success_count, 2);
    assert_int_equal(result.fail_count, 3);
    messages = get(fixture, fixture->group, 10); /* at once */
    assert_int_equal(messages.count, 3);
    assert_string_equal(messages.values[0], "m2");
    assert_int_equal(messages.failures[0], 1);
    assert_int_equal(messages.failures[1], 0);
    assert_int_equal(messages.failures[2], 0);
    assert_counters(fixture, fixture->group, 5, 2, 3);
}

static void stops_at_an_unknown_handler_and_returns_the_rest_uncounted(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 4);

    (void)snprintf(messages.handlers[1], sizeof messages.handlers[1], "garbage");
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 4, "ssss");
    assert_int_equal(result.verdict, QUEUE_OK);
    assert_int_equal(result.stopped_by, QUEUE_HANDLER_UNKNOWN);
    assert_int_equal(result.success_count, 1);
    assert_int_equal(result.fail_count, 3);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.count, 2); /* m1 is still leased */
    assert_string_equal(again.values[0], "m2");
    assert_int_equal(again.failures[0], 0);
}

static void unknown_first_handler_returns_the_rest(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 2);

    (void)snprintf(messages.handlers[0], sizeof messages.handlers[0], "garbage");
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 2, "ss");
    assert_int_equal(result.verdict, QUEUE_HANDLER_UNKNOWN);
    assert_int_equal(result.fail_count, 2);
    assert_int_equal(get(fixture, fixture->group, 10).count, 1);
}

static void same_handler_twice_in_one_ack_stops_there(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 3);

    memcpy(messages.handlers[1], messages.handlers[0], QUEUE_HANDLER_SIZE);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 3, "sss");
    assert_int_equal(result.success_count, 1);
    assert_int_equal(result.fail_count, 2);
    assert_int_equal(result.stopped_by, QUEUE_HANDLER_UNKNOWN);
}

static void unlisted_messages_stay_leased_in_a_normal_queue(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 4);

    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 2, "sf").success_count, 1);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.count, 1);
    assert_string_equal(again.values[0], "m1");
    assert_int_equal(ack(fixture, fixture->group, &messages, 2, 2, "").success_count, 2);
}

static void one_ack_may_concern_several_partitions(void **state)
{
    struct fixture *fixture = *state;
    struct messages all = {.count = 0};

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    for (unsigned i = 0; i < 3; i++) {
        put(fixture, "m", 10 * i, 2);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct messages messages = get(fixture, fixture->group, 2);
        assert_int_equal(messages.count, 2);
        for (unsigned k = 0; k < 2; k++) { /* interleaved */
            memcpy(all.handlers[k * 3 + i], messages.handlers[k], QUEUE_HANDLER_SIZE);
        }
    }
    all.count = 6;
    ack_all(fixture, fixture->group, &all);
    assert_counters(fixture, fixture->group, 6, 6, 0);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, 6, 6, 0);
}

static void ack_that_cannot_be_written_leaves_the_leases(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_NORMAL, 3);

    io_sim_set_full(fixture->harness.sim, true);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 3, "ssf");
    assert_int_equal(result.verdict, QUEUE_STORAGE_FAILED);
    assert_int_equal(result.success_count, 0);
    assert_int_equal(result.fail_count, 3);
    assert_counters(fixture, fixture->group, 3, 0, 3);
    assert_int_equal(count(fixture, fixture->group).leased, 3);
    io_sim_set_full(fixture->harness.sim, false);
    ack_all(fixture, fixture->group, &messages); /* the handlers are as good as before */
    assert_counters(fixture, fixture->group, 3, 3, 0);
}

static void fifo_delivers_in_order_and_one_batch_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_FIFO, 1, 0);
    put(fixture, "m", 0, 6);
    struct messages first = get(fixture, fixture->group, 3);
    assert_int_equal(first.count, 3);
    begin_consume(fixture, &own, fixture->group, 3, 20000, 30000);
    advance_ms(fixture, 100);
    assert_false(own.is_over);
    assert_int_equal(ack(fixture, fixture->group, &first, 0, 2, "").success_count, 2);
    advance_ms(fixture, 100);
    assert_false(own.is_over); /* m2 is still in flight */
    assert_int_equal(ack(fixture, fixture->group, &first, 2, 1, "").success_count, 1);
    advance_ms(fixture, 100);
    struct messages second = end_consume(&own);
    assert_int_equal(second.count, 3);
    assert_string_equal(second.values[0], "m3");
    /* The other group is not concerned. */
    assert_int_equal(get(fixture, fixture->group2, 10).count, 6);
}

static void fifo_gives_as_many_as_there_are(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_FIFO, 1, 0);
    for (unsigned i = 0; i < 12; i++) {
        put(fixture, "m", i, 1);
    }
    assert_int_equal(get(fixture, fixture->group, 10).count, 10);
}

static void fifo_resumes_at_the_failed_message(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_FIFO, 1, 0);
    put(fixture, "m", 0, 6);
    struct messages messages = get(fixture, fixture->group, 5);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 2, "sf");
    assert_int_equal(result.success_count, 1);
    assert_int_equal(result.fail_count, 1);
    struct messages again = get(fixture, fixture->group, 10); /* unlisted ones went back, too */
    assert_int_equal(again.count, 5);
    assert_string_equal(again.values[0], "m1");
    assert_int_equal(again.failures[0], 1);
    assert_int_equal(again.failures[1], 0);
    assert_string_equal(again.values[4], "m5");
    assert_int_equal(ack(fixture, fixture->group, &messages, 2, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    ack_all(fixture, fixture->group, &again);
    assert_counters(fixture, fixture->group, 6, 6, 0);
}

static void fifo_resumes_in_order_after_a_time_out(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_FIFO, 1, 0);
    put(fixture, "m", 0, 4);
    struct messages messages = get(fixture, fixture->group, 3);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "").success_count, 1);
    advance_ms(fixture, 31000);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 3);
    assert_string_equal(messages.values[0], "m1");
    assert_string_equal(messages.values[1], "m2");
    assert_string_equal(messages.values[2], "m3");
    assert_int_equal(messages.failures[0], 1);
    assert_int_equal(messages.failures[2], 0);
}

/* The guide, 1.6: messages are to be acked in the order they came. */
static void fifo_ack_out_of_order_is_refused_and_returned(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_FIFO, 5);

    assert_int_equal(ack(fixture, fixture->group, &messages, 2, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 2, "").success_count, 2);
    /* m2 went back, so that nothing behind it can be done in its place. */
    assert_int_equal(ack(fixture, fixture->group, &messages, 3, 2, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.count, 3);
    for (uint32_t i = 0; i < again.count; i++) {
        assert_int_equal(again.offsets[i], 2 + i);
        assert_int_equal(again.failures[i], 0);
    }
    ack_all(fixture, fixture->group, &again);
    assert_counters(fixture, fixture->group, 5, 5, 0);
}

static void fifo_ack_with_a_gap_stops_at_it(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_FIFO, 4);
    struct messages some = messages;
    memcpy(some.handlers[1], messages.handlers[2], QUEUE_HANDLER_SIZE);
    memcpy(some.handlers[2], messages.handlers[3], QUEUE_HANDLER_SIZE);
    struct queue_ack result = ack(fixture, fixture->group, &some, 0, 3, "");
    assert_int_equal(result.verdict, QUEUE_OK);
    assert_int_equal(result.success_count, 1);
    assert_int_equal(result.fail_count, 2);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0); /* m1 is still leased */
    assert_int_equal(ack(fixture, fixture->group, &messages, 1, 1, "").success_count, 1);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.offsets[0], 2);
}

/* Clients that keep handlers in a map send them in any order. */
static void fifo_ack_takes_its_items_in_the_order_of_the_messages(void **state)
{
    struct fixture *fixture = *state;
    static const unsigned order[] = {3, 0, 4, 1, 2};
    struct messages messages = lease(fixture, CATALOG_FIFO, 5);
    struct messages mixed = messages;
    for (unsigned i = 0; i < 5; i++) {
        memcpy(mixed.handlers[i], messages.handlers[order[i]], QUEUE_HANDLER_SIZE);
    }
    struct queue_ack result = ack(fixture, fixture->group, &mixed, 0, 5, "fssss"); /* m3 */
    assert_int_equal(result.success_count, 3);
    assert_int_equal(result.fail_count, 2);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.offsets[0], 3);
    assert_int_equal(again.failures[0], 1);
    assert_int_equal(again.failures[1], 0);
}

static void fifo_failure_may_come_before_what_is_in_front_of_it(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_FIFO, 3);

    assert_int_equal(ack(fixture, fixture->group, &messages, 1, 1, "f").verdict, QUEUE_OK);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "").success_count, 1);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.offsets[0], 1);
    assert_int_equal(again.failures[0], 1);
}

static void fifo_ack_that_cannot_be_written_leaves_the_whole_batch(void **state)
{
    struct fixture *fixture = *state;
    struct messages messages = lease(fixture, CATALOG_FIFO, 4);

    io_sim_set_full(fixture->harness.sim, true);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 2, "sf").verdict,
                     QUEUE_STORAGE_FAILED);
    io_sim_set_full(fixture->harness.sim, false);
    ack_all(fixture, fixture->group, &messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(acked_message_never_comes_again),
        TEST(second_ack_is_refused),
        TEST(ack_after_the_lease_is_refused),
        TEST(handler_of_another_group_or_queue_is_a_mismatch),
        TEST(forged_handler_is_unknown),
        TEST(stops_at_the_first_failure_and_returns_the_rest_uncounted),
        TEST(stops_at_an_unknown_handler_and_returns_the_rest_uncounted),
        TEST(unknown_first_handler_returns_the_rest),
        TEST(same_handler_twice_in_one_ack_stops_there),
        TEST(unlisted_messages_stay_leased_in_a_normal_queue),
        TEST(one_ack_may_concern_several_partitions),
        TEST(ack_that_cannot_be_written_leaves_the_leases),
        TEST(fifo_delivers_in_order_and_one_batch_at_a_time),
        TEST(fifo_gives_as_many_as_there_are),
        TEST(fifo_resumes_at_the_failed_message),
        TEST(fifo_resumes_in_order_after_a_time_out),
        TEST(fifo_ack_out_of_order_is_refused_and_returned),
        TEST(fifo_ack_with_a_gap_stops_at_it),
        TEST(fifo_ack_takes_its_items_in_the_order_of_the_messages),
        TEST(fifo_failure_may_come_before_what_is_in_front_of_it),
        TEST(fifo_ack_that_cannot_be_written_leaves_the_whole_batch),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
