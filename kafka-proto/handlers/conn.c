/* Kafka connections: frames in, answers out in the order of the requests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/endian.h"
#include "core/base/log.h"
#include "core/telemetry/counters.h"
#include "kafka-proto/decode.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/conn_priv.h"
#include "kafka-proto/handlers/exchange_priv.h"
#include "kafka-proto/handlers/fetch_session.h"
#include "kafka-proto/writer.h"

enum {
    FRAME_PREFIX_SIZE = 4,
    REQUESTS_IN_FLIGHT_MAX = 64,    /* then reading stops until answers are ready */
    IN_FLIGHT_BYTES_MAX = 64 << 20, /* likewise, of what they and their answers take */
    UNSENT_BYTES_MAX = 2 << 20,     /* then reading stops until the client has taken answers */
    RESPONSE_BYTES_MAX = 256 << 20, /* in memory, record batches not counted */
    ARENA_BYTES_MIN = 1 << 20,
    ARENA_BYTES_PER_FRAME_BYTE = 32, /* structs are larger than what they are decoded from */
};

static struct khandler_request_own *own_of(struct khandler_request *request)
{
    return BASE_CONTAINER_OF(request, struct khandler_request_own, request);
}

struct khandler_loop *khandler__loop(struct khandler_request *request)
{
    return request->conn->loop;
}

struct catalog_view *khandler_view(const struct khandler_request *request)
{
    return catalog_reader_view(&request->conn->loop->reader);
}

struct base_slice khandler_client_host(struct khandler_request *request)
{
    return base_slice_of(request->conn->host, request->conn->host_length);
}

bool khandler_is_cancelled(const struct khandler_request *request)
{
    return request->conn->net == NULL;
}

static void free_conn_if_done(struct khandler_conn *conn)
{
    if (conn->net == NULL && base_list_is_empty(&conn->requests)) {
        struct khandler_server *server = conn->loop->server;
        khandler__session_close(&conn->session);
        khandler_fetch_sessions_end(&conn->fetch_sessions);
        base_free(conn);
        khandler__server_forget(server);
    }
}

static void free_request(struct khandler_request_own *own)
{
    struct khandler_conn *conn = own->request.conn;
    for (size_t i = 0; i < own->chunks_count; i++) {
        base_chunk_release(&own->chunks[i]);
    }
    base_list_remove(&own->link);
    conn->requests_count--;
    conn->in_flight_bytes -= own->size;
    base_buffer_release(&own->request.frame);
    base_arena_fini(&own->request.arena);
    base_free(own);
}

static void close_after_answers(struct khandler_conn *conn)
{
    if (conn->net != NULL && !conn->closing) {
        conn->closing = true;
        net_conn_close_when_sent(conn->net);
    }
}

static bool changes_offsets(const struct khandler_request *request)
{
    return request->header.api_key == KPROTO_KEY_offset_commit ||
           request->header.api_key == KPROTO_KEY_offset_delete ||
           request->header.api_key == KPROTO_KEY_delete_groups;
}

/* Whether offsets that the client changed are still on their way to the disk. */
static bool has_offset_change(const struct khandler_conn *conn)
{
    for (const struct base_list *node = conn->requests.next; node != &conn->requests;
         node = node->next) {
        const struct khandler_request_own *own =
            BASE_CONTAINER_OF(node, struct khandler_request_own, link);
        if (own->state == KHANDLER_RUNNING && changes_offsets(&own->request)) {
            return true;
        }
    }
    return false;
}

/* Kafka takes up a request when the one in front of it is answered, so that its clients see their
 * own commits, even if they did not wait for them. Here only an OffsetFetch waits, and only for
 * changes of offsets. True: reading stopped. */
static bool awaits_offsets(struct khandler_conn *conn, const uint8_t *frame, size_t length)
{
    if (length < sizeof(int16_t) || base_get_i16(frame) != KPROTO_KEY_offset_fetch ||
        !has_offset_change(conn)) {
        return false;
    }
    conn->awaits_offsets = true;
    net_conn_pause(conn->net);
    return true;
}

