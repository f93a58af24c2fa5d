/* How many queues a project may have, and groups each of them; how many there are. */
#include "core/catalog/quota.h"
#include "rest-gw/answer.h"
#include "rest-gw/change_priv.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"

static void put_resource(struct base_writer *body, const char *type, int32_t quota, int32_t used)
{
    RESTGW_JSON_PUT(body, "{\"type\":");
    restgw_json_put_string(body, base_slice_text(type));
    RESTGW_JSON_PUT(body, ",\"quota\":");
    restgw_json_put_integer(body, quota);
    RESTGW_JSON_PUT(body, ",\"used\":");
    restgw_json_put_integer(body, used);
    RESTGW_JSON_PUT(body, ",\"min\":");
    restgw_json_put_integer(body, CATALOG_QUOTA_MIN);
    RESTGW_JSON_PUT(body, ",\"max\":");
    restgw_json_put_integer(body, CATALOG_QUOTA_MAX);
    RESTGW_JSON_PUT(body, "}");
}

void restgw__quota_get(struct restgw_request *request)
{
    struct base_slice project_id;

    if (!restgw__scope_project(request, &project_id) ||
        !restgw__scope_allows(request, SECURITY_DESCRIBE, security_project())) {
        return;
    }
    const struct catalog_view *view = restgw__view(request);
    struct catalog_quota quota =
        catalog_quota(restgw__gateway(request)->options.catalog, view, project_id);
    struct catalog_quota used = catalog_quota_used(view, project_id);
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"quotas\":{\"resources\":[");
    put_resource(body, "queue", quota.queues, used.queues);
    RESTGW_JSON_PUT(body, ",");
    put_resource(body, "group", quota.groups, used.groups);
    RESTGW_JSON_PUT(body, "]}}");
    restgw_answer_end(request, 200);
}

/* One {"type":..,"quota":..}: which of the two it is goes into *quota. False with the request
 * answered. */
static bool read_resource(struct restgw_request *request, const json_t *json,
                          struct catalog_quota *quota)
{
    struct restgw_range range = {CATALOG_QUOTA_MIN, CATALOG_QUOTA_MAX, 0};
    struct restgw_fields fields;

    restgw_fields_init(&fields, json);
    struct base_slice type =
        restgw_fields_text_required(&fields, "type", RESTGW_ERROR_REQUEST_FORMAT);
    bool is_queue = base_slice_is(type, "queue");
    if (!is_queue && !base_slice_is(type, "group")) {
        restgw_fields_fail(&fields, "type", RESTGW_ERROR_REQUEST_FORMAT);
    }
    if (!restgw_fields_has(&fields, "quota")) {
        restgw_fields_fail(&fields, "quota", RESTGW_ERROR_QUOTA_RANGE);
    }
    int32_t value =
        (int32_t)restgw_fields_integer(&fields, "quota", range, RESTGW_ERROR_QUOTA_RANGE);
    *(is_queue ? &quota->queues : &quota->groups) = value;
    return !restgw_answer_bad_fields(request, &fields);
}

/* The body has the shape of what GET answers; a type that it leaves out stays 0. */
static bool read_quota(struct restgw_request *request, struct catalog_quota *quota)
{
    const json_t *json = restgw_request_json(request);
    struct restgw_fields fields;

    if (json == NULL) {
        return false;
    }
    restgw_fields_init(&fields, json_object_get(json, "quotas"));
    const json_t *resources =
        restgw_fields_array(&fields, "resources", RESTGW_ERROR_REQUEST_FORMAT);
    if (json_array_size(resources) == 0) {
        restgw_answer_errorf(request, RESTGW_ERROR_REQUEST_FORMAT,
                             "quotas.resources must be an array of at least one quota");
        return false;
    }
    for (size_t i = 0; i < json_array_size(resources); i++) {
        if (!read_resource(request, json_array_get(resources, i), quota)) {
            return false;
        }
    }
    return true;
}

void restgw__quota_set(struct restgw_request *request)
{
    static const struct restgw__change_errors errors = {.not_found = RESTGW_ERROR_FLOW_CONTROL,
                                                        .exists = RESTGW_ERROR_FLOW_CONTROL};
    struct catalog *catalog = restgw__gateway(request)->options.catalog;
    struct base_slice project_id;

    if (!restgw__scope_project(request, &project_id) ||
        !restgw__scope_allows(request, SECURITY_ALTER, security_cluster())) {
        return;
    }
    const struct catalog_view *view = restgw__view(request);
    struct catalog_quota quota = {0};
    if (!read_quota(request, &quota)) {
        return;
    }
    struct catalog_quota used = catalog_quota_used(view, project_id);
    if ((quota.queues != 0 && quota.queues < used.queues) ||
        (quota.groups != 0 && quota.groups < used.groups)) {
        restgw_answer_error(request, RESTGW_ERROR_QUOTA_BELOW_USED);
        return;
    }
    struct restgw__change *change =
        restgw__change_begin(request, &errors, restgw__change_answer_empty);
    if (change != NULL) {
        catalog_set_quota(catalog, view, project_id, quota, &change->change);
    }
}
