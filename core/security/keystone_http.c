/* libcurl, told to be careful: no redirects, no other protocols, limits on time and size. */
#include "core/security/keystone_http_priv.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/writer.h"
#include "core/security/crypto_priv.h"
#include "core/security/keystone.h"

static const char subject_name[] = "X-Subject-Token:";

struct security__http {
    CURL *curl; /* owned; of the last call; NULL before the first */
    struct base_writer answer;
    char *subject; /* borrowed during a call */
};

enum base_err security__http_create(struct security__http **out)
{
    struct security__http *http = base_alloc_object(struct security__http);
    *out = http;
    if (http == NULL) {
        return BASE_ERR_NOMEM;
    }
    base_writer_init(&http->answer, SECURITY_KEYSTONE_ANSWER_SIZE_MAX);
    return BASE_ERR_OK;
}

void security__http_close(struct security__http **http)
{
    if (*http != NULL) {
        curl_easy_cleanup((*http)->curl);
        base_writer_fini(&(*http)->answer);
    }
    base_free(*http);
    *http = NULL;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct security__http *http = context;
    base_writer_bytes(&http->answer, data, size * count);
    return http->answer.err == BASE_ERR_OK ? size * count : 0;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct security__http *http = context;
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
        if (left < SECURITY__SUBJECT_SIZE_MAX) {
            memcpy(http->subject, value, left);
            http->subject[left] = '\0';
        }
    }
    return length;
}

static bool prepare(struct security__http *http, const char *url, const struct curl_slist *lines,
                    const char *body)
{
    /* A new one each time: in libcurl before 8.1 a used one keeps a pointer to a freed header,
     * and an answer that begins with a folded one makes it look there (curl issue 11101). */
    curl_easy_cleanup(http->curl);
    CURL *curl = http->curl = curl_easy_init();

    return curl != NULL && curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                            (long)SECURITY_KEYSTONE_CONNECT_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SECURITY_KEYSTONE_TIMEOUT_MS) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, http) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, http) == CURLE_OK &&
           (body == NULL || curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) == CURLE_OK);
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

enum base_err security__http_call(struct security__http *http, const char *url,
                                  const char *const *headers, const char *body, int *status,
                                  json_t **answer, char subject[SECURITY__SUBJECT_SIZE_MAX])
{
    long code = 0;

    *status = 0;
    *answer = NULL;
    subject[0] = '\0';
    http->subject = subject;
    base_writer_reset(&http->answer);
    struct curl_slist *lines = make_lines(headers);
    if (lines == NULL || !prepare(http, url, lines, body)) {
        free_lines(lines);
        return BASE_ERR_NOMEM;
    }
    CURLcode result = curl_easy_perform(http->curl);
    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &code);
    free_lines(lines);
    if (result != CURLE_OK) {
        base_log(BASE_LOG_WARN, "KEYSTONE_DOES_NOT_ANSWER", "url=%s cause=\"%s\"", url,
                 curl_easy_strerror(result));
        return BASE_ERR_IO;
    }
    *status = (int)code;
    if (http->answer.length > 0) {
        *answer = json_loadb((const char *)http->answer.buffer->data, http->answer.length, 0, NULL);
    }
    return BASE_ERR_OK;
}
