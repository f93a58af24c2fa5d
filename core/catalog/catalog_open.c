/* Opening and closing the catalog: replay of its log. */
#include "core/catalog/catalog.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/catalog/catalog_priv.h"
#include "core/catalog/object_priv.h"
#include "core/catalog/topic_json.h"
#include "core/catalog/view_priv.h"
#include "logstore/replay.h"

static const char log_name[] = "__catalog-0";
static const char generation_name[] = "__broker/generation";

enum base_err catalog_next_generation(struct logstore_store *store, int32_t *out)
{
    struct logstore_io *io = logstore_store_io(store);
    struct base_buffer *buffer = NULL;
    size_t length = 0;
    char text[64];
    json_int_t generation = -1;

    *out = 0;
    enum base_err err = io->ops->get(io, generation_name, sizeof text, &buffer, &length);
    if (err == BASE_ERR_OK) {
        json_t *object = json_loadb((const char *)buffer->data, length, 0, NULL);
        int failed = json_unpack(object, "{s:I}", "generation", &generation);
        json_decref(object);
        base_buffer_release(&buffer);
        if (failed || generation < 0 || generation >= INT32_MAX) {
            return BASE_ERR_CORRUPT;
        }
    } else if (err != BASE_ERR_NOT_FOUND) {
        return err;
    }
    (void)snprintf(text, sizeof text, "{\"generation\":%" PRId64 "}", (int64_t)generation + 1);
    err = io->ops->put(io, generation_name, base_slice_text(text));
    if (err == BASE_ERR_OK) {
        *out = (int32_t)(generation + 1);
    }
    return err;
}

static enum base_err apply_topic(struct catalog *catalog, struct base_slice id_text,
                                 struct base_slice json)
{
    struct base_uuid id;
    struct catalog_topic *topic = NULL;
    enum base_err err = BASE_ERR_OK;

    if (!base_uuid_parse((const char *)id_text.data, id_text.length, &id)) {
        return BASE_ERR_CORRUPT;
    }
    if (json.data != NULL) {
        err = catalog_topic_from_json(json, &catalog->topic_defaults, &topic);
    } else {
        err = base_map_put(catalog->deleted_ids, base_slice_of(id.bytes, sizeof id.bytes), catalog);
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    const struct catalog_topic *before = catalog_view_topic_by_id(catalog->published, id);
    struct catalog_view *view = catalog__view_replace(catalog->published, before, topic);
    catalog_topic_release(&topic);
    if (view == NULL) {
        return BASE_ERR_NOMEM;
    }
    catalog_view_release(&catalog->published);
    catalog->published = view;
    return BASE_ERR_OK;
}

static enum base_err apply_object(struct catalog *catalog, enum catalog_object_type type,
                                  struct base_slice id, struct base_slice json)
{
    struct catalog_object *object = NULL;
    struct catalog_view *view = NULL;
    enum base_err err = BASE_ERR_OK;

    if (json.data != NULL) {
        err = catalog__object_from_json(type, id, json, &object);
        if (err != BASE_ERR_OK) {
            return err;
        }
    }
    const struct catalog_object *before = catalog_view_object(catalog->published, type, id);
    struct catalog__objects *objects =
        catalog__objects_copy(catalog__view_objects(catalog->published));
    if (objects != NULL && catalog__objects_replace(objects, before, object) == BASE_ERR_OK) {
        view = catalog__view_with_objects(catalog->published, objects);
    }
    catalog__objects_release(&objects);
    catalog_object_release(&object);
    if (view == NULL) {
        return BASE_ERR_NOMEM;
    }
    catalog_view_release(&catalog->published);
    catalog->published = view;
    return BASE_ERR_OK;
}

static enum base_err apply_cluster(struct catalog *catalog, json_t *object)
{
    const char *id = NULL;
    if (json_unpack(object, "{s:s}", "id", &id) != 0 || strlen(id) >= sizeof catalog->cluster_id) {
        return BASE_ERR_CORRUPT;
    }
    memcpy(catalog->cluster_id, id, strlen(id) + 1);
    return BASE_ERR_OK;
}

static enum base_err apply_producer_ids(struct catalog *catalog, json_t *object)
{
    json_int_t next = -1;
    if (json_unpack(object, "{s:I}", "next", &next) != 0 || next < 0) {
        return BASE_ERR_CORRUPT;
    }
    catalog->producer_id_next = next;
    return BASE_ERR_OK;
}

static enum base_err apply_record(void *context, const struct logstore_record *record)
{
    struct catalog *catalog = context;
    size_t prefix_length = strlen(CATALOG__TOPIC_KEY_PREFIX);
    enum catalog_object_type type;
    struct base_slice id;

