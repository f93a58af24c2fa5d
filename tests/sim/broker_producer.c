/* Producers: plain ones with acks 1 or -1, and idempotent ones with up to five batches in
 * flight, which send again, in order, whatever had no good answer. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/writer.h"
#include "logstore/records_builder.h"
#include "tests/sim/broker_world.h"

enum { WINDOW = 5, RECORDS_MAX = 6, VALUE_SIZE_MAX = 700, PLANT_ONE_IN = 40 };

enum batch_state { BATCH_QUEUED, BATCH_SENT, BATCH_DONE };

struct batch {
    struct broker_producer *producer;
    struct partition_waiter waiter;
    struct partition_appended appended;
    struct partition *partition; /* held while sent */
    enum batch_state state;
    uint32_t first; /* number of the first record */
    int32_t records_count;
    int32_t sequence;
    bool was_sent; /* ever: it may be in the log */
    bool is_maybe; /* the log stopped at it: it may be there, where nobody was told */
};

struct broker_producer {
    struct broker_client client;
    uint32_t index;
    bool is_idempotent;
    enum partition_acks acks;
    struct txn_producer_id_request id_request;
    bool id_pending;
    int64_t producer_id; /* -1 none yet */
    int32_t first_sequence;
    bool has_target;
    bool gives_up; /* forgets its batches once none is under way */
    uint32_t topic;
    int32_t partition;
    struct batch batches[WINDOW]; /* a ring */
    uint32_t head;
    uint32_t batches_count;
    /* Of this producer id, for each partition. */
    int32_t sequences[MODEL_TOPICS_MAX][MODEL_PARTITIONS_MAX];
    uint32_t losses[MODEL_TOPICS_MAX][MODEL_PARTITIONS_MAX]; /* when it began there */
    bool has_begun[MODEL_TOPICS_MAX][MODEL_PARTITIONS_MAX];
    uint64_t acked_count;
};

static struct batch *batch_at(struct broker_producer *producer, uint32_t index)
{
    return &producer->batches[(producer->head + index) % WINDOW];
}

static struct model_topic *topic_of(struct broker_producer *producer)
{
    return &producer->client.world->model.topics[producer->topic];
}

static struct model_partition *place_of(struct broker_producer *producer)
{
    return &topic_of(producer)->partitions[producer->partition];
}

/* Sequence numbers wrap from 2147483647 to 0. */
static int32_t sequence_plus(int32_t sequence, int32_t count)
{
    return (int32_t)(((int64_t)sequence + count) & INT32_MAX);
}

/* The producer's id. */

static void id_taken(struct base_task *task)
{
    struct broker_producer *producer =
        BASE_CONTAINER_OF(task, struct broker_producer, id_request.task);
    struct broker_world *world = producer->client.world;

    world->open_count--;
    producer->id_pending = false;
    if (producer->id_request.err != BASE_ERR_OK) {
        return;
    }
    for (uint32_t i = 0; i < WORLD_PRODUCERS; i++) {
        MODEL_CHECK(world->producers[i]->producer_id != producer->id_request.producer_id);
    }
    producer->producer_id = producer->id_request.producer_id;
    /* A partition that knows nothing of a producer takes any first number. */
    producer->first_sequence = broker_world_chance(world, 4) ? INT32_MAX - 20 : 0;
    memset(producer->has_begun, 0, sizeof producer->has_begun);
}

static void take_id(struct broker_producer *producer)
{
    producer->id_pending = true;
    producer->client.world->open_count++;
    producer->id_request =
        (struct txn_producer_id_request){.executor = producer->client.loop, .task.run = id_taken};
    txn_producer_ids_take(producer->client.world->harness.producer_ids, &producer->id_request);
}

/* Batches. */

