/* Log-linear histogram. */
#include "tests/bench/histogram.h"

enum { SUB_BITS = 6, SUB_COUNT = 1 << SUB_BITS };

static unsigned bucket_of(uint64_t value)
{
    if (value < SUB_COUNT) {
        return (unsigned)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
    unsigned bucket = (shift + 1) * SUB_COUNT + (unsigned)((value >> shift) - SUB_COUNT);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The middle of what the bucket holds. */
static double value_of(unsigned bucket)
{
    if (bucket < SUB_COUNT) {
        return bucket;
    }
    unsigned shift = bucket / SUB_COUNT - 1;
    return (SUB_COUNT + bucket % SUB_COUNT + 0.5) * (double)(UINT64_C(1) << shift);
}

void histogram_add(struct histogram *histogram, uint64_t value_ns)
{
    histogram->counts[bucket_of(value_ns)]++;
    histogram->count++;
}

double histogram_us(const struct histogram *histogram, double share)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen > 0 && (double)seen >= share * (double)histogram->count) {
            return value_of(i) / 1e3;
        }
    }
    return 0;
}
