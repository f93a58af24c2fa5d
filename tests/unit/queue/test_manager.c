/* Restarts, snapshots, deletion, Kafka queues, produce. */
#include "core/queue/group_priv.h"
#include "core/queue/manager_priv.h"
#include "core/queue/message_id.h"
#include "tests/unit/queue/queue_fixture.h"

static void acks_failures_and_counters_survive_a_power_cut(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 6);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(ack(fixture, fixture->group, &messages, 1, 3, "ssf").success_count, 2);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, 6, 2, 4);
    assert_int_equal(count(fixture, fixture->group).leased, 0);
    /* The restart ended the leases, and failed nothing. */
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "").verdict,
                     QUEUE_HANDLER_UNKNOWN);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 4);
    assert_string_equal(messages.values[0], "m0");
    assert_string_equal(messages.values[1], "m3");
    assert_string_equal(messages.values[2], "m4");
    assert_int_equal(messages.failures[0], 0);
    assert_int_equal(messages.failures[1], 1);
    assert_counters(fixture, fixture->group2, 6, 0, 6);
}

static void time_outs_survive_a_restart(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(get(fixture, fixture->group, 1).failures[0], i);
        advance_ms(fixture, 31000);
    }
    restart(fixture, true);
    assert_int_equal(get(fixture, fixture->group, 1).failures[0], 3);
}

static int64_t journal_size(struct fixture *fixture)
{
    struct catalog_view *view = catalog_view(fixture->harness.catalog);
    const struct catalog_topic *topic =
        catalog_view_topic(view, base_slice_text(QUEUE_JOURNAL_TOPIC));
    int64_t size = 0;

    assert_non_null(topic);
    assert_int_equal(topic->kind, CATALOG_INTERNAL);
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct partition_offsets offsets;
        struct partition *partition = partition_table_get(fixture->harness.table, topic->id, i);
        partition_offsets(partition, &offsets);
        size += offsets.end - offsets.start;
        partition_release(&partition);
    }
    catalog_view_release(&view);
    return size;
}

static void journal_is_kept_short_by_snapshots_and_nothing_is_lost(void **state)
{
    struct fixture *fixture = *state;

    fixture->harness.snapshot_updates = 50;
    restart(fixture, false);
    make_queue(fixture, CATALOG_NORMAL, 2, 0);
    for (unsigned i = 0; i < 40; i++) {
        put(fixture, "m", i * 10, 10);
    }
    for (unsigned i = 0; i < 400; i++) {
        struct messages messages = get(fixture, fixture->group, 1);
        if (i % 10 == 9) {
            assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "f").fail_count, 1);
        } else {
            ack_all(fixture, fixture->group, &messages);
        }
    }
    advance_ms(fixture, 1000);
    assert_true(journal_size(fixture) < 120);
    assert_counters(fixture, fixture->group, 400, 360, 40);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, 400, 360, 40);
    for (unsigned total = 0; total < 40;) {
        struct messages messages = get(fixture, fixture->group, 10);
        assert_true(messages.count > 0);
        total += messages.count;
        ack_all(fixture, fixture->group, &messages);
    }
    assert_counters(fixture, fixture->group, 400, 400, 0);
}

static struct queue_journal *journal_of(struct fixture *fixture)
{
    return queue__manager_journal(fixture->harness.manager, fixture->topic->id);
}

static struct partition_offsets journal_offsets(struct fixture *fixture)
{
    struct partition_offsets offsets;

    partition_offsets(journal_of(fixture)->partition, &offsets);
    assert_int_equal(offsets.err, BASE_ERR_OK);
    return offsets;
}

static void write_whole(void *context)
{
    struct fixture *fixture = context;
    struct queue_group **groups;
    size_t count;

    assert_int_equal(
        queue__manager_groups_of(fixture->harness.manager, journal_of(fixture), &groups, &count),
        BASE_ERR_OK);
    for (size_t i = 0; i < count; i++) {
        base_mutex_lock(&groups[i]->lock);
        assert_int_equal(queue__group_write_all(groups[i], fixture->harness.loops[0]), BASE_ERR_OK);
        base_mutex_unlock(&groups[i]->lock);
        queue__group_release(&groups[i]);
    }
    base_free(groups);
}

