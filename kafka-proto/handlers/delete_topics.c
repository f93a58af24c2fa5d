/* DeleteTopics (key 20): by name, from version 6 on also by id.
 *
 * Internal topics are refused with INVALID_TOPIC_EXCEPTION. Kafka 4 deletes them when asked
 * by somebody who may; here the coordinator that keeps its state in them would be left
 * without it. */
#include "core/base/assert.h"
#include "kafka-proto/handlers/audit.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

enum { TOPICS_VERSION_MIN = 6 }; /* before, names only */

struct delete_topics;

struct delete_topics_item {
    struct delete_topics *delete;
    struct base_slice name;    /* null: by id */
    struct base_uuid topic_id; /* zero: by name */
    struct kproto_delete_topics_response_topic *answer;
    struct partition_topic_op deletion;
};

struct delete_topics {
    struct khandler_request *request;
    const struct kproto_delete_topics_request *message;
    struct kproto_delete_topics_response response;
    uint32_t pending_count; /* topics being deleted */
};

static void fail_item(struct delete_topics_item *item, enum kproto_error error, const char *message)
{
    item->answer->error_code = (int16_t)error;
    item->answer->error_message =
        base_slice_text(message == NULL ? kproto_error_text((int16_t)error) : message);
}

static void trace_all(struct delete_topics *delete)
{
    for (uint32_t i = 0; i < delete->response.responses_count; i++) {
        const struct kproto_delete_topics_response_topic *topic = &delete->response.responses[i];
        struct khandler_audit trace = {.name = "deleteTopic",
                                       .resource = TELEMETRY_RESOURCE_TOPIC,
                                       .resource_name = topic->name,
                                       .topic_id = topic->topic_id,
                                       .error = topic->error_code};
        khandler_audit_write(delete->request, &trace);
    }
}

static void finish(struct delete_topics *delete)
{
    BASE_ASSERT(delete->pending_count == 0);
    trace_all(delete);
    khandler_answer(delete->request, &delete->response);
}

