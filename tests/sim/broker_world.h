/* A broker, its clients and its misfortunes: what the files of sim_broker share.
 *
 * Clients live on the broker's loops, as connections do: each acts when its timer fires, and
 * every call into the broker is made from there. Faults come from outside, between tasks. */
#ifndef SIM_BROKER_WORLD_H
#define SIM_BROKER_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/broker_model.h"
#include "tests/sim/core_harness.h"

enum broker_plant { PLANT_NONE, PLANT_DROP, PLANT_SWAP, PLANT_ACK_EARLY, PLANT_DOUBLE };

enum { WORLD_PRODUCERS = 4, WORLD_POLLERS = 3, WORLD_MEMBERS = 3 /* of each group */ };

#define WORLD_SECOND INT64_C(1000000) /* microseconds */

struct broker_producer;
struct broker_poller;
struct broker_admin;
struct broker_group;

struct broker_world {
    struct core_harness harness;
    struct broker_model model;
    uint64_t seed;
    enum broker_plant plant;
    bool is_up;            /* the broker takes requests */
    bool is_calm;          /* no faults any more: everything must go well now */
    bool is_ending;        /* clients start nothing new */
    bool sync_may_fail;    /* a failing sync was planned in this life of the broker */
    bool was_full;         /* the disk was full at some time in this life */
    int64_t room_us;       /* by when what waits for room on the disk must have got it */
    uint32_t open_count;   /* requests under way that must end before the broker stops */
    uint32_t parked_count; /* joins and syncs under way: the stop ends them */
    int64_t think_us_max;  /* how long clients think */
    uint64_t crashes_count;
    uint64_t records_count; /* read and compared */
    struct broker_producer *producers[WORLD_PRODUCERS];
    struct broker_poller *pollers[WORLD_POLLERS];
    struct broker_admin *admin;
    struct broker_group *groups[MODEL_GROUPS];
};

/* A client: act runs on its loop, again and again. */
struct broker_client;
typedef void broker_client_act(struct broker_client *client);

struct broker_client {
    struct broker_world *world;
    struct base_executor *loop;
    broker_client_act *act;
    struct base_timer timer;
    struct base_task start;
};

/* Chooses a loop; act runs soon. */
void broker_client_start(struct broker_client *client, struct broker_world *world,
                         broker_client_act *act);

/* Makes act run after delay_us, instead of when the client has thought. On its loop. */
void broker_client_wake(struct broker_client *client, int64_t delay_us);

/* broker_world.c */

uint64_t broker_world_pick(struct broker_world *world, uint64_t bound);
bool broker_world_chance(struct broker_world *world, uint64_t one_in);
int64_t broker_world_now_us(struct broker_world *world);
int64_t broker_world_now_ms(struct broker_world *world); /* wall clock */

/* A topic that exists for certain, and one of its partitions. False when there is none. */
bool broker_world_pick_partition(struct broker_world *world, uint32_t *topic, int32_t *partition);

/* Held; NULL when the topic is being deleted. A topic that exists has all its partitions. */
struct partition *broker_world_partition(struct broker_world *world, uint32_t topic,
                                         int32_t partition);

/* Why a partition, or a request to it, may have failed with err. */
void broker_world_check_err(struct broker_world *world, uint32_t topic, enum base_err err);

/* Compares every partition's offsets with the model. */
void broker_world_look(struct broker_world *world);

/* Clients. disconnect: the connection breaks, what can be given up is. progress: something
 * that must grow when all is well. */

struct broker_producer *broker_producer_create(struct broker_world *world, uint32_t index);
void broker_producer_close(struct broker_producer **producer);
void broker_producer_disconnect(struct broker_producer *producer);
uint64_t broker_producer_progress(const struct broker_producer *producer);

struct broker_poller *broker_poller_create(struct broker_world *world);
void broker_poller_close(struct broker_poller **poller);
void broker_poller_disconnect(struct broker_poller *poller);
uint64_t broker_poller_progress(const struct broker_poller *poller);

/* Compares all records of a partition, from its start to its high watermark. The broker must
 * be well, and the scheduler not running. */
void broker_poller_verify(struct broker_world *world, uint32_t topic, int32_t partition);

struct broker_admin *broker_admin_create(struct broker_world *world);
void broker_admin_close(struct broker_admin **admin);

struct broker_group *broker_group_create(struct broker_world *world, uint32_t index);
void broker_group_close(struct broker_group **group);
void broker_group_disconnect(struct broker_group *group, uint32_t member);
void broker_group_restarted(struct broker_group *group);

/* True when its members share all partitions of what they subscribe to. */
bool broker_group_is_settled(struct broker_group *group);

/* Reads and compares all committed offsets. */
void broker_group_verify(struct broker_group *group);

/* broker_faults.c */

/* Lets clients work for a while in the face of one random fault. */
void broker_faults_step(struct broker_world *world);

/* Ends all faults for good. */
void broker_faults_end(struct broker_world *world);

/* How the broker stops. */
enum broker_stop {
    STOP_CLEAN, /* an administrator stops it */
    STOP_KILL,  /* its process dies */
    STOP_POWER, /* the power is cut */
};

/* Stops the broker, starts it again and compares what it says with the model; with
 * reads_all every record, too. */
void broker_faults_restart(struct broker_world *world, enum broker_stop stop, bool reads_all);

#endif
