/* A group's position, set anew: what is delivered from then on, and what the counters say. */
#include "tests/unit/queue/queue_fixture.h"

static void begin_reset(struct fixture *fixture, struct queue_harness_reset *own,
                        enum queue_reset_position position, int64_t timestamp_ms, bool force)
{
    *own = (struct queue_harness_reset){.is_over = false};
    own->reset.topic = fixture->topic;
    own->reset.group_id = base_slice_text(fixture->group);
    own->reset.position = position;
    own->reset.timestamp_ms = timestamp_ms;
    own->reset.force = force;
    queue_harness_start_reset(&fixture->harness, 1, own);
}

static enum queue_verdict reset(struct fixture *fixture, enum queue_reset_position position,
                                int64_t timestamp_ms, bool force)
{
    struct queue_harness_reset own;

    begin_reset(fixture, &own, position, timestamp_ms, force);
    queue_harness_wait(&fixture->harness, &own.is_over);
    enum queue_verdict verdict = own.reset.verdict;
    queue_reset_release(&own.reset);
    return verdict;
}

static int64_t now_ms(struct fixture *fixture)
{
    return base_clock_wall_ms(fixture->harness.clock);
}

static void assert_numbers(struct fixture *fixture, int64_t consumed, int64_t available,
                           int64_t skipped)
{
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed, consumed);
    assert_int_equal(counters.available, available);
    assert_int_equal(counters.skipped, skipped);
    assert_int_equal(counters.leased, 0);
}

static void earliest_delivers_everything_once_more(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 5);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 4, "sssf").success_count, 3);
    struct queue_counters other = count(fixture, fixture->group2);
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, true), QUEUE_OK);
    assert_numbers(fixture, 0, 5, 0);
    assert_int_equal(ack(fixture, fixture->group, &messages, 4, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    struct messages again = get(fixture, fixture->group, 10);
    assert_int_equal(again.count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(again.failures[i], 0);
        assert_int_equal(again.offsets[i], i);
    }
    /* A handler of the time before names no lease of now. */
    assert_int_equal(ack(fixture, fixture->group, &messages, 4, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    ack_all(fixture, fixture->group, &again);
    assert_numbers(fixture, 5, 0, 0);
    assert_int_equal(count(fixture, fixture->group2).available, other.available);
}

static void latest_delivers_only_what_is_new(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    for (unsigned i = 0; i < 9; i++) {
        put(fixture, "old", i, 1);
    }
    assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, false), QUEUE_OK);
    assert_numbers(fixture, 9, 0, 0);
    put(fixture, "new", 0, 1);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "new0");
    ack_all(fixture, fixture->group, &messages);
    assert_numbers(fixture, 10, 0, 0);
}

static void time_is_exact_to_the_message_in_every_partition(void **state)
{
    struct fixture *fixture = *state;
    int64_t times[12];

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    for (unsigned i = 0; i < 12; i++) {
        times[i] = now_ms(fixture);
        put(fixture, "m", i, 1);
        advance_ms(fixture, 10);
    }
    for (unsigned first = 0; first < 12; first++) {
        assert_int_equal(reset(fixture, QUEUE_RESET_TIME, times[first], true), QUEUE_OK);
        assert_numbers(fixture, first, 12 - first, 0);
        bool seen[12] = {false};
        for (unsigned i = first; i < 12; i++) {
            struct messages messages = get(fixture, fixture->group, 1);
            unsigned number = 0;
            assert_int_equal(messages.count, 1);
            assert_int_equal(sscanf(messages.values[0], "m%u", &number), 1);
            assert_true(number >= first && !seen[number]);
            seen[number] = true;
        }
    }
    /* The time of a message is in, a millisecond later is not. */
    assert_int_equal(reset(fixture, QUEUE_RESET_TIME, times[11] + 9, true), QUEUE_OK);
    assert_numbers(fixture, 12, 0, 0);
    put(fixture, "m", 12, 1);
    assert_string_equal(get(fixture, fixture->group, 10).values[0], "m12");
}