    catalog->updates_count++;
    if (record->key.length > prefix_length &&
        memcmp(record->key.data, CATALOG__TOPIC_KEY_PREFIX, prefix_length) == 0) {
        return apply_topic(
            catalog,
            base_slice_of(record->key.data + prefix_length, record->key.length - prefix_length),
            record->value);
    }
    if (catalog__object_parse_key(record->key, &type, &id)) {
        return apply_object(catalog, type, id, record->value);
    }
    enum base_err err = BASE_ERR_CORRUPT; /* a key of a newer version: better stop than forget */
    json_t *object = json_loadb((const char *)record->value.data, record->value.length, 0, NULL);
    if (base_slice_is(record->key, CATALOG__CLUSTER_KEY)) {
        err = apply_cluster(catalog, object);
    } else if (base_slice_is(record->key, CATALOG__PRODUCER_IDS_KEY)) {
        err = apply_producer_ids(catalog, object);
    }
    json_decref(object);
    return err;
}

static void free_catalog(struct catalog *catalog)
{
    catalog_view_release(&catalog->published);
    catalog_view_release(&catalog->newest);
    base_map_close(&catalog->deleted_ids);
    base_mutex_fini(&catalog->lock);
    base_free(catalog);
}

static enum base_err replay(struct catalog *catalog)
{
    base_mutex_lock(&catalog->lock);
    int64_t start = logstore_log_start_offset(catalog->log);
    int64_t end = logstore_log_written_offset(catalog->log);
    base_mutex_unlock(&catalog->lock);

    enum base_err err = logstore_replay(catalog->log, start, end, apply_record, catalog);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "CATALOG_REPLAY_FAILED", "log=%s cause=\"%s\"", log_name,
                 base_err_text(err));
    }
    return err;
}

/* A broker that starts for the first time gives its cluster a name. */
static void first_start(struct catalog *catalog)
{
    base_uuid_format_base64(base_uuid_random(), catalog->cluster_id);
    base_mutex_lock(&catalog->lock);
    catalog__take_snapshot(catalog, logstore_store_worker(catalog->options.store));
    base_mutex_unlock(&catalog->lock);
}

enum base_err catalog_open(const struct catalog_options *options, struct catalog **out)
{
    enum base_err err = BASE_ERR_NOMEM;

    *out = NULL;
    struct catalog *catalog = base_alloc_object(struct catalog);
    if (catalog == NULL) {
        return BASE_ERR_NOMEM;
    }
    catalog->options = *options;
    catalog_config_default(&catalog->topic_defaults);
    if (options->topic_defaults != NULL) {
        catalog->topic_defaults = *options->topic_defaults;
    }
    catalog->snapshot_end = -1;
    base_mutex_init(&catalog->lock);
    base_list_init(&catalog->pending);
    catalog->published = catalog__view_create();
    if (catalog->published == NULL || base_map_create(&catalog->deleted_ids) != BASE_ERR_OK) {
        goto fail;
    }
    struct logstore_log_options log_options = {.store = options->store,
                                               .name = log_name,
                                               .lock = &catalog->lock,
                                               .leader_epoch = options->leader_epoch,
                                               .owner = catalog,
                                               .on_progress = catalog__on_progress};
    logstore_log_config_default(&log_options.config);
    log_options.config.durable = true;
    log_options.config.retention_ms = -1;
    log_options.config.retention_bytes = -1;
    err = logstore_log_open(&log_options, &catalog->log);
    if (catalog->log == NULL) {
        goto fail;
    }
    if (err == BASE_ERR_OK) {
        err = replay(catalog);
    }
    *out = catalog;
    if (err != BASE_ERR_OK) {
        return err;
    }
    catalog->newest = catalog_view_hold(catalog->published);
    atomic_store(&catalog->version, 1);
    if (catalog->cluster_id[0] == '\0') {
        first_start(catalog);
    }
    return BASE_ERR_OK;

fail:
    free_catalog(catalog);
    return err;
}

bool catalog_knows_deleted(struct catalog *catalog, struct base_uuid id)
{
    return base_map_get(catalog->deleted_ids, base_slice_of(id.bytes, sizeof id.bytes)) != NULL;
}

static void log_closed(struct base_task *task)
{
    struct catalog *catalog = BASE_CONTAINER_OF(task, struct catalog, log_closed);
    struct base_executor *executor = catalog->closed_executor;
    struct base_task *closed = catalog->closed_task;
    free_catalog(catalog);
    base_executor_post(executor, closed);
}

void catalog_close(struct catalog *catalog, struct base_executor *executor,
                   struct base_task *closed)
{
    BASE_ASSERT(base_list_is_empty(&catalog->pending));
    catalog->closed_executor = executor;
    catalog->closed_task = closed;
    catalog->log_closed.run = log_closed;
    logstore_log_close(catalog->log, true, executor, &catalog->log_closed);
}
