/* Cross-thread timer: one atomic deadline, one task that carries it home. */
#include "core/base/alarm.h"

#include "core/base/assert.h"
#include "core/base/list.h"

/* Both in one word: whoever closes the alarm must learn in the same step whether the
 * task is already on its way, since from then on home may finish closing any time. */
enum alarm_flag {
    ALARM_POSTED = 1, /* task is on its way to home */
    ALARM_CLOSING = 2,
};

/* Runs on home: brings the timer in line with the wanted deadline. */
static void sync_timer(struct base_task *task)
{
    struct base_alarm *alarm = BASE_CONTAINER_OF(task, struct base_alarm, task);

    unsigned flags = atomic_fetch_and(&alarm->flags, ~(unsigned)ALARM_POSTED);
    if ((flags & ALARM_CLOSING) != 0) {
        base_timer_stop(alarm->home, &alarm->timer);
        struct base_task *closed = alarm->closed_task;
        alarm->closed_task = NULL;
        if (closed != NULL) {
            base_executor_post(alarm->home, closed);
        }
        return;
    }
    int64_t wanted_us = atomic_load(&alarm->wanted_us);
    if (wanted_us == INT64_MAX) {
        return;
    }
    if (!base_timer_is_armed(&alarm->timer) || alarm->timer.deadline_us > wanted_us) {
        base_timer_arm(alarm->home, &alarm->timer, wanted_us);
    }
}

static void timer_fired(struct base_timer *timer)
{
    struct base_alarm *alarm = BASE_CONTAINER_OF(timer, struct base_alarm, timer);

    if ((atomic_load(&alarm->flags) & ALARM_CLOSING) != 0) {
        return;
    }
    atomic_store(&alarm->wanted_us, INT64_MAX);
    alarm->ring(alarm);
}

void base_alarm_init(struct base_alarm *alarm, struct base_executor *home, base_alarm_ring *ring)
{
    BASE_ASSERT(home != NULL);
    BASE_ASSERT(ring != NULL);

    *alarm = (struct base_alarm){.home = home, .ring = ring};
    alarm->task.run = sync_timer;
    alarm->timer.fire = timer_fired;
    atomic_init(&alarm->wanted_us, INT64_MAX);
    atomic_init(&alarm->flags, 0);
}

static void send_home(struct base_alarm *alarm, unsigned flags)
{
    if ((atomic_fetch_or(&alarm->flags, flags) & ALARM_POSTED) == 0) {
        base_executor_post(alarm->home, &alarm->task);
    }
}

void base_alarm_set(struct base_alarm *alarm, int64_t deadline_us)
{
    int_fast64_t wanted_us = atomic_load(&alarm->wanted_us);
    do {
        if (wanted_us <= deadline_us) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&alarm->wanted_us, &wanted_us, deadline_us));
    send_home(alarm, ALARM_POSTED);
}

void base_alarm_close(struct base_alarm *alarm, struct base_task *closed)
{
    BASE_ASSERT((atomic_load(&alarm->flags) & ALARM_CLOSING) == 0);
    alarm->closed_task = closed;
    send_home(alarm, ALARM_POSTED | ALARM_CLOSING);
}
