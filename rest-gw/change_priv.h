/* One change of the catalog on behalf of a request. */
#ifndef RESTGW_CHANGE_PRIV_H
#define RESTGW_CHANGE_PRIV_H

#include "core/catalog/catalog.h"
#include "rest-gw/error.h"
#include "rest-gw/request.h"

/* What the catalog's refusals mean for one kind of change. NONE: they cannot come. */
struct restgw__change_errors {
    enum restgw_error exists;
    enum restgw_error quota;
    enum restgw_error not_found;
};

/* In the request's arena. */
struct restgw__change {
    struct restgw_request *request;
    const struct restgw__change_errors *errors; /* borrowed, static */
    struct catalog_change change;
    void *context; /* the handler's */
};

/* A change that ends in done; NULL with the request answered when memory is out. */
struct restgw__change *restgw__change_begin(struct restgw_request *request,
                                            const struct restgw__change_errors *errors,
                                            base_task_run *done);

/* The change whose task this is. */
struct restgw__change *restgw__change_of(struct base_task *task);

/* False, with the request answered, when the catalog refused it. */
bool restgw__change_was_made(struct restgw__change *change);

/* A `done` for changes that are answered with 204. */
void restgw__change_answer_empty(struct base_task *task);

#endif
