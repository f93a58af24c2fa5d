/* Delayed messages, in virtual time: when they come, in which order, what crashes, full disks
 * and set clocks do to them. */
#include "tests/unit/queue/queue_fixture.h"

#include <stdlib.h>

#include "core/queue/delay_priv.h"

enum { LATENESS_MS_MAX = 20 }; /* the simulated disk needs up to 2 ms for each of its calls */

struct delayed {
    enum base_err err;
    char id[QUEUE_MESSAGE_ID_SIZE];
};

static struct delayed put_delayed(struct fixture *fixture, const char *value, int64_t delay_ms)
{
    struct queue_harness_produce own = {.is_over = false};
    struct queue_produce_message message = {.value = base_slice_text(value), .delay_ms = delay_ms};
    struct delayed delayed;

    send(fixture, &own, &message, 1);
    delayed.err = own.produce.results[0].err;
    memcpy(delayed.id, own.produce.results[0].id, sizeof delayed.id);
    return delayed;
}

static void must_delay(struct fixture *fixture, const char *value, int64_t delay_ms)
{
    assert_int_equal(put_delayed(fixture, value, delay_ms).err, BASE_ERR_OK);
}

static int64_t now_ms(struct fixture *fixture)
{
    return base_clock_monotonic_ms(fixture->harness.clock);
}

/* A consume of one message, for at most time_wait_ms. */
static struct messages wait_message(struct fixture *fixture, int64_t time_wait_ms)
{
    struct queue_harness_consume own;

    begin_consume(fixture, &own, fixture->group, 1, time_wait_ms, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    return end_consume(&own);
}

/* Consumes and acks until nothing comes; the values one after the other. */
static void drain(struct fixture *fixture, char *values, size_t size)
{
    size_t length = 0;
    values[0] = '\0';
    for (;;) {
        struct messages messages = get(fixture, fixture->group, 10);
        if (messages.count == 0) {
            return;
        }
        for (uint32_t i = 0; i < messages.count; i++) {
            length += (size_t)snprintf(values + length, size - length, "%s%s",
                                       length == 0 ? "" : " ", messages.values[i]);
            assert_true(length < size);
        }
        ack_all(fixture, fixture->group, &messages);
    }
}

static void assert_drained(struct fixture *fixture, const char *expected)
{
    char values[1024];
    drain(fixture, values, sizeof values);
    assert_string_equal(values, expected);
}

static void message_comes_at_its_time_and_not_before(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_NORMAL, 3, 0);

    int64_t sent_ms = now_ms(fixture);
    must_delay(fixture, "later", 5000);
    assert_int_equal(count(fixture, fixture->group).delayed, 1);
    assert_counters(fixture, fixture->group, 0, 0, 0);
    struct messages messages = wait_message(fixture, 60000);
    int64_t waited_ms = now_ms(fixture) - sent_ms;
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "later");
    assert_true(waited_ms >= 5000);
    assert_true(waited_ms <= 5000 + LATENESS_MS_MAX);
    assert_int_equal(count(fixture, fixture->group).delayed, 0);
    assert_counters(fixture, fixture->group, 1, 0, 1);
}

static void longest_delay_is_exact(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_NORMAL, 1, 0);

    must_delay(fixture, "week", QUEUE_DELAY_MS_MAX);
    advance_ms(fixture, QUEUE_DELAY_MS_MAX - 2000);
    assert_int_equal(get(fixture, fixture->group, 1).count, 0); /* waits for a second */
    advance_ms(fixture, 1000);
    assert_drained(fixture, "week");
}

static void ready_messages_are_not_blocked(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_produce own = {.is_over = false};
    struct queue_produce_message messages[3] = {
        {.value = base_slice_text("a")},
        {.value = base_slice_text("b"), .delay_ms = 3000},
        {.value = base_slice_text("c")},
    };
    make_queue(fixture, CATALOG_FIFO, 1, 0);

    send(fixture, &own, messages, 3);
    assert_int_equal(own.produce.verdict, QUEUE_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(own.produce.results[i].err, BASE_ERR_OK);
        assert_string_not_equal(own.produce.results[i].id, own.produce.results[(i + 1) % 3].id);
    }
    assert_drained(fixture, "a c");
    advance_ms(fixture, 3000);
    assert_drained(fixture, "b");
}