struct trimming {
    struct fixture *fixture;
    int64_t offset;
    struct logstore_trim trim;
    bool is_over;
};

static void on_trimmed(struct base_task *task)
{
    struct logstore_trim *trim = BASE_CONTAINER_OF(task, struct logstore_trim, task);
    BASE_CONTAINER_OF(trim, struct trimming, trim)->is_over = true;
}

static void begin_trim(void *context)
{
    struct trimming *trimming = context;
    trimming->trim = (struct logstore_trim){.executor = trimming->fixture->harness.loops[0],
                                            .task = {.run = on_trimmed}};
    assert_int_equal(
        partition_trim(journal_of(trimming->fixture)->partition, trimming->offset, &trimming->trim),
        BASE_ERR_OK);
}

/* Many gaps in many partitions: the cursors of the group go into several batches. */
static void large_cursors_of_a_group_are_in_the_snapshot(void **state)
{
    enum { PARTITIONS = 8, MESSAGES = 24000 };
    struct fixture *fixture = *state;

    fixture->harness.snapshot_updates = 500;
    restart(fixture, false);
    make_queue(fixture, CATALOG_NORMAL, PARTITIONS, 0);
    for (unsigned i = 0; i < MESSAGES; i += 10) {
        put(fixture, "m", i, 10);
        struct messages messages = get(fixture, fixture->group, 10);
        for (uint32_t k = 0; k < messages.count; k += 2) {
            assert_int_equal(ack(fixture, fixture->group, &messages, k, 1, "").success_count, 1);
        }
    }
    advance_ms(fixture, 1000);
    assert_true(journal_size(fixture) < 1000);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, MESSAGES, MESSAGES / 2, MESSAGES / 2);
}

/* What a snapshot does to the journal at its end, and starts again. */
static void restart_with_journal_from(struct fixture *fixture, int64_t offset)
{
    struct trimming trimming = {.fixture = fixture, .offset = offset};

    queue_harness_run_on(&fixture->harness, 0, begin_trim, &trimming);
    queue_harness_wait(&fixture->harness, &trimming.is_over);
    assert_int_equal(trimming.trim.err, BASE_ERR_OK);
    assert_int_equal(journal_offsets(fixture).start, offset);
    restart(fixture, true);
    assert_int_equal(journal_offsets(fixture).start, offset);
}

/* One message is leased for long while more are acked than a cursor may know nothing of. An ack is
 * written between the look at where the snapshot begins and the whole cursor: it comes first. */
static void ack_in_front_of_the_whole_cursor_does_not_keep_the_broker_down(void **state)
{
    enum { ROUNDS = (QUEUE_UNDONE_MAX + QUEUE_UNWRITTEN_MAX) / QUEUE_MESSAGES_MAX + 2 };
    struct fixture *fixture = *state;
    struct queue_harness_consume held;
    int64_t start = 0;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "held", 0, 1);
    begin_consume(fixture, &held, fixture->group, 1, 0, INT64_C(1000) * 3600 * 24);
    queue_harness_wait(&fixture->harness, &held.is_over);
    assert_int_equal(end_consume(&held).count, 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        put(fixture, "m", i * QUEUE_MESSAGES_MAX, QUEUE_MESSAGES_MAX);
        struct messages messages = get(fixture, fixture->group, QUEUE_MESSAGES_MAX);
        assert_int_equal(messages.count, QUEUE_MESSAGES_MAX);
        start = journal_offsets(fixture).end;
        ack_all(fixture, fixture->group, &messages);
    }
    int64_t acked = (int64_t)ROUNDS * QUEUE_MESSAGES_MAX;
    assert_int_equal(count(fixture, fixture->group).leased, 1);
    assert_int_equal(journal_offsets(fixture).end, start + 1);
    queue_harness_run_on(&fixture->harness, 0, write_whole, fixture);
    advance_ms(fixture, 1000);
    restart_with_journal_from(fixture, start);
    assert_counters(fixture, fixture->group, acked + 1, acked, 1);
    struct messages messages = get(fixture, fixture->group, QUEUE_MESSAGES_MAX);
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "held0");
    ack_all(fixture, fixture->group, &messages);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, acked + 1, acked + 1, 0);
}

