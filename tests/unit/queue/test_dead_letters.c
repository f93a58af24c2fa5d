/* What fails too often becomes a dead letter of its group: once, durably, in order, for 72 hours.
 */
#include <stdlib.h>

#include "core/catalog/dead_letters.h"
#include "core/queue/dead_letter.h"
#include "core/queue/redrive.h"
#include "tests/unit/queue/queue_fixture.h"

enum { HOURS_72_MS = 72 * 60 * 60 * 1000 };

/* What has expired stays in its log. */
static int set_up_without_retention(void **state)
{
    return set_up_checking(state, INT64_C(30) * 24 * 60 * 60 * 1000);
}

static void make_redrive(struct fixture *fixture, enum catalog_kind kind, int32_t partitions_count,
                         int32_t max_consume_count)
{
    fixture->topic = queue_harness_make_redrive_queue(&fixture->harness, "q", kind,
                                                      partitions_count, max_consume_count);
    assert_true(queue_harness_make_group(&fixture->harness, &fixture->topic, "one"));
    assert_true(queue_harness_make_group(&fixture->harness, &fixture->topic, "two"));
    (void)snprintf(fixture->group, sizeof fixture->group, "%s", fixture->topic->groups[0].id);
    (void)snprintf(fixture->group2, sizeof fixture->group2, "%s", fixture->topic->groups[1].id);
}

/* The topic of the group's dead letters; the caller releases it. */
static struct catalog_topic *letters_of(struct fixture *fixture, const char *group)
{
    struct catalog_view *view = catalog_view(fixture->harness.catalog);
    struct base_uuid id;

    assert_true(catalog_dead_letters_topic_id(base_slice_text(group), &id));
    const struct catalog_topic *topic = catalog_view_topic_by_id(view, id);
    struct catalog_topic *held = topic == NULL ? NULL : catalog_topic_hold(topic);
    catalog_view_release(&view);
    return held;
}

/* From now on the short words of the fixture are about the dead letters of the group; swapping
 * again ends that. */
struct swap {
    struct catalog_topic *topic;
    char group[CATALOG_GROUP_ID_SIZE];
};

static struct swap swap_to_letters(struct fixture *fixture, const char *group)
{
    struct swap swap = {.topic = fixture->topic};

    fixture->topic = letters_of(fixture, group);
    assert_non_null(fixture->topic);
    catalog_dead_letters_group_id(group, swap.group);
    return swap;
}

static void swap_back(struct fixture *fixture, struct swap *swap)
{
    catalog_topic_release(&fixture->topic);
    fixture->topic = swap->topic;
}

/* Consumes once and fails the first message that comes. */
static void fail_one(struct fixture *fixture, const char *value)
{
    struct messages messages = get(fixture, fixture->group, 1);

    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], value);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 1, "f");
    assert_int_equal(result.verdict, QUEUE_OK);
    assert_int_equal(result.fail_count, 1);
    advance_ms(fixture, 100);
}

static void assert_letters(struct fixture *fixture, const char *group, int64_t produced,
                           int64_t available)
{
    struct queue_counters counters = count(fixture, group);
    assert_int_equal(counters.dead_produced, produced);
    assert_int_equal(counters.dead_available, available);
}

static bool header_is(const struct queue_message *message, const char *key, const char *expected)
{
    struct base_slice value;
    return logstore_record_header(&message->record, key, &value) && base_slice_is(value, expected);
}

