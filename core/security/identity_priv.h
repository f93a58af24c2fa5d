/* The identity service as its files see it. */
#ifndef SECURITY_IDENTITY_PRIV_H
#define SECURITY_IDENTITY_PRIV_H

#include <stdatomic.h>

#include "core/base/alarm.h"
#include "core/base/mutex.h"
#include "core/security/crypto_priv.h"
#include "core/security/identity.h"

struct security__throttle;
struct security__replay;

struct security_identity {
    struct security_identity_options options;
    struct security__throttle *throttle; /* owned */
    struct security__replay *replay;     /* owned */
    struct base_alarm sweep;
    struct catalog_change sweep_change;
    bool is_sweeping;              /* home only */
    bool has_more_to_sweep;        /* home only */
    struct base_task *closed_task; /* borrowed; set while closing */
    struct base_task sweep_closed;
    atomic_uint waiting; /* for the worker */
    struct base_mutex keys_lock;
    struct base_list being_made; /* permanent keys, until they are visible; by keys_lock */
    int64_t started_us; /* monotonic: a clock that is set right meanwhile does not move it */
};

static inline int64_t security__now_ms(const struct security_identity *identity)
{
    return base_clock_wall_ms(identity->options.clock);
}

/* For what lasts for a while, whatever the wall clock is set to. */
static inline int64_t security__monotonic_ms(const struct security_identity *identity)
{
    return base_clock_monotonic_ms(identity->options.clock);
}

/* Users. */

/* By id, or by name within a domain given by id or name (null: "Default"). NULL when absent. */
const struct catalog_object *security__find_user(struct catalog_view *view,
                                                 struct base_slice user_id, struct base_slice name,
                                                 struct base_slice domain);

/* By id, then by name; NULL when absent. */
const struct catalog_object *security__find_domain(struct catalog_view *view,
                                                   struct base_slice domain);

/* Who is meant by one text, "<domain>/<name>" or "<name>", whether there is such a user or not. */
struct security__login_name {
    struct base_slice domain; /* its id; as it was said when there is none */
    struct base_slice name;
};
struct security__login_name security__login_name_of(struct catalog_view *view,
                                                    struct base_slice text);

/* The user of that name; NULL when absent. */
const struct catalog_object *security__find_login_name(struct catalog_view *view,
                                                       struct base_slice text);

/* Checks everything about principal that the catalog knows against view, and renews it: user_id,
 * project_id, credential and credential_id say what to look at. */
enum security_verdict security__resolve(struct catalog_view *view, int64_t now_ms,
                                        struct security_principal *principal);

/* Makes a principal of user, with this credential, that works in scope. */
enum security_verdict
security__principal_of(struct catalog_view *view, int64_t now_ms, const struct catalog_object *user,
                       enum security_credential credential, const char *credential_id,
                       const struct security_scope *scope, struct security_principal *out);

/* Access keys. */

/* The secret key of an access key object; false when it cannot be unsealed. To be wiped. */
bool security__unseal_secret(const struct security_identity *identity,
                             const struct catalog_object *access_key,
                             char secret[SECURITY_SECRET_KEY_SIZE]);

/* A permanent key is stored, or will not be: it counts as being made no more. */
void security__access_key_is_made(struct security_issue *issue);

/* Hex SHA-256 of a token: what is stored of it. */
void security__token_id(struct base_slice token, char out[SECURITY_ID_SIZE]);

/* Stores a token or access key (moved; NULL: memory was out) that has a user_id, unless there are
 * count_max of all users; the oldest tokens, or temporary keys, of a user who has too many end with
 * it. issue->task runs when it is over. */
void security__issue_store(struct security_identity *identity, struct catalog_object *object,
                           size_t count_max, struct security_issue *issue);

/* Takes a place in the line of the worker; false when it is full. Whoever leaves the line takes
 * one off identity->waiting. */
bool security__enter_line(struct security_identity *identity);

/* With another Keystone. */

/* The same as security__login_name_of(): domains are known there by their names only. */
struct security__login_name security__keystone_login_name(struct base_slice text);

/* Decides a login that is in the throttle already; its task runs when it is. */
void security__keystone_login(struct security_login *login);

/* The text of a body (moved; may be NULL): NULL without memory. To be wiped and freed. */
char *security__keystone_body(json_t *body);

/* Asks for a token with this body of a login; who that token is for. Blocks. OK, REFUSED or
 * UNAVAILABLE. */
enum security_verdict security__keystone_ask_login(struct security_keystone *keystone,
                                                   const char *body,
                                                   struct security_principal *principal);

/* Failed logins. */

BASE_MUST_USE enum base_err security__throttle_create(struct security__throttle **out);
void security__throttle_close(struct security__throttle **throttle);

/* Counts an attempt for a user from an address; false when there were too many, of both, of the
 * address or of so many users that there is no room to count. An id, of a user or access key that
 * exists, has no domain. *attempt names it for the success that takes it back. now_ms is monotonic.
 */
bool security__throttle_enter(struct security__throttle *throttle, int64_t now_ms,
                              struct security__login_name user, const char *address,
                              struct security_attempt *attempt);
void security__throttle_succeeded(struct security__throttle *throttle,
                                  const struct security_attempt *attempt);

/* Signatures that were used. */

BASE_MUST_USE enum base_err security__replay_create(struct base_clock *clock, size_t entries_max,
                                                    int64_t repeat_ms,
                                                    struct security__replay **out);
void security__replay_close(struct security__replay **replay);

/* Remembers a signature made at date_s (seconds since 1970) until the window around it is over, or
 * the wall clock is set back by more than that. REPLAYED when it is there already (unless
 * may_repeat and the first was within repeat_ms); NOT_IN_TIME outside the window, or when it is
 * older than what there is room to remember; OVERLOADED when there is no room that may be made. */
enum security_verdict security__replay_check(struct security__replay *replay, int64_t date_s,
                                             const uint8_t signature[32], bool may_repeat);

/* Removes what is expired, now and then. Home only. */
void security__sweep_start(struct security_identity *identity);

#endif
