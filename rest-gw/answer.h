/* Answers to requests. Each function here ends the request: it is gone afterwards
 * (but for those that say otherwise). On the request's loop only; when the client is
 * gone, the answer goes nowhere. */
#ifndef RESTGW_ANSWER_H
#define RESTGW_ANSWER_H

#include <jansson.h>

#include "core/base/slice.h"
#include "core/base/writer.h"
#include "rest-gw/error.h"
#include "rest-gw/query.h"
#include "rest-gw/request.h"

/* Over it a request is answered with an internal error. */
enum { RESTGW_ANSWER_SIZE_MAX = 16 * 1024 * 1024 };

/* Adds a header field; does not end the request. Before restgw_answer_begin. Control
 * bytes in value become spaces. When memory is out the field is left away. */
void restgw_answer_header(struct restgw_request *request, const char *name,
                          struct base_slice value);

/* The JSON body is written straight into the bytes that are sent: begin, write, end.
 * begin does not end the request. An error instead of end is fine: it starts anew. */
struct base_writer *restgw_answer_begin(struct restgw_request *request);
void restgw_answer_end(struct restgw_request *request, int status);

/* value is borrowed. */
void restgw_answer_json(struct restgw_request *request, int status, const json_t *value);

/* Any other body; it is copied. content_type is a literal of at most 64 bytes. */
void restgw_answer_bytes(struct restgw_request *request, int status, const char *content_type,
                         struct base_slice body);

/* Without a body: 204 and the like. */
void restgw_answer_empty(struct restgw_request *request, int status);

/* {"code":..,"message":".."} with the status that goes with it. */
void restgw_answer_error(struct restgw_request *request, enum restgw_error error);

/* With a detail, cut to 256 bytes. */
void restgw_answer_errorf(struct restgw_request *request, enum restgw_error error,
                          const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What a core library reported. */
void restgw_answer_base_error(struct restgw_request *request, enum base_err err);

/* True, with the request answered, when a field or parameter was wrong. */
bool restgw_answer_bad_fields(struct restgw_request *request, const struct restgw_fields *fields);
bool restgw_answer_bad_query(struct restgw_request *request, const struct restgw_query *query);

#endif
