/* Objects as counted values and as JSON records. */
#include "core/catalog/object.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/catalog/json_priv.h"
#include "core/catalog/object_priv.h"

enum { OBJECT_JSON_VERSION = 1 };

struct type_row {
    const char *prefix;
    const char *unique;
    const char *within;
};

#define OBJECT_ROW(name, prefix, unique, within) {prefix, unique, within},
static const struct type_row types[CATALOG_OBJECT_TYPE_COUNT] = {CATALOG_OBJECT_LIST(OBJECT_ROW)};
#undef OBJECT_ROW

const char *catalog_object_type_name(enum catalog_object_type type)
{
    BASE_ASSERT(type < CATALOG_OBJECT_TYPE_COUNT);
    return types[type].prefix;
}

/* "<within>/<unique>"; NULL without memory or without the fields. */
static char *make_name(const struct type_row *row, const json_t *fields)
{
    const char *unique = json_string_value(json_object_get(fields, row->unique));
    const char *within =
        row->within == NULL ? "" : json_string_value(json_object_get(fields, row->within));

    if (unique == NULL || within == NULL) {
        return NULL;
    }
    size_t size = strlen(within) + 1 + strlen(unique) + 1;
    char *name = base_alloc(size);
    if (name != NULL) {
        (void)snprintf(name, size, "%s/%s", within, unique);
    }
    return name;
}

struct catalog_object *catalog_object_create(enum catalog_object_type type, struct base_slice id,
                                             json_t *fields)
{
    BASE_ASSERT(type < CATALOG_OBJECT_TYPE_COUNT);
    BASE_ASSERT(id.length > 0);
    BASE_ASSERT(id.length <= CATALOG_OBJECT_ID_LENGTH_MAX);

    struct catalog_object *object = base_alloc_object(struct catalog_object);
    if (object == NULL) {
        json_decref(fields);
        return NULL;
    }
    base_refs_init(&object->refs);
    object->type = type;
    object->json = fields;
    object->id = base_strndup((const char *)id.data, id.length);
    if (types[type].unique != NULL) {
        object->name = make_name(&types[type], fields);
    }
    if (fields == NULL || object->id == NULL ||
        (types[type].unique != NULL && object->name == NULL)) {
        catalog_object_release(&object);
    }
    return object;
}

struct catalog_object *catalog_object_hold(const struct catalog_object *object)
{
    /* The count is the one thing that changes in an immutable object. */
    struct catalog_object *counted = (struct catalog_object *)(uintptr_t)object;
    base_refs_take(&counted->refs);
    return counted;
}

void catalog_object_release(struct catalog_object **object)
{
    struct catalog_object *dropped = *object;
    *object = NULL;
    if (dropped == NULL || !base_refs_drop(&dropped->refs)) {
        return;
    }
    base_free(dropped->id);
    base_free(dropped->name);
    json_decref(dropped->json);
    base_free(dropped);
}

const char *catalog_object_text(const struct catalog_object *object, const char *field)
{
    return json_string_value(json_object_get(object->json, field));
}

int64_t catalog_object_integer(const struct catalog_object *object, const char *field)
{
    return json_integer_value(json_object_get(object->json, field));
}

bool catalog_object_bool(const struct catalog_object *object, const char *field)
{
    return json_is_true(json_object_get(object->json, field));
}

void catalog__object_format_key(char key[CATALOG__OBJECT_KEY_SIZE],
                                const struct catalog_object *object)
{
    int length =
        snprintf(key, CATALOG__OBJECT_KEY_SIZE, "%s/%s", types[object->type].prefix, object->id);
    BASE_ASSERT(length > 0 && length < CATALOG__OBJECT_KEY_SIZE);
}

bool catalog__object_parse_key(struct base_slice key, enum catalog_object_type *type,
                               struct base_slice *id)
{
    for (unsigned i = 0; i < CATALOG_OBJECT_TYPE_COUNT; i++) {
        size_t length = strlen(types[i].prefix);
        if (key.length > length + 1 && memcmp(key.data, types[i].prefix, length) == 0 &&
            key.data[length] == '/') {
            *type = (enum catalog_object_type)i;
            *id = base_slice_of(key.data + length + 1, key.length - length - 1);
            return id->length <= CATALOG_OBJECT_ID_LENGTH_MAX;
        }
    }
    return false;
}

char *catalog__object_to_json(const struct catalog_object *object)
{
    /* A shallow copy, as the object itself may be read by others meanwhile. */
    json_t *record = json_pack("{s:i}", "version", OBJECT_JSON_VERSION);
    char *text = NULL;
    if (record != NULL && json_object_update(record, object->json) == 0) {
        text = catalog__json_text(record);
    }
    json_decref(record);
    return text;
}

enum base_err catalog__object_from_json(enum catalog_object_type type, struct base_slice id,
                                        struct base_slice text, struct catalog_object **out)
{
    *out = NULL;
    json_t *fields = json_loadb((const char *)text.data, text.length, 0, NULL);
    if (!json_is_object(fields) ||
        json_integer_value(json_object_get(fields, "version")) != OBJECT_JSON_VERSION) {
        json_decref(fields);
        return BASE_ERR_CORRUPT;
    }
    (void)json_object_del(fields, "version");
    if (types[type].unique != NULL &&
        json_string_value(json_object_get(fields, types[type].unique)) == NULL) {
        json_decref(fields);
        return BASE_ERR_CORRUPT;
    }
    *out = catalog_object_create(type, id, fields);
    return *out == NULL ? BASE_ERR_NOMEM : BASE_ERR_OK;
}
