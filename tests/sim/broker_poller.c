/* Pollers: fetches from several partitions at random offsets that wait for news until a
 * deadline, and the comparison of what was read with the model. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "logstore/records.h"
#include "tests/sim/broker_world.h"

enum { TARGETS_MAX = 4, READ_BYTES_MAX = 20000, INFLATED_BYTES_MAX = 1 << 20, PLANT_ONE_IN = 30 };

enum poller_state { POLLER_IDLE, POLLER_READING, POLLER_WAITING, POLLER_ENDING };

struct target {
    struct partition_watch watch;
    struct partition *partition; /* held */
    uint32_t topic;
    int32_t index;
    int64_t offset;
};

struct broker_poller {
    struct broker_client client;
    enum poller_state state;
    struct partition_watcher watcher;
    struct target targets[TARGETS_MAX];
    uint32_t targets_count;
    uint32_t reading; /* the target that is being read */
    struct logstore_read read;
    int64_t next_offset; /* behind the last read */
    size_t bytes_count;  /* of this round */
    bool is_failed;      /* a target cannot be read: answer at once */
    int64_t deadline_us;
    bool is_cancelled;
    uint64_t ended_count;
};

/* Comparison. */

/* One batch in one piece of memory; returns the offset behind it. */
static int64_t check_batch(struct broker_world *world, const struct target *target,
                           const uint8_t *data, const struct logstore_batch *batch)
{
    struct logstore_records records;
    struct logstore_record record;
    bool swaps = world->plant == PLANT_SWAP && batch->records_count > 1 &&
                 broker_world_chance(world, PLANT_ONE_IN);

    MODEL_CHECK(logstore_batch_verify_crc(data, batch->size_bytes) == BASE_ERR_OK);
    MODEL_CHECK(batch->leader_epoch <= world->harness.generation);
    MODEL_CHECK(batch->records_count == batch->last_offset_delta + 1);
    enum base_err err =
        logstore_records_open(&records, data, batch->size_bytes, INFLATED_BYTES_MAX);
    MODEL_CHECK(err == BASE_ERR_OK);
    int64_t expected = batch->base_offset;
    while (logstore_records_next(&records, &record)) {
        MODEL_CHECK(record.offset == expected);
        int64_t offset = swaps ? batch->base_offset + (expected == batch->base_offset) : expected;
        broker_model_seen(&world->model, target->topic, target->index, offset, record.value,
                          record.timestamp_ms);
        expected++;
        world->records_count++;
    }
    MODEL_CHECK(logstore_records_finish(&records) == BASE_ERR_OK);
    logstore_records_close(&records);
    return expected;
}

/* The chunks of a read in one piece. */
static uint8_t *flatten(const struct logstore_read *read)
{
    uint8_t *data = base_alloc(read->length);
    size_t at = 0;

    BASE_ASSERT(data != NULL);
    for (uint32_t i = 0; i < read->chunks_count; i++) {
        const struct base_chunk *chunk = &read->chunks[i];
        BASE_ASSERT(chunk->buffer != NULL);
        MODEL_CHECK(chunk->length <= read->length - at);
        memcpy(data + at, chunk->buffer->data + chunk->position, chunk->length);
        at += chunk->length;
    }
    MODEL_CHECK(at == read->length);
    return data;
}

/* Whole batches without a gap, the first one with the offset that was asked for. */
static void check_data(struct broker_world *world, const struct target *target,
                       const struct logstore_read *read)
{
    uint8_t *data = flatten(read);
    int64_t next = -1;
    size_t at = 0;
    struct partition_offsets offsets;

    while (at < read->length) {
        struct logstore_batch batch;
        enum base_err err = logstore_batch_peek(data + at, read->length - at, &batch, NULL);
        MODEL_CHECK(err == BASE_ERR_OK);
        if (next < 0) {
            MODEL_CHECK(batch.base_offset <= read->offset);
            MODEL_CHECK(logstore_batch_next_offset(&batch) > read->offset);
        } else {
            MODEL_CHECK(batch.base_offset == next);
        }
        next = check_batch(world, target, data + at, &batch);
        at += batch.size_bytes;
    }
    base_free(data);
    MODEL_CHECK(next == read->next_offset);
    /* Nothing above the high watermark, and what was below it stays. */
    partition_offsets(target->partition, &offsets);
    MODEL_CHECK(next <= offsets.high_watermark);
    broker_model_promise(&world->model.topics[target->topic].partitions[target->index], next,
                         world->model.topics[target->topic].is_ha);
}

static void check_read_err(struct broker_world *world, const struct target *target,
                           const struct logstore_read *read)
{
    struct partition_offsets offsets;

    if (read->err == BASE_ERR_OUT_OF_RANGE) {
        partition_offsets(target->partition, &offsets);
        MODEL_CHECK(read->offset < offsets.start || read->offset > offsets.end);
    } else {
        broker_world_check_err(world, target->topic, read->err);
    }
}

