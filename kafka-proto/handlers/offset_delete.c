/* OffsetDelete (key 47): forgets committed offsets of topics the group has left (KIP-496). */
#include "core/base/assert.h"
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

struct removal {
    struct khandler_request *request;
    struct kproto_offset_delete_response response;
    struct group_delete_offsets delete_offsets;
    struct kproto_offset_delete_response_partition **answers; /* of the items */
};

static void answer(struct removal *own)
{
    const struct group_delete_offsets *removed = &own->delete_offsets;

    if (removed->verdict != GROUP_OK) { /* then nothing is said about topics */
        own->response.error_code = (int16_t)khandler_group_error(removed->verdict);
        own->response.topics_count = 0;
    }
    for (uint32_t i = 0; i < removed->items_count; i++) {
        own->answers[i]->error_code = (int16_t)khandler_group_error(removed->items[i].verdict);
    }
    khandler_answer(own->request, &own->response);
}

static void removal_is_over(struct base_task *task)
{
    answer(BASE_CONTAINER_OF(task, struct removal, delete_offsets.task));
}

static void refuse(struct khandler_request *request, enum kproto_error error)
{
    struct kproto_offset_delete_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)error;
    khandler_answer(request, &response);
}

/* False: no memory. */
static bool add_topic(struct removal *own, const struct kproto_offset_delete_request_topic *data,
                      struct kproto_offset_delete_response_topic *answer_row)
{
    struct khandler_request *request = own->request;
    const struct catalog_topic *topic = catalog_view_topic(khandler_view(request), data->name);
    bool allowed = security_authorize(request->principal, SECURITY_READ,
                                      security_topic(khandler_view(request), topic));

    answer_row->name = data->name;
    answer_row->partitions =
        khandler_array(request, offset_delete_response_partition, data->partitions_count);
    if (answer_row->partitions == NULL) {
        return false;
    }
    answer_row->partitions_count = data->partitions_count;
    for (uint32_t i = 0; i < data->partitions_count; i++) {
        int32_t index = data->partitions[i].partition_index;
        struct kproto_offset_delete_response_partition *row = &answer_row->partitions[i];
        row->partition_index = index;
        if (!allowed) {
            row->error_code = KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
        } else if (topic == NULL || index < 0 || index >= topic->partitions_count) {
            row->error_code = KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        } else {
            uint32_t place = own->delete_offsets.items_count++;
            own->delete_offsets.items[place].topic = data->name;
            own->delete_offsets.items[place].partition = index;
            own->answers[place] = row;
        }
    }
    return true;
}

static uint32_t count_partitions(const struct kproto_offset_delete_request *message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < message->topics_count; i++) {
        count += message->topics[i].partitions_count;
    }
    return count;
}

/* NULL: no memory. */
static struct removal *prepare(struct khandler_request *request)
{
    const struct kproto_offset_delete_request *message = request->message;
    uint32_t items_max = count_partitions(message);
    struct removal *own = base_arena_object(&request->arena, struct removal);

    if (own == NULL) {
        return NULL;
    }
    own->request = request;
    kproto_init(request->api->response->schema, &own->response);
    own->response.topics =
        khandler_array(request, offset_delete_response_topic, message->topics_count);
    own->delete_offsets = (struct group_delete_offsets){
        .executor = request->executor,
        .task.run = removal_is_over,
        .group_id = khandler_group_key(request, message->group_id),
        .items = base_arena_array(&request->arena, items_max, sizeof(struct group_commit_item)),
    };
    own->answers = base_arena_array(&request->arena, items_max, sizeof(void *));
    if (own->response.topics == NULL || own->delete_offsets.items == NULL || own->answers == NULL) {
        return NULL;
    }
    own->response.topics_count = message->topics_count;
    for (uint32_t i = 0; i < message->topics_count; i++) {
        if (!add_topic(own, &message->topics[i], &own->response.topics[i])) {
            return NULL;
        }
    }
    return own;
}

/* A deletion that has begun cannot be cut short: the request lives until it is over. */
void khandler_offset_delete(struct khandler_request *request)
{
    const struct kproto_offset_delete_request *message = request->message;

    if (!khandler_group_allows(request, SECURITY_DELETE, message->group_id)) {
        refuse(request, KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    if (message->group_id.length == 0) {
        refuse(request, KPROTO_ERROR_INVALID_GROUP_ID);
        return;
    }
    struct removal *own = prepare(request);
    if (own == NULL) {
        khandler_refuse(request, "no memory");
    } else if (own->delete_offsets.items_count == 0 ||
               group_delete_offsets(request->broker->groups, &own->delete_offsets) == GROUP_DONE) {
        answer(own);
    }
}
