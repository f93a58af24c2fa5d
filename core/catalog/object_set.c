/* The set of objects: one index by id and one by name, of copy-on-write buckets.
 *
 * Like a view's indexes of topics, and apart from them: a change of a topic shares the whole
 * set, a change of an object the topics. */
#include "core/base/refs.h"
#include "core/catalog/object_priv.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/crc32c.h"

enum { BUCKETS_COUNT = 256 };

enum index_kind { BY_ID, BY_NAME, INDEX_COUNT };

struct entry {
    uint32_t hash;
    struct catalog_object *object; /* one reference */
};

struct bucket {
    struct base_refs refs;
    uint32_t count;
    struct entry entries[];
};

struct catalog__objects {
    struct base_refs refs;
    uint64_t version;
    size_t counts[CATALOG_OBJECT_TYPE_COUNT];
    struct bucket *buckets[INDEX_COUNT][BUCKETS_COUNT]; /* one reference each; NULL = empty */
};

static uint32_t hash_of(enum catalog_object_type type, struct base_slice key)
{
    uint8_t start = (uint8_t)type;
    uint32_t hash = base_crc32c(base_crc32c(0, &start, 1), key.data, key.length);
    return (hash ^ hash >> 15) * 0x9e3779b1U; /* bucket choice uses the high bits */
}

static uint32_t bucket_of(uint32_t hash)
{
    return hash >> 24;
}

static void bucket_release(struct bucket *bucket)
{
    if (bucket == NULL || !base_refs_drop(&bucket->refs)) {
        return;
    }
    for (uint32_t i = 0; i < bucket->count; i++) {
        catalog_object_release(&bucket->entries[i].object);
    }
    base_free(bucket);
}

struct catalog__objects *catalog__objects_create(void)
{
    struct catalog__objects *objects = base_alloc_object(struct catalog__objects);
    if (objects != NULL) {
        base_refs_init(&objects->refs);
    }
    return objects;
}

struct catalog__objects *catalog__objects_hold(struct catalog__objects *objects)
{
    base_refs_take(&objects->refs);
    return objects;
}

void catalog__objects_release(struct catalog__objects **objects)
{
    struct catalog__objects *dropped = *objects;
    *objects = NULL;
    if (dropped == NULL || !base_refs_drop(&dropped->refs)) {
        return;
    }
    for (unsigned i = 0; i < INDEX_COUNT; i++) {
        for (unsigned b = 0; b < BUCKETS_COUNT; b++) {
            bucket_release(dropped->buckets[i][b]);
        }
    }
    base_free(dropped);
}

struct catalog__objects *catalog__objects_copy(const struct catalog__objects *objects)
{
    struct catalog__objects *copy = catalog__objects_create();
    if (copy == NULL) {
        return NULL;
    }
    copy->version = objects->version + 1;
    memcpy(copy->counts, objects->counts, sizeof copy->counts);
    memcpy(copy->buckets, objects->buckets, sizeof copy->buckets);
    for (unsigned i = 0; i < INDEX_COUNT; i++) {
        for (unsigned b = 0; b < BUCKETS_COUNT; b++) {
            if (copy->buckets[i][b] != NULL) {
                base_refs_take(&copy->buckets[i][b]->refs);
            }
        }
    }
    return copy;
}

static void bucket_push(struct bucket *bucket, uint32_t hash, const struct catalog_object *object)
{
    bucket->entries[bucket->count++] =
        (struct entry){.hash = hash, .object = catalog_object_hold(object)};
}

/* Replaces the bucket of hash by one without `before` and with `added`; either may be NULL. */
static enum base_err index_change(struct bucket **buckets, uint32_t hash,
                                  const struct catalog_object *before,
                                  const struct catalog_object *added)
{
    struct bucket **slot = &buckets[bucket_of(hash)];
    uint32_t old_count = *slot == NULL ? 0 : (*slot)->count;
    struct bucket *changed =
        base_alloc(sizeof *changed + ((size_t)old_count + 1) * sizeof changed->entries[0]);
    if (changed == NULL) {
        return BASE_ERR_NOMEM;
    }
    base_refs_init(&changed->refs);
    changed->count = 0;
    for (uint32_t i = 0; i < old_count; i++) {
        if ((*slot)->entries[i].object != before) {
            bucket_push(changed, (*slot)->entries[i].hash, (*slot)->entries[i].object);
        }
    }
    if (added != NULL) {
        bucket_push(changed, hash, added);
    }
    bucket_release(*slot);
    *slot = changed;
    return BASE_ERR_OK;
}

/* Takes object out of, or puts it into, the indexes. */
static enum base_err change(struct catalog__objects *objects, const struct catalog_object *object,
                            bool add)
{
    const struct catalog_object *before = add ? NULL : object;
    const struct catalog_object *added = add ? object : NULL;

    enum base_err err = index_change(
        objects->buckets[BY_ID], hash_of(object->type, base_slice_text(object->id)), before, added);
    if (err == BASE_ERR_OK && object->name != NULL) {
        err = index_change(objects->buckets[BY_NAME],
                           hash_of(object->type, base_slice_text(object->name)), before, added);
    }
    return err;
}

enum base_err catalog__objects_replace(struct catalog__objects *objects,
                                       const struct catalog_object *before,
                                       const struct catalog_object *after)
{
    BASE_ASSERT(base_refs_is_one(&objects->refs)); /* nobody reads it yet */

    enum base_err err = BASE_ERR_OK;
    if (before != NULL) {
        objects->counts[before->type]--;
        err = change(objects, before, false);
    }
    if (err == BASE_ERR_OK && after != NULL) {
        objects->counts[after->type]++;
        err = change(objects, after, true);
    }
    return err;
}

const struct catalog_object *catalog__objects_find(const struct catalog__objects *objects,
                                                   enum catalog_object_type type,
                                                   struct base_slice id)
{
    uint32_t hash = hash_of(type, id);
    const struct bucket *bucket = objects->buckets[BY_ID][bucket_of(hash)];
    for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
        const struct catalog_object *object = bucket->entries[i].object;
        if (bucket->entries[i].hash == hash && object->type == type &&
            base_slice_is(id, object->id)) {
            return object;
        }
    }
    return NULL;
}

const struct catalog_object *catalog__objects_named(const struct catalog__objects *objects,
                                                    enum catalog_object_type type,
                                                    struct base_slice name)
{
    uint32_t hash = hash_of(type, name);
    const struct bucket *bucket = objects->buckets[BY_NAME][bucket_of(hash)];
    for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
        const struct catalog_object *object = bucket->entries[i].object;
        if (bucket->entries[i].hash == hash && object->type == type &&
            base_slice_is(name, object->name)) {
            return object;
        }
    }
    return NULL;
}

size_t catalog__objects_count(const struct catalog__objects *objects, enum catalog_object_type type)
{
    BASE_ASSERT(type < CATALOG_OBJECT_TYPE_COUNT);
    return objects->counts[type];
}

uint64_t catalog__objects_version(const struct catalog__objects *objects)
{
    return objects->version;
}

bool catalog__objects_each(const struct catalog__objects *objects, enum catalog_object_type type,
                           catalog__objects_visit *visit, void *context)
{
    for (unsigned b = 0; b < BUCKETS_COUNT; b++) {
        const struct bucket *bucket = objects->buckets[BY_ID][b];
        for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
            const struct catalog_object *object = bucket->entries[i].object;
            if (object->type == type && !visit(context, object)) {
                return false;
            }
        }
    }
    return true;
}
