/* The catalog's records, and snapshots: the whole state at the end of the log, then the
 * log starts there. */
#include "core/catalog/catalog_priv.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/writer.h"
#include "core/catalog/object_priv.h"
#include "core/catalog/topic_json.h"

enum {
    SNAPSHOT_BYTES_MAX = 256 << 20,
    SNAPSHOT_UPDATES_MIN = 1000, /* and at least as many as there are topics and objects */
};

void catalog__format_topic_key(char key[CATALOG__KEY_SIZE], const struct catalog_topic *topic)
{
    (void)snprintf(key, CATALOG__KEY_SIZE, "%s%s", CATALOG__TOPIC_KEY_PREFIX, topic->id_text);
}

int64_t catalog__now_ms(struct catalog *catalog)
{
    return base_clock_wall_ms(logstore_store_clock(catalog->options.store));
}

void catalog__add_record(struct logstore_records_builder *builder, int64_t now_ms, const char *key,
                         const char *value)
{
    logstore_records_builder_add(builder,
                                 &(struct logstore_record_input){.timestamp_ms = now_ms,
                                                                 .key = base_slice_text(key),
                                                                 .value = base_slice_text(value)});
}

/* Ends the batch in builder and appends it. Locked. */
enum base_err catalog__append_batch(struct catalog *catalog,
                                    struct logstore_records_builder *builder,
                                    struct base_executor *executor, struct logstore_appended *out)
{
    enum base_err err = logstore_records_builder_finish(builder);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct base_chunk chunk = {0};
    chunk.buffer = base_writer_take(builder->writer, &chunk.length);
    err = logstore_log_append(catalog->log, &chunk, &builder->header, executor, out);
    base_chunk_release(&chunk);
    return err;
}

static void trim_done(struct base_task *task)
{
    struct catalog *catalog = BASE_CONTAINER_OF(task, struct catalog, trim.task);
    base_mutex_lock(&catalog->lock);
    catalog->trimming = false;
    base_mutex_unlock(&catalog->lock);
}

void catalog__trim_to_snapshot(struct catalog *catalog)
{
    catalog->snapshot_end = -1;
    catalog->trimming = true;
    /* The housekeeper is also where the log is closed: it gets there after this. */
    catalog->trim = (struct logstore_trim){
        .executor = logstore_store_housekeeper(catalog->options.store), .task = {.run = trim_done}};
    logstore_log_trim(catalog->log, catalog->snapshot_start, &catalog->trim);
}

struct snapshot {
    struct logstore_records_builder builder;
    int64_t now_ms;
    enum base_err err;
};

static bool snapshot_topic(void *context, const struct catalog_topic *topic)
{
    struct snapshot *snapshot = context;
    char key[CATALOG__KEY_SIZE];
    char *json = catalog_topic_to_json(topic);
    if (json == NULL) {
        snapshot->err = BASE_ERR_NOMEM;
        return false;
    }
    catalog__format_topic_key(key, topic);
    catalog__add_record(&snapshot->builder, snapshot->now_ms, key, json);
    base_free(json);
    return true;
}

static bool snapshot_object(void *context, const struct catalog_object *object)
{
    struct snapshot *snapshot = context;
    char key[CATALOG__OBJECT_KEY_SIZE];
    char *json = catalog__object_to_json(object);
    if (json == NULL) {
        snapshot->err = BASE_ERR_NOMEM;
        return false;
    }
    catalog__object_format_key(key, object);
    catalog__add_record(&snapshot->builder, snapshot->now_ms, key, json);
    base_free(json);
    return true;
}

static char *cluster_json(const struct catalog *catalog, char *text, size_t size)
{
    (void)snprintf(text, size, "{\"version\":1,\"id\":\"%s\"}", catalog->cluster_id);
    return text;
}

char *catalog__producer_ids_json(int64_t next, char *text, size_t size)
{
    (void)snprintf(text, size, "{\"version\":1,\"next\":%" PRId64 "}", next);
    return text;
}

void catalog__take_snapshot(struct catalog *catalog, struct base_executor *executor)
{
    struct base_writer writer;
    struct snapshot snapshot = {.now_ms = catalog__now_ms(catalog)};
    struct logstore_appended appended;
    char text[128];

    base_writer_init(&writer, SNAPSHOT_BYTES_MAX);
    logstore_records_builder_begin(&snapshot.builder, &writer);
    catalog__add_record(&snapshot.builder, snapshot.now_ms, CATALOG__CLUSTER_KEY,
                        cluster_json(catalog, text, sizeof text));
    catalog__add_record(&snapshot.builder, snapshot.now_ms, CATALOG__PRODUCER_IDS_KEY,
                        catalog__producer_ids_json(catalog->producer_id_next, text, sizeof text));
    catalog_view_each(catalog->newest, snapshot_topic, &snapshot);
    for (unsigned i = 0; i < CATALOG_OBJECT_TYPE_COUNT && snapshot.err == BASE_ERR_OK; i++) {
        catalog_view_each_object(catalog->newest, (enum catalog_object_type)i, snapshot_object,
                                 &snapshot);
    }
    if (snapshot.err == BASE_ERR_OK &&
        catalog__append_batch(catalog, &snapshot.builder, executor, &appended) == BASE_ERR_OK) {
        catalog->snapshot_start = appended.base_offset;
        catalog->snapshot_end = appended.end_offset;
        catalog->updates_count = 0;
    }
    base_writer_fini(&writer);
}

void catalog__snapshot_if_due(struct catalog *catalog, struct base_executor *executor)
{
    uint64_t limit = SNAPSHOT_UPDATES_MIN + catalog_view_topics_count(catalog->newest);
    for (unsigned i = 0; i < CATALOG_OBJECT_TYPE_COUNT; i++) {
        limit += catalog_view_objects_count(catalog->newest, (enum catalog_object_type)i);
    }
    if (catalog->updates_count > limit && catalog->snapshot_end < 0 && !catalog->trimming) {
        catalog__take_snapshot(catalog, executor);
    }
}
