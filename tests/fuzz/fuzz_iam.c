/* libFuzzer target: HTTP requests to a broker that asks who one is: tokens, signatures, and all
 * that administers users, projects, roles and keys. Whatever they are, the broker lives, and
 * nobody gets in who is nobody: without {t}, {c}, {w} and {z} no answer is a 2xx, but for what
 * is public.
 *
 * In the input {p} stands for the project, {q} for a queue, {t} for a token of the
 * administrator, whose id is {u} and whose password is {w}; {b} and {c} are another user's id
 * and token, {a} is an access key, {d} the time and {D} the day as signatures have them. {z} in
 * an Authorization is the right signature of its request. */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/security/signature.h"
#include "rest-gw/http_parser.h"
#include "tests/fuzz/door_admin.h"

enum {
    INPUT_BYTES_MAX = 1 << 14,
    REQUEST_BYTES_MAX = INPUT_BYTES_MAX * DOOR_NAME_SIZE / 3,
    CALLS_BETWEEN_CHECKS = 50,
    SIGNATURE_LENGTH = 64,
    ARENA_LIMIT = 1 << 22,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct door_admin admin;

static struct door_name names[] = {
    {'p', DOOR_ADMIN_PROJECT},
    {'q', ""},
    {'t', ""},
    {'u', ""},
    {'w', ""},
    {'a', ""},
    {'b', ""},
    {'c', ""},
    {'d', ""},
    {'D', ""},
    {'z', "0000000000000000000000000000000000000000000000000000000000000000"}};

enum {
    NAME_PROJECT,
    NAME_QUEUE,
    NAME_TOKEN,
    NAME_USER,
    NAME_PASSWORD,
    NAME_KEY,
    NAME_OTHER,
    NAME_OTHER_TOKEN,
    NAME_TIME,
    NAME_DAY,
    NAME_SIGNATURE,
    NAME_COUNT
};

static void make_other(const struct door *door, const char *header)
{
    char path[256];
    char ignored[DOOR_NAME_SIZE];

    door_ask(door, "POST", "/v3/users", header,
             "{\"user\":{\"name\":\"other\",\"password\":\"other-password\"}}", "\"id\":\"",
             names[NAME_OTHER].text);
    (void)snprintf(path, sizeof path, "/v3/projects/" DOOR_ADMIN_PROJECT "/users/%s/roles/dms_user",
                   names[NAME_OTHER].text);
    door_ask(door, "PUT", path, header, NULL, "HTTP/1.1 204", ignored);
    door_ask(door, "POST", "/v3/auth/tokens", "",
             "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{\"name\":"
             "\"other\",\"password\":\"other-password\",\"domain\":{\"name\":\"Default\"}}}},"
             "\"scope\":{\"project\":{\"id\":\"" DOOR_ADMIN_PROJECT "\"}}}}",
             "X-Subject-Token: ", names[NAME_OTHER_TOKEN].text);
}

static void make_names(const struct door *door)
{
    char header[128];

    door_admin_log_in(door, &admin);
    door_admin_header(&admin, header);
    memcpy(names[NAME_TOKEN].text, admin.token, DOOR_NAME_SIZE);
    memcpy(names[NAME_USER].text, admin.user_id, DOOR_NAME_SIZE);
    memcpy(names[NAME_PASSWORD].text, admin.password, DOOR_NAME_SIZE);
    memcpy(names[NAME_KEY].text, admin.access_key, DOOR_NAME_SIZE);
    door_ask(door, "POST", "/v1.0/" DOOR_ADMIN_PROJECT "/queues", header, "{\"name\":\"n\"}",
             "\"id\":\"", names[NAME_QUEUE].text);
    make_other(door, header);
}

static void tell_time(void)
{
    time_t now = (time_t)(base_clock_wall_ms(base_clock_system()) / 1000);
    struct tm parts;

    BASE_ASSERT(gmtime_r(&now, &parts) != NULL);
    (void)strftime(names[NAME_TIME].text, DOOR_NAME_SIZE, "%Y%m%dT%H%M%SZ", &parts);
    (void)strftime(names[NAME_DAY].text, DOOR_NAME_SIZE, "%Y%m%d", &parts);
}

/* Puts the right signature into one request that holds {z}. message: as it is sent. */
static void sign(uint8_t *message, const struct restgw_http_parser *parser, struct base_slice body)
{
    struct security_http_field fields[RESTGW_HTTP_FIELDS_MAX];
    struct security_authorization authorization;
    struct base_slice date = {0};
    struct base_slice value = {0};
    struct base_arena arena;
    char signature[SECURITY_SIGNATURE_TEXT_SIZE];

    for (uint32_t i = 0; i < parser->head.fields_count; i++) {
        fields[i].name = restgw_http_slice(message, parser->head.fields[i].name);
        fields[i].value = restgw_http_slice(message, parser->head.fields[i].value);
        date = base_slice_is(fields[i].name, "X-Sdk-Date") ? fields[i].value : date;
        value = base_slice_is(fields[i].name, "Authorization") ? fields[i].value : value;
    }
    const struct security_http_request request = {
        .method = base_slice_text(restgw_http_method_text(parser->head.method)),
        .path = restgw_http_slice(message, parser->head.path),
        .query = restgw_http_slice(message, parser->head.query),
        .fields = fields,
        .fields_count = parser->head.fields_count,
        .body = body};
    if (!security_authorization_parse(value, &authorization) ||
        !base_slice_is(authorization.signature, names[NAME_SIGNATURE].text)) {
        return;
    }
    base_arena_init(&arena, ARENA_LIMIT);
    if (security_signature_make(&arena, &request, &authorization, date,
                                base_slice_text(admin.secret_key), signature,
                                NULL) == BASE_ERR_OK) {
        memcpy(message + (authorization.signature.data - message), signature, SIGNATURE_LENGTH);
    }
    base_arena_fini(&arena);
}

static void sign_all(uint8_t *bytes, size_t length)
{
    static uint8_t copy[REQUEST_BYTES_MAX];
    struct restgw_http_parser parser;

    while (length > 0) {
        memcpy(copy, bytes, length); /* the parser moves chunks */
        restgw_http_parser_init(&parser, RESTGW_HTTP_BODY_SIZE_MAX);
        if (restgw_http_parse(&parser, copy, length) != RESTGW_HTTP_DONE) {
            return;
        }
        sign(bytes, &parser, base_slice_of(copy + parser.body_start, parser.body_length));
        bytes += parser.position;
        length -= parser.position;
    }
}

static bool holds(const uint8_t *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text)) != NULL;
}

