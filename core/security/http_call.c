/* libcurl, told to be careful. */
#include "core/security/http_call.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "core/base/alloc.h"
#include "core/base/writer.h"
#include "core/security/crypto_priv.h"

static const char subject_name[] = "X-Subject-Token:";

enum base_err security_http_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? BASE_ERR_OK : BASE_ERR_NOMEM;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct base_writer *body = context;
    base_writer_bytes(body, data, size * count);
    return body->err == BASE_ERR_OK ? size * count : 0;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct security_http_call *call = context;
    size_t length = size * count;
    size_t name_length = sizeof subject_name - 1;

    if (length > name_length && strncasecmp(data, subject_name, name_length) == 0) {
        const char *value = data + name_length;
        size_t left = length - name_length;
        while (left > 0 && (*value == ' ' || *value == '\t')) {
            value++;
            left--;
        }
        while (left > 0 && (value[left - 1] == '\r' || value[left - 1] == '\n')) {
            left--;
        }
        if (left < SECURITY_HTTP_SUBJECT_SIZE_MAX) {
            memcpy(call->subject, value, left);
            call->subject[left] = '\0';
        }
    }
    return length;
}

static bool prepare(CURL *curl, struct security_http_call *call, const struct curl_slist *lines,
                    struct base_writer *body)
{
    return curl_easy_setopt(curl, CURLOPT_URL, call->url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                            (long)SECURITY_HTTP_CONNECT_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, call) == CURLE_OK &&
           (call->body == NULL ||
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body) == CURLE_OK) &&
           (call->method == NULL ||
            curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method) == CURLE_OK);
}

/* The lines as libcurl wants them; NULL without memory. */
static struct curl_slist *make_lines(const char *const *headers)
{
    struct curl_slist *lines = NULL;
    for (; *headers != NULL; headers++) {
        struct curl_slist *longer = curl_slist_append(lines, *headers);
        if (longer == NULL) {
            curl_slist_free_all(lines);
            return NULL;
        }
        lines = longer;
    }
    return lines;
}

/* Headers hold tokens. */
static void free_lines(struct curl_slist *lines)
{
    for (struct curl_slist *line = lines; line != NULL; line = line->next) {
        security__wipe(line->data, strlen(line->data));
    }
    curl_slist_free_all(lines);
}

static enum base_err perform(CURL *curl, struct security_http_call *call,
                             const struct base_writer *body)
{
    long status = 0;

    CURLcode result = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK) {
        call->cause = curl_easy_strerror(result);
        return BASE_ERR_IO;
    }
    call->status = (int)status;
    if (body->length > 0) {
        call->answer = json_loadb((const char *)body->buffer->data, body->length, 0, NULL);
    }
    return BASE_ERR_OK;
}

/* A handle of its own for each call: in libcurl before 8.1 a used one keeps a pointer to a freed
 * header, and an answer that begins with a folded one makes it look there (curl issue 11101). */
enum base_err security_http_call(struct security_http_call *call)
{
    enum base_err err = BASE_ERR_NOMEM;
    struct base_writer body;

    call->status = 0;
    call->answer = NULL;
    call->subject[0] = '\0';
    call->cause = NULL;
    base_writer_init(&body, call->answer_size_max);
    CURL *curl = curl_easy_init();
    struct curl_slist *lines = make_lines(call->headers);
    if (curl != NULL && lines != NULL && prepare(curl, call, lines, &body)) {
        err = perform(curl, call, &body);
    }
    free_lines(lines);
    curl_easy_cleanup(curl);
    base_writer_fini(&body);
    return err;
}

void security_http_call_release(struct security_http_call *call)
{
    json_decref(call->answer);
    call->answer = NULL;
    security__wipe(call->subject, sizeof call->subject);
}

char *security_http_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    char *copy = escaped == NULL ? NULL : base_strdup(escaped);
    curl_free(escaped);
    return copy;
}
