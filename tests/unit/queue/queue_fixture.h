/* One broker and short words for what clients of a queue do. Static functions: each test
 * program uses some of them. */
#ifndef TESTS_UNIT_QUEUE_QUEUE_FIXTURE_H
#define TESTS_UNIT_QUEUE_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/queue_harness.h"

struct fixture {
    struct queue_harness harness;
    struct catalog_topic *topic; /* the queue most tests use */
    char group[CATALOG_GROUP_ID_SIZE];
    char group2[CATALOG_GROUP_ID_SIZE];
};

/* What a consume brought. */
struct messages {
    uint32_t count;
    char values[QUEUE_MESSAGES_MAX][64];
    char handlers[QUEUE_MESSAGES_MAX][QUEUE_HANDLER_SIZE];
    int64_t offsets[QUEUE_MESSAGES_MAX];
    int32_t partition;
    uint32_t failures[QUEUE_MESSAGES_MAX];
    enum queue_verdict verdict;
    enum base_err err;
};

static int set_up_checking(void **state, int64_t retention_check_ms)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    queue_harness_init(&fixture->harness, 7, &(struct io_sim_options){.latency_us_max = 2000});
    fixture->harness.retention_check_ms = retention_check_ms;
    assert_int_equal(queue_harness_start(&fixture->harness), BASE_ERR_OK);
    *state = fixture;
    return 0;
}

/* Some tests last for days, and a log that has nothing to expire is looked at all the same. */
__attribute__((unused)) static int set_up(void **state)
{
    return set_up_checking(state, 60000);
}

/* Retentions of seconds. */
__attribute__((unused)) static int set_up_checking_often(void **state)
{
    return set_up_checking(state, 1000);
}

__attribute__((unused)) static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    catalog_topic_release(&fixture->topic);
    queue_harness_fini(&fixture->harness);
    base_free(fixture);
    return 0;
}

/* Makes the fixture's queue with two groups. */
__attribute__((unused)) static void make_queue(struct fixture *fixture, enum catalog_kind kind,
                                               int32_t partitions_count, int64_t retention_ms)
{
    fixture->topic =
        queue_harness_make_queue(&fixture->harness, "q", kind, partitions_count, retention_ms);
    assert_true(queue_harness_make_group(&fixture->harness, &fixture->topic, "one"));
    assert_true(queue_harness_make_group(&fixture->harness, &fixture->topic, "two"));
    (void)snprintf(fixture->group, sizeof fixture->group, "%s", fixture->topic->groups[0].id);
    (void)snprintf(fixture->group2, sizeof fixture->group2, "%s", fixture->topic->groups[1].id);
}

__attribute__((unused)) static void advance_ms(struct fixture *fixture, int64_t duration_ms)
{
    sim_scheduler_advance(fixture->harness.scheduler, duration_ms * 1000);
}

__attribute__((unused)) static void restart(struct fixture *fixture, bool power_cut)
{
    io_sim_crash(fixture->harness.sim);
    queue_harness_stop(&fixture->harness);
    io_sim_restart(fixture->harness.sim, power_cut);
    assert_int_equal(queue_harness_start(&fixture->harness), BASE_ERR_OK);
}

/* Produces messages in one request; what became of it is in *own. */
__attribute__((unused)) static void send(struct fixture *fixture, struct queue_harness_produce *own,
                                         struct queue_produce_message *messages, uint32_t count)
{
    own->produce.topic = fixture->topic;
    own->produce.messages = messages;
    own->produce.messages_count = count;
    queue_harness_start_produce(&fixture->harness, 0, own);
    queue_harness_wait(&fixture->harness, &own->is_over);
}

/* Produces count messages, "<prefix><n>" with n from first, in one request. */
__attribute__((unused)) static struct queue_harness_produce
produce(struct fixture *fixture, const char *prefix, unsigned first, unsigned count)
{
    struct queue_harness_produce own = {.is_over = false};
    struct queue_produce_message messages[QUEUE_MESSAGES_MAX] = {{.headers_count = 0}};
    char values[QUEUE_MESSAGES_MAX][64];

    assert_true(count <= QUEUE_MESSAGES_MAX);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(values[i], sizeof values[i], "%s%u", prefix, first + i);
        messages[i].value = base_slice_text(values[i]);
    }
    send(fixture, &own, messages, count);
    return own;
}

__attribute__((unused)) static void put(struct fixture *fixture, const char *prefix, unsigned first,
                                        unsigned count)
{
    struct queue_harness_produce own = produce(fixture, prefix, first, count);
    assert_int_equal(own.produce.verdict, QUEUE_OK);
}

__attribute__((unused)) static void begin_consume(struct fixture *fixture,
                                                  struct queue_harness_consume *own,
                                                  const char *group, uint32_t messages_max,
                                                  int64_t time_wait_ms, int64_t ack_wait_ms)
{
    *own = (struct queue_harness_consume){.is_over = false};
    own->consume.topic = fixture->topic;
    own->consume.group_id = base_slice_text(group);
    own->consume.messages_max = messages_max;
    own->consume.size_bytes_max = QUEUE_CONSUME_BYTES_MAX;
    own->consume.time_wait_ms = time_wait_ms;
    own->consume.ack_wait_ms = ack_wait_ms;
    queue_harness_start_consume(&fixture->harness, 1, own);
}

