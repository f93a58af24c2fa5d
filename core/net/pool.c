/* Thread pool: one queue, one lock, threads that wait. */
#include "core/net/pool.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/net/task_queue_priv.h"
#include "core/net/thread_priv.h"

struct net_pool {
    struct base_executor executor;
    pthread_mutex_t lock;
    pthread_cond_t posted;
    struct net__task_queue tasks; /* guarded */
    atomic_uint unfinished;       /* written under the lock; posted and not yet run to the end */
    bool stopping;                /* guarded */
    unsigned threads_named;       /* guarded; gives each thread its index */
    unsigned threads_count;       /* started; joined by close */
    pthread_t threads[];
};

static _Thread_local struct net_pool *current_pool;

static struct net_pool *pool_of(struct base_executor *executor)
{
    return BASE_CONTAINER_OF(executor, struct net_pool, executor);
}

static void lock(struct net_pool *pool)
{
    int failed = pthread_mutex_lock(&pool->lock);
    BASE_ASSERT(!failed);
}

static void unlock(struct net_pool *pool)
{
    int failed = pthread_mutex_unlock(&pool->lock);
    BASE_ASSERT(!failed);
}

static void pool_post(struct base_executor *executor, struct base_task *task)
{
    struct net_pool *pool = pool_of(executor);

    BASE_ASSERT(task->run != NULL);
    lock(pool);
    net__task_queue_push(&pool->tasks, task);
    atomic_fetch_add_explicit(&pool->unfinished, 1, memory_order_relaxed);
    unlock(pool);
    /* Not under the lock, which the thread that wakes needs at once. Who posts is joined
     * before the pool is closed, or is one of its threads, or closes it. */
    pthread_cond_signal(&pool->posted);
}

static void pool_defer(struct base_executor *executor, struct base_task *task)
{
    (void)executor;
    (void)task;
    base_assert_fail("a pool has no turns", __FILE__, __LINE__);
}

static void pool_timer_refused(struct base_executor *executor, struct base_timer *timer)
{
    (void)executor;
    (void)timer;
    base_assert_fail("a pool has no timers", __FILE__, __LINE__);
}

static bool pool_is_current(struct base_executor *executor)
{
    return current_pool == pool_of(executor);
}

static const struct base_executor_ops pool_ops = {
    .post = pool_post,
    .defer = pool_defer,
    .timer_arm = pool_timer_refused,
    .timer_stop = pool_timer_refused,
    .is_current = pool_is_current,
};

static void *pool_main(void *argument)
{
    struct net_pool *pool = argument;

    current_pool = pool;
    lock(pool);
    net__thread_name("pool", pool->threads_named++);
    for (;;) {
        struct base_task *task = net__task_queue_pop(&pool->tasks);
        if (task != NULL) {
            unlock(pool);
            task->run(task);
            lock(pool);
            atomic_fetch_sub_explicit(&pool->unfinished, 1, memory_order_relaxed);
        } else if (pool->stopping) {
            break;
        } else {
            pthread_cond_wait(&pool->posted, &pool->lock);
        }
    }
    unlock(pool);
    return NULL;
}

enum base_err net_pool_create(unsigned threads_count, struct base_clock *clock,
                              struct net_pool **out)
{
    BASE_ASSERT(threads_count > 0);
    BASE_ASSERT(clock != NULL);

    *out = NULL;
    struct net_pool *pool =
        base_alloc_array(1, sizeof *pool + threads_count * sizeof pool->threads[0]);
    if (pool == NULL) {
        return BASE_ERR_NOMEM;
    }
    pool->executor = (struct base_executor){.ops = &pool_ops, .clock = clock};
    int failed = pthread_mutex_init(&pool->lock, NULL);
    BASE_ASSERT(!failed);
    failed = pthread_cond_init(&pool->posted, NULL);
    BASE_ASSERT(!failed);
    for (unsigned i = 0; i < threads_count; i++) {
        enum base_err err = net__thread_start(&pool->threads[i], pool_main, pool);
        if (err != BASE_ERR_OK) {
            net_pool_close(&pool);
            return err;
        }
        pool->threads_count++;
    }
    *out = pool;
    return BASE_ERR_OK;
}

void net_pool_close(struct net_pool **pool)
{
    struct net_pool *closing = *pool;

    if (closing == NULL) {
        return;
    }
    BASE_ASSERT(current_pool != closing);
    lock(closing);
    closing->stopping = true;
    pthread_cond_broadcast(&closing->posted);
    unlock(closing);
    for (unsigned i = 0; i < closing->threads_count; i++) {
        int failed = pthread_join(closing->threads[i], NULL);
        BASE_ASSERT(!failed);
    }
    BASE_ASSERT(net__task_queue_is_empty(&closing->tasks));
    pthread_cond_destroy(&closing->posted);
    pthread_mutex_destroy(&closing->lock);
    base_free(closing);
    *pool = NULL;
}

bool net_pool_is_busy(struct net_pool *pool)
{
    return atomic_load_explicit(&pool->unfinished, memory_order_relaxed) > 0;
}

struct base_executor *net_pool_executor(struct net_pool *pool)
{
    return &pool->executor;
}
