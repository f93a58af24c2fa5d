/* What the files of this library share about one group.
 *
 * "Locked" means: the caller entered the group with group__enter(), or runs in its alarm or
 * in the apply of one of its changes. */
#ifndef GROUP_GROUP_PRIV_H
#define GROUP_GROUP_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/alarm.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/mutex.h"
#include "core/base/refs.h"
#include "core/group/group.h"
#include "core/group/offsets.h"

struct group_coordinator;
struct group_shard;

enum {
    GROUP_PROTOCOLS_MAX = 100,                    /* of one member */
    GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60000, /* a new member's parked join (Kafka's) */
};

/* How many members know a protocol. */
struct group_candidate {
    uint32_t supporters;
    uint32_t votes; /* while a protocol is being chosen */
};

struct group_member {
    struct base_list link;            /* group->members, oldest first */
    struct base_slice member_id;      /* owned */
    struct base_slice instance_id;    /* owned; null: dynamic member */
    struct base_slice client_id;      /* owned */
    struct base_slice client_host;    /* owned */
    struct group_protocol *protocols; /* owned, one block with their bytes */
    uint32_t protocols_count;
    struct base_slice assignment;      /* owned; of this generation, once stored */
    struct base_slice assignment_next; /* owned; given by the leader, being stored */
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    int64_t deadline_us;     /* end of the session */
    bool is_new;             /* has not been told its generation yet */
    bool joined;             /* joined for the next generation */
    bool sync_missing;       /* knows its generation, has not asked for its share */
    struct group_join *join; /* borrowed; parked, or NULL */
    struct group_sync *sync; /* borrowed; parked, or NULL */
};

/* A member id given out and not used yet (KIP-394). */
struct group_reservation {
    struct base_list link;       /* group->reservations */
    struct base_slice member_id; /* owned */
    int64_t deadline_us;
};

struct group {
    struct group_coordinator *coordinator; /* borrowed */
    struct group_shard *shard;             /* borrowed; where its records go */
    struct base_list shard_link;           /* the coordinator's lock guards it */
    struct base_refs refs;
    struct base_slice id; /* owned */

    struct base_mutex mutex;    /* guards all below */
    struct base_executor *turn; /* borrowed; of the thread that holds the lock, for appends */
    enum group_state state;
    enum group_state state_before;
    int64_t state_since_ms; /* wall clock */
    int32_t generation;
    struct base_slice protocol_type; /* owned; null until the first member joins */
    struct base_slice protocol;      /* owned; null while there are no members */

    struct base_list members;
    uint32_t members_count;
    uint32_t joined_count;
    struct base_map *members_by_id;       /* owned */
    struct base_map *members_by_instance; /* owned */
    struct group_member *leader;          /* NULL without members */
    struct base_map *candidates;          /* owned; struct group_candidate by protocol name */
    struct base_list reservations;        /* oldest first */
    struct base_map *reservations_by_id;  /* owned */
    uint32_t reservations_count;

    int64_t join_deadline_us;     /* end of PREPARING_REBALANCE; INT64_MAX: none */
    int64_t initial_remaining_ms; /* by which the first rebalance may still be put off */
    int64_t initial_delay_ms;     /* of the current step; -1: not the first rebalance */
    bool member_added;            /* since the current step began */
    int64_t sync_deadline_us;     /* by which all members must have synced; INT64_MAX: none */
    uint32_t syncs_missing_count; /* members that have not asked for their assignment yet */
    bool storing;                 /* the leader's assignment is on its way to the log */

    struct base_map *topics;    /* owned; struct group_topic_offsets by name */
    uint32_t entries_count;     /* committed offsets, all topics */
    struct base_list ops;       /* changes in the log that are not durable yet, in order */
    struct base_buffer *stored; /* counted; value of the newest group record; NULL: none */
    size_t stored_length;

    struct base_alarm alarm;
    struct base_task reap;   /* runs on the home executor once nobody holds the group */
    struct base_task closed; /* the alarm is closed */
};

/* group.c */

/* An empty group with one reference; NULL when memory is out. id is copied. */
struct group *group__create(struct group_coordinator *coordinator, struct group_shard *shard,
                            struct base_slice id, struct base_executor *home);
struct group *group__hold(struct group *group);
/* Never frees at once: that happens on the group's home. NULL-safe, sets *group to NULL. */
void group__release(struct group **group);

void group__lock(struct group *group, struct base_executor *turn);
void group__unlock(struct group *group);

/* The only writer of state. */
void group__move(struct group *group, enum group_state next);

int64_t group__now_us(const struct group *group);
int64_t group__now_ms(const struct group *group); /* wall clock */

/* A group that has nothing worth keeping dies. True: it did, forget it once unlocked. */
bool group__die_if_useless(struct group *group);

/* Sets the alarm to the earliest of the deadlines. */
void group__rearm(struct group *group);

