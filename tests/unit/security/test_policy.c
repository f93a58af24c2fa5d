/* Who may do what: roles, policies of queues, and which of them wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/security/policy.h"
#include "core/security/security.h"

#define BIT(value) (1u << (value))
#define DOMAIN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OWNER "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffff"
#define USER "cccccccccccccccccccccccccccccccc"

static struct security_principal principal_of(const char *project_id, unsigned roles)
{
    struct security_principal principal = {.name = "alice",
                                           .user_id = USER,
                                           .domain_id = DOMAIN,
                                           .domain_name = "Some Tenant-1",
                                           .roles = roles,
                                           .credential = SECURITY_PASSWORD};
    (void)security_copy_text(principal.project_id, sizeof principal.project_id, project_id);
    return principal;
}

static struct catalog_topic topic_with(struct catalog_policy *policies, uint32_t count)
{
    struct catalog_topic topic = {.kind = CATALOG_NORMAL, .policies = {policies, count}};
    memcpy(topic.project_id, OWNER, sizeof OWNER);
    return topic;
}

static struct catalog_policy policy_for(bool denies, const char *users, unsigned actions)
{
    return (struct catalog_policy){.denies = denies,
                                   .everyone = strcmp(users, "*") == 0,
                                   .users = (char *)(uintptr_t)users,
                                   .actions = actions};
}

static void users_of_a_policy_follow_the_guide(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {DOMAIN, true},
        {"0123456789ABCDEFghijklmnopqrstuv", true}, /* a domain id: 32 letters and digits */
        {"0123456789ABCDEFghijklmnopqrstu", false}, /* 31, and a digit first: no name either */
        {"0123456789ABCDEFghijklmnopqrstuvw", false},
        {"abcde", true}, /* a domain name: 5 to 32 */
        {"abcd", false},
        {"a b-c_9", true},
        {"-abcd", true},
        {"1abcde", false},
        {"abcdefghijklmnopqrstuvwxyz-_ 0123", false}, /* 33 */
        {"abc.de", false},
        {"abcd\xc3\xa9", false},
        {"", false},
        {"urn:csp:iam::" DOMAIN ":root", true},
        {"urn:csp:iam:eude:" DOMAIN ":root", true},
        {"urn:csp:iam::" DOMAIN ":user:alice", true},
        {"urn:csp:iam::" DOMAIN ":user:", false},
        {"urn:csp:iam:::root", false},
        {"urn:csp:iam::" DOMAIN ":group:x", false},
        {"urn:csp:iam::" DOMAIN, false},
        {"urn:csp:dms::" DOMAIN ":root", false},
        {"urn:csp:iam::" DOMAIN ":user:a:b", false},
        {"urn:csp:iam::a-b:root", false}, /* letters, digits and colons only */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (security_policy_user_is_valid(base_slice_text(rows[i].text)) != rows[i].valid) {
            fail_msg("\"%s\"", rows[i].text);
        }
    }
}

static void policies_name_users_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *users;
        bool matches;
    } rows[] = {
        {"*", true},
        {DOMAIN, true},
        {"Some Tenant-1", true},
        {"some tenant-1", false},
        {"other,Some Tenant-1", true},
        {"other,Some Tenant", false},
        {"urn:csp:iam::" DOMAIN ":root", true},
        {"urn:csp:iam::" DOMAIN ":user:alice", true},
        {"urn:csp:iam::" DOMAIN ":user:" USER, true},
        {"urn:csp:iam::" DOMAIN ":user:bob", false},
        {"urn:csp:iam::" OTHER ":root", false},
        {"alice", false}, /* a user is no domain */
        {USER, false},
    };
    struct security_principal alice = principal_of(OTHER, 0);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct catalog_policy policy =
            policy_for(false, rows[i].users, BIT(CATALOG_MAY_PRODUCE_MESSAGES));
        struct catalog_topic topic = topic_with(&policy, 1);
        enum security_judgement verdict =
            security_judge(&alice, SECURITY_WRITE, security_topic(NULL, &topic));
        if ((verdict == SECURITY_ALLOWED) != rows[i].matches) {
            fail_msg("\"%s\"", rows[i].users);
        }
    }
}

