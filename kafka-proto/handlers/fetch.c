/* Fetch (key 1): read whole batches below the high watermark, or wait for them.
 *
 * A fetch tries all its partitions in order. With enough bytes, an error, or no time to wait
 * it answers; otherwise it parks: it watches every partition and tries again when one of
 * them has news, or answers with what there is when max_wait_ms is over. */
#include "core/base/assert.h"
#include "core/telemetry/counters.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/conn_priv.h"
#include "kafka-proto/handlers/fetch_session.h"
#include "kafka-proto/handlers/table.h"

enum { READ_COMMITTED = 1, TOPIC_ID_VERSION_MIN = 13, STORAGE_ERROR_VERSION_MIN = 6 };

/* One partition of the fetch, and what the last try gave. */
struct fetch_item {
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

struct fetch {
    struct khandler_request *request;
    const struct kproto_fetch_request *message;
    struct khandler_fetch_session *session; /* busy; NULL without one */
    bool incremental;                       /* the answer leaves out what did not change */
    struct fetch_item *items;
    uint32_t items_count;

    uint32_t reading;         /* index of the item being read */
    uint64_t catalog_version; /* in which the principal might read the items */
    size_t length;            /* bytes of all items */
    bool catalog_changed;     /* since the last try */
    bool any_error;
    bool last_try; /* max_wait is over, or the client does not wait */
    bool parked;
    bool read_pending;
    bool given_up; /* cancelled: answer as soon as nothing is under way */
    struct partition_watcher watcher;
    struct base_timer timer;
    struct logstore_read read;
};

static struct khandler_fetch_sessions *sessions_of(const struct fetch *fetch)
{
    return khandler__loop(fetch->request)->sessions;
}

static int64_t now_us(const struct fetch *fetch)
{
    return base_clock_monotonic_us(fetch->request->broker->clock);
}

static bool by_topic_id(const struct fetch *fetch)
{
    return fetch->request->header.api_version >= TOPIC_ID_VERSION_MIN;
}

static void release_chunks(struct fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        struct fetch_item *item = &fetch->items[i];
        for (uint32_t c = 0; c < item->chunks_count; c++) {
            base_chunk_release(&item->chunks[c]);
        }
        item->chunks_count = 0;
        item->length = 0;
    }
    fetch->length = 0;
    fetch->any_error = false;
}

/* Drops everything the fetch holds, except its request. */
static void release_all(struct fetch *fetch)
{
    base_timer_stop(fetch->request->executor, &fetch->timer);
    release_chunks(fetch);
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        partition_release(&fetch->items[i].partition);
    }
    if (fetch->session != NULL) {
        khandler_fetch_session_done(sessions_of(fetch), fetch->session);
        fetch->session = NULL;
    }
}

static void refuse(struct fetch *fetch, const char *why)
{
    release_all(fetch);
    khandler_refuse(fetch->request, why);
}

/* A whole-request error: no partitions. */
static void answer_error(struct fetch *fetch, enum kproto_error error)
{
    struct kproto_fetch_response response;
    kproto_init(fetch->request->api->response->schema, &response);
    response.error_code = (int16_t)error;
    release_all(fetch);
    khandler_answer(fetch->request, &response);
}

/* Answering. */

static enum kproto_error wire_error(const struct fetch *fetch, enum kproto_error error)
{
    bool old = fetch->request->header.api_version < STORAGE_ERROR_VERSION_MIN;
    return error == KPROTO_ERROR_KAFKA_STORAGE_ERROR && old ? KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER
                                                            : error;
}

/* Whether an incremental answer needs the partition; remembers what it will say. */
static bool is_news(const struct fetch *fetch, struct fetch_item *item)
{
    struct khandler_fetch_partition *cached = item->cached;
    if (cached == NULL) {
        return true;
    }
    bool news = item->length > 0 || item->error != KPROTO_ERROR_NONE ||
                item->high_watermark != cached->sent_high_watermark ||
                item->start != cached->sent_start_offset;
    cached->sent_high_watermark =
        item->error != KPROTO_ERROR_NONE ? -1 : item->high_watermark; /* an error is sent again */
    cached->sent_start_offset = item->start;
    return news || !fetch->incremental;
}

static bool same_topic(const struct fetch *fetch, const struct fetch_item *a,
                       const struct fetch_item *b)
{
    return by_topic_id(fetch) ? base_uuid_equal(a->topic_id, b->topic_id)
                              : base_slice_equal(a->topic, b->topic);
}

