/* Messages against bytes written by hand from the protocol guide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buffer.h"
#include "kafka-proto/decode.h"
#include "kafka-proto/dump.h"
#include "kafka-proto/encode.h"

enum { LIMIT = 1 << 20 };

struct fixture {
    struct base_arena arena;
    struct kproto_writer writer;
};

static int setup(void **state)
{
    static struct fixture fixture;
    base_arena_init(&fixture.arena, LIMIT);
    kproto_writer_init(&fixture.writer, LIMIT);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    base_arena_fini(&fixture->arena);
    kproto_writer_fini(&fixture->writer);
    return 0;
}

/* The bytes of a string literal, without its terminator. */
#define WIRE(literal) base_slice_of((literal), sizeof(literal) - 1)

static enum base_err decode(struct fixture *fixture, const struct kproto_message *message,
                            int16_t version, struct base_slice wire, void *out)
{
    struct base_reader reader;
    base_reader_init(&reader, wire.data, wire.length);
    return kproto_decode(&reader, message, version, &fixture->arena, out);
}

static void assert_encodes(struct fixture *fixture, const struct kproto_message *message,
                           int16_t version, const void *msg, struct base_slice wire)
{
    base_writer_reset(&fixture->writer.bytes);
    assert_int_equal(kproto_encode(&fixture->writer, message, version, msg), BASE_ERR_OK);
    assert_int_equal(fixture->writer.bytes.length, wire.length);
    if (wire.length > 0) {
        assert_memory_equal(fixture->writer.bytes.buffer->data, wire.data, wire.length);
    }
}

/* Decodes into out, then encodes out again: the same bytes. */
static void assert_both_ways(struct fixture *fixture, const struct kproto_message *message,
                             int16_t version, struct base_slice wire, void *out)
{
    assert_int_equal(decode(fixture, message, version, wire, out), BASE_ERR_OK);
    assert_encodes(fixture, message, version, out, wire);
}

static void api_versions_request_v0_is_empty(void **state)
{
    struct kproto_api_versions_request request;
    assert_both_ways(*state, &kproto_message_api_versions_request, 0, WIRE(""), &request);
    assert_int_equal(request.client_software_name.length, 0);
    assert_non_null(request.client_software_name.data);
}

static void api_versions_request_v3_is_compact(void **state)
{
    struct kproto_api_versions_request request;
    assert_both_ways(*state, &kproto_message_api_versions_request, 3,
                     WIRE("\x0b"
                          "librdkafka"
                          "\x06"
                          "2.0.2"
                          "\x00"),
                     &request);
    assert_true(base_slice_is(request.client_software_name, "librdkafka"));
    assert_true(base_slice_is(request.client_software_version, "2.0.2"));
}

static void api_versions_response_v0_and_v3(void **state)
{
    struct fixture *fixture = *state;
    struct kproto_api_versions_response response;
    kproto_init(&kproto_schema_api_versions_response, &response);
    response.api_keys = kproto_array_create(&fixture->arena, api_versions_response_api_key, 2);
    response.api_keys_count = 2;
    response.api_keys[0] = (struct kproto_api_versions_response_api_key){0, 0, 13};
    response.api_keys[1] = (struct kproto_api_versions_response_api_key){18, 0, 4};

    assert_encodes(fixture, &kproto_message_api_versions_response, 0, &response,
                   WIRE("\x00\x00"
                        "\x00\x00\x00\x02"
                        "\x00\x00\x00\x00\x00\x0d"
                        "\x00\x12\x00\x00\x00\x04"));
    assert_encodes(fixture, &kproto_message_api_versions_response, 3, &response,
                   WIRE("\x00\x00"
                        "\x03"
                        "\x00\x00\x00\x00\x00\x0d\x00"
                        "\x00\x12\x00\x00\x00\x04\x00"
                        "\x00\x00\x00\x00"
                        "\x00"));
}

