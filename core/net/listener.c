/* Listener: accepts on the first loop, hands connections to all.
 *
 * What belongs to one loop is a lane: its list of connections is touched on that
 * loop only. The count of connections is changed under the lock, so that drain
 * can wait for it and free the listener right after. */
#define _GNU_SOURCE /* accept4. NOLINT(bugprone-reserved-identifier) */

#include "core/net/listener.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/net/conn_priv.h"
#include "core/net/loop_priv.h"
#include "core/net/socket_priv.h"

enum {
    ACCEPTS_PER_TURN_MAX = 64,
    STARVED_PAUSE_US = 100 * 1000, /* out of descriptors or memory: time for some to come back */
    DRAIN_MS_MAX = 24 * 3600 * 1000,
};

struct lane {
    struct net__conn_owner owner;
    struct net_listener *listener; /* borrowed */
    struct net_loop *loop;         /* borrowed */
    struct base_list conns;        /* own loop only */
    struct base_task task;
};

struct net_listener {
    struct net_listener_options options;
    struct lane *lanes; /* owned; one per loop */
    unsigned lane_next; /* round robin */
    int fd;             /* owned; -1 once stopped */
    uint16_t port;
    ev_io accept_watcher;
    struct base_timer retry_timer; /* armed while accepting is paused */
    bool refusing;                 /* the last connection was refused: say so once */
    struct base_task start_task;
    struct base_task stop_task;
    atomic_uint connections; /* written under the lock */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned tasks_running; /* guarded; posted to loops and not yet done */
};

static void lock(struct net_listener *listener)
{
    int failed = pthread_mutex_lock(&listener->lock);
    BASE_ASSERT(!failed);
}

static void unlock(struct net_listener *listener)
{
    int failed = pthread_mutex_unlock(&listener->lock);
    BASE_ASSERT(!failed);
}

/* Posts a task whose end wait_for_tasks() waits for. */
static void post(struct net_listener *listener, struct net_loop *loop, struct base_task *task)
{
    lock(listener);
    listener->tasks_running++;
    unlock(listener);
    base_executor_post(net_loop_executor(loop), task);
}

/* Last act of such a task: the listener may be freed right after. */
static void task_done(struct net_listener *listener)
{
    lock(listener);
    BASE_ASSERT(listener->tasks_running > 0);
    listener->tasks_running--;
    pthread_cond_broadcast(&listener->changed);
    unlock(listener);
}

static void wait_for_tasks(struct net_listener *listener)
{
    lock(listener);
    while (listener->tasks_running > 0) {
        pthread_cond_wait(&listener->changed, &listener->lock);
    }
    unlock(listener);
}

static enum base_err lane_on_start(struct net__conn_owner *owner, struct net_conn *conn)
{
    struct lane *lane = BASE_CONTAINER_OF(owner, struct lane, owner);
    struct net_listener_options *options = &lane->listener->options;

    base_list_push_back(&lane->conns, &conn->siblings);
    return options->on_accept == NULL ? BASE_ERR_OK : options->on_accept(options->context, conn);
}

static void add_connections(struct net_listener *listener, unsigned added, unsigned removed)
{
    lock(listener);
    unsigned before = atomic_load_explicit(&listener->connections, memory_order_relaxed);
    BASE_ASSERT(before + added >= removed);
    atomic_store_explicit(&listener->connections, before + added - removed, memory_order_relaxed);
    pthread_cond_broadcast(&listener->changed);
    unlock(listener);
}

static void lane_on_gone(struct net__conn_owner *owner)
{
    add_connections(BASE_CONTAINER_OF(owner, struct lane, owner)->listener, 0, 1);
}

/* Takes fd over. */
static void hand_over(struct net_listener *listener, int fd)
{
    struct lane *lane = &listener->lanes[listener->lane_next];

    if (net_listener_connections(listener) >= listener->options.connections_max) {
        if (!listener->refusing) {
            listener->refusing = true;
            base_log(BASE_LOG_WARN, "CONNECTIONS_MAX_REACHED", "port=%u connections_max=%u",
                     (unsigned)listener->port, listener->options.connections_max);
        }
        (void)close(fd);
        return;
    }
    /* Counted first: on its loop the connection may end before we are back. */
    add_connections(listener, 1, 0);
    enum base_err err = net__conn_create(fd, lane->loop, &listener->options.conn, &lane->owner);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "ACCEPT_FAILED", "port=%u reason=\"%s\"", (unsigned)listener->port,
                 base_err_text(err));
        add_connections(listener, 0, 1);
        (void)close(fd);
        return;
    }
    listener->refusing = false;
    listener->lane_next = (listener->lane_next + 1) % listener->options.loops_count;
}

