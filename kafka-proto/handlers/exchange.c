/* The two mechanisms. A password is checked on the worker; SCRAM's few hashes are done in place.
 * Whatever goes wrong is answered with the same text after the same delay. */
#include "kafka-proto/handlers/exchange_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/security/scram.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/audit.h"
#include "kafka-proto/handlers/session_priv.h"

enum mechanism { PLAIN, SCRAM_SHA_256, SCRAM_SHA_512 };

enum { LIFETIME_VERSION_MIN = 1, FAILURE_TEXT_SIZE = 128 };

#define NAME(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
const struct base_slice khandler__mechanisms[KHANDLER__MECHANISMS_COUNT] = {
    [PLAIN] = NAME("PLAIN"),
    [SCRAM_SHA_256] = NAME("SCRAM-SHA-256"),
    [SCRAM_SHA_512] = NAME("SCRAM-SHA-512"),
};
#undef NAME

struct khandler_exchange {
    enum mechanism mechanism;
    bool is_raw;
    bool is_challenged;               /* SCRAM: the next token is the last */
    bool is_known;                    /* SCRAM: the keys are somebody's */
    struct khandler_request *request; /* borrowed; the step that is being decided */
    struct base_timer delay;          /* before a failure is answered */
    struct security_login login;      /* PLAIN */
    struct security_scram scram;
    struct security_principal principal; /* whose keys they are */
};

uint32_t khandler__mechanisms_offered(const struct security_identity *identity)
{
    static_assert(PLAIN == 0, "it is the first of them");
    return security_identity_is_builtin(identity) ? KHANDLER__MECHANISMS_COUNT : PLAIN + 1;
}

enum base_err khandler__exchange_create(const struct security_identity *identity,
                                        struct base_slice mechanism, bool is_raw,
                                        struct khandler_exchange **out)
{
    uint32_t count = khandler__mechanisms_offered(identity);
    unsigned place = 0;

    *out = NULL;
    while (place < count && !base_slice_equal(mechanism, khandler__mechanisms[place])) {
        place++;
    }
    if (place == count) {
        return BASE_ERR_UNSUPPORTED;
    }
    *out = base_alloc_object(struct khandler_exchange);
    if (*out == NULL) {
        return BASE_ERR_NOMEM;
    }
    (*out)->mechanism = (enum mechanism)place;
    (*out)->is_raw = is_raw;
    return BASE_ERR_OK;
}

void khandler__exchange_close(struct khandler_exchange **exchange)
{
    if (*exchange != NULL) {
        security_wipe_secret(*exchange, sizeof **exchange);
        base_free(*exchange);
        *exchange = NULL;
    }
}

bool khandler__exchange_is_raw(const struct khandler_exchange *exchange)
{
    return exchange->is_raw;
}

static void answer(struct khandler_request *request, enum kproto_error error, const char *why,
                   struct base_slice token, int64_t lifetime_ms)
{
    struct kproto_sasl_authenticate_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)error;
    response.error_message = base_slice_text(why);
    response.auth_bytes = token;
    response.session_lifetime_ms = lifetime_ms;
    khandler_answer(request, &response);
}

static void answer_failure(struct base_timer *timer)
{
    struct khandler_exchange *exchange = BASE_CONTAINER_OF(timer, struct khandler_exchange, delay);
    struct khandler_request *request = exchange->request;
    char why[FAILURE_TEXT_SIZE];

    (void)snprintf(
        why, sizeof why,
        "Authentication failed during authentication due to invalid credentials with SASL "
        "mechanism %s",
        (const char *)khandler__mechanisms[exchange->mechanism].data);
    khandler__exchange_close(&khandler__session(request)->exchange);
    khandler__end_after(request, "authentication failed");
    khandler__step_is_over(request);
    answer(request, KPROTO_ERROR_SASL_AUTHENTICATION_FAILED, why, base_slice_text(""), 0);
}

/* The client is gone: nobody waits for the delay. */
static void cancel_delay(struct khandler_request *request)
{
    struct khandler_exchange *exchange = khandler__session(request)->exchange;

    base_timer_stop(request->executor, &exchange->delay);
    answer_failure(&exchange->delay);
}

/* As who the client wanted to come; null when it never said so in a way that can be read. */
static struct base_slice claimed_name(const struct khandler_exchange *exchange)
{
    const struct security_scram *scram = &exchange->scram;

    if (exchange->mechanism == PLAIN) {
        return exchange->login.user_name;
    }
    return exchange->is_challenged ? base_slice_of(scram->user, scram->user_length)
                                   : base_slice_of(NULL, 0);
}

/* The step has begun, so nothing else happens meanwhile. */
static void fail(struct khandler_exchange *exchange)
{
    struct khandler_request *request = exchange->request;

    khandler_audit_write(request,
                         &(struct khandler_audit){.name = "login",
                                                  .resource = TELEMETRY_RESOURCE_USER,
                                                  .resource_name = claimed_name(exchange),
                                                  .error = KPROTO_ERROR_SASL_AUTHENTICATION_FAILED,
                                                  .is_stranger = true});

    exchange->delay.fire = answer_failure;
    if (khandler_is_cancelled(request)) {
        answer_failure(&exchange->delay);
        return;
    }
    request->on_cancel = cancel_delay;
    base_timer_arm(request->executor, &exchange->delay,
                   base_clock_monotonic_us(request->broker->clock) +
                       INT64_C(1000) * KHANDLER_PROVING_FAILED_DELAY_MS);
}

