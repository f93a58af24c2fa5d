/* CreateTopics (key 19): judge each topic, make the good ones in parallel, answer when all
 * are there or refused.
 *
 * timeout_ms is not used to answer early: a change of the catalog cannot be taken back once
 * it is written, so an answer before its end would only leave the client in doubt. */
#include <inttypes.h>

#include "core/base/assert.h"
#include "kafka-proto/handlers/audit.h"
#include "kafka-proto/handlers/config.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

struct create_topics;

struct create_topics_item {
    struct create_topics *create;
    const struct kproto_create_topics_request_topic *asked;
    struct kproto_create_topics_response_topic *answer;
    struct catalog_topic_config config;
    int32_t partitions_count;
    struct partition_topic_op creation;
};

struct create_topics {
    struct khandler_request *request;
    const struct kproto_create_topics_request *message;
    struct kproto_create_topics_response response;
    uint32_t pending_count; /* topics being made */
    struct base_arena arena;
};

static void fail_item(struct create_topics_item *item, enum kproto_error error, const char *message)
{
    item->answer->error_code = (int16_t)error;
    item->answer->error_message = base_slice_text(message);
    item->answer->num_partitions = -1;
    item->answer->replication_factor = -1;
}

static void trace_all(struct create_topics *create)
{
    if (create->message->validate_only) {
        return;
    }
    for (uint32_t i = 0; i < create->response.topics_count; i++) {
        const struct kproto_create_topics_response_topic *topic = &create->response.topics[i];
        struct khandler_audit trace = {.name = "createTopic",
                                       .resource = TELEMETRY_RESOURCE_TOPIC,
                                       .resource_name = topic->name,
                                       .topic_id = topic->topic_id,
                                       .error = topic->error_code};
        khandler_audit_write(create->request, &trace);
    }
}

static void finish(struct create_topics *create)
{
    BASE_ASSERT(create->pending_count == 0);
    trace_all(create);
    khandler_encode(create->request, &create->response);
    base_arena_fini(&create->arena);
    khandler_end(create->request);
}

