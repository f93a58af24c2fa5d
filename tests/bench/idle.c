/* Idle connections: what each costs, and what those that work pay for them. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "kafka-proto/api.h"
#include "tests/bench/bench.h"
#include "tests/bench/kafka_client.h"
#include "tests/bench/proc.h"

enum { ARENA_BYTES_MAX = 1 << 20, OTHER_FILES = 100 };

/* Each has spoken once, as real idle clients have: it asked for the versions. */
static void open_idle(const struct bench_options *options)
{
    struct rlimit limit;
    struct base_arena arena;
    struct kproto_api_versions_request request = {0};
    struct kproto_api_versions_response response;
    rlim_t wanted = (rlim_t)(options->idle + options->connections + OTHER_FILES);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    base_arena_init(&arena, ARENA_BYTES_MAX);
    for (int64_t i = 0; i < options->idle; i++) {
        int fd = engine_connect(options->port); /* open until the program ends */
        kafka_call(fd, KPROTO_KEY_api_versions, 0, &request, &arena, &response);
        base_arena_reset(&arena);
    }
    base_arena_fini(&arena);
}

void bench_idle(const struct bench_options *options)
{
    struct bench_options few = *options;

    kafka_roundtrip_report(options, "roundtrip-without-idle");
    uint64_t before = proc_status_kib((pid_t)options->pid, "VmRSS:");
    open_idle(&few);
    uint64_t after = proc_status_kib((pid_t)options->pid, "VmRSS:");
    printf("{\"case\": \"idle\", \"connections\": %" PRId64 ", \"bytes_each\": %.1f}\n",
           options->idle, (double)(after - before) * 1024.0 / (double)options->idle);
    kafka_roundtrip_report(options, "roundtrip-with-idle");
}
