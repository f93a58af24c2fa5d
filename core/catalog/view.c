/* Views: four indexes of copy-on-write buckets.
 *
 * An index is 256 counted buckets; a bucket is a short array of (key, topic). Replacing
 * a topic copies the bucket pointers of an index and the one bucket that changes. */
#include "core/catalog/view.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/crc32c.h"
#include "core/base/refs.h"
#include "core/catalog/object_priv.h"
#include "core/catalog/view_priv.h"

enum {
    BUCKETS_COUNT = 256,
    KEY_SIZE_MAX = CATALOG_PROJECT_ID_SIZE + 1 + CATALOG_NAME_LENGTH_MAX,
};

enum index_kind { BY_NAME, BY_ID, BY_QUEUE, BY_GROUP, INDEX_COUNT };

struct entry {
    uint32_t hash;
    struct catalog_topic *topic; /* one reference */
    const char *group_id;        /* BY_GROUP: the topic's string; else NULL */
};

struct bucket {
    struct base_refs refs;
    uint32_t count;
    struct entry entries[];
};

struct index {
    struct bucket *buckets[BUCKETS_COUNT]; /* one reference each; NULL = empty */
};

struct catalog_view {
    struct base_refs refs;
    struct index indexes[INDEX_COUNT];
    size_t topics_count;
    int64_t partitions_count;
    struct catalog__objects *objects; /* one reference */
};

/* A key on the stack; its hash picks the bucket. */
struct key {
    uint8_t bytes[KEY_SIZE_MAX];
    size_t length;
    uint32_t hash;
};

static void key_append(struct key *key, struct base_slice part)
{
    size_t room = sizeof key->bytes - key->length;
    size_t length = part.length < room ? part.length : room;
    if (length > 0) {
        memcpy(key->bytes + key->length, part.data, length);
    }
    key->length += length;
}

static void key_finish(struct key *key)
{
    /* Spreads the checksum's bits: bucket choice uses the low ones. */
    uint32_t hash = base_crc32c(0, key->bytes, key->length);
    key->hash = (hash ^ hash >> 15) * 0x9e3779b1U;
}

static uint32_t bucket_of(uint32_t hash)
{
    return hash >> 24;
}

/* Names are indexed with '.' as '_', so that a collision falls on the same key. */
static void key_of_name(struct key *key, struct base_slice name)
{
    key->length = 0;
    key_append(key, name);
    for (size_t i = 0; i < key->length; i++) {
        key->bytes[i] = key->bytes[i] == '.' ? '_' : key->bytes[i];
    }
    key_finish(key);
}

static void key_of_id(struct key *key, struct base_uuid id)
{
    key->length = 0;
    key_append(key, base_slice_of(id.bytes, sizeof id.bytes));
    key_finish(key);
}

static void key_of_queue(struct key *key, struct base_slice project_id, struct base_slice name)
{
    key->length = 0;
    key_append(key, project_id);
    key_append(key, base_slice_text("/"));
    key_append(key, name);
    key_finish(key);
}

static void key_of_group(struct key *key, struct base_slice group_id)
{
    key->length = 0;
    key_append(key, group_id);
    key_finish(key);
}

static void bucket_release(struct bucket *bucket)
{
    if (bucket == NULL || !base_refs_drop(&bucket->refs)) {
        return;
    }
    for (uint32_t i = 0; i < bucket->count; i++) {
        catalog_topic_release(&bucket->entries[i].topic);
    }
    base_free(bucket);
}

/* Without topics; holds objects. */
static struct catalog_view *create_view(struct catalog__objects *objects)
{
    struct catalog_view *view = base_alloc_object(struct catalog_view);
    if (view != NULL) {
        base_refs_init(&view->refs);
        view->objects = catalog__objects_hold(objects);
    }
    return view;
}

struct catalog_view *catalog__view_create(void)
{
    struct catalog__objects *objects = catalog__objects_create();
    struct catalog_view *view = objects == NULL ? NULL : create_view(objects);
    catalog__objects_release(&objects);
    return view;
}

struct catalog_view *catalog_view_hold(struct catalog_view *view)
{
    base_refs_take(&view->refs);
    return view;
}

