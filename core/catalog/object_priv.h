/* Objects as records, and the set of them that a view holds. */
#ifndef CATALOG_OBJECT_PRIV_H
#define CATALOG_OBJECT_PRIV_H

#include "core/catalog/catalog.h"
#include "core/catalog/object.h"

enum { CATALOG__OBJECT_KEY_SIZE = CATALOG_OBJECT_ID_LENGTH_MAX + 32 };

/* "<type>/<id>". */
void catalog__object_format_key(char key[CATALOG__OBJECT_KEY_SIZE],
                                const struct catalog_object *object);

/* False when key is that of no known type. id is part of key. */
bool catalog__object_parse_key(struct base_slice key, enum catalog_object_type *type,
                               struct base_slice *id);

/* One line of JSON text, owned by the caller (base_free); NULL when memory is out. */
char *catalog__object_to_json(const struct catalog_object *object);

/* CORRUPT when text is not what to_json makes, or is of a newer version; NOMEM. */
BASE_MUST_USE enum base_err catalog__object_from_json(enum catalog_object_type type,
                                                      struct base_slice id, struct base_slice text,
                                                      struct catalog_object **out);

/* All objects at one moment: counted, shared by the views between which nothing changed. */
struct catalog__objects;

/* Empty, one reference; NULL when memory is out. */
struct catalog__objects *catalog__objects_create(void);
struct catalog__objects *catalog__objects_hold(struct catalog__objects *objects);
void catalog__objects_release(struct catalog__objects **objects);

/* A copy that may be changed until somebody else gets it; one version on. */
struct catalog__objects *catalog__objects_copy(const struct catalog__objects *objects);

/* `before` (may be NULL) is out, `after` (may be NULL) is in. After NOMEM the set is only good
 * for release. */
BASE_MUST_USE enum base_err catalog__objects_replace(struct catalog__objects *objects,
                                                     const struct catalog_object *before,
                                                     const struct catalog_object *after);

/* NULL when absent. name as in struct catalog_object. */
const struct catalog_object *catalog__objects_find(const struct catalog__objects *objects,
                                                   enum catalog_object_type type,
                                                   struct base_slice id);
const struct catalog_object *catalog__objects_named(const struct catalog__objects *objects,
                                                    enum catalog_object_type type,
                                                    struct base_slice name);

size_t catalog__objects_count(const struct catalog__objects *objects,
                              enum catalog_object_type type);

/* Grows with every change of any object. */
uint64_t catalog__objects_version(const struct catalog__objects *objects);

typedef bool catalog__objects_visit(void *context, const struct catalog_object *object);

/* True unless visit said false. */
bool catalog__objects_each(const struct catalog__objects *objects, enum catalog_object_type type,
                           catalog__objects_visit *visit, void *context);

#endif
