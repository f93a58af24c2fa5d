/* Tokens of another Keystone: asked for once, remembered for a while.
 *
 * A monitor. Whoever needs a token that is not remembered waits; all who wait for the same token
 * share one question. Questions are asked by the worker, with a token of the service user. */
#include "core/security/keystone.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mutex.h"
#include "core/security/http_call.h"
#include "core/security/identity_priv.h"
#include "core/security/signature.h"

enum {
    URL_SIZE_MAX = 512,
    HEADER_SIZE_MAX = SECURITY_HTTP_SUBJECT_SIZE_MAX + 32,
    SERVICE_TOKEN_MARGIN_MS = 60 * 1000, /* a new one is got that long before the old one ends */
};

static const char *const login_headers[] = {"Content-Type: application/json", NULL};

struct security_keystone {
    char url[URL_SIZE_MAX]; /* of the tokens */
    char *login;            /* owned; body that gets the service user a token */
    struct base_clock *clock;
    struct base_executor *worker;

    struct base_mutex lock;
    struct base_map *entries;   /* owned; by token id: struct entry */
    struct base_map *questions; /* owned; by token id: struct question */
    struct base_list oldest;    /* entries, in order of coming */
    int64_t down_until_ms;      /* monotonic */
    char service_token[SECURITY_HTTP_SUBJECT_SIZE_MAX];
    int64_t service_expires_ms;
};

/* What is known of a token. */
struct entry {
    struct base_list link;
    char id[SECURITY_ID_SIZE];
    int64_t until_ms; /* monotonic; a principal may end before by the wall clock */
    enum security_verdict verdict;
    struct security_principal principal;
};

/* A token being asked about. */
struct question {
    struct base_task task;
    struct security_keystone *keystone;
    struct base_list waiting; /* of struct security_token_check */
    char id[SECURITY_ID_SIZE];
    char *token; /* owned */
};

/* The monotonic clock: what lasts for a while. */
static int64_t now_ms(const struct security_keystone *keystone)
{
    return base_clock_monotonic_ms(keystone->clock);
}

/* Whether a time that Keystone said is behind us by the wall clock. */
static bool has_come(const struct security_keystone *keystone, int64_t time_ms)
{
    return time_ms <= base_clock_wall_ms(keystone->clock);
}

char *security__keystone_body(json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    json_decref(body);
    char *copy = text == NULL ? NULL : base_strdup(text);
    json_malloc_t json_allocate;
    json_free_t json_release;
    json_get_alloc_funcs(&json_allocate, &json_release);
    if (text != NULL) {
        security__wipe(text, strlen(text));
    }
    json_release(text);
    return copy;
}

static char *make_login(const struct security_keystone_options *options)
{
    json_t *login = json_pack("{s:{s:{s:[s], s:{s:{s:s, s:s, s:{s:s}}}}, s:{s:{s:s, s:{s:s}}}}}",
                              "auth", "identity", "methods", "password", "password", "user", "name",
                              options->user_name, "password", options->password, "domain", "name",
                              options->user_domain, "scope", "project", "name",
                              options->project_name, "domain", "name", options->project_domain);
    return security__keystone_body(login);
}

enum base_err security_keystone_create(const struct security_keystone_options *options,
                                       struct security_keystone **out)
{
    enum base_err err = BASE_ERR_NOMEM;

    *out = NULL;
    if ((strncmp(options->url, "http://", 7) != 0 && strncmp(options->url, "https://", 8) != 0) ||
        strlen(options->url) > URL_SIZE_MAX - 32) {
        return BASE_ERR_INVALID;
    }
    struct security_keystone *keystone = base_alloc_object(struct security_keystone);
    if (keystone == NULL) {
        return BASE_ERR_NOMEM;
    }
    base_mutex_init(&keystone->lock);
    base_list_init(&keystone->oldest);
    size_t length = strlen(options->url);
    while (length > 0 && options->url[length - 1] == '/') {
        length--;
    }
    (void)snprintf(keystone->url, sizeof keystone->url, "%.*s/auth/tokens", (int)length,
                   options->url);
    keystone->clock = options->clock;
    keystone->worker = options->worker;
    keystone->login = make_login(options);
    if (keystone->login == NULL || security_http_init() != BASE_ERR_OK) {
        goto fail;
    }
    err = base_map_create(&keystone->entries);
    if (err == BASE_ERR_OK) {
        err = base_map_create(&keystone->questions);
    }
    if (err != BASE_ERR_OK) {
        goto fail;
    }
    *out = keystone;
    return BASE_ERR_OK;

fail:
    security_keystone_close(&keystone);
    return err;
}

