/* Life of a connection: states, watchers, deadlines. */
#include "core/net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/net/conn_priv.h"
#include "core/net/loop_priv.h"

enum {
    LINGER_MS = 2000,         /* how long a peer may take to answer our FIN */
    LINGER_SCRAP_SIZE = 8192, /* per read of input nobody wants */
    LINGER_READS_PER_TURN = 32,
    DRAIN_IDLE_MS = 30000, /* without progress, where no idle timeout is set */
};

#define MAY(state) (1u << CONN_##state)
static const unsigned conn_moves[CONN_STATE_COUNT] = {
    [CONN_ACCEPTED] = MAY(OPEN),
    [CONN_OPEN] = MAY(DRAINING) | MAY(CLOSED),
    [CONN_DRAINING] = MAY(LINGERING) | MAY(CLOSED),
    [CONN_LINGERING] = MAY(CLOSED),
    [CONN_CLOSED] = 0,
};
#undef MAY

/* The only writer of conn->state, but for the zeroed object, which is ACCEPTED. */
static void conn_move(struct net_conn *conn, enum net__conn_state next)
{
    BASE_ASSERT((conn_moves[conn->state] & (1u << next)) != 0);
    conn->state = next;
}

static_assert(CONN_ACCEPTED == 0, "a zeroed connection is an accepted one");

void net__conn_wake(struct net_conn *conn)
{
    if (!conn->task_queued) {
        conn->task_queued = true;
        base_executor_post(net_loop_executor(conn->loop), &conn->task);
    }
}

void net__conn_put_off(struct net_conn *conn)
{
    if (!conn->task_queued) {
        conn->task_queued = true;
        net__loop_put_off(conn->loop, &conn->task);
    }
}

/* errno is logged where it is known, and only if it is not the peer's doing. */
enum base_err net__conn_err(const struct net_conn *conn, int error)
{
    if (error == ECONNRESET || error == EPIPE || error == ETIMEDOUT) {
        return BASE_ERR_CLOSED;
    }
    base_log(BASE_LOG_WARN, "CONNECTION_FAILED", "peer=%s errno=%d", conn->peer, error);
    return BASE_ERR_IO;
}

static int64_t later(int64_t now_us, int64_t delay_ms)
{
    BASE_ASSERT(delay_ms >= 0);
    return delay_ms > (INT64_MAX - now_us) / 1000 ? INT64_MAX : now_us + delay_ms * 1000;
}

/* When the connection must be looked at; INT64_MAX = never. */
static int64_t wake_time_us(const struct net_conn *conn)
{
    int64_t idle_ms = conn->options->idle_timeout_ms;

    if (conn->state == CONN_DRAINING && idle_ms == 0) {
        idle_ms = DRAIN_IDLE_MS; /* a peer that does not read must not stay for ever */
    }
    bool is_busy = conn->busy && conn->state == CONN_OPEN;
    if (idle_ms == 0 || is_busy || conn->state == CONN_LINGERING) {
        return conn->deadline_us;
    }
    int64_t idle_us = later(conn->active_us, idle_ms);
    return idle_us < conn->deadline_us ? idle_us : conn->deadline_us;
}

void net__conn_update_timer(struct net_conn *conn)
{
    int64_t wake_us = wake_time_us(conn);

    if (wake_us != INT64_MAX &&
        (!base_timer_is_armed(&conn->timer) || conn->timer.deadline_us > wake_us)) {
        base_timer_arm(net_loop_executor(conn->loop), &conn->timer, wake_us);
    }
}

static void conn_on_timer(struct base_timer *timer)
{
    struct net_conn *conn = BASE_CONTAINER_OF(timer, struct net_conn, timer);

    BASE_ASSERT(conn->state != CONN_CLOSED);
    if (wake_time_us(conn) > net_loop_now_us(conn->loop)) {
        net__conn_update_timer(conn);
        return;
    }
    /* A peer that is slow to answer our FIN has its reply all the same. */
    net_conn_close(conn, conn->state == CONN_LINGERING ? BASE_ERR_OK : BASE_ERR_TIMEOUT);
}

/* Throws input away until the peer closes. */
static void discard(struct net_conn *conn)
{
    uint8_t scrap[LINGER_SCRAP_SIZE];

    for (unsigned reads = 0; reads < LINGER_READS_PER_TURN; reads++) {
        ssize_t received = recv(conn->fd, scrap, sizeof scrap, 0);
        if (received < 0 && errno == EINTR) {
            continue;
        }
        if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (received <= 0) {
            net_conn_close(conn, BASE_ERR_OK);
            return;
        }
    }
}

