/* Batches that were accepted and wait to be written, in order. */
#ifndef LOGSTORE_CHAIN_H
#define LOGSTORE_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/chunk.h"
#include "core/base/err.h"
#include "logstore/batch.h"

/* Embedded. The batches are those from head to count; chunks and batches run in
 * parallel. Read its fields freely, change them only through logstore_chain_*. */
struct logstore_chain {
    struct base_chunk *chunks;      /* owned array, each with its own reference */
    struct logstore_batch *batches; /* owned array */
    uint32_t head;
    uint32_t count; /* index behind the last one */
    uint32_t capacity;
    size_t bytes; /* in all chunks */
};

void logstore_chain_init(struct logstore_chain *chain);

/* Releases all chunks. */
void logstore_chain_fini(struct logstore_chain *chain);

/* Room for one more. NOMEM leaves everything as it was. Moves the arrays. */
BASE_MUST_USE enum base_err logstore_chain_reserve(struct logstore_chain *chain);

/* Takes its own reference to the chunk. Needs a reserve() before. */
void logstore_chain_push(struct logstore_chain *chain, const struct base_chunk *chunk,
                         const struct logstore_batch *batch);

/* Releases the first one. */
void logstore_chain_pop(struct logstore_chain *chain);

/* Releases all. */
void logstore_chain_clear(struct logstore_chain *chain);

static inline uint32_t logstore_chain_length(const struct logstore_chain *chain)
{
    return chain->count - chain->head;
}

#endif
