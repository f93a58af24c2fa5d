/* Lengths, and who is answered. */
#include "tests/fuzz/frames.h"

#include "core/base/assert.h"
#include "core/base/endian.h"

enum {
    LENGTH_SIZE = 4,
    CORRELATION_AT = 4, /* behind key and version */
    HEADER_BYTES_MIN = 8,
};

size_t frames_fit(uint8_t *bytes, size_t size, struct frames_asked *asked)
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

void frames_check(const uint8_t *bytes, size_t length, const struct frames_asked *asked)
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