/* The values in effect, for those who may see them. */
static void fill_configs(struct create_topics_item *item)
{
    struct khandler_request *request = item->create->request;
    struct kproto_create_topics_response_topic *answer = item->answer;

    if (!khandler_topic_allows(request, SECURITY_DESCRIBE_CONFIGS, item->asked->name)) {
        answer->topic_config_error_code = KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    answer->num_partitions = item->partitions_count;
    answer->replication_factor = 1;
    answer->configs = kproto_array_create(&item->create->arena, create_topics_response_config,
                                          CATALOG_CONFIG_COUNT);
    answer->configs_count = answer->configs == NULL ? 0 : CATALOG_CONFIG_COUNT;
    for (uint32_t i = 0; i < answer->configs_count; i++) {
        enum catalog_topic_config_key key = (enum catalog_topic_config_key)i;
        answer->configs[i].name = base_slice_text(catalog_config_row(key)->key);
        answer->configs[i].value = khandler_config_text(&item->create->arena, &item->config, key);
        answer->configs[i].config_source = (int8_t)khandler_config_source(&item->config, key);
    }
}

static const char *message_of(enum catalog_verdict verdict, enum base_err err)
{
    switch (verdict) {
    case CATALOG_DONE:
        return NULL;
    case CATALOG_EXISTS:
        return "A topic or queue of this name already exists.";
    case CATALOG_COLLIDES:
        return "The name differs from that of an existing topic only by '.' and '_'.";
    case CATALOG_TOO_MANY_PARTITIONS:
        return "The broker would have more partitions than max.partitions.";
    case CATALOG_NOT_FOUND:
    case CATALOG_QUOTA_EXCEEDED: /* queues made over Kafka do not count */
    case CATALOG_CONFLICT:
    case CATALOG_STORAGE_FAILED:
    case CATALOG_VERDICT_COUNT:
        break;
    }
    return base_err_text(err);
}

static void creation_over(struct base_task *task)
{
    struct create_topics_item *item =
        BASE_CONTAINER_OF(task, struct create_topics_item, creation.task);
    struct create_topics *create = item->create;
    const struct partition_topic_op *creation = &item->creation;

    BASE_ASSERT(create->pending_count > 0);
    if (creation->verdict == CATALOG_DONE) {
        item->answer->topic_id = creation->topic->id;
        fill_configs(item);
    } else {
        fail_item(item, khandler_topic_error(creation->verdict, creation->err),
                  message_of(creation->verdict, creation->err));
    }
    catalog_topic_release(&item->creation.topic);
    create->pending_count--;
    if (create->pending_count == 0) {
        finish(create);
    }
}

/* Judging. Each function gives NONE, or an error with the reason in *why. */

static enum kproto_error judge_name(struct create_topics_item *item, const char **why)
{
    struct khandler_request *request = item->create->request;
    struct catalog_view *view = khandler_view(request);
    struct base_slice name = item->asked->name;

    if (!security_authorize(request->principal, SECURITY_CREATE, security_project())) {
        *why = kproto_error_text(KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED);
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    if (!catalog_topic_name_is_valid(name)) {
        *why = "A topic name is 1 to 249 of letters, digits, '.', '_' and '-', and not '.' or "
               "'..'.";
        return KPROTO_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    if (khandler_topic_is_reserved(name)) {
        *why = "Names that start with '__' are reserved for internal topics.";
        return KPROTO_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    if (catalog_view_topic(view, name) != NULL) {
        *why = "A topic of this name already exists.";
        return KPROTO_ERROR_TOPIC_ALREADY_EXISTS;
    }
    if (khandler_topic_is_queue_name(request, name)) {
        *why = "A DMS queue of this project already has this name.";
        return KPROTO_ERROR_TOPIC_ALREADY_EXISTS;
    }
    const struct catalog_topic *other = catalog_view_topic_collision(view, name);
    if (other != NULL) {
        *why = base_arena_printf(&item->create->arena,
                                 "The name collides with that of existing topic %s.", other->name);
        return KPROTO_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    return KPROTO_ERROR_NONE;
}

static enum kproto_error judge_configs(struct create_topics_item *item, const char **why)
{
    item->config = *item->create->request->broker->topic_defaults;
    for (uint32_t i = 0; i < item->asked->configs_count; i++) {
        const struct kproto_create_topics_request_config *config = &item->asked->configs[i];
        *why =
            khandler_config_set(&item->create->arena, &item->config, config->name, config->value);
        if (*why != NULL) {
            return KPROTO_ERROR_INVALID_CONFIG;
        }
    }
    return KPROTO_ERROR_NONE;
}

/* Partitions 0 to n-1, each once, each on this node alone. */
static enum kproto_error judge_assignments(struct create_topics_item *item, const char **why)
{
    const struct kproto_create_topics_request_topic *asked = item->asked;
    uint32_t count = asked->assignments_count;
    bool *seen = base_arena_array(&item->create->arena, count, sizeof seen[0]);

    if (asked->replication_factor != -1 || asked->num_partitions != -1) {
        *why = "With a manual assignment, num_partitions and replication_factor must be -1.";
        return KPROTO_ERROR_INVALID_REQUEST;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct kproto_create_topics_request_assignment *one = &asked->assignments[i];
        int32_t index = one->partition_index;
        if (seen == NULL || index < 0 || (uint32_t)index >= count || seen[index]) {
            *why = "The partitions of an assignment must be 0 to n-1, each once.";
            return KPROTO_ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
        seen[index] = true;
        if (!khandler_topic_is_here(item->create->request, one->broker_ids,
                                    one->broker_ids_count)) {
            *why = "Every partition must be assigned to this broker, and to it alone.";
            return KPROTO_ERROR_INVALID_REPLICA_ASSIGNMENT;
        }
    }
    item->partitions_count = (int32_t)count;
    return KPROTO_ERROR_NONE;
}

static enum kproto_error judge_counts(struct create_topics_item *item, const char **why)
{
    const struct kproto_create_topics_request_topic *asked = item->asked;

    if (asked->assignments_count > 0) {
        return judge_assignments(item, why);
    }
    if (asked->replication_factor < -1 || asked->replication_factor == 0) {
        *why = "The replication factor must be larger than 0, or -1 for the default.";
        return KPROTO_ERROR_INVALID_REPLICATION_FACTOR;
    }
    if (asked->num_partitions < -1 || asked->num_partitions == 0) {
        *why = "The number of partitions must be larger than 0, or -1 for the default.";
        return KPROTO_ERROR_INVALID_PARTITIONS;
    }
    if (asked->replication_factor > 1) {
        *why = "The replication factor is larger than the number of brokers, 1.";
        return KPROTO_ERROR_INVALID_REPLICATION_FACTOR;
    }
    item->partitions_count = asked->num_partitions == -1
                                 ? item->create->request->broker->partitions_default
                                 : asked->num_partitions;
    return KPROTO_ERROR_NONE;
}

/* Kafka's order. */
static enum kproto_error judge_item(struct create_topics_item *item, const char **why)
{
    enum kproto_error error = judge_name(item, why);
    if (error == KPROTO_ERROR_NONE) {
        error = judge_configs(item, why);
    }
    if (error == KPROTO_ERROR_NONE) {
        error = judge_counts(item, why);
    }
    return error;
}

/* Refuses the topic, or starts making it. */
static void start_item(struct create_topics_item *item)
{
    struct create_topics *create = item->create;
    struct khandler_request *request = create->request;
    const char *why = NULL;

    enum kproto_error error = judge_item(item, &why);
    if (error != KPROTO_ERROR_NONE) {
        fail_item(item, error, why);
        return;
    }
    if (create->message->validate_only) {
        fill_configs(item);
        return;
    }
    struct catalog_topic *draft =
        khandler_topic_draft(request, item->asked->name, item->partitions_count, &item->config);
    if (draft == NULL) {
        fail_item(item, KPROTO_ERROR_UNKNOWN_SERVER_ERROR, base_err_text(BASE_ERR_NOMEM));
        return;
    }
    item->creation.executor = request->executor;
    item->creation.task.run = creation_over;
    create->pending_count++;
    partition_create_topic(request->broker->partitions, draft, &item->creation);
}

/* False: no memory; nothing was started. */
static bool start_all(struct create_topics *create)
{
    const struct kproto_create_topics_request *message = create->message;
    uint32_t count = message->topics_count;
    struct base_slice *names = base_arena_array(&create->arena, count, sizeof names[0]);
    struct create_topics_item *items = base_arena_array(&create->arena, count, sizeof items[0]);

    create->response.topics =
        kproto_array_create(&create->arena, create_topics_response_topic, count);
    if (names == NULL || items == NULL || create->response.topics == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        names[i] = message->topics[i].name;
    }
    enum khandler_topic_use *uses = khandler_topic_uses(&create->arena, names, count);
    if (uses == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (uses[i] == KHANDLER_TOPIC_AGAIN) {
            continue; /* answered once */
        }
        struct create_topics_item *item = &items[i];
        item->create = create;
        item->asked = &message->topics[i];
        item->answer = &create->response.topics[create->response.topics_count++];
        item->answer->name = names[i];
        if (uses[i] == KHANDLER_TOPIC_FIRST) {
            fail_item(item, KPROTO_ERROR_INVALID_REQUEST, "The request names this topic twice.");
        } else {
            start_item(item);
        }
    }
    return true;
}

void khandler_create_topics(struct khandler_request *request)
{
    struct create_topics *create = base_arena_object(&request->arena, struct create_topics);
    if (create == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    create->request = request;
    create->message = request->message;
    base_arena_init(&create->arena, KHANDLER_TOPIC_ANSWER_BYTES_MAX);
    kproto_init(request->api->response->schema, &create->response);
    if (!start_all(create)) {
        base_arena_fini(&create->arena);
        khandler_refuse(request, "no memory");
        return;
    }
    if (create->pending_count == 0) {
        finish(create);
    }
}
