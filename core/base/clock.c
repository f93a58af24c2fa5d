/* The operating system's clocks. */
#include "core/base/clock.h"

#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t system_monotonic_us(struct base_clock *clock)
{
    (void)clock;
    return read_us(CLOCK_MONOTONIC);
}

static int64_t system_wall_us(struct base_clock *clock)
{
    (void)clock;
    return read_us(CLOCK_REALTIME);
}

struct base_clock *base_clock_system(void)
{
    static struct base_clock clock = {system_monotonic_us, system_wall_us};
    return &clock;
}
