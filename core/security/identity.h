/* Identities: who there is, and whether somebody is who they say.
 *
 * Domains, projects, users, access keys and tokens are objects of the catalog. What is secret in
 * them is a hash, or sealed with the key of this broker. Nothing here ever logs a secret.
 *
 * A loop passes the catalog view that it reads; everything that only looks answers at once. What
 * hashes passwords, writes the catalog or asks another Keystone is told to `executor` later.
 * From any thread. */
#ifndef SECURITY_IDENTITY_H
#define SECURITY_IDENTITY_H

#include <stddef.h>

#include "core/base/executor.h"
#include "core/base/list.h"
#include "core/catalog/catalog.h"
#include "core/security/password.h"
#include "core/security/principal.h"

struct security_identity;
struct security_keystone;

enum {
    SECURITY_KEY_SIZE = 32,
    SECURITY_TOKEN_SIZE = 65,                  /* 64 hex digits and a terminator */
    SECURITY_ACCESS_KEY_SIZE = 21,             /* 20 upper-case letters and digits */
    SECURITY_SECRET_KEY_SIZE = 41,             /* 40 letters and digits */
    SECURITY_TOKENS_MAX = 100000,              /* alive at once; more are refused */
    SECURITY_ACCESS_KEYS_MAX = 100000,         /* permanent and temporary */
    SECURITY_ACCESS_KEYS_PER_USER_MAX = 16,    /* permanent ones */
    SECURITY_LOGINS_WAITING_MAX = 64,          /* for a thread that hashes; more are refused */
    SECURITY_FAILED_LOGINS_MAX = 10,           /* of a user from an address, within the window */
    SECURITY_FAILED_LOGINS_ADDRESS_MAX = 1000, /* of all users from an address */
    SECURITY_FAILED_LOGINS_WINDOW_MS = 60 * 1000,
    SECURITY_SWEEP_INTERVAL_MS = 60 * 1000, /* how often expired tokens and keys are removed */
    SECURITY_SWEEP_AGAIN_MS = 100,          /* while there are more than one change can remove */
    SECURITY_EXPIRED_KEPT_MS = 3600 * 1000, /* how long one is told that its token has expired */
};

/* How an attempt to prove an identity ended. */
enum security_verdict {
    SECURITY_OK,
    SECURITY_REFUSED,     /* wrong user, password, key, signature or token: not told apart */
    SECURITY_EXPIRED,     /* a token or temporary key that was good once */
    SECURITY_NO_ROLE,     /* right, but without a role where it wants to work */
    SECURITY_NOT_IN_TIME, /* a signature that is older or newer than the window */
    SECURITY_REPLAYED,    /* a signature that was used before */
    SECURITY_THROTTLED,   /* too many failures: come back later */
    SECURITY_OVERLOADED,  /* too many at once */
    SECURITY_TOO_MANY,    /* the user has as many access keys as one may have */
    SECURITY_UNAVAILABLE, /* the catalog or the other Keystone does not answer; no memory */
    SECURITY_VERDICT_COUNT
};

struct security_identity_options {
    struct catalog *catalog;        /* borrowed */
    struct base_clock *clock;       /* borrowed */
    struct base_executor *worker;   /* borrowed; a pool of its own: its size bounds hashing */
    struct base_executor *home;     /* borrowed; a loop, for what happens every minute */
    uint8_t key[SECURITY_KEY_SIZE]; /* seals secret keys; copied */
    int64_t token_lifetime_ms;
    int64_t signature_repeat_ms; /* see core/security/signature.h */
    size_t signatures_max;       /* remembered at once */
    size_t tokens_per_user;      /* and temporary keys: a new one ends the oldest of more */
    /* Whether there were identities before this start: which signatures were used then is not
     * known any more, so those of that time are refused. */
    bool has_past;
    /* Where tokens come from instead of here; NULL: built in. Owned from then on. */
    struct security_keystone *keystone;
};

