/* The identity service as the configuration asks for it, with its two files of secrets in the data
 * directory: the key that seals secret keys, and what the first administrator logs in with. */
#ifndef MAIN_IDENTITY_H
#define MAIN_IDENTITY_H

#include "core/main/address.h"
#include "core/main/latch.h"
#include "core/net/pool.h"
#include "core/security/identity.h"

#define MAIN_IDENTITY_KEY_FILE "identity.key"
#define MAIN_ADMIN_FILE "admin-credentials"

struct main_identity_options {
    const struct main_config *config; /* borrowed, like all of these */
    struct catalog *catalog;
    struct base_clock *clock;
    struct base_executor *worker; /* a pool of its own */
    struct base_executor *home;
    struct main_latch *latch;
    const struct main_address *http_address; /* for the administrator's file */
};

/* What dms.authentication says. */
enum main_authentication {
    MAIN_AUTHENTICATION_NONE,
    MAIN_AUTHENTICATION_BUILTIN,
    MAIN_AUTHENTICATION_KEYSTONE
};

/* False when it says something else. */
bool main_authentication_parse(const struct main_config *config, enum main_authentication *out);

/* Main thread. *out is NULL without authentication. Whatever is wrong is logged, and no file or
 * user is made in its place: INVALID for a key file that is not as it was left. */
BASE_MUST_USE enum base_err main_identity_open(const struct main_identity_options *options,
                                               struct security_identity **out);

#endif
