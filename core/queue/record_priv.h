/* One record of the journal: JSON, so that a human can read __dms_cursors.
 *
 *     key    <group id>/<partition>
 *     value  {"v":1,"all":true,"used":true,"floor":10,"consumed":9,"skipped":1,
 *             "dead":7,"done":[[12,14]],"fail":[[11,2],[15,1,1]]}
 *     or null: the cursor is gone
 *
 *     key    <group id>/tags
 *     value  {"v":1,"type":"and","tags":["a","b"]}: the group's tag rule, fixed; "or" with one
 *             tag or none
 *     or null: not fixed (any more)
 *
 *     key    <group id>/redrive, of a group of dead letters
 *     value  {"v":1,"state":"running","rate":100,"limit":7,"moved":2,"started":1763800000000,
 *             "ended":0,"offsets":[]}: times in ms; "limit" counts when no offsets are named
 *
 * floor, consumed and skipped are what they are after this record; what was skipped or
 * filtered above the floor is not in them as long as it is not in "done": it is found to be so
 * again; done (ranges, both ends
 * included) and fail (offset, failures so far) are added to what earlier records said, or
 * replace it when "all" is there. The first record of a cursor has "all"; a journal whose older
 * part was trimmed may begin with others, and the next that has it says what they say. Rules and
 * redrives are whole in every record. A third number 1 in fail: the last failure was the end of a
 * lease. "dead": dead letters of the group below this offset of their log are settled here.
 * "all" and "used" are left out when false, "dead" when 0. Always in this order and without
 * spaces. */
#ifndef QUEUE_RECORD_PRIV_H
#define QUEUE_RECORD_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/base/writer.h"
#include "core/queue/cursor.h"
#include "core/queue/tags.h"

struct queue_record_range {
    int64_t first;
    int64_t last;
};

struct queue_record_failure {
    int64_t offset;
    uint32_t failures;
    bool timed_out;
};

/* Arrays are borrowed. */
struct queue_record {
    bool all;
    bool used;
    int64_t floor;
    int64_t consumed;
    int64_t skipped;
    int64_t dead_to;
    const struct queue_record_range *done;
    uint32_t done_count;
    const struct queue_record_failure *failures;
    uint32_t failures_count;
};

/* Takes floor and counters of a cursor as they will be when everything that settles now is
 * settled. */
void queue__record_init(struct queue_record *record, const struct queue_cursor *cursor);

/* Appends the text; failures stick in the writer. */
void queue__record_encode(const struct queue_record *record, struct base_writer *writer);

/* Applies a record's text to the cursor. *is_known: whether the cursor was read whole; set by a
 * record that has `all`, and one that has not is passed over before that. UNSUPPORTED: written by a
 * later version; CORRUPT; NOMEM. On an error the cursor is in an unspecified but sound state. */
BASE_MUST_USE enum base_err queue__record_apply(struct base_slice text, bool *is_known,
                                                struct queue_cursor *cursor);

/* The whole cursor as one or more records, given to emit one after the other; the first has
 * `all`. What settles counts as settled. */
typedef void queue_record_emit(void *context, const struct queue_record *record);
void queue__record_all(const struct queue_cursor *cursor, queue_record_emit *emit, void *context);

/* Appends the text of a tag rule. */
void queue__record_encode_rule(const struct queue_tag_rule *rule, struct base_writer *writer);

/* Reads it. UNSUPPORTED, CORRUPT. */
BASE_MUST_USE enum base_err queue__record_read_rule(struct base_slice text,
                                                    struct queue_tag_rule *rule);

#endif