/* Guide 2.1: 当达到最大消费次数仍然消费失败后. Table 1-2: it counts as consumed. */
static void message_that_failed_as_often_as_allowed_is_a_dead_letter(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_redrive(fixture, CATALOG_NORMAL, 1, 3);
    put(fixture, "m", 0, 2);
    int64_t produced_ms = base_clock_wall_ms(fixture->harness.clock);
    struct messages kept = get(fixture, fixture->group, 1);
    fail_one(fixture, "m1");
    fail_one(fixture, "m1");
    assert_letters(fixture, fixture->group, 0, 0);
    assert_counters(fixture, fixture->group, 2, 0, 2);
    fail_one(fixture, "m1");
    assert_letters(fixture, fixture->group, 1, 1);
    assert_counters(fixture, fixture->group, 2, 1, 1);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    ack_all(fixture, fixture->group, &kept);
    assert_letters(fixture, fixture->group2, 0, 0);
    assert_counters(fixture, fixture->group2, 2, 0, 2);

    struct swap swap = swap_to_letters(fixture, fixture->group);
    begin_consume(fixture, &own, swap.group, 10, 0, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(own.consume.messages_count, 1);
    const struct queue_message *message = &own.consume.messages[0];
    assert_true(base_slice_is(message->record.value, "m1"));
    assert_true(header_is(message, "dms.dead.partition", "0"));
    assert_true(header_is(message, "dms.dead.offset", "1"));
    assert_true(header_is(message, "dms.dead.reason", "ack_fail"));
    assert_true(header_is(message, "dms.dead.attempts", "3"));
    struct queue_dead_letter letter;
    queue_dead_letter_read(&message->record, &letter);
    assert_int_equal(letter.offset, 1);
    assert_true(llabs(letter.produced_ms - produced_ms) < 100);
    assert_true(message->record.timestamp_ms > letter.produced_ms);
    assert_false(letter.timed_out);
    (void)end_consume(&own);
    swap_back(fixture, &swap);
}

static void leases_that_end_count_and_say_so(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_redrive(fixture, CATALOG_NORMAL, 1, 2);
    put(fixture, "m", 0, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(get(fixture, fixture->group, 1).count, 1);
        advance_ms(fixture, 31000);
    }
    assert_letters(fixture, fixture->group, 1, 1); /* nobody had to ask for anything */
    struct swap swap = swap_to_letters(fixture, fixture->group);
    begin_consume(fixture, &own, swap.group, 10, 0, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_true(header_is(&own.consume.messages[0], "dms.dead.reason", "ack_timeout"));
    assert_true(header_is(&own.consume.messages[0], "dms.dead.attempts", "2"));
    (void)end_consume(&own);
    swap_back(fixture, &swap);
}

/* Guide 1.1: 有序队列的死信消息依然按照先入先出（FIFO）的顺序存储在死信队列中. */
static void letters_of_a_fifo_queue_are_in_order_and_block_nothing_for_long(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_FIFO, 1, 1);
    put(fixture, "m", 0, 8);
    assert_int_equal(get(fixture, fixture->group, 3).count, 3);
    advance_ms(fixture, 31000); /* m0, m1, m2 */
    fail_one(fixture, "m3");
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 4);
    assert_string_equal(messages.values[0], "m4");
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 2, "sf").success_count, 1);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 2);
    assert_string_equal(messages.values[0], "m6");

    struct swap swap = swap_to_letters(fixture, fixture->group);
    messages = get(fixture, swap.group, 2);
    assert_int_equal(messages.count, 2);
    assert_string_equal(messages.values[0], "m0");
    assert_string_equal(messages.values[1], "m1");
    assert_int_equal(get(fixture, swap.group, 10).count, 0); /* one batch in flight */
    struct queue_ack result = ack(fixture, swap.group, &messages, 0, 2, "sf");
    assert_int_equal(result.success_count, 1);
    messages = get(fixture, swap.group, 10);
    assert_int_equal(messages.count, 4);
    assert_string_equal(messages.values[0], "m1");
    assert_string_equal(messages.values[1], "m2");
    assert_string_equal(messages.values[2], "m3");
    assert_string_equal(messages.values[3], "m5");
    ack_all(fixture, swap.group, &messages);
    swap_back(fixture, &swap);
    assert_letters(fixture, fixture->group, 5, 0);
}

static void nothing_behind_a_dead_message_is_delivered_before_it_is_moved(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_redrive(fixture, CATALOG_FIFO, 1, 1);
    put(fixture, "m", 0, 3);
    struct messages messages = get(fixture, fixture->group, 1);
    io_sim_set_sync_us(fixture->harness.sim, 5 * QUEUE_HARNESS_SECOND);
    begin_consume(fixture, &own, fixture->group, 1, 60000, 30000);
    struct queue_ack result = ack(fixture, fixture->group, &messages, 0, 1, "f");
    assert_int_equal(result.fail_count, 1);
    advance_ms(fixture, 8000); /* the copy and the journal take five seconds each */
    assert_false(own.is_over);
    advance_ms(fixture, 4000);
    assert_true(own.is_over);
    messages = end_consume(&own);
    assert_string_equal(messages.values[0], "m1");
    assert_letters(fixture, fixture->group, 1, 1);
}

