/* The API table, made of the KPROTO_API rows. */
#include "kafka-proto/api.h"

#include <assert.h>

#include "core/base/assert.h"

#define KPROTO_API(name, Name, key, min, max, flexible) \
    static_assert((key) >= 0 && (key) < KPROTO_KEY_LIMIT, #Name " fits the table");
#include "kafka-proto/schema/all.def"

#define NEVER KPROTO_VERSION_NEVER
#define KPROTO_API(row, Name, number, min, max, flexible) \
    [number] = {                                          \
        .name = #Name,                                    \
        .request = &kproto_message_##row##_request,       \
        .response = &kproto_message_##row##_response,     \
        .key = (number),                                  \
        .version_min = (min),                             \
        .version_max = (max),                             \
        .flexible_since = (flexible),                     \
    },
static const struct kproto_api apis[KPROTO_KEY_LIMIT] = {
#include "kafka-proto/schema/all.def"
};

const struct kproto_api *kproto_api_find(int16_t key)
{
    if (key < 0 || key >= KPROTO_KEY_LIMIT || apis[key].name == NULL) {
        return NULL;
    }
    return &apis[key];
}

int16_t kproto_api_request_header_version(const struct kproto_api *api, int16_t version)
{
    BASE_ASSERT(api != NULL);
    return version >= api->flexible_since ? 2 : 1;
}

int16_t kproto_api_response_header_version(const struct kproto_api *api, int16_t version)
{
    BASE_ASSERT(api != NULL);
    return version >= api->flexible_since && api->key != KPROTO_KEY_api_versions ? 1 : 0;
}
