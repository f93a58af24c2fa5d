/* Time behind a vtable, so that a simulator can own it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct base_clock {
    /* Both in microseconds. monotonic never goes back; wall counts from 1970 UTC. */
    int64_t (*monotonic_us)(struct base_clock *clock);
    int64_t (*wall_us)(struct base_clock *clock);
};

/* The clock of the operating system; static storage. */
struct base_clock *base_clock_system(void);

static inline int64_t base_clock_monotonic_us(struct base_clock *clock)
{
    return clock->monotonic_us(clock);
}

static inline int64_t base_clock_monotonic_ms(struct base_clock *clock)
{
    return clock->monotonic_us(clock) / 1000;
}

static inline int64_t base_clock_wall_ms(struct base_clock *clock)
{
    return clock->wall_us(clock) / 1000;
}

#endif
