/* Incremental fetch sessions of one loop. */
#include "kafka-proto/handlers/fetch_session.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/endian.h"
#include "core/base/map.h"

enum {
    SESSION_PARTITIONS_MAX = 100000, /* of one session */
    LOOP_PARTITIONS_MAX = 200000,    /* of all sessions of a loop; some 50 MiB */
    STALE_US = 120 * 1000 * 1000,    /* an idle session may be evicted after this */
    TOPIC_LENGTH_MAX = 249,
    KEY_SIZE_MAX = BASE_UUID_SIZE + TOPIC_LENGTH_MAX + 4,
};

struct khandler_fetch_sessions {
    struct base_map *by_id; /* owned; key is the number */
    struct base_list line;  /* all sessions, least recently used first */
    uint32_t count;
    uint32_t count_max;
    uint32_t partitions_count; /* of all sessions */
    unsigned loop_index;
    unsigned loops_count;
    int32_t next; /* grows; times loops_count plus loop_index is a session's number */
};

struct key {
    uint8_t bytes[KEY_SIZE_MAX];
    size_t length;
};

static void make_key(struct key *key, struct base_uuid topic_id, struct base_slice topic,
                     int32_t index)
{
    size_t length = topic.length < TOPIC_LENGTH_MAX ? topic.length : TOPIC_LENGTH_MAX;
    memcpy(key->bytes, topic_id.bytes, BASE_UUID_SIZE);
    if (length > 0) {
        memcpy(key->bytes + BASE_UUID_SIZE, topic.data, length);
    }
    base_put_i32(key->bytes + BASE_UUID_SIZE + length, index);
    key->length = BASE_UUID_SIZE + length + 4;
}

static struct base_slice slice_of(const struct key *key)
{
    return base_slice_of(key->bytes, key->length);
}

enum base_err khandler_fetch_sessions_create(unsigned loop_index, unsigned loops_count,
                                             uint32_t sessions_max,
                                             struct khandler_fetch_sessions **out)
{
    *out = NULL;
    struct khandler_fetch_sessions *sessions = base_alloc_object(struct khandler_fetch_sessions);
    if (sessions == NULL || base_map_create(&sessions->by_id) != BASE_ERR_OK) {
        base_free(sessions);
        return BASE_ERR_NOMEM;
    }
    base_list_init(&sessions->line);
    sessions->loop_index = loop_index;
    sessions->loops_count = loops_count;
    sessions->count_max = sessions_max;
    *out = sessions;
    return BASE_ERR_OK;
}

static void free_partition(struct khandler_fetch_session *session,
                           struct khandler_fetch_partition *partition)
{
    struct key key;
    make_key(&key, partition->topic_id, base_slice_text(partition->topic), partition->index);
    (void)base_map_remove(session->index, slice_of(&key));
    base_list_remove(&partition->link);
    session->sessions->partitions_count--;
    base_free(partition->topic);
    base_free(partition);
}

static struct base_slice id_key(const int32_t *id)
{
    return base_slice_of(id, sizeof *id);
}

static void free_session(struct khandler_fetch_sessions *sessions,
                         struct khandler_fetch_session *session)
{
    BASE_ASSERT(!session->busy);
    while (!base_list_is_empty(&session->partitions)) {
        free_partition(session, BASE_CONTAINER_OF(session->partitions.next,
                                                  struct khandler_fetch_partition, link));
    }
    (void)base_map_remove(sessions->by_id, id_key(&session->id));
    base_list_remove(&session->link);
    base_list_remove(&session->owned);
    sessions->count--;
    base_map_close(&session->index);
    base_free(session);
}

void khandler_fetch_sessions_close(struct khandler_fetch_sessions **sessions)
{
    if (*sessions == NULL) {
        return;
    }
    while (!base_list_is_empty(&(*sessions)->line)) {
        free_session(*sessions, BASE_CONTAINER_OF((*sessions)->line.next,
                                                  struct khandler_fetch_session, link));
    }
    base_map_close(&(*sessions)->by_id);
    base_free(*sessions);
    *sessions = NULL;
}

static bool has_room(const struct khandler_fetch_sessions *sessions, uint32_t partitions_count)
{
    return sessions->count < sessions->count_max &&
           partitions_count <= LOOP_PARTITIONS_MAX - sessions->partitions_count;
}

/* Makes room by dropping the least recently used sessions, as long as they are stale. */
static bool make_room(struct khandler_fetch_sessions *sessions, uint32_t partitions_count,
                      int64_t now_us)
{
    while (!has_room(sessions, partitions_count)) {
        struct khandler_fetch_session *oldest =
            BASE_CONTAINER_OF(sessions->line.next, struct khandler_fetch_session, link);
        if (base_list_is_empty(&sessions->line) || oldest->busy ||
            now_us - oldest->used_us < STALE_US) {
            return false;
        }
        free_session(sessions, oldest);
    }
    return true;
}

static int32_t next_id(struct khandler_fetch_sessions *sessions)
{
    int32_t limit = INT32_MAX / (int32_t)sessions->loops_count - 1;
    sessions->next = sessions->next >= limit ? 1 : sessions->next + 1;
    return sessions->next * (int32_t)sessions->loops_count + (int32_t)sessions->loop_index;
}

