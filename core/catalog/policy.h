/* Policies of a queue: who outside of its project may do what with it, and who may not.
 *
 * Plain values kept with the topic; core/security judges by them. */
#ifndef CATALOG_POLICY_H
#define CATALOG_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"

enum { CATALOG_POLICIES_MAX = 20 }; /* of one queue */

/* Row: enum name, word on the wire and in the catalog. */
#define CATALOG_POLICY_ACTION_LIST(X)      \
    X(GET_QUEUE, "GetQueue")               \
    X(CREATE_GROUP, "CreateGroup")         \
    X(GET_GROUPS, "GetGroups")             \
    X(DELETE_GROUP, "DeleteGroup")         \
    X(PRODUCE_MESSAGES, "ProduceMessages") \
    X(CONSUME_MESSAGES, "ConsumeMessages")

#define CATALOG_POLICY_SERVICE_LIST(X) \
    X(FUNCTION_STAGE, "FunctionStage") \
    X(SMN, "SMN")

#define CATALOG_POLICY_ACTION_ENUM(name, word) CATALOG_MAY_##name,
enum catalog_policy_action {
    CATALOG_POLICY_ACTION_LIST(CATALOG_POLICY_ACTION_ENUM) CATALOG_POLICY_ACTION_COUNT
};
#undef CATALOG_POLICY_ACTION_ENUM

#define CATALOG_POLICY_SERVICE_ENUM(name, word) CATALOG_SERVICE_##name,
enum catalog_policy_service {
    CATALOG_POLICY_SERVICE_LIST(CATALOG_POLICY_SERVICE_ENUM) CATALOG_POLICY_SERVICE_COUNT
};
#undef CATALOG_POLICY_SERVICE_ENUM

struct catalog_policy {
    char id[BASE_UUID_TEXT_SIZE];
    bool denies;       /* deny; otherwise allow */
    bool of_services;  /* for services; otherwise for users */
    bool everyone;     /* of users: all of them */
    unsigned actions;  /* bit per enum catalog_policy_action */
    unsigned services; /* bit per enum catalog_policy_service */
    char *users;       /* owned; domain ids, domain names and URNs with ',' between them; "" */
};

/* Zeroed: none. */
struct catalog_policies {
    struct catalog_policy *array; /* owned; in the order they were added */
    uint32_t count;
};

void catalog_policies_fini(struct catalog_policies *policies);

/* *copy must be zeroed. NOMEM: call catalog_policies_fini all the same. */
BASE_MUST_USE enum base_err catalog_policies_copy(const struct catalog_policies *policies,
                                                  struct catalog_policies *copy);

/* NULL when there is none with this id. */
const struct catalog_policy *catalog_policies_find(const struct catalog_policies *policies,
                                                   struct base_slice id);

/* Adds a copy, or puts it in the place of the one with the same id. TOO_LARGE over
 * CATALOG_POLICIES_MAX; NOMEM. */
BASE_MUST_USE enum base_err catalog_policies_set(struct catalog_policies *policies,
                                                 const struct catalog_policy *policy);

/* False when there is none with this id. */
bool catalog_policies_unset(struct catalog_policies *policies, struct base_slice id);

/* Takes the next user off *users, which moves behind it; false when none is left. */
bool catalog_policy_next_user(struct base_slice *users, struct base_slice *user);

const char *catalog_policy_action_name(enum catalog_policy_action action);
bool catalog_policy_action_parse(struct base_slice name, enum catalog_policy_action *out);
const char *catalog_policy_service_name(enum catalog_policy_service service);
bool catalog_policy_service_parse(struct base_slice name, enum catalog_policy_service *out);

#endif
