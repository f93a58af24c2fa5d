/* Frames, their headers, and record batches that are sent without being copied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "kafka-proto/decode.h"
#include "kafka-proto/frame.h"

enum { LIMIT = 1 << 20 };

#define WIRE(literal) base_slice_of((literal), sizeof(literal) - 1)

static enum base_err decode_header(struct base_slice wire, struct kproto_request_header *header,
                                   size_t *remaining)
{
    struct base_reader reader;
    base_reader_init(&reader, wire.data, wire.length);
    enum base_err err = kproto_request_header_decode(&reader, header);
    *remaining = reader.remaining;
    return err;
}

static void request_header_v1(void **state)
{
    struct kproto_request_header header;
    size_t remaining;
    (void)state;
    assert_int_equal(decode_header(WIRE("\x00\x03\x00\x08\x00\x00\x00\x2a\x00\x02"
                                        "me"
                                        "body"),
                                   &header, &remaining),
                     BASE_ERR_OK);
    assert_int_equal(header.api_key, 3);
    assert_int_equal(header.api_version, 8);
    assert_int_equal(header.correlation_id, 42);
    assert_true(base_slice_is(header.client_id, "me"));
    assert_int_equal(remaining, 4);
}

static void request_header_v2_has_tags_and_a_classic_client_id(void **state)
{
    struct kproto_request_header header;
    size_t remaining;
    (void)state;
    assert_int_equal(decode_header(WIRE("\x00\x03\x00\x09\x00\x00\x00\x2a\x00\x02"
                                        "me\x00"
                                        "body"),
                                   &header, &remaining),
                     BASE_ERR_OK);
    assert_true(base_slice_is(header.client_id, "me"));
    assert_int_equal(remaining, 4);

    assert_int_equal(decode_header(WIRE("\x00\x03\x00\x09\x00\x00\x00\x2a\xff\xff"
                                        "\x02\x00\x01x\x05\x02yy"
                                        "body"),
                                   &header, &remaining),
                     BASE_ERR_OK);
    assert_null(header.client_id.data);
    assert_int_equal(remaining, 4);
}

/* An ApiVersions request from the future must still be answered. */
static void request_header_of_an_unknown_version_is_read(void **state)
{
    struct kproto_request_header header;
    size_t remaining;
    (void)state;
    assert_int_equal(
        decode_header(WIRE("\x00\x12\x7f\xff\x00\x00\x00\x07\x00\x00\x00"), &header, &remaining),
        BASE_ERR_OK);
    assert_int_equal(header.api_key, 18);
    assert_int_equal(header.api_version, INT16_MAX);
    assert_int_equal(header.correlation_id, 7);

    assert_int_equal(
        decode_header(WIRE("\x00\x12\xff\xff\x00\x00\x00\x07\x00\x00"), &header, &remaining),
        BASE_ERR_OK);
    assert_int_equal(header.api_version, -1);
}

static void request_header_of_an_unknown_key_is_unsupported(void **state)
{
    struct kproto_request_header header;
    size_t remaining;
    (void)state;
    assert_int_equal(
        decode_header(WIRE("\x00\x04\x00\x01\x00\x00\x00\x07\x00\x00"), &header, &remaining),
        BASE_ERR_UNSUPPORTED);
    assert_int_equal(header.api_key, 4);
    assert_int_equal(header.api_version, 1);
    assert_int_equal(header.correlation_id, 7);
    assert_int_equal(
        decode_header(WIRE("\xff\xff\x00\x01\x00\x00\x00\x07\x00\x00"), &header, &remaining),
        BASE_ERR_UNSUPPORTED);
}

static void broken_request_headers_are_malformed(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {"", 0},
        {"\x00\x03\x00\x08\x00\x00\x00", 7},
        {"\x00\x03\x00\x08\x00\x00\x00\x2a", 8},
        {"\x00\x03\x00\x08\x00\x00\x00\x2a\x00\x02m", 11},                    /* short client id */
        {"\x00\x03\x00\x08\x00\x00\x00\x2a\xff\xfe", 10},                     /* length -2 */
        {"\x00\x03\x00\x09\x00\x00\x00\x2a\xff\xff", 10},                     /* no tags */
        {"\x00\x03\x00\x09\x00\x00\x00\x2a\xff\xff\x01", 11},                 /* short tags */
        {"\x00\x03\x00\x09\x00\x00\x00\x2a\xff\xff\x02\x01\x00\x01\x00", 15}, /* same tag */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kproto_request_header header;
        size_t remaining;
        memset(&header, 0xa5, sizeof header);
        assert_int_equal(
            decode_header(base_slice_of(rows[i].bytes, rows[i].length), &header, &remaining),
            BASE_ERR_MALFORMED);
        assert_int_equal(header.api_key, 0);
        assert_int_equal(header.correlation_id, 0);
        assert_null(header.client_id.data);
    }
}

