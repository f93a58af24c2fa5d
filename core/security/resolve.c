/* From what a credential says to who that is and what they may do, by the catalog. */
#include <string.h>

#include "core/base/assert.h"
#include "core/security/identity_priv.h"

static const char default_domain[] = "default";

static const char *text_or_empty(const struct catalog_object *object, const char *field)
{
    const char *text = object == NULL ? NULL : catalog_object_text(object, field);
    return text == NULL ? "" : text;
}

const struct catalog_object *security__find_domain(struct catalog_view *view,
                                                   struct base_slice domain)
{
    if (domain.data == NULL) {
        domain = base_slice_text(default_domain);
    }
    const struct catalog_object *found = catalog_view_object(view, CATALOG_OBJECT_DOMAIN, domain);
    return found != NULL ? found
                         : catalog_view_object_named(view, CATALOG_OBJECT_DOMAIN,
                                                     base_slice_text(""), domain);
}

const struct catalog_object *security__find_user(struct catalog_view *view,
                                                 struct base_slice user_id, struct base_slice name,
                                                 struct base_slice domain)
{
    if (user_id.data != NULL) {
        return catalog_view_object(view, CATALOG_OBJECT_USER, user_id);
    }
    const struct catalog_object *within = security__find_domain(view, domain);
    return within == NULL ? NULL
                          : catalog_view_object_named(view, CATALOG_OBJECT_USER,
                                                      base_slice_text(within->id), name);
}

struct security__login_name security__login_name_of(struct catalog_view *view,
                                                    struct base_slice text)
{
    const uint8_t *slash = text.length == 0 ? NULL : memchr(text.data, '/', text.length);
    struct security__login_name who = {.domain = base_slice_text(default_domain), .name = text};

    if (slash != NULL) {
        who.domain = base_slice_of(text.data, (size_t)(slash - text.data));
        who.name = base_slice_of(slash + 1, text.length - who.domain.length - 1);
    }
    const struct catalog_object *domain = security__find_domain(view, who.domain);
    if (domain != NULL) {
        who.domain = base_slice_text(domain->id);
    }
    return who;
}

const struct catalog_object *security__find_login_name(struct catalog_view *view,
                                                       struct base_slice text)
{
    struct security__login_name who = security__login_name_of(view, text);
    return security__find_user(view, (struct base_slice){0}, who.name, who.domain);
}

/* Roles of user in the project or domain with this id. */
static unsigned roles_in(const struct catalog_object *user, const char *field, const char *id)
{
    const json_t *roles = json_object_get(user->json, "roles");
    unsigned found = 0;

    for (size_t i = 0; i < json_array_size(roles); i++) {
        const json_t *role = json_array_get(roles, i);
        const char *where = json_string_value(json_object_get(role, field));
        if (where != NULL && strcmp(where, id) == 0) {
            found |= security_role_parse(
                base_slice_text(json_string_value(json_object_get(role, "role"))));
        }
    }
    return found;
}

static bool is_enabled(const struct catalog_object *object)
{
    return object != NULL && catalog_object_bool(object, "enabled");
}

static const struct catalog_object *domain_of(struct catalog_view *view,
                                              const struct catalog_object *object)
{
    return catalog_view_object(view, CATALOG_OBJECT_DOMAIN,
                               base_slice_text(text_or_empty(object, "domain_id")));
}

/* A permanent key ends by itself; a temporary one with the password, or the token, that it was made
 * with. Those of earlier versions do not name their token. */
static bool is_origin_good(struct catalog_view *view, const struct catalog_object *access_key,
                           const struct catalog_object *user)
{
    const char *origin_id = catalog_object_text(access_key, "origin_token_id");

    if (catalog_object_text(access_key, "token_id") == NULL) {
        return true;
    }
    return catalog_object_integer(access_key, "generation") ==
               catalog_object_integer(user, "generation") &&
           (origin_id == NULL ||
            catalog_view_object(view, CATALOG_OBJECT_TOKEN, base_slice_text(origin_id)) != NULL);
}

