/* One accepted TCP connection on one loop: buffered input, ordered output,
 * limits and deadlines. It knows no protocol.
 *
 * Input lands in a counted buffer. The protocol looks at it in on_input, consumes
 * whole frames and may hold the buffer to keep bytes without copying them; the
 * connection then never writes into bytes it has handed out. The buffer grows with
 * bytes received, never with a length a peer announced (CVE-2022-34917).
 *
 * Output is a queue of chunks. It is written with writev and sendfile at the end
 * of the loop's turn, so that answers to pipelined requests leave together.
 *
 * Threads: everything on the connection's own loop. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/chunk.h"
#include "core/base/slice.h"
#include "core/net/loop.h"

struct net_conn;

enum { NET_ADDRESS_SIZE = 64 }; /* "[v6 address]:port" and the terminator */

struct net_conn_ops {
    /* New bytes are there (or reading was resumed with bytes left over). Called
     * again only after more bytes came: consume all whole frames now, up to a cap
     * per turn; net_conn_again() asks for another call later. */
    void (*on_input)(struct net_conn *conn);
    /* The peer will send no more (FIN). Default when NULL: close. */
    void (*on_end)(struct net_conn *conn);
    /* Output was written, and less than output_low_bytes is left now. May be NULL. */
    void (*on_drained)(struct net_conn *conn);
    /* The listener drains: answer what waits, read nothing more, and close (when_sent) with
     * the last answer. Default when NULL: closed when sent at once. */
    void (*on_drain)(struct net_conn *conn);
    /* The connection is gone: last call, for freeing what hangs on it. reason is
     * OK when our side closed it, CLOSED the peer, TIMEOUT a deadline, TOO_LARGE a
     * limit, IO an error. */
    void (*on_close)(struct net_conn *conn, enum base_err reason);
};

struct net_conn_options {
    const struct net_conn_ops *ops; /* borrowed */
    size_t input_bytes_max;         /* most unconsumed input; over it the connection is closed */
    size_t output_bytes_max;        /* most unsent output; over it the connection is closed
                                       (CVE-2025-21605) */
    size_t output_low_bytes;        /* on_drained below this */
    int64_t idle_timeout_ms;        /* without any byte in or out, unless busy; 0 = none */
};

/* What the protocol hangs on the connection. Borrowed. */
void net_conn_set_context(struct net_conn *conn, void *context);
void *net_conn_context(const struct net_conn *conn);
struct net_loop *net_conn_loop(const struct net_conn *conn);

/* Address of the peer, as text; static for the connection's life. */
const char *net_conn_peer(const struct net_conn *conn);

/* The same connection on the other side: the local address the client reached. */
const char *net_conn_local(const struct net_conn *conn);

/* Unconsumed input, contiguous. Valid until consume or return from on_input. */
struct base_slice net_conn_input(const struct net_conn *conn);

/* The counted buffer that holds the input: hold it to keep frame bytes. The bytes
 * of a held frame may be written by the holder (base offsets are patched in place). */
struct base_buffer *net_conn_input_buffer(const struct net_conn *conn);

void net_conn_consume(struct net_conn *conn, size_t length);

/* A frame of `length` bytes in all has begun: the connection may make the buffer
 * large enough in steps as bytes arrive. A hint, never an allocation by itself of
 * more than a named step. on_input is not called again until they are there. Counted
 * from the first unconsumed byte; holds until on_input is called next. Over
 * input_bytes_max the connection is closed with TOO_LARGE. */
void net_conn_expect(struct net_conn *conn, size_t length);

/* Calls on_input again even if no byte comes, when others have had their turn. */
void net_conn_again(struct net_conn *conn);

/* Stops and resumes reading: the way to bound what is in flight. Counted: as many
 * resumes as pauses. */
void net_conn_pause(struct net_conn *conn);
void net_conn_resume(struct net_conn *conn);

/* Queues chunks; moves their references in every case, also when the connection is
 * already closing. Written at the end of the turn, or at once when output_bytes_max
 * would be exceeded: only what the kernel does not take counts as unsent. On an empty
 * queue one call may send more than the limit. After net_conn_close_when_sent chunks
 * are still taken as long as the queue has not run empty. */
void net_conn_send(struct net_conn *conn, const struct base_chunk *chunks, size_t count);

/* Bytes queued and not yet given to the kernel. */
size_t net_conn_output_bytes(const struct net_conn *conn);

/* Closes once (when_sent) the queue is empty or at once. Safe from any callback:
 * on_close comes in a later turn and the connection is freed after it. Idempotent.
 * When sent, the peer gets FIN first and some seconds to answer it; a plain close
 * over input not yet read would reset the connection and lose the reply. */
void net_conn_close(struct net_conn *conn, enum base_err reason);
void net_conn_close_when_sent(struct net_conn *conn);

/* Busy: our side works on a request, or waits for what it asks for. The connection is not idle
 * then. After each call its whole idle time is before it. */
void net_conn_set_busy(struct net_conn *conn, bool is_busy);

/* A deadline for the protocol (handshake, request header and body): the connection
 * is closed with TIMEOUT when it passes. 0 clears it. Milliseconds from now. */
void net_conn_set_deadline(struct net_conn *conn, int64_t timeout_ms);

#endif