static void api_versions_response_v3_with_features(void **state)
{
    struct kproto_api_versions_response response;
    /* Tags 1 (epoch 7) and 2 (one finalized feature), and 9, which nobody knows. */
    struct base_slice known = WIRE("\x00\x00"
                                   "\x01"
                                   "\x00\x00\x00\x05"
                                   "\x02"
                                   "\x01\x08\x00\x00\x00\x00\x00\x00\x00\x07"
                                   "\x02\x08\x02\x02t\x00\x02\x00\x01\x00");
    struct base_slice unknown = WIRE("\x00\x00"
                                     "\x01"
                                     "\x00\x00\x00\x05"
                                     "\x03"
                                     "\x01\x08\x00\x00\x00\x00\x00\x00\x00\x07"
                                     "\x02\x08\x02\x02t\x00\x02\x00\x01\x00"
                                     "\x09\x03zzz");

    assert_both_ways(*state, &kproto_message_api_versions_response, 3, known, &response);
    assert_int_equal(response.throttle_time_ms, 5);
    assert_int_equal(response.finalized_features_epoch, 7);
    assert_int_equal(response.finalized_features_count, 1);
    assert_true(base_slice_is(response.finalized_features[0].name, "t"));
    assert_int_equal(response.finalized_features[0].max_version_level, 2);
    assert_int_equal(response.finalized_features[0].min_version_level, 1);
    assert_int_equal(response.supported_features_count, 0);
    assert_false(response.zk_migration_ready);

    assert_int_equal(decode(*state, &kproto_message_api_versions_response, 3, unknown, &response),
                     BASE_ERR_OK);
    assert_encodes(*state, &kproto_message_api_versions_response, 3, &response, known);
}

static void metadata_request_v1_tells_null_from_empty(void **state)
{
    struct kproto_metadata_request request;
    assert_both_ways(*state, &kproto_message_metadata_request, 1, WIRE("\xff\xff\xff\xff"),
                     &request);
    assert_null(request.topics);
    assert_int_equal(request.topics_count, 0);
    assert_true(request.allow_auto_topic_creation); /* implied before version 4 */

    assert_both_ways(*state, &kproto_message_metadata_request, 1, WIRE("\x00\x00\x00\x00"),
                     &request);
    assert_non_null(request.topics);
    assert_int_equal(request.topics_count, 0);

    assert_both_ways(*state, &kproto_message_metadata_request, 1,
                     WIRE("\x00\x00\x00\x02\x00\x01"
                          "a\x00\x02"
                          "bc"),
                     &request);
    assert_int_equal(request.topics_count, 2);
    assert_true(base_slice_is(request.topics[1].name, "bc"));
}

static void metadata_request_v0_refuses_null(void **state)
{
    struct kproto_metadata_request request;
    assert_int_equal(
        decode(*state, &kproto_message_metadata_request, 0, WIRE("\xff\xff\xff\xff"), &request),
        BASE_ERR_MALFORMED);
}

static void metadata_request_v9_and_v12(void **state)
{
    struct kproto_metadata_request request;
    assert_both_ways(*state, &kproto_message_metadata_request, 9,
                     WIRE("\x02\x03"
                          "ab\x00"
                          "\x01\x00\x01\x00"),
                     &request);
    assert_int_equal(request.topics_count, 1);
    assert_true(request.allow_auto_topic_creation);
    assert_false(request.include_cluster_authorized_operations);
    assert_true(request.include_topic_authorized_operations);

    /* By id with a null name; version 11 dropped the cluster's operations. */
    assert_both_ways(*state, &kproto_message_metadata_request, 12,
                     WIRE("\x02"
                          "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
                          "\x00\x00"
                          "\x00\x00\x00"),
                     &request);
    assert_null(request.topics[0].name.data);
    assert_int_equal(request.topics[0].topic_id.bytes[15], 0x10);

    /* Before version 10 a name may not be null. */
    assert_int_equal(decode(*state, &kproto_message_metadata_request, 9,
                            WIRE("\x02\x00\x00\x01\x00\x01\x00"), &request),
                     BASE_ERR_MALFORMED);
}