static void fifo_queue_gets_them_in_order_of_due_time(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_FIFO, 1, 0);

    must_delay(fixture, "third", 3000);
    must_delay(fixture, "first", 1000);
    must_delay(fixture, "second", 2000);
    put(fixture, "now", 0, 1);
    advance_ms(fixture, 4000);
    assert_drained(fixture, "now0 first second third");
}

static void those_due_while_the_broker_was_down_come_in_order(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_FIFO, 1, 0);

    must_delay(fixture, "c", 3000);
    must_delay(fixture, "a", 1000);
    must_delay(fixture, "b", 2000);
    must_delay(fixture, "much-later", 3600 * 1000);
    io_sim_crash(fixture->harness.sim);
    queue_harness_stop(&fixture->harness);
    advance_ms(fixture, 10000);
    io_sim_restart(fixture->harness.sim, true);
    assert_int_equal(queue_harness_start(&fixture->harness), BASE_ERR_OK);
    assert_int_equal(count(fixture, fixture->group).delayed, 4);
    assert_drained(fixture, "a b c");
    assert_int_equal(queue_delayed_count(fixture->harness.manager), 1);
}

/* The id that the producer was told goes with the message. */
static void id_goes_with_the_message(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;
    struct base_slice id;
    make_queue(fixture, CATALOG_NORMAL, 3, 0);

    struct delayed delayed = put_delayed(fixture, "x", 50);
    begin_consume(fixture, &own, fixture->group, 1, 1000, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(own.consume.messages_count, 1);
    const struct logstore_record *record = &own.consume.messages[0].record;
    assert_true(logstore_record_header(record, "dms.id", &id));
    assert_true(base_slice_is(id, delayed.id));
    assert_true(logstore_record_header(record, "dms.deliver_at", &id));
    (void)end_consume(&own);
}

static void deleting_the_queue_drops_what_waits(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_NORMAL, 1, 0);

    for (unsigned i = 0; i < 5; i++) {
        must_delay(fixture, "x", 1000 * i + 1000);
    }
    advance_ms(fixture, 1500);
    assert_int_equal(queue_delayed_count(fixture->harness.manager), 4);
    assert_true(queue_harness_delete_queue(&fixture->harness, fixture->topic));
    assert_int_equal(queue_delayed_count(fixture->harness.manager), 0);
    restart(fixture, false);
    assert_int_equal(queue_delayed_count(fixture->harness.manager), 0);
}

static void full_disk_loses_and_repeats_nothing(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_FIFO, 1, 0);

    must_delay(fixture, "a", 1000);
    must_delay(fixture, "b", 2000);
    io_sim_set_full(fixture->harness.sim, true);
    advance_ms(fixture, 60000);
    assert_int_equal(count(fixture, fixture->group).delayed, 2);
    assert_int_equal(put_delayed(fixture, "refused", 1000).err, BASE_ERR_NO_SPACE);
    io_sim_set_full(fixture->harness.sim, false);
    advance_ms(fixture, 11000); /* the longest pause between two tries */
    assert_drained(fixture, "a b");
    restart(fixture, false);
    assert_drained(fixture, "");
}

static void more_than_the_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture->harness.delayed_max = 2;
    restart(fixture, false);
    make_queue(fixture, CATALOG_NORMAL, 1, 0);

    must_delay(fixture, "a", 1000);
    must_delay(fixture, "b", 1000);
    assert_int_equal(put_delayed(fixture, "c", 1000).err, BASE_ERR_BUSY);
    advance_ms(fixture, 1100);
    must_delay(fixture, "d", 1000);
}

/* One queue's share is used up, the others' are not. */
static void more_than_a_queues_share_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture->harness.delayed_queue_max = 2;
    restart(fixture, false);
    make_queue(fixture, CATALOG_NORMAL, 1, 0);

    must_delay(fixture, "a", 1000);
    must_delay(fixture, "b", 1000);
    assert_int_equal(put_delayed(fixture, "c", 1000).err, BASE_ERR_BUSY);
    struct catalog_topic *first = fixture->topic;
    fixture->topic = queue_harness_make_queue(&fixture->harness, "other", CATALOG_NORMAL, 1, 0);
    must_delay(fixture, "d", 1000);
    catalog_topic_release(&fixture->topic);
    fixture->topic = first;
    advance_ms(fixture, 1100);
    must_delay(fixture, "e", 1000);
}

