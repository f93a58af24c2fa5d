/* The rows themselves: what the interpreters take for granted about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kafka-proto/api.h"
#include "kafka-proto/decode.h"

typedef void visit_schema(const struct kproto_message *message, const struct kproto_schema *schema);

static void walk(const struct kproto_message *message, const struct kproto_schema *schema,
                 visit_schema *visit)
{
    visit(message, schema);
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        if (schema->fields[i].inner != NULL) {
            walk(message, schema->fields[i].inner, visit);
        }
    }
}

static void walk_all(visit_schema *visit)
{
    for (int16_t key = 0; key < KPROTO_KEY_LIMIT; key++) {
        const struct kproto_api *api = kproto_api_find(key);
        if (api != NULL) {
            walk(api->request, api->request->schema, visit);
            walk(api->response, api->response->schema, visit);
        }
    }
}

static void check_versions(const struct kproto_message *message, const struct kproto_schema *schema)
{
    assert_true(schema->fields_count > 0);
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        assert_true(field->since >= 0);
        assert_true(field->since <= field->until);
        /* Some version of the message has the field. */
        assert_true(field->since <= message->version_max);
        assert_true(field->until >= message->version_min);
        assert_true(field->until == KPROTO_VERSION_LATEST || field->until < message->version_max);
        assert_true(field->nullable_since >= field->since);
        assert_true(field->nullable_since == KPROTO_VERSION_NEVER ||
                    field->nullable_since <= field->until);
    }
}

static void every_row_lies_in_the_range_of_its_message(void **state)
{
    (void)state;
    walk_all(check_versions);
}

static void check_nullable(const struct kproto_message *message, const struct kproto_schema *schema)
{
    (void)message;
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        bool may_be_null = field->is_array || field->type == KPROTO_TYPE_STRING ||
                           field->type == KPROTO_TYPE_BYTES || field->type == KPROTO_TYPE_RECORDS ||
                           field->type == KPROTO_TYPE_OBJECT;
        assert_true(may_be_null || field->nullable_since == KPROTO_VERSION_NEVER);
        /* Only numbers have a default that a row can choose. */
        bool is_number = !field->is_array && field->type <= KPROTO_TYPE_INT64;
        assert_true(is_number || field->default_value == 0);
    }
}

static void only_what_can_be_null_is_nullable(void **state)
{
    (void)state;
    walk_all(check_nullable);
}

static void check_tags(const struct kproto_message *message, const struct kproto_schema *schema)
{
    bool tagged = false;
    int next_tag = 0;
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        assert_true(field->tag >= 0 || !tagged); /* tagged rows come last */
        if (field->tag >= 0) {
            tagged = true;
            assert_int_equal(field->tag, next_tag);
            next_tag++;
            assert_true(field->since >= message->flexible_since);
            assert_true(field->type != KPROTO_TYPE_RECORDS); /* see encode_tagged() */
        }
    }
}

static void tags_are_dense_rising_and_flexible_only(void **state)
{
    (void)state;
    walk_all(check_tags);
}

static void check_members(const struct kproto_message *message, const struct kproto_schema *schema)
{
    (void)message;
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        assert_int_equal(field->inner != NULL, field->type == KPROTO_TYPE_OBJECT);
        assert_true(field->type < KPROTO_TYPE_COUNT);
        assert_true(field->offset < schema->size);
        assert_true(field->count_offset < schema->size);
        assert_true(!field->is_array || field->count_offset > field->offset);
        for (uint16_t k = 0; k < i; k++) {
            assert_string_not_equal(field->name, schema->fields[k].name);
        }
    }
}

static void members_are_inside_their_struct(void **state)
{
    (void)state;
    walk_all(check_members);
}

/* Fewest wire bytes of a struct, reckoned here independently of schema.c. */
static size_t struct_size_min(const struct kproto_message *message,
                              const struct kproto_schema *schema, int16_t version)
{
    static const size_t sizes[KPROTO_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 8, 8, 16, 2, 4, 4, 0};
    bool flexible = version >= message->flexible_since;
    size_t size = flexible ? 1 : 0;

    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        if (version < field->since || version > field->until || field->tag >= 0) {
            continue;
        }
        if (field->is_array || field->type >= KPROTO_TYPE_STRING) {
            size_t classic = field->type == KPROTO_TYPE_STRING && !field->is_array ? 2 : 4;
            size += flexible || field->type == KPROTO_TYPE_OBJECT ? 1 : classic;
        } else {
            size += sizes[field->type];
        }
    }
    return size;
}

static void check_elements(const struct kproto_message *message, const struct kproto_schema *schema)
{
    for (int16_t version = message->version_min; version <= message->version_max; version++) {
        for (uint16_t i = 0; i < schema->fields_count; i++) {
            const struct kproto_field *field = &schema->fields[i];
            if (field->is_array && field->type == KPROTO_TYPE_OBJECT && version >= field->since &&
                version <= field->until) {
                assert_true(struct_size_min(message, field->inner, version) > 0);
            }
        }
    }
}

