/* Random 128-bit identifiers (RFC 4122 version 4): topics, queues, groups, clusters. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    BASE_UUID_SIZE = 16,
    BASE_UUID_TEXT_SIZE = 37,   /* 8-4-4-4-12 and the terminator */
    BASE_UUID_BASE64_SIZE = 23, /* Kafka's form: 22 URL-safe characters and the terminator */
};

struct base_uuid {
    uint8_t bytes[BASE_UUID_SIZE];
};

/* From the operating system's random source; aborts if that fails. A simulator
 * replaces the source with base_uuid_seed(). */
struct base_uuid base_uuid_random(void);

/* Makes all later uuids (and base_random_bytes) follow from seed: tests only. */
void base_uuid_seed(uint64_t seed);

/* Fills data with random bytes from the same source. */
void base_random_bytes(void *data, size_t length);

/* From the operating system in every case: for secrets, and where a simulator must not be
 * disturbed by who asks first. */
void base_entropy(void *data, size_t length);

void base_uuid_format(struct base_uuid uuid, char text[BASE_UUID_TEXT_SIZE]);
void base_uuid_format_base64(struct base_uuid uuid, char text[BASE_UUID_BASE64_SIZE]);

/* Accepts the 36-character form only, either case. False leaves *out zero. */
bool base_uuid_parse(const char *text, size_t length, struct base_uuid *out);

static inline bool base_uuid_equal(struct base_uuid a, struct base_uuid b)
{
    return memcmp(a.bytes, b.bytes, BASE_UUID_SIZE) == 0;
}

static inline bool base_uuid_is_zero(struct base_uuid uuid)
{
    static const struct base_uuid zero;
    return base_uuid_equal(uuid, zero);
}

#endif
