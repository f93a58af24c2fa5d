/* The inside of connections, requests and the server, for this folder. */
#ifndef KHANDLER_CONN_PRIV_H
#define KHANDLER_CONN_PRIV_H

#include <stdatomic.h>

#include "core/base/list.h"
#include "core/catalog/reader.h"
#include "core/net/conn.h"
#include "kafka-proto/handlers/request.h"
#include "kafka-proto/handlers/session_priv.h"
#include "kafka-proto/handlers/table.h"

struct khandler_fetch_sessions;

/* What one loop has for its connections: no locks needed. */
struct khandler_loop {
    struct khandler_server *server; /* borrowed */
    struct net_loop *loop;          /* borrowed */
    struct catalog_reader reader;
    struct khandler_fetch_sessions *sessions; /* owned */
};

struct khandler_server {
    struct khandler_options options;
    struct khandler_loop *loops; /* owned array, one per net_loop */
    atomic_uint alive_count;     /* connections with requests in flight, plus one until close */
    struct base_executor *closed_executor;
    struct base_task *closed_task;
};

/* One connection less; frees the server with the last. */
void khandler__server_forget(struct khandler_server *server);

struct khandler_conn {
    struct khandler_loop *loop; /* borrowed */
    struct net_conn *net;       /* borrowed; NULL once it is gone */
    struct base_list requests;  /* in flight, in order of arrival */
    uint32_t requests_count;
    size_t in_flight_bytes; /* of memory that they take, as far as they were weighed */
    bool paused;            /* too many or too large requests in flight: reading stopped */
    bool awaits_offsets;    /* an OffsetFetch behind an unfinished change: reading stopped */
    bool stalled;           /* too many bytes the client does not take: reading stopped */
    bool refused;    /* a bad request, or the broker stops: nothing more is read, and after what
                      * was asked before is answered the connection is closed */
    bool closing;    /* the last answer is on its way: no more */
    bool cancelling; /* on_close is walking the requests */
    struct khandler_session *session; /* owned; NULL where there is no authentication */
    struct base_list fetch_sessions;  /* of this connection: see fetch_session.h */
    char host[NET_ADDRESS_SIZE];
    size_t host_length;
};

enum khandler_request_state {
    KHANDLER_RUNNING,  /* the handler has it */
    KHANDLER_ANSWERED, /* waits for the ones in front of it to be sent */
};

/* struct khandler_request with what the connection needs. */
struct khandler_request_own {
    struct khandler_request request;
    struct base_list link;
    enum khandler_request_state state;
    bool closes;               /* refused: closing the connection is its answer */
    bool is_raw;               /* a SASL token without headers, and so is its answer */
    struct base_chunk *chunks; /* the answer; in the request's arena, references owned */
    size_t chunks_count;
    size_t frame_size;
    size_t size; /* its part of in_flight_bytes */
};

struct khandler_loop *khandler__loop(struct khandler_request *request);

/* Callbacks of the net layer. */
extern const struct net_conn_ops khandler__conn_ops;
enum base_err khandler__on_accept(void *context, struct net_conn *conn);

#endif