static void fill_partition(struct fetch *fetch, const struct fetch_item *item,
                           struct kproto_fetch_response_partition *answer)
{
    answer->partition_index = item->index;
    answer->error_code = (int16_t)wire_error(fetch, item->error);
    answer->high_watermark = item->high_watermark;
    answer->last_stable_offset = item->last_stable;
    answer->log_start_offset = item->start;
    if (fetch->message->isolation_level == READ_COMMITTED) {
        answer->aborted_transactions =
            khandler_array(fetch->request, fetch_response_aborted_transaction, 0);
    }
    answer->records.chunks = item->chunks;
    answer->records.chunks_count = item->chunks_count;
    answer->records.length = item->length;
    answer->records.bytes = base_slice_of("", 0);
}

/* The answer's topics: runs of items of one topic. False: no memory. */
static bool fill_topics(struct fetch *fetch, const bool *included,
                        struct kproto_fetch_response *response)
{
    struct khandler_request *request = fetch->request;
    response->responses = khandler_array(request, fetch_response_topic, fetch->items_count);
    if (response->responses == NULL) {
        return false;
    }
    struct kproto_fetch_response_partition *partitions =
        khandler_array(request, fetch_response_partition, fetch->items_count);
    if (partitions == NULL) {
        return false;
    }
    const struct fetch_item *previous = NULL;
    uint32_t filled = 0;
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        const struct fetch_item *item = &fetch->items[i];
        if (!included[i]) {
            continue;
        }
        if (previous == NULL || !same_topic(fetch, previous, item)) {
            struct kproto_fetch_response_topic *topic =
                &response->responses[response->responses_count++];
            topic->topic = item->topic;
            topic->topic_id = item->topic_id;
            topic->partitions = &partitions[filled];
        }
        struct kproto_fetch_response_topic *topic =
            &response->responses[response->responses_count - 1];
        fill_partition(fetch, item, &partitions[filled++]);
        topic->partitions_count++;
        previous = item;
    }
    return true;
}

static void answer(struct fetch *fetch)
{
    struct kproto_fetch_response response;

    kproto_init(fetch->request->api->response->schema, &response);
    bool *included =
        base_arena_array(&fetch->request->arena, fetch->items_count, sizeof included[0]);
    if (included == NULL) {
        refuse(fetch, "no memory");
        return;
    }
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        included[i] = is_news(fetch, &fetch->items[i]);
    }
    response.session_id = fetch->session != NULL ? fetch->session->id : 0;
    if (!fill_topics(fetch, included, &response)) {
        refuse(fetch, "no memory");
        return;
    }
    telemetry_add(TELEMETRY_FETCHED_BYTES, fetch->length);
    struct khandler_request *request = fetch->request;
    khandler_encode(request, &response);
    release_all(fetch);
    khandler_end(request);
}

/* Trying. */

static void set_error(struct fetch *fetch, struct fetch_item *item, enum kproto_error error)
{
    item->error = error;
    item->high_watermark = -1;
    item->last_stable = -1;
    item->start = -1;
    fetch->any_error = true;
}

static const struct catalog_topic *find_topic(const struct fetch *fetch,
                                              const struct fetch_item *item)
{
    struct catalog_view *view = khandler_view(fetch->request);
    return by_topic_id(fetch) ? catalog_view_topic_by_id(view, item->topic_id)
                              : catalog_view_topic(view, item->topic);
}

