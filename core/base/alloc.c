/* Heap with a countdown fault. The fault costs one relaxed load while it is off. */
#include "core/base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"

static atomic_bool fault_armed;
static atomic_bool fault_fired;
static atomic_long fault_countdown;
static atomic_long fault_times;

static int fault_hits(void)
{
    if (!atomic_load_explicit(&fault_armed, memory_order_relaxed)) {
        return 0;
    }
    if (atomic_fetch_sub(&fault_countdown, 1) > 0) {
        return 0;
    }
    if (atomic_fetch_sub(&fault_times, 1) <= 0) {
        return 0;
    }
    atomic_store(&fault_fired, true);
    return 1;
}

void *base_alloc(size_t size_bytes)
{
    return fault_hits() ? NULL : malloc(size_bytes == 0 ? 1 : size_bytes);
}

void *base_alloc_array(size_t count, size_t element_size_bytes)
{
    BASE_ASSERT(element_size_bytes > 0);
    size_t size_bytes = 0;
    if (__builtin_mul_overflow(count, element_size_bytes, &size_bytes) || fault_hits()) {
        return NULL;
    }
    return calloc(size_bytes == 0 ? 1 : size_bytes, 1);
}

void *base_realloc_array(void *memory, size_t count, size_t element_size_bytes)
{
    BASE_ASSERT(element_size_bytes > 0);
    size_t size_bytes = 0;
    if (__builtin_mul_overflow(count, element_size_bytes, &size_bytes) || fault_hits()) {
        return NULL;
    }
    return realloc(memory, size_bytes == 0 ? 1 : size_bytes);
}

void base_free(void *memory)
{
    free(memory);
}

char *base_strndup(const char *bytes, size_t length)
{
    char *copy = base_alloc(length + 1);
    if (copy != NULL) {
        if (length > 0) {
            memcpy(copy, bytes, length);
        }
        copy[length] = '\0';
    }
    return copy;
}

char *base_strdup(const char *text)
{
    BASE_ASSERT(text != NULL);
    return base_strndup(text, strlen(text));
}

void base_alloc_fail_after(long count, long times)
{
    atomic_store(&fault_armed, false);
    atomic_store(&fault_fired, false);
    atomic_store(&fault_countdown, count);
    atomic_store(&fault_times, times);
    atomic_store(&fault_armed, count >= 0);
}

int base_alloc_fault_fired(void)
{
    return atomic_load(&fault_fired);
}