static void assert_frame(struct kproto_writer *writer, struct base_slice wire)
{
    assert_int_equal(writer->bytes.length, wire.length);
    assert_memory_equal(writer->bytes.buffer->data, wire.data, wire.length);
}

static void request_frames(void **state)
{
    struct kproto_writer writer;
    struct kproto_heartbeat_request request = {
        .group_id = base_slice_text("g"), .generation_id = 1, .member_id = base_slice_text("m")};
    struct kproto_request_header header = {
        .api_key = KPROTO_KEY_heartbeat,
        .api_version = 0,
        .correlation_id = 9,
        .client_id = base_slice_text("me"),
    };
    const struct kproto_api *api = kproto_api_find(KPROTO_KEY_heartbeat);
    (void)state;

    kproto_writer_init(&writer, LIMIT);
    assert_int_equal(kproto_request_encode(&writer, api, &header, &request), BASE_ERR_OK);
    assert_frame(&writer, WIRE("\x00\x00\x00\x16"
                               "\x00\x0c\x00\x00\x00\x00\x00\x09\x00\x02me"
                               "\x00\x01g\x00\x00\x00\x01\x00\x01m"));
    base_writer_reset(&writer.bytes);

    header.api_version = 4;
    header.client_id = (struct base_slice){0};
    assert_int_equal(kproto_request_encode(&writer, api, &header, &request), BASE_ERR_OK);
    assert_frame(&writer, WIRE("\x00\x00\x00\x15"
                               "\x00\x0c\x00\x04\x00\x00\x00\x09\xff\xff\x00"
                               "\x02g\x00\x00\x00\x01\x02m\x00\x00"));
    kproto_writer_fini(&writer);
}

static void response_frames_and_the_exception_of_api_versions(void **state)
{
    struct kproto_writer writer;
    struct kproto_heartbeat_response heartbeat = {.error_code = 27};
    struct kproto_api_versions_response api_versions = {.finalized_features_epoch = -1};
    (void)state;

    kproto_writer_init(&writer, LIMIT);
    assert_int_equal(
        kproto_response_encode(&writer, kproto_api_find(KPROTO_KEY_heartbeat), 4, 9, &heartbeat),
        BASE_ERR_OK);
    /* A second frame goes behind the first. */
    assert_int_equal(kproto_response_encode(&writer, kproto_api_find(KPROTO_KEY_api_versions), 3,
                                            10, &api_versions),
                     BASE_ERR_OK);
    assert_frame(&writer, WIRE("\x00\x00\x00\x0c"
                               "\x00\x00\x00\x09\x00"
                               "\x00\x00\x00\x00\x00\x1b\x00"
                               "\x00\x00\x00\x0c"
                               "\x00\x00\x00\x0a"
                               "\x00\x00\x01\x00\x00\x00\x00\x00"));

    struct base_reader reader;
    int32_t correlation_id;
    base_reader_init(&reader, writer.bytes.buffer->data + 4, 12);
    assert_int_equal(kproto_response_header_decode(&reader, kproto_api_find(KPROTO_KEY_heartbeat),
                                                   4, &correlation_id),
                     BASE_ERR_OK);
    assert_int_equal(correlation_id, 9);
    assert_int_equal(reader.remaining, 7);
    base_reader_init(&reader, "\x00\x00\x00", 3);
    assert_int_equal(kproto_response_header_decode(&reader, kproto_api_find(KPROTO_KEY_heartbeat),
                                                   4, &correlation_id),
                     BASE_ERR_MALFORMED);
    assert_int_equal(correlation_id, 0);
    kproto_writer_fini(&writer);
}

/* A fetch response with two partitions whose records lie in three chunks. */
struct fetch_fixture {
    struct base_arena arena;
    struct base_buffer *log; /* ten bytes, "0123456789" */
    struct base_chunk chunks[3];
    struct kproto_fetch_response response;
};

