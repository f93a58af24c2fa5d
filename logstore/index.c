/* Offset and time index of one segment: a sorted array. */
#include "logstore/index.h"

#include <assert.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { CAPACITY_MIN = 8, ENTRY_SIZE = 4 + 4 + 8 };

static_assert(sizeof(struct logstore_index_entry) == ENTRY_SIZE, "indexes are kept in memory");

static const struct logstore_index_entry first_entry = {0, 0, -1};

void logstore_index_init(struct logstore_index *index)
{
    *index = (struct logstore_index){0};
}

void logstore_index_fini(struct logstore_index *index)
{
    base_free(index->entries);
    *index = (struct logstore_index){0};
}

static bool reserve(struct logstore_index *index, uint32_t count)
{
    if (count <= index->capacity) {
        return true;
    }
    uint32_t capacity = index->capacity == 0 ? CAPACITY_MIN : index->capacity * 2;
    capacity = capacity < count ? count : capacity;
    struct logstore_index_entry *entries =
        base_realloc_array(index->entries, capacity, sizeof entries[0]);
    if (entries == NULL) {
        return false;
    }
    index->entries = entries;
    index->capacity = capacity;
    return true;
}

void logstore_index_add(struct logstore_index *index, struct logstore_index_entry entry)
{
    struct logstore_index_entry last =
        index->count == 0 ? first_entry : index->entries[index->count - 1];

    BASE_ASSERT(entry.position > last.position);
    BASE_ASSERT(entry.relative_offset >= last.relative_offset);
    BASE_ASSERT(entry.max_timestamp_ms >= last.max_timestamp_ms);
    if (reserve(index, index->count + 1)) {
        index->entries[index->count] = entry;
        index->count++;
    }
}

uint32_t logstore_index_last_position(const struct logstore_index *index)
{
    return index->count == 0 ? 0 : index->entries[index->count - 1].position;
}

/* Which field a search compares. */
enum key { KEY_OFFSET, KEY_POSITION, KEY_TIMESTAMP };

static bool is_in_front(const struct logstore_index_entry *entry, enum key key, int64_t value)
{
    switch (key) {
    case KEY_OFFSET:
        return entry->relative_offset <= value;
    case KEY_POSITION:
        return entry->position <= value;
    case KEY_TIMESTAMP:
        return entry->max_timestamp_ms < value;
    }
    base_assert_fail("a known key", __FILE__, __LINE__);
}

static struct logstore_index_entry find(const struct logstore_index *index, enum key key,
                                        int64_t value)
{
    uint32_t low = 0;
    uint32_t high = index->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_in_front(&index->entries[middle], key, value)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? first_entry : index->entries[low - 1];
}

struct logstore_index_entry logstore_index_find_offset(const struct logstore_index *index,
                                                       uint64_t relative_offset)
{
    return find(index, KEY_OFFSET,
                relative_offset > INT64_MAX ? INT64_MAX : (int64_t)relative_offset);
}

struct logstore_index_entry logstore_index_find_position(const struct logstore_index *index,
                                                         uint64_t position)
{
    return find(index, KEY_POSITION, position > INT64_MAX ? INT64_MAX : (int64_t)position);
}

struct logstore_index_entry logstore_index_find_timestamp(const struct logstore_index *index,
                                                          int64_t timestamp_ms)
{
    return find(index, KEY_TIMESTAMP, timestamp_ms);
}

void logstore_index_encode(const struct logstore_index *index, uint64_t position_max,
                           struct base_writer *writer)
{
    uint32_t count = index->count;
    while (count > 0 && index->entries[count - 1].position >= position_max) {
        count--;
    }
    base_writer_uint32(writer, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct logstore_index_entry *entry = &index->entries[i];
        base_writer_uint32(writer, entry->relative_offset);
        base_writer_uint32(writer, entry->position);
        base_writer_int64(writer, entry->max_timestamp_ms);
    }
}

/* Out of order would break the searches: the file has a good CRC, but may be hostile. */
static bool may_follow(const struct logstore_index_entry *last,
                       const struct logstore_index_entry *entry)
{
    return entry->position > last->position && entry->relative_offset >= last->relative_offset &&
           entry->max_timestamp_ms >= last->max_timestamp_ms;
}

enum base_err logstore_index_decode(struct logstore_index *index, struct base_reader *reader)
{
    logstore_index_fini(index);
    uint32_t count = base_reader_uint32(reader);
    if (count > reader->remaining / ENTRY_SIZE) {
        base_reader_fail(reader);
        return BASE_ERR_MALFORMED;
    }
    if (count > 0 && !reserve(index, count)) {
        return BASE_ERR_NOMEM;
    }
    struct logstore_index_entry last = first_entry;
    for (uint32_t i = 0; i < count; i++) {
        struct logstore_index_entry entry;
        entry.relative_offset = base_reader_uint32(reader);
        entry.position = base_reader_uint32(reader);
        entry.max_timestamp_ms = base_reader_int64(reader);
        if (!may_follow(&last, &entry)) {
            logstore_index_fini(index);
            base_reader_fail(reader);
            return BASE_ERR_MALFORMED;
        }
        index->entries[i] = entry;
        last = entry;
    }
    index->count = count;
    return BASE_ERR_OK;
}
