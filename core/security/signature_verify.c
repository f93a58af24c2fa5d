/* Whether a signed request may be believed. */
#include <string.h>

#include "core/base/assert.h"
#include "core/security/identity_priv.h"
#include "core/security/signature.h"

enum { FIELDS_MAX = 128 };

static struct base_slice find_field(const struct security_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->fields_count; i++) {
        struct base_slice field = request->fields[i].name;
        size_t at = 0;
        while (at < field.length && name[at] != '\0' &&
               (field.data[at] | 0x20) == (uint8_t)name[at]) {
            at++;
        }
        if (at == field.length && name[at] == '\0') {
            return request->fields[i].value;
        }
    }
    return base_slice_of(NULL, 0);
}

/* Whether the client says what the body's hash is, and is right. Without saying it, the hash of
 * what came is what was signed. */
static bool is_body_as_signed(const struct security_http_request *request)
{
    struct base_slice said = find_field(request, "x-sdk-content-sha256");
    uint8_t expected[SECURITY__SHA256_SIZE];
    uint8_t hash[SECURITY__SHA256_SIZE];
    char text[SECURITY_SIGNATURE_TEXT_SIZE];

    if (said.data == NULL) {
        return true;
    }
    if (base_slice_is(said, "UNSIGNED-PAYLOAD")) {
        return request->body.length == 0; /* everything here that has a body is JSON */
    }
    if (said.length != sizeof text - 1) {
        return false;
    }
    memcpy(text, said.data, said.length);
    text[said.length] = '\0';
    if (!security__unhex(text, sizeof expected, expected)) {
        return false;
    }
    security__hash(SECURITY__SHA256, request->body, hash);
    return security__equal(hash, expected, sizeof hash);
}

/* Made before this start: it may have been used then. A date is the second in which it was made,
 * so those of the second of the start itself are refused as well. */
static bool is_of_the_past(const struct security_identity *identity, int64_t now_ms, int64_t date_s)
{
    int64_t up_ms =
        (base_clock_monotonic_us(identity->options.clock) - identity->started_us) / 1000;
    return identity->options.has_past && date_s * 1000 < now_ms - up_ms;
}

static enum security_verdict check_date(const struct security_identity *identity, int64_t now_ms,
                                        struct base_slice date,
                                        const struct security_authorization *authorization,
                                        int64_t *date_s)
{
    if (date.data == NULL || !security_signature_date(date, date_s)) {
        return SECURITY_REFUSED;
    }
    if (authorization->is_scoped && memcmp(authorization->scope.data, date.data, 8) != 0) {
        return SECURITY_REFUSED;
    }
    int64_t age_s = now_ms / 1000 - *date_s;
    return age_s > SECURITY_SIGNATURE_WINDOW_S || age_s < -SECURITY_SIGNATURE_WINDOW_S ||
                   is_of_the_past(identity, now_ms, *date_s)
               ? SECURITY_NOT_IN_TIME
               : SECURITY_OK;
}

/* Some clients sign the host without its port. */
static bool drop_port(const struct security_http_request *request,
                      struct security_http_field fields[FIELDS_MAX],
                      struct security_http_request *out)
{
    if (request->fields_count > FIELDS_MAX) {
        return false;
    }
    *out = *request;
    out->fields = fields;
    memcpy(fields, request->fields, request->fields_count * sizeof fields[0]);
    for (size_t i = 0; i < request->fields_count; i++) {
        struct base_slice host = fields[i].value;
        if (fields[i].name.length != 4 || find_field(request, "host").data != host.data) {
            continue;
        }
        size_t length = host.length;
        while (length > 0 && host.data[length - 1] >= '0' && host.data[length - 1] <= '9') {
            length--;
        }
        if (length > 1 && length < host.length && host.data[length - 1] == ':') {
            fields[i].value.length = length - 1;
            return true;
        }
    }
    return false;
}

static enum security_verdict check_with(struct base_arena *arena,
                                        const struct security_http_request *request,
                                        const struct security_authorization *authorization,
                                        struct base_slice date, const char *secret)
{
    char signature[SECURITY_SIGNATURE_TEXT_SIZE];

    enum base_err err = security_signature_make(arena, request, authorization, date,
                                                base_slice_text(secret), signature, NULL);
    if (err == BASE_ERR_NOMEM) {
        return SECURITY_UNAVAILABLE; /* nothing is wrong with what the client sent */
    }
    bool is_good = err == BASE_ERR_OK && security__equal(signature, authorization->signature.data,
                                                         authorization->signature.length);
    return is_good ? SECURITY_OK : SECURITY_REFUSED;
}

