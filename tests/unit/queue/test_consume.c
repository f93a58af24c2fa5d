/* Rules of delivery in NORMAL queues. */
#include "tests/unit/queue/queue_fixture.h"

static void every_message_comes_once_to_each_group(void **state)
{
    struct fixture *fixture = *state;
    bool seen[2][12] = {{false}};

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    for (unsigned i = 0; i < 12; i += 2) {
        put(fixture, "m", i, 2);
    }
    for (unsigned g = 0; g < 2; g++) {
        const char *group = g == 0 ? fixture->group : fixture->group2;
        for (unsigned total = 0; total < 12;) {
            struct messages messages = get(fixture, group, 10);
            assert_true(messages.count > 0);
            for (unsigned i = 0; i < messages.count; i++) {
                unsigned number = 99;
                assert_int_equal(sscanf(messages.values[i], "m%u", &number), 1);
                assert_true(number < 12);
                assert_false(seen[g][number]);
                seen[g][number] = true;
            }
            total += messages.count;
            ack_all(fixture, group, &messages);
        }
        assert_int_equal(get(fixture, group, 10).count, 0);
        assert_counters(fixture, group, 12, 12, 0);
    }
}

static void one_consume_serves_from_one_partition_in_rotation(void **state)
{
    struct fixture *fixture = *state;
    bool seen[3] = {false};

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    for (unsigned i = 0; i < 6; i++) {
        put(fixture, "m", i, 2);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct messages messages = get(fixture, fixture->group, 10);
        assert_int_equal(messages.count, 4); /* all of its partition */
        assert_false(seen[messages.partition]);
        seen[messages.partition] = true;
    }
}

static void leased_message_is_hidden_until_its_lease_ends(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 1);
    struct messages first = get(fixture, fixture->group, 10);
    assert_int_equal(first.count, 1);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0); /* one second has passed */
    begin_consume(fixture, &own, fixture->group, 10, 60000, 30000);
    advance_ms(fixture, 28900);
    assert_false(own.is_over);
    advance_ms(fixture, 110); /* 30 s and 10 ms since the first delivery, at most */
    assert_true(own.is_over);
    struct messages again = end_consume(&own);
    assert_int_equal(again.count, 1);
    assert_int_equal(again.failures[0], 1);
    assert_string_equal(again.values[0], "m0");
    assert_string_not_equal(again.handlers[0], first.handlers[0]);
}

static void waits_for_a_message_and_brings_it_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    begin_consume(fixture, &own, fixture->group, 10, 60000, 30000);
    advance_ms(fixture, 5000);
    assert_false(own.is_over);
    put(fixture, "m", 0, 1);
    advance_ms(fixture, 10);
    assert_int_equal(end_consume(&own).count, 1);
}

static void answers_empty_after_time_wait(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    begin_consume(fixture, &own, fixture->group, 10, 3000, 30000);
    advance_ms(fixture, 2990);
    assert_false(own.is_over);
    advance_ms(fixture, 20);
    struct messages messages = end_consume(&own);
    assert_int_equal(messages.count, 0);
    assert_int_equal(messages.verdict, QUEUE_OK);
    begin_consume(fixture, &own, fixture->group, 10, 0, 30000);
    sim_scheduler_run(fixture->harness.scheduler);
    assert_int_equal(end_consume(&own).count, 0);
}

/* The first consume waits for its tag rule, and any for a reset that is being written. */
static void slow_disk_does_not_keep_those_who_wait(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;
    struct queue_harness_reset resetting = {.is_over = false};

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 1);
    for (int is_reset = 0; is_reset < 2; is_reset++) {
        io_sim_set_sync_us(fixture->harness.sim, 60 * QUEUE_HARNESS_SECOND);
        if (is_reset) {
            resetting.reset.topic = fixture->topic;
            resetting.reset.group_id = base_slice_text(fixture->group);
            queue_harness_start_reset(&fixture->harness, 1, &resetting);
        }
        begin_consume(fixture, &own, fixture->group, 1, 1000, 30000);
        advance_ms(fixture, 2100); /* a second more than it waits for */
        assert_true(own.is_over);
        assert_int_equal(end_consume(&own).verdict, QUEUE_OK);
        io_sim_set_sync_us(fixture->harness.sim, 0);
        advance_ms(fixture, 60000);
    }
    assert_true(resetting.is_over);
    queue_reset_release(&resetting.reset);
    assert_int_equal(get(fixture, fixture->group, 1).count, 1);
}

static void those_who_wait_are_served_in_order_and_no_others_are_woken(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own[4];

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < 4; i++) {
        begin_consume(fixture, &own[i], fixture->group, 2, 10000, 30000);
        advance_ms(fixture, 1);
    }
    put(fixture, "m", 0, 3);
    advance_ms(fixture, 10);
    assert_true(own[0].is_over);
    assert_true(own[1].is_over);
    assert_false(own[2].is_over);
    assert_false(own[3].is_over);
    assert_int_equal(end_consume(&own[0]).count, 2);
    assert_int_equal(end_consume(&own[1]).count, 1);
    advance_ms(fixture, 10000);
    assert_int_equal(end_consume(&own[2]).count, 0);
    assert_int_equal(end_consume(&own[3]).count, 0);
}

