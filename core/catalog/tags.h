/* Resource tags: keys and values that users sort their queues by. They mean nothing to the
 * broker, and have nothing to do with the tags of messages. */
#ifndef CATALOG_TAGS_H
#define CATALOG_TAGS_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"

enum { CATALOG_TAGS_MAX = 10 }; /* of one queue */

struct catalog_tag {
    char *key;   /* owned */
    char *value; /* owned; never NULL */
};

/* Zeroed: none. */
struct catalog_tags {
    struct catalog_tag *array; /* owned; in the order they were first set */
    uint32_t count;
};

void catalog_tags_fini(struct catalog_tags *tags);

/* *copy must be zeroed. NOMEM: call catalog_tags_fini all the same. */
BASE_MUST_USE enum base_err catalog_tags_copy(const struct catalog_tags *tags,
                                              struct catalog_tags *copy);

/* Value of the key; NULL when there is no such tag. */
const char *catalog_tags_value(const struct catalog_tags *tags, struct base_slice key);

/* A new key, or a new value of one. TOO_LARGE over CATALOG_TAGS_MAX; NOMEM. */
BASE_MUST_USE enum base_err catalog_tags_set(struct catalog_tags *tags, struct base_slice key,
                                             struct base_slice value);

/* Takes the tag away if it is there and has the value; the null slice stands for any. */
void catalog_tags_unset(struct catalog_tags *tags, struct base_slice key, struct base_slice value);

#endif
