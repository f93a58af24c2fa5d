/* One Kafka consumer group, and the requests of its members (classic protocol).
 *
 * Every request is a struct embedded in what waits for it. Its inputs are borrowed and
 * stay valid until the answer; its outputs belong to it. A call that returns GROUP_DONE
 * has answered; after GROUP_PENDING the answer is there when `task` runs on `executor`,
 * which is the executor of the calling thread. The caller sets executor, task.run and the
 * inputs, and zeroes the rest. The calls are in coordinator.h. */
#ifndef GROUP_GROUP_H
#define GROUP_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/executor.h"
#include "core/base/slice.h"
#include "core/group/verdict.h"

struct group;
struct group_member;

enum group_state {
    GROUP_EMPTY,                /* no members; may have offsets */
    GROUP_PREPARING_REBALANCE,  /* waits for members to join; their joins are parked */
    GROUP_COMPLETING_REBALANCE, /* members know the generation; waits for the leader's
                                 * assignment to be stored; syncs are parked */
    GROUP_STABLE,               /* every member has, or can get, its assignment */
    GROUP_DEAD,                 /* removed; whoever still holds it looks it up again */
    GROUP_STATE_COUNT
};

/* "Empty", "PreparingRebalance", ... as tools print them. */
const char *group_state_name(enum group_state state);

/* Upper and lower case are the same. False for no state. */
bool group_state_parse(struct base_slice name, enum group_state *out);

enum group_answer { GROUP_DONE, GROUP_PENDING };

/* Kept in every request that may be parked; the group's own. */
struct group_wait {
    bool in_call;  /* the call has not returned: an answer is not posted */
    bool answered; /* outputs are valid, the task is posted or needs not be */
};

struct group_protocol {
    struct base_slice name;
    struct base_slice metadata;
};

/* A member as its leader sees it. */
struct group_join_member {
    struct base_slice member_id;
    struct base_slice group_instance_id; /* null: dynamic member */
    struct base_slice metadata;          /* of the chosen protocol */
};

struct group_join {
    struct base_executor *executor;
    struct base_task task;

    /* in */
    struct base_slice group_id;
    struct base_slice member_id;         /* empty: not known yet */
    struct base_slice group_instance_id; /* null: dynamic member */
    struct base_slice client_id;
    struct base_slice client_host;
    struct base_slice protocol_type;
    const struct group_protocol *protocols; /* in the member's order of preference */
    uint32_t protocols_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool requires_member_id;       /* JoinGroup v4+: a dynamic member joins twice */
    bool supports_skip_assignment; /* JoinGroup v9+ (KIP-814) */

    /* out: with GROUP_OK all are valid; with MEMBER_ID_REQUIRED only joined_member_id;
     * with any other verdict joined_member_id is the null slice: answer with member_id.
     * Valid until group_join_release(). */
    enum group_verdict verdict;
    int32_t generation; /* -1 unless GROUP_OK */
    struct base_slice joined_member_id;
    struct base_slice chosen_protocol_type;
    struct base_slice chosen_protocol;
    struct base_slice leader_id;
    bool skip_assignment;
    const struct group_join_member *members; /* none unless this member is the leader */
    uint32_t members_count;

    /* the group's own */
    struct group_wait wait;
    struct group *group;         /* held from parking to release or cancel */
    struct group_member *member; /* whose it is; valid while parked */
    struct base_arena memory;    /* owned; what the outputs point into */
};

/* Frees the outputs; to be called after every answer. Idempotent. */
void group_join_release(struct group_join *join);

struct group_assignment {
    struct base_slice member_id;
    struct base_slice assignment;
};

struct group_sync {
    struct base_executor *executor;
    struct base_task task;

    /* in */
    struct base_slice group_id;
    struct base_slice member_id;
    struct base_slice group_instance_id; /* null: dynamic member */
    int32_t generation;
    struct base_slice protocol_type;            /* null: not given */
    struct base_slice protocol;                 /* null: not given */
    const struct group_assignment *assignments; /* heeded only from the leader */
    uint32_t assignments_count;

    /* out: valid with GROUP_OK, until group_sync_release() */
    enum group_verdict verdict;
    struct base_slice chosen_protocol_type;
    struct base_slice chosen_protocol;
    struct base_slice assignment; /* empty when the leader gave none */

    /* the group's own */
    struct group_wait wait;
    struct group *group;      /* held from parking to release or cancel */
    struct base_arena memory; /* owned; what the outputs point into */
};

/* Frees the outputs; to be called after every answer. Idempotent. */
void group_sync_release(struct group_sync *sync);

/* Never parked. */
struct group_heartbeat {
    struct base_slice group_id;
    struct base_slice member_id;
    struct base_slice group_instance_id; /* null: dynamic member */
    int32_t generation;
};

struct group_leave_member {
    struct base_slice member_id;         /* empty: by instance id (admin) */
    struct base_slice group_instance_id; /* null: by member id */
    enum group_verdict verdict;          /* out */
};

/* Never parked. Versions below 3 have one member. */
struct group_leave {
    struct base_executor *executor; /* of the calling thread */
    struct base_slice group_id;
    struct group_leave_member *members; /* borrowed */
    uint32_t members_count;
};

/* What tools see of a group; everything lives in the arena that was passed. */
struct group_member_description {
    struct base_slice member_id;
    struct base_slice group_instance_id; /* null: dynamic member */
    struct base_slice client_id;
    struct base_slice client_host;
    struct base_slice metadata;   /* empty unless the group is stable */
    struct base_slice assignment; /* empty unless the group is stable */
};

struct group_description {
    enum group_state state;
    struct base_slice protocol_type; /* empty for a group that only commits */
    struct base_slice protocol;      /* empty unless the group is stable */
    const struct group_member_description *members;
    uint32_t members_count;
};

struct group_listing {
    struct base_slice group_id;
    struct base_slice protocol_type; /* empty for a group that only commits */
    enum group_state state;
};

#endif
