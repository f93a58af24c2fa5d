/* Logging in with a password, and hashing new ones: on the worker, so many at a time as it has
 * threads and so many in line as there is a limit for. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/security/identity_priv.h"
#include "core/security/keystone.h"

/* Takes a place in the worker's line; false when there is none. */
bool security__enter_line(struct security_identity *identity)
{
    if (atomic_fetch_add(&identity->waiting, 1) < SECURITY_LOGINS_WAITING_MAX) {
        return true;
    }
    atomic_fetch_sub(&identity->waiting, 1);
    return false;
}

static void end_login(struct security_login *login, enum security_verdict verdict)
{
    login->verdict = verdict;
    login->user = NULL;
    catalog_view_release(&login->view);
    base_executor_post(login->executor, &login->task);
}

/* Access key and secret key in place of name and password. */
static enum security_verdict check_secret_key(struct security_login *login,
                                              const struct catalog_object *access_key)
{
    char secret[SECURITY_SECRET_KEY_SIZE];
    const char *user_id = catalog_object_text(access_key, "user_id");
    const struct catalog_object *user =
        catalog_view_object(login->view, CATALOG_OBJECT_USER, base_slice_text(user_id));

    /* A temporary key is worth nothing without its token, for which there is no place here. */
    if (user == NULL || catalog_object_text(access_key, "token_id") != NULL ||
        !security__unseal_secret(login->identity, access_key, secret)) {
        return SECURITY_REFUSED;
    }
    bool is_same = login->password.length == strlen(secret) &&
                   security__equal(login->password.data, secret, login->password.length);
    security__wipe(secret, sizeof secret);
    if (!is_same) {
        return SECURITY_REFUSED;
    }
    return security__principal_of(login->view, security__now_ms(login->identity), user,
                                  SECURITY_ACCESS_KEY, access_key->id, &login->scope,
                                  &login->principal);
}

static void check_password(struct base_task *task)
{
    struct security_login *login = BASE_CONTAINER_OF(task, struct security_login, work);
    struct security_identity *identity = login->identity;
    const json_t *stored =
        login->user == NULL ? NULL : json_object_get(login->user->json, "password");
    enum security_verdict verdict = SECURITY_REFUSED;

    bool is_right = security_password_verify(stored, login->password);
    atomic_fetch_sub(&identity->waiting, 1);
    if (is_right && login->user != NULL) {
        security__throttle_succeeded(identity->throttle, &login->attempt);
        verdict = security__principal_of(login->view, security__now_ms(identity), login->user,
                                         SECURITY_PASSWORD, login->user->id, &login->scope,
                                         &login->principal);
    }
    end_login(login, verdict);
}

static struct security__login_name id_of(const struct catalog_object *object)
{
    return (struct security__login_name){.name = base_slice_text(object->id)};
}

/* Whose failures these are: of one user, or of nobody of that name, however it is written. */
static struct security__login_name failing_of(const struct security_login *login)
{
    if (login->user != NULL) {
        return id_of(login->user);
    }
    if (login->user_id.data != NULL) {
        return (struct security__login_name){.name = login->user_id};
    }
    if (login->user_domain.data == NULL) {
        return security__login_name_of(login->view, login->user_name);
    }
    const struct catalog_object *domain = security__find_domain(login->view, login->user_domain);
    return (struct security__login_name){.domain = domain == NULL ? login->user_domain
                                                                  : base_slice_text(domain->id),
                                         .name = login->user_name};
}

static bool enter_throttle(struct security_login *login, struct security__login_name who)
{
    return security__throttle_enter(login->identity->throttle,
                                    security__monotonic_ms(login->identity), who, login->address,
                                    &login->attempt);
}

static void begin_secret_key(struct security_login *login, const struct catalog_object *access_key)
{
    if (!enter_throttle(login, id_of(access_key))) {
        end_login(login, SECURITY_THROTTLED);
        return;
    }
    enum security_verdict verdict = check_secret_key(login, access_key);
    if (verdict != SECURITY_REFUSED) {
        security__throttle_succeeded(login->identity->throttle, &login->attempt);
    }
    end_login(login, verdict);
}

static void begin_keystone(struct security_login *login)
{
    if (enter_throttle(login, security__keystone_login_name(login->user_name))) {
        security__keystone_login(login);
    } else {
        end_login(login, SECURITY_THROTTLED);
    }
}

