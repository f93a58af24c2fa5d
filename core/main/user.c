/* A small client of the identity service. */
#include "core/main/user.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/security/http_call.h"

enum {
    URL_SIZE = 1024,
    LONG_URL_SIZE = 2 * URL_SIZE, /* with a query */
    ID_SIZE = 256,
    HEADER_SIZE = SECURITY_HTTP_SUBJECT_SIZE_MAX + 32,
    ANSWER_SIZE_MAX = 4 << 20,
    PASSWORD_SIZE = 256, /* with the end of its line */
    ROLE_LENGTH_MAX = 64,
    TIMEOUT_MS = 30000,
    EXIT_USAGE = 2
};

struct client {
    char base[URL_SIZE];          /* "http://host:port/v3" */
    char token_line[HEADER_SIZE]; /* "" before log_in */
    json_t *answer;               /* owned; of the last call */
};

static const char usage[] =
    "usage: dmsd user list\n"
    "       dmsd user create NAME           (password from standard input)\n"
    "       dmsd user password NAME         (new password from standard input)\n"
    "       dmsd user enable|disable|delete NAME\n"
    "       dmsd user grant|revoke NAME PROJECT ROLE\n"
    "       dmsd user key NAME              (makes an access key, prints it once)\n"
    "       dmsd user keys NAME             (lists its access keys)\n"
    "       dmsd user delete-key ACCESS_KEY\n"
    "       dmsd user project list\n"
    "       dmsd user project create PROJECT\n"
    "       dmsd user domain list\n"
    "       dmsd user domain create DOMAIN\n\n"
    "NAME and PROJECT are DOMAIN/NAME where that is not plain.\n"
    "The environment says who does it: . dms-data/admin-credentials\n";

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? otherwise : value;
}

static bool have_no_memory(void)
{
    (void)fprintf(stderr, "dmsd user: %s\n", base_err_text(BASE_ERR_NOMEM));
    return false;
}

static bool is_too_long(const char *text)
{
    (void)fprintf(stderr, "dmsd user: \"%s\" is too long\n", text);
    return false;
}

/* Keeps what an answer has that is of use later; false, with the cause told, unless its status is
 * 2xx. */
static bool take_answer(struct client *client, struct security_http_call *call)
{
    client->answer = json_incref(call->answer);
    if (call->subject[0] != '\0') {
        (void)snprintf(client->token_line, sizeof client->token_line, "X-Auth-Token: %s",
                       call->subject);
    }
    if (call->status < 200 || call->status > 299) {
        const char *message =
            json_string_value(json_object_get(json_object_get(call->answer, "error"), "message"));
        (void)fprintf(stderr, "dmsd user: %s (%d)\n", message == NULL ? call->url : message,
                      call->status);
        return false;
    }
    return true;
}

/* The answer is in client->answer; false, with the cause told, when it is an error. */
static bool call(struct client *client, const char *method, const char *url, const char *body)
{
    const char *const headers[] = {"Content-Type: application/json",
                                   client->token_line[0] == '\0' ? NULL : client->token_line, NULL};
    struct security_http_call asked = {.method = method,
                                       .url = url,
                                       .headers = headers,
                                       .body = body,
                                       .timeout_ms = TIMEOUT_MS,
                                       .answer_size_max = ANSWER_SIZE_MAX};

    json_decref(client->answer);
    client->answer = NULL;
    enum base_err err = security_http_call(&asked);
    bool is_done = err == BASE_ERR_OK && take_answer(client, &asked);
    if (err != BASE_ERR_OK) {
        (void)fprintf(stderr, "dmsd user: %s: %s\n", url,
                      err == BASE_ERR_IO ? asked.cause : base_err_text(err));
    }
    security_http_call_release(&asked);
    return is_done;
}

/* Sends value (moved) as JSON. */
static bool send_json(struct client *client, const char *method, const char *url, json_t *value)
{
    char *body = json_dumps(value, JSON_COMPACT);
    bool is_done = body == NULL ? have_no_memory() : call(client, method, url, body);

    json_decref(value);
    json_malloc_t json_allocate;
    json_free_t json_release;
    json_get_alloc_funcs(&json_allocate, &json_release);
    json_release(body);
    return is_done;
}

