/* libFuzzer target: sequences of requests on one Kafka connection of a whole broker. Whatever
 * they are, the broker lives, and what it answers are whole frames in the order of the requests.
 *
 * The input is what a client sends: frames, each with its length in front. */
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/door.h"
#include "tests/fuzz/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[FRAMES_INPUT_BYTES_MAX];
    struct frames_asked asked;
    const uint8_t *response;
    bool is_new;

    if (size > sizeof bytes) {
        return 0;
    }
    memcpy(bytes, data, size);
    const struct door *door = door_open(DOOR_FREE, &is_new);
    size_t length = frames_fit(bytes, size, &asked);
    size_t received = door_talk(door->kafka_port, DOOR_QUIET_MS, bytes, length, &response);
    frames_check(response, received, &asked);
    return 0;
}