/* API 1.9, 1.12: 10542205 for a handler of the other kind. */
static void handlers_of_letters_and_of_messages_are_not_mixed_up(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    put(fixture, "m", 0, 2);
    fail_one(fixture, "m0");
    struct messages ordinary = get(fixture, fixture->group, 10);
    struct swap swap = swap_to_letters(fixture, fixture->group);
    struct messages dead = get(fixture, swap.group, 10);
    assert_int_equal(ack(fixture, swap.group, &ordinary, 0, 1, "").verdict, QUEUE_HANDLER_OF_OTHER);
    swap_back(fixture, &swap);
    assert_int_equal(ack(fixture, fixture->group, &dead, 0, 1, "").verdict, QUEUE_HANDLER_OF_OTHER);
    assert_int_equal(ack(fixture, fixture->group2, &dead, 0, 1, "").verdict,
                     QUEUE_HANDLER_MISMATCH);
    ack_all(fixture, fixture->group, &ordinary);
    assert_letters(fixture, fixture->group, 1, 1);
}

static void letter_that_fails_again_is_only_available_again(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    put(fixture, "m", 0, 1);
    fail_one(fixture, "m0");
    struct swap swap = swap_to_letters(fixture, fixture->group);
    for (unsigned i = 0; i < 5; i++) {
        struct messages messages = get(fixture, swap.group, 1);
        assert_int_equal(messages.count, 1);
        assert_int_equal(messages.failures[0], i);
        assert_int_equal(get(fixture, swap.group, 1).count, 0); /* hidden by its own lease */
        if (i % 2 == 0) {
            (void)ack(fixture, swap.group, &messages, 0, 1, "f");
        } else {
            advance_ms(fixture, 31000);
        }
    }
    swap_back(fixture, &swap);
    assert_letters(fixture, fixture->group, 1, 1);
}

/* Guide 1.1: 有效期为 72 小时, from the moment of dead-lettering. Table 1-2: 死信历史消息数 counts
 * those that expired. */
static void letter_lives_for_72_hours_and_is_counted_for_ever(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    put(fixture, "m", 0, 1);
    advance_ms(fixture, 3600000);
    fail_one(fixture, "m0");
    advance_ms(fixture, HOURS_72_MS - 1000);
    assert_letters(fixture, fixture->group, 1, 1);
    struct swap swap = swap_to_letters(fixture, fixture->group);
    struct messages messages = get(fixture, swap.group, 1);
    assert_int_equal(messages.count, 1);
    (void)ack(fixture, swap.group, &messages, 0, 1, "f");
    advance_ms(fixture, 2000);
    assert_int_equal(get(fixture, swap.group, 1).count, 0);
    swap_back(fixture, &swap);
    assert_letters(fixture, fixture->group, 1, 0);
    restart(fixture, true);
    assert_letters(fixture, fixture->group, 1, 0);
}

static void letters_and_counters_survive_a_power_cut(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 3, 1);
    put(fixture, "m", 0, 4);
    fail_one(fixture, "m0");
    fail_one(fixture, "m1");
    struct swap swap = swap_to_letters(fixture, fixture->group);
    struct messages messages = get(fixture, swap.group, 1);
    ack_all(fixture, swap.group, &messages);
    swap_back(fixture, &swap);
    restart(fixture, true);
    assert_letters(fixture, fixture->group, 2, 1);
    assert_counters(fixture, fixture->group, 4, 2, 2);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 2);
    assert_string_equal(messages.values[0], "m2");
}

static void full_disk_keeps_the_message_in_the_queue_until_there_is_room(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    put(fixture, "m", 0, 1);
    assert_int_equal(get(fixture, fixture->group, 1).count, 1);
    io_sim_set_full(fixture->harness.sim, true);
    advance_ms(fixture, 40000);
    assert_letters(fixture, fixture->group, 0, 0);
    assert_counters(fixture, fixture->group, 1, 0, 1);
    assert_int_equal(get(fixture, fixture->group, 1).count, 0); /* nobody else gets it */
    io_sim_set_full(fixture->harness.sim, false);
    advance_ms(fixture, 3000);
    assert_letters(fixture, fixture->group, 1, 1);
    assert_counters(fixture, fixture->group, 1, 1, 0);
}

static void segment_name(const struct catalog_topic *topic, int32_t partition, char name[128])
{
    (void)snprintf(name, 128, "%s-%d/00000000000000000000.log", topic->id_text, (int)partition);
}

