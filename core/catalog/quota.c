/* Quotas as objects of the catalog. */
#include "core/catalog/quota.h"

#include "core/base/assert.h"
#include "core/catalog/catalog_priv.h"

/* What was set for a project; 0: nothing was. */
static struct catalog_quota quota_set(const struct catalog_object *object)
{
    if (object == NULL) {
        return (struct catalog_quota){0};
    }
    return (struct catalog_quota){.queues = (int32_t)catalog_object_integer(object, "queues"),
                                  .groups = (int32_t)catalog_object_integer(object, "groups")};
}

/* first, and what it leaves at 0 of second. */
static struct catalog_quota merge(struct catalog_quota first, struct catalog_quota second)
{
    return (struct catalog_quota){.queues = first.queues != 0 ? first.queues : second.queues,
                                  .groups = first.groups != 0 ? first.groups : second.groups};
}

struct catalog_quota catalog_quota(struct catalog *catalog, const struct catalog_view *view,
                                   struct base_slice project_id)
{
    struct catalog_quota configured = {.queues = catalog->options.queues_per_project_max,
                                       .groups = catalog->options.groups_per_queue_max};
    return merge(quota_set(catalog_view_object(view, CATALOG_OBJECT_QUOTA, project_id)),
                 configured);
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
    const struct catalog_object *before =
        catalog_view_object(view, CATALOG_OBJECT_QUOTA, project_id);
    quota = merge(quota, quota_set(before));
    json_t *fields =
        json_pack("{s:i, s:i}", "queues", (int)quota.queues, "groups", (int)quota.groups);
    struct catalog_object_edit edit = {
        .before = before,
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
