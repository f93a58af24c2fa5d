/* DescribeTopicPartitions (key 75): topics and who leads their partitions, a page at a time
 * (KIP-966). Topics come in order of name; the cursor of an answer names the first partition
 * that did not fit. */
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

enum { PARTITIONS_PER_ANSWER_MAX = 2000 }; /* max.request.partition.size.limit */

struct describing {
    struct khandler_request *request;
    const struct kproto_describe_topic_partitions_request *message;
    struct kproto_describe_topic_partitions_response response;
    struct kproto_describe_topic_partitions_response_cursor cursor; /* where the next page starts */
    int32_t room;                                                   /* partitions that still fit */
    int32_t node_id; /* what lists of replicas point to */
};

static int compare_slices(const void *left, const void *right)
{
    const struct base_slice *a = left;
    const struct base_slice *b = right;
    size_t shared = a->length < b->length ? a->length : b->length;
    int order = shared == 0 ? 0 : memcmp(a->data, b->data, shared);

    if (order != 0) {
        return order;
    }
    return a->length < b->length ? -1 : a->length > b->length;
}

static struct base_slice cursor_name(const struct describing *describing)
{
    return describing->message->cursor == NULL ? base_slice_text("")
                                               : describing->message->cursor->topic_name;
}

static struct kproto_describe_topic_partitions_response_topic *
add_topic(struct describing *describing, struct base_slice name, enum kproto_error error)
{
    struct kproto_describe_topic_partitions_response_topic *answer =
        &describing->response.topics[describing->response.topics_count++];
    answer->name = name;
    answer->error_code = (int16_t)error;
    return answer;
}

static void fill_partition(struct describing *describing, const struct catalog_topic *topic,
                           int32_t index,
                           struct kproto_describe_topic_partitions_response_partition *partition)
{
    struct khandler_topic_leader leader;

    khandler_topic_leader(describing->request, topic, index, &leader);
    partition->error_code = (int16_t)leader.error;
    partition->partition_index = index;
    partition->leader_id = leader.node_id;
    partition->leader_epoch = leader.epoch;
    partition->replica_nodes = &describing->node_id;
    partition->replica_nodes_count = 1;
    partition->isr_nodes = &describing->node_id;
    partition->isr_nodes_count = 1;
    if (leader.error != KPROTO_ERROR_NONE) {
        partition->offline_replicas = &describing->node_id;
        partition->offline_replicas_count = 1;
    }
}

static void set_cursor(struct describing *describing, struct base_slice name, int32_t index)
{
    describing->cursor.topic_name = name;
    describing->cursor.partition_index = index;
    describing->response.next_cursor = &describing->cursor;
}

/* The partitions from first on that fit; the rest is the next page's. False: no memory. */
static bool add_found(struct describing *describing, const struct catalog_topic *topic,
                      int32_t first)
{
    struct base_slice name = base_slice_text(topic->name);
    int32_t count = first < topic->partitions_count ? topic->partitions_count - first : 0;
    struct kproto_describe_topic_partitions_response_topic *answer =
        add_topic(describing, name, KPROTO_ERROR_NONE);

    if (count > describing->room) {
        count = describing->room;
        set_cursor(describing, name, first + count);
    }
    answer->topic_id = topic->id;
    answer->is_internal = topic->kind == CATALOG_INTERNAL;
    answer->topic_authorized_operations = khandler_topic_operations(describing->request, topic);
    answer->partitions = khandler_array(
        describing->request, describe_topic_partitions_response_partition, (uint32_t)count);
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = (uint32_t)count;
    for (int32_t i = 0; i < count; i++) {
        fill_partition(describing, topic, first + i, &answer->partitions[i]);
    }
    describing->room -= count;
    return true;
}

/* False: no memory. */
static bool describe_one(struct describing *describing, struct base_slice name)
{
    const struct kproto_describe_topic_partitions_request_cursor *cursor =
        describing->message->cursor;
    const struct catalog_topic *topic =
        catalog_view_topic(khandler_view(describing->request), name);

    if (topic != NULL) {
        bool resumes = cursor != NULL && base_slice_equal(name, cursor->topic_name);
        return add_found(describing, topic, resumes ? cursor->partition_index : 0);
    }
    (void)add_topic(describing, name,
                    catalog_topic_name_is_valid(name) ? KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                                      : KPROTO_ERROR_INVALID_TOPIC_EXCEPTION);
    return true;
}

