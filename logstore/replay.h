/* Reads a whole log, record by record: how coordinators find their state at start-up. */
#ifndef LOGSTORE_REPLAY_H
#define LOGSTORE_REPLAY_H

#include "core/base/err.h"
#include "logstore/log.h"
#include "logstore/records.h"

/* Slices of record are valid during the call only. An error ends the replay. */
typedef enum base_err logstore_replay_visit(void *context, const struct logstore_record *record);

/* Visits every record in [from_offset, to_offset); control batches are passed over.
 * Worker only, not locked. The first error of the log, of a batch, or of visit: CORRUPT in front
 * of the first record of a batch whose CRC is wrong, or whose offsets do not follow. */
BASE_MUST_USE enum base_err logstore_replay(struct logstore_log *log, int64_t from_offset,
                                            int64_t to_offset, logstore_replay_visit *visit,
                                            void *context);

/* The same over the batches of one finished in-memory read; for those who read on. */
BASE_MUST_USE enum base_err logstore_replay_read(const struct logstore_read *read,
                                                 int64_t from_offset, logstore_replay_visit *visit,
                                                 void *context);

#endif