static void failed_ack_wakes_a_waiter(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 1);
    struct messages messages = get(fixture, fixture->group, 1);
    begin_consume(fixture, &own, fixture->group, 10, 10000, 30000);
    advance_ms(fixture, 5);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 1, "f");
    assert_int_equal(result.verdict, QUEUE_OK);
    assert_int_equal(result.success_count, 0);
    assert_int_equal(result.fail_count, 1);
    advance_ms(fixture, 5);
    assert_int_equal(end_consume(&own).count, 1);
}

static void answer_stays_below_its_bytes_but_one_message_always_comes(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "12345678", 0, 5); /* nine bytes each */
    begin_consume(fixture, &own, fixture->group, 10, 0, 30000);
    own.consume.size_bytes_max = 20;
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(end_consume(&own).count, 2);
    begin_consume(fixture, &own, fixture->group, 10, 0, 30000);
    own.consume.size_bytes_max = 1;
    queue_harness_wait(&fixture->harness, &own.is_over);
    struct messages messages = end_consume(&own);
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "123456782");
}

static void new_group_starts_at_the_earliest_message(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 3);
    assert_true(queue_harness_make_group(&fixture->harness, &fixture->topic, "late"));
    const char *late = fixture->topic->groups[fixture->topic->groups_count - 1].id;
    assert_counters(fixture, late, 3, 0, 3);
    assert_int_equal(get(fixture, late, 10).count, 3);
}

static void unknown_group_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;
    struct queue_counters counters;
    struct base_slice id = base_slice_text("g-00000000-0000-4000-8000-000000000000");

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    begin_consume(fixture, &own, (const char *)id.data, 10, 1000, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(end_consume(&own).verdict, QUEUE_GROUP_NOT_FOUND);
    assert_int_equal(queue_count(fixture->harness.manager, fixture->topic, id, &counters),
                     QUEUE_GROUP_NOT_FOUND);
}

static void cancelled_consume_leases_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    begin_consume(fixture, &own, fixture->group, 10, 10000, 30000);
    advance_ms(fixture, 5);
    assert_true(queue_consume_cancel(&own.consume));
    queue_consume_release(&own.consume);
    put(fixture, "m", 0, 1);
    advance_ms(fixture, 20000);
    assert_false(own.is_over);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 1);
    assert_int_equal(messages.failures[0], 0);
}

struct cancelling {
    struct queue_harness_consume *own;
    bool result;
};

static void cancel(void *context)
{
    struct cancelling *cancelling = context;
    cancelling->result = queue_consume_cancel(&cancelling->own->consume);
}

static void cancel_after_the_answer_returns_the_leases(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;
    struct cancelling cancelling = {.own = &own, .result = true};

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 4);
    begin_consume(fixture, &own, fixture->group, 10, 10000, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(own.consume.messages_count, 4);
    queue_harness_run_on(&fixture->harness, 1, cancel, &cancelling);
    assert_false(cancelling.result);
    assert_int_equal(own.consume.messages_count, 0);
    queue_consume_release(&own.consume);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 4);
    assert_int_equal(messages.failures[0], 0);
}

static void expired_message_is_not_delivered_even_before_it_is_trimmed(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 10000);
    put(fixture, "old", 0, 2);
    advance_ms(fixture, 9500);
    put(fixture, "new", 0, 1);
    advance_ms(fixture, 501);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "new0");
    advance_ms(fixture, 2000); /* now the log start has moved, too */
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.produced, 1);
    assert_int_equal(counters.available, 1);
    assert_int_equal(counters.skipped, 2);
    assert_int_equal(counters.consumed, 0);
}

static void retention_takes_unconsumed_messages_from_available(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 10000);
    put(fixture, "m", 0, 4);
    struct messages messages = get(fixture, fixture->group, 2);
    advance_ms(fixture, 12000);
    put(fixture, "m", 4, 1);
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.produced, 1);
    assert_int_equal(counters.available, 1);
    assert_int_equal(counters.leased, 2);
    assert_int_equal(counters.skipped, 2);
    ack_all(fixture, fixture->group, &messages); /* trimmed while leased: fine */
    counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed, 2);
    assert_int_equal(counters.skipped, 2);
    assert_int_equal(counters.available, 1);
}

