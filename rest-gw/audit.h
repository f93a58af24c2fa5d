/* What a handler says about an operation that leaves a trace.
 *
 * A route is traced when its row has RESTGW_ROUTE_TRACED(type): then every request to it,
 * refused ones too, leaves a trace with the row's action as its name, who asked, from where, and
 * what was answered, as far as the limits of refusals go (telemetry/audit.h). Handlers only add
 * what the path does not tell. All of it may be called for any request, before its answer; on one
 * that is not traced it does nothing. */
#ifndef RESTGW_AUDIT_H
#define RESTGW_AUDIT_H

#include "core/base/slice.h"
#include "core/security/principal.h"
#include "rest-gw/request.h"

enum {
    RESTGW_AUDIT_RESOURCES_MAX = 1000,       /* of one request; more are left away */
    RESTGW_AUDIT_REFUSED_RESOURCES_MAX = 16, /* of one that was refused */
};

/* A resource that the request is about; copied. Several get a trace each. With a null id one
 * that is still to be made: a later call with its name and an id completes it. Without any
 * call the trace is about what {group_id} or {queue_id} of the path names. */
void restgw_audit_resource(struct restgw_request *request, struct base_slice id,
                           struct base_slice name);

/* The trace's name where the route's action does not say it; name is a literal. */
void restgw_audit_name(struct restgw_request *request, const char *name);

/* Who asked, where the request's own credentials do not say it: of one that logs in. Borrowed until
 * the answer, and read then; with no user_id it was not proven. */
void restgw_audit_user(struct restgw_request *request, const struct security_principal *who);

/* The project that the resource belongs to: it gets the traces as well, unless they are its own
 * already; copied. */
void restgw_audit_owner(struct restgw_request *request, struct base_slice project_id);

#endif
