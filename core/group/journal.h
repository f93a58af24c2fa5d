/* Where the records of some groups go: one partition of __consumer_offsets, or a list in
 * memory when the group's rules are under test.
 *
 * Threads: append, end and trim from any thread, also with a group's lock held. */
#ifndef GROUP_JOURNAL_H
#define GROUP_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/chunk.h"
#include "core/base/err.h"
#include "core/group/offsets.h"
#include "core/partition/partition.h"
#include "logstore/batch.h"

struct group_journal;

struct group_journal_ops {
    /* Appends one batch. executor is that of the calling thread. *pending: waiter's task
     * will come to executor when the batch is durable, or failed (waiter->err). Otherwise
     * it is durable already. waiter may be NULL. On an error nothing was appended. */
    enum base_err (*append)(struct group_journal *journal, const struct base_chunk *bytes,
                            const struct logstore_batch *batch, struct base_executor *executor,
                            struct partition_waiter *waiter, bool *pending);

    /* Offset that the next record gets. */
    int64_t (*end)(struct group_journal *journal);

    /* Forgets everything in front of offset, which is durable. */
    void (*trim)(struct group_journal *journal, int64_t offset);

    /* Worker only. */
    enum base_err (*replay)(struct group_journal *journal, partition_visit *visit, void *context);

    void (*close)(struct group_journal *journal);
};

struct group_journal {
    const struct group_journal_ops *ops;
};

/* Over a partition, of which it takes the reference. NOMEM leaves it with the caller. */
BASE_MUST_USE enum base_err group_journal_open(struct partition *partition,
                                               struct group_journal **out);

#endif
