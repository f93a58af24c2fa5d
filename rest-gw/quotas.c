/* How many queues a project may have, and has. */
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"

enum { QUOTA_MAX = 500 }; /* what the reference shows as the most a quota can be raised to */

void restgw__quota_get(struct restgw_request *request)
{
    int32_t quota = restgw__gateway(request)->options.queues_per_project_max;
    struct base_slice project_id;

    if (!restgw__scope_project(request, &project_id)) {
        return;
    }
    if (!restgw__scope_allows(request, SECURITY_DESCRIBE, security_project())) {
        return;
    }
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"quotas\":{\"resources\":[{\"type\":\"queue\",\"quota\":");
    restgw_json_put_integer(body, quota);
    RESTGW_JSON_PUT(body, ",\"used\":");
    restgw_json_put_integer(body, restgw__queues_count(restgw__view(request), project_id));
    RESTGW_JSON_PUT(body, ",\"min\":0,\"max\":");
    restgw_json_put_integer(body, quota > QUOTA_MAX ? quota : QUOTA_MAX);
    RESTGW_JSON_PUT(body, "}]}}");
    restgw_answer_end(request, 200);
}