static void each_policy_action_allows_what_it_is_for_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        enum catalog_policy_action given;
        unsigned of_topic; /* bits of security actions */
        unsigned of_group;
    } rows[] = {
        {CATALOG_MAY_GET_QUEUE, BIT(SECURITY_DESCRIBE) | BIT(SECURITY_GET_QUEUE), 0},
        {CATALOG_MAY_CREATE_GROUP, BIT(SECURITY_CREATE_GROUP), 0},
        {CATALOG_MAY_GET_GROUPS, BIT(SECURITY_GET_GROUPS),
         BIT(SECURITY_DESCRIBE) | BIT(SECURITY_GET_GROUPS)},
        {CATALOG_MAY_DELETE_GROUP, BIT(SECURITY_DELETE_GROUP), BIT(SECURITY_DELETE)},
        {CATALOG_MAY_PRODUCE_MESSAGES, BIT(SECURITY_DESCRIBE) | BIT(SECURITY_WRITE), 0},
        {CATALOG_MAY_CONSUME_MESSAGES, BIT(SECURITY_DESCRIBE) | BIT(SECURITY_READ),
         BIT(SECURITY_DESCRIBE) | BIT(SECURITY_READ) | BIT(SECURITY_GET_GROUPS)},
    };
    struct security_principal stranger = principal_of(OTHER, SECURITY_ROLE_ADMIN);

    assert_int_equal(sizeof rows / sizeof rows[0], CATALOG_POLICY_ACTION_COUNT);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct catalog_policy policy = policy_for(false, "*", BIT(rows[i].given));
        struct catalog_topic topic = topic_with(&policy, 1);
        unsigned of_topic = 0;
        unsigned of_group = 0;
        for (unsigned action = 0; action < SECURITY_ACTION_COUNT; action++) {
            enum security_action asked = (enum security_action)action;
            of_topic |= (unsigned)security_authorize(&stranger, asked, security_topic(NULL, &topic))
                        << action;
            of_group |= (unsigned)security_authorize(&stranger, asked, security_group(NULL, &topic))
                        << action;
        }
        assert_int_equal(of_topic, rows[i].of_topic);
        assert_int_equal(of_group, rows[i].of_group);
    }
}

static void roles_rule_their_own_project_only(void **state)
{
    (void)state;
    static const struct {
        unsigned roles;
        enum security_action action;
        enum security_judgement verdict;
    } rows[] = {
        {SECURITY_ROLE_DMS_ADMIN, SECURITY_DELETE, SECURITY_ALLOWED},
        {SECURITY_ROLE_DMS_ADMIN, SECURITY_CREATE_GROUP, SECURITY_ALLOWED},
        {SECURITY_ROLE_DMS_READER, SECURITY_GET_QUEUE, SECURITY_ALLOWED},
        {SECURITY_ROLE_DMS_READER, SECURITY_GET_GROUPS, SECURITY_ALLOWED},
        {SECURITY_ROLE_DMS_READER, SECURITY_READ, SECURITY_ONLY_LOOKS},
        {SECURITY_ROLE_DMS_READER, SECURITY_WRITE, SECURITY_ONLY_LOOKS},
        {SECURITY_ROLE_DMS_USER, SECURITY_WRITE, SECURITY_ALLOWED},
        {SECURITY_ROLE_DMS_USER, SECURITY_DELETE, SECURITY_LACKS_ROLE},
        {SECURITY_ROLE_DMS_USER, SECURITY_CREATE_GROUP, SECURITY_LACKS_ROLE},
        {0, SECURITY_DESCRIBE, SECURITY_LACKS_ROLE},
        {SECURITY_ROLE_ADMIN, SECURITY_ALTER, SECURITY_ALLOWED},
    };
    struct catalog_topic topic = topic_with(NULL, 0);
    struct catalog_topic internal = topic_with(NULL, 0);
    internal.kind = CATALOG_INTERNAL;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct security_principal own = principal_of(OWNER, rows[i].roles);
        struct security_principal other = principal_of(OTHER, rows[i].roles);
        assert_int_equal(security_judge(&own, rows[i].action, security_topic(NULL, &topic)),
                         rows[i].verdict);
        assert_int_equal(security_judge(&other, rows[i].action, security_topic(NULL, &topic)),
                         SECURITY_STRANGER);
        bool is_admin = rows[i].roles == SECURITY_ROLE_ADMIN;
        assert_int_equal(security_authorize(&own, SECURITY_READ, security_topic(NULL, &internal)),
                         is_admin);
        assert_int_equal(security_authorize(&own, SECURITY_ALTER, security_cluster()), is_admin);
    }
}

static void denying_wins_over_everything(void **state)
{
    (void)state;
    unsigned produce = BIT(CATALOG_MAY_PRODUCE_MESSAGES);
    struct catalog_policy policies[] = {policy_for(true, DOMAIN, produce),
                                        policy_for(false, "*", produce)};
    struct catalog_topic topic = topic_with(policies, 2);
    struct security_principal owner = principal_of(OWNER, SECURITY_ROLE_ADMIN);
    struct security_principal other = principal_of(OTHER, 0);

    assert_int_equal(security_judge(&owner, SECURITY_WRITE, security_topic(NULL, &topic)),
                     SECURITY_DENIED);
    assert_int_equal(security_judge(&other, SECURITY_WRITE, security_topic(NULL, &topic)),
                     SECURITY_DENIED);
    assert_int_equal(security_judge(&owner, SECURITY_READ, security_topic(NULL, &topic)),
                     SECURITY_ALLOWED);
    /* What one may not look at is still visible as long as one may consume or produce. */
    policies[0].actions = BIT(CATALOG_MAY_GET_QUEUE);
    assert_int_equal(security_judge(&owner, SECURITY_GET_QUEUE, security_topic(NULL, &topic)),
                     SECURITY_DENIED);
    assert_int_equal(security_judge(&owner, SECURITY_DESCRIBE, security_topic(NULL, &topic)),
                     SECURITY_ALLOWED);
    assert_int_equal(security_judge(&other, SECURITY_DESCRIBE, security_topic(NULL, &topic)),
                     SECURITY_ALLOWED);
    policies[0].actions = BIT(CATALOG_POLICY_ACTION_COUNT) - 1;
    assert_int_equal(security_judge(&owner, SECURITY_DESCRIBE, security_topic(NULL, &topic)),
                     SECURITY_DENIED);
    /* The owner can always take the policy away again. */
    assert_int_equal(security_judge(&owner, SECURITY_ALTER, security_topic(NULL, &topic)),
                     SECURITY_ALLOWED);
}