BASE_MUST_USE enum base_err
security_identity_create(const struct security_identity_options *options,
                         struct security_identity **out);

/* Posts `closed` to home when nothing of it runs any more. No login, token or key may be under
 * way. */
void security_identity_close(struct security_identity *identity, struct base_task *closed);

/* Whether tokens are made here, rather than by another Keystone. */
bool security_identity_is_builtin(const struct security_identity *identity);

struct catalog *security_identity_catalog(struct security_identity *identity);

/* Passwords. */

/* Where somebody wants to work; null slices for what is not said. One of the three, or none: the
 * user's default project then. */
struct security_scope {
    struct base_slice project_id;
    struct base_slice project_name;   /* within project_domain, or the user's domain */
    struct base_slice project_domain; /* id or name */
    struct base_slice domain;         /* id or name: to work on the domain itself */
    bool is_unscoped;                 /* nowhere, rather than in the default project */
};

/* One look at a token, embedded in what waits for it. */
struct security_token_check {
    struct base_executor *executor;
    struct base_task task;
    struct base_slice token; /* borrowed until it is over */

    enum security_verdict verdict;
    struct security_principal principal; /* when OK */

    struct base_list link; /* its own */
};

/* What an attempt counts as until it succeeds. */
struct security_attempt {
    uint64_t user_key; /* of the user from this address */
    uint64_t address_key;
};

/* One attempt to log in, embedded in what waits for it. Slices are borrowed until it is over. */
struct security_login {
    struct base_executor *executor;
    struct base_task task; /* runs there when it is decided */
    /* The user by id, or by name within a domain (id or name; null: "Default"). For clients that
     * have one field only the name may be "<domain>/<name>", or an access key id whose secret key
     * is the password. With another Keystone "<domain>/<name>/<project>" too, or "token": the
     * password is a token then; nobody of the catalog can log in. */
    struct base_slice user_id;
    struct base_slice user_name;
    struct base_slice user_domain;
    struct base_slice password;
    struct security_scope scope;
    const char *address; /* of the client, for throttling */

    enum security_verdict verdict;
    struct security_principal principal; /* when OK */

    /* its own */
    struct security_identity *identity;
    struct base_task work;
    struct catalog_view *view;
    const struct catalog_object *user;
    struct security_attempt attempt;
    struct security_token_check check;
};

void security_login(struct security_identity *identity, struct security_login *login);

/* For SCRAM: the keys of the user (or access key) called name, as above, and who that is.
 * principal is good once the client's proof has matched. False when there is nobody of that name
 * or they have no role anywhere; keys are decoys then, to go on with as if there were. */
bool security_scram_lookup(struct security_identity *identity, struct catalog_view *view,
                           struct base_slice name, enum security_scram_mechanism mechanism,
                           struct security_scram_keys *keys, struct security_principal *principal);

/* Around the check of a proof: counts an attempt of the user called name from an address; false
 * when too many failed and nothing is to be believed. *attempt names it for the success that takes
 * it back. Nothing may be waited for between the two: what is under way counts as failed. */
bool security_scram_enter(struct security_identity *identity, struct base_slice name,
                          const char *address, struct security_attempt *attempt);
void security_scram_succeeded(struct security_identity *identity,
                              const struct security_attempt *attempt);

/* Sessions. */

/* Whether principal may go on: its credential is neither revoked nor expired, its user, domain
 * and project are there and enabled. Renews names and roles. Cheap while no object changed; to be
 * asked for every request. Without authentication always OK. */
enum security_verdict security_refresh(struct security_identity *identity,
                                       struct catalog_view *view,
                                       struct security_principal *principal);

/* Moves principal to another project, in which its user has to have a role: NO_ROLE, and no
 * change, otherwise. */
enum security_verdict security_enter_project(struct security_identity *identity,
                                             struct catalog_view *view,
                                             struct security_principal *principal,
                                             const struct security_scope *scope);

/* Tokens. */

/* True: decided. False: task will run when it is, which takes as long as the other Keystone. */
bool security_token_check(struct security_identity *identity, struct catalog_view *view,
                          struct security_token_check *check);

