/* The records inside one batch, one after the other, whatever their compression.
 *
 *     struct logstore_records records;
 *     struct logstore_record record;
 *     err = logstore_records_open(&records, data, size, limit_bytes);
 *     while (err == BASE_ERR_OK && logstore_records_next(&records, &record)) { ... }
 *     if (err == BASE_ERR_OK) { err = logstore_records_finish(&records); }
 *     logstore_records_close(&records);
 */
#ifndef LOGSTORE_RECORDS_H
#define LOGSTORE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/err.h"
#include "core/base/reader.h"
#include "core/base/slice.h"
#include "logstore/batch.h"

/* key is never null, value may be. */
struct logstore_header {
    struct base_slice key;
    struct base_slice value;
};

/* Slices are borrowed: they point into the batch, or into the iterator's own
 * memory when the batch was compressed. */
struct logstore_record {
    int64_t offset;
    int64_t timestamp_ms;      /* -1 none */
    struct base_slice key;     /* null slice: no key */
    struct base_slice value;   /* null slice: tombstone */
    struct base_slice headers; /* as on the wire, checked; see logstore_headers_init */
    int32_t headers_count;
};

/* Public so that it can live on the stack. */
struct logstore_records {
    struct logstore_batch batch;
    struct base_reader reader;    /* what is left */
    struct base_buffer *inflated; /* owned; NULL unless the batch is compressed. Hold it to
                                   * keep slices alive past close */
    size_t inflated_bytes;        /* in it */
    int32_t records_read;
    int32_t offset_delta_last; /* -1 before the first record */
    enum base_err err;
};

/* Starts with the first record of the batch at data, which the caller keeps alive.
 * inflated_bytes_max bounds the memory that decompressing may take.
 * MALFORMED, UNSUPPORTED (codec), TOO_LARGE or NOMEM: nothing to read or close.
 * Does not verify the CRC. */
BASE_MUST_USE enum base_err logstore_records_open(struct logstore_records *records,
                                                  const void *data, size_t size,
                                                  size_t inflated_bytes_max);

/* False at the end and on the first malformed record. Offsets strictly increase
 * and stay inside the batch's range. */
bool logstore_records_next(struct logstore_records *records, struct logstore_record *out);

/* OK when next() came to the very end; MALFORMED otherwise. */
BASE_MUST_USE enum base_err logstore_records_finish(const struct logstore_records *records);

void logstore_records_close(struct logstore_records *records);

/* Some clients (sarama 1.22) date their records but leave the batch's largest timestamp at -1.
 * Lookups by time and retention believe that one, so this sets it, and the CRC, to what the
 * records say; *batch follows. A batch that has it, or whose records have no time, stays as
 * it is. Compressed records are inflated, while *inflated_bytes_left lasts: it becomes what is
 * left, 0 if they cannot be inflated.
 * data: one whole batch, batch: from logstore_batch_peek(data). Errors as of open and finish,
 * nothing changed then. */
BASE_MUST_USE enum base_err logstore_records_date_batch(void *data, struct logstore_batch *batch,
                                                        size_t *inflated_bytes_left);

/* The headers of one record, in order. Cannot fail: next() above checked them. */
struct logstore_headers {
    struct base_reader reader;
};
void logstore_headers_init(struct logstore_headers *headers, const struct logstore_record *record);
bool logstore_headers_next(struct logstore_headers *headers, struct logstore_header *out);

/* Value of the first header called key. False when there is none. */
bool logstore_record_header(const struct logstore_record *record, const char *key,
                            struct base_slice *value);

#endif