/* Counts what a request takes by now. */
static void weigh(struct khandler_request_own *own)
{
    struct khandler_conn *conn = own->request.conn;
    size_t size = own->frame_size + own->request.arena.used_bytes;

    for (size_t i = 0; i < own->chunks_count; i++) {
        size += own->chunks[i].buffer != NULL ? own->chunks[i].length : 0;
    }
    conn->in_flight_bytes += size - own->size;
    own->size = size;
}

/* Sends what is answered at the head of the line. */
static void send_answers(struct khandler_conn *conn)
{
    if (conn->cancelling) {
        return; /* on_close walks the list and comes back */
    }
    while (!base_list_is_empty(&conn->requests)) {
        struct khandler_request_own *own =
            BASE_CONTAINER_OF(conn->requests.next, struct khandler_request_own, link);
        if (own->state != KHANDLER_ANSWERED) {
            break;
        }
        if (own->closes) {
            close_after_answers(conn); /* what is behind it is cancelled when it has gone */
        }
        if (conn->net != NULL && !conn->closing && own->chunks_count > 0) {
            net_conn_send(conn->net, own->chunks, own->chunks_count);
            own->chunks_count = 0; /* the references moved */
        }
        free_request(own);
    }
    if (conn->refused && base_list_is_empty(&conn->requests)) {
        close_after_answers(conn);
    }
    if (conn->paused && conn->net != NULL && conn->requests_count < REQUESTS_IN_FLIGHT_MAX / 2 &&
        conn->in_flight_bytes <= IN_FLIGHT_BYTES_MAX) {
        conn->paused = false;
        net_conn_resume(conn->net);
    }
    if (conn->awaits_offsets && conn->net != NULL && !has_offset_change(conn)) {
        conn->awaits_offsets = false;
        net_conn_resume(conn->net);
    }
    free_conn_if_done(conn);
}

void khandler_end(struct khandler_request *request)
{
    struct khandler_request_own *own = own_of(request);
    BASE_ASSERT(own->state == KHANDLER_RUNNING);
    own->state = KHANDLER_ANSWERED;
    if (request->conn->requests.next != &own->link) {
        weigh(own); /* it waits for those in front of it */
    }
    send_answers(request->conn);
}

/* Stops reading. What was asked before is still answered; then the connection closes. */
static void reject(struct khandler_conn *conn, const char *why)
{
    if (conn->refused) {
        return;
    }
    conn->refused = true;
    telemetry_add(TELEMETRY_KAFKA_REJECTED, 1);
    base_log(BASE_LOG_INFO, "KAFKA_CONNECTION_REFUSED", "peer=%s cause=\"%s\"", conn->host, why);
}

struct khandler_session *khandler__session(struct khandler_request *request)
{
    return request->conn->session;
}

void khandler__end_after(struct khandler_request *request, const char *why)
{
    reject(request->conn, why);
}

void khandler__step_begins(struct khandler_request *request)
{
    struct khandler_conn *conn = request->conn;

    BASE_ASSERT(!conn->session->is_deciding);
    conn->session->is_deciding = true;
    if (conn->net != NULL) {
        net_conn_set_deadline(conn->net, 0); /* it is our turn */
        net_conn_pause(conn->net);
    }
}

void khandler__step_is_over(struct khandler_request *request)
{
    struct khandler_conn *conn = request->conn;

    BASE_ASSERT(conn->session->is_deciding);
    conn->session->is_deciding = false;
    if (conn->net != NULL) {
        net_conn_set_deadline(conn->net, conn->session->is_open ? 0 : KHANDLER_PROVING_TIME_MAX_MS);
        net_conn_resume(conn->net);
        net_conn_again(conn->net);
    }
}

/* A token's answer is a token; a failure has none. */
static enum base_err encode_raw(struct kproto_writer *writer,
                                const struct kproto_sasl_authenticate_response *response)
{
    if (response->error_code != KPROTO_ERROR_NONE) {
        return BASE_ERR_OK;
    }
    base_writer_int32(&writer->bytes, (int32_t)response->auth_bytes.length);
    base_writer_slice(&writer->bytes, response->auth_bytes);
    return writer->bytes.err;
}

/* A session that ended while its request waited gets no answer (CVE-2021-34434). */
static bool may_answer(struct khandler_request *request)
{
    const struct khandler_session *session = request->conn->session;
    return session == NULL || !session->is_open || khandler__session_is_good(request);
}

