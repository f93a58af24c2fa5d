/* The form of Keystone's answers, and small things all its routes need. */
#include "rest-gw/iam_priv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/assert.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/json_write.h"

enum { NAME_CHARACTERS_MAX = 64, NAME_BYTES_MAX = SECURITY_NAME_SIZE - 1 };

static const char *title_of(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {{400, "Bad Request"},        {401, "Unauthorized"}, {403, "Forbidden"},
                  {404, "Not Found"},          {409, "Conflict"},     {429, "Too Many Requests"},
                  {503, "Service Unavailable"}};

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return "Internal Server Error";
}

void restgw__iam_challenge(struct restgw_request *request)
{
    restgw_answer_header(request, "WWW-Authenticate", base_slice_text("Keystone uri=\"/v3\""));
}

void restgw__iam_error(struct restgw_request *request, int status, const char *message)
{
    if (status == 401) {
        restgw__iam_challenge(request);
    }
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"error\":{\"code\":");
    restgw_json_put_integer(body, status);
    RESTGW_JSON_PUT(body, ",\"message\":");
    restgw_json_put_string(body, base_slice_text(message));
    RESTGW_JSON_PUT(body, ",\"title\":");
    restgw_json_put_string(body, base_slice_text(title_of(status)));
    RESTGW_JSON_PUT(body, "}}");
    restgw_answer_end(request, status);
}

static const char unauthorized[] = "The request you have made requires authentication.";
static const char forbidden[] = "You are not authorized to perform the requested action.";

void restgw__iam_refuse(struct restgw_request *request, enum restgw_error error)
{
    int status = restgw_error_status(error);

    if (error == RESTGW_ERROR_FLOW_CONTROL) {
        status = 429;
    }
    restgw__iam_error(request, status,
                      status == 401   ? unauthorized
                      : status == 403 ? forbidden
                                      : restgw_error_text(error));
}

void restgw__iam_refuse_change(struct restgw_request *request, const struct catalog_change *change)
{
    switch (change->verdict) {
    case CATALOG_EXISTS:
    case CATALOG_COLLIDES:
        restgw__iam_error(request, 409, "Duplicate entry: this name is taken.");
        return;
    case CATALOG_CONFLICT:
        restgw__iam_error(request, 409, "It was changed by somebody else meanwhile.");
        return;
    case CATALOG_NOT_FOUND:
        restgw__iam_error(request, 404, "It does not exist any more.");
        return;
    case CATALOG_QUOTA_EXCEEDED:
    case CATALOG_TOO_MANY_PARTITIONS:
    case CATALOG_STORAGE_FAILED:
        restgw__iam_error(request, 503, "The catalog could not be written.");
        return;
    case CATALOG_DONE:
    case CATALOG_VERDICT_COUNT:
        break;
    }
    BASE_ASSERT(false);
}

void restgw__iam_refuse_verdict(struct restgw_request *request, enum security_verdict verdict)
{
    switch (verdict) {
    case SECURITY_REFUSED:
    case SECURITY_EXPIRED:
    case SECURITY_NO_ROLE:
    case SECURITY_NOT_IN_TIME:
    case SECURITY_REPLAYED:
        restgw__iam_error(request, 401, unauthorized);
        return;
    case SECURITY_THROTTLED:
        restgw_answer_header(request, "Retry-After", base_slice_text("60"));
        restgw__iam_error(request, 429, "Too many failed logins of this user from this address.");
        return;
    case SECURITY_OVERLOADED:
        restgw_answer_header(request, "Retry-After", base_slice_text("1"));
        restgw__iam_error(request, 429, "Too many requests at once.");
        return;
    case SECURITY_TOO_MANY:
        restgw__iam_error(request, 409, "The user has as many access keys as one may have.");
        return;
    case SECURITY_UNAVAILABLE:
        restgw__iam_error(request, 503, "The catalog could not be written.");
        return;
    case SECURITY_OK:
    case SECURITY_VERDICT_COUNT:
        break;
    }
    BASE_ASSERT(false);
}

