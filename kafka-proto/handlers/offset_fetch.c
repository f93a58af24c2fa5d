/* OffsetFetch (key 9): how far groups have read. No offset is -1 and not an error.
 *
 * Up to version 7 a request is about one group: it is turned into the later form, and the
 * answer back. There are no transactions, so that every offset is stable (KIP-447). */
#include "core/base/assert.h"
#include "kafka-proto/handlers/group_errors.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

enum {
    GROUP_ERROR_VERSION = 2, /* before, an error of the group is one of each partition */
    GROUPS_VERSION = 8,
    TOPIC_ID_VERSION = 10,
};

struct fetch {
    struct khandler_request *request;
    struct base_arena arena; /* owned; the answer */
};

/* Offsets to look up, and where they go. */
struct lookup {
    struct group_fetch_item *items;
    struct kproto_offset_fetch_response_group_partition **rows;
    uint32_t count;
};

/* All offsets of a group as the coordinator shows them. */
struct found_partition {
    struct found_partition *next;
    struct kproto_offset_fetch_response_group_partition row;
};

struct found_topic {
    struct found_topic *next;
    struct base_slice name;
    struct found_partition *first;
    struct found_partition **last;
    uint32_t partitions_count;
};

struct found {
    struct base_arena *arena; /* borrowed */
    struct found_topic *first;
    struct found_topic *current;
    uint32_t topics_count;
    bool failed; /* no memory */
};

/* False: no memory. */
static bool fill_row(struct base_arena *arena,
                     struct kproto_offset_fetch_response_group_partition *row,
                     const struct group_offset *offset)
{
    row->committed_offset = offset->offset;
    row->committed_leader_epoch = offset->leader_epoch;
    if (offset->metadata_length > 0) {
        row->metadata =
            base_slice_of(base_arena_strndup(arena, offset->metadata, offset->metadata_length),
                          offset->metadata_length);
    }
    return row->metadata.data != NULL;
}

static void empty_row(struct kproto_offset_fetch_response_group_partition *row, int32_t partition,
                      enum kproto_error error)
{
    row->partition_index = partition;
    row->committed_offset = -1;
    row->committed_leader_epoch = -1;
    row->metadata = base_slice_text("");
    row->error_code = (int16_t)error;
}

/* Not COORDINATOR_NOT_AVAILABLE, which Java clients before 3.9 do not expect here and take for
 * fatal: after NOT_COORDINATOR they look for the coordinator, and come again. */
static enum kproto_error error_of(enum group_verdict verdict)
{
    enum kproto_error error = khandler_group_error(verdict);
    return error == KPROTO_ERROR_COORDINATOR_NOT_AVAILABLE ? KPROTO_ERROR_NOT_COORDINATOR : error;
}

static void fail_group(const struct fetch *fetch, struct kproto_offset_fetch_response_group *answer,
                       enum kproto_error error)
{
    answer->error_code = (int16_t)error;
    if (fetch->request->header.api_version >= GROUP_ERROR_VERSION) {
        answer->topics_count = 0;
        return;
    }
    for (uint32_t i = 0; i < answer->topics_count; i++) {
        for (uint32_t j = 0; j < answer->topics[i].partitions_count; j++) {
            struct kproto_offset_fetch_response_group_partition *row =
                &answer->topics[i].partitions[j];
            empty_row(row, row->partition_index, error);
        }
    }
}

static enum kproto_error judge_topic(const struct khandler_request *request, struct base_slice name)
{
    if (name.data == NULL) {
        return KPROTO_ERROR_UNKNOWN_TOPIC_ID;
    }
    return khandler_topic_allows(request, SECURITY_DESCRIBE, name)
               ? KPROTO_ERROR_NONE
               : KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED;
}

/* Makes the rows of a topic and notes what has to be looked up. False: no memory. */
static bool add_topic(struct fetch *fetch, struct lookup *lookup,
                      const struct kproto_offset_fetch_request_group_topic *data,
                      struct kproto_offset_fetch_response_group_topic *answer)
{
    struct base_slice name = data->name;

    if (fetch->request->header.api_version >= TOPIC_ID_VERSION) {
        const struct catalog_topic *topic =
            catalog_view_topic_by_id(khandler_view(fetch->request), data->topic_id);
        name = base_slice_text(topic == NULL ? NULL : topic->name);
    }
    enum kproto_error error = judge_topic(fetch->request, name);
    answer->name = data->name;
    answer->topic_id = data->topic_id;
    answer->partitions = kproto_array_create(&fetch->arena, offset_fetch_response_group_partition,
                                             data->partition_indexes_count);
    if (answer->partitions == NULL) {
        return false;
    }
    answer->partitions_count = data->partition_indexes_count;
    for (uint32_t i = 0; i < data->partition_indexes_count; i++) {
        empty_row(&answer->partitions[i], data->partition_indexes[i], error);
        if (error == KPROTO_ERROR_NONE) {
            lookup->items[lookup->count].topic = name;
            lookup->items[lookup->count].partition = data->partition_indexes[i];
            lookup->rows[lookup->count++] = &answer->partitions[i];
        }
    }
    return true;
}

