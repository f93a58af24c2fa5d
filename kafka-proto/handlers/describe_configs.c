/* DescribeConfigs (key 32): configuration of topics and of this broker. Only keys that are
 * honoured are listed. */
#include "core/base/text.h"
#include "kafka-proto/handlers/config.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

enum resource_type { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

enum { SYNONYMS_MAX = 3 }; /* topic, broker, default */

/* Broker keys that topic keys fall back to. */
static const struct {
    enum catalog_topic_config_key key;
    const char *broker_key;
} broker_keys[] = {
    {CATALOG_CONFIG_MAX_MESSAGE_BYTES, "message.max.bytes"},
    {CATALOG_CONFIG_RETENTION_BYTES, "log.retention.bytes"},
    {CATALOG_CONFIG_RETENTION_MS, "log.retention.ms"},
    {CATALOG_CONFIG_SEGMENT_BYTES, "log.segment.bytes"},
    {CATALOG_CONFIG_SEGMENT_MS, "log.roll.ms"},
};

enum { BROKER_KEYS_COUNT = sizeof broker_keys / sizeof broker_keys[0] };

struct describing {
    struct khandler_request *request;
    const struct kproto_describe_configs_request *message;
    struct base_arena arena; /* of the answer */
};

/* No filter, also an empty one, means all keys. */
static bool is_wanted(const struct kproto_describe_configs_request_resource *asked,
                      struct base_slice key)
{
    for (uint32_t i = 0; i < asked->configuration_keys_count; i++) {
        if (base_slice_equal(asked->configuration_keys[i], key)) {
            return true;
        }
    }
    return asked->configuration_keys_count == 0;
}

static void fail_resource(struct kproto_describe_configs_response_resource *answer,
                          enum kproto_error error, const char *message)
{
    answer->error_code = (int16_t)error;
    answer->error_message =
        base_slice_text(message == NULL ? kproto_error_text((int16_t)error) : message);
}

static struct base_slice broker_key_of(enum catalog_topic_config_key key)
{
    for (size_t i = 0; i < BROKER_KEYS_COUNT; i++) {
        if (broker_keys[i].key == key) {
            return base_slice_text(broker_keys[i].broker_key);
        }
    }
    return base_slice_text(catalog_config_row(key)->key);
}

static void add_synonym(struct kproto_describe_configs_response_config *config,
                        struct base_slice name, struct base_slice value,
                        enum khandler_config_source source)
{
    struct kproto_describe_configs_response_synonym *synonym =
        &config->synonyms[config->synonyms_count++];
    synonym->name = name;
    synonym->value = value;
    synonym->source = (int8_t)source;
}

/* All places that have a value for the key, the one in effect first. False: no memory. */
static bool fill_topic_synonyms(struct describing *describing,
                                const struct catalog_topic_config *effective,
                                enum catalog_topic_config_key key,
                                struct kproto_describe_configs_response_config *config)
{
    const struct catalog_topic_config *broker = describing->request->broker->topic_defaults;
    struct catalog_topic_config defaults;

    config->synonyms =
        kproto_array_create(&describing->arena, describe_configs_response_synonym, SYNONYMS_MAX);
    if (config->synonyms == NULL) {
        return false;
    }
    catalog_config_default(&defaults);
    if (effective->is_set[key]) {
        add_synonym(config, config->name, config->value, KHANDLER_CONFIG_TOPIC);
    }
    if (broker->values[key] != defaults.values[key]) {
        add_synonym(config, broker_key_of(key),
                    khandler_config_text(&describing->arena, broker, key),
                    KHANDLER_CONFIG_STATIC_BROKER);
    }
    add_synonym(config, broker_key_of(key),
                khandler_config_text(&describing->arena, &defaults, key), KHANDLER_CONFIG_DEFAULT);
    return true;
}

/* False: no memory. */
static bool fill_topic_configs(struct describing *describing,
                               const struct kproto_describe_configs_request_resource *asked,
                               const struct catalog_topic *topic,
                               struct kproto_describe_configs_response_resource *answer)
{
    const struct catalog_topic_config *effective = &topic->config;

    answer->configs = kproto_array_create(&describing->arena, describe_configs_response_config,
                                          CATALOG_CONFIG_COUNT);
    if (answer->configs == NULL) {
        return false;
    }
    for (unsigned i = 0; i < CATALOG_CONFIG_COUNT; i++) {
        enum catalog_topic_config_key key = (enum catalog_topic_config_key)i;
        struct base_slice name = base_slice_text(catalog_config_row(key)->key);
        bool has_key = key != CATALOG_CONFIG_QUEUE_MODE || catalog_kind_is_kafka(topic->kind);
        if (!has_key || !is_wanted(asked, name)) {
            continue;
        }
        struct kproto_describe_configs_response_config *config =
            &answer->configs[answer->configs_count++];
        config->name = name;
        config->value = khandler_config_text(&describing->arena, effective, key);
        config->config_source = (int8_t)khandler_config_source(effective, key);
        config->config_type = (int8_t)khandler_config_type(key);
        if (describing->message->include_synonyms &&
            !fill_topic_synonyms(describing, effective, key, config)) {
            return false;
        }
    }
    return true;
}

/* False: no memory. */
static bool describe_topic(struct describing *describing,
                           const struct kproto_describe_configs_request_resource *asked,
                           struct kproto_describe_configs_response_resource *answer)
{
    struct khandler_request *request = describing->request;
    struct base_slice name = asked->resource_name;