static enum kproto_error unknown_error(const struct delete_topics_item *item)
{
    return item->name.data == NULL ? KPROTO_ERROR_UNKNOWN_TOPIC_ID
                                   : KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void deletion_over(struct base_task *task)
{
    struct delete_topics_item *item =
        BASE_CONTAINER_OF(task, struct delete_topics_item, deletion.task);
    struct delete_topics *delete = item->delete;
    const struct partition_topic_op *deletion = &item->deletion;

    BASE_ASSERT(delete->pending_count > 0);
    if (deletion->verdict == CATALOG_NOT_FOUND) {
        fail_item(item, unknown_error(item), NULL); /* somebody else was faster */
    } else if (deletion->verdict != CATALOG_DONE) {
        fail_item(item, khandler_topic_error(deletion->verdict, deletion->err), NULL);
    }
    catalog_topic_release(&item->deletion.topic);
    delete->pending_count--;
    if (delete->pending_count == 0) {
        finish(delete);
    }
}

static bool may(const struct delete_topics_item *item, enum security_action action,
                struct base_slice name)
{
    return khandler_topic_allows(item->delete->request, action, name);
}

/* Finds the topic and sets what the answer says of it. NULL: refused. */
static const struct catalog_topic *find_topic(struct delete_topics_item *item)
{
    struct catalog_view *view = khandler_view(item->delete->request);
    bool by_id = !base_uuid_is_zero(item->topic_id);

    if (by_id == (item->name.data != NULL)) {
        fail_item(item, KPROTO_ERROR_INVALID_REQUEST, "A topic is named either by name or by id.");
        return NULL;
    }
    /* Before existence, which must not leak. */
    if (!by_id && !may(item, SECURITY_DELETE, item->name)) {
        fail_item(item, KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED, NULL);
        return NULL;
    }
    const struct catalog_topic *topic = by_id ? catalog_view_topic_by_id(view, item->topic_id)
                                              : catalog_view_topic(view, item->name);
    if (topic == NULL) {
        fail_item(item, unknown_error(item), NULL);
        return NULL;
    }
    struct base_slice name = base_slice_text(topic->name);
    bool may_see = may(item, SECURITY_DESCRIBE, name);
    if (may_see) {
        item->answer->topic_id = topic->id;
    }
    if (may_see && by_id) {
        /* A copy: the answer outlives the view. */
        item->answer->name = base_slice_text(
            base_arena_strndup(&item->delete->request->arena, topic->name, name.length));
    }
    if (!may_see || !may(item, SECURITY_DELETE, name)) {
        fail_item(item, KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED, NULL);
        return NULL;
    }
    return topic;
}

/* Refuses the topic, or starts deleting it. */
static void start_item(struct delete_topics_item *item)
{
    struct khandler_request *request = item->delete->request;
    const struct catalog_topic *topic = find_topic(item);

    if (topic == NULL) {
        return;
    }
    if (topic->kind == CATALOG_INTERNAL) {
        fail_item(item, KPROTO_ERROR_INVALID_TOPIC_EXCEPTION, "Internal topics cannot be deleted.");
        return;
    }
    if (topic->made_by_rest || !catalog_kind_is_kafka(topic->kind)) {
        fail_item(item, KPROTO_ERROR_POLICY_VIOLATION,
                  "This topic is a DMS queue: delete the queue over REST.");
        return;
    }
    item->deletion.executor = request->executor;
    item->deletion.task.run = deletion_over;
    item->delete->pending_count++;
    partition_delete_topic(request->broker->partitions, topic->id, &item->deletion);
}

/* One item for each topic of the request, in either form. False: no memory. */
static bool list_asked(struct delete_topics *delete, struct delete_topics_item **out,
                       uint32_t *count)
{
    const struct kproto_delete_topics_request *message = delete->message;
    struct khandler_request *request = delete->request;
    bool by_topics = request->header.api_version >= TOPICS_VERSION_MIN;

    *count = by_topics ? message->topics_count : message->topic_names_count;
    struct delete_topics_item *items = base_arena_array(&request->arena, *count, sizeof items[0]);
    delete->response.responses = khandler_array(request, delete_topics_response_topic, *count);
    *out = items;
    if (items == NULL || delete->response.responses == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < *count; i++) {
        items[i].delete = delete;
        items[i].name = by_topics ? message->topics[i].name : message->topic_names[i];
        if (by_topics) {
            items[i].topic_id = message->topics[i].topic_id;
        }
    }
    return true;
}

/* False: no memory; nothing was started. */
static bool start_all(struct delete_topics *delete)
{
    struct base_arena *arena = &delete->request->arena;
    struct delete_topics_item *items = NULL;
    uint32_t count = 0;

    if (!list_asked(delete, &items, &count)) {
        return false;
    }
    struct base_slice *keys = base_arena_array(arena, count, sizeof keys[0]);
    if (keys == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = items[i].name.data != NULL
                      ? items[i].name
                      : base_slice_of(items[i].topic_id.bytes, BASE_UUID_SIZE);
    }
    enum khandler_topic_use *uses = khandler_topic_uses(arena, keys, count);
    if (uses == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (uses[i] == KHANDLER_TOPIC_AGAIN) {
            continue; /* answered once */
        }
        struct delete_topics_item *item = &items[i];
        item->answer = &delete->response.responses[delete->response.responses_count++];
        item->answer->name = item->name;
        item->answer->topic_id = item->topic_id;
        if (uses[i] == KHANDLER_TOPIC_FIRST) {
            fail_item(item, KPROTO_ERROR_INVALID_REQUEST, "The request names this topic twice.");
        } else {
            start_item(item);
        }
    }
    return true;
}

void khandler_delete_topics(struct khandler_request *request)
{
    struct delete_topics *delete = base_arena_object(&request->arena, struct delete_topics);
    if (delete == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    delete->request = request;
    delete->message = request->message;
    kproto_init(request->api->response->schema, &delete->response);
    if (!start_all(delete)) {
        khandler_refuse(request, "no memory");
        return;
    }
    if (delete->pending_count == 0) {
        finish(delete);
    }
}