struct security_identity *restgw__iam(struct restgw_request *request)
{
    struct security_identity *identity = restgw__gateway(request)->options.identity;
    if (identity == NULL || !security_identity_is_builtin(identity)) {
        restgw_answer_error(request, RESTGW_ERROR_URL_NOT_FOUND);
        return NULL;
    }
    return identity;
}

/* A string with a NUL would be read as a shorter one: a name or password that was never sent. */
static bool has_nul(const json_t *value)
{
    const char *key;
    json_t *member;
    size_t index;

    json_object_foreach((json_t *)value, key, member)
    {
        if (has_nul(member)) {
            return true;
        }
    }
    json_array_foreach(value, index, member)
    {
        if (has_nul(member)) {
            return true;
        }
    }
    return json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value);
}

const json_t *restgw__iam_body(struct restgw_request *request, const char *name)
{
    const char *problem = NULL;
    json_t *body = NULL;
    enum base_err err = restgw_request_load_json(request, &body, &problem);
    if (err == BASE_ERR_MALFORMED) {
        const char *message = base_arena_printf(restgw_request_arena(request),
                                                "The body is not valid JSON: %s.", problem);
        restgw__iam_error(request, 400, message == NULL ? problem : message);
        return NULL;
    }
    if (err != BASE_ERR_OK) {
        restgw__iam_refuse(request, RESTGW_ERROR_INTERNAL_MEMORY);
        return NULL;
    }
    const json_t *member = json_object_get(body, name);
    if (!json_is_object(member) || has_nul(member)) {
        restgw__iam_error(request, 400, "The body is not what this request needs.");
        return NULL;
    }
    return member;
}

const char *restgw__iam_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool restgw__iam_take_text(const json_t *object, const char *name, const char **out)
{
    const json_t *value = json_object_get(object, name);

    *out = json_string_value(value);
    return value == NULL || json_is_null(value) || *out != NULL;
}

struct base_slice restgw__iam_slice(const json_t *object, const char *name)
{
    return base_slice_text(restgw__iam_text(object, name));
}

const char *restgw__iam_time(int64_t time_ms, char text[RESTGW__IAM_TIME_SIZE])
{
    struct tm parts;
    time_t seconds = (time_t)(time_ms / 1000);

    text[0] = '\0';
    if (time_ms != INT64_MAX && gmtime_r(&seconds, &parts) != NULL) {
        size_t length = strftime(text, RESTGW__IAM_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
        (void)snprintf(text + length, RESTGW__IAM_TIME_SIZE - length, ".%03u000Z",
                       (unsigned)(time_ms % 1000) % 1000);
    }
    return text;
}

const char *restgw__iam_public_url(struct restgw_request *request)
{
    const char *configured = restgw__gateway(request)->options.public_url;
    if (configured[0] != '\0') {
        return configured;
    }
    struct base_slice host = restgw_request_header(request, "Host");
    return base_arena_printf(restgw_request_arena(request), "http://%.*s", (int)host.length,
                             host.data == NULL ? "" : (const char *)host.data);
}

const char *restgw__iam_address(struct restgw_request *request)
{
    const char *peer = restgw_request_peer(request);
    const char *colon = strrchr(peer, ':');
    const char *address = colon == NULL ? peer
                                        : base_arena_strndup(restgw_request_arena(request), peer,
                                                             (size_t)(colon - peer));
    return address == NULL ? peer : address;
}

bool restgw__iam_name_is_valid(const char *name)
{
    size_t characters = 0;
    size_t length = name == NULL ? 0 : strlen(name);

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte < ' ' || byte == 0x7f) {
            return false;
        }
        characters += (byte & 0xc0) != 0x80; /* JSON was checked to be UTF-8 */
    }
    return characters > 0 && characters <= NAME_CHARACTERS_MAX && length <= NAME_BYTES_MAX;
}

void restgw__iam_no_store(struct restgw_request *request)
{
    restgw_answer_header(request, "Cache-Control", base_slice_text("no-store"));
}