static void array_elements_take_at_least_one_byte(void **state)
{
    (void)state;
    walk_all(check_elements);
}

static void apis_agree_with_their_messages(void **state)
{
    (void)state;
    int count = 0;
    for (int16_t key = 0; key < KPROTO_KEY_LIMIT; key++) {
        const struct kproto_api *api = kproto_api_find(key);
        if (api == NULL) {
            continue;
        }
        count++;
        assert_int_equal(api->key, key);
        assert_true(api->version_min <= api->version_max);
        const struct kproto_message *messages[] = {api->request, api->response};
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(messages[i]->api_key, key);
            assert_int_equal(messages[i]->version_min, api->version_min);
            assert_int_equal(messages[i]->version_max, api->version_max);
            assert_int_equal(messages[i]->flexible_since, api->flexible_since);
        }
    }
    assert_true(count >= 29);
    assert_int_equal(KPROTO_KEY_produce, 0);
    assert_string_equal(kproto_api_find(KPROTO_KEY_describe_topic_partitions)->name,
                        "DescribeTopicPartitions");
}

static void keys_without_a_row_are_not_found(void **state)
{
    (void)state;
    assert_null(kproto_api_find(-1));
    assert_null(kproto_api_find(INT16_MIN));
    assert_null(kproto_api_find(4)); /* LeaderAndIsr */
    assert_null(kproto_api_find(KPROTO_KEY_LIMIT - 1));
    assert_null(kproto_api_find(KPROTO_KEY_LIMIT));
    assert_null(kproto_api_find(INT16_MAX));
}

static void header_versions_follow_the_api(void **state)
{
    (void)state;
    const struct kproto_api *produce = kproto_api_find(KPROTO_KEY_produce);
    assert_int_equal(kproto_api_request_header_version(produce, 8), 1);
    assert_int_equal(kproto_api_request_header_version(produce, 9), 2);
    assert_int_equal(kproto_api_response_header_version(produce, 8), 0);
    assert_int_equal(kproto_api_response_header_version(produce, 9), 1);

    const struct kproto_api *api_versions = kproto_api_find(KPROTO_KEY_api_versions);
    assert_int_equal(kproto_api_request_header_version(api_versions, 3), 2);
    assert_int_equal(kproto_api_response_header_version(api_versions, 3), 0);

    const struct kproto_api *handshake = kproto_api_find(KPROTO_KEY_sasl_handshake);
    assert_int_equal(kproto_api_request_header_version(handshake, 1), 1);
    assert_int_equal(kproto_api_response_header_version(handshake, 1), 0);
}

static void init_sets_the_defaults_of_the_rows(void **state)
{
    (void)state;
    struct kproto_fetch_request fetch;
    memset(&fetch, 0xa5, sizeof fetch);
    kproto_init(&kproto_schema_fetch_request, &fetch);
    assert_int_equal(fetch.replica_id, -1);
    assert_int_equal(fetch.max_bytes, INT32_MAX);
    assert_int_equal(fetch.session_epoch, -1);
    assert_int_equal(fetch.min_bytes, 0);
    assert_null(fetch.topics);
    assert_int_equal(fetch.topics_count, 0);
    assert_non_null(fetch.rack_id.data); /* empty */
    assert_int_equal(fetch.rack_id.length, 0);
    assert_null(fetch.cluster_id.data); /* null */
    assert_null(fetch.replica_state);

    struct kproto_metadata_request metadata;
    kproto_init(&kproto_schema_metadata_request, &metadata);
    assert_true(metadata.allow_auto_topic_creation);
}

static void created_elements_have_defaults_and_empty_is_not_null(void **state)
{
    (void)state;
    struct base_arena arena;
    base_arena_init(&arena, 4096);
    struct kproto_produce_response_partition *partitions =
        kproto_array_create(&arena, produce_response_partition, 3);
    assert_non_null(partitions);
    assert_int_equal(partitions[2].log_append_time_ms, -1);
    assert_int_equal(partitions[2].log_start_offset, -1);
    assert_null(partitions[2].current_leader);
    assert_non_null(kproto_array_create(&arena, produce_response_partition, 0));
    assert_null(kproto_array_create(&arena, produce_response_partition, 1000000));
    base_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_lies_in_the_range_of_its_message),
        cmocka_unit_test(only_what_can_be_null_is_nullable),
        cmocka_unit_test(tags_are_dense_rising_and_flexible_only),
        cmocka_unit_test(members_are_inside_their_struct),
        cmocka_unit_test(array_elements_take_at_least_one_byte),
        cmocka_unit_test(apis_agree_with_their_messages),
        cmocka_unit_test(keys_without_a_row_are_not_found),
        cmocka_unit_test(header_versions_follow_the_api),
        cmocka_unit_test(init_sets_the_defaults_of_the_rows),
        cmocka_unit_test(created_elements_have_defaults_and_empty_is_not_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