/* Copies and releases what came. */
__attribute__((unused)) static struct messages end_consume(struct queue_harness_consume *own)
{
    struct messages messages = {.count = own->consume.messages_count, .partition = -1};

    assert_true(own->is_over);
    messages.verdict = own->consume.verdict;
    messages.err = own->consume.err;
    for (uint32_t i = 0; i < messages.count; i++) {
        const struct queue_message *message = &own->consume.messages[i];
        (void)snprintf(messages.values[i], sizeof messages.values[i], "%.*s",
                       (int)message->record.value.length, (const char *)message->record.value.data);
        (void)snprintf(messages.handlers[i], sizeof messages.handlers[i], "%s", message->handler);
        messages.offsets[i] = message->record.offset;
        messages.failures[i] = message->failures;
        assert_true(i == 0 || message->partition == messages.partition);
        messages.partition = message->partition;
    }
    queue_consume_release(&own->consume);
    return messages;
}

/* A consume that is waited for. */
__attribute__((unused)) static struct messages get(struct fixture *fixture, const char *group,
                                                   uint32_t messages_max)
{
    struct queue_harness_consume own;

    begin_consume(fixture, &own, group, messages_max, 1000, 30000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    struct messages messages = end_consume(&own);
    assert_int_equal(messages.verdict, QUEUE_OK);
    return messages;
}

/* Produces `count` messages "<tag><n>" that carry the tag. */
__attribute__((unused)) static void put_tagged(struct fixture *fixture, const char *tag,
                                               unsigned first, unsigned count)
{
    struct queue_harness_produce own = {.is_over = false};
    struct queue_produce_message messages[QUEUE_MESSAGES_MAX] = {{.headers_count = 0}};
    const struct logstore_header header = {base_slice_text(QUEUE_TAG_HEADER), base_slice_text(tag)};
    char values[QUEUE_MESSAGES_MAX][64];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(values[i], sizeof values[i], "%s%u", tag, first + i);
        messages[i] = (struct queue_produce_message){
            .value = base_slice_text(values[i]), .headers = &header, .headers_count = 1};
    }
    send(fixture, &own, messages, count);
    assert_int_equal(own.produce.verdict, QUEUE_OK);
}

__attribute__((unused)) static void begin_tagged(struct fixture *fixture,
                                                 struct queue_harness_consume *own, const char *tag,
                                                 int64_t time_wait_ms)
{
    struct base_slice slice = base_slice_text(tag);

    *own = (struct queue_harness_consume){.is_over = false};
    queue_tag_rule_init(&own->consume.rule, &slice, tag[0] == '\0' ? 0 : 1, false);
    own->consume.topic = fixture->topic;
    own->consume.group_id = base_slice_text(fixture->group);
    own->consume.messages_max = QUEUE_MESSAGES_MAX;
    own->consume.size_bytes_max = QUEUE_CONSUME_BYTES_MAX;
    own->consume.time_wait_ms = time_wait_ms;
    own->consume.ack_wait_ms = 30000;
    queue_harness_start_consume(&fixture->harness, 1, own);
}

__attribute__((unused)) static struct messages get_tagged(struct fixture *fixture, const char *tag)
{
    struct queue_harness_consume own;

    begin_tagged(fixture, &own, tag, 1000);
    queue_harness_wait(&fixture->harness, &own.is_over);
    return end_consume(&own);
}

/* Acks messages [first, first + count): pattern has an 's' or 'f' for each; "" = all succeed. */
__attribute__((unused)) static struct queue_ack ack(struct fixture *fixture, const char *group,
                                                    const struct messages *messages, uint32_t first,
                                                    uint32_t count, const char *pattern)
{
    struct queue_harness_ack own = {.is_over = false};
    struct queue_ack_item items[QUEUE_MESSAGES_MAX] = {{.success = false}};

    for (uint32_t i = 0; i < count; i++) {
        items[i].handler = base_slice_text(messages->handlers[first + i]);
        items[i].success = pattern[0] == '\0' || pattern[i] == 's';
    }
    own.ack.topic = fixture->topic;
    own.ack.group_id = base_slice_text(group);
    own.ack.items = items;
    own.ack.items_count = count;
    queue_harness_start_ack(&fixture->harness, 1, &own);
    queue_harness_wait(&fixture->harness, &own.is_over);
    return own.ack;
}

__attribute__((unused)) static void ack_all(struct fixture *fixture, const char *group,
                                            const struct messages *messages)
{
    struct queue_ack result = ack(fixture, group, messages, 0, messages->count, "");
    assert_int_equal(result.verdict, QUEUE_OK);
    assert_int_equal(result.success_count, messages->count);
    assert_int_equal(result.fail_count, 0);
}

__attribute__((unused)) static struct queue_counters count(struct fixture *fixture,
                                                           const char *group)
{
    struct queue_counters counters;
    assert_int_equal(
        queue_count(fixture->harness.manager, fixture->topic, base_slice_text(group), &counters),
        QUEUE_OK);
    return counters;
}

__attribute__((unused)) static void assert_counters(struct fixture *fixture, const char *group,
                                                    int64_t produced, int64_t consumed,
                                                    int64_t available)
{
    struct queue_counters counters = count(fixture, group);
    assert_int_equal(counters.produced, produced);
    assert_int_equal(counters.consumed, consumed);
    assert_int_equal(counters.available, available);
}

#endif
