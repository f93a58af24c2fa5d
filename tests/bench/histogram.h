/* Counts of durations, in buckets at most 1/64 wide of what they hold. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 64 * 60 };

/* Plain value; all zero is empty. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
};

void histogram_add(struct histogram *histogram, uint64_t value_ns);

/* share: 0.5 is the median. 0 when empty. */
double histogram_us(const struct histogram *histogram, double share);

#endif
