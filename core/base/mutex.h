/* The lock of a monitor: a mutex that knows whether it is held, so that
 * "caller holds the lock" can be asserted. Not recursive. */
#ifndef BASE_MUTEX_H
#define BASE_MUTEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct base_mutex {
    pthread_mutex_t mutex;
    atomic_bool held; /* by some thread; enough to catch a forgotten lock */
};

void base_mutex_init(struct base_mutex *mutex);
void base_mutex_fini(struct base_mutex *mutex);
void base_mutex_lock(struct base_mutex *mutex);
void base_mutex_unlock(struct base_mutex *mutex);
void base_mutex_assert_held(struct base_mutex *mutex);

#endif
