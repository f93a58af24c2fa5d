/* librdkafka: end to end as its users see it, and its mock cluster as a peer. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/bench.h"
#include "tests/bench/kafka_client.h"
#include "tests/bench/proc.h"

enum { TEXT_SIZE = 512, POLL_MS = 100, FLUSH_MS = 30000, STALLED_POLLS_MAX = 300 };

static rd_kafka_t *client(rd_kafka_type_t type, const struct bench_options *options,
                          const char *const settings[][2])
{
    char text[TEXT_SIZE];
    char bootstrap[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)snprintf(bootstrap, sizeof bootstrap, "127.0.0.1:%d", (int)options->port);
    rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof text);
    for (size_t i = 0; result == RD_KAFKA_CONF_OK && settings[i][0] != NULL; i++) {
        result = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text);
    }
    if (result != RD_KAFKA_CONF_OK) {
        bench_die("librdkafka: %s", text);
    }
    rd_kafka_t *made = rd_kafka_new(type, conf, text, sizeof text);
    if (made == NULL) {
        bench_die("librdkafka: %s", text);
    }
    return made;
}

struct producer {
    rd_kafka_t *kafka;
    const struct bench_options *options;
};

/* One message every 1/rate s, which carries when it was handed over; the warm ones first, while
 * the clients connect. */
static void *produce(void *context)
{
    struct producer *producer = context;
    const struct bench_options *options = producer->options;
    size_t size = (size_t)options->record_bytes;
    uint8_t *value = bench_alloc(1, size);
    int64_t period_ns = 1000000000 / options->rate;
    struct timespec due;

    (void)clock_gettime(CLOCK_MONOTONIC, &due);
    for (int64_t i = 0; i < options->warm + options->messages; i++) {
        due.tv_nsec += period_ns;
        due.tv_sec += due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        uint64_t now_ns = bench_now_ns();
        memcpy(value, &now_ns, sizeof now_ns);
        rd_kafka_resp_err_t err =
            rd_kafka_producev(producer->kafka, RD_KAFKA_V_TOPIC(options->topic),
                              RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE(value, size),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            bench_die("produce: %s", rd_kafka_err2str(err));
        }
        (void)rd_kafka_poll(producer->kafka, 0);
    }
    free(value);
    if (rd_kafka_flush(producer->kafka, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bench_die("messages were not delivered");
    }
    return NULL;
}

static void consume(rd_kafka_t *kafka, int64_t messages, struct histogram *histogram)
{
    unsigned stalled = 0;

    while (messages > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka, POLL_MS);
        if (message == NULL) {
            if (++stalled > STALLED_POLLS_MAX) {
                bench_die("%lld messages did not come", (long long)messages);
            }
            continue;
        }
        uint64_t sent_ns = 0;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->len >= sizeof sent_ns) {
            memcpy(&sent_ns, message->payload, sizeof sent_ns);
            histogram_add(histogram, bench_now_ns() - sent_ns);
            messages--;
            stalled = 0;
        }
        rd_kafka_message_destroy(message);
    }
}

static rd_kafka_t *start_consumer(const struct bench_options *options, int64_t offset)
{
    static const char *const settings[][2] = {
        {"group.id", "bench"}, {"enable.auto.commit", "false"}, {NULL, NULL}};
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, options, settings);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    (void)rd_kafka_poll_set_consumer(kafka);
    rd_kafka_topic_partition_list_add(list, options->topic, 0)->offset = offset;
    rd_kafka_resp_err_t err = rd_kafka_assign(kafka, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bench_die("assign: %s", rd_kafka_err2str(err));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return kafka;
}

void bench_rdkafka_e2e(const struct bench_options *options)
{
    static struct histogram histogram;
    static struct histogram ignored;
    static const char *const settings[][2] = {{"linger.ms", "0"}, {"acks", "all"}, {NULL, NULL}};
    struct proc_measure measure;
    struct bench_options one = *options;
    int64_t offset = 0;
    pthread_t thread;

    if (options->record_bytes < (int64_t)sizeof(uint64_t)) {
        bench_die("record_bytes must be %zu or more", sizeof(uint64_t));
    }
    one.partitions = 1;
    kafka_topic_make(&one);
    kafka_end_offsets(&one, &offset);
    rd_kafka_t *consumer = start_consumer(&one, offset);
    struct producer producer = {.kafka = client(RD_KAFKA_PRODUCER, &one, settings),
                                .options = &one};
    if (pthread_create(&thread, NULL, produce, &producer) != 0) {
        bench_die("no thread");
    }
    consume(consumer, one.warm, &ignored);
    proc_measure_begin(&measure, one.pid);
    consume(consumer, one.messages, &histogram);
    proc_measure_report(&measure, "rdkafka-e2e", (uint64_t)one.messages,
                        (uint64_t)(one.messages * one.record_bytes), 0, &histogram);
    (void)pthread_join(thread, NULL);
    rd_kafka_destroy(producer.kafka);
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

void bench_mock_cluster(const struct bench_options *options)
{
    char text[TEXT_SIZE];
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, text, sizeof text);
    rd_kafka_mock_cluster_t *cluster = kafka == NULL ? NULL : rd_kafka_mock_cluster_new(kafka, 1);

    if (cluster == NULL ||
        rd_kafka_mock_topic_create(cluster, options->topic, (int)options->partitions, 1) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        bench_die("no mock cluster");
    }
    const char *bootstraps = rd_kafka_mock_cluster_bootstraps(cluster);
    const char *colon = strrchr(bootstraps, ':');
    printf("{\"case\": \"mock-cluster\", \"port\": %s}\n", colon == NULL ? "0" : colon + 1);
    (void)fflush(stdout);
    while (getchar() != EOF) {
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(kafka);
}
