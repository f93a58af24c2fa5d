/* A small client of the identity service. */
#include "core/main/user.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    URL_SIZE = 1024,
    TOKEN_SIZE = 256,
    ANSWER_SIZE = 4 << 20,
    PASSWORD_SIZE = 256,
    TIMEOUT_S = 30,
    EXIT_USAGE = 2
};

struct client {
    CURL *curl;          /* owned */
    char base[URL_SIZE]; /* "http://host:port/v3" */
    char token[TOKEN_SIZE];
    json_t *answer; /* owned; of the last call */
    char *text;     /* owned, of ANSWER_SIZE; body of the last call */
    size_t length;
};

static const char usage[] =
    "usage: dmsd user list\n"
    "       dmsd user create NAME           (password from standard input)\n"
    "       dmsd user password NAME         (new password from standard input)\n"
    "       dmsd user enable|disable|delete NAME\n"
    "       dmsd user grant|revoke NAME PROJECT ROLE\n"
    "       dmsd user key NAME              (makes an access key, prints it once)\n\n"
    "The environment says who does it: . dms-data/admin-credentials\n";

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? otherwise : value;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct client *client = context;
    size_t length = size * count;
    if (length > ANSWER_SIZE - client->length) {
        return 0;
    }
    memcpy(client->text + client->length, data, length);
    client->length += length;
    return length;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    static const char name[] = "X-Subject-Token: ";
    struct client *client = context;
    size_t length = size * count;

    if (length > sizeof name && length < sizeof name + TOKEN_SIZE - 2 &&
        strncasecmp(data, name, sizeof name - 1) == 0) {
        size_t left = length - (sizeof name - 1);
        memcpy(client->token, data + sizeof name - 1, left);
        client->token[left] = '\0';
        client->token[strcspn(client->token, "\r\n")] = '\0';
    }
    return length;
}

/* The answer is in client->answer; false, with the cause told, unless the status is 2xx. */
static bool call(struct client *client, const char *method, const char *url, const char *body)
{
    char header[TOKEN_SIZE + 32];
    long status = 0;

    json_decref(client->answer);
    client->answer = NULL;
    client->length = 0;
    (void)snprintf(header, sizeof header, "X-Auth-Token: %s", client->token);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (client->token[0] != '\0') {
        headers = curl_slist_append(headers, header);
    }
    curl_easy_reset(client->curl);
    (void)curl_easy_setopt(client->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
    (void)curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, client);
    if (body != NULL) {
        (void)curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode result = curl_easy_perform(client->curl);
    curl_slist_free_all(headers);
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK) {
        (void)fprintf(stderr, "dmsd user: %s: %s\n", url, curl_easy_strerror(result));
        return false;
    }
    client->answer = json_loadb(client->text, client->length, 0, NULL);
    if (status < 200 || status > 299) {
        const char *message =
            json_string_value(json_object_get(json_object_get(client->answer, "error"), "message"));
        (void)fprintf(stderr, "dmsd user: %s (%ld)\n", message == NULL ? url : message, status);
        return false;
    }
    return true;
}

