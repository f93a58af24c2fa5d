/* A log between real threads: two loops append and read, a pool syncs, a third loop keeps
 * house. Meant for the thread sanitizer; checks order and durability on the way. */
#define _GNU_SOURCE /* mkdtemp */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/assert.h"
#include "core/net/loop.h"
#include "core/net/pool.h"
#include "logstore/io_file.h"
#include "logstore/log.h"
#include "logstore/records_builder.h"

enum { WORKERS_COUNT = 2, ROUNDS_COUNT = 400, BATCHES_PER_TURN = 5 };

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
};

static void gate_pass(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->count++;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void gate_wait(struct gate *gate, int count)
{
    (void)pthread_mutex_lock(&gate->lock);
    while (gate->count < count) {
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    }
    (void)pthread_mutex_unlock(&gate->lock);
}

struct world {
    struct base_mutex lock;
    struct logstore_log *log;
    struct logstore_store *store;
    struct logstore_io *io;
    struct gate gate;
    struct base_task task;
    bool durable;
    char root[32];
};

struct worker {
    struct world *world;
    struct base_executor *executor;
    struct base_task task;
    struct logstore_read read;
    int rounds;
    int64_t read_offset;
};

static void append_one(struct worker *worker)
{
    struct world *world = worker->world;
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct logstore_appended appended;
    uint8_t value[700];
    size_t length = 0;

    memset(value, worker->rounds & 0xff, sizeof value);
    base_writer_init(&writer, 1 << 20);
    logstore_records_builder_begin(&builder, &writer);
    struct logstore_record_input input = {.timestamp_ms = 1 + worker->rounds,
                                          .value = base_slice_of(value, sizeof value)};
    for (int i = 0; i < 1 + worker->rounds % 8; i++) {
        logstore_records_builder_add(&builder, &input);
    }
    enum base_err err = logstore_records_builder_finish(&builder);
    BASE_ASSERT(err == BASE_ERR_OK);
    struct logstore_batch batch = builder.header;
    struct base_chunk chunk = {.buffer = base_writer_take(&writer, &length)};
    chunk.length = length;
    base_mutex_lock(&world->lock);
    err = logstore_log_append(world->log, &chunk, &batch, worker->executor, &appended);
    base_mutex_unlock(&world->lock);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_chunk_release(&chunk);
}

static void check_chunks(struct worker *worker)
{
    struct logstore_read *read = &worker->read;
    int64_t offset = read->offset;

    if (read->err == BASE_ERR_OUT_OF_RANGE) { /* retention was faster */
        base_mutex_lock(&worker->world->lock);
        worker->read_offset = logstore_log_start_offset(worker->world->log);
        base_mutex_unlock(&worker->world->lock);
        return;
    }
    BASE_ASSERT(read->err == BASE_ERR_OK);
    for (uint32_t i = 0; i < read->chunks_count; i++) {
        const uint8_t *data = read->chunks[i].buffer->data + read->chunks[i].position;
        for (size_t at = 0; at < read->chunks[i].length;) {
            struct logstore_batch batch;
            enum base_err err =
                logstore_batch_peek(data + at, read->chunks[i].length - at, &batch, NULL);
            BASE_ASSERT(err == BASE_ERR_OK);
            err = logstore_batch_verify_crc(data + at, batch.size_bytes);
            BASE_ASSERT(err == BASE_ERR_OK);
            BASE_ASSERT(batch.base_offset <= offset); /* the start can be inside a batch */
            BASE_ASSERT(batch.base_offset == offset || at == 0);
            offset = logstore_batch_next_offset(&batch);
            at += batch.size_bytes;
        }
    }
    BASE_ASSERT(offset == read->next_offset);
    worker->read_offset = offset;
    logstore_read_release(read);
}

static void go_on(struct worker *worker)
{
    if (worker->rounds == ROUNDS_COUNT) {
        gate_pass(&worker->world->gate);
        return;
    }
    base_executor_post(worker->executor, &worker->task);
}

static void read_ended(struct base_task *task)
{
    struct logstore_read *read = BASE_CONTAINER_OF(task, struct logstore_read, task);
    struct worker *worker = BASE_CONTAINER_OF(read, struct worker, read);
    check_chunks(worker);
    go_on(worker);
}

static void turn(struct base_task *task)
{
    struct worker *worker = BASE_CONTAINER_OF(task, struct worker, task);
    struct world *world = worker->world;

    worker->rounds++;
    for (int i = 0; i < BATCHES_PER_TURN; i++) {
        append_one(worker);
    }
    base_mutex_lock(&world->lock);
    int64_t durable_offset = logstore_log_durable_offset(world->log);
    if (worker->rounds % 100 == 0) {
        logstore_log_trim(world->log, worker->read_offset / 2, NULL);
    }
    base_mutex_unlock(&world->lock);
    worker->read = (struct logstore_read){.offset = worker->read_offset,
                                          .limit_offset = durable_offset,
                                          .bytes_max = 100000,
                                          .first_whole = true,
                                          .in_memory = true,
                                          .executor = worker->executor,
                                          .task.run = read_ended};
    if (logstore_log_read(world->log, &worker->read) == LOGSTORE_IO_DONE) {
        check_chunks(worker);
        go_on(worker);
    }
}

static void open_on_pool(struct base_task *task)
{
    struct world *world = BASE_CONTAINER_OF(task, struct world, task);
    struct logstore_log_options options = {
        .store = world->store, .name = "threads", .lock = &world->lock};

    logstore_log_config_default(&options.config);
    options.config.segment_bytes = 300000;
    options.config.durable = world->durable;
    options.config.flush_interval_ms = 20;
    options.config.retention_bytes = 2000000;
    enum base_err err = logstore_log_open(&options, &world->log);
    BASE_ASSERT(err == BASE_ERR_OK);
    gate_pass(&world->gate);
}

static void closed(struct base_task *task)
{
    gate_pass(&BASE_CONTAINER_OF(task, struct world, task)->gate);
}

static bool remove_log(void *context, const char *name, uint64_t size_bytes)
{
    struct logstore_io *io = context;
    (void)size_bytes;
    enum base_err err = io->ops->remove_all(io, name);
    BASE_ASSERT(err == BASE_ERR_OK);
    return true;
}

static void run(bool durable)
{
    static struct world world;
    struct net_loop *loops[WORKERS_COUNT + 1];
    struct net_pool *pool = NULL;
    struct worker workers[WORKERS_COUNT];
    char path[64];

    world = (struct world){.durable = durable};
    (void)pthread_mutex_init(&world.gate.lock, NULL);
    (void)pthread_cond_init(&world.gate.changed, NULL);
    base_mutex_init(&world.lock);
    (void)snprintf(world.root, sizeof world.root, "/tmp/dmsd-log-XXXXXX");
    assert_non_null(mkdtemp(world.root));
    for (unsigned i = 0; i <= WORKERS_COUNT; i++) {
        assert_int_equal(net_loop_create(i, base_clock_system(), NULL, &loops[i]), BASE_ERR_OK);
    }
    assert_int_equal(net_pool_create(3, base_clock_system(), &pool), BASE_ERR_OK);
    struct logstore_io_file_options io_options = {.root = world.root,
                                                  .worker = net_pool_executor(pool)};
    assert_int_equal(logstore_io_file_create(&io_options, &world.io), BASE_ERR_OK);
    struct logstore_store_options options = {.io = world.io,
                                             .worker = net_pool_executor(pool),
                                             .housekeeper = net_loop_executor(loops[2]),
                                             .clock = base_clock_system(),
                                             .tail_bytes_max = 200000,
                                             .open_segments_max = 2,
                                             .retention_check_ms = 50};
    assert_int_equal(logstore_store_create(&options, &world.store), BASE_ERR_OK);
    world.task.run = open_on_pool;
    base_executor_post(net_pool_executor(pool), &world.task);
    gate_wait(&world.gate, 1);
    for (int i = 0; i < WORKERS_COUNT; i++) {
        workers[i] = (struct worker){
            .world = &world, .executor = net_loop_executor(loops[i]), .task.run = turn};
        base_executor_post(workers[i].executor, &workers[i].task);
    }
    gate_wait(&world.gate, 1 + WORKERS_COUNT);
    world.task.run = closed;
    logstore_log_close(world.log, true, net_loop_executor(loops[0]), &world.task);
    gate_wait(&world.gate, 2 + WORKERS_COUNT);
    logstore_store_close(&world.store);
    for (unsigned i = 0; i <= WORKERS_COUNT; i++) {
        net_loop_close(&loops[i]);
    }
    net_pool_close(&pool);
    assert_int_equal(world.io->ops->list_logs(world.io, remove_log, world.io), BASE_ERR_OK);
    logstore_io_file_close(&world.io);
    (void)snprintf(path, sizeof path, "%s/.lock", world.root);
    (void)unlink(path);
    (void)rmdir(world.root);
    base_mutex_fini(&world.lock);
}

static void durable_log_is_shared_by_threads(void **state)
{
    (void)state;
    run(true);
}

static void fast_log_is_shared_by_threads(void **state)
{
    (void)state;
    run(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durable_log_is_shared_by_threads),
        cmocka_unit_test(fast_log_is_shared_by_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
