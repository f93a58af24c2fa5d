/* The list of what the broker offers on the Kafka wire: one row per API. ApiVersions is
 * answered from it, so the answer cannot lie. */
#ifndef KHANDLER_TABLE_H
#define KHANDLER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kafka-proto/handlers/request.h"

typedef void khandler_handle(struct khandler_request *request);

struct khandler_row {
    int16_t key;
    int16_t advertised_min; /* below the lowest served version only for Produce (KAFKA-18659) */
    int16_t version_min;    /* served */
    int16_t version_max;
    khandler_handle *handle;
};

/* NULL for what is not offered. */
const struct khandler_row *khandler_find(int16_t key);

/* All rows, in order of key. */
const struct khandler_row *khandler_rows(size_t *count);

/* The APIs that are offered only where there is authentication. */
bool khandler_authenticates(int16_t key);

/* One file each, named after the API. */
khandler_handle khandler_produce;
khandler_handle khandler_fetch;
khandler_handle khandler_list_offsets;
khandler_handle khandler_metadata;
khandler_handle khandler_offset_commit;
khandler_handle khandler_offset_fetch;
khandler_handle khandler_find_coordinator;
khandler_handle khandler_join_group;
khandler_handle khandler_heartbeat;
khandler_handle khandler_leave_group;
khandler_handle khandler_sync_group;
khandler_handle khandler_describe_groups;
khandler_handle khandler_list_groups;
khandler_handle khandler_api_versions;
khandler_handle khandler_create_topics;
khandler_handle khandler_delete_topics;
khandler_handle khandler_init_producer_id;
khandler_handle khandler_offset_for_leader_epoch;
khandler_handle khandler_describe_configs;
khandler_handle khandler_create_partitions;
khandler_handle khandler_delete_groups;
khandler_handle khandler_offset_delete;
khandler_handle khandler_describe_cluster;
khandler_handle khandler_describe_topic_partitions;
khandler_handle khandler_sasl_handshake;
khandler_handle khandler_sasl_authenticate;

#endif
