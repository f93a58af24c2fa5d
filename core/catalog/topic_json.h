/* Topics as JSON: the values of the catalog's records. */
#ifndef CATALOG_TOPIC_JSON_H
#define CATALOG_TOPIC_JSON_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/catalog/topic.h"

/* One line of JSON text, owned by the caller (base_free); NULL when memory is out. */
char *catalog_topic_to_json(const struct catalog_topic *topic);

/* What the topic does not set itself follows defaults, those of the broker as it is
 * configured now. CORRUPT when text is not what to_json makes, or is of a newer version;
 * NOMEM. */
BASE_MUST_USE enum base_err catalog_topic_from_json(struct base_slice text,
                                                    const struct catalog_topic_config *defaults,
                                                    struct catalog_topic **out);

#endif
