/* What the parts of the load generator share: options and the end of the program.
 *
 * A tool, not a server: whatever goes wrong ends it with one line on stderr. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdint.h>
#include <sys/types.h>

/* `loadgen CASE key=value ...`: key, default, meaning. */
#define BENCH_NUMBERS(X)                                               \
    X(port, 9092, "of the server")                                     \
    X(pid, 0, "of the server, whose CPU time and memory are read")     \
    X(cpu, -1, "core of this program; -1: any")                        \
    X(server_cpu, -1, "core of the server's side of the floor")        \
    X(connections, 1, "")                                              \
    X(partitions, 1, "of the topic")                                   \
    X(first_partition, 0, "the load goes to partitions from this one") \
    X(record_bytes, 1024, "value of a record")                         \
    X(batch_bytes, 1000000, "records of a batch together, about")      \
    X(batch_records, 0, "records of a batch; 0: by batch_bytes")       \
    X(acks, -1, "-1 or 1")                                             \
    X(window, 5, "requests in flight of a connection")                 \
    X(rate, 1000, "requests a second of the cases that have a rate")   \
    X(messages, 1000000, "measured")                                   \
    X(warm, 0, "messages before the measured ones")                    \
    X(fetch_bytes, 1048576, "most bytes of a partition in an answer")  \
    X(idle, 10000, "idle connections")                                 \
    X(groups, 1000, "consumer groups of the case groups")              \
    X(make_topic, 1, "0: the topic is there")                          \
    X(each_reads_all, 0, "1: connections of consume share nothing")    \
    X(delay_ms, 0, "delay_time of the first message of a REST batch")  \
    X(delay_step_ms, 0, "how much longer each next one waits")         \
    X(bytes, 1000000000, "of floor and touch")

#define BENCH_TEXTS(X)                                         \
    X(topic, "bench", "")                                      \
    X(mode, "KAFKA_HT", "dms.queue.mode of a topic made here") \
    X(codec, "none", "none, gzip, snappy, lz4 or zstd")        \
    X(directory, "/tmp", "where the floor writes its file")    \
    X(path, "", "of the REST project: /v1.0/<project>")        \
    X(queue, "", "REST queue id")                              \
    X(group, "", "REST group id")

struct bench_options {
#define BENCH_NUMBER_FIELD(name, value, help) int64_t name;
#define BENCH_TEXT_FIELD(name, value, help) const char *name;
    BENCH_NUMBERS(BENCH_NUMBER_FIELD)
    BENCH_TEXTS(BENCH_TEXT_FIELD)
#undef BENCH_NUMBER_FIELD
#undef BENCH_TEXT_FIELD
};

/* Prints the line and exits with 1. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Memory, zeroed; never NULL. */
void *bench_alloc(size_t count, size_t size_bytes);

uint64_t bench_now_ns(void);

/* One per case. */
void bench_floor(const struct bench_options *options);
void bench_touch(const struct bench_options *options);
void bench_produce(const struct bench_options *options);
void bench_roundtrip(const struct bench_options *options);
void bench_consume(const struct bench_options *options);
void bench_e2e(const struct bench_options *options);
void bench_idle(const struct bench_options *options);
void bench_hold(const struct bench_options *options);
void bench_groups(const struct bench_options *options);
void bench_topic(const struct bench_options *options);
void bench_rdkafka_e2e(const struct bench_options *options);
void bench_rdkafka_produce(const struct bench_options *options);
void bench_rdkafka_consume(const struct bench_options *options);
void bench_mock_cluster(const struct bench_options *options);
void bench_redis_produce(const struct bench_options *options);
void bench_redis_roundtrip(const struct bench_options *options);
void bench_redis_consume(const struct bench_options *options);
void bench_redis_e2e(const struct bench_options *options);
void bench_nats_produce(const struct bench_options *options);
void bench_nats_roundtrip(const struct bench_options *options);
void bench_nats_consume(const struct bench_options *options);
void bench_nats_e2e(const struct bench_options *options);
void bench_rabbit_produce(const struct bench_options *options);
void bench_rabbit_roundtrip(const struct bench_options *options);
void bench_rabbit_consume(const struct bench_options *options);
void bench_rabbit_e2e(const struct bench_options *options);
void bench_rest_produce(const struct bench_options *options);
void bench_rest_consume(const struct bench_options *options);

#endif
