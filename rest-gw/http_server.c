/* What the connections of a gateway share: limits, counts, and when the last of them is gone. */
#include "rest-gw/http_server.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "rest-gw/http_parser.h"
#include "rest-gw/http_server_priv.h"

enum base_err restgw_http_server_create(const struct restgw_http_options *options,
                                        struct restgw_http_server **out)
{
    BASE_ASSERT(options->router != NULL);
    BASE_ASSERT(options->body_size_max <= RESTGW_HTTP_BODY_SIZE_MAX);

    *out = NULL;
    struct restgw_http_server *server = base_alloc_object(struct restgw_http_server);
    if (server == NULL) {
        return BASE_ERR_NOMEM;
    }
    server->options = *options;
    atomic_init(&server->alive, 1);
    if (options->body_size_max == 0) {
        server->options.body_size_max = RESTGW_HTTP_BODY_SIZE_MAX;
    }
    if (options->in_flight_size_max == 0) {
        server->options.in_flight_size_max = RESTGW_HTTP_IN_FLIGHT_SIZE_MAX;
    }
    if (options->unsent_size_max == 0) {
        server->options.unsent_size_max = RESTGW_HTTP_UNSENT_SIZE_MAX;
    }
    if (options->header_timeout_ms == 0) {
        server->options.header_timeout_ms = RESTGW_HTTP_HEADER_TIMEOUT_MS;
    }
    if (options->body_timeout_ms == 0) {
        server->options.body_timeout_ms = RESTGW_HTTP_BODY_TIMEOUT_MS;
    }
    *out = server;
    return BASE_ERR_OK;
}

void restgw_http_server_close(struct restgw_http_server **server)
{
    if (*server != NULL) {
        BASE_ASSERT(atomic_load(&(*server)->requests) == 0);
        BASE_ASSERT(atomic_load(&(*server)->bytes) == 0);
        BASE_ASSERT(atomic_load(&(*server)->unsent_bytes) == 0);
    }
    base_free(*server);
    *server = NULL;
}

void restgw__http_server_hold(struct restgw_http_server *server)
{
    (void)atomic_fetch_add(&server->alive, 1);
}

void restgw__http_server_release(struct restgw_http_server *server)
{
    if (atomic_fetch_sub(&server->alive, 1) == 1) {
        base_executor_post(server->finished_executor, server->finished_task);
    }
}

void restgw_http_server_finish(struct restgw_http_server *server, struct base_executor *executor,
                               struct base_task *finished)
{
    BASE_ASSERT(server->finished_task == NULL);
    server->finished_executor = executor;
    server->finished_task = finished;
    restgw__http_server_release(server);
}

void restgw_http_server_drain(struct restgw_http_server *server)
{
    atomic_store(&server->is_draining, true);
}

size_t restgw_http_server_connections(const struct restgw_http_server *server)
{
    return atomic_load(&server->connections);
}

size_t restgw_http_server_requests(const struct restgw_http_server *server)
{
    return atomic_load(&server->requests);
}

size_t restgw_http_server_bytes(const struct restgw_http_server *server)
{
    return atomic_load(&server->bytes);
}

size_t restgw_http_server_unsent_bytes(const struct restgw_http_server *server)
{
    return atomic_load(&server->unsent_bytes);
}

/* Counts size bytes, as long as the sum stays within limit. */
static bool charge(atomic_size_t *counter, size_t size, size_t limit)
{
    size_t before = atomic_fetch_add(counter, size);
    if (before + size <= limit) {
        return true;
    }
    (void)atomic_fetch_sub(counter, size);
    return false;
}

bool restgw__http_server_charge(struct restgw_http_server *server, size_t size)
{
    return charge(&server->bytes, size, server->options.in_flight_size_max);
}

bool restgw__http_server_charge_unfinished(struct restgw_http_server *server, size_t size)
{
    size_t limit = server->options.in_flight_size_max;
    return charge(&server->bytes, size, limit - limit / RESTGW_HTTP_RESERVE_SHARE);
}

void restgw__http_server_refund(struct restgw_http_server *server, size_t size)
{
    size_t before = atomic_fetch_sub(&server->bytes, size);
    BASE_ASSERT(before >= size);
}

bool restgw__http_server_charge_unverified(struct restgw_http_server *server, size_t size)
{
    return charge(&server->unverified_bytes, size, RESTGW_HTTP_UNVERIFIED_SIZE_MAX);
}

void restgw__http_server_refund_unverified(struct restgw_http_server *server, size_t size)
{
    size_t before = atomic_fetch_sub(&server->unverified_bytes, size);
    BASE_ASSERT(before >= size);
}

void restgw__http_server_recount_unsent(struct restgw_http_server *server, size_t before,
                                        size_t after)
{
    if (after > before) {
        (void)atomic_fetch_add(&server->unsent_bytes, after - before);
    } else if (after < before) {
        size_t sum = atomic_fetch_sub(&server->unsent_bytes, before - after);
        BASE_ASSERT(sum >= before - after);
    }
}

bool restgw__http_server_owes_much(const struct restgw_http_server *server)
{
    return atomic_load(&server->unsent_bytes) >= server->options.unsent_size_max;
}