static bool log_in(struct client *client)
{
    char url[URL_SIZE + 64];
    const char *password = from_environment("OS_PASSWORD", NULL);

    if (password == NULL) {
        (void)fprintf(stderr, "dmsd user: OS_PASSWORD is not set\n\n%s", usage);
        return false;
    }
    const char *base = from_environment("OS_AUTH_URL", "http://127.0.0.1:8080/v3");
    if (strlen(base) >= sizeof client->base) {
        return is_too_long(base);
    }
    (void)snprintf(client->base, sizeof client->base, "%s", base);
    (void)snprintf(url, sizeof url, "%s/auth/tokens", client->base);
    return send_json(
        client, "POST", url,
        json_pack("{s:{s:{s:[s], s:{s:{s:s, s:s, s:{s:s}}}}, s:{s:{s:s, s:{s:s}}}}}", "auth",
                  "identity", "methods", "password", "password", "user", "name",
                  from_environment("OS_USERNAME", "admin"), "password", password, "domain", "name",
                  from_environment("OS_USER_DOMAIN_NAME", "Default"), "scope", "project", "name",
                  from_environment("OS_PROJECT_NAME", "default"), "domain", "name",
                  from_environment("OS_PROJECT_DOMAIN_NAME", "Default")));
}

/* The id of the one object of that name, within a domain or (NULL) anywhere; false, with the cause
 * told, when there is none. */
static bool find_within(struct client *client, const char *plural, const char *domain_id,
                        const char *name, char id[ID_SIZE])
{
    char url[LONG_URL_SIZE];
    char *encoded = security_http_escape(name);

    if (encoded == NULL) {
        return have_no_memory();
    }
    int length =
        snprintf(url, sizeof url, "%s/%s?name=%s%s%s", client->base, plural, encoded,
                 domain_id == NULL ? "" : "&domain_id=", domain_id == NULL ? "" : domain_id);
    base_free(encoded);
    if (length < 0 || (size_t)length >= sizeof url) {
        return is_too_long(name);
    }
    if (!call(client, "GET", url, NULL)) {
        return false;
    }
    const json_t *list = json_object_get(client->answer, plural);
    const char *found = json_string_value(json_object_get(json_array_get(list, 0), "id"));
    if (json_array_size(list) != 1 || found == NULL) {
        (void)fprintf(stderr, "dmsd user: there are %zu %s called %s%s\n", json_array_size(list),
                      plural, name, json_array_size(list) > 1 ? ": say DOMAIN/NAME" : "");
        return false;
    }
    if (strlen(found) >= ID_SIZE) {
        return is_too_long(found);
    }
    (void)snprintf(id, ID_SIZE, "%s", found);
    return true;
}

/* Takes "<domain>/" off *name and finds that domain; *domain_id is "" when there is none. */
static bool take_domain(struct client *client, const char **name, char domain_id[ID_SIZE])
{
    char domain[ID_SIZE];
    const char *slash = strchr(*name, '/');

    domain_id[0] = '\0';
    if (slash == NULL) {
        return true;
    }
    if (slash - *name >= ID_SIZE) {
        return is_too_long(*name);
    }
    (void)snprintf(domain, sizeof domain, "%.*s", (int)(slash - *name), *name);
    *name = slash + 1;
    return find_within(client, "domains", NULL, domain, domain_id);
}

/* The id of "[<domain>/]<name>". */
static bool find(struct client *client, const char *plural, const char *name, char id[ID_SIZE])
{
    char domain_id[ID_SIZE];

    return take_domain(client, &name, domain_id) &&
           find_within(client, plural, domain_id[0] == '\0' ? NULL : domain_id, name, id);
}