static void fetch_init(struct fetch_fixture *fetch)
{
    base_arena_init(&fetch->arena, LIMIT);
    fetch->log = base_buffer_create(10);
    assert_non_null(fetch->log);
    memcpy(fetch->log->data, "0123456789", 10);
    for (size_t i = 0; i < 3; i++) {
        fetch->chunks[i] = (struct base_chunk){
            .buffer = base_buffer_hold(fetch->log), .position = i * 3, .length = 3};
    }
    kproto_init(&kproto_schema_fetch_response, &fetch->response);
    fetch->response.responses = kproto_array_create(&fetch->arena, fetch_response_topic, 1);
    fetch->response.responses_count = 1;
    struct kproto_fetch_response_partition *partitions =
        kproto_array_create(&fetch->arena, fetch_response_partition, 3);
    fetch->response.responses[0].topic = base_slice_text("t");
    fetch->response.responses[0].partitions = partitions;
    fetch->response.responses[0].partitions_count = 3;
    partitions[0].records =
        (struct kproto_records){.chunks = fetch->chunks, .chunks_count = 2, .length = 6};
    /* partitions[1] has none */
    partitions[2].partition_index = 2;
    partitions[2].records =
        (struct kproto_records){.chunks = fetch->chunks + 2, .chunks_count = 1, .length = 3};
}

static void fetch_fini(struct fetch_fixture *fetch)
{
    for (size_t i = 0; i < 3; i++) {
        base_chunk_release(&fetch->chunks[i]);
    }
    base_buffer_release(&fetch->log);
    base_arena_fini(&fetch->arena);
}

static void inserted_chunks_are_sent_in_place_and_not_copied(void **state)
{
    struct fetch_fixture fetch;
    struct kproto_writer writer;
    struct base_chunk *chunks;
    size_t count;
    uint8_t wire[1000];
    size_t length = 0;
    unsigned from_log = 0;
    (void)state;

    fetch_init(&fetch);
    kproto_writer_init(&writer, LIMIT);
    assert_int_equal(
        kproto_response_encode(&writer, kproto_api_find(KPROTO_KEY_fetch), 12, 5, &fetch.response),
        BASE_ERR_OK);
    size_t total = kproto_writer_length(&writer);
    assert_int_equal(kproto_writer_finish(&writer, &fetch.arena, &chunks, &count), BASE_ERR_OK);
    assert_int_equal(count, 6); /* bytes, 2 of the log, bytes, 1 of the log, bytes */
    for (size_t i = 0; i < count; i++) {
        assert_non_null(chunks[i].buffer);
        assert_true(chunks[i].length > 0);
        memcpy(wire + length, chunks[i].buffer->data + chunks[i].position, chunks[i].length);
        length += chunks[i].length;
        from_log += chunks[i].buffer == fetch.log;
        base_chunk_release(&chunks[i]);
    }
    assert_int_equal(from_log, 3);
    assert_int_equal(length, total);
    assert_int_equal(kproto_writer_length(&writer), 0);
    assert_int_equal(atomic_load(&fetch.log->refs.count), 4); /* ours only */

    struct base_reader reader;
    struct kproto_fetch_response decoded;
    int32_t correlation_id;
    base_reader_init(&reader, wire, length);
    assert_int_equal(base_reader_int32(&reader), (int32_t)length - 4);
    assert_int_equal(kproto_response_header_decode(&reader, kproto_api_find(KPROTO_KEY_fetch), 12,
                                                   &correlation_id),
                     BASE_ERR_OK);
    assert_int_equal(
        kproto_decode(&reader, &kproto_message_fetch_response, 12, &fetch.arena, &decoded),
        BASE_ERR_OK);
    const struct kproto_fetch_response_partition *partitions = decoded.responses[0].partitions;
    assert_true(base_slice_is(partitions[0].records.bytes, "012345"));
    assert_false(partitions[1].records.is_null);
    assert_int_equal(partitions[1].records.length, 0);
    assert_true(base_slice_is(partitions[2].records.bytes, "678"));

    kproto_writer_fini(&writer);
    fetch_fini(&fetch);
}

