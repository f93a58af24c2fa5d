/* SaslAuthenticate (key 36): one token of a SASL exchange (KIP-152, KIP-368). */
#include "core/base/assert.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/exchange_priv.h"
#include "kafka-proto/handlers/session_priv.h"
#include "kafka-proto/handlers/table.h"

void khandler_sasl_authenticate(struct khandler_request *request)
{
    const struct kproto_sasl_authenticate_request *message = request->message;
    const struct khandler_session *session = khandler__session(request);
    struct kproto_sasl_authenticate_response response;

    BASE_ASSERT(session != NULL);
    if (session->exchange != NULL) {
        khandler__exchange_step(request, message->auth_bytes);
        return;
    }
    kproto_init(request->api->response->schema, &response);
    response.error_code = KPROTO_ERROR_ILLEGAL_SASL_STATE;
    response.error_message = base_slice_text("SaslAuthenticate comes after SaslHandshake");
    khandler__end_after(request, "SaslAuthenticate out of turn");
    khandler_answer(request, &response);
}
