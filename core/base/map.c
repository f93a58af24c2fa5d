/* uthash behind functions: its macros, and its idea of memory failure, stay here. */
#include "core/base/map.h"

#include <pthread.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/siphash.h"
#include "core/base/uuid.h"

/* Clients choose keys. With a key of this process they cannot choose ones that all fall into
 * the same bucket. Nothing depends on the order of buckets: entries are visited in theirs. */
static uint8_t hash_key[BASE_SIPHASH_KEY_SIZE];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
    base_entropy(hash_key, sizeof hash_key);
}

#define HASH_FUNCTION(key, length, hash) ((hash) = (unsigned)base_siphash(hash_key, key, length))
#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) base_alloc(size)
#define uthash_free(memory, size) base_free(memory)
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    void *value;
    size_t key_length;
    uint8_t key[];
};

struct base_map {
    struct entry *entries; /* uthash head */
};

enum base_err base_map_create(struct base_map **out)
{
    (void)pthread_once(&hash_key_once, make_hash_key);
    *out = base_alloc_object(struct base_map);
    return *out == NULL ? BASE_ERR_NOMEM : BASE_ERR_OK;
}

void base_map_close(struct base_map **map)
{
    if (*map == NULL) {
        return;
    }
    struct entry *entry = (*map)->entries;
    HASH_CLEAR(hh, (*map)->entries);
    while (entry != NULL) {
        struct entry *next = entry->hh.next;
        base_free(entry);
        entry = next;
    }
    base_free(*map);
    *map = NULL;
}

static struct entry *find(const struct base_map *map, struct base_slice key)
{
    struct entry *entry = NULL;
    if (key.data == NULL) { /* the null key is the empty one; memcmp wants no NULL */
        key.data = (const uint8_t *)"";
    }
    if (map->entries != NULL) {
        HASH_FIND(hh, map->entries, key.data, key.length, entry);
    }
    return entry;
}

enum base_err base_map_put(struct base_map *map, struct base_slice key, void *value)
{
    BASE_ASSERT(value != NULL);
    struct entry *entry = find(map, key);
    if (entry != NULL) {
        entry->value = value;
        return BASE_ERR_OK;
    }
    entry = base_alloc(sizeof *entry + key.length);
    if (entry == NULL) {
        return BASE_ERR_NOMEM;
    }
    memset(entry, 0, sizeof *entry);
    entry->value = value;
    entry->key_length = key.length;
    if (key.length > 0) {
        memcpy(entry->key, key.data, key.length);
    }
    HASH_ADD_KEYPTR(hh, map->entries, entry->key, key.length, entry);
    if (entry->hh.tbl == NULL) { /* HASH_NONFATAL_OOM leaves the entry out */
        base_free(entry);
        return BASE_ERR_NOMEM;
    }
    return BASE_ERR_OK;
}

void *base_map_get(const struct base_map *map, struct base_slice key)
{
    struct entry *entry = find(map, key);
    return entry == NULL ? NULL : entry->value;
}

void *base_map_remove(struct base_map *map, struct base_slice key)
{
    struct entry *entry = find(map, key);
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    HASH_DEL(map->entries, entry);
    base_free(entry);
    return value;
}

size_t base_map_count(const struct base_map *map)
{
    return map->entries == NULL ? 0 : HASH_COUNT(map->entries);
}

void base_map_each(struct base_map *map, base_map_visit *visit, void *context)
{
    struct entry *entry = map->entries;
    while (entry != NULL) {
        struct entry *next = entry->hh.next;
        if (!visit(context, base_slice_of(entry->key, entry->key_length), entry->value)) {
            return;
        }
        entry = next;
    }
}