/* Whether what principal was proven with is still good. */
static enum security_verdict resolve_credential(struct catalog_view *view, int64_t now_ms,
                                                const struct security_principal *principal,
                                                const struct catalog_object *user)
{
    struct base_slice id = base_slice_text(principal->credential_id);
    const struct catalog_object *credential = NULL;

    if (principal->generation != catalog_object_integer(user, "generation") &&
        principal->credential != SECURITY_ACCESS_KEY) {
        return SECURITY_REFUSED; /* the password was changed since */
    }
    switch (principal->credential) {
    case SECURITY_TOKEN:
        credential = catalog_view_object(view, CATALOG_OBJECT_TOKEN, id);
        break;
    case SECURITY_ACCESS_KEY:
        credential = catalog_view_object(view, CATALOG_OBJECT_ACCESS_KEY, id);
        if (credential != NULL &&
            (!is_enabled(credential) || !is_origin_good(view, credential, user))) {
            return SECURITY_REFUSED;
        }
        break;
    case SECURITY_PASSWORD:
        return SECURITY_OK;
    case SECURITY_NOTHING:
    case SECURITY_KEYSTONE:
        break;
    }
    if (credential == NULL || strcmp(text_or_empty(credential, "user_id"), user->id) != 0) {
        return SECURITY_REFUSED;
    }
    return now_ms < principal->expires_ms ? SECURITY_OK : SECURITY_EXPIRED;
}

static enum security_verdict resolve_project(struct catalog_view *view,
                                             const struct catalog_object *user,
                                             struct security_principal *principal)
{
    const struct catalog_object *project =
        catalog_view_object(view, CATALOG_OBJECT_PROJECT, base_slice_text(principal->project_id));

    if (!is_enabled(project) || !is_enabled(domain_of(view, project))) {
        return SECURITY_NO_ROLE;
    }
    principal->roles = roles_in(user, "project_id", project->id);
    (void)security_copy_text(principal->project_name, sizeof principal->project_name,
                             text_or_empty(project, "name"));
    return principal->roles == 0 ? SECURITY_NO_ROLE : SECURITY_OK;
}

enum security_verdict security__resolve(struct catalog_view *view, int64_t now_ms,
                                        struct security_principal *principal)
{
    const struct catalog_object *user =
        catalog_view_object(view, CATALOG_OBJECT_USER, base_slice_text(principal->user_id));
    const struct catalog_object *domain = user == NULL ? NULL : domain_of(view, user);

    if (!is_enabled(user) || !is_enabled(domain)) {
        return SECURITY_REFUSED;
    }
    enum security_verdict verdict = resolve_credential(view, now_ms, principal, user);
    if (verdict != SECURITY_OK) {
        return verdict;
    }
    (void)security_copy_text(principal->name, sizeof principal->name, text_or_empty(user, "name"));
    (void)security_copy_text(principal->domain_id, sizeof principal->domain_id, domain->id);
    (void)security_copy_text(principal->domain_name, sizeof principal->domain_name,
                             text_or_empty(domain, "name"));
    principal->is_service = catalog_policy_service_parse(
        base_slice_text(text_or_empty(user, "service")), &principal->service);
    principal->objects_version = catalog_view_objects_version(view);
    if (principal->project_id[0] != '\0') {
        return resolve_project(view, user, principal);
    }
    principal->roles = principal->is_domain_scoped ? roles_in(user, "domain_id", domain->id) : 0;
    return principal->is_domain_scoped && principal->roles == 0 ? SECURITY_NO_ROLE : SECURITY_OK;
}

/* The project that a user works in when nothing is said: the default one, or the first. */
static const char *default_project_of(const struct catalog_object *user)
{
    const char *project_id = catalog_object_text(user, "default_project_id");
    const json_t *roles = json_object_get(user->json, "roles");

    for (size_t i = 0; project_id == NULL && i < json_array_size(roles); i++) {
        project_id = json_string_value(json_object_get(json_array_get(roles, i), "project_id"));
    }
    return project_id;
}