static void reset_to_latest(struct fixture *fixture, const char *group)
{
    struct queue_harness_reset own = {.reset = {.topic = fixture->topic,
                                                .group_id = base_slice_text(group),
                                                .position = QUEUE_RESET_LATEST}};

    queue_harness_start_reset(&fixture->harness, 0, &own);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(own.reset.verdict, QUEUE_OK);
    queue_reset_release(&own.reset);
}

/* A disk that was full may bring back some of what was trimmed: from any record on, with tag rules
 * and resets among them, the journal says the same. */
static void journal_may_begin_anywhere_in_front_of_a_snapshot(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put_tagged(fixture, "a", 0, 10);
    struct messages messages = get_tagged(fixture, "b");
    assert_int_equal(messages.count, 0);
    reset_to_latest(fixture, fixture->group); /* ends the rule */
    put_tagged(fixture, "a", 10, 10);
    messages = get_tagged(fixture, "a");
    assert_int_equal(messages.count, 10);
    assert_int_equal(ack(fixture, fixture->group, &messages, 2, 4, "sssf").success_count, 3);
    assert_int_equal(ack(fixture, fixture->group, &messages, 8, 1, "").success_count, 1);
    messages = get(fixture, fixture->group2, 10);
    ack_all(fixture, fixture->group2, &messages);
    queue_harness_run_on(&fixture->harness, 0, write_whole, fixture);
    int64_t last = journal_offsets(fixture).end - 4; /* two cursors, two rules */
    advance_ms(fixture, 1000);

    assert_true(last > 6);
    for (int64_t offset = 1; offset <= last; offset++) {
        restart_with_journal_from(fixture, offset);
        assert_counters(fixture, fixture->group, 20, 14, 6); /* ten were filtered */
        assert_counters(fixture, fixture->group2, 20, 10, 10);
        assert_int_equal(get_tagged(fixture, "b").verdict, QUEUE_TAG_RULE_DIFFERS);
        messages = get_tagged(fixture, "a");
        assert_int_equal(messages.count, 6);
        assert_int_equal(messages.offsets[2], 15);
        assert_int_equal(messages.failures[2], 1);
    }
}

static void deleted_group_is_forgotten_and_its_waiters_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;
    struct queue_counters counters;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    put(fixture, "m", 0, 2);
    struct messages messages = get(fixture, fixture->group, 10);
    begin_consume(fixture, &own, fixture->group, 10, 60000, 30000);
    advance_ms(fixture, 10);
    struct catalog_topic *before = catalog_topic_hold(fixture->topic);
    assert_true(queue_harness_delete_group(&fixture->harness, &fixture->topic, fixture->group));
    advance_ms(fixture, 10);
    assert_int_equal(end_consume(&own).verdict, QUEUE_GROUP_NOT_FOUND);
    assert_int_equal(ack(fixture, fixture->group, &messages, 0, 1, "").verdict,
                     QUEUE_GROUP_NOT_FOUND);
    /* A request that still holds the old view does not bring it back. */
    assert_int_equal(
        queue_count(fixture->harness.manager, before, base_slice_text(fixture->group), &counters),
        QUEUE_GROUP_NOT_FOUND);
    catalog_topic_release(&before);
    assert_int_equal(get(fixture, fixture->group2, 10).count, 2);
}

/* Another loop has closed it between the look into the table and the group's lock. */
static void group_deleted_while_it_is_announced_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    enum queue_verdict verdict;
    enum base_err err;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    struct queue_manager *manager = fixture->harness.manager;
    struct base_slice id = base_slice_text(fixture->group);
    struct queue_group *group = queue__manager_group(manager, fixture->topic, id, &verdict, &err);
    assert_non_null(group);
    group->is_closed = true;
    queue_group_created(manager, fixture->topic, id);
    assert_int_equal(group->places_count, 0);
    assert_true(atomic_load(&group->alarm.wanted_us) == INT64_MAX);
    group->is_closed = false;
    queue_group_created(manager, fixture->topic, id);
    assert_int_equal(group->places_count, 1);
    assert_true(atomic_load(&group->alarm.wanted_us) < INT64_MAX);
    queue__group_release(&group);
}