static void times_are_those_the_queue_keeps(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 60000);
    put(fixture, "m", 0, 1);
    advance_ms(fixture, 1000);
    int64_t now = now_ms(fixture);
    assert_int_equal(reset(fixture, QUEUE_RESET_TIME, now + 1000, false), QUEUE_TIME_OUT_OF_RANGE);
    assert_int_equal(reset(fixture, QUEUE_RESET_TIME, now - 60001, false), QUEUE_TIME_OUT_OF_RANGE);
    assert_int_equal(reset(fixture, QUEUE_RESET_TIME, -1, false), QUEUE_TIME_OUT_OF_RANGE);
    assert_int_equal(reset(fixture, QUEUE_RESET_TIME, now - 59900, false), QUEUE_OK);
    assert_numbers(fixture, 0, 1, 0);
}

static void leases_refuse_it_unless_forced(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_FIFO, 1, 0);
    put(fixture, "m", 0, 3);
    struct messages messages = get(fixture, fixture->group, 2);
    assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, false), QUEUE_GROUP_LEASED);
    assert_int_equal(count(fixture, fixture->group).leased, 2);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "").success_count, 1);
    assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, false), QUEUE_GROUP_LEASED);
    advance_ms(fixture, 30001); /* the lease is over */
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_OK);
    messages = get(fixture, fixture->group, 2);
    assert_int_equal(messages.count, 2);
    assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, true), QUEUE_OK);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 2, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    assert_numbers(fixture, 3, 0, 0);
}

static void reset_is_durable_when_answered(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put_tagged(fixture, "a", 0, 6);
    struct messages messages = get_tagged(fixture, "a");
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 6, "sssssf").success_count, 5);
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_OK);
    restart(fixture, true);
    assert_numbers(fixture, 0, 6, 0);
    messages = get_tagged(fixture, ""); /* the rule is forgotten */
    assert_int_equal(messages.verdict, QUEUE_OK);
    assert_int_equal(messages.count, 6);
    assert_int_equal(messages.failures[5], 0);
    assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, true), QUEUE_OK);
    restart(fixture, true);
    assert_numbers(fixture, 6, 0, 0);
    assert_int_equal(get_tagged(fixture, "a").verdict, QUEUE_OK);
}

/* Table 1-2: what was skipped before the position is consumed, and skipped is 0. */
static void skipped_messages_become_consumed(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 10000);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    put(fixture, "m", 0, 4);
    struct messages messages = get(fixture, fixture->group, 1);
    ack_all(fixture, fixture->group, &messages);
    advance_ms(fixture, 6000);
    put(fixture, "m", 4, 2);
    advance_ms(fixture, 5000);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 2);
    ack_all(fixture, fixture->group, &messages);
    assert_numbers(fixture, 3, 0, 3);
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_OK);
    assert_numbers(fixture, 4, 2, 0);
    restart(fixture, true);
    assert_numbers(fixture, 4, 2, 0);
}

/* Retention moves the log start when it looks; a reset does not wait for that. */
static void earliest_is_the_first_that_has_not_expired(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 10000);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    for (unsigned i = 0; i < 10; i++) {
        put(fixture, "m", i, 1);
        advance_ms(fixture, 100);
    }
    advance_ms(fixture, 9450); /* 10,450 ms since the first, 9,550 since the last */
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_OK);
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed + counters.available, 10);
    assert_int_equal(counters.available, 5);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 5);
    assert_string_equal(messages.values[0], "m5");
}