/* Finds the partition, also when the topic was not there at the last try. */
static enum kproto_error find_partition(struct fetch *fetch, struct fetch_item *item)
{
    struct khandler_request *request = fetch->request;
    const struct catalog_topic *topic = find_topic(fetch, item);
    if (topic == NULL) {
        return by_topic_id(fetch) ? KPROTO_ERROR_UNKNOWN_TOPIC_ID
                                  : KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (!security_authorize(request->principal, SECURITY_READ, security_topic(topic))) {
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    if (item->index < 0 || item->index >= topic->partitions_count) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    item->partition = partition_table_get(request->broker->partitions, topic->id, item->index);
    return item->partition == NULL ? KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER : KPROTO_ERROR_NONE;
}

/* What was allowed when the wait began may be forbidden when it ends. */
static enum kproto_error judge_again(const struct fetch *fetch, const struct fetch_item *item)
{
    const struct catalog_topic *topic = find_topic(fetch, item);
    if (topic == NULL) {
        return KPROTO_ERROR_NONE; /* its partition knows */
    }
    return security_authorize(fetch->request->principal, SECURITY_READ, security_topic(topic))
               ? KPROTO_ERROR_NONE
               : KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
}

/* What can be said before reading. True: there is something to read. */
static bool judge_item(struct fetch *fetch, struct fetch_item *item)
{
    struct partition_offsets offsets;
    enum kproto_error error = KPROTO_ERROR_NONE;

    item->error = KPROTO_ERROR_NONE;
    if (item->partition == NULL) {
        error = find_partition(fetch, item);
    } else if (fetch->catalog_changed) {
        error = judge_again(fetch, item);
    }
    if (error != KPROTO_ERROR_NONE) {
        set_error(fetch, item, error);
        return false;
    }
    partition_offsets(item->partition, &offsets);
    if (offsets.err == BASE_ERR_CLOSED) {
        error = KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    } else if (offsets.err == BASE_ERR_OFFLINE &&
               (offsets.high_watermark < 0 || item->fetch_offset >= offsets.high_watermark)) {
        /* What was durable before the storage stopped can still be read. */
        error = KPROTO_ERROR_KAFKA_STORAGE_ERROR;
    } else if (item->leader_epoch >= 0 && item->leader_epoch < offsets.leader_epoch) {
        error = KPROTO_ERROR_FENCED_LEADER_EPOCH;
    } else if (item->leader_epoch > offsets.leader_epoch) {
        error = KPROTO_ERROR_UNKNOWN_LEADER_EPOCH;
    } else if (item->fetch_offset < offsets.start || item->fetch_offset > offsets.end) {
        error = KPROTO_ERROR_OFFSET_OUT_OF_RANGE;
    }
    if (error != KPROTO_ERROR_NONE) {
        set_error(fetch, item, error);
        return false;
    }
    item->high_watermark = offsets.high_watermark;
    item->last_stable = offsets.last_stable;
    item->start = offsets.start;
    return item->fetch_offset < offsets.high_watermark;
}

/* Takes over what a read gave. */
static void take_read(struct fetch *fetch, struct fetch_item *item)
{
    struct logstore_read *read = &fetch->read;

    if (read->err != BASE_ERR_OK) {
        enum kproto_error error = read->err == BASE_ERR_OUT_OF_RANGE
                                      ? KPROTO_ERROR_OFFSET_OUT_OF_RANGE
                                      : kproto_error_from_base(read->err);
        set_error(fetch, item, error);
        logstore_read_release(read);
        return;
    }
    if (read->chunks_count > item->chunks_capacity) {
        item->chunks =
            base_arena_array(&fetch->request->arena, read->chunks_count, sizeof item->chunks[0]);
        item->chunks_capacity = item->chunks == NULL ? 0 : read->chunks_count;
    }
    if (read->chunks_count > item->chunks_capacity) {
        logstore_read_release(read);
        return;
    }
    for (uint32_t i = 0; i < read->chunks_count; i++) {
        item->chunks[i] = base_chunk_hold(&read->chunks[i]);
    }
    item->chunks_count = read->chunks_count;
    item->length = read->length;
    fetch->length += read->length;
    logstore_read_release(read);
}

static void read_done(struct base_task *task);

static size_t fetch_limit(const struct fetch *fetch)
{
    int32_t wanted = fetch->message->max_bytes;
    int32_t most = fetch->request->broker->fetch_bytes_max;
    if (wanted < 0) {
        return 0;
    }
    return (size_t)(wanted < most ? wanted : most);
}

/* Starts reading one item. True: the read is under way and will come back. */
static bool start_read(struct fetch *fetch, struct fetch_item *item)
{
    struct logstore_read *read = &fetch->read;
    size_t limit = fetch_limit(fetch);
    size_t left = fetch->length < limit ? limit - fetch->length : 0;
    size_t wanted = item->bytes_max > 0 ? (size_t)item->bytes_max : 0;

    if (left == 0 && fetch->length > 0) {
        return false;
    }
    read->offset = item->fetch_offset;
    read->bytes_max = wanted < left ? wanted : left;
    read->first_whole = fetch->length == 0; /* KIP-74: progress even with a huge first batch */
    read->in_memory = false;
    read->executor = fetch->request->executor;
    read->task.run = read_done;
    if (partition_read(item->partition, read) == LOGSTORE_IO_PENDING) {
        fetch->read_pending = true;
        return true;
    }
    take_read(fetch, item);
    return false;
}

static void evaluate(struct fetch *fetch);

/* Reads on from fetch->reading; comes back through read_done where it has to wait. */
static void read_items(struct fetch *fetch)
{
    while (fetch->reading < fetch->items_count) {
        struct fetch_item *item = &fetch->items[fetch->reading];
        if (judge_item(fetch, item) && start_read(fetch, item)) {
            return;
        }
        fetch->reading++;
    }
    evaluate(fetch);
}

static void read_done(struct base_task *task)
{
    struct logstore_read *read = BASE_CONTAINER_OF(task, struct logstore_read, task);
    struct fetch *fetch = BASE_CONTAINER_OF(read, struct fetch, read);

    fetch->read_pending = false;
    take_read(fetch, &fetch->items[fetch->reading]);
    if (fetch->given_up) {
        answer(fetch);
        return;
    }
    fetch->reading++;
    read_items(fetch);
}

static void try_all(struct fetch *fetch)
{
    uint64_t version = catalog_version(fetch->request->broker->catalog);

    fetch->catalog_changed = version != fetch->catalog_version;
    fetch->catalog_version = version;
    release_chunks(fetch);
    fetch->reading = 0;
    read_items(fetch);
}

/* Waiting. */

static void unwatch_all(struct fetch *fetch, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fetch->items[i].partition != NULL) {
            partition_unwatch(fetch->items[i].partition, &fetch->items[i].watch);
        }
    }
}