/* Topics by ascending name, from the cursor on, each once, as long as there is room. */
static bool describe_names(struct describing *describing, const struct base_slice *names,
                           size_t count)
{
    struct base_slice from = cursor_name(describing);

    for (size_t i = 0; i < count && describing->response.next_cursor == NULL; i++) {
        if (compare_slices(&names[i], &from) < 0 ||
            (i > 0 && base_slice_equal(names[i], names[i - 1])) ||
            !khandler_topic_allows(describing->request, SECURITY_DESCRIBE, names[i])) {
            continue;
        }
        if (describing->room == 0) {
            set_cursor(describing, names[i], 0);
        } else if (!describe_one(describing, names[i])) {
            return false;
        }
    }
    return true;
}

/* Kafka puts them last. Whether they exist is not looked at. */
static void add_unauthorized(struct describing *describing, const struct base_slice *names,
                             size_t count)
{
    struct base_slice from = cursor_name(describing);

    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && base_slice_equal(names[i], names[i - 1]);
        if (!again && compare_slices(&names[i], &from) >= 0 &&
            !khandler_topic_allows(describing->request, SECURITY_DESCRIBE, names[i])) {
            (void)add_topic(describing, names[i], KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED);
        }
    }
}

/* The topics asked for in order of name; all when none is named. NULL: no memory. */
static struct base_slice *sorted_names(struct describing *describing, size_t *count)
{
    const struct kproto_describe_topic_partitions_request *message = describing->message;
    struct base_arena *arena = &describing->request->arena;
    const struct catalog_topic **topics = NULL;

    *count = message->topics_count;
    if (message->topics_count == 0) {
        topics = khandler_topic_list(describing->request, arena, count);
        if (topics == NULL) {
            return NULL;
        }
    }
    struct base_slice *names = base_arena_array(arena, *count, sizeof names[0]);
    if (names == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < *count; i++) {
        names[i] = topics != NULL ? base_slice_text(topics[i]->name) : message->topics[i].name;
    }
    if (topics == NULL) {
        qsort(names, *count, sizeof names[0], compare_slices);
    }
    return names;
}

static bool is_contradictory(const struct kproto_describe_topic_partitions_request *message)
{
    if (message->cursor == NULL) {
        return false;
    }
    if (message->cursor->partition_index < 0) {
        return true;
    }
    for (uint32_t i = 0; i < message->topics_count; i++) {
        if (base_slice_equal(message->topics[i].name, message->cursor->topic_name)) {
            return false;
        }
    }
    return message->topics_count > 0;
}

/* False: no memory. */
static bool describe(struct describing *describing)
{
    const struct kproto_describe_topic_partitions_request *message = describing->message;
    size_t count = 0;
    struct base_slice *names = sorted_names(describing, &count);
    if (names == NULL) {
        return false;
    }
    describing->response.topics = khandler_array(
        describing->request, describe_topic_partitions_response_topic, (uint32_t)count);
    if (describing->response.topics == NULL) {
        return false;
    }
    if (is_contradictory(message)) {
        for (uint32_t i = 0; i < message->topics_count; i++) {
            (void)add_topic(describing, names[i], KPROTO_ERROR_INVALID_REQUEST);
        }
        return true;
    }
    if (!describe_names(describing, names, count)) {
        return false;
    }
    if (message->topics_count > 0) {
        add_unauthorized(describing, names, count);
    }
    BASE_ASSERT(describing->response.topics_count <= count);
    return true;
}

void khandler_describe_topic_partitions(struct khandler_request *request)
{
    struct describing describing = {
        .request = request, .message = request->message, .node_id = request->broker->node_id};

    base_arena_raise(&request->arena, KHANDLER_TOPIC_ANSWER_BYTES_MAX);
    kproto_init(request->api->response->schema, &describing.response);
    int32_t limit = describing.message->response_partition_limit;
    describing.room = limit < PARTITIONS_PER_ANSWER_MAX ? limit : PARTITIONS_PER_ANSWER_MAX;
    if (describing.room < 1) {
        describing.room = 1;
    }
    if (!describe(&describing)) {
        khandler_refuse(request, "no memory");
        return;
    }
    khandler_answer(request, &describing.response);
}
