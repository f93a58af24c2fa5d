/* The topic of a group's dead letters, drafted from the group. */
#include "core/catalog/dead_letters.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/catalog/catalog.h"

enum { ID_PREFIX_SIZE = 2 }; /* "g-" */

bool catalog_dead_letters_topic_id(struct base_slice group_id, struct base_uuid *out)
{
    *out = (struct base_uuid){.bytes = {0}};
    return group_id.length == CATALOG_GROUP_ID_SIZE - 1 && group_id.data[0] == 'g' &&
           base_uuid_parse((const char *)group_id.data + ID_PREFIX_SIZE,
                           group_id.length - ID_PREFIX_SIZE, out);
}

void catalog_dead_letters_group_id(const char *group_id, char out[CATALOG_GROUP_ID_SIZE])
{
    BASE_ASSERT(strlen(group_id) == CATALOG_GROUP_ID_SIZE - 1);
    memcpy(out, group_id, CATALOG_GROUP_ID_SIZE);
    out[0] = 'd';
}

static enum base_err add_group(struct catalog_topic *topic, const struct catalog_group *group)
{
    topic->groups = base_alloc_array(1, sizeof topic->groups[0]);
    if (topic->groups == NULL) {
        return BASE_ERR_NOMEM;
    }
    struct catalog_group *own = &topic->groups[0];
    catalog_dead_letters_group_id(group->id, own->id);
    own->created_ms = group->created_ms;
    own->name = base_strdup(group->name);
    if (own->name == NULL) {
        return BASE_ERR_NOMEM;
    }
    topic->groups_count = 1;
    return BASE_ERR_OK;
}

static void set_config(struct catalog_topic *topic, enum catalog_topic_config_key key,
                       int64_t value)
{
    topic->config.values[key] = value;
    topic->config.is_set[key] = true;
}

struct catalog_topic *catalog_dead_letters_draft(const struct catalog_topic *queue,
                                                 const struct catalog_group *group,
                                                 const struct catalog_topic_config *defaults)
{
    char name[CATALOG_NAME_LENGTH_MAX + 1];
    struct base_uuid id;

    bool has_id = catalog_dead_letters_topic_id(base_slice_text(group->id), &id);
    BASE_ASSERT(has_id);
    int length = snprintf(name, sizeof name, "d-%s-%s", queue->project_id, group->id);
    BASE_ASSERT(length > 0 && length < (int)sizeof name);
    struct catalog_topic *topic =
        catalog_topic_draft(base_slice_text(name), base_slice_of(NULL, 0), queue->kind);
    if (topic == NULL || add_group(topic, group) != BASE_ERR_OK) {
        catalog_topic_release(&topic);
        return NULL;
    }
    topic->id = id;
    base_uuid_format(id, topic->id_text);
    topic->origin_id = queue->id;
    memcpy(topic->project_id, queue->project_id, sizeof topic->project_id);
    topic->created_ms = group->created_ms;
    topic->config = *defaults;
    set_config(topic, CATALOG_CONFIG_RETENTION_MS, CATALOG_DEAD_LETTERS_RETENTION_MS);
    set_config(topic, CATALOG_CONFIG_RETENTION_BYTES, -1);
    return topic;
}
