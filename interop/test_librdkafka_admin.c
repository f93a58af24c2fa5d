/* librdkafka's admin client from C against the broker that DMSD_BOOTSTRAP names: all it offers for
 * the APIs that are advertised, and what it says of those that are not. */
#include "interop/rdkafka_client.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PARTITIONS_COUNT = 3,
    GROWN_COUNT = 5,
};

/* An admin client, the queue of its answers, and what each test needs. */
struct admin {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_event_t *event; /* the last answer */
    char topic[NAME_SIZE];
    char group[NAME_SIZE];
};

static void assert_no_error(const rd_kafka_error_t *error)
{
    if (error != NULL) {
        fail_msg("%s", rd_kafka_error_string(error));
    }
}

/* Waits for the answer to the last call; it is there until the next. */
static void wait_answer(struct admin *admin, rd_kafka_event_type_t type)
{
    if (admin->event != NULL) {
        rd_kafka_event_destroy(admin->event);
    }
    admin->event = rd_kafka_queue_poll(admin->queue, WAIT_MS);
    assert_non_null(admin->event);
    assert_int_equal(rd_kafka_event_type(admin->event), type);
}

static rd_kafka_event_t *answer(struct admin *admin, rd_kafka_event_type_t type)
{
    wait_answer(admin, type);
    if (rd_kafka_event_error(admin->event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail_msg("%s", rd_kafka_event_error_string(admin->event));
    }
    return admin->event;
}

static rd_kafka_resp_err_t only_topic(const rd_kafka_topic_result_t **topics, size_t count,
                                      const char *name)
{
    assert_int_equal(count, 1);
    assert_string_equal(rd_kafka_topic_result_name(topics[0]), name);
    return rd_kafka_topic_result_error(topics[0]);
}

static rd_kafka_resp_err_t create_topic(struct admin *admin, const char *name, int partitions,
                                        const char *config, bool validate_only)
{
    char error[ERROR_SIZE];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, error, sizeof(error));
    assert_non_null(topic);
    if (config != NULL) {
        assert_int_equal(rd_kafka_NewTopic_set_config(topic, config, "60000"), 0);
    }
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(admin->client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    assert_int_equal(
        rd_kafka_AdminOptions_set_validate_only(options, validate_only, error, sizeof(error)), 0);
    rd_kafka_CreateTopics(admin->client, &topic, 1, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    size_t count;
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(answer(admin, RD_KAFKA_EVENT_CREATETOPICS_RESULT)),
        &count);
    return only_topic(topics, count, name);
}

static rd_kafka_resp_err_t delete_topic(struct admin *admin, const char *name)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(admin->client, &topic, 1, NULL, admin->queue);
    rd_kafka_DeleteTopic_destroy(topic);
    size_t count;
    const rd_kafka_topic_result_t **topics = rd_kafka_DeleteTopics_result_topics(
        rd_kafka_event_DeleteTopics_result(answer(admin, RD_KAFKA_EVENT_DELETETOPICS_RESULT)),
        &count);
    return only_topic(topics, count, name);
}

static rd_kafka_resp_err_t grow_topic(struct admin *admin, const char *name, size_t partitions)
{
    char error[ERROR_SIZE];
    rd_kafka_NewPartitions_t *grown =
        rd_kafka_NewPartitions_new(name, partitions, error, sizeof(error));
    assert_non_null(grown);
    rd_kafka_CreatePartitions(admin->client, &grown, 1, NULL, admin->queue);
    rd_kafka_NewPartitions_destroy(grown);
    size_t count;
    const rd_kafka_topic_result_t **topics =
        rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(answer(
                                                    admin, RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT)),
                                                &count);
    return only_topic(topics, count, name);
}

/* -1: no such topic. */
static int partitions_count(struct admin *admin, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(admin->client, name, NULL);
    assert_int_equal(rd_kafka_metadata(admin->client, 0, topic, &metadata, WAIT_MS), 0);
    assert_int_equal(metadata->topic_cnt, 1);
    int count = metadata->topics[0].err ? -1 : metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

/* A list of the topic's partitions from 0 on, with the offsets. */
static rd_kafka_topic_partition_list_t *make_list(const char *topic, const int64_t *offsets,
                                                  int count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = offsets[i];
    }
    return list;
}

