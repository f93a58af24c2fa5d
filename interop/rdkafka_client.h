/* How the tests of librdkafka get their clients. */
#ifndef INTEROP_RDKAFKA_CLIENT_H
#define INTEROP_RDKAFKA_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

enum {
    NAME_SIZE = 64,
    ERROR_SIZE = 512,
    WAIT_MS = 60000, /* for what is sure to come */
};

/* One key and value of a client's configuration; a NULL key ends a list of them. */
struct setting {
    const char *key;
    const char *value;
};

/* A name nobody has used. */
static void make_name(char name[NAME_SIZE], const char *prefix)
{
    static int serial;
    int length = snprintf(name, NAME_SIZE, "%s-%ld-%ld-%d", prefix, (long)time(NULL),
                          (long)getpid(), serial++);
    assert_true(length > 0 && length < NAME_SIZE);
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char error[ERROR_SIZE];
    if (rd_kafka_conf_set(conf, key, value, error, sizeof(error)) != RD_KAFKA_CONF_OK) {
        fail_msg("%s", error);
    }
}

/* Of a client of the broker that DMSD_BOOTSTRAP names; settings may be NULL. */
static rd_kafka_conf_t *make_conf(const struct setting *settings)
{
    const char *bootstrap = getenv("DMSD_BOOTSTRAP");
    assert_non_null(bootstrap);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    for (; settings != NULL && settings->key != NULL; settings++) {
        set(conf, settings->key, settings->value);
    }
    return conf;
}

/* Takes the configuration over. */
static rd_kafka_t *make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char error[ERROR_SIZE];
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof(error));
    if (client == NULL) {
        fail_msg("%s", error);
    }
    return client;
}

#endif