/* The first line of standard input. */
static bool read_password(char password[PASSWORD_SIZE])
{
    if (fgets(password, PASSWORD_SIZE, stdin) == NULL) {
        (void)fprintf(stderr, "dmsd user: no password on standard input\n");
        return false;
    }
    if (strlen(password) == PASSWORD_SIZE - 1) {
        (void)fprintf(stderr, "dmsd user: the password is too long\n");
        return false;
    }
    password[strcspn(password, "\r\n")] = '\0';
    return true;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool complain(const char *url)
{
    (void)fprintf(stderr, "dmsd user: %s: the answer is not that of an identity service\n", url);
    return false;
}

/* Of domain_id, "Default/" or so: how it is named from here. */
static const char *domain_of(const json_t *domains, const json_t *object)
{
    const char *domain_id = text_of(object, "domain_id");

    for (size_t i = 0; domain_id != NULL && i < json_array_size(domains); i++) {
        const json_t *domain = json_array_get(domains, i);
        const char *id = text_of(domain, "id");
        if (id != NULL && strcmp(id, domain_id) == 0) {
            return text_of(domain, "name");
        }
    }
    return NULL;
}

/* Prints id, whether it is enabled, and the name; with its domain unless that is "Default". */
static bool list(struct client *client, const char *plural)
{
    char url[URL_SIZE + 64];

    (void)snprintf(url, sizeof url, "%s/domains", client->base);
    if (!call(client, "GET", url, NULL)) {
        return false;
    }
    json_t *domains = json_incref(json_object_get(client->answer, "domains"));
    (void)snprintf(url, sizeof url, "%s/%s", client->base, plural);
    bool is_done = call(client, "GET", url, NULL);
    const json_t *objects = is_done ? json_object_get(client->answer, plural) : NULL;
    for (size_t i = 0; is_done && i < json_array_size(objects); i++) {
        const json_t *object = json_array_get(objects, i);
        if (text_of(object, "id") == NULL || text_of(object, "name") == NULL) {
            is_done = complain(url);
            break;
        }
        const char *domain = domain_of(domains, object);
        bool is_plain = domain == NULL || strcmp(domain, "Default") == 0;
        (void)printf("%s  %s  %s%s%s\n", text_of(object, "id"),
                     json_is_true(json_object_get(object, "enabled")) ? "enabled " : "disabled",
                     is_plain ? "" : domain, is_plain ? "" : "/", text_of(object, "name"));
    }
    json_decref(domains);
    return is_done;
}

/* Makes a user (with a password), project or domain. */
static bool create(struct client *client, const char *singular, const char *name)
{
    char url[URL_SIZE + 64];
    char password[PASSWORD_SIZE];
    char domain_id[ID_SIZE] = "";
    bool is_user = strcmp(singular, "user") == 0;

    if ((is_user && !read_password(password)) ||
        (strcmp(singular, "domain") != 0 && !take_domain(client, &name, domain_id))) {
        return false;
    }
    json_t *fields =
        json_pack("{s:s, s:s*, s:s*}", "name", name, "password", is_user ? password : NULL,
                  "domain_id", domain_id[0] == '\0' ? NULL : domain_id);
    (void)snprintf(url, sizeof url, "%s/%ss", client->base, singular);
    return send_json(client, "POST", url, json_pack("{s:o}", singular, fields));
}

/* The URL of access keys, with what and value behind it. False, with the cause told: none. */
static bool keys_url(const struct client *client, const char *what, const char *value,
                     char url[LONG_URL_SIZE])
{
    size_t length = strlen(client->base);

    if (length < 3 || strcmp(client->base + length - 3, "/v3") != 0) {
        (void)fprintf(stderr, "dmsd user: OS_AUTH_URL does not end in /v3\n");
        return false;
    }
    if (strlen(value) >= ID_SIZE) {
        return is_too_long(value);
    }
    (void)snprintf(url, LONG_URL_SIZE, "%s.0/OS-CREDENTIAL/credentials%s%s", client->base, what,
                   value);
    return true;
}

static bool list_keys(struct client *client, const char *user_id)
{
    char url[LONG_URL_SIZE];

    if (!keys_url(client, "?user_id=", user_id, url) || !call(client, "GET", url, NULL)) {
        return false;
    }
    const json_t *keys = json_object_get(client->answer, "credentials");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *description = text_of(key, "description");
        if (text_of(key, "access") == NULL || text_of(key, "status") == NULL) {
            return complain(url);
        }
        (void)printf("%s  %s  %s\n", text_of(key, "access"), text_of(key, "status"),
                     description == NULL ? "" : description);
    }
    return true;
}

