/* What a project may have: set for one project, or what the broker is configured with. */
#ifndef CATALOG_QUOTA_H
#define CATALOG_QUOTA_H

#include "core/catalog/catalog.h"

/* What a quota may be set to. */
enum { CATALOG_QUOTA_MIN = 1, CATALOG_QUOTA_MAX = 20 };

struct catalog_quota {
    int32_t queues; /* made over REST; topics made over Kafka do not count */
    int32_t groups; /* of each queue */
};

/* The quota of a project in view. */
struct catalog_quota catalog_quota(struct catalog *catalog, const struct catalog_view *view,
                                   struct base_slice project_id);

/* What of it is used: all queues, and the groups of the queue that has most. */
struct catalog_quota catalog_quota_used(const struct catalog_view *view,
                                        struct base_slice project_id);

/* Sets what is not 0 of the quota of a project whose quota in view, which the caller holds, was
 * looked at; the other stays as it was set, or is as the broker is configured. CONFLICT when
 * somebody else has changed it since. */
void catalog_set_quota(struct catalog *catalog, const struct catalog_view *view,
                       struct base_slice project_id, struct catalog_quota quota,
                       struct catalog_change *change);

#endif
