/* Making the identity service: its key, the first administrator. */
#include "core/main/identity.h"

#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/uuid.h"
#include "core/main/secret_file.h"
#include "core/security/keystone.h"

enum { PATH_SIZE = 4200, SECRET_TEXT_SIZE = 1024 };

bool main_authentication_parse(const struct main_config *config, enum main_authentication *out)
{
    static const char *const names[] = {"none", "builtin", "keystone"};
    const char *text = main_config_text(config, MAIN_AUTHENTICATION);

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum main_authentication)i;
            return true;
        }
    }
    return false;
}

static const char *path_of(const struct main_config *config, const char *name, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/%s", main_config_text(config, MAIN_LOG_DIRS), name);
    return path;
}

static const char *directory_of(const struct main_identity_options *options)
{
    return main_config_text(options->config, MAIN_LOG_DIRS);
}

/* A key that is gone is not made anew: every secret key would be lost without a word. */
static enum base_err load_key(const struct main_identity_options *options,
                              uint8_t key[SECURITY_KEY_SIZE])
{
    char path[PATH_SIZE];
    size_t length = 0;

    (void)path_of(options->config, MAIN_IDENTITY_KEY_FILE, path);
    enum base_err err = main_secret_file_read(path, key, SECURITY_KEY_SIZE, &length);
    if (err == BASE_ERR_OK) {
        return length == SECURITY_KEY_SIZE
                   ? main_secret_file_sync(directory_of(options))
                   : main_secret_file_refuse(path, "it is no key: it is too short");
    }
    if (err != BASE_ERR_NOT_FOUND) {
        return err;
    }
    struct catalog_view *view = catalog_view(options->catalog);
    size_t sealed_count = catalog_view_objects_count(view, CATALOG_OBJECT_ACCESS_KEY);
    catalog_view_release(&view);
    if (sealed_count > 0) {
        return main_secret_file_refuse(path,
                                       "it is missing, and there are secret keys sealed with it");
    }
    base_random_bytes(key, SECURITY_KEY_SIZE);
    return main_secret_file_write(directory_of(options), MAIN_IDENTITY_KEY_FILE, key,
                                  SECURITY_KEY_SIZE);
}

/* In the form of OpenStack's clients: ". admin-credentials; openstack token issue". */
static enum base_err write_admin_file(const struct main_identity_options *options,
                                      const char *password)
{
    char path[PATH_SIZE];
    char text[SECRET_TEXT_SIZE];
    const char *host = options->http_address->host;

    int length = snprintf(text, sizeof text,
                          "export OS_AUTH_URL=http://%s:%u/v3\n"
                          "export OS_IDENTITY_API_VERSION=3\n"
                          "export OS_USERNAME=admin\n"
                          "export OS_PASSWORD=%s\n"
                          "export OS_USER_DOMAIN_NAME=Default\n"
                          "export OS_PROJECT_NAME=default\n"
                          "export OS_PROJECT_DOMAIN_NAME=Default\n",
                          host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" : host,
                          options->http_address->port, password);
    BASE_ASSERT(length > 0 && (size_t)length < sizeof text);
    enum base_err err =
        main_secret_file_write(directory_of(options), MAIN_ADMIN_FILE, text, (size_t)length);
    memset(text, 0, sizeof text);
    if (err == BASE_ERR_OK) {
        base_log(BASE_LOG_INFO, "FIRST_ADMINISTRATOR",
                 "user=admin file=%s advice=\"log in, change the password, remove the file\"",
                 path_of(options->config, MAIN_ADMIN_FILE, path));
    }
    return err;
}

struct first_change {
    struct catalog_change change;
    struct main_latch *latch;
};

static void first_is_made(struct base_task *task)
{
    struct first_change *first = BASE_CONTAINER_OF(task, struct first_change, change.task);
    main_latch_open(first->latch);
}

/* The file comes before the user, so that there is never a user whom nobody can be. */
static enum base_err make_first(const struct main_identity_options *options)
{
    char password[SECURITY_FIRST_PASSWORD_SIZE];
    struct catalog_object_edit edits[SECURITY_FIRST_EDITS];
    struct first_change first = {.latch = options->latch};

