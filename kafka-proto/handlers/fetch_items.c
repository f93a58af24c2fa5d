/* What a fetch asks for: the partitions that it lists, or that its session remembers (KIP-227). */
#include "kafka-proto/handlers/fetch_priv.h"

#include "core/base/assert.h"

enum { TOPIC_ID_VERSION_MIN = 13 };

struct khandler_fetch_sessions *khandler__fetch_sessions(const struct khandler__fetch *fetch)
{
    return khandler__loop(fetch->request)->sessions;
}

/* The sessions of the connection. */
static struct base_list *sessions_of(struct khandler__fetch *fetch)
{
    return &fetch->request->conn->fetch_sessions;
}

int64_t khandler__fetch_now_us(const struct khandler__fetch *fetch)
{
    return base_clock_monotonic_us(fetch->request->broker->clock);
}

bool khandler__fetch_is_by_id(const struct khandler__fetch *fetch)
{
    return fetch->request->header.api_version >= TOPIC_ID_VERSION_MIN;
}

static void fill_item(struct khandler__fetch_item *item, struct khandler_fetch_partition *cached,
                      const struct kproto_fetch_request_topic *topic,
                      const struct kproto_fetch_request_partition *asked)
{
    item->cached = cached;
    if (cached != NULL) {
        item->topic = base_slice_text(cached->topic);
        item->topic_id = cached->topic_id;
        item->index = cached->index;
        item->fetch_offset = cached->fetch_offset;
        item->bytes_max = cached->bytes_max;
        item->leader_epoch = cached->leader_epoch;
        return;
    }
    BASE_ASSERT(topic != NULL && asked != NULL);
    item->topic = topic->topic;
    item->topic_id = topic->topic_id;
    item->index = asked->partition;
    item->fetch_offset = asked->fetch_offset;
    item->bytes_max = asked->partition_max_bytes;
    item->leader_epoch = asked->current_leader_epoch;
}

static uint32_t count_asked(const struct kproto_fetch_request *message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < message->topics_count; i++) {
        count += message->topics[i].partitions_count;
    }
    return count;
}

/* Room for count items and for their answer: the frame that asks for what a session remembers
 * is short. False: no memory. */
static bool make_items(struct khandler__fetch *fetch, uint32_t count)
{
    struct base_arena *arena = &fetch->request->arena;

    base_arena_raise(arena, count * (size_t)KHANDLER__FETCH_ITEM_BYTES_MAX);
    fetch->items = base_arena_array(arena, count, sizeof fetch->items[0]);
    return fetch->items != NULL;
}

/* Items as the request lists them. */
static bool items_from_message(struct khandler__fetch *fetch)
{
    const struct kproto_fetch_request *message = fetch->message;

    if (!make_items(fetch, count_asked(message))) {
        return false;
    }
    for (uint32_t i = 0; i < message->topics_count; i++) {
        for (uint32_t j = 0; j < message->topics[i].partitions_count; j++) {
            fill_item(&fetch->items[fetch->items_count++], NULL, &message->topics[i],
                      &message->topics[i].partitions[j]);
        }
    }
    return true;
}

/* Items as the session remembers them. */
static bool items_from_session(struct khandler__fetch *fetch)
{
    struct base_list *head = &fetch->session->partitions;
    uint32_t count = 0;
    for (struct base_list *node = head->next; node != head; node = node->next) {
        count++;
    }
    if (!make_items(fetch, count)) {
        return false;
    }
    for (struct base_list *node = head->next; node != head; node = node->next) {
        fill_item(&fetch->items[fetch->items_count++],
                  BASE_CONTAINER_OF(node, struct khandler_fetch_partition, link), NULL, NULL);
    }
    return true;
}

/* A full fetch; with epoch 0 it opens a session if there is room for one. */
static bool begin_full(struct khandler__fetch *fetch)
{
    const struct kproto_fetch_request *message = fetch->message;
    struct khandler_fetch_sessions *sessions = khandler__fetch_sessions(fetch);

    if (message->session_id != 0) {
        struct khandler_fetch_session *old =
            khandler_fetch_session_find(sessions, sessions_of(fetch), message->session_id);
        if (old != NULL) {
            khandler_fetch_session_drop(sessions, old);
        }
    }
    if (message->session_epoch == 0 && message->topics_count > 0) {
        fetch->session = khandler_fetch_session_create(
            sessions, sessions_of(fetch), khandler__fetch_is_by_id(fetch), count_asked(message),
            khandler__fetch_now_us(fetch));
    }
    if (fetch->session == NULL) {
        return items_from_message(fetch);
    }
    if (khandler_fetch_session_update(fetch->session, message)) {
        return items_from_session(fetch);
    }
    khandler_fetch_session_drop(sessions, fetch->session);
    khandler_fetch_session_done(sessions, fetch->session);
    fetch->session = NULL;
    return items_from_message(fetch);
}

/* An incremental fetch. NONE, or the error for the whole request. */
static enum kproto_error begin_incremental(struct khandler__fetch *fetch)
{
    struct khandler_fetch_sessions *sessions = khandler__fetch_sessions(fetch);
    struct khandler_fetch_session *session =
        khandler_fetch_session_find(sessions, sessions_of(fetch), fetch->message->session_id);

    if (session == NULL) {
        return KPROTO_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (session->busy || fetch->message->session_epoch != session->epoch) {
        return KPROTO_ERROR_INVALID_FETCH_SESSION_EPOCH;
    }
    if (session->by_id != khandler__fetch_is_by_id(fetch)) {
        return KPROTO_ERROR_FETCH_SESSION_TOPIC_ID_ERROR;
    }
    khandler_fetch_session_use(sessions, session, khandler__fetch_now_us(fetch));
    fetch->session = session;
    fetch->incremental = true;
    if (!khandler_fetch_session_update(session, fetch->message) || !items_from_session(fetch)) {
        /* It does not say any more what the client thinks it does. */
        khandler_fetch_session_drop(sessions, session);
        return KPROTO_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (base_list_is_empty(&session->partitions)) {
        khandler_fetch_session_drop(sessions, session);
        khandler_fetch_session_done(sessions, session);
        fetch->session = NULL;
    }
    return KPROTO_ERROR_NONE;
}

enum kproto_error khandler__fetch_begin(struct khandler__fetch *fetch, bool *has_memory)
{
    *has_memory = true;
    if (fetch->message->session_id != 0 && fetch->message->session_epoch > 0) {
        return begin_incremental(fetch);
    }
    *has_memory = begin_full(fetch);
    return KPROTO_ERROR_NONE;
}
