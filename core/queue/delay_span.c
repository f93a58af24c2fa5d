#include "core/queue/delay_span_priv.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { SPAN_CAPACITY_MIN = 64 };

static_assert((int)QUEUE_DELAY_BLOCK <= UINT8_MAX, "a count fits");

void queue__delay_span_init(struct queue_delay_span *span, int64_t offset)
{
    *span = (struct queue_delay_span){
        .first_block = offset / QUEUE_DELAY_BLOCK,
        .end_offset = offset,
    };
}

void queue__delay_span_fini(struct queue_delay_span *span)
{
    base_free(span->counts);
    *span = (struct queue_delay_span){.counts = NULL};
}

/* Blocks needed so that every offset below end_offset has one. */
static size_t blocks_to(const struct queue_delay_span *span, int64_t end_offset)
{
    int64_t end_block = (end_offset + QUEUE_DELAY_BLOCK - 1) / QUEUE_DELAY_BLOCK;
    return end_block <= span->first_block ? 0 : (size_t)(end_block - span->first_block);
}

enum base_err queue__delay_span_reserve(struct queue_delay_span *span, int64_t end_offset)
{
    size_t blocks = blocks_to(span, end_offset);

    if (span->head + blocks <= span->capacity) {
        return BASE_ERR_OK;
    }
    if (span->head > 0) {
        memmove(span->counts, span->counts + span->head, span->count);
        span->head = 0;
    }
    if (blocks <= span->capacity / 2) {
        return BASE_ERR_OK; /* else the next move would come too soon */
    }
    size_t capacity = blocks * 2 < SPAN_CAPACITY_MIN ? SPAN_CAPACITY_MIN : blocks * 2;
    uint8_t *counts = base_realloc_array(span->counts, capacity, 1);
    if (counts == NULL) {
        return blocks <= span->capacity ? BASE_ERR_OK : BASE_ERR_NOMEM;
    }
    span->counts = counts;
    span->capacity = capacity;
    return BASE_ERR_OK;
}

void queue__delay_span_extend(struct queue_delay_span *span, int64_t end_offset)
{
    size_t blocks = blocks_to(span, end_offset);

    BASE_ASSERT(end_offset >= span->end_offset);
    BASE_ASSERT(span->head + blocks <= span->capacity);
    if (blocks > span->count) {
        memset(span->counts + span->head + span->count, 0, blocks - span->count);
        span->count = blocks;
    }
    span->end_offset = end_offset;
}

static uint8_t *count_of(struct queue_delay_span *span, int64_t offset)
{
    int64_t block = offset / QUEUE_DELAY_BLOCK;

    BASE_ASSERT(offset < span->end_offset);
    BASE_ASSERT(block >= span->first_block);
    return &span->counts[span->head + (size_t)(block - span->first_block)];
}

void queue__delay_span_add(struct queue_delay_span *span, int64_t offset)
{
    uint8_t *count = count_of(span, offset);
    BASE_ASSERT(*count < QUEUE_DELAY_BLOCK);
    ++*count;
}

void queue__delay_span_remove(struct queue_delay_span *span, int64_t offset)
{
    uint8_t *count = count_of(span, offset);
    BASE_ASSERT(*count > 0);
    --*count;
}

int64_t queue__delay_span_first(struct queue_delay_span *span)
{
    int64_t end_block = span->end_offset / QUEUE_DELAY_BLOCK;

    while (span->count > 0 && span->first_block < end_block && span->counts[span->head] == 0) {
        span->head++;
        span->count--;
        span->first_block++;
    }
    int64_t first = span->first_block * QUEUE_DELAY_BLOCK;
    bool is_empty = span->count == 0 || (span->count == 1 && span->counts[span->head] == 0);
    return is_empty && span->first_block == end_block ? span->end_offset : first;
}

int64_t queue__delay_span_end_of(const struct queue_delay_span *span, int64_t count,
                                 int64_t offset_max)
{
    int64_t end = span->first_block * QUEUE_DELAY_BLOCK;

    for (size_t i = 0; i < span->count && count > 0 && end < offset_max; i++) {
        count -= span->counts[span->head + i];
        end += QUEUE_DELAY_BLOCK;
    }
    return end < offset_max ? end : offset_max;
}
