/* Producers and consumers on several real loops, all at one queue on real files: every
 * message is acked once, and under the thread sanitizer nothing races. */
#define _GNU_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/base/assert.h"
#include "core/net/loop.h"
#include "core/net/pool.h"
#include "core/queue/ack.h"
#include "core/queue/browse.h"
#include "core/queue/consume.h"
#include "core/queue/produce.h"
#include "core/queue/reset.h"
#include "logstore/io_file.h"

enum {
    LOOPS_COUNT = 3,
    PRODUCERS_COUNT = 3,
    CONSUMERS_COUNT = 6,
    ROUNDS_COUNT = 60, /* of each producer */
    MESSAGES_COUNT = PRODUCERS_COUNT * ROUNDS_COUNT * QUEUE_MESSAGES_MAX,
    GROUPS_COUNT = 2,
    RACERS_COUNT = 6,
    RACER_ROUNDS_COUNT = 60,
};

/* The test's own thread waits for a number of events. */
static pthread_mutex_t events_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t events_cond = PTHREAD_COND_INITIALIZER;
static int events_count;

static void event(void)
{
    pthread_mutex_lock(&events_mutex);
    events_count++;
    pthread_cond_signal(&events_cond);
    pthread_mutex_unlock(&events_mutex);
}

static void event_task(struct base_task *task)
{
    (void)task;
    event();
}

static void wait_for_events(int count)
{
    pthread_mutex_lock(&events_mutex);
    while (events_count < count) {
        pthread_cond_wait(&events_cond, &events_mutex);
    }
    events_count -= count;
    pthread_mutex_unlock(&events_mutex);
}

static struct {
    struct net_loop *loops[LOOPS_COUNT];
    struct base_executor *executors[LOOPS_COUNT];
    struct net_pool *pool;
    struct logstore_io *io;
    struct logstore_store *store;
    struct catalog *catalog;
    struct partition_table *table;
    struct queue_manager *manager;
    struct catalog_topic *topic;
    atomic_int acked[GROUPS_COUNT][MESSAGES_COUNT];
    atomic_int acked_count[GROUPS_COUNT];
    char root[64];
} broker;

struct producer {
    struct base_task round;
    struct queue_produce produce;
    struct queue_produce_message messages[QUEUE_MESSAGES_MAX];
    uint32_t numbers[QUEUE_MESSAGES_MAX];
    uint32_t first;
    int rounds;
};

static void produce_round(struct base_task *task)
{
    struct producer *producer = BASE_CONTAINER_OF(task, struct producer, round);

    if (producer->rounds++ == ROUNDS_COUNT) {
        event();
        return;
    }
    for (uint32_t i = 0; i < QUEUE_MESSAGES_MAX; i++) {
        producer->numbers[i] = producer->first++;
        producer->messages[i].value =
            base_slice_of(&producer->numbers[i], sizeof producer->numbers[i]);
    }
    producer->produce.messages = producer->messages;
    producer->produce.messages_count = QUEUE_MESSAGES_MAX;
    if (queue_produce(broker.manager, &producer->produce) == QUEUE_DONE) {
        producer->produce.task.run(&producer->produce.task);
    }
}

static void produced(struct base_task *task)
{
    struct producer *producer = BASE_CONTAINER_OF(task, struct producer, produce.task);
    BASE_ASSERT(producer->produce.verdict == QUEUE_OK);
    base_executor_post(producer->produce.executor, &producer->round);
}

struct consumer {
    struct base_task round;
    struct queue_consume consume;
    struct queue_ack ack;
    struct queue_ack_item items[QUEUE_MESSAGES_MAX];
    char handlers[QUEUE_MESSAGES_MAX][QUEUE_HANDLER_SIZE];
    uint32_t numbers[QUEUE_MESSAGES_MAX];
    uint32_t count;
    int group;
    int rounds;
};