/* How long the session lasts, in milliseconds; 0 for ever. */
static int64_t lifetime_of(const struct khandler_request *request,
                           const struct security_principal *principal)
{
    int64_t lifetime_ms = request->broker->session_lifetime_ms;

    if (principal->expires_ms != INT64_MAX) {
        int64_t left_ms = principal->expires_ms - base_clock_wall_ms(request->broker->clock);
        if (lifetime_ms == 0 || left_ms < lifetime_ms) {
            lifetime_ms = left_ms > 1 ? left_ms : 1;
        }
    }
    return lifetime_ms;
}

/* The client is who it says. token is its last answer. */
static void succeed(struct khandler_exchange *exchange, const struct security_principal *principal,
                    struct base_slice token)
{
    struct khandler_request *request = exchange->request;
    struct khandler_session *session = khandler__session(request);

    if (principal->project_id[0] == '\0' ||
        (session->is_open && strcmp(session->principal.user_id, principal->user_id) != 0)) {
        fail(exchange);
        return;
    }
    int64_t lifetime_ms = lifetime_of(request, principal);
    session->principal = *principal;
    session->is_open = true;
    session->ends_us = lifetime_ms == 0
                           ? INT64_MAX
                           : base_clock_monotonic_us(request->broker->clock) + lifetime_ms * 1000;
    bool tells_lifetime = request->header.api_version >= LIFETIME_VERSION_MIN;
    khandler__exchange_close(&session->exchange);
    khandler__step_is_over(request);
    answer(request, KPROTO_ERROR_NONE, NULL, token, tells_lifetime ? lifetime_ms : 0);
}

static void password_checked(struct base_task *task)
{
    struct khandler_exchange *exchange =
        BASE_CONTAINER_OF(task, struct khandler_exchange, login.task);

    if (exchange->login.verdict == SECURITY_OK) {
        succeed(exchange, &exchange->login.principal, base_slice_text(""));
    } else {
        fail(exchange);
    }
}

/* [authzid] NUL authcid NUL password (RFC 4616). False when it is malformed. */
static bool parse_plain(struct base_slice token, struct security_login *login)
{
    struct base_slice parts[3] = {{0}};
    size_t count = 0;
    size_t start = 0;

    for (size_t i = 0; i <= token.length; i++) {
        if (i == token.length || token.data[i] == '\0') {
            if (count == 3) {
                return false;
            }
            parts[count++] = base_slice_of(token.data + start, i - start);
            start = i + 1;
        }
    }
    if (count != 3 || parts[1].length == 0 || parts[2].length == 0 ||
        (parts[0].length > 0 && !base_slice_equal(parts[0], parts[1]))) { /* CVE-2017-12610 */
        return false;
    }
    login->user_name = parts[1];
    login->password = parts[2];
    return true;
}

static void step_plain(struct khandler_exchange *exchange, struct base_slice token)
{
    struct khandler_request *request = exchange->request;
    struct security_login *login = &exchange->login;

    /* The token stays in the request's frame until the request ends. */
    if (token.length > SECURITY_SCRAM_MESSAGE_SIZE_MAX || !parse_plain(token, login)) {
        fail(exchange);
        return;
    }
    login->executor = request->executor;
    login->task.run = password_checked;
    login->address = (const char *)khandler_client_host(request).data;
    security_login(request->broker->identity, login);
}

static void step_scram_first(struct khandler_exchange *exchange, struct base_slice token)
{
    struct khandler_request *request = exchange->request;
    struct security_scram *scram = &exchange->scram;
    enum security_scram_mechanism mechanism =
        exchange->mechanism == SCRAM_SHA_256 ? SECURITY_SCRAM_SHA_256 : SECURITY_SCRAM_SHA_512;
    struct security_scram_keys keys;
    char nonce[SECURITY_SCRAM_NONCE_LENGTH];
    char challenge[SECURITY_SCRAM_ANSWER_SIZE];

    if (!security_scram_begin(scram, mechanism, token)) {
        fail(exchange);
        return;
    }
    exchange->is_known = security_scram_lookup(request->broker->identity, khandler_view(request),
                                               base_slice_of(scram->user, scram->user_length),
                                               mechanism, &keys, &exchange->principal);
    security_scram_nonce(nonce);
    size_t length =
        security_scram_challenge(scram, &keys, base_slice_of(nonce, sizeof nonce), challenge);
    security_wipe_secret(&keys, sizeof keys);
    exchange->is_challenged = true;
    exchange->request = NULL;
    khandler__step_is_over(request);
    answer(request, KPROTO_ERROR_NONE, NULL, base_slice_of(challenge, length), 0);
}

static void step_scram_final(struct khandler_exchange *exchange, struct base_slice token)
{
    struct security_identity *identity = exchange->request->broker->identity;
    struct security_scram *scram = &exchange->scram;
    char signature[SECURITY_SCRAM_ANSWER_SIZE];
    size_t length = 0;
    struct security_attempt attempt;

    bool is_right = security_scram_enter(identity, base_slice_of(scram->user, scram->user_length),
                                         (const char *)khandler_client_host(exchange->request).data,
                                         &attempt) &&
                    security_scram_finish(scram, token, signature, &length);
    if (is_right && exchange->is_known) {
        security_scram_succeeded(identity, &attempt);
        struct security_principal principal = exchange->principal;
        succeed(exchange, &principal, base_slice_of(signature, length));
    } else {
        fail(exchange);
    }
}

void khandler__exchange_step(struct khandler_request *request, struct base_slice token)
{
    struct khandler_exchange *exchange = khandler__session(request)->exchange;

    BASE_ASSERT(exchange->request == NULL);
    exchange->request = request;
    khandler__step_begins(request);
    if (exchange->mechanism == PLAIN) {
        step_plain(exchange, token);
    } else if (exchange->is_challenged) {
        step_scram_final(exchange, token);
    } else {
        step_scram_first(exchange, token);
    }
}
