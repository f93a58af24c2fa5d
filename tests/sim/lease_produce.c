/* Producers: batches with tags and delays. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "tests/sim/lease_world.h"

struct produce {
    struct queue_harness_produce own;
    struct lease_queue *queue;
    uint32_t first;
    uint32_t count; /* of messages that the model knows of */
    struct queue_produce_message messages[QUEUE_MESSAGES_MAX];
    struct logstore_header headers[QUEUE_MESSAGES_MAX][LEASE_TAGS];
    char values[QUEUE_MESSAGES_MAX][LEASE_VALUE_SIZE];
};

bool lease_world_is_certain(enum base_err err)
{
    return err == BASE_ERR_NO_SPACE || err == BASE_ERR_BUSY || err == BASE_ERR_NOMEM;
}

static void end_message(struct lease_queue *queue, uint32_t number,
                        const struct queue_produce_result *result)
{
    struct lease_message *message = &queue->messages[number];

    LEASE_CHECK(message->fate == FATE_SENT || message->fate == FATE_STORED);
    if (result->err != BASE_ERR_OK) {
        if (message->fate == FATE_SENT) {
            message->fate = lease_world_is_certain(result->err) ? FATE_NONE : FATE_MAYBE;
        }
        LEASE_CHECK(message->fate != FATE_STORED || !lease_world_is_certain(result->err));
        return;
    }
    message->fate = FATE_STORED;
    if (!message->is_delayed) {
        lease_model_bind(queue, number, result->partition, result->offset);
    }
}

static void on_produced(struct queue_harness_produce *own)
{
    struct produce *produce = BASE_CONTAINER_OF(own, struct produce, own);
    struct lease_queue *queue = produce->queue;

    for (uint32_t i = 0; i < own->produce.messages_count; i++) {
        end_message(queue, produce->first + i, &own->produce.results[i]);
        LEASE_CHECK(own->produce.verdict == QUEUE_OK || own->produce.results[i].err != BASE_ERR_OK);
    }
    for (uint32_t i = own->produce.messages_count; i < produce->count; i++) {
        queue->messages[produce->first + i].fate = FATE_STORED; /* planted */
    }
    queue->world->open_count--;
    base_free(produce);
}

static int64_t random_delay(struct lease_world *world)
{
    if (!lease_world_chance(world, 4)) {
        return 0;
    }
    return 1 + (int64_t)lease_world_pick(world, lease_world_chance(world, 3) ? 40000 : 3000);
}

/* Adds message i, with its number in the value. */
static void fill(struct produce *produce, uint32_t i)
{
    static const char *const tags[LEASE_TAGS] = {"red", "green", "blue"};
    struct lease_queue *queue = produce->queue;
    struct lease_world *world = queue->world;
    struct queue_produce_message *out = &produce->messages[i];
    struct lease_message message = {.fate = FATE_SENT, .offset = -1, .source = produce->first + i};

    (void)snprintf(produce->values[i], LEASE_VALUE_SIZE, "%" PRIu32 ":%" PRIu32, queue->serial,
                   produce->first + i);
    out->value = base_slice_text(produce->values[i]);
    if (!queue->is_kafka) {
        message.tags = (unsigned)lease_world_pick(world, 1u << LEASE_TAGS);
        out->delay_ms = random_delay(world);
    }
    for (unsigned tag = 0; tag < LEASE_TAGS; tag++) {
        if ((message.tags >> tag & 1) != 0) {
            produce->headers[i][out->headers_count++] = (struct logstore_header){
                .key = base_slice_text(QUEUE_TAG_HEADER), .value = base_slice_text(tags[tag])};
        }
    }
    out->headers = produce->headers[i];
    message.is_delayed = out->delay_ms > 0;
    message.time_ms = lease_world_now_ms(world) + out->delay_ms;
    world->delayed_count += message.is_delayed;
    if (world->plant == LEASE_PLANT_DUE_EARLY) {
        out->delay_ms = (out->delay_ms + 1) / 2;
    }
    uint32_t number = lease_model_add(queue, &message);
    BASE_ASSERT(number == produce->first + i);
}

void lease_produce(struct lease_world *world, struct lease_queue *queue)
{
    uint32_t count = 1 + (uint32_t)lease_world_pick(world, QUEUE_MESSAGES_MAX);

    if (queue->messages_count + count > LEASE_MESSAGES_MAX / 2) {
        return; /* the rest is for what is redriven */
    }
    struct produce *produce = base_alloc_object(struct produce);
    BASE_ASSERT(produce != NULL);
    produce->queue = queue;
    produce->first = queue->messages_count;
    produce->count = count;
    for (uint32_t i = 0; i < count; i++) {
        fill(produce, i);
    }
    produce->own.produce.topic = queue->topic;
    produce->own.produce.messages = produce->messages;
    produce->own.produce.messages_count = count;
    if (count > 1 && lease_world_plants(world, LEASE_PLANT_DROP)) {
        produce->own.produce.messages_count--;
    }
    produce->own.on_over = on_produced;
    world->open_count++;
    queue_harness_start_produce(&world->harness, lease_world_loop(world), &produce->own);
}