static void ack_under_way_comes_first(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_ack own = {.is_over = false};
    struct queue_harness_reset resetting;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 2);
    struct messages messages = get(fixture, fixture->group, 10);
    struct queue_ack_item items[] = {
        {.handler = base_slice_text(messages.handlers[0]), .success = true},
        {.handler = base_slice_text(messages.handlers[1]), .success = false},
    };
    own.ack.topic = fixture->topic;
    own.ack.group_id = base_slice_text(fixture->group);
    own.ack.items = items;
    own.ack.items_count = 2;
    queue_harness_start_ack(&fixture->harness, 1, &own);
    begin_reset(fixture, &resetting, QUEUE_RESET_LATEST, -1, false);
    queue_harness_wait(&fixture->harness, &resetting.is_over);
    assert_true(own.is_over);
    assert_int_equal(own.ack.success_count, 1);
    assert_int_equal(resetting.reset.verdict, QUEUE_OK);
    queue_reset_release(&resetting.reset);
    assert_numbers(fixture, 2, 0, 0);
    restart(fixture, true);
    assert_numbers(fixture, 2, 0, 0);
}

/* The reset waits for an ack while the log start moves past where it goes back to. */
static void log_start_that_moves_meanwhile_is_where_it_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_ack own = {.is_over = false};
    struct queue_harness_reset resetting;

    make_queue(fixture, CATALOG_NORMAL, 1, 10000);
    put(fixture, "m", 0, 4);
    advance_ms(fixture, 8000);
    put(fixture, "late", 0, 2);
    struct messages messages = get(fixture, fixture->group, 10); /* and nothing is read ahead */
    struct queue_ack_item item = {.handler = base_slice_text(messages.handlers[0])};
    own.ack.topic = fixture->topic;
    own.ack.group_id = base_slice_text(fixture->group);
    own.ack.items = &item;
    own.ack.items_count = 1;
    io_sim_set_sync_us(fixture->harness.sim, 5 * QUEUE_HARNESS_SECOND);
    queue_harness_start_ack(&fixture->harness, 1, &own);
    begin_reset(fixture, &resetting, QUEUE_RESET_EARLIEST, -1, true);
    advance_ms(fixture, 4000);
    assert_int_equal(count(fixture, fixture->group).produced, 2);
    assert_false(own.is_over);
    io_sim_set_sync_us(fixture->harness.sim, 0);
    queue_harness_wait(&fixture->harness, &resetting.is_over);
    assert_int_equal(resetting.reset.verdict, QUEUE_OK);
    queue_reset_release(&resetting.reset);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 2);
    assert_string_equal(messages.values[0], "late0");
}

static void waiting_consume_ends_and_several_resets_take_turns(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;
    struct queue_harness_reset first;
    struct queue_harness_reset second;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    begin_tagged(fixture, &own, "a", 30000);
    advance_ms(fixture, 100);
    assert_false(own.is_over);
    put_tagged(fixture, "b", 0, 2);
    begin_reset(fixture, &first, QUEUE_RESET_LATEST, -1, false);
    begin_reset(fixture, &second, QUEUE_RESET_EARLIEST, -1, false);
    queue_harness_wait(&fixture->harness, &second.is_over);
    assert_true(first.is_over);
    queue_reset_release(&first.reset);
    queue_reset_release(&second.reset);
    assert_true(own.is_over);
    struct messages messages = end_consume(&own);
    assert_int_equal(messages.verdict, QUEUE_OK);
    assert_int_equal(messages.count, 0);
    assert_numbers(fixture, 0, 2, 0);
    assert_int_equal(get_tagged(fixture, "b").count, 2);
}

static void nothing_changes_when_it_cannot_be_written(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put_tagged(fixture, "a", 0, 3);
    struct messages messages = get_tagged(fixture, "a");
    ack_all(fixture, fixture->group, &messages);
    advance_ms(fixture, 10);
    io_sim_set_full(fixture->harness.sim, true);
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_STORAGE_FAILED);
    io_sim_set_full(fixture->harness.sim, false);
    assert_numbers(fixture, 3, 0, 0);
    assert_int_equal(get_tagged(fixture, "b").verdict, QUEUE_TAG_RULE_DIFFERS);
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_OK);
    assert_numbers(fixture, 0, 3, 0);
}

