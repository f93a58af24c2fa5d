/* A listening TCP socket whose connections are handed to loops round robin. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/net/conn.h"

struct net_listener;

struct net_listener_options {
    const char *host;        /* name or address; "" or "0.0.0.0" = all of v4, "::" = all of v6 */
    uint16_t port;           /* 0 = any free one */
    struct net_loop **loops; /* borrowed array; accepting runs on loops[0] */
    unsigned loops_count;
    struct net_conn_options conn; /* for each accepted connection */
    /* Called on the connection's loop before the first on_input, to hang a context on
     * it. An error closes the connection; on_close is not called then. */
    enum base_err (*on_accept)(void *context, struct net_conn *conn);
    void *context;            /* borrowed; for on_accept */
    unsigned connections_max; /* over it new connections are closed at once */
};

/* Binds and listens; accepting starts at once.
 * INVALID the host does not resolve, BUSY the port is taken, IO, NOMEM. */
BASE_MUST_USE enum base_err net_listener_create(const struct net_listener_options *options,
                                                struct net_listener **out);

/* The port bound, also when 0 was asked for. */
uint16_t net_listener_port(const struct net_listener *listener);

/* Connections open now. Any thread. */
unsigned net_listener_connections(const struct net_listener *listener);

/* Stops accepting and closes the socket; existing connections live on. Waits for
 * loops[0] to let go of it; not from a loop thread. NULL-safe. */
void net_listener_stop(struct net_listener *listener);

/* After stop: has every connection of this listener drained (on_drain; its output leaves)
 * for at most drain_ms, closes those that are left, and waits until all are gone. Not from a
 * loop thread. */
void net_listener_drain(struct net_listener *listener, int64_t drain_ms);

/* After stop and drain. Sets *listener to NULL. NULL-safe. */
void net_listener_close(struct net_listener **listener);

#endif
