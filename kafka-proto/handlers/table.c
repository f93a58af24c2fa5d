/* What the broker offers on the Kafka wire. */
#include "kafka-proto/handlers/table.h"

#include "kafka-proto/api.h"

/* Produce lists 0 although 3 is the lowest served: librdkafka up to 2.11 sends uncompressed
 * otherwise (KAFKA-18659). */
static const struct khandler_row rows[] = {
    {KPROTO_KEY_produce, 0, 3, 13, khandler_produce},
    {KPROTO_KEY_fetch, 4, 4, 18, khandler_fetch},
    {KPROTO_KEY_list_offsets, 1, 1, 11, khandler_list_offsets},
    {KPROTO_KEY_metadata, 0, 0, 13, khandler_metadata},
    {KPROTO_KEY_offset_commit, 1, 1, 10, khandler_offset_commit},
    {KPROTO_KEY_offset_fetch, 1, 1, 10, khandler_offset_fetch},
    {KPROTO_KEY_find_coordinator, 0, 0, 6, khandler_find_coordinator},
    {KPROTO_KEY_join_group, 0, 0, 9, khandler_join_group},
    {KPROTO_KEY_heartbeat, 0, 0, 4, khandler_heartbeat},
    {KPROTO_KEY_leave_group, 0, 0, 5, khandler_leave_group},
    {KPROTO_KEY_sync_group, 0, 0, 5, khandler_sync_group},
    {KPROTO_KEY_describe_groups, 0, 0, 6, khandler_describe_groups},
    {KPROTO_KEY_list_groups, 0, 0, 5, khandler_list_groups},
    {KPROTO_KEY_sasl_handshake, 0, 0, 1, khandler_sasl_handshake},
    {KPROTO_KEY_api_versions, 0, 0, 4, khandler_api_versions},
    {KPROTO_KEY_create_topics, 2, 2, 7, khandler_create_topics},
    {KPROTO_KEY_delete_topics, 1, 1, 6, khandler_delete_topics},
    {KPROTO_KEY_init_producer_id, 0, 0, 5, khandler_init_producer_id},
    {KPROTO_KEY_offset_for_leader_epoch, 2, 2, 4, khandler_offset_for_leader_epoch},
    {KPROTO_KEY_describe_configs, 1, 1, 4, khandler_describe_configs},
    {KPROTO_KEY_sasl_authenticate, 0, 0, 2, khandler_sasl_authenticate},
    {KPROTO_KEY_create_partitions, 0, 0, 3, khandler_create_partitions},
    {KPROTO_KEY_delete_groups, 0, 0, 2, khandler_delete_groups},
    {KPROTO_KEY_offset_delete, 0, 0, 0, khandler_offset_delete},
    {KPROTO_KEY_describe_cluster, 0, 0, 2, khandler_describe_cluster},
    {KPROTO_KEY_describe_topic_partitions, 0, 0, 0, khandler_describe_topic_partitions},
};

const struct khandler_row *khandler_find(int16_t key)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].key == key) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct khandler_row *khandler_rows(size_t *count)
{
    *count = sizeof rows / sizeof rows[0];
    return rows;
}

bool khandler_authenticates(int16_t key)
{
    return key == KPROTO_KEY_sasl_handshake || key == KPROTO_KEY_sasl_authenticate;
}