static void consume_round(struct base_task *task)
{
    struct consumer *consumer = BASE_CONTAINER_OF(task, struct consumer, round);

    if (atomic_load(&broker.acked_count[consumer->group]) == MESSAGES_COUNT) {
        event();
        return;
    }
    consumer->rounds++;
    if (queue_consume(broker.manager, &consumer->consume) == QUEUE_DONE) {
        consumer->consume.task.run(&consumer->consume.task);
    } else if (consumer->rounds % 11 == 0 && queue_consume_cancel(&consumer->consume)) {
        queue_consume_release(&consumer->consume);
        base_executor_post(consumer->consume.executor, &consumer->round);
    }
}

static void consumed(struct base_task *task)
{
    struct consumer *consumer = BASE_CONTAINER_OF(task, struct consumer, consume.task);
    struct queue_consume *consume = &consumer->consume;

    BASE_ASSERT(consume->verdict == QUEUE_OK);
    if (consumer->rounds % 13 == 0) {
        (void)queue_consume_cancel(consume); /* the connection has gone */
    }
    consumer->count = consume->messages_count;
    for (uint32_t i = 0; i < consumer->count; i++) {
        memcpy(consumer->handlers[i], consume->messages[i].handler, QUEUE_HANDLER_SIZE);
        memcpy(&consumer->numbers[i], consume->messages[i].record.value.data,
               sizeof consumer->numbers[i]);
        BASE_ASSERT(consumer->numbers[i] < MESSAGES_COUNT);
        consumer->items[i].handler = base_slice_text(consumer->handlers[i]);
        consumer->items[i].success = i != 7 || consumer->rounds % 5 != 0;
    }
    queue_consume_release(consume);
    consumer->ack.items_count = consumer->count;
    if (consumer->count == 0 || consumer->rounds % 7 == 0) {
        base_executor_post(consume->executor, &consumer->round); /* the lease times out */
    } else if (queue_ack(broker.manager, &consumer->ack) == QUEUE_DONE) {
        consumer->ack.task.run(&consumer->ack.task);
    }
}

static void acked(struct base_task *task)
{
    struct consumer *consumer = BASE_CONTAINER_OF(task, struct consumer, ack.task);
    struct queue_counters counters;

    BASE_ASSERT(consumer->ack.verdict == QUEUE_OK ||
                consumer->ack.verdict == QUEUE_HANDLER_UNKNOWN);
    for (uint32_t i = 0; i < consumer->ack.success_count; i++) {
        int before = atomic_fetch_add(&broker.acked[consumer->group][consumer->numbers[i]], 1);
        BASE_ASSERT(before == 0);
    }
    atomic_fetch_add(&broker.acked_count[consumer->group], (int)consumer->ack.success_count);
    BASE_ASSERT(queue_count(broker.manager, broker.topic, consumer->ack.group_id, &counters) ==
                QUEUE_OK);
    BASE_ASSERT(counters.consumed <= counters.produced);
    base_executor_post(consumer->ack.executor, &consumer->round);
}

struct starter {
    struct base_task task;
    struct partition_topic_op op;
    struct catalog_change change;
    struct queue_open open;
};

static void open_catalog(struct base_task *task)
{
    int32_t generation;
    enum base_err err = catalog_next_generation(broker.store, &generation);
    const struct catalog_options options = {.store = broker.store,
                                            .queues_per_project_max = 10,
                                            .groups_per_queue_max = 10,
                                            .partitions_max = 100,
                                            .leader_epoch = generation};
    (void)task;
    BASE_ASSERT(err == BASE_ERR_OK);
    err = catalog_open(&options, &broker.catalog);
    BASE_ASSERT(err == BASE_ERR_OK);
    event();
}

static void open_partitions(struct starter *starter)
{
    const struct partition_table_options options = {.catalog = broker.catalog,
                                                    .store = broker.store,
                                                    .leader_epoch = 1,
                                                    .flush_interval_ms = 1000,
                                                    .flush_bytes = 1 << 20};

    starter->task.run = event_task;
    assert_int_equal(partition_table_create(&options, &broker.table), BASE_ERR_OK);
    assert_int_equal(partition_table_open_all(broker.table, broker.executors[0], &starter->task),
                     BASE_ERR_OK);
    wait_for_events(1);
}

