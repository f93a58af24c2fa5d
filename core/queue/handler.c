/* Handlers packed, and checked. */
#include "core/queue/handler_priv.h"

#include <assert.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/base64.h"
#include "core/base/endian.h"

enum handler_position {
    HANDLER_AT_SCOPE = 0,
    HANDLER_AT_OFFSET = 8,
    HANDLER_AT_LEASE = 16,
    HANDLER_AT_PARTITION = 24,
    HANDLER_AT_CHECKSUM = 28,
    HANDLER_PACKED_SIZE = 36,
};

enum { HANDLER_GROUP_ID_LENGTH_MAX = 255 };

static_assert(QUEUE_HANDLER_SIZE == HANDLER_PACKED_SIZE * 4 / 3 + 1, "36 bytes need no padding");

void queue__handler_key_init(struct queue_handler_key *key)
{
    base_random_bytes(key->bytes, sizeof key->bytes);
}

uint64_t queue__handler_scope(const struct queue_handler_key *key, struct base_uuid topic_id,
                              struct base_slice group_id)
{
    uint8_t text[BASE_UUID_SIZE + HANDLER_GROUP_ID_LENGTH_MAX];

    BASE_ASSERT(group_id.length <= HANDLER_GROUP_ID_LENGTH_MAX);
    memcpy(text, topic_id.bytes, BASE_UUID_SIZE);
    memcpy(text + BASE_UUID_SIZE, group_id.data, group_id.length);
    return base_siphash(key->bytes, text, BASE_UUID_SIZE + group_id.length);
}

void queue__handler_format(const struct queue_handler_key *key, const struct queue_handler *handler,
                           char text[QUEUE_HANDLER_SIZE])
{
    uint8_t packed[HANDLER_PACKED_SIZE];

    base_put_i64(packed + HANDLER_AT_SCOPE, (int64_t)handler->scope);
    base_put_i64(packed + HANDLER_AT_OFFSET, handler->offset);
    base_put_i64(packed + HANDLER_AT_LEASE, (int64_t)handler->lease_number);
    base_put_i32(packed + HANDLER_AT_PARTITION, handler->partition);
    uint64_t checksum = base_siphash(key->bytes, packed, HANDLER_AT_CHECKSUM);
    base_put_i64(packed + HANDLER_AT_CHECKSUM, (int64_t)checksum);
    base_base64url_encode(base_slice_of(packed, sizeof packed), text);
}

bool queue__handler_parse(const struct queue_handler_key *key, struct base_slice text,
                          struct queue_handler *out)
{
    uint8_t packed[HANDLER_PACKED_SIZE];

    *out = (struct queue_handler){0};
    if (!base_base64url_decode(text, packed, sizeof packed)) {
        return false;
    }
    uint64_t checksum = base_siphash(key->bytes, packed, HANDLER_AT_CHECKSUM);
    if (checksum != (uint64_t)base_get_i64(packed + HANDLER_AT_CHECKSUM)) {
        return false;
    }
    out->scope = (uint64_t)base_get_i64(packed + HANDLER_AT_SCOPE);
    out->offset = base_get_i64(packed + HANDLER_AT_OFFSET);
    out->lease_number = (uint64_t)base_get_i64(packed + HANDLER_AT_LEASE);
    out->partition = base_get_i32(packed + HANDLER_AT_PARTITION);
    return true;
}
