/* A broker without doors, for tests of the queue engine: catalog, partitions and queues over
 * the simulated disk, on two loops and a pool in virtual time. Trouble that a test did not
 * ask for aborts. */
#ifndef SIM_QUEUE_HARNESS_H
#define SIM_QUEUE_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue/ack.h"
#include "core/queue/consume.h"
#include "core/queue/produce.h"
#include "core/queue/queue.h"
#include "core/queue/reset.h"
#include "tests/sim/executor_sim.h"
#include "tests/sim/io_sim.h"

enum { QUEUE_HARNESS_LOOPS = 2 };

#define QUEUE_HARNESS_SECOND INT64_C(1000000) /* microseconds */

struct queue_harness {
    struct sim_scheduler *scheduler;
    struct base_executor *loops[QUEUE_HARNESS_LOOPS];
    struct base_executor *housekeeper;
    struct base_executor *pool;
    struct base_clock *clock;
    struct io_sim *sim;
    int64_t retention_check_ms;   /* set before start */
    size_t tail_bytes_max;        /* the same */
    uint32_t snapshot_updates;    /* the same */
    int64_t delayed_max;          /* the same; 0 = the default */
    int64_t delayed_queue_max;    /* the same of one queue */
    uint64_t delay_rewrite_bytes; /* the same */
    bool opens_full;              /* the same: no log finds room for what it has to create */

    /* NULL while stopped. */
    struct logstore_store *store;
    struct catalog *catalog;
    struct partition_table *table;
    struct queue_manager *manager;

    /* What the Kafka hooks say. */
    bool kafka_is_active;
    int64_t committed;        /* of every partition; -1 none */
    unsigned committed_asked; /* how often */
};

void queue_harness_init(struct queue_harness *harness, uint64_t seed,
                        const struct io_sim_options *options);

/* Stops first, if necessary. */
void queue_harness_fini(struct queue_harness *harness);

/* Starts the broker. On an error (the disk crashed) it is stopped again. */
enum base_err queue_harness_start(struct queue_harness *harness);

/* Stops it, or clears away what a crash has left. All requests must be over, but for
 * consumes that wait. */
void queue_harness_stop(struct queue_harness *harness);

/* Runs call(context) on a loop. */
typedef void queue_harness_call(void *context);
void queue_harness_run_on(struct queue_harness *harness, uint32_t loop, queue_harness_call *call,
                          void *context);

/* A queue; retention_ms 0 = the default. NULL when the disk has crashed. The caller releases
 * the topic. */
struct catalog_topic *queue_harness_make_queue(struct queue_harness *harness, const char *name,
                                               enum catalog_kind kind, int32_t partitions_count,
                                               int64_t retention_ms);

/* The same with a redrive policy. */
struct catalog_topic *queue_harness_make_redrive_queue(struct queue_harness *harness,
                                                       const char *name, enum catalog_kind kind,
                                                       int32_t partitions_count,
                                                       int32_t max_consume_count);

/* Adds a group and replaces *topic by the topic that has it. False when the disk has crashed. */
bool queue_harness_make_group(struct queue_harness *harness, struct catalog_topic **topic,
                              const char *name);

bool queue_harness_delete_group(struct queue_harness *harness, struct catalog_topic **topic,
                                const char *group_id);
bool queue_harness_delete_queue(struct queue_harness *harness, const struct catalog_topic *topic);

/* A consume and whether it is over. */
struct queue_harness_consume {
    struct queue_consume consume;
    bool is_over;
    void (*on_over)(struct queue_harness_consume *consume); /* may be NULL, and may free it */
    struct queue_manager *manager;
    struct base_task start;
};

/* Starts a consume on the loop; run the scheduler until is_over. The fields
 * topic, group_id, messages_max, size_bytes_max, time_wait_ms and ack_wait_ms are set before. */
void queue_harness_start_consume(struct queue_harness *harness, uint32_t loop,
                                 struct queue_harness_consume *consume);

struct queue_harness_ack {
    struct queue_ack ack;
    bool is_over;
    void (*on_start)(struct queue_harness_ack *ack); /* may be NULL; right before it is asked */
    void (*on_over)(struct queue_harness_ack *ack);  /* may be NULL, and may free it */
    struct queue_manager *manager;
    struct base_task start;
};

/* The same; topic, group_id, items and items_count are set before. */
void queue_harness_start_ack(struct queue_harness *harness, uint32_t loop,
                             struct queue_harness_ack *ack);

struct queue_harness_reset {
    struct queue_reset reset;
    bool is_over;
    void (*on_over)(struct queue_harness_reset *reset); /* may be NULL, and may free it */
    struct queue_manager *manager;
    struct base_task start;
};

/* The same; topic, group_id, position, timestamp_ms and force are set before. Release it. */
void queue_harness_start_reset(struct queue_harness *harness, uint32_t loop,
                               struct queue_harness_reset *reset);

struct queue_harness_produce {
    struct queue_produce produce;
    bool is_over;
    void (*on_over)(struct queue_harness_produce *produce); /* may be NULL, and may free it */
    struct queue_manager *manager;
    struct base_task start;
};

/* The same; topic, messages and messages_count are set before. */
void queue_harness_start_produce(struct queue_harness *harness, uint32_t loop,
                                 struct queue_harness_produce *produce);

/* Runs until *is_over; aborts when that never comes. */
void queue_harness_wait(struct queue_harness *harness, const bool *is_over);

#endif