static const rd_kafka_topic_partition_list_t *only_group(const rd_kafka_group_result_t **groups,
                                                         size_t count, const char *name)
{
    assert_int_equal(count, 1);
    assert_string_equal(rd_kafka_group_result_name(groups[0]), name);
    assert_no_error(rd_kafka_group_result_error(groups[0]));
    return rd_kafka_group_result_partitions(groups[0]);
}

static void alter_offsets(struct admin *admin, const char *topic, const int64_t *offsets, int count)
{
    rd_kafka_topic_partition_list_t *list = make_list(topic, offsets, count);
    rd_kafka_AlterConsumerGroupOffsets_t *alter =
        rd_kafka_AlterConsumerGroupOffsets_new(admin->group, list);
    rd_kafka_AlterConsumerGroupOffsets(admin->client, &alter, 1, NULL, admin->queue);
    rd_kafka_AlterConsumerGroupOffsets_destroy(alter);
    rd_kafka_topic_partition_list_destroy(list);
    size_t groups_count;
    const rd_kafka_group_result_t **groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(
            answer(admin, RD_KAFKA_EVENT_ALTERCONSUMERGROUPOFFSETS_RESULT)),
        &groups_count);
    const rd_kafka_topic_partition_list_t *found = only_group(groups, groups_count, admin->group);
    assert_int_equal(found->cnt, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(found->elems[i].err, 0);
    }
}