/* What was to become a letter is gone from its log, which says so: that is no reason to look for it
 * without a pause. */
static void dead_message_that_its_log_has_lost_keeps_nobody_busy(void **state)
{
    struct fixture *fixture = *state;
    char name[128];

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    segment_name(fixture->topic, 0, name);
    put(fixture, "m", 0, 1);
    int64_t batch_size = io_sim_size(fixture->harness.sim, name);
    put(fixture, "m", 1, 1);
    put(fixture, "m", 2, 1);
    restart(fixture, false); /* which notes what is durable */
    struct messages messages = get(fixture, fixture->group, 3);
    assert_int_equal(messages.count, 3);
    io_sim_set_sync_us(fixture->harness.sim, 5 * QUEUE_HARNESS_SECOND);
    assert_int_equal(ack(fixture, fixture->group, &messages, 2, 1, "f").fail_count, 1);
    io_sim_crash(fixture->harness.sim); /* the copy is on its way */
    io_sim_set_sync_us(fixture->harness.sim, 0);
    io_sim_cut(fixture->harness.sim, name, (uint64_t)batch_size);
    struct catalog_topic *letters = letters_of(fixture, fixture->group);
    segment_name(letters, 0, name);
    io_sim_cut(fixture->harness.sim, name, 0);
    catalog_topic_release(&letters);
    restart(fixture, false);
    advance_ms(fixture, 10000);
    assert_letters(fixture, fixture->group, 0, 0);
    assert_int_equal(get(fixture, fixture->group, 10).count, 1);
}

static void dead_message_that_cannot_be_read_holds_up_those_of_no_other_partition(void **state)
{
    enum { PARTITIONS = 3, DAMAGED = 2 };
    struct fixture *fixture = *state;
    struct messages messages[PARTITIONS];
    char name[128];

    make_redrive(fixture, CATALOG_NORMAL, PARTITIONS, 1);
    put(fixture, "m", 0, 1); /* one to each */
    put(fixture, "m", 1, 1);
    put(fixture, "m", 2, 1);
    restart(fixture, false); /* from disk, not from the tail */
    for (int32_t i = 0; i < PARTITIONS; i++) {
        messages[i] = get(fixture, fixture->group, 1);
        assert_int_equal(messages[i].partition, i);
    }
    for (int32_t i = 0; i < DAMAGED; i++) {
        segment_name(fixture->topic, i, name);
        io_sim_flip(fixture->harness.sim, name, 65, 0);
    }
    for (int32_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(ack(fixture, fixture->group, &messages[i], 0, 1, "f").fail_count, 1);
    }
    advance_ms(fixture, 3000);
    assert_letters(fixture, fixture->group, 1, 1);
    for (int32_t i = 0; i < DAMAGED; i++) {
        segment_name(fixture->topic, i, name);
        io_sim_flip(fixture->harness.sim, name, 65, 0); /* mended */
    }
    advance_ms(fixture, 3000);
    assert_letters(fixture, fixture->group, PARTITIONS, PARTITIONS);
}

static void dead_message_that_found_no_memory_is_moved_later(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    put(fixture, "m", 0, 1);
    assert_int_equal(get(fixture, fixture->group, 1).count, 1);
    advance_ms(fixture, 29900);
    base_alloc_fail_after(0, 1000);
    advance_ms(fixture, 200); /* the lease ends */
    assert_true(base_alloc_fault_fired());
    base_alloc_fail_after(-1, 0);
    advance_ms(fixture, 3000); /* and nobody asks for anything */
    assert_letters(fixture, fixture->group, 1, 1);
}

