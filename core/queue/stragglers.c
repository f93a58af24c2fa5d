#include "core/queue/stragglers_priv.h"

#include <stddef.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/cursor_priv.h"

enum { STRAGGLERS_CAPACITY_FIRST = 16 };

/* Drops those that became done. */
static void compact(struct queue_stragglers *stragglers)
{
    uint32_t kept = 0;

    for (uint32_t i = stragglers->first; i < stragglers->end; i++) {
        if (stragglers->entries[i].slot.state != QUEUE_SLOT_DONE) {
            stragglers->entries[kept++] = stragglers->entries[i];
        }
    }
    stragglers->first = 0;
    stragglers->end = kept;
}

enum base_err queue__stragglers_reserve(struct queue_stragglers *stragglers, uint32_t count)
{
    if (stragglers->capacity - stragglers->end >= count) {
        return BASE_ERR_OK;
    }
    compact(stragglers);
    uint32_t capacity = stragglers->capacity > 0 ? stragglers->capacity : STRAGGLERS_CAPACITY_FIRST;
    while (capacity - stragglers->end < count) {
        capacity *= 2;
    }
    if (capacity == stragglers->capacity) {
        return BASE_ERR_OK;
    }
    struct queue_straggler *entries =
        base_realloc_array(stragglers->entries, capacity, sizeof entries[0]);
    if (entries == NULL) {
        return BASE_ERR_NOMEM;
    }
    stragglers->entries = entries;
    stragglers->capacity = capacity;
    return BASE_ERR_OK;
}

void queue__stragglers_append(struct queue_stragglers *stragglers, int64_t offset, int64_t count,
                              const struct queue_slot *slot)
{
    BASE_ASSERT(count == 1 || queue__slot_is_done(slot));

    if (slot->state == QUEUE_SLOT_DONE) {
        return;
    }
    if (queue__slot_is_done(slot) && stragglers->end > stragglers->first) {
        struct queue_straggler *last = &stragglers->entries[stragglers->end - 1];
        if (last->slot.state == slot->state && last->offset + last->count == offset) {
            last->count += count;
            return;
        }
    }
    BASE_ASSERT(stragglers->end < stragglers->capacity);
    stragglers->entries[stragglers->end++] =
        (struct queue_straggler){.offset = offset, .count = count, .slot = *slot};
}

uint32_t queue__stragglers_find(const struct queue_stragglers *stragglers, int64_t offset)
{
    uint32_t low = stragglers->first;
    uint32_t high = stragglers->end;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct queue_straggler *entry = &stragglers->entries[middle];
        if (entry->offset + entry->count <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct queue_straggler *queue__stragglers_at(const struct queue_stragglers *stragglers,
                                             int64_t offset)
{
    uint32_t at = queue__stragglers_find(stragglers, offset);
    if (at == stragglers->end || stragglers->entries[at].offset > offset) {
        return NULL;
    }
    return &stragglers->entries[at];
}

void queue__stragglers_free(struct queue_stragglers *stragglers)
{
    base_free(stragglers->entries);
    *stragglers = (struct queue_stragglers){.entries = NULL};
}
