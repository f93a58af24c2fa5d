/* Encoding and decoding of what is in __consumer_offsets. */
#include "core/group/format_priv.h"

#include <assert.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/group/coordinator.h"
#include "core/group/offsets_priv.h"
#include "logstore/records.h"

enum {
    KEY_VERSION_OFFSET_OLD = 0, /* same layout as 1 */
    KEY_VERSION_OFFSET = 1,
    KEY_VERSION_GROUP = 2,
    VALUE_VERSION_OFFSET_EXPIRING = 1, /* the only one with a time to expire; without an epoch */
    VALUE_VERSION_OFFSET = 3,
    VALUE_VERSION_GROUP = 3,
    /* Five lengths of 2 bytes, two of 4, two timeouts. */
    MEMBER_SIZE_MIN = 4 * 2 + 2 * 4 + 2 * 4,
    KEY_SIZE_MAX = 3 * (INT16_MAX + 2) + 8,
    OFFSET_SIZE_MAX = GROUP_OFFSET_METADATA_SIZE_MAX + 64,
    RECORD_FRAME_SIZE_MAX = 128, /* around key and value: lengths, times, the header */
    BATCH_SIZE_FULL = 1 << 19,
    BATCH_SIZE_MAX = GROUP_ASSIGNMENTS_SIZE_MAX + (1 << 20),
};

static_assert(BATCH_SIZE_FULL + KEY_SIZE_MAX + OFFSET_SIZE_MAX + RECORD_FRAME_SIZE_MAX +
                      KEY_SIZE_MAX + GROUP_ASSIGNMENTS_SIZE_MAX + RECORD_FRAME_SIZE_MAX <=
                  BATCH_SIZE_MAX,
              "one offset and the group's record find room in a batch that is not full");

#define HEADER_TOPIC_ID "dms.topic_id"

static void write_string(struct base_writer *writer, struct base_slice text)
{
    if (text.data == NULL) {
        base_writer_int16(writer, -1);
        return;
    }
    if (text.length > INT16_MAX) {
        base_writer_fail(writer, BASE_ERR_TOO_LARGE);
        return;
    }
    base_writer_int16(writer, (int16_t)text.length);
    base_writer_slice(writer, text);
}

static void write_bytes(struct base_writer *writer, struct base_slice bytes)
{
    BASE_ASSERT(bytes.length <= INT32_MAX);
    base_writer_int32(writer, (int32_t)bytes.length);
    base_writer_slice(writer, bytes);
}

static struct base_slice read_nullable(struct base_reader *reader)
{
    int16_t length = base_reader_int16(reader);
    if (length == -1) {
        return base_slice_of(NULL, 0);
    }
    if (length < 0) {
        base_reader_fail(reader);
        return base_slice_of(NULL, 0);
    }
    return base_reader_bytes(reader, (size_t)length);
}

static struct base_slice read_string(struct base_reader *reader)
{
    struct base_slice text = read_nullable(reader);
    if (text.data == NULL) {
        base_reader_fail(reader);
    }
    return text;
}

static struct base_slice read_bytes(struct base_reader *reader)
{
    int32_t length = base_reader_int32(reader);
    if (length < 0) {
        base_reader_fail(reader);
        return base_slice_of(NULL, 0);
    }
    return base_reader_bytes(reader, (size_t)length);
}

void group__batch_init(struct group_batch *batch, int64_t now_ms)
{
    base_writer_init(&batch->writer, BATCH_SIZE_MAX);
    base_writer_init(&batch->key, KEY_SIZE_MAX);
    base_writer_init(&batch->value, OFFSET_SIZE_MAX);
    batch->now_ms = now_ms;
    batch->records_count = 0;
    logstore_records_builder_begin(&batch->builder, &batch->writer);
}

void group__batch_fini(struct group_batch *batch)
{
    base_writer_fini(&batch->writer);
    base_writer_fini(&batch->key);
    base_writer_fini(&batch->value);
}

static struct base_slice written(const struct base_writer *writer)
{
    return base_slice_of(writer->buffer == NULL ? NULL : writer->buffer->data, writer->length);
}

