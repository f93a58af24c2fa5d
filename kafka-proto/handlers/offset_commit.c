/* OffsetCommit (key 8): stores how far a group has read; answered when that is on disk. */
#include <string.h>

#include "core/base/assert.h"
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"

enum {
    GROUP_NOT_FOUND_VERSION = 9,
    TOPIC_ID_VERSION = 10,
};

struct commit {
    struct khandler_request *request;
    struct kproto_offset_commit_response response;
    struct group_commit commit;
    struct kproto_offset_commit_response_partition **answers; /* of the items of commit */
};

static enum kproto_error error_of(const struct khandler_request *request,
                                  enum group_verdict verdict)
{
    /* Older clients know only that their generation is no more. */
    if (verdict == GROUP_NOT_FOUND && request->header.api_version < GROUP_NOT_FOUND_VERSION) {
        return KPROTO_ERROR_ILLEGAL_GENERATION;
    }
    return khandler_group_error(verdict);
}

static void answer(struct commit *own)
{
    const struct group_commit *commit = &own->commit;

    for (uint32_t i = 0; i < commit->items_count; i++) {
        enum group_verdict verdict =
            commit->verdict != GROUP_OK ? commit->verdict : commit->items[i].verdict;
        own->answers[i]->error_code = (int16_t)error_of(own->request, verdict);
    }
    khandler_answer(own->request, &own->response);
}

static void commit_is_over(struct base_task *task)
{
    answer(BASE_CONTAINER_OF(task, struct commit, commit.task));
}

static enum kproto_error judge_topic(const struct khandler_request *request, bool by_id,
                                     const struct catalog_topic *topic)
{
    if (topic == NULL && by_id) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_ID;
    }
    if (!security_authorize(request->principal, SECURITY_READ,
                            security_topic(khandler_view(request), topic))) {
        return KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
    }
    return topic == NULL ? KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION : KPROTO_ERROR_NONE;
}

static void add_item(struct commit *own, struct base_slice topic,
                     const struct kproto_offset_commit_request_partition *data,
                     struct kproto_offset_commit_response_partition *answer_row)
{
    uint32_t index = own->commit.items_count++;

    own->commit.items[index] = (struct group_commit_item){
        .topic = topic,
        .partition = data->partition_index,
        .offset = data->committed_offset,
        .leader_epoch = data->committed_leader_epoch,
        .metadata = data->committed_metadata,
    };
    own->answers[index] = answer_row;
}

/* error: of the whole group. False: no memory. */
static bool add_topic(struct commit *own, const struct kproto_offset_commit_request_topic *data,
                      struct kproto_offset_commit_response_topic *answer_row,
                      enum kproto_error error)
{
    struct khandler_request *request = own->request;
    struct catalog_view *view = khandler_view(request);
    bool by_id = request->header.api_version >= TOPIC_ID_VERSION;
    const struct catalog_topic *topic = by_id ? catalog_view_topic_by_id(view, data->topic_id)
                                              : catalog_view_topic(view, data->name);
    struct base_slice name = data->name;

    if (by_id && topic != NULL) { /* the commit may outlive the view */
        size_t length = strlen(topic->name);
        name = base_slice_of(base_arena_strndup(&request->arena, topic->name, length), length);
    }
    answer_row->name = data->name;
    answer_row->topic_id = data->topic_id;
    answer_row->partitions =
        khandler_array(request, offset_commit_response_partition, data->partitions_count);
    if (answer_row->partitions == NULL || (name.data == NULL && name.length > 0)) {
        return false;
    }
    answer_row->partitions_count = data->partitions_count;
    if (error == KPROTO_ERROR_NONE) {
        error = judge_topic(request, by_id, topic);
    }
    for (uint32_t i = 0; i < data->partitions_count; i++) {
        int32_t index = data->partitions[i].partition_index;
        answer_row->partitions[i].partition_index = index;
        if (error != KPROTO_ERROR_NONE) {
            answer_row->partitions[i].error_code = (int16_t)error;
        } else if (index < 0 || index >= topic->partitions_count) {
            answer_row->partitions[i].error_code = KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        } else {
            add_item(own, name, &data->partitions[i], &answer_row->partitions[i]);
        }
    }
    return true;
}

static uint32_t count_partitions(const struct kproto_offset_commit_request *message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < message->topics_count; i++) {
        count += message->topics[i].partitions_count;
    }
    return count;
}

/* NULL: no memory. */
static struct commit *prepare(struct khandler_request *request)
{
    const struct kproto_offset_commit_request *message = request->message;
    uint32_t items_max = count_partitions(message);
    struct commit *own = base_arena_object(&request->arena, struct commit);

    if (own == NULL) {
        return NULL;
    }
    own->request = request;
    kproto_init(request->api->response->schema, &own->response);
    own->response.topics =
        khandler_array(request, offset_commit_response_topic, message->topics_count);
    own->commit = (struct group_commit){
        .executor = request->executor,
        .task.run = commit_is_over,
        .group_id = khandler_group_key(request, message->group_id),
        .member_id = message->member_id,
        .group_instance_id = message->group_instance_id,
        .generation = message->generation_id_or_member_epoch,
        .retention_ms = message->retention_time_ms,
        .items = base_arena_array(&request->arena, items_max, sizeof(struct group_commit_item)),
    };
    own->answers = base_arena_array(&request->arena, items_max, sizeof(void *));
    if (own->response.topics == NULL || own->commit.items == NULL || own->answers == NULL) {
        return NULL;
    }
    own->response.topics_count = message->topics_count;
    enum kproto_error error = khandler_group_allows(request, SECURITY_READ, message->group_id)
                                  ? KPROTO_ERROR_NONE
                                  : KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED;
    for (uint32_t i = 0; i < message->topics_count; i++) {
        if (!add_topic(own, &message->topics[i], &own->response.topics[i], error)) {
            return NULL;
        }
    }
    return own;
}

/* A commit that has begun cannot be cut short: the request lives until it is over. */
void khandler_offset_commit(struct khandler_request *request)
{
    struct commit *own = prepare(request);

    if (own == NULL) {
        khandler_refuse(request, "no memory");
    } else if (own->commit.items_count == 0 ||
               group_commit(request->broker->groups, &own->commit) == GROUP_DONE) {
        answer(own);
    }
}
