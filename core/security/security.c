/* The evaluator: policies of the queue, then roles. */
#include "core/security/security.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/security/policy.h"

#define BIT(value) (1u << (value))

/* Policy actions of which one is enough for what is asked; 0: no policy is about it. */
static unsigned policy_actions_for(enum security_resource_type type, enum security_action action)
{
    static const unsigned of_topic[SECURITY_ACTION_COUNT] = {
        [SECURITY_DESCRIBE] = BIT(CATALOG_MAY_GET_QUEUE) | BIT(CATALOG_MAY_PRODUCE_MESSAGES) |
                              BIT(CATALOG_MAY_CONSUME_MESSAGES),
        [SECURITY_READ] = BIT(CATALOG_MAY_CONSUME_MESSAGES),
        [SECURITY_WRITE] = BIT(CATALOG_MAY_PRODUCE_MESSAGES),
        [SECURITY_GET_QUEUE] = BIT(CATALOG_MAY_GET_QUEUE),
        [SECURITY_CREATE_GROUP] = BIT(CATALOG_MAY_CREATE_GROUP),
        [SECURITY_GET_GROUPS] = BIT(CATALOG_MAY_GET_GROUPS),
        [SECURITY_DELETE_GROUP] = BIT(CATALOG_MAY_DELETE_GROUP),
    };
    static const unsigned of_group[SECURITY_ACTION_COUNT] = {
        [SECURITY_DESCRIBE] = BIT(CATALOG_MAY_GET_GROUPS) | BIT(CATALOG_MAY_CONSUME_MESSAGES),
        [SECURITY_READ] = BIT(CATALOG_MAY_CONSUME_MESSAGES),
        [SECURITY_DELETE] = BIT(CATALOG_MAY_DELETE_GROUP),
    };

    return type == SECURITY_TOPIC   ? of_topic[action]
           : type == SECURITY_GROUP ? of_group[action]
                                    : 0;
}

#define MAY(action) BIT(SECURITY_##action)
enum {
    LOOK = MAY(DESCRIBE) | MAY(DESCRIBE_CONFIGS) | MAY(GET_QUEUE) | MAY(GET_GROUPS),
    USE = LOOK | MAY(READ) | MAY(WRITE),
};
#undef MAY

/* What the roles say about the principal's own project, and about the cluster. */
static enum security_judgement judge_by_role(const struct security_principal *principal,
                                             enum security_action action,
                                             enum security_resource_type type)
{
    unsigned roles = principal->roles;

    if ((roles & SECURITY_ROLE_ADMIN) != 0) {
        return SECURITY_ALLOWED;
    }
    if (type == SECURITY_CLUSTER) {
        return SECURITY_LACKS_ROLE;
    }
    if ((roles & SECURITY_ROLE_DMS_ADMIN) != 0 ||
        ((roles & SECURITY_ROLE_DMS_USER) != 0 && (BIT(action) & USE) != 0) ||
        ((roles & SECURITY_ROLE_DMS_READER) != 0 && (BIT(action) & LOOK) != 0)) {
        return SECURITY_ALLOWED;
    }
    return roles == SECURITY_ROLE_DMS_READER ? SECURITY_ONLY_LOOKS : SECURITY_LACKS_ROLE;
}

static enum security_judgement judge_by_topic(const struct security_principal *principal,
                                              enum security_action action,
                                              struct security_resource resource)
{
    const struct catalog_topic *topic = resource.topic;
    unsigned wanted = policy_actions_for(resource.type, action);
    struct security_policy_effect effect;

    if (topic->kind == CATALOG_INTERNAL) {
        return judge_by_role(principal, action, SECURITY_CLUSTER);
    }
    security_policy_evaluate(&topic->policies, principal, &effect);
    if (wanted != 0 && (wanted & ~effect.denied) == 0) {
        return SECURITY_DENIED;
    }
    if (strcmp(topic->project_id, principal->project_id) == 0) {
        return judge_by_role(principal, action, resource.type);
    }
    unsigned given = effect.allowed & ~effect.denied;
    if ((wanted & given) != 0) {
        return SECURITY_ALLOWED;
    }
    return given != 0 ? SECURITY_DENIED : SECURITY_STRANGER; /* a guest knows that it exists */
}

enum security_judgement security_judge(const struct security_principal *principal,
                                       enum security_action action,
                                       struct security_resource resource)
{
    BASE_ASSERT(principal != NULL);
    BASE_ASSERT(action < SECURITY_ACTION_COUNT);
    BASE_ASSERT(resource.type < SECURITY_RESOURCE_TYPE_COUNT);

    if (security_is_anonymous(principal) || resource.type == SECURITY_PRODUCER) {
        return SECURITY_ALLOWED;
    }
    return resource.topic != NULL ? judge_by_topic(principal, action, resource)
                                  : judge_by_role(principal, action, resource.type);
}
