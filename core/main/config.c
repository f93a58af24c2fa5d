/* Configuration from a file and from the command line. */
#include "core/main/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/text.h"

enum { LINE_SIZE_MAX = 4096, KEY_LENGTH_MAX = 63 };

enum value_type { TYPE_INT, TYPE_BOOL, TYPE_TEXT };

struct row {
    const char *key;
    enum value_type type;
    const char *default_text;
    int64_t least;
    int64_t most;
    const char *help;
};

#define CONFIG_ROW(name, key, type, value, least, most, help) \
    {key, TYPE_##type, value, least, most, help},
static const struct row rows[MAIN_CONFIG_COUNT] = {MAIN_CONFIG_LIST(CONFIG_ROW)};
#undef CONFIG_ROW

struct main_config {
    char *texts[MAIN_CONFIG_COUNT]; /* owned; NULL = default */
};

struct main_config *main_config_create(void)
{
    return base_alloc_object(struct main_config);
}

void main_config_close(struct main_config **config)
{
    for (unsigned i = 0; *config != NULL && i < MAIN_CONFIG_COUNT; i++) {
        base_free((*config)->texts[i]);
    }
    base_free(*config);
    *config = NULL;
}

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance, for the hint at what was meant. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[KEY_LENGTH_MAX + 2];
    size_t b_length = strlen(b);

    BASE_ASSERT(b_length <= KEY_LENGTH_MAX);
    for (unsigned j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

static const char *nearest_key(const char *key)
{
    unsigned best = 0;
    for (unsigned i = 1; i < MAIN_CONFIG_COUNT; i++) {
        if (distance(key, rows[i].key) < distance(key, rows[best].key)) {
            best = i;
        }
    }
    return rows[best].key;
}

static bool find_row(const char *key, unsigned *out)
{
    for (unsigned i = 0; i < MAIN_CONFIG_COUNT; i++) {
        if (strcmp(rows[i].key, key) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool is_bool(const char *value)
{
    return strcasecmp(value, "true") == 0 || strcasecmp(value, "false") == 0;
}

enum base_err main_config_set(struct main_config *config, const char *key, const char *value,
                              char error[MAIN_CONFIG_ERROR_SIZE])
{
    unsigned i = 0;
    int64_t number = 0;

    if (!find_row(key, &i)) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE,
                       "unknown configuration key '%.128s'; did you mean '%s'?", key,
                       nearest_key(key));
        return BASE_ERR_INVALID;
    }
    const struct row *row = &rows[i];
    if (row->type == TYPE_INT &&
        !base_text_int64_between(base_slice_text(value), row->least, row->most, &number)) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE,
                       "%s=%.64s: must be a whole number from %" PRId64 " to %" PRId64, key, value,
                       row->least, row->most);
        return BASE_ERR_INVALID;
    }
    if (row->type == TYPE_BOOL && !is_bool(value)) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "%s=%.64s: must be true or false", key,
                       value);
        return BASE_ERR_INVALID;
    }
    char *copy = base_strdup(value);
    if (copy == NULL) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "out of memory");
        return BASE_ERR_NOMEM;
    }
    base_free(config->texts[i]);
    config->texts[i] = copy;
    return BASE_ERR_OK;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        text[--length] = '\0';
    }
    return text;
}

static enum base_err load_line(struct main_config *config, char *line,
                               char error[MAIN_CONFIG_ERROR_SIZE])
{
    char *text = trim(line);
    if (*text == '\0' || *text == '#' || *text == '!') {
        return BASE_ERR_OK;
    }
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "expected key=value");
        return BASE_ERR_INVALID;
    }
    *equals = '\0';
    return main_config_set(config, trim(text), trim(equals + 1), error);
}

enum base_err main_config_load(struct main_config *config, const char *path,
                               char error[MAIN_CONFIG_ERROR_SIZE])
{
    char line[LINE_SIZE_MAX];
    char cause[MAIN_CONFIG_ERROR_SIZE];
    enum base_err err = BASE_ERR_OK;

    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "%.256s: %s", path, strerror(errno));
        return BASE_ERR_IO;
    }
    for (unsigned number = 1; err == BASE_ERR_OK && fgets(line, sizeof line, file) != NULL;
         number++) {
        err = load_line(config, line, cause);
        if (err != BASE_ERR_OK) {
            (void)snprintf(error, MAIN_CONFIG_ERROR_SIZE, "%.128s line %u: %.360s", path, number,
                           cause);
        }
    }
    (void)fclose(file);
    return err;
}

const char *main_config_text(const struct main_config *config, enum main_config_key key)
{
    return config->texts[key] != NULL ? config->texts[key] : rows[key].default_text;
}

int64_t main_config_int(const struct main_config *config, enum main_config_key key)
{
    int64_t value = 0;
    BASE_ASSERT(rows[key].type == TYPE_INT);
    bool parsed = base_text_int64(base_slice_text(main_config_text(config, key)), &value);
    BASE_ASSERT(parsed);
    return value;
}

bool main_config_bool(const struct main_config *config, enum main_config_key key)
{
    BASE_ASSERT(rows[key].type == TYPE_BOOL);
    return strcasecmp(main_config_text(config, key), "true") == 0;
}

const char *main_config_name(enum main_config_key key)
{
    return rows[key].key;
}

bool main_config_is_default(const struct main_config *config, enum main_config_key key)
{
    return config->texts[key] == NULL;
}

void main_config_print(FILE *out)
{
    for (unsigned i = 0; i < MAIN_CONFIG_COUNT; i++) {
        (void)fprintf(out, "  %-44s %s (default: %s)\n", rows[i].key, rows[i].help,
                      rows[i].default_text[0] == '\0' ? "empty" : rows[i].default_text);
    }
}
