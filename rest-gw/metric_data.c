/* Metrics of queues and groups as the monitoring service (Cloud Eye) gives them out: which there
 * are, and the values of one, rolled up to periods. */
#include <string.h>

#include "core/base/alloc.h"
#include "rest-gw/answer.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/scope_priv.h"

#define NAMESPACE "SYS.DMS"
#define QUEUE_DIMENSION "queue_instance_id"
#define GROUP_DIMENSION "group_instance_id"

enum {
    DIMENSIONS_MAX = 2,
    MS_PER_SECOND = 1000,
    METRICS_LIMIT_MAX = 1000,
};

static const char *const filter_names[TELEMETRY_FILTER_COUNT] = {"average", "max", "min", "sum",
                                                                 "variance"};

/* Which series is meant; slices are borrowed from the request. */
struct subject {
    struct base_slice namespace_name;
    struct base_slice metric_name;
    struct base_slice queue_id;
    struct base_slice group_id;
};

/* Answers; false, so that it ends a chain of checks. */
static bool refuse(struct restgw_request *request, const char *why)
{
    restgw_answer_errorf(request, RESTGW_ERROR_URL_PARAMETERS, "%s", why);
    return false;
}

/* dim.0=queue_instance_id,<id> and dim.1=group_instance_id,<id>, in any order. */
static bool read_dimensions(struct restgw_request *request, const struct restgw_query *query,
                            struct subject *subject)
{
    for (unsigned i = 0; i < DIMENSIONS_MAX; i++) {
        char name[] = "dim.0";
        name[sizeof name - 2] = (char)('0' + i);
        struct base_slice text = restgw_query_text(query, name);
        if (text.data == NULL) {
            continue;
        }
        const uint8_t *comma = memchr(text.data, ',', text.length);
        if (comma == NULL) {
            return refuse(request, "a dimension is written name,value");
        }
        size_t length = (size_t)(comma - text.data);
        struct base_slice key = base_slice_of(text.data, length);
        struct base_slice value = base_slice_of(comma + 1, text.length - length - 1);
        if (base_slice_is(key, QUEUE_DIMENSION)) {
            subject->queue_id = value;
        } else if (base_slice_is(key, GROUP_DIMENSION)) {
            subject->group_id = value;
        } else {
            return refuse(request, "dimensions are " QUEUE_DIMENSION " and " GROUP_DIMENSION);
        }
    }
    return true;
}

static bool read_subject(struct restgw_request *request, const struct restgw_query *query,
                         struct subject *subject)
{
    *subject = (struct subject){.namespace_name = restgw_query_text(query, "namespace"),
                                .metric_name = restgw_query_text(query, "metric_name")};
    return read_dimensions(request, query, subject);
}

/* One search on behalf of a request; in its arena. */
struct metric_query {
    struct restgw_request *request;
    struct telemetry_series_search search;
};

/* Groups of Kafka queues have only the messages that wait for them. */
static bool has_metric(const struct catalog_topic *topic, enum telemetry_metric_id metric)
{
    return telemetry_metric_row(metric)->of == TELEMETRY_OF_QUEUE ||
           metric == TELEMETRY_METRIC_ACCUMULATED_MESSAGES || !catalog_kind_is_kafka(topic->kind);
}

/* The queue and group that the dimensions name, in the project of the path; the search's id. */
static bool find_subject(struct restgw_request *request, const struct subject *subject,
                         struct base_slice project_id, struct telemetry_series_search *search)
{
    const struct telemetry_metric_row *row = telemetry_metric_row(search->metric);
    bool of_group = row->of == TELEMETRY_OF_GROUP;
    struct catalog_view *view = restgw__view(request);
    const struct catalog_topic *topic = NULL;
    struct base_uuid queue_id = {{0}};

