/* Binary heap of armed timers: what executors keep them in. One thread. */
#ifndef BASE_TIMER_HEAP_H
#define BASE_TIMER_HEAP_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/executor.h"

enum { BASE_TIMER_HEAP_FIRST = 8 };

/* Stays where it is: it holds the room of the first few timers. */
struct base_timer_heap {
    struct base_timer **timers; /* array of borrowed timers, owned unless it is first; [0] unused */
    uint32_t count;
    uint32_t capacity;
    struct base_timer *first[BASE_TIMER_HEAP_FIRST + 1];
};

void base_timer_heap_init(struct base_timer_heap *heap);

/* Forgets all timers. */
void base_timer_heap_fini(struct base_timer_heap *heap);

/* Room for count timers in all, so that arming them cannot abort. NOMEM changes nothing. */
BASE_MUST_USE enum base_err base_timer_heap_reserve(struct base_timer_heap *heap, uint32_t count);

/* Inserts timer, or moves it if it is already in. The array grows when it is half full, so that
 * memory that is out for a while does not matter; aborts when there is none until it is full: a
 * lost timer would be a silent hang. */
void base_timer_heap_arm(struct base_timer_heap *heap, struct base_timer *timer);

void base_timer_heap_stop(struct base_timer_heap *heap, struct base_timer *timer);

/* Earliest deadline, or -1 when empty. */
int64_t base_timer_heap_next_us(const struct base_timer_heap *heap);

/* Fires what is due at now_us, in deadline order, until none is left or
 * count_max have fired. Returns how many. */
uint32_t base_timer_heap_run(struct base_timer_heap *heap, int64_t now_us, uint32_t count_max);

#endif
