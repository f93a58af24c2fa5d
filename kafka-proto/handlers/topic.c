/* What handlers have in common about topics. */
#include "kafka-proto/handlers/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"

/* Kafka's AclOperation numbers of what security knows. */
static const struct {
    enum security_action action;
    int32_t number;
    bool of_cluster;
    bool of_topic;
} operations[] = {
    {SECURITY_READ, 3, false, true},
    {SECURITY_WRITE, 4, false, true},
    {SECURITY_CREATE, 5, true, true},
    {SECURITY_DELETE, 6, false, true},
    {SECURITY_ALTER, 7, true, true},
    {SECURITY_DESCRIBE, 8, true, true},
    {SECURITY_DESCRIBE_CONFIGS, 10, true, true},
};

enum { OPERATIONS_COUNT = sizeof operations / sizeof operations[0] };

bool khandler_topic_allows(const struct khandler_request *request, enum security_action action,
                           struct base_slice name)
{
    const struct catalog_view *view = khandler_view(request);
    return security_authorize(request->principal, action,
                              security_topic(view, catalog_view_topic(view, name)));
}

void khandler_topic_leader(struct khandler_request *request, const struct catalog_topic *topic,
                           int32_t index, struct khandler_topic_leader *out)
{
    struct partition_offsets offsets = {.err = BASE_ERR_CLOSED, .leader_epoch = -1};
    struct partition *partition =
        partition_table_get(request->broker->partitions, topic->id, index);

    if (partition != NULL) {
        partition_offsets(partition, &offsets);
        partition_release(&partition);
    }
    *out = (struct khandler_topic_leader){KPROTO_ERROR_NONE, request->broker->node_id,
                                          offsets.leader_epoch};
    /* One that is being opened, or closed since the view was made, is not offline. */
    if (offsets.err != BASE_ERR_OK && offsets.err != BASE_ERR_CLOSED) {
        out->error = KPROTO_ERROR_LEADER_NOT_AVAILABLE;
        out->node_id = -1;
    }
}

static enum kproto_error judge_offsets(const struct partition_offsets *offsets,
                                       int32_t current_leader_epoch)
{
    if (offsets->err == BASE_ERR_CLOSED) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (offsets->err != BASE_ERR_OK) {
        return KPROTO_ERROR_KAFKA_STORAGE_ERROR;
    }
    if (current_leader_epoch >= 0 && current_leader_epoch < offsets->leader_epoch) {
        return KPROTO_ERROR_FENCED_LEADER_EPOCH;
    }
    if (current_leader_epoch > offsets->leader_epoch) {
        return KPROTO_ERROR_UNKNOWN_LEADER_EPOCH;
    }
    return KPROTO_ERROR_NONE;
}

