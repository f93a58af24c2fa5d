/* Policies of a queue applied to one principal. */
#ifndef SECURITY_POLICY_H
#define SECURITY_POLICY_H

#include "core/catalog/policy.h"
#include "core/security/security.h"

/* Bits per enum catalog_policy_action. An action may be in both: denying wins. */
struct security_policy_effect {
    unsigned allowed;
    unsigned denied;
};

/* What the policies that are about principal allow and deny, taken together. Any thread. */
void security_policy_evaluate(const struct catalog_policies *policies,
                              const struct security_principal *principal,
                              struct security_policy_effect *effect);

/* Whether text names a user or users as a policy may: the id of a domain (32 letters and
 * digits), its name (5 to 32 letters, digits, spaces, '-' and '_', no digit first), or a URN:
 * urn:csp:iam:[region]:<domain>:root (all users of a domain) or
 * urn:csp:iam:[region]:<domain>:user:<user>, of letters, digits and colons. */
bool security_policy_user_is_valid(struct base_slice text);

#endif