/* Kafka's DESCRIBE, which READ and WRITE imply: what is denied is what nothing else implies. */
static void denied_look_hides_what_one_may_not_use_either(void **state)
{
    (void)state;
    struct catalog_policy denial = policy_for(true, "*", BIT(CATALOG_MAY_GET_QUEUE));
    struct catalog_topic topic = topic_with(&denial, 1);
    struct security_principal reader = principal_of(OWNER, SECURITY_ROLE_DMS_READER);
    struct security_principal user = principal_of(OWNER, SECURITY_ROLE_DMS_USER);

    assert_int_equal(security_judge(&reader, SECURITY_DESCRIBE, security_topic(NULL, &topic)),
                     SECURITY_DENIED);
    assert_int_equal(
        security_judge(&reader, SECURITY_DESCRIBE_CONFIGS, security_topic(NULL, &topic)),
        SECURITY_DENIED);
    assert_true(security_authorize(&user, SECURITY_DESCRIBE, security_topic(NULL, &topic)));
    assert_false(
        security_authorize(&user, SECURITY_DESCRIBE_CONFIGS, security_topic(NULL, &topic)));
    denial.actions |= BIT(CATALOG_MAY_CONSUME_MESSAGES);
    assert_true(security_authorize(&user, SECURITY_DESCRIBE, security_topic(NULL, &topic)));
    denial.actions |= BIT(CATALOG_MAY_PRODUCE_MESSAGES);
    assert_false(security_authorize(&user, SECURITY_DESCRIBE, security_topic(NULL, &topic)));

    denial.actions = BIT(CATALOG_MAY_GET_GROUPS);
    assert_false(security_authorize(&user, SECURITY_GET_GROUPS, security_group(NULL, &topic)));
    assert_true(security_authorize(&user, SECURITY_DESCRIBE, security_group(NULL, &topic)));
    assert_true(security_authorize(&user, SECURITY_READ, security_group(NULL, &topic)));
    assert_false(security_authorize(&reader, SECURITY_DESCRIBE, security_group(NULL, &topic)));
}

static void services_and_users_are_apart(void **state)
{
    (void)state;
    unsigned produce = BIT(CATALOG_MAY_PRODUCE_MESSAGES);
    struct catalog_policy policy = policy_for(false, "*", produce);
    struct catalog_topic topic = topic_with(&policy, 1);
    struct security_principal smn = principal_of(OTHER, SECURITY_ROLE_DMS_ADMIN);
    smn.is_service = true;
    smn.service = CATALOG_SERVICE_SMN;
    struct security_principal user = principal_of(OTHER, SECURITY_ROLE_DMS_ADMIN);

    assert_false(security_authorize(&smn, SECURITY_WRITE, security_topic(NULL, &topic)));
    policy = (struct catalog_policy){.of_services = true,
                                     .services = BIT(CATALOG_SERVICE_SMN),
                                     .users = (char *)(uintptr_t) "",
                                     .actions = produce};
    assert_true(security_authorize(&smn, SECURITY_WRITE, security_topic(NULL, &topic)));
    assert_false(security_authorize(&user, SECURITY_WRITE, security_topic(NULL, &topic)));
    smn.service = CATALOG_SERVICE_FUNCTION_STAGE;
    assert_false(security_authorize(&smn, SECURITY_WRITE, security_topic(NULL, &topic)));
}

static void without_authentication_everything_is_allowed(void **state)
{
    (void)state;
    struct catalog_policy policy = policy_for(true, "*", BIT(CATALOG_POLICY_ACTION_COUNT) - 1);
    struct catalog_topic topic = topic_with(&policy, 1);

    for (unsigned action = 0; action < SECURITY_ACTION_COUNT; action++) {
        assert_true(security_authorize(security_anonymous(), (enum security_action)action,
                                       security_topic(NULL, &topic)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_of_a_policy_follow_the_guide),
        cmocka_unit_test(policies_name_users_in_every_form),
        cmocka_unit_test(each_policy_action_allows_what_it_is_for_and_nothing_else),
        cmocka_unit_test(roles_rule_their_own_project_only),
        cmocka_unit_test(denying_wins_over_everything),
        cmocka_unit_test(denied_look_hides_what_one_may_not_use_either),
        cmocka_unit_test(services_and_users_are_apart),
        cmocka_unit_test(without_authentication_everything_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
