/* Hash map from byte strings to pointers, over uthash. The map copies keys and
 * borrows values. One thread at a time: whoever owns it guards it. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>

#include "core/base/err.h"
#include "core/base/slice.h"

struct base_map;

BASE_MUST_USE enum base_err base_map_create(struct base_map **out);

/* Frees the map, not the values; sets *map to NULL. NULL-safe. */
void base_map_close(struct base_map **map);

/* Adds or replaces. NOMEM leaves the map as it was. */
BASE_MUST_USE enum base_err base_map_put(struct base_map *map, struct base_slice key, void *value);

/* NULL when absent. */
void *base_map_get(const struct base_map *map, struct base_slice key);

/* Removes and returns the value; NULL when absent. */
void *base_map_remove(struct base_map *map, struct base_slice key);

size_t base_map_count(const struct base_map *map);

/* Calls visit for every entry in insertion order until it returns false. visit
 * may remove the entry it is called for, and no other. */
typedef bool base_map_visit(void *context, struct base_slice key, void *value);
void base_map_each(struct base_map *map, base_map_visit *visit, void *context);

#endif
