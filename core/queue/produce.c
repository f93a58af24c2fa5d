#include "core/queue/produce.h"

#include "core/base/assert.h"
#include "core/base/chunk.h"
#include "core/queue/manager_priv.h"
#include "logstore/records_builder.h"

enum { PRODUCE_BATCH_BYTES_MAX = 64 << 20 }; /* of one request; the front end refuses earlier */

/* The partition's answer becomes the request's. */
static void finish(struct queue_produce *produce, enum base_err err)
{
    produce->err = err;
    produce->verdict = err == BASE_ERR_OK ? QUEUE_OK : QUEUE_STORAGE_FAILED;
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        produce->results[i].err = err;
    }
    partition_release(&produce->partition);
}

static void on_durable(struct base_task *task)
{
    struct partition_waiter *waiter = BASE_CONTAINER_OF(task, struct partition_waiter, task);
    struct queue_produce *produce = BASE_CONTAINER_OF(waiter, struct queue_produce, waiter);

    finish(produce, waiter->err);
    produce->task.run(&produce->task);
}

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

static enum base_err append_to(struct queue_manager *manager, struct queue_produce *produce,
                               int32_t index, const struct base_chunk *chunk,
                               const struct logstore_batch *header,
                               struct partition_appended *appended)
{
    struct base_uuid topic_id = produce->topic->id;

    produce->partition = partition_table_get(manager->options.table, topic_id, index);
    if (produce->partition == NULL) {
        return BASE_ERR_OFFLINE;
    }
    enum base_err err = partition_append(produce->partition, chunk, header, PARTITION_ACK_ALL,
                                         produce->executor, &produce->waiter, appended);
    if (err != BASE_ERR_OK) {
        partition_release(&produce->partition);
        return err;
    }
    for (uint32_t i = 0; i < produce->messages_count; i++) {
        struct queue_produce_result *result = &produce->results[i];
        result->partition = index;
        result->offset = appended->base_offset + i;
        queue_message_id_format(topic_id, index, result->offset, result->id);
    }
    return BASE_ERR_OK;
}

enum queue_progress queue_produce(struct queue_manager *manager, struct queue_produce *produce)
{
    int32_t partitions_count = produce->topic->partitions_count;
    struct partition_appended appended = {0};
    struct logstore_batch header;
    struct base_chunk chunk = {0};

    BASE_ASSERT(produce->executor != NULL);
    BASE_ASSERT(produce->task.run != NULL);
    BASE_ASSERT(produce->messages_count >= 1);
    BASE_ASSERT(produce->messages_count <= QUEUE_MESSAGES_MAX);
    BASE_ASSERT(partitions_count >= 1);

    produce->partition = NULL;
    produce->waiter =
        (struct partition_waiter){.executor = produce->executor, .task = {.run = on_durable}};
    enum base_err err = build(manager, produce, &header, &chunk);
    if (err == BASE_ERR_OK) {
        unsigned first = atomic_fetch_add(&manager->rotation, 1) % (unsigned)partitions_count;
        err = BASE_ERR_OFFLINE;
        for (int32_t i = 0; i < partitions_count && err == BASE_ERR_OFFLINE; i++) {
            int32_t index = (int32_t)(((int64_t)first + i) % partitions_count);
            err = append_to(manager, produce, index, &chunk, &header, &appended);
        }
        base_buffer_release(&chunk.buffer);
    }
    if (err == BASE_ERR_OK && appended.pending) {
        return QUEUE_PENDING;
    }
    finish(produce, err);
    return QUEUE_DONE;
}

bool queue_produce_cancel(struct queue_produce *produce)
{
    if (produce->partition == NULL ||
        !partition_waiter_cancel(produce->partition, &produce->waiter)) {
        return false;
    }
    partition_release(&produce->partition);
    return true;
}
