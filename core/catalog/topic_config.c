/* Topic configuration: parse, check and print by the table in the header. */
#include "core/catalog/topic_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/text.h"

#define CONFIG_ROW(name, key, type, value, least, most, words) \
    {key, CATALOG_CONFIG_##type, value, least, most, words},
static const struct catalog_config_row rows[CATALOG_CONFIG_COUNT] = {
    CATALOG_TOPIC_CONFIG_LIST(CONFIG_ROW)};
#undef CONFIG_ROW

const struct catalog_config_row *catalog_config_row(enum catalog_topic_config_key key)
{
    BASE_ASSERT(key < CATALOG_CONFIG_COUNT);
    return &rows[key];
}

bool catalog_config_find(struct base_slice key, enum catalog_topic_config_key *out)
{
    for (unsigned i = 0; i < CATALOG_CONFIG_COUNT; i++) {
        if (base_slice_is(key, rows[i].key)) {
            *out = (enum catalog_topic_config_key)i;
            return true;
        }
    }
    return false;
}

void catalog_config_default(struct catalog_topic_config *config)
{
    *config = (struct catalog_topic_config){0};
    for (unsigned i = 0; i < CATALOG_CONFIG_COUNT; i++) {
        config->values[i] = rows[i].default_value;
    }
}

/* Index of word in the comma-separated words; -1 when it is none of them. */
static int64_t find_word(const char *words, struct base_slice word)
{
    for (int64_t index = 0;; index++) {
        size_t length = strcspn(words, ",");
        if (base_slice_equal(word, base_slice_of(words, length))) {
            return index;
        }
        if (words[length] == '\0') {
            return -1;
        }
        words += length + 1;
    }
}

static bool parse_value(const struct catalog_config_row *row, struct base_slice text, int64_t *out)
{
    switch (row->type) {
    case CATALOG_CONFIG_INT64:
        return base_text_int64(text, out) && *out >= row->least && *out <= row->most;
    case CATALOG_CONFIG_BOOL:
        *out = base_slice_is(text, "true") ? 1 : 0;
        return (*out == 1 || base_slice_is(text, "false")) && *out >= row->least &&
               *out <= row->most;
    case CATALOG_CONFIG_CHOICE:
        *out = find_word(row->words, text);
        return *out >= 0;
    }
    return false;
}

enum base_err catalog_config_set(struct catalog_topic_config *config,
                                 enum catalog_topic_config_key key, struct base_slice value)
{
    int64_t parsed = 0;
    if (value.data == NULL || !parse_value(catalog_config_row(key), value, &parsed)) {
        return BASE_ERR_INVALID;
    }
    config->values[key] = parsed;
    config->is_set[key] = true;
    return BASE_ERR_OK;
}

void catalog_config_unset(struct catalog_topic_config *config, enum catalog_topic_config_key key,
                          const struct catalog_topic_config *defaults)
{
    config->values[key] = defaults->values[key];
    config->is_set[key] = false;
}

void catalog_config_format(const struct catalog_topic_config *config,
                           enum catalog_topic_config_key key, char text[CATALOG_CONFIG_TEXT_SIZE])
{
    const struct catalog_config_row *row = catalog_config_row(key);
    int64_t value = config->values[key];

    switch (row->type) {
    case CATALOG_CONFIG_INT64:
        (void)snprintf(text, CATALOG_CONFIG_TEXT_SIZE, "%" PRId64, value);
        return;
    case CATALOG_CONFIG_BOOL:
        (void)snprintf(text, CATALOG_CONFIG_TEXT_SIZE, "%s", value != 0 ? "true" : "false");
        return;
    case CATALOG_CONFIG_CHOICE: {
        const char *word = row->words;
        for (int64_t i = 0; i < value; i++) {
            word += strcspn(word, ",") + 1;
        }
        (void)snprintf(text, CATALOG_CONFIG_TEXT_SIZE, "%.*s", (int)strcspn(word, ","), word);
        return;
    }
    }
}
