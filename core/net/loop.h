/* One event loop: a thread with libev, a mailbox and timers.
 *
 * A loop is a base_executor; everything that has a net_loop pointer uses it from
 * the loop's own thread unless it says otherwise. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/net/pool.h"

struct net_loop;

/* Starts the thread. `index` names it ("loop-0"). While it has more than it can do, it gives way
 * to the threads of pool, after each turn; pool outlives the loop and may be NULL. */
BASE_MUST_USE enum base_err net_loop_create(unsigned index, struct base_clock *clock,
                                            struct net_pool *pool, struct net_loop **out);

/* Stops the thread after what is posted so far has run, joins it and frees the
 * loop. Not from a loop thread. All connections must be closed. NULL-safe. */
void net_loop_close(struct net_loop **loop);

/* Borrowed; lives as long as the loop. */
struct base_executor *net_loop_executor(struct net_loop *loop);

/* Monotonic microseconds as read at the start of this turn; own thread only. */
int64_t net_loop_now_us(struct net_loop *loop);

enum {
    NET_LOOP_TURN_SHORT_US = 200,
    /* What requests with data bring together is written to the log together. */
    NET_LOOP_TURN_LONG_US = 1000,
    NET_LOOP_REQUEST_WITH_DATA_SIZE = 4096, /* a request of at least this size has data */
};

/* Whether this turn has taken its time, which depends on the size of the last request. A protocol
 * asks after each request of a pipeline and puts off the rest (net_conn_again), so that turns stay
 * short however many clients ask without end: others wait for a turn or two. Own thread only. */
bool net_loop_turn_is_over(struct net_loop *loop, size_t request_size);

#endif