void khandler_encode(struct khandler_request *request, const void *response)
{
    struct khandler_request_own *own = own_of(request);
    struct kproto_writer writer;

    BASE_ASSERT(response != NULL);
    BASE_ASSERT(own->chunks_count == 0);
    if (khandler_is_cancelled(request)) {
        return;
    }
    if (!may_answer(request)) {
        own->closes = true;
        reject(request->conn, "credential is not valid any more");
        return;
    }
    kproto_writer_init(&writer, RESPONSE_BYTES_MAX);
    enum base_err err =
        own->is_raw ? encode_raw(&writer, response)
                    : kproto_response_encode(&writer, request->api, request->header.api_version,
                                             request->header.correlation_id, response);
    size_t length = kproto_writer_length(&writer);
    if (err == BASE_ERR_OK) {
        err = kproto_writer_finish(&writer, &request->arena, &own->chunks, &own->chunks_count);
    }
    kproto_writer_fini(&writer);
    if (err != BASE_ERR_OK) {
        own->chunks_count = 0;
        own->closes = true;
        reject(request->conn, base_err_text(err));
        return;
    }
    telemetry_add(TELEMETRY_KAFKA_RESPONSE_BYTES, length);
}

void khandler_answer(struct khandler_request *request, const void *response)
{
    khandler_encode(request, response);
    khandler_end(request);
}

void khandler_answer_nothing(struct khandler_request *request)
{
    khandler_end(request);
}

void khandler_refuse(struct khandler_request *request, const char *why)
{
    if (!khandler_is_cancelled(request)) {
        own_of(request)->closes = true;
        reject(request->conn, why);
    }
    khandler_end(request);
}

/* ApiVersions of a version we do not know is answered as version 0, with error 35, and its
 * body is not parsed (KIP-511). The handler sees message == NULL. */
static bool is_unknown_api_versions(const struct kproto_request_header *header,
                                    const struct khandler_row *row)
{
    return header->api_key == KPROTO_KEY_api_versions &&
           (header->api_version < row->version_min || header->api_version > row->version_max);
}

/* Reads header and body. NULL: ready to be handled; otherwise why it cannot be. */
static const char *decode_request(struct khandler_request *request, const uint8_t *frame,
                                  size_t length, const struct khandler_row **out_row)
{
    struct base_reader reader;

    base_reader_init(&reader, frame, length);
    enum base_err err = kproto_request_header_decode(&reader, &request->header);
    const struct khandler_row *row = khandler_find(request->header.api_key);
    *out_row = row;
    bool is_offered =
        row != NULL && (!khandler_authenticates(row->key) || request->conn->session != NULL);
    if (err == BASE_ERR_UNSUPPORTED || (err == BASE_ERR_OK && !is_offered)) {
        return "API key is not offered";
    }
    if (err == BASE_ERR_OK && request->conn->session != NULL) {
        const char *why = khandler__session_admits(request, request->header.api_key);
        if (why != NULL) {
            return why;
        }
    }
    if (row != NULL && is_unknown_api_versions(&request->header, row)) {
        request->api = kproto_api_find(row->key);
        request->header.api_version = -1;
        return NULL;
    }
    if (err != BASE_ERR_OK) {
        return "request header is malformed";
    }
    if (request->header.api_version < row->version_min ||
        request->header.api_version > row->version_max) {
        return "API version is not offered";
    }
    request->api = kproto_api_find(row->key);
    void *message = base_arena_alloc(&request->arena, request->api->request->schema->size);
    if (message == NULL) {
        return "request needs too much memory";
    }
    err = kproto_decode_request(&reader, request->api->request, request->header.api_version,
                                &request->arena, message);
    if (err != BASE_ERR_OK) {
        return err == BASE_ERR_MALFORMED ? "request body is malformed"
                                         : "request needs too much memory";
    }
    request->message = message;
    return NULL;
}

/* A request for a frame of this length; NULL, with the connection closing, without memory. */
static struct khandler_request_own *begin_request(struct khandler_conn *conn, size_t length)
{
    struct khandler_request_own *own = base_alloc_object(struct khandler_request_own);
    if (own == NULL) {
        net_conn_close(conn->net, BASE_ERR_NOMEM);
        return NULL;
    }
    struct khandler_request *request = &own->request;

