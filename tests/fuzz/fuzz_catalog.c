/* libFuzzer target: the values of the catalog's records. Any bytes are taken or refused, and what
 * was taken is the same once it is written and read again.
 *
 * Byte 0 chooses (enum kind): the JSON of a topic, or a key, a line end, and the JSON of an
 * object, of which a user's secrets are looked at as a login would. */
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/catalog/object_priv.h"
#include "core/catalog/policy.h"
#include "core/catalog/topic_json.h"
#include "core/security/password.h"
#include "core/security/policy.h"
#include "core/security/security.h"

enum kind { KIND_TOPIC, KIND_OBJECT, KIND_COUNT };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the doors ask of a topic's policies. */
static void judge(struct catalog_topic *topic)
{
    struct security_principal principal = {
        .name = "user", .domain_id = "domain", .domain_name = "domain", .roles = 0};

    (void)security_copy_text(principal.project_id, sizeof principal.project_id, "other");
    for (unsigned action = 0; action < SECURITY_ACTION_COUNT; action++) {
        (void)security_judge(&principal, (enum security_action)action,
                             (struct security_resource){.type = SECURITY_TOPIC, .topic = topic});
    }
}

static void topic(struct base_slice text)
{
    struct catalog_topic_config defaults;
    struct catalog_topic *first = NULL;
    struct catalog_topic *second = NULL;

    catalog_config_default(&defaults);
    if (catalog_topic_from_json(text, &defaults, &first) != BASE_ERR_OK) {
        BASE_ASSERT(first == NULL);
        return;
    }
    BASE_ASSERT(first->partitions_count > 0);
    judge(first);
    char *json = catalog_topic_to_json(first);
    BASE_ASSERT(json != NULL);
    enum base_err err = catalog_topic_from_json(base_slice_text(json), &defaults, &second);
    BASE_ASSERT(err == BASE_ERR_OK);
    char *again = catalog_topic_to_json(second);
    BASE_ASSERT(again != NULL && strcmp(json, again) == 0);
    base_free(json);
    base_free(again);
    catalog_topic_release(&first);
    catalog_topic_release(&second);
}

static void look_at_secrets(const struct catalog_object *object)
{
    struct security_scram_keys keys;

    for (unsigned i = SECURITY_SCRAM_SHA_256; i <= SECURITY_SCRAM_SHA_512; i++) {
        const json_t *scram = json_object_get(object->json, "scram");
        if (security_scram_read(scram, (enum security_scram_mechanism)i, &keys)) {
            BASE_ASSERT(keys.iterations > 0);
        }
    }
}

static void object(struct base_slice text)
{
    const uint8_t *end = memchr(text.data, '\n', text.length);
    size_t length = end == NULL ? text.length : (size_t)(end - text.data);
    enum catalog_object_type type;
    struct base_slice id;
    struct catalog_object *first = NULL;
    struct catalog_object *second = NULL;
    char key[CATALOG__OBJECT_KEY_SIZE];

    if (end == NULL || !catalog__object_parse_key(base_slice_of(text.data, length), &type, &id)) {
        return;
    }
    enum base_err err = catalog__object_from_json(
        type, id, base_slice_of(end + 1, text.length - length - 1), &first);
    if (err != BASE_ERR_OK) {
        BASE_ASSERT(first == NULL);
        return;
    }
    look_at_secrets(first);
    catalog__object_format_key(key, first);
    char *json = catalog__object_to_json(first);
    BASE_ASSERT(json != NULL);
    bool is_key = catalog__object_parse_key(base_slice_text(key), &type, &id);
    BASE_ASSERT(is_key || strlen(first->id) == 0);
    if (is_key) {
        err = catalog__object_from_json(type, id, base_slice_text(json), &second);
        BASE_ASSERT(err == BASE_ERR_OK);
        BASE_ASSERT(json_equal(first->json, second->json));
    }
    base_free(json);
    catalog_object_release(&first);
    catalog_object_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct base_slice text = base_slice_of(data + 1, size - 1);
    if (data[0] % KIND_COUNT == KIND_TOPIC) {
        topic(text);
    } else {
        object(text);
    }
    return 0;
}
