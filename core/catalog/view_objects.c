/* Views: their objects. */
#include <string.h>

#include "core/catalog/object_priv.h"
#include "core/catalog/view.h"
#include "core/catalog/view_priv.h"

enum { NAME_SIZE_MAX = 1024 }; /* "<within>/<name>"; nothing longer is ever stored */

const struct catalog_object *catalog_view_object(const struct catalog_view *view,
                                                 enum catalog_object_type type,
                                                 struct base_slice id)
{
    return catalog__objects_find(catalog__view_objects(view), type, id);
}

const struct catalog_object *catalog_view_object_named(const struct catalog_view *view,
                                                       enum catalog_object_type type,
                                                       struct base_slice within,
                                                       struct base_slice name)
{
    uint8_t key[NAME_SIZE_MAX];

    if (within.length >= sizeof key || name.length > sizeof key - within.length - 1) {
        return NULL;
    }
    if (within.length > 0) {
        memcpy(key, within.data, within.length);
    }
    key[within.length] = '/';
    if (name.length > 0) {
        memcpy(key + within.length + 1, name.data, name.length);
    }
    return catalog__objects_named(catalog__view_objects(view), type,
                                  base_slice_of(key, within.length + 1 + name.length));
}

size_t catalog_view_objects_count(const struct catalog_view *view, enum catalog_object_type type)
{
    return catalog__objects_count(catalog__view_objects(view), type);
}

uint64_t catalog_view_objects_version(const struct catalog_view *view)
{
    return catalog__objects_version(catalog__view_objects(view));
}

void catalog_view_each_object(const struct catalog_view *view, enum catalog_object_type type,
                              catalog_view_object_visit *visit, void *context)
{
    (void)catalog__objects_each(catalog__view_objects(view), type, visit, context);
}