static void acked(struct batch *batch)
{
    struct broker_producer *producer = batch->producer;
    struct model_partition *place = place_of(producer);
    bool is_durable = producer->acks == PARTITION_ACK_ALL && topic_of(producer)->is_ha;
    struct partition_offsets offsets;

    partition_offsets(batch->partition, &offsets);
    if (producer->acks == PARTITION_ACK_ALL && producer->client.world->plant != PLANT_ACK_EARLY) {
        MODEL_CHECK(offsets.high_watermark >= batch->appended.end_offset);
    }
    broker_model_promise(place, batch->appended.end_offset, is_durable);
    broker_model_note(&producer->client.world->model, (uint64_t)batch->appended.end_offset);
    batch->state = BATCH_DONE;
    producer->acked_count++;
}

/* Done ones leave the ring in order. */
static void shift(struct broker_producer *producer)
{
    while (producer->batches_count > 0 && batch_at(producer, 0)->state == BATCH_DONE) {
        producer->head = (producer->head + 1) % WINDOW;
        producer->batches_count--;
    }
}

static void answered(struct base_task *task)
{
    struct batch *batch = BASE_CONTAINER_OF(task, struct batch, waiter.task);
    struct broker_producer *producer = batch->producer;
    struct broker_world *world = producer->client.world;

    world->open_count--;
    MODEL_CHECK(batch->state == BATCH_SENT);
    if (batch->waiter.err == BASE_ERR_OK) {
        acked(batch);
    } else {
        broker_world_check_err(world, producer->topic, batch->waiter.err);
        batch->state = BATCH_QUEUED;
    }
    partition_release(&batch->partition);
    shift(producer);
}

static struct base_chunk build(struct batch *batch, struct logstore_batch *header)
{
    struct broker_producer *producer = batch->producer;
    const struct broker_model *model = &producer->client.world->model;
    struct logstore_records_builder builder;
    struct base_writer writer;
    struct base_chunk chunk = {0};
    uint8_t bytes[VALUE_SIZE_MAX];

    base_writer_init(&writer, 1 << 20);
    logstore_records_builder_begin(&builder, &writer);
    for (int32_t i = 0; i < batch->records_count; i++) {
        uint32_t number = batch->first + (uint32_t)i;
        const struct model_value *value = &model->values[number];
        broker_model_fill(model, number, bytes);
        struct logstore_record_input input = {.timestamp_ms = value->timestamp_ms,
                                              .value = base_slice_of(bytes, value->size_bytes)};
        logstore_records_builder_add(&builder, &input);
    }
    if (producer->is_idempotent && producer->client.world->plant != PLANT_DOUBLE) {
        builder.header.producer_id = producer->producer_id;
        builder.header.producer_epoch = 0;
        builder.header.base_sequence = batch->sequence;
    }
    enum base_err err = logstore_records_builder_finish(&builder);
    BASE_ASSERT(err == BASE_ERR_OK);
    *header = builder.header;
    chunk.buffer = base_writer_take(&writer, &chunk.length);
    base_writer_fini(&writer);
    return chunk;
}

static void put_all(struct batch *batch)
{
    const struct broker_producer *producer = batch->producer;

    for (int32_t i = 0; i < batch->records_count; i++) {
        broker_model_put(&producer->client.world->model, producer->topic, producer->partition,
                         batch->appended.base_offset + i, batch->first + (uint32_t)i);
    }
    batch->is_maybe = false;
}

/* The broker took the batch, or knows it already. */
static void check_offsets(struct batch *batch)
{
    struct broker_producer *producer = batch->producer;
    struct broker_model *model = &producer->client.world->model;
    struct model_partition *place = place_of(producer);
    const struct partition_appended *appended = &batch->appended;

    if (appended->verdict == LOGSTORE_VERDICT_DUPLICATE) {
        MODEL_CHECK(batch->was_sent);
        if (batch->is_maybe) {
            put_all(batch);
        }
        MODEL_CHECK(model->values[batch->first].offset == appended->base_offset);
        return;
    }
    MODEL_CHECK(appended->base_offset == place->end_given);
    MODEL_CHECK(appended->end_offset == appended->base_offset + batch->records_count);
    place->end_given = appended->end_offset;
    put_all(batch);
}