    if (of_group ? subject->group_id.data == NULL : subject->queue_id.data == NULL) {
        return refuse(request, of_group ? "this metric needs the dimension " GROUP_DIMENSION
                                        : "this metric needs the dimension " QUEUE_DIMENSION);
    }
    if (!of_group && subject->group_id.data != NULL) {
        return refuse(request, "this metric has no dimension " GROUP_DIMENSION);
    }
    if (subject->queue_id.data != NULL && !base_uuid_parse((const char *)subject->queue_id.data,
                                                           subject->queue_id.length, &queue_id)) {
        restgw_answer_error(request, RESTGW_ERROR_QUEUE_ID);
        return false;
    }
    struct base_slice group_id = restgw__group_id(request, subject->group_id);
    if (!of_group) {
        topic = catalog_view_topic_by_id(view, queue_id);
    } else if (group_id.data != NULL) {
        topic = catalog_view_topic_of_group(view, group_id);
    }
    bool is_ours = topic != NULL && restgw__is_queue_of(topic, project_id) &&
                   (subject->queue_id.data == NULL || base_uuid_equal(topic->id, queue_id));
    if (!is_ours) {
        restgw_answer_error(request,
                            of_group ? RESTGW_ERROR_GROUP_NOT_FOUND : RESTGW_ERROR_QUEUE_NOT_FOUND);
        return false;
    }
    if (!restgw__scope_allows(request, SECURITY_GET_QUEUE, security_topic(view, topic))) {
        return false;
    }
    if (!has_metric(topic, search->metric)) {
        return refuse(request, "groups of Kafka queues have no metric but accumulated_messages");
    }
    search->id = topic->id;
    return !of_group ||
           base_uuid_parse((const char *)group_id.data + 2, group_id.length - 2, &search->id);
}

static bool read_filter(struct restgw_request *request, struct base_slice text,
                        enum telemetry_filter *out)
{
    for (unsigned i = 0; i < TELEMETRY_FILTER_COUNT; i++) {
        if (base_slice_is(text, filter_names[i])) {
            *out = (enum telemetry_filter)i;
            return true;
        }
    }
    return refuse(request, "filter must be average, max, min, sum or variance");
}

/* 1 is the data as recorded; the others are seconds. */
static bool read_period(struct restgw_request *request, int64_t period,
                        struct telemetry_series_search *search)
{
    static const int64_t periods[] = {300, 1200, 3600, 14400, 86400};
    int64_t interval_ms = telemetry_series_interval_ms(restgw__gateway(request)->options.series);

    search->period_ms = 0;
    if (period == 1) {
        return true;
    }
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        if (period == periods[i] && period * MS_PER_SECOND >= interval_ms) {
            search->period_ms = period * MS_PER_SECOND;
            return true;
        }
    }
    return refuse(request, "period must be 1, 300, 1200, 3600, 14400 or 86400");
}

static bool read_range(struct restgw_request *request, struct restgw_query *query,
                       struct telemetry_series_search *search)
{
    struct restgw_range number = {0, INT64_MAX, -1};
    int64_t period = restgw_query_integer(query, "period", number, RESTGW_ERROR_URL_PARAMETERS);

    search->from_ms = restgw_query_integer(query, "from", number, RESTGW_ERROR_URL_PARAMETERS);
    search->to_ms = restgw_query_integer(query, "to", number, RESTGW_ERROR_URL_PARAMETERS);
    if (restgw_answer_bad_query(request, query)) {
        return false;
    }
    if (search->from_ms < 0 || search->to_ms < 0 || period < 0) {
        return refuse(request, "from, to and period are required");
    }
    if (search->from_ms >= search->to_ms) {
        return refuse(request, "from must be before to");
    }
    return read_period(request, period, search) &&
           read_filter(request, restgw_query_text(query, "filter"), &search->filter);
}

