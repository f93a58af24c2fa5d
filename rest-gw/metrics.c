/* What the broker knows about itself, in Prometheus' text format 0.0.4. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/telemetry/counters.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/metrics_priv.h"

enum { LINE_SIZE = 512, METRICS_SIZE_MAX = 16 * 1024 * 1024 };

static void put(struct base_writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct base_writer *writer, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    BASE_ASSERT(length >= 0 && length < LINE_SIZE);
    base_writer_bytes(writer, line, (size_t)length);
}

static void put_head(struct base_writer *writer, const char *name, const char *type,
                     const char *help)
{
    put(writer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_gauge(struct base_writer *writer, const char *name, const char *help, int64_t value)
{
    put_head(writer, name, "gauge", help);
    put(writer, "%s %" PRId64 "\n", name, value);
}

static void put_seconds(struct base_writer *writer, const char *name, const char *type,
                        const char *help, int64_t value_ms)
{
    put_head(writer, name, type, help);
    put(writer, "%s %" PRId64 ".%03" PRId64 "\n", name, value_ms / 1000, value_ms % 1000);
}

static void put_counters(struct base_writer *writer)
{
    for (unsigned i = 0; i < TELEMETRY_COUNTER_COUNT; i++) {
        enum telemetry_counter counter = (enum telemetry_counter)i;
        const char *name = telemetry_metric(counter);
        put_head(writer, name, "counter", telemetry_help(counter));
        put(writer, "%s %" PRIu64 "\n", name, telemetry_read(counter));
    }
}

static bool count_topic(void *context, const struct catalog_topic *topic)
{
    int64_t *counts = context;
    counts[topic->kind]++;
    return true;
}

static void put_objects(struct base_writer *writer, struct restgw_request *request)
{
    struct restgw_gateway *gateway = restgw__gateway(request);
    struct catalog_view *view = restgw__view(request);
    int64_t counts[CATALOG_KIND_COUNT] = {0};
    int64_t offline = partition_table_offline_count(gateway->options.partitions);

    catalog_view_each(view, count_topic, counts);
    put_head(writer, "dmsd_topics", "gauge", "Topics, which are also queues, by kind");
    for (unsigned kind = 0; kind < CATALOG_KIND_COUNT; kind++) {
        put(writer, "dmsd_topics{kind=\"%s\"} %" PRId64 "\n",
            catalog_kind_name((enum catalog_kind)kind), counts[kind]);
    }
    put_head(writer, "dmsd_partitions", "gauge", "Partitions, by whether they can be used");
    put(writer, "dmsd_partitions{state=\"online\"} %" PRId64 "\n",
        catalog_view_partitions_count(view) - offline);
    put(writer, "dmsd_partitions{state=\"offline\"} %" PRId64 "\n", offline);
    put_gauge(writer, "dmsd_delayed_messages", "Messages that wait for their time",
              queue_delayed_count(gateway->options.queues));
    put_head(writer, "dmsd_connections", "gauge", "Connections open now, by door");
    put(writer, "dmsd_connections{door=\"http\"} %zu\n",
        restgw_http_server_connections(gateway->server));
    if (gateway->options.kafka_connections != NULL) {
        put(writer, "dmsd_connections{door=\"kafka\"} %u\n",
            gateway->options.kafka_connections(gateway->options.context));
    }
    put_gauge(writer, "dmsd_http_requests_in_flight", "HTTP requests not answered yet",
              (int64_t)restgw_http_server_requests(gateway->server));
    put_gauge(writer, "dmsd_http_in_flight_bytes", "Bytes of HTTP requests not answered yet",
              (int64_t)restgw_http_server_bytes(gateway->server));
    put_gauge(writer, "dmsd_buffer_bytes", "Bytes in counted buffers",
              (int64_t)base_buffer_total_bytes());
}

/* 0 where there is no /proc. */
static int64_t resident_bytes(void)
{
    long long size_pages = 0;
    long long resident_pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%lld %lld", &size_pages, &resident_pages) != 2) {
        resident_pages = 0;
    }
    (void)fclose(file);
    return (int64_t)resident_pages * sysconf(_SC_PAGESIZE);
}

static int64_t milliseconds(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000 + time.tv_usec / 1000;
}

static void put_process(struct base_writer *writer, const struct restgw_gateway *gateway)
{
    struct rusage usage = {0};
    int64_t now_ms = base_clock_wall_ms(gateway->options.clock);

    (void)getrusage(RUSAGE_SELF, &usage);
    put_gauge(writer, "process_resident_memory_bytes", "Memory in use, as the kernel counts it",
              resident_bytes());
    put_seconds(writer, "process_cpu_seconds_total", "counter", "User and system time spent",
                milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime));
    put_seconds(writer, "process_start_time_seconds", "gauge", "When the REST door was opened",
                gateway->started_ms);
    put_seconds(writer, "dmsd_uptime_seconds", "gauge", "Time since the REST door was opened",
                now_ms > gateway->started_ms ? now_ms - gateway->started_ms : 0);
}

void restgw__metrics_get(struct restgw_request *request)
{
    const struct restgw_gateway *gateway = restgw__gateway(request);
    const struct restgw_options *options = &gateway->options;
    struct base_writer writer;

    base_writer_init(&writer, METRICS_SIZE_MAX);
    put_gauge(&writer, "dmsd_ready", "Whether both doors serve",
              options->is_ready(options->context) ? 1 : 0);
    put_counters(&writer);
    put_objects(&writer, request);
    restgw__put_queue_metrics(&writer, request);
    put_process(&writer, gateway);
    if (writer.err != BASE_ERR_OK) {
        restgw_answer_base_error(request, writer.err);
    } else {
        restgw_answer_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8",
                            base_slice_of(writer.buffer->data, writer.length));
    }
    base_writer_fini(&writer);
}
