/* Output of a connection: a ring of chunks, written with sendmsg and sendfile. */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/net/conn_priv.h"
#include "core/net/loop_priv.h"

enum {
    CHUNKS_CAPACITY_MIN = 8,
    CHUNKS_CAPACITY_KEPT = 16, /* an idle connection keeps at most this much of its ring */
    IOVECS_MAX = 64,
    WRITE_BYTES_PER_TURN = 4 * 1024 * 1024, /* then others have their turn */
};

static struct base_chunk *chunk_at(const struct net_conn *conn, uint32_t index)
{
    return &conn->chunks[(conn->chunks_first + index) & (conn->chunks_capacity - 1)];
}

/* Room for count more chunks. */
static enum base_err reserve(struct net_conn *conn, size_t count)
{
    if (count <= conn->chunks_capacity - conn->chunks_count) {
        return BASE_ERR_OK;
    }
    if (count > UINT32_MAX / 4 - conn->chunks_count) {
        return BASE_ERR_TOO_LARGE;
    }
    uint32_t capacity = CHUNKS_CAPACITY_MIN;
    while (capacity < conn->chunks_count + count) {
        capacity *= 2;
    }
    struct base_chunk *chunks = base_alloc_array(capacity, sizeof chunks[0]);
    if (chunks == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < conn->chunks_count; i++) {
        chunks[i] = *chunk_at(conn, i);
    }
    base_free(conn->chunks);
    conn->chunks = chunks;
    conn->chunks_first = 0;
    conn->chunks_capacity = capacity;
    return BASE_ERR_OK;
}

static void drop_ring(struct net_conn *conn)
{
    BASE_ASSERT(conn->chunks_count == 0);
    base_free(conn->chunks);
    conn->chunks = NULL;
    conn->chunks_first = 0;
    conn->chunks_capacity = 0;
}

static void drop_first(struct net_conn *conn)
{
    base_chunk_release(chunk_at(conn, 0));
    conn->chunks_first = (conn->chunks_first + 1) & (conn->chunks_capacity - 1);
    conn->chunks_count--;
}

/* Takes `sent` bytes off the front of the queue. */
static void drop_sent(struct net_conn *conn, size_t sent)
{
    BASE_ASSERT(sent <= conn->output_bytes);
    conn->output_bytes -= sent;
    while (sent > 0) {
        struct base_chunk *chunk = chunk_at(conn, 0);
        if (chunk->length > sent) {
            chunk->position += sent;
            chunk->length -= sent;
            return;
        }
        sent -= chunk->length;
        drop_first(conn);
    }
}

/* Memory chunks at the front, as many as fit one call. */
static ssize_t send_memory(struct net_conn *conn)
{
    struct iovec vectors[IOVECS_MAX];
    uint32_t count = 0;

    while (count < IOVECS_MAX && count < conn->chunks_count) {
        struct base_chunk *chunk = chunk_at(conn, count);
        if (chunk->buffer == NULL) {
            break;
        }
        vectors[count].iov_base = chunk->buffer->data + chunk->position;
        vectors[count].iov_len = chunk->length;
        count++;
    }
    BASE_ASSERT(count > 0);
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    /* A header must not leave in a segment of its own when its data follows. */
    int flags = MSG_NOSIGNAL | (count < conn->chunks_count ? MSG_MORE : 0);
    return sendmsg(conn->fd, &message, flags);
}

static ssize_t send_file(struct net_conn *conn)
{
    struct base_chunk *chunk = chunk_at(conn, 0);
    off_t position = (off_t)chunk->position;
    size_t length =
        chunk->length < WRITE_BYTES_PER_TURN ? chunk->length : (size_t)WRITE_BYTES_PER_TURN;

    BASE_ASSERT(chunk->file != NULL);
    return sendfile(conn->fd, chunk->file->fd, &position, length);
}

enum base_err net__conn_write(struct net_conn *conn)
{
    size_t written = 0;

    while (conn->chunks_count > 0 && written < WRITE_BYTES_PER_TURN) {
        bool is_file = chunk_at(conn, 0)->file != NULL;
        ssize_t sent = is_file ? send_file(conn) : send_memory(conn);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (sent < 0) {
            return net__conn_err(conn, errno);
        }
        if (sent == 0) {
            /* The file ends before the chunk: its length was promised to the peer. */
            base_log(BASE_LOG_ERROR, "FILE_CHUNK_SHORT", "peer=%s position=%llu missing_bytes=%zu",
                     conn->peer, (unsigned long long)chunk_at(conn, 0)->position,
                     chunk_at(conn, 0)->length);
            return BASE_ERR_IO;
        }
        drop_sent(conn, (size_t)sent);
        written += (size_t)sent;
    }
    if (written > 0) {
        conn->active_us = net_loop_now_us(conn->loop);
    }
    if (conn->chunks_count > 0) {
        ev_io_start(net__loop_ev(conn->loop), &conn->write_watcher);
        return BASE_ERR_OK;
    }
    ev_io_stop(net__loop_ev(conn->loop), &conn->write_watcher);
    if (conn->chunks_capacity > CHUNKS_CAPACITY_KEPT) {
        drop_ring(conn);
    }
    return BASE_ERR_OK;
}

void net__conn_drop_output(struct net_conn *conn)
{
    while (conn->chunks_count > 0) {
        drop_first(conn);
    }
    conn->output_bytes = 0;
    drop_ring(conn);
}

/* Bytes in all; asserts what a chunk promises. */
static size_t total_length(const struct base_chunk *chunks, size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        BASE_ASSERT(chunks[i].length > 0);
        BASE_ASSERT((chunks[i].buffer == NULL) != (chunks[i].file == NULL));
        total += chunks[i].length;
    }
    return total;
}

/* Whether length more bytes may be queued. What the kernel takes now is not
 * counted: answers of one turn pile up here without the peer being slow. One
 * answer of any size may go on an empty queue. */
static enum base_err check_limit(struct net_conn *conn, size_t length)
{
    size_t limit = conn->options->output_bytes_max;

    if (conn->output_bytes == 0 ||
        (conn->output_bytes <= limit && length <= limit - conn->output_bytes)) {
        return BASE_ERR_OK;
    }
    enum base_err err = net__conn_write(conn);
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (conn->output_bytes == 0 ||
        (conn->output_bytes <= limit && length <= limit - conn->output_bytes)) {
        return BASE_ERR_OK;
    }
    return BASE_ERR_TOO_LARGE;
}

void net_conn_send(struct net_conn *conn, const struct base_chunk *chunks, size_t count)
{
    enum base_err err = BASE_ERR_CLOSED;
    size_t length = total_length(chunks, count);

    if (count == 0) {
        return;
    }
    if (conn->state == CONN_OPEN || conn->state == CONN_DRAINING) {
        err = check_limit(conn, length);
        if (err == BASE_ERR_OK) {
            err = reserve(conn, count);
        }
        if (err != BASE_ERR_OK) {
            net_conn_close(conn, err);
        }
    }
    if (err != BASE_ERR_OK) {
        for (size_t i = 0; i < count; i++) {
            struct base_chunk chunk = chunks[i];
            base_chunk_release(&chunk);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        conn->chunks_count++;
        *chunk_at(conn, conn->chunks_count - 1) = chunks[i];
    }
    conn->output_bytes += length;
    if (!ev_is_active(&conn->write_watcher)) {
        net__conn_flush_later(conn);
    }
}

size_t net_conn_output_bytes(const struct net_conn *conn)
{
    return conn->output_bytes;
}