/* Wherever the broker dies, the message is in one of the two logs, and in one only. */
static void crash_anywhere_neither_loses_nor_doubles(void **state)
{
    struct fixture *fixture = *state;
    bool was_over = false;

    for (uint64_t calls = 0; !was_over; calls++) {
        make_redrive(fixture, CATALOG_NORMAL, 1, 1);
        put(fixture, "m", 0, 3);
        struct messages messages = get(fixture, fixture->group, 3);
        assert_int_equal(ack(fixture, fixture->group, &messages, 2, 1, "").success_count, 1);
        io_sim_crash_at(fixture->harness.sim, calls);
        advance_ms(fixture, 35000); /* two leases end, two messages die */
        was_over = !io_sim_has_crashed(fixture->harness.sim);
        restart(fixture, calls % 2 == 0);
        advance_ms(fixture, 3000);
        struct queue_counters counters = count(fixture, fixture->group);
        assert_int_equal(counters.available + counters.dead_produced, 2);
        assert_int_equal(counters.consumed, 1 + counters.dead_produced);
        assert_int_equal(counters.dead_available, counters.dead_produced);
        assert_true(!was_over || counters.dead_produced == 2);
        /* What was not moved yet can still be. */
        messages = get(fixture, fixture->group, 10);
        assert_int_equal(messages.count, counters.available);
        advance_ms(fixture, 35000);
        assert_letters(fixture, fixture->group, 2, 2);
        assert_counters(fixture, fixture->group, 3, 3, 0);
        assert_true(queue_harness_delete_queue(&fixture->harness, fixture->topic));
        catalog_topic_release(&fixture->topic);
    }
}

static void thousands_of_leases_that_end_at_once_are_moved_in_steps(void **state)
{
    enum { BATCHES = 300 };
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 3, 1);
    for (unsigned i = 0; i < BATCHES; i++) {
        put(fixture, "m", i * 10, 10);
    }
    for (unsigned i = 0; i < BATCHES; i++) {
        assert_int_equal(get(fixture, fixture->group, 10).count, 10);
    }
    advance_ms(fixture, 60000);
    assert_letters(fixture, fixture->group, BATCHES * 10, BATCHES * 10);
    assert_counters(fixture, fixture->group, BATCHES * 10, BATCHES * 10, 0);
    restart(fixture, true);
    assert_letters(fixture, fixture->group, BATCHES * 10, BATCHES * 10);
}

/* Guide 3.3: 该消费组产生的死信消息也将被删除, and nothing else. */
static void deleted_group_takes_its_letters_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    put(fixture, "m", 0, 1);
    fail_one(fixture, "m0");
    struct messages messages = get(fixture, fixture->group2, 1);
    (void)ack(fixture, fixture->group2, &messages, 0, 1, "f");
    advance_ms(fixture, 100);
    assert_letters(fixture, fixture->group2, 1, 1);
    char gone[CATALOG_GROUP_ID_SIZE];
    (void)snprintf(gone, sizeof gone, "%s", fixture->group);
    assert_true(queue_harness_delete_group(&fixture->harness, &fixture->topic, fixture->group));
    assert_null(letters_of(fixture, gone));
    assert_letters(fixture, fixture->group2, 1, 1);
    restart(fixture, true);
    assert_null(letters_of(fixture, gone));
    assert_letters(fixture, fixture->group2, 1, 1);
    assert_true(queue_harness_delete_queue(&fixture->harness, fixture->topic));
    assert_null(letters_of(fixture, fixture->group2));
}

static void expired_message_is_skipped_and_no_dead_letter(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    put(fixture, "m", 0, 1);
    advance_ms(fixture, INT64_C(7) * 24 * 3600 * 1000 - 10000); /* the harness' retention */
    assert_int_equal(get(fixture, fixture->group, 1).count, 1);
    advance_ms(fixture, 40000);
    assert_letters(fixture, fixture->group, 0, 0);
    assert_int_equal(count(fixture, fixture->group).skipped, 1);
}

/* A redrive and whether it is over. */
struct redriving {
    struct queue_redrive redrive;
    struct fixture *fixture;
    bool is_cancel;
    bool is_over;
};

static void redrive_over(struct base_task *task)
{
    struct queue_redrive *redrive = BASE_CONTAINER_OF(task, struct queue_redrive, task);
    BASE_CONTAINER_OF(redrive, struct redriving, redrive)->is_over = true;
}

static void redrive_start(void *context)
{
    struct redriving *own = context;
    struct queue_manager *manager = own->fixture->harness.manager;
    own->is_over = (own->is_cancel ? queue_redrive_cancel(manager, &own->redrive)
                                   : queue_redrive_start(manager, &own->redrive)) == QUEUE_DONE;
}

static enum queue_verdict run_redrive(struct fixture *fixture, const char *group,
                                      struct redriving *own)
{
    struct swap swap = swap_to_letters(fixture, group);

    own->fixture = fixture;
    own->redrive.executor = fixture->harness.loops[0];
    own->redrive.task.run = redrive_over;
    own->redrive.topic = fixture->topic;
    own->redrive.group_id = base_slice_text(swap.group);
    queue_harness_run_on(&fixture->harness, 0, redrive_start, own);
    queue_harness_wait(&fixture->harness, &own->is_over);
    swap_back(fixture, &swap);
    return own->redrive.verdict;
}

