/* CreatePartitions (key 37): more partitions for a topic. Never fewer. timeout_ms: see
 * create_topics.c. */
#include <inttypes.h>

#include "core/base/assert.h"
#include "kafka-proto/handlers/audit.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

struct create_partitions;

struct create_partitions_item {
    struct create_partitions *create;
    const struct kproto_create_partitions_request_topic *asked;
    struct kproto_create_partitions_response_topic *answer;
    struct partition_topic_op growth;
};

struct create_partitions {
    struct khandler_request *request;
    const struct kproto_create_partitions_request *message;
    struct kproto_create_partitions_response response;
    uint32_t pending_count; /* topics being grown */
};

static void fail_item(struct create_partitions_item *item, enum kproto_error error,
                      const char *message)
{
    item->answer->error_code = (int16_t)error;
    item->answer->error_message =
        base_slice_text(message == NULL ? kproto_error_text((int16_t)error) : message);
}

static void trace_all(struct create_partitions *create)
{
    if (create->message->validate_only) {
        return;
    }
    for (uint32_t i = 0; i < create->response.results_count; i++) {
        const struct kproto_create_partitions_response_topic *topic = &create->response.results[i];
        struct khandler_audit trace = {.name = "createPartitions",
                                       .resource = TELEMETRY_RESOURCE_TOPIC,
                                       .resource_name = topic->name,
                                       .error = topic->error_code};
        khandler_audit_write(create->request, &trace);
    }
}

static void finish(struct create_partitions *create)
{
    BASE_ASSERT(create->pending_count == 0);
    trace_all(create);
    khandler_answer(create->request, &create->response);
}

static void growth_over(struct base_task *task)
{
    struct create_partitions_item *item =
        BASE_CONTAINER_OF(task, struct create_partitions_item, growth.task);
    struct create_partitions *create = item->create;
    const struct partition_topic_op *growth = &item->growth;

    BASE_ASSERT(create->pending_count > 0);
    if (growth->verdict == CATALOG_EXISTS) {
        fail_item(item, KPROTO_ERROR_INVALID_PARTITIONS, "The topic has grown in the meantime.");
    } else if (growth->verdict == CATALOG_TOO_MANY_PARTITIONS) {
        fail_item(item, KPROTO_ERROR_POLICY_VIOLATION,
                  "The broker would have more partitions than max.partitions.");
    } else if (growth->verdict != CATALOG_DONE) {
        fail_item(item, khandler_topic_error(growth->verdict, growth->err), NULL);
    }
    catalog_topic_release(&item->growth.topic);
    create->pending_count--;
    if (create->pending_count == 0) {
        finish(create);
    }
}

static enum kproto_error judge_count(struct create_partitions_item *item,
                                     const struct catalog_topic *topic, const char **why)
{
    const struct kproto_create_partitions_request_topic *asked = item->asked;
    struct khandler_request *request = item->create->request;

    if (asked->count <= topic->partitions_count) {
        *why = base_arena_printf(&request->arena,
                                 "The topic has %" PRId32 " partition(s); %" PRId32
                                 " would not be an increase.",
                                 topic->partitions_count, asked->count);
        return KPROTO_ERROR_INVALID_PARTITIONS;
    }
    if (asked->assignments == NULL) {
        return KPROTO_ERROR_NONE;
    }
    if (asked->assignments_count != (uint32_t)(asked->count - topic->partitions_count)) {
        *why = "There must be one assignment for each added partition.";
        return KPROTO_ERROR_INVALID_REPLICA_ASSIGNMENT;
    }
    for (uint32_t i = 0; i < asked->assignments_count; i++) {
        if (!khandler_topic_is_here(request, asked->assignments[i].broker_ids,
                                    asked->assignments[i].broker_ids_count)) {
            *why = "Every partition must be assigned to this broker, and to it alone.";
            return KPROTO_ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
    }
    return KPROTO_ERROR_NONE;
}

/* *topic is set with NONE. */
static enum kproto_error judge_item(struct create_partitions_item *item,
                                    const struct catalog_topic **topic, const char **why)
{
    struct khandler_request *request = item->create->request;
    struct base_slice name = item->asked->name;

    if (!khandler_topic_allows(request, SECURITY_ALTER, name)) {
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    *topic = catalog_view_topic(khandler_view(request), name);
    if (*topic == NULL) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if ((*topic)->kind == CATALOG_INTERNAL) {
        *why = "Internal topics keep the number of partitions they were made with.";
        return KPROTO_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    if (!catalog_kind_is_kafka((*topic)->kind)) {
        *why = "NORMAL and FIFO queues keep the number of partitions they were made with.";
        return KPROTO_ERROR_POLICY_VIOLATION;
    }
    return judge_count(item, *topic, why);
}

/* Refuses the topic, or starts growing it. */
static void start_item(struct create_partitions_item *item)
{
    struct create_partitions *create = item->create;
    const struct catalog_topic *topic = NULL;
    const char *why = NULL;

    enum kproto_error error = judge_item(item, &topic, &why);
    if (error != KPROTO_ERROR_NONE) {
        fail_item(item, error, why);
        return;
    }
    if (create->message->validate_only) {
        return;
    }
    item->growth.executor = create->request->executor;
    item->growth.task.run = growth_over;
    create->pending_count++;
    partition_grow_topic(create->request->broker->partitions, topic->id, item->asked->count,
                         &item->growth);
}

/* False: no memory; nothing was started. */
static bool start_all(struct create_partitions *create)
{
    const struct kproto_create_partitions_request *message = create->message;
    struct khandler_request *request = create->request;
    uint32_t count = message->topics_count;
    struct base_slice *names = base_arena_array(&request->arena, count, sizeof names[0]);
    struct create_partitions_item *items =
        base_arena_array(&request->arena, count, sizeof items[0]);

    create->response.results = khandler_array(request, create_partitions_response_topic, count);
    if (names == NULL || items == NULL || create->response.results == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        names[i] = message->topics[i].name;
    }
    enum khandler_topic_use *uses = khandler_topic_uses(&request->arena, names, count);
    if (uses == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (uses[i] == KHANDLER_TOPIC_AGAIN) {
            continue; /* answered once */
        }
        struct create_partitions_item *item = &items[i];
        item->create = create;
        item->asked = &message->topics[i];
        item->answer = &create->response.results[create->response.results_count++];
        item->answer->name = names[i];
        if (uses[i] == KHANDLER_TOPIC_FIRST) {
            fail_item(item, KPROTO_ERROR_INVALID_REQUEST, "The request names this topic twice.");
        } else {
            start_item(item);
        }
    }
    return true;
}

void khandler_create_partitions(struct khandler_request *request)
{
    struct create_partitions *create = base_arena_object(&request->arena, struct create_partitions);
    if (create == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    create->request = request;
    create->message = request->message;
    kproto_init(request->api->response->schema, &create->response);
    if (!start_all(create)) {
        khandler_refuse(request, "no memory");
        return;
    }
    if (create->pending_count == 0) {
        finish(create);
    }
}
