/* Who a connection or request speaks for. */
#ifndef SECURITY_PRINCIPAL_H
#define SECURITY_PRINCIPAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/catalog/policy.h"

enum {
    SECURITY_ID_SIZE = 65,    /* of users, domains and credentials; with the terminator */
    SECURITY_NAME_SIZE = 256, /* bytes of UTF-8 with the terminator */
};

/* What somebody may do, as bits. A user has roles in projects. */
enum security_role {
    SECURITY_ROLE_ADMIN = 1 << 0,      /* everything, users and projects among it */
    SECURITY_ROLE_DMS_ADMIN = 1 << 1,  /* everything in the project */
    SECURITY_ROLE_DMS_USER = 1 << 2,   /* produces, consumes and looks */
    SECURITY_ROLE_DMS_READER = 1 << 3, /* looks; reads and changes no message */
};

/* What was shown to prove it. */
enum security_credential {
    SECURITY_PASSWORD,   /* of a user; credential_id is the user's */
    SECURITY_ACCESS_KEY, /* credential_id is the access key id */
    SECURITY_TOKEN,      /* credential_id is the token's hash */
    SECURITY_KEYSTONE,   /* a token of another Keystone; credential_id is its hash */
    SECURITY_NOTHING, /* there is no authentication; not 0, so that a zeroed principal is nobody */
};

/* A plain value: copy it freely. Texts are "" when they do not apply. */
struct security_principal {
    char name[SECURITY_NAME_SIZE]; /* of the user; "anonymous" */
    char user_id[SECURITY_ID_SIZE];
    char domain_id[SECURITY_ID_SIZE]; /* of the user */
    char domain_name[SECURITY_NAME_SIZE];
    char project_id[SECURITY_ID_SIZE]; /* whose objects it works on */
    char project_name[SECURITY_NAME_SIZE];
    bool is_domain_scoped; /* works on its domain rather than on a project */
    unsigned roles;        /* in that project or domain; bits of enum security_role */
    bool is_service;       /* a service of the platform: policies for services are for it */
    enum catalog_policy_service service;
    enum security_credential credential;
    char credential_id[SECURITY_ID_SIZE];
    int64_t generation;       /* of the user's password, when the credential was made */
    int64_t expires_ms;       /* wall clock; INT64_MAX: never */
    uint64_t objects_version; /* of the catalog view in which all this was true */
};

/* The project of everybody while there is no authentication. */
extern const char security_default_project[];

/* The principal of a connection that did not authenticate; static storage. */
const struct security_principal *security_anonymous(void);

/* True where there is no authentication. */
static inline bool security_is_anonymous(const struct security_principal *principal)
{
    return principal->credential == SECURITY_NOTHING;
}

/* "dms_admin"; NULL for a bit that is no role. */
const char *security_role_name(enum security_role role);

/* 0 when there is no role of that name. */
unsigned security_role_parse(struct base_slice name);

/* Copies text into a field of a principal; false, and "", when it does not fit. */
bool security_copy_text(char *field, size_t size, const char *text);

#endif
