/* Requests built, sent and decoded with the broker's own codec. */
#include "tests/bench/kafka_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/endian.h"
#include "kafka-proto/api.h"
#include "kafka-proto/decode.h"
#include "kafka-proto/error.h"
#include "kafka-proto/frame.h"
#include "kafka-proto/writer.h"

enum {
    FRAME_BYTES_MAX = 1 << 30,
    FETCH_PARTITION_SIZE = 28, /* of a request of version 11: 4 + 4 + 8 + 8 + 4 */
    FETCH_OFFSET_AT = 8,
    FETCH_TAIL_SIZE = 6, /* no forgotten topics, empty rack */
    FETCH_BYTES_MAX = 50 << 20,
    FETCH_WAIT_MS = 500,
    CREATE_TOPICS_VERSION = 4,
    LIST_OFFSETS_VERSION = 2,
    LATEST = -1,
};

struct kafka_frame kafka_frame_take(struct base_writer *writer)
{
    if (writer->err != BASE_ERR_OK) {
        bench_die("cannot build: %s", base_err_text(writer->err));
    }
    struct kafka_frame frame = {.bytes = bench_alloc(1, writer->length), .length = writer->length};
    memcpy(frame.bytes, writer->buffer->data, writer->length);
    base_writer_fini(writer);
    return frame;
}

struct kafka_frame kafka_frame_build(int16_t key, int16_t version, const void *request)
{
    struct kproto_writer writer;
    struct kproto_request_header header = {
        .api_key = key, .api_version = version, .client_id = base_slice_text("bench")};

    kproto_writer_init(&writer, FRAME_BYTES_MAX);
    enum base_err err = kproto_request_encode(&writer, kproto_api_find(key), &header, request);
    if (err != BASE_ERR_OK) {
        bench_die("cannot encode a request: %s", base_err_text(err));
    }
    struct kafka_frame frame = kafka_frame_take(&writer.bytes);
    kproto_writer_fini(&writer);
    return frame;
}

size_t kafka_answer_measure(const uint8_t *data, size_t size)
{
    return size < sizeof(int32_t) ? 0 : sizeof(int32_t) + base_get_u32(data);
}

void kafka_answer_decode(const uint8_t *data, size_t size, int16_t key, int16_t version,
                         struct base_arena *arena, void *response)
{
    struct base_reader reader;
    const struct kproto_api *api = kproto_api_find(key);
    int32_t correlation_id = 0;

    base_reader_init(&reader, data + sizeof(int32_t), size - sizeof(int32_t));
    enum base_err err = kproto_response_header_decode(&reader, api, version, &correlation_id);
    if (err == BASE_ERR_OK) {
        err = kproto_decode(&reader, api->response, version, arena, response);
    }
    if (err != BASE_ERR_OK) {
        bench_die("cannot decode an answer to %s", api->name);
    }
}

static void receive_all(int fd, uint8_t *data, size_t size)
{
    if (size > 0 && recv(fd, data, size, MSG_WAITALL) != (ssize_t)size) {
        bench_die("the server closed the connection");
    }
}

void kafka_call(int fd, int16_t key, int16_t version, const void *request, struct base_arena *arena,
                void *response)
{
    struct kafka_frame frame = kafka_frame_build(key, version, request);
    uint8_t prefix[sizeof(int32_t)];

    for (size_t sent = 0; sent < frame.length;) {
        ssize_t count = send(fd, frame.bytes + sent, frame.length - sent, MSG_NOSIGNAL);
        if (count <= 0) {
            bench_die("send: %s", strerror(errno));
        }
        sent += (size_t)count;
    }
    free(frame.bytes);
    receive_all(fd, prefix, sizeof prefix);
    size_t length = base_get_u32(prefix);
    uint8_t *answer = base_arena_alloc(arena, sizeof prefix + length);
    if (answer == NULL) {
        bench_die("an answer of %zu bytes", length);
    }
    receive_all(fd, answer + sizeof prefix, length);
    kafka_answer_decode(answer, sizeof prefix + length, key, version, arena, response);
}

void kafka_topic_make(const struct bench_options *options)
{
    struct base_arena arena;
    struct kproto_create_topics_request_config config = {.name = base_slice_text("dms.queue.mode"),
                                                         .value = base_slice_text(options->mode)};
    struct kproto_create_topics_request_topic topic;
    struct kproto_create_topics_request request;
    struct kproto_create_topics_response response;

    kproto_init(&kproto_schema_create_topics_request_topic, &topic);
    kproto_init(&kproto_schema_create_topics_request, &request);
    topic.name = base_slice_text(options->topic);
    topic.num_partitions = (int32_t)options->partitions;
    topic.replication_factor = 1;
    topic.configs = &config;
    topic.configs_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    base_arena_init(&arena, FRAME_BYTES_MAX);
    int fd = engine_connect(options->port);
    kafka_call(fd, KPROTO_KEY_create_topics, CREATE_TOPICS_VERSION, &request, &arena, &response);
    int16_t error = response.topics_count == 1 ? response.topics[0].error_code : -1;
    if (error != KPROTO_ERROR_NONE && error != KPROTO_ERROR_TOPIC_ALREADY_EXISTS) {
        bench_die("topic %s could not be made: error %d", options->topic, error);
    }
    (void)close(fd);
    base_arena_fini(&arena);
}

