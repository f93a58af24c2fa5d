/* One Kafka request while it is being handled.
 *
 * A handler reads request->message, calls the core, and ends the request exactly once:
 * with khandler_answer, khandler_answer_nothing or khandler_refuse, at once or when what it
 * waits for has posted back. Answers leave in the order of the requests, whatever ends first.
 * A handler allocates from the request's arena and frees nothing.
 *
 * Threads: the connection's loop only. */
#ifndef KHANDLER_REQUEST_H
#define KHANDLER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/executor.h"
#include "core/catalog/view.h"
#include "core/security/security.h"
#include "kafka-proto/api.h"
#include "kafka-proto/frame.h"
#include "kafka-proto/handlers/server.h"

struct khandler_conn;
struct khandler_request;

/* The connection is gone while the request waits: give up what can be given up, and end the
 * request (with any of the three calls) as soon as no posted task will come any more. */
typedef void khandler_on_cancel(struct khandler_request *request);

/* The broker stops: answer now with what there is, if the wait might be long. */
typedef void khandler_on_drain(struct khandler_request *request);

struct khandler_request {
    struct khandler_conn *conn; /* borrowed */
    const struct kproto_api *api;
    struct kproto_request_header header;
    const void *message;            /* decoded, struct kproto_<api>_request; in arena and frame */
    struct base_buffer *frame;      /* held; the bytes that slices of the message point into */
    struct base_arena arena;        /* freed when the answer's turn has come */
    struct base_executor *executor; /* the connection's loop */
    const struct khandler_options *broker; /* borrowed: the core's objects */
    const struct security_principal *principal;
    void *context;                 /* the handler's, for its continuations */
    khandler_on_cancel *on_cancel; /* set by a handler that waits; NULL: it cannot be cut short */
    khandler_on_drain *on_drain;   /* likewise; NULL: its answer is waited for */
};

/* The newest view; borrowed until this call of the handler returns to the loop. */
struct catalog_view *khandler_view(const struct khandler_request *request);

/* Ends the request with a response struct of its API, in any memory. The request and its
 * arena may be gone afterwards. */
void khandler_answer(struct khandler_request *request, const void *response);

/* The two halves of khandler_answer, for a handler that has to release what the response
 * pointed to in between: after encode nothing of it is needed any more. */
void khandler_encode(struct khandler_request *request, const void *response);
void khandler_end(struct khandler_request *request);

/* Ends the request without a response: Produce with acks=0. */
void khandler_answer_nothing(struct khandler_request *request);

/* Ends the request by closing the connection: what Kafka does with requests it cannot parse. */
void khandler_refuse(struct khandler_request *request, const char *why);

/* Peer's address, without port, for client_host; lives as long as the connection. */
struct base_slice khandler_client_host(struct khandler_request *request);

/* True once the connection is gone. */
bool khandler_is_cancelled(const struct khandler_request *request);

/* Everything zeroed or at its default, in the request's arena; NULL when it is full: refuse. */
#define khandler_array(request, name, count) kproto_array_create(&(request)->arena, name, (count))

#endif
