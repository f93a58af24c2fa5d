/* OffsetForLeaderEpoch (key 23): where a leader epoch ended, so that a consumer notices that
 * the log it has read was cut off (KIP-320). */
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

static void fill_partition(struct khandler_request *request, struct base_slice topic,
                           const struct kproto_offset_for_leader_epoch_request_partition *asked,
                           struct kproto_offset_for_leader_epoch_response_partition *answer)
{
    struct partition *partition = NULL;
    struct partition_offsets offsets;

    answer->partition = asked->partition;
    answer->leader_epoch = -1;
    answer->end_offset = -1;
    enum kproto_error error = khandler_topic_partition(
        request, topic, asked->partition, asked->current_leader_epoch, &partition, &offsets);
    if (error == KPROTO_ERROR_NONE && asked->leader_epoch >= 0) {
        /* An epoch that is not known is no error: -1 and -1. */
        enum base_err err = partition_epoch_end(partition, asked->leader_epoch,
                                                &answer->leader_epoch, &answer->end_offset);
        error = err == BASE_ERR_CLOSED ? KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                       : kproto_error_from_base(err);
    }
    answer->error_code = (int16_t)error;
    partition_release(&partition);
}

void khandler_offset_for_leader_epoch(struct khandler_request *request)
{
    const struct kproto_offset_for_leader_epoch_request *message = request->message;
    struct kproto_offset_for_leader_epoch_response response;

    kproto_init(request->api->response->schema, &response);
    response.topics =
        khandler_array(request, offset_for_leader_epoch_response_topic, message->topics_count);
    response.topics_count = message->topics_count;
    for (uint32_t i = 0; response.topics != NULL && i < message->topics_count; i++) {
        const struct kproto_offset_for_leader_epoch_request_topic *asked = &message->topics[i];
        struct kproto_offset_for_leader_epoch_response_topic *topic = &response.topics[i];

        topic->topic = asked->topic;
        topic->partitions = khandler_array(request, offset_for_leader_epoch_response_partition,
                                           asked->partitions_count);
        if (topic->partitions == NULL) {
            khandler_refuse(request, "no memory");
            return;
        }
        topic->partitions_count = asked->partitions_count;
        for (uint32_t j = 0; j < asked->partitions_count; j++) {
            fill_partition(request, asked->topic, &asked->partitions[j], &topic->partitions[j]);
        }
    }
    if (response.topics == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    khandler_answer(request, &response);
}