static void metadata_response_v1_v9_v12(void **state)
{
    struct fixture *fixture = *state;
    int32_t replicas[] = {1, 2};
    struct kproto_metadata_response_partition partition = {
        .partition_index = 3,
        .leader_id = 1,
        .leader_epoch = 4,
        .replica_nodes = replicas,
        .replica_nodes_count = 2,
        .isr_nodes = replicas,
        .isr_nodes_count = 1,
    };
    struct kproto_metadata_response_topic topic = {
        .name = base_slice_text("t"),
        .topic_id = {{0xaa}},
        .is_internal = true,
        .partitions = &partition,
        .partitions_count = 1,
        .topic_authorized_operations = INT32_MIN,
    };
    struct kproto_metadata_response_broker broker = {
        .node_id = 1, .host = base_slice_text("h"), .port = 9092};
    struct kproto_metadata_response response = {
        .brokers = &broker,
        .brokers_count = 1,
        .cluster_id = base_slice_text("c"),
        .controller_id = 1,
        .topics = &topic,
        .topics_count = 1,
        .cluster_authorized_operations = INT32_MIN,
    };

    assert_encodes(fixture, &kproto_message_metadata_response, 1, &response,
                   WIRE("\x00\x00\x00\x01"
                        "\x00\x00\x00\x01\x00\x01h\x00\x00\x23\x84\xff\xff"
                        "\x00\x00\x00\x01"
                        "\x00\x00\x00\x01"
                        "\x00\x00\x00\x01t\x01"
                        "\x00\x00\x00\x01"
                        "\x00\x00\x00\x00\x00\x03\x00\x00\x00\x01"
                        "\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02"
                        "\x00\x00\x00\x01\x00\x00\x00\x01"));
    assert_encodes(fixture, &kproto_message_metadata_response, 9, &response,
                   WIRE("\x00\x00\x00\x00"
                        "\x02\x00\x00\x00\x01\x02h\x00\x00\x23\x84\x00\x00"
                        "\x02"
                        "c\x00\x00\x00\x01"
                        "\x02\x00\x00\x02t\x01"
                        "\x02\x00\x00\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x04"
                        "\x03\x00\x00\x00\x01\x00\x00\x00\x02"
                        "\x02\x00\x00\x00\x01\x01\x00"
                        "\x80\x00\x00\x00\x00"
                        "\x80\x00\x00\x00\x00"));
    assert_encodes(fixture, &kproto_message_metadata_response, 12, &response,
                   WIRE("\x00\x00\x00\x00"
                        "\x02\x00\x00\x00\x01\x02h\x00\x00\x23\x84\x00\x00"
                        "\x02"
                        "c\x00\x00\x00\x01"
                        "\x02\x00\x00\x02t"
                        "\xaa\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                        "\x01"
                        "\x02\x00\x00\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x04"
                        "\x03\x00\x00\x00\x01\x00\x00\x00\x02"
                        "\x02\x00\x00\x00\x01\x01\x00"
                        "\x80\x00\x00\x00\x00"
                        "\x00"));
}

static void produce_request_v3_and_v9(void **state)
{
    struct kproto_produce_request request;
    assert_both_ways(*state, &kproto_message_produce_request, 3,
                     WIRE("\xff\xff"
                          "\xff\xff\x00\x00\x75\x30"
                          "\x00\x00\x00\x01\x00\x01t"
                          "\x00\x00\x00\x02"
                          "\x00\x00\x00\x00\x00\x00\x00\x03"
                          "abc"
                          "\x00\x00\x00\x01\xff\xff\xff\xff"),
                     &request);
    assert_null(request.transactional_id.data);
    assert_int_equal(request.acks, -1);
    assert_int_equal(request.timeout_ms, 30000);
    assert_int_equal(request.topic_data_count, 1);
    const struct kproto_produce_request_topic *topic = &request.topic_data[0];
    assert_true(base_slice_is(topic->name, "t"));
    assert_int_equal(topic->partition_data_count, 2);
    assert_true(base_slice_is(topic->partition_data[0].records.bytes, "abc"));
    assert_int_equal(topic->partition_data[0].records.length, 3);
    assert_false(topic->partition_data[0].records.is_null);
    assert_true(topic->partition_data[1].records.is_null);

    assert_both_ways(*state, &kproto_message_produce_request, 9,
                     WIRE("\x03"
                          "tx"
                          "\x00\x01\x00\x00\x00\x00"
                          "\x02\x02t"
                          "\x02\x00\x00\x00\x00\x04"
                          "abc\x00"
                          "\x00"
                          "\x00"),
                     &request);
    assert_true(base_slice_is(request.transactional_id, "tx"));
    assert_true(base_slice_is(request.topic_data[0].partition_data[0].records.bytes, "abc"));
}