/* Watches every partition. False: one has news already. */
static bool park(struct fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        struct fetch_item *item = &fetch->items[i];
        item->watch.watcher = &fetch->watcher;
        item->watch.offset = item->high_watermark;
        if (partition_watch(item->partition, &item->watch)) {
            unwatch_all(fetch, i);
            return false;
        }
    }
    fetch->parked = true;
    return true;
}

/* The task of the watcher: some partition has news. */
static void woken(struct base_task *task)
{
    struct fetch *fetch = BASE_CONTAINER_OF(task, struct fetch, watcher.task);

    unwatch_all(fetch, fetch->items_count);
    fetch->parked = false;
    atomic_store(&fetch->watcher.fired, false);
    if (fetch->given_up) {
        answer(fetch);
        return;
    }
    try_all(fetch);
}

/* Ends parking without news. True: nothing is on its way any more. */
static bool stop_parking(struct fetch *fetch)
{
    unwatch_all(fetch, fetch->items_count);
    if (atomic_load(&fetch->watcher.fired)) {
        return false; /* the task comes, and goes on from there */
    }
    fetch->parked = false;
    return true;
}

/* Tries once more and answers with what there is. */
static void end_wait(struct fetch *fetch)
{
    fetch->last_try = true;
    if (fetch->parked && stop_parking(fetch)) {
        try_all(fetch);
    }
}

static void time_is_up(struct base_timer *timer)
{
    end_wait(BASE_CONTAINER_OF(timer, struct fetch, timer));
}

static void drained(struct khandler_request *request)
{
    end_wait(request->context);
}

static void cancelled(struct khandler_request *request)
{
    struct fetch *fetch = request->context;

    fetch->given_up = true;
    if (fetch->parked && stop_parking(fetch)) {
        answer(fetch);
    }
}

/* All partitions were tried: answer, or wait. */
static void evaluate(struct fetch *fetch)
{
    size_t bytes_min = fetch->message->min_bytes > 0 ? (size_t)fetch->message->min_bytes : 0;
    size_t limit = fetch_limit(fetch);
    if (bytes_min > limit) {
        bytes_min = limit;
    }
    /* A watch that fires while it is being taken back posts its task all the same. */
    BASE_ASSERT(!fetch->parked);
    while (!fetch->last_try && !fetch->any_error && fetch->length < bytes_min &&
           fetch->items_count > 0) {
        if (park(fetch)) {
            release_chunks(fetch);
            return;
        }
        if (atomic_load(&fetch->watcher.fired)) {
            fetch->parked = true; /* woken() goes on */
            return;
        }
        try_all(fetch);
        return;
    }
    answer(fetch);
}

/* Starting. */

