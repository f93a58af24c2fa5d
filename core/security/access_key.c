/* Access keys: an id that is told, and a secret that signs. The secret has to be known to check a
 * signature, so it is sealed with this broker's key instead of hashed. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/uuid.h"
#include "core/security/identity_priv.h"

enum { SEALED_SIZE = SECURITY_SECRET_KEY_SIZE - 1 + SECURITY__SEAL_OVERHEAD };

/* length characters of alphabet, each as likely as the others. */
static void random_text(const char *alphabet, size_t length, char *out)
{
    size_t count = strlen(alphabet);
    for (size_t i = 0; i < length;) {
        uint8_t byte = 0;
        base_random_bytes(&byte, 1);
        if (byte < 256 / count * count) {
            out[i++] = alphabet[byte % count];
        }
    }
    out[length] = '\0';
}

void security_random_password(char out[SECURITY_FIRST_PASSWORD_SIZE])
{
    /* Without what looks alike: somebody may have to type it. */
    random_text("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
                SECURITY_FIRST_PASSWORD_SIZE - 1, out);
}

void security_new_id(char out[SECURITY_NEW_ID_SIZE])
{
    security__random_id(out);
}

bool security__unseal_secret(const struct security_identity *identity,
                             const struct catalog_object *access_key,
                             char secret[SECURITY_SECRET_KEY_SIZE])
{
    uint8_t sealed[SEALED_SIZE];

    if (!security__unhex(catalog_object_text(access_key, "secret"), sizeof sealed, sealed) ||
        security__unseal(identity->options.key, base_slice_text(access_key->id),
                         base_slice_of(sealed, sizeof sealed), (uint8_t *)secret) != BASE_ERR_OK) {
        return false;
    }
    secret[SECURITY_SECRET_KEY_SIZE - 1] = '\0';
    return true;
}

static void make_secret(struct security_issue *issue)
{
    random_text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", SECURITY_ACCESS_KEY_SIZE - 1,
                issue->access_key);
    random_text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                SECURITY_SECRET_KEY_SIZE - 1, issue->secret_key);
}

/* Stores id and secret with fields (moved; may be NULL). */
static void store(struct security_identity *identity, json_t *fields, struct security_issue *issue)
{
    uint8_t sealed[SEALED_SIZE];
    char sealed_text[2 * SEALED_SIZE + 1];
    struct catalog_object *object = NULL;

    enum base_err err = security__seal(identity->options.key, base_slice_text(issue->access_key),
                                       base_slice_text(issue->secret_key), sealed);
    security__hex(sealed, sizeof sealed, sealed_text);
    if (err == BASE_ERR_OK &&
        json_object_set_new(fields, "secret", json_string(sealed_text)) == 0) {
        object = catalog_object_create(CATALOG_OBJECT_ACCESS_KEY,
                                       base_slice_text(issue->access_key), json_incref(fields));
    }
    json_decref(fields);
    security__issue_store(identity, object, SECURITY_ACCESS_KEYS_MAX, issue);
}

/* Permanent keys of a user that are visible. */
struct count {
    const char *user_id;
    size_t found;
};

static bool count_key(void *context, const struct catalog_object *key)
{
    struct count *count = context;
    const char *user_id = catalog_object_text(key, "user_id");

    count->found += user_id != NULL && strcmp(user_id, count->user_id) == 0 &&
                    catalog_object_text(key, "token_id") == NULL;
    return true;
}

/* Begins to make one more key, which counts from then on; false when the user has as many as one
 * may have, with those that others are making. */
static bool begin_key(struct security_issue *issue)
{
    struct security_identity *identity = issue->identity;
    struct count count = {.user_id = issue->user_id};

    base_mutex_lock(&identity->keys_lock);
    /* Under the lock: what is on the list no more is visible. */
    struct catalog_view *view = catalog_view(identity->options.catalog);
    catalog_view_each_object(view, CATALOG_OBJECT_ACCESS_KEY, count_key, &count);
    for (struct base_list *node = identity->being_made.next; node != &identity->being_made;
         node = node->next) {
        const struct security_issue *other =
            BASE_CONTAINER_OF(node, struct security_issue, being_made);
        struct base_slice id = base_slice_text(other->access_key);
        count.found += strcmp(other->user_id, issue->user_id) == 0 &&
                       catalog_view_object(view, CATALOG_OBJECT_ACCESS_KEY, id) == NULL;
    }
    catalog_view_release(&view);
    bool has_room = count.found < SECURITY_ACCESS_KEYS_PER_USER_MAX;
    if (has_room) {
        base_list_push_back(&identity->being_made, &issue->being_made);
    }
    base_mutex_unlock(&identity->keys_lock);
    return has_room;
}

