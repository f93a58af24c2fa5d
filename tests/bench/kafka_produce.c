/* Produce: prebuilt batches, of which only the request around them differs. */
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/engine.h"
#include "tests/bench/kafka_client.h"
#include "tests/bench/proc.h"

enum { RECORD_OVERHEAD = 9, LOOSE_RECORDS_MAX = 1 << 20 };

struct load {
    struct kafka_frame batch;
    struct kafka_frame *prefixes; /* by partition */
    uint32_t partitions_count;
    uint32_t next_partition;
    uint64_t requests_left; /* to be sent */
    uint64_t answers_left;
};

static unsigned next(void *context, struct engine_lane *lane, struct iovec iov[ENGINE_IOV_MAX])
{
    struct load *load = context;
    (void)lane;

    if (load->requests_left == 0) {
        return 0;
    }
    load->requests_left--;
    const struct kafka_frame *prefix = &load->prefixes[load->next_partition];
    load->next_partition = (load->next_partition + 1) % load->partitions_count;
    iov[0] = (struct iovec){.iov_base = prefix->bytes, .iov_len = prefix->length};
    iov[1] = (struct iovec){.iov_base = load->batch.bytes, .iov_len = load->batch.length};
    return 2;
}

static void on_answer(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    struct load *load = context;
    (void)lane;

    kafka_produce_check(data, size);
    load->answers_left--;
}

static bool done(const void *context)
{
    return ((const struct load *)context)->answers_left == 0;
}

static const struct engine_ops ops = {
    .next = next, .measure = kafka_answer_measure, .on_answer = on_answer, .done = done};

static void run(struct engine *engine, struct load *load, uint64_t requests)
{
    load->requests_left = requests;
    load->answers_left = requests;
    engine_run(engine);
}

static void report(const struct bench_options *options, const char *name, bool is_paced,
                   uint32_t batch_records)
{
    static struct histogram histogram;
    static struct histogram ignored;
    struct proc_measure measure;
    unsigned lanes_count = (unsigned)options->connections;
    struct load load = {.partitions_count = (uint32_t)options->partitions};
    struct engine engine = {.ops = &ops,
                            .context = &load,
                            .histogram = &ignored,
                            .timed_count = lanes_count,
                            .paced_count = is_paced ? lanes_count : 0,
                            .window = is_paced ? 1 : (unsigned)options->window,
                            .rate = options->rate};

    if (options->make_topic != 0) {
        kafka_topic_make(options);
    }
    load.batch = kafka_batch_build(batch_records, (size_t)options->record_bytes, options->codec);
    load.prefixes = bench_alloc(load.partitions_count, sizeof *load.prefixes);
    for (uint32_t i = 0; i < load.partitions_count; i++) {
        load.prefixes[i] = kafka_produce_prefix(options, (int32_t)(options->first_partition + i),
                                                load.batch.length);
    }
    engine_open(&engine, options->port, lanes_count);
    uint64_t records = batch_records;
    run(&engine, &load, ((uint64_t)options->warm + records - 1) / records + lanes_count);
    uint64_t requests = ((uint64_t)options->messages + records - 1) / records;
    engine.histogram = &histogram;
    proc_measure_begin(&measure, options->pid);
    run(&engine, &load, requests);
    /* What is compressed is counted as it is sent. */
    uint64_t batch_bytes = strcmp(options->codec, "none") == 0
                               ? records * (uint64_t)options->record_bytes
                               : load.batch.length;
    proc_measure_report(&measure, name, requests * records, requests * batch_bytes, requests,
                        &histogram);
    engine_close(&engine);
}

void bench_produce(const struct bench_options *options)
{
    int64_t records = options->batch_records;
    if (records == 0) {
        records = options->batch_bytes / (options->record_bytes + RECORD_OVERHEAD);
    }
    if (records > LOOSE_RECORDS_MAX || options->record_bytes < 0) {
        bench_die("batch of %lld records", (long long)records);
    }
    report(options, "produce", false, records < 1 ? 1 : (uint32_t)records);
}

void kafka_roundtrip_report(const struct bench_options *options, const char *name)
{
    report(options, name, true, options->batch_records > 0 ? (uint32_t)options->batch_records : 1);
}

void bench_roundtrip(const struct bench_options *options)
{
    kafka_roundtrip_report(options, "roundtrip");
}
