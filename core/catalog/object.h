/* An object of the catalog that is not a topic: users, projects, keys, tokens and whatever else
 * has to exist. A JSON record under the key "<type>/<id>"; what is in it is known to who made it.
 *
 * A new type is one row here, and a file in the library that writes and reads its fields.
 * Objects are immutable and counted, like topics. */
#ifndef CATALOG_OBJECT_H
#define CATALOG_OBJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/refs.h"
#include "core/base/slice.h"

/* Row: enum name, prefix of the record's key, field whose value is unique (NULL: none), field
 * that says within what it is (NULL: everywhere). */
#define CATALOG_OBJECT_LIST(X)                 \
    X(DOMAIN, "domain", "name", NULL)          \
    X(PROJECT, "project", "name", "domain_id") \
    X(USER, "user", "name", "domain_id")       \
    X(ACCESS_KEY, "access_key", NULL, NULL)    \
    X(TOKEN, "token", NULL, NULL)              \
    X(QUOTA, "quota", NULL, NULL)

#define CATALOG_OBJECT_ENUM(name, prefix, unique, within) CATALOG_OBJECT_##name,
enum catalog_object_type { CATALOG_OBJECT_LIST(CATALOG_OBJECT_ENUM) CATALOG_OBJECT_TYPE_COUNT };
#undef CATALOG_OBJECT_ENUM

enum {
    CATALOG_OBJECT_ID_LENGTH_MAX = 64,
    CATALOG_OBJECT_JSON_SIZE_MAX = 256 * 1024,
    CATALOG_OBJECT_EDITS_MAX = 256, /* in one change */
};

/* Fields are public and never change. */
struct catalog_object {
    struct base_refs refs;
    enum catalog_object_type type;
    char *id;     /* owned */
    char *name;   /* owned; what it is found by beside the id: "<within>/<unique>"; may be NULL */
    json_t *json; /* owned; an object. Borrow from it, never hold or change */
};

/* One reference. fields is moved, also when this fails; the rest is copied. NULL when memory is
 * out. id: 1 to CATALOG_OBJECT_ID_LENGTH_MAX bytes; a field that has to be unique must be there. */
struct catalog_object *catalog_object_create(enum catalog_object_type type, struct base_slice id,
                                             json_t *fields);

struct catalog_object *catalog_object_hold(const struct catalog_object *object);

/* Drops one reference, frees with the last, sets *object to NULL. NULL-safe. */
void catalog_object_release(struct catalog_object **object);

/* Fields; what is absent or of another type is NULL, 0 or false. Borrowed. */
const char *catalog_object_text(const struct catalog_object *object, const char *field);
int64_t catalog_object_integer(const struct catalog_object *object, const char *field);
bool catalog_object_bool(const struct catalog_object *object, const char *field);

/* "user": the prefix of the key. */
const char *catalog_object_type_name(enum catalog_object_type type);

#endif