static enum security_verdict check_signature(const struct security_identity *identity,
                                             struct base_arena *arena,
                                             const struct security_http_request *request,
                                             const struct security_authorization *authorization,
                                             struct base_slice date,
                                             const struct catalog_object *access_key)
{
    char secret[SECURITY_SECRET_KEY_SIZE];
    struct security_http_field fields[FIELDS_MAX];
    struct security_http_request without_port;

    if (!security__unseal_secret(identity, access_key, secret)) {
        return SECURITY_REFUSED;
    }
    enum security_verdict verdict = check_with(arena, request, authorization, date, secret);
    if (verdict == SECURITY_REFUSED && drop_port(request, fields, &without_port)) {
        verdict = check_with(arena, &without_port, authorization, date, secret);
    }
    security__wipe(secret, sizeof secret);
    return verdict;
}

/* A temporary key needs its token with every request, and works in its own project only. */
static enum security_verdict check_temporary(const struct security_http_request *request,
                                             const struct catalog_object *access_key,
                                             struct security_scope *scope)
{
    const char *token_id = catalog_object_text(access_key, "token_id");
    struct base_slice token = find_field(request, "x-security-token");
    char id[SECURITY_ID_SIZE];

    if (token_id == NULL) {
        return token.data == NULL ? SECURITY_OK : SECURITY_REFUSED;
    }
    if (token.data == NULL) {
        return SECURITY_REFUSED;
    }
    security__token_id(token, id);
    if (strlen(token_id) != sizeof id - 1 || !security__equal(token_id, id, sizeof id - 1)) {
        return SECURITY_REFUSED;
    }
    const char *project_id = catalog_object_text(access_key, "project_id");
    if (scope->project_id.data != NULL && !base_slice_is(scope->project_id, project_id)) {
        return SECURITY_NO_ROLE;
    }
    *scope = (struct security_scope){.project_id = base_slice_text(project_id)};
    return SECURITY_OK;
}

static const struct catalog_object *find_key(struct catalog_view *view, struct base_slice id)
{
    const struct catalog_object *key = catalog_view_object(view, CATALOG_OBJECT_ACCESS_KEY, id);
    return key != NULL && catalog_object_bool(key, "enabled") ? key : NULL;
}

enum security_verdict security_signature_verify(struct security_identity *identity,
                                                struct catalog_view *view, struct base_arena *arena,
                                                const struct security_http_request *request,
                                                const struct security_scope *scope,
                                                struct security_principal *principal)
{
    struct security_authorization authorization;
    struct security_scope where = *scope;
    uint8_t signature[SECURITY__SHA256_SIZE];
    char signature_text[SECURITY_SIGNATURE_TEXT_SIZE];
    struct base_slice date = find_field(request, "x-sdk-date");
    int64_t now_ms = security__now_ms(identity);
    int64_t date_s = 0;

    if (!security_authorization_parse(find_field(request, "authorization"), &authorization)) {
        return SECURITY_REFUSED;
    }
    const struct catalog_object *key = find_key(view, authorization.access_key);
    const struct catalog_object *user =
        key == NULL ? NULL
                    : catalog_view_object(view, CATALOG_OBJECT_USER,
                                          base_slice_text(catalog_object_text(key, "user_id")));
    enum security_verdict verdict = check_date(identity, now_ms, date, &authorization, &date_s);
    if (verdict != SECURITY_OK) {
        return verdict;
    }
    memcpy(signature_text, authorization.signature.data, authorization.signature.length);
    signature_text[authorization.signature.length] = '\0';
    if (user == NULL || !security__unhex(signature_text, sizeof signature, signature)) {
        return SECURITY_REFUSED;
    }
    verdict = check_signature(identity, arena, request, &authorization, date, key);
    if (verdict == SECURITY_OK && !is_body_as_signed(request)) {
        return SECURITY_REFUSED;
    }
    if (verdict == SECURITY_OK) {
        verdict = check_temporary(request, key, &where);
    }
    if (verdict == SECURITY_OK) {
        verdict = security__principal_of(view, now_ms, user, SECURITY_ACCESS_KEY, key->id, &where,
                                         principal);
    }
    if (verdict != SECURITY_OK) {
        return verdict;
    }
    /* Last: what is refused takes no room among those remembered. */
    bool may_repeat =
        base_slice_is(request->method, "GET") || base_slice_is(request->method, "HEAD");
    return security__replay_check(identity->replay, date_s, signature, may_repeat);
}

bool security_signature_is_plausible(struct security_identity *identity, struct catalog_view *view,
                                     struct base_slice authorization, struct base_slice date)
{
    struct security_authorization parsed;
    int64_t date_s = 0;

    return security_authorization_parse(authorization, &parsed) &&
           find_key(view, parsed.access_key) != NULL &&
           check_date(identity, security__now_ms(identity), date, &parsed, &date_s) == SECURITY_OK;
}
