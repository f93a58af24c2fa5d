/* Topics as JSON, version 1. A reader of version 1 ignores fields it does not know, and
 * refuses a higher version. */
#include "core/catalog/topic_json.h"

#include <jansson.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/catalog/dead_letters.h"
#include "core/catalog/json_priv.h"

enum {
    TOPIC_JSON_VERSION = 1,
    PARTITIONS_MAX = 10000000, /* what max.partitions allows of all topics together */
};

static json_t *config_to_json(const struct catalog_topic_config *config)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < CATALOG_CONFIG_COUNT; i++) {
        enum catalog_topic_config_key key = (enum catalog_topic_config_key)i;
        char text[CATALOG_CONFIG_TEXT_SIZE];
        if (config->is_set[i]) {
            catalog_config_format(config, key, text);
            catalog__json_set(&object, catalog_config_row(key)->key, json_string(text));
        }
    }
    return object;
}

static json_t *groups_to_json(const struct catalog_topic *topic)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        const struct catalog_group *group = &topic->groups[i];
        catalog__json_append(&array,
                             json_pack("{s:s, s:s, s:I}", "id", group->id, "name", group->name,
                                       "created_ms", (json_int_t)group->created_ms));
    }
    return array;
}

static json_t *tags_to_json(const struct catalog_tags *tags)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < tags->count; i++) {
        catalog__json_append(&array, json_pack("{s:s, s:s}", "key", tags->array[i].key, "value",
                                               tags->array[i].value));
    }
    return array;
}

static json_t *policy_to_json(const struct catalog_policy *policy)
{
    json_t *actions = json_array();
    json_t *services = json_array();

    for (unsigned i = 0; i < CATALOG_POLICY_ACTION_COUNT; i++) {
        if ((policy->actions & 1u << i) != 0) {
            const char *name = catalog_policy_action_name((enum catalog_policy_action)i);
            catalog__json_append(&actions, json_string(name));
        }
    }
    for (unsigned i = 0; i < CATALOG_POLICY_SERVICE_COUNT; i++) {
        if ((policy->services & 1u << i) != 0) {
            const char *name = catalog_policy_service_name((enum catalog_policy_service)i);
            catalog__json_append(&services, json_string(name));
        }
    }
    return json_pack("{s:s, s:b, s:b, s:b, s:s, s:o, s:o}", "id", policy->id, "denies",
                     policy->denies, "of_services", policy->of_services, "everyone",
                     policy->everyone, "users", policy->users, "services", services, "actions",
                     actions);
}

static json_t *policies_to_json(const struct catalog_policies *policies)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < policies->count; i++) {
        catalog__json_append(&array, policy_to_json(&policies->array[i]));
    }
    return array;
}

char *catalog_topic_to_json(const struct catalog_topic *topic)
{
    char origin[BASE_UUID_TEXT_SIZE];
    bool has_origin = catalog_topic_is_dead_letters(topic);

    base_uuid_format(topic->origin_id, origin);
    json_t *object = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:I, s:s, s:b, s:i, s:o, s:o, s:o, s:o, s:s*}",
        "version", TOPIC_JSON_VERSION, "id", topic->id_text, "name", topic->name, "queue_name",
        topic->queue_name, "project_id", topic->project_id, "kind", catalog_kind_name(topic->kind),
        "made_by_rest", topic->made_by_rest, "partitions", (int)topic->partitions_count,
        "created_ms", (json_int_t)topic->created_ms, "description", topic->description, "redrive",
        topic->redrive, "max_consume_count", (int)topic->max_consume_count, "config",
        config_to_json(&topic->config), "groups", groups_to_json(topic), "tags",
        tags_to_json(&topic->tags), "policies", policies_to_json(&topic->policies), "origin_id",
        has_origin ? origin : NULL);
    char *text = catalog__json_text(object);
    json_decref(object);
    return text;
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

/* "g-<uuid>"; "d-<uuid>" where the topic is that of a group's dead letters. */
static bool is_group_id(const char *id, const struct catalog_topic *topic)
{
    struct base_uuid uuid;
    char prefix = catalog_topic_is_dead_letters(topic) ? 'd' : 'g';

    return strlen(id) == CATALOG_GROUP_ID_SIZE - 1 && id[0] == prefix && id[1] == '-' &&
           base_uuid_parse(id + 2, strlen(id + 2), &uuid);
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
            !is_group_id(id, topic)) {
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

static enum base_err read_tags(json_t *array, struct catalog_tags *tags)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *key = NULL;
        const char *value = NULL;
        if (json_unpack(json_array_get(array, i), "{s:s, s:s}", "key", &key, "value", &value) !=
            0) {
            return BASE_ERR_CORRUPT;
        }
        enum base_err err = catalog_tags_set(tags, base_slice_text(key), base_slice_text(value));
        if (err != BASE_ERR_OK) {
            return err == BASE_ERR_NOMEM ? err : BASE_ERR_CORRUPT;
        }
    }
    return BASE_ERR_OK;
}