static void deep_backlog_of_large_messages_is_read_window_by_window(void **state)
{
    struct fixture *fixture = *state;
    static char value[20000];
    struct queue_produce_message messages[10] = {{.headers_count = 0}};
    int64_t next = 0;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    memset(value, 'x', sizeof value);
    for (unsigned i = 0; i < 10; i++) {
        messages[i].value = base_slice_of(value, sizeof value);
    }
    for (unsigned i = 0; i < 12; i++) {
        struct queue_harness_produce own = {.is_over = false};
        send(fixture, &own, messages, 10);
        assert_int_equal(own.produce.verdict, QUEUE_OK);
    }
    restart(fixture, false); /* from disk, not from the tail */
    while (next < 120) {
        struct messages got = get(fixture, fixture->group, 10);
        assert_true(got.count > 0);
        for (unsigned i = 0; i < got.count; i++) {
            assert_int_equal(got.offsets[i], next++);
        }
        ack_all(fixture, fixture->group, &got);
    }
    assert_counters(fixture, fixture->group, 120, 120, 0);
}

static void poison_message_does_not_hold_up_the_others(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 10);
    put(fixture, "m", 10, 10);
    for (unsigned round = 0; round < 5; round++) {
        struct messages messages = get(fixture, fixture->group, 4);
        assert_int_equal(messages.offsets[0], 0);
        assert_int_equal(messages.failures[0], round);
        assert_int_equal(ack(fixture, fixture->group, &messages, 1, 3, "").success_count, 3);
        assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "f").fail_count, 1);
    }
    assert_counters(fixture, fixture->group, 20, 15, 5);
}

static void windows_of_an_idle_group_are_dropped_and_read_again(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 5);
    struct messages messages = get(fixture, fixture->group, 2);
    ack_all(fixture, fixture->group, &messages);
    size_t before = base_buffer_total_bytes();
    advance_ms(fixture, 30000);
    assert_true(base_buffer_total_bytes() <= before);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 3);
    assert_string_equal(messages.values[0], "m2");
}

/* What a disk has changed is neither delivered nor taken for a gap, and nothing behind it is
 * passed by: the base offset, too, which the checksum of a batch does not cover. */
static void damage_holds_a_partition_up_until_it_is_mended(void **state)
{
    enum { MESSAGES = 6, DAMAGED = 3 };
    const struct {
        int64_t position; /* in the batch; negative: from its end */
        unsigned bit;
    } damages[] = {{7, 0}, {2, 0}, {0, 6}, {-2, 3}};
    struct fixture *fixture = *state;
    struct io_sim *sim = fixture->harness.sim;
    char name[128];

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    (void)snprintf(name, sizeof name, "%s-0/00000000000000000000.log", fixture->topic->id_text);
    put(fixture, "m", 0, 1);
    int64_t batch_size = io_sim_size(sim, name); /* later the file is longer than what it holds */
    for (unsigned i = 1; i < MESSAGES; i++) {
        put(fixture, "m", i, 1);
    }
    restart(fixture, false); /* from disk, not from the tail */
    for (unsigned i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        int64_t from = (damages[i].position < 0 ? DAMAGED + 1 : DAMAGED) * batch_size;
        uint64_t position = (uint64_t)(from + damages[i].position);
        io_sim_flip(sim, name, position, damages[i].bit);
        struct messages messages = get(fixture, fixture->group, 10);
        assert_int_equal(messages.count, DAMAGED);
        struct queue_harness_consume own;
        begin_consume(fixture, &own, fixture->group, 10, 1000, 30000);
        queue_harness_wait(&fixture->harness, &own.is_over);
        assert_int_equal(end_consume(&own).count, 0);
        assert_counters(fixture, fixture->group, MESSAGES, 0, MESSAGES);

        io_sim_flip(sim, name, position, damages[i].bit);
        advance_ms(fixture, 60000); /* until the leases are over, too */
        messages = get(fixture, fixture->group, 10);
        assert_int_equal(messages.count, MESSAGES);
        assert_string_equal(messages.values[DAMAGED], "m3");
        advance_ms(fixture, 60000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_checking_often, tear_down)
        TEST(every_message_comes_once_to_each_group),
        TEST(one_consume_serves_from_one_partition_in_rotation),
        TEST(leased_message_is_hidden_until_its_lease_ends),
        TEST(waits_for_a_message_and_brings_it_at_once),
        TEST(answers_empty_after_time_wait),
        TEST(slow_disk_does_not_keep_those_who_wait),
        TEST(those_who_wait_are_served_in_order_and_no_others_are_woken),
        TEST(failed_ack_wakes_a_waiter),
        TEST(answer_stays_below_its_bytes_but_one_message_always_comes),
        TEST(new_group_starts_at_the_earliest_message),
        TEST(unknown_group_is_not_found),
        TEST(cancelled_consume_leases_nothing),
        TEST(cancel_after_the_answer_returns_the_leases),
        TEST(expired_message_is_not_delivered_even_before_it_is_trimmed),
        TEST(retention_takes_unconsumed_messages_from_available),
        TEST(deep_backlog_of_large_messages_is_read_window_by_window),
        TEST(poison_message_does_not_hold_up_the_others),
        TEST(damage_holds_a_partition_up_until_it_is_mended),
        TEST(windows_of_an_idle_group_are_dropped_and_read_again),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