/* Ends a wait: posts the task unless the call that brought the request is still running. */
void group__answer(struct group_wait *wait, struct base_executor *executor, struct base_task *task);

/* Takes over the newest group record's value; NULL: none, or deleted. */
void group__set_stored(struct group *group, struct base_buffer *buffer, size_t length);

/* Null slice for a null or failed copy; *failed is set to true in the latter case. The copy
 * has a NUL behind it; free with group__bytes_free. */
struct base_slice group__bytes_copy(struct base_slice bytes, bool *failed);
void group__bytes_free(struct base_slice *bytes);

/* member.c: locked */

struct group_member *group__member_find(struct group *group, struct base_slice member_id);
struct group_member *group__member_of_instance(struct group *group, struct base_slice instance_id);

/* Is this a member, and the one that owns the instance id (if not null)? */
enum group_verdict group__member_check(struct group *group, struct base_slice member_id,
                                       struct base_slice instance_id, struct group_member **out);

/* Would the group accept a member with these protocols? */
bool group__protocols_fit(const struct group *group, const struct group_join *join);

/* OK or MEMBER_TOO_LARGE. */
enum group_verdict group__protocols_check(const struct group_join *join);

BASE_MUST_USE enum base_err group__member_add(struct group *group, const struct group_join *join,
                                              struct base_slice member_id,
                                              struct group_member **out);

/* Takes over protocols and timeouts. NOMEM leaves the member as it was. */
BASE_MUST_USE enum base_err group__member_update(struct group *group, struct group_member *member,
                                                 const struct group_join *join);

/* Gives the member another id. NOMEM leaves it as it was. */
BASE_MUST_USE enum base_err group__member_rename(struct group *group, struct group_member *member,
                                                 struct base_slice member_id);

/* Answers what the member has parked with verdict and frees it. */
void group__member_remove(struct group *group, struct group_member *member,
                          enum group_verdict verdict);

/* True when the member's protocols are exactly those of the join. */
bool group__member_matches(const struct group_member *member, const struct group_join *join);

/* Metadata for one protocol; empty when the member does not know it. */
struct base_slice group__member_metadata(const struct group_member *member,
                                         struct base_slice protocol);

/* Starts the session anew. */
void group__member_touch(struct group *group, struct group_member *member, int64_t timeout_ms);

/* The protocol with most votes among those that all members know. Never null with members. */
struct base_slice group__choose_protocol(struct group *group);

struct group_reservation *group__reservation_find(struct group *group, struct base_slice member_id);
BASE_MUST_USE enum base_err group__reserve(struct group *group, struct base_slice member_id,
                                           int64_t session_timeout_ms);
void group__reservation_remove(struct group *group, struct group_reservation *reservation);

/* Calls visit for each topic of each member's subscription (bytes that are a
 * ConsumerProtocolSubscription). False when visit returned false, or one cannot be read: that
 * counts as a subscription to everything. */
typedef bool group_topic_visit(void *context, struct base_slice topic);
bool group__subscribed_each(const struct group *group, group_topic_visit *visit, void *context);
bool group__is_consumer(const struct group *group);

/* rebalance.c: locked */

void group__prepare_rebalance(struct group *group);
/* Starts a rebalance unless one is being prepared; then completes it if everybody joined. */
void group__rebalance_or_complete(struct group *group);
/* Counts the member among those that joined for the next generation. */
void group__set_joined(struct group *group, struct group_member *member, bool joined);
/* Completes the join phase, if there is one, when nobody is missing any more. */
void group__join_maybe_complete(struct group *group);
/* After members left. */
void group__after_departure(struct group *group);
/* What is due in PREPARING_REBALANCE. */
void group__join_deadline_passed(struct group *group, int64_t now_us);

/* join.c: locked */

enum group_answer group__join(struct group *group, struct group_join *join);
/* Ends a member's parked join, if there is one, with the current generation. */
void group__join_answer(struct group *group, struct group_member *member);
/* The new id of a static member is durable, or failed. */
void group__rejoin_stored(struct group *group, struct base_slice member_id, enum base_err err);
void group__join_refuse(struct group_join *join, enum group_verdict verdict);

/* sync.c: locked */

enum group_answer group__sync(struct group *group, struct group_sync *sync);
void group__sync_answer(struct group *group, struct group_member *member);
void group__sync_refuse(struct group_member *member, enum group_verdict verdict);
void group__sync_refuse_all(struct group *group, enum group_verdict verdict);
/* Members that joined but never asked for their assignment are dropped. */
void group__sync_deadline_passed(struct group *group);
/* The member asked for its assignment. */
void group__sync_seen(struct group *group, struct group_member *member);
/* The leader's assignment is durable, or failed. */
void group__assignment_stored(struct group *group, int32_t generation, enum base_err err);

#endif