static void deleted_queue_takes_its_groups_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_NORMAL, 2, 0);
    put(fixture, "m", 0, 1);
    assert_int_equal(get(fixture, fixture->group, 1).count, 1); /* leased to the end */
    begin_consume(fixture, &own, fixture->group2, 1, 60000, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    (void)end_consume(&own);
    begin_consume(fixture, &own, fixture->group2, 10, 60000, 30000);
    advance_ms(fixture, 2000);
    assert_true(queue_harness_delete_queue(&fixture->harness, fixture->topic));
    advance_ms(fixture, 10);
    assert_int_equal(end_consume(&own).verdict, QUEUE_GROUP_NOT_FOUND);
    restart(fixture, false);
}

static void message_ids_lead_back_and_are_unique(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    struct queue_harness_produce own = produce(fixture, "m", 0, 10);
    for (unsigned i = 0; i < 10; i++) {
        struct base_uuid topic_id;
        int32_t partition;
        int64_t offset;
        const struct queue_produce_result *result = &own.produce.results[i];
        assert_int_equal(result->err, BASE_ERR_OK);
        assert_true(
            queue_message_id_parse(base_slice_text(result->id), &topic_id, &partition, &offset));
        assert_true(base_uuid_equal(topic_id, fixture->topic->id));
        assert_int_equal(partition, result->partition);
        assert_int_equal(offset, i);
    }
}

static void produce_goes_round_the_partitions(void **state)
{
    struct fixture *fixture = *state;
    unsigned seen[3] = {0};

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    for (unsigned i = 0; i < 9; i++) {
        struct queue_harness_produce own = produce(fixture, "m", i, 1);
        seen[own.produce.results[0].partition]++;
        advance_ms(fixture, 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen[i], 3);
    }
}

/* They share its sync. */
static void requests_of_one_moment_go_to_one_partition(void **state)
{
    struct fixture *fixture = *state;
    const struct queue_produce_message message = {.value = base_slice_text("v")};
    struct queue_harness_produce own[10];

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    for (unsigned i = 0; i < 10; i++) {
        own[i] = (struct queue_harness_produce){.produce = {
                                                    .topic = fixture->topic,
                                                    .messages = &message,
                                                    .messages_count = 1,
                                                }};
        queue_harness_start_produce(&fixture->harness, i % 2, &own[i]);
    }
    for (unsigned i = 0; i < 10; i++) {
        queue_harness_wait(&fixture->harness, &own[i].is_over);
        assert_int_equal(own[i].produce.verdict, QUEUE_OK);
        assert_int_equal(own[i].produce.results[0].partition, own[0].produce.results[0].partition);
    }
}

static void produce_into_a_full_disk_fails_for_every_message(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_NORMAL, 3, 0);
    io_sim_set_full(fixture->harness.sim, true);
    struct queue_harness_produce own = produce(fixture, "m", 0, 2);
    assert_int_equal(own.produce.verdict, QUEUE_STORAGE_FAILED);
    assert_int_not_equal(own.produce.results[1].err, BASE_ERR_OK);
    io_sim_set_full(fixture->harness.sim, false);
    put(fixture, "m", 0, 1);
    assert_counters(fixture, fixture->group, 1, 0, 1);
}

static void headers_come_back_as_they_were_given(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_produce own = {.is_over = false};
    struct queue_harness_consume got;
    const struct logstore_header headers[] = {
        {base_slice_text("dms.tag"), base_slice_text("red")},
        {base_slice_text("dms.attr.size"), base_slice_text("{\"n\":1}")},
    };
    const struct queue_produce_message message = {
        .value = base_slice_text("v"), .headers = headers, .headers_count = 2};
    struct base_slice value;

    make_queue(fixture, CATALOG_NORMAL, 1, 0);
    own.produce.topic = fixture->topic;
    own.produce.messages = &message;
    own.produce.messages_count = 1;
    queue_harness_start_produce(&fixture->harness, 0, &own);
    queue_harness_wait(&fixture->harness, &own.is_over);
    begin_consume(fixture, &got, fixture->group, 1, 0, 30000);
    queue_harness_wait(&fixture->harness, &got.is_over);
    assert_int_equal(got.consume.messages_count, 1);
    const struct logstore_record *record = &got.consume.messages[0].record;
    assert_null(record->key.data);
    assert_int_equal(record->headers_count, 2);
    assert_true(logstore_record_header(record, "dms.attr.size", &value));
    assert_true(base_slice_is(value, "{\"n\":1}"));
    assert_int_equal(record->timestamp_ms / 1000,
                     base_clock_wall_ms(fixture->harness.clock) / 1000);
    (void)end_consume(&got);
}

