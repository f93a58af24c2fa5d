/* Guide 4.3: a message is kept for 72 hours and is gone after them, to the millisecond and to the
 * message, also while it is leased or passed over by a tag rule. */
#include "core/base/assert.h"
#include "tests/unit/queue/queue_fixture.h"

enum { HOURS_72_MS = 72 * 60 * 60 * 1000, MESSAGES = 8 };

static int64_t now_ms(struct fixture *fixture)
{
    return base_clock_wall_ms(fixture->harness.clock);
}

/* Puts MESSAGES messages one second apart; their times. */
static void put_some(struct fixture *fixture, const char *tag, int64_t times[MESSAGES])
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        times[i] = now_ms(fixture);
        put_tagged(fixture, tag, i, 1);
        advance_ms(fixture, 1000);
    }
}

static void advance_to(struct fixture *fixture, int64_t time_ms)
{
    BASE_ASSERT(time_ms >= now_ms(fixture));
    advance_ms(fixture, time_ms - now_ms(fixture));
}

static void restart_group(struct fixture *fixture)
{
    struct queue_harness_reset own = {.is_over = false};

    own.reset.topic = fixture->topic;
    own.reset.group_id = base_slice_text(fixture->group);
    own.reset.position = QUEUE_RESET_EARLIEST;
    own.reset.force = true;
    queue_harness_start_reset(&fixture->harness, 1, &own);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(own.reset.verdict, QUEUE_OK);
    queue_reset_release(&own.reset);
}

static void message_is_there_for_72_hours_and_not_longer(void **state)
{
    struct fixture *fixture = *state;
    int64_t times[MESSAGES];

    make_queue(fixture, CATALOG_NORMAL, 1, HOURS_72_MS);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    put_some(fixture, "m", times);
    for (unsigned i = 0; i < MESSAGES; i++) {
        /* As old as that, and not older. Nothing may take the time that is left. */
        advance_to(fixture, times[i] + HOURS_72_MS - 10);
        restart_group(fixture);
        assert_int_equal(get(fixture, fixture->group, 10).count, MESSAGES - i);
        assert_true(now_ms(fixture) <= times[i] + HOURS_72_MS);
        advance_to(fixture, times[i] + HOURS_72_MS + 10);
        restart_group(fixture);
        struct messages messages = get(fixture, fixture->group, 10);
        assert_int_equal(messages.count, MESSAGES - i - 1);
        assert_true(messages.count == 0 || messages.offsets[0] == i + 1);
    }
}

/* The log start follows within a second, and with it the number of messages in the queue. */
static void counters_follow_within_a_second(void **state)
{
    struct fixture *fixture = *state;
    int64_t times[MESSAGES];

    make_queue(fixture, CATALOG_NORMAL, 1, HOURS_72_MS);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    put_some(fixture, "m", times);
    struct messages messages = get(fixture, fixture->group, 2);
    ack_all(fixture, fixture->group, &messages);
    for (unsigned i = 0; i < MESSAGES; i++) {
        advance_to(fixture, times[i] + HOURS_72_MS);
        struct queue_counters counters = count(fixture, fixture->group);
        assert_true(counters.produced >= MESSAGES - i);
        assert_true(counters.produced <= MESSAGES - i + 1);
        assert_int_equal(counters.consumed, 2);
        assert_int_equal(counters.consumed + counters.skipped + counters.available, MESSAGES);
    }
    advance_ms(fixture, 2000);
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.produced, 0);
    assert_int_equal(counters.available, 0);
    assert_int_equal(counters.skipped, MESSAGES - 2);
    restart(fixture, true);
    counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed, 2);
    assert_int_equal(counters.skipped, MESSAGES - 2);
}

static void leased_message_can_be_acked_after_it_has_expired(void **state)
{
    struct fixture *fixture = *state;
    int64_t times[MESSAGES];

    make_queue(fixture, CATALOG_FIFO, 1, HOURS_72_MS);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    put_some(fixture, "m", times);
    advance_to(fixture, times[0] + HOURS_72_MS - 1000);
    struct messages messages = get(fixture, fixture->group, 3);
    assert_int_equal(messages.count, 3);
    advance_to(fixture, times[2] + HOURS_72_MS + 2000); /* and trimmed */
    assert_int_equal(count(fixture, fixture->group).leased, 3);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 3, "sfs");
    assert_int_equal(result.success_count, 1);
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed, 1);
    assert_int_equal(counters.leased, 0);
    /* What failed is gone, and so is what was behind it: neither comes again. */
    messages = get(fixture, fixture->group, 10);
    counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed + counters.skipped + counters.available, MESSAGES);
    assert_true(messages.offsets[0] > 2);
    advance_ms(fixture, 10000);
    restart(fixture, true);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed, 1);
    assert_int_equal(counters.skipped, MESSAGES - 1);
}

static void filtered_messages_stay_consumed_when_they_expire(void **state)
{
    struct fixture *fixture = *state;
    int64_t times[MESSAGES];

    make_queue(fixture, CATALOG_NORMAL, 1, HOURS_72_MS);
    assert_int_equal(get_tagged(fixture, "a").count, 0);
    put_tagged(fixture, "a", 0, 1);
    put_some(fixture, "x", times);
    assert_int_equal(get_tagged(fixture, "a").count, 1); /* leased, the others filtered above it */
    advance_ms(fixture, 1100);
    restart(fixture, true);
    advance_to(fixture, times[MESSAGES - 1] + HOURS_72_MS + 2000);
    struct queue_counters counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed, MESSAGES);
    assert_int_equal(counters.skipped, 1);
    assert_int_equal(counters.available, 0);
    restart(fixture, true);
    counters = count(fixture, fixture->group);
    assert_int_equal(counters.consumed, MESSAGES);
    assert_int_equal(counters.skipped, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(message_is_there_for_72_hours_and_not_longer),
        TEST(counters_follow_within_a_second),
        TEST(leased_message_can_be_acked_after_it_has_expired),
        TEST(filtered_messages_stay_consumed_when_they_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
