/* The audit trail of a project, as Cloud Trace Service shows it: newest first, in pages. */
#include <string.h>

#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"

enum {
    LIMIT_DEFAULT = 10,
    MS_PER_HOUR = 60 * 60 * 1000, /* how far back a search without times goes */
    USER_SIZE_MAX = 16 * 1024,
};

/* One search on behalf of a request; in its arena. */
struct listing {
    struct restgw_request *request;
    bool user_is_text; /* v1.0 has the user as JSON within a string */
    struct telemetry_audit_search search;
};

static void make_user_text(json_t *trace)
{
    struct base_writer writer;

    base_writer_init(&writer, USER_SIZE_MAX);
    restgw_json_put_value(&writer, json_object_get(trace, "user"));
    if (writer.err == BASE_ERR_OK) {
        (void)json_object_set_new(trace, "user",
                                  json_stringn((const char *)writer.buffer->data, writer.length));
    }
    base_writer_fini(&writer);
}

static void found(struct base_task *task)
{
    struct listing *listing = BASE_CONTAINER_OF(task, struct listing, search.task);
    struct telemetry_audit_search *search = &listing->search;
    struct restgw_request *request = listing->request;

    if (search->err != BASE_ERR_OK) {
        restgw_answer_error(request, restgw__error_of_storage(search->err));
        return;
    }
    struct base_writer *body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(body, "{\"traces\":[");
    for (size_t i = 0; i < json_array_size(search->traces); i++) {
        json_t *trace = json_array_get(search->traces, i);
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        if (listing->user_is_text) {
            make_user_text(trace);
        }
        restgw_json_put_value(body, trace);
    }
    RESTGW_JSON_PUT(body, "],\"meta_data\":{\"count\":");
    restgw_json_put_integer(body, (int64_t)json_array_size(search->traces));
    if (search->marker >= 0) {
        RESTGW_JSON_PUT(body, ",\"marker\":\"");
        restgw_json_put_integer(body, search->marker);
        RESTGW_JSON_PUT(body, "\"");
    }
    RESTGW_JSON_PUT(body, "}}");
    json_decref(search->traces);
    restgw_answer_end(request, 200);
}

/* False with the request answered. */
static bool refuse(struct restgw_request *request, const char *why)
{
    restgw_answer_errorf(request, RESTGW_ERROR_URL_PARAMETERS, "%s", why);
    return false;
}

static bool read_times(struct restgw_request *request, struct restgw_query *query,
                       struct telemetry_audit_search *search)
{
    int64_t now_ms = base_clock_wall_ms(restgw__gateway(request)->options.clock);
    struct restgw_range from = {0, INT64_MAX, now_ms > MS_PER_HOUR ? now_ms - MS_PER_HOUR : 0};
    struct restgw_range to = {0, INT64_MAX, now_ms + 1};
    struct restgw_range next = {0, INT64_MAX, INT64_MAX};
    bool has_from = restgw_query_text(query, "from").data != NULL;
    bool has_to = restgw_query_text(query, "to").data != NULL;

    search->from_ms = restgw_query_integer(query, "from", from, RESTGW_ERROR_URL_PARAMETERS);
    search->to_ms = restgw_query_integer(query, "to", to, RESTGW_ERROR_URL_PARAMETERS);
    search->before = restgw_query_integer(query, "next", next, RESTGW_ERROR_URL_PARAMETERS);
    if (restgw_answer_bad_query(request, query)) {
        return false;
    }
    if (has_from != has_to) {
        return refuse(request, "from and to are given together");
    }
    return search->from_ms < search->to_ms || refuse(request, "from must be before to");
}

/* The service and kind of trace that there are here. */
static bool read_kind(struct restgw_request *request, const struct restgw_query *query)
{
    struct base_slice type = restgw_query_text(query, "trace_type");
    struct base_slice service = restgw_query_text(query, "service_type");

    if (type.data != NULL && !base_slice_is(type, "system")) {
        return refuse(request, "trace_type must be system");
    }
    return service.data == NULL || base_slice_is(service, "DMS") ||
           refuse(request, "service_type must be DMS");
}

static bool read_rating(struct restgw_request *request, struct base_slice text)
{
    enum telemetry_rating rating;
    return text.data == NULL || telemetry_rating_parse(text, &rating) ||
           refuse(request, "trace_rating must be normal, warning or incident");
}

/* False with the request answered. */
static bool read_search(struct restgw_request *request, struct telemetry_audit_search *search)
{
    struct restgw_range limit = {1, TELEMETRY_AUDIT_LIMIT_MAX, LIMIT_DEFAULT};
    struct restgw_query query = restgw_request_query(request);

    search->limit =
        (uint32_t)restgw_query_integer(&query, "limit", limit, RESTGW_ERROR_URL_PARAMETERS);
    search->name = restgw_query_text(&query, "trace_name");
    search->resource_type = restgw_query_text(&query, "resource_type");
    search->resource_id = restgw_query_text(&query, "resource_id");
    search->resource_name = restgw_query_text(&query, "resource_name");
    search->user = restgw_query_text(&query, "user");
    search->rating = restgw_query_text(&query, "trace_rating");
    search->trace_id = restgw_query_text(&query, "trace_id");
    return read_times(request, &query, search) && read_kind(request, &query) &&
           read_rating(request, search->rating);
}

void restgw__traces_list(struct restgw_request *request)
{
    struct telemetry_audit *audit = restgw__gateway(request)->options.audit;
    struct base_slice project_id;

    if (!restgw__scope_project(request, &project_id)) {
        return;
    }
    if (audit == NULL) {
        restgw_answer_error(request, RESTGW_ERROR_URL_NOT_FOUND);
        return;
    }
    if (!restgw__scope_allows(request, SECURITY_DESCRIBE, security_project())) {
        return;
    }
    struct listing *listing = base_arena_object(restgw_request_arena(request), struct listing);
    if (listing == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    listing->request = request;
    listing->user_is_text = strncmp(restgw_request_route(request)->pattern, "/v1.0", 5) == 0;
    listing->search.executor = restgw_request_executor(request);
    listing->search.task.run = found;
    listing->search.project_id = project_id;
    if (read_search(request, &listing->search)) {
        telemetry_audit_find(audit, &listing->search);
    }
}