static void snapshot_behind_a_reset_has_it(void **state)
{
    struct fixture *fixture = *state;

    fixture->harness.snapshot_updates = 20;
    restart(fixture, false);
    make_queue(fixture, CATALOG_NORMAL, 2, 0);
    for (unsigned i = 0; i < 60; i++) {
        put(fixture, "m", i, 1);
        struct messages messages = get(fixture, fixture->group, 10);
        ack_all(fixture, fixture->group, &messages);
        if (i % 7 == 6) {
            assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, false), QUEUE_OK);
        }
    }
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_OK);
    restart(fixture, true);
    assert_numbers(fixture, 0, 60, 0);
}

static void kafka_groups_are_reset_when_nobody_consumes_over_kafka(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_reset own;

    make_queue(fixture, CATALOG_KAFKA_HA, 2, 0);
    put(fixture, "m", 0, 4);
    fixture->harness.kafka_is_active = true;
    assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, true), QUEUE_GROUP_BUSY_ON_KAFKA);
    fixture->harness.kafka_is_active = false;
    struct messages messages = get(fixture, fixture->group, 10);
    ack_all(fixture, fixture->group, &messages);
    begin_reset(fixture, &own, QUEUE_RESET_LATEST, -1, false);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(own.reset.verdict, QUEUE_OK);
    assert_int_equal(own.reset.offsets_count, 2);
    assert_int_equal(own.reset.offsets[0] + own.reset.offsets[1], 4);
    queue_reset_release(&own.reset);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    assert_int_equal(count(fixture, fixture->group).available, 0);
}

/* A group that never consumed over REST: what a reset went past is consumed all the same. */
static void kafka_group_counts_what_a_reset_went_past(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_KAFKA_HA, 1, 0);
    put(fixture, "m", 0, 4);
    assert_int_equal(reset(fixture, QUEUE_RESET_LATEST, -1, false), QUEUE_OK);
    put(fixture, "m", 4, 2);
    assert_numbers(fixture, 4, 2, 0);
    restart(fixture, true);
    assert_numbers(fixture, 4, 2, 0);
}

/* The group goes on over REST where it was reset to, although what it committed over Kafka still
 * says otherwise, whether a consume comes before the reset is durable or before it is released. */
static void kafka_group_does_not_go_back_to_what_it_committed_before_a_reset(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume consuming;
    struct queue_harness_reset own;

    make_queue(fixture, CATALOG_KAFKA_HA, 1, 0);
    put(fixture, "m", 0, 10);
    for (int is_durable = 0; is_durable < 2; is_durable++) {
        fixture->harness.committed = 10;
        assert_int_equal(get(fixture, fixture->group, 10).count, 0);
        begin_reset(fixture, &own, QUEUE_RESET_EARLIEST, -1, false);
        if (is_durable) {
            queue_harness_wait(&fixture->harness, &own.is_over);
        }
        begin_consume(fixture, &consuming, fixture->group, 10, 1000, 30000);
        queue_harness_wait(&fixture->harness, &consuming.is_over);
        assert_true(own.is_over);
        fixture->harness.committed = 0;
        queue_reset_release(&own.reset);
        struct messages messages = end_consume(&consuming);
        assert_int_equal(messages.count, 10);
        assert_string_equal(messages.values[0], "m0");
        (void)snprintf(fixture->group, sizeof fixture->group, "%s", fixture->group2);
    }
}

/* The reset waits for an ack that then cannot be written: its lease is back, and must not block
 * the group until its time is over. */