    request->conn = conn;
    request->frame = base_buffer_hold(net_conn_input_buffer(conn->net));
    request->executor = net_loop_executor(conn->loop->loop);
    request->broker = &conn->loop->server->options;
    request->principal = conn->session == NULL ? security_anonymous() : &conn->session->principal;
    base_arena_init(&request->arena, ARENA_BYTES_MIN + length * ARENA_BYTES_PER_FRAME_BYTE);
    base_list_push_back(&conn->requests, &own->link);
    conn->requests_count++;
    own->frame_size = length;
    telemetry_add(TELEMETRY_KAFKA_REQUESTS, 1);
    telemetry_add(TELEMETRY_KAFKA_REQUEST_BYTES, length);
    return own;
}

/* The token of an old client: a SaslAuthenticate in all but name. */
static void handle_token(struct khandler_conn *conn, const uint8_t *token, size_t length)
{
    struct khandler_request_own *own = begin_request(conn, length);
    if (own != NULL) {
        own->is_raw = true;
        own->request.api = kproto_api_find(KPROTO_KEY_sasl_authenticate);
        khandler__exchange_step(&own->request, base_slice_of(token, length));
    }
}

static void handle_frame(struct khandler_conn *conn, const uint8_t *frame, size_t length)
{
    struct khandler_request_own *own = begin_request(conn, length);
    if (own == NULL) {
        return;
    }
    struct khandler_request *request = &own->request;
    const struct khandler_row *row = NULL;

    catalog_reader_settle(&conn->loop->reader);
    const char *why = decode_request(request, frame, length, &row);
    if (why != NULL) {
        base_log(BASE_LOG_DEBUG, "KAFKA_REQUEST_REFUSED", "peer=%s api_key=%d api_version=%d",
                 conn->host, request->header.api_key, request->header.api_version);
        khandler_refuse(request, why);
        return;
    }
    row->handle(request);
}

/* Who does not take what it asked for is not asked what else it wants. True: reading stopped. */
static bool stall(struct khandler_conn *conn)
{
    if (conn->stalled || net_conn_output_bytes(conn->net) <= UNSENT_BYTES_MAX) {
        return conn->stalled;
    }
    conn->stalled = true;
    net_conn_pause(conn->net);
    return true;
}

static void on_drained(struct net_conn *net)
{
    struct khandler_conn *conn = net_conn_context(net);

    if (conn->stalled) {
        conn->stalled = false;
        net_conn_resume(net);
    }
}

/* Whether the requests in flight are so many, or so large, that the next one has to wait. The
 * newest is weighed now that its handler has begun. */
static bool is_full(struct khandler_conn *conn)
{
    if (!base_list_is_empty(&conn->requests)) {
        weigh(BASE_CONTAINER_OF(conn->requests.prev, struct khandler_request_own, link));
    }
    return conn->requests_count >= REQUESTS_IN_FLIGHT_MAX ||
           conn->in_flight_bytes > IN_FLIGHT_BYTES_MAX;
}

static int32_t frame_size_max(const struct khandler_conn *conn)
{
    return conn->session != NULL && !conn->session->is_open
               ? KHANDLER_UNPROVEN_FRAME_SIZE_MAX
               : conn->loop->server->options.request_bytes_max;
}

/* Takes a whole frame off the input; its size. 0: the connection is closing, or waits. */
static size_t take_frame(struct khandler_conn *conn)
{
    struct base_slice input = net_conn_input(conn->net);
    if (input.length < FRAME_PREFIX_SIZE || (conn->session != NULL && conn->session->is_deciding)) {
        return 0;
    }
    int32_t length = base_get_i32(input.data);
    if (length < 0 || length > frame_size_max(conn)) {
        reject(conn, "frame length is negative, over socket.request.max.bytes, or over 64 KiB "
                     "before authentication");
        if (base_list_is_empty(&conn->requests)) {
            close_after_answers(conn);
        }
        return 0;
    }
    if (input.length - FRAME_PREFIX_SIZE < (size_t)length) {
        net_conn_expect(conn->net, FRAME_PREFIX_SIZE + (size_t)length);
        return 0;
    }
    /* The frame's bytes stay where they are: the request holds the buffer. */
    struct net_conn *net = conn->net;
    if (conn->session != NULL && khandler__session_takes_raw(conn->session)) {
        handle_token(conn, input.data + FRAME_PREFIX_SIZE, (size_t)length);
    } else if (awaits_offsets(conn, input.data + FRAME_PREFIX_SIZE, (size_t)length)) {
        return 0;
    } else {
        handle_frame(conn, input.data + FRAME_PREFIX_SIZE, (size_t)length);
    }
    net_conn_consume(net, FRAME_PREFIX_SIZE + (size_t)length);
    return FRAME_PREFIX_SIZE + (size_t)length;
}

