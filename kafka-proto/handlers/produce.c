/* Produce (key 0): validate each batch, append it, answer when acks says so. */
#include <inttypes.h>

#include "core/base/assert.h"
#include "core/telemetry/counters.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/table.h"
#include "logstore/batch.h"
#include "logstore/records.h"

enum { ACKS_ALL = -1, ACKS_NONE = 0, ACKS_LEADER = 1, ZSTD_VERSION_MIN = 7 };

/* What the records of batches without their largest timestamp may inflate to: of one request, and
 * more for each of their bytes. */
enum { DATED_BYTES_MAX = 16 << 20, DATED_BYTES_PER_BYTE = 16 };

/* One partition whose answer waits. */
struct produce_wait {
    struct partition_waiter waiter;
    struct produce *produce;
    struct partition *partition; /* held while waiting */
    struct kproto_produce_response_partition *answer;
};

struct produce {
    struct khandler_request *request;
    const struct kproto_produce_request *message;
    struct kproto_produce_response response;
    struct produce_wait *waits;
    uint32_t waits_count;
    uint32_t pending_count;                    /* waits whose task has not come */
    size_t dated_bytes_left;                   /* that records may inflate to, to be dated */
    bool failed;                               /* some partition was refused: acks=0 closes then */
    const struct catalog_topic *counted_topic; /* the last one counted; only compared */
    struct base_timer timer;
};

static void fail_partition(struct produce *produce,
                           struct kproto_produce_response_partition *answer,
                           enum kproto_error error, const char *message)
{
    produce->failed = true;
    answer->error_code = (int16_t)error;
    answer->error_message = base_slice_text(message);
    answer->base_offset = -1;
    answer->log_append_time_ms = -1;
    answer->log_start_offset = -1;
}

/* What of a batch can be judged without the log. NONE, or the error and why. */
static enum kproto_error judge_batch(const struct khandler_request *request,
                                     struct base_slice records, struct logstore_batch *batch,
                                     const char **why)
{
    *why = "the partition's records are not exactly one batch of format version 2";
    if (logstore_batch_peek(records.data, records.length, batch, NULL) != BASE_ERR_OK ||
        batch->size_bytes != records.length) {
        return KPROTO_ERROR_INVALID_RECORD;
    }
    if (logstore_batch_codec(batch) == LOGSTORE_CODEC_ZSTD &&
        request->header.api_version < ZSTD_VERSION_MIN) {
        *why = "zstd needs Produce version 7";
        return KPROTO_ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    }
    *why = "the batch fails its checksum";
    if (logstore_batch_verify_crc(records.data, records.length) != BASE_ERR_OK) {
        return KPROTO_ERROR_CORRUPT_MESSAGE;
    }
    *why = "base offset is not 0, or a control batch, or a producer without sequence";
    if (batch->base_offset != 0 || logstore_batch_is_control(batch) ||
        (logstore_batch_has_producer(batch) && batch->base_sequence < 0)) {
        return KPROTO_ERROR_INVALID_RECORD;
    }
    if (logstore_batch_is_transactional(batch)) {
        *why = "transactions are not offered";
        return KPROTO_ERROR_INVALID_TXN_STATE;
    }
    enum base_err err = logstore_batch_check_records(records.data, batch);
    if (err != BASE_ERR_OK) {
        *why = "the records inside the batch are malformed";
        return err == BASE_ERR_UNSUPPORTED ? KPROTO_ERROR_UNSUPPORTED_COMPRESSION_TYPE
                                           : KPROTO_ERROR_INVALID_RECORD;
    }
    return KPROTO_ERROR_NONE;
}

/* Finds the batch's largest timestamp where the client did not say it. */
static enum kproto_error date_batch(struct produce *produce, struct base_slice records,
                                    struct logstore_batch *batch, const char **why)
{
    struct base_buffer *frame = produce->request->frame;
    uint8_t *bytes = frame->data + (records.data - frame->data);

    *why = "the records of the batch cannot be read, or inflate to too much";
    produce->dated_bytes_left += records.length * DATED_BYTES_PER_BYTE;
    return logstore_records_date_batch(bytes, batch, &produce->dated_bytes_left) == BASE_ERR_OK
               ? KPROTO_ERROR_NONE
               : KPROTO_ERROR_INVALID_RECORD;
}

