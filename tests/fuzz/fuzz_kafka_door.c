/* libFuzzer target: sequences of requests on one Kafka connection of a whole broker. Whatever
 * they are, the broker lives, and what it answers are whole frames in the order of the requests.
 *
 * The input is what a client sends: frames, each with its length in front. A length that goes
 * beyond the input means the rest of it, so that mutations keep reaching the handlers. */
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/endian.h"
#include "tests/fuzz/door.h"

enum {
    INPUT_BYTES_MAX = 1 << 16,
    LENGTH_SIZE = 4,
    CORRELATION_AT = 4, /* behind key and version */
    HEADER_BYTES_MIN = 8,
    FRAMES_MAX = 64,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was sent: correlation ids, in order. */
struct asked {
    int32_t ids[FRAMES_MAX];
    unsigned count;
};

/* Makes the lengths fit; returns the bytes to send. */
static size_t fit_lengths(uint8_t *bytes, size_t size, struct asked *asked)
{
    size_t position = 0;

    asked->count = 0;
    while (size - position > LENGTH_SIZE && asked->count < FRAMES_MAX) {
        size_t rest = size - position - LENGTH_SIZE;
        uint32_t length = (uint32_t)base_get_i32(bytes + position);
        if (length > rest) {
            length = (uint32_t)rest;
            base_put_i32(bytes + position, (int32_t)length);
        }
        position += LENGTH_SIZE;
        if (length >= HEADER_BYTES_MIN) {
            asked->ids[asked->count++] = base_get_i32(bytes + position + CORRELATION_AT);
        }
        position += length;
    }
    return position;
}

/* Every answer belongs to a request, in their order; requests without one (acks=0) are
 * passed over. */
static void check_answers(const uint8_t *bytes, size_t length, const struct asked *asked)
{
    size_t position = 0;
    unsigned next = 0;

    while (length - position >= LENGTH_SIZE + sizeof(int32_t)) {
        int32_t frame = base_get_i32(bytes + position);
        int32_t id = base_get_i32(bytes + position + LENGTH_SIZE);
        BASE_ASSERT(frame >= (int32_t)sizeof(int32_t));
        while (next < asked->count && asked->ids[next] != id) {
            next++;
        }
        BASE_ASSERT(next < asked->count);
        next++;
        if ((size_t)frame > length - position - LENGTH_SIZE) {
            return; /* the rest did not come in time */
        }
        position += LENGTH_SIZE + (size_t)frame;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    struct asked asked;
    const uint8_t *response;
    bool is_new;

    if (size > sizeof bytes) {
        return 0;
    }
    memcpy(bytes, data, size);
    const struct door *door = door_open(&is_new);
    size_t length = fit_lengths(bytes, size, &asked);
    size_t received = door_talk(door->kafka_port, DOOR_QUIET_MS, bytes, length, &response);
    check_answers(response, received, &asked);
    return 0;
}
