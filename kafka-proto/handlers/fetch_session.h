/* Incremental fetch sessions (KIP-227): the broker remembers which partitions a consumer
 * fetches, so that requests and answers carry only what changed.
 *
 * A session belongs to the connection that opened it and ends with it: no other client can use
 * it, or learn that it is there, and what it remembers does not outlive who wants it. A client
 * that comes back on another connection is told that the session is unknown, as by a Kafka that
 * has evicted it, and makes a new one; Java's begins anew by itself when it was disconnected.
 *
 * Each loop has its own sessions, and a limit for all that they remember.
 *
 * Threads: the loop's only. */
#ifndef KHANDLER_FETCH_SESSION_H
#define KHANDLER_FETCH_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"
#include "kafka-proto/schema.h"

struct khandler_fetch_sessions;
struct base_map;

/* One partition a session fetches. */
struct khandler_fetch_partition {
    struct base_list link;     /* in the session, in the order of fetching */
    struct base_uuid topic_id; /* versions with topic ids; else zero */
    char *topic;               /* owned; versions with names; else "" */
    int32_t index;
    int64_t fetch_offset;
    int32_t bytes_max;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int64_t sent_high_watermark; /* -1: to be sent again */
    int64_t sent_start_offset;
};

/* Fields are the fetch handler's to read; it changes the sent_ ones. */
struct khandler_fetch_session {
    int32_t id;
    int32_t epoch; /* that the next request must have */
    bool by_id;    /* topics are named by id: Fetch 13 and later */
    bool busy;     /* a request is using it */
    bool dropped;  /* goes when it is not busy any more */
    struct base_list partitions;
    struct base_map *index;                   /* owned; of partitions */
    struct base_list link;                    /* in order of last use */
    struct base_list owned;                   /* in the list of its connection */
    struct khandler_fetch_sessions *sessions; /* borrowed; where it is */
    const struct base_list *owner;            /* borrowed; that list */
    int64_t used_us;
};

/* loop_index of loops_count tells the numbers of sessions apart. */
BASE_MUST_USE enum base_err khandler_fetch_sessions_create(unsigned loop_index,
                                                           unsigned loops_count,
                                                           uint32_t sessions_max,
                                                           struct khandler_fetch_sessions **out);

/* No session may be busy. NULL-safe. */
void khandler_fetch_sessions_close(struct khandler_fetch_sessions **sessions);

/* A new, busy session with epoch 1 expected next, in the list of its connection; NULL when there
 * is no room for it and partitions_count partitions, and what has it is not stale, or no memory:
 * the fetch is answered without a session. */
struct khandler_fetch_session *
khandler_fetch_session_create(struct khandler_fetch_sessions *sessions, struct base_list *owner,
                              bool by_id, uint32_t partitions_count, int64_t now_us);

/* NULL when unknown to the connection of that list. */
struct khandler_fetch_session *khandler_fetch_session_find(struct khandler_fetch_sessions *sessions,
                                                           const struct base_list *owner,
                                                           int32_t id);

/* Forgets all sessions of a connection that is gone; none is busy. */
void khandler_fetch_sessions_end(struct base_list *owner);

/* Marks busy and moves to the end of the line of stale ones; the epoch goes on. */
void khandler_fetch_session_use(struct khandler_fetch_sessions *sessions,
                                struct khandler_fetch_session *session, int64_t now_us);

/* Not busy any more. */
void khandler_fetch_session_done(struct khandler_fetch_sessions *sessions,
                                 struct khandler_fetch_session *session);

/* Forgets the session, at once or when it is done. */
void khandler_fetch_session_drop(struct khandler_fetch_sessions *sessions,
                                 struct khandler_fetch_session *session);

/* The partition is fetched behind all others from now on. */
void khandler_fetch_session_put_last(struct khandler_fetch_session *session,
                                     struct khandler_fetch_partition *partition);

/* Brings the session up to what the request lists and forgets. False: no memory, or too many. */
bool khandler_fetch_session_update(struct khandler_fetch_session *session,
                                   const struct kproto_fetch_request *message);

#endif