/* Makes the rows of all topics that are asked for. False: no memory. */
static bool prepare_named(struct fetch *fetch, struct lookup *lookup,
                          const struct kproto_offset_fetch_request_group *data,
                          struct kproto_offset_fetch_response_group *answer)
{
    uint32_t items_max = 0;
    for (uint32_t i = 0; i < data->topics_count; i++) {
        items_max += data->topics[i].partition_indexes_count;
    }
    lookup->items = base_arena_array(&fetch->arena, items_max, sizeof *lookup->items);
    lookup->rows = base_arena_array(&fetch->arena, items_max,
                                    sizeof(struct kproto_offset_fetch_response_group_partition *));
    answer->topics =
        kproto_array_create(&fetch->arena, offset_fetch_response_group_topic, data->topics_count);
    if (lookup->items == NULL || lookup->rows == NULL || answer->topics == NULL) {
        return false;
    }
    answer->topics_count = data->topics_count;
    for (uint32_t i = 0; i < data->topics_count; i++) {
        if (!add_topic(fetch, lookup, &data->topics[i], &answer->topics[i])) {
            return false;
        }
    }
    return true;
}

/* False: no memory. */
static bool fetch_named(struct fetch *fetch, const struct kproto_offset_fetch_request_group *data,
                        struct kproto_offset_fetch_response_group *answer)
{
    struct khandler_request *request = fetch->request;
    struct lookup lookup = {0};
    bool filled = true;

    if (!prepare_named(fetch, &lookup, data, answer)) {
        return false;
    }
    if (!khandler_group_allows(request, SECURITY_DESCRIBE, data->group_id)) {
        fail_group(fetch, answer, KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED);
        return true;
    }
    enum group_verdict verdict =
        group_offsets_fetch(request->broker->groups, khandler_group_key(request, data->group_id),
                            lookup.items, lookup.count);
    for (uint32_t i = 0; i < lookup.count; i++) {
        if (lookup.items[i].offset != NULL) {
            filled = filled && fill_row(&fetch->arena, lookup.rows[i], lookup.items[i].offset);
            group_offset_release(&lookup.items[i].offset);
        }
    }
    if (verdict != GROUP_OK) {
        fail_group(fetch, answer, error_of(verdict));
    }
    return filled;
}

static struct found_topic *start_topic(struct found *found, struct base_slice name)
{
    struct found_topic *topic = base_arena_object(found->arena, struct found_topic);
    char *copy = base_arena_strndup(found->arena, (const char *)name.data, name.length);

    if (topic == NULL || copy == NULL) {
        return NULL;
    }
    topic->name = base_slice_of(copy, name.length);
    topic->last = &topic->first;
    if (found->current == NULL) {
        found->first = topic;
    } else {
        found->current->next = topic;
    }
    found->topics_count++;
    return topic;
}

static bool collect(void *context, struct base_slice name, int32_t partition,
                    struct group_offset *offset)
{
    struct found *found = context;

    found->failed = true;
    if (found->current == NULL || !base_slice_equal(found->current->name, name)) {
        struct found_topic *topic = start_topic(found, name);
        if (topic == NULL) {
            return false;
        }
        found->current = topic;
    }
    struct found_partition *entry = base_arena_object(found->arena, struct found_partition);
    if (entry == NULL) {
        return false;
    }
    empty_row(&entry->row, partition, KPROTO_ERROR_NONE);
    if (!fill_row(found->arena, &entry->row, offset)) {
        return false;
    }
    *found->current->last = entry;
    found->current->last = &entry->next;
    found->current->partitions_count++;
    found->failed = false;
    return true;
}

/* False: no memory. */
static bool show_topic(struct fetch *fetch, const struct found_topic *topic,
                       struct kproto_offset_fetch_response_group_topic *answer)
{
    answer->name = topic->name;
    answer->partitions = kproto_array_create(&fetch->arena, offset_fetch_response_group_partition,
                                             topic->partitions_count);
    if (answer->partitions == NULL) {
        return false;
    }
    for (const struct found_partition *entry = topic->first; entry != NULL; entry = entry->next) {
        answer->partitions[answer->partitions_count++] = entry->row;
    }
    BASE_ASSERT(answer->partitions_count == topic->partitions_count);
    return true;
}

/* Topics the client may not see are left out, and those that have no id when ids are asked
 * for. False: no memory. */
static bool show_found(struct fetch *fetch, const struct found *found,
                       struct kproto_offset_fetch_response_group *answer)
{
    struct khandler_request *request = fetch->request;
    bool by_id = request->header.api_version >= TOPIC_ID_VERSION;

    answer->topics =
        kproto_array_create(&fetch->arena, offset_fetch_response_group_topic, found->topics_count);
    if (answer->topics == NULL) {
        return false;
    }
    for (const struct found_topic *topic = found->first; topic != NULL; topic = topic->next) {
        const struct catalog_topic *known =
            by_id ? catalog_view_topic(khandler_view(request), topic->name) : NULL;
        if (judge_topic(request, topic->name) != KPROTO_ERROR_NONE || (by_id && known == NULL)) {
            continue;
        }
        struct kproto_offset_fetch_response_group_topic *row =
            &answer->topics[answer->topics_count++];
        if (by_id) {
            row->topic_id = known->id;
        }
        if (!show_topic(fetch, topic, row)) {
            return false;
        }
    }
    return true;
}