/* Locked. */
static void forget(struct security_keystone *keystone, struct entry *entry)
{
    base_list_remove(&entry->link);
    (void)base_map_remove(keystone->entries, base_slice_text(entry->id));
    base_free(entry);
}

void security_keystone_close(struct security_keystone **closed)
{
    struct security_keystone *keystone = *closed;

    *closed = NULL;
    if (keystone == NULL) {
        return;
    }
    BASE_ASSERT(keystone->questions == NULL || base_map_count(keystone->questions) == 0);
    while (!base_list_is_empty(&keystone->oldest)) {
        forget(keystone, BASE_CONTAINER_OF(keystone->oldest.next, struct entry, link));
    }
    base_map_close(&keystone->entries);
    base_map_close(&keystone->questions);
    base_mutex_fini(&keystone->lock);
    if (keystone->login != NULL) {
        security__wipe(keystone->login, strlen(keystone->login));
    }
    base_free(keystone->login);
    security__wipe(keystone->service_token, sizeof keystone->service_token);
    base_free(keystone);
}

/* What is remembered of a token and still good; NULL otherwise. Locked. */
static const struct entry *recall(struct security_keystone *keystone, const char *id)
{
    struct entry *entry = base_map_get(keystone->entries, base_slice_text(id));
    if (entry != NULL &&
        (entry->until_ms <= now_ms(keystone) ||
         (entry->verdict == SECURITY_OK && has_come(keystone, entry->principal.expires_ms)))) {
        forget(keystone, entry);
        entry = NULL;
    }
    return entry;
}

/* Locked. */
static void remember(struct security_keystone *keystone, const char *id,
                     enum security_verdict verdict, const struct security_principal *principal)
{
    struct entry *entry = base_alloc_object(struct entry);

    if (entry == NULL) {
        return; /* it will be asked about again */
    }
    entry->until_ms = now_ms(keystone) + (verdict == SECURITY_OK ? SECURITY_KEYSTONE_GOOD_MS
                                                                 : SECURITY_KEYSTONE_BAD_MS);
    entry->verdict = verdict;
    entry->principal = *principal;
    (void)security_copy_text(entry->id, sizeof entry->id, id);
    if (base_map_count(keystone->entries) >= SECURITY_KEYSTONE_CACHE_MAX) {
        forget(keystone, BASE_CONTAINER_OF(keystone->oldest.next, struct entry, link));
    }
    if (base_map_put(keystone->entries, base_slice_text(entry->id), entry) != BASE_ERR_OK) {
        base_free(entry);
        return;
    }
    base_list_push_back(&keystone->oldest, &entry->link);
}

/* From Keystone's words. */

/* "2015-11-09T01:42:57.527363Z"; 0 for anything else. */
static int64_t parse_time_ms(const char *text)
{
    char compact[17];
    int64_t seconds = 0;

    if (text == NULL || strlen(text) < 20) {
        return 0;
    }
    (void)snprintf(compact, sizeof compact, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", text, text + 5, text + 8,
                   text + 11, text + 14, text + 17);
    return security_signature_date(base_slice_text(compact), &seconds) ? seconds * 1000 : 0;
}

/* Keystone's own roles stand for ours. */
static unsigned role_of(const char *name)
{
    if (name == NULL) {
        return 0;
    }
    if (strcmp(name, "member") == 0) {
        return SECURITY_ROLE_DMS_ADMIN;
    }
    if (strcmp(name, "reader") == 0) {
        return SECURITY_ROLE_DMS_READER;
    }
    return security_role_parse(base_slice_text(name));
}

static bool take_text(char *field, size_t size, const json_t *object, const char *name)
{
    return security_copy_text(field, size, json_string_value(json_object_get(object, name)));
}

