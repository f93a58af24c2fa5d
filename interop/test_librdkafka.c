/* librdkafka from C against the broker that DMSD_BOOTSTRAP names: compressions, headers,
 * cooperative rebalances, static members, seeking by time, idempotence. */
#include "interop/rdkafka_client.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum {
    PARTITIONS_COUNT = 4, /* of a topic made by naming it: see CMakeLists.txt */
    CALL_MS = 20000,
    BIG_VALUE_SIZE = (1 << 20) - 1024,
    TIME_BASE_MS = 1000000,
    TIME_STEP_MS = 1000,
};

static int64_t now_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Counts what was delivered; opaque is the count. */
static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    int *delivered = opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        print_error("delivery: %s\n", rd_kafka_err2str(message->err));
        return;
    }
    (*delivered)++;
}

static rd_kafka_t *make_producer(const struct setting *settings, int *delivered)
{
    rd_kafka_conf_t *conf = make_conf(settings);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, delivered);
    return make_client(RD_KAFKA_PRODUCER, conf);
}

static void produce(rd_kafka_t *producer, const char *topic, int32_t partition, const void *value,
                    size_t size, int64_t timestamp_ms)
{
    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("key", 3),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
            RD_KAFKA_V_HEADER("first", "1", 1), RD_KAFKA_V_HEADER("empty", "", 0),
            RD_KAFKA_V_HEADER("first", "again", 5), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return;
        }
        assert_int_equal(err, RD_KAFKA_RESP_ERR__QUEUE_FULL);
        (void)rd_kafka_poll(producer, 100);
    }
}