static void ack_that_fails_under_a_reset_does_not_hold_it_up(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 2);
    for (int force = 0; force < 2; force++) {
        struct messages messages = get(fixture, fixture->group, 1);
        struct queue_ack_item item = {.handler = base_slice_text(messages.handlers[0]),
                                      .success = true};
        struct queue_harness_ack acking = {.ack.topic = fixture->topic,
                                           .ack.group_id = base_slice_text(fixture->group),
                                           .ack.items = &item,
                                           .ack.items_count = 1};
        struct queue_harness_reset resetting;
        io_sim_set_sync_us(fixture->harness.sim, 2000000);
        queue_harness_start_ack(&fixture->harness, 0, &acking);
        sim_scheduler_run(fixture->harness.scheduler);
        begin_reset(fixture, &resetting, QUEUE_RESET_EARLIEST, -1, force == 1);
        sim_scheduler_run(fixture->harness.scheduler);
        assert_false(acking.is_over);
        assert_false(resetting.is_over);
        io_sim_crash(fixture->harness.sim);
        advance_ms(fixture, 3000); /* far less than the lease */
        assert_int_equal(acking.ack.verdict, QUEUE_STORAGE_FAILED);
        assert_true(resetting.is_over);
        assert_int_equal(resetting.reset.verdict,
                         force == 1 ? QUEUE_STORAGE_FAILED : QUEUE_GROUP_LEASED);
        queue_reset_release(&resetting.reset);
        io_sim_set_sync_us(fixture->harness.sim, 0);
        restart(fixture, false);
    }
}

/* What is about to become a dead letter does so first; dead letters stay, and their messages are
 * delivered once more all the same. */
static void dead_letters_are_untouched(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_reset own;

    fixture->topic = queue_harness_make_redrive_queue(&fixture->harness, "q", CATALOG_NORMAL, 1, 1);
    assert_true(queue_harness_make_group(&fixture->harness, &fixture->topic, "one"));
    (void)snprintf(fixture->group, sizeof fixture->group, "%s", fixture->topic->groups[0].id);
    for (unsigned round = 1; round <= 3; round++) {
        put(fixture, "m", round, 1);
        struct messages messages = get(fixture, fixture->group, 10);
        assert_int_equal(messages.count, round);
        assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "f").fail_count, 1);
        begin_reset(fixture, &own, QUEUE_RESET_EARLIEST, -1, true);
        queue_harness_wait(&fixture->harness, &own.is_over);
        assert_int_equal(own.reset.verdict, QUEUE_OK);
        queue_reset_release(&own.reset);
        if (round != 2) {
            restart(fixture, true);
        }
        struct queue_counters counters = count(fixture, fixture->group);
        assert_int_equal(counters.consumed, 0);
        assert_int_equal(counters.available, round);
        assert_int_equal(counters.dead_produced, round);
        assert_int_equal(counters.dead_available, round);
    }
}

static void unknown_and_deleted_groups_are_told(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 2, 0);
    assert_true(queue_harness_delete_group(&fixture->harness, &fixture->topic, fixture->group));
    assert_int_equal(reset(fixture, QUEUE_RESET_EARLIEST, -1, false), QUEUE_GROUP_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(earliest_delivers_everything_once_more),
        TEST(latest_delivers_only_what_is_new),
        TEST(time_is_exact_to_the_message_in_every_partition),
        TEST(times_are_those_the_queue_keeps),
        TEST(leases_refuse_it_unless_forced),
        TEST(reset_is_durable_when_answered),
        TEST(skipped_messages_become_consumed),
        TEST(earliest_is_the_first_that_has_not_expired),
        TEST(ack_under_way_comes_first),
        cmocka_unit_test_setup_teardown(log_start_that_moves_meanwhile_is_where_it_goes_on,
                                        set_up_checking_often, tear_down),
        TEST(waiting_consume_ends_and_several_resets_take_turns),
        TEST(nothing_changes_when_it_cannot_be_written),
        TEST(snapshot_behind_a_reset_has_it),
        TEST(kafka_groups_are_reset_when_nobody_consumes_over_kafka),
        TEST(kafka_group_counts_what_a_reset_went_past),
        TEST(kafka_group_does_not_go_back_to_what_it_committed_before_a_reset),
        TEST(ack_that_fails_under_a_reset_does_not_hold_it_up),
        TEST(dead_letters_are_untouched),
        TEST(unknown_and_deleted_groups_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
