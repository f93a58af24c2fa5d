/* Requests signed with an access key: SDK-HMAC-SHA256, in both forms that its clients write.
 *
 * Scoped:  Authorization: SDK-HMAC-SHA256 Credential=<AK>/<date>/<region>/<service>/sdk_request,
 *          SignedHeaders=…, Signature=…       (key derived from the secret, date and scope)
 * Plain:   Authorization: SDK-HMAC-SHA256 Access=<AK>, SignedHeaders=…, Signature=…
 *
 * Both sign the same canonical request. Region and service are whatever the client says: they are
 * part of what is signed, and clients differ in them. */
#ifndef SECURITY_SIGNATURE_H
#define SECURITY_SIGNATURE_H

#include "core/base/arena.h"
#include "core/security/identity.h"

enum {
    SECURITY_SIGNATURE_WINDOW_S = 15 * 60, /* either side of now */
    SECURITY_SIGNATURE_MARGIN_S = 10,      /* what stays of it however many are signed */
    SECURITY_SIGNATURE_TEXT_SIZE = 65,     /* 64 hex digits and a terminator */
};

struct security_http_field {
    struct base_slice name; /* any case */
    struct base_slice value;
};

/* An HTTP request as it came. Borrowed. */
struct security_http_request {
    struct base_slice method;
    struct base_slice path;  /* still encoded */
    struct base_slice query; /* still encoded, without '?' */
    const struct security_http_field *fields;
    size_t fields_count;
    struct base_slice body;
};

/* The parts of an Authorization header; slices of it. */
struct security_authorization {
    bool is_scoped;
    struct base_slice access_key;
    struct base_slice scope; /* "<date>/<region>/<service>/sdk_request"; null in the plain form */
    struct base_slice signed_headers;
    struct base_slice signature;
};

/* False when the header's value is not of this algorithm, or malformed. */
bool security_authorization_parse(struct base_slice value, struct security_authorization *out);

/* "YYYYMMDDTHHMMSSZ" as seconds since 1970; false for anything else. */
bool security_signature_date(struct base_slice text, int64_t *out);

/* Signs request as authorization says (all but its signature is used), with secret. date is the
 * value of X-Sdk-Date. canonical_hash, if not NULL, gets the hash of the canonical request.
 * MALFORMED when a signed header is missing or there twice, or the URL is badly encoded; NOMEM. */
BASE_MUST_USE enum base_err
security_signature_make(struct base_arena *arena, const struct security_http_request *request,
                        const struct security_authorization *authorization, struct base_slice date,
                        struct base_slice secret, char signature[SECURITY_SIGNATURE_TEXT_SIZE],
                        char canonical_hash[SECURITY_SIGNATURE_TEXT_SIZE]);

/* Whether request is signed by somebody known, within the window, over the body that came, and
 * for the first time. A GET may come again within signature_repeat_ms of the first: clients sign
 * with the time in whole seconds, so two polls of one second are the same to them. principal works
 * in scope (a temporary key's: in its own project). */
enum security_verdict security_signature_verify(struct security_identity *identity,
                                                struct catalog_view *view, struct base_arena *arena,
                                                const struct security_http_request *request,
                                                const struct security_scope *scope,
                                                struct security_principal *principal);

/* Whether request, whose body has not come yet, may be signed by somebody known: the key exists
 * and the date is within the window. */
bool security_signature_is_plausible(struct security_identity *identity, struct catalog_view *view,
                                     struct base_slice authorization, struct base_slice date);

#endif
