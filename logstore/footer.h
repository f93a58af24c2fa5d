/* The object "<base>.index" beside a segment: what spares the next open a scan.
 *
 * For the active segment it is a checkpoint of its first bytes, for a sealed one a
 * footer for all of it; the format is the same. It may also carry a snapshot of what the
 * log knows besides its segments, leader epochs and producers, as of one offset. It is
 * written only when everything it speaks of is durable, so that it is never ahead of the
 * log that a power cut leaves behind. */
#ifndef LOGSTORE_FOOTER_H
#define LOGSTORE_FOOTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/reader.h"
#include "core/base/slice.h"
#include "core/base/writer.h"
#include "logstore/epochs.h"
#include "logstore/index.h"
#include "logstore/producers.h"

enum { LOGSTORE_FOOTER_SIZE_MAX = 256 << 20 };

/* The fixed part. Public: a plain value. */
struct logstore_footer {
    int64_t base_offset;
    uint64_t covered_bytes;       /* of the segment, from its start */
    int64_t next_offset;          /* behind the covered bytes */
    int64_t created_at_ms;        /* wall clock, of the segment */
    int64_t written_at_ms;        /* wall clock, of this footer */
    int64_t max_timestamp_ms;     /* of the covered batches; -1 none */
    int64_t max_timestamp_offset; /* base offset of the first batch that has it; -1 none */
    int64_t snapshot_offset;      /* the snapshot covers everything below; -1: there is none */
};

/* Epochs and producers as one byte string for encode(); look at writer->err. */
void logstore_footer_snapshot_encode(const struct logstore_epochs *epochs,
                                     const struct logstore_producers *producers,
                                     struct base_writer *writer);

/* Writes a whole footer to an empty writer; look at writer->err. snapshot: empty when
 * footer->snapshot_offset is -1. */
void logstore_footer_encode(const struct logstore_footer *footer,
                            const struct logstore_index *index, struct base_slice snapshot,
                            struct base_writer *writer);

/* Checks and takes apart a whole footer. index is replaced, the snapshot points into
 * content. CORRUPT the checksum is wrong; UNSUPPORTED a later version; MALFORMED; NOMEM:
 * index is empty then. */
BASE_MUST_USE enum base_err logstore_footer_decode(struct base_slice content,
                                                   struct logstore_footer *footer,
                                                   struct logstore_index *index,
                                                   struct base_slice *snapshot);

/* Replaces epochs and producers by the snapshot. MALFORMED, UNSUPPORTED or NOMEM leave
 * both empty. */
BASE_MUST_USE enum base_err logstore_footer_snapshot_decode(struct base_slice snapshot,
                                                            struct logstore_epochs *epochs,
                                                            struct logstore_producers *producers);

#endif
