/* Topics as counted values. */
#include "core/catalog/topic.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

struct catalog_topic *catalog_topic_hold(const struct catalog_topic *topic)
{
    /* The count is the one thing that changes in an immutable topic. */
    struct catalog_topic *counted = (struct catalog_topic *)(uintptr_t)topic;
    base_refs_take(&counted->refs);
    return counted;
}

void catalog_topic_release(struct catalog_topic **topic)
{
    struct catalog_topic *dropped = *topic;
    *topic = NULL;
    if (dropped == NULL || !base_refs_drop(&dropped->refs)) {
        return;
    }
    for (uint32_t i = 0; i < dropped->groups_count; i++) {
        base_free(dropped->groups[i].name);
    }
    base_free(dropped->groups);
    catalog_tags_fini(&dropped->tags);
    catalog_policies_fini(&dropped->policies);
    base_free(dropped->name);
    base_free(dropped->queue_name);
    base_free(dropped->description);
    base_free(dropped);
}

static enum base_err copy_groups(const struct catalog_topic *topic, struct catalog_topic *copy)
{
    copy->groups = base_alloc_array(topic->groups_count, sizeof copy->groups[0]);
    if (copy->groups == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        copy->groups[i] = topic->groups[i];
        copy->groups[i].name = base_strdup(topic->groups[i].name);
        if (copy->groups[i].name == NULL) {
            return BASE_ERR_NOMEM;
        }
        copy->groups_count++;
    }
    return BASE_ERR_OK;
}

struct catalog_topic *catalog_topic_copy(const struct catalog_topic *topic)
{
    struct catalog_topic *copy = base_alloc_object(struct catalog_topic);
    if (copy == NULL) {
        return NULL;
    }
    base_refs_init(&copy->refs);
    copy->id = topic->id;
    memcpy(copy->id_text, topic->id_text, sizeof copy->id_text);
    memcpy(copy->project_id, topic->project_id, sizeof copy->project_id);
    copy->kind = topic->kind;
    copy->origin_id = topic->origin_id;
    copy->made_by_rest = topic->made_by_rest;
    copy->partitions_count = topic->partitions_count;
    copy->created_ms = topic->created_ms;
    copy->redrive = topic->redrive;
    copy->max_consume_count = topic->max_consume_count;
    copy->config = topic->config;
    copy->name = base_strdup(topic->name);
    copy->queue_name = base_strdup(topic->queue_name);
    copy->description = base_strdup(topic->description);
    if (copy->name == NULL || copy->queue_name == NULL || copy->description == NULL ||
        copy_groups(topic, copy) != BASE_ERR_OK ||
        catalog_tags_copy(&topic->tags, &copy->tags) != BASE_ERR_OK ||
        catalog_policies_copy(&topic->policies, &copy->policies) != BASE_ERR_OK) {
        catalog_topic_release(&copy);
    }
    return copy;
}

const struct catalog_group *catalog_topic_group(const struct catalog_topic *topic,
                                                struct base_slice group_id)
{
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        if (base_slice_is(group_id, topic->groups[i].id)) {
            return &topic->groups[i];
        }
    }
    return NULL;
}

static const char *const kind_names[CATALOG_KIND_COUNT] = {"NORMAL", "FIFO", "KAFKA_HA", "KAFKA_HT",
                                                           "INTERNAL"};

const char *catalog_kind_name(enum catalog_kind kind)
{
    BASE_ASSERT(kind < CATALOG_KIND_COUNT);
    return kind_names[kind];
}

bool catalog_kind_parse(struct base_slice name, enum catalog_kind *out)
{
    for (unsigned i = 0; i < CATALOG_KIND_COUNT; i++) {
        if (base_slice_is(name, kind_names[i])) {
            *out = (enum catalog_kind)i;
            return true;
        }
    }
    return false;
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool catalog_topic_name_is_valid(struct base_slice name)
{
    if (name.length == 0 || name.length > CATALOG_NAME_LENGTH_MAX || base_slice_is(name, ".") ||
        base_slice_is(name, "..")) {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        if (!is_name_byte(name.data[i])) {
            return false;
        }
    }
    return true;
}