/* libev entry point. */
static void conn_on_readable(struct ev_loop *ev, ev_io *watcher, int revents)
{
    struct net_conn *conn = watcher->data;

    (void)revents;
    BASE_ASSERT(net__loop_ev(conn->loop) == ev);
    if (conn->state == CONN_LINGERING) {
        discard(conn);
        return;
    }
    BASE_ASSERT(conn->state == CONN_OPEN);
    net__conn_read(conn);
}

/* Everything is sent: closes at once if the peer has ended too, else says FIN and waits. */
static void end_output(struct net_conn *conn)
{
    BASE_ASSERT(conn->state == CONN_DRAINING);
    BASE_ASSERT(conn->chunks_count == 0);

    if (conn->ended || shutdown(conn->fd, SHUT_WR) != 0) {
        net_conn_close(conn, BASE_ERR_OK);
        return;
    }
    conn_move(conn, CONN_LINGERING);
    conn->deadline_us = later(net_loop_now_us(conn->loop), LINGER_MS);
    net__conn_update_timer(conn);
    ev_io_start(net__loop_ev(conn->loop), &conn->read_watcher);
}

/* Writes, and does what an empty or nearly empty queue calls for. */
static void write_and_tell(struct net_conn *conn)
{
    enum base_err err = net__conn_write(conn);

    if (err != BASE_ERR_OK) {
        net_conn_close(conn, err);
        return;
    }
    if (conn->output_bytes < conn->options->output_low_bytes && conn->state == CONN_OPEN &&
        conn->options->ops->on_drained != NULL) {
        conn->options->ops->on_drained(conn);
    }
    if (conn->state == CONN_DRAINING && conn->chunks_count == 0) {
        end_output(conn);
    }
}

/* libev entry point. */
static void conn_on_writable(struct ev_loop *ev, ev_io *watcher, int revents)
{
    struct net_conn *conn = watcher->data;

    (void)revents;
    BASE_ASSERT(net__loop_ev(conn->loop) == ev);
    BASE_ASSERT(conn->state == CONN_OPEN || conn->state == CONN_DRAINING);
    write_and_tell(conn);
}

static void conn_on_flush(struct base_task *task)
{
    struct net_conn *conn = BASE_CONTAINER_OF(task, struct net_conn, flush_task);

    conn->flush_queued = false;
    if (conn->state == CONN_OPEN || conn->state == CONN_DRAINING) {
        write_and_tell(conn);
    }
}

void net__conn_flush_later(struct net_conn *conn)
{
    if (!conn->flush_queued) {
        conn->flush_queued = true;
        net__loop_flush(conn->loop, &conn->flush_task);
    }
}

static void start(struct net_conn *conn)
{
    conn_move(conn, CONN_OPEN);
    conn->active_us = net_loop_now_us(conn->loop);
    enum base_err err = conn->owner->on_start(conn->owner, conn);
    if (err != BASE_ERR_OK) {
        net_conn_close(conn, err);
        return;
    }
    conn->started = true;
    if (conn->state == CONN_OPEN) {
        net__conn_update_timer(conn);
        ev_io_start(net__loop_ev(conn->loop), &conn->read_watcher);
    }
}

/* The end of a closed connection; conn is gone afterwards. */
static void finish(struct net_conn *conn)
{
    struct net__conn_owner *owner = conn->owner;

    BASE_ASSERT(conn->state == CONN_CLOSED);
    BASE_ASSERT(!ev_is_active(&conn->read_watcher));
    BASE_ASSERT(!ev_is_active(&conn->write_watcher));
    BASE_ASSERT(!base_timer_is_armed(&conn->timer));
    if (conn->started) {
        conn->options->ops->on_close(conn, conn->reason);
    }
    net__conn_drop_input(conn);
    net__conn_drop_output(conn);
    (void)close(conn->fd);
    if (base_list_is_linked(&conn->siblings)) {
        base_list_remove(&conn->siblings);
    }
    base_free(conn);
    owner->on_gone(owner);
}

/* What was put off to a later turn. */
static void conn_on_task(struct base_task *task)
{
    struct net_conn *conn = BASE_CONTAINER_OF(task, struct net_conn, task);

    conn->task_queued = false;
    switch (conn->state) {
    case CONN_ACCEPTED:
        start(conn);
        break;
    case CONN_OPEN:
        if (conn->again && conn->paused == 0) {
            net__conn_dispatch(conn);
        }
        break;
    case CONN_CLOSED:
        if (conn->flush_queued) {
            net__conn_wake(conn); /* the flush list still points here */
        } else {
            finish(conn);
        }
        break;
    case CONN_DRAINING:
    case CONN_LINGERING:
        break;
    case CONN_STATE_COUNT:
        BASE_ASSERT(false);
    }
}