static bool delete_key(struct client *client, const char *access_key)
{
    char url[LONG_URL_SIZE];
    char *encoded = security_http_escape(access_key);

    if (encoded == NULL) {
        return have_no_memory();
    }
    bool has_url = keys_url(client, "/", encoded, url);
    base_free(encoded);
    return has_url && call(client, "DELETE", url, NULL);
}

static bool make_key(struct client *client, const char *user_id)
{
    char url[LONG_URL_SIZE];

    if (!keys_url(client, "", "", url) ||
        !send_json(client, "POST", url, json_pack("{s:{s:s}}", "credential", "user_id", user_id))) {
        return false;
    }
    const json_t *key = json_object_get(client->answer, "credential");
    if (text_of(key, "access") == NULL || text_of(key, "secret") == NULL) {
        return complain(url);
    }
    (void)printf("access_key=%s\nsecret_key=%s\n", text_of(key, "access"), text_of(key, "secret"));
    return true;
}

/* Commands about one user who exists. */
static bool change_user(struct client *client, const char *verb, char **values)
{
    char id[ID_SIZE];
    char project_id[ID_SIZE];
    char url[LONG_URL_SIZE];
    char password[PASSWORD_SIZE];

    if (!find(client, "users", values[0], id)) {
        return false;
    }
    (void)snprintf(url, sizeof url, "%s/users/%s", client->base, id);
    if (strcmp(verb, "delete") == 0) {
        return call(client, "DELETE", url, NULL);
    }
    if (strcmp(verb, "key") == 0) {
        return make_key(client, id);
    }
    if (strcmp(verb, "keys") == 0) {
        return list_keys(client, id);
    }
    if (strcmp(verb, "password") == 0) {
        return read_password(password) &&
               send_json(client, "PATCH", url,
                         json_pack("{s:{s:s}}", "user", "password", password));
    }
    if (strcmp(verb, "enable") == 0 || strcmp(verb, "disable") == 0) {
        return send_json(client, "PATCH", url,
                         json_pack("{s:{s:b}}", "user", "enabled", strcmp(verb, "enable") == 0));
    }
    if (!find(client, "projects", values[1], project_id)) {
        return false;
    }
    if (strlen(values[2]) > ROLE_LENGTH_MAX) {
        return is_too_long(values[2]);
    }
    (void)snprintf(url, sizeof url, "%s/projects/%s/users/%s/roles/%s", client->base, project_id,
                   id, values[2]);
    return call(client, strcmp(verb, "grant") == 0 ? "PUT" : "DELETE", url, NULL);
}

static bool is(const char *text, const char *verb)
{
    return strcmp(text, verb) == 0;
}

/* Whether count words are a command; they begin with its verb. */
static bool is_command(int count, char **words)
{
    static const struct {
        const char *verb;
        int count;
    } verbs[] = {{"list", 1},    {"create", 2}, {"password", 2},  {"enable", 2},
                 {"disable", 2}, {"delete", 2}, {"grant", 4},     {"revoke", 4},
                 {"key", 2},     {"keys", 2},   {"delete-key", 2}};

    if (count > 1 && (is(words[0], "project") || is(words[0], "domain"))) {
        return is(words[1], "list") ? count == 2 : is(words[1], "create") && count == 3;
    }
    for (size_t i = 0; count > 0 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (is(words[0], verbs[i].verb)) {
            return count == verbs[i].count;
        }
    }
    return false;
}

static bool run(struct client *client, char **words)
{
    if (is(words[0], "project") || is(words[0], "domain")) {
        return is(words[1], "create")
                   ? create(client, words[0], words[2])
                   : list(client, is(words[0], "project") ? "projects" : "domains");
    }
    if (is(words[0], "list")) {
        return list(client, "users");
    }
    if (is(words[0], "create")) {
        return create(client, "user", words[1]);
    }
    if (is(words[0], "delete-key")) {
        return delete_key(client, words[1]);
    }
    return change_user(client, words[0], words + 1);
}

int main_user(int count, char **values)
{
    struct client client = {.answer = NULL};
    bool is_done = false;

    if (!is_command(count - 1, values + 1)) {
        (void)fprintf(stderr, "%s", usage);
        return EXIT_USAGE;
    }
    if (log_in(&client)) {
        is_done = run(&client, values + 1);
    }
    json_decref(client.answer);
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
