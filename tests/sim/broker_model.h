/* What clients of a broker were told, and what must follow from it: topics, the record at
 * each offset, and committed offsets. The real broker is compared with it all the time.
 *
 * Every record ever sent has a number of its own and says it in its value, so that whatever
 * comes back names where it belongs. A finding ends the program with the seed. */
#ifndef SIM_BROKER_MODEL_H
#define SIM_BROKER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/partition/partition.h"
#include "tests/sim/seeds.h"

enum {
    MODEL_TOPICS_MAX = 40, /* lives of topics: one deleted and made again counts twice */
    MODEL_NAMES = 4,       /* names they share; the last one is never deleted */
    MODEL_PARTITIONS_MAX = 4,
    MODEL_GROUPS = 2,
    MODEL_VALUE_SIZE_MIN = 12,
};

#define MODEL_CHECK(condition)                              \
    do {                                                    \
        if (!(condition)) {                                 \
            sim_seeds_fail(__FILE__, __LINE__, #condition); \
        }                                                   \
    } while (0)

/* One record as its producer made it. Its number is its index. */
struct model_value {
    uint32_t topic;
    int32_t partition;
    uint32_t producer;
    bool is_unique; /* idempotent: at one offset only */
    int64_t offset; /* where it was put last; -1 nowhere, or lost */
    int64_t timestamp_ms;
    uint32_t size_bytes;
};

struct model_partition {
    uint32_t *numbers; /* owned; of the record at each offset; 0 not known */
    int64_t numbers_capacity;
    int64_t end_given;      /* behind the last append that was accepted */
    int64_t end_maybe;      /* behind what it may have written when it stopped */
    int64_t survives_power; /* everything below is there after a power cut */
    int64_t survives_kill;  /* and after the death of the process */
    int64_t start_acked;    /* trims that were answered */
    int64_t start_asked;    /* and those that were only asked for */
    int64_t start_last;     /* as seen in this life of the broker */
    int64_t high_last;
    uint32_t losses_count; /* crashes that took records: then a producer has a gap */
};

enum model_topic_state {
    MODEL_TOPIC_ASKED, /* its creation had no answer yet */
    MODEL_TOPIC_EXISTS,
    MODEL_TOPIC_DYING, /* its deletion had no answer yet */
    MODEL_TOPIC_GONE,
};

struct model_topic {
    struct base_uuid id;
    uint32_t name; /* index, see broker_model_name */
    enum model_topic_state state;
    bool is_ha;
    bool has_retention;
    bool is_made_on_full_disk; /* some of its partitions */
    int32_t partitions_count;  /* acknowledged */
    int32_t partitions_asked;
    struct model_partition partitions[MODEL_PARTITIONS_MAX];
};

/* One committed offset. Its number is its index, which its metadata says. The order of
 * numbers is that in which the broker was asked. */
enum model_commit_state {
    MODEL_COMMIT_SENT,
    MODEL_COMMIT_MAYBE,
    MODEL_COMMIT_OK,
    MODEL_COMMIT_REFUSED
};

struct model_commit {
    uint32_t group;
    uint32_t topic;
    int32_t partition;
    int64_t offset;
    enum model_commit_state state;
};

struct broker_model {
    struct model_topic topics[MODEL_TOPICS_MAX];
    uint32_t topics_count;
    struct model_value *values; /* owned; number 0 is nobody's */
    uint32_t values_count;
    uint32_t values_capacity;
    struct model_commit *commits; /* owned; number 0 is nobody's */
    uint32_t commits_count;
    uint32_t commits_capacity;
    /* The newest that was answered or read: nothing older may be seen again. */
    uint32_t committed[MODEL_GROUPS][MODEL_TOPICS_MAX][MODEL_PARTITIONS_MAX];
    uint64_t digest; /* of everything that happened: the same seed, the same digest */
};

void broker_model_init(struct broker_model *model);
void broker_model_fini(struct broker_model *model);

void broker_model_note(struct broker_model *model, uint64_t what);

/* "t0", "t1", ...; static. */
const char *broker_model_name(uint32_t name);

/* The topic of that name which exists, or may; NULL when none does. */
struct model_topic *broker_model_topic(struct broker_model *model, uint32_t name);

/* A new record; returns its number. */
uint32_t broker_model_add_value(struct broker_model *model, const struct model_value *value);

/* Writes its bytes. */
void broker_model_fill(const struct broker_model *model, uint32_t number, uint8_t *bytes);

/* The record with these bytes was seen at offset, or the broker put it there. */
void broker_model_seen(struct broker_model *model, uint32_t topic, int32_t partition,
                       int64_t offset, struct base_slice bytes, int64_t timestamp_ms);
void broker_model_put(struct broker_model *model, uint32_t topic, int32_t partition, int64_t offset,
                      uint32_t number);

/* Number of the record at offset; 0 not known. */
uint32_t broker_model_at(const struct model_partition *partition, int64_t offset);

/* The broker promised that everything below end stays. */
void broker_model_promise(struct model_partition *partition, int64_t end, bool is_durable);

/* Compares what a partition says of itself with what it said before. */
void broker_model_look(struct model_topic *topic, int32_t partition,
                       const struct partition_offsets *offsets);

/* The first look after a restart: what must have survived has, the rest is forgotten. */
void broker_model_restarted(struct broker_model *model, uint32_t topic, int32_t partition,
                            const struct partition_offsets *offsets, bool is_power_cut);

/* A new commit, about to be sent; returns its number. */
uint32_t broker_model_add_commit(struct broker_model *model, const struct model_commit *commit);
void broker_model_commit_over(struct broker_model *model, uint32_t number,
                              enum model_commit_state state);

/* The group was read: number 0 is "no offset". */
void broker_model_committed(struct broker_model *model, uint32_t group, uint32_t topic,
                            int32_t partition, uint32_t number, int64_t offset);

#endif
