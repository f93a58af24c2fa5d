/* Event loop.
 *
 * A turn is: libev's callbacks (sockets), then, in ev_prepare right before the
 * loop would sleep: due timers, some of what was put off, the mailbox, and in
 * rounds what was deferred and what is to be flushed. Whatever is left after
 * that keeps the loop awake through ev_idle, so that sockets get their share
 * between two batches. */
#include "core/net/loop.h"

#include <pthread.h>
#include <sched.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/refs.h"
#include "core/base/timer_heap.h"
#include "core/net/loop_priv.h"
#include "core/net/task_queue_priv.h"
#include "core/net/thread_priv.h"

enum {
    TIMERS_PER_TURN_MAX = 1024,
    ROUNDS_PER_TURN_MAX = 16, /* of deferred tasks that defer more */
    MAILBOX_ROUNDS_PER_TURN_MAX = 4,
};

struct net_loop {
    struct base_executor executor;
    struct net_pool *pool; /* borrowed; or NULL */
    unsigned index;
    struct ev_loop *ev; /* owned */
    ev_async wake_watcher;
    ev_check check_watcher;
    ev_prepare prepare_watcher;
    ev_idle idle_watcher; /* active: do not sleep */
    ev_timer timer_watcher;
    int64_t timer_us; /* what timer_watcher waits for; valid while it is active */
    int64_t now_us;   /* monotonic, start of this turn */
    struct base_timer_heap timers;
    struct net__task_queue deferred;
    struct net__task_queue flushes;
    struct net__task_queue put_off;
    struct base_buffer *input; /* owned; the spare read buffer, or NULL */
    size_t input_used;         /* bytes of it that were handed out */
    bool stopping;
    struct base_task stop_task;
    pthread_t thread;

    struct base_mutex mailbox_lock;
    struct net__task_queue mailbox; /* guarded */
};

static _Thread_local struct net_loop *current_loop;