/* False when it is not what a Keystone says of a token. */
static bool read_principal(const json_t *answer, const char *id,
                           struct security_principal *principal)
{
    const json_t *token = json_object_get(answer, "token");
    const json_t *user = json_object_get(token, "user");
    const json_t *domain = json_object_get(user, "domain");
    const json_t *project = json_object_get(token, "project");
    const json_t *roles = json_object_get(token, "roles");

    *principal = (struct security_principal){
        .credential = SECURITY_KEYSTONE,
        .is_domain_scoped = json_object_get(token, "domain") != NULL,
        .expires_ms = parse_time_ms(json_string_value(json_object_get(token, "expires_at")))};
    (void)security_copy_text(principal->credential_id, sizeof principal->credential_id, id);
    for (size_t i = 0; i < json_array_size(roles); i++) {
        principal->roles |=
            role_of(json_string_value(json_object_get(json_array_get(roles, i), "name")));
    }
    if (project != NULL &&
        (!take_text(principal->project_id, sizeof principal->project_id, project, "id") ||
         !take_text(principal->project_name, sizeof principal->project_name, project, "name"))) {
        return false;
    }
    return principal->expires_ms > 0 &&
           take_text(principal->user_id, sizeof principal->user_id, user, "id") &&
           take_text(principal->name, sizeof principal->name, user, "name") &&
           take_text(principal->domain_id, sizeof principal->domain_id, domain, "id") &&
           take_text(principal->domain_name, sizeof principal->domain_name, domain, "name");
}

/* Asking. On the worker, not locked. */

/* Whether a status says no to this request, rather than that Keystone is in trouble. */
static bool is_refusal(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static void log_refused(const struct security_keystone *keystone, int status, const char *cause)
{
    base_log(BASE_LOG_ERROR, "KEYSTONE_REFUSES_US", "url=%s status=%d cause=\"%s\"", keystone->url,
             status, cause);
}

/* Asks Keystone; call is to be released. False, with the cause logged, when nobody answers. */
static bool call_keystone(const struct security_keystone *keystone, const char *const *headers,
                          const char *body, struct security_http_call *call)
{
    call->method = NULL;
    call->url = keystone->url;
    call->headers = headers;
    call->body = body;
    call->timeout_ms = SECURITY_KEYSTONE_TIMEOUT_MS;
    call->answer_size_max = SECURITY_KEYSTONE_ANSWER_SIZE_MAX;
    enum base_err err = security_http_call(call);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, "KEYSTONE_DOES_NOT_ANSWER", "url=%s cause=\"%s\"", keystone->url,
                 err == BASE_ERR_IO ? call->cause : base_err_text(err));
    }
    return err == BASE_ERR_OK;
}

static bool login_service(struct security_keystone *keystone)
{
    struct security_http_call call;

    bool is_answered = call_keystone(keystone, login_headers, keystone->login, &call);
    int64_t expires_ms = parse_time_ms(
        json_string_value(json_object_get(json_object_get(call.answer, "token"), "expires_at")));
    bool is_good = is_answered && call.status == 201 && call.subject[0] != '\0' && expires_ms > 0;
    if (is_answered && !is_good) {
        log_refused(keystone, call.status, "the service user of dms.keystone.user cannot log in");
    }
    if (is_good) {
        base_mutex_lock(&keystone->lock);
        memcpy(keystone->service_token, call.subject, sizeof call.subject);
        keystone->service_expires_ms = expires_ms;
        base_mutex_unlock(&keystone->lock);
    }
    security_http_call_release(&call);
    return is_good;
}

/* Copies the service token into a header line; false when there is none that is good. */
static bool take_service_token(struct security_keystone *keystone, char *line, size_t size)
{
    base_mutex_lock(&keystone->lock);
    bool is_good = !has_come(keystone, keystone->service_expires_ms - SERVICE_TOKEN_MARGIN_MS);
    if (is_good) {
        (void)snprintf(line, size, "X-Auth-Token: %s", keystone->service_token);
    }
    base_mutex_unlock(&keystone->lock);
    return is_good;
}