/* The committed offset of each partition of the topic, RD_KAFKA_OFFSET_INVALID where none is. */
static void assert_offsets(struct admin *admin, const char *topic, const int64_t *offsets,
                           int count)
{
    rd_kafka_topic_partition_list_t *list = make_list(topic, offsets, count);
    rd_kafka_ListConsumerGroupOffsets_t *asked =
        rd_kafka_ListConsumerGroupOffsets_new(admin->group, list);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(admin->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    assert_no_error(rd_kafka_AdminOptions_set_require_stable_offsets(options, 1));
    rd_kafka_ListConsumerGroupOffsets(admin->client, &asked, 1, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    size_t groups_count;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(
            answer(admin, RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT)),
        &groups_count);
    const rd_kafka_topic_partition_list_t *found = only_group(groups, groups_count, admin->group);
    assert_int_equal(found->cnt, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(found->elems[i].err, 0);
        assert_int_equal(found->elems[i].partition, i);
        assert_int_equal(found->elems[i].offset, offsets[i]);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Of partition 0 of the topic; an error of the whole group is given as well. */
static rd_kafka_resp_err_t delete_offset(struct admin *admin, const char *topic)
{
    const int64_t offset = 0;
    rd_kafka_topic_partition_list_t *list = make_list(topic, &offset, 1);
    rd_kafka_DeleteConsumerGroupOffsets_t *asked =
        rd_kafka_DeleteConsumerGroupOffsets_new(admin->group, list);
    rd_kafka_DeleteConsumerGroupOffsets(admin->client, &asked, 1, NULL, admin->queue);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(asked);
    rd_kafka_topic_partition_list_destroy(list);
    wait_answer(admin, RD_KAFKA_EVENT_DELETECONSUMERGROUPOFFSETS_RESULT);
    if (rd_kafka_event_error(admin->event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return rd_kafka_event_error(admin->event);
    }
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_DeleteConsumerGroupOffsets_result_groups(
        rd_kafka_event_DeleteConsumerGroupOffsets_result(admin->event), &count);
    assert_int_equal(count, 1);
    assert_string_equal(rd_kafka_group_result_name(groups[0]), admin->group);
    assert_no_error(rd_kafka_group_result_error(groups[0]));
    const rd_kafka_topic_partition_list_t *found = rd_kafka_group_result_partitions(groups[0]);
    assert_int_equal(found->cnt, 1);
    return found->elems[0].err;
}

static rd_kafka_resp_err_t delete_group(struct admin *admin, const char *name)
{
    rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(name);
    rd_kafka_DeleteGroups(admin->client, &group, 1, NULL, admin->queue);
    rd_kafka_DeleteGroup_destroy(group);
    size_t count;
    const rd_kafka_group_result_t **groups = rd_kafka_DeleteGroups_result_groups(
        rd_kafka_event_DeleteGroups_result(answer(admin, RD_KAFKA_EVENT_DELETEGROUPS_RESULT)),
        &count);
    assert_int_equal(count, 1);
    assert_string_equal(rd_kafka_group_result_name(groups[0]), name);
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    return error == NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
}

/* Whether the group is listed among those of the state. */
static bool is_listed(struct admin *admin, rd_kafka_consumer_group_state_t state)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(admin->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    assert_no_error(rd_kafka_AdminOptions_set_match_consumer_group_states(options, &state, 1));
    rd_kafka_ListConsumerGroups(admin->client, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    const rd_kafka_ListConsumerGroups_result_t *result = rd_kafka_event_ListConsumerGroups_result(
        answer(admin, RD_KAFKA_EVENT_LISTCONSUMERGROUPS_RESULT));
    size_t count;
    (void)rd_kafka_ListConsumerGroups_result_errors(result, &count);
    assert_int_equal(count, 0);
    const rd_kafka_ConsumerGroupListing_t **groups =
        rd_kafka_ListConsumerGroups_result_valid(result, &count);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rd_kafka_ConsumerGroupListing_state(groups[i]), state);
        found |= strcmp(rd_kafka_ConsumerGroupListing_group_id(groups[i]), admin->group) == 0;
    }
    return found;
}

/* The group's description, there until the next call. */
static const rd_kafka_ConsumerGroupDescription_t *describe_group(struct admin *admin)
{
    const char *name = admin->group;
    rd_kafka_DescribeConsumerGroups(admin->client, &name, 1, NULL, admin->queue);
    size_t count;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(
                answer(admin, RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT)),
            &count);
    assert_int_equal(count, 1);
    assert_string_equal(rd_kafka_ConsumerGroupDescription_group_id(groups[0]), name);
    assert_no_error(rd_kafka_ConsumerGroupDescription_error(groups[0]));
    return groups[0];
}

/* A member that has all partitions of the topic. */
static rd_kafka_t *make_member(struct admin *admin)
{
    const struct setting settings[] = {{"group.id", admin->group},
                                       {"group.instance.id", "instance"},
                                       {"client.id", "member"},
                                       {"enable.auto.commit", "false"},
                                       {NULL, NULL}};
    rd_kafka_t *member = make_client(RD_KAFKA_CONSUMER, make_conf(settings));
    (void)rd_kafka_poll_set_consumer(member);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, admin->topic, RD_KAFKA_PARTITION_UA);
    assert_int_equal(rd_kafka_subscribe(member, topics), 0);
    rd_kafka_topic_partition_list_destroy(topics);
    time_t deadline = time(NULL) + WAIT_MS / 1000;
    for (int assigned = 0; assigned == 0;) {
        assert_true(time(NULL) < deadline);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(member, 100);
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
        assert_int_equal(rd_kafka_assignment(member, &topics), 0);
        assigned = topics->cnt;
        rd_kafka_topic_partition_list_destroy(topics);
    }
    return member;
}

static void close_member(rd_kafka_t *member)
{
    assert_int_equal(rd_kafka_consumer_close(member), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(member);
}

/* NULL: no such entry. */
static const rd_kafka_ConfigEntry_t *find_entry(const rd_kafka_ConfigResource_t *resource,
                                                const char *name)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0) {
            return entries[i];
        }
    }
    return NULL;
}

/* There until the next call. */
static const rd_kafka_ConfigResource_t *
describe_config(struct admin *admin, rd_kafka_ResourceType_t type, const char *name)
{
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(type, name);
    rd_kafka_DescribeConfigs(admin->client, &asked, 1, NULL, admin->queue);
    rd_kafka_ConfigResource_destroy(asked);
    size_t count;
    const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(answer(admin, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT)),
        &count);
    assert_int_equal(count, 1);
    return found[0];
}

