/* Metadata (key 3): brokers, topics and who leads their partitions; makes topics that are
 * asked for and missing, if the broker is configured so.
 *
 * Kafka answers UNKNOWN_TOPIC_OR_PARTITION while a topic is being made and the client asks
 * again; here the answer waits for the few milliseconds that it takes. */
#include "core/base/assert.h"
#include "kafka-proto/handlers/audit.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

enum { TOPIC_ID_VERSION_MIN = 12, CLUSTER_OPERATIONS_VERSION_MAX = 10 };

struct metadata;

/* One topic that was asked for. */
struct metadata_topic {
    const struct kproto_metadata_request_topic *asked;
    enum kproto_error error; /* what is said if it does not exist */
    struct metadata *metadata;
    struct partition_topic_op creation;
};

struct metadata {
    struct khandler_request *request;
    const struct kproto_metadata_request *message;
    struct kproto_metadata_response response;
    struct metadata_topic *topics; /* asked for, each once; NULL when all are */
    uint32_t topics_count;
    uint32_t pending_count;  /* topics being made */
    int32_t node_id;         /* what lists of replicas point to */
    struct base_arena arena; /* of the answer */
};

static bool wants_all(const struct metadata *metadata)
{
    return metadata->message->topics == NULL ||
           (metadata->request->header.api_version == 0 && metadata->message->topics_count == 0);
}

static bool fill_partitions(struct metadata *metadata, const struct catalog_topic *topic,
                            struct kproto_metadata_response_topic *answer)
{
    answer->partitions = kproto_array_create(&metadata->arena, metadata_response_partition,
                                             (uint32_t)topic->partitions_count);
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = (uint32_t)topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct kproto_metadata_response_partition *partition = &answer->partitions[i];
        struct khandler_topic_leader leader;

        khandler_topic_leader(metadata->request, topic, i, &leader);
        partition->error_code = (int16_t)leader.error;
        partition->partition_index = i;
        partition->leader_id = leader.node_id;
        partition->leader_epoch = leader.epoch;
        partition->replica_nodes = &metadata->node_id;
        partition->replica_nodes_count = 1;
        partition->isr_nodes = &metadata->node_id;
        partition->isr_nodes_count = 1;
        if (leader.error != KPROTO_ERROR_NONE) {
            partition->offline_replicas = &metadata->node_id;
            partition->offline_replicas_count = 1;
        }
    }
    return true;
}

static bool fill_topic(struct metadata *metadata, const struct catalog_topic *topic,
                       struct kproto_metadata_response_topic *answer)
{
    answer->error_code = KPROTO_ERROR_NONE;
    answer->name = base_slice_text(topic->name);
    answer->topic_id = topic->id;
    answer->is_internal = topic->kind == CATALOG_INTERNAL;
    if (metadata->message->include_topic_authorized_operations) {
        answer->topic_authorized_operations = khandler_topic_operations(metadata->request, topic);
    }
    return fill_partitions(metadata, topic, answer);
}

static bool fill_all(struct metadata *metadata)
{
    size_t count = 0;
    const struct catalog_topic **topics =
        khandler_topic_list(metadata->request, &metadata->arena, &count);
    if (topics == NULL) {
        return false;
    }
    metadata->response.topics =
        kproto_array_create(&metadata->arena, metadata_response_topic, (uint32_t)count);
    if (metadata->response.topics == NULL) {
        return false;
    }
    metadata->response.topics_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!fill_topic(metadata, topics[i], &metadata->response.topics[i])) {
            return false;
        }
    }
    return true;
}

static bool may_describe(const struct metadata *metadata, struct base_slice name)
{
    return khandler_topic_allows(metadata->request, SECURITY_DESCRIBE, name);
}

/* A topic asked for by its id. Ids are no secret, so that one is refused may be said. */
static bool fill_by_id(struct metadata *metadata, struct base_uuid id,
                       struct kproto_metadata_response_topic *answer)
{
    const struct catalog_topic *topic =
        catalog_view_topic_by_id(khandler_view(metadata->request), id);

    answer->topic_id = id;
    answer->name = base_slice_of(NULL, 0);
    if (topic == NULL) {
        answer->error_code = KPROTO_ERROR_UNKNOWN_TOPIC_ID;
        return true;
    }
    if (!may_describe(metadata, base_slice_text(topic->name))) {
        answer->error_code = KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return true;
    }
    return fill_topic(metadata, topic, answer);
}

