/* Identifiers and their two texts. */
#include "core/base/uuid.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

#include "core/base/assert.h"
#include "core/base/base64.h"

static atomic_bool seeded;
static atomic_uint_fast64_t seed_state;

void base_uuid_seed(uint64_t seed)
{
    atomic_store(&seed_state, seed);
    atomic_store(&seeded, true);
}

/* splitmix64: one addition makes it safe to share between threads. */
static uint64_t next_seeded(void)
{
    uint64_t z = atomic_fetch_add(&seed_state, 0x9e3779b97f4a7c15U) + 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void base_entropy(void *data, size_t length)
{
    uint8_t *bytes = data;
    while (length > 0) {
        ssize_t got = getrandom(bytes, length, 0);
        BASE_ASSERT(got > 0 || errno == EINTR); /* a signal cuts long requests short */
        size_t taken = got > 0 ? (size_t)got : 0;
        bytes += taken;
        length -= taken;
    }
}

void base_random_bytes(void *data, size_t length)
{
    uint8_t *bytes = data;
    if (!atomic_load(&seeded)) {
        base_entropy(data, length);
        return;
    }
    while (length > 0) {
        uint64_t value = next_seeded();
        size_t taken = length < sizeof value ? length : sizeof value;
        memcpy(bytes, &value, taken);
        bytes += taken;
        length -= taken;
    }
}

struct base_uuid base_uuid_random(void)
{
    struct base_uuid uuid;
    base_random_bytes(uuid.bytes, sizeof uuid.bytes);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

void base_uuid_format(struct base_uuid uuid, char text[BASE_UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < BASE_UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            text[at++] = '-';
        }
        text[at++] = digits[uuid.bytes[i] >> 4];
        text[at++] = digits[uuid.bytes[i] & 15];
    }
    text[at] = '\0';
    BASE_ASSERT(at == BASE_UUID_TEXT_SIZE - 1);
}

void base_uuid_format_base64(struct base_uuid uuid, char text[BASE_UUID_BASE64_SIZE])
{
    static_assert(BASE_UUID_BASE64_SIZE == BASE_BASE64URL_SIZE(BASE_UUID_SIZE), "22 characters");
    base_base64url_encode(base_slice_of(uuid.bytes, BASE_UUID_SIZE), text);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool base_uuid_parse(const char *text, size_t length, struct base_uuid *out)
{
    struct base_uuid uuid = {{0}};
    *out = uuid;
    if (length != BASE_UUID_TEXT_SIZE - 1) {
        return false;
    }
    size_t nibble = 0;
    for (size_t i = 0; i < length; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-') {
                return false;
            }
            continue;
        }
        int value = hex_value(text[i]);
        if (value < 0) {
            return false;
        }
        uuid.bytes[nibble / 2] =
            (uint8_t)(uuid.bytes[nibble / 2] | value << (nibble % 2 == 0 ? 4 : 0));
        nibble++;
    }
    *out = uuid;
    return true;
}
