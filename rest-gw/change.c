/* Changes of the catalog, and what is answered when it refuses one. */
#include "rest-gw/change_priv.h"

#include "core/base/assert.h"
#include "rest-gw/answer.h"
#include "rest-gw/scope_priv.h"

struct restgw__change *restgw__change_begin(struct restgw_request *request,
                                            const struct restgw__change_errors *errors,
                                            base_task_run *done)
{
    struct restgw__change *change =
        base_arena_object(restgw_request_arena(request), struct restgw__change);
    if (change == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return NULL;
    }
    change->request = request;
    change->errors = errors;
    change->change.executor = restgw_request_executor(request);
    change->change.task.run = done;
    return change;
}

struct restgw__change *restgw__change_of(struct base_task *task)
{
    return BASE_CONTAINER_OF(task, struct restgw__change, change.task);
}

static enum restgw_error error_of(const struct restgw__change *change)
{
    switch (change->change.verdict) {
    case CATALOG_EXISTS:
    case CATALOG_COLLIDES:
        return change->errors->exists;
    case CATALOG_QUOTA_EXCEEDED:
        return change->errors->quota;
    case CATALOG_TOO_MANY_PARTITIONS:
        return RESTGW_ERROR_TOO_MANY_PARTITIONS;
    case CATALOG_NOT_FOUND:
        return change->errors->not_found;
    case CATALOG_CONFLICT:
        return RESTGW_ERROR_FLOW_CONTROL; /* somebody else was quicker: "try again later" */
    case CATALOG_STORAGE_FAILED:
        return restgw__error_of_storage(change->change.err);
    case CATALOG_DONE:
    case CATALOG_VERDICT_COUNT:
        break;
    }
    return RESTGW_ERROR_NONE;
}

bool restgw__change_was_made(struct restgw__change *change)
{
    if (change->change.verdict == CATALOG_DONE) {
        return true;
    }
    enum restgw_error error = error_of(change);
    BASE_ASSERT(error != RESTGW_ERROR_NONE);
    catalog_topic_release(&change->change.topic);
    restgw_answer_error(change->request, error);
    return false;
}

void restgw__change_answer_empty(struct base_task *task)
{
    struct restgw__change *change = restgw__change_of(task);

    if (restgw__change_was_made(change)) {
        catalog_topic_release(&change->change.topic);
        restgw_answer_empty(change->request, 204);
    }
}