static void put_points(struct base_writer *body, const struct telemetry_series_search *search)
{
    const struct telemetry_metric_row *row = telemetry_metric_row(search->metric);

    RESTGW_JSON_PUT(body, "{\"datapoints\":[");
    for (size_t i = 0; i < search->points_count; i++) {
        if (i > 0) {
            RESTGW_JSON_PUT(body, ",");
        }
        RESTGW_JSON_PUT(body, "{\"");
        base_writer_slice(body, base_slice_text(filter_names[search->filter]));
        RESTGW_JSON_PUT(body, "\":");
        restgw_json_put_double(body, search->points[i].value);
        RESTGW_JSON_PUT(body, ",\"timestamp\":");
        restgw_json_put_integer(body, search->points[i].timestamp_ms);
        RESTGW_JSON_PUT(body, ",\"unit\":");
        restgw_json_put_string(body, base_slice_text(row->unit));
        RESTGW_JSON_PUT(body, "}");
    }
    RESTGW_JSON_PUT(body, "],\"metric_name\":");
    restgw_json_put_string(body, base_slice_text(row->name));
    RESTGW_JSON_PUT(body, "}");
}

static void found(struct base_task *task)
{
    struct metric_query *query = BASE_CONTAINER_OF(task, struct metric_query, search.task);
    struct telemetry_series_search *search = &query->search;
    struct restgw_request *request = query->request;
    struct telemetry_point *points = search->points; /* the search ends with the answer */

    if (search->err == BASE_ERR_TOO_LARGE) {
        (void)refuse(request, "from and to are more than 4320 periods apart");
    } else if (search->err != BASE_ERR_OK) {
        restgw_answer_error(request, restgw__error_of_storage(search->err));
    } else {
        put_points(restgw_answer_begin(request), search);
        restgw_answer_end(request, 200);
    }
    base_free(points);
}

void restgw__metric_data_get(struct restgw_request *request)
{
    struct telemetry_series *series = restgw__gateway(request)->options.series;
    struct restgw_query parameters = restgw_request_query(request);
    struct base_slice project_id;
    struct subject subject;

    if (!restgw__scope_project(request, &project_id) ||
        !read_subject(request, &parameters, &subject)) {
        return;
    }
    struct metric_query *query =
        base_arena_object(restgw_request_arena(request), struct metric_query);
    if (query == NULL) {
        restgw_answer_base_error(request, BASE_ERR_NOMEM);
        return;
    }
    if (series == NULL) {
        restgw_answer_error(request, RESTGW_ERROR_URL_NOT_FOUND);
        return;
    }
    query->request = request;
    query->search.executor = restgw_request_executor(request);
    query->search.task.run = found;
    if (!base_slice_is(subject.namespace_name, NAMESPACE)) {
        (void)refuse(request, "namespace must be " NAMESPACE);
    } else if (!telemetry_metric_parse(subject.metric_name, &query->search.metric)) {
        (void)refuse(request, "metric_name is not one of " NAMESPACE);
    } else if (find_subject(request, &subject, project_id, &query->search) &&
               read_range(request, &parameters, &query->search)) {
        telemetry_series_find(series, &query->search);
    }
}

/* The list. Metrics are numbered queue by queue, oldest first; a page is a range of numbers. */

struct metric_list {
    const struct subject *subject;
    struct base_writer *body;
    int64_t start;
    int64_t limit;
    int64_t total;
    int64_t count; /* written */
};

static void put_dimension(struct base_writer *body, const char *name, const char *value)
{
    RESTGW_JSON_PUT(body, "{\"name\":");
    restgw_json_put_string(body, base_slice_text(name));
    RESTGW_JSON_PUT(body, ",\"value\":");
    restgw_json_put_string(body, base_slice_text(value));
    RESTGW_JSON_PUT(body, "}");
}

