/* Who a policy is about. */
#include "core/security/policy.h"

#include <string.h>

#include "core/base/assert.h"

enum {
    DOMAIN_ID_LENGTH = 32,
    DOMAIN_NAME_LENGTH_MIN = 5,
    DOMAIN_NAME_LENGTH_MAX = 32,
    URN_LENGTH_MAX = 256,
    URN_FIELDS_MAX = 7,
};

/* urn:csp:<service>:<region>:<domain>[:<type>]:<resource> */
struct urn {
    struct base_slice fields[URN_FIELDS_MAX];
    size_t count;
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'z';
}

/* Whether text consists of letters, digits and the bytes of more. */
static bool is_made_of(struct base_slice text, const char *more)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        if (!is_letter(byte) && !is_digit(byte) && (byte == '\0' || strchr(more, byte) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool is_domain_id(struct base_slice text)
{
    return text.length == DOMAIN_ID_LENGTH && is_made_of(text, "");
}

static bool is_domain_name(struct base_slice text)
{
    return text.length >= DOMAIN_NAME_LENGTH_MIN && text.length <= DOMAIN_NAME_LENGTH_MAX &&
           !is_digit(text.data[0]) && is_made_of(text, " -_");
}

/* False when text has not the form of a URN that names users. */
static bool parse_urn(struct base_slice text, struct urn *urn)
{
    *urn = (struct urn){0};
    if (text.length > URN_LENGTH_MAX || !is_made_of(text, ":")) {
        return false;
    }
    size_t start = 0;
    for (size_t i = 0; i <= text.length; i++) {
        if (i == text.length || text.data[i] == ':') {
            if (urn->count == URN_FIELDS_MAX) {
                return false;
            }
            urn->fields[urn->count++] = base_slice_of(text.data + start, i - start);
            start = i + 1;
        }
    }
    if (urn->count < URN_FIELDS_MAX - 1 || !base_slice_is(urn->fields[0], "urn") ||
        !base_slice_is(urn->fields[1], "csp") || !base_slice_is(urn->fields[2], "iam") ||
        urn->fields[4].length == 0) {
        return false;
    }
    return urn->count == URN_FIELDS_MAX
               ? base_slice_is(urn->fields[5], "user") && urn->fields[6].length > 0
               : base_slice_is(urn->fields[5], "root");
}

bool security_policy_user_is_valid(struct base_slice text)
{
    struct urn urn;
    return is_domain_id(text) || is_domain_name(text) || parse_urn(text, &urn);
}

static bool is_domain_of(const struct security_principal *principal, struct base_slice domain)
{
    return base_slice_is(domain, principal->domain_id) ||
           base_slice_is(domain, principal->domain_name);
}

static bool names(struct base_slice user, const struct security_principal *principal)
{
    struct urn urn;

    if (memchr(user.data, ':', user.length) == NULL) {
        return is_domain_of(principal, user);
    }
    if (!parse_urn(user, &urn) || !is_domain_of(principal, urn.fields[4])) {
        return false;
    }
    return urn.count < URN_FIELDS_MAX || base_slice_is(urn.fields[6], principal->user_id) ||
           base_slice_is(urn.fields[6], principal->name);
}

static bool is_about(const struct catalog_policy *policy,
                     const struct security_principal *principal)
{
    if (policy->of_services) {
        return principal->is_service && (policy->services & 1u << principal->service) != 0;
    }
    if (principal->is_service) {
        return false; /* a service is no user, not even one of everybody */
    }
    if (policy->everyone) {
        return true;
    }
    struct base_slice users = base_slice_text(policy->users);
    struct base_slice user;
    while (catalog_policy_next_user(&users, &user)) {
        if (names(user, principal)) {
            return true;
        }
    }
    return false;
}

void security_policy_evaluate(const struct catalog_policies *policies,
                              const struct security_principal *principal,
                              struct security_policy_effect *effect)
{
    BASE_ASSERT(!security_is_anonymous(principal));

    *effect = (struct security_policy_effect){0};
    for (uint32_t i = 0; i < policies->count; i++) {
        const struct catalog_policy *policy = &policies->array[i];
        if (is_about(policy, principal)) {
            *(policy->denies ? &effect->denied : &effect->allowed) |= policy->actions;
        }
    }
}
