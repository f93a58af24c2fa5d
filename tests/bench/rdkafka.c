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

typedef void delivery_fn(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context);

/* on_delivery may be NULL. */
static rd_kafka_t *client(rd_kafka_type_t type, const struct bench_options *options,
                          const char *const settings[][2], delivery_fn *on_delivery)
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
    if (on_delivery != NULL) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
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

static void note_delay(const rd_kafka_message_t *message, struct histogram *histogram)
{
    uint64_t sent_ns = 0;

    if (message->len >= sizeof sent_ns) {
        memcpy(&sent_ns, message->payload, sizeof sent_ns);
        histogram_add(histogram, bench_now_ns() - sent_ns);
    }
}

/* With a histogram a message carries when it was handed over. */
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
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (histogram != NULL) {
                note_delay(message, histogram);
            }
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
    rd_kafka_t *kafka = client(RD_KAFKA_CONSUMER, options, settings, NULL);
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
    if (one.make_topic != 0) {
        kafka_topic_make(&one);
    }
    kafka_end_offsets(&one, &offset);
    rd_kafka_t *consumer = start_consumer(&one, offset);
    struct producer producer = {.kafka = client(RD_KAFKA_PRODUCER, &one, settings, NULL),
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

static uint64_t undelivered;

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context)
{
    (void)kafka;
    (void)context;
    undelivered += message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
}

/* Hands over as many as the queue of librdkafka takes, over and over. */
static void produce_all(rd_kafka_t *kafka, const struct bench_options *options, int64_t messages)
{
    size_t size = (size_t)options->record_bytes;
    uint8_t *value = bench_alloc(1, size + 1);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, options->topic, NULL);

    memset(value, 'a', size);
    for (int64_t i = 0; i < messages; i++) {
        int32_t partition = (int32_t)(i % options->partitions);
        while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, size, NULL, 0,
                                NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
                bench_die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
            }
            (void)rd_kafka_poll(kafka, 1);
        }
    }
    if (rd_kafka_flush(kafka, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR || undelivered > 0) {
        bench_die("messages were not delivered");
    }
    rd_kafka_topic_destroy(topic);
    free(value);
}

void bench_rdkafka_produce(const struct bench_options *options)
{
    static struct histogram none;
    static const char *const settings[][2] = {{"acks", "all"},
                                              {"linger.ms", "5"},
                                              {"queue.buffering.max.messages", "500000"},
                                              {NULL, NULL}};
    struct proc_measure measure;

    if (options->make_topic != 0) {
        kafka_topic_make(options);
    }
    rd_kafka_t *kafka = client(RD_KAFKA_PRODUCER, options, settings, on_delivery);
    produce_all(kafka, options, options->warm);
    proc_measure_begin(&measure, options->pid);
    produce_all(kafka, options, options->messages);
    proc_measure_report(&measure, "rdkafka-produce", (uint64_t)options->messages,
                        (uint64_t)(options->messages * options->record_bytes), 0, &none);
    rd_kafka_destroy(kafka);
}

/* All that partition 0 holds, from its start. */
void bench_rdkafka_consume(const struct bench_options *options)
{
    static struct histogram none;
    struct proc_measure measure;
    struct bench_options one = *options;
    int64_t messages = 0;

    one.partitions = 1;
    kafka_end_offsets(&one, &messages);
    rd_kafka_t *kafka = start_consumer(&one, 0);
    proc_measure_begin(&measure, one.pid);
    consume(kafka, messages, NULL);
    proc_measure_report(&measure, "rdkafka-consume", (uint64_t)messages,
                        (uint64_t)(messages * one.record_bytes), 0, &none);
    (void)rd_kafka_consumer_close(kafka);
    rd_kafka_destroy(kafka);
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
