/* ListOffsets (key 2): the first, the last, or the offset at a time. The ends of a log are
 * known at once; times are looked up, all partitions in parallel. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

enum {
    READ_COMMITTED = 1,
    STORAGE_ERROR_VERSION_MIN = 3,
    OFFSET_NOT_AVAILABLE_VERSION_MIN = 5,
};

enum special_time {
    TIME_LATEST = -1,
    TIME_EARLIEST = -2,
    TIME_MAX = -3,
    TIME_EARLIEST_LOCAL = -4,
    TIME_LATEST_TIERED = -5,
    TIME_EARLIEST_PENDING_UPLOAD = -6,
    TIME_LOWEST = TIME_EARLIEST_PENDING_UPLOAD,
};

static_assert((int)TIME_MAX == (int)LOGSTORE_LOOKUP_MAX, "passed on as it is");

/* From which version each special time is known, by its negation. */
static const int16_t special_versions[] = {
    [-TIME_LATEST] = 1,         [-TIME_EARLIEST] = 1,      [-TIME_MAX] = 7,
    [-TIME_EARLIEST_LOCAL] = 8, [-TIME_LATEST_TIERED] = 9, [-TIME_EARLIEST_PENDING_UPLOAD] = 11,
};

struct list_offsets;

/* One partition that was asked about. */
struct list_offsets_item {
    struct list_offsets *list;
    struct base_slice topic;
    const struct kproto_list_offsets_request_partition *asked;
    struct kproto_list_offsets_response_partition *answer;
    bool is_duplicate;
    struct partition *partition; /* held while the lookup is under way */
    int64_t limit;               /* what is found from here on is not to be seen yet */
    struct logstore_lookup lookup;
};

struct list_offsets {
    struct khandler_request *request;
    const struct kproto_list_offsets_request *message;
    struct kproto_list_offsets_response response;
    struct list_offsets_item *items;
    uint32_t items_count;
    uint32_t pending_count; /* lookups under way */
};

/* Of names no topic may have, only as much as makes them so: neither of two is there. */
static size_t compared_length(struct base_slice topic)
{
    return topic.length <= CATALOG_NAME_LENGTH_MAX ? topic.length : CATALOG_NAME_LENGTH_MAX + 1;
}

static int compare_items(const void *left, const void *right)
{
    const struct list_offsets_item *a = *(const struct list_offsets_item *const *)left;
    const struct list_offsets_item *b = *(const struct list_offsets_item *const *)right;

    if (a->asked->partition_index != b->asked->partition_index) {
        return a->asked->partition_index < b->asked->partition_index ? -1 : 1;
    }
    if (a->topic.length != b->topic.length) {
        return a->topic.length < b->topic.length ? -1 : 1;
    }
    size_t length = compared_length(a->topic);
    return length == 0 ? 0 : memcmp(a->topic.data, b->topic.data, length);
}

/* False: no memory. */
static bool mark_duplicates(struct list_offsets *list)
{
    struct list_offsets_item **sorted = base_arena_array(&list->request->arena, list->items_count,
                                                         sizeof(struct list_offsets_item *));
    if (sorted == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < list->items_count; i++) {
        sorted[i] = &list->items[i];
    }
    qsort(sorted, list->items_count, sizeof sorted[0], compare_items);
    for (uint32_t i = 1; i < list->items_count; i++) {
        if (compare_items(&sorted[i - 1], &sorted[i]) == 0) {
            sorted[i - 1]->is_duplicate = true;
            sorted[i]->is_duplicate = true;
        }
    }
    return true;
}

static void fail_item(struct list_offsets_item *item, enum kproto_error error)
{
    int16_t version = item->list->request->header.api_version;

    if (error == KPROTO_ERROR_KAFKA_STORAGE_ERROR && version < STORAGE_ERROR_VERSION_MIN) {
        error = KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER;
    }
    if (error == KPROTO_ERROR_OFFSET_NOT_AVAILABLE && version < OFFSET_NOT_AVAILABLE_VERSION_MIN) {
        error = KPROTO_ERROR_LEADER_NOT_AVAILABLE;
    }
    item->answer->error_code = (int16_t)error;
    item->answer->timestamp = -1;
    item->answer->offset = -1;
    item->answer->leader_epoch = -1;
}

static void set_offset(struct list_offsets_item *item, int64_t offset, int64_t timestamp,
                       int32_t leader_epoch)
{
    item->answer->offset = offset;
    item->answer->timestamp = timestamp;
    item->answer->leader_epoch = leader_epoch;
}

static void finish(struct list_offsets *list)
{
    BASE_ASSERT(list->pending_count == 0);
    khandler_answer(list->request, &list->response);
}

/* After a restart the high watermark may be behind what this epoch found in the log: a later
 * answer must not be lower than one the epoch before gave. */
static bool is_behind_epoch(struct partition *partition, const struct partition_offsets *offsets)
{
    int32_t epoch = -1;
    int64_t epoch_start = -1;

    if (offsets->high_watermark >= offsets->end) {
        return false;
    }
    return partition_epoch_end(partition, offsets->leader_epoch - 1, &epoch, &epoch_start) ==
               BASE_ERR_OK &&
           offsets->high_watermark < epoch_start;
}

