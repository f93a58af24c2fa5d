/* libFuzzer target: a Kafka connection of a broker that asks who one is. Whatever is sent, the
 * broker lives, answers whole frames, and nothing but SASL and ApiVersions before the proof.
 *
 *     byte 0   bit 0: the connection is proven before the rest, with PLAIN and an access key
 *     then     frames, as in fuzz_kafka_door
 *
 * Runs of one letter stand for what is good, and are as long: "AAAA…" (20) the access key,
 * "SSSS…" (40) its secret key, "PPPP…" (24) the administrator's password. */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/endian.h"
#include "kafka-proto/api.h"
#include "tests/fuzz/door_admin.h"
#include "tests/fuzz/frames.h"

enum {
    FLAG_PROVEN = 1,
    LENGTH_SIZE = 4,
    ACCESS_KEY_LENGTH = 20,
    SECRET_KEY_LENGTH = 40,
    PASSWORD_LENGTH = 24,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct door_admin admin;

/* Puts text where a run of as many `letter` stands. */
static void substitute(uint8_t *bytes, size_t size, char letter, const char *text)
{
    uint8_t run[DOOR_NAME_SIZE];
    size_t length = strlen(text);

    memset(run, letter, length);
    for (uint8_t *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), run, length)) != NULL;
         at += length) {
        memcpy(at, text, length);
    }
}

/* SaslHandshake 1 and SaslAuthenticate 0 with PLAIN, filled in by substitute(). */
static const uint8_t proof[] = {0,    0,   0,   17,  0,   17,  0,   1,   0,   0,   0,   1,   0xff,
                                0xff, 0,   5,   'P', 'L', 'A', 'I', 'N', /* */
                                0,    0,   0,   76,  0,   36,  0,   0,   0,   0,   0,   2,   0xff,
                                0xff, 0,   0,   0,   62,  0, /* */
                                'A',  'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A', 'A',
                                'A',  'A', 'A', 'A', 'A', 'A', 'A', 0,   'S', 'S', 'S', 'S', 'S',
                                'S',  'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S',
                                'S',  'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S',
                                'S',  'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S'};

/* Whether a frame may begin an exchange of raw tokens: their answers have no head. */
static bool has_raw_tokens(const uint8_t *bytes, size_t length)
{
    size_t position = 0;

    while (length - position > LENGTH_SIZE + 4) {
        uint32_t frame = (uint32_t)base_get_i32(bytes + position);
        const uint8_t *head = bytes + position + LENGTH_SIZE;
        if (frame > length - position - LENGTH_SIZE) {
            return false;
        }
        if (frame >= 4 && base_get_i16(head) == KPROTO_KEY_sasl_handshake &&
            base_get_i16(head + 2) == 0) {
            return true;
        }
        position += LENGTH_SIZE + frame;
    }
    return false;
}

/* Lengths of frames only. */
static void check_frames(const uint8_t *bytes, size_t length)
{
    size_t position = 0;

    while (length - position >= LENGTH_SIZE) {
        int32_t frame = base_get_i32(bytes + position);
        BASE_ASSERT(frame >= 0);
        if ((size_t)frame > length - position - LENGTH_SIZE) {
            return;
        }
        position += LENGTH_SIZE + (size_t)frame;
    }
}

static void open_door(const struct door **out)
{
    bool is_new;

    *out = door_open(DOOR_BUILTIN, &is_new);
    if (is_new) {
        door_admin_log_in(*out, &admin);
        BASE_ASSERT(strlen(admin.access_key) == ACCESS_KEY_LENGTH);
        BASE_ASSERT(strlen(admin.secret_key) == SECRET_KEY_LENGTH);
        BASE_ASSERT(strlen(admin.password) == PASSWORD_LENGTH);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[FRAMES_INPUT_BYTES_MAX];
    const struct door *door;
    const uint8_t *response;
    struct frames_asked asked;
    size_t start = 0;

    if (size == 0 || size > sizeof bytes - sizeof proof) {
        return 0;
    }
    if ((data[0] & FLAG_PROVEN) != 0) {
        memcpy(bytes, proof, sizeof proof);
        start = sizeof proof;
    }
    memcpy(bytes + start, data + 1, size - 1);
    open_door(&door);
    size_t length = frames_fit(bytes, start + size - 1, &asked);
    substitute(bytes, length, 'A', admin.access_key);
    substitute(bytes, length, 'S', admin.secret_key);
    substitute(bytes, length, 'P', admin.password);
    size_t received = door_talk(door->kafka_port, DOOR_QUIET_MS, bytes, length, &response);
    if (has_raw_tokens(bytes, length)) {
        check_frames(response, received);
    } else {
        frames_check(response, received, &asked);
    }
    return 0;
}