static void open_queues(struct starter *starter)
{
    const struct queue_manager_options options = {
        .catalog = broker.catalog,
        .table = broker.table,
        .clock = base_clock_system(),
        .worker = net_pool_executor(broker.pool),
        .executors = broker.executors,
        .executors_count = LOOPS_COUNT,
        .snapshot_updates = 50,
    };

    assert_int_equal(queue_manager_create(&options, &broker.manager), BASE_ERR_OK);
    starter->open.executor = broker.executors[0];
    starter->open.task.run = event_task;
    queue_manager_open(broker.manager, &starter->open);
    wait_for_events(1);
    assert_int_equal(starter->open.err, BASE_ERR_OK);
}

static void make_topic(struct base_task *task)
{
    struct starter *starter = BASE_CONTAINER_OF(task, struct starter, task);
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text("q"), base_slice_text("q"), CATALOG_NORMAL);

    BASE_ASSERT(draft != NULL);
    draft->partitions_count = 3;
    partition_create_topic(broker.table, draft, &starter->op);
}

static void make_groups(struct base_task *task)
{
    struct starter *starter = BASE_CONTAINER_OF(task, struct starter, task);
    const struct base_slice names[GROUPS_COUNT] = {base_slice_text("a"), base_slice_text("b")};

    catalog_create_groups(broker.catalog, starter->op.topic->id, names, GROUPS_COUNT,
                          &starter->change);
}

static void make_queue(struct starter *starter)
{
    starter->op.executor = broker.executors[0];
    starter->op.task.run = event_task;
    starter->task.run = make_topic;
    base_executor_post(broker.executors[0], &starter->task);
    wait_for_events(1);
    assert_int_equal(starter->op.verdict, CATALOG_DONE);
    starter->change.executor = broker.executors[0];
    starter->change.task.run = event_task;
    starter->task.run = make_groups;
    base_executor_post(broker.executors[0], &starter->task);
    wait_for_events(1);
    assert_int_equal(starter->change.verdict, CATALOG_DONE);
    catalog_topic_release(&starter->op.topic);
    broker.topic = starter->change.topic;
}

static int start_broker(void **state)
{
    static struct starter starter;

    (void)state;
    (void)snprintf(broker.root, sizeof broker.root, "/tmp/dmsd-queue-XXXXXX");
    assert_non_null(mkdtemp(broker.root));
    assert_int_equal(net_pool_create(2, base_clock_system(), &broker.pool), BASE_ERR_OK);
    for (unsigned i = 0; i < LOOPS_COUNT; i++) {
        assert_int_equal(net_loop_create(i, base_clock_system(), NULL, &broker.loops[i]),
                         BASE_ERR_OK);
        broker.executors[i] = net_loop_executor(broker.loops[i]);
    }
    const struct logstore_io_file_options io_options = {.root = broker.root,
                                                        .worker = net_pool_executor(broker.pool)};
    assert_int_equal(logstore_io_file_create(&io_options, &broker.io), BASE_ERR_OK);
    const struct logstore_store_options options = {.io = broker.io,
                                                   .worker = net_pool_executor(broker.pool),
                                                   .housekeeper = broker.executors[0],
                                                   .clock = base_clock_system(),
                                                   .tail_bytes_max = 1 << 20,
                                                   .open_segments_max = 100,
                                                   .retention_check_ms = 1000};
    assert_int_equal(logstore_store_create(&options, &broker.store), BASE_ERR_OK);
    starter.task.run = open_catalog;
    base_executor_post(net_pool_executor(broker.pool), &starter.task);
    wait_for_events(1);
    open_partitions(&starter);
    open_queues(&starter);
    make_queue(&starter);
    return 0;
}

static bool remove_log(void *context, const char *name, uint64_t size_bytes)
{
    struct logstore_io *io = context;
    (void)size_bytes;
    return io->ops->remove_all(io, name) == BASE_ERR_OK;
}