static void group_active_on_kafka_is_refused_over_rest(void **state)
{
    struct fixture *fixture = *state;
    struct queue_harness_consume own;

    make_queue(fixture, CATALOG_KAFKA_HA, 1, 0);
    put(fixture, "m", 0, 1);
    fixture->harness.kafka_is_active = true;
    begin_consume(fixture, &own, fixture->group, 1, 1000, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    assert_int_equal(end_consume(&own).verdict, QUEUE_GROUP_BUSY_ON_KAFKA);
    fixture->harness.kafka_is_active = false;
    assert_int_equal(get(fixture, fixture->group, 1).count, 1);
}

static void kafka_group_counts_by_what_it_committed_and_goes_on_there(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_KAFKA_HA, 1, 0);
    put(fixture, "m", 0, 10);
    assert_counters(fixture, fixture->group, 10, 0, 10);
    fixture->harness.committed = 4;
    assert_counters(fixture, fixture->group, 10, 4, 6);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 6);
    assert_string_equal(messages.values[0], "m4");
    fixture->harness.committed = 2; /* the REST cursor counts now */
    assert_counters(fixture, fixture->group, 10, 4, 6);
    ack_all(fixture, fixture->group, &messages);
    restart(fixture, true);
    assert_counters(fixture, fixture->group, 10, 10, 0);
}

static void kafka_group_that_found_nothing_over_rest_goes_on_where_it_committed_later(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_KAFKA_HA, 1, 0);
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    put(fixture, "m", 0, 10);
    fixture->harness.committed = 10;
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    put(fixture, "n", 0, 1);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 1);
    assert_string_equal(messages.values[0], "n0");
    assert_counters(fixture, fixture->group, 11, 10, 1);
}

static void kafka_group_that_was_set_back_over_kafka_goes_on_there(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_KAFKA_HA, 1, 0);
    put(fixture, "m", 0, 10);
    fixture->harness.committed = 10;
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    fixture->harness.committed = 4;
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 6);
    assert_string_equal(messages.values[0], "m4");
    assert_counters(fixture, fixture->group, 10, 4, 6);
    advance_ms(fixture, 100); /* the cursor is written without being waited for */
    restart(fixture, true);
    assert_counters(fixture, fixture->group, 10, 4, 6);
    assert_string_equal(get(fixture, fixture->group, 10).values[0], "m4");
}

static void kafka_group_asks_once_a_poll_what_it_committed_and_only_while_that_counts(void **state)
{
    struct fixture *fixture = *state;
    const unsigned *asked = &fixture->harness.committed_asked;

    make_queue(fixture, CATALOG_KAFKA_HA, 3, 0);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(get(fixture, fixture->group, 10).count, 0);
        assert_int_equal(*asked, i);
    }
    for (unsigned i = 0; i < 3; i++) { /* one comes from each */
        put(fixture, "m", i, 1);
        assert_int_equal(get(fixture, fixture->group, 10).count, 1);
        assert_int_equal(*asked, 6 + i);
        advance_ms(fixture, 1);
    }
    assert_int_equal(get(fixture, fixture->group, 10).count, 0);
    assert_int_equal(*asked, 8);
}

static void what_a_queue_lost_with_the_power_is_delivered_when_it_is_produced_again(void **state)
{
    struct fixture *fixture = *state;

    make_queue(fixture, CATALOG_KAFKA_HT, 1, 0);
    put(fixture, "first", 0, 2);
    advance_ms(fixture, 5000); /* flushed */
    io_sim_set_sync_us(fixture->harness.sim, 1);
    put(fixture, "lost", 0, 4); /* answered, and not flushed yet */
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 6);
    ack_all(fixture, fixture->group, &messages);
    restart(fixture, true);
    int64_t retained = count(fixture, fixture->group).produced;
    assert_true(retained >= 2);
    assert_int_equal(count(fixture, fixture->group).available, 0);
    put(fixture, "after", 0, 6);
    messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 6);
    assert_string_equal(messages.values[0], "after0");
    restart(fixture, true);
}

