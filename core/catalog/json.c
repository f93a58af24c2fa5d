#include "core/catalog/json_priv.h"

#include "core/base/alloc.h"

/* json_dumps() lets its buffer grow as it writes, and goes on when that fails: a hole in the
 * text. This measures first. */
char *catalog__json_text(const json_t *value)
{
    size_t length = value == NULL ? 0 : json_dumpb(value, NULL, 0, JSON_COMPACT);
    char *text = length == 0 ? NULL : base_alloc(length + 1);

    if (text == NULL) {
        return NULL;
    }
    if (json_dumpb(value, text, length, JSON_COMPACT) != length) {
        base_free(text);
        return NULL;
    }
    text[length] = '\0';
    return text;
}

void catalog__json_append(json_t **array, json_t *value)
{
    if (json_array_append_new(*array, value) != 0) {
        json_decref(*array);
        *array = NULL;
    }
}

void catalog__json_set(json_t **object, const char *key, json_t *value)
{
    if (json_object_set_new(*object, key, value) != 0) {
        json_decref(*object);
        *object = NULL;
    }
}
