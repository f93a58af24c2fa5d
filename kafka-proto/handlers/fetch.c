/* Fetch (key 1): read whole batches below the high watermark, or wait for them.
 *
 * A fetch tries all its partitions in order. With enough bytes, an error, no time to wait, or
 * something that a wait would not make more, it answers; otherwise it parks: it watches every
 * partition and tries again when one of them has news, or answers with what there is when
 * max_wait_ms is over. What it asks for is in fetch_items.c, what it is answered in
 * fetch_answer.c. */
#include "core/base/assert.h"
#include "core/telemetry/counters.h"
#include "kafka-proto/handlers/fetch_priv.h"
#include "kafka-proto/handlers/table.h"

static void release_chunks(struct khandler__fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        struct khandler__fetch_item *item = &fetch->items[i];
        for (uint32_t c = 0; c < item->chunks_count; c++) {
            base_chunk_release(&item->chunks[c]);
        }
        item->chunks_count = 0;
        item->length = 0;
    }
    fetch->length = 0;
    fetch->any_error = false;
    fetch->waits_in_vain = false;
}

/* Drops everything the fetch holds, except its request. */
static void release_all(struct khandler__fetch *fetch)
{
    base_timer_stop(fetch->request->executor, &fetch->timer);
    release_chunks(fetch);
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        partition_release(&fetch->items[i].partition);
    }
    if (fetch->session != NULL) {
        khandler_fetch_session_done(khandler__fetch_sessions(fetch), fetch->session);
        fetch->session = NULL;
    }
}

static void refuse(struct khandler__fetch *fetch, const char *why)
{
    release_all(fetch);
    khandler_refuse(fetch->request, why);
}

/* A whole-request error: no partitions. */
static void answer_error(struct khandler__fetch *fetch, enum kproto_error error)
{
    struct kproto_fetch_response response;
    kproto_init(fetch->request->api->response->schema, &response);
    response.error_code = (int16_t)error;
    release_all(fetch);
    khandler_answer(fetch->request, &response);
}

static void answer(struct khandler__fetch *fetch)
{
    struct khandler_request *request = fetch->request;
    struct kproto_fetch_response response;

    kproto_init(request->api->response->schema, &response);
    if (!khandler__fetch_fill(fetch, &response)) {
        refuse(fetch, "no memory");
        return;
    }
    telemetry_add(TELEMETRY_FETCHED_BYTES, fetch->length);
    khandler_encode(request, &response);
    release_all(fetch);
    khandler_end(request);
}

/* Trying. */

static void set_error(struct khandler__fetch *fetch, struct khandler__fetch_item *item,
                      enum kproto_error error)
{
    item->error = error;
    item->high_watermark = -1;
    item->last_stable = -1;
    item->start = -1;
    fetch->any_error = true;
}

static const struct catalog_topic *find_topic(const struct khandler__fetch *fetch,
                                              const struct khandler__fetch_item *item)
{
    struct catalog_view *view = khandler_view(fetch->request);
    return khandler__fetch_is_by_id(fetch) ? catalog_view_topic_by_id(view, item->topic_id)
                                           : catalog_view_topic(view, item->topic);
}

