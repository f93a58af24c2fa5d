/* One consumer group of the simulation: its members, and what its generations promised. */
#ifndef SIM_BROKER_GROUP_H
#define SIM_BROKER_GROUP_H

#include "tests/sim/broker_world.h"

enum {
    GROUP_SHARE_MAX = MODEL_NAMES * MODEL_PARTITIONS_MAX,
    GROUP_MEMBER_ID_SIZE = 80,
    GROUP_SHARES_MAX = 6 * WORLD_MEMBERS, /* with members that died and are still counted */
};

/* Partitions that a leader gives to one member. */
struct broker_share {
    char owner[GROUP_MEMBER_ID_SIZE]; /* instance id of a static member, else member id */
    uint32_t count;
    struct {
        uint32_t topic;
        int32_t partition;
    } partitions[GROUP_SHARE_MAX];
};

/* What a leader sent in a sync. */
struct broker_proposal {
    int32_t generation;
    uint32_t shares_count;
    struct broker_share shares[GROUP_SHARES_MAX];
};

enum broker_member_state { MEMBER_OUT, MEMBER_JOINING, MEMBER_SYNCING, MEMBER_STABLE };

struct broker_member {
    struct broker_client client;
    struct broker_group *group;
    uint32_t index;
    enum broker_member_state state;
    char client_id[16];
    char instance_id[16]; /* "" dynamic */
    char member_id[GROUP_MEMBER_ID_SIZE];
    bool requires_member_id;
    bool supports_skip_assignment;
    unsigned subscription; /* bit per topic name */
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    int32_t generation;
    bool is_leader;
    int64_t asleep_until_us; /* it does nothing, as if its machine had stopped */
    int64_t retry_us;        /* no join before, after trouble that passes */
    int64_t heartbeat_us;    /* the next one */
    unsigned topics_seen;    /* partitions of what it leads, to notice a change */
    struct broker_share share;

    struct group_join join;
    struct group_protocol protocol;
    uint8_t metadata[256];
    struct group_sync sync;
    struct group_assignment assignments[GROUP_SHARES_MAX];
    uint8_t assignment_bytes[GROUP_SHARES_MAX][8 + 8 * GROUP_SHARE_MAX];
    struct group_commit commit;
    bool commit_pending;
    int32_t commit_joined; /* the group's generation when the commit was sent */
    struct group_commit_item items[GROUP_SHARE_MAX];
    char item_metadata[GROUP_SHARE_MAX][16];
    uint32_t item_numbers[GROUP_SHARE_MAX];
};

struct broker_group {
    struct broker_world *world;
    uint32_t index;
    char id[8];
    struct broker_member members[WORLD_MEMBERS];
    int32_t joined; /* newest generation that somebody was told in this life of the broker */
    struct broker_proposal *proposals; /* owned */
    uint32_t proposals_count;
    uint32_t *fixed; /* owned; by generation: the proposal members were given, plus one */
    int32_t fixed_capacity;
    struct group_commit first_commit;
    struct group_commit_item first_item;
    char first_metadata[16];
    uint32_t first_number;
    struct base_task first_task;
    bool first_over;
};

/* The broker does not know the member any more: it begins anew. */
static inline bool broker_member_is_fenced(enum group_verdict verdict)
{
    return verdict == GROUP_UNKNOWN_MEMBER || verdict == GROUP_ILLEGAL_GENERATION ||
           verdict == GROUP_FENCED_INSTANCE;
}

/* broker_share.c */

/* The member's subscription in Kafka's format; returns its size. */
size_t broker_share_subscribe(unsigned subscription, uint8_t bytes[256]);

/* Partitions of the topics subscribed to, in one number that changes when they do. */
unsigned broker_share_topics(struct broker_world *world, unsigned subscription);

/* The leader's part: a range of each topic's partitions for each member that wants it. Fills
 * the leader's assignments and remembers the proposal. Returns how many. */
uint32_t broker_share_assign(struct broker_member *leader);

/* A member was given these bytes: one proposal for all of a generation, no partition twice. */
void broker_share_check(struct broker_member *member, struct base_slice bytes);

/* broker_commit.c */

/* Commits progress on some partitions of the member's share. */
void broker_commit_start(struct broker_member *member);

/* Compares the committed offset of a topic's partition. */
void broker_commit_read(struct broker_group *group, uint32_t topic, int32_t partition);

/* A commit without a generation, which keeps the group for ever. Runs until it is over. */
void broker_commit_first(struct broker_group *group);

#endif
