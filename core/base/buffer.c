/* Counted bytes. */
#include "core/base/buffer.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"

static atomic_size_t total_bytes;

struct base_buffer *base_buffer_create(size_t capacity)
{
    if (capacity > SIZE_MAX - sizeof(struct base_buffer)) {
        return NULL;
    }
    struct base_buffer *buffer = base_alloc(sizeof *buffer + capacity);
    if (buffer == NULL) {
        return NULL;
    }
    atomic_init(&buffer->references, 1);
    buffer->capacity = capacity;
    atomic_fetch_add_explicit(&total_bytes, capacity, memory_order_relaxed);
    return buffer;
}

struct base_buffer *base_buffer_hold(struct base_buffer *buffer)
{
    unsigned before = atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    BASE_ASSERT(before > 0);
    return buffer;
}

void base_buffer_release(struct base_buffer **buffer)
{
    if (*buffer == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&(*buffer)->references, 1, memory_order_acq_rel);
    BASE_ASSERT(before > 0);
    if (before == 1) {
        atomic_fetch_sub_explicit(&total_bytes, (*buffer)->capacity, memory_order_relaxed);
        base_free(*buffer);
    }
    *buffer = NULL;
}

size_t base_buffer_total_bytes(void)
{
    return atomic_load_explicit(&total_bytes, memory_order_relaxed);
}
