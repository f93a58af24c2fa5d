/* The little of a Kafka client that the cases share. */
#ifndef BENCH_KAFKA_CLIENT_H
#define BENCH_KAFKA_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/writer.h"
#include "kafka-proto/schema.h"
#include "tests/bench/bench.h"
#include "tests/bench/engine.h"

/* The last versions that are not flexible: records end a produce request, and a partition
 * of a fetch request has a fixed size, so that both can be patched in place. */
enum { KAFKA_PRODUCE_VERSION = 7, KAFKA_FETCH_VERSION = 11 };

/* A whole request, length prefix included. Owned memory, never freed: as many as the case
 * has, to its end. */
struct kafka_frame {
    uint8_t *bytes;
    size_t length;
};

/* A copy of what the writer holds; the writer ends. Dies if the writer failed. */
struct kafka_frame kafka_frame_take(struct base_writer *writer);

struct kafka_frame kafka_frame_build(int16_t key, int16_t version, const void *request);

/* The engine's measure of an answer. */
size_t kafka_answer_measure(const uint8_t *data, size_t size);

/* Dies unless the answer decodes. */
void kafka_answer_decode(const uint8_t *data, size_t size, int16_t key, int16_t version,
                         struct base_arena *arena, void *response);

/* One request and its answer on a blocking socket. */
void kafka_call(int fd, int16_t key, int16_t version, const void *request, struct base_arena *arena,
                void *response);

/* Makes options->topic unless it is there. */
void kafka_topic_make(const struct bench_options *options);

/* End offsets of options->partitions partitions from options->first_partition. */
void kafka_end_offsets(const struct bench_options *options, int64_t *ends);

/* One batch of records_count records of record_bytes each. codec: none, gzip, snappy, lz4 or
 * zstd; values then halve under compression. Owned, never freed. */
struct kafka_frame kafka_batch_build(uint32_t records_count, size_t record_bytes,
                                     const char *codec);

/* A produce request for one partition without its records, which the caller sends behind
 * it: records_length bytes. */
struct kafka_frame kafka_produce_prefix(const struct bench_options *options, int32_t partition,
                                        size_t records_length);

/* Patches. */
void kafka_produce_prefix_resize(struct kafka_frame *prefix, size_t records_length);

/* Dies on an error code. */
void kafka_produce_check(const uint8_t *data, size_t size);

/* A fetch request for partitions_count partitions: first, first + step, ...; offsets 0. */
struct kafka_frame kafka_fetch_build(const struct bench_options *options, int32_t first,
                                     int32_t step, uint32_t partitions_count);

/* nth: the partition's place in the request. */
void kafka_fetch_set_offset(struct kafka_frame *frame, uint32_t partitions_count, uint32_t nth,
                            int64_t offset);

/* Round trips at options->rate over options->connections: one record, one in flight each. */
void kafka_roundtrip_report(const struct bench_options *options, const char *name);

#endif