/* Only a crash that took records leaves a gap; then a client begins anew. */
static void check_gap(struct broker_producer *producer)
{
    uint32_t losses = producer->losses[producer->topic][producer->partition];

    MODEL_CHECK(place_of(producer)->losses_count > losses);
    producer->producer_id = -1;
    producer->gives_up = true;
}

/* True: the next one may be sent. */
static bool take_answer(struct batch *batch, enum base_err err)
{
    struct broker_producer *producer = batch->producer;
    struct broker_world *world = producer->client.world;

    if (err != BASE_ERR_OK) {
        broker_world_check_err(world, producer->topic, err);
        if (err == BASE_ERR_OFFLINE) {
            struct model_partition *place = place_of(producer);
            batch->was_sent = true;
            batch->is_maybe = true;
            place->end_maybe = place->end_given + RECORDS_MAX;
        }
        return false;
    }
    if (batch->appended.verdict == LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE) {
        check_gap(producer);
        return false;
    }
    MODEL_CHECK(batch->appended.verdict != LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH);
    check_offsets(batch);
    batch->was_sent = true;
    batch->state = BATCH_SENT;
    if (batch->appended.pending) {
        world->open_count++;
        batch->partition = partition_hold(batch->partition);
    } else {
        acked(batch);
    }
    return true;
}

static bool send_batch(struct batch *batch)
{
    struct broker_producer *producer = batch->producer;
    struct broker_world *world = producer->client.world;
    enum partition_acks acks = producer->acks;
    struct logstore_batch header;

    struct partition *partition =
        broker_world_partition(world, producer->topic, producer->partition);
    if (partition == NULL) {
        producer->gives_up = true;
        return false;
    }
    if (world->plant == PLANT_ACK_EARLY) {
        acks = PARTITION_ACK_WRITTEN;
    }
    struct base_chunk chunk = build(batch, &header);
    batch->waiter =
        (struct partition_waiter){.executor = producer->client.loop, .task.run = answered};
    batch->partition = partition;
    enum base_err err = BASE_ERR_OK;
    if (world->plant == PLANT_DROP && broker_world_chance(world, PLANT_ONE_IN)) {
        int64_t end = place_of(producer)->end_given;
        batch->appended = (struct partition_appended){.base_offset = end,
                                                      .end_offset = end + batch->records_count};
        batch->state = BATCH_DONE;
        broker_model_promise(place_of(producer), batch->appended.end_offset, true);
    } else {
        err = partition_append(partition, &chunk, &header, acks, producer->client.loop,
                               &batch->waiter, &batch->appended);
    }
    base_chunk_release(&chunk);
    bool goes_on = batch->state == BATCH_DONE || take_answer(batch, err);
    if (!(batch->state == BATCH_SENT)) {
        batch->partition = NULL;
    }
    partition_release(&partition);
    return goes_on;
}

static void add_batch(struct broker_producer *producer)
{
    struct broker_world *world = producer->client.world;
    struct batch *batch = batch_at(producer, producer->batches_count++);
    int32_t *sequence = &producer->sequences[producer->topic][producer->partition];
    bool *has_begun = &producer->has_begun[producer->topic][producer->partition];

    if (!*has_begun) {
        *has_begun = true;
        *sequence = producer->first_sequence;
        producer->losses[producer->topic][producer->partition] = place_of(producer)->losses_count;
    }
    *batch = (struct batch){
        .producer = producer,
        .records_count = 1 + (int32_t)broker_world_pick(world, RECORDS_MAX),
        .sequence = *sequence,
    };
    *sequence = sequence_plus(*sequence, batch->records_count);
    for (int32_t i = 0; i < batch->records_count; i++) {
        const struct model_value value = {
            .topic = producer->topic,
            .partition = producer->partition,
            .producer = producer->index,
            .is_unique = producer->is_idempotent,
            .timestamp_ms = broker_world_now_ms(world) - (int64_t)broker_world_pick(world, 50),
            .size_bytes = MODEL_VALUE_SIZE_MIN +
                          (uint32_t)broker_world_pick(world, VALUE_SIZE_MAX - MODEL_VALUE_SIZE_MIN),
        };
        uint32_t number = broker_model_add_value(&world->model, &value);
        batch->first = i == 0 ? number : batch->first;
    }
}