static void add(struct group_batch *batch, struct base_slice value,
                const struct logstore_header *header)
{
    batch->records_count++; /* also one that failed: finish() must not be skipped then */
    if (batch->key.err || batch->value.err) {
        base_writer_fail(&batch->writer, batch->key.err ? batch->key.err : batch->value.err);
        return;
    }
    struct logstore_record_input input = {
        .timestamp_ms = batch->now_ms,
        .key = written(&batch->key),
        .value = value,
        .headers = header,
        .headers_count = header == NULL ? 0 : 1,
    };
    logstore_records_builder_add(&batch->builder, &input);
}

static void write_offset(struct base_writer *writer, const struct group_offset *offset)
{
    bool expires = offset->expire_ms > 0;

    base_writer_int16(writer, expires ? VALUE_VERSION_OFFSET_EXPIRING : VALUE_VERSION_OFFSET);
    base_writer_int64(writer, offset->offset);
    if (!expires) {
        base_writer_int32(writer, offset->leader_epoch);
    }
    write_string(writer, base_slice_of(offset->metadata, offset->metadata_length));
    base_writer_int64(writer, offset->commit_ms);
    if (expires) {
        base_writer_int64(writer, offset->expire_ms);
    }
}

void group__batch_add_offset(struct group_batch *batch, struct base_slice group_id,
                             const struct group_offset_entry *entry,
                             const struct group_offset *offset)
{
    base_writer_reset(&batch->key);
    base_writer_reset(&batch->value);
    base_writer_int16(&batch->key, KEY_VERSION_OFFSET);
    write_string(&batch->key, group_id);
    write_string(&batch->key, entry->topic->name);
    base_writer_int32(&batch->key, entry->partition);
    if (offset == NULL) {
        add(batch, base_slice_of(NULL, 0), NULL);
        return;
    }
    write_offset(&batch->value, offset);
    const struct logstore_header header = {
        .key = base_slice_text(HEADER_TOPIC_ID),
        .value = base_slice_of(offset->topic_id.bytes, BASE_UUID_SIZE),
    };
    add(batch, written(&batch->value), base_uuid_is_zero(offset->topic_id) ? NULL : &header);
}

void group__batch_add_group(struct group_batch *batch, struct base_slice group_id,
                            struct base_slice value)
{
    base_writer_reset(&batch->key);
    base_writer_int16(&batch->key, KEY_VERSION_GROUP);
    write_string(&batch->key, group_id);
    add(batch, value, NULL);
}

bool group__batch_is_full(const struct group_batch *batch)
{
    return logstore_records_builder_size_bytes(&batch->builder) >= BATCH_SIZE_FULL;
}

enum base_err group__batch_finish(struct group_batch *batch, struct base_chunk *chunk)
{
    *chunk = (struct base_chunk){.buffer = NULL};
    BASE_ASSERT(batch->records_count > 0);

    enum base_err err =
        batch->writer.err ? batch->writer.err : logstore_records_builder_finish(&batch->builder);
    if (err) {
        return err;
    }
    chunk->buffer = base_writer_take(&batch->writer, &chunk->length);
    return BASE_ERR_OK;
}

static void encode_member(struct base_writer *writer, const struct group *group,
                          const struct group_member *member, bool next)
{
    write_string(writer, member->member_id);
    write_string(writer, member->instance_id);
    write_string(writer, member->client_id.data == NULL ? base_slice_text("") : member->client_id);
    write_string(writer,
                 member->client_host.data == NULL ? base_slice_text("") : member->client_host);
    base_writer_int32(writer, member->rebalance_timeout_ms);
    base_writer_int32(writer, member->session_timeout_ms);
    write_bytes(writer, group__member_metadata(member, group->protocol));
    write_bytes(writer, next ? member->assignment_next : member->assignment);
}

void group__encode_group(struct base_writer *writer, const struct group *group, bool next)
{
    base_writer_int16(writer, VALUE_VERSION_GROUP);
    write_string(writer,
                 group->protocol_type.data == NULL ? base_slice_text("") : group->protocol_type);
    base_writer_int32(writer, group->generation);
    write_string(writer, group->protocol);
    write_string(writer, group->leader == NULL ? base_slice_of(NULL, 0) : group->leader->member_id);
    base_writer_int64(writer, group->state_since_ms);
    base_writer_int32(writer, (int32_t)group->members_count);
    for (const struct base_list *node = group->members.next; node != &group->members;
         node = node->next) {
        encode_member(writer, group, BASE_CONTAINER_OF(node, struct group_member, link), next);
    }
}

