/* Principals and the names of roles. */
#include "core/security/principal.h"

#include <string.h>

const char security_default_project[] = "00000000000000000000000000000000";

const struct security_principal *security_anonymous(void)
{
    static const struct security_principal anonymous = {.name = "anonymous",
                                                        .project_id =
                                                            "00000000000000000000000000000000",
                                                        .roles = SECURITY_ROLE_ADMIN,
                                                        .credential = SECURITY_NOTHING,
                                                        .expires_ms = INT64_MAX};
    return &anonymous;
}

static const struct {
    const char *name;
    enum security_role role;
} roles[] = {
    {"admin", SECURITY_ROLE_ADMIN},
    {"dms_admin", SECURITY_ROLE_DMS_ADMIN},
    {"dms_user", SECURITY_ROLE_DMS_USER},
    {"dms_reader", SECURITY_ROLE_DMS_READER},
};

const char *security_role_name(enum security_role role)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (roles[i].role == role) {
            return roles[i].name;
        }
    }
    return NULL;
}

unsigned security_role_parse(struct base_slice name)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (base_slice_is(name, roles[i].name)) {
            return roles[i].role;
        }
    }
    return 0;
}

bool security_copy_text(char *field, size_t size, const char *text)
{
    size_t length = text == NULL ? size : strlen(text);
    if (length >= size) {
        field[0] = '\0';
        return false;
    }
    memcpy(field, text, length + 1);
    return true;
}