/* What the topic's configuration says about the batch. */
static enum kproto_error judge_by_config(const struct catalog_topic *topic,
                                         const struct logstore_batch *batch, int64_t now_ms,
                                         const char **why)
{
    const int64_t *values = topic->config.values;

    if (batch->size_bytes > (uint64_t)values[CATALOG_CONFIG_MAX_MESSAGE_BYTES]) {
        *why = "the batch is larger than max.message.bytes";
        return KPROTO_ERROR_MESSAGE_TOO_LARGE;
    }
    if (batch->size_bytes > (uint64_t)values[CATALOG_CONFIG_SEGMENT_BYTES]) {
        *why = "the batch is larger than segment.bytes";
        return KPROTO_ERROR_RECORD_LIST_TOO_LARGE;
    }
    if (logstore_batch_is_append_time(batch)) {
        *why = "log append time is the broker's to set";
        return KPROTO_ERROR_INVALID_TIMESTAMP;
    }
    bool checks_time = values[CATALOG_CONFIG_TIMESTAMP_TYPE] == 0 && batch->max_timestamp >= 0;
    if (checks_time &&
        (batch->max_timestamp - now_ms > values[CATALOG_CONFIG_TIMESTAMP_AFTER_MAX_MS] ||
         (batch->base_timestamp >= 0 &&
          now_ms - batch->base_timestamp > values[CATALOG_CONFIG_TIMESTAMP_BEFORE_MAX_MS]))) {
        *why = "a timestamp is too far from the broker's time";
        return KPROTO_ERROR_INVALID_TIMESTAMP;
    }
    return KPROTO_ERROR_NONE;
}