static void list_one(struct metric_list *list, const struct telemetry_metric_row *row,
                     const struct catalog_topic *topic, const struct catalog_group *group)
{
    struct base_writer *body = list->body;

    if (list->subject->metric_name.data != NULL &&
        !base_slice_is(list->subject->metric_name, row->name)) {
        return;
    }
    int64_t number = list->total++;
    if (number < list->start || list->count == list->limit) {
        return;
    }
    if (list->count++ > 0) {
        RESTGW_JSON_PUT(body, ",");
    }
    RESTGW_JSON_PUT(body, "{\"namespace\":\"" NAMESPACE "\",\"metric_name\":");
    restgw_json_put_string(body, base_slice_text(row->name));
    RESTGW_JSON_PUT(body, ",\"unit\":");
    restgw_json_put_string(body, base_slice_text(row->unit));
    RESTGW_JSON_PUT(body, ",\"dimensions\":[");
    put_dimension(body, QUEUE_DIMENSION, topic->id_text);
    if (group != NULL) {
        RESTGW_JSON_PUT(body, ",");
        put_dimension(body, GROUP_DIMENSION, group->id);
    }
    RESTGW_JSON_PUT(body, "]}");
}

static void list_object(struct metric_list *list, const struct catalog_topic *topic,
                        const struct catalog_group *group)
{
    for (unsigned i = 0; i < TELEMETRY_METRIC_COUNT; i++) {
        enum telemetry_metric_id metric = (enum telemetry_metric_id)i;
        const struct telemetry_metric_row *row = telemetry_metric_row(metric);
        if ((row->of == TELEMETRY_OF_GROUP) == (group != NULL) && has_metric(topic, metric)) {
            list_one(list, row, topic, group);
        }
    }
}

static void list_topic(struct metric_list *list, const struct catalog_topic *topic)
{
    const struct subject *subject = list->subject;

    if (subject->queue_id.data != NULL && !base_slice_is(subject->queue_id, topic->id_text)) {
        return;
    }
    if (subject->group_id.data == NULL) {
        list_object(list, topic, NULL);
    }
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        const struct catalog_group *group = &topic->groups[i];
        if (subject->group_id.data == NULL || base_slice_is(subject->group_id, group->id)) {
            list_object(list, topic, group);
        }
    }
}

void restgw__metric_list(struct restgw_request *request)
{
    struct restgw_query query = restgw_request_query(request);
    struct restgw_range limit = {1, METRICS_LIMIT_MAX, METRICS_LIMIT_MAX};
    struct restgw_range start = {0, INT64_MAX, 0};
    struct subject subject;
    struct metric_list list = {.subject = &subject};
    struct base_slice project_id;
    size_t topics_count = 0;

    if (!restgw__scope_project(request, &project_id) || !read_subject(request, &query, &subject)) {
        return;
    }
    list.limit = restgw_query_integer(&query, "limit", limit, RESTGW_ERROR_URL_PARAMETERS);
    list.start = restgw_query_integer(&query, "start", start, RESTGW_ERROR_URL_PARAMETERS);
    if (restgw_answer_bad_query(request, &query)) {
        return;
    }
    const struct catalog_topic **topics = restgw__scope_queues(request, &topics_count);
    if (topics == NULL) {
        return;
    }
    if (subject.namespace_name.data != NULL && !base_slice_is(subject.namespace_name, NAMESPACE)) {
        topics_count = 0;
    }
    list.body = restgw_answer_begin(request);
    RESTGW_JSON_PUT(list.body, "{\"metrics\":[");
    for (size_t i = 0; i < topics_count; i++) {
        list_topic(&list, topics[i]);
    }
    RESTGW_JSON_PUT(list.body, "],\"meta_data\":{\"count\":");
    restgw_json_put_integer(list.body, list.count);
    RESTGW_JSON_PUT(list.body, ",\"marker\":\"");
    restgw_json_put_integer(list.body, list.start + list.count);
    RESTGW_JSON_PUT(list.body, "\",\"total\":");
    restgw_json_put_integer(list.body, list.total);
    RESTGW_JSON_PUT(list.body, "}}");
    restgw_answer_end(request, 200);
}
