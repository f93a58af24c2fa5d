/* ApiVersions (key 18): what this broker offers (KIP-35, KIP-511, KIP-584). */
#include <ctype.h>

#include "kafka-proto/error.h"
#include "kafka-proto/handlers/table.h"

/* [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool is_software_text(struct base_slice text)
{
    if (text.length == 0) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.data[i];
        bool letter = c < 0x80 && isalnum(c) != 0;
        bool inside = i > 0 && i + 1 < text.length;
        if (!letter && !(inside && (c == '-' || c == '.'))) {
            return false;
        }
    }
    return true;
}

static void list_row(struct kproto_api_versions_response_api_key *key,
                     const struct khandler_row *row)
{
    key->api_key = row->key;
    key->min_version = row->advertised_min;
    key->max_version = row->version_max;
}

/* The version is not known: a version 0 body that names the versions of this API alone. */
static void answer_unknown_version(struct khandler_request *request,
                                   struct kproto_api_versions_response *response)
{
    request->header.api_version = 0;
    response->error_code = KPROTO_ERROR_UNSUPPORTED_VERSION;
    response->api_keys = khandler_array(request, api_versions_response_api_key, 1);
    if (response->api_keys == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    response->api_keys_count = 1;
    list_row(response->api_keys, khandler_find(KPROTO_KEY_api_versions));
    khandler_answer(request, response);
}

void khandler_api_versions(struct khandler_request *request)
{
    const struct kproto_api_versions_request *message = request->message;
    struct kproto_api_versions_response response;

    kproto_init(request->api->response->schema, &response);
    if (message == NULL) {
        answer_unknown_version(request, &response);
        return;
    }
    if (request->header.api_version >= 3 && (!is_software_text(message->client_software_name) ||
                                             !is_software_text(message->client_software_version))) {
        response.error_code = KPROTO_ERROR_INVALID_REQUEST;
        khandler_answer(request, &response);
        return;
    }
    size_t count = 0;
    const struct khandler_row *rows = khandler_rows(&count);
    response.api_keys = khandler_array(request, api_versions_response_api_key, (uint32_t)count);
    if (response.api_keys == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!khandler_authenticates(rows[i].key) || request->broker->identity != NULL) {
            list_row(&response.api_keys[response.api_keys_count++], &rows[i]);
        }
    }
    khandler_answer(request, &response);
}