static const struct catalog_object *find_project(struct catalog_view *view,
                                                 const struct catalog_object *user,
                                                 const struct security_scope *scope)
{
    struct base_slice domain_id = base_slice_text(text_or_empty(user, "domain_id"));

    if (scope->project_id.data != NULL) {
        return catalog_view_object(view, CATALOG_OBJECT_PROJECT, scope->project_id);
    }
    if (scope->project_name.data != NULL) {
        if (scope->project_domain.data != NULL) {
            const struct catalog_object *domain =
                security__find_domain(view, scope->project_domain);
            domain_id = base_slice_text(domain == NULL ? "" : domain->id);
        }
        return catalog_view_object_named(view, CATALOG_OBJECT_PROJECT, domain_id,
                                         scope->project_name);
    }
    const char *id = default_project_of(user);
    return id == NULL ? NULL
                      : catalog_view_object(view, CATALOG_OBJECT_PROJECT, base_slice_text(id));
}

/* Sets where principal works; its user is the one of principal. */
static enum security_verdict apply_scope(struct catalog_view *view,
                                         const struct catalog_object *user,
                                         const struct security_scope *scope,
                                         struct security_principal *principal)
{
    principal->project_id[0] = '\0';
    principal->project_name[0] = '\0';
    principal->is_domain_scoped = false;
    if (scope->is_unscoped) {
        return SECURITY_OK;
    }
    if (scope->domain.data != NULL) {
        const struct catalog_object *domain = security__find_domain(view, scope->domain);
        principal->is_domain_scoped = true;
        return domain != NULL && strcmp(domain->id, text_or_empty(user, "domain_id")) == 0
                   ? SECURITY_OK
                   : SECURITY_NO_ROLE;
    }
    const struct catalog_object *project = find_project(view, user, scope);
    return project != NULL && security_copy_text(principal->project_id,
                                                 sizeof principal->project_id, project->id)
               ? SECURITY_OK
               : SECURITY_NO_ROLE;
}

enum security_verdict
security__principal_of(struct catalog_view *view, int64_t now_ms, const struct catalog_object *user,
                       enum security_credential credential, const char *credential_id,
                       const struct security_scope *scope, struct security_principal *out)
{
    *out = (struct security_principal){.credential = credential,
                                       .generation = catalog_object_integer(user, "generation"),
                                       .expires_ms = INT64_MAX};
    (void)security_copy_text(out->user_id, sizeof out->user_id, user->id);
    (void)security_copy_text(out->credential_id, sizeof out->credential_id, credential_id);
    if (credential == SECURITY_ACCESS_KEY) {
        const struct catalog_object *key =
            catalog_view_object(view, CATALOG_OBJECT_ACCESS_KEY, base_slice_text(credential_id));
        int64_t expires_ms = key == NULL ? 0 : catalog_object_integer(key, "expires_ms");
        out->expires_ms = expires_ms > 0 ? expires_ms : INT64_MAX;
    }
    enum security_verdict verdict = apply_scope(view, user, scope, out);
    return verdict == SECURITY_OK ? security__resolve(view, now_ms, out) : verdict;
}

enum security_verdict security_refresh(struct security_identity *identity,
                                       struct catalog_view *view,
                                       struct security_principal *principal)
{
    if (principal->credential == SECURITY_NOTHING) {
        return SECURITY_OK;
    }
    int64_t now_ms = security__now_ms(identity);
    if (now_ms >= principal->expires_ms) {
        return SECURITY_EXPIRED;
    }
    if (principal->credential == SECURITY_KEYSTONE ||
        principal->objects_version == catalog_view_objects_version(view)) {
        return SECURITY_OK;
    }
    return security__resolve(view, now_ms, principal);
}

enum security_verdict security_enter_project(struct security_identity *identity,
                                             struct catalog_view *view,
                                             struct security_principal *principal,
                                             const struct security_scope *scope)
{
    struct security_principal moved = *principal;
    const struct catalog_object *user =
        catalog_view_object(view, CATALOG_OBJECT_USER, base_slice_text(principal->user_id));

    if (user == NULL) {
        return SECURITY_REFUSED;
    }
    enum security_verdict verdict = apply_scope(view, user, scope, &moved);
    if (verdict == SECURITY_OK) {
        verdict = security__resolve(view, security__now_ms(identity), &moved);
    }
    if (verdict == SECURITY_OK) {
        *principal = moved;
    }
    return verdict;
}
