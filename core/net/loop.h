/* One event loop: a thread with libev, a mailbox and timers.
 *
 * A loop is a base_executor; everything that has a net_loop pointer uses it from
 * the loop's own thread unless it says otherwise. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/executor.h"

struct net_loop;

/* Starts the thread. `index` names it ("loop-0"). */
BASE_MUST_USE enum base_err net_loop_create(unsigned index, struct base_clock *clock,
                                            struct net_loop **out);

/* Stops the thread after what is posted so far has run, joins it and frees the
 * loop. Not from a loop thread. All connections must be closed. NULL-safe. */
void net_loop_close(struct net_loop **loop);

/* Borrowed; lives as long as the loop. */
struct base_executor *net_loop_executor(struct net_loop *loop);

/* Monotonic microseconds as read at the start of this turn; own thread only. */
int64_t net_loop_now_us(struct net_loop *loop);

enum { NET_LOOP_TURN_LONG_US = 1000 };

/* Whether this turn has taken longer than that. A protocol asks after each request of a
 * pipeline: from then on every connection gets one a turn, so that turns stay short however
 * many clients ask without end, and others wait for one turn at most. Own thread only. */
bool net_loop_turn_is_long(struct net_loop *loop);

#endif
