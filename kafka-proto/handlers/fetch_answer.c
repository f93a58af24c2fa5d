/* What a fetch is answered. */
#include "kafka-proto/handlers/fetch_priv.h"

enum { READ_COMMITTED = 1, STORAGE_ERROR_VERSION_MIN = 6 };

static enum kproto_error wire_error(const struct khandler__fetch *fetch, enum kproto_error error)
{
    bool old = fetch->request->header.api_version < STORAGE_ERROR_VERSION_MIN;
    return error == KPROTO_ERROR_KAFKA_STORAGE_ERROR && old ? KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER
                                                            : error;
}

/* Whether an incremental answer needs the partition; remembers what it will say. */
static bool is_news(const struct khandler__fetch *fetch, struct khandler__fetch_item *item)
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

static bool same_topic(const struct khandler__fetch *fetch, const struct khandler__fetch_item *a,
                       const struct khandler__fetch_item *b)
{
    return khandler__fetch_is_by_id(fetch) ? base_uuid_equal(a->topic_id, b->topic_id)
                                           : base_slice_equal(a->topic, b->topic);
}

static void fill_partition(struct khandler__fetch *fetch, const struct khandler__fetch_item *item,
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
static bool fill_topics(struct khandler__fetch *fetch, const bool *included,
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
    const struct khandler__fetch_item *previous = NULL;
    uint32_t filled = 0;
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        const struct khandler__fetch_item *item = &fetch->items[i];
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

/* In the next fetch of the session the partitions that were served come after the others, which
 * may have found no room: none starves. */
static void give_way(struct khandler__fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        const struct khandler__fetch_item *item = &fetch->items[i];
        if (item->cached != NULL && item->length > 0) {
            khandler_fetch_session_put_last(fetch->session, item->cached);
        }
    }
}

bool khandler__fetch_fill(struct khandler__fetch *fetch, struct kproto_fetch_response *response)
{
    bool *included =
        base_arena_array(&fetch->request->arena, fetch->items_count, sizeof included[0]);
    if (included == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < fetch->items_count; i++) {
        included[i] = is_news(fetch, &fetch->items[i]);
    }
    response->session_id = fetch->session != NULL ? fetch->session->id : 0;
    if (!fill_topics(fetch, included, response)) {
        return false;
    }
    give_way(fetch);
    return true;
}