/* Of one request as many are taken as there is room for, in their order; the messages that do not
 * wait are not concerned. */
static void what_there_is_room_for_is_taken(void **state)
{
    enum { COUNT = 5 };
    static const char *const values[COUNT] = {"now", "a", "b", "c", "at-once"};
    struct fixture *fixture = *state;
    struct queue_harness_produce own = {.is_over = false};
    struct queue_produce_message messages[COUNT] = {{.headers_count = 0}};

    fixture->harness.delayed_max = 5;
    fixture->harness.delayed_queue_max = 3;
    restart(fixture, false);
    make_queue(fixture, CATALOG_FIFO, 1, 0);
    must_delay(fixture, "first", 500);
    for (unsigned i = 0; i < COUNT; i++) {
        messages[i].value = base_slice_text(values[i]);
        messages[i].delay_ms = i == 0 || i == COUNT - 1 ? 0 : 10000;
    }
    send(fixture, &own, messages, COUNT);
    assert_int_equal(own.produce.verdict, QUEUE_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(own.produce.results[i].err, i == 3 ? BASE_ERR_BUSY : BASE_ERR_OK);
    }
    assert_int_equal(queue_delayed_count(fixture->harness.manager), 3);
    assert_drained(fixture, "now at-once first");
    advance_ms(fixture, 10000);
    assert_drained(fixture, "a b");
    assert_int_equal(queue_delayed_count(fixture->harness.manager), 0);
    restart(fixture, true);
    assert_drained(fixture, "");
}

static void clock_set_forward_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_NORMAL, 1, 0);

    must_delay(fixture, "x", 3600 * 1000);
    advance_ms(fixture, 1000);
    sim_scheduler_set_wall(fixture->harness.scheduler, 3600 * QUEUE_HARNESS_SECOND);
    advance_ms(fixture, 11000);
    assert_drained(fixture, "x");
}

static void clock_set_back_makes_them_wait(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_NORMAL, 1, 0);

    must_delay(fixture, "x", 10000);
    sim_scheduler_set_wall(fixture->harness.scheduler, -3600 * QUEUE_HARNESS_SECOND);
    advance_ms(fixture, 3600 * 1000);
    assert_drained(fixture, "");
    advance_ms(fixture, 10000);
    assert_drained(fixture, "x");
}

/* Sums of the offsets of all delay logs; of those in use there is one. */
static struct partition_offsets log_offsets(struct fixture *fixture)
{
    struct catalog_view *view = catalog_view(fixture->harness.catalog);
    const struct catalog_topic *topic = catalog_view_topic(view, base_slice_text("__dms_delayed"));
    struct partition_offsets sums = {.start = 0};

    assert_non_null(topic);
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct partition_offsets offsets;
        struct partition *partition = partition_table_get(fixture->harness.table, topic->id, i);
        partition_offsets(partition, &offsets);
        sums.start += offsets.start;
        sums.end += offsets.end;
        partition_release(&partition);
    }
    catalog_view_release(&view);
    return sums;
}

static int64_t log_start(struct fixture *fixture)
{
    return log_offsets(fixture).start;
}

static void log_start_follows_what_waits(void **state)
{
    struct fixture *fixture = *state;
    make_queue(fixture, CATALOG_NORMAL, 1, 0);

    for (unsigned i = 0; i < 200; i++) {
        must_delay(fixture, "x", 1000);
    }
    must_delay(fixture, "far", 3600 * 1000);
    advance_ms(fixture, 20000);
    /* Whole blocks of QUEUE_DELAY_BLOCK offsets, up to the one with the far message. */
    assert_int_equal(log_start(fixture), 192);
    advance_ms(fixture, 3600 * 1000);
    assert_true(log_start(fixture) > 200);
}