/* Sends value (moved) as JSON. */
static bool send_json(struct client *client, const char *method, const char *url, json_t *value)
{
    char *body = json_dumps(value, JSON_COMPACT);
    bool is_done = body != NULL && call(client, method, url, body);

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
    (void)snprintf(client->base, sizeof client->base, "%s",
                   from_environment("OS_AUTH_URL", "http://127.0.0.1:8080/v3"));
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

/* The id of the one object of that name; false, with the cause told, when there is none. */
static bool find(struct client *client, const char *plural, const char *name, char id[TOKEN_SIZE])
{
    char url[2 * URL_SIZE];
    char *encoded = curl_easy_escape(client->curl, name, 0);

    (void)snprintf(url, sizeof url, "%s/%s?name=%s", client->base, plural,
                   encoded == NULL ? "" : encoded);
    curl_free(encoded);
    if (!call(client, "GET", url, NULL)) {
        return false;
    }
    const json_t *list = json_object_get(client->answer, plural);
    const char *found = json_string_value(json_object_get(json_array_get(list, 0), "id"));
    if (json_array_size(list) != 1 || found == NULL) {
        (void)fprintf(stderr, "dmsd user: there are %zu %s called %s\n", json_array_size(list),
                      plural, name);
        return false;
    }
    (void)snprintf(id, TOKEN_SIZE, "%s", found);
    return true;
}

/* The first line of standard input. */
static bool read_password(char password[PASSWORD_SIZE])
{
    if (fgets(password, PASSWORD_SIZE, stdin) == NULL) {
        (void)fprintf(stderr, "dmsd user: no password on standard input\n");
        return false;
    }
    password[strcspn(password, "\r\n")] = '\0';
    return true;
}

static bool list_users(struct client *client)
{
    char url[URL_SIZE + 64];

    (void)snprintf(url, sizeof url, "%s/users", client->base);
    if (!call(client, "GET", url, NULL)) {
        return false;
    }
    const json_t *users = json_object_get(client->answer, "users");
    for (size_t i = 0; i < json_array_size(users); i++) {
        const json_t *user = json_array_get(users, i);
        (void)printf("%s  %s  %s\n", json_string_value(json_object_get(user, "id")),
                     json_is_true(json_object_get(user, "enabled")) ? "enabled " : "disabled",
                     json_string_value(json_object_get(user, "name")));
    }
    return true;
}

static bool create_user(struct client *client, const char *name)
{
    char url[URL_SIZE + 64];
    char password[PASSWORD_SIZE];

    (void)snprintf(url, sizeof url, "%s/users", client->base);
    return read_password(password) &&
           send_json(client, "POST", url,
                     json_pack("{s:{s:s, s:s}}", "user", "name", name, "password", password));
}

static bool make_key(struct client *client, const char *user_id)
{
    char url[URL_SIZE + 64];
    size_t length = strlen(client->base);

    if (length < 3 || strcmp(client->base + length - 3, "/v3") != 0) {
        (void)fprintf(stderr, "dmsd user: OS_AUTH_URL does not end in /v3\n");
        return false;
    }
    (void)snprintf(url, sizeof url, "%.*s.0/OS-CREDENTIAL/credentials", (int)length, client->base);
    if (!send_json(client, "POST", url, json_pack("{s:{s:s}}", "credential", "user_id", user_id))) {
        return false;
    }
    const json_t *key = json_object_get(client->answer, "credential");
    (void)printf("access_key=%s\nsecret_key=%s\n",
                 json_string_value(json_object_get(key, "access")),
                 json_string_value(json_object_get(key, "secret")));
    return true;
}

/* Commands about one user who exists. */
static bool change_user(struct client *client, const char *verb, char **values)
{
    char id[TOKEN_SIZE];
    char project_id[TOKEN_SIZE];
    char url[2 * URL_SIZE];
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
    (void)snprintf(url, sizeof url, "%s/projects/%s/users/%s/roles/%.64s", client->base, project_id,
                   id, values[2]);
    return call(client, strcmp(verb, "grant") == 0 ? "PUT" : "DELETE", url, NULL);
}

static const struct {
    const char *verb;
    int arguments_count;
} verbs[] = {{"list", 0},   {"create", 1}, {"password", 1}, {"enable", 1}, {"disable", 1},
             {"delete", 1}, {"grant", 3},  {"revoke", 3},   {"key", 1}};

static bool is_command(int count, char **values)
{
    for (size_t i = 0; count > 1 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(values[1], verbs[i].verb) == 0) {
            return count - 2 == verbs[i].arguments_count;
        }
    }
    return false;
}

int main_user(int count, char **values)
{
    static char text[ANSWER_SIZE];
    struct client client = {.text = text};
    bool is_done = false;

    if (!is_command(count, values)) {
        (void)fprintf(stderr, "%s", usage);
        return EXIT_USAGE;
    }
    client.curl = curl_easy_init();
    if (client.curl != NULL && log_in(&client)) {
        if (strcmp(values[1], "list") == 0) {
            is_done = list_users(&client);
        } else if (strcmp(values[1], "create") == 0) {
            is_done = create_user(&client, values[2]);
        } else {
            is_done = change_user(&client, values[1], values + 2);
        }
    }
    json_decref(client.answer);
    curl_easy_cleanup(client.curl);
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