/* The kernel keeps reporting a connection that we have no descriptor for: look
 * away for a while instead of spinning. The peer waits in the backlog meanwhile. */
static void pause_accepting(struct net_listener *listener, int error)
{
    struct net_loop *loop = listener->lanes[0].loop;

    if (!listener->refusing) {
        listener->refusing = true;
        base_log(BASE_LOG_ERROR, "ACCEPT_STARVED", "port=%u errno=%d", (unsigned)listener->port,
                 error);
    }
    ev_io_stop(net__loop_ev(loop), &listener->accept_watcher);
    base_timer_arm(net_loop_executor(loop), &listener->retry_timer,
                   net_loop_now_us(loop) + STARVED_PAUSE_US);
}

static void resume_accepting(struct base_timer *timer)
{
    struct net_listener *listener = BASE_CONTAINER_OF(timer, struct net_listener, retry_timer);

    BASE_ASSERT(listener->fd >= 0);
    ev_io_start(net__loop_ev(listener->lanes[0].loop), &listener->accept_watcher);
}

/* libev entry point. */
static void listener_on_readable(struct ev_loop *ev, ev_io *watcher, int revents)
{
    struct net_listener *listener = watcher->data;

    (void)ev;
    (void)revents;
    BASE_ASSERT(listener->fd >= 0);
    for (unsigned accepts = 0; accepts < ACCEPTS_PER_TURN_MAX; accepts++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            hand_over(listener, fd);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener, errno);
            return;
        }
        /* Others concern the one connection that was about to come: accept(2). */
    }
}

static void start_accepting(struct base_task *task)
{
    struct net_listener *listener = BASE_CONTAINER_OF(task, struct net_listener, start_task);

    ev_io_start(net__loop_ev(listener->lanes[0].loop), &listener->accept_watcher);
    task_done(listener);
}

static void stop_accepting(struct base_task *task)
{
    struct net_listener *listener = BASE_CONTAINER_OF(task, struct net_listener, stop_task);
    struct net_loop *loop = listener->lanes[0].loop;

    ev_io_stop(net__loop_ev(loop), &listener->accept_watcher);
    base_timer_stop(net_loop_executor(loop), &listener->retry_timer);
    (void)close(listener->fd);
    listener->fd = -1;
    task_done(listener);
}

static void init_wait(struct net_listener *listener)
{
    pthread_condattr_t attributes;

    int failed = pthread_mutex_init(&listener->lock, NULL);
    failed |= pthread_condattr_init(&attributes);
    failed |= pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(&listener->changed, &attributes);
    failed |= pthread_condattr_destroy(&attributes);
    BASE_ASSERT(!failed);
}

static void init_lanes(struct net_listener *listener)
{
    for (unsigned i = 0; i < listener->options.loops_count; i++) {
        struct lane *lane = &listener->lanes[i];
        lane->owner.on_start = lane_on_start;
        lane->owner.on_gone = lane_on_gone;
        lane->listener = listener;
        lane->loop = listener->options.loops[i];
        base_list_init(&lane->conns);
    }
}

enum base_err net_listener_create(const struct net_listener_options *options,
                                  struct net_listener **out)
{
    BASE_ASSERT(options->loops_count > 0);
    BASE_ASSERT(options->conn.ops != NULL);

    *out = NULL;
    struct net_listener *listener = base_alloc_object(struct net_listener);
    if (listener == NULL) {
        return BASE_ERR_NOMEM;
    }
    listener->options = *options;
    listener->lanes = base_alloc_array(options->loops_count, sizeof listener->lanes[0]);
    if (listener->lanes == NULL) {
        base_free(listener);
        return BASE_ERR_NOMEM;
    }
    enum base_err err =
        net__socket_listen(options->host, options->port, &listener->fd, &listener->port);
    if (err != BASE_ERR_OK) {
        base_free(listener->lanes);
        base_free(listener);
        return err;
    }
    listener->options.host = NULL; /* borrowed for this call only */
    init_wait(listener);
    init_lanes(listener);
    atomic_init(&listener->connections, 0);
    ev_io_init(&listener->accept_watcher, listener_on_readable, listener->fd, EV_READ);
    listener->accept_watcher.data = listener;
    listener->retry_timer.fire = resume_accepting;
    listener->start_task.run = start_accepting;
    listener->stop_task.run = stop_accepting;
    post(listener, listener->lanes[0].loop, &listener->start_task);
    *out = listener;
    return BASE_ERR_OK;
}

