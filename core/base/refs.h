/* How many hold a thing that threads share: whoever lets go last frees it. Any thread. */
#ifndef BASE_REFS_H
#define BASE_REFS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/assert.h"

struct base_refs {
    atomic_uint count;
};

/* One: whoever made the thing. */
static inline void base_refs_init(struct base_refs *refs)
{
    atomic_init(&refs->count, 1);
}

/* One more; the caller, or who lent it the thing, holds one already. */
static inline void base_refs_take(struct base_refs *refs)
{
    unsigned before = atomic_fetch_add_explicit(&refs->count, 1, memory_order_relaxed);
    BASE_ASSERT(before > 0);
}

/* One less. True: it was the last, and all that others did with the thing is seen. */
static inline bool base_refs_drop(struct base_refs *refs)
{
    unsigned before = atomic_fetch_sub_explicit(&refs->count, 1, memory_order_acq_rel);
    BASE_ASSERT(before > 0);
    return before == 1;
}

/* Whether the caller is the only holder, who may then write what is shared. */
static inline bool base_refs_is_one(const struct base_refs *refs)
{
    return atomic_load_explicit(&refs->count, memory_order_acquire) == 1;
}

#endif
