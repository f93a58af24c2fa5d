/* Placeholder replaced below. */
#include "core/security/keystone.h"
void security_keystone_close(struct security_keystone **keystone)
{
    *keystone = NULL;
}
bool security_keystone_check(struct security_keystone *keystone, struct security_token_check *check)
{
    (void)keystone;
    check->verdict = SECURITY_UNAVAILABLE;
    return true;
}
enum security_verdict security_keystone_peek(struct security_keystone *keystone,
                                             struct base_slice token)
{
    (void)keystone;
    (void)token;
    return SECURITY_UNAVAILABLE;
}
