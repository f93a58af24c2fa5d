/* Topics as JSON, version 1. A reader of version 1 ignores fields it does not know, and
 * refuses a higher version. */
#include "core/catalog/topic_json.h"

#include <jansson.h>
#include <string.h>

#include "core/base/alloc.h"

enum { TOPIC_JSON_VERSION = 1 };

static json_t *config_to_json(const struct catalog_topic_config *config)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < CATALOG_CONFIG_COUNT; i++) {
        enum catalog_topic_config_key key = (enum catalog_topic_config_key)i;
        char text[CATALOG_CONFIG_TEXT_SIZE];
        if (config->is_set[i]) {
            catalog_config_format(config, key, text);
            (void)json_object_set_new(object, catalog_config_row(key)->key, json_string(text));
        }
    }
    return object;
}

static json_t *groups_to_json(const struct catalog_topic *topic)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        const struct catalog_group *group = &topic->groups[i];
        (void)json_array_append_new(array, json_pack("{s:s, s:s, s:I}", "id", group->id, "name",
                                                     group->name, "created_ms",
                                                     (json_int_t)group->created_ms));
    }
    return array;
}

char *catalog_topic_to_json(const struct catalog_topic *topic)
{
    json_t *object = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:I, s:s, s:b, s:i, s:o, s:o}", "version",
        TOPIC_JSON_VERSION, "id", topic->id_text, "name", topic->name, "queue_name",
        topic->queue_name, "project_id", topic->project_id, "kind", catalog_kind_name(topic->kind),
        "made_by_rest", topic->made_by_rest, "partitions", (int)topic->partitions_count,
        "created_ms", (json_int_t)topic->created_ms, "description", topic->description, "redrive",
        topic->redrive, "max_consume_count", (int)topic->max_consume_count, "config",
        config_to_json(&topic->config), "groups", groups_to_json(topic));
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    char *copy = text == NULL ? NULL : base_strdup(text);
    /* jansson's own allocator made it. */
    json_malloc_t json_allocate;
    json_free_t json_release;
    json_get_alloc_funcs(&json_allocate, &json_release);
    json_release(text);
    return copy;
}

static enum base_err read_config(json_t *object, const struct catalog_topic_config *defaults,
                                 struct catalog_topic_config *config)
{
    const char *name = NULL;
    json_t *value = NULL;

    *config = *defaults;
    json_object_foreach(object, name, value)
    {
        enum catalog_topic_config_key key;
        if (!json_is_string(value)) {
            return BASE_ERR_CORRUPT;
        }
        /* A key that an older broker knew and this one does not changes nothing. */
        if (catalog_config_find(base_slice_text(name), &key) &&
            catalog_config_set(config, key, base_slice_text(json_string_value(value))) !=
                BASE_ERR_OK) {
            return BASE_ERR_CORRUPT;
        }
    }
    return BASE_ERR_OK;
}

static enum base_err read_groups(json_t *array, struct catalog_topic *topic)
{
    size_t count = json_array_size(array);
    topic->groups = base_alloc_array(count, sizeof topic->groups[0]);
    if (topic->groups == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct catalog_group *group = &topic->groups[i];
        const char *id = NULL;
        const char *name = NULL;
        json_int_t created_ms = 0;
        if (json_unpack(json_array_get(array, i), "{s:s, s:s, s:I}", "id", &id, "name", &name,
                        "created_ms", &created_ms) != 0 ||
            strlen(id) >= sizeof group->id) {
            return BASE_ERR_CORRUPT;
        }
        memcpy(group->id, id, strlen(id) + 1);
        group->created_ms = created_ms;
        group->name = base_strdup(name);
        if (group->name == NULL) {
            return BASE_ERR_NOMEM;
        }
        topic->groups_count++;
    }
    return BASE_ERR_OK;
}

static enum base_err read_fields(json_t *object, const struct catalog_topic_config *defaults,
                                 struct catalog_topic *topic)
{
    const char *id = NULL, *name = NULL, *queue_name = NULL, *project_id = NULL, *kind = NULL;
    const char *description = NULL;
    int version = 0, made_by_rest = 0, partitions = 0, redrive = 0, max_consume_count = 0;
    json_int_t created_ms = 0;
    json_t *config = NULL, *groups = NULL;

    if (json_unpack(
            object, "{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:I, s:s, s:b, s:i, s:o, s:o}",
            "version", &version, "id", &id, "name", &name, "queue_name", &queue_name, "project_id",
            &project_id, "kind", &kind, "made_by_rest", &made_by_rest, "partitions", &partitions,
            "created_ms", &created_ms, "description", &description, "redrive", &redrive,
            "max_consume_count", &max_consume_count, "config", &config, "groups", &groups) != 0 ||
        version != TOPIC_JSON_VERSION || partitions <= 0 ||
        strlen(project_id) >= sizeof topic->project_id ||
        !base_uuid_parse(id, strlen(id), &topic->id) ||
        !catalog_kind_parse(base_slice_text(kind), &topic->kind)) {
        return BASE_ERR_CORRUPT;
    }
    base_uuid_format(topic->id, topic->id_text);
    memcpy(topic->project_id, project_id, strlen(project_id) + 1);
    topic->made_by_rest = made_by_rest != 0;
    topic->partitions_count = partitions;
    topic->created_ms = created_ms;
    topic->redrive = redrive != 0;
    topic->max_consume_count = max_consume_count;
    topic->name = base_strdup(name);
    topic->queue_name = base_strdup(queue_name);
    topic->description = base_strdup(description);
    if (topic->name == NULL || topic->queue_name == NULL || topic->description == NULL) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = read_config(config, defaults, &topic->config);
    return err != BASE_ERR_OK ? err : read_groups(groups, topic);
}

enum base_err catalog_topic_from_json(struct base_slice text,
                                      const struct catalog_topic_config *defaults,
                                      struct catalog_topic **out)
{
    enum base_err err = BASE_ERR_OK;
    struct catalog_topic *topic = NULL;

    *out = NULL;
    json_t *object = json_loadb((const char *)text.data, text.length, 0, NULL);
    if (object == NULL) {
        err = BASE_ERR_CORRUPT;
        goto exit;
    }
    topic = base_alloc_object(struct catalog_topic);
    if (topic == NULL) {
        err = BASE_ERR_NOMEM;
        goto exit;
    }
    atomic_init(&topic->references, 1);
    err = read_fields(object, defaults, topic);
    if (err != BASE_ERR_OK) {
        goto exit;
    }
    *out = topic;
    topic = NULL;

exit:
    catalog_topic_release(&topic);
    json_decref(object);
    return err;
}