static void on_input(struct net_conn *net)
{
    struct khandler_conn *conn = net_conn_context(net);

    if (conn->refused) {
        net_conn_consume(net, net_conn_input(net).length);
        return;
    }
    size_t size = 0;
    do {
        if (stall(conn)) {
            return;
        }
        if (is_full(conn)) {
            if (!conn->paused) {
                conn->paused = true;
                net_conn_pause(net);
            }
            return;
        }
        size = take_frame(conn);
        if (size == 0 || conn->refused) {
            return;
        }
    } while (!net_loop_turn_is_over(net_conn_loop(net), size));
    if (net_conn_input(net).length > 0) {
        net_conn_again(net);
    }
}

static void on_close(struct net_conn *net, enum base_err reason)
{
    struct khandler_conn *conn = net_conn_context(net);

    (void)reason;
    conn->net = NULL;
    conn->cancelling = true; /* a request that ends now stays in the list until the walk is over */
    for (struct base_list *node = conn->requests.next; node != &conn->requests; node = node->next) {
        struct khandler_request_own *own =
            BASE_CONTAINER_OF(node, struct khandler_request_own, link);
        if (own->state == KHANDLER_RUNNING && own->request.on_cancel != NULL) {
            own->request.on_cancel(&own->request);
        }
    }
    conn->cancelling = false;
    send_answers(conn);
}

/* The broker stops. What is under way is answered, long polls at once; nothing new is read. */
static void on_drain(struct net_conn *net)
{
    struct khandler_conn *conn = net_conn_context(net);

    conn->refused = true;
    conn->cancelling = true; /* as in on_close */
    for (struct base_list *node = conn->requests.next; node != &conn->requests; node = node->next) {
        struct khandler_request_own *own =
            BASE_CONTAINER_OF(node, struct khandler_request_own, link);
        if (own->state == KHANDLER_RUNNING && own->request.on_drain != NULL) {
            own->request.on_drain(&own->request);
        }
    }
    conn->cancelling = false;
    send_answers(conn);
}

const struct net_conn_ops khandler__conn_ops = {
    .on_input = on_input, .on_drained = on_drained, .on_drain = on_drain, .on_close = on_close};

enum base_err khandler__on_accept(void *context, struct net_conn *net)
{
    struct khandler_server *server = context;
    struct khandler_conn *conn = base_alloc_object(struct khandler_conn);
    if (conn == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (server->options.identity != NULL) {
        conn->session = khandler__session_create();
        if (conn->session == NULL) {
            base_free(conn);
            return BASE_ERR_NOMEM;
        }
        net_conn_set_deadline(net, KHANDLER_PROVING_TIME_MAX_MS);
    }
    struct net_loop *loop = net_conn_loop(net);
    for (unsigned i = 0; i < server->options.loops_count; i++) {
        if (server->loops[i].loop == loop) {
            conn->loop = &server->loops[i];
        }
    }
    BASE_ASSERT(conn->loop != NULL);
    conn->net = net;
    atomic_fetch_add(&server->alive_count, 1);
    base_list_init(&conn->requests);
    base_list_init(&conn->fetch_sessions);
    const char *peer = net_conn_peer(net);
    const char *colon = strrchr(peer, ':');
    conn->host_length = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
    memcpy(conn->host, peer, conn->host_length);
    conn->host[conn->host_length] = '\0';
    net_conn_set_context(net, conn);
    return BASE_ERR_OK;
}
