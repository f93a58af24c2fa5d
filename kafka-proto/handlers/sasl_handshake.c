/* SaslHandshake (key 17): which mechanism the client will prove itself with (KIP-43, KIP-152). */
#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/exchange_priv.h"
#include "kafka-proto/handlers/session_priv.h"
#include "kafka-proto/handlers/table.h"

void khandler_sasl_handshake(struct khandler_request *request)
{
    const struct kproto_sasl_handshake_request *message = request->message;
    struct khandler_session *session = khandler__session(request);
    struct kproto_sasl_handshake_response response;
    struct base_slice mechanisms[KHANDLER__MECHANISMS_COUNT];
    const struct security_identity *identity = request->broker->identity;
    bool is_raw = request->header.api_version == 0;

    BASE_ASSERT(session != NULL);
    kproto_init(request->api->response->schema, &response);
    memcpy(mechanisms, khandler__mechanisms, sizeof mechanisms);
    response.mechanisms = mechanisms;
    response.mechanisms_count = khandler__mechanisms_offered(identity);
    /* Raw tokens cannot be told from requests, so they are no way to renew a session. */
    if (session->exchange != NULL || (session->is_open && is_raw)) {
        response.error_code = KPROTO_ERROR_ILLEGAL_SASL_STATE;
        khandler__end_after(request, "SaslHandshake out of turn");
        khandler_answer(request, &response);
        return;
    }
    enum base_err err =
        khandler__exchange_create(identity, message->mechanism, is_raw, &session->exchange);
    if (err == BASE_ERR_NOMEM) {
        khandler_refuse(request, "no memory");
        return;
    }
    if (err != BASE_ERR_OK) {
        response.error_code = KPROTO_ERROR_UNSUPPORTED_SASL_MECHANISM;
        khandler__end_after(request, "SASL mechanism is not offered");
    }
    khandler_answer(request, &response);
}