static void an_empty_writer_finishes_as_no_chunks(void **state)
{
    struct base_arena arena;
    struct kproto_writer writer;
    struct base_chunk *chunks;
    size_t count;
    (void)state;

    base_arena_init(&arena, LIMIT);
    kproto_writer_init(&writer, LIMIT);
    assert_int_equal(kproto_writer_finish(&writer, &arena, &chunks, &count), BASE_ERR_OK);
    assert_int_equal(count, 0);
    kproto_writer_fini(&writer);
    base_arena_fini(&arena);
}

static void memory_running_out_leaves_no_reference_behind(void **state)
{
    (void)state;
    bool fired = true;
    for (long allocation = 0; fired; allocation++) {
        struct fetch_fixture fetch;
        struct kproto_writer writer;
        struct base_arena arena;
        struct base_chunk *chunks;
        size_t count;

        fetch_init(&fetch);
        base_arena_init(&arena, LIMIT);
        kproto_writer_init(&writer, LIMIT);
        base_alloc_fail_after(allocation, 1);
        enum base_err err = kproto_response_encode(&writer, kproto_api_find(KPROTO_KEY_fetch), 12,
                                                   5, &fetch.response);
        enum base_err finish_err = kproto_writer_finish(&writer, &arena, &chunks, &count);
        fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);

        assert_int_equal(finish_err, fired ? BASE_ERR_NOMEM : BASE_ERR_OK);
        assert_true(err == BASE_ERR_OK || err == finish_err);
        assert_int_equal(chunks == NULL, fired);
        for (size_t i = 0; i < count; i++) {
            base_chunk_release(&chunks[i]);
        }
        assert_int_equal(atomic_load(&fetch.log->refs.count), 4);
        kproto_writer_fini(&writer);
        base_arena_fini(&arena);
        fetch_fini(&fetch);
    }
}

static void finish_reports_the_limit_of_the_arena(void **state)
{
    struct fetch_fixture fetch;
    struct kproto_writer writer;
    struct base_arena arena;
    struct base_chunk *chunks;
    size_t count;
    (void)state;

    fetch_init(&fetch);
    base_arena_init(&arena, 10);
    kproto_writer_init(&writer, LIMIT);
    assert_int_equal(
        kproto_response_encode(&writer, kproto_api_find(KPROTO_KEY_fetch), 4, 5, &fetch.response),
        BASE_ERR_OK);
    assert_int_equal(kproto_writer_finish(&writer, &arena, &chunks, &count), BASE_ERR_TOO_LARGE);
    assert_null(chunks);
    assert_int_equal(count, 0);
    kproto_writer_fini(&writer);
    base_arena_fini(&arena);
    fetch_fini(&fetch);
}

/* Three inserts of 1 GiB each: no frame can say how long it is. */
static void a_frame_over_31_bits_is_too_large(void **state)
{
    struct fetch_fixture fetch;
    struct kproto_writer writer;
    (void)state;

    fetch_init(&fetch);
    struct kproto_fetch_response_partition *partitions = fetch.response.responses[0].partitions;
    for (size_t i = 0; i < 3; i++) {
        fetch.chunks[i].length = 1u << 30; /* never read */
        partitions[i].records = (struct kproto_records){
            .chunks = &fetch.chunks[i], .chunks_count = 1, .length = 1u << 30};
    }
    kproto_writer_init(&writer, LIMIT);
    assert_int_equal(
        kproto_response_encode(&writer, kproto_api_find(KPROTO_KEY_fetch), 12, 5, &fetch.response),
        BASE_ERR_TOO_LARGE);
    kproto_writer_fini(&writer);
    fetch_fini(&fetch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_header_v1),
        cmocka_unit_test(request_header_v2_has_tags_and_a_classic_client_id),
        cmocka_unit_test(request_header_of_an_unknown_version_is_read),
        cmocka_unit_test(request_header_of_an_unknown_key_is_unsupported),
        cmocka_unit_test(broken_request_headers_are_malformed),
        cmocka_unit_test(request_frames),
        cmocka_unit_test(response_frames_and_the_exception_of_api_versions),
        cmocka_unit_test(inserted_chunks_are_sent_in_place_and_not_copied),
        cmocka_unit_test(an_empty_writer_finishes_as_no_chunks),
        cmocka_unit_test(memory_running_out_leaves_no_reference_behind),
        cmocka_unit_test(finish_reports_the_limit_of_the_arena),
        cmocka_unit_test(a_frame_over_31_bits_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
