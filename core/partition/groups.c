/* Topics deleted, and groups made and deleted: what takes dead letters along. */
#include <stdio.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/catalog/dead_letters.h"
#include "core/partition/partition_priv.h"
#include "logstore/store.h"

/* The dead letters of the group, if it has any. The caller releases the topic. */
static struct catalog_topic *find_letters(struct partition_table *table, const char *group_id)
{
    struct base_uuid id;

    if (!catalog_dead_letters_topic_id(base_slice_text(group_id), &id)) {
        return NULL;
    }
    struct catalog_view *view = catalog_view(partition__table_catalog(table));
    const struct catalog_topic *topic = catalog_view_topic_by_id(view, id);
    struct catalog_topic *held = topic == NULL ? NULL : catalog_topic_hold(topic);
    catalog_view_release(&view);
    return held;
}

/* A log that does not open leaves an offline partition: the group exists all the same. */
static void groups_created(struct base_task *task)
{
    struct partition_topic_op *op = partition__op_of(task);

    if (op->change.verdict != CATALOG_DONE) {
        partition__op_end(op, op->change.verdict, op->change.err);
        return;
    }
    BASE_ASSERT(op->topic->groups_count >= op->groups_count);
    enum base_err err = BASE_ERR_OK;
    uint32_t first = op->topic->groups_count - op->groups_count;
    for (uint32_t i = first; err == BASE_ERR_OK && i < op->topic->groups_count; i++) {
        struct catalog_topic *letters = find_letters(op->table, op->topic->groups[i].id);
        if (letters != NULL) {
            err = partition__table_open(op->table, letters);
            partition__table_forget_deleted(op->table, letters->id);
        }
        catalog_topic_release(&letters);
    }
    partition__op_end(op, err == BASE_ERR_OK ? CATALOG_DONE : CATALOG_STORAGE_FAILED, err);
}

void partition_create_groups(struct partition_table *table, struct base_uuid id,
                             const struct base_slice *names, uint32_t names_count,
                             struct partition_topic_op *op)
{
    partition__op_begin(table, op, groups_created);
    op->groups_count = names_count;
    catalog_create_groups(partition__table_catalog(table), id, names, names_count, &op->change);
}

/* Drops the dead letters of a group of the queue, which the view does not have any more: all
 * there is to know of their topic follows from the group. */
static void delete_letters(struct partition_table *table, const struct catalog_topic *queue,
                           const char *group_id)
{
    char no_name[] = "";
    struct catalog_group group = {.name = no_name};
    struct catalog_topic *letters = NULL;

    if (!queue->redrive) {
        return;
    }
    (void)snprintf(group.id, sizeof group.id, "%s", group_id);
    letters = catalog_dead_letters_draft(queue, &group, &queue->config);
    if (letters == NULL) {
        base_log(BASE_LOG_WARN, "DEAD_LETTERS_NOT_REMOVED", "group=%s cause=\"%s\"", group_id,
                 base_err_text(BASE_ERR_NOMEM)); /* the next start removes them */
        return;
    }
    partition__table_delete(table, letters);
    catalog_topic_release(&letters);
}

static void group_deleted(struct base_task *task)
{
    struct partition_topic_op *op = partition__op_of(task);

    if (op->change.verdict == CATALOG_DONE) {
        delete_letters(op->table, op->topic, op->group_id);
    }
    partition__op_end(op, op->change.verdict, op->change.err);
}

void partition_delete_group(struct partition_table *table, struct base_uuid id,
                            struct base_slice group_id, struct partition_topic_op *op)
{
    partition__op_begin(table, op, group_deleted);
    (void)snprintf(op->group_id, sizeof op->group_id, "%.*s", (int)group_id.length,
                   (const char *)group_id.data);
    catalog_delete_group(partition__table_catalog(table), id, group_id, &op->change);
}

static void topic_deleted(struct base_task *task)
{
    struct partition_topic_op *op = partition__op_of(task);

    if (op->change.verdict == CATALOG_DONE) {
        partition__table_delete(op->table, op->topic);
        for (uint32_t i = 0; i < op->topic->groups_count; i++) {
            delete_letters(op->table, op->topic, op->topic->groups[i].id);
        }
    }
    partition__op_end(op, op->change.verdict, op->change.err);
}

void partition_delete_topic(struct partition_table *table, struct base_uuid id,
                            struct partition_topic_op *op)
{
    partition__op_begin(table, op, topic_deleted);
    catalog_delete_topic(partition__table_catalog(table), id, &op->change);
}