static void fill_item(struct fetch_item *item, struct khandler_fetch_partition *cached,
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

/* Items as the request lists them. */
static bool items_from_message(struct fetch *fetch)
{
    const struct kproto_fetch_request *message = fetch->message;
    fetch->items =
        base_arena_array(&fetch->request->arena, count_asked(message), sizeof fetch->items[0]);
    if (fetch->items == NULL) {
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
static bool items_from_session(struct fetch *fetch)
{
    struct base_list *head = &fetch->session->partitions;
    uint32_t count = 0;
    for (struct base_list *node = head->next; node != head; node = node->next) {
        count++;
    }
    fetch->items = base_arena_array(&fetch->request->arena, count, sizeof fetch->items[0]);
    if (fetch->items == NULL) {
        return false;
    }
    for (struct base_list *node = head->next; node != head; node = node->next) {
        fill_item(&fetch->items[fetch->items_count++],
                  BASE_CONTAINER_OF(node, struct khandler_fetch_partition, link), NULL, NULL);
    }
    return true;
}

/* Brings the session up to what the request lists and forgets. False: no room for it. */
static bool update_session(struct khandler_fetch_session *session,
                           const struct kproto_fetch_request *message)
{
    for (uint32_t i = 0; i < message->topics_count; i++) {
        const struct kproto_fetch_request_topic *topic = &message->topics[i];
        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            const struct kproto_fetch_request_partition *asked = &topic->partitions[j];
            struct khandler_fetch_partition *cached = khandler_fetch_session_put(
                session, topic->topic_id, topic->topic, asked->partition);
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
            khandler_fetch_session_forget(session, topic->topic_id, topic->topic,
                                          topic->partitions[j]);
        }
    }
    return true;
}

/* A full fetch; with epoch 0 it opens a session if there is room for one. */
static bool begin_full(struct fetch *fetch)
{
    const struct kproto_fetch_request *message = fetch->message;
    struct khandler_fetch_sessions *sessions = sessions_of(fetch);

    if (message->session_id != 0) {
        struct khandler_fetch_session *old =
            khandler_fetch_session_find(sessions, message->session_id);
        if (old != NULL) {
            khandler_fetch_session_drop(sessions, old);
        }
    }
    if (message->session_epoch == 0 && message->topics_count > 0) {
        fetch->session = khandler_fetch_session_create(sessions, by_topic_id(fetch), now_us(fetch));
    }
    if (fetch->session == NULL) {
        return items_from_message(fetch);
    }
    if (update_session(fetch->session, message)) {
        return items_from_session(fetch);
    }
    khandler_fetch_session_drop(sessions, fetch->session);
    khandler_fetch_session_done(sessions, fetch->session);
    fetch->session = NULL;
    return items_from_message(fetch);
}

/* An incremental fetch. NONE, or the error for the whole request. */
static enum kproto_error begin_incremental(struct fetch *fetch)
{
    struct khandler_fetch_sessions *sessions = sessions_of(fetch);
    struct khandler_fetch_session *session =
        khandler_fetch_session_find(sessions, fetch->message->session_id);

    if (session == NULL) {
        return KPROTO_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (session->busy || fetch->message->session_epoch != session->epoch) {
        return KPROTO_ERROR_INVALID_FETCH_SESSION_EPOCH;
    }
    if (session->by_id != by_topic_id(fetch)) {
        return KPROTO_ERROR_FETCH_SESSION_TOPIC_ID_ERROR;
    }
    khandler_fetch_session_use(sessions, session, now_us(fetch));
    fetch->session = session;
    fetch->incremental = true;
    if (!update_session(session, fetch->message) || !items_from_session(fetch)) {
        return KPROTO_ERROR_UNKNOWN_SERVER_ERROR;
    }
    if (base_list_is_empty(&session->partitions)) {
        khandler_fetch_session_drop(sessions, session);
        khandler_fetch_session_done(sessions, session);
        fetch->session = NULL;
    }
    return KPROTO_ERROR_NONE;
}

void khandler_fetch(struct khandler_request *request)
{
    struct fetch *fetch = base_arena_object(&request->arena, struct fetch);
    if (fetch == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    fetch->request = request;
    fetch->message = request->message;
    fetch->timer.fire = time_is_up;
    fetch->watcher.executor = request->executor;
    fetch->watcher.task.run = woken;
    request->context = fetch;

    bool incremental = fetch->message->session_id != 0 && fetch->message->session_epoch > 0;
    if (incremental) {
        enum kproto_error error = begin_incremental(fetch);
        if (error != KPROTO_ERROR_NONE) {
            answer_error(fetch, error);
            return;
        }
    } else if (!begin_full(fetch)) {
        refuse(fetch, "no memory");
        return;
    }
    request->on_cancel = cancelled;
    request->on_drain = drained;
    fetch->last_try = fetch->message->max_wait_ms <= 0;
    if (!fetch->last_try) {
        base_timer_arm(request->executor, &fetch->timer,
                       now_us(fetch) + (int64_t)fetch->message->max_wait_ms * 1000);
    }
    try_all(fetch);
}
