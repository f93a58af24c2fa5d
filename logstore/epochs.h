/* Which leader wrote which part of a log (KIP-101, KIP-320): leader epoch → start offset. */
#ifndef LOGSTORE_EPOCHS_H
#define LOGSTORE_EPOCHS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/reader.h"
#include "core/base/writer.h"

struct logstore_epoch {
    int32_t epoch;
    int64_t start_offset; /* of the first batch that has it */
};

/* Embedded; sorted by both fields. Touch it only through logstore_epochs_*. */
struct logstore_epochs {
    struct logstore_epoch *entries; /* owned; NULL until the first */
    uint32_t count;
    uint32_t capacity;
};

void logstore_epochs_init(struct logstore_epochs *epochs);
void logstore_epochs_fini(struct logstore_epochs *epochs);

/* Room for one more entry. NOMEM leaves everything as it was. */
BASE_MUST_USE enum base_err logstore_epochs_reserve(struct logstore_epochs *epochs);

/* Takes note of a batch. A new epoch needs a reserve() before. An epoch lower than the
 * last one, or negative, is ignored. */
void logstore_epochs_add(struct logstore_epochs *epochs, int32_t epoch, int64_t offset);

/* Forgets what lies below a new log start. */
void logstore_epochs_trim(struct logstore_epochs *epochs, int64_t start_offset);

/* -1 when there is none. */
int32_t logstore_epochs_last(const struct logstore_epochs *epochs);

/* Epoch of the batch at offset; -1 when there is none. */
int32_t logstore_epochs_at(const struct logstore_epochs *epochs, int64_t offset);

/* Kafka's endOffsetFor: see logstore_log_epoch_end. end_offset: of the log. */
bool logstore_epochs_end(const struct logstore_epochs *epochs, int32_t epoch, int64_t end_offset,
                         int32_t *found_epoch, int64_t *found_offset);

/* Appends all entries to writer; look at writer->err. */
void logstore_epochs_encode(const struct logstore_epochs *epochs, struct base_writer *writer);

/* Replaces the content by what encode() wrote. MALFORMED or NOMEM leave it empty. */
BASE_MUST_USE enum base_err logstore_epochs_decode(struct logstore_epochs *epochs,
                                                   struct base_reader *reader);

#endif
