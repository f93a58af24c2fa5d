/* Topic configuration: keys, ranges and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/catalog/topic_config.h"

static struct base_slice text(const char *value)
{
    return base_slice_text(value);
}

static void every_key_is_found_by_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CATALOG_CONFIG_COUNT; i++) {
        enum catalog_topic_config_key key = CATALOG_CONFIG_COUNT;
        const char *name = catalog_config_row((enum catalog_topic_config_key)i)->key;
        assert_true(catalog_config_find(text(name), &key));
        assert_int_equal(key, i);
    }
}

static void unknown_key_is_not_found(void **state)
{
    enum catalog_topic_config_key key;
    (void)state;
    assert_false(catalog_config_find(text("retention.mss"), &key));
    assert_false(catalog_config_find(text(""), &key));
}

static void every_default_prints_and_parses_back(void **state)
{
    struct catalog_topic_config config;
    (void)state;
    catalog_config_default(&config);
    for (unsigned i = 0; i < CATALOG_CONFIG_COUNT; i++) {
        enum catalog_topic_config_key key = (enum catalog_topic_config_key)i;
        char printed[CATALOG_CONFIG_TEXT_SIZE];
        int64_t before = config.values[key];
        catalog_config_format(&config, key, printed);
        assert_int_equal(catalog_config_set(&config, key, text(printed)), BASE_ERR_OK);
        assert_int_equal(config.values[key], before);
        assert_true(config.is_set[key]);
    }
}

static void values_outside_their_range_are_refused(void **state)
{
    static const struct {
        enum catalog_topic_config_key key;
        const char *value;
        enum base_err err;
    } rows[] = {
        {CATALOG_CONFIG_RETENTION_MS, "-1", BASE_ERR_OK},
        {CATALOG_CONFIG_RETENTION_MS, "-2", BASE_ERR_INVALID},
        {CATALOG_CONFIG_RETENTION_MS, "9223372036854775807", BASE_ERR_OK},
        {CATALOG_CONFIG_RETENTION_MS, "9223372036854775808", BASE_ERR_INVALID},
        {CATALOG_CONFIG_RETENTION_MS, "1.5", BASE_ERR_INVALID},
        {CATALOG_CONFIG_RETENTION_MS, "", BASE_ERR_INVALID},
        {CATALOG_CONFIG_RETENTION_MS, " 1", BASE_ERR_INVALID},
        {CATALOG_CONFIG_CLEANUP_POLICY, "delete", BASE_ERR_OK},
        {CATALOG_CONFIG_CLEANUP_POLICY, "compact", BASE_ERR_INVALID},
        {CATALOG_CONFIG_CLEANUP_POLICY, "delete,compact", BASE_ERR_INVALID},
        {CATALOG_CONFIG_UNCLEAN_LEADER_ELECTION, "true", BASE_ERR_INVALID},
        {CATALOG_CONFIG_UNCLEAN_LEADER_ELECTION, "false", BASE_ERR_OK},
        {CATALOG_CONFIG_QUEUE_MODE, "KAFKA_HT", BASE_ERR_OK},
        {CATALOG_CONFIG_QUEUE_MODE, "KAFKA_H", BASE_ERR_INVALID},
        {CATALOG_CONFIG_SEGMENT_BYTES, "16383", BASE_ERR_INVALID},
        {CATALOG_CONFIG_SEGMENT_BYTES, "16384", BASE_ERR_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct catalog_topic_config config;
        catalog_config_default(&config);
        assert_int_equal(catalog_config_set(&config, rows[i].key, text(rows[i].value)),
                         rows[i].err);
        assert_int_equal(config.is_set[rows[i].key], rows[i].err == BASE_ERR_OK);
    }
}

static void null_value_is_refused(void **state)
{
    struct catalog_topic_config config;
    (void)state;
    catalog_config_default(&config);
    assert_int_equal(
        catalog_config_set(&config, CATALOG_CONFIG_RETENTION_MS, base_slice_text(NULL)),
        BASE_ERR_INVALID);
}

static void unset_goes_back_to_the_brokers_default(void **state)
{
    struct catalog_topic_config defaults;
    (void)state;
    catalog_config_default(&defaults);
    defaults.values[CATALOG_CONFIG_RETENTION_MS] = 42;
    struct catalog_topic_config config = defaults;
    assert_int_equal(catalog_config_set(&config, CATALOG_CONFIG_RETENTION_MS, text("7")),
                     BASE_ERR_OK);
    catalog_config_unset(&config, CATALOG_CONFIG_RETENTION_MS, &defaults);
    assert_int_equal(config.values[CATALOG_CONFIG_RETENTION_MS], 42);
    assert_false(config.is_set[CATALOG_CONFIG_RETENTION_MS]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_found_by_its_name),
        cmocka_unit_test(unknown_key_is_not_found),
        cmocka_unit_test(every_default_prints_and_parses_back),
        cmocka_unit_test(values_outside_their_range_are_refused),
        cmocka_unit_test(null_value_is_refused),
        cmocka_unit_test(unset_goes_back_to_the_brokers_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