static void redrive_all(struct fixture *fixture, const char *group, int64_t rate)
{
    struct redriving own = {.redrive.rate = rate};
    assert_int_equal(run_redrive(fixture, group, &own), QUEUE_OK);
}

static struct queue_redrive_status redrive_status(struct fixture *fixture, const char *group)
{
    struct swap swap = swap_to_letters(fixture, group);
    struct queue_redrive_status status;

    assert_int_equal(queue_redrive_status(fixture->harness.manager, fixture->topic,
                                          base_slice_text(swap.group), &status),
                     QUEUE_OK);
    swap_back(fixture, &swap);
    return status;
}

/* count messages die. */
static void make_letters(struct fixture *fixture, unsigned count)
{
    for (unsigned i = 0; i < count; i += 10) {
        put(fixture, "m", i, count - i < 10 ? count - i : 10);
    }
    for (unsigned i = 0; i < count; i += 10) {
        assert_true(get(fixture, fixture->group, 10).count > 0);
        if (fixture->topic->kind == CATALOG_FIFO) {
            advance_ms(fixture, 31000);
        }
    }
    advance_ms(fixture, 31000);
    assert_letters(fixture, fixture->group, count, count);
}

static void redriven_letters_are_new_messages_of_their_group_only(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_FIFO, 1, 1);
    make_letters(fixture, 3);
    assert_int_equal(redrive_status(fixture, fixture->group).state, QUEUE_REDRIVE_NONE);
    redrive_all(fixture, fixture->group, 100);
    advance_ms(fixture, 1000);
    struct queue_redrive_status status = redrive_status(fixture, fixture->group);
    assert_int_equal(status.state, QUEUE_REDRIVE_COMPLETED);
    assert_int_equal(status.moved, 3);
    assert_int_equal(status.remaining, 0);
    assert_true(status.ended_ms >= status.started_ms);
    assert_letters(fixture, fixture->group, 3, 0);
    assert_counters(fixture, fixture->group, 6, 3, 3);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 3);
    assert_string_equal(messages.values[0], "m0");
    assert_string_equal(messages.values[2], "m2");
    assert_int_equal(messages.failures[0], 0);
    /* The other group gets each message once. */
    struct messages other = get(fixture, fixture->group2, 10);
    assert_int_equal(other.count, 3);
    ack_all(fixture, fixture->group2, &other);
    assert_int_equal(get(fixture, fixture->group2, 10).count, 0);
    assert_counters(fixture, fixture->group2, 6, 6, 0);
    /* What fails again dies again. */
    advance_ms(fixture, 31000);
    assert_letters(fixture, fixture->group, 6, 3);
    restart(fixture, true);
    assert_letters(fixture, fixture->group, 6, 3);
    assert_int_equal(redrive_status(fixture, fixture->group).moved, 3);
}

static void redrive_keeps_its_rate_and_can_be_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct redriving own = {.redrive.rate = 10};
    struct redriving again = {.redrive.rate = 1};
    struct redriving cancel = {.is_cancel = true};

    make_redrive(fixture, CATALOG_NORMAL, 3, 1);
    make_letters(fixture, 100);
    assert_int_equal(run_redrive(fixture, fixture->group, &own), QUEUE_OK);
    advance_ms(fixture, 3050);
    int64_t moved = redrive_status(fixture, fixture->group).moved;
    assert_true(moved >= 28);
    assert_true(moved <= 31);
    assert_int_equal(redrive_status(fixture, fixture->group).remaining, 100 - moved);
    assert_null(redrive_status(fixture, fixture->group).waits_because);
    assert_int_equal(run_redrive(fixture, fixture->group, &again), QUEUE_REDRIVE_UNDER_WAY);
    assert_int_equal(run_redrive(fixture, fixture->group, &cancel), QUEUE_OK);
    advance_ms(fixture, 3000);
    struct queue_redrive_status status = redrive_status(fixture, fixture->group);
    assert_int_equal(status.state, QUEUE_REDRIVE_CANCELLED);
    assert_true(status.moved <= moved + 1);
    assert_letters(fixture, fixture->group, 100, 100 - status.moved);
}