enum base_err group__decode_key(struct base_slice bytes, struct group_key *out)
{
    struct base_reader reader;

    *out = (struct group_key){.is_offset = false};
    base_reader_init(&reader, bytes.data, bytes.length);
    int16_t version = base_reader_int16(&reader);
    if (reader.failed) {
        return BASE_ERR_MALFORMED;
    }
    if (version < KEY_VERSION_OFFSET_OLD || version > KEY_VERSION_GROUP) {
        return BASE_ERR_UNSUPPORTED;
    }
    out->is_offset = version <= KEY_VERSION_OFFSET;
    out->group_id = read_string(&reader);
    if (out->is_offset) {
        out->topic = read_string(&reader);
        out->partition = base_reader_int32(&reader);
    }
    return base_reader_finish(&reader);
}

enum base_err group__decode_offset(const struct logstore_record *record,
                                   struct group_commit_item *item, int64_t *commit_ms)
{
    struct base_reader reader;
    struct base_slice topic_id;

    item->topic_id = (struct base_uuid){0};
    if (logstore_record_header(record, HEADER_TOPIC_ID, &topic_id) &&
        topic_id.length == BASE_UUID_SIZE) {
        memcpy(item->topic_id.bytes, topic_id.data, BASE_UUID_SIZE);
    }
    base_reader_init(&reader, record->value.data, record->value.length);
    int16_t version = base_reader_int16(&reader);
    if (version != VALUE_VERSION_OFFSET && version != VALUE_VERSION_OFFSET_EXPIRING) {
        return BASE_ERR_UNSUPPORTED;
    }
    item->offset = base_reader_int64(&reader);
    item->leader_epoch = version == VALUE_VERSION_OFFSET ? base_reader_int32(&reader) : -1;
    item->metadata = read_string(&reader);
    *commit_ms = base_reader_int64(&reader);
    item->expire_ms = version == VALUE_VERSION_OFFSET_EXPIRING ? base_reader_int64(&reader) : 0;
    return base_reader_finish(&reader);
}

enum base_err group__decode_group(struct base_slice bytes, struct group_value *out)
{
    struct base_reader reader;

    *out = (struct group_value){.generation = 0};
    base_reader_init(&reader, bytes.data, bytes.length);
    if (base_reader_int16(&reader) != VALUE_VERSION_GROUP) {
        return BASE_ERR_UNSUPPORTED;
    }
    out->protocol_type = read_string(&reader);
    out->generation = base_reader_int32(&reader);
    out->protocol = read_nullable(&reader);
    out->leader_id = read_nullable(&reader);
    out->state_since_ms = base_reader_int64(&reader);
    int32_t count = base_reader_int32(&reader);
    if (reader.failed || count < 0 || (size_t)count > reader.remaining / MEMBER_SIZE_MIN) {
        return BASE_ERR_MALFORMED;
    }
    out->members_count = (uint32_t)count;
    out->members = reader;
    return BASE_ERR_OK;
}

void group__decode_member(struct base_reader *reader, struct group_value_member *out)
{
    out->member_id = read_string(reader);
    out->instance_id = read_nullable(reader);
    out->client_id = read_string(reader);
    out->client_host = read_string(reader);
    out->rebalance_timeout_ms = base_reader_int32(reader);
    out->session_timeout_ms = base_reader_int32(reader);
    out->subscription = read_bytes(reader);
    out->assignment = read_bytes(reader);
}

bool group__subscription_each(struct base_slice bytes, group_topic_visit *visit, void *context)
{
    struct base_reader reader;

    base_reader_init(&reader, bytes.data, bytes.length);
    (void)base_reader_int16(&reader); /* any version: the topics come first in all of them */
    int32_t count = base_reader_int32(&reader);
    if (reader.failed || count < 0) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        struct base_slice topic = read_string(&reader);
        if (reader.failed || !visit(context, topic)) {
            return false;
        }
    }
    return true;
}
