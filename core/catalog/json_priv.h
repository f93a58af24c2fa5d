/* Records of the catalog as JSON, right also when memory runs out: Jansson may then leave out
 * a piece of what it writes or of what is added, and say nothing. */
#ifndef CATALOG_JSON_PRIV_H
#define CATALOG_JSON_PRIV_H

#include <jansson.h>

/* One line of text, owned by the caller (base_free); NULL when value is, or memory is out. */
char *catalog__json_text(const json_t *value);

/* Adds value, which is moved, to *array or *object (borrowed key). When that fails, or value is
 * NULL, *array or *object is released, and NULL from then on. */
void catalog__json_append(json_t **array, json_t *value);
void catalog__json_set(json_t **object, const char *key, json_t *value);

#endif
