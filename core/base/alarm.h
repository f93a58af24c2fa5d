/* A timer that any thread may set: what monitors use for their deadlines.
 *
 * An alarm has a home executor. Setting it from elsewhere posts to the home
 * only when the new deadline is earlier than the armed one, so pushing a
 * deadline back (a heartbeat) costs an atomic load. Hence it may ring early:
 * whoever is rung looks at its own deadlines and sets the alarm again. */
#ifndef BASE_ALARM_H
#define BASE_ALARM_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/executor.h"

struct base_alarm;
typedef void base_alarm_ring(struct base_alarm *alarm);

struct base_alarm {
    struct base_executor *home; /* borrowed */
    base_alarm_ring *ring;      /* runs on home, with no lock held */
    struct base_task task;
    struct base_timer timer;
    struct base_task *closed_task; /* borrowed; posted once close is done */
    atomic_int_fast64_t wanted_us; /* INT64_MAX when nothing is wanted */
    atomic_uint flags;             /* see alarm.c */
};

void base_alarm_init(struct base_alarm *alarm, struct base_executor *home, base_alarm_ring *ring);

/* Makes the alarm ring at deadline_us (monotonic) or before. Any thread, also
 * with a monitor's lock held. */
void base_alarm_set(struct base_alarm *alarm, int64_t deadline_us);

/* Stops the alarm. It may still ring once while this is under way; after
 * `closed` has run on home it never touches its memory again. */
void base_alarm_close(struct base_alarm *alarm, struct base_task *closed);

#endif
