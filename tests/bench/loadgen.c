/* Load generator: `loadgen CASE key=value ...` prints one line of JSON.
 *
 * It sends requests that were built before the clock starts, over raw sockets, so that the
 * server is what is measured; the server's cost is read from the kernel's counters of its
 * process. tests/bench/run.py runs the cases. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/bench.h"
#include "tests/bench/proc.h"

static const struct {
    const char *name;
    void (*run)(const struct bench_options *options);
    const char *help;
} cases[] = {
    {"floor", bench_floor, "what this machine can do at all"},
    {"touch", bench_touch, "touch this much memory, so that the host backs it"},
    {"produce", bench_produce, "prebuilt batches, a window in flight"},
    {"roundtrip", bench_roundtrip, "one produce in flight at a rate"},
    {"consume", bench_consume, "fetch all there is"},
    {"e2e", bench_e2e, "from send to receipt at a rate"},
    {"idle-connections", bench_idle, "cost of idle connections, round trips beside them"},
    {"hold", bench_hold, "idle connections until the standard input ends"},
    {"groups", bench_groups, "make consumer groups: one offset committed each"},
    {"topic", bench_topic, "make the topic"},
    {"rdkafka-e2e", bench_rdkafka_e2e, "e2e with librdkafka as producer and consumer"},
    {"rdkafka-produce", bench_rdkafka_produce, "all as fast as librdkafka sends"},
    {"rdkafka-consume", bench_rdkafka_consume, "all as fast as librdkafka reads"},
    {"mock-cluster", bench_mock_cluster, "be librdkafka's mock cluster"},
    {"redis-produce", bench_redis_produce, "XADD, batches pipelined"},
    {"redis-roundtrip", bench_redis_roundtrip, "one XADD in flight at a rate"},
    {"redis-consume", bench_redis_consume, "XRANGE over all there is"},
    {"redis-e2e", bench_redis_e2e, "XADD to XREAD at a rate"},
    {"nats-produce", bench_nats_produce, "JetStream publish, batches pipelined"},
    {"nats-roundtrip", bench_nats_roundtrip, "one publish in flight at a rate"},
    {"nats-consume", bench_nats_consume, "JetStream pull, batches"},
    {"nats-e2e", bench_nats_e2e, "JetStream publish to push at a rate"},
    {"rabbit-produce", bench_rabbit_produce, "stream publish, batches"},
    {"rabbit-roundtrip", bench_rabbit_roundtrip, "one publish in flight at a rate"},
    {"rabbit-consume", bench_rabbit_consume, "stream subscription over all there is"},
    {"rabbit-e2e", bench_rabbit_e2e, "stream publish to delivery at a rate"},
    {"rest-produce", bench_rest_produce, "POST messages, one request in flight each"},
    {"rest-consume", bench_rest_consume, "GET up to 10 messages, acknowledge them"},
};

_Noreturn void bench_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fputs("loadgen: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *bench_alloc(size_t count, size_t size_bytes)
{
    void *memory = calloc(count, size_bytes);
    if (memory == NULL) {
        bench_die("out of memory");
    }
    return memory;
}

uint64_t bench_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (errno != 0 || *text == '\0' || *end != '\0') {
        bench_die("not a number: %s", text);
    }
    return number;
}

static void set_option(struct bench_options *options, char *argument)
{
    char *equals = strchr(argument, '=');
    if (equals == NULL) {
        bench_die("not key=value: %s", argument);
    }
    *equals = '\0';
    const char *value = equals + 1;
#define SET_NUMBER(name, default_value, help) \
    if (strcmp(argument, #name) == 0) {       \
        options->name = number_of(value);     \
        return;                               \
    }
#define SET_TEXT(name, default_value, help) \
    if (strcmp(argument, #name) == 0) {     \
        options->name = value;              \
        return;                             \
    }
    BENCH_NUMBERS(SET_NUMBER)
    BENCH_TEXTS(SET_TEXT)
#undef SET_NUMBER
#undef SET_TEXT
    bench_die("no such key: %s", argument);
}

static int usage(void)
{
    (void)fputs("usage: loadgen CASE [key=value ...]\ncases:\n", stderr);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)fprintf(stderr, "  %-18s%s\n", cases[i].name, cases[i].help);
    }
    (void)fputs("keys:\n", stderr);
#define PRINT_NUMBER(name, value, help) \
    (void)fprintf(stderr, "  %-18s%" PRId64 "  %s\n", #name, (int64_t)(value), help);
#define PRINT_TEXT(name, value, help) (void)fprintf(stderr, "  %-18s%s  %s\n", #name, value, help);
    BENCH_NUMBERS(PRINT_NUMBER)
    BENCH_TEXTS(PRINT_TEXT)
#undef PRINT_NUMBER
#undef PRINT_TEXT
    return 2;
}

int main(int argc, char **argv)
{
#define DEFAULT(name, value, help) .name = (value),
    struct bench_options options = {BENCH_NUMBERS(DEFAULT) BENCH_TEXTS(DEFAULT)};
#undef DEFAULT

    for (int i = 2; i < argc; i++) {
        set_option(&options, argv[i]);
    }
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            proc_pin(options.cpu);
            cases[i].run(&options);
            return 0;
        }
    }
    return usage();
}