/* The record of the cancelling comes behind that of a move that is on its way. */
static void cancelled_redrive_counts_what_was_under_way_for_good(void **state)
{
    struct fixture *fixture = *state;
    struct redriving cancel = {.is_cancel = true};

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    make_letters(fixture, 3);
    redrive_all(fixture, fixture->group, 10);
    io_sim_set_sync_us(fixture->harness.sim, 2 * QUEUE_HARNESS_SECOND);
    advance_ms(fixture, 3000); /* a copy is on the disk, and the journal on its way */
    assert_int_equal(redrive_status(fixture, fixture->group).moved, 0);
    assert_int_equal(run_redrive(fixture, fixture->group, &cancel), QUEUE_OK);
    io_sim_set_sync_us(fixture->harness.sim, 0);
    advance_ms(fixture, 3000);
    struct queue_redrive_status status = redrive_status(fixture, fixture->group);
    assert_int_equal(status.state, QUEUE_REDRIVE_CANCELLED);
    assert_int_equal(status.moved, 1);
    assert_letters(fixture, fixture->group, 3, 2);
    restart(fixture, false);
    assert_int_equal(redrive_status(fixture, fixture->group).moved, 1);
    assert_letters(fixture, fixture->group, 3, 2);
}

static void redrive_goes_on_after_a_restart(void **state)
{
    struct fixture *fixture = *state;

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    make_letters(fixture, 40);
    redrive_all(fixture, fixture->group, 10);
    advance_ms(fixture, 2000);
    restart(fixture, true);
    assert_int_equal(redrive_status(fixture, fixture->group).state, QUEUE_REDRIVE_RUNNING);
    advance_ms(fixture, 10000); /* nobody has to ask for anything */
    struct queue_redrive_status status = redrive_status(fixture, fixture->group);
    assert_int_equal(status.state, QUEUE_REDRIVE_COMPLETED);
    assert_int_equal(status.moved, 40);
    assert_letters(fixture, fixture->group, 40, 0);
    assert_int_equal(count(fixture, fixture->group).available, 40);
}

static void letters_are_redriven_one_by_one_when_nobody_has_them(void **state)
{
    struct fixture *fixture = *state;
    const int64_t offsets[] = {3, 1, 99};
    struct redriving own = {.redrive = {.rate = 100, .offsets = offsets, .offsets_count = 3}};

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    make_letters(fixture, 5);
    struct swap swap = swap_to_letters(fixture, fixture->group);
    struct messages held = get(fixture, swap.group, 2);
    swap_back(fixture, &swap);
    assert_int_equal(run_redrive(fixture, fixture->group, &own), QUEUE_OK);
    advance_ms(fixture, 1000);
    struct queue_redrive_status status = redrive_status(fixture, fixture->group);
    assert_int_equal(status.state, QUEUE_REDRIVE_RUNNING); /* 1 is leased, 99 does not exist */
    assert_int_equal(status.moved, 1);
    assert_int_equal(status.remaining, 1);
    assert_string_equal(status.waits_because, QUEUE_REDRIVE_WAITS_FOR_LEASES);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "m3");
    swap = swap_to_letters(fixture, fixture->group);
    assert_int_equal(ack(fixture, swap.group, &held, 0, 2, "sf").success_count, 1);
    swap_back(fixture, &swap);
    advance_ms(fixture, 2000);
    status = redrive_status(fixture, fixture->group);
    assert_int_equal(status.state, QUEUE_REDRIVE_COMPLETED);
    assert_int_equal(status.moved, 2);
    assert_letters(fixture, fixture->group, 5, 2);
}

/* They lie behind others that nobody has looked at, and the log has not been trimmed yet. */
static void letters_that_expire_before_they_are_redriven_are_skipped(void **state)
{
    struct fixture *fixture = *state;
    const int64_t offsets[] = {5, 10, 15};
    struct redriving own = {.redrive = {.rate = 100, .offsets = offsets, .offsets_count = 3}};

    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    make_letters(fixture, 20);
    advance_ms(fixture, HOURS_72_MS);
    assert_int_equal(run_redrive(fixture, fixture->group, &own), QUEUE_OK);
    advance_ms(fixture, 2000);
    struct queue_redrive_status status = redrive_status(fixture, fixture->group);
    assert_int_equal(status.state, QUEUE_REDRIVE_COMPLETED);
    assert_int_equal(status.moved, 0);
    assert_letters(fixture, fixture->group, 20, 17);
    struct swap swap = swap_to_letters(fixture, fixture->group);
    assert_int_equal(get(fixture, swap.group, 10).count, 0); /* the others are expired, too */
    swap_back(fixture, &swap);
    assert_letters(fixture, fixture->group, 20, 0);
}