static bool fill_by_name(struct metadata *metadata, const struct metadata_topic *one,
                         struct kproto_metadata_response_topic *answer)
{
    struct base_slice name = one->asked->name;

    answer->name = name;
    if (!may_describe(metadata, name)) {
        answer->error_code = KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return true;
    }
    const struct catalog_topic *topic = catalog_view_topic(khandler_view(metadata->request), name);
    if (topic == NULL) {
        /* One that was there at first went while others were made. */
        answer->error_code = one->error == KPROTO_ERROR_NONE
                                 ? KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                 : (int16_t)one->error;
        return true;
    }
    return fill_topic(metadata, topic, answer);
}

static bool fill_asked(struct metadata *metadata)
{
    metadata->response.topics =
        kproto_array_create(&metadata->arena, metadata_response_topic, metadata->topics_count);
    if (metadata->response.topics == NULL) {
        return false;
    }
    metadata->response.topics_count = metadata->topics_count;
    for (uint32_t i = 0; i < metadata->topics_count; i++) {
        const struct metadata_topic *one = &metadata->topics[i];
        struct kproto_metadata_response_topic *answer = &metadata->response.topics[i];
        bool filled = true;

        if (one->error == KPROTO_ERROR_INVALID_REQUEST) {
            answer->name = one->asked->name;
            answer->topic_id = one->asked->topic_id;
            answer->error_code = (int16_t)one->error;
        } else if (!base_uuid_is_zero(one->asked->topic_id)) {
            filled = fill_by_id(metadata, one->asked->topic_id, answer);
        } else {
            filled = fill_by_name(metadata, one, answer);
        }
        if (!filled) {
            return false;
        }
    }
    return true;
}

static bool fill_cluster(struct metadata *metadata)
{
    const struct khandler_options *broker = metadata->request->broker;
    struct kproto_metadata_response *response = &metadata->response;

    response->brokers = kproto_array_create(&metadata->arena, metadata_response_broker, 1);
    if (response->brokers == NULL) {
        return false;
    }
    response->brokers_count = 1;
    response->brokers[0].node_id = broker->node_id;
    response->brokers[0].host = base_slice_text(broker->advertised_host);
    response->brokers[0].port = broker->advertised_port;
    response->cluster_id = base_slice_text(catalog_cluster_id(broker->catalog));
    response->controller_id = broker->node_id;
    if (metadata->message->include_cluster_authorized_operations &&
        metadata->request->header.api_version <= CLUSTER_OPERATIONS_VERSION_MAX) {
        response->cluster_authorized_operations =
            khandler_topic_cluster_operations(metadata->request);
    }
    return true;
}

static void answer_metadata(struct metadata *metadata)
{
    struct khandler_request *request = metadata->request;

    BASE_ASSERT(metadata->pending_count == 0);
    kproto_init(request->api->response->schema, &metadata->response);
    bool filled = khandler_is_cancelled(request) ||
                  (fill_cluster(metadata) &&
                   (wants_all(metadata) ? fill_all(metadata) : fill_asked(metadata)));
    if (filled) {
        khandler_encode(request, &metadata->response);
    }
    base_arena_fini(&metadata->arena);
    if (filled) {
        khandler_end(request);
    } else {
        khandler_refuse(request, "metadata needs too much memory");
    }
}

/* Making topics. */

static enum kproto_error creation_error(struct metadata *metadata, const struct metadata_topic *one)
{
    if (one->creation.verdict == CATALOG_EXISTS) {
        /* Mostly somebody else made it, and the view has it. */
        return khandler_topic_is_queue_name(metadata->request, one->asked->name)
                   ? KPROTO_ERROR_INVALID_TOPIC_EXCEPTION
                   : KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (one->creation.verdict == CATALOG_DONE) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION; /* deleted again before the answer */
    }
    return khandler_topic_error(one->creation.verdict, one->creation.err);
}

