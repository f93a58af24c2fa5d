/* Who may do what. Every handler of both doors asks here before it touches an object.
 *
 * A queue is judged by its policies and by its project, in this order: what a policy denies is
 * denied, to everybody; then the principal's roles say what it may do with the queues of its own
 * project; then what a policy allows is allowed; anything else is refused. Nothing is cached: a
 * change of the catalog counts from the next request on.
 *
 * The topic of a group's dead letters is judged as the queue they come from, and can only be
 * looked at and read: what else is done with letters is done to the queue's group.
 *
 * As in Kafka, to describe is implied: by GET_QUEUE, READ or WRITE of a topic, by GET_GROUPS or
 * READ of a group. Who is denied GetQueue but may consume or produce still finds the topic, as it
 * could do neither otherwise; who may do none of the three does not. */
#ifndef SECURITY_SECURITY_H
#define SECURITY_SECURITY_H

#include <stdbool.h>

#include "core/base/slice.h"
#include "core/catalog/view.h"
#include "core/security/principal.h"

enum security_action {
    SECURITY_DESCRIBE, /* know that it exists: whoever may look at, consume or produce may */
    SECURITY_READ,
    SECURITY_WRITE,
    SECURITY_CREATE,
    SECURITY_ALTER,
    SECURITY_DELETE,
    SECURITY_DESCRIBE_CONFIGS,
    SECURITY_GET_QUEUE, /* these four: of a topic that is a queue */
    SECURITY_CREATE_GROUP,
    SECURITY_GET_GROUPS, /* of a group as well: list and describe it */
    SECURITY_DELETE_GROUP,
    SECURITY_ACTION_COUNT
};

enum security_resource_type {
    SECURITY_CLUSTER, /* what concerns all projects */
    SECURITY_PROJECT, /* the principal's own: its quota, what is made in it */
    SECURITY_TOPIC,
    SECURITY_GROUP,    /* a consumer group; those of a queue share its fate */
    SECURITY_PRODUCER, /* a producer id: a number; what is produced is judged by its topic */
    SECURITY_RESOURCE_TYPE_COUNT
};

struct security_resource {
    enum security_resource_type type;
    const struct catalog_topic *topic; /* borrowed; the topic, or the queue of the group; NULL:
                                          none, or not there yet */
    const struct catalog_topic *queue; /* borrowed; whose project and policies count: topic, or
                                          the queue of the dead letters in it; NULL: not there */
};

enum security_judgement {
    SECURITY_ALLOWED,
    SECURITY_DENIED,     /* by a policy, or no policy allows a guest this too */
    SECURITY_STRANGER,   /* another project's, and nothing allows it */
    SECURITY_ONLY_LOOKS, /* the role may only look */
    SECURITY_LACKS_ROLE, /* no role of the principal covers it */
};

/* Whether principal may do action to resource. Any thread. */
enum security_judgement security_judge(const struct security_principal *principal,
                                       enum security_action action,
                                       struct security_resource resource);

static inline bool security_authorize(const struct security_principal *principal,
                                      enum security_action action,
                                      struct security_resource resource)
{
    return security_judge(principal, action, resource) == SECURITY_ALLOWED;
}

/* topic, which is in view, may be NULL: one that would be the principal's own. */
struct security_resource security_topic(const struct catalog_view *view,
                                        const struct catalog_topic *topic);

/* topic, which is in view: the one the group was made for over REST; NULL for any other group. */
struct security_resource security_group(const struct catalog_view *view,
                                        const struct catalog_topic *topic);

static inline struct security_resource security_cluster(void)
{
    return (struct security_resource){.type = SECURITY_CLUSTER};
}

static inline struct security_resource security_project(void)
{
    return (struct security_resource){.type = SECURITY_PROJECT};
}

static inline struct security_resource security_producer(void)
{
    return (struct security_resource){.type = SECURITY_PRODUCER};
}

#endif