/* Rounds. */

static void end_poll(struct broker_poller *poller)
{
    struct broker_world *world = poller->client.world;

    MODEL_CHECK(broker_world_now_us(world) <= poller->deadline_us + 120 * WORLD_SECOND);
    for (uint32_t i = 0; i < poller->targets_count; i++) {
        partition_release(&poller->targets[i].partition);
    }
    poller->targets_count = 0;
    poller->state = POLLER_IDLE;
    poller->ended_count++;
    world->open_count--;
}

static void unwatch_all(struct broker_poller *poller)
{
    for (uint32_t i = 0; i < poller->targets_count; i++) {
        partition_unwatch(poller->targets[i].partition, &poller->targets[i].watch);
    }
}

/* Ends the wait. The watcher's task may be on its way: then it ends the poll. */
static void stop_waiting(struct broker_poller *poller)
{
    unwatch_all(poller);
    if (atomic_load(&poller->watcher.fired)) {
        poller->state = POLLER_ENDING;
    } else {
        end_poll(poller);
    }
}

static void read_on(struct broker_poller *poller);

/* A partition that stopped has no more news: that is the answer. */
static bool has_stopped(struct broker_poller *poller, const struct target *target)
{
    struct partition_offsets offsets;

    partition_offsets(target->partition, &offsets);
    if (offsets.err == BASE_ERR_OK) {
        return false;
    }
    broker_world_check_err(poller->client.world, target->topic, offsets.err);
    return true;
}

/* Waits for news. False when there is some already. */
static bool wait_for_news(struct broker_poller *poller)
{
    for (uint32_t i = 0; i < poller->targets_count; i++) {
        struct target *target = &poller->targets[i];
        target->watch.link = (struct base_list){0};
    }
    atomic_store(&poller->watcher.fired, false);
    for (uint32_t i = 0; i < poller->targets_count; i++) {
        struct target *target = &poller->targets[i];
        target->watch.watcher = &poller->watcher;
        target->watch.offset = target->offset;
        if (partition_watch(target->partition, &target->watch)) {
            poller->is_failed = has_stopped(poller, target);
            unwatch_all(poller);
            return false;
        }
    }
    return true;
}

static void round_over(struct broker_poller *poller)
{
    struct broker_world *world = poller->client.world;

    if (poller->bytes_count > 0 || poller->is_failed || poller->is_cancelled ||
        broker_world_now_us(world) >= poller->deadline_us) {
        end_poll(poller);
        return;
    }
    if (wait_for_news(poller)) {
        poller->state = POLLER_WAITING;
        broker_client_wake(&poller->client, poller->deadline_us - broker_world_now_us(world));
        return;
    }
    if (poller->is_failed) {
        end_poll(poller);
        return;
    }
    poller->state = POLLER_WAITING; /* look again in a moment */
    atomic_store(&poller->watcher.fired, true);
    base_executor_post(poller->client.loop, &poller->watcher.task);
}

static void take_read(struct broker_poller *poller)
{
    struct target *target = &poller->targets[poller->reading];
    struct logstore_read *read = &poller->read;

    if (read->err != BASE_ERR_OK) {
        check_read_err(poller->client.world, target, read);
        poller->is_failed = true;
    } else if (read->length > 0) {
        check_data(poller->client.world, target, read);
        poller->bytes_count += read->length;
    } else {
        MODEL_CHECK(read->next_offset == read->offset);
    }
    poller->next_offset = read->next_offset;
    logstore_read_release(read);
    poller->reading++;
}

static void read_done(struct base_task *task)
{
    struct broker_poller *poller = BASE_CONTAINER_OF(task, struct broker_poller, read.task);
    take_read(poller);
    read_on(poller);
}

/* True: it is over, and taken. */
static bool start_read(struct broker_poller *poller, base_task_run *done)
{
    struct target *target = &poller->targets[poller->reading];

    poller->read = (struct logstore_read){.offset = target->offset,
                                          .bytes_max = READ_BYTES_MAX,
                                          .first_whole = true,
                                          .in_memory = true,
                                          .executor = poller->client.loop,
                                          .task.run = done};
    if (partition_read(target->partition, &poller->read) == LOGSTORE_IO_PENDING) {
        return false;
    }
    take_read(poller);
    return true;
}

/* Reads the targets one after the other. */
static void read_on(struct broker_poller *poller)
{
    while (poller->reading < poller->targets_count) {
        if (!start_read(poller, read_done)) {
            return;
        }
    }
    round_over(poller);
}

static void begin_round(struct broker_poller *poller)
{
    poller->state = POLLER_READING;
    poller->reading = 0;
    poller->bytes_count = 0;
    read_on(poller);
}

