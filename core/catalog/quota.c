/* Quotas as objects of the catalog. */
#include "core/catalog/quota.h"

#include "core/base/assert.h"
#include "core/catalog/catalog_priv.h"

struct catalog_quota catalog_quota(struct catalog *catalog, const struct catalog_view *view,
                                   struct base_slice project_id)
{
    const struct catalog_object *object =
        catalog_view_object(view, CATALOG_OBJECT_QUOTA, project_id);
    if (object == NULL) {
        return (struct catalog_quota){.queues = catalog->options.queues_per_project_max,
                                      .groups = catalog->options.groups_per_queue_max};
    }
    return (struct catalog_quota){.queues = (int32_t)catalog_object_integer(object, "queues"),
                                  .groups = (int32_t)catalog_object_integer(object, "groups")};
}

struct use {
    struct base_slice project_id;
    struct catalog_quota used;
};

static bool count_topic(void *context, const struct catalog_topic *topic)
{
    struct use *use = context;

    if (topic->kind == CATALOG_INTERNAL || !base_slice_is(use->project_id, topic->project_id)) {
        return true;
    }
    use->used.queues += topic->made_by_rest;
    if ((int32_t)topic->groups_count > use->used.groups) {
        use->used.groups = (int32_t)topic->groups_count;
    }
    return true;
}

struct catalog_quota catalog_quota_used(const struct catalog_view *view,
                                        struct base_slice project_id)
{
    struct use use = {.project_id = project_id};
    catalog_view_each(view, count_topic, &use);
    return use.used;
}

void catalog_set_quota(struct catalog *catalog, const struct catalog_view *view,
                       struct base_slice project_id, struct catalog_quota quota,
                       struct catalog_change *change)
{
    BASE_ASSERT(quota.queues >= 0);
    BASE_ASSERT(quota.groups >= 0);
    json_t *fields =
        json_pack("{s:i, s:i}", "queues", (int)quota.queues, "groups", (int)quota.groups);
    struct catalog_object_edit edit = {
        .before = catalog_view_object(view, CATALOG_OBJECT_QUOTA, project_id),
        .after = fields == NULL ? NULL
                                : catalog_object_create(CATALOG_OBJECT_QUOTA, project_id, fields)};
    if (edit.after == NULL) {
        change->verdict = CATALOG_STORAGE_FAILED;
        change->err = BASE_ERR_NOMEM;
        change->topic = NULL;
        base_executor_post(change->executor, &change->task);
        return;
    }
    catalog_change_objects(catalog, &edit, 1, change);
}
