/* Logins with a password of another Keystone: it is asked for a token, which says who that is. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/list.h"
#include "core/security/identity_priv.h"
#include "core/security/keystone.h"

/* A name of one field is [<domain>/]<user>[/<project>]: the project is found by its name in the
 * same domain, and needs the domain before it. */
struct names {
    struct base_slice domain;
    struct base_slice user;
    struct base_slice project; /* empty: the user's default project */
};

static struct base_slice cut_at_slash(struct base_slice *rest)
{
    const uint8_t *slash = rest->length == 0 ? NULL : memchr(rest->data, '/', rest->length);
    struct base_slice first = *rest;

    if (slash == NULL) {
        *rest = base_slice_text("");
        return first;
    }
    first.length = (size_t)(slash - rest->data);
    *rest = base_slice_of(slash + 1, rest->length - first.length - 1);
    return first;
}

static struct names split(struct base_slice text)
{
    struct names names = {.domain = base_slice_text("Default"), .project = base_slice_text("")};

    names.user = cut_at_slash(&text);
    if (text.length > 0) {
        names.domain = names.user;
        names.user = cut_at_slash(&text);
        names.project = text;
    }
    return names;
}

struct security__login_name security__keystone_login_name(struct base_slice text)
{
    struct names names = split(text);
    return (struct security__login_name){.domain = names.domain, .name = names.user};
}

static json_t *text_of(struct base_slice slice)
{
    return json_stringn((const char *)slice.data, slice.length);
}

/* The body of the question; NULL for texts that are no UTF-8. */
static char *make_body(struct base_slice text, struct base_slice password)
{
    struct names names = split(text);
    json_t *body =
        json_pack("{s:{s:{s:[s], s:{s:{s:o, s:o, s:{s:o}}}}}}", "auth", "identity", "methods",
                  "password", "password", "user", "name", text_of(names.user), "password",
                  text_of(password), "domain", "name", text_of(names.domain));
    if (body != NULL && names.project.length > 0) {
        json_t *scope = json_pack("{s:{s:o, s:{s:o}}}", "project", "name", text_of(names.project),
                                  "domain", "name", text_of(names.domain));
        if (json_object_set_new(json_object_get(body, "auth"), "scope", scope) != 0) {
            json_decref(body);
            body = NULL;
        }
    }
    return security__keystone_body(body);
}

static void is_over(struct security_login *login, enum security_verdict verdict)
{
    if (verdict != SECURITY_REFUSED) {
        security__throttle_succeeded(login->identity->throttle, &login->attempt);
    }
    login->verdict = verdict;
    base_executor_post(login->executor, &login->task);
}

/* On the worker. */
static void ask(struct base_task *task)
{
    struct security_login *login = BASE_CONTAINER_OF(task, struct security_login, work);
    struct security_identity *identity = login->identity;
    char *body = make_body(login->user_name, login->password);
    enum security_verdict verdict = SECURITY_REFUSED;

    if (body != NULL) {
        verdict = security__keystone_ask_login(identity->options.keystone, body, &login->principal);
        security__wipe(body, strlen(body));
        base_free(body);
    }
    atomic_fetch_sub(&identity->waiting, 1);
    is_over(login, verdict);
}

static void token_is_checked(struct base_task *task)
{
    struct security_token_check *check = BASE_CONTAINER_OF(task, struct security_token_check, task);
    struct security_login *login = BASE_CONTAINER_OF(check, struct security_login, check);

    login->principal = check->principal;
    is_over(login, check->verdict);
}

void security__keystone_login(struct security_login *login)
{
    struct security_identity *identity = login->identity;

    if (base_slice_is(login->user_name, "token")) {
        login->check = (struct security_token_check){.executor = login->executor,
                                                     .task = {.run = token_is_checked},
                                                     .token = login->password};
        if (security_keystone_check(identity->options.keystone, &login->check)) {
            token_is_checked(&login->check.task);
        }
        return;
    }
    if (!security__enter_line(identity)) {
        is_over(login, SECURITY_OVERLOADED);
        return;
    }
    login->work.run = ask;
    base_executor_post(identity->options.worker, &login->work);
}
