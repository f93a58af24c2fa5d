/* Makes one uncompressed record batch at the end of a writer.
 *
 *     logstore_records_builder_begin(&builder, &writer);
 *     logstore_records_builder_add(&builder, &input);   // any number of times
 *     err = logstore_records_builder_finish(&builder);  // header and CRC are done now
 *
 * Failures stick in the writer; only finish() reports them. One writer may take
 * several batches, one after the other. */
#ifndef LOGSTORE_RECORDS_BUILDER_H
#define LOGSTORE_RECORDS_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/base/writer.h"
#include "logstore/batch.h"
#include "logstore/records.h"

/* Borrowed for the call. Null slices are written as null. */
struct logstore_record_input {
    int64_t timestamp_ms;
    struct base_slice key;
    struct base_slice value;
    const struct logstore_header *headers; /* keys must not be null */
    size_t headers_count;
};

/* Public so that it can live on the stack. The fields of `header` may be set after
 * begin() and before finish(): base_offset, leader_epoch, attributes (flags only),
 * producer_id, producer_epoch, base_sequence. The rest is computed. */
struct logstore_records_builder {
    struct base_writer *writer; /* borrowed */
    size_t start;               /* where the batch begins in the writer */
    struct logstore_batch header;
};

/* Offset 0, leader epoch -1, no producer, no attributes. */
void logstore_records_builder_begin(struct logstore_records_builder *builder,
                                    struct base_writer *writer);

/* Appends a record at the next offset. */
void logstore_records_builder_add(struct logstore_records_builder *builder,
                                  const struct logstore_record_input *input);

/* Appends a copy of a record of another batch with its offset, timestamp and headers
 * kept: for compaction. header.base_offset must be set before; offsets must grow. */
void logstore_records_builder_copy(struct logstore_records_builder *builder,
                                   const struct logstore_record *record);

/* Makes the batch end at last_offset instead of at its last record: compaction keeps
 * the range of the batch it thins out. >= the last record's offset. */
void logstore_records_builder_extend_to(struct logstore_records_builder *builder,
                                        int64_t last_offset);

/* Bytes of the batch so far, header included. */
size_t logstore_records_builder_size_bytes(const struct logstore_records_builder *builder);

/* Fills in the header and the CRC; builder->header is then what peek() would give.
 * NOMEM or TOO_LARGE (writer's limit, or 2 GiB) as the writer met them. */
BASE_MUST_USE enum base_err
logstore_records_builder_finish(struct logstore_records_builder *builder);

/* Appends a whole batch with one control record, a transaction marker: key is
 * (version 0, type), value (version 0, coordinator epoch). The producer's id and
 * epoch are those of the transaction it ends. */
enum logstore_marker { LOGSTORE_MARKER_ABORT = 0, LOGSTORE_MARKER_COMMIT = 1 };

struct logstore_marker_options {
    enum logstore_marker type;
    int64_t timestamp_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
};

BASE_MUST_USE enum base_err
logstore_records_builder_marker(struct base_writer *writer,
                                const struct logstore_marker_options *options);

#endif
