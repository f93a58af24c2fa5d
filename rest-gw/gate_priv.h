/* Who asks: what stands between routes and their handlers when there is authentication. */
#ifndef RESTGW_GATE_PRIV_H
#define RESTGW_GATE_PRIV_H

#include "rest-gw/http_server.h"
#include "rest-gw/request.h"

/* restgw_http_options.gate: a request runs once its credentials were found good, its project is
 * the one of the path, and its role is enough for the route. */
void restgw__gate(struct restgw_request *request);

/* restgw_http_options.admit. */
enum restgw_admission restgw__gate_admit(struct restgw_request *head, enum restgw_error *error);

/* restgw_http_options.is_current: false when whoever asked may not go on. */
bool restgw__gate_is_current(struct restgw_request *request, enum restgw_error *error);

#endif
