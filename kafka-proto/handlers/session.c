/* Sessions: what may be asked before, and after. */
#include "kafka-proto/handlers/session_priv.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "kafka-proto/handlers/exchange_priv.h"

struct khandler_session *khandler__session_create(void)
{
    struct khandler_session *session = base_alloc_object(struct khandler_session);
    if (session != NULL) {
        session->ends_us = INT64_MAX;
    }
    return session;
}

void khandler__session_close(struct khandler_session **session)
{
    if (*session != NULL) {
        BASE_ASSERT(!(*session)->is_deciding);
        khandler__exchange_close(&(*session)->exchange);
        base_free(*session);
        *session = NULL;
    }
}

bool khandler__session_takes_raw(const struct khandler_session *session)
{
    return session->exchange != NULL && khandler__exchange_is_raw(session->exchange);
}

bool khandler__session_is_good(struct khandler_request *request)
{
    struct khandler_session *session = khandler__session(request);
    return security_refresh(request->broker->identity, khandler_view(request),
                            &session->principal) == SECURITY_OK;
}

const char *khandler__session_admits(struct khandler_request *request, int16_t api_key)
{
    const struct khandler_session *session = khandler__session(request);

    if (api_key == KPROTO_KEY_api_versions || api_key == KPROTO_KEY_sasl_handshake ||
        api_key == KPROTO_KEY_sasl_authenticate) {
        return NULL;
    }
    if (!session->is_open) {
        return "request before authentication";
    }
    if (base_clock_monotonic_us(request->broker->clock) >= session->ends_us) {
        return "session has expired";
    }
    return khandler__session_is_good(request) ? NULL : "credential is not valid any more";
}