enum kproto_error khandler_topic_partition(struct khandler_request *request, struct base_slice name,
                                           int32_t index, int32_t current_leader_epoch,
                                           struct partition **out,
                                           struct partition_offsets *offsets)
{
    *out = NULL;
    /* Before existence, which must not leak. */
    if (!khandler_topic_allows(request, SECURITY_DESCRIBE, name)) {
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    const struct catalog_topic *topic = catalog_view_topic(khandler_view(request), name);
    if (topic == NULL || index < 0 || index >= topic->partitions_count) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    *out = partition_table_get(request->broker->partitions, topic->id, index);
    if (*out == NULL) {
        return KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER; /* being opened */
    }
    partition_offsets(*out, offsets);
    enum kproto_error error = judge_offsets(offsets, current_leader_epoch);
    if (error != KPROTO_ERROR_NONE) {
        partition_release(out);
    }
    return error;
}

struct listing {
    struct khandler_request *request;
    const struct catalog_view *view; /* borrowed */
    const struct catalog_topic **topics;
    size_t count;
    size_t capacity;
};

static bool list_topic(void *context, const struct catalog_topic *topic)
{
    struct listing *listing = context;

    BASE_ASSERT(listing->count < listing->capacity);
    if (security_authorize(listing->request->principal, SECURITY_DESCRIBE,
                           security_topic(listing->view, topic))) {
        listing->topics[listing->count++] = topic;
    }
    return true;
}

static int compare_topics(const void *left, const void *right)
{
    const struct catalog_topic *const *a = left;
    const struct catalog_topic *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

const struct catalog_topic **khandler_topic_list(struct khandler_request *request,
                                                 struct base_arena *arena, size_t *count)
{
    struct catalog_view *view = khandler_view(request);
    struct listing listing = {
        .request = request, .view = view, .capacity = catalog_view_topics_count(view)};

    *count = 0;
    listing.topics = base_arena_array(arena, listing.capacity, sizeof listing.topics[0]);
    if (listing.topics == NULL) {
        return NULL;
    }
    catalog_view_each(view, list_topic, &listing);
    qsort(listing.topics, listing.count, sizeof listing.topics[0], compare_topics);
    *count = listing.count;
    return listing.topics;
}

int32_t khandler_topic_operations(struct khandler_request *request,
                                  const struct catalog_topic *topic)
{
    const struct security_resource resource = security_topic(khandler_view(request), topic);
    uint32_t bits = 0;

    for (size_t i = 0; i < OPERATIONS_COUNT; i++) {
        if (operations[i].of_topic &&
            security_authorize(request->principal, operations[i].action, resource)) {
            bits |= UINT32_C(1) << operations[i].number;
        }
    }
    return (int32_t)bits;
}

int32_t khandler_topic_cluster_operations(struct khandler_request *request)
{
    uint32_t bits = 0;
    if (!security_authorize(request->principal, SECURITY_DESCRIBE, security_cluster())) {
        return 0;
    }
    for (size_t i = 0; i < OPERATIONS_COUNT; i++) {
        if (operations[i].of_cluster &&
            security_authorize(request->principal, operations[i].action, security_cluster())) {
            bits |= UINT32_C(1) << operations[i].number;
        }
    }
    return (int32_t)bits;
}

bool khandler_topic_is_reserved(struct base_slice name)
{
    return name.length >= 2 && name.data[0] == '_' && name.data[1] == '_';
}

/* By bytes, then by place in the request. */
static int compare_names(const void *left, const void *right)
{
    const struct base_slice *a = *(const struct base_slice *const *)left;
    const struct base_slice *b = *(const struct base_slice *const *)right;

    if (a->length != b->length) {
        return a->length < b->length ? -1 : 1;
    }
    int order = a->length == 0 ? 0 : memcmp(a->data, b->data, a->length);
    if (order != 0) {
        return order;
    }
    return a < b ? -1 : a > b;
}

enum khandler_topic_use *khandler_topic_uses(struct base_arena *arena,
                                             const struct base_slice *names, uint32_t names_count)
{
    enum khandler_topic_use *uses = base_arena_array(arena, names_count, sizeof uses[0]);
    const struct base_slice **sorted = base_arena_array(arena, names_count, sizeof sorted[0]);

    if (uses == NULL || sorted == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < names_count; i++) {
        sorted[i] = &names[i];
        uses[i] = KHANDLER_TOPIC_ONCE;
    }
    qsort(sorted, names_count, sizeof sorted[0], compare_names);
    for (uint32_t i = 1; i < names_count; i++) {
        if (base_slice_equal(*sorted[i - 1], *sorted[i])) {
            enum khandler_topic_use *before = &uses[sorted[i - 1] - names];
            *before = *before == KHANDLER_TOPIC_ONCE ? KHANDLER_TOPIC_FIRST : *before;
            uses[sorted[i] - names] = KHANDLER_TOPIC_AGAIN;
        }
    }
    return uses;
}

struct catalog_topic *khandler_topic_draft(struct khandler_request *request, struct base_slice name,
                                           int32_t partitions_count,
                                           const struct catalog_topic_config *config)
{
    enum catalog_kind kind =
        config->values[CATALOG_CONFIG_QUEUE_MODE] == 0 ? CATALOG_KAFKA_HA : CATALOG_KAFKA_HT;
    struct catalog_topic *draft = catalog_topic_draft(name, base_slice_of(NULL, 0), kind);

    BASE_ASSERT(partitions_count > 0);
    if (draft == NULL) {
        return NULL;
    }
    int length =
        snprintf(draft->project_id, sizeof draft->project_id, "%s", request->principal->project_id);
    BASE_ASSERT(length >= 0 && (size_t)length < sizeof draft->project_id);
    draft->partitions_count = partitions_count;
    draft->config = *config;
    return draft;
}

bool khandler_topic_is_queue_name(struct khandler_request *request, struct base_slice name)
{
    const struct catalog_topic *queue = catalog_view_queue(
        khandler_view(request), base_slice_text(request->principal->project_id), name);
    return queue != NULL && !base_slice_is(name, queue->name);
}

bool khandler_topic_is_here(const struct khandler_request *request, const int32_t *broker_ids,
                            uint32_t broker_ids_count)
{
    return broker_ids_count == 1 && broker_ids[0] == request->broker->node_id;
}

enum kproto_error khandler_topic_error(enum catalog_verdict verdict, enum base_err err)
{
    switch (verdict) {
    case CATALOG_DONE:
        return KPROTO_ERROR_NONE;
    case CATALOG_EXISTS:
        return KPROTO_ERROR_TOPIC_ALREADY_EXISTS;
    case CATALOG_COLLIDES:
        return KPROTO_ERROR_INVALID_TOPIC_EXCEPTION;
    case CATALOG_NOT_FOUND:
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    case CATALOG_QUOTA_EXCEEDED:
    case CATALOG_TOO_MANY_PARTITIONS:
        return KPROTO_ERROR_POLICY_VIOLATION;
    case CATALOG_STORAGE_FAILED:
        return err == BASE_ERR_OK ? KPROTO_ERROR_KAFKA_STORAGE_ERROR : kproto_error_from_base(err);
    case CATALOG_CONFLICT: /* of other objects only */
    case CATALOG_VERDICT_COUNT:
        break;
    }
    return KPROTO_ERROR_UNKNOWN_SERVER_ERROR;
}