static void news_came(struct base_task *task)
{
    struct broker_poller *poller = BASE_CONTAINER_OF(task, struct broker_poller, watcher.task);

    MODEL_CHECK(poller->state == POLLER_WAITING || poller->state == POLLER_ENDING);
    atomic_store(&poller->watcher.fired, false);
    unwatch_all(poller);
    if (poller->state == POLLER_ENDING) {
        end_poll(poller);
    } else {
        begin_round(poller);
    }
}

/* Nobody may sleep through news. */
static void deadline_came(struct broker_poller *poller)
{
    for (uint32_t i = 0; i < poller->targets_count && !atomic_load(&poller->watcher.fired); i++) {
        struct partition_offsets offsets;
        partition_offsets(poller->targets[i].partition, &offsets);
        MODEL_CHECK(offsets.err == BASE_ERR_OK);
        MODEL_CHECK(offsets.high_watermark <= poller->targets[i].offset);
    }
    stop_waiting(poller);
}

static int64_t choose_offset(struct broker_world *world, const struct partition_offsets *offsets)
{
    int64_t length = offsets->high_watermark - offsets->start;

    if (length <= 0 || broker_world_chance(world, 3)) {
        return offsets->high_watermark; /* the tail, where consumers wait */
    }
    return offsets->start + (int64_t)broker_world_pick(world, (uint64_t)length + 1);
}

static void add_target(struct broker_poller *poller)
{
    struct broker_world *world = poller->client.world;
    struct target *target = &poller->targets[poller->targets_count];
    struct partition_offsets offsets;

    if (!broker_world_pick_partition(world, &target->topic, &target->index)) {
        return;
    }
    target->partition = broker_world_partition(world, target->topic, target->index);
    partition_offsets(target->partition, &offsets);
    if (offsets.start < 0) {
        broker_world_check_err(world, target->topic, offsets.err);
        partition_release(&target->partition);
        return;
    }
    target->offset = choose_offset(world, &offsets);
    poller->targets_count++;
}

static void act(struct broker_client *client)
{
    struct broker_poller *poller = BASE_CONTAINER_OF(client, struct broker_poller, client);
    struct broker_world *world = client->world;

    if (poller->state == POLLER_WAITING && broker_world_now_us(world) >= poller->deadline_us) {
        deadline_came(poller);
    }
    if (poller->state != POLLER_IDLE || !world->is_up || world->is_ending) {
        return;
    }
    poller->watcher.executor = client->loop;
    poller->watcher.task.run = news_came;
    poller->is_failed = false;
    poller->is_cancelled = false;
    for (uint64_t i = 1 + broker_world_pick(world, TARGETS_MAX); i > 0; i--) {
        add_target(poller);
    }
    if (poller->targets_count == 0) {
        return;
    }
    world->open_count++;
    poller->deadline_us =
        broker_world_now_us(world) + (int64_t)broker_world_pick(world, 3 * WORLD_SECOND);
    begin_round(poller);
}

struct broker_poller *broker_poller_create(struct broker_world *world)
{
    struct broker_poller *poller = base_alloc_object(struct broker_poller);

    BASE_ASSERT(poller != NULL);
    broker_client_start(&poller->client, world, act);
    return poller;
}

void broker_poller_close(struct broker_poller **poller)
{
    base_free(*poller);
    *poller = NULL;
}

void broker_poller_disconnect(struct broker_poller *poller)
{
    poller->is_cancelled = true;
    if (poller->state == POLLER_WAITING) {
        stop_waiting(poller);
    }
}

uint64_t broker_poller_progress(const struct broker_poller *poller)
{
    return poller->ended_count;
}

/* The whole partition. */

static void piece_read(struct base_task *task)
{
    take_read(BASE_CONTAINER_OF(task, struct broker_poller, read.task));
}

static void read_piece(struct broker_world *world, struct broker_poller *poller)
{
    struct target *target = &poller->targets[0];

    poller->reading = 0;
    start_read(poller, piece_read);
    while (poller->reading == 0) {
        sim_scheduler_advance(world->harness.scheduler, 1000);
    }
    MODEL_CHECK(!poller->is_failed);
    MODEL_CHECK(poller->next_offset > target->offset); /* below the high watermark is data */
    target->offset = poller->next_offset;
}

void broker_poller_verify(struct broker_world *world, uint32_t topic, int32_t partition)
{
    struct broker_poller *poller = base_alloc_object(struct broker_poller);
    struct partition_offsets offsets;

    BASE_ASSERT(poller != NULL);
    poller->client.world = world;
    poller->client.loop = world->harness.loops[0];
    struct target *target = &poller->targets[0];
    target->topic = topic;
    target->index = partition;
    target->partition = broker_world_partition(world, topic, partition);
    partition_offsets(target->partition, &offsets);
    target->offset = offsets.start;
    while (target->offset < offsets.high_watermark) {
        read_piece(world, poller);
    }
    partition_release(&target->partition);
    base_free(poller);
}
