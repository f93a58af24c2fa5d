/* Monitor lock. */
#include "core/base/mutex.h"

#include "core/base/assert.h"

void base_mutex_init(struct base_mutex *mutex)
{
    int failed = pthread_mutex_init(&mutex->mutex, NULL);
    BASE_ASSERT(!failed);
    atomic_init(&mutex->held, false);
}

void base_mutex_fini(struct base_mutex *mutex)
{
    BASE_ASSERT(!atomic_load_explicit(&mutex->held, memory_order_relaxed));
    int failed = pthread_mutex_destroy(&mutex->mutex);
    BASE_ASSERT(!failed);
}

void base_mutex_lock(struct base_mutex *mutex)
{
    int failed = pthread_mutex_lock(&mutex->mutex);
    BASE_ASSERT(!failed);
    atomic_store_explicit(&mutex->held, true, memory_order_relaxed);
}

void base_mutex_unlock(struct base_mutex *mutex)
{
    atomic_store_explicit(&mutex->held, false, memory_order_relaxed);
    int failed = pthread_mutex_unlock(&mutex->mutex);
    BASE_ASSERT(!failed);
}

void base_mutex_assert_held(struct base_mutex *mutex)
{
    BASE_ASSERT(atomic_load_explicit(&mutex->held, memory_order_relaxed));
}