void security_login(struct security_identity *identity, struct security_login *login)
{
    bool is_one_field = login->user_id.data == NULL && login->user_domain.data == NULL;

    login->identity = identity;
    login->view = NULL;
    login->user = NULL;
    if (identity->options.keystone != NULL) {
        begin_keystone(login);
        return;
    }
    login->view = catalog_view(identity->options.catalog);
    const struct catalog_object *access_key =
        is_one_field ? catalog_view_object(login->view, CATALOG_OBJECT_ACCESS_KEY, login->user_name)
                     : NULL;
    if (access_key != NULL) {
        begin_secret_key(login, access_key);
        return;
    }
    login->user = is_one_field ? security__find_login_name(login->view, login->user_name)
                               : security__find_user(login->view, login->user_id, login->user_name,
                                                     login->user_domain);
    if (!enter_throttle(login, failing_of(login))) {
        end_login(login, SECURITY_THROTTLED);
        return;
    }
    if (!security__enter_line(identity)) {
        security__throttle_succeeded(identity->throttle, &login->attempt);
        end_login(login, SECURITY_OVERLOADED);
        return;
    }
    login->work.run = check_password;
    base_executor_post(identity->options.worker, &login->work);
}

static void hash_password(struct base_task *task)
{
    struct security_hashing *hashing = BASE_CONTAINER_OF(task, struct security_hashing, work);

    hashing->fields = security_password_make(hashing->password);
    atomic_fetch_sub(&hashing->identity->waiting, 1);
    base_executor_post(hashing->executor, &hashing->task);
}

void security_password_hash(struct security_identity *identity, struct security_hashing *hashing)
{
    hashing->identity = identity;
    hashing->fields = NULL;
    if (!security__enter_line(identity)) {
        base_executor_post(hashing->executor, &hashing->task);
        return;
    }
    hashing->work.run = hash_password;
    base_executor_post(identity->options.worker, &hashing->work);
}

/* Whose SCRAM keys they are. */
static bool find_scram_owner(struct catalog_view *view, struct base_slice name,
                             const struct catalog_object **owner,
                             const struct catalog_object **user)
{
    *owner = catalog_view_object(view, CATALOG_OBJECT_ACCESS_KEY, name);
    if (*owner != NULL) {
        *user = catalog_view_object(view, CATALOG_OBJECT_USER,
                                    base_slice_text(catalog_object_text(*owner, "user_id")));
        return *user != NULL;
    }
    *user = security__find_login_name(view, name);
    *owner = *user;
    return *user != NULL;
}

bool security_scram_lookup(struct security_identity *identity, struct catalog_view *view,
                           struct base_slice name, enum security_scram_mechanism mechanism,
                           struct security_scram_keys *keys, struct security_principal *principal)
{
    const struct catalog_object *owner = NULL;
    const struct catalog_object *user = NULL;
    struct security_scope scope = {0};

    if (find_scram_owner(view, name, &owner, &user) &&
        security_scram_read(json_object_get(owner->json, "scram"), mechanism, keys) &&
        security__principal_of(view, security__now_ms(identity), user,
                               owner == user ? SECURITY_PASSWORD : SECURITY_ACCESS_KEY, owner->id,
                               &scope, principal) == SECURITY_OK) {
        return true;
    }
    *principal = (struct security_principal){0};
    struct security__login_name who = security__login_name_of(view, name);
    security_scram_decoy(identity->options.key, who.domain, who.name, mechanism, keys);
    return false;
}

bool security_scram_enter(struct security_identity *identity, struct base_slice name,
                          const char *address, struct security_attempt *attempt)
{
    struct catalog_view *view = catalog_view(identity->options.catalog);
    const struct catalog_object *owner = NULL;
    const struct catalog_object *user = NULL;
    struct security__login_name who = find_scram_owner(view, name, &owner, &user)
                                          ? id_of(owner)
                                          : security__login_name_of(view, name);

    bool is_allowed = security__throttle_enter(identity->throttle, security__monotonic_ms(identity),
                                               who, address, attempt);
    catalog_view_release(&view);
    return is_allowed;
}

void security_scram_succeeded(struct security_identity *identity,
                              const struct security_attempt *attempt)
{
    security__throttle_succeeded(identity->throttle, attempt);
}
