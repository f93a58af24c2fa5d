/* A broker's queues, their clients and their misfortunes. One thread, virtual time. */
#ifndef SIM_LEASE_WORLD_H
#define SIM_LEASE_WORLD_H

#include "core/base/list.h"
#include "tests/sim/lease_model.h"
#include "tests/sim/queue_harness.h"
#include "tests/sim/seeds.h"

/* Faults between the broker and the model, which the model must find. */
enum lease_plant {
    LEASE_PLANT_NONE,
    LEASE_PLANT_DROP,         /* an acknowledged message is not there */
    LEASE_PLANT_TWICE,        /* a message is leased twice at once */
    LEASE_PLANT_ACK_EARLY,    /* an ack is answered, and not done */
    LEASE_PLANT_DUE_EARLY,    /* a delay is shorter than was asked for */
    LEASE_PLANT_WRONG_TAG,    /* a group gets what its rule does not want */
    LEASE_PLANT_LETTER_LOST,  /* a dead message leaves no letter */
    LEASE_PLANT_LETTER_TWICE, /* or two */
    LEASE_PLANT_COUNTER,      /* consumed is one too many */
    LEASE_PLANT_COUNT
};

enum { LEASE_PLANT_ONE_IN = 10 };

struct lease_world {
    struct queue_harness harness;
    uint64_t seed;
    enum lease_plant plant;
    uint32_t life;       /* counts the starts of the broker */
    uint32_t open_count; /* produces, acks and resets under way */
    struct base_list consumes;
    bool is_draining;
    bool has_planned_fault;                   /* a crash or failing sync may come */
    bool sync_failed;                         /* one was planned, ever */
    struct lease_queue *queues[LEASE_QUEUES]; /* owned */
    struct lease_queue *queues_gone;          /* owned list */
    uint32_t serials;
    uint32_t scans;
    uint64_t batches_count;
    uint64_t delivered_count;
    uint64_t letters_count;
    uint64_t redriven_count;
    uint64_t delayed_count;
    uint64_t resets_count;
    uint64_t crashes_count;
};

#define LEASE_CHECK(condition)                              \
    do {                                                    \
        if (!(condition)) {                                 \
            sim_seeds_fail(__FILE__, __LINE__, #condition); \
        }                                                   \
    } while (0)

/* lease_world.c */
uint64_t lease_world_pick(struct lease_world *world, uint64_t bound);
bool lease_world_chance(struct lease_world *world, uint64_t one_in);
bool lease_world_plants(struct lease_world *world, enum lease_plant plant);
int64_t lease_world_now_us(const struct lease_world *world);
int64_t lease_world_now_ms(const struct lease_world *world);
uint32_t lease_world_loop(struct lease_world *world); /* any */
void lease_world_advance(struct lease_world *world, int64_t duration_us);

/* A group of a queue, or of its letters. */
struct lease_group *lease_world_group(struct lease_world *world);

/* Calls visit for all groups that live: of queues, of letters, or of both. */
typedef void lease_group_visit(struct lease_world *world, struct lease_group *group);
void lease_world_each(struct lease_world *world, bool queues, bool letters,
                      lease_group_visit *visit);

/* lease_produce.c, lease_consume.c, lease_ack.c: random requests. */
void lease_produce(struct lease_world *world, struct lease_queue *queue);
void lease_consume(struct lease_world *world, struct lease_group *group, uint32_t rule,
                   int64_t time_wait_ms);
void lease_consume_cancel(struct lease_world *world);
void lease_ack(struct lease_world *world, struct lease_group *group);

/* Whether a message of a request with this error is certainly not on the disk. */
bool lease_world_is_certain(enum base_err err);

/* lease_reset.c: one that runs beside everything else; one that has the group for itself, so
 * that all its effects are known. */
void lease_reset_racing(struct lease_world *world, struct lease_group *group);
void lease_reset_calm(struct lease_world *world, struct lease_group *group);

/* lease_redrive.c */
void lease_redrive(struct lease_world *world, struct lease_group *letters);
void lease_redrive_verify(struct lease_world *world, struct lease_group *letters);

/* lease_admin.c. Deletions make a new one in its place. */
struct lease_queue *lease_admin_make_queue(struct lease_world *world);
void lease_admin_step(struct lease_world *world);

/* lease_scan.c: reads all logs, and compares them with what producers were told. */
void lease_scan(struct lease_world *world, struct lease_queue *queue);
void lease_scan_all(struct lease_world *world);

/* lease_faults.c */
void lease_crash(struct lease_world *world);
void lease_restart(struct lease_world *world); /* in good order */
bool lease_is_down(struct lease_world *world);

/* For the answer of a request that all others wait for. */
void lease_wait(struct lease_world *world, const bool *is_over);

/* Waits until requests under way are answered; false: the disk crashed before that. */
bool lease_settle(struct lease_world *world);

/* lease_verify.c */
struct queue_counters lease_counters(struct lease_world *world, const struct lease_group *group);
void lease_finish(struct lease_world *world);

#endif
