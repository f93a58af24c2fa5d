/* Input of a connection.
 *
 * Reading happens into the loop's one read buffer, which goes back when all of
 * it was consumed. A short rest of a frame is parked in a buffer of its own size
 * meanwhile, so that ten thousand half-sent frames cost kilobytes each, not 64.
 * A long frame gets a buffer of twice the bytes that have come, and another when that is full. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/base/assert.h"
#include "core/net/conn_priv.h"
#include "core/net/loop_priv.h"

enum {
    READ_BYTES_PER_TURN = 1024 * 1024, /* so that one busy peer does not starve the others */
    PARKED_SIZE_MAX = 4096,
    PARKED_SIZE_STEP = 256,
};

static_assert(PARKED_SIZE_MAX + NET__INPUT_ROOM_MIN <= NET__INPUT_SIZE,
              "a parked rest must fit the read buffer with room to read");

static size_t unread(const struct net_conn *conn)
{
    return conn->end - conn->start;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Bytes a new buffer should hold from the first unread one on: the whole frame where
 * its length is known, else as much again, and enough to make a read worth while. */
static size_t wanted_size(const struct net_conn *conn)
{
    size_t have = unread(conn);
    size_t want =
        conn->expected > have ? conn->expected : have + max_size(have, NET__INPUT_ROOM_MIN);

    return min_size(want, conn->options->input_bytes_max);
}

/* Moves the unread bytes to a buffer of at least size bytes. */
static enum base_err relocate(struct net_conn *conn, size_t size)
{
    struct base_buffer *buffer = NULL;
    size_t have = unread(conn);
    size_t used = 0;

    if (size <= NET__INPUT_SIZE) {
        buffer = net__loop_take_input(conn->loop, max_size(size, NET__INPUT_ROOM_MIN), &used);
    } else {
        buffer = base_buffer_create(size);
    }
    if (buffer == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (conn->input != NULL) {
        memcpy(buffer->data + used, conn->input->data + conn->start, have);
        net__loop_give_input(conn->loop, conn->input, conn->end);
    }
    conn->input = buffer;
    conn->start = used;
    conn->end = used + have;
    return BASE_ERR_OK;
}

/* Bytes that have come but were not read yet. */
static size_t waiting_bytes(const struct net_conn *conn)
{
    int count = 0;
    return ioctl(conn->fd, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

/* Whether the next read may go behind the last one; want is what a new buffer would hold. A buffer
 * of its own, or for a frame whose length is not known, is filled first: one that grows with every
 * read would be copied with every read. */
static bool has_room(const struct net_conn *conn, size_t want)
{
    if (conn->input == NULL || conn->input->capacity < NET__INPUT_SIZE) {
        return false;
    }
    if (want <= conn->input->capacity - conn->start) {
        return true;
    }
    bool is_filled_first =
        conn->input->capacity > NET__INPUT_SIZE || conn->expected <= unread(conn);
    return is_filled_first && conn->input->capacity - conn->end >= NET__INPUT_ROOM_MIN;
}

/* Makes room behind `end`. Bytes before it may be in use by others and are never
 * written again; the unread ones move instead. */
static enum base_err make_room(struct net_conn *conn)
{
    size_t have = unread(conn);
    size_t want = wanted_size(conn);

    BASE_ASSERT(want > have);
    if (has_room(conn, want)) {
        return BASE_ERR_OK;
    }
    if (want > NET__INPUT_SIZE) {
        /* CVE-2022-34917: never more than twice what has really come. What the kernel still
         * holds has come too; counting it saves most of the copies while a frame grows. */
        want = min_size(want, max_size(2 * (have + waiting_bytes(conn)), NET__INPUT_SIZE));
    }
    return relocate(conn, want);
}

/* What a read says about the next one. */
enum fill_result {
    FILL_EMPTY, /* the kernel has no more for now */
    FILL_MORE,  /* it may have more */
    FILL_END,   /* the peer sent FIN */
};

/* One read. */
static enum base_err fill(struct net_conn *conn, size_t *budget, enum fill_result *result)
{
    *result = FILL_EMPTY;
    enum base_err err = make_room(conn);
    if (err != BASE_ERR_OK) {
        return err;
    }
    size_t room =
        min_size(conn->input->capacity - conn->end, conn->options->input_bytes_max - unread(conn));
    room = min_size(room, *budget);
    BASE_ASSERT(room > 0);

    ssize_t received = 0;
    do {
        received = recv(conn->fd, conn->input->data + conn->end, room, 0);
    } while (received < 0 && errno == EINTR);
    if (received < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? BASE_ERR_OK : net__conn_err(conn, errno);
    }
    if (received == 0) {
        *result = FILL_END;
        return BASE_ERR_OK;
    }
    BASE_ASSERT((size_t)received <= room);
    conn->end += (size_t)received;
    conn->active_us = net_loop_now_us(conn->loop);
    *budget -= (size_t)received;
    *result = (size_t)received == room ? FILL_MORE : FILL_EMPTY;
    return BASE_ERR_OK;
}

/* After the protocol has looked: keeps no more memory than the rest needs. */
static void settle(struct net_conn *conn)
{
    size_t have = unread(conn);

    if (conn->input == NULL || conn->state == CONN_CLOSED) {
        return;
    }
    if (have == 0 || conn->state != CONN_OPEN) {
        net__conn_drop_input(conn);
        return;
    }
    if (have > PARKED_SIZE_MAX || conn->input->capacity <= PARKED_SIZE_MAX) {
        return;
    }
    size_t size = (have + PARKED_SIZE_STEP - 1) / PARKED_SIZE_STEP * PARKED_SIZE_STEP;
    struct base_buffer *parked = base_buffer_create(size);
    if (parked == NULL) {
        return; /* then it stays where it is */
    }
    memcpy(parked->data, conn->input->data + conn->start, have);
    net__loop_give_input(conn->loop, conn->input, conn->end);
    conn->input = parked;
    conn->start = 0;
    conn->end = have;
}

void net__conn_drop_input(struct net_conn *conn)
{
    if (conn->input != NULL) {
        net__loop_give_input(conn->loop, conn->input, conn->end);
        conn->input = NULL;
    }
    conn->start = 0;
    conn->end = 0;
}

void net__conn_dispatch(struct net_conn *conn)
{
    BASE_ASSERT(conn->state == CONN_OPEN);
    BASE_ASSERT(conn->paused == 0);
    conn->again = false;
    conn->expected = 0;
    conn->options->ops->on_input(conn);
    if (conn->state == CONN_OPEN && conn->paused == 0 && !conn->again &&
        unread(conn) >= conn->options->input_bytes_max) {
        net_conn_close(conn, BASE_ERR_TOO_LARGE);
    }
    settle(conn);
}

/* The peer's FIN. Whatever came before it has been offered: nothing is read while
 * the connection is paused or owes a call of on_input. */
static void tell_end(struct net_conn *conn)
{
    BASE_ASSERT(conn->state == CONN_OPEN);
    BASE_ASSERT(conn->paused == 0);
    BASE_ASSERT(!conn->again);
    conn->ended = true;
    ev_io_stop(net__loop_ev(conn->loop), &conn->read_watcher);
    if (conn->options->ops->on_end != NULL) {
        conn->options->ops->on_end(conn);
    } else {
        net_conn_close(conn, BASE_ERR_CLOSED);
    }
    settle(conn);
}

void net__conn_read(struct net_conn *conn)
{
    size_t budget = READ_BYTES_PER_TURN;
    enum fill_result result = FILL_MORE;

    while (result == FILL_MORE && budget > 0 && conn->state == CONN_OPEN) {
        if (conn->paused > 0) {
            /* Stopped only now, not in net_conn_pause: a peer that waits for its answer
             * before it sends more, as most do, costs no change of the kernel's list. */
            ev_io_stop(net__loop_ev(conn->loop), &conn->read_watcher);
            return;
        }
        if (conn->again) {
            return; /* the protocol has not yet taken what is here */
        }
        size_t before = unread(conn);
        enum base_err err = fill(conn, &budget, &result);
        if (err != BASE_ERR_OK) {
            net_conn_close(conn, err);
        } else if (result == FILL_END) {
            tell_end(conn);
        } else if (unread(conn) > before && unread(conn) >= conn->expected) {
            net__conn_dispatch(conn);
        } else {
            settle(conn);
        }
    }
}

struct base_slice net_conn_input(const struct net_conn *conn)
{
    if (conn->input == NULL) {
        return base_slice_of(NULL, 0);
    }
    return base_slice_of(conn->input->data + conn->start, unread(conn));
}

struct base_buffer *net_conn_input_buffer(const struct net_conn *conn)
{
    return conn->input;
}

void net_conn_consume(struct net_conn *conn, size_t length)
{
    BASE_ASSERT(length <= unread(conn));
    conn->start += length;
}

void net_conn_expect(struct net_conn *conn, size_t length)
{
    if (conn->state != CONN_OPEN) {
        return;
    }
    if (length > conn->options->input_bytes_max) {
        net_conn_close(conn, BASE_ERR_TOO_LARGE);
        return;
    }
    conn->expected = length;
}

void net_conn_again(struct net_conn *conn)
{
    if (conn->state == CONN_OPEN) {
        conn->again = true;
        net__conn_put_off(conn);
    }
}

void net_conn_pause(struct net_conn *conn)
{
    conn->paused++;
    BASE_ASSERT(conn->paused > 0);
}

void net_conn_resume(struct net_conn *conn)
{
    BASE_ASSERT(conn->paused > 0);
    conn->paused--;
    if (conn->paused > 0 || conn->state != CONN_OPEN) {
        return;
    }
    /* What is left over comes before anything new, above all before FIN. */
    if (unread(conn) > 0 && unread(conn) >= conn->expected) {
        conn->again = true;
    }
    if (conn->again) {
        net__conn_put_off(conn);
    }
    if (!conn->ended) {
        ev_io_start(net__loop_ev(conn->loop), &conn->read_watcher);
    }
}
