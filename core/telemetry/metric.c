#include "core/telemetry/metric.h"

#include "core/base/assert.h"

#define METRIC_ROW(name, text, unit, of, slot, is_rate, help) \
    {text, unit, TELEMETRY_OF_##of, slot, is_rate, help},
static const struct telemetry_metric_row rows[TELEMETRY_METRIC_COUNT] = {
    TELEMETRY_METRIC_LIST(METRIC_ROW)};
#undef METRIC_ROW

const struct telemetry_metric_row *telemetry_metric_row(enum telemetry_metric_id metric)
{
    BASE_ASSERT(metric < TELEMETRY_METRIC_COUNT);
    return &rows[metric];
}

bool telemetry_metric_parse(struct base_slice name, enum telemetry_metric_id *out)
{
    for (unsigned i = 0; i < TELEMETRY_METRIC_COUNT; i++) {
        if (base_slice_is(name, rows[i].name)) {
            *out = (enum telemetry_metric_id)i;
            return true;
        }
    }
    return false;
}