static void produce_response_v10_names_a_leader_only_when_set(void **state)
{
    struct fixture *fixture = *state;
    struct kproto_produce_response response;
    kproto_init(&kproto_schema_produce_response, &response);
    response.responses = kproto_array_create(&fixture->arena, produce_response_topic, 1);
    response.responses_count = 1;
    response.responses[0].name = base_slice_text("t");
    struct kproto_produce_response_partition *partition =
        kproto_array_create(&fixture->arena, produce_response_partition, 1);
    response.responses[0].partition_responses = partition;
    response.responses[0].partition_responses_count = 1;

    struct base_slice plain = WIRE("\x02\x02t\x02"
                                   "\x00\x00\x00\x00\x00\x06"
                                   "\x00\x00\x00\x00\x00\x00\x00\x00"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff"
                                   "\x01\x00\x00"
                                   "\x00"
                                   "\x00\x00\x00\x00\x00");
    partition->error_code = 6;
    assert_encodes(fixture, &kproto_message_produce_response, 10, &response, plain);

    struct kproto_produce_response_leader leader;
    kproto_init(&kproto_schema_produce_response_leader, &leader);
    partition->current_leader = &leader;
    assert_encodes(fixture, &kproto_message_produce_response, 10, &response, plain);

    leader.leader_id = 2;
    assert_encodes(fixture, &kproto_message_produce_response, 10, &response,
                   WIRE("\x02\x02t\x02"
                        "\x00\x00\x00\x00\x00\x06"
                        "\x00\x00\x00\x00\x00\x00\x00\x00"
                        "\xff\xff\xff\xff\xff\xff\xff\xff"
                        "\xff\xff\xff\xff\xff\xff\xff\xff"
                        "\x01\x00\x01\x00\x09\x00\x00\x00\x02\xff\xff\xff\xff\x00"
                        "\x00"
                        "\x00\x00\x00\x00\x00"));
}

static void fetch_request_v4_and_v12(void **state)
{
    struct kproto_fetch_request request;
    assert_both_ways(*state, &kproto_message_fetch_request, 4,
                     WIRE("\xff\xff\xff\xff\x00\x00\x01\xf4\x00\x00\x00\x01\x03\x20\x00\x00\x01"
                          "\x00\x00\x00\x01\x00\x01t"
                          "\x00\x00\x00\x01"
                          "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x2a\x00\x10\x00\x00"),
                     &request);
    assert_int_equal(request.replica_id, -1);
    assert_int_equal(request.max_wait_ms, 500);
    assert_int_equal(request.isolation_level, 1);
    assert_int_equal(request.session_epoch, -1); /* default before version 7 */
    assert_int_equal(request.topics[0].partitions[0].fetch_offset, 42);
    assert_int_equal(request.topics[0].partitions[0].current_leader_epoch, -1);
    assert_true(request.topics[0].partitions[0].high_watermark == INT64_MAX);

    assert_both_ways(*state, &kproto_message_fetch_request, 12,
                     WIRE("\xff\xff\xff\xff\x00\x00\x01\xf4\x00\x00\x00\x01\x03\x20\x00\x00\x00"
                          "\x00\x00\x00\x09\x00\x00\x00\x01"
                          "\x02\x02t\x02"
                          "\x00\x00\x00\x07\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x2a"
                          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x10\x00\x00\x00"
                          "\x00"
                          "\x02\x02u\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00"
                          "\x02r"
                          "\x01\x00\x03\x03id"),
                     &request);
    assert_int_equal(request.session_id, 9);
    assert_int_equal(request.forgotten_topics_data_count, 1);
    assert_int_equal(request.forgotten_topics_data[0].partitions_count, 2);
    assert_int_equal(request.forgotten_topics_data[0].partitions[1], 2);
    assert_true(base_slice_is(request.rack_id, "r"));
    assert_true(base_slice_is(request.cluster_id, "id"));
    assert_null(request.replica_state);
}

/* Tag 1 of the request means something from version 15 on only. */
static void a_tag_of_a_later_version_is_skipped(void **state)
{
    struct kproto_fetch_request request;
    struct base_slice wire = WIRE("\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01"
                                  "\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                                  "\x01\x01\x01"
                                  "\x01\x01\x0d\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03"
                                  "\x00");
    assert_int_equal(decode(*state, &kproto_message_fetch_request, 12, wire, &request),
                     BASE_ERR_OK);
    assert_null(request.replica_state);
    /* Version 15 lost the plain replica id. */
    wire = base_slice_of(wire.data + 4, wire.length - 4);
    assert_int_equal(decode(*state, &kproto_message_fetch_request, 15, wire, &request),
                     BASE_ERR_OK);
    assert_int_equal(request.replica_state->replica_epoch, 3);
}