static bool is_any_sent(struct broker_producer *producer)
{
    for (uint32_t i = 0; i < producer->batches_count; i++) {
        if (batch_at(producer, i)->state == BATCH_SENT) {
            return true;
        }
    }
    return false;
}

/* What is not known to be stored never will be sent again. The next batches of this id would
 * leave a gap, so an idempotent producer takes a new one. */
static void give_up(struct broker_producer *producer)
{
    if (is_any_sent(producer)) {
        return;
    }
    producer->producer_id = producer->batches_count > 0 ? -1 : producer->producer_id;
    producer->batches_count = 0;
    producer->has_target = false;
    producer->gives_up = false;
}

/* Sends what is queued, in order, and adds to it. */
static void send_all(struct broker_producer *producer)
{
    struct broker_world *world = producer->client.world;

    for (uint32_t i = 0; i < producer->batches_count; i++) {
        struct batch *batch = batch_at(producer, i);
        if (batch->state == BATCH_QUEUED && !send_batch(batch)) {
            return;
        }
    }
    shift(producer);
    while (!world->is_ending && producer->batches_count < WINDOW && broker_world_chance(world, 2)) {
        uint32_t last = producer->batches_count;
        add_batch(producer);
        if (!send_batch(batch_at(producer, last))) {
            return;
        }
        shift(producer);
    }
}

static void act(struct broker_client *client)
{
    struct broker_producer *producer = BASE_CONTAINER_OF(client, struct broker_producer, client);
    struct broker_world *world = client->world;

    if (!world->is_up || producer->id_pending) {
        return;
    }
    if (producer->has_target && topic_of(producer)->state == MODEL_TOPIC_GONE) {
        producer->gives_up = true;
    }
    if (producer->gives_up) {
        give_up(producer);
        return;
    }
    if (producer->is_idempotent && producer->producer_id < 0) {
        take_id(producer);
        return;
    }
    if (producer->batches_count == 0 && (!producer->has_target || broker_world_chance(world, 10))) {
        producer->has_target =
            broker_world_pick_partition(world, &producer->topic, &producer->partition);
    }
    if (producer->has_target) {
        send_all(producer);
    }
}

struct broker_producer *broker_producer_create(struct broker_world *world, uint32_t index)
{
    struct broker_producer *producer = base_alloc_object(struct broker_producer);

    BASE_ASSERT(producer != NULL);
    producer->index = index;
    producer->producer_id = -1;
    producer->is_idempotent = index < WORLD_PRODUCERS / 2;
    producer->acks = producer->is_idempotent || broker_world_chance(world, 2)
                         ? PARTITION_ACK_ALL
                         : PARTITION_ACK_WRITTEN;
    broker_client_start(&producer->client, world, act);
    return producer;
}

void broker_producer_close(struct broker_producer **producer)
{
    base_free(*producer);
    *producer = NULL;
}

void broker_producer_disconnect(struct broker_producer *producer)
{
    struct broker_world *world = producer->client.world;

    for (uint32_t i = 0; i < producer->batches_count; i++) {
        struct batch *batch = batch_at(producer, i);
        if (batch->state == BATCH_SENT &&
            partition_waiter_cancel(batch->partition, &batch->waiter)) {
            batch->state = BATCH_QUEUED; /* its fate is not known */
            partition_release(&batch->partition);
            world->open_count--;
        }
    }
}

uint64_t broker_producer_progress(const struct broker_producer *producer)
{
    return producer->acked_count;
}
