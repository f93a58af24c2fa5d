/* Resource tags as a short array: ten at most, so a look through it finds everything. */
#include "core/catalog/tags.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

static void free_tag(struct catalog_tag *tag)
{
    base_free(tag->key);
    base_free(tag->value);
}

void catalog_tags_fini(struct catalog_tags *tags)
{
    for (uint32_t i = 0; i < tags->count; i++) {
        free_tag(&tags->array[i]);
    }
    base_free(tags->array);
    *tags = (struct catalog_tags){0};
}

enum base_err catalog_tags_copy(const struct catalog_tags *tags, struct catalog_tags *copy)
{
    enum base_err err = BASE_ERR_OK;

    BASE_ASSERT(copy->count == 0);
    for (uint32_t i = 0; err == BASE_ERR_OK && i < tags->count; i++) {
        err = catalog_tags_set(copy, base_slice_text(tags->array[i].key),
                               base_slice_text(tags->array[i].value));
    }
    return err;
}

static struct catalog_tag *find(const struct catalog_tags *tags, struct base_slice key)
{
    for (uint32_t i = 0; i < tags->count; i++) {
        if (base_slice_is(key, tags->array[i].key)) {
            return &tags->array[i];
        }
    }
    return NULL;
}

const char *catalog_tags_value(const struct catalog_tags *tags, struct base_slice key)
{
    const struct catalog_tag *tag = find(tags, key);
    return tag == NULL ? NULL : tag->value;
}

enum base_err catalog_tags_set(struct catalog_tags *tags, struct base_slice key,
                               struct base_slice value)
{
    enum base_err err = BASE_ERR_NOMEM;
    struct catalog_tag made = {0};

    struct catalog_tag *tag = find(tags, key);
    if (tag == NULL && tags->count == CATALOG_TAGS_MAX) {
        return BASE_ERR_TOO_LARGE;
    }
    made.key = base_strndup((const char *)key.data, key.length);
    made.value = base_strndup((const char *)value.data, value.length);
    if (made.key == NULL || made.value == NULL) {
        goto exit;
    }
    if (tag == NULL) {
        struct catalog_tag *array =
            base_realloc_array(tags->array, (size_t)tags->count + 1, sizeof array[0]);
        if (array == NULL) {
            goto exit;
        }
        tags->array = array;
        tag = &array[tags->count++];
    } else {
        free_tag(tag);
    }
    *tag = made;
    made = (struct catalog_tag){0}; /* moved */
    err = BASE_ERR_OK;

exit:
    free_tag(&made);
    return err;
}

void catalog_tags_unset(struct catalog_tags *tags, struct base_slice key, struct base_slice value)
{
    struct catalog_tag *tag = find(tags, key);

    if (tag == NULL || (value.data != NULL && !base_slice_is(value, tag->value))) {
        return;
    }
    free_tag(tag);
    tags->count--;
    memmove(tag, tag + 1, (size_t)(&tags->array[tags->count] - tag) * sizeof *tag);
}
