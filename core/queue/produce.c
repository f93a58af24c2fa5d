/* Producing: what is ready goes to one partition, what is delayed to the delay log. */
#include "core/queue/produce.h"

#include "core/base/assert.h"
#include "core/base/chunk.h"
#include "core/queue/delay_priv.h"
#include "core/queue/manager_priv.h"
#include "logstore/records_builder.h"

enum {
    PRODUCE_BATCH_BYTES_MAX = 64 << 20, /* of one request; the front end refuses earlier */
    TURN_US = 1000,                     /* how long a partition has its turn */
};

/* The two parts of a request. */
enum { READY, DELAYED };

static bool is_delayed(const struct queue_produce_message *message)
{
    return message->delay_ms > 0;
}

/* The place's answer becomes that of its messages, but of those it had no room for. */
static void end_part(struct queue_produce *produce, bool delayed, enum base_err err)
{
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        struct queue_produce_result *result = &produce->results[i];
        if (is_delayed(&produce->messages[i]) == delayed && result->err == BASE_ERR_OK) {
            result->err = err;
        }
    }
    partition_release(&produce->parts[delayed ? DELAYED : READY].partition);
}

static void finish(struct queue_produce *produce)
{
    produce->verdict = QUEUE_STORAGE_FAILED;
    produce->err = BASE_ERR_OK;
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        enum base_err err = produce->results[i].err;
        if (err == BASE_ERR_OK) {
            produce->verdict = QUEUE_OK;
        } else if (produce->err == BASE_ERR_OK) {
            produce->err = err;
        }
    }
}

static void on_durable(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_produce_part *part = BASE_CONTAINER_OF(waiter, struct queue_produce_part, waiter);
    struct queue_produce *produce = part->produce;

    end_part(produce, part == &produce->parts[DELAYED], waiter->err);
    BASE_ASSERT(produce->pending_count > 0);
    if (--produce->pending_count == 0) {
        finish(produce);
        produce->task.run(&produce->task);
    }
}

/* The messages without a delay. */
static enum base_err build(struct queue_manager *manager, const struct queue_produce *produce,
                           struct logstore_batch *header, struct base_chunk *chunk)
{
    struct logstore_records_builder builder;
    struct base_writer writer;

    base_writer_init(&writer, PRODUCE_BATCH_BYTES_MAX);
    logstore_records_builder_begin(&builder, &writer);
    int64_t now_ms = base_clock_wall_ms(manager->options.clock);
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        const struct queue_produce_message *message = &produce->messages[i];
        if (is_delayed(message)) {
            continue;
        }
        struct logstore_record_input input = {
            .timestamp_ms = now_ms,
            .value = message->value,
            .headers = message->headers,
            .headers_count = message->headers_count,
        };
        logstore_records_builder_add(&builder, &input);
    }
    enum base_err err = logstore_records_builder_finish(&builder);
    if (err == BASE_ERR_OK) {
        *header = builder.header;
        chunk->buffer = base_writer_take(&writer, &chunk->length);
    }
    base_writer_fini(&writer);
    return err;
}

/* Whose turn it is. Requests that come close together go to one partition, since they share a
 * sync there; over time all partitions get as many. */
static unsigned rotate(struct queue_manager *manager)
{
    int_fast64_t now = base_clock_monotonic_us(manager->options.clock) / TURN_US;
    int_fast64_t turn = atomic_load(&manager->turn);

    if (now != turn && atomic_compare_exchange_strong(&manager->turn, &turn, now)) {
        return atomic_fetch_add(&manager->rotation, 1) + 1;
    }
    return atomic_load(&manager->rotation);
}

enum base_err queue__append(struct queue_manager *manager, const struct catalog_topic *topic,
                            const struct base_chunk *chunk, const struct logstore_batch *header,
                            struct partition_waiter *waiter, struct partition **partition,
                            struct partition_appended *out)
{
    unsigned count = (unsigned)topic->partitions_count;
    unsigned first = rotate(manager) % count;
    enum base_err err = BASE_ERR_OFFLINE;

    *partition = NULL;
    for (unsigned i = 0; i < count && err == BASE_ERR_OFFLINE; i++) {
        int32_t index = (int32_t)((first + i) % count);
        *partition = partition_table_get(manager->options.table, topic->id, index);
        if (*partition == NULL) {
            continue;
        }
        err = partition_append(*partition, chunk, header, PARTITION_ACK_ALL, waiter->executor,
                               waiter, out);
        if (err != BASE_ERR_OK) {
            partition_release(partition);
        }
    }
    return err;
}

static void fill_results(struct queue_produce *produce, int32_t partition, int64_t base_offset)
{
    int64_t offset = base_offset;

    for (uint32_t i = 0; i < produce->messages_count; i++) {
        struct queue_produce_result *result = &produce->results[i];
        if (!is_delayed(&produce->messages[i])) {
            result->partition = partition;
            result->offset = offset++;
            queue_message_id_format(produce->topic->id, partition, result->offset, result->id);
        }
    }
}

static enum base_err append_ready(struct queue_manager *manager, struct queue_produce *produce,
                                  bool *pending)
{
    struct queue_produce_part *part = &produce->parts[READY];
    struct partition_appended appended = {0};
    struct logstore_batch header;
    struct base_chunk chunk = {0};

    enum base_err err = build(manager, produce, &header, &chunk);
    if (err == BASE_ERR_OK) {
        err = queue__append(manager, produce->topic, &chunk, &header, &part->waiter,
                            &part->partition, &appended);
        base_buffer_release(&chunk.buffer);
    }
    if (err == BASE_ERR_OK) {
        fill_results(produce, partition_index(part->partition), appended.base_offset);
    }
    *pending = appended.pending;
    return err;
}

static void start_part(struct queue_manager *manager, struct queue_produce *produce, bool delayed)
{
    struct queue_produce_part *part = &produce->parts[delayed ? DELAYED : READY];
    bool pending = false;

    part->produce = produce;
    part->partition = NULL;
    part->waiter =
        (struct partition_waiter){.executor = produce->executor, .task = {.run = on_durable}};
    enum base_err err = delayed ? queue__delay_add(manager, produce, &part->waiter, &pending)
                                : append_ready(manager, produce, &pending);
    if (err == BASE_ERR_OK && pending) {
        produce->pending_count++; /* the task cannot come before this thread's turn is over */
    } else {
        end_part(produce, delayed, err);
    }
}

enum queue_progress queue_produce(struct queue_manager *manager, struct queue_produce *produce)
{
    uint32_t delayed_count = 0;

    BASE_ASSERT(produce->executor != NULL);
    BASE_ASSERT(produce->task.run != NULL);
    BASE_ASSERT(produce->messages_count >= 1);
    BASE_ASSERT(produce->messages_count <= QUEUE_MESSAGES_MAX);
    BASE_ASSERT(produce->topic->partitions_count >= 1);

    produce->pending_count = 0;
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        BASE_ASSERT(produce->messages[i].delay_ms <= QUEUE_DELAY_MS_MAX);
        produce->results[i].err = BASE_ERR_OK;
        delayed_count += is_delayed(&produce->messages[i]);
    }
    if (delayed_count < produce->messages_count) {
        start_part(manager, produce, false);
    }
    if (delayed_count > 0) {
        BASE_ASSERT(!catalog_kind_is_kafka(produce->topic->kind));
        start_part(manager, produce, true);
    }
    if (produce->pending_count > 0) {
        return QUEUE_PENDING;
    }
    finish(produce);
    return QUEUE_DONE;
}