    security_random_password(password);
    enum base_err err = security_first_objects(options->clock, base_slice_text(password), edits);
    if (err != BASE_ERR_OK) {
        return err;
    }
    err = write_admin_file(options, password);
    memset(password, 0, sizeof password);
    if (err != BASE_ERR_OK) {
        for (unsigned i = 0; i < SECURITY_FIRST_EDITS; i++) {
            catalog_object_release(&edits[i].after);
        }
        return err;
    }
    first.change.executor = options->home;
    first.change.task.run = first_is_made;
    catalog_change_objects(options->catalog, edits, SECURITY_FIRST_EDITS, &first.change);
    main_latch_wait(options->latch);
    return first.change.verdict == CATALOG_DONE ? BASE_ERR_OK : BASE_ERR_IO;
}

static enum base_err make_first_if_new(const struct main_identity_options *options, bool *is_new)
{
    struct catalog_view *view = catalog_view(options->catalog);
    size_t users_count = catalog_view_objects_count(view, CATALOG_OBJECT_USER);
    catalog_view_release(&view);
    *is_new = users_count == 0;
    return *is_new ? make_first(options) : BASE_ERR_OK;
}

static enum base_err open_keystone(const struct main_identity_options *options,
                                   struct security_keystone **out)
{
    const struct main_config *config = options->config;
    const char *path = main_config_text(config, MAIN_KEYSTONE_PASSWORD_FILE);
    char password[SECRET_TEXT_SIZE] = "";
    size_t length = 0;

    enum base_err err = main_secret_file_read(path, password, sizeof password - 1, &length);
    if (err == BASE_ERR_NOT_FOUND) {
        return main_secret_file_refuse(path, "dms.keystone.password.file is missing");
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    password[length] = '\0';
    password[strcspn(password, "\r\n")] = '\0';
    if (password[0] == '\0') {
        return main_secret_file_refuse(path, "there is no password in it");
    }
    struct security_keystone_options keystone = {
        .url = main_config_text(config, MAIN_KEYSTONE_URL),
        .user_name = main_config_text(config, MAIN_KEYSTONE_USER),
        .user_domain = main_config_text(config, MAIN_KEYSTONE_USER_DOMAIN),
        .password = password,
        .project_name = main_config_text(config, MAIN_KEYSTONE_PROJECT),
        .project_domain = main_config_text(config, MAIN_KEYSTONE_PROJECT_DOMAIN),
        .clock = options->clock,
        .worker = options->worker};
    err = security_keystone_create(&keystone, out);
    memset(password, 0, sizeof password);
    if (err == BASE_ERR_INVALID) {
        base_log(BASE_LOG_ERROR, "KEYSTONE_REFUSED",
                 "dms.keystone.url=%s cause=\"expected http://host:port/v3\"", keystone.url);
    }
    return err;
}

enum base_err main_identity_open(const struct main_identity_options *options,
                                 struct security_identity **out)
{
    const struct main_config *config = options->config;
    enum main_authentication authentication = MAIN_AUTHENTICATION_NONE;
    struct security_identity_options identity = {
        .catalog = options->catalog,
        .clock = options->clock,
        .worker = options->worker,
        .home = options->home,
        .token_lifetime_ms = main_config_int(config, MAIN_TOKEN_LIFETIME_MS),
        .tokens_per_user = (size_t)main_config_int(config, MAIN_TOKENS_PER_USER),
        .signature_repeat_ms = main_config_int(config, MAIN_SIGNATURE_REPEAT_MS),
        .signatures_max = (size_t)main_config_int(config, MAIN_SIGNATURES_MAX)};
    enum base_err err = BASE_ERR_OK;

    *out = NULL;
    bool is_known = main_authentication_parse(config, &authentication);
    BASE_ASSERT(is_known);
    if (authentication == MAIN_AUTHENTICATION_NONE) {
        return BASE_ERR_OK;
    }
    main_secret_file_tidy(directory_of(options), MAIN_IDENTITY_KEY_FILE);
    main_secret_file_tidy(directory_of(options), MAIN_ADMIN_FILE);
    if (authentication == MAIN_AUTHENTICATION_KEYSTONE) {
        err = open_keystone(options, &identity.keystone);
    } else {
        err = load_key(options, identity.key);
        if (err == BASE_ERR_OK) {
            bool is_new = false;
            err = make_first_if_new(options, &is_new);
            identity.has_past = !is_new;
        }
    }
    if (err == BASE_ERR_OK) {
        err = security_identity_create(&identity, out);
    }
    if (err != BASE_ERR_OK) {
        security_keystone_close(&identity.keystone);
    }
    memset(identity.key, 0, sizeof identity.key);
    return err;
}
