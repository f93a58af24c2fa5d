/* Counters in slots: a thread keeps to one slot, so that threads do not fight over cache
 * lines; more threads than slots share them. */
#include "core/telemetry/counters.h"

#include <stdalign.h>
#include <stdatomic.h>

#include "core/base/assert.h"

enum { SLOTS_COUNT = 32, CACHE_LINE_SIZE = 64 };

struct slot {
    alignas(CACHE_LINE_SIZE) atomic_uint_fast64_t values[TELEMETRY_COUNTER_COUNT];
};

struct description {
    const char *metric;
    const char *help;
};

static struct slot slots[SLOTS_COUNT];
static atomic_uint slots_given;
static _Thread_local struct slot *own;

#define COUNTER_ROW(name, metric, help) {metric, help},
static const struct description descriptions[TELEMETRY_COUNTER_COUNT] = {
    TELEMETRY_COUNTER_LIST(COUNTER_ROW)};
#undef COUNTER_ROW

void telemetry_add(enum telemetry_counter counter, uint64_t value)
{
    if (own == NULL) {
        own = &slots[atomic_fetch_add(&slots_given, 1) % SLOTS_COUNT];
    }
    atomic_fetch_add_explicit(&own->values[counter], value, memory_order_relaxed);
}

uint64_t telemetry_read(enum telemetry_counter counter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SLOTS_COUNT; i++) {
        sum += atomic_load_explicit(&slots[i].values[counter], memory_order_relaxed);
    }
    return sum;
}

const char *telemetry_metric(enum telemetry_counter counter)
{
    BASE_ASSERT(counter < TELEMETRY_COUNTER_COUNT);
    return descriptions[counter].metric;
}

const char *telemetry_help(enum telemetry_counter counter)
{
    BASE_ASSERT(counter < TELEMETRY_COUNTER_COUNT);
    return descriptions[counter].help;
}
