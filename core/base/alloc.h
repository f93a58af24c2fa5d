/* The only door to the heap: malloc and friends are banned elsewhere.
 *
 * Every function may be called from any thread. Tests make the n-th allocation
 * fail with base_alloc_fail_after(). */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

#include "core/base/err.h"

/* size_bytes uninitialised bytes, owned by the caller; NULL when memory is out.
 * A size of 0 gives a pointer that can be freed. */
void *base_alloc(size_t size_bytes);

/* Zeroed array of count elements; NULL when memory is out or the product overflows. */
void *base_alloc_array(size_t count, size_t element_size_bytes);

/* One zeroed object. */
#define base_alloc_object(type) ((type *)base_alloc_array(1, sizeof(type)))

/* Grows or shrinks an allocation to count elements. On NULL the old one is untouched. */
void *base_realloc_array(void *memory, size_t count, size_t element_size_bytes);

/* NULL-safe. */
void base_free(void *memory);

/* Copy of a NUL-terminated string; NULL when memory is out. */
char *base_strdup(const char *text);

/* Copy of length bytes plus a NUL; NULL when memory is out. */
char *base_strndup(const char *bytes, size_t length);

/* Test hook: the allocation after the next `count` successful ones fails, and
 * `times` in all fail from there on. count < 0 switches the fault off. */
void base_alloc_fail_after(long count, long times);

/* True once an allocation has failed because of base_alloc_fail_after(). */
int base_alloc_fault_fired(void);

#endif