static void drop_service_token(struct security_keystone *keystone)
{
    base_mutex_lock(&keystone->lock);
    keystone->service_expires_ms = 0;
    base_mutex_unlock(&keystone->lock);
}

/* One GET; UNAVAILABLE, and *is_stale, when it is our own token that is not good any more. */
static enum security_verdict ask_once(struct security_keystone *keystone,
                                      const struct question *question,
                                      struct security_principal *principal, bool *is_stale)
{
    char ours[HEADER_SIZE_MAX];
    char theirs[HEADER_SIZE_MAX];
    const char *const headers[] = {ours, theirs, NULL};
    enum security_verdict verdict = SECURITY_UNAVAILABLE;
    struct security_http_call call;

    *is_stale = false;
    if (!take_service_token(keystone, ours, sizeof ours)) {
        *is_stale = true;
        return SECURITY_UNAVAILABLE;
    }
    (void)snprintf(theirs, sizeof theirs, "X-Subject-Token: %s", question->token);
    bool is_answered = call_keystone(keystone, headers, NULL, &call);
    if (is_answered && call.status == 200) {
        verdict =
            read_principal(call.answer, question->id, principal) ? SECURITY_OK : SECURITY_REFUSED;
    } else if (is_answered && call.status == 401) {
        *is_stale = true;
    } else if (is_answered && call.status == 403) {
        log_refused(keystone, call.status,
                    "the service user of dms.keystone.user may not check tokens");
    } else if (is_answered && is_refusal(call.status)) {
        verdict = SECURITY_REFUSED; /* it is the token that it does not like: others may be good */
    }
    if (verdict == SECURITY_OK && has_come(keystone, principal->expires_ms)) {
        verdict = SECURITY_EXPIRED;
    }
    security_http_call_release(&call);
    security__wipe(ours, sizeof ours);
    security__wipe(theirs, sizeof theirs);
    return verdict;
}

static enum security_verdict ask(struct security_keystone *keystone,
                                 const struct question *question,
                                 struct security_principal *principal)
{
    bool is_stale = false;
    enum security_verdict verdict = ask_once(keystone, question, principal, &is_stale);

    if (is_stale) {
        drop_service_token(keystone);
        if (login_service(keystone)) {
            verdict = ask_once(keystone, question, principal, &is_stale);
        }
    }
    return verdict;
}

static void free_question(struct question *question)
{
    if (question->token != NULL) {
        security__wipe(question->token, strlen(question->token));
    }
    base_free(question->token);
    base_free(question);
}

static void run_question(struct base_task *task)
{
    struct question *question = BASE_CONTAINER_OF(task, struct question, task);
    struct security_keystone *keystone = question->keystone;
    struct security_principal principal = {0};
    struct base_list *node = NULL;

    enum security_verdict verdict = ask(keystone, question, &principal);

    base_mutex_lock(&keystone->lock);
    if (verdict == SECURITY_UNAVAILABLE) {
        keystone->down_until_ms = now_ms(keystone) + SECURITY_KEYSTONE_DOWN_MS;
    } else {
        remember(keystone, question->id, verdict, &principal);
    }
    (void)base_map_remove(keystone->questions, base_slice_text(question->id));
    while ((node = base_list_pop_front(&question->waiting)) != NULL) {
        struct security_token_check *check =
            BASE_CONTAINER_OF(node, struct security_token_check, link);
        check->verdict = verdict;
        check->principal = principal;
        base_executor_post(check->executor, &check->task);
    }
    base_mutex_unlock(&keystone->lock);
    free_question(question);
}

/* One POST with somebody's password. */
static enum security_verdict ask_login(const struct security_keystone *keystone, const char *body,
                                       struct security_principal *principal)
{
    enum security_verdict verdict = SECURITY_UNAVAILABLE;
    struct security_http_call call;
    char id[SECURITY_ID_SIZE];

    bool is_answered = call_keystone(keystone, login_headers, body, &call);
    if (is_answered && call.status == 201) {
        security__token_id(base_slice_text(call.subject), id);
        verdict = read_principal(call.answer, id, principal) ? SECURITY_OK : SECURITY_REFUSED;
    } else if (is_answered && is_refusal(call.status)) {
        verdict = SECURITY_REFUSED;
    }
    security_http_call_release(&call);
    return verdict;
}

