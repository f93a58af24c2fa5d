/* The Kafka door as a whole: per-loop state and what listeners need. */
#include "kafka-proto/handlers/server.h"

#include "core/base/alloc.h"
#include "kafka-proto/handlers/conn_priv.h"
#include "kafka-proto/handlers/fetch_session.h"

enum { OUTPUT_BYTES_MAX = 256 << 20, OUTPUT_LOW_BYTES = 1 << 20 };

static void free_server(struct khandler_server *server)
{
    for (unsigned i = 0; i < server->options.loops_count; i++) {
        catalog_reader_fini(&server->loops[i].reader);
        khandler_fetch_sessions_close(&server->loops[i].sessions);
    }
    base_free(server->loops);
    base_free(server);
}

void khandler__server_forget(struct khandler_server *server)
{
    if (atomic_fetch_sub(&server->alive_count, 1) > 1) {
        return;
    }
    struct base_executor *executor = server->closed_executor;
    struct base_task *closed = server->closed_task;
    free_server(server);
    base_executor_post(executor, closed);
}

void khandler_server_close(struct khandler_server *server, struct base_executor *executor,
                           struct base_task *closed)
{
    server->closed_executor = executor;
    server->closed_task = closed;
    khandler__server_forget(server);
}

enum base_err khandler_server_create(const struct khandler_options *options,
                                     struct khandler_server **out)
{
    *out = NULL;
    struct khandler_server *server = base_alloc_object(struct khandler_server);
    if (server == NULL) {
        return BASE_ERR_NOMEM;
    }
    server->options = *options;
    atomic_init(&server->alive_count, 1);
    server->loops = base_alloc_array(options->loops_count, sizeof server->loops[0]);
    if (server->loops == NULL) {
        base_free(server);
        return BASE_ERR_NOMEM;
    }
    enum base_err err = BASE_ERR_OK;
    for (unsigned i = 0; err == BASE_ERR_OK && i < options->loops_count; i++) {
        struct khandler_loop *loop = &server->loops[i];
        loop->server = server;
        loop->loop = options->loops[i];
        catalog_reader_init(&loop->reader, options->catalog);
        err = khandler_fetch_sessions_create(i, options->loops_count,
                                             options->fetch_sessions_max / options->loops_count + 1,
                                             &loop->sessions);
    }
    if (err != BASE_ERR_OK) {
        free_server(server);
        server = NULL;
    }
    *out = server;
    return err;
}

void khandler_server_advertise(struct khandler_server *server, uint16_t port)
{
    server->options.advertised_port = port;
}

void khandler_server_listen_options(struct khandler_server *server,
                                    struct net_listener_options *options)
{
    options->loops = server->options.loops;
    options->loops_count = server->options.loops_count;
    options->on_accept = khandler__on_accept;
    options->context = server;
    options->conn = (struct net_conn_options){
        .ops = &khandler__conn_ops,
        .input_bytes_max = (size_t)server->options.request_bytes_max + 4,
        .output_bytes_max = OUTPUT_BYTES_MAX,
        .output_low_bytes = OUTPUT_LOW_BYTES,
        .idle_timeout_ms = server->options.idle_timeout_ms,
    };
}
