/* Timers in a binary heap; index 1 is the root, so that 0 can mean "not armed". */
#include "core/base/timer_heap.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { HEAP_CAPACITY_MIN = 64 }; /* of an array of its own */

void base_timer_heap_init(struct base_timer_heap *heap)
{
    *heap = (struct base_timer_heap){.timers = heap->first, .capacity = BASE_TIMER_HEAP_FIRST};
}

void base_timer_heap_fini(struct base_timer_heap *heap)
{
    for (uint32_t i = 1; i <= heap->count; i++) {
        heap->timers[i]->heap_index = 0;
    }
    if (heap->timers != heap->first) {
        base_free(heap->timers);
    }
    base_timer_heap_init(heap);
}

static void place(struct base_timer_heap *heap, uint32_t index, struct base_timer *timer)
{
    heap->timers[index] = timer;
    timer->heap_index = index;
}

static void sift_up(struct base_timer_heap *heap, uint32_t index)
{
    struct base_timer *timer = heap->timers[index];
    while (index > 1 && heap->timers[index / 2]->deadline_us > timer->deadline_us) {
        place(heap, index, heap->timers[index / 2]);
        index /= 2;
    }
    place(heap, index, timer);
}

static void sift_down(struct base_timer_heap *heap, uint32_t index)
{
    struct base_timer *timer = heap->timers[index];
    for (;;) {
        uint32_t child = index * 2;
        if (child > heap->count) {
            break;
        }
        if (child < heap->count &&
            heap->timers[child + 1]->deadline_us < heap->timers[child]->deadline_us) {
            child++;
        }
        if (heap->timers[child]->deadline_us >= timer->deadline_us) {
            break;
        }
        place(heap, index, heap->timers[child]);
        index = child;
    }
    place(heap, index, timer);
}

enum base_err base_timer_heap_reserve(struct base_timer_heap *heap, uint32_t count)
{
    if (count <= heap->capacity) {
        return BASE_ERR_OK;
    }
    bool is_first = heap->timers == heap->first;
    uint32_t capacity = is_first ? HEAP_CAPACITY_MIN : heap->capacity * 2;
    capacity = capacity < count ? count : capacity;
    struct base_timer **timers = base_realloc_array(is_first ? NULL : heap->timers,
                                                    (size_t)capacity + 1, sizeof heap->timers[0]);
    if (timers == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (is_first) {
        memcpy(timers, heap->first, sizeof heap->first);
    }
    heap->timers = timers;
    heap->capacity = capacity;
    return BASE_ERR_OK;
}

void base_timer_heap_arm(struct base_timer_heap *heap, struct base_timer *timer)
{
    BASE_ASSERT(timer->fire != NULL);
    if (timer->heap_index == 0) {
        if (heap->count >= heap->capacity / 2) {
            enum base_err err = base_timer_heap_reserve(heap, heap->capacity + 1);
            BASE_ASSERT(err == BASE_ERR_OK || heap->count < heap->capacity);
        }
        heap->count++;
        place(heap, heap->count, timer);
    }
    sift_up(heap, timer->heap_index);
    sift_down(heap, timer->heap_index);
}

void base_timer_heap_stop(struct base_timer_heap *heap, struct base_timer *timer)
{
    uint32_t index = timer->heap_index;
    if (index == 0) {
        return;
    }
    BASE_ASSERT(index <= heap->count);
    BASE_ASSERT(heap->timers[index] == timer);

    struct base_timer *last = heap->timers[heap->count];
    heap->count--;
    timer->heap_index = 0;
    if (last != timer) {
        place(heap, index, last);
        sift_up(heap, index);
        sift_down(heap, last->heap_index);
    }
}

int64_t base_timer_heap_next_us(const struct base_timer_heap *heap)
{
    return heap->count == 0 ? -1 : heap->timers[1]->deadline_us;
}

uint32_t base_timer_heap_run(struct base_timer_heap *heap, int64_t now_us, uint32_t count_max)
{
    uint32_t fired = 0;
    while (fired < count_max && heap->count > 0 && heap->timers[1]->deadline_us <= now_us) {
        struct base_timer *timer = heap->timers[1];
        base_timer_heap_stop(heap, timer);
        timer->fire(timer);
        fired++;
    }
    return fired;
}