void catalog_view_release(struct catalog_view **view)
{
    struct catalog_view *dropped = *view;
    *view = NULL;
    if (dropped == NULL || !base_refs_drop(&dropped->refs)) {
        return;
    }
    for (unsigned i = 0; i < INDEX_COUNT; i++) {
        for (unsigned b = 0; b < BUCKETS_COUNT; b++) {
            bucket_release(dropped->indexes[i].buckets[b]);
        }
    }
    catalog__objects_release(&dropped->objects);
    base_free(dropped);
}

static struct catalog_view *copy_view(const struct catalog_view *view,
                                      struct catalog__objects *objects)
{
    struct catalog_view *copy = create_view(objects);
    if (copy == NULL) {
        return NULL;
    }
    copy->topics_count = view->topics_count;
    copy->partitions_count = view->partitions_count;
    for (unsigned i = 0; i < INDEX_COUNT; i++) {
        for (unsigned b = 0; b < BUCKETS_COUNT; b++) {
            struct bucket *bucket = view->indexes[i].buckets[b];
            if (bucket != NULL) {
                base_refs_take(&bucket->refs);
                copy->indexes[i].buckets[b] = bucket;
            }
        }
    }
    return copy;
}

static void bucket_push(struct bucket *bucket, struct entry entry)
{
    entry.topic = catalog_topic_hold(entry.topic);
    bucket->entries[bucket->count++] = entry;
}

/* Replaces the bucket of hash by one without `before` and with `added`. Either may be
 * absent (NULL topic). */
static enum base_err index_change(struct index *index, uint32_t hash,
                                  const struct catalog_topic *before, const struct entry *added)
{
    struct bucket **slot = &index->buckets[bucket_of(hash)];
    uint32_t old_count = *slot == NULL ? 0 : (*slot)->count;
    struct bucket *changed =
        base_alloc(sizeof *changed + ((size_t)old_count + 1) * sizeof changed->entries[0]);
    if (changed == NULL) {
        return BASE_ERR_NOMEM;
    }
    base_refs_init(&changed->refs);
    changed->count = 0;
    for (uint32_t i = 0; i < old_count; i++) {
        const struct entry *entry = &(*slot)->entries[i];
        if (!(entry->topic == before && entry->hash == hash)) {
            bucket_push(changed, *entry);
        }
    }
    if (added != NULL) {
        bucket_push(changed, *added);
    }
    bucket_release(*slot);
    *slot = changed;
    return BASE_ERR_OK;
}

/* Takes topic out of, or puts it into, every index. */
static enum base_err change_all(struct catalog_view *view, const struct catalog_topic *topic,
                                bool add)
{
    struct key key;
    struct entry entry = {.topic = (struct catalog_topic *)(uintptr_t)topic};
    const struct catalog_topic *before = add ? NULL : topic;
    const struct entry *added = add ? &entry : NULL;

    key_of_name(&key, base_slice_text(topic->name));
    entry.hash = key.hash;
    enum base_err err = index_change(&view->indexes[BY_NAME], key.hash, before, added);
    if (err == BASE_ERR_OK) {
        key_of_id(&key, topic->id);
        entry.hash = key.hash;
        err = index_change(&view->indexes[BY_ID], key.hash, before, added);
    }
    if (err == BASE_ERR_OK) {
        key_of_queue(&key, base_slice_text(topic->project_id), base_slice_text(topic->queue_name));
        entry.hash = key.hash;
        err = index_change(&view->indexes[BY_QUEUE], key.hash, before, added);
    }
    for (uint32_t i = 0; err == BASE_ERR_OK && i < topic->groups_count; i++) {
        key_of_group(&key, base_slice_text(topic->groups[i].id));
        entry.hash = key.hash;
        entry.group_id = topic->groups[i].id;
        err = index_change(&view->indexes[BY_GROUP], key.hash, before, added);
    }
    return err;
}

struct catalog_view *catalog__view_replace(struct catalog_view *view,
                                           const struct catalog_topic *before,
                                           const struct catalog_topic *after)
{
    struct catalog_view *next = copy_view(view, view->objects);
    if (next == NULL) {
        return NULL;
    }
    if (before != NULL) {
        next->topics_count--;
        next->partitions_count -= before->partitions_count;
    }
    if (after != NULL) {
        next->topics_count++;
        next->partitions_count += after->partitions_count;
    }
    if ((before != NULL && change_all(next, before, false) != BASE_ERR_OK) ||
        (after != NULL && change_all(next, after, true) != BASE_ERR_OK)) {
        catalog_view_release(&next);
    }
    return next;
}

