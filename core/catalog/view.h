/* What exists, at one moment: an immutable snapshot that requests read without a lock.
 *
 * A view is counted. Changing one topic copies the few buckets it is in and shares
 * the rest, so a change costs the same with ten topics and with ten thousand. */
#ifndef CATALOG_VIEW_H
#define CATALOG_VIEW_H

#include <stddef.h>

#include "core/base/slice.h"
#include "core/base/uuid.h"
#include "core/catalog/object.h"
#include "core/catalog/topic.h"

struct catalog_view;

struct catalog_view *catalog_view_hold(struct catalog_view *view);
void catalog_view_release(struct catalog_view **view);

/* Borrowed: valid as long as the view is held. NULL when absent. */
const struct catalog_topic *catalog_view_topic(const struct catalog_view *view,
                                               struct base_slice name);
const struct catalog_topic *catalog_view_topic_by_id(const struct catalog_view *view,
                                                     struct base_uuid id);

/* The topic whose name differs from name only by '.' and '_' (Kafka forbids both). */
const struct catalog_topic *catalog_view_topic_collision(const struct catalog_view *view,
                                                         struct base_slice name);

/* By DMS queue name within a project. */
const struct catalog_topic *catalog_view_queue(const struct catalog_view *view,
                                               struct base_slice project_id,
                                               struct base_slice queue_name);

/* The topic a DMS consumer group ("g-...") belongs to. */
const struct catalog_topic *catalog_view_topic_of_group(const struct catalog_view *view,
                                                        struct base_slice group_id);

size_t catalog_view_topics_count(const struct catalog_view *view);
int64_t catalog_view_partitions_count(const struct catalog_view *view);

/* Calls visit for every topic, in no order, until it returns false. */
typedef bool catalog_view_visit(void *context, const struct catalog_topic *topic);
void catalog_view_each(const struct catalog_view *view, catalog_view_visit *visit, void *context);

/* Objects, as above. `within` is the id that the name is unique in ("" when everywhere). */
const struct catalog_object *catalog_view_object(const struct catalog_view *view,
                                                 enum catalog_object_type type,
                                                 struct base_slice id);
const struct catalog_object *catalog_view_object_named(const struct catalog_view *view,
                                                       enum catalog_object_type type,
                                                       struct base_slice within,
                                                       struct base_slice name);
size_t catalog_view_objects_count(const struct catalog_view *view, enum catalog_object_type type);

/* Grows with every change of any object: what was derived from objects is as good as long as
 * this is the same. */
uint64_t catalog_view_objects_version(const struct catalog_view *view);

/* Calls visit for every object of the type, in no order, until it returns false. */
typedef bool catalog_view_object_visit(void *context, const struct catalog_object *object);
void catalog_view_each_object(const struct catalog_view *view, enum catalog_object_type type,
                              catalog_view_object_visit *visit, void *context);

#endif
