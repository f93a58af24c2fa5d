/* HTTP with another Keystone: blocking, on a worker. */
#ifndef SECURITY_KEYSTONE_HTTP_PRIV_H
#define SECURITY_KEYSTONE_HTTP_PRIV_H

#include <jansson.h>
#include <stddef.h>

#include "core/base/err.h"

struct security__http;

enum { SECURITY__SUBJECT_SIZE_MAX = 16 * 1024 }; /* of a token in a header */

/* NOMEM. One handle, one thread at a time. */
BASE_MUST_USE enum base_err security__http_create(struct security__http **out);
void security__http_close(struct security__http **http);

/* GET, or POST when body is not NULL. headers are whole lines, ended by NULL. *status is the HTTP
 * status, *answer the JSON of the body (owned by the caller; NULL when there is none), subject the
 * value of X-Subject-Token ("" when absent). IO, with the cause logged, when nobody answers. */
BASE_MUST_USE enum base_err security__http_call(struct security__http *http, const char *url,
                                                const char *const *headers, const char *body,
                                                int *status, json_t **answer,
                                                char subject[SECURITY__SUBJECT_SIZE_MAX]);

#endif