/* False: no memory. */
static bool fetch_all(struct fetch *fetch, const struct kproto_offset_fetch_request_group *data,
                      struct kproto_offset_fetch_response_group *answer)
{
    struct khandler_request *request = fetch->request;
    struct found found = {.arena = &fetch->arena};

    if (!khandler_group_allows(request, SECURITY_DESCRIBE, data->group_id)) {
        fail_group(fetch, answer, KPROTO_ERROR_GROUP_AUTHORIZATION_FAILED);
        return true;
    }
    enum group_verdict verdict = group_offsets_each(
        request->broker->groups, khandler_group_key(request, data->group_id), collect, &found);
    if (verdict != GROUP_OK) {
        fail_group(fetch, answer, error_of(verdict));
        return true;
    }
    return !found.failed && show_found(fetch, &found, answer);
}

/* A request up to version 7 as one of a single group. False: no memory. */
static bool widen(struct fetch *fetch, const struct kproto_offset_fetch_request *message,
                  struct kproto_offset_fetch_request_group *group)
{
    group->group_id = message->group_id;
    if (message->topics == NULL) {
        return true; /* all */
    }
    group->topics =
        kproto_array_create(&fetch->arena, offset_fetch_request_group_topic, message->topics_count);
    if (group->topics == NULL) {
        return false;
    }
    group->topics_count = message->topics_count;
    for (uint32_t i = 0; i < message->topics_count; i++) {
        group->topics[i].name = message->topics[i].name;
        group->topics[i].partition_indexes = message->topics[i].partition_indexes;
        group->topics[i].partition_indexes_count = message->topics[i].partition_indexes_count;
    }
    return true;
}

/* The answer for a single group in the form up to version 7. False: no memory. */
static bool narrow(struct fetch *fetch, const struct kproto_offset_fetch_response_group *group,
                   struct kproto_offset_fetch_response *response)
{
    response->error_code = group->error_code;
    response->topics =
        kproto_array_create(&fetch->arena, offset_fetch_response_topic, group->topics_count);
    if (response->topics == NULL) {
        return false;
    }
    response->topics_count = group->topics_count;
    for (uint32_t i = 0; i < group->topics_count; i++) {
        uint32_t count = group->topics[i].partitions_count;
        struct kproto_offset_fetch_response_topic *topic = &response->topics[i];
        topic->name = group->topics[i].name;
        topic->partitions =
            kproto_array_create(&fetch->arena, offset_fetch_response_partition, count);
        if (topic->partitions == NULL) {
            return false;
        }
        topic->partitions_count = count;
        for (uint32_t j = 0; j < count; j++) {
            const struct kproto_offset_fetch_response_group_partition *row =
                &group->topics[i].partitions[j];
            topic->partitions[j].partition_index = row->partition_index;
            topic->partitions[j].committed_offset = row->committed_offset;
            topic->partitions[j].committed_leader_epoch = row->committed_leader_epoch;
            topic->partitions[j].metadata = row->metadata;
            topic->partitions[j].error_code = row->error_code;
        }
    }
    return true;
}

/* False: no memory. */
static bool fetch_groups(struct fetch *fetch, struct kproto_offset_fetch_response *response)
{
    const struct kproto_offset_fetch_request *message = fetch->request->message;
    bool is_batch = fetch->request->header.api_version >= GROUPS_VERSION;
    struct kproto_offset_fetch_request_group single = {0};
    const struct kproto_offset_fetch_request_group *groups = is_batch ? message->groups : &single;
    uint32_t count = is_batch ? message->groups_count : 1;

    if (!is_batch && !widen(fetch, message, &single)) {
        return false;
    }
    response->groups = kproto_array_create(&fetch->arena, offset_fetch_response_group, count);
    if (response->groups == NULL) {
        return false;
    }
    response->groups_count = count;
    for (uint32_t i = 0; i < count; i++) {
        response->groups[i].group_id = groups[i].group_id;
        bool fetched = groups[i].topics == NULL
                           ? fetch_all(fetch, &groups[i], &response->groups[i])
                           : fetch_named(fetch, &groups[i], &response->groups[i]);
        if (!fetched) {
            return false;
        }
    }
    return is_batch || narrow(fetch, &response->groups[0], response);
}

void khandler_offset_fetch(struct khandler_request *request)
{
    struct kproto_offset_fetch_response response;
    struct fetch fetch = {.request = request};

    kproto_init(request->api->response->schema, &response);
    base_arena_init(&fetch.arena, KHANDLER_GROUP_ANSWER_BYTES_MAX);
    bool fetched = fetch_groups(&fetch, &response);
    if (fetched) {
        khandler_encode(request, &response);
    }
    base_arena_fini(&fetch.arena);
    if (fetched) {
        khandler_end(request);
    } else {
        khandler_refuse(request, "no memory");
    }
}
