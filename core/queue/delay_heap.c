/* A binary heap in one array, and the arithmetic of its size. */
#include "core/queue/delay_heap_priv.h"

#include <assert.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { HEAP_CAPACITY_MIN = 16 };

static_assert(sizeof(struct queue_delay_entry) == 16, "what the limit on memory counts with");

void queue__delay_heap_init(struct queue_delay_heap *heap)
{
    *heap = (struct queue_delay_heap){.entries = NULL};
}

void queue__delay_heap_fini(struct queue_delay_heap *heap)
{
    base_free(heap->entries);
    *heap = (struct queue_delay_heap){.entries = NULL};
}

static bool is_before(const struct queue_delay_entry *a, const struct queue_delay_entry *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->offset < b->offset;
}

static enum base_err resize(struct queue_delay_heap *heap, size_t capacity)
{
    struct queue_delay_entry *entries =
        base_realloc_array(heap->entries, capacity, sizeof entries[0]);
    if (entries == NULL) {
        return BASE_ERR_NOMEM;
    }
    heap->entries = entries;
    heap->capacity = capacity;
    return BASE_ERR_OK;
}

enum base_err queue__delay_heap_reserve(struct queue_delay_heap *heap, size_t more)
{
    size_t wanted = queue__delay_heap_total(heap) + more;
    if (wanted <= heap->capacity) {
        return BASE_ERR_OK;
    }
    /* By a quarter: at ten million entries, doubling would waste what it wins in time. */
    size_t capacity = heap->capacity + heap->capacity / 4;
    capacity = capacity < HEAP_CAPACITY_MIN ? HEAP_CAPACITY_MIN : capacity;
    return resize(heap, capacity < wanted ? wanted : capacity);
}

/* Gives memory back after a large backlog; that it cannot is no harm. */
static void shrink_maybe(struct queue_delay_heap *heap)
{
    size_t needed = queue__delay_heap_total(heap);
    if (heap->capacity > HEAP_CAPACITY_MIN && needed < heap->capacity / 4) {
        enum base_err err = resize(heap, heap->capacity / 2);
        (void)err;
    }
}

static void sift_up(struct queue_delay_heap *heap, size_t index)
{
    struct queue_delay_entry entry = heap->entries[index];

    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!is_before(&entry, &heap->entries[parent])) {
            break;
        }
        heap->entries[index] = heap->entries[parent];
        index = parent;
    }
    heap->entries[index] = entry;
}

static void sift_down(struct queue_delay_heap *heap, size_t index)
{
    struct queue_delay_entry entry = heap->entries[index];

    for (;;) {
        size_t child = index * 2 + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            is_before(&heap->entries[child + 1], &heap->entries[child])) {
            child++;
        }
        if (!is_before(&heap->entries[child], &entry)) {
            break;
        }
        heap->entries[index] = heap->entries[child];
        index = child;
    }
    heap->entries[index] = entry;
}

void queue__delay_heap_push(struct queue_delay_heap *heap, struct queue_delay_entry entry)
{
    BASE_ASSERT(queue__delay_heap_total(heap) < heap->capacity);
    heap->entries[heap->count++] = entry;
    sift_up(heap, heap->count - 1);
}

struct queue_delay_entry queue__delay_heap_first(const struct queue_delay_heap *heap)
{
    BASE_ASSERT(heap->count > 0);
    return heap->entries[0];
}

struct queue_delay_entry queue__delay_heap_take(struct queue_delay_heap *heap)
{
    struct queue_delay_entry first = queue__delay_heap_first(heap);

    heap->count--;
    heap->out_count++;
    if (heap->count > 0) {
        heap->entries[0] = heap->entries[heap->count];
        sift_down(heap, 0);
    }
    return first;
}

void queue__delay_heap_give_back(struct queue_delay_heap *heap, struct queue_delay_entry entry)
{
    BASE_ASSERT(heap->out_count > 0);
    heap->out_count--;
    queue__delay_heap_push(heap, entry);
}

void queue__delay_heap_settle(struct queue_delay_heap *heap, size_t count)
{
    BASE_ASSERT(heap->out_count >= count);
    heap->out_count -= count;
    shrink_maybe(heap);
}

size_t queue__delay_heap_filter(struct queue_delay_heap *heap, queue_delay_visit *visit,
                                void *context)
{
    size_t kept = 0;

    for (size_t i = 0; i < heap->count; i++) {
        if (!visit(context, &heap->entries[i])) {
            heap->entries[kept++] = heap->entries[i];
        }
    }
    size_t removed = heap->count - kept;
    heap->count = kept;
    if (removed > 0) {
        queue__delay_heap_order(heap);
        shrink_maybe(heap);
    }
    return removed;
}

/* The last entry takes the place of that at index. */
static void remove_at(struct queue_delay_heap *heap, size_t index)
{
    heap->count--;
    if (index == heap->count) {
        return;
    }
    heap->entries[index] = heap->entries[heap->count];
    if (index > 0 && is_before(&heap->entries[index], &heap->entries[(index - 1) / 2])) {
        sift_up(heap, index);
    } else {
        sift_down(heap, index);
    }
}

/* Of the entries from `begin` on, takes out those at the end; how many. */
static size_t take_last(struct queue_delay_heap *heap, size_t begin, size_t max,
                        queue_delay_visit *visit, void *context)
{
    size_t taken = 0;

    while (taken < max && heap->count > begin && visit(context, &heap->entries[heap->count - 1])) {
        heap->count--;
        taken++;
    }
    return taken;
}

/* Without ordering all of it anew: there may be millions. An entry that goes to where the visitor
 * has been is not one to be taken: those are taken from the end first. */
size_t queue__delay_heap_take_where(struct queue_delay_heap *heap, size_t max,
                                    queue_delay_visit *visit, void *context)
{
    size_t index = 0;
    size_t taken = 0;

    while (index < heap->count && taken < max) {
        if (!visit(context, &heap->entries[index])) {
            index++;
            continue;
        }
        taken++;
        taken += take_last(heap, index + 1, max - taken, visit, context);
        remove_at(heap, index);
    }
    heap->out_count += taken;
    return taken;
}

enum base_err queue__delay_heap_append(struct queue_delay_heap *heap,
                                       struct queue_delay_entry entry)
{
    enum base_err err = queue__delay_heap_reserve(heap, 1);
    if (err == BASE_ERR_OK) {
        heap->entries[heap->count++] = entry;
    }
    return err;
}

void queue__delay_heap_order(struct queue_delay_heap *heap)
{
    for (size_t i = heap->count / 2; i > 0; i--) {
        sift_down(heap, i - 1);
    }
}
