/* The eight metrics of queues and groups, as of now, for /metrics. */
#include "core/base/alloc.h"
#include "core/catalog/dead_letters.h"
#include "core/telemetry/metric.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/json_write.h"
#include "rest-gw/metrics_priv.h"

/* A queue (group NULL) or a group, and its values. */
struct sampled {
    const struct catalog_topic *topic; /* borrowed from the view */
    const struct catalog_group *group; /* likewise */
    int64_t values[TELEMETRY_SLOTS_MAX];
};

struct sampling {
    const struct restgw_options *options;
    bool made_by_rest; /* which topics this pass takes */
    size_t topics_count;
    struct sampled *rows; /* in the arena */
    size_t rows_count;
    size_t rows_max;
};

static void sample(struct sampling *sampling, const struct catalog_topic *topic,
                   const struct catalog_group *group)
{
    const struct restgw_options *options = sampling->options;

    if (sampling->rows_count == sampling->rows_max) {
        return;
    }
    struct sampled *row = &sampling->rows[sampling->rows_count];
    *row = (struct sampled){.topic = topic, .group = group};
    sampling->rows_count +=
        options->sampler.sample(options->sampler.context, topic, group, row->values);
}

static bool sample_topic(void *context, const struct catalog_topic *topic)
{
    struct sampling *sampling = context;

    if (topic->kind == CATALOG_INTERNAL || catalog_topic_is_dead_letters(topic) ||
        topic->made_by_rest != sampling->made_by_rest) {
        return true;
    }
    if (sampling->topics_count == sampling->options->sampled_topics_max) {
        return false;
    }
    sampling->topics_count++;
    sample(sampling, topic, NULL);
    for (uint32_t i = 0; i < topic->groups_count; i++) {
        sample(sampling, topic, &topic->groups[i]);
    }
    return true;
}

static bool count_groups(void *context, const struct catalog_topic *topic)
{
    size_t *count = context;
    *count += topic->groups_count;
    return true;
}

static size_t rows_max(const struct catalog_view *view, size_t topics_max)
{
    size_t topics_count = catalog_view_topics_count(view);
    size_t groups_count = 0;

    catalog_view_each(view, count_groups, &groups_count);
    return (topics_count < topics_max ? topics_count : topics_max) + groups_count;
}

static void put(struct base_writer *writer, const char *text)
{
    base_writer_slice(writer, base_slice_text(text));
}

/* name="value", with what the format wants escaped. */
static void put_label(struct base_writer *writer, const char *name, const char *value)
{
    put(writer, name);
    put(writer, "=\"");
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n') {
            put(writer, "\\n");
            continue;
        }
        if (*at == '\\' || *at == '"') {
            put(writer, "\\");
        }
        base_writer_bytes(writer, at, 1);
    }
    put(writer, "\"");
}

static void put_row(struct base_writer *writer, const struct telemetry_metric_row *metric,
                    const struct sampled *row)
{
    put(writer, "dmsd_");
    put(writer, metric->name);
    put(writer, metric->is_rate ? "_total{" : "{");
    put_label(writer, "project_id", row->topic->project_id);
    put(writer, ",");
    put_label(writer, "queue_id", row->topic->id_text);
    put(writer, ",");
    put_label(writer, "queue", row->topic->queue_name);
    if (row->group != NULL) {
        put(writer, ",");
        put_label(writer, "group_id", row->group->id);
        put(writer, ",");
        put_label(writer, "group", row->group->name);
    }
    put(writer, "} ");
    restgw_json_put_integer(writer, row->values[metric->slot]);
    put(writer, "\n");
}

static void put_head(struct base_writer *writer, const struct telemetry_metric_row *metric)
{
    const char *suffix = metric->is_rate ? "_total " : " ";

    put(writer, "# HELP dmsd_");
    put(writer, metric->name);
    put(writer, suffix);
    put(writer, metric->help);
    put(writer, "\n# TYPE dmsd_");
    put(writer, metric->name);
    put(writer, suffix);
    put(writer, metric->is_rate ? "counter\n" : "gauge\n");
}

void restgw__put_queue_metrics(struct base_writer *writer, struct restgw_request *request)
{
    struct catalog_view *view = restgw__view(request);
    struct sampling sampling = {.options = &restgw__gateway(request)->options,
                                .made_by_rest = true};

    if (sampling.options->sampler.sample == NULL) {
        return;
    }
    sampling.rows_max = rows_max(view, sampling.options->sampled_topics_max);
    sampling.rows =
        base_alloc_array(sampling.rows_max == 0 ? 1 : sampling.rows_max, sizeof sampling.rows[0]);
    if (sampling.rows == NULL) {
        base_writer_fail(writer, BASE_ERR_NOMEM);
        return;
    }
    catalog_view_each(view, sample_topic, &sampling);
    sampling.made_by_rest = false;
    catalog_view_each(view, sample_topic, &sampling);
    for (unsigned i = 0; i < TELEMETRY_METRIC_COUNT; i++) {
        const struct telemetry_metric_row *metric =
            telemetry_metric_row((enum telemetry_metric_id)i);
        put_head(writer, metric);
        for (size_t j = 0; j < sampling.rows_count; j++) {
            const struct sampled *row = &sampling.rows[j];
            if ((row->group != NULL) == (metric->of == TELEMETRY_OF_GROUP)) {
                put_row(writer, metric, row);
            }
        }
    }
    base_free(sampling.rows);
}
