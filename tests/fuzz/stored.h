/* Records in an input, in a form that mutations keep: what is missing is empty.
 *
 *     byte: length of the key (255: null), key; two bytes: length of the value (65535: null),
 *     value; byte: number of headers (at most 8); for each a byte of length and its bytes, of key
 *     and value (255: null value) */
#ifndef FUZZ_STORED_H
#define FUZZ_STORED_H

#include <stdbool.h>

#include "core/base/reader.h"
#include "core/base/writer.h"
#include "logstore/records.h"
#include "logstore/records_builder.h"

enum { STORED_HEADERS_MAX = 8 };

/* One record, with the memory of its headers; slices point into the input. */
struct stored_record {
    struct logstore_record_input input;
    struct logstore_header headers[STORED_HEADERS_MAX];
};

/* Takes the next record; false at the end of the input. */
bool stored_take(struct base_reader *reader, int64_t timestamp_ms, struct stored_record *out);

/* One record as it comes out of a log: a batch of it alone. */
struct stored_batch {
    struct base_writer writer;
    struct logstore_records records;
    struct logstore_record record;
};

/* Slices of batch->record are valid until stored_batch_close. */
void stored_batch_open(struct stored_batch *batch, const struct stored_record *record);
void stored_batch_close(struct stored_batch *batch);

#endif
