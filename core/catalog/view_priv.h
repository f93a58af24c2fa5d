/* How the catalog makes the next view. */
#ifndef CATALOG_VIEW_PRIV_H
#define CATALOG_VIEW_PRIV_H

#include "core/base/err.h"
#include "core/catalog/view.h"

/* A view without topics, one reference. NULL when memory is out. */
struct catalog_view *catalog__view_create(void);

/* A view that differs from view by one topic: `before` (may be NULL) is out, `after` (may
 * be NULL) is in. Both are borrowed. NULL when memory is out. */
struct catalog_view *catalog__view_replace(struct catalog_view *view,
                                           const struct catalog_topic *before,
                                           const struct catalog_topic *after);

struct catalog__objects;

/* Borrowed. */
struct catalog__objects *catalog__view_objects(const struct catalog_view *view);

/* A view that differs from view by its objects, of which it holds a reference. NULL when memory
 * is out. */
struct catalog_view *catalog__view_with_objects(struct catalog_view *view,
                                                struct catalog__objects *objects);

#endif