static int64_t max_us(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static struct net_loop *loop_of(struct base_executor *executor)
{
    return BASE_CONTAINER_OF(executor, struct net_loop, executor);
}

static bool loop_is_current(struct base_executor *executor)
{
    return current_loop == loop_of(executor);
}

/* A post from the loop's own thread needs no wake-up: end_turn looks at the
 * mailbox before it lets the loop sleep. */
static void loop_post(struct base_executor *executor, struct base_task *task)
{
    struct net_loop *loop = loop_of(executor);

    BASE_ASSERT(task->run != NULL);
    base_mutex_lock(&loop->mailbox_lock);
    bool was_empty = net__task_queue_is_empty(&loop->mailbox);
    net__task_queue_push(&loop->mailbox, task);
    /* Under the lock: the loop cannot run the last task and be freed in between. */
    if (was_empty && current_loop != loop) {
        ev_async_send(loop->ev, &loop->wake_watcher);
    }
    base_mutex_unlock(&loop->mailbox_lock);
}

static void loop_defer(struct base_executor *executor, struct base_task *task)
{
    struct net_loop *loop = loop_of(executor);

    BASE_ASSERT(current_loop == loop);
    BASE_ASSERT(task->run != NULL);
    net__task_queue_push(&loop->deferred, task);
}

static void loop_timer_arm(struct base_executor *executor, struct base_timer *timer)
{
    struct net_loop *loop = loop_of(executor);

    BASE_ASSERT(current_loop == loop);
    base_timer_heap_arm(&loop->timers, timer);
}

static void loop_timer_stop(struct base_executor *executor, struct base_timer *timer)
{
    struct net_loop *loop = loop_of(executor);

    BASE_ASSERT(current_loop == loop);
    base_timer_heap_stop(&loop->timers, timer);
}

static const struct base_executor_ops loop_ops = {
    .post = loop_post,
    .defer = loop_defer,
    .timer_arm = loop_timer_arm,
    .timer_stop = loop_timer_stop,
    .is_current = loop_is_current,
};

/* Runs what is queued now; what that queues runs in the next batch. */
static void run_batch(struct net__task_queue *queue)
{
    struct net__task_queue batch = *queue;
    struct base_task *task = NULL;

    *queue = (struct net__task_queue){0};
    while ((task = net__task_queue_pop(&batch)) != NULL) {
        task->run(task);
    }
}

static void run_mailbox(struct net_loop *loop)
{
    base_mutex_lock(&loop->mailbox_lock);
    struct net__task_queue batch = loop->mailbox;
    loop->mailbox = (struct net__task_queue){0};
    base_mutex_unlock(&loop->mailbox_lock);
    run_batch(&batch);
}

static bool has_work(struct net_loop *loop)
{
    base_mutex_lock(&loop->mailbox_lock);
    bool posted = !net__task_queue_is_empty(&loop->mailbox);
    base_mutex_unlock(&loop->mailbox_lock);
    return posted || !net__task_queue_is_empty(&loop->deferred) ||
           !net__task_queue_is_empty(&loop->flushes);
}

/* Those who put off the rest of their work go on, first come, first served, for as long as all
 * others took in this turn, at least until it is no longer short, and one in any case: neither side
 * starves. */
static void run_put_off(struct net_loop *loop)
{
    struct net__task_queue batch = loop->put_off;
    struct base_task *task = NULL;

    if (net__task_queue_is_empty(&batch)) {
        return; /* most turns: no need to ask the time */
    }
    int64_t others_us = base_clock_monotonic_us(loop->executor.clock) - loop->now_us;
    int64_t end_us = loop->now_us + max_us(NET_LOOP_TURN_SHORT_US, 2 * others_us);

    loop->put_off = (struct net__task_queue){0};
    while ((task = net__task_queue_pop(&batch)) != NULL) {
        task->run(task);
        if (base_clock_monotonic_us(loop->executor.clock) > end_us) {
            break;
        }
    }
    net__task_queue_append(&batch, &loop->put_off);
    loop->put_off = batch;
}

/* Flushes once more than the last deferred round, so that a task that defers
 * itself for ever cannot keep output back. */
static void run_deferred(struct net_loop *loop)
{
    unsigned round = 0;

    do {
        while (!net__task_queue_is_empty(&loop->deferred) && round < ROUNDS_PER_TURN_MAX) {
            run_batch(&loop->deferred);
            round++;
        }
        run_batch(&loop->flushes);
        round++;
    } while (round < ROUNDS_PER_TURN_MAX && (!net__task_queue_is_empty(&loop->deferred) ||
                                             !net__task_queue_is_empty(&loop->flushes)));
}

/* One ev_timer stands for the whole heap. One that is armed too early is left
 * alone: it wakes the loop once for nothing, which is cheaper than moving it
 * whenever a deadline is pushed back. */
static void arm_timer(struct net_loop *loop)
{
    int64_t next_us = base_timer_heap_next_us(&loop->timers);

    if (next_us < 0 || (ev_is_active(&loop->timer_watcher) && loop->timer_us <= next_us)) {
        return;
    }
    double after_s = next_us <= loop->now_us ? 0.0 : (double)(next_us - loop->now_us) / 1e6;
    ev_timer_stop(loop->ev, &loop->timer_watcher);
    ev_timer_set(&loop->timer_watcher, after_s, 0.0);
    ev_timer_start(loop->ev, &loop->timer_watcher);
    loop->timer_us = next_us;
}

/* First callback after the loop slept. */
static void loop_on_check(struct ev_loop *ev, ev_check *watcher, int revents)
{
    struct net_loop *loop = watcher->data;

    (void)revents;
    BASE_ASSERT(loop->ev == ev);
    loop->now_us = base_clock_monotonic_us(loop->executor.clock);
}

/* A loop that does not sleep would keep a thread of the pool that wakes up on its processor
 * waiting until the kernel's next tick, and with it all whose answers wait for the disk. */
static void give_way(struct net_loop *loop)
{
    if (loop->pool != NULL && net_pool_is_busy(loop->pool)) {
        (void)sched_yield();
    }
}

/* Last callback before the loop sleeps. */
static void loop_on_prepare(struct ev_loop *ev, ev_prepare *watcher, int revents)
{
    struct net_loop *loop = watcher->data;

    (void)revents;
    BASE_ASSERT(loop->ev == ev);
    BASE_ASSERT(current_loop == loop);

    (void)base_timer_heap_run(&loop->timers, loop->now_us, TIMERS_PER_TURN_MAX);
    run_put_off(loop);
    /* What a task posts here, an answer for example, need not wait for a look at the sockets. */
    unsigned rounds = 0;
    do {
        run_mailbox(loop);
        run_deferred(loop);
        rounds++;
    } while (rounds < MAILBOX_ROUNDS_PER_TURN_MAX && has_work(loop));

    if (has_work(loop) || !net__task_queue_is_empty(&loop->put_off)) {
        ev_idle_start(ev, &loop->idle_watcher);
        give_way(loop);
    } else {
        ev_idle_stop(ev, &loop->idle_watcher);
        if (loop->stopping) {
            ev_break(ev, EVBREAK_ALL);
        }
    }
    arm_timer(loop);
}

/* These three only end the loop's sleep; the work is done in loop_on_prepare. */
static void loop_on_wake(struct ev_loop *ev, ev_async *watcher, int revents)
{
    (void)ev;
    (void)watcher;
    (void)revents;
}

static void loop_on_idle(struct ev_loop *ev, ev_idle *watcher, int revents)
{
    (void)ev;
    (void)watcher;
    (void)revents;
}

static void loop_on_timer(struct ev_loop *ev, ev_timer *watcher, int revents)
{
    (void)ev;
    (void)watcher;
    (void)revents;
}

static void stop_loop(struct base_task *task)
{
    struct net_loop *loop = BASE_CONTAINER_OF(task, struct net_loop, stop_task);

    BASE_ASSERT(!loop->stopping);
    loop->stopping = true;
}

static void *loop_main(void *argument)
{
    struct net_loop *loop = argument;

    current_loop = loop;
    net__thread_name("loop", loop->index);
    loop->now_us = base_clock_monotonic_us(loop->executor.clock);
    (void)ev_run(loop->ev, 0);
    return NULL;
}

static void init_watchers(struct net_loop *loop)
{
    ev_async_init(&loop->wake_watcher, loop_on_wake);
    ev_async_start(loop->ev, &loop->wake_watcher);
    ev_check_init(&loop->check_watcher, loop_on_check);
    ev_set_priority(&loop->check_watcher, EV_MAXPRI);
    loop->check_watcher.data = loop;
    ev_check_start(loop->ev, &loop->check_watcher);
    ev_prepare_init(&loop->prepare_watcher, loop_on_prepare);
    loop->prepare_watcher.data = loop;
    ev_prepare_start(loop->ev, &loop->prepare_watcher);
    ev_idle_init(&loop->idle_watcher, loop_on_idle);
    ev_timer_init(&loop->timer_watcher, loop_on_timer, 0.0, 0.0);
}

static void destroy(struct net_loop *loop)
{
    if (loop->ev != NULL) {
        ev_loop_destroy(loop->ev);
    }
    base_buffer_release(&loop->input);
    base_timer_heap_fini(&loop->timers);
    base_mutex_fini(&loop->mailbox_lock);
    base_free(loop);
}

enum base_err net_loop_create(unsigned index, struct base_clock *clock, struct net_pool *pool,
                              struct net_loop **out)
{
    enum base_err err = BASE_ERR_OK;

    BASE_ASSERT(clock != NULL);
    *out = NULL;
    struct net_loop *loop = base_alloc_object(struct net_loop);
    if (loop == NULL) {
        return BASE_ERR_NOMEM;
    }
    loop->executor = (struct base_executor){.ops = &loop_ops, .clock = clock};
    loop->pool = pool;
    loop->index = index;
    loop->stop_task.run = stop_loop;
    base_timer_heap_init(&loop->timers);
    base_mutex_init(&loop->mailbox_lock);
    loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (loop->ev == NULL) {
        base_log(BASE_LOG_ERROR, "LOOP_CREATE_FAILED", "loop=%u", index);
        err = BASE_ERR_IO;
        goto exit;
    }
    init_watchers(loop);
    err = net__thread_start(&loop->thread, loop_main, loop);
    if (err != BASE_ERR_OK) {
        goto exit;
    }
    *out = loop;
    loop = NULL;

exit:
    if (loop != NULL) {
        destroy(loop);
    }
    return err;
}

void net_loop_close(struct net_loop **loop)
{
    if (*loop == NULL) {
        return;
    }
    BASE_ASSERT(current_loop == NULL);
    base_executor_post(&(*loop)->executor, &(*loop)->stop_task);
    int failed = pthread_join((*loop)->thread, NULL);
    BASE_ASSERT(!failed);
    BASE_ASSERT(net__task_queue_is_empty(&(*loop)->mailbox)); /* else a task is lost */
    destroy(*loop);
    *loop = NULL;
}

struct base_executor *net_loop_executor(struct net_loop *loop)
{
    return &loop->executor;
}

int64_t net_loop_now_us(struct net_loop *loop)
{
    BASE_ASSERT(current_loop == loop);
    return loop->now_us;
}

bool net_loop_turn_is_over(struct net_loop *loop, size_t request_size)
{
    int64_t took_us = base_clock_monotonic_us(loop->executor.clock) - net_loop_now_us(loop);
    return took_us > (request_size < NET_LOOP_REQUEST_WITH_DATA_SIZE ? NET_LOOP_TURN_SHORT_US
                                                                     : NET_LOOP_TURN_LONG_US);
}

struct ev_loop *net__loop_ev(struct net_loop *loop)
{
    return loop->ev;
}

void net__loop_flush(struct net_loop *loop, struct base_task *task)
{
    BASE_ASSERT(current_loop == loop);
    net__task_queue_push(&loop->flushes, task);
}

void net__loop_put_off(struct net_loop *loop, struct base_task *task)
{
    BASE_ASSERT(current_loop == loop);
    net__task_queue_push(&loop->put_off, task);
}

struct base_buffer *net__loop_take_input(struct net_loop *loop, size_t room, size_t *used)
{
    BASE_ASSERT(current_loop == loop);
    BASE_ASSERT(room <= NET__INPUT_SIZE);

    struct base_buffer *buffer = loop->input;
    loop->input = NULL;
    *used = loop->input_used;
    if (buffer != NULL && NET__INPUT_SIZE - *used < room) {
        base_buffer_release(&buffer);
    }
    if (buffer == NULL) {
        buffer = base_buffer_create(NET__INPUT_SIZE);
        *used = 0;
    }
    return buffer;
}

void net__loop_give_input(struct net_loop *loop, struct base_buffer *buffer, size_t used)
{
    BASE_ASSERT(current_loop == loop);
    BASE_ASSERT(used <= buffer->capacity);

    /* Acquire: the last foreign holder's accesses come before our next write. */
    if (base_refs_is_one(&buffer->refs)) {
        used = 0;
    }
    if (loop->input == NULL && buffer->capacity == NET__INPUT_SIZE &&
        buffer->capacity - used >= NET__INPUT_ROOM_MIN) {
        loop->input = buffer;
        loop->input_used = used;
    } else {
        base_buffer_release(&buffer);
    }
}
