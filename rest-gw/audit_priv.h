/* Traces of requests, for what makes and ends them. */
#ifndef RESTGW_AUDIT_PRIV_H
#define RESTGW_AUDIT_PRIV_H

#include "core/telemetry/audit.h"
#include "rest-gw/audit.h"

/* A traced request gets its id, and tells it in X-Request-Id. */
void restgw__audit_begin(struct restgw_request *request);

/* Writes the traces of a request that has been answered; audit NULL: none. */
void restgw__audit_end(struct restgw_request *request, struct telemetry_audit *audit);

#endif