static struct base_slice text_at(const json_t *array, size_t index)
{
    const char *text = json_string_value(json_array_get(array, index));
    return text == NULL ? base_slice_of(NULL, 0) : base_slice_text(text);
}

/* Words of a newer version grant and deny nothing. */
static enum base_err read_policy(json_t *object, struct catalog_policy *policy)
{
    const char *id = NULL, *users = NULL;
    json_t *actions = NULL, *services = NULL;
    int denies = 0, of_services = 0, everyone = 0;

    if (json_unpack(object, "{s:s, s:b, s:b, s:b, s:s, s:o, s:o}", "id", &id, "denies", &denies,
                    "of_services", &of_services, "everyone", &everyone, "users", &users, "services",
                    &services, "actions", &actions) != 0 ||
        strlen(id) >= sizeof policy->id) {
        return BASE_ERR_CORRUPT;
    }
    *policy = (struct catalog_policy){.denies = denies != 0,
                                      .of_services = of_services != 0,
                                      .everyone = everyone != 0,
                                      .users = (char *)(uintptr_t)users};
    memcpy(policy->id, id, strlen(id) + 1);
    for (size_t i = 0; i < json_array_size(actions); i++) {
        enum catalog_policy_action action;
        if (catalog_policy_action_parse(text_at(actions, i), &action)) {
            policy->actions |= 1u << action;
        }
    }
    for (size_t i = 0; i < json_array_size(services); i++) {
        enum catalog_policy_service service;
        if (catalog_policy_service_parse(text_at(services, i), &service)) {
            policy->services |= 1u << service;
        }
    }
    return BASE_ERR_OK;
}

static enum base_err read_policies(json_t *array, struct catalog_policies *policies)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct catalog_policy policy;
        enum base_err err = read_policy(json_array_get(array, i), &policy);
        if (err == BASE_ERR_OK) {
            err = catalog_policies_set(policies, &policy);
        }
        if (err != BASE_ERR_OK) {
            return err == BASE_ERR_NOMEM ? err : BASE_ERR_CORRUPT;
        }
    }
    return BASE_ERR_OK;
}

static enum base_err read_fields(json_t *object, const struct catalog_topic_config *defaults,
                                 struct catalog_topic *topic)
{
    const char *id = NULL, *name = NULL, *queue_name = NULL, *project_id = NULL, *kind = NULL;
    const char *description = NULL, *origin = NULL;
    int version = 0, made_by_rest = 0, partitions = 0, redrive = 0, max_consume_count = 0;
    json_int_t created_ms = 0;
    json_t *config = NULL, *groups = NULL, *tags = NULL, *policies = NULL;

    if (json_unpack(
            object,
            "{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:I, s:s, s:b, s:i, s:o, s:o, s?o, s?o, s?s}",
            "version", &version, "id", &id, "name", &name, "queue_name", &queue_name, "project_id",
            &project_id, "kind", &kind, "made_by_rest", &made_by_rest, "partitions", &partitions,
            "created_ms", &created_ms, "description", &description, "redrive", &redrive,
            "max_consume_count", &max_consume_count, "config", &config, "groups", &groups, "tags",
            &tags, "policies", &policies, "origin_id", &origin) != 0 ||
        version != TOPIC_JSON_VERSION || partitions <= 0 || partitions > PARTITIONS_MAX ||
        strlen(project_id) >= sizeof topic->project_id ||
        !base_uuid_parse(id, strlen(id), &topic->id) ||
        (origin != NULL && !base_uuid_parse(origin, strlen(origin), &topic->origin_id)) ||
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
    if (err == BASE_ERR_OK) {
        err = read_groups(groups, topic);
    }
    /* Dead letters are one log with one group, and have no dead letters of their own. */
    if (err == BASE_ERR_OK && catalog_topic_is_dead_letters(topic) &&
        (topic->partitions_count != 1 || topic->groups_count != 1 || topic->redrive)) {
        err = BASE_ERR_CORRUPT;
    }
    if (err == BASE_ERR_OK) {
        err = read_tags(tags, &topic->tags);
    }
    return err != BASE_ERR_OK ? err : read_policies(policies, &topic->policies);
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
    base_refs_init(&topic->refs);
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
