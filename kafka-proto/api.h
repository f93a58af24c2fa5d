/* One row per API key: what this library can decode and encode. Which of it the broker
 * offers is the handlers' decision. */
#ifndef KPROTO_API_H
#define KPROTO_API_H

#include <stdint.h>

#include "kafka-proto/schema.h"

/* API keys under the names of schema/<name>.def: KPROTO_KEY_produce. */
#define KPROTO_API(name, Name, key, version_min, version_max, flexible_since) \
    KPROTO_KEY_##name = (key),
enum kproto_key {
#include "kafka-proto/schema/all.def"
    KPROTO_KEY_LIMIT = 128 /* above every key: for tables by key */
};

/* Plain values, static storage. Both messages have the same range of versions. */
struct kproto_api {
    const char *name; /* as Kafka spells it: "Produce" */
    const struct kproto_message *request;
    const struct kproto_message *response;
    int16_t key;
    int16_t version_min;
    int16_t version_max;
    int16_t flexible_since; /* KPROTO_VERSION_NEVER for never */
};

/* NULL for a key without a row, also for one below 0 or above the limit. */
const struct kproto_api *kproto_api_find(int16_t key);

/* 2 for flexible versions, else 1. */
int16_t kproto_api_request_header_version(const struct kproto_api *api, int16_t version);

/* 1 for flexible versions, else 0; always 0 for ApiVersions, whose answer a client must be
 * able to read before it knows any version (KIP-511). */
int16_t kproto_api_response_header_version(const struct kproto_api *api, int16_t version);

#endif