void security__access_key_is_made(struct security_issue *issue)
{
    if (issue->user_id != NULL) {
        base_mutex_lock(&issue->identity->keys_lock);
        base_list_remove(&issue->being_made);
        base_mutex_unlock(&issue->identity->keys_lock);
    }
}

static void refuse(struct security_issue *issue, enum security_verdict verdict)
{
    json_decref(issue->fields);
    issue->fields = NULL;
    issue->verdict = verdict;
    base_executor_post(issue->executor, &issue->task);
}

/* On the worker: it looks at all keys, and what SCRAM needs of the secret key takes some
 * milliseconds. */
static void make_key(struct base_task *task)
{
    struct security_issue *issue = BASE_CONTAINER_OF(task, struct security_issue, work);
    struct security_identity *identity = issue->identity;

    if (!begin_key(issue)) {
        atomic_fetch_sub(&identity->waiting, 1);
        refuse(issue, SECURITY_TOO_MANY);
        return;
    }
    json_t *scram = security_scram_make(base_slice_text(issue->secret_key));
    (void)json_object_set_new(issue->fields, "scram", scram); /* NULL: it works without SCRAM */
    atomic_fetch_sub(&identity->waiting, 1);
    store(identity, issue->fields, issue);
}

void security_access_key_issue(struct security_identity *identity, const char *user_id,
                               const char *description, struct security_issue *issue)
{
    issue->issued_ms = security__now_ms(identity);
    issue->expires_ms = INT64_MAX;
    issue->identity = identity;
    issue->user_id = user_id;
    issue->fields =
        json_pack("{s:s, s:s, s:b, s:I}", "user_id", user_id, "description", description, "enabled",
                  1, "created_ms", (json_int_t)issue->issued_ms);
    make_secret(issue);
    if (!security__enter_line(identity)) {
        refuse(issue, SECURITY_OVERLOADED);
        return;
    }
    issue->work.run = make_key;
    base_executor_post(identity->options.worker, &issue->work);
}

void security_temporary_key_issue(struct security_identity *identity,
                                  const struct security_principal *principal, int64_t lifetime_ms,
                                  struct security_issue *issue)
{
    uint8_t random[(SECURITY_TOKEN_SIZE - 1) / 2];
    char id[SECURITY_ID_SIZE];

    BASE_ASSERT(principal->credential == SECURITY_TOKEN);
    base_random_bytes(random, sizeof random);
    security__hex(random, sizeof random, issue->token);
    security__wipe(random, sizeof random);
    security__token_id(base_slice_text(issue->token), id);
    issue->issued_ms = security__now_ms(identity);
    issue->expires_ms = issue->issued_ms + lifetime_ms;
    if (issue->expires_ms > principal->expires_ms) {
        issue->expires_ms = principal->expires_ms;
    }
    make_secret(issue);
    store(identity,
          json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:s, s:s}", "user_id", principal->user_id,
                    "project_id", principal->project_id, "description", "temporary", "enabled", 1,
                    "generation", (json_int_t)principal->generation, "created_ms",
                    (json_int_t)issue->issued_ms, "expires_ms", (json_int_t)issue->expires_ms,
                    "token_id", id, "origin_token_id", principal->credential_id),
          issue);
}

bool security_is_temporary(struct catalog_view *view, const struct security_principal *principal)
{
    const struct catalog_object *key = catalog_view_object(
        view, CATALOG_OBJECT_ACCESS_KEY, base_slice_text(principal->credential_id));

    return principal->credential == SECURITY_ACCESS_KEY && key != NULL &&
           catalog_object_text(key, "token_id") != NULL;
}

void security_issue_wipe(struct security_issue *issue)
{
    security__wipe(issue->token, sizeof issue->token);
    security__wipe(issue->secret_key, sizeof issue->secret_key);
}