static void finish_producer(rd_kafka_t *producer, int delivered_wanted, const int *delivered)
{
    assert_int_equal(rd_kafka_flush(producer, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(*delivered, delivered_wanted);
    rd_kafka_destroy(producer);
}

/* count numbered messages on one partition. */
static void produce_numbers(const char *topic, int32_t partition, int count)
{
    int delivered = 0;
    rd_kafka_t *producer = make_producer(NULL, &delivered);
    for (int i = 0; i < count; i++) {
        char value[NAME_SIZE];
        int length = snprintf(value, sizeof(value), "%d", i);
        produce(producer, topic, partition, value, (size_t)length,
                TIME_BASE_MS + (int64_t)i * TIME_STEP_MS);
    }
    finish_producer(producer, count, &delivered);
}

static rd_kafka_t *make_reader(const char *topic, int32_t partition, int64_t offset)
{
    const struct setting settings[] = {
        {"group.id", "reader"}, {"enable.auto.commit", "false"}, {NULL, NULL}};
    rd_kafka_t *reader = make_client(RD_KAFKA_CONSUMER, make_conf(settings));
    (void)rd_kafka_poll_set_consumer(reader);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    assert_int_equal(rd_kafka_assign(reader, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return reader;
}

static void close_consumer(rd_kafka_t *consumer)
{
    assert_int_equal(rd_kafka_consumer_close(consumer), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(consumer);
}

/* The next message; the caller destroys it. */
static rd_kafka_message_t *next_message(rd_kafka_t *reader)
{
    int64_t deadline_ms = now_ms() + WAIT_MS;
    while (now_ms() < deadline_ms) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 1000);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return message;
        }
        if (message != NULL) {
            print_message("consumer: %s\n", rd_kafka_message_errstr(message));
            rd_kafka_message_destroy(message);
        }
    }
    fail_msg("no message in %d ms", WAIT_MS);
    return NULL;
}

static void assert_header(const rd_kafka_headers_t *headers, size_t index, const char *name,
                          const char *value)
{
    const char *found_name;
    const void *found;
    size_t size;
    assert_int_equal(rd_kafka_header_get_all(headers, index, &found_name, &found, &size),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_string_equal(found_name, name);
    assert_int_equal(size, strlen(value));
    if (size > 0) {
        assert_memory_equal(found, value, size);
    }
}

static void assert_number(const rd_kafka_message_t *message, int number)
{
    char value[NAME_SIZE];
    int length = snprintf(value, sizeof(value), "%d", number);
    assert_int_equal(message->len, (size_t)length);
    assert_memory_equal(message->payload, value, message->len);
}

static void codec_keeps_values_keys_and_headers(const char *codec)
{
    enum { COUNT = 500 };
    char topic[NAME_SIZE];
    make_name(topic, codec);
    int delivered = 0;
    const struct setting settings[] = {
        {"compression.type", codec}, {"linger.ms", "20"}, {NULL, NULL}};
    rd_kafka_t *producer = make_producer(settings, &delivered);
    char value[1000];
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < COUNT; i++) {
        value[0] = (char)('a' + i % 26);
        produce(producer, topic, 0, value, sizeof(value), TIME_BASE_MS + i);
    }
    finish_producer(producer, COUNT, &delivered);

    rd_kafka_t *reader = make_reader(topic, 0, RD_KAFKA_OFFSET_BEGINNING);
    for (int i = 0; i < COUNT; i++) {
        rd_kafka_message_t *message = next_message(reader);
        assert_int_equal(message->offset, i);
        value[0] = (char)('a' + i % 26);
        assert_int_equal(message->len, sizeof(value));
        assert_memory_equal(message->payload, value, sizeof(value));
        assert_int_equal(message->key_len, 3);
        assert_memory_equal(message->key, "key", 3);
        rd_kafka_timestamp_type_t type;
        assert_int_equal(rd_kafka_message_timestamp(message, &type), TIME_BASE_MS + i);
        assert_int_equal(type, RD_KAFKA_TIMESTAMP_CREATE_TIME);
        rd_kafka_headers_t *headers;
        assert_int_equal(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_int_equal(rd_kafka_header_cnt(headers), 3);
        assert_header(headers, 0, "first", "1");
        assert_header(headers, 1, "empty", "");
        assert_header(headers, 2, "first", "again");
        rd_kafka_message_destroy(message);
    }
    close_consumer(reader);
}

static void each_codec_keeps_values_keys_and_headers(void **state)
{
    (void)state;
    const char *codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        codec_keeps_values_keys_and_headers(codecs[i]);
    }
}

static void message_of_almost_1_mib_passes(void **state)
{
    (void)state;
    char topic[NAME_SIZE];
    make_name(topic, "big");
    char *value = malloc(BIG_VALUE_SIZE);
    assert_non_null(value);
    for (size_t i = 0; i < BIG_VALUE_SIZE; i++) {
        value[i] = (char)(i * 31 % 251);
    }
    int delivered = 0;
    const struct setting settings[] = {{"message.max.bytes", "2000000"}, {NULL, NULL}};
    rd_kafka_t *producer = make_producer(settings, &delivered);
    produce(producer, topic, 0, value, BIG_VALUE_SIZE, TIME_BASE_MS);
    finish_producer(producer, 1, &delivered);
    rd_kafka_t *reader = make_reader(topic, 0, RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_message_t *message = next_message(reader);
    assert_int_equal(message->len, BIG_VALUE_SIZE);
    assert_memory_equal(message->payload, value, BIG_VALUE_SIZE);
    rd_kafka_message_destroy(message);
    close_consumer(reader);
    free(value);
}

static void idempotent_producer_keeps_order_without_doubles(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    char topic[NAME_SIZE];
    make_name(topic, "idempotent");
    int delivered = 0;
    const struct setting settings[] = {{"enable.idempotence", "true"},
                                       {"batch.num.messages", "100"},
                                       {"linger.ms", "0"},
                                       {NULL, NULL}};
    rd_kafka_t *producer = make_producer(settings, &delivered);
    for (int i = 0; i < COUNT; i++) {
        char value[NAME_SIZE];
        int length = snprintf(value, sizeof(value), "%d", i);
        produce(producer, topic, 1, value, (size_t)length, TIME_BASE_MS);
    }
    finish_producer(producer, COUNT, &delivered);
    rd_kafka_t *reader = make_reader(topic, 1, RD_KAFKA_OFFSET_BEGINNING);
    for (int i = 0; i < COUNT; i++) {
        rd_kafka_message_t *message = next_message(reader);
        assert_int_equal(message->offset, i);
        assert_number(message, i);
        rd_kafka_message_destroy(message);
    }
    int64_t low;
    int64_t high;
    assert_int_equal(rd_kafka_query_watermark_offsets(reader, topic, 1, &low, &high, CALL_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(low, 0);
    assert_int_equal(high, COUNT);
    close_consumer(reader);
}

static void time_finds_the_first_message_at_or_after_it(void **state)
{
    (void)state;
    enum { COUNT = 50, WANTED = 20 };
    char topic[NAME_SIZE];
    make_name(topic, "time");
    produce_numbers(topic, 0, COUNT);
    rd_kafka_t *reader = make_reader(topic, 0, RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *part = rd_kafka_topic_partition_list_add(list, topic, 0);

    part->offset = TIME_BASE_MS + (int64_t)WANTED * TIME_STEP_MS - 1;
    assert_int_equal(rd_kafka_offsets_for_times(reader, list, CALL_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(part->err, RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(part->offset, WANTED);

    rd_kafka_error_t *error = rd_kafka_seek_partitions(reader, list, CALL_MS);
    assert_null(error);
    for (int tries = 0;; tries++) {
        /* What was fetched before the seek may still be in the queue of an old client. */
        assert_true(tries < COUNT);
        rd_kafka_message_t *message = next_message(reader);
        int64_t offset = message->offset;
        if (offset == WANTED) {
            assert_number(message, WANTED);
        }
        rd_kafka_message_destroy(message);
        if (offset == WANTED) {
            break;
        }
    }

    part->offset = TIME_BASE_MS + (int64_t)COUNT * TIME_STEP_MS;
    assert_int_equal(rd_kafka_offsets_for_times(reader, list, CALL_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(part->offset, RD_KAFKA_OFFSET_END);
    rd_kafka_topic_partition_list_destroy(list);
    close_consumer(reader);
}

/* A member of a group, polled by the test's only thread. */
struct member {
    rd_kafka_t *consumer;  /* owned; NULL once it has left */
    bool cooperative;      /* known here: a consumer that closes no longer tells its protocol */
    int assignments_count; /* rebalance callbacks of each kind */
    int revocations_count;
    int partitions_revoked; /* in all */
};

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct member *member = opaque;
    rd_kafka_error_t *error = NULL;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        member->assignments_count++;
        if (member->cooperative) {
            error = rd_kafka_incremental_assign(consumer, partitions);
        } else {
            (void)rd_kafka_assign(consumer, partitions);
        }
    } else {
        member->revocations_count++;
        member->partitions_revoked += partitions->cnt;
        if (member->cooperative) {
            error = rd_kafka_incremental_unassign(consumer, partitions);
        } else {
            (void)rd_kafka_assign(consumer, NULL);
        }
    }
    if (error != NULL) {
        print_error("rebalance: %s\n", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

static void join(struct member *member, const char *group, const char *topic, const char *strategy,
                 const char *instance)
{
    memset(member, 0, sizeof(*member));
    member->cooperative = strcmp(strategy, "cooperative-sticky") == 0;
    const struct setting settings[] = {
        {"group.id", group},
        {"partition.assignment.strategy", strategy},
        {"session.timeout.ms", "10000"},
        {"heartbeat.interval.ms", "200"},
        {"auto.offset.reset", "earliest"},
        {instance == NULL ? NULL : "group.instance.id", instance},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf = make_conf(settings);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, member);
    member->consumer = make_client(RD_KAFKA_CONSUMER, conf);
    (void)rd_kafka_poll_set_consumer(member->consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    assert_int_equal(rd_kafka_subscribe(member->consumer, topics), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(topics);
}

static void leave(struct member *member)
{
    close_consumer(member->consumer);
    member->consumer = NULL;
}

/* Bits of the partitions that a member has. */
static unsigned owned(const struct member *member)
{
    if (member->consumer == NULL) {
        return 0;
    }
    rd_kafka_topic_partition_list_t *list;
    assert_int_equal(rd_kafka_assignment(member->consumer, &list), RD_KAFKA_RESP_ERR_NO_ERROR);
    unsigned bits = 0;
    for (int i = 0; i < list->cnt; i++) {
        bits |= 1u << (unsigned)list->elems[i].partition;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return bits;
}

static int bits_count(unsigned bits)
{
    int count = 0;
    for (; bits != 0; bits &= bits - 1) {
        count++;
    }
    return count;
}

static void poll_members(struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].consumer != NULL) {
            rd_kafka_message_t *message = rd_kafka_consumer_poll(members[i].consumer, 20);
            if (message != NULL) {
                rd_kafka_message_destroy(message);
            }
        }
    }
}

/* Polls until the members that are there share all partitions as evenly as can be. */
static void wait_balanced(struct member *members, size_t count)
{
    int64_t deadline_ms = now_ms() + WAIT_MS;
    for (;;) {
        poll_members(members, count);
        unsigned all = 0;
        int sum = 0;
        int present = 0;
        int least = PARTITIONS_COUNT;
        for (size_t i = 0; i < count; i++) {
            if (members[i].consumer != NULL) {
                unsigned bits = owned(&members[i]);
                all |= bits;
                sum += bits_count(bits);
                present++;
                least = bits_count(bits) < least ? bits_count(bits) : least;
            }
        }
        if (all == (1u << PARTITIONS_COUNT) - 1 && sum == PARTITIONS_COUNT &&
            least == PARTITIONS_COUNT / present) {
            return;
        }
        if (now_ms() > deadline_ms) {
            fail_msg("%d members do not share %d partitions", present, PARTITIONS_COUNT);
        }
    }
}

static void cooperative_members_join_and_leave_without_losing_what_they_keep(void **state)
{
    (void)state;
    enum { MEMBERS = 3 };
    char topic[NAME_SIZE];
    char group[NAME_SIZE];
    make_name(topic, "cooperative");
    make_name(group, "group");
    produce_numbers(topic, 0, 10);
    struct member members[MEMBERS];
    memset(members, 0, sizeof(members));

    join(&members[0], group, topic, "cooperative-sticky", NULL);
    wait_balanced(members, MEMBERS);
    assert_int_equal(members[0].partitions_revoked, 0);

    unsigned before = owned(&members[0]);
    join(&members[1], group, topic, "cooperative-sticky", NULL);
    wait_balanced(members, MEMBERS);
    assert_int_equal(owned(&members[0]) & ~before, 0);
    assert_int_equal(members[0].partitions_revoked, 2);
    assert_int_equal(members[1].partitions_revoked, 0);

    join(&members[2], group, topic, "cooperative-sticky", NULL);
    wait_balanced(members, MEMBERS);
    assert_int_equal(members[0].partitions_revoked + members[1].partitions_revoked, 3);

    unsigned kept = owned(&members[1]);
    leave(&members[0]);
    wait_balanced(members, MEMBERS);
    assert_int_equal(owned(&members[1]) & kept, kept);
    leave(&members[2]);
    wait_balanced(members, MEMBERS);
    leave(&members[1]);
}

static void eager_members_join_and_leave(void **state)
{
    (void)state;
    enum { MEMBERS = 2 };
    char topic[NAME_SIZE];
    char group[NAME_SIZE];
    make_name(topic, "eager");
    make_name(group, "group");
    produce_numbers(topic, 0, 10);
    struct member members[MEMBERS];
    memset(members, 0, sizeof(members));
    join(&members[0], group, topic, "range,roundrobin", NULL);
    wait_balanced(members, MEMBERS);
    join(&members[1], group, topic, "range,roundrobin", NULL);
    wait_balanced(members, MEMBERS);
    leave(&members[0]);
    wait_balanced(members, MEMBERS);
    leave(&members[1]);
}

static void static_member_that_returns_causes_no_rebalance(void **state)
{
    (void)state;
    enum { MEMBERS = 2 };
    char topic[NAME_SIZE];
    char group[NAME_SIZE];
    make_name(topic, "static");
    make_name(group, "group");
    produce_numbers(topic, 0, 10);
    struct member members[MEMBERS];
    memset(members, 0, sizeof(members));
    join(&members[0], group, topic, "range", "instance-a");
    wait_balanced(members, MEMBERS);
    join(&members[1], group, topic, "range", "instance-b");
    wait_balanced(members, MEMBERS);

    unsigned first = owned(&members[0]);
    unsigned second = owned(&members[1]);
    int assignments = members[0].assignments_count;
    int revocations = members[0].revocations_count;
    leave(&members[1]); /* a static member's close sends no LeaveGroup */
    join(&members[1], group, topic, "range", "instance-b");
    wait_balanced(members, MEMBERS);
    assert_int_equal(owned(&members[0]), first);
    assert_int_equal(owned(&members[1]), second);
    assert_int_equal(members[0].assignments_count, assignments);
    assert_int_equal(members[0].revocations_count, revocations);
    leave(&members[0]);
    leave(&members[1]);
}

static void members_consume_each_message_once_from_committed_offsets(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    char topic[NAME_SIZE];
    char group[NAME_SIZE];
    make_name(topic, "commit");
    make_name(group, "group");
    produce_numbers(topic, 2, COUNT);
    int next = 0;
    for (int round = 0; round < 4; round++) {
        struct member member;
        join(&member, group, topic, "range", NULL);
        for (int i = 0; i < COUNT / 4; i++) {
            rd_kafka_message_t *message = next_message(member.consumer);
            assert_number(message, next);
            next++;
            assert_int_equal(rd_kafka_commit_message(member.consumer, message, 0),
                             RD_KAFKA_RESP_ERR_NO_ERROR);
            rd_kafka_message_destroy(message);
        }
        leave(&member);
    }
    assert_int_equal(next, COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_codec_keeps_values_keys_and_headers),
        cmocka_unit_test(message_of_almost_1_mib_passes),
        cmocka_unit_test(idempotent_producer_keeps_order_without_doubles),
        cmocka_unit_test(time_finds_the_first_message_at_or_after_it),
        cmocka_unit_test(cooperative_members_join_and_leave_without_losing_what_they_keep),
        cmocka_unit_test(eager_members_join_and_leave),
        cmocka_unit_test(static_member_that_returns_causes_no_rebalance),
        cmocka_unit_test(members_consume_each_message_once_from_committed_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