/* Whether nothing in the input may open a door. */
static bool is_stranger(const uint8_t *data, size_t size)
{
    static const char *const open[] = {"{t}", "{c}", "{w}", "{z}", "other-password",
                                       /* what is public */
                                       "/v3 ", "/v3/ ", "/v3?", "/v3/?", "livez", "readyz",
                                       "openapi", "OPTIONS", "%"};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        if (holds(data, size, open[i])) {
            return false;
        }
    }
    return true;
}

static const struct door *open_door(void)
{
    static unsigned calls;
    bool is_new;

    const struct door *door = door_open(DOOR_BUILTIN, &is_new);
    if (!is_new && ++calls % CALLS_BETWEEN_CHECKS == 0 && !door_admin_is_in(door, &admin)) {
        door_drop();
        door = door_open(DOOR_BUILTIN, &is_new);
    }
    if (is_new) {
        make_names(door);
    }
    return door;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t request[REQUEST_BYTES_MAX];
    static const char start[] = "HTTP/1.1 ";
    const uint8_t *response;

    if (size > INPUT_BYTES_MAX) {
        return 0;
    }
    const struct door *door = open_door();
    tell_time();
    size_t length = door_fill_in(names, NAME_COUNT, data, size, request);
    sign_all(request, length);
    size_t received = door_talk(door->http_port, DOOR_QUIET_MS, request, length, &response);
    BASE_ASSERT(received < sizeof start || memcmp(response, start, sizeof start - 1) == 0);
    if (is_stranger(data, size)) {
        BASE_ASSERT(!holds(response, received, "HTTP/1.1 2"));
    }
    return 0;
}
