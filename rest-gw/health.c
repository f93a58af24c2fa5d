/* Whether the process lives, and whether it serves. */
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"

void restgw__health_live(struct restgw_request *request)
{
    RESTGW_JSON_PUT(restgw_answer_begin(request), "{\"status\":\"live\"}");
    restgw_answer_end(request, 200);
}

void restgw__health_ready(struct restgw_request *request)
{
    const struct restgw_options *options = &restgw__gateway(request)->options;
    bool is_ready = options->is_ready(options->context);
    struct base_writer *body = restgw_answer_begin(request);

    if (is_ready) {
        RESTGW_JSON_PUT(body, "{\"status\":\"ready\"}");
    } else {
        RESTGW_JSON_PUT(body, "{\"status\":\"not ready\"}");
    }
    restgw_answer_end(request, is_ready ? 200 : 503);
}