static void fetch_response_v4_and_v12(void **state)
{
    struct kproto_fetch_response response;
    /* Zero-length records are not null, aborted transactions are. */
    assert_both_ways(*state, &kproto_message_fetch_response, 4,
                     WIRE("\x00\x00\x00\x00"
                          "\x00\x00\x00\x01\x00\x01t"
                          "\x00\x00\x00\x01"
                          "\x00\x00\x00\x00\x00\x00"
                          "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x05"
                          "\xff\xff\xff\xff"
                          "\x00\x00\x00\x00"),
                     &response);
    const struct kproto_fetch_response_partition *partition = &response.responses[0].partitions[0];
    assert_null(partition->aborted_transactions);
    assert_false(partition->records.is_null);
    assert_int_equal(partition->records.length, 0);
    assert_int_equal(partition->preferred_read_replica, -1);

    assert_both_ways(*state, &kproto_message_fetch_response, 12,
                     WIRE("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                          "\x02\x02t\x02"
                          "\x00\x00\x00\x00\x00\x00"
                          "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x05"
                          "\x00\x00\x00\x00\x00\x00\x00\x00"
                          "\x01"
                          "\xff\xff\xff\xff"
                          "\x01"
                          "\x01\x01\x09\x00\x00\x00\x02\x00\x00\x00\x03\x00"
                          "\x00"
                          "\x00"),
                     &response);
    partition = &response.responses[0].partitions[0];
    assert_non_null(partition->aborted_transactions); /* empty */
    assert_int_equal(partition->aborted_transactions_count, 0);
    assert_non_null(partition->current_leader);
    assert_int_equal(partition->current_leader->leader_epoch, 3);
    assert_null(partition->diverging_epoch);
    assert_false(partition->records.is_null);
}

static void join_group_v5_both_directions(void **state)
{
    struct kproto_join_group_request request;
    assert_both_ways(*state, &kproto_message_join_group_request, 5,
                     WIRE("\x00\x01g\x00\x00\x27\x10\x00\x04\x93\xe0\x00\x00\xff\xff"
                          "\x00\x08"
                          "consumer"
                          "\x00\x00\x00\x01\x00\x05range\x00\x00\x00\x02\x00\x01"),
                     &request);
    assert_int_equal(request.session_timeout_ms, 10000);
    assert_int_equal(request.rebalance_timeout_ms, 300000);
    assert_int_equal(request.member_id.length, 0);
    assert_non_null(request.member_id.data);
    assert_null(request.group_instance_id.data);
    assert_true(base_slice_is(request.protocols[0].name, "range"));
    assert_int_equal(request.protocols[0].metadata.length, 2);
    assert_null(request.reason.data);

    struct kproto_join_group_response response;
    assert_both_ways(*state, &kproto_message_join_group_response, 5,
                     WIRE("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x05range\x00\x01m\x00\x01m"
                          "\x00\x00\x00\x01\x00\x01m\xff\xff\x00\x00\x00\x01\x07"),
                     &response);
    assert_int_equal(response.generation_id, 1);
    assert_true(base_slice_is(response.protocol_name, "range"));
    assert_int_equal(response.members[0].metadata.data[0], 7);
}

static void offset_commit_v1_has_a_timestamp_per_partition(void **state)
{
    struct kproto_offset_commit_request request;
    assert_both_ways(*state, &kproto_message_offset_commit_request, 1,
                     WIRE("\x00\x01g\xff\xff\xff\xff\x00\x00"
                          "\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01"
                          "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x64"
                          "\x00\x00\x00\x00\x00\x00\x00\x63"
                          "\x00\x00"),
                     &request);
    assert_int_equal(request.topics[0].partitions[0].committed_offset, 100);
    assert_int_equal(request.topics[0].partitions[0].commit_timestamp, 99);
    assert_int_equal(request.retention_time_ms, -1);

    assert_both_ways(*state, &kproto_message_offset_commit_request, 2,
                     WIRE("\x00\x01g\xff\xff\xff\xff\x00\x00"
                          "\x00\x00\x00\x00\x00\x00\x00\x05"
                          "\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01"
                          "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x64"
                          "\xff\xff"),
                     &request);
    assert_int_equal(request.retention_time_ms, 5);
    assert_int_equal(request.topics[0].partitions[0].commit_timestamp, -1);
    assert_null(request.topics[0].partitions[0].committed_metadata.data);
}

static void nullable_object_has_a_presence_byte(void **state)
{
    struct kproto_describe_topic_partitions_request request;
    assert_both_ways(*state, &kproto_message_describe_topic_partitions_request, 0,
                     WIRE("\x01\x00\x00\x07\xd0\xff\x00"), &request);
    assert_null(request.cursor);
    assert_both_ways(*state, &kproto_message_describe_topic_partitions_request, 0,
                     WIRE("\x01\x00\x00\x07\xd0\x01\x02t\x00\x00\x00\x05\x00\x00"), &request);
    assert_non_null(request.cursor);
    assert_true(base_slice_is(request.cursor->topic_name, "t"));
    assert_int_equal(request.cursor->partition_index, 5);
}

