/* Where in a segment a batch is: one entry every so many bytes, in memory.
 *
 * One array serves searches by offset, by position and by time, since all three grow
 * along a segment. The batch at position 0 has no entry: it is always there. */
#ifndef LOGSTORE_INDEX_H
#define LOGSTORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/reader.h"
#include "core/base/writer.h"

/* A batch boundary. */
struct logstore_index_entry {
    uint32_t relative_offset; /* base offset of the batch there, less that of the segment */
    uint32_t position;        /* bytes from the start of the segment */
    int64_t max_timestamp_ms; /* largest one of all batches in front of position; -1 none */
};

/* Embedded; touch it only through logstore_index_*. */
struct logstore_index {
    struct logstore_index_entry *entries; /* owned; NULL until the first */
    uint32_t count;
    uint32_t capacity;
};

void logstore_index_init(struct logstore_index *index);
void logstore_index_fini(struct logstore_index *index);

/* Appends an entry; each field must be at least that of the last one, position larger.
 * When memory is out the entry is left out: the index is only less dense then. */
void logstore_index_add(struct logstore_index *index, struct logstore_index_entry entry);

/* Position of the last entry; 0 when there is none. */
uint32_t logstore_index_last_position(const struct logstore_index *index);

/* The last boundary at or in front of a relative offset. {0, 0, -1} is the first of all. */
struct logstore_index_entry logstore_index_find_offset(const struct logstore_index *index,
                                                       uint64_t relative_offset);

/* The last boundary at or in front of a position. */
struct logstore_index_entry logstore_index_find_position(const struct logstore_index *index,
                                                         uint64_t position);

/* The last boundary with nothing but batches older than timestamp_ms in front of it. */
struct logstore_index_entry logstore_index_find_timestamp(const struct logstore_index *index,
                                                          int64_t timestamp_ms);

/* Appends the entries in front of position_max to writer; look at writer->err. */
void logstore_index_encode(const struct logstore_index *index, uint64_t position_max,
                           struct base_writer *writer);

/* Replaces the content by what encode() wrote. MALFORMED or NOMEM leave it empty. */
BASE_MUST_USE enum base_err logstore_index_decode(struct logstore_index *index,
                                                  struct base_reader *reader);

#endif