/* Finds the partition, also when the topic was not there at the last try. */
static enum kproto_error find_partition(struct khandler__fetch *fetch,
                                        struct khandler__fetch_item *item)
{
    struct khandler_request *request = fetch->request;
    const struct catalog_topic *topic = find_topic(fetch, item);
    if (topic == NULL) {
        return khandler__fetch_is_by_id(fetch) ? KPROTO_ERROR_UNKNOWN_TOPIC_ID
                                               : KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (!security_authorize(request->principal, SECURITY_READ,
                            security_topic(khandler_view(request), topic))) {
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    if (item->index < 0 || item->index >= topic->partitions_count) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    item->partition = partition_table_get(request->broker->partitions, topic->id, item->index);
    return item->partition == NULL ? KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER : KPROTO_ERROR_NONE;
}

/* What was allowed when the wait began may be forbidden when it ends. */
static enum kproto_error judge_again(const struct khandler__fetch *fetch,
                                     const struct khandler__fetch_item *item)
{
    const struct catalog_topic *topic = find_topic(fetch, item);
    if (topic == NULL) {
        return KPROTO_ERROR_NONE; /* its partition knows */
    }
    return security_authorize(fetch->request->principal, SECURITY_READ,
                              security_topic(khandler_view(fetch->request), topic))
               ? KPROTO_ERROR_NONE
               : KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
}

/* What can be said before reading. True: there is something to read. */
static bool judge_item(struct khandler__fetch *fetch, struct khandler__fetch_item *item)
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
    /* A partition that stopped will never have more, and has news whenever it is watched. */
    fetch->waits_in_vain = fetch->waits_in_vain || offsets.err != BASE_ERR_OK;
    return item->fetch_offset < offsets.high_watermark;
}

/* Room for count chunks. By doubling, as a fetch that waits reads more each time, and the arena
 * takes nothing back. False: no memory. */
static bool reserve_chunks(struct khandler__fetch *fetch, struct khandler__fetch_item *item,
                           uint32_t count)
{
    uint32_t capacity = item->chunks_capacity * 2;

    if (count <= item->chunks_capacity) {
        return true;
    }
    if (capacity > LOGSTORE_READ_CHUNKS_MAX) {
        capacity = LOGSTORE_READ_CHUNKS_MAX;
    }
    if (capacity < count) {
        capacity = count;
    }
    item->chunks = base_arena_array(&fetch->request->arena, capacity, sizeof item->chunks[0]);
    item->chunks_capacity = item->chunks == NULL ? 0 : capacity;
    return item->chunks != NULL;
}

/* Takes over what a read gave. */
static void take_read(struct khandler__fetch *fetch, struct khandler__fetch_item *item)
{
    struct logstore_read *read = &fetch->read;

    if (read->err == BASE_ERR_OK && !reserve_chunks(fetch, item, read->chunks_count)) {
        read->err = BASE_ERR_NOMEM;
    }
    if (read->err != BASE_ERR_OK) {
        enum kproto_error error = read->err == BASE_ERR_OUT_OF_RANGE
                                      ? KPROTO_ERROR_OFFSET_OUT_OF_RANGE
                                      : kproto_error_from_base(read->err);
        set_error(fetch, item, error);
        logstore_read_release(read);
        return;
    }
    for (uint32_t i = 0; i < read->chunks_count; i++) {
        item->chunks[i] = base_chunk_hold(&read->chunks[i]);
    }
    item->chunks_count = read->chunks_count;
    item->length = read->length;
    fetch->length += read->length;
    /* It stopped at a limit of bytes or at the end of a segment. */
    fetch->waits_in_vain = fetch->waits_in_vain || read->next_offset < item->high_watermark;
    logstore_read_release(read);
}

static void read_done(struct base_task *task);

static size_t fetch_limit(const struct khandler__fetch *fetch)
{
    int32_t wanted = fetch->message->max_bytes;
    int32_t most = fetch->request->broker->fetch_bytes_max;
    if (wanted < 0) {
        return 0;
    }
    return (size_t)(wanted < most ? wanted : most);
}

/* Starts reading one item. True: the read is under way and will come back. */
static bool start_read(struct khandler__fetch *fetch, struct khandler__fetch_item *item)
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

static void evaluate(struct khandler__fetch *fetch);

/* Reads on from fetch->reading; comes back through read_done where it has to wait. */
static void read_items(struct khandler__fetch *fetch)
{
    while (fetch->reading < fetch->items_count) {
        struct khandler__fetch_item *item = &fetch->items[fetch->reading];
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
    struct khandler__fetch *fetch = BASE_CONTAINER_OF(read, struct khandler__fetch, read);

    fetch->read_pending = false;
    take_read(fetch, &fetch->items[fetch->reading]);
    if (fetch->given_up) {
        answer(fetch);
        return;
    }
    fetch->reading++;
    read_items(fetch);
}

static void try_all(struct khandler__fetch *fetch)
{
    uint64_t version = catalog_version(fetch->request->broker->catalog);

    fetch->catalog_changed = version != fetch->catalog_version;
    fetch->catalog_version = version;
    release_chunks(fetch);
    fetch->reading = 0;
    read_items(fetch);
}

/* Waiting. */

static void unwatch_all(struct khandler__fetch *fetch, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fetch->items[i].partition != NULL) {
            partition_unwatch(fetch->items[i].partition, &fetch->items[i].watch);
        }
    }
}

/* Watches every partition. False: one has news already. */
static bool park(struct khandler__fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        struct khandler__fetch_item *item = &fetch->items[i];
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
    struct khandler__fetch *fetch = BASE_CONTAINER_OF(task, struct khandler__fetch, watcher.task);

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
static bool stop_parking(struct khandler__fetch *fetch)
{
    unwatch_all(fetch, fetch->items_count);
    if (atomic_load(&fetch->watcher.fired)) {
        return false; /* the task comes, and goes on from there */
    }
    fetch->parked = false;
    return true;
}

/* Tries once more and answers with what there is. */
static void end_wait(struct khandler__fetch *fetch)
{
    fetch->last_try = true;
    if (fetch->parked && stop_parking(fetch)) {
        try_all(fetch);
    }
}

static void time_is_up(struct base_timer *timer)
{
    end_wait(BASE_CONTAINER_OF(timer, struct khandler__fetch, timer));
}

static void drained(struct khandler_request *request)
{
    end_wait(request->context);
}

static void cancelled(struct khandler_request *request)
{
    struct khandler__fetch *fetch = request->context;

    fetch->given_up = true;
    if (fetch->parked && stop_parking(fetch)) {
        answer(fetch);
    }
}

/* Whether to answer with what the last try gave. */
static bool is_enough(const struct khandler__fetch *fetch)
{
    size_t bytes_min = fetch->message->min_bytes > 0 ? (size_t)fetch->message->min_bytes : 0;
    size_t limit = fetch_limit(fetch);
    if (bytes_min > limit) {
        bytes_min = limit;
    }
    return fetch->length >= bytes_min || (fetch->length > 0 && fetch->waits_in_vain);
}

/* All partitions were tried: answer, or wait. */
static void evaluate(struct khandler__fetch *fetch)
{
    /* A watch that fires while it is being taken back posts its task all the same. */
    BASE_ASSERT(!fetch->parked);
    while (!fetch->last_try && !fetch->any_error && !is_enough(fetch) && fetch->items_count > 0) {
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

void khandler_fetch(struct khandler_request *request)
{
    struct khandler__fetch *fetch = base_arena_object(&request->arena, struct khandler__fetch);
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

    bool has_memory = false;
    enum kproto_error error = khandler__fetch_begin(fetch, &has_memory);
    if (error != KPROTO_ERROR_NONE) {
        answer_error(fetch, error);
        return;
    }
    if (!has_memory) {
        refuse(fetch, "no memory");
        return;
    }
    request->on_cancel = cancelled;
    request->on_drain = drained;
    fetch->last_try = fetch->message->max_wait_ms <= 0;
    if (!fetch->last_try) {
        base_timer_arm(request->executor, &fetch->timer,
                       khandler__fetch_now_us(fetch) + (int64_t)fetch->message->max_wait_ms * 1000);
    }
    try_all(fetch);
}
