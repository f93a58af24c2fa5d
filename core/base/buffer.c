/* Counted bytes.
 *
 * Large buffers that were released are kept for the next ones, the last one first: one
 * batch after another is received into a megabyte, and memory that the heap gives back to
 * the kernel in between costs a page fault for every 4 KiB of each, more than receiving
 * them. */
#include "core/base/buffer.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/mutex.h"

enum {
    KEPT_CAPACITY_MIN = 64 << 10, /* smaller ones the heap keeps well */
    KEPT_CLASSES = 6,             /* of the capacities 64 KiB, 128 KiB, ... 2 MiB */
    KEPT_CLASS_NONE = KEPT_CLASSES,
#if defined(__SANITIZE_ADDRESS__)
    KEPT_BYTES_MAX = 0, /* so that a use after release is seen */
#else
    KEPT_BYTES_MAX = 16 << 20,
#endif
};

struct kept {
    struct base_mutex lock;
    struct base_buffer *newest[KEPT_CLASSES]; /* stacks, linked through the first bytes of data */
    size_t bytes;                             /* of the capacities of their classes */
};

static struct kept kept = {.lock = {.mutex = PTHREAD_MUTEX_INITIALIZER}};
static atomic_size_t total_bytes;

static size_t class_capacity(unsigned size_class)
{
    return (size_t)KEPT_CAPACITY_MIN << size_class;
}

/* The smallest class that capacity fits; NONE for those that are not kept. */
static unsigned class_of(size_t capacity)
{
    unsigned size_class = 0;
    if (capacity < KEPT_CAPACITY_MIN) {
        return KEPT_CLASS_NONE;
    }
    while (size_class < KEPT_CLASSES && class_capacity(size_class) < capacity) {
        size_class++;
    }
    return size_class;
}

static struct base_buffer *take_kept(unsigned size_class)
{
    base_mutex_lock(&kept.lock);
    struct base_buffer *buffer = kept.newest[size_class];
    if (buffer != NULL) {
        memcpy(&kept.newest[size_class], buffer->data, sizeof buffer);
        kept.bytes -= class_capacity(size_class);
    }
    base_mutex_unlock(&kept.lock);
    return buffer;
}

/* False: there are enough, the buffer is still the caller's. */
static bool keep(struct base_buffer *buffer, unsigned size_class)
{
    base_mutex_lock(&kept.lock);
    bool has_room = class_capacity(size_class) <= KEPT_BYTES_MAX - kept.bytes;
    if (has_room) {
        memcpy(buffer->data, &kept.newest[size_class], sizeof buffer);
        kept.newest[size_class] = buffer;
        kept.bytes += class_capacity(size_class);
    }
    base_mutex_unlock(&kept.lock);
    return has_room;
}

struct base_buffer *base_buffer_create(size_t capacity)
{
    unsigned size_class = class_of(capacity);
    struct base_buffer *buffer = NULL;

    if (capacity > SIZE_MAX - sizeof(struct base_buffer)) {
        return NULL;
    }
    if (size_class != KEPT_CLASS_NONE) {
        buffer = take_kept(size_class);
    }
    if (buffer == NULL) {
        size_t size = size_class == KEPT_CLASS_NONE ? capacity : class_capacity(size_class);
        buffer = base_alloc(sizeof *buffer + size);
    }
    if (buffer == NULL) {
        return NULL;
    }
    base_refs_init(&buffer->refs);
    buffer->capacity = capacity;
    atomic_fetch_add_explicit(&total_bytes, capacity, memory_order_relaxed);
    return buffer;
}

struct base_buffer *base_buffer_hold(struct base_buffer *buffer)
{
    base_refs_take(&buffer->refs);
    return buffer;
}

static void end(struct base_buffer *buffer)
{
    unsigned size_class = class_of(buffer->capacity);

    atomic_fetch_sub_explicit(&total_bytes, buffer->capacity, memory_order_relaxed);
    if (size_class == KEPT_CLASS_NONE || !keep(buffer, size_class)) {
        base_free(buffer);
    }
}

void base_buffer_release(struct base_buffer **buffer)
{
    if (*buffer == NULL) {
        return;
    }
    if (base_refs_drop(&(*buffer)->refs)) {
        end(*buffer);
    }
    *buffer = NULL;
}

size_t base_buffer_total_bytes(void)
{
    return atomic_load_explicit(&total_bytes, memory_order_relaxed);
}