uint16_t net_listener_port(const struct net_listener *listener)
{
    return listener->port;
}

unsigned net_listener_connections(const struct net_listener *listener)
{
    return atomic_load_explicit(&listener->connections, memory_order_relaxed);
}

static void assert_not_on_a_loop(const struct net_listener *listener)
{
    for (unsigned i = 0; i < listener->options.loops_count; i++) {
        BASE_ASSERT(!base_executor_is_current(net_loop_executor(listener->lanes[i].loop)));
    }
}

void net_listener_stop(struct net_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    assert_not_on_a_loop(listener);
    wait_for_tasks(listener); /* the start, at least */
    if (listener->fd < 0) {
        return;
    }
    post(listener, listener->lanes[0].loop, &listener->stop_task);
    wait_for_tasks(listener);
    BASE_ASSERT(listener->fd < 0);
}

static void drain_conns(struct base_task *task)
{
    struct lane *lane = BASE_CONTAINER_OF(task, struct lane, task);

    for (struct base_list *node = lane->conns.next; node != &lane->conns; node = node->next) {
        struct net_conn *conn = BASE_CONTAINER_OF(node, struct net_conn, siblings);
        net__conn_drain(conn);
    }
    task_done(lane->listener);
}

static void close_conns(struct base_task *task)
{
    struct lane *lane = BASE_CONTAINER_OF(task, struct lane, task);

    for (struct base_list *node = lane->conns.next; node != &lane->conns; node = node->next) {
        net_conn_close(BASE_CONTAINER_OF(node, struct net_conn, siblings), BASE_ERR_OK);
    }
    task_done(lane->listener);
}

static void run_on_lanes(struct net_listener *listener, base_task_run *run)
{
    for (unsigned i = 0; i < listener->options.loops_count; i++) {
        listener->lanes[i].task.run = run;
        post(listener, listener->lanes[i].loop, &listener->lanes[i].task);
    }
    wait_for_tasks(listener);
}

/* True when all connections were gone within timeout_ms (at most DRAIN_MS_MAX). */
static bool wait_until_gone(struct net_listener *listener, int64_t timeout_ms)
{
    if (timeout_ms > DRAIN_MS_MAX) {
        timeout_ms = DRAIN_MS_MAX;
    }
    int64_t until_us = base_clock_monotonic_us(base_clock_system()) + timeout_ms * 1000;
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                             .tv_nsec = (long)(until_us % 1000000) * 1000};
    int failed = 0;

    lock(listener);
    while (net_listener_connections(listener) > 0 && failed != ETIMEDOUT) {
        failed = pthread_cond_timedwait(&listener->changed, &listener->lock, &until);
    }
    bool gone = net_listener_connections(listener) == 0;
    unlock(listener);
    return gone;
}

void net_listener_drain(struct net_listener *listener, int64_t drain_ms)
{
    BASE_ASSERT(listener->fd < 0); /* stopped: nothing can be added */
    BASE_ASSERT(drain_ms >= 0);
    assert_not_on_a_loop(listener);

    if (drain_ms > 0) {
        run_on_lanes(listener, drain_conns);
        if (wait_until_gone(listener, drain_ms)) {
            return;
        }
    }
    run_on_lanes(listener, close_conns);
    lock(listener);
    while (net_listener_connections(listener) > 0) {
        pthread_cond_wait(&listener->changed, &listener->lock);
    }
    unlock(listener);
}

void net_listener_close(struct net_listener **listener)
{
    struct net_listener *closing = *listener;

    if (closing == NULL) {
        return;
    }
    BASE_ASSERT(closing->fd < 0);
    BASE_ASSERT(net_listener_connections(closing) == 0);
    wait_for_tasks(closing);
    pthread_cond_destroy(&closing->changed);
    pthread_mutex_destroy(&closing->lock);
    base_free(closing->lanes);
    base_free(closing);
    *listener = NULL;
}
