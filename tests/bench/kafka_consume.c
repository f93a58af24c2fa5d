/* Consume: fetches all that a topic holds, from offset 0. */
#include <stdlib.h>
#include <string.h>

#include "kafka-proto/api.h"
#include "kafka-proto/error.h"
#include "logstore/batch.h"
#include "tests/bench/bench.h"
#include "tests/bench/engine.h"
#include "tests/bench/kafka_client.h"
#include "tests/bench/proc.h"

enum { ARENA_BYTES_MAX = 1 << 30 };

/* What one lane fetches: partitions first, first + step, ... */
struct share {
    struct kafka_frame frame;
    int32_t first;
    int32_t step;
    uint32_t partitions_count;
    int64_t messages_left;
    int64_t *offsets; /* next to fetch */
};

struct load {
    struct share *shares;
    uint32_t lanes_count;
    int64_t messages_left; /* of all */
    uint64_t bytes;        /* of batches */
    uint64_t requests;
    struct base_arena arena;
};

static unsigned next(void *context, struct engine_lane *lane, struct iovec iov[ENGINE_IOV_MAX])
{
    struct load *load = context;
    struct share *share = &load->shares[lane->index];

    if (share->messages_left <= 0) {
        return 0;
    }
    for (uint32_t i = 0; i < share->partitions_count; i++) {
        kafka_fetch_set_offset(&share->frame, share->partitions_count, i, share->offsets[i]);
    }
    load->requests++;
    iov[0] = (struct iovec){.iov_base = share->frame.bytes, .iov_len = share->frame.length};
    return 1;
}

/* Offset behind the last whole batch. */
static int64_t next_offset(struct base_slice records, int64_t offset)
{
    struct logstore_batch batch;
    size_t at = 0;

    while (at < records.length && logstore_batch_peek(records.data + at, records.length - at,
                                                      &batch, NULL) == BASE_ERR_OK) {
        offset = logstore_batch_next_offset(&batch);
        at += batch.size_bytes;
    }
    return offset;
}

static void on_answer(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    struct load *load = context;
    struct share *share = &load->shares[lane->index];
    struct kproto_fetch_response response;

    kafka_answer_decode(data, size, KPROTO_KEY_fetch, KAFKA_FETCH_VERSION, &load->arena, &response);
    for (uint32_t i = 0;
         response.responses_count == 1 && i < response.responses[0].partitions_count; i++) {
        const struct kproto_fetch_response_partition *row = &response.responses[0].partitions[i];
        uint32_t nth = (uint32_t)((row->partition_index - share->first) / share->step);
        if (row->error_code != KPROTO_ERROR_NONE || nth >= share->partitions_count) {
            bench_die("Fetch: error %d, partition %d", row->error_code, row->partition_index);
        }
        int64_t offset = next_offset(row->records.bytes, share->offsets[nth]);
        load->messages_left -= offset - share->offsets[nth];
        share->messages_left -= offset - share->offsets[nth];
        load->bytes += row->records.length;
        share->offsets[nth] = offset;
    }
    base_arena_reset(&load->arena);
}

static bool done(const void *context)
{
    return ((const struct load *)context)->messages_left <= 0;
}

static const struct engine_ops ops = {
    .next = next, .measure = kafka_answer_measure, .on_answer = on_answer, .done = done};

/* A part of the partitions, or all of them when the lanes do not share. ends: by partition. */
static void build_share(struct load *load, const struct bench_options *options, uint32_t lane,
                        const int64_t *ends)
{
    struct share *share = &load->shares[lane];
    uint32_t partitions = (uint32_t)options->partitions;
    uint32_t start = options->each_reads_all != 0 ? 0 : lane;
    uint32_t step = options->each_reads_all != 0 ? 1 : load->lanes_count;

    share->first = (int32_t)(options->first_partition + start);
    share->step = (int32_t)step;
    for (uint32_t i = start; i < partitions; i += step) {
        share->partitions_count++;
        share->messages_left += ends[i];
    }
    load->messages_left += share->messages_left;
    share->offsets = bench_alloc(share->partitions_count + 1, sizeof *share->offsets);
    share->frame = kafka_fetch_build(options, share->first, share->step, share->partitions_count);
}

void bench_consume(const struct bench_options *options)
{
    static struct histogram histogram;
    struct proc_measure measure;
    struct load load = {.lanes_count = (uint32_t)options->connections};
    int64_t *ends = bench_alloc((size_t)options->partitions, sizeof *ends);
    struct engine engine = {.ops = &ops,
                            .context = &load,
                            .histogram = &histogram,
                            .timed_count = load.lanes_count,
                            .window = 1};

    base_arena_init(&load.arena, ARENA_BYTES_MAX);
    kafka_end_offsets(options, ends);
    load.shares = bench_alloc(load.lanes_count, sizeof *load.shares);
    for (uint32_t i = 0; i < load.lanes_count; i++) {
        build_share(&load, options, i, ends);
    }
    uint64_t messages = (uint64_t)load.messages_left;
    engine_open(&engine, options->port, load.lanes_count);
    proc_measure_begin(&measure, options->pid);
    engine_run(&engine);
    proc_measure_report(&measure, "consume", messages, messages * (uint64_t)options->record_bytes,
                        load.requests, &histogram);
    engine_close(&engine);
    base_arena_fini(&load.arena);
    free(ends);
}
