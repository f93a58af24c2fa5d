/* The evaluator: policies of the queue, then roles. */
#include "core/security/security.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/catalog/dead_letters.h"
#include "core/security/policy.h"

#define BIT(value) (1u << (value))

#define MAY(action) BIT(SECURITY_##action)
enum {
    LOOK = MAY(DESCRIBE) | MAY(DESCRIBE_CONFIGS) | MAY(GET_QUEUE) | MAY(GET_GROUPS),
    USE = LOOK | MAY(READ) | MAY(WRITE),
    OF_LETTERS = MAY(DESCRIBE) | MAY(DESCRIBE_CONFIGS) | MAY(GET_QUEUE) | MAY(READ),
};

/* What policies have to do with one thing that is asked. */
struct rule {
    unsigned implied_by; /* security actions of which one is enough; 0: it stands for itself */
    unsigned granted_by; /* policy actions of which one is enough for a guest */
    unsigned denied_by;  /* policy actions of which one denied is enough to refuse */
};

#define SAME(action)                                                                    \
    {                                                                                   \
        .granted_by = BIT(CATALOG_MAY_##action), .denied_by = BIT(CATALOG_MAY_##action) \
    }

static const struct rule topic_rules[SECURITY_ACTION_COUNT] = {
    [SECURITY_DESCRIBE] = {.implied_by = MAY(GET_QUEUE) | MAY(READ) | MAY(WRITE)},
    [SECURITY_READ] = SAME(CONSUME_MESSAGES),
    [SECURITY_WRITE] = SAME(PRODUCE_MESSAGES),
    [SECURITY_DESCRIBE_CONFIGS] = {.denied_by = BIT(CATALOG_MAY_GET_QUEUE)},
    [SECURITY_GET_QUEUE] = SAME(GET_QUEUE),
    [SECURITY_CREATE_GROUP] = SAME(CREATE_GROUP),
    [SECURITY_GET_GROUPS] = SAME(GET_GROUPS),
    [SECURITY_DELETE_GROUP] = SAME(DELETE_GROUP),
};

static const struct rule group_rules[SECURITY_ACTION_COUNT] = {
    [SECURITY_DESCRIBE] = {.implied_by = MAY(GET_GROUPS) | MAY(READ)},
    [SECURITY_READ] = SAME(CONSUME_MESSAGES),
    [SECURITY_DELETE] = SAME(DELETE_GROUP),
    /* A guest who consumes may look at the groups it consumes with, unless that is denied. */
    [SECURITY_GET_GROUPS] = {.granted_by =
                                 BIT(CATALOG_MAY_GET_GROUPS) | BIT(CATALOG_MAY_CONSUME_MESSAGES),
                             .denied_by = BIT(CATALOG_MAY_GET_GROUPS)},
};
#undef SAME
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

/* One action that nothing else implies. */
static enum security_judgement judge_one(const struct security_principal *principal,
                                         enum security_action action,
                                         struct security_resource resource, const struct rule *rule)
{
    const struct catalog_topic *queue = resource.queue;
    struct security_policy_effect effect;

    security_policy_evaluate(&queue->policies, principal, &effect);
    if ((rule->denied_by & effect.denied) != 0) {
        return SECURITY_DENIED;
    }
    if (strcmp(queue->project_id, principal->project_id) == 0) {
        return judge_by_role(principal, action, resource.type);
    }
    unsigned given = effect.allowed & ~effect.denied;
    if ((rule->granted_by & given) != 0) {
        return SECURITY_ALLOWED;
    }
    return given != 0 ? SECURITY_DENIED : SECURITY_STRANGER; /* a guest knows that it exists */
}

static enum security_judgement judge_by_queue(const struct security_principal *principal,
                                              enum security_action action,
                                              struct security_resource resource)
{
    const struct rule *rules = resource.type == SECURITY_TOPIC ? topic_rules : group_rules;
    enum security_judgement refusal = SECURITY_ALLOWED;

    if (rules[action].implied_by == 0) {
        return judge_one(principal, action, resource, &rules[action]);
    }
    for (unsigned other = 0; other < SECURITY_ACTION_COUNT; other++) {
        if ((rules[action].implied_by & BIT(other)) == 0) {
            continue;
        }
        enum security_judgement judgement =
            judge_one(principal, (enum security_action)other, resource, &rules[other]);
        if (judgement == SECURITY_ALLOWED) {
            return SECURITY_ALLOWED;
        }
        if (refusal == SECURITY_ALLOWED || judgement == SECURITY_DENIED) {
            refusal = judgement;
        }
    }
    return refusal;
}

static enum security_judgement judge_by_topic(const struct security_principal *principal,
                                              enum security_action action,
                                              struct security_resource resource)
{
    bool is_of_letters = catalog_topic_is_dead_letters(resource.topic);

    if (resource.topic->kind == CATALOG_INTERNAL) {
        return judge_by_role(principal, action, SECURITY_CLUSTER);
    }
    if (resource.queue == NULL) {
        return SECURITY_STRANGER; /* letters without a queue are on their way out */
    }
    enum security_judgement judgement = judge_by_queue(principal, action, resource);
    bool is_refused =
        is_of_letters && resource.type == SECURITY_TOPIC && (BIT(action) & OF_LETTERS) == 0;
    return is_refused && judgement == SECURITY_ALLOWED ? SECURITY_DENIED : judgement;
}

static struct security_resource resource_of(enum security_resource_type type,
                                            const struct catalog_view *view,
                                            const struct catalog_topic *topic)
{
    struct security_resource resource = {type, topic, topic};

    if (topic != NULL && catalog_topic_is_dead_letters(topic)) {
        resource.queue = catalog_view_topic_by_id(view, topic->origin_id);
    }
    return resource;
}

struct security_resource security_topic(const struct catalog_view *view,
                                        const struct catalog_topic *topic)
{
    return resource_of(SECURITY_TOPIC, view, topic);
}

struct security_resource security_group(const struct catalog_view *view,
                                        const struct catalog_topic *topic)
{
    return resource_of(SECURITY_GROUP, view, topic);
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