/* A log of four messages, all of them acked, of which nothing is left, and which cannot be opened
 * at first. Then it gets six messages, before the group is looked at. */
static void lose_and_open_late(struct fixture *fixture)
{
    char name[128];

    make_queue(fixture, CATALOG_KAFKA_HT, 1, 0);
    put(fixture, "lost", 0, 4);
    struct messages messages = get(fixture, fixture->group, 10);
    ack_all(fixture, fixture->group, &messages);
    io_sim_crash(fixture->harness.sim);
    queue_harness_stop(&fixture->harness);
    io_sim_restart(fixture->harness.sim, false);
    (void)snprintf(name, sizeof name, "%s-0/00000000000000000000.log", fixture->topic->id_text);
    io_sim_drop(fixture->harness.sim, name);
    fixture->harness.opens_full = true;
    assert_int_equal(queue_harness_start(&fixture->harness), BASE_ERR_OK);
    fixture->harness.opens_full = false;
    advance_ms(fixture, 2000);
    assert_int_equal(produce(fixture, "refused", 0, 1).produce.verdict, QUEUE_STORAGE_FAILED);
    advance_ms(fixture, 2000);
    put(fixture, "after", 0, 6);
}

static void log_that_is_opened_late_has_lost_messages_too(void **state)
{
    struct fixture *fixture = *state;

    lose_and_open_late(fixture);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 6);
    assert_string_equal(messages.values[0], "after0");
    ack_all(fixture, fixture->group, &messages);
    restart(fixture, false);
    assert_int_equal(count(fixture, fixture->group).available, 0);
    put(fixture, "more", 0, 1);
    assert_int_equal(get(fixture, fixture->group, 10).count, 1);
}

static void what_a_log_that_is_opened_late_has_lost_is_written_at_the_first_look(void **state)
{
    struct fixture *fixture = *state;

    lose_and_open_late(fixture);
    (void)count(fixture, fixture->group); /* looks, and consumes nothing */
    advance_ms(fixture, 10);
    restart(fixture, false);
    struct messages messages = get(fixture, fixture->group, 10);
    assert_int_equal(messages.count, 6);
    assert_string_equal(messages.values[0], "after0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(acks_failures_and_counters_survive_a_power_cut),
        TEST(time_outs_survive_a_restart),
        TEST(journal_is_kept_short_by_snapshots_and_nothing_is_lost),
        TEST(ack_in_front_of_the_whole_cursor_does_not_keep_the_broker_down),
        TEST(large_cursors_of_a_group_are_in_the_snapshot),
        TEST(journal_may_begin_anywhere_in_front_of_a_snapshot),
        TEST(deleted_group_is_forgotten_and_its_waiters_are_told),
        TEST(group_deleted_while_it_is_announced_is_left_alone),
        TEST(deleted_queue_takes_its_groups_with_it),
        TEST(message_ids_lead_back_and_are_unique),
        TEST(produce_goes_round_the_partitions),
        TEST(requests_of_one_moment_go_to_one_partition),
        TEST(produce_into_a_full_disk_fails_for_every_message),
        TEST(headers_come_back_as_they_were_given),
        TEST(group_active_on_kafka_is_refused_over_rest),
        TEST(kafka_group_counts_by_what_it_committed_and_goes_on_there),
        TEST(kafka_group_that_found_nothing_over_rest_goes_on_where_it_committed_later),
        TEST(kafka_group_that_was_set_back_over_kafka_goes_on_there),
        TEST(kafka_group_asks_once_a_poll_what_it_committed_and_only_while_that_counts),
        TEST(what_a_queue_lost_with_the_power_is_delivered_when_it_is_produced_again),
        TEST(log_that_is_opened_late_has_lost_messages_too),
        TEST(what_a_log_that_is_opened_late_has_lost_is_written_at_the_first_look),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
