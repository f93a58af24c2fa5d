/* One SASL exchange: PLAIN or SCRAM, from SaslHandshake to the last token. */
#ifndef KHANDLER_EXCHANGE_PRIV_H
#define KHANDLER_EXCHANGE_PRIV_H

#include "kafka-proto/handlers/request.h"

struct khandler_exchange;

enum { KHANDLER__MECHANISMS_COUNT = 3 };

/* Names of the mechanisms. */
extern const struct base_slice khandler__mechanisms[KHANDLER__MECHANISMS_COUNT];

/* How many of them are offered: SCRAM needs keys that another Keystone does not tell. */
uint32_t khandler__mechanisms_offered(const struct security_identity *identity);

/* *out owns it. is_raw: tokens come without Kafka's headers. UNSUPPORTED: no such mechanism;
 * NOMEM. */
BASE_MUST_USE enum base_err khandler__exchange_create(const struct security_identity *identity,
                                                      struct base_slice mechanism, bool is_raw,
                                                      struct khandler_exchange **out);

/* Wipes secrets. Sets *exchange to NULL. NULL-safe. */
void khandler__exchange_close(struct khandler_exchange **exchange);

bool khandler__exchange_is_raw(const struct khandler_exchange *exchange);

/* Takes the client's next token and ends request, at once or later. */
void khandler__exchange_step(struct khandler_request *request, struct base_slice token);

#endif
