/* How the configuration of topics looks on the wire. */
#include "kafka-proto/handlers/config.h"

#include <inttypes.h>

enum { SHOWN_LENGTH_MAX = 64 }; /* of a peer's text in a message to it */

enum khandler_config_source khandler_config_source(const struct catalog_topic_config *config,
                                                   enum catalog_topic_config_key key)
{
    if (config->is_set[key]) {
        return KHANDLER_CONFIG_TOPIC;
    }
    return config->values[key] == catalog_config_row(key)->default_value
               ? KHANDLER_CONFIG_DEFAULT
               : KHANDLER_CONFIG_STATIC_BROKER;
}

enum khandler_config_type khandler_config_type(enum catalog_topic_config_key key)
{
    const struct catalog_config_row *row = catalog_config_row(key);

    switch (row->type) {
    case CATALOG_CONFIG_INT64:
        return row->most <= INT32_MAX ? KHANDLER_CONFIG_INT : KHANDLER_CONFIG_LONG;
    case CATALOG_CONFIG_BOOL:
        return KHANDLER_CONFIG_BOOLEAN;
    case CATALOG_CONFIG_CHOICE:
        return key == CATALOG_CONFIG_CLEANUP_POLICY ? KHANDLER_CONFIG_LIST : KHANDLER_CONFIG_STRING;
    }
    return KHANDLER_CONFIG_UNKNOWN;
}

struct base_slice khandler_config_text(struct base_arena *arena,
                                       const struct catalog_topic_config *config,
                                       enum catalog_topic_config_key key)
{
    char text[CATALOG_CONFIG_TEXT_SIZE];

    catalog_config_format(config, key, text);
    return base_slice_text(base_arena_strndup(arena, text, strlen(text)));
}

static int shown_length(struct base_slice text)
{
    return (int)(text.length < SHOWN_LENGTH_MAX ? text.length : SHOWN_LENGTH_MAX);
}

/* What the row takes, for the message. */
static const char *allowed_text(struct base_arena *arena, const struct catalog_config_row *row)
{
    const char *text = NULL;

    switch (row->type) {
    case CATALOG_CONFIG_INT64:
        text = row->least == row->most
                   ? base_arena_printf(arena, "%" PRId64, row->least)
                   : base_arena_printf(arena, "a number from %" PRId64 " to %" PRId64, row->least,
                                       row->most);
        break;
    case CATALOG_CONFIG_BOOL:
        text = row->least == row->most ? (row->most == 0 ? "false" : "true") : "true or false";
        break;
    case CATALOG_CONFIG_CHOICE:
        text = base_arena_printf(arena, "one of: %s", row->words);
        break;
    }
    return text == NULL ? "another value" : text;
}

const char *khandler_config_set(struct base_arena *arena, struct catalog_topic_config *config,
                                struct base_slice name, struct base_slice value)
{
    enum catalog_topic_config_key key = CATALOG_CONFIG_COUNT;
    const char *text = NULL;

    if (!catalog_config_find(name, &key)) {
        text = base_arena_printf(arena, "This broker has no topic configuration '%.*s'.",
                                 shown_length(name), (const char *)name.data);
    } else if (catalog_config_set(config, key, value) == BASE_ERR_OK) {
        return NULL;
    } else if (value.data == NULL) {
        text = base_arena_printf(arena, "A value is missing for topic configuration %s.",
                                 catalog_config_row(key)->key);
    } else {
        text = base_arena_printf(
            arena, "Invalid value '%.*s' for topic configuration %s: must be %s.%s",
            shown_length(value), (const char *)value.data, catalog_config_row(key)->key,
            allowed_text(arena, catalog_config_row(key)),
            key == CATALOG_CONFIG_CLEANUP_POLICY ? " This broker does not compact logs." : "");
    }
    return text == NULL ? "invalid topic configuration" : text;
}
