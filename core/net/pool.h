/* Threads that may wait: fsync, unlink, cold reads, segment opening, password
 * hashing. A base_executor without timers and turns: tasks run in the order
 * posted, each on some thread of the pool. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include <stdbool.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/executor.h"

struct net_pool;

BASE_MUST_USE enum base_err net_pool_create(unsigned threads_count, struct base_clock *clock,
                                            struct net_pool **out);

/* Runs what is posted, then joins the threads and frees the pool. NULL-safe. */
void net_pool_close(struct net_pool **pool);

/* Whether something that was posted has not yet run to its end. Any thread; it may be over when
 * the caller looks at the answer. */
bool net_pool_is_busy(struct net_pool *pool);

struct base_executor *net_pool_executor(struct net_pool *pool);

#endif