static void creation_over(struct base_task *task)
{
    struct metadata_topic *one = BASE_CONTAINER_OF(task, struct metadata_topic, creation.task);
    struct metadata *metadata = one->metadata;

    BASE_ASSERT(metadata->pending_count > 0);
    one->error = creation_error(metadata, one);
    if (one->creation.verdict != CATALOG_EXISTS) { /* nothing done */
        struct khandler_audit trace = {
            .name = "createTopic",
            .resource = TELEMETRY_RESOURCE_TOPIC,
            .resource_name = one->asked->name,
            .error = (int16_t)khandler_topic_error(one->creation.verdict, one->creation.err)};
        if (one->creation.topic != NULL) {
            trace.topic_id = one->creation.topic->id;
        }
        khandler_audit_write(metadata->request, &trace);
    }
    catalog_topic_release(&one->creation.topic);
    metadata->pending_count--;
    if (metadata->pending_count == 0) {
        answer_metadata(metadata);
    }
}

/* Starts making one topic if it is missing and may be made. */
static void create_if_missing(struct metadata *metadata, struct metadata_topic *one)
{
    struct khandler_request *request = metadata->request;
    struct base_slice name = one->asked->name;

    if (one->error != KPROTO_ERROR_NONE || !base_uuid_is_zero(one->asked->topic_id) ||
        !may_describe(metadata, name) || catalog_view_topic(khandler_view(request), name) != NULL) {
        return;
    }
    one->error = KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!catalog_topic_name_is_valid(name)) {
        one->error = KPROTO_ERROR_INVALID_TOPIC_EXCEPTION;
        return;
    }
    if (!request->broker->auto_create_topics || !metadata->message->allow_auto_topic_creation ||
        khandler_topic_is_reserved(name)) {
        return;
    }
    if (!security_authorize(request->principal, SECURITY_CREATE, security_project())) {
        one->error = KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    struct catalog_topic *draft = khandler_topic_draft(
        request, name, request->broker->partitions_default, request->broker->topic_defaults);
    if (draft == NULL) {
        return; /* the client asks again */
    }
    one->creation.executor = request->executor;
    one->creation.task.run = creation_over;
    metadata->pending_count++;
    partition_create_topic(request->broker->partitions, draft, &one->creation);
}

/* Versions 10 and 11 have topic ids on the wire but not as a question. */
static bool is_contradictory(const struct khandler_request *request,
                             const struct kproto_metadata_request_topic *asked)
{
    bool by_id = !base_uuid_is_zero(asked->topic_id);
    if (request->header.api_version < TOPIC_ID_VERSION_MIN) {
        return by_id || asked->name.data == NULL;
    }
    return !by_id && asked->name.data == NULL;
}

/* Lists what is asked for, each topic once. False: no memory. */
static bool list_asked(struct metadata *metadata)
{
    const struct kproto_metadata_request *message = metadata->message;
    struct base_slice *keys =
        base_arena_array(&metadata->arena, message->topics_count, sizeof keys[0]);
    if (keys == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < message->topics_count; i++) {
        const struct kproto_metadata_request_topic *asked = &message->topics[i];
        keys[i] = base_uuid_is_zero(asked->topic_id)
                      ? asked->name
                      : base_slice_of(asked->topic_id.bytes, BASE_UUID_SIZE);
    }
    enum khandler_topic_use *uses =
        khandler_topic_uses(&metadata->arena, keys, message->topics_count);
    metadata->topics =
        base_arena_array(&metadata->arena, message->topics_count, sizeof metadata->topics[0]);
    if (uses == NULL || metadata->topics == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < message->topics_count; i++) {
        if (uses[i] != KHANDLER_TOPIC_AGAIN) {
            struct metadata_topic *one = &metadata->topics[metadata->topics_count++];
            one->asked = &message->topics[i];
            one->metadata = metadata;
            one->error = is_contradictory(metadata->request, one->asked)
                             ? KPROTO_ERROR_INVALID_REQUEST
                             : KPROTO_ERROR_NONE;
        }
    }
    return true;
}

void khandler_metadata(struct khandler_request *request)
{
    struct metadata *metadata = base_arena_object(&request->arena, struct metadata);
    if (metadata == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    metadata->request = request;
    metadata->message = request->message;
    metadata->node_id = request->broker->node_id;
    base_arena_init(&metadata->arena, KHANDLER_TOPIC_ANSWER_BYTES_MAX);
    if (!wants_all(metadata)) {
        if (!list_asked(metadata)) {
            base_arena_fini(&metadata->arena);
            khandler_refuse(request, "no memory");
            return;
        }
        for (uint32_t i = 0; i < metadata->topics_count; i++) {
            create_if_missing(metadata, &metadata->topics[i]);
        }
    }
    if (metadata->pending_count == 0) {
        answer_metadata(metadata);
    }
}
