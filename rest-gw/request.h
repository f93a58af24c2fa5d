/* One HTTP request, from the moment all of it has come until it is answered.
 *
 * A handler gets it, and owes it exactly one answer (rest-gw/answer.h), which ends
 * it. Everything below returns bytes that live until then, also when the connection
 * is long gone. One thread: the loop of its connection. */
#ifndef RESTGW_REQUEST_H
#define RESTGW_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/executor.h"
#include "core/base/slice.h"
#include "rest-gw/http_parser.h"
#include "rest-gw/query.h"
#include "rest-gw/router.h"

/* Most a handler may allocate for one request. */
enum { RESTGW_REQUEST_ARENA_SIZE_MAX = 16 * 1024 * 1024 };

/* Scratch memory of the request; freed with it. */
struct base_arena *restgw_request_arena(struct restgw_request *request);

/* Where to post what must go on with this request. Borrowed. */
struct base_executor *restgw_request_executor(const struct restgw_request *request);

/* What the server was made with (restgw_http_options). */
void *restgw_request_context(const struct restgw_request *request);

/* What the gate found out and handlers want to know (who asks). Borrowed, as a rule
 * from the arena. */
void restgw_request_set_principal(struct restgw_request *request, void *principal);
void *restgw_request_principal(const struct restgw_request *request);

const struct restgw_route *restgw_request_route(const struct restgw_request *request);
enum restgw_http_method restgw_request_method(const struct restgw_request *request);

/* Still encoded, as a signature needs them. The query is without '?'. */
struct base_slice restgw_request_raw_path(const struct restgw_request *request);
struct base_slice restgw_request_raw_query(const struct restgw_request *request);

/* Decoded segment of the path that the route's pattern calls name. */
struct base_slice restgw_request_parameter(const struct restgw_request *request, const char *name);

/* Decoded query, ready to be read. */
struct restgw_query restgw_request_query(const struct restgw_request *request);

/* Value of the first header field of that name, any case; the null slice when absent. */
struct base_slice restgw_request_header(const struct restgw_request *request, const char *name);

/* All header fields, in order. */
size_t restgw_request_headers_count(const struct restgw_request *request);
void restgw_request_header_at(const struct restgw_request *request, size_t index,
                              struct base_slice *name, struct base_slice *value);

/* Whole body, never the null slice. */
struct base_slice restgw_request_body(const struct restgw_request *request);

/* The body as a JSON object, parsed by the first call; borrowed. NULL when it is not
 * one: the request is answered then, with the code that its route calls for. */
json_t *restgw_request_json(struct restgw_request *request);

/* The same, and answers nothing: BASE_ERR_MALFORMED with *problem (static storage) saying
 * why, BASE_ERR_NOMEM; *out is NULL then. */
BASE_MUST_USE enum base_err restgw_request_load_json(struct restgw_request *request, json_t **out,
                                                     const char **problem);

/* Address of the client, as text. */
const char *restgw_request_peer(const struct restgw_request *request);

/* Monotonic time at which the request was complete. */
int64_t restgw_request_received_us(const struct restgw_request *request);

/* Asks for a call when the client is gone: for long polls. The callback runs at most
 * once, on the loop; the request must be answered all the same, there or later. Where the client
 * has left already, within this call: the request may be over when it returns. */
typedef void restgw_request_cancel(struct restgw_request *request, void *context);
void restgw_request_on_cancel(struct restgw_request *request, restgw_request_cancel *cancel,
                              void *context);

/* The client is gone: nobody will see the answer. */
bool restgw_request_is_cancelled(const struct restgw_request *request);

/* For the gate: lets the route's handler have the request. */
void restgw_request_run(struct restgw_request *request);

#endif
