/* 16 bytes of the queue's id, then partition (4 bytes) and offset (8) mixed by a Feistel
 * network of four rounds over two halves of six bytes. */
#include "core/queue/message_id.h"

#include <assert.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/base64.h"
#include "core/base/endian.h"
#include "core/base/siphash.h"

enum {
    ID_PLACE_SIZE = 12,
    ID_SIZE = BASE_UUID_SIZE + ID_PLACE_SIZE,
    ID_ROUNDS = 4,
};

#define HALF_MASK 0xffffffffffffu /* 48 bits */

static_assert(QUEUE_MESSAGE_ID_SIZE == (ID_SIZE * 4 + 2) / 3 + 1, "fits its text");
static_assert((int)BASE_UUID_SIZE == (int)BASE_SIPHASH_KEY_SIZE, "the queue's id is the key");

static uint64_t round_of(const struct base_uuid *key, unsigned round, uint64_t half)
{
    uint8_t input[9] = {(uint8_t)round};
    base_put_i64(input + 1, (int64_t)half);
    return base_siphash(key->bytes, input, sizeof input) & HALF_MASK;
}

static uint64_t get_half(const uint8_t *bytes)
{
    return (uint64_t)base_get_u16(bytes) << 32 | base_get_u32(bytes + 2);
}

static void put_half(uint8_t *bytes, uint64_t half)
{
    base_put_u16(bytes, (uint16_t)(half >> 32));
    base_put_u32(bytes + 2, (uint32_t)half);
}

void queue_message_id_format(struct base_uuid topic_id, int32_t partition, int64_t offset,
                             char text[QUEUE_MESSAGE_ID_SIZE])
{
    uint8_t id[ID_SIZE];
    uint8_t *place = id + BASE_UUID_SIZE;

    BASE_ASSERT(partition >= 0);
    BASE_ASSERT(offset >= 0);
    memcpy(id, topic_id.bytes, BASE_UUID_SIZE);
    base_put_i32(place, partition);
    base_put_i64(place + 4, offset);
    uint64_t left = get_half(place);
    uint64_t right = get_half(place + 6);
    for (unsigned round = 0; round < ID_ROUNDS; round++) {
        uint64_t mixed = left ^ round_of(&topic_id, round, right);
        left = right;
        right = mixed;
    }
    put_half(place, left);
    put_half(place + 6, right);
    base_base64url_encode(base_slice_of(id, sizeof id), text);
}

bool queue_message_id_parse(struct base_slice text, struct base_uuid *topic_id, int32_t *partition,
                            int64_t *offset)
{
    uint8_t id[ID_SIZE];
    uint8_t *place = id + BASE_UUID_SIZE;

    *topic_id = (struct base_uuid){0};
    *partition = -1;
    *offset = -1;
    if (!base_base64url_decode(text, id, sizeof id)) {
        return false;
    }
    memcpy(topic_id->bytes, id, BASE_UUID_SIZE);
    uint64_t left = get_half(place);
    uint64_t right = get_half(place + 6);
    for (unsigned round = ID_ROUNDS; round-- > 0;) {
        uint64_t mixed = right ^ round_of(topic_id, round, left);
        right = left;
        left = mixed;
    }
    put_half(place, left);
    put_half(place + 6, right);
    *partition = base_get_i32(place);
    *offset = base_get_i64(place + 4);
    return *partition >= 0 && *offset >= 0;
}