static void any_non_zero_bool_is_true(void **state)
{
    struct kproto_describe_cluster_request request;
    assert_int_equal(
        decode(*state, &kproto_message_describe_cluster_request, 0, WIRE("\x80\x00"), &request),
        BASE_ERR_OK);
    assert_true(request.include_cluster_authorized_operations);
    assert_encodes(*state, &kproto_message_describe_cluster_request, 0, &request, WIRE("\x01\x00"));
}

/* A value of more than 127 bytes needs a size of two bytes in front of it. */
static void long_tagged_field_moves_for_its_size(void **state)
{
    struct fixture *fixture = *state;
    char id[300];
    memset(id, 'x', sizeof id);
    struct kproto_fetch_request request;
    kproto_init(&kproto_schema_fetch_request, &request);
    request.cluster_id = base_slice_of(id, sizeof id);

    assert_int_equal(kproto_encode(&fixture->writer, &kproto_message_fetch_request, 12, &request),
                     BASE_ERR_OK);
    const uint8_t *bytes = fixture->writer.bytes.buffer->data;
    size_t length = fixture->writer.bytes.length;
    const uint8_t *tail = bytes + length - sizeof id - 6;
    assert_memory_equal(tail, "\x01\x00\xae\x02\xad\x02x", 7); /* count, tag 0, 302, 301 */

    struct kproto_fetch_request again;
    assert_int_equal(
        decode(fixture, &kproto_message_fetch_request, 12, base_slice_of(bytes, length), &again),
        BASE_ERR_OK);
    assert_true(base_slice_equal(again.cluster_id, request.cluster_id));
}