typedef bool match_entry(const struct entry *entry, const void *wanted);

static const struct catalog_topic *find(const struct catalog_view *view, enum index_kind kind,
                                        const struct key *key, match_entry *match,
                                        const void *wanted)
{
    const struct bucket *bucket = view->indexes[kind].buckets[bucket_of(key->hash)];
    for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
        const struct entry *entry = &bucket->entries[i];
        if (entry->hash == key->hash && match(entry, wanted)) {
            return entry->topic;
        }
    }
    return NULL;
}

static bool match_name(const struct entry *entry, const void *wanted)
{
    const struct base_slice *name = wanted;
    return base_slice_is(*name, entry->topic->name);
}

static bool match_collision(const struct entry *entry, const void *wanted)
{
    const struct base_slice *name = wanted;
    const char *other = entry->topic->name;
    if (strlen(other) != name->length) {
        return false;
    }
    for (size_t i = 0; i < name->length; i++) {
        char mine = (char)(name->data[i] == '.' ? '_' : name->data[i]);
        char theirs = (char)(other[i] == '.' ? '_' : other[i]);
        if (mine != theirs) {
            return false;
        }
    }
    return true;
}

static bool match_id(const struct entry *entry, const void *wanted)
{
    const struct base_uuid *id = wanted;
    return base_uuid_equal(entry->topic->id, *id);
}

struct queue_name {
    struct base_slice project_id;
    struct base_slice name;
};

static bool match_queue(const struct entry *entry, const void *wanted)
{
    const struct queue_name *queue = wanted;
    return base_slice_is(queue->project_id, entry->topic->project_id) &&
           base_slice_is(queue->name, entry->topic->queue_name);
}

static bool match_group(const struct entry *entry, const void *wanted)
{
    const struct base_slice *group_id = wanted;
    return base_slice_is(*group_id, entry->group_id);
}

const struct catalog_topic *catalog_view_topic(const struct catalog_view *view,
                                               struct base_slice name)
{
    struct key key;
    key_of_name(&key, name);
    return find(view, BY_NAME, &key, match_name, &name);
}

const struct catalog_topic *catalog_view_topic_collision(const struct catalog_view *view,
                                                         struct base_slice name)
{
    struct key key;
    key_of_name(&key, name);
    return find(view, BY_NAME, &key, match_collision, &name);
}

const struct catalog_topic *catalog_view_topic_by_id(const struct catalog_view *view,
                                                     struct base_uuid id)
{
    struct key key;
    key_of_id(&key, id);
    return find(view, BY_ID, &key, match_id, &id);
}

const struct catalog_topic *catalog_view_queue(const struct catalog_view *view,
                                               struct base_slice project_id,
                                               struct base_slice queue_name)
{
    struct key key;
    struct queue_name wanted = {project_id, queue_name};
    key_of_queue(&key, project_id, queue_name);
    return find(view, BY_QUEUE, &key, match_queue, &wanted);
}

const struct catalog_topic *catalog_view_topic_of_group(const struct catalog_view *view,
                                                        struct base_slice group_id)
{
    struct key key;
    key_of_group(&key, group_id);
    return find(view, BY_GROUP, &key, match_group, &group_id);
}

size_t catalog_view_topics_count(const struct catalog_view *view)
{
    return view->topics_count;
}

int64_t catalog_view_partitions_count(const struct catalog_view *view)
{
    return view->partitions_count;
}

void catalog_view_each(const struct catalog_view *view, catalog_view_visit *visit, void *context)
{
    for (unsigned b = 0; b < BUCKETS_COUNT; b++) {
        const struct bucket *bucket = view->indexes[BY_ID].buckets[b];
        for (uint32_t i = 0; bucket != NULL && i < bucket->count; i++) {
            if (!visit(context, bucket->entries[i].topic)) {
                return;
            }
        }
    }
}

struct catalog__objects *catalog__view_objects(const struct catalog_view *view)
{
    return view->objects;
}

struct catalog_view *catalog__view_with_objects(struct catalog_view *view,
                                                struct catalog__objects *objects)
{
    return copy_view(view, objects);
}