/* Who may produce to what. */
static enum kproto_error judge_topic(const struct khandler_request *request,
                                     const struct catalog_topic *topic, bool by_id,
                                     const char **why)
{
    *why = NULL;
    if (topic == NULL) {
        return by_id ? KPROTO_ERROR_UNKNOWN_TOPIC_ID : KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (topic->kind == CATALOG_INTERNAL) {
        *why = "internal topics are written by the broker";
        return KPROTO_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    if (!catalog_kind_is_kafka(topic->kind)) {
        *why = "NORMAL and FIFO queues are produced to over REST";
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    return security_authorize(request->principal, SECURITY_WRITE,
                              security_topic(khandler_view(request), topic))
               ? KPROTO_ERROR_NONE
               : KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
}

static void wait_is_over(struct base_task *task);

static enum kproto_error error_of_append(enum base_err err)
{
    /* A full disk and too much in memory are over some time: clients try again. */
    return err == BASE_ERR_NO_SPACE || err == BASE_ERR_BUSY ? KPROTO_ERROR_KAFKA_STORAGE_ERROR
                                                            : kproto_error_from_base(err);
}

static enum kproto_error error_of_verdict(enum logstore_verdict verdict)
{
    switch (verdict) {
    case LOGSTORE_VERDICT_APPEND:
    case LOGSTORE_VERDICT_DUPLICATE:
        return KPROTO_ERROR_NONE;
    case LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE:
        return KPROTO_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH:
        return KPROTO_ERROR_INVALID_PRODUCER_EPOCH;
    }
    return KPROTO_ERROR_UNKNOWN_SERVER_ERROR;
}

/* A request counts once for each topic it brings something to. Of a batch its records count, in
 * the form they came; a batch that was there already does not. */
static void count_traffic(struct produce *produce, const struct catalog_topic *topic,
                          struct partition *partition, const struct logstore_batch *batch,
                          enum logstore_verdict verdict)
{
    struct partition_traffic traffic = {.bytes = batch->size_bytes - LOGSTORE_BATCH_HEADER_SIZE};

    if (verdict == LOGSTORE_VERDICT_APPEND) {
        traffic.requests = topic == produce->counted_topic ? 0 : 1;
        produce->counted_topic = topic;
        partition_add_traffic(partition, traffic);
    }
}

/* Appends a batch that was judged good; registers a wait if acks asks for one. */
static void append(struct produce *produce, const struct catalog_topic *topic,
                   struct base_slice records, struct logstore_batch *batch,
                   struct kproto_produce_response_partition *answer)
{
    struct khandler_request *request = produce->request;
    struct produce_wait *wait = &produce->waits[produce->waits_count];
    struct base_chunk chunk = {.buffer = request->frame,
                               .position = (uint64_t)(records.data - request->frame->data),
                               .length = records.length};
    struct partition_appended appended;

    if (topic->config.values[CATALOG_CONFIG_TIMESTAMP_TYPE] != 0) {
        int64_t now_ms = base_clock_wall_ms(request->broker->clock);
        uint8_t *bytes = request->frame->data + chunk.position;
        logstore_batch_set_append_time(bytes, records.length, now_ms);
        enum base_err parsed = logstore_batch_peek(bytes, records.length, batch, NULL);
        BASE_ASSERT(parsed == BASE_ERR_OK);
    }
    struct partition *partition =
        partition_table_get(request->broker->partitions, topic->id, answer->index);
    if (partition == NULL) {
        fail_partition(produce, answer, KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER,
                       "the partition is being opened");
        return;
    }
    bool waits = produce->message->acks != ACKS_NONE;
    wait->waiter.executor = request->executor;
    wait->waiter.task.run = wait_is_over;
    enum base_err err = partition_append(
        partition, &chunk, batch,
        produce->message->acks == ACKS_ALL ? PARTITION_ACK_ALL : PARTITION_ACK_WRITTEN,
        request->executor, waits ? &wait->waiter : NULL, &appended);
    enum kproto_error error =
        err != BASE_ERR_OK ? error_of_append(err) : error_of_verdict(appended.verdict);
    if (error != KPROTO_ERROR_NONE) {
        fail_partition(produce, answer, error, kproto_error_text((int16_t)error));
        partition_release(&partition);
        return;
    }
    count_traffic(produce, topic, partition, batch, appended.verdict);
    telemetry_add(TELEMETRY_PRODUCED_BATCHES, 1);
    telemetry_add(TELEMETRY_PRODUCED_RECORDS, (uint64_t)batch->records_count);
    telemetry_add(TELEMETRY_PRODUCED_BYTES, batch->size_bytes);
    answer->base_offset = appended.base_offset;
    answer->log_start_offset = appended.start_offset;
    if (logstore_batch_is_append_time(batch)) {
        answer->log_append_time_ms = appended.timestamp_ms;
    }
    if (!appended.pending) {
        partition_release(&partition);
        return;
    }
    wait->produce = produce;
    wait->partition = partition;
    wait->answer = answer;
    produce->waits_count++;
    produce->pending_count++;
}

static void produce_partition(struct produce *produce, const struct catalog_topic *topic,
                              enum kproto_error topic_error, const char *topic_why,
                              const struct kproto_produce_request_partition *data,
                              struct kproto_produce_response_partition *answer)
{
    struct khandler_request *request = produce->request;
    struct logstore_batch batch;
    const char *why = topic_why;
    enum kproto_error error = topic_error;

    answer->index = data->index;
    if (error == KPROTO_ERROR_NONE && (data->index < 0 || data->index >= topic->partitions_count)) {
        error = KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        why = "no such partition";
    }
    if (error == KPROTO_ERROR_NONE) {
        error = judge_batch(request, data->records.bytes, &batch, &why);
    }
    if (error == KPROTO_ERROR_NONE) {
        error = date_batch(produce, data->records.bytes, &batch, &why);
    }
    if (error == KPROTO_ERROR_NONE) {
        error = judge_by_config(topic, &batch, base_clock_wall_ms(request->broker->clock), &why);
    }
    if (error != KPROTO_ERROR_NONE) {
        fail_partition(produce, answer, error, why);
        return;
    }
    append(produce, topic, data->records.bytes, &batch, answer);
}

static bool produce_topic(struct produce *produce, const struct kproto_produce_request_topic *data,
                          struct kproto_produce_response_topic *answer)
{
    struct khandler_request *request = produce->request;
    struct catalog_view *view = khandler_view(request);
    bool by_id = request->header.api_version >= 13;
    const struct catalog_topic *topic = by_id ? catalog_view_topic_by_id(view, data->topic_id)
                                              : catalog_view_topic(view, data->name);
    const char *why = NULL;
    enum kproto_error error = judge_topic(request, topic, by_id, &why);

    answer->name = data->name;
    answer->topic_id = data->topic_id;
    answer->partition_responses =
        khandler_array(request, produce_response_partition, data->partition_data_count);
    if (answer->partition_responses == NULL) {
        return false;
    }
    answer->partition_responses_count = data->partition_data_count;
    for (uint32_t i = 0; i < data->partition_data_count; i++) {
        produce_partition(produce, topic, error, why, &data->partition_data[i],
                          &answer->partition_responses[i]);
    }
    return true;
}

static void finish(struct produce *produce)
{
    struct khandler_request *request = produce->request;

    BASE_ASSERT(produce->pending_count == 0);
    base_timer_stop(request->executor, &produce->timer);
    for (uint32_t i = 0; i < produce->waits_count; i++) {
        partition_release(&produce->waits[i].partition);
    }
    if (produce->message->acks != ACKS_NONE) {
        khandler_answer(request, &produce->response);
    } else if (produce->failed) {
        khandler_refuse(request, "acks=0 produce failed"); /* the only way to tell the client */
    } else {
        khandler_answer_nothing(request);
    }
}

static void wait_is_over(struct base_task *task)
{
    struct produce_wait *wait = BASE_CONTAINER_OF(task, struct produce_wait, waiter.task);
    struct produce *produce = wait->produce;

    if (wait->waiter.err != BASE_ERR_OK) {
        enum kproto_error error = kproto_error_from_base(wait->waiter.err);
        fail_partition(produce, wait->answer, error, kproto_error_text((int16_t)error));
    }
    wait->answer = NULL;
    produce->pending_count--;
    if (produce->pending_count == 0) {
        finish(produce);
    }
}

/* Ends the waits that have not been answered; those on their way will come. */
static void give_up(struct produce *produce)
{
    for (uint32_t i = 0; i < produce->waits_count; i++) {
        struct produce_wait *wait = &produce->waits[i];
        if (wait->answer != NULL && partition_waiter_cancel(wait->partition, &wait->waiter)) {
            fail_partition(produce, wait->answer, KPROTO_ERROR_REQUEST_TIMED_OUT,
                           "not on disk within the request's timeout");
            wait->answer = NULL;
            produce->pending_count--;
        }
    }
    if (produce->pending_count == 0) {
        finish(produce);
    }
}

static void timed_out(struct base_timer *timer)
{
    give_up(BASE_CONTAINER_OF(timer, struct produce, timer));
}

static void cancelled(struct khandler_request *request)
{
    give_up(request->context);
}

static uint32_t count_partitions(const struct kproto_produce_request *message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < message->topic_data_count; i++) {
        count += message->topic_data[i].partition_data_count;
    }
    return count;
}

/* acks is none of the three: every partition says so. */
static void refuse_acks(struct produce *produce)
{
    for (uint32_t i = 0; i < produce->response.responses_count; i++) {
        struct kproto_produce_response_topic *topic = &produce->response.responses[i];
        for (uint32_t j = 0; j < topic->partition_responses_count; j++) {
            fail_partition(produce, &topic->partition_responses[j],
                           KPROTO_ERROR_INVALID_REQUIRED_ACKS, "acks must be -1, 0 or 1");
        }
    }
}

static bool prepare(struct produce *produce)
{
    struct khandler_request *request = produce->request;
    const struct kproto_produce_request *message = produce->message;

    kproto_init(request->api->response->schema, &produce->response);
    produce->timer.fire = timed_out;
    produce->dated_bytes_left = DATED_BYTES_MAX;
    produce->response.responses =
        khandler_array(request, produce_response_topic, message->topic_data_count);
    produce->response.responses_count = message->topic_data_count;
    produce->waits =
        base_arena_array(&request->arena, count_partitions(message), sizeof produce->waits[0]);
    return produce->response.responses != NULL && produce->waits != NULL;
}

void khandler_produce(struct khandler_request *request)
{
    struct produce *produce = base_arena_object(&request->arena, struct produce);
    if (produce == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    produce->request = request;
    produce->message = request->message;
    int16_t acks = produce->message->acks;
    bool acks_are_valid = acks == ACKS_ALL || acks == ACKS_NONE || acks == ACKS_LEADER;
    bool prepared = prepare(produce);
    for (uint32_t i = 0; prepared && i < produce->message->topic_data_count; i++) {
        const struct kproto_produce_request_topic *data = &produce->message->topic_data[i];
        struct kproto_produce_response_topic *answer = &produce->response.responses[i];
        if (acks_are_valid) {
            prepared = produce_topic(produce, data, answer);
        } else {
            answer->name = data->name;
            answer->topic_id = data->topic_id;
            answer->partition_responses =
                khandler_array(request, produce_response_partition, data->partition_data_count);
            prepared = answer->partition_responses != NULL;
            answer->partition_responses_count = prepared ? data->partition_data_count : 0;
            for (uint32_t j = 0; j < answer->partition_responses_count; j++) {
                answer->partition_responses[j].index = data->partition_data[j].index;
            }
        }
    }
    if (!acks_are_valid) {
        refuse_acks(produce);
    }
    if (produce->pending_count == 0 && !prepared) {
        khandler_refuse(request, "no memory");
        return;
    }
    if (produce->pending_count == 0) {
        finish(produce);
        return;
    }
    request->context = produce;
    request->on_cancel = cancelled;
    base_timer_arm(
        request->executor, &produce->timer,
        base_clock_monotonic_us(request->broker->clock) +
            (int64_t)(produce->message->timeout_ms > 0 ? produce->message->timeout_ms : 0) * 1000);
}
