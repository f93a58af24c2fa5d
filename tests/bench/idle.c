/* What is there and does nothing: connections, groups, partitions, and what it costs those that
 * work. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kafka-proto/api.h"
#include "kafka-proto/error.h"
#include "tests/bench/bench.h"
#include "tests/bench/kafka_client.h"
#include "tests/bench/proc.h"

enum { ARENA_BYTES_MAX = 1 << 20, OTHER_FILES = 100, OFFSET_COMMIT_VERSION = 2 };

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

void bench_hold(const struct bench_options *options)
{
    open_idle(options);
    printf("{\"case\": \"hold\", \"connections\": %" PRId64 "}\n", options->idle);
    (void)fflush(stdout);
    while (getchar() != EOF) {
    }
}

void bench_topic(const struct bench_options *options)
{
    kafka_topic_make(options);
    printf("{\"case\": \"topic\", \"partitions\": %" PRId64 "}\n", options->partitions);
}

/* Each is as a client leaves it that went away: an offset, no members. */
void bench_groups(const struct bench_options *options)
{
    struct base_arena arena;
    struct kproto_offset_commit_request_partition partition;
    struct kproto_offset_commit_request_topic topic;
    struct kproto_offset_commit_request request;
    struct kproto_offset_commit_response response;

    kafka_topic_make(options);
    kproto_init(&kproto_schema_offset_commit_request_partition, &partition);
    kproto_init(&kproto_schema_offset_commit_request_topic, &topic);
    kproto_init(&kproto_schema_offset_commit_request, &request);
    request.member_id = base_slice_text("");
    topic.name = base_slice_text(options->topic);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    base_arena_init(&arena, ARENA_BYTES_MAX);
    int fd = engine_connect(options->port);
    for (int64_t i = 0; i < options->groups; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "group-%" PRId64, i);
        request.group_id = base_slice_text(name);
        kafka_call(fd, KPROTO_KEY_offset_commit, OFFSET_COMMIT_VERSION, &request, &arena,
                   &response);
        if (response.topics_count != 1 || response.topics[0].partitions_count != 1 ||
            response.topics[0].partitions[0].error_code != KPROTO_ERROR_NONE) {
            bench_die("OffsetCommit of %s failed", name);
        }
        base_arena_reset(&arena);
    }
    (void)close(fd);
    base_arena_fini(&arena);
    printf("{\"case\": \"groups\", \"groups\": %" PRId64 "}\n", options->groups);
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
