/* Who a connection speaks for, where there is authentication.
 *
 *   new --SaslHandshake--> proving --right--> open --SaslHandshake--> open and proving again
 *                             |                ^                           |
 *                             +--wrong--> the connection ends <--wrong-----+--right--> open
 *
 * Until it is open only ApiVersions, SaslHandshake and SaslAuthenticate are heard, in small
 * frames and for a short time. One step of an exchange is decided at a time; nothing is read
 * meanwhile. Renewing (KIP-368) may not change the user. */
#ifndef KHANDLER_SESSION_PRIV_H
#define KHANDLER_SESSION_PRIV_H

#include "core/security/identity.h"
#include "kafka-proto/handlers/request.h"

enum {
    /* CVE-2022-34917, CVE-2021-32675: what somebody unknown can make us keep. */
    KHANDLER_UNPROVEN_FRAME_SIZE_MAX = 64 * 1024,
    KHANDLER_PROVING_TIME_MAX_MS = 5000,
    KHANDLER_PROVING_FAILED_DELAY_MS = 100, /* Kafka's connection.failed.authentication.delay.ms */
};

struct khandler_exchange;

struct khandler_session {
    bool is_open;                       /* principal is good */
    bool is_deciding;                   /* a step of the exchange is with somebody else */
    struct khandler_exchange *exchange; /* owned; under way; NULL: none */
    struct security_principal principal;
    int64_t ends_us; /* monotonic; INT64_MAX: never */
};

/* NULL when memory is out. */
struct khandler_session *khandler__session_create(void);

/* Sets *session to NULL. NULL-safe. No step may be under way. */
void khandler__session_close(struct khandler_session **session);

/* Frames carry SASL tokens and nothing else, as after SaslHandshake version 0. */
bool khandler__session_takes_raw(const struct khandler_session *session);

/* Whether a request of this API may be handled now: NULL, or why the connection ends. */
const char *khandler__session_admits(struct khandler_request *request, int16_t api_key);

/* Whether what the session was opened with is still good: to be asked before an answer. */
bool khandler__session_is_good(struct khandler_request *request);

/* conn.c: the session of the request's connection; NULL without authentication. */
struct khandler_session *khandler__session(struct khandler_request *request);

/* conn.c: nothing is read any more, and the connection ends when request is answered. */
void khandler__end_after(struct khandler_request *request, const char *why);

/* conn.c: reading stops for a step, and goes on after it. */
void khandler__step_begins(struct khandler_request *request);
void khandler__step_is_over(struct khandler_request *request);

#endif