void kafka_end_offsets(const struct bench_options *options, int64_t *ends)
{
    struct base_arena arena;
    struct kproto_list_offsets_request_topic topic;
    struct kproto_list_offsets_request request;
    struct kproto_list_offsets_response response;

    base_arena_init(&arena, FRAME_BYTES_MAX);
    kproto_init(&kproto_schema_list_offsets_request_topic, &topic);
    kproto_init(&kproto_schema_list_offsets_request, &request);
    topic.name = base_slice_text(options->topic);
    topic.partitions_count = (uint32_t)options->partitions;
    topic.partitions =
        kproto_array_create(&arena, list_offsets_request_partition, topic.partitions_count);
    for (uint32_t i = 0; i < topic.partitions_count; i++) {
        topic.partitions[i].partition_index = (int32_t)(options->first_partition + i);
        topic.partitions[i].timestamp = LATEST;
    }
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    int fd = engine_connect(options->port);
    kafka_call(fd, KPROTO_KEY_list_offsets, LIST_OFFSETS_VERSION, &request, &arena, &response);
    if (response.topics_count != 1 || response.topics[0].partitions_count != options->partitions) {
        bench_die("ListOffsets answered other partitions");
    }
    for (uint32_t i = 0; i < topic.partitions_count; i++) {
        if (response.topics[0].partitions[i].error_code != KPROTO_ERROR_NONE) {
            bench_die("ListOffsets: error %d", response.topics[0].partitions[i].error_code);
        }
        ends[i] = response.topics[0].partitions[i].offset;
    }
    (void)close(fd);
    base_arena_fini(&arena);
}

struct kafka_frame kafka_produce_prefix(const struct bench_options *options, int32_t partition,
                                        size_t records_length)
{
    struct kproto_produce_request_partition row = {.index = partition,
                                                   .records = {.bytes = base_slice_text("")}};
    struct kproto_produce_request_topic topic = {
        .name = base_slice_text(options->topic), .partition_data = &row, .partition_data_count = 1};
    struct kproto_produce_request request = {.acks = (int16_t)options->acks,
                                             .timeout_ms = 30000,
                                             .topic_data = &topic,
                                             .topic_data_count = 1};
    struct kafka_frame frame =
        kafka_frame_build(KPROTO_KEY_produce, KAFKA_PRODUCE_VERSION, &request);
    kafka_produce_prefix_resize(&frame, records_length);
    return frame;
}

void kafka_produce_prefix_resize(struct kafka_frame *prefix, size_t records_length)
{
    size_t frame_length = prefix->length - sizeof(int32_t) + records_length;
    base_put_u32(prefix->bytes, (uint32_t)frame_length);
    base_put_u32(prefix->bytes + prefix->length - sizeof(int32_t), (uint32_t)records_length);
}

void kafka_produce_check(const uint8_t *data, size_t size)
{
    struct base_arena arena;
    struct kproto_produce_response response;

    base_arena_init(&arena, FRAME_BYTES_MAX);
    kafka_answer_decode(data, size, KPROTO_KEY_produce, KAFKA_PRODUCE_VERSION, &arena, &response);
    if (response.responses_count != 1 || response.responses[0].partition_responses_count != 1) {
        bench_die("Produce answered other partitions");
    }
    int16_t error = response.responses[0].partition_responses[0].error_code;
    if (error != KPROTO_ERROR_NONE) {
        bench_die("Produce: error %d", error);
    }
    base_arena_fini(&arena);
}

struct kafka_frame kafka_fetch_build(const struct bench_options *options, int32_t first,
                                     int32_t step, uint32_t partitions_count)
{
    struct base_arena arena;
    struct kproto_fetch_request_topic topic;
    struct kproto_fetch_request request;

    base_arena_init(&arena, FRAME_BYTES_MAX);
    kproto_init(&kproto_schema_fetch_request_topic, &topic);
    kproto_init(&kproto_schema_fetch_request, &request);
    topic.topic = base_slice_text(options->topic);
    topic.partitions = kproto_array_create(&arena, fetch_request_partition, partitions_count);
    topic.partitions_count = partitions_count;
    for (uint32_t i = 0; i < partitions_count; i++) {
        topic.partitions[i].partition = first + (int32_t)i * step;
        topic.partitions[i].partition_max_bytes = (int32_t)options->fetch_bytes;
    }
    request.max_wait_ms = FETCH_WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = FETCH_BYTES_MAX;
    request.topics = &topic;
    request.topics_count = 1;
    struct kafka_frame frame = kafka_frame_build(KPROTO_KEY_fetch, KAFKA_FETCH_VERSION, &request);
    base_arena_fini(&arena);
    return frame;
}

void kafka_fetch_set_offset(struct kafka_frame *frame, uint32_t partitions_count, uint32_t nth,
                            int64_t offset)
{
    size_t at = frame->length - FETCH_TAIL_SIZE -
                (size_t)(partitions_count - nth) * FETCH_PARTITION_SIZE + FETCH_OFFSET_AT;
    base_put_i64(frame->bytes + at, offset);
}
