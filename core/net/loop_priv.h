/* What the rest of this library uses of a loop. Own thread only. */
#ifndef NET_LOOP_PRIV_H
#define NET_LOOP_PRIV_H

#include <ev.h>

#include "core/base/buffer.h"
#include "core/net/loop.h"

enum {
    NET__INPUT_SIZE = 64 * 1024,     /* the buffer that connections read into */
    NET__INPUT_ROOM_MIN = 16 * 1024, /* a read with less room is not worth a system call */
};

struct ev_loop *net__loop_ev(struct net_loop *loop);

/* Runs task at the end of the turn, after everything deferred: the place where
 * connections write what the turn has queued. */
void net__loop_flush(struct net_loop *loop, struct base_task *task);

/* Runs task when the time for what was put off comes to it, in this turn or a later one. */
void net__loop_put_off(struct net_loop *loop, struct base_task *task);

/* Moves the loop's read buffer (NET__INPUT_SIZE) to the caller. Bytes before
 * *used may be held by others and are not to be touched; at least room bytes
 * follow. NULL when memory is out. */
struct base_buffer *net__loop_take_input(struct net_loop *loop, size_t room, size_t *used);

/* Moves a buffer of any size back. Bytes before `used` were handed out; the
 * loop keeps it for the next read if that can go behind them, or if nobody has
 * kept any. Small frames of many connections so share one buffer. */
void net__loop_give_input(struct net_loop *loop, struct base_buffer *buffer, size_t used);

#endif
