/* What a broker that never had identities starts with. */
#include "core/base/assert.h"
#include "core/security/identity.h"
#include "core/security/identity_priv.h"

static struct catalog_object *first_user(const char *id, struct base_slice password)
{
    json_t *user =
        json_pack("{s:s, s:s, s:b, s:i, s:s, s:[{s:s, s:s}, {s:s, s:s}]}", "name", "admin",
                  "domain_id", "default", "enabled", 1, "generation", 1, "default_project_id",
                  security_default_project, "roles", "role", "admin", "project_id",
                  security_default_project, "role", "admin", "domain_id", "default");
    json_t *secrets = security_password_make(password);

    if (json_object_update(user, secrets) != 0) {
        json_decref(user);
        user = NULL;
    }
    json_decref(secrets);
    return catalog_object_create(CATALOG_OBJECT_USER, base_slice_text(id), user);
}

enum base_err security_first_objects(struct base_clock *clock, struct base_slice password,
                                     struct catalog_object_edit edits[SECURITY_FIRST_EDITS])
{
    char user_id[SECURITY_NEW_ID_SIZE];
    json_int_t now_ms = (json_int_t)base_clock_wall_ms(clock);

    security_new_id(user_id);
    edits[0] = (struct catalog_object_edit){
        .after = catalog_object_create(CATALOG_OBJECT_DOMAIN, base_slice_text("default"),
                                       json_pack("{s:s, s:s, s:b, s:I}", "name", "Default",
                                                 "description", "", "enabled", 1, "created_ms",
                                                 now_ms))};
    edits[1] = (struct catalog_object_edit){
        .after = catalog_object_create(
            CATALOG_OBJECT_PROJECT, base_slice_text(security_default_project),
            json_pack("{s:s, s:s, s:s, s:b, s:I}", "name", "default", "domain_id", "default",
                      "description", "what was made without authentication", "enabled", 1,
                      "created_ms", now_ms))};
    edits[2] = (struct catalog_object_edit){.after = first_user(user_id, password)};
    if (edits[0].after != NULL && edits[1].after != NULL && edits[2].after != NULL) {
        return BASE_ERR_OK;
    }
    for (unsigned i = 0; i < SECURITY_FIRST_EDITS; i++) {
        catalog_object_release(&edits[i].after);
    }
    return BASE_ERR_NOMEM;
}