enum security_verdict security__keystone_ask_login(struct security_keystone *keystone,
                                                   const char *body,
                                                   struct security_principal *principal)
{
    base_mutex_lock(&keystone->lock);
    bool is_down = keystone->down_until_ms > now_ms(keystone);
    base_mutex_unlock(&keystone->lock);
    if (is_down) {
        return SECURITY_UNAVAILABLE;
    }
    enum security_verdict verdict = ask_login(keystone, body, principal);
    if (verdict == SECURITY_UNAVAILABLE) {
        base_mutex_lock(&keystone->lock);
        keystone->down_until_ms = now_ms(keystone) + SECURITY_KEYSTONE_DOWN_MS;
        base_mutex_unlock(&keystone->lock);
    }
    return verdict;
}

/* A new question about check's token; NULL without memory. Locked. */
static struct question *make_question(struct security_keystone *keystone, const char *id,
                                      struct base_slice token)
{
    struct question *question = base_alloc_object(struct question);
    if (question == NULL) {
        return NULL;
    }
    question->task.run = run_question;
    question->keystone = keystone;
    base_list_init(&question->waiting);
    (void)security_copy_text(question->id, sizeof question->id, id);
    question->token = base_strndup((const char *)token.data, token.length);
    if (question->token == NULL ||
        base_map_put(keystone->questions, base_slice_text(question->id), question) != BASE_ERR_OK) {
        free_question(question);
        return NULL;
    }
    return question;
}

/* What could come from a Keystone, and goes into a header: printable, without spaces. */
static bool may_be_token(struct base_slice token)
{
    for (size_t i = 0; i < token.length; i++) {
        if (token.data[i] <= ' ' || token.data[i] > '~') {
            return false;
        }
    }
    return token.length > 0 && token.length <= SECURITY_KEYSTONE_TOKEN_LENGTH_MAX;
}

/* What can be said without asking; UNAVAILABLE with *may_ask when nothing. Locked. */
static enum security_verdict decide(struct security_keystone *keystone, struct base_slice token,
                                    const char *id, struct security_principal *principal,
                                    bool *may_ask)
{
    const struct entry *entry = recall(keystone, id);

    *may_ask = false;
    if (entry != NULL) {
        *principal = entry->principal;
        return entry->verdict;
    }
    if (!may_be_token(token)) {
        return SECURITY_REFUSED;
    }
    *may_ask = keystone->down_until_ms <= now_ms(keystone);
    return SECURITY_UNAVAILABLE;
}

bool security_keystone_check(struct security_keystone *keystone, struct security_token_check *check)
{
    char id[SECURITY_ID_SIZE];
    struct question *asked = NULL;
    bool may_ask = false;

    security__token_id(check->token, id);
    base_mutex_lock(&keystone->lock);
    check->verdict = decide(keystone, check->token, id, &check->principal, &may_ask);
    struct question *question =
        may_ask ? base_map_get(keystone->questions, base_slice_text(id)) : NULL;
    if (may_ask && question == NULL) {
        if (base_map_count(keystone->questions) >= SECURITY_KEYSTONE_WAITING_MAX) {
            check->verdict = SECURITY_OVERLOADED;
        } else {
            asked = make_question(keystone, id, check->token);
            question = asked;
        }
    }
    bool is_waiting = question != NULL;
    if (is_waiting) {
        base_list_push_back(&question->waiting, &check->link);
    }
    if (asked != NULL) {
        base_executor_post(keystone->worker, &asked->task);
    }
    base_mutex_unlock(&keystone->lock);
    return !is_waiting;
}

enum security_verdict security_keystone_peek(struct security_keystone *keystone,
                                             struct base_slice token)
{
    char id[SECURITY_ID_SIZE];
    struct security_principal principal;
    bool may_ask = false;

    security__token_id(token, id);
    base_mutex_lock(&keystone->lock);
    enum security_verdict verdict = decide(keystone, token, id, &principal, &may_ask);
    base_mutex_unlock(&keystone->lock);
    return verdict;
}
