/* Leader epochs of one log: a short sorted array. */
#include "logstore/epochs.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { CAPACITY_MIN = 2, ENTRY_SIZE = 4 + 8 };

void logstore_epochs_init(struct logstore_epochs *epochs)
{
    *epochs = (struct logstore_epochs){0};
}

void logstore_epochs_fini(struct logstore_epochs *epochs)
{
    base_free(epochs->entries);
    *epochs = (struct logstore_epochs){0};
}

static enum base_err reserve(struct logstore_epochs *epochs, uint32_t count)
{
    if (count <= epochs->capacity) {
        return BASE_ERR_OK;
    }
    uint32_t capacity = epochs->capacity == 0 ? CAPACITY_MIN : epochs->capacity * 2;
    capacity = capacity < count ? count : capacity;
    struct logstore_epoch *entries =
        base_realloc_array(epochs->entries, capacity, sizeof entries[0]);
    if (entries == NULL) {
        return BASE_ERR_NOMEM;
    }
    epochs->entries = entries;
    epochs->capacity = capacity;
    return BASE_ERR_OK;
}

enum base_err logstore_epochs_reserve(struct logstore_epochs *epochs)
{
    return reserve(epochs, epochs->count + 1);
}

int32_t logstore_epochs_last(const struct logstore_epochs *epochs)
{
    return epochs->count == 0 ? -1 : epochs->entries[epochs->count - 1].epoch;
}

void logstore_epochs_add(struct logstore_epochs *epochs, int32_t epoch, int64_t offset)
{
    if (epoch <= logstore_epochs_last(epochs)) {
        return;
    }
    BASE_ASSERT(epochs->count < epochs->capacity);
    BASE_ASSERT(epochs->count == 0 || epochs->entries[epochs->count - 1].start_offset <= offset);
    epochs->entries[epochs->count] =
        (struct logstore_epoch){.epoch = epoch, .start_offset = offset};
    epochs->count++;
}

/* Index of the last entry that starts at or below offset; count when there is none. */
static uint32_t index_at(const struct logstore_epochs *epochs, int64_t offset)
{
    for (uint32_t i = epochs->count; i > 0; i--) {
        if (epochs->entries[i - 1].start_offset <= offset) {
            return i - 1;
        }
    }
    return epochs->count;
}

void logstore_epochs_trim(struct logstore_epochs *epochs, int64_t start_offset)
{
    uint32_t index = index_at(epochs, start_offset);
    if (index == epochs->count) {
        return;
    }
    epochs->count -= index;
    memmove(epochs->entries, epochs->entries + index, epochs->count * sizeof epochs->entries[0]);
    epochs->entries[0].start_offset = start_offset;
}

int32_t logstore_epochs_at(const struct logstore_epochs *epochs, int64_t offset)
{
    uint32_t index = index_at(epochs, offset);
    return index == epochs->count ? -1 : epochs->entries[index].epoch;
}

bool logstore_epochs_end(const struct logstore_epochs *epochs, int32_t epoch, int64_t end_offset,
                         int32_t *found_epoch, int64_t *found_offset)
{
    *found_epoch = -1;
    *found_offset = -1;
    if (epoch < 0 || epoch > logstore_epochs_last(epochs)) {
        return false;
    }
    uint32_t higher = 0; /* index of the first entry above epoch */
    while (higher < epochs->count && epochs->entries[higher].epoch <= epoch) {
        higher++;
    }
    *found_epoch = higher == 0 ? epoch : epochs->entries[higher - 1].epoch;
    *found_offset = higher == epochs->count ? end_offset : epochs->entries[higher].start_offset;
    return true;
}

void logstore_epochs_encode(const struct logstore_epochs *epochs, struct base_writer *writer)
{
    base_writer_uint32(writer, epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++) {
        base_writer_int32(writer, epochs->entries[i].epoch);
        base_writer_int64(writer, epochs->entries[i].start_offset);
    }
}

enum base_err logstore_epochs_decode(struct logstore_epochs *epochs, struct base_reader *reader)
{
    epochs->count = 0;
    uint32_t count = base_reader_uint32(reader);
    if (count > reader->remaining / ENTRY_SIZE) {
        base_reader_fail(reader);
        return BASE_ERR_MALFORMED;
    }
    enum base_err err = reserve(epochs, count);
    if (err != BASE_ERR_OK) {
        return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t epoch = base_reader_int32(reader);
        int64_t offset = base_reader_int64(reader);
        if (epoch <= logstore_epochs_last(epochs) || offset < 0 ||
            (i > 0 && offset < epochs->entries[i - 1].start_offset)) {
            epochs->count = 0;
            base_reader_fail(reader);
            return BASE_ERR_MALFORMED;
        }
        logstore_epochs_add(epochs, epoch, offset);
    }
    return BASE_ERR_OK;
}
