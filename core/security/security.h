/* Who may do what. Every handler of both doors asks here before it touches an object. */
#ifndef SECURITY_SECURITY_H
#define SECURITY_SECURITY_H

#include <stdbool.h>

#include "core/base/slice.h"

/* Who a connection or request speaks for. */
struct security_principal {
    const char *name;       /* "anonymous" until there are users */
    const char *project_id; /* the project whose objects it works on */
};

enum security_action {
    SECURITY_DESCRIBE,
    SECURITY_READ,
    SECURITY_WRITE,
    SECURITY_CREATE,
    SECURITY_ALTER,
    SECURITY_DELETE,
    SECURITY_DESCRIBE_CONFIGS,
};

enum security_resource_type { SECURITY_CLUSTER, SECURITY_TOPIC, SECURITY_GROUP, SECURITY_PRODUCER };

struct security_resource {
    enum security_resource_type type;
    struct base_slice name; /* topic name or group id; null for the cluster */
};

/* The project of everybody while there is no authentication. */
extern const char security_default_project[];

/* The principal of a connection that did not authenticate; static storage. */
const struct security_principal *security_anonymous(void);

/* Whether principal may do action to resource. Any thread. Without authentication there is
 * one principal, and it may do everything. */
bool security_authorize(const struct security_principal *principal, enum security_action action,
                        struct security_resource resource);

static inline struct security_resource security_topic(struct base_slice name)
{
    return (struct security_resource){SECURITY_TOPIC, name};
}

static inline struct security_resource security_group(struct base_slice id)
{
    return (struct security_resource){SECURITY_GROUP, id};
}

static inline struct security_resource security_cluster(void)
{
    return (struct security_resource){SECURITY_CLUSTER, {0}};
}

#endif
