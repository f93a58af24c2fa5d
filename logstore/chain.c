/* Two arrays that batches pass through. */
#include "logstore/chain.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { CAPACITY_MIN = 4 };

void logstore_chain_init(struct logstore_chain *chain)
{
    *chain = (struct logstore_chain){0};
}

void logstore_chain_fini(struct logstore_chain *chain)
{
    logstore_chain_clear(chain);
    base_free(chain->chunks);
    base_free(chain->batches);
    *chain = (struct logstore_chain){0};
}

static void move_to_front(struct logstore_chain *chain)
{
    uint32_t length = logstore_chain_length(chain);
    memmove(chain->chunks, chain->chunks + chain->head, length * sizeof chain->chunks[0]);
    memmove(chain->batches, chain->batches + chain->head, length * sizeof chain->batches[0]);
    chain->head = 0;
    chain->count = length;
}

enum base_err logstore_chain_reserve(struct logstore_chain *chain)
{
    if (chain->count < chain->capacity) {
        return BASE_ERR_OK;
    }
    if (chain->head > chain->capacity / 2) {
        move_to_front(chain);
        return BASE_ERR_OK;
    }
    uint32_t capacity = chain->capacity == 0 ? CAPACITY_MIN : chain->capacity * 2;
    struct base_chunk *chunks = base_realloc_array(chain->chunks, capacity, sizeof chunks[0]);
    if (chunks == NULL) {
        return BASE_ERR_NOMEM;
    }
    chain->chunks = chunks; /* larger than capacity says, if the next one fails: harmless */
    struct logstore_batch *batches =
        base_realloc_array(chain->batches, capacity, sizeof batches[0]);
    if (batches == NULL) {
        return BASE_ERR_NOMEM;
    }
    chain->batches = batches;
    chain->capacity = capacity;
    return BASE_ERR_OK;
}

void logstore_chain_push(struct logstore_chain *chain, const struct base_chunk *chunk,
                         const struct logstore_batch *batch)
{
    BASE_ASSERT(chain->count < chain->capacity);
    chain->chunks[chain->count] = base_chunk_hold(chunk);
    chain->batches[chain->count] = *batch;
    chain->count++;
    chain->bytes += chunk->length;
}

void logstore_chain_pop(struct logstore_chain *chain)
{
    BASE_ASSERT(chain->head < chain->count);
    chain->bytes -= chain->chunks[chain->head].length;
    base_chunk_release(&chain->chunks[chain->head]);
    chain->head++;
    if (chain->head == chain->count) {
        chain->head = 0;
        chain->count = 0;
        BASE_ASSERT(chain->bytes == 0);
    }
}

void logstore_chain_clear(struct logstore_chain *chain)
{
    while (chain->head < chain->count) {
        logstore_chain_pop(chain);
    }
}
