/* One fetch on its way: what it asks (fetch_items.c), reading and waiting (fetch.c), what it is
 * answered (fetch_answer.c). */
#ifndef KHANDLER_FETCH_PRIV_H
#define KHANDLER_FETCH_PRIV_H

#include "kafka-proto/error.h"
#include "kafka-proto/handlers/conn_priv.h"
#include "kafka-proto/handlers/fetch_session.h"

/* One partition of the fetch, and what the last try gave. */
struct khandler__fetch_item {
    struct base_slice topic;
    struct base_uuid topic_id;
    int32_t index;
    int64_t fetch_offset;
    int32_t bytes_max;
    int32_t leader_epoch;                    /* as the client knows it; -1 = do not check */
    struct khandler_fetch_partition *cached; /* NULL without a session */

    struct partition *partition; /* held; NULL when there is none */
    enum kproto_error error;
    int64_t high_watermark;
    int64_t last_stable;
    int64_t start;
    struct base_chunk *chunks; /* owned references */
    uint32_t chunks_count;
    uint32_t chunks_capacity;
    size_t length;
    struct partition_watch watch;
};

/* Memory that one item may take: itself, its place in the answer, references to its bytes
 * (which grow by doubling, and are there once more in what is sent, with bytes between them). */
enum {
    KHANDLER__FETCH_ITEM_BYTES_MAX = sizeof(struct khandler__fetch_item) + sizeof(bool) +
                                     sizeof(struct kproto_fetch_response_topic) +
                                     sizeof(struct kproto_fetch_response_partition) +
                                     (3 * LOGSTORE_READ_CHUNKS_MAX + 2) * sizeof(struct base_chunk),
};

struct khandler__fetch {
    struct khandler_request *request;
    const struct kproto_fetch_request *message;
    struct khandler_fetch_session *session; /* busy; NULL without one */
    bool incremental;                       /* the answer leaves out what did not change */
    struct khandler__fetch_item *items;
    uint32_t items_count;

    uint32_t reading;         /* index of the item being read */
    uint64_t catalog_version; /* in which the principal might read the items */
    size_t length;            /* bytes of all items */
    bool catalog_changed;     /* since the last try */
    bool any_error;
    bool waits_in_vain; /* another try after a wait would give no more than this one */
    bool last_try;      /* max_wait is over, or the client does not wait */
    bool parked;
    bool read_pending;
    bool given_up; /* cancelled: answer as soon as nothing is under way */
    struct partition_watcher watcher;
    struct base_timer timer;
    struct logstore_read read;
};

/* Topics are named by id: version 13 and later. */
bool khandler__fetch_is_by_id(const struct khandler__fetch *fetch);

struct khandler_fetch_sessions *khandler__fetch_sessions(const struct khandler__fetch *fetch);

int64_t khandler__fetch_now_us(const struct khandler__fetch *fetch);

/* Fills ->items, and opens or continues the session the request names. NONE, or the error for the
 * whole request; *has_memory is false when only memory was missing. */
enum kproto_error khandler__fetch_begin(struct khandler__fetch *fetch, bool *has_memory);

/* What the last try gave, of an incremental fetch only what is news. Chunks stay the items'. False:
 * no memory. */
bool khandler__fetch_fill(struct khandler__fetch *fetch, struct kproto_fetch_response *response);

#endif
