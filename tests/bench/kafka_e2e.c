/* End to end: how long from handing a record to the socket to having it from a fetch. */
#include <string.h>
#include <time.h>

#include "core/base/endian.h"
#include "kafka-proto/api.h"
#include "kafka-proto/error.h"
#include "logstore/records.h"
#include "logstore/records_builder.h"
#include "tests/bench/bench.h"
#include "tests/bench/engine.h"
#include "tests/bench/kafka_client.h"
#include "tests/bench/proc.h"

enum {
    PRODUCER = 0, /* lanes */
    CONSUMER = 1,
    STAMP_SIZE = 8,
    BURST_MAX = 256, /* records of one batch when the producer is behind */
    BATCH_BYTES_MAX = 64 << 20,
    ARENA_BYTES_MAX = 1 << 30,
};

struct load {
    struct engine *engine;
    struct kafka_frame prefix;
    struct kafka_frame fetch;
    struct base_writer batch; /* of the request being sent */
    uint8_t *value;
    size_t record_bytes;
    int64_t offset; /* next to fetch */
    uint64_t to_send;
    uint64_t to_receive;
    uint64_t requests;
    struct histogram *histogram;
    struct base_arena arena;
};

/* All records that are due, in one batch, as a client without linger does. */
static unsigned next_produce(struct load *load, struct iovec *iov)
{
    struct logstore_records_builder builder;
    struct logstore_record_input input = {.timestamp_ms = (int64_t)time(NULL) * 1000,
                                          .value = base_slice_of(load->value, load->record_bytes)};
    uint64_t count = load->engine->credits < BURST_MAX ? load->engine->credits : BURST_MAX;

    count = count < load->to_send ? count : load->to_send;
    if (count == 0) {
        return 0;
    }
    load->to_send -= count;
    load->engine->credits -= count - 1; /* the engine takes one itself */
    base_writer_reset(&load->batch);
    logstore_records_builder_begin(&builder, &load->batch);
    base_put_i64(load->value, (int64_t)bench_now_ns());
    for (uint64_t i = 0; i < count; i++) {
        logstore_records_builder_add(&builder, &input);
    }
    if (logstore_records_builder_finish(&builder) != BASE_ERR_OK) {
        bench_die("cannot build a batch");
    }
    kafka_produce_prefix_resize(&load->prefix, load->batch.length);
    iov[0] = (struct iovec){.iov_base = load->prefix.bytes, .iov_len = load->prefix.length};
    iov[1] = (struct iovec){.iov_base = load->batch.buffer->data, .iov_len = load->batch.length};
    return 2;
}

static unsigned next(void *context, struct engine_lane *lane, struct iovec iov[ENGINE_IOV_MAX])
{
    struct load *load = context;

    load->requests++;
    if (lane->index == PRODUCER) {
        return next_produce(load, iov);
    }
    kafka_fetch_set_offset(&load->fetch, 1, 0, load->offset);
    iov[0] = (struct iovec){.iov_base = load->fetch.bytes, .iov_len = load->fetch.length};
    return 1;
}

static void take_batch(struct load *load, const uint8_t *data, size_t size, uint64_t now_ns)
{
    struct logstore_records records;
    struct logstore_record record;

    if (logstore_records_open(&records, data, size, BATCH_BYTES_MAX) != BASE_ERR_OK) {
        bench_die("a batch does not open");
    }
    while (logstore_records_next(&records, &record)) {
        histogram_add(load->histogram, now_ns - (uint64_t)base_get_i64(record.value.data));
        load->to_receive--;
    }
    logstore_records_close(&records);
}

static void on_fetched(struct load *load, const uint8_t *data, size_t size)
{
    struct kproto_fetch_response response;
    struct logstore_batch batch;
    uint64_t now_ns = bench_now_ns();

    kafka_answer_decode(data, size, KPROTO_KEY_fetch, KAFKA_FETCH_VERSION, &load->arena, &response);
    if (response.responses_count != 1 || response.responses[0].partitions_count != 1 ||
        response.responses[0].partitions[0].error_code != KPROTO_ERROR_NONE) {
        bench_die("Fetch failed");
    }
    struct base_slice records = response.responses[0].partitions[0].records.bytes;
    for (size_t at = 0; at < records.length; at += batch.size_bytes) {
        if (logstore_batch_peek(records.data + at, records.length - at, &batch, NULL) !=
            BASE_ERR_OK) {
            break;
        }
        take_batch(load, records.data + at, batch.size_bytes, now_ns);
        load->offset = logstore_batch_next_offset(&batch);
    }
    base_arena_reset(&load->arena);
}

static void on_answer(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    if (lane->index == PRODUCER) {
        kafka_produce_check(data, size);
    } else {
        on_fetched(context, data, size);
    }
}

static bool done(const void *context)
{
    return ((const struct load *)context)->to_receive == 0;
}

static const struct engine_ops ops = {
    .next = next, .measure = kafka_answer_measure, .on_answer = on_answer, .done = done};

void bench_e2e(const struct bench_options *options)
{
    static struct histogram histogram;
    struct proc_measure measure;
    struct bench_options one = *options;
    struct engine engine = {.ops = &ops, .paced_count = 1, .rate = options->rate};
    struct load load = {.engine = &engine,
                        .record_bytes = (size_t)options->record_bytes,
                        .to_send = (uint64_t)options->messages,
                        .to_receive = (uint64_t)options->messages,
                        .histogram = &histogram};

    if (options->record_bytes < STAMP_SIZE) {
        bench_die("record_bytes must be %d or more", (int)STAMP_SIZE);
    }
    one.partitions = 1;
    if (one.make_topic != 0) {
        kafka_topic_make(&one);
    }
    kafka_end_offsets(&one, &load.offset);
    load.value = bench_alloc(1, load.record_bytes);
    load.prefix = kafka_produce_prefix(&one, 0, 0);
    load.fetch = kafka_fetch_build(&one, 0, 1, 1);
    base_writer_init(&load.batch, BATCH_BYTES_MAX);
    base_arena_init(&load.arena, ARENA_BYTES_MAX);
    engine.context = &load;
    engine.histogram = &histogram;
    engine.window = 1;
    engine_open(&engine, one.port, 2);
    proc_measure_begin(&measure, one.pid);
    engine_run(&engine);
    proc_measure_report(&measure, "e2e", (uint64_t)one.messages,
                        (uint64_t)one.messages * load.record_bytes, load.requests, &histogram);
    engine_close(&engine);
    base_arena_fini(&load.arena);
    base_writer_fini(&load.batch);
}
