/* One request to an identity service: ours from `dmsd user`, another Keystone from the broker.
 *
 * By libcurl, told to be careful: no redirects, no proxies, no other protocols, limits on time and
 * size. It waits for the answer: on a worker, or where nobody minds. */
#ifndef SECURITY_HTTP_CALL_H
#define SECURITY_HTTP_CALL_H

#include <jansson.h>
#include <stddef.h>

#include "core/base/err.h"

enum {
    SECURITY_HTTP_CONNECT_TIMEOUT_MS = 2000,
    SECURITY_HTTP_SUBJECT_SIZE_MAX = 16 * 1024, /* of a token in a header */
};

struct security_http_call {
    /* The request; all borrowed. */
    const char *method; /* NULL: GET, or POST where there is a body */
    const char *url;
    const char *const *headers; /* whole lines, at least one, ended by NULL */
    const char *body;           /* NULL: none */
    int timeout_ms;
    size_t answer_size_max;

    /* The answer. */
    int status;
    json_t *answer;                               /* owned; NULL when the body is no JSON */
    char subject[SECURITY_HTTP_SUBJECT_SIZE_MAX]; /* X-Subject-Token; "" when absent */
    const char *cause;                            /* of IO; static */
};

/* Before the first call and before there are threads. NOMEM. */
BASE_MUST_USE enum base_err security_http_init(void);

/* NOMEM; IO, with the cause, when nobody answers. Whatever it says, release the call. */
BASE_MUST_USE enum base_err security_http_call(struct security_http_call *call);

/* Frees the answer and wipes the subject. */
void security_http_call_release(struct security_http_call *call);

/* Text as a piece of an URL; NULL without memory. To be freed with base_free. */
char *security_http_escape(const char *text);

#endif
