/* Tokens of another Keystone, validated by asking it (GET /v3/auth/tokens), with what it said
 * remembered for a while. Its own threads; nothing of it waits on a loop. */
#ifndef SECURITY_KEYSTONE_H
#define SECURITY_KEYSTONE_H

#include "core/security/identity.h"

enum {
    SECURITY_KEYSTONE_CACHE_MAX = 10000,   /* tokens remembered, good and bad */
    SECURITY_KEYSTONE_GOOD_MS = 60 * 1000, /* how long a good one is: its revocation is
                                              noticed after that at the latest */
    SECURITY_KEYSTONE_BAD_MS = 10 * 1000,  /* how long a bad one is */
    SECURITY_KEYSTONE_DOWN_MS = 1000,      /* how long it is not asked after it did not answer */
    SECURITY_KEYSTONE_TIMEOUT_MS = 5000,
    SECURITY_KEYSTONE_WAITING_MAX = 1000, /* tokens being asked about */
    /* Fernet tokens have some 200 bytes, signed ones some 800; it is not asked about longer ones.
     */
    SECURITY_KEYSTONE_TOKEN_LENGTH_MAX = 2048,
    SECURITY_KEYSTONE_ANSWER_SIZE_MAX = 1 << 20,
};

/* Texts are copied. The service user validates tokens: it needs a role that Keystone's policy
 * lets do that. */
struct security_keystone_options {
    const char *url; /* "http://host:port/v3" */
    const char *user_name;
    const char *user_domain;
    const char *password;
    const char *project_name;
    const char *project_domain;
    struct base_clock *clock;     /* borrowed */
    struct base_executor *worker; /* borrowed; waits for the network */
};

/* INVALID when url is none; NOMEM. */
BASE_MUST_USE enum base_err
security_keystone_create(const struct security_keystone_options *options,
                         struct security_keystone **out);

/* Nothing may be under way. Sets *keystone to NULL. NULL-safe. */
void security_keystone_close(struct security_keystone **keystone);

/* As security_token_check() and security_token_peek(). */
bool security_keystone_check(struct security_keystone *keystone,
                             struct security_token_check *check);
enum security_verdict security_keystone_peek(struct security_keystone *keystone,
                                             struct base_slice token);

#endif
