/* GET /openapi.json. */
#include "rest-gw/openapi.h"

#include "rest-gw/answer.h"
#include "rest-gw/handlers_priv.h"

void restgw__openapi_get(struct restgw_request *request)
{
    restgw_answer_bytes(request, 200, "application/json",
                        base_slice_of(restgw_openapi_json, restgw_openapi_json_size));
}