/* Bodies that must be refused: ApiVersions request v3 (two strings, tags) and others. */
static void hostile_bodies_are_malformed(void **state)
{
    const struct kproto_message *api_versions = &kproto_message_api_versions_request;
    const struct kproto_message *response = &kproto_message_api_versions_response;
    const struct kproto_message *metadata = &kproto_message_metadata_request;
    const struct {
        const struct kproto_message *message;
        int16_t version;
        struct base_slice wire;
    } rows[] = {
        {api_versions, 3,
         WIRE("\x02"
              "a\x02"
              "b\x00\x00")}, /* trailing byte */
        {api_versions, 0, WIRE("\x00")},
        {api_versions, 3,
         WIRE("\x00\x02"
              "b\x00")}, /* null where it cannot be */
        {api_versions, 3,
         WIRE("\x01\x01\x01\x05\x04"
              "ab")},                                            /* tag longer than the frame */
        {api_versions, 3, WIRE("\x01\x01\x02\x05\x00\x05\x00")}, /* twice the same tag */
        {api_versions, 3, WIRE("\x01\x01\x02\x06\x00\x05\x00")}, /* tags fall */
        {api_versions, 3, WIRE("\x01\x01\xff\xff\xff\xff\x0f")}, /* 4294967295 tags */
        {api_versions, 3, WIRE("\xff\xff\xff\xff\x0f\x01\x00")}, /* 4 GiB string */
        {api_versions, 3, WIRE("\x80\x80\x80\x80\x08\x01\x00")}, /* INT32_MIN if narrowed */
        {api_versions, 3, WIRE("\xff\xff\xff\xff\x1f\x01\x00")}, /* 33 bits */
        /* Tag 1 is an INT64 of 8 bytes, not 9 or 7. */
        {response, 3,
         WIRE("\x00\x00\x01\x00\x00\x00\x00\x01\x01\x09\x00\x00\x00\x00\x00\x00\x00"
              "\x00\x07")},
        {response, 3, WIRE("\x00\x00\x01\x00\x00\x00\x00\x01\x01\x07\x00\x00\x00\x00\x00\x00\x00")},
        {metadata, 1, WIRE("\xff\xff\xff\xfe")},         /* count -2 */
        {metadata, 1, WIRE("\x7f\xff\xff\xff")},         /* more than the frame can hold */
        {metadata, 1, WIRE("\x00\x00\x00\x02\x00\x00")}, /* likewise, by one */
        {metadata, 1, WIRE("\x00\x00\x00\x01\xff\xfe")}, /* length -2 */
        {metadata, 1, WIRE("\x00\x00\x00\x01\xff\xff")}, /* null name */
        {metadata, 9, WIRE("\xff\xff\xff\xff\x0f\x00\x00\x00\x00")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        union {
            struct kproto_api_versions_request api_versions;
            struct kproto_api_versions_response response;
            struct kproto_metadata_request metadata;
        } out;
        memset(&out, 0xa5, sizeof out);
        enum base_err err = decode(*state, rows[i].message, rows[i].version, rows[i].wire, &out);
        if (err != BASE_ERR_MALFORMED) {
            fail_msg("row %zu: %s", i, base_err_text(err));
        }
        for (size_t k = 0; k < rows[i].message->schema->size; k++) {
            assert_int_equal(((const uint8_t *)&out)[k], 0);
        }
    }
}

/* As librdkafka 2.0 sends it: ListGroups version 4 with a state, and a byte too many. */
static void requests_may_have_bytes_behind_their_last_field(void **state)
{
    static const char wire[] = "\x02\x07Stable\x00\x00";
    struct fixture *fixture = *state;
    const struct kproto_message *message = &kproto_message_list_groups_request;
    struct kproto_list_groups_request request;
    struct base_reader reader;

    base_reader_init(&reader, wire, sizeof wire - 1);
    assert_int_equal(kproto_decode_request(&reader, message, 4, &fixture->arena, &request),
                     BASE_ERR_OK);
    assert_int_equal(request.states_filter_count, 1);
    assert_int_equal(reader.remaining, 1);
    assert_int_equal(decode(fixture, message, 4, WIRE("\x02\x07Stable\x00\x00"), &request),
                     BASE_ERR_MALFORMED);
    base_reader_init(&reader, wire, sizeof wire - 3); /* too few are too few */
    assert_int_equal(kproto_decode_request(&reader, message, 4, &fixture->arena, &request),
                     BASE_ERR_MALFORMED);
    assert_int_equal(request.states_filter_count, 0);
}

static void compact_string_over_kafkas_limit_is_malformed(void **state)
{
    static uint8_t wire[3 + 32768 + 2];
    struct kproto_api_versions_request request;
    memset(wire, 'x', sizeof wire);
    memcpy(wire, "\x80\x80\x02", 3); /* 32768, that is a length of 32767 */
    memcpy(wire + 3 + 32767, "\x01\x00", 2);
    assert_int_equal(decode(*state, &kproto_message_api_versions_request, 3,
                            base_slice_of(wire, 3 + 32767 + 2), &request),
                     BASE_ERR_OK);
    memcpy(wire, "\x81\x80\x02", 3);
    memcpy(wire + 3 + 32768, "\x01\x00", 2);
    assert_int_equal(decode(*state, &kproto_message_api_versions_request, 3,
                            base_slice_of(wire, 3 + 32768 + 2), &request),
                     BASE_ERR_MALFORMED);
}

static void arena_limit_is_too_large(void **state)
{
    struct kproto_metadata_request request;
    struct base_arena small;
    struct base_reader reader;
    (void)state;

    base_arena_init(&small, sizeof(struct kproto_metadata_request_topic));
    base_reader_init(&reader, "\x00\x00\x00\x02\x00\x00\x00\x00", 8);
    assert_int_equal(kproto_decode(&reader, &kproto_message_metadata_request, 1, &small, &request),
                     BASE_ERR_TOO_LARGE);
    assert_null(request.topics);
    assert_true(reader.failed);
    base_arena_fini(&small);
}

static void encoding_over_a_limit_is_too_large(void **state)
{
    struct fixture *fixture = *state;
    static char text[32768];
    struct kproto_heartbeat_request request;
    kproto_init(&kproto_schema_heartbeat_request, &request);
    request.group_id = base_slice_of(text, 32767);
    assert_int_equal(
        kproto_encode(&fixture->writer, &kproto_message_heartbeat_request, 4, &request),
        BASE_ERR_OK);

    request.group_id = base_slice_of(text, 32768);
    for (int16_t version = 0; version <= 4; version += 4) {
        struct kproto_writer writer;
        kproto_writer_init(&writer, LIMIT);
        assert_int_equal(
            kproto_encode(&writer, &kproto_message_heartbeat_request, version, &request),
            BASE_ERR_TOO_LARGE);
        kproto_writer_fini(&writer);
    }

    struct kproto_writer small;
    kproto_writer_init(&small, 10);
    request.group_id = base_slice_text("a group");
    assert_int_equal(kproto_encode(&small, &kproto_message_heartbeat_request, 4, &request),
                     BASE_ERR_TOO_LARGE);
    kproto_writer_fini(&small);
}

static void fields_outside_the_version_are_dropped(void **state)
{
    struct kproto_heartbeat_request request = {
        .group_id = base_slice_text("g"),
        .generation_id = 2,
        .member_id = base_slice_text("m"),
        .group_instance_id = base_slice_text("i"), /* version 3 */
    };
    assert_encodes(*state, &kproto_message_heartbeat_request, 2, &request,
                   WIRE("\x00\x01g\x00\x00\x00\x02\x00\x01m"));
    assert_encodes(*state, &kproto_message_heartbeat_request, 3, &request,
                   WIRE("\x00\x01g\x00\x00\x00\x02\x00\x01m\x00\x01i"));
}

static void null_where_it_cannot_be_is_encoded_as_empty(void **state)
{
    struct kproto_heartbeat_request request = {.generation_id = 2};
    assert_encodes(*state, &kproto_message_heartbeat_request, 3, &request,
                   WIRE("\x00\x00\x00\x00\x00\x02\x00\x00\xff\xff"));
    struct kproto_metadata_request metadata = {0};
    assert_encodes(*state, &kproto_message_metadata_request, 0, &metadata,
                   WIRE("\x00\x00\x00\x00"));
    assert_encodes(*state, &kproto_message_metadata_request, 1, &metadata,
                   WIRE("\xff\xff\xff\xff"));
}

static void dump_prints_the_fields_of_the_version(void **state)
{
    struct kproto_metadata_request request;
    char text[200];
    assert_int_equal(decode(*state, &kproto_message_metadata_request, 4,
                            WIRE("\x00\x00\x00\x02\x00\x03\"a\n\x00\x00\x01"), &request),
                     BASE_ERR_OK);
    size_t length = kproto_dump(&kproto_message_metadata_request, 4, &request, text, sizeof text);
    assert_string_equal(text, "metadata_request{topics=[{name=\"\\x22a\\x0a\"} {name=\"\"}] "
                              "allow_auto_topic_creation=true}");
    assert_int_equal(length, strlen(text));

    kproto_dump(&kproto_message_metadata_request, 4, &request, text, 20);
    assert_string_equal(text, "metadata_request...");

    struct kproto_produce_request produce;
    assert_int_equal(decode(*state, &kproto_message_produce_request, 3,
                            WIRE("\xff\xff\x00\x01\x00\x00\x00\x05\x00\x00\x00\x01\x00\x01t"
                                 "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x02xy"),
                            &produce),
                     BASE_ERR_OK);
    kproto_dump(&kproto_message_produce_request, 3, &produce, text, sizeof text);
    assert_string_equal(text,
                        "produce_request{transactional_id=null acks=1 timeout_ms=5 "
                        "topic_data=[{name=\"t\" partition_data=[{index=2 records=<2 bytes>}]}]}");
}

static void dump_hides_secrets(void **state)
{
    struct kproto_sasl_authenticate_request request = {.auth_bytes =
                                                           base_slice_text("\0user\0password")};
    char text[100];
    (void)state;
    kproto_dump(&kproto_message_sasl_authenticate_request, 2, &request, text, sizeof text);
    assert_string_equal(text, "sasl_authenticate_request{auth_bytes=<hidden>}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(api_versions_request_v0_is_empty),
        TEST(api_versions_request_v3_is_compact),
        TEST(api_versions_response_v0_and_v3),
        TEST(api_versions_response_v3_with_features),
        TEST(metadata_request_v1_tells_null_from_empty),
        TEST(metadata_request_v0_refuses_null),
        TEST(metadata_request_v9_and_v12),
        TEST(metadata_response_v1_v9_v12),
        TEST(produce_request_v3_and_v9),
        TEST(produce_response_v10_names_a_leader_only_when_set),
        TEST(fetch_request_v4_and_v12),
        TEST(a_tag_of_a_later_version_is_skipped),
        TEST(fetch_response_v4_and_v12),
        TEST(join_group_v5_both_directions),
        TEST(offset_commit_v1_has_a_timestamp_per_partition),
        TEST(nullable_object_has_a_presence_byte),
        TEST(any_non_zero_bool_is_true),
        TEST(long_tagged_field_moves_for_its_size),
        TEST(hostile_bodies_are_malformed),
        TEST(requests_may_have_bytes_behind_their_last_field),
        TEST(compact_string_over_kafkas_limit_is_malformed),
        TEST(arena_limit_is_too_large),
        TEST(encoding_over_a_limit_is_too_large),
        TEST(fields_outside_the_version_are_dropped),
        TEST(null_where_it_cannot_be_is_encoded_as_empty),
        TEST(dump_prints_the_fields_of_the_version),
        TEST(dump_hides_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