static void lookup_over(struct base_task *task)
{
    struct list_offsets_item *item = BASE_CONTAINER_OF(task, struct list_offsets_item, lookup.task);
    struct list_offsets *list = item->list;
    const struct logstore_lookup *lookup = &item->lookup;
    struct partition_offsets offsets;

    BASE_ASSERT(list->pending_count > 0);
    partition_offsets(item->partition, &offsets);
    if (lookup->err != BASE_ERR_OK) {
        fail_item(item, lookup->err == BASE_ERR_CLOSED ? KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                                       : kproto_error_from_base(lookup->err));
    } else if (lookup->offset >= 0 && lookup->offset < item->limit) {
        set_offset(item, lookup->offset, lookup->found_timestamp_ms,
                   partition_epoch_at(item->partition, lookup->offset));
    } else if (offsets.err == BASE_ERR_OK && is_behind_epoch(item->partition, &offsets)) {
        fail_item(item, KPROTO_ERROR_OFFSET_NOT_AVAILABLE);
    }
    partition_release(&item->partition);
    list->pending_count--;
    if (list->pending_count == 0) {
        finish(list);
    }
}

static enum kproto_error judge_item(struct list_offsets_item *item,
                                    struct partition_offsets *offsets)
{
    struct khandler_request *request = item->list->request;
    int64_t timestamp = item->asked->timestamp;

    if (!khandler_topic_allows(request, SECURITY_DESCRIBE, item->topic)) {
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    if (item->is_duplicate) {
        return KPROTO_ERROR_INVALID_REQUEST;
    }
    if (timestamp < TIME_LOWEST ||
        (timestamp < 0 && request->header.api_version < special_versions[-timestamp])) {
        return KPROTO_ERROR_UNSUPPORTED_VERSION;
    }
    return khandler_topic_partition(request, item->topic, item->asked->partition_index,
                                    item->asked->current_leader_epoch, &item->partition, offsets);
}

/* Answers the item, or starts its lookup. */
static void start_item(struct list_offsets_item *item)
{
    struct list_offsets *list = item->list;
    struct partition_offsets offsets;

    enum kproto_error error = judge_item(item, &offsets);
    if (error != KPROTO_ERROR_NONE) {
        fail_item(item, error);
        return;
    }
    item->limit = list->message->isolation_level == READ_COMMITTED ? offsets.last_stable
                                                                   : offsets.high_watermark;
    switch (item->asked->timestamp) {
    case TIME_LATEST:
        if (is_behind_epoch(item->partition, &offsets)) {
            fail_item(item, KPROTO_ERROR_OFFSET_NOT_AVAILABLE);
        } else {
            set_offset(item, item->limit, -1, offsets.leader_epoch);
        }
        break;
    case TIME_EARLIEST:
    case TIME_EARLIEST_LOCAL:
        set_offset(item, offsets.start, -1, partition_epoch_at(item->partition, offsets.start));
        break;
    case TIME_LATEST_TIERED:
    case TIME_EARLIEST_PENDING_UPLOAD:
        break; /* nothing is tiered: the defaults, -1 all */
    default:
        item->lookup.timestamp_ms = item->asked->timestamp;
        item->lookup.executor = list->request->executor;
        item->lookup.task.run = lookup_over;
        list->pending_count++;
        partition_lookup(item->partition, &item->lookup);
        return;
    }
    partition_release(&item->partition);
}

static bool prepare_topic(struct list_offsets *list,
                          const struct kproto_list_offsets_request_topic *topic,
                          struct kproto_list_offsets_response_topic *answer)
{
    answer->name = topic->name;
    answer->partitions =
        khandler_array(list->request, list_offsets_response_partition, topic->partitions_count);
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = topic->partitions_count;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        struct list_offsets_item *item = &list->items[list->items_count++];
        item->list = list;
        item->topic = topic->name;
        item->asked = &topic->partitions[i];
        item->answer = &answer->partitions[i];
        item->answer->partition_index = item->asked->partition_index;
    }
    return true;
}

/* Everything that needs memory, before the first lookup. */
static bool prepare(struct list_offsets *list)
{
    struct khandler_request *request = list->request;
    const struct kproto_list_offsets_request *message = list->message;
    size_t count = 0;

    for (uint32_t i = 0; i < message->topics_count; i++) {
        count += message->topics[i].partitions_count;
    }
    kproto_init(request->api->response->schema, &list->response);
    list->items = base_arena_array(&request->arena, count, sizeof list->items[0]);
    list->response.topics =
        khandler_array(request, list_offsets_response_topic, message->topics_count);
    if (list->items == NULL || list->response.topics == NULL) {
        return false;
    }
    list->response.topics_count = message->topics_count;
    for (uint32_t i = 0; i < message->topics_count; i++) {
        if (!prepare_topic(list, &message->topics[i], &list->response.topics[i])) {
            return false;
        }
    }
    BASE_ASSERT(list->items_count == count);
    return mark_duplicates(list);
}

void khandler_list_offsets(struct khandler_request *request)
{
    struct list_offsets *list = base_arena_object(&request->arena, struct list_offsets);
    if (list == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    list->request = request;
    list->message = request->message;
    if (!prepare(list)) {
        khandler_refuse(request, "no memory");
        return;
    }
    for (uint32_t i = 0; i < list->items_count; i++) {
        start_item(&list->items[i]);
    }
    if (list->pending_count == 0) {
        finish(list);
    }
}