static int stop_broker(void **state)
{
    struct base_task closed = {.run = event_task};
    char path[128];

    (void)state;
    catalog_topic_release(&broker.topic);
    queue_manager_close(broker.manager, broker.executors[0], &closed);
    wait_for_events(1);
    partition_table_close(broker.table, broker.executors[0], &closed);
    wait_for_events(1);
    catalog_close(broker.catalog, broker.executors[0], &closed);
    wait_for_events(1);
    for (unsigned i = 0; i < LOOPS_COUNT; i++) {
        net_loop_close(&broker.loops[i]);
    }
    net_pool_close(&broker.pool);
    logstore_store_close(&broker.store);
    (void)broker.io->ops->list_logs(broker.io, remove_log, broker.io);
    logstore_io_file_close(&broker.io);
    (void)snprintf(path, sizeof path, "%s/.lock", broker.root);
    (void)unlink(path);
    (void)rmdir(broker.root);
    return 0;
}

static void start_producers(struct producer producers[PRODUCERS_COUNT])
{
    for (uint32_t i = 0; i < PRODUCERS_COUNT; i++) {
        struct producer *producer = &producers[i];
        producer->round.run = produce_round;
        producer->first = i * ROUNDS_COUNT * QUEUE_MESSAGES_MAX;
        producer->produce.topic = broker.topic;
        producer->produce.executor = broker.executors[i % LOOPS_COUNT];
        producer->produce.task.run = produced;
        base_executor_post(producer->produce.executor, &producer->round);
    }
}

static void start_consumers(struct consumer consumers[CONSUMERS_COUNT])
{
    for (int i = 0; i < CONSUMERS_COUNT; i++) {
        struct consumer *consumer = &consumers[i];
        struct base_executor *executor = broker.executors[i % LOOPS_COUNT];
        consumer->group = i % GROUPS_COUNT;
        consumer->round.run = consume_round;
        consumer->consume.executor = executor;
        consumer->consume.task.run = consumed;
        consumer->consume.topic = broker.topic;
        consumer->consume.group_id = base_slice_text(broker.topic->groups[consumer->group].id);
        consumer->consume.messages_max = QUEUE_MESSAGES_MAX;
        consumer->consume.size_bytes_max = QUEUE_CONSUME_BYTES_MAX;
        consumer->consume.time_wait_ms = 20;
        consumer->consume.ack_wait_ms = 50;
        consumer->ack.executor = executor;
        consumer->ack.task.run = acked;
        consumer->ack.topic = broker.topic;
        consumer->ack.group_id = consumer->consume.group_id;
        consumer->ack.items = consumer->items;
        base_executor_post(executor, &consumer->round);
    }
}

static void every_message_is_acked_once_on_real_threads(void **state)
{
    static struct producer producers[PRODUCERS_COUNT];
    static struct consumer consumers[CONSUMERS_COUNT];

    (void)state;
    start_producers(producers);
    start_consumers(consumers);
    wait_for_events(PRODUCERS_COUNT + CONSUMERS_COUNT);
    for (int i = 0; i < GROUPS_COUNT; i++) {
        struct queue_counters counters;
        assert_int_equal(queue_count(broker.manager, broker.topic,
                                     base_slice_text(broker.topic->groups[i].id), &counters),
                         QUEUE_OK);
        assert_int_equal(counters.produced, MESSAGES_COUNT);
        assert_int_equal(counters.consumed, MESSAGES_COUNT);
        assert_int_equal(counters.available, 0);
    }
}

/* Resets, browses or consumes again and again, all at one group. */
struct racer {
    struct base_task round;
    struct queue_reset reset;
    struct queue_browse browse;
    struct queue_consume consume;
    int index;
    int rounds;
};