/* Whether a token is known to be good or bad without asking anybody: OK, REFUSED, EXPIRED, or
 * UNAVAILABLE for "one would have to ask". */
enum security_verdict security_token_peek(struct security_identity *identity,
                                          struct catalog_view *view, struct base_slice token);

/* One token or access key to be made, embedded in what waits for it. */
struct security_issue {
    struct base_executor *executor;
    struct base_task task;

    enum security_verdict verdict;   /* OK, OVERLOADED, TOO_MANY or UNAVAILABLE */
    char token[SECURITY_TOKEN_SIZE]; /* of a token or temporary key; to be wiped */
    char access_key[SECURITY_ACCESS_KEY_SIZE];
    char secret_key[SECURITY_SECRET_KEY_SIZE]; /* to be wiped */
    int64_t issued_ms;
    int64_t expires_ms; /* wall clock; INT64_MAX: never */

    /* its own */
    struct catalog_change change;
    struct security_identity *identity;
    json_t *fields;
    struct catalog_object *object;
    unsigned tries;
    struct base_task work;
    const char *user_id;         /* borrowed until it is over; of a permanent key */
    struct base_list being_made; /* in identity->being_made */
};

/* methods: how principal was proven, a JSON array; borrowed. A token that was got with another
 * one lasts no longer than that. */
void security_token_issue(struct security_identity *identity,
                          const struct security_principal *principal, const json_t *methods,
                          struct security_issue *issue);

/* Ends a token: change as for the catalog. False when there is no such token. */
bool security_token_revoke(struct security_identity *identity, struct catalog_view *view,
                           struct base_slice token, struct catalog_change *change);

/* Methods and time of issue of a token that is good; false otherwise. methods is borrowed from
 * view. */
bool security_token_details(struct catalog_view *view, const struct security_principal *principal,
                            const json_t **methods, int64_t *issued_ms);

/* Access keys. */

/* A permanent key of a user; user_id is borrowed until it is over. description may be "". */
void security_access_key_issue(struct security_identity *identity, const char *user_id,
                               const char *description, struct security_issue *issue);

/* A temporary key with a token of its own, which acts for principal in its project. It ends, at the
 * latest, with the token that principal was proven with. */
void security_temporary_key_issue(struct security_identity *identity,
                                  const struct security_principal *principal, int64_t lifetime_ms,
                                  struct security_issue *issue);

/* Whether principal was proven with a temporary key. */
bool security_is_temporary(struct catalog_view *view, const struct security_principal *principal);

/* Wipes what is secret in it. */
void security_issue_wipe(struct security_issue *issue);

/* Management: fields of objects, for catalog_change_objects(). */

/* One password to be made into fields of a user, off the loops. */
struct security_hashing {
    struct base_executor *executor;
    struct base_task task;
    struct base_slice password; /* borrowed until it is over */
    json_t *fields;             /* owned by the waiter; NULL without memory or when overloaded */

    struct security_identity *identity; /* its own */
    struct base_task work;
};

void security_password_hash(struct security_identity *identity, struct security_hashing *hashing);

/* What a broker that never had identities starts with: domain "Default", the project of the time
 * without authentication, and a user "admin" with this password, as edits for the catalog. Takes
 * as long as a hash. NOMEM. */
enum { SECURITY_FIRST_EDITS = 3 };
BASE_MUST_USE enum base_err
security_first_objects(struct base_clock *clock, struct base_slice password,
                       struct catalog_object_edit edits[SECURITY_FIRST_EDITS]);

/* 24 random letters and digits. */
enum { SECURITY_FIRST_PASSWORD_SIZE = 25 };
void security_random_password(char out[SECURITY_FIRST_PASSWORD_SIZE]);

/* A new id: 32 random hex digits. */
enum { SECURITY_NEW_ID_SIZE = 33 };
void security_new_id(char out[SECURITY_NEW_ID_SIZE]);

#endif
