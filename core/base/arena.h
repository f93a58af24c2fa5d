/* Memory of one request: many small allocations, one release.
 *
 * A handler allocates and never frees, so a handler cannot leak. The arena
 * grows with what is asked of it, up to its limit. One thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/slice.h"

struct base_arena_block;

/* Embedded; touch it only through base_arena_*. */
struct base_arena {
    struct base_arena_block *blocks; /* owned; newest first */
    size_t used_bytes;               /* of the limit */
    size_t limit_bytes;
};

/* Allocates nothing yet. limit_bytes bounds the sum of all allocations. */
void base_arena_init(struct base_arena *arena, size_t limit_bytes);

/* Raises the limit by more_bytes, for who learns only later how much is needed. */
void base_arena_raise(struct base_arena *arena, size_t more_bytes);

/* Frees everything. The arena may be used again afterwards. */
void base_arena_fini(struct base_arena *arena);

/* Frees all but one block: for arenas that serve one request after another. */
void base_arena_reset(struct base_arena *arena);

/* size_bytes uninitialised bytes aligned for any type; NULL when the limit is
 * reached or memory is out. */
void *base_arena_alloc(struct base_arena *arena, size_t size_bytes);

/* count zeroed elements; NULL as above or when the product overflows. */
void *base_arena_array(struct base_arena *arena, size_t count, size_t element_size_bytes);

#define base_arena_object(arena, type) ((type *)base_arena_array((arena), 1, sizeof(type)))

/* Why an allocation of size_bytes gave NULL: TOO_LARGE for the limit, else NOMEM. */
static inline enum base_err base_arena_err(const struct base_arena *arena, size_t size_bytes)
{
    return size_bytes > arena->limit_bytes - arena->used_bytes ? BASE_ERR_TOO_LARGE
                                                               : BASE_ERR_NOMEM;
}

/* NUL-terminated copy; NULL as above. */
char *base_arena_strndup(struct base_arena *arena, const char *bytes, size_t length);

/* Formatted text; NULL as above. */
char *base_arena_printf(struct base_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
