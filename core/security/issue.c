/* Storing what was given out: a token or an access key, and with it the end of the oldest ones of a
 * user who has too many. */
#include <string.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/security/identity_priv.h"

enum {
    ENDED_MAX = 8, /* by one that is new: more than one after the limit became lower */
    TRIES_MAX = 4, /* the oldest may be ended by somebody else meanwhile */
};

/* The oldest ones of a user, oldest first. */
struct oldest {
    const struct catalog_object *object; /* the new one */
    size_t count;                        /* of the user's */
    size_t found;
    const struct catalog_object *objects[ENDED_MAX];
};

static int64_t made_ms(const struct catalog_object *object)
{
    return catalog_object_integer(object, object->type == CATALOG_OBJECT_TOKEN ? "issued_ms"
                                                                               : "created_ms");
}

/* Permanent keys are not ended by others: only those that expire count. */
static bool visit(void *context, const struct catalog_object *object)
{
    struct oldest *oldest = context;
    const char *user_id = catalog_object_text(object, "user_id");

    if (user_id == NULL || catalog_object_integer(object, "expires_ms") == 0 ||
        strcmp(user_id, catalog_object_text(oldest->object, "user_id")) != 0) {
        return true;
    }
    oldest->count++;
    size_t place = oldest->found;
    while (place > 0 && made_ms(oldest->objects[place - 1]) > made_ms(object)) {
        if (place < ENDED_MAX) {
            oldest->objects[place] = oldest->objects[place - 1];
        }
        place--;
    }
    if (place < ENDED_MAX) {
        oldest->objects[place] = object;
        oldest->found += oldest->found < ENDED_MAX;
    }
    return true;
}

static void is_over(struct security_issue *issue, enum security_verdict verdict)
{
    issue->verdict = verdict;
    catalog_object_release(&issue->object);
    security__access_key_is_made(issue);
}

static void find_room(struct base_task *task);

static void is_stored(struct base_task *task)
{
    struct security_issue *issue = BASE_CONTAINER_OF(task, struct security_issue, change.task);
    enum catalog_verdict verdict = issue->change.verdict;

    if ((verdict == CATALOG_NOT_FOUND || verdict == CATALOG_CONFLICT) && issue->tries < TRIES_MAX) {
        atomic_fetch_add(&issue->identity->waiting, 1);
        issue->work.run = find_room;
        base_executor_post(issue->identity->options.worker, &issue->work);
        return;
    }
    is_over(issue, verdict == CATALOG_DONE ? SECURITY_OK : SECURITY_UNAVAILABLE);
    issue->task.run(&issue->task);
}

/* Stores the new one and ends count others. */
static void store(struct security_issue *issue, const struct catalog_object *const *ended,
                  size_t count)
{
    struct catalog_object_edit edits[ENDED_MAX + 1] = {
        {.after = catalog_object_hold(issue->object)}};

    BASE_ASSERT(count <= ENDED_MAX);
    for (size_t i = 0; i < count; i++) {
        edits[i + 1].before = ended[i];
    }
    issue->change =
        (struct catalog_change){.executor = issue->executor, .task = {.run = is_stored}};
    catalog_change_objects(issue->identity->options.catalog, edits, count + 1, &issue->change);
}

/* On the worker: it looks at all there are. The last try ends none: one too many is better than
 * none at all. */
static void find_room(struct base_task *task)
{
    struct security_issue *issue = BASE_CONTAINER_OF(task, struct security_issue, work);
    struct security_identity *identity = issue->identity;
    struct oldest oldest = {.object = issue->object};
    size_t ended_count = 0;

    struct catalog_view *view = catalog_view(identity->options.catalog);
    catalog_view_each_object(view, issue->object->type, visit, &oldest);
    if (oldest.count >= identity->options.tokens_per_user && ++issue->tries < TRIES_MAX) {
        ended_count = oldest.count - identity->options.tokens_per_user + 1;
        ended_count = ended_count > oldest.found ? oldest.found : ended_count;
    }
    store(issue, oldest.objects, ended_count);
    catalog_view_release(&view);
    atomic_fetch_sub(&identity->waiting, 1);
}

void security__issue_store(struct security_identity *identity, struct catalog_object *object,
                           size_t count_max, struct security_issue *issue)
{
    struct catalog_view *view = catalog_view(identity->options.catalog);
    size_t count = object == NULL ? 0 : catalog_view_objects_count(view, object->type);
    catalog_view_release(&view);

    issue->identity = identity;
    issue->object = object;
    issue->tries = 0;
    if (object == NULL || count >= count_max) {
        is_over(issue, object == NULL ? SECURITY_UNAVAILABLE : SECURITY_OVERLOADED);
        base_executor_post(issue->executor, &issue->task);
        return;
    }
    if (count < identity->options.tokens_per_user ||
        catalog_object_integer(object, "expires_ms") == 0) {
        store(issue, NULL, 0);
        return;
    }
    if (!security__enter_line(identity)) {
        is_over(issue, SECURITY_OVERLOADED);
        base_executor_post(issue->executor, &issue->task);
        return;
    }
    issue->work.run = find_room;
    base_executor_post(identity->options.worker, &issue->work);
}