static int set_up(void **state)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    assert_non_null(admin);
    admin->client = make_client(RD_KAFKA_PRODUCER, make_conf(NULL));
    admin->queue = rd_kafka_queue_new(admin->client);
    make_name(admin->topic, "topic");
    make_name(admin->group, "group");
    assert_int_equal(create_topic(admin, admin->topic, PARTITIONS_COUNT, "retention.ms", false), 0);
    *state = admin;
    return 0;
}

static int tear_down(void **state)
{
    struct admin *admin = *state;
    if (admin->event != NULL) {
        rd_kafka_event_destroy(admin->event);
    }
    rd_kafka_queue_destroy(admin->queue);
    rd_kafka_destroy(admin->client);
    free(admin);
    return 0;
}

static void topics_are_created_grown_and_deleted(void **state)
{
    struct admin *admin = *state;
    char other[NAME_SIZE];
    make_name(other, "validated");
    assert_int_equal(partitions_count(admin, admin->topic), PARTITIONS_COUNT);
    assert_int_equal(create_topic(admin, admin->topic, 1, NULL, false),
                     RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
    assert_int_equal(create_topic(admin, "bad name", 1, NULL, false),
                     RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION);
    assert_int_equal(create_topic(admin, other, 1, NULL, true), 0);
    assert_int_equal(delete_topic(admin, other), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);

    assert_int_equal(grow_topic(admin, admin->topic, GROWN_COUNT), 0);
    assert_int_equal(partitions_count(admin, admin->topic), GROWN_COUNT);
    assert_int_equal(grow_topic(admin, admin->topic, PARTITIONS_COUNT),
                     RD_KAFKA_RESP_ERR_INVALID_PARTITIONS);
    assert_int_equal(grow_topic(admin, other, GROWN_COUNT),
                     RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);

    assert_int_equal(delete_topic(admin, admin->topic), 0);
    assert_int_equal(delete_topic(admin, admin->topic), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

static void configs_are_described(void **state)
{
    struct admin *admin = *state;
    const rd_kafka_ConfigResource_t *found =
        describe_config(admin, RD_KAFKA_RESOURCE_TOPIC, admin->topic);
    assert_int_equal(rd_kafka_ConfigResource_error(found), 0);
    const rd_kafka_ConfigEntry_t *entry = find_entry(found, "retention.ms");
    assert_non_null(entry);
    assert_string_equal(rd_kafka_ConfigEntry_value(entry), "60000");
    assert_int_equal(rd_kafka_ConfigEntry_is_default(entry), 0);
    assert_int_equal(rd_kafka_ConfigEntry_source(entry),
                     RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG);

    found = describe_config(admin, RD_KAFKA_RESOURCE_BROKER, "1");
    assert_int_equal(rd_kafka_ConfigResource_error(found), 0);
    entry = find_entry(found, "num.partitions");
    assert_non_null(entry);
    assert_string_equal(rd_kafka_ConfigEntry_value(entry), "4"); /* see CMakeLists.txt */

    found = describe_config(admin, RD_KAFKA_RESOURCE_TOPIC, "nobody-made-it");
    assert_int_equal(rd_kafka_ConfigResource_error(found), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
}

static void offsets_are_altered_listed_and_deleted(void **state)
{
    struct admin *admin = *state;
    const int64_t offsets[PARTITIONS_COUNT] = {5, 6, 7};
    const int64_t without_first[PARTITIONS_COUNT] = {RD_KAFKA_OFFSET_INVALID, 6, 7};
    alter_offsets(admin, admin->topic, offsets, PARTITIONS_COUNT);
    assert_offsets(admin, admin->topic, offsets, PARTITIONS_COUNT);
    assert_int_equal(delete_offset(admin, admin->topic), 0);
    assert_offsets(admin, admin->topic, without_first, PARTITIONS_COUNT);
    assert_int_equal(delete_offset(admin, "nobody-made-it"),
                     RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    assert_int_equal(delete_group(admin, admin->group), 0);
    assert_int_equal(delete_group(admin, admin->group), RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(delete_offset(admin, admin->topic), RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND);
}

static void groups_with_members_are_listed_and_described_and_stay(void **state)
{
    struct admin *admin = *state;
    const int64_t offset = 1;
    rd_kafka_t *member = make_member(admin);
    assert_true(is_listed(admin, RD_KAFKA_CONSUMER_GROUP_STATE_STABLE));
    assert_false(is_listed(admin, RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY));

    const rd_kafka_ConsumerGroupDescription_t *group = describe_group(admin);
    assert_int_equal(rd_kafka_ConsumerGroupDescription_state(group),
                     RD_KAFKA_CONSUMER_GROUP_STATE_STABLE);
    assert_string_equal(rd_kafka_ConsumerGroupDescription_partition_assignor(group), "range");
    assert_non_null(rd_kafka_ConsumerGroupDescription_coordinator(group));
    assert_int_equal(rd_kafka_ConsumerGroupDescription_member_count(group), 1);
    const rd_kafka_MemberDescription_t *one = rd_kafka_ConsumerGroupDescription_member(group, 0);
    assert_string_equal(rd_kafka_MemberDescription_client_id(one), "member");
    assert_string_equal(rd_kafka_MemberDescription_group_instance_id(one), "instance");
    assert_non_null(strstr(rd_kafka_MemberDescription_host(one), "127.0.0.1"));
    const rd_kafka_topic_partition_list_t *assigned =
        rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(one));
    assert_int_equal(assigned->cnt, PARTITIONS_COUNT);
    assert_string_equal(assigned->elems[0].topic, admin->topic);

    assert_int_equal(delete_group(admin, admin->group), RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP);
    rd_kafka_topic_partition_list_t *list = make_list(admin->topic, &offset, 1);
    assert_int_equal(rd_kafka_commit(member, list, 0), 0);
    rd_kafka_topic_partition_list_destroy(list);
    assert_int_equal(delete_offset(admin, admin->topic),
                     RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC);
    assert_offsets(admin, admin->topic, &offset, 1);
    close_member(member);
}

static void a_group_nobody_made_is_dead(void **state)
{
    struct admin *admin = *state;
    const rd_kafka_ConsumerGroupDescription_t *group = describe_group(admin);
    assert_int_equal(rd_kafka_ConsumerGroupDescription_state(group),
                     RD_KAFKA_CONSUMER_GROUP_STATE_DEAD);
    assert_int_equal(rd_kafka_ConsumerGroupDescription_member_count(group), 0);
}

/* The client knows from ApiVersions that nobody would answer, and sends nothing. */
static void what_is_not_advertised_fails_at_once(void **state)
{
    struct admin *admin = *state;
    const int64_t offset = 1;
    rd_kafka_topic_partition_list_t *list = make_list(admin->topic, &offset, 1);
    rd_kafka_DeleteRecords_t *records = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(admin->client, &records, 1, NULL, admin->queue);
    rd_kafka_DeleteRecords_destroy(records);
    rd_kafka_topic_partition_list_destroy(list);
    wait_answer(admin, RD_KAFKA_EVENT_DELETERECORDS_RESULT);
    rd_kafka_resp_err_t error = rd_kafka_event_error(admin->event);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) { /* then it is the partition's */
        error =
            rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(admin->event))
                ->elems[0]
                .err;
    }
    assert_int_equal(error, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE);

    rd_kafka_ConfigResource_t *config =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, admin->topic);
    assert_int_equal(rd_kafka_ConfigResource_set_config(config, "retention.ms", "1"), 0);
    rd_kafka_AlterConfigs(admin->client, &config, 1, NULL, admin->queue);
    rd_kafka_ConfigResource_destroy(config);
    wait_answer(admin, RD_KAFKA_EVENT_ALTERCONFIGS_RESULT);
    assert_int_equal(rd_kafka_event_error(admin->event), RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(topics_are_created_grown_and_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(configs_are_described, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offsets_are_altered_listed_and_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_with_members_are_listed_and_described_and_stay,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_nobody_made_is_dead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_advertised_fails_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