static void put_ten(struct fixture *fixture, int64_t delay_ms)
{
    struct queue_harness_produce own = {.is_over = false};
    struct queue_produce_message messages[10];

    for (unsigned i = 0; i < 10; i++) {
        messages[i] =
            (struct queue_produce_message){.value = base_slice_text("x"), .delay_ms = delay_ms};
    }
    send(fixture, &own, messages, 10);
    assert_int_equal(own.produce.verdict, QUEUE_OK);
}

/* Fills a long log: far ones first, then many that are soon moved. */
static struct delayed fill_long_log(struct fixture *fixture)
{
    struct delayed far = put_delayed(fixture, "far1", 3600 * 1000);

    assert_int_equal(far.err, BASE_ERR_OK);
    must_delay(fixture, "far2", 3700 * 1000);
    must_delay(fixture, "near", 30 * 1000);
    for (unsigned i = 0; i < 30; i++) {
        put_ten(fixture, 1000 + i);
    }
    return far;
}

static void far_message_does_not_keep_the_log(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;
    struct base_slice id;

    fixture->harness.delay_rewrite_bytes = 1;
    restart(fixture, false);
    make_queue(fixture, CATALOG_FIFO, 1, 0);
    struct delayed far = fill_long_log(fixture);
    advance_ms(fixture, 60 * 1000);
    assert_true(log_start(fixture) >= 256);
    assert_int_equal(count(fixture, fixture->group).delayed, 2);
    assert_int_equal(queue_delayed_count(fixture->harness.manager), 2);
    restart(fixture, true);
    assert_int_equal(count(fixture, fixture->group).delayed, 2);
    for (unsigned i = 0; i < 301;) {
        struct messages messages = get(fixture, fixture->group, 10);
        assert_true(messages.count > 0);
        i += messages.count;
        ack_all(fixture, fixture->group, &messages);
    }
    advance_ms(fixture, 3600 * 1000);
    begin_consume(fixture, &own, fixture->group, 1, 1000, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(own.consume.messages_count, 1);
    assert_true(logstore_record_header(&own.consume.messages[0].record, "dms.id", &id));
    assert_true(base_slice_is(id, far.id));
    struct messages messages = end_consume(&own);
    assert_string_equal(messages.values[0], "far1");
    ack_all(fixture, fixture->group, &messages);
    advance_ms(fixture, 100 * 1000);
    assert_drained(fixture, "far2");
}

/* However much there is to be written again, others get the thread after each batch. */
static void rewriting_is_done_in_bounded_turns(void **state)
{
    enum { FAR = 2000, NEAR = 3 * FAR + QUEUE_DELAY_BLOCK, TURN_MAX = FAR / 2 + 1 };
    struct fixture *fixture = *state;
    int64_t written = FAR + NEAR;

    fixture->harness.delay_rewrite_bytes = 1;
    restart(fixture, false);
    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    for (unsigned i = 0; i < FAR + NEAR; i += 10) {
        put_ten(fixture, i < FAR ? 3600 * 1000 : 30 * 1000);
    }
    advance_ms(fixture, 29000);
    while (log_start(fixture) < FAR) {
        if (!sim_scheduler_step(fixture->harness.scheduler)) {
            assert_true(sim_scheduler_pass(fixture->harness.scheduler));
        }
        int64_t end = log_offsets(fixture).end;
        assert_true(end - written <= TURN_MAX);
        written = end;
    }
    assert_true(written > FAR + NEAR + FAR);
}

/* The disk dies at the n-th call while far messages are written again. */
static void crash_while_rewriting_loses_and_repeats_nothing(void **state)
{
    (void)state;
    for (uint64_t calls = 0;; calls += 7) {
        struct fixture fixture = {.topic = NULL};
        queue_harness_init(&fixture.harness, 7 + calls,
                           &(struct io_sim_options){.latency_us_max = 2000});
        fixture.harness.delay_rewrite_bytes = 1;
        assert_int_equal(queue_harness_start(&fixture.harness), BASE_ERR_OK);
        make_queue(&fixture, CATALOG_FIFO, 1, 0);
        (void)fill_long_log(&fixture);
        io_sim_crash_at(fixture.harness.sim, calls);
        advance_ms(&fixture, 20000);
        bool has_crashed = io_sim_has_crashed(fixture.harness.sim);
        restart(&fixture, calls % 2 == 0);
        advance_ms(&fixture, 20000);
        assert_int_equal(count(&fixture, fixture.group).delayed, 2);
        assert_int_equal(count(&fixture, fixture.group).produced, 301);
        advance_ms(&fixture, 3700 * 1000);
        assert_int_equal(count(&fixture, fixture.group).delayed, 0);
        assert_int_equal(count(&fixture, fixture.group).produced, 303);
        catalog_topic_release(&fixture.topic);
        queue_harness_fini(&fixture.harness);
        if (!has_crashed) {
            assert_true(calls > 30);
            return;
        }
    }
}

/* Three are produced, then the disk dies at the n-th call from there on. Whatever was
 * promised comes once: neither lost nor, since the mover compares, twice. */
static void crash_at_any_call_loses_and_repeats_nothing(void **state)
{
    (void)state;
    for (uint64_t calls = 0;; calls++) {
        struct fixture fixture = {.topic = NULL};
        queue_harness_init(&fixture.harness, 7 + calls,
                           &(struct io_sim_options){.latency_us_max = 2000});
        assert_int_equal(queue_harness_start(&fixture.harness), BASE_ERR_OK);
        make_queue(&fixture, CATALOG_FIFO, 1, 0);
        must_delay(&fixture, "b", 200);
        must_delay(&fixture, "a", 100);
        must_delay(&fixture, "c", 300);
        io_sim_crash_at(fixture.harness.sim, calls);
        advance_ms(&fixture, 250);
        bool has_crashed = io_sim_has_crashed(fixture.harness.sim);
        restart(&fixture, calls % 2 == 0);
        advance_ms(&fixture, 400);
        assert_drained(&fixture, "a b c");
        assert_int_equal(queue_delayed_count(fixture.harness.manager), 0);
        restart(&fixture, false); /* the marks of the second run */
        assert_drained(&fixture, "");
        catalog_topic_release(&fixture.topic);
        queue_harness_fini(&fixture.harness);
        if (!has_crashed) {
            assert_true(calls > 3);
            return;
        }
    }
}

/* A sync fails while they are moved: that log stops, and what it had is settled by the next
 * start. A queue with one partition can wait for that, so nothing comes twice. */
static void failed_sync_loses_and_repeats_nothing(void **state)
{
    (void)state;
    for (uint64_t syncs = 0; syncs < 8; syncs++) {
        struct fixture fixture = {.topic = NULL};
        queue_harness_init(&fixture.harness, 7 + syncs,
                           &(struct io_sim_options){.latency_us_max = 2000});
        assert_int_equal(queue_harness_start(&fixture.harness), BASE_ERR_OK);
        make_queue(&fixture, CATALOG_FIFO, 1, 0);
        must_delay(&fixture, "b", 200);
        must_delay(&fixture, "a", 100);
        must_delay(&fixture, "c", 300);
        io_sim_fail_sync_at(fixture.harness.sim, syncs);
        advance_ms(&fixture, 3000);
        restart(&fixture, syncs % 2 == 0);
        advance_ms(&fixture, 3000);
        assert_drained(&fixture, "a b c");
        assert_int_equal(queue_delayed_count(fixture.harness.manager), 0);
        catalog_topic_release(&fixture.topic);
        queue_harness_fini(&fixture.harness);
    }
}

/* Where the disk does not read the queue, a message that a crash has left in doubt comes all the
 * same. */
static void what_cannot_be_compared_is_moved(void **state)
{
    const int64_t step_us = 3700 * QUEUE_HARNESS_SECOND;
    struct fixture fixture = {.topic = NULL};
    char name[128];

    (void)state;
    queue_harness_init(&fixture.harness, 7,
                       &(struct io_sim_options){.pending_one_in = 1, .latency_us_max = 2000});
    assert_int_equal(queue_harness_start(&fixture.harness), BASE_ERR_OK);
    make_queue(&fixture, CATALOG_NORMAL, 2, 0);
    must_delay(&fixture, "x", 3600 * 1000);
    sim_scheduler_set_wall(fixture.harness.scheduler, step_us);
    put(&fixture, "m", 0, 1);
    put(&fixture, "m", 1, 1);
    (void)snprintf(name, sizeof name, "%s-1/00000000000000000000.log", fixture.topic->id_text);
    int64_t batch_size = io_sim_size(fixture.harness.sim, name);
    put(&fixture, "m", 2, 1);
    put(&fixture, "m", 3, 1);
    sim_scheduler_set_wall(fixture.harness.scheduler, -step_us);
    restart(&fixture, false); /* from disk, not from the tail */
    io_sim_cut(fixture.harness.sim, name, (uint64_t)(2 * batch_size - 1));
    sim_scheduler_set_wall(fixture.harness.scheduler, step_us);
    advance_ms(&fixture, 11000);
    assert_int_equal(count(&fixture, fixture.group).delayed, 0);
    assert_int_equal(count(&fixture, fixture.group).produced, 5);
    catalog_topic_release(&fixture.topic);
    queue_harness_fini(&fixture.harness);
}

/* As many as a move takes, and more, with one due time and several partitions. */
static void many_at_once_come_once_each(void **state)
{
    struct fixture *fixture = *state;
    struct queue_produce_message messages[10];
    char seen[2500] = {0};
    char values[10][16];
    make_queue(fixture, CATALOG_NORMAL, 3, 0);

    for (unsigned i = 0; i < sizeof seen; i += 10) {
        struct queue_harness_produce own = {.is_over = false};
        for (unsigned j = 0; j < 10; j++) {
            (void)snprintf(values[j], sizeof values[j], "%u", i + j);
            messages[j] = (struct queue_produce_message){.value = base_slice_text(values[j]),
                                                         .delay_ms = 10000 - (i + j) % 7};
        }
        send(fixture, &own, messages, 10);
        assert_int_equal(own.produce.verdict, QUEUE_OK);
    }
    restart(fixture, true);
    assert_int_equal(count(fixture, fixture->group).delayed, sizeof seen);
    advance_ms(fixture, 11000);
    assert_counters(fixture, fixture->group, sizeof seen, 0, sizeof seen);
    for (unsigned left = sizeof seen; left > 0;) {
        struct messages got = get(fixture, fixture->group, 10);
        assert_true(got.count > 0);
        for (uint32_t i = 0; i < got.count; i++) {
            unsigned value = (unsigned)strtoul(got.values[i], NULL, 10);
            assert_true(value < sizeof seen);
            assert_int_equal(seen[value]++, 0);
        }
        ack_all(fixture, fixture->group, &got);
        left -= got.count;
    }
}

int main(void)
{
#define DELAY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        DELAY_TEST(message_comes_at_its_time_and_not_before),
        DELAY_TEST(longest_delay_is_exact),
        DELAY_TEST(ready_messages_are_not_blocked),
        DELAY_TEST(fifo_queue_gets_them_in_order_of_due_time),
        DELAY_TEST(those_due_while_the_broker_was_down_come_in_order),
        DELAY_TEST(id_goes_with_the_message),
        DELAY_TEST(deleting_the_queue_drops_what_waits),
        DELAY_TEST(full_disk_loses_and_repeats_nothing),
        DELAY_TEST(more_than_the_limit_is_refused),
        DELAY_TEST(more_than_a_queues_share_is_refused),
        DELAY_TEST(what_there_is_room_for_is_taken),
        DELAY_TEST(clock_set_forward_is_noticed),
        DELAY_TEST(clock_set_back_makes_them_wait),
        DELAY_TEST(log_start_follows_what_waits),
        DELAY_TEST(far_message_does_not_keep_the_log),
        DELAY_TEST(rewriting_is_done_in_bounded_turns),
        cmocka_unit_test(crash_while_rewriting_loses_and_repeats_nothing),
        cmocka_unit_test(crash_at_any_call_loses_and_repeats_nothing),
        cmocka_unit_test(failed_sync_loses_and_repeats_nothing),
        cmocka_unit_test(what_cannot_be_compared_is_moved),
        DELAY_TEST(many_at_once_come_once_each),
    };
#undef DELAY_TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