struct khandler_fetch_session *
khandler_fetch_session_create(struct khandler_fetch_sessions *sessions, struct base_list *owner,
                              bool by_id, uint32_t partitions_count, int64_t now_us)
{
    if (partitions_count > SESSION_PARTITIONS_MAX ||
        !make_room(sessions, partitions_count, now_us)) {
        return NULL;
    }
    struct khandler_fetch_session *session = base_alloc_object(struct khandler_fetch_session);
    if (session == NULL || base_map_create(&session->index) != BASE_ERR_OK) {
        base_free(session);
        return NULL;
    }
    session->id = next_id(sessions);
    session->epoch = 1;
    session->by_id = by_id;
    session->busy = true;
    session->used_us = now_us;
    session->sessions = sessions;
    session->owner = owner;
    base_list_init(&session->partitions);
    /* Numbers repeat after 2^31 sessions; one that lives that long keeps its own. */
    if (base_map_get(sessions->by_id, id_key(&session->id)) != NULL ||
        base_map_put(sessions->by_id, id_key(&session->id), session) != BASE_ERR_OK) {
        base_map_close(&session->index);
        base_free(session);
        return NULL;
    }
    base_list_push_back(&sessions->line, &session->link);
    base_list_push_back(owner, &session->owned);
    sessions->count++;
    return session;
}

struct khandler_fetch_session *khandler_fetch_session_find(struct khandler_fetch_sessions *sessions,
                                                           const struct base_list *owner,
                                                           int32_t id)
{
    struct khandler_fetch_session *session = base_map_get(sessions->by_id, id_key(&id));
    return session == NULL || session->dropped || session->owner != owner ? NULL : session;
}

void khandler_fetch_sessions_end(struct base_list *owner)
{
    while (!base_list_is_empty(owner)) {
        struct khandler_fetch_session *session =
            BASE_CONTAINER_OF(owner->next, struct khandler_fetch_session, owned);
        free_session(session->sessions, session);
    }
}

void khandler_fetch_session_use(struct khandler_fetch_sessions *sessions,
                                struct khandler_fetch_session *session, int64_t now_us)
{
    BASE_ASSERT(!session->busy);
    session->busy = true;
    session->used_us = now_us;
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    base_list_remove(&session->link);
    base_list_push_back(&sessions->line, &session->link);
}

void khandler_fetch_session_done(struct khandler_fetch_sessions *sessions,
                                 struct khandler_fetch_session *session)
{
    BASE_ASSERT(session->busy);
    session->busy = false;
    if (session->dropped) {
        free_session(sessions, session);
    }
}

void khandler_fetch_session_drop(struct khandler_fetch_sessions *sessions,
                                 struct khandler_fetch_session *session)
{
    session->dropped = true;
    if (!session->busy) {
        free_session(sessions, session);
    }
}

void khandler_fetch_session_put_last(struct khandler_fetch_session *session,
                                     struct khandler_fetch_partition *partition)
{
    BASE_ASSERT(session->busy);
    base_list_remove(&partition->link);
    base_list_push_back(&session->partitions, &partition->link);
}

/* Adds a partition at the end, or finds the one that is there. NULL: no memory, or too many. */
static struct khandler_fetch_partition *put(struct khandler_fetch_session *session,
                                            struct base_uuid topic_id, struct base_slice topic,
                                            int32_t index)
{
    struct key key;
    make_key(&key, topic_id, topic, index);
    struct khandler_fetch_partition *partition = base_map_get(session->index, slice_of(&key));
    if (partition != NULL) {
        return partition;
    }
    if (base_map_count(session->index) >= SESSION_PARTITIONS_MAX ||
        session->sessions->partitions_count >= LOOP_PARTITIONS_MAX ||
        topic.length > TOPIC_LENGTH_MAX) {
        return NULL;
    }
    partition = base_alloc_object(struct khandler_fetch_partition);
    if (partition == NULL) {
        return NULL;
    }
    partition->topic_id = topic_id;
    partition->index = index;
    partition->sent_high_watermark = -1;
    partition->sent_start_offset = -1;
    partition->topic = base_strndup((const char *)topic.data, topic.length);
    if (partition->topic == NULL ||
        base_map_put(session->index, slice_of(&key), partition) != BASE_ERR_OK) {
        base_free(partition->topic);
        base_free(partition);
        return NULL;
    }
    base_list_push_back(&session->partitions, &partition->link);
    session->sessions->partitions_count++;
    return partition;
}

static void forget(struct khandler_fetch_session *session, struct base_uuid topic_id,
                   struct base_slice topic, int32_t index)
{
    struct key key;
    make_key(&key, topic_id, topic, index);
    struct khandler_fetch_partition *partition = base_map_get(session->index, slice_of(&key));
    if (partition != NULL) {
        free_partition(session, partition);
    }
}

bool khandler_fetch_session_update(struct khandler_fetch_session *session,
                                   const struct kproto_fetch_request *message)
{
    for (uint32_t i = 0; i < message->topics_count; i++) {
        const struct kproto_fetch_request_topic *topic = &message->topics[i];
        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            const struct kproto_fetch_request_partition *asked = &topic->partitions[j];
            struct khandler_fetch_partition *cached =
                put(session, topic->topic_id, topic->topic, asked->partition);
            if (cached == NULL) {
                return false;
            }
            cached->fetch_offset = asked->fetch_offset;
            cached->bytes_max = asked->partition_max_bytes;
            cached->leader_epoch = asked->current_leader_epoch;
            cached->last_fetched_epoch = asked->last_fetched_epoch;
        }
    }
    for (uint32_t i = 0; i < message->forgotten_topics_data_count; i++) {
        const struct kproto_fetch_request_forgotten_topic *topic =
            &message->forgotten_topics_data[i];
        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            forget(session, topic->topic_id, topic->topic, topic->partitions[j]);
        }
    }
    return true;
}
