/* Frames of the Kafka protocol in an input: a length of four bytes in front of each. */
#ifndef FUZZ_FRAMES_H
#define FUZZ_FRAMES_H

#include <stddef.h>
#include <stdint.h>

enum { FRAMES_MAX = 64, FRAMES_INPUT_BYTES_MAX = 1 << 16 };

/* What was sent: correlation ids, in order. */
struct frames_asked {
    int32_t ids[FRAMES_MAX];
    unsigned count;
};

/* Makes the lengths fit: one that goes beyond the input means the rest of it, so that mutations
 * keep reaching the handlers. Returns the bytes to send. */
size_t frames_fit(uint8_t *bytes, size_t size, struct frames_asked *asked);

/* Every answer belongs to a request, in their order; requests without one (acks=0) are
 * passed over. Aborts otherwise. */
void frames_check(const uint8_t *bytes, size_t length, const struct frames_asked *asked);

#endif
