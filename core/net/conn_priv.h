/* A connection as its files see it: conn.c (life), input.c, output.c; and what
 * the listener needs to make one. */
#ifndef NET_CONN_PRIV_H
#define NET_CONN_PRIV_H

#include <ev.h>

#include "core/base/list.h"
#include "core/net/conn.h"

/* What made a connection and counts it. */
struct net__conn_owner {
    /* The connection is on its loop and open; an error closes it again. */
    enum base_err (*on_start)(struct net__conn_owner *owner, struct net_conn *conn);
    /* It is freed. Last call. */
    void (*on_gone)(struct net__conn_owner *owner);
};

enum net__conn_state {
    CONN_ACCEPTED,  /* on its way to its loop: no watcher runs, nobody knows it */
    CONN_OPEN,      /* reads and writes */
    CONN_DRAINING,  /* replies still queued, reads stopped */
    CONN_LINGERING, /* all is sent, FIN too; input is thrown away until the peer's FIN, since
                       closing over unread input would reset the connection and with it the
                       reply on its way (RFC 1122 4.2.2.13) */
    CONN_CLOSED,    /* watchers stopped; on_close and the end come with its task */
    CONN_STATE_COUNT
};

struct net_conn {
    const struct net_conn_options *options; /* borrowed from the listener */
    struct net_loop *loop;                  /* borrowed */
    struct net__conn_owner *owner;          /* borrowed */
    struct base_list siblings;              /* node in the owner's list */
    void *context;                          /* borrowed; the protocol's */
    enum net__conn_state state;
    enum base_err reason; /* of closing; valid in CONN_CLOSED */
    int fd;               /* owned */
    ev_io read_watcher;   /* .data is this connection */
    ev_io write_watcher;

    struct base_task task; /* start, again, end: whatever must wait for a later turn */
    bool task_queued;
    struct base_task flush_task;
    bool flush_queued;
    bool started; /* on_accept succeeded: on_close is owed */
    bool busy;    /* it is not idle, bytes or not */

    /* Time. One timer for both deadlines; it may ring early and is then set again. */
    struct base_timer timer;
    int64_t active_us;   /* last byte in or out, or word about being busy */
    int64_t deadline_us; /* the protocol's, or the end of lingering; INT64_MAX = none */

    /* Input: bytes [start, end) of the buffer are unread; NULL when there are none. */
    struct base_buffer *input; /* owned reference */
    size_t start;
    size_t end;
    size_t expected; /* bytes of the announced frame; 0 = unknown */
    unsigned paused; /* pauses not yet resumed */
    bool again;      /* on_input is owed a call even without new bytes */
    bool ended;      /* the peer sent FIN */

    /* Output: a ring of chunks. */
    struct base_chunk *chunks; /* owned array; NULL when capacity is 0 */
    uint32_t chunks_first;
    uint32_t chunks_count;
    uint32_t chunks_capacity; /* power of two */
    size_t output_bytes;

    char peer[NET_ADDRESS_SIZE];
    char local[NET_ADDRESS_SIZE];
};

/* Makes a connection for fd and sends it to its loop. Takes fd over, unless
 * memory is out (NOMEM). Any thread. options and owner outlive the connection. */
BASE_MUST_USE enum base_err net__conn_create(int fd, struct net_loop *loop,
                                             const struct net_conn_options *options,
                                             struct net__conn_owner *owner);

/* Makes conn->task run in a later turn. */
void net__conn_wake(struct net_conn *conn);

/* The same behind what other connections have put off. */
void net__conn_put_off(struct net_conn *conn);

/* Has the protocol end the connection in its own time: see on_drain. */
void net__conn_drain(struct net_conn *conn);

/* Brings the timer forward if the earliest deadline is before it. */
void net__conn_update_timer(struct net_conn *conn);

/* Reason of closing for an errno of the socket. */
enum base_err net__conn_err(const struct net_conn *conn, int error);

/* Reads and dispatches, up to the cap per turn. */
void net__conn_read(struct net_conn *conn);

/* Offers what is unread to the protocol. */
void net__conn_dispatch(struct net_conn *conn);

/* Drops the input buffer and what is in it. */
void net__conn_drop_input(struct net_conn *conn);

/* Writes until the queue is empty, the kernel is full, or the cap per turn is
 * reached; in the latter cases the write watcher runs afterwards. Calls nobody. */
BASE_MUST_USE enum base_err net__conn_write(struct net_conn *conn);

/* Queues a flush for the end of this turn. */
void net__conn_flush_later(struct net_conn *conn);

/* Drops all queued chunks. */
void net__conn_drop_output(struct net_conn *conn);

#endif