/* A crash may bring a message twice, and never loses one. */
static void crash_anywhere_in_a_redrive_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    bool was_over = false;

    for (uint64_t calls = 0; !was_over; calls++) {
        make_redrive(fixture, CATALOG_NORMAL, 1, 1);
        make_letters(fixture, 2);
        redrive_all(fixture, fixture->group, 100);
        io_sim_crash_at(fixture->harness.sim, calls);
        advance_ms(fixture, 3000);
        was_over = !io_sim_has_crashed(fixture->harness.sim);
        restart(fixture, calls % 2 == 0);
        advance_ms(fixture, 3000);
        struct queue_redrive_status status = redrive_status(fixture, fixture->group);
        assert_int_equal(status.state, QUEUE_REDRIVE_COMPLETED);
        assert_int_equal(status.moved, 2);
        assert_letters(fixture, fixture->group, 2, 0);
        int64_t available = count(fixture, fixture->group).available;
        assert_true(available == 2 || available == 4);
        assert_true(!was_over || available == 2);
        assert_true(queue_harness_delete_queue(&fixture->harness, fixture->topic));
        catalog_topic_release(&fixture->topic);
    }
}

/* It left a record that no start could read, in the next snapshot. */
static void redrive_that_could_not_be_written_is_not_in_a_snapshot(void **state)
{
    struct fixture *fixture = *state;
    struct redriving own = {.redrive.rate = 100};

    fixture->harness.snapshot_updates = 20;
    restart(fixture, false);
    make_redrive(fixture, CATALOG_NORMAL, 1, 1);
    make_letters(fixture, 1);
    io_sim_set_full(fixture->harness.sim, true);
    assert_int_equal(run_redrive(fixture, fixture->group, &own), QUEUE_STORAGE_FAILED);
    io_sim_set_full(fixture->harness.sim, false);
    for (unsigned i = 0; i < 60; i++) {
        put(fixture, "m", i, 1);
        struct messages messages = get(fixture, fixture->group, 10);
        ack_all(fixture, fixture->group, &messages);
    }
    restart(fixture, true);
    assert_int_equal(redrive_status(fixture, fixture->group).state, QUEUE_REDRIVE_NONE);
    assert_letters(fixture, fixture->group, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(message_that_failed_as_often_as_allowed_is_a_dead_letter),
        TEST(leases_that_end_count_and_say_so),
        TEST(letters_of_a_fifo_queue_are_in_order_and_block_nothing_for_long),
        TEST(nothing_behind_a_dead_message_is_delivered_before_it_is_moved),
        TEST(handlers_of_letters_and_of_messages_are_not_mixed_up),
        TEST(letter_that_fails_again_is_only_available_again),
        TEST(letter_lives_for_72_hours_and_is_counted_for_ever),
        TEST(letters_and_counters_survive_a_power_cut),
        TEST(full_disk_keeps_the_message_in_the_queue_until_there_is_room),
        TEST(dead_message_that_its_log_has_lost_keeps_nobody_busy),
        TEST(dead_message_that_cannot_be_read_holds_up_those_of_no_other_partition),
        TEST(dead_message_that_found_no_memory_is_moved_later),
        TEST(crash_anywhere_neither_loses_nor_doubles),
        TEST(thousands_of_leases_that_end_at_once_are_moved_in_steps),
        TEST(deleted_group_takes_its_letters_and_nothing_else),
        TEST(expired_message_is_skipped_and_no_dead_letter),
        TEST(redriven_letters_are_new_messages_of_their_group_only),
        TEST(redrive_keeps_its_rate_and_can_be_cancelled),
        TEST(cancelled_redrive_counts_what_was_under_way_for_good),
        TEST(redrive_goes_on_after_a_restart),
        TEST(letters_are_redriven_one_by_one_when_nobody_has_them),
        TEST(crash_anywhere_in_a_redrive_loses_nothing),
        TEST(redrive_that_could_not_be_written_is_not_in_a_snapshot),
#undef TEST
        cmocka_unit_test_setup_teardown(letters_that_expire_before_they_are_redriven_are_skipped,
                                        set_up_without_retention, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