    if (!khandler_topic_allows(request, SECURITY_DESCRIBE_CONFIGS, name)) {
        fail_resource(answer, KPROTO_ERROR_TOPIC_AUTHORIZATION_FAILED, NULL);
        return true;
    }
    if (!catalog_topic_name_is_valid(name)) {
        fail_resource(answer, KPROTO_ERROR_INVALID_TOPIC_EXCEPTION, NULL);
        return true;
    }
    const struct catalog_topic *topic = catalog_view_topic(khandler_view(request), name);
    if (topic == NULL) {
        fail_resource(answer, KPROTO_ERROR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
        return true;
    }
    return fill_topic_configs(describing, asked, topic, answer);
}

/* The broker's keys are read from its file at start, so they are read-only. */
static bool fill_broker_configs(struct describing *describing,
                                const struct kproto_describe_configs_request_resource *asked,
                                struct kproto_describe_configs_response_resource *answer)
{
    const struct khandler_broker_config *rows = describing->request->broker->broker_config;
    uint32_t count = 0;

    while (rows != NULL && rows[count].key != NULL) {
        count++;
    }
    answer->configs =
        kproto_array_create(&describing->arena, describe_configs_response_config, count);
    if (answer->configs == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_wanted(asked, base_slice_text(rows[i].key))) {
            continue;
        }
        enum khandler_config_source source =
            rows[i].is_default ? KHANDLER_CONFIG_DEFAULT : KHANDLER_CONFIG_STATIC_BROKER;
        struct kproto_describe_configs_response_config *config =
            &answer->configs[answer->configs_count++];
        config->name = base_slice_text(rows[i].key);
        config->value = base_slice_text(rows[i].value);
        config->read_only = true;
        config->config_source = (int8_t)source;
        if (describing->message->include_synonyms) {
            config->synonyms =
                kproto_array_create(&describing->arena, describe_configs_response_synonym, 1);
            if (config->synonyms == NULL) {
                return false;
            }
            add_synonym(config, config->name, config->value, source);
        }
    }
    return true;
}

/* False: no memory. */
static bool describe_broker(struct describing *describing,
                            const struct kproto_describe_configs_request_resource *asked,
                            struct kproto_describe_configs_response_resource *answer)
{
    struct khandler_request *request = describing->request;
    int64_t node_id = 0;

    if (!security_authorize(request->principal, SECURITY_DESCRIBE_CONFIGS, security_cluster())) {
        fail_resource(answer, KPROTO_ERROR_CLUSTER_AUTHORIZATION_FAILED, NULL);
        return true;
    }
    if (asked->resource_name.length > 0 &&
        (!base_text_int64(asked->resource_name, &node_id) || node_id != request->broker->node_id)) {
        fail_resource(answer, KPROTO_ERROR_INVALID_REQUEST,
                      "The name of a broker is its node id, or empty.");
        return true;
    }
    return fill_broker_configs(describing, asked, answer);
}

/* False: no memory. */
static bool describe_resource(struct describing *describing,
                              const struct kproto_describe_configs_request_resource *asked,
                              struct kproto_describe_configs_response_resource *answer)
{
    answer->resource_type = asked->resource_type;
    answer->resource_name = asked->resource_name;
    switch (asked->resource_type) {
    case RESOURCE_TOPIC:
        return describe_topic(describing, asked, answer);
    case RESOURCE_BROKER:
        return describe_broker(describing, asked, answer);
    default:
        fail_resource(answer, KPROTO_ERROR_INVALID_REQUEST,
                      "Only topics and brokers have a configuration here.");
        return true;
    }
}

void khandler_describe_configs(struct khandler_request *request)
{
    struct describing describing = {.request = request, .message = request->message};
    struct kproto_describe_configs_response response;
    uint32_t count = describing.message->resources_count;

    kproto_init(request->api->response->schema, &response);
    base_arena_init(&describing.arena, KHANDLER_TOPIC_ANSWER_BYTES_MAX);
    response.results =
        kproto_array_create(&describing.arena, describe_configs_response_resource, count);
    bool described = response.results != NULL;
    for (uint32_t i = 0; described && i < count; i++) {
        response.results_count++;
        described =
            describe_resource(&describing, &describing.message->resources[i], &response.results[i]);
    }
    if (described) {
        khandler_encode(request, &response);
    }
    base_arena_fini(&describing.arena);
    if (described) {
        khandler_end(request);
    } else {
        khandler_refuse(request, "configurations need too much memory");
    }
}