/* "address:port" of either end, "?" where the system does not say. */
static void format_address(int fd, int (*name_of)(int, struct sockaddr *, socklen_t *),
                           char text[NET_ADDRESS_SIZE])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";

    if (name_of(fd, (struct sockaddr *)&address, &length) != 0) {
        (void)snprintf(text, NET_ADDRESS_SIZE, "?");
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        (void)snprintf(text, NET_ADDRESS_SIZE, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        (void)snprintf(text, NET_ADDRESS_SIZE, "%s:%u", host, ntohs(v4->sin_port));
    }
}

enum base_err net__conn_create(int fd, struct net_loop *loop,
                               const struct net_conn_options *options,
                               struct net__conn_owner *owner)
{
    int on = 1;

    BASE_ASSERT(fd >= 0);
    BASE_ASSERT(options->ops->on_input != NULL);
    BASE_ASSERT(options->ops->on_close != NULL);
    BASE_ASSERT(options->input_bytes_max > 0);

    struct net_conn *conn = base_alloc_object(struct net_conn);
    if (conn == NULL) {
        return BASE_ERR_NOMEM;
    }
    conn->options = options;
    conn->loop = loop;
    conn->owner = owner;
    conn->fd = fd;
    conn->deadline_us = INT64_MAX;
    conn->task.run = conn_on_task;
    conn->flush_task.run = conn_on_flush;
    conn->timer.fire = conn_on_timer;
    ev_io_init(&conn->read_watcher, conn_on_readable, fd, EV_READ);
    conn->read_watcher.data = conn;
    ev_io_init(&conn->write_watcher, conn_on_writable, fd, EV_WRITE);
    conn->write_watcher.data = conn;
    /* Answers leave whole at the end of a turn; Nagle would only hold back their tails. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    format_address(fd, getpeername, conn->peer);
    format_address(fd, getsockname, conn->local);
    net__conn_wake(conn);
    return BASE_ERR_OK;
}

void net_conn_set_context(struct net_conn *conn, void *context)
{
    conn->context = context;
}

void *net_conn_context(const struct net_conn *conn)
{
    return conn->context;
}

struct net_loop *net_conn_loop(const struct net_conn *conn)
{
    return conn->loop;
}

const char *net_conn_peer(const struct net_conn *conn)
{
    return conn->peer;
}

const char *net_conn_local(const struct net_conn *conn)
{
    return conn->local;
}

void net_conn_close(struct net_conn *conn, enum base_err reason)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    conn_move(conn, CONN_CLOSED);
    conn->reason = reason;
    ev_io_stop(net__loop_ev(conn->loop), &conn->read_watcher);
    ev_io_stop(net__loop_ev(conn->loop), &conn->write_watcher);
    base_timer_stop(net_loop_executor(conn->loop), &conn->timer);
    /* Input stays: the caller may be looking at it. */
    net__conn_drop_output(conn);
    net__conn_wake(conn);
}

void net_conn_close_when_sent(struct net_conn *conn)
{
    if (conn->state != CONN_OPEN) {
        return;
    }
    conn_move(conn, CONN_DRAINING);
    ev_io_stop(net__loop_ev(conn->loop), &conn->read_watcher);
    net__conn_update_timer(conn);
    net__conn_flush_later(conn);
}

void net__conn_drain(struct net_conn *conn)
{
    if (conn->state != CONN_OPEN) {
        return;
    }
    if (conn->options->ops->on_drain != NULL) {
        conn->options->ops->on_drain(conn);
    } else {
        net_conn_close_when_sent(conn);
    }
}

void net_conn_set_busy(struct net_conn *conn, bool is_busy)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    conn->busy = is_busy;
    conn->active_us = net_loop_now_us(conn->loop);
    net__conn_update_timer(conn);
}

void net_conn_set_deadline(struct net_conn *conn, int64_t timeout_ms)
{
    if (conn->state != CONN_OPEN && conn->state != CONN_DRAINING) {
        return;
    }
    conn->deadline_us =
        timeout_ms == 0 ? INT64_MAX : later(net_loop_now_us(conn->loop), timeout_ms);
    net__conn_update_timer(conn);
}
