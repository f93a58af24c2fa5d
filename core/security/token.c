/* Tokens: random, known by their hash, ended by time, by revocation, by a new password. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/uuid.h"
#include "core/security/identity_priv.h"
#include "core/security/keystone.h"

void security__token_id(struct base_slice token, char out[SECURITY_ID_SIZE])
{
    uint8_t hash[SECURITY__SHA256_SIZE];
    static_assert(2 * sizeof hash + 1 == SECURITY_ID_SIZE, "a hash is an id");
    security__hash(SECURITY__SHA256, token, hash);
    security__hex(hash, sizeof hash, out);
}

static const struct catalog_object *find_token(struct catalog_view *view, struct base_slice token)
{
    char id[SECURITY_ID_SIZE];

    if (token.length != SECURITY_TOKEN_SIZE - 1) {
        return NULL;
    }
    security__token_id(token, id);
    return catalog_view_object(view, CATALOG_OBJECT_TOKEN, base_slice_text(id));
}

static enum security_verdict verify(const struct security_identity *identity,
                                    struct catalog_view *view, struct base_slice token,
                                    struct security_principal *principal)
{
    const struct catalog_object *object = find_token(view, token);
    if (object == NULL) {
        return SECURITY_REFUSED;
    }
    const char *project_id = catalog_object_text(object, "project_id");
    *principal = (struct security_principal){
        .credential = SECURITY_TOKEN,
        .is_domain_scoped = catalog_object_bool(object, "domain_scoped"),
        .generation = catalog_object_integer(object, "generation"),
        .expires_ms = catalog_object_integer(object, "expires_ms")};
    (void)security_copy_text(principal->user_id, sizeof principal->user_id,
                             catalog_object_text(object, "user_id"));
    (void)security_copy_text(principal->credential_id, sizeof principal->credential_id, object->id);
    (void)security_copy_text(principal->project_id, sizeof principal->project_id,
                             project_id == NULL ? "" : project_id);
    enum security_verdict verdict = security__resolve(view, security__now_ms(identity), principal);
    /* A token whose role was taken away is no token any more. */
    return verdict == SECURITY_NO_ROLE ? SECURITY_REFUSED : verdict;
}

bool security_token_check(struct security_identity *identity, struct catalog_view *view,
                          struct security_token_check *check)
{
    check->link = (struct base_list){0};
    if (identity->options.keystone != NULL) {
        return security_keystone_check(identity->options.keystone, check);
    }
    check->verdict = verify(identity, view, check->token, &check->principal);
    return true;
}

enum security_verdict security_token_peek(struct security_identity *identity,
                                          struct catalog_view *view, struct base_slice token)
{
    struct security_principal principal;
    if (identity->options.keystone != NULL) {
        return security_keystone_peek(identity->options.keystone, token);
    }
    return verify(identity, view, token, &principal);
}

bool security_token_details(struct catalog_view *view, const struct security_principal *principal,
                            const json_t **methods, int64_t *issued_ms)
{
    const struct catalog_object *object =
        catalog_view_object(view, CATALOG_OBJECT_TOKEN, base_slice_text(principal->credential_id));
    if (principal->credential != SECURITY_TOKEN || object == NULL) {
        return false;
    }
    *methods = json_object_get(object->json, "methods");
    *issued_ms = catalog_object_integer(object, "issued_ms");
    return true;
}

void security_token_issue(struct security_identity *identity,
                          const struct security_principal *principal, const json_t *methods,
                          struct security_issue *issue)
{
    uint8_t random[(SECURITY_TOKEN_SIZE - 1) / 2];
    char id[SECURITY_ID_SIZE];

    base_random_bytes(random, sizeof random);
    security__hex(random, sizeof random, issue->token);
    security__wipe(random, sizeof random);
    security__token_id(base_slice_text(issue->token), id);
    issue->issued_ms = security__now_ms(identity);
    issue->expires_ms = issue->issued_ms + identity->options.token_lifetime_ms;
    if (issue->expires_ms > principal->expires_ms) {
        issue->expires_ms = principal->expires_ms;
    }
    json_t *fields = json_pack(
        "{s:s, s:s, s:b, s:I, s:I, s:I, s:O}", "user_id", principal->user_id, "project_id",
        principal->project_id, "domain_scoped", principal->is_domain_scoped, "generation",
        (json_int_t)principal->generation, "issued_ms", (json_int_t)issue->issued_ms, "expires_ms",
        (json_int_t)issue->expires_ms, "methods", (json_t *)(uintptr_t)methods);
    security__issue_store(identity,
                          catalog_object_create(CATALOG_OBJECT_TOKEN, base_slice_text(id), fields),
                          SECURITY_TOKENS_MAX, issue);
}

bool security_token_revoke(struct security_identity *identity, struct catalog_view *view,
                           struct base_slice token, struct catalog_change *change)
{
    const struct catalog_object *object = find_token(view, token);
    if (object == NULL) {
        return false;
    }
    struct catalog_object_edit edit = {.before = object};
    catalog_change_objects(identity->options.catalog, &edit, 1, change);
    return true;
}