static void race(struct base_task *task)
{
    struct racer *racer = BASE_CONTAINER_OF(task, struct racer, round);
    enum queue_progress progress;

    if (racer->rounds++ == RACER_ROUNDS_COUNT) {
        event();
        return;
    }
    if (racer->index % 3 == 0) {
        racer->reset.position = racer->rounds % 2 == 0 ? QUEUE_RESET_EARLIEST : QUEUE_RESET_LATEST;
        progress = queue_reset(broker.manager, &racer->reset);
    } else if (racer->index % 3 == 1) {
        racer->browse.newest_first = racer->rounds % 2 == 0;
        progress = queue_browse(broker.manager, &racer->browse);
    } else {
        progress = queue_consume(broker.manager, &racer->consume);
    }
    if (progress == QUEUE_DONE) {
        struct base_task *tasks[] = {&racer->reset.task, &racer->browse.task, &racer->consume.task};
        tasks[racer->index % 3]->run(tasks[racer->index % 3]);
    }
}

static void reset_over(struct base_task *task)
{
    struct racer *racer = BASE_CONTAINER_OF(task, struct racer, reset.task);
    BASE_ASSERT(racer->reset.verdict == QUEUE_OK);
    queue_reset_release(&racer->reset);
    base_executor_post(racer->reset.executor, &racer->round);
}

static void browse_over(struct base_task *task)
{
    struct racer *racer = BASE_CONTAINER_OF(task, struct racer, browse.task);
    BASE_ASSERT(racer->browse.verdict == QUEUE_OK);
    BASE_ASSERT(racer->browse.messages_count == QUEUE_BROWSE_MESSAGES_MAX);
    queue_browse_release(&racer->browse);
    base_executor_post(racer->browse.executor, &racer->round);
}

static void consume_over(struct base_task *task)
{
    struct racer *racer = BASE_CONTAINER_OF(task, struct racer, consume.task);
    BASE_ASSERT(racer->consume.verdict == QUEUE_OK);
    queue_consume_release(&racer->consume);
    base_executor_post(racer->consume.executor, &racer->round);
}

static void start_racers(struct racer racers[RACERS_COUNT])
{
    for (int i = 0; i < RACERS_COUNT; i++) {
        struct racer *racer = &racers[i];
        struct base_executor *executor = broker.executors[(i + i / 3) % LOOPS_COUNT];
        struct base_slice group_id = base_slice_text(broker.topic->groups[0].id);
        *racer = (struct racer){.round = {.run = race}, .index = i};
        racer->reset.executor = executor;
        racer->reset.task.run = reset_over;
        racer->reset.topic = broker.topic;
        racer->reset.group_id = group_id;
        racer->reset.force = true;
        racer->browse.executor = executor;
        racer->browse.task.run = browse_over;
        racer->browse.topic = broker.topic;
        racer->browse.partition = i % 3;
        racer->browse.offset = -1;
        racer->browse.timestamp_ms = -1;
        racer->browse.messages_max = QUEUE_BROWSE_MESSAGES_MAX;
        racer->consume.executor = executor;
        racer->consume.task.run = consume_over;
        racer->consume.topic = broker.topic;
        racer->consume.group_id = group_id;
        racer->consume.messages_max = QUEUE_MESSAGES_MAX;
        racer->consume.size_bytes_max = QUEUE_CONSUME_BYTES_MAX;
        racer->consume.time_wait_ms = 5;
        racer->consume.ack_wait_ms = 20;
        base_executor_post(executor, &racer->round);
    }
}

static void resets_browses_and_consumes_race(void **state)
{
    static struct producer producers[PRODUCERS_COUNT];
    static struct racer racers[RACERS_COUNT];
    struct queue_counters counters;

    (void)state;
    memset(producers, 0, sizeof producers);
    start_producers(producers);
    wait_for_events(PRODUCERS_COUNT);
    start_racers(racers);
    wait_for_events(RACERS_COUNT);
    assert_int_equal(queue_count(broker.manager, broker.topic,
                                 base_slice_text(broker.topic->groups[0].id), &counters),
                     QUEUE_OK);
    assert_int_equal(counters.consumed + counters.available, MESSAGES_COUNT);
    assert_int_equal(counters.skipped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_message_is_acked_once_on_real_threads, start_broker,
                                        stop_broker),
        cmocka_unit_test_setup_teardown(resets_browses_and_consumes_race, start_broker,
                                        stop_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
